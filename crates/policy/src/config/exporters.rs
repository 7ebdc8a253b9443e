//! `exporters:` — who else is told of every finished call, as OpenTelemetry spans.

use gauntlet_types::{ExportProfile, Name};

use super::{
    node::{Label, Node},
    providers,
    read::{self, Fields, Report},
    scalar,
    shape::Secret,
};

/// Some hours of a busy gateway.
const QUEUE_DEFAULT: usize = 64 << 20;
/// One call with long texts in every spelling fits many times.
const QUEUE_MIN: usize = 1 << 20;
/// What a request carries is ours to say.
const OURS: [&str; 6] =
    ["content-type", "content-encoding", "content-length", "host", "connection", "transfer-encoding"];
const NAME_MAX: usize = 64;

/// A receiver of spans: OTLP over HTTP, protobuf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exporter {
    /// Letters, digits, `-`, `_` and `.`: it names a folder.
    pub name: Name,
    /// Used as it is written: most receivers' ends with `/v1/traces`.
    pub url: Name,
    /// In lower case.
    pub headers: Vec<(Name, Secret)>,
    pub profile: ExportProfile,
    /// Bytes on disk that may wait for it. Default 64 MB.
    pub queue: usize,
    /// Whether the redacted words of calls leave as well. Default yes.
    pub texts: bool,
    /// Attributes of the resource beside `service.name`, such as a project.
    pub resource: Vec<(Name, Name)>,
}

pub(super) fn read(node: &Node, report: &mut Report) -> Vec<Exporter> {
    let entries = read::map(node, "`exporters`", report).unwrap_or_default();
    entries.iter().filter_map(|(label, node)| one(label, node, report)).collect()
}

fn one(label: &Label, node: &Node, report: &mut Report) -> Option<Exporter> {
    let name = label.text.as_str();
    let what = format!("exporter `{name}`");
    let is_name = !name.is_empty()
        && name.len() <= NAME_MAX
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        report.error(
            label.at,
            format!("`{name}` cannot name an exporter"),
            "use letters, digits, `-` and `_`",
        );
    }
    let mut fields = Fields::of(node, what.clone(), report)?;
    let url = fields.get("otlp").map(|node| (node.at, providers::url(node, "otlp", &what, report)));
    match &url {
        None if fields.is_missing("otlp") => report.error(
            label.at,
            format!("{what} has no `otlp`"),
            "write the address that takes traces, for example `otlp: \"http://127.0.0.1:6006/v1/traces\"`",
        ),
        None => {}
        Some((at, Some(url))) => warn_of_address(url, *at, report),
        Some((_, None)) => {}
    }
    let headers = fields.get("headers").map(|node| headers(node, &what, report)).unwrap_or_default();
    let profiles = ExportProfile::ALL.map(|profile| (profile.as_str(), profile));
    let profile = fields.choice("profile", report, &profiles).unwrap_or_default();
    let queue = fields.get("queue").and_then(|node| {
        let bytes = read::read(node, "queue", report, scalar::SIZE)?;
        if bytes < QUEUE_MIN {
            report.error(node.at, format!("`queue` of {what} is too small"), "give it `1mb` or more");
        }
        Some(bytes)
    });
    let texts = fields.read("texts", report, scalar::BOOL).unwrap_or(true);
    let mut resource = Vec::new();
    if let Some(node) = fields.get("resource") {
        for (label, node) in read::map(node, &format!("`resource` of {what}"), report).unwrap_or_default() {
            if let Some(text) = read::text(node, &label.text, report) {
                resource.push((label.text.as_str().into(), text.text.as_str().into()));
            }
        }
    }
    fields.finish(report);
    Some(Exporter {
        name: name.into(),
        url: url?.1?.into(),
        headers,
        profile,
        queue: queue.unwrap_or(QUEUE_DEFAULT),
        texts,
        resource,
    })
}

/// What is an address, and yet most likely not the one that was meant.
fn warn_of_address(url: &str, at: super::node::At, report: &mut Report) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.ends_with(":4317") {
        report.warn(
            at,
            "port 4317 is the usual one of OTLP over gRPC, which is not spoken here",
            "OTLP over HTTP usually has port 4318",
        );
    } else if path.is_empty() {
        report.warn(
            at,
            format!("`{url}` has no path, and is used as it is written"),
            "receivers of OTLP over HTTP take traces at `/v1/traces`",
        );
    }
}

fn headers(node: &Node, what: &str, report: &mut Report) -> Vec<(Name, Secret)> {
    let mut headers = providers::headers(node, what, report);
    for (label, _) in read::map(node, "", &mut Report::new("")).unwrap_or_default() {
        let name = label.text.to_ascii_lowercase();
        if OURS.contains(&name.as_str()) {
            let message = format!("header `{}` of {what} is not yours to set", label.text);
            report.error(label.at, message, "leave it out: it follows from what is sent");
        }
    }
    headers.retain(|(name, _)| !OURS.contains(&name.as_str()));
    headers
}

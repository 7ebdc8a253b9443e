//! `exporters:` — who else is told of every finished call, as OpenTelemetry spans.

use gauntlet_types::{ExportProfile, ExportProtocol, Name};

use super::{
    node::{At, Label, Node},
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
/// The same of gRPC's, besides all that begins with `grpc-`.
const OURS_OF_GRPC: &str = "te";
const NAME_MAX: usize = 64;

/// A receiver of spans.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exporter {
    /// Letters, digits, `-`, `_` and `.`: it names a folder.
    pub name: Name,
    pub protocol: ExportProtocol,
    /// Over HTTP used as it is written: most receivers' ends with `/v1/traces`. Over gRPC without a path.
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
    let protocols = ExportProtocol::ALL.map(|protocol| (protocol.as_str(), protocol));
    let protocol = fields.choice("protocol", report, &protocols).unwrap_or_default();
    let url = fields.get("otlp").map(|node| (node.at, providers::url(node, "otlp", &what, report)));
    match &url {
        None if fields.is_missing("otlp") => report.error(
            label.at,
            format!("{what} has no `otlp`"),
            "write the address that takes traces, for example `otlp: \"http://127.0.0.1:6006/v1/traces\"`",
        ),
        None => {}
        Some((at, Some(url))) => check_address(url, protocol, &what, *at, report),
        Some((_, None)) => {}
    }
    let headers =
        fields.get("headers").map(|node| headers(node, protocol, &what, report)).unwrap_or_default();
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
        protocol,
        url: url?.1?.into(),
        headers,
        profile,
        queue: queue.unwrap_or(QUEUE_DEFAULT),
        texts,
        resource,
    })
}

/// What is an address, and yet not one of this protocol, or most likely not the one that was meant.
fn check_address(url: &str, protocol: ExportProtocol, what: &str, at: At, report: &mut Report) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let base = format!("{scheme}://{host}");
    match protocol {
        ExportProtocol::Grpc if !path.is_empty() => report.error(
            at,
            format!("`otlp: {url}` of {what} has a path, which gRPC has no use for"),
            format!("write `otlp: \"{base}\"`, or leave `protocol: grpc` out if this is an address of HTTP"),
        ),
        ExportProtocol::Grpc if host.ends_with(":4318") => report.warn(
            at,
            "port 4318 is the usual one of OTLP over HTTP, and gRPC is to be spoken there",
            "OTLP over gRPC usually has port 4317",
        ),
        ExportProtocol::Grpc if scheme == "http" && !has_port(host) => report.warn(
            at,
            format!("`{url}` names no port, so it is port 80"),
            "OTLP over gRPC usually has port 4317",
        ),
        ExportProtocol::Grpc => {}
        ExportProtocol::HttpProtobuf | ExportProtocol::HttpJson if host.ends_with(":4317") => report.warn(
            at,
            "port 4317 is the usual one of OTLP over gRPC, and HTTP is to be spoken there",
            format!("write `otlp: \"{base}\"` with `protocol: grpc`; OTLP over HTTP usually has port 4318"),
        ),
        ExportProtocol::HttpProtobuf | ExportProtocol::HttpJson if path.is_empty() => report.warn(
            at,
            format!("`{url}` has no path, and is used as it is written"),
            "receivers of OTLP over HTTP take traces at `/v1/traces`",
        ),
        ExportProtocol::HttpProtobuf | ExportProtocol::HttpJson => {}
    }
}

/// The colons of an IPv6 address stand inside brackets.
fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'))
}

fn headers(node: &Node, protocol: ExportProtocol, what: &str, report: &mut Report) -> Vec<(Name, Secret)> {
    let is_ours = |name: &str| {
        let is_grpcs = name == OURS_OF_GRPC || name.starts_with("grpc-");
        OURS.contains(&name) || protocol == ExportProtocol::Grpc && is_grpcs
    };
    let mut headers = providers::headers(node, what, report);
    for (label, _) in read::map(node, "", &mut Report::new("")).unwrap_or_default() {
        if is_ours(&label.text.to_ascii_lowercase()) {
            let message = format!("header `{}` of {what} is not yours to set", label.text);
            report.error(label.at, message, "leave it out: it follows from what is sent");
        }
    }
    headers.retain(|(name, _)| !is_ours(name));
    headers
}

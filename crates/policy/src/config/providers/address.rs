//! Addresses and headers as people write them, checked so that nothing of them is lost or leaks.

use gauntlet_types::Name;

use super::{Dialect, row::Row};
use crate::config::{
    node::{Node, Value},
    read::{self, Report},
    shape::Secret,
};

/// An address of scheme, host, optional port and path. Credentials, queries and fragments are refused: they would end
/// up in logs, or be lost when the path of an endpoint is added.
pub(in crate::config) fn url(node: &Node, field: &str, what: &str, report: &mut Report) -> Option<String> {
    let text = read::text(node, field, report)?;
    let problem = |text: &str| -> Option<&'static str> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let Some(rest) = rest else { return Some("it must begin with `https://` or `http://`") };
        let host = rest.split('/').next().unwrap_or_default();
        let port = match host.rsplit_once(':') {
            // The colons of an IPv6 address stand inside brackets.
            Some((_, port)) if !port.ends_with(']') => Some(port),
            _ => None,
        };
        if host.is_empty() || host.starts_with(':') {
            Some("it names no host")
        } else if host.contains('@') {
            Some("credentials belong into `key` or `headers`")
        } else if rest.contains(['?', '#']) {
            Some("it must end with its path, without `?` or `#`")
        } else if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            Some("it contains a space")
        } else if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            Some("its port is not a number")
        } else {
            None
        }
    };
    let value = text.text.trim();
    match problem(value) {
        None => Some(value.trim_end_matches('/').to_owned()),
        Some(problem) => {
            let message = format!("`{field}: {}` in {what} is not an address", text.typed);
            report.error(
                node.at,
                message,
                format!("{problem}; write for example `http://127.0.0.1:8080/v1`"),
            );
            None
        }
    }
}

/// What an address may end in though the dialect adds it.
const ADDED: [(Dialect, &[&str]); 3] = [
    (Dialect::Azure, &["/openai/v1", "/openai"]),
    (Dialect::Anthropic, &["/v1"]),
    (Dialect::Gemini, &["/v1beta", "/v1"]),
];

/// An address without the version that the dialect adds by itself; people copy it from documentation with or without.
pub(super) fn base(dialect: Dialect, url: String) -> String {
    let added = ADDED.iter().filter(|(of, _)| *of == dialect).flat_map(|(_, ends)| *ends);
    match added.filter_map(|end| url.strip_suffix(end)).next() {
        Some(base) => base.to_owned(),
        None => url,
    }
}

/// The address of a row in a region.
pub(super) fn in_region(row: &Row, region: &str) -> Option<String> {
    let url = row.url?.replace("{region}", region);
    Some(match (row.dialect, region) {
        // Google's "Locations" page: the global host has no prefix, and the two continents have hosts of their own.
        (Dialect::Vertex, "global") => "https://aiplatform.googleapis.com".to_owned(),
        (Dialect::Vertex, "us" | "eu") => format!("https://aiplatform.{region}.rep.googleapis.com"),
        // AWS keeps China apart.
        (Dialect::Bedrock, region) if region.starts_with("cn-") => format!("{url}.cn"),
        _ => url,
    })
}

pub(in crate::config) fn headers(node: &Node, what: &str, report: &mut Report) -> Vec<(Name, Secret)> {
    let mut headers = Vec::new();
    for (label, node) in read::map(node, &format!("`headers` of {what}"), report).unwrap_or_default() {
        let is_token = !label.text.is_empty()
            && label
                .text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if !is_token {
            report.error(
                label.at,
                format!("`{}` cannot name a header", label.text),
                "use letters, digits and `-`",
            );
            continue;
        }
        let Value::Text(text) = &node.value else {
            let _ = read::text(node, &label.text, report);
            continue;
        };
        if text.text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            let message = format!("header `{}` has a line break or control character in it", label.text);
            report.error(node.at, message, "write it on one line");
            continue;
        }
        headers.push((label.text.to_ascii_lowercase().into(), Secret::new(text.text.trim())));
    }
    headers
}

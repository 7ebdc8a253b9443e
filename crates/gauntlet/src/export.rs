//! Receivers of spans as they are configured, and what is between them and the queue: HTTP or gRPC.

mod grpc;
mod http;

use std::{io::Write, sync::Arc, time::Duration};

use flate2::{Compression, write::GzEncoder};
use gauntlet_policy::config::{self, Policy};
use gauntlet_trace::{Exporter, export::Post};
use gauntlet_types::ExportProtocol;
use gauntlet_wire::otlp::{Encoding, Servers};

use crate::wiring::VERSION;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A receiver that takes longer is tried again later; its spans wait on disk meanwhile.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Smaller requests are not worth compressing.
const GZIP_MIN: usize = 1 << 10;
/// Of an answer that is no success, for the log.
const REASON_MAX: usize = 300;
/// An answer longer than this says nothing to us.
const READ_MAX: usize = 64 << 10;
/// Who sends; receivers count their senders by it.
const USER_AGENT: &str = concat!("gauntlet/", env!("CARGO_PKG_VERSION"));

/// The folder of the queues within the data folder.
pub const FOLDER: &str = "export";

pub fn exporters(policy: &Policy) -> Vec<Exporter> {
    let config = policy.config();
    let servers: Servers = config
        .providers
        .values()
        .filter_map(|provider| Some((provider.name.clone(), server(&provider.url)?)))
        .collect();
    let servers = Arc::new(servers);
    let exporter = |exporter: &config::Exporter| Exporter {
        name: exporter.name.clone(),
        profile: exporter.profile,
        queue_bytes: exporter.queue as u64,
        with_texts: exporter.texts,
        resource: resource(exporter),
        version: VERSION.to_owned(),
        servers: servers.clone(),
        post: post(exporter),
    };
    config.exporters.iter().map(exporter).collect()
}

/// `service.name` and `service.version`, unless the configuration says otherwise, and what else it says.
fn resource(exporter: &config::Exporter) -> Vec<(String, String)> {
    let own = exporter.resource.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let mut all: Vec<(String, String)> = own.collect();
    for (key, value) in [("service.name", "gauntlet"), ("service.version", VERSION)] {
        if all.iter().all(|(known, _)| known != key) {
            all.push((key.to_owned(), value.to_owned()));
        }
    }
    all
}

fn server(url: &str) -> Option<(String, u16)> {
    let uri: ::http::Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    Some((uri.host()?.to_owned(), port))
}

/// The names of protocols are those of OpenTelemetry; what is sent is the same.
fn post(exporter: &config::Exporter) -> Post {
    match exporter.protocol {
        ExportProtocol::HttpProtobuf => http::post(exporter, Encoding::Protobuf),
        ExportProtocol::HttpJson => http::post(exporter, Encoding::Json),
        ExportProtocol::Grpc => grpc::post(exporter),
    }
}

/// The body packed, if that is worth it.
fn packed(body: &[u8]) -> Option<Vec<u8>> {
    (body.len() >= GZIP_MIN).then(|| gzip(body)).flatten()
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    packed.write_all(body).ok()?;
    packed.finish().ok()
}

/// What a receiver says, which may be protobuf or a page: the printable beginning, without secrets.
fn readable(exporter: &config::Exporter, said: &[u8]) -> String {
    let text = hide(exporter, &String::from_utf8_lossy(said));
    let mut words = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    if let Some((end, _)) = words.char_indices().nth(REASON_MAX) {
        words.truncate(end);
    }
    words.trim().to_owned()
}

/// A receiver that answers with what it was sent must not bring a secret into the log.
fn hide(exporter: &config::Exporter, text: &str) -> String {
    let mut text = text.to_owned();
    for (_, value) in &exporter.headers {
        for part in value.expose().split_whitespace().filter(|part| part.len() >= 8) {
            text = text.replace(part, "***");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_providers_become_host_and_port() {
        assert_eq!(server("https://api.openai.com/v1"), Some(("api.openai.com".to_owned(), 443)));
        assert_eq!(server("http://127.0.0.1:8080/v1"), Some(("127.0.0.1".to_owned(), 8080)));
        assert_eq!(server(""), None);
    }
}

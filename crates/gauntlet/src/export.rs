//! Receivers of spans as they are configured, and the HTTP between them and the queue.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use flate2::{Compression, write::GzEncoder};
use gauntlet_policy::config::{self, Policy};
use gauntlet_trace::{Exporter, Posted, export::Post};
use gauntlet_wire::otlp::{self, Servers};
use std::io::Write;

use crate::wiring::VERSION;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A receiver that takes longer is tried again later; its spans wait on disk meanwhile.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Smaller requests are not worth compressing.
const GZIP_MIN: usize = 1 << 10;
/// Of an answer that is no success, for the log.
const REASON_MAX: usize = 300;
/// An answer longer than this says nothing to us.
const READ_MAX: u64 = 64 << 10;

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
    let uri: http::Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    Some((uri.host()?.to_owned(), port))
}

fn post(exporter: &config::Exporter) -> Post {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_global(Some(ANSWER_MAX))
        // A redirect would take the headers' secrets elsewhere.
        .max_redirects(0)
        .build();
    let agent: ureq::Agent = config.into();
    let exporter = exporter.clone();
    Arc::new(move |body: &[u8]| {
        let mut request = agent.post(exporter.url.as_str()).header("content-type", "application/x-protobuf");
        for (name, value) in &exporter.headers {
            request = request.header(name.as_str(), value.expose());
        }
        let answer = match (body.len() >= GZIP_MIN).then(|| gzip(body)).flatten() {
            Some(packed) => request.header("content-encoding", "gzip").send(&packed[..]),
            None => request.send(body),
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Posted::Later { after: None, why: hide(&exporter, &error.to_string()) },
        };
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
        let said = answer.body_mut().with_config().limit(READ_MAX).read_to_vec().unwrap_or_default();
        let why = || hide(&exporter, &format!("status {status}: {}", readable(&said)));
        match status {
            200..=299 => match otlp::rejected(&said) {
                Some((rejected, why)) => Posted::Partly { rejected, why: hide(&exporter, &why) },
                None => Posted::Taken,
            },
            413 => Posted::TooLarge,
            408 | 429 | 500..=599 => Posted::Later { after, why: why() },
            _ => Posted::Refused(why()),
        }
    })
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    packed.write_all(body).ok()?;
    packed.finish().ok()
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text.trim()).ok()?.duration_since(SystemTime::now()).ok()
}

/// What a receiver says may be protobuf or a page: the printable beginning.
fn readable(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
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
    fn a_pause_is_read_in_seconds_and_as_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!(retry_after(&date).is_some_and(|pause| pause <= Duration::from_secs(60)), "{date}");
        assert_eq!([retry_after("soon"), retry_after("-1")], [None; 2]);
    }

    #[test]
    fn addresses_of_providers_become_host_and_port() {
        assert_eq!(server("https://api.openai.com/v1"), Some(("api.openai.com".to_owned(), 443)));
        assert_eq!(server("http://127.0.0.1:8080/v1"), Some(("127.0.0.1".to_owned(), 8080)));
        assert_eq!(server(""), None);
    }
}

//! OTLP over HTTP, in either encoding.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use gauntlet_policy::config;
use gauntlet_trace::{Posted, export::Post};
use gauntlet_wire::otlp::Encoding;

use super::{ANSWER_MAX, CONNECT_MAX, READ_MAX, USER_AGENT, hide, packed, readable};

pub(super) fn post(exporter: &config::Exporter, encoding: Encoding) -> Post {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_global(Some(ANSWER_MAX))
        // A redirect would take the headers' secrets elsewhere.
        .max_redirects(0)
        .user_agent(USER_AGENT)
        .build();
    let agent: ureq::Agent = config.into();
    let exporter = exporter.clone();
    Arc::new(move |body: &[u8]| {
        let body = match encoding.request(body) {
            Ok(body) => body,
            Err(error) => return Posted::Refused(format!("the queue holds what is no span: {error}")),
        };
        let mut request = agent.post(exporter.url.as_str()).header("content-type", encoding.media_type());
        for (name, value) in &exporter.headers {
            request = request.header(name.as_str(), value.expose());
        }
        let answer = match packed(&body) {
            Some(packed) => request.header("content-encoding", "gzip").send(&packed[..]),
            None => request.send(&body[..]),
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Posted::Later { after: None, why: hide(&exporter, &error.to_string()) },
        };
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
        // By OTLP an answer has the encoding of its request; not every receiver keeps to that.
        let media = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
        let spoken = media.and_then(Encoding::of_media_type).unwrap_or(encoding);
        let said = answer.body_mut().with_config().limit(READ_MAX as u64).read_to_vec().unwrap_or_default();
        let why = || format!("status {status}: {}", readable(&exporter, &said));
        match status {
            200..=299 => match spoken.rejected(&said) {
                Some((rejected, why)) => Posted::Partly { rejected, why: hide(&exporter, &why) },
                None => Posted::Taken,
            },
            413 => Posted::TooLarge,
            408 | 429 | 500..=599 => Posted::Later { after, why: why() },
            _ => Posted::Refused(why()),
        }
    })
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text.trim()).ok()?.duration_since(SystemTime::now()).ok()
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
}

//! Errors in Google's shape (google.rpc.Status as JSON).

use std::time::Duration;

use bytes::Bytes;
use gauntlet_types::{Code, Fault};
use serde_json::{Map, Value, json};

/// The body that tells a caller of a fault. Our own code is the `reason` of its `ErrorInfo`, beside the word that
/// Google's clients know.
pub fn body(fault: &Fault, status: u16, request_id: Option<&str>) -> Bytes {
    let mut metadata = Map::new();
    if let Some(id) = request_id {
        metadata.insert("request_id".into(), id.into());
    }
    if let Some(Value::Object(detail)) = fault.detail.as_deref() {
        for (key, value) in detail {
            // A map of strings, by Google's definition.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            metadata.entry(key.as_str()).or_insert_with(|| text.into());
        }
    }
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": fault.code.as_str(), "domain": "gauntlet",
        "metadata": metadata,
    })];
    if let Some(param) = &fault.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": param, "description": fault.message}],
        }));
    }
    if let Some(wait) = fault.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait.as_secs_f64()),
        }));
    }
    let error = json!({
        "code": status, "message": fault.message, "status": word(fault.code), "details": details,
    });
    json!({"error": error}).to_string().into()
}

/// How long Google asks to wait: it says so in the body, with no header. None for another body.
pub fn retry_delay(body: &[u8]) -> Option<Duration> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let error = value.get("error").or_else(|| value.get(0)?.get("error"))?;
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Google's word for what went wrong.
const fn word(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest | Code::RequestTooLarge | Code::PromptInvalid | Code::GuardrailBlocked => {
            "INVALID_ARGUMENT"
        }
        Code::Unauthorized => "UNAUTHENTICATED",
        Code::Forbidden | Code::UnpricedModel => "PERMISSION_DENIED",
        Code::UnknownRoute | Code::UnknownModel | Code::NotFound => "NOT_FOUND",
        Code::MethodNotAllowed => "UNIMPLEMENTED",
        Code::RateLimited | Code::BudgetExceeded => "RESOURCE_EXHAUSTED",
        Code::UpstreamTimeout | Code::NotCached => "DEADLINE_EXCEEDED",
        Code::Killed
        | Code::UpstreamFailed
        | Code::UpstreamRefused
        | Code::Overloaded
        | Code::Unavailable
        | Code::Interrupted => "UNAVAILABLE",
        Code::OutputInvalid | Code::Internal => "INTERNAL",
    }
}

/// The number that stands for a word where no answer's status is at hand: in the midst of a stream.
pub(super) fn http(code: Code) -> u16 {
    match word(code) {
        "INVALID_ARGUMENT" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "RESOURCE_EXHAUSTED" => 429,
        "UNIMPLEMENTED" => 501,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::openai::error::read;

    #[test]
    fn a_fault_has_googles_shape_and_our_code() {
        let fault = Fault::policy(Code::BudgetExceeded, "budget `team` is spent")
            .detail(json!({"budget": "team", "left": 0, "request_id": "forged"}))
            .retry_after(Duration::from_millis(1500));
        let value: Value = serde_json::from_slice(&body(&fault, 429, Some("r_1"))).unwrap();
        assert_eq!(value["error"]["code"], 429);
        assert_eq!(value["error"]["status"], "RESOURCE_EXHAUSTED");
        let details = &value["error"]["details"];
        assert_eq!(details[0]["reason"], "budget_exceeded");
        assert_eq!(details[0]["metadata"], json!({"request_id": "r_1", "budget": "team", "left": "0"}));
        assert_eq!(details[1]["retryDelay"], "1.5s");
    }

    #[test]
    fn the_wait_is_read_from_the_body() {
        let check = |details: &str, expected: Option<u64>| {
            let error = format!(r#"{{"error":{{"code":429,"details":[{details}]}}}}"#);
            for body in [error.clone(), format!("[{error}]")] {
                assert_eq!(retry_delay(body.as_bytes()), expected.map(Duration::from_millis), "{body}");
            }
        };
        check(r#"{"@type":"a"},{"@type":"RetryInfo","retryDelay":"21s"}"#, Some(21_000));
        check(r#"{"retryDelay":"0.5s"}"#, Some(500));
        check(r#"{"retryDelay":"-1s"}"#, None);
        check(r#"{"retryDelay":"soon"}"#, None);
        check("", None);
        assert_eq!(retry_delay(b"<html>"), None);
    }

    #[test]
    fn our_own_error_reads_back() {
        let fault = Fault::caller(Code::InvalidRequest, "no").param("contents");
        let error = read(&body(&fault, 400, None));
        assert_eq!((error.message.as_str(), error.code.as_deref()), ("no", Some("INVALID_ARGUMENT")));
    }

    #[test]
    fn every_code_has_a_word_and_a_number() {
        let words: Vec<_> = Code::ALL
            .iter()
            .map(|code| format!("{} {} {}", code.as_str(), word(*code), http(*code)))
            .collect();
        insta::assert_snapshot!(words.join("\n"));
    }
}

//! What a caller of this dialect is told of a fault. A provider's own errors are read by `openai::error`, whatever
//! their shape.

use bytes::Bytes;
use gauntlet_types::{Code, Fault};
use serde_json::{Map, Value};

/// The body that tells a caller of a fault: Anthropic's members, and beside them ours (`code`, `param`, details), which
/// never replace the native ones.
pub fn body(fault: &Fault, status: u16, request_id: Option<&str>) -> Bytes {
    written(fault, type_of_status(status, fault.code), request_id)
}

/// The data of the event that ends a stream in its midst, where no status can be given any more.
pub(crate) fn event_data(fault: &Fault, request_id: Option<&str>) -> Bytes {
    written(fault, type_of_code(fault.code), request_id)
}

fn written(fault: &Fault, kind: &str, request_id: Option<&str>) -> Bytes {
    let mut error = Map::new();
    error.insert("type".into(), kind.into());
    error.insert("message".into(), fault.message.clone().into());
    error.insert("code".into(), fault.code.as_str().into());
    if let Some(param) = &fault.param {
        error.insert("param".into(), param.clone().into());
    }
    match fault.detail.as_deref() {
        Some(Value::Object(detail)) => {
            for (key, value) in detail {
                error.entry(key.as_str()).or_insert_with(|| value.clone());
            }
        }
        Some(Value::Null) | None => {}
        Some(other) => drop(error.insert("detail".into(), other.clone())),
    }
    let mut body = Map::new();
    body.insert("type".into(), "error".into());
    body.insert("error".into(), Value::Object(error));
    if let Some(id) = request_id {
        body.insert("request_id".into(), id.into());
    }
    Value::Object(body).to_string().into()
}

/// Anthropic's word for a status (API reference, "Errors"): its clients choose their exception by the status, programs
/// by this word.
fn type_of_status(status: u16, code: Code) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500 | 502 => type_of_code(code),
        ..500 => "invalid_request_error",
        501.. => "api_error",
    }
}

fn type_of_code(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest
        | Code::UnpricedModel
        | Code::PromptInvalid
        | Code::GuardrailBlocked
        | Code::MethodNotAllowed => "invalid_request_error",
        Code::RequestTooLarge => "request_too_large",
        Code::Unauthorized => "authentication_error",
        Code::Forbidden | Code::Killed => "permission_error",
        Code::UnknownRoute | Code::UnknownModel | Code::NotFound => "not_found_error",
        Code::RateLimited | Code::BudgetExceeded => "rate_limit_error",
        Code::UpstreamTimeout | Code::NotCached => "timeout_error",
        Code::Overloaded | Code::Unavailable => "overloaded_error",
        Code::OutputInvalid
        | Code::UpstreamFailed
        | Code::UpstreamRefused
        | Code::Interrupted
        | Code::Internal => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openai::error::read;

    #[test]
    fn a_fault_has_anthropics_shape_and_our_code() {
        let fault = Fault::policy(Code::BudgetExceeded, "budget `team` is spent")
            .detail(json!({"budget": "team", "type": "forged"}));
        assert_eq!(
            body(&fault, 429, Some("r_1")),
            concat!(
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"budget `team` is spent","#,
                r#""code":"budget_exceeded","budget":"team"},"request_id":"r_1"}"#
            )
        );
        let fault = Fault::caller(Code::InvalidRequest, "no").param("messages");
        let wanted = concat!(
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"no","code":"invalid_request","#,
            r#""param":"messages"}}"#
        );
        assert_eq!(body(&fault, 400, None), wanted);
        assert_eq!(event_data(&fault, None), wanted);
    }

    #[test]
    fn every_status_has_its_type() {
        let check = |status: u16, wanted: &str| {
            assert_eq!(type_of_status(status, Code::Internal), wanted, "{status}");
        };
        check(400, "invalid_request_error");
        check(401, "authentication_error");
        check(402, "billing_error");
        check(403, "permission_error");
        check(404, "not_found_error");
        check(405, "invalid_request_error");
        check(413, "request_too_large");
        check(422, "invalid_request_error");
        check(429, "rate_limit_error");
        check(500, "api_error");
        check(502, "api_error");
        check(503, "overloaded_error");
        check(504, "timeout_error");
        check(529, "overloaded_error");
        // An overload that is told with an odd status keeps its word.
        assert_eq!(type_of_status(502, Code::Overloaded), "overloaded_error");
        // What is told in a stream has a type of the closed set, whatever its code.
        for code in Code::ALL {
            let kind = type_of_code(code);
            assert!(kind.ends_with("_error") || kind == "request_too_large", "{code:?}: {kind}");
        }
    }

    #[test]
    fn our_errors_and_anthropics_are_read_alike() {
        let check = |body: &str, kind: &str, code: Option<&str>, message: &str| {
            let error = read(body.as_bytes());
            assert_eq!(
                (error.kind.as_deref(), error.code.as_deref(), error.message.as_str()),
                (Some(kind), code, message)
            );
        };
        check(
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
            "overloaded_error",
            None,
            "Overloaded",
        );
        let ours = body(&Fault::us(Code::Internal, "broke"), 500, Some("r"));
        check(std::str::from_utf8(&ours).unwrap(), "api_error", Some("internal"), "broke");
    }
}

//! Errors: ours to the caller, and a provider's to us.

use bytes::Bytes;
use gauntlet_types::{Code, Fault};
use serde_json::{Map, Value};

/// Characters of a provider's message that are kept: enough to know the error, too few to carry a prompt along.
pub const MESSAGE_MAX: usize = 300;

/// Bytes of a provider's error body that are looked at; what comes after is not needed for the message.
const BODY_MAX: usize = 64 << 10;

/// The value of `type` as OpenAI sends it: by what the caller can do about it, not by status.
fn native_type(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest
        | Code::RequestTooLarge
        | Code::UnpricedModel
        | Code::PromptInvalid
        | Code::GuardrailBlocked
        | Code::NotCached
        | Code::MethodNotAllowed => "invalid_request_error",
        // OpenAI calls these `invalid_request_error` too and tells them by codes of its own. LiteLLM takes that type
        // for a bad request where it does not find those codes, so ours say more: OpenAI's SDKs go by the status alone.
        Code::Unauthorized => "authentication_error",
        Code::Forbidden => "permission_error",
        Code::UnknownRoute | Code::UnknownModel | Code::NotFound => "not_found_error",
        // OpenAI names the unit that ran out (`requests`, `tokens`); ours may be others, so the detail names it.
        Code::RateLimited => "rate_limit_error",
        Code::BudgetExceeded => "insufficient_quota",
        Code::Killed
        | Code::OutputInvalid
        | Code::UpstreamFailed
        | Code::UpstreamTimeout
        | Code::UpstreamRefused
        | Code::Overloaded
        | Code::Unavailable
        | Code::Interrupted
        | Code::Internal => "server_error",
    }
}

/// The body that tells a caller of a fault. Details stand beside the four native members and never replace them.
pub fn body(fault: &Fault, request_id: Option<&str>) -> Bytes {
    let mut error = Map::new();
    error.insert("message".into(), fault.message.clone().into());
    error.insert("type".into(), native_type(fault.code).into());
    error.insert("param".into(), fault.param.clone().into());
    error.insert("code".into(), fault.code.as_str().into());
    if let Some(id) = request_id {
        error.insert("request_id".into(), id.into());
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
    body.insert("error".into(), Value::Object(error));
    Value::Object(body).to_string().into()
}

/// The frame that ends a stream in the middle. No `[DONE]` follows: the answer is not whole.
pub fn stream_frame(fault: &Fault) -> Bytes {
    super::answer::frame(&body(fault, None))
}

/// The code given to an error that says in its words alone that the request does not validate.
///
/// llama-cpp-python answers status 500 and type `internal_server_error` to a field it does not know, with Pydantic's message: by status
/// and type it would be taken for a sick server, asked again, and left alone, and the caller would never learn what is wrong.
const NOT_VALID: &str = "request_validation_error";

/// What a provider said went wrong; for operators and for the choice between retry and fallback.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ProviderError {
    /// At most `MESSAGE_MAX` characters, white space folded.
    pub message: String,
    /// The member `type`.
    pub kind: Option<String>,
    /// The member `code`, or Google's `status`; a number as its digits.
    pub code: Option<String>,
    pub param: Option<String>,
}

/// Reads the body of a provider's error, whatever it is: OpenAI's shape, its relatives (`{"message"}`, `{"detail"}`,
/// `[{"error"}]`), HTML, plain text, or nothing.
pub fn read(body: &[u8]) -> ProviderError {
    if body.len() <= BODY_MAX
        && let Ok(value) = serde_json::from_slice::<Value>(body)
        && let Some(error) = from_value(&value)
    {
        return error;
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_MAX)]);
    let message = match text.trim_start().starts_with('<') {
        true => html_text(&text),
        false => fold(&text),
    };
    let message =
        if message.is_empty() { "the provider sent an error without a body".to_owned() } else { message };
    ProviderError { message, ..ProviderError::default() }
}

/// The error that a JSON document tells of; none if it has no words for one.
pub(crate) fn from_value(value: &Value) -> Option<ProviderError> {
    match value {
        Value::Array(items) => items.first().and_then(from_value),
        Value::String(text) => Some(ProviderError { message: fold(text), ..ProviderError::default() }),
        Value::Object(members) => match members.get("error") {
            Some(Value::Object(inner)) => from_members(inner),
            Some(Value::String(text)) => {
                // `{"error": "…", "message": "…"}` occurs: the message says more.
                let mut error = from_members(members).unwrap_or_default();
                if error.message.is_empty() {
                    error.message = fold(text);
                }
                Some(error)
            }
            _ => from_members(members),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn from_members(members: &Map<String, Value>) -> Option<ProviderError> {
    let scalar = |key: &str| match members.get(key)? {
        Value::String(text) => Some(fold(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let message = scalar("message").or_else(|| match members.get("detail")? {
        Value::String(text) => Some(fold(text)),
        // FastAPI: a list of what is wrong with which field.
        Value::Array(items) => Some(fold(items.first()?.get("msg")?.as_str()?)),
        _ => None,
    });
    let code = scalar("code");
    // Google writes the HTTP status as `code` and the word as `status`.
    let code = match scalar("status") {
        Some(status) if code.as_ref().is_none_or(|code| code.bytes().all(|byte| byte.is_ascii_digit())) => {
            Some(status)
        }
        _ => code,
    };
    let (kind, param) = (scalar("type"), scalar("param"));
    if message.is_none() && code.is_none() && kind.is_none() {
        return None;
    }
    let code = code.or_else(|| message.as_deref().is_some_and(is_validation).then(|| NOT_VALID.to_owned()));
    Some(ProviderError { message: message.unwrap_or_default(), kind, code, param })
}

/// Pydantic's first words: `2 validation errors`, also with `for ChatRequest` behind them.
fn is_validation(message: &str) -> bool {
    let rest = message.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < message.len() && rest.starts_with(" validation error")
}

/// One line, cut to `MESSAGE_MAX` characters.
fn fold(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * MESSAGE_MAX {
            break;
        }
    }
    match line.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => line[..end].to_owned(),
        None => line,
    }
}

/// The title of a page, or its words without tags.
fn html_text(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    if let Some(start) = lower.find("<title>")
        && let Some(length) = lower[start..].find("</title>")
    {
        return fold(&page[start + "<title>".len()..start + length]);
    }
    let mut words = String::new();
    for part in page.split('<') {
        words.push_str(part.split_once('>').map_or("", |(_, text)| text));
        words.push(' ');
    }
    fold(&words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_has_openais_shape_and_its_details() {
        let fault = Fault::policy(Code::BudgetExceeded, "budget `team` is spent")
            .detail(json!({"budget": "team", "limit_usd": "5.00", "code": "forged"}));
        assert_eq!(
            body(&fault, Some("r_1")),
            concat!(
                r#"{"error":{"message":"budget `team` is spent","type":"insufficient_quota","param":null,"#,
                r#""code":"budget_exceeded","request_id":"r_1","budget":"team","limit_usd":"5.00"}}"#
            )
        );
        let fault = Fault::caller(Code::InvalidRequest, "no").param("messages");
        assert_eq!(
            stream_frame(&fault),
            concat!(
                r#"data: {"error":{"message":"no","type":"invalid_request_error","param":"messages","code":"invalid_request"}}"#,
                "\n\n"
            )
        );
    }

    #[test]
    fn words_of_a_validation_are_a_code_where_none_is_given() {
        let check = |body: &str, code: Option<&str>| {
            assert_eq!(read(body.as_bytes()).code.as_deref(), code, "{body}")
        };
        let said =
            "1 validation error:\\n  {'type': 'literal_error', 'loc': ('body', 'response_format', 'type')}";
        let body = format!(
            r#"{{"error":{{"message":"{said}","type":"internal_server_error","param":null,"code":null}}}}"#
        );
        check(&body, Some("request_validation_error"));
        check(
            r#"{"error":{"message":"12 validation errors for Request"}}"#,
            Some("request_validation_error"),
        );
        check(r#"{"error":{"message":"1 validation error","code":"mine"}}"#, Some("mine"));
        check(r#"{"error":{"message":"the validation error is ours","type":"internal_server_error"}}"#, None);
        check(r#"{"error":{"message":"out of memory","type":"internal_server_error"}}"#, None);
    }

    #[test]
    fn every_code_has_a_native_type() {
        let types: Vec<_> = Code::ALL.iter().map(|code| (code.as_str(), native_type(*code))).collect();
        insta::assert_debug_snapshot!(types);
    }

    #[test]
    fn provider_errors_are_read_whatever_their_shape() {
        let check = |body: &str, message: &str, kind: Option<&str>, code: Option<&str>| {
            let error = read(body.as_bytes());
            assert_eq!(
                (error.message.as_str(), error.kind.as_deref(), error.code.as_deref()),
                (message, kind, code),
                "{body}"
            );
        };
        check(
            r#"{"error":{"message":"bad\n key","type":"t","code":"c","param":null}}"#,
            "bad key",
            Some("t"),
            Some("c"),
        );
        check(r#"{"error":"model not found"}"#, "model not found", None, None);
        check(
            r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
            "too long",
            Some("BadRequestError"),
            Some("400"),
        );
        check(
            r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#,
            "slow",
            None,
            Some("RESOURCE_EXHAUSTED"),
        );
        check(r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, "field required", None, None);
        check(r#"{"detail":"Unauthorized"}"#, "Unauthorized", None, None);
        check("<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway", None, None);
        check("<h1>Oops</h1><p>try again", "Oops try again", None, None);
        check("upstream connect error", "upstream connect error", None, None);
        check("", "the provider sent an error without a body", None, None);
        check("{}", "{}", None, None);
        assert_eq!(read(&[0xff, 0xfe]).message, "\u{fffd}\u{fffd}");
        assert_eq!(read("é".repeat(1000).as_bytes()).message.chars().count(), MESSAGE_MAX);
    }
}

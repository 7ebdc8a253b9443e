//! A provider's error as AWS tells it: words in the body, the kind in the header `x-amzn-ErrorType` or in `__type`.

use serde_json::Value;

use crate::openai::{self, error::ProviderError};

/// Reads the body of an error. `kind` is the value of the header, which may end in a colon and an address.
pub fn read(body: &[u8], kind: Option<&str>) -> ProviderError {
    let mut error = from_slice(body).unwrap_or_else(|| openai::error::read(body));
    if let Some(kind) =
        kind.map(|kind| kind.split(':').next().unwrap_or(kind)).filter(|kind| !kind.is_empty())
    {
        error.code = Some(kind.to_owned());
    }
    error
}

pub(super) fn from_slice(body: &[u8]) -> Option<ProviderError> {
    let value: Value = serde_json::from_slice(body).ok()?;
    // Some services nest what they say (`{"Output": {"__type": …}}`) and write it with a capital.
    let value = value.get("Output").unwrap_or(&value);
    let text = |key: &str| value.get(key)?.as_str();
    let kind = text("__type").map(|kind| kind.rsplit('#').next().unwrap_or(kind).to_owned());
    let message = text("message").or_else(|| text("Message"));
    let message = match (message, &kind) {
        (Some(message), _) => openai::error::read(message.as_bytes()).message,
        (None, Some(kind)) => kind.clone(),
        (None, None) => return None,
    };
    Some(ProviderError { message, code: kind, ..ProviderError::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_aws_are_read_in_all_their_forms() {
        let check = |body: &str, header: Option<&str>, message: &str, code: Option<&str>| {
            let error = read(body.as_bytes(), header);
            assert_eq!((error.message.as_str(), error.code.as_deref()), (message, code), "{body}");
        };
        check(r#"{"message":"slow"}"#, Some("ThrottlingException"), "slow", Some("ThrottlingException"));
        check(
            r#"{"message":"no"}"#,
            Some("ValidationException:http://a/"),
            "no",
            Some("ValidationException"),
        );
        check(r#"{"Message":"who?"}"#, None, "who?", None);
        check(
            r#"{"__type":"com.amazon#ExpiredTokenException","message":"old"}"#,
            None,
            "old",
            Some("ExpiredTokenException"),
        );
        check(
            r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
            None,
            "UnknownOperationException",
            Some("UnknownOperationException"),
        );
        check("<html><title>502 Bad Gateway</title></html>", None, "502 Bad Gateway", None);
    }
}

//! Errors, and counts of tokens, in each vendor's own shape.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{converse, data_frame, named_frame};
use crate::provider::format::Format;

/// An error before it is put into a vendor's words. `kind` and `code` are OpenAI's; others have words of their own for each
/// status.
#[derive(Clone, Debug)]
pub(in super::super) struct Fault {
    pub kind: String,
    pub code: String,
    pub message: String,
}

impl Fault {
    pub(in super::super) fn new(kind: &str, code: &str, message: &str) -> Fault {
        Fault { kind: kind.to_owned(), code: code.to_owned(), message: message.to_owned() }
    }

    pub(in super::super) fn body(&self, format: Format, status: u16) -> Value {
        let message = &self.message;
        match format {
            Format::Chat | Format::Completions | Format::Responses => json!({"error": {
                "message": message, "type": self.kind, "param": null, "code": self.code,
            }}),
            Format::Messages => json!({
                "type": "error", "error": {"type": anthropic_type(status), "message": message},
                "request_id": "req_011Test",
            }),
            Format::Gemini => {
                json!({"error": {"code": status, "message": message, "status": google_status(status)}})
            }
            Format::Converse => json!({"message": message}),
        }
    }

    /// As it comes in the midst of a stream that began well.
    pub(in super::super) fn frame(&self, format: Format) -> Bytes {
        match format {
            Format::Chat | Format::Completions => data_frame(&self.body(format, 500)),
            Format::Responses => named_frame(&json!({
                "type": "error", "sequence_number": 99, "code": self.code, "message": self.message, "param": null,
            })),
            Format::Messages => named_frame(&self.body(format, 529)),
            Format::Gemini => Bytes::from(format!("data: {}\r\n\r\n", self.body(format, 503))),
            Format::Converse => {
                converse::message("exception", "modelStreamErrorException", &self.body(format, 500))
            }
        }
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

/// How many tokens a request has, as who was asked says it.
pub(in super::super) fn count(format: Format, tokens: u64) -> Value {
    match format {
        Format::Gemini => {
            json!({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})
        }
        _ => json!({"input_tokens": tokens}),
    }
}

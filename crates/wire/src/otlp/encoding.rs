//! The two encodings of a request and of its answer, as they are received and as they are sent.

use std::borrow::Cow;

use prost::{DecodeError, Message};
use serde_json::{Value as Json, json};

use super::{
    bound,
    grpc::Status,
    json,
    proto::{ExportTraceServiceResponse, PartialSuccess, RpcStatus},
    receive::{self, Received, Unreadable},
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// By the media type of a request; parameters beside it are passed over.
    pub fn of_media_type(text: &str) -> Option<Encoding> {
        let media = text.split(';').next().unwrap_or_default().trim();
        [Encoding::Protobuf, Encoding::Json]
            .into_iter()
            .find(|encoding| encoding.media_type().eq_ignore_ascii_case(media))
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    pub fn read(self, body: &[u8]) -> Result<Received, Unreadable> {
        match self {
            Encoding::Protobuf => receive::from_protobuf(body),
            Encoding::Json => receive::from_json(body),
        }
    }

    /// `ExportTraceServiceResponse`.
    pub fn taken(self, rejected: u64, message: &str) -> Vec<u8> {
        match (self, rejected) {
            (Encoding::Protobuf, 0) => Vec::new(),
            (Encoding::Protobuf, _) => {
                let rejected_spans = i64::try_from(rejected).unwrap_or(i64::MAX);
                let partial = PartialSuccess { rejected_spans, error_message: message.to_owned() };
                ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
            }
            (Encoding::Json, 0) => b"{}".to_vec(),
            (Encoding::Json, _) => {
                let partial = json!({"rejectedSpans": rejected.to_string(), "errorMessage": message});
                json!({"partialSuccess": partial}).to_string().into_bytes()
            }
        }
    }

    /// `google.rpc.Status`.
    pub fn refused(self, status: Status, message: &str) -> Vec<u8> {
        match self {
            Encoding::Protobuf => {
                let message = message.to_owned();
                RpcStatus { code: status.number().into(), message, details: Vec::new() }.encode_to_vec()
            }
            Encoding::Json => json!({"code": status.number(), "message": message}).to_string().into_bytes(),
        }
    }

    /// A request of [`request`](super::request) as a receiver of this encoding takes it.
    pub fn request(self, protobuf: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
        match self {
            Encoding::Protobuf => Ok(Cow::Borrowed(protobuf)),
            Encoding::Json => json::request(protobuf).map(Cow::Owned),
        }
    }

    /// What a receiver that took a request says of spans that it left out: how many, and why. None when it took them all,
    /// or says something else.
    pub fn rejected(self, answer: &[u8]) -> Option<(u64, String)> {
        let (count, message) = match self {
            Encoding::Protobuf => {
                let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
                (partial.rejected_spans, partial.error_message)
            }
            Encoding::Json => {
                let answer: Json = serde_json::from_slice(answer).ok()?;
                let member = |of: &Json, camel: &str, snake: &str| of.get(camel).or(of.get(snake)).cloned();
                let partial = member(&answer, "partialSuccess", "partial_success")?;
                let count = member(&partial, "rejectedSpans", "rejected_spans")?;
                let count = count.as_i64().or_else(|| count.as_str()?.parse().ok())?;
                let message = member(&partial, "errorMessage", "error_message").unwrap_or_default();
                (count, message.as_str().unwrap_or_default().to_owned())
            }
        };
        let count = u64::try_from(count).unwrap_or(0);
        (count > 0).then(|| (count, bound::line(&message)))
    }
}

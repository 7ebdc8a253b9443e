//! What a sender is told, in the encoding that it speaks.

use prost::Message;
use serde_json::json;

use super::{Received, Unreadable, from_json, from_protobuf};
use crate::otlp::proto::{ExportTraceServiceResponse, PartialSuccess, RpcStatus};

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
            Encoding::Protobuf => from_protobuf(body),
            Encoding::Json => from_json(body),
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

    /// `google.rpc.Status`, with one of gRPC's codes.
    pub fn refused(self, code: u8, message: &str) -> Vec<u8> {
        match self {
            Encoding::Protobuf => {
                RpcStatus { code: code.into(), message: message.to_owned() }.encode_to_vec()
            }
            Encoding::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
        }
    }
}

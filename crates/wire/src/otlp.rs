//! Finished calls as OpenTelemetry spans, in the spelling of whoever receives them (OTLP 1.x); and spans of applications,
//! in whatever spelling they come (`receive` reads them, `understand` says what they mean). Both ways share the two
//! encodings (`Encoding`) and what there is to know of gRPC (`grpc`).
//!
//! One span for the call, one for each attempt at a model, one for each tool that the model asked for; what guards,
//! cache and budgets did are events of the first. A span's ids follow from the record alone, so that a call sent twice
//! is the same spans twice. The texts are the redacted ones of the record, and all sizes are bounded: what is cut says so.
//!
//! Which fact goes under which name is a table (`profile`), not code. Sources: OpenTelemetry semantic conventions 1.41
//! (GenAI), OpenInference, and what each product was seen to read.

mod binary;
mod bound;
mod conversation;
mod encoding;
mod facts;
pub mod grpc;
mod json;
mod profile;
pub mod proto;
pub mod receive;
mod spans;
pub mod understand;

use std::collections::BTreeMap;

use gauntlet_types::{CallRecord, ExportProfile, Name};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};

pub use self::encoding::Encoding;
use proto::{KeyValue, Resource, Scope};

/// Where each provider answers: `server.address` and `server.port`, which the record does not know.
pub type Servers = BTreeMap<Name, (String, u16)>;

/// A finished call as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    pub record: &'a CallRecord,
    /// Redacted bodies; empty where none is kept, or none shall leave.
    pub input: &'a [u8],
    pub output: &'a [u8],
}

/// The call's span first, then its attempts and tools.
pub fn spans(call: &Finished<'_>, profile: ExportProfile, servers: &Servers) -> Vec<proto::Span> {
    spans::of(call, profile::table(profile), servers)
}

/// Adds a call's spans in the form that [`request`] takes, and says how many they are.
pub fn push_spans(
    call: &Finished<'_>,
    profile: ExportProfile,
    servers: &Servers,
    out: &mut Vec<u8>,
) -> usize {
    let spans = spans(call, profile, servers);
    for span in &spans {
        prost::encoding::message::encode(proto::SPANS, span, out);
    }
    spans.len()
}

/// Puts spans of [`push_spans`] into one request, without reading them again.
pub fn request(resource: &[(String, String)], version: &str, spans: &[u8]) -> Vec<u8> {
    let attributes = resource.iter().map(|(key, value)| KeyValue::new(key, value.as_str())).collect();
    let resource = Resource { attributes, ..Resource::default() };
    let scope = Scope { name: "gauntlet".to_owned(), version: version.to_owned(), ..Scope::default() };
    let member = |tag, length| key_len(tag) + encoded_len_varint(length as u64) + length;
    let scope_spans = member(proto::SCOPE, scope.encoded_len()) + spans.len();
    let resource_spans =
        member(proto::RESOURCE, resource.encoded_len()) + member(proto::SCOPE_SPANS, scope_spans);
    let mut out = Vec::with_capacity(resource_spans + 16);
    let open = |tag, length, out: &mut Vec<u8>| {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(length as u64, out);
    };
    open(proto::RESOURCE_SPANS, resource_spans, &mut out);
    prost::encoding::message::encode(proto::RESOURCE, &resource, &mut out);
    open(proto::SCOPE_SPANS, scope_spans, &mut out);
    prost::encoding::message::encode(proto::SCOPE, &scope, &mut out);
    out.extend_from_slice(spans);
    out
}

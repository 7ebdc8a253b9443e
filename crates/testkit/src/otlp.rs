//! Spans as a receiver of OTLP gets them. The receiver itself is a [`Provider`](crate::Provider) or, over gRPC, a
//! [`GrpcReceiver`](crate::GrpcReceiver), either of which answers as it is told.

use std::{collections::BTreeMap, io::Read};

use flate2::read::GzDecoder;
use gauntlet_wire::otlp::{
    Encoding,
    proto::{ExportTraceServiceRequest, KeyValue, Value},
};
use prost::Message;
use serde_json::{Value as Json, json};

use crate::provider::Seen;

/// One span, with its attributes by name.
#[derive(Clone, Debug)]
pub struct SeenSpan {
    pub name: String,
    pub trace_id: Vec<u8>,
    pub span_id: Vec<u8>,
    pub parent_span_id: Vec<u8>,
    pub attributes: BTreeMap<String, Json>,
    pub resource: BTreeMap<String, Json>,
}

impl SeenSpan {
    /// Null when there is none of this name.
    pub fn get(&self, name: &str) -> &Json {
        self.attributes.get(name).unwrap_or(&Json::Null)
    }
}

/// The body of a request, unpacked.
pub fn plain(request: &Seen) -> Vec<u8> {
    if request.header("content-encoding") != Some("gzip") {
        return request.body.to_vec();
    }
    let mut plain = Vec::new();
    GzDecoder::new(&request.body[..]).read_to_end(&mut plain).expect("the request is gzip as it says");
    plain
}

/// The spans of a request; panics when it is none.
pub fn spans(request: &Seen) -> Vec<SeenSpan> {
    let body = plain(request);
    let media = request.header("content-type").and_then(Encoding::of_media_type);
    match media.expect("the request says how it is written") {
        Encoding::Protobuf => {
            spans_of(ExportTraceServiceRequest::decode(&body[..]).expect("the request is OTLP"))
        }
        Encoding::Json => {
            let read = Encoding::Json.read(&body).expect("the request is OTLP/JSON");
            assert_eq!(read.rejected.count, 0, "{}", read.rejected.message());
            spans_of(ExportTraceServiceRequest { resource_spans: read.resource_spans })
        }
    }
}

pub(crate) fn spans_of(request: ExportTraceServiceRequest) -> Vec<SeenSpan> {
    let mut seen = Vec::new();
    for resource in request.resource_spans {
        let about = attributes(&resource.resource.unwrap_or_default().attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            seen.push(SeenSpan {
                attributes: attributes(&span.attributes),
                resource: about.clone(),
                name: span.name,
                trace_id: span.trace_id,
                span_id: span.span_id,
                parent_span_id: span.parent_span_id,
            });
        }
    }
    seen
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, Json> {
    let value =
        |one: &KeyValue| one.value.as_ref().and_then(|any| any.value.as_ref()).map_or(Json::Null, json);
    all.iter().map(|one| (one.key.clone(), value(one))).collect()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Bool(is) => json!(is),
        Value::Int(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::List(list) => {
            list.values.iter().map(|item| item.value.as_ref().map_or(Json::Null, json)).collect()
        }
        Value::Map(map) => json!(attributes(&map.values)),
        Value::Bytes(bytes) => json!(bytes),
    }
}

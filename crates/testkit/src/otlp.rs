//! Spans as a receiver of OTLP over HTTP gets them. The receiver itself is a [`Provider`](crate::Provider) that answers
//! as it is told.

use std::{collections::BTreeMap, io::Read};

use flate2::read::GzDecoder;
use gauntlet_wire::otlp::proto::{ExportTraceServiceRequest, KeyValue, Value};
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

/// The spans of a request; panics when it is none.
pub fn spans(request: &Seen) -> Vec<SeenSpan> {
    let mut body = request.body.to_vec();
    if request.header("content-encoding") == Some("gzip") {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("the request is gzip as it says");
        body = plain;
    }
    let request = ExportTraceServiceRequest::decode(&body[..]).expect("the request is OTLP");
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

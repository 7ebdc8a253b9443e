//! OTLP/JSON as it is written; `receive` reads it. Protobuf's JSON mapping, but for ids, which are hexadecimal, and enums,
//! which are numbers (OTLP specification, "JSON Protobuf Encoding"). What is empty or zero is left out, as that mapping
//! has it. Written straight into bytes: a tree of a request would take ten times its size.

use prost::{DecodeError, Message};

use super::{
    binary,
    proto::{
        AnyValue, Event, ExportTraceServiceRequest, KeyValue, Link, Resource, ResourceSpans, Scope,
        ScopeSpans, Span, Status, Value,
    },
};

/// Rewrites a request in protobuf.
pub(super) fn request(protobuf: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let request = ExportTraceServiceRequest::decode(protobuf)?;
    let mut out = Vec::with_capacity(protobuf.len() * 2);
    let mut object = Object::open(&mut out);
    object.list("resourceSpans", &request.resource_spans, resource_spans);
    object.close();
    Ok(out)
}

fn resource_spans(spans: &ResourceSpans, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    if let Some(about) = &spans.resource {
        resource(about, object.name("resource"));
    }
    object.list("scopeSpans", &spans.scope_spans, scope_spans);
    object.close();
}

fn resource(resource: &Resource, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.attributes(&resource.attributes, resource.dropped_attributes_count);
    object.close();
}

fn scope_spans(spans: &ScopeSpans, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    if let Some(about) = &spans.scope {
        scope(about, object.name("scope"));
    }
    object.list("spans", &spans.spans, span);
    object.close();
}

fn scope(scope: &Scope, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text("name", &scope.name);
    object.text("version", &scope.version);
    object.attributes(&scope.attributes, scope.dropped_attributes_count);
    object.close();
}

fn span(span: &Span, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.id("traceId", &span.trace_id);
    object.id("spanId", &span.span_id);
    object.text("traceState", &span.trace_state);
    object.id("parentSpanId", &span.parent_span_id);
    object.text("name", &span.name);
    object.number("kind", span.kind);
    object.long("startTimeUnixNano", span.start_time_unix_nano);
    object.long("endTimeUnixNano", span.end_time_unix_nano);
    object.attributes(&span.attributes, span.dropped_attributes_count);
    object.list("events", &span.events, event);
    object.number("droppedEventsCount", span.dropped_events_count);
    object.list("links", &span.links, link);
    object.number("droppedLinksCount", span.dropped_links_count);
    if let Some(how) = &span.status {
        status(how, object.name("status"));
    }
    object.number("flags", span.flags);
    object.close();
}

fn event(event: &Event, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.long("timeUnixNano", event.time_unix_nano);
    object.text("name", &event.name);
    object.attributes(&event.attributes, event.dropped_attributes_count);
    object.close();
}

fn link(link: &Link, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.id("traceId", &link.trace_id);
    object.id("spanId", &link.span_id);
    object.text("traceState", &link.trace_state);
    object.attributes(&link.attributes, link.dropped_attributes_count);
    object.number("flags", link.flags);
    object.close();
}

fn status(status: &Status, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text("message", &status.message);
    object.number("code", status.code);
    object.close();
}

fn key_value(one: &KeyValue, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text("key", &one.key);
    if let Some(value) = &one.value {
        any_value(value, object.name("value"));
    }
    object.close();
}

/// A value that is set is written even where it is empty or zero: nothing at all is another value.
fn any_value(any: &AnyValue, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    match &any.value {
        None => {}
        Some(Value::Text(text)) => string(text, object.name("stringValue")),
        Some(Value::Bool(is)) => plain(is, object.name("boolValue")),
        Some(Value::Int(number)) => string(&number.to_string(), object.name("intValue")),
        Some(Value::Double(number)) => double(*number, object.name("doubleValue")),
        Some(Value::List(list)) => {
            let mut inner = Object::open(object.name("arrayValue"));
            inner.list("values", &list.values, any_value);
            inner.close();
        }
        Some(Value::Map(map)) => {
            let mut inner = Object::open(object.name("kvlistValue"));
            inner.list("values", &map.values, key_value);
            inner.close();
        }
        Some(Value::Bytes(bytes)) => string(&binary::to_base64(bytes), object.name("bytesValue")),
    }
    object.close();
}

/// JSON has no number for these three, so they are texts.
fn double(number: f64, out: &mut Vec<u8>) {
    match number {
        // Always finds a shortest form that reads as the same number.
        _ if number.is_finite() => out.extend_from_slice(serde_json::json!(number).to_string().as_bytes()),
        _ if number.is_nan() => string("NaN", out),
        _ if number > 0.0 => string("Infinity", out),
        _ => string("-Infinity", out),
    }
}

fn plain(value: &impl ToString, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("memory takes any text");
}

/// Members of an object; those with protobuf's default are left out.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, is_empty: true }
    }

    fn close(self) {
        self.out.push(b'}');
    }

    /// Where the value of this name is to be written.
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            string(text, self.name(name));
        }
    }

    fn id(&mut self, name: &'static str, id: &[u8]) {
        self.text(name, &binary::to_hex(id));
    }

    fn number<N: ToString + Default + PartialEq>(&mut self, name: &'static str, number: N) {
        if number != N::default() {
            plain(&number, self.name(name));
        }
    }

    /// Of 64 bits, which many readers of JSON numbers would round.
    fn long(&mut self, name: &'static str, number: u64) {
        if number != 0 {
            string(&number.to_string(), self.name(name));
        }
    }

    fn attributes(&mut self, attributes: &[KeyValue], dropped: u32) {
        self.list("attributes", attributes, key_value);
        self.number("droppedAttributesCount", dropped);
    }

    fn list<T>(&mut self, name: &'static str, items: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
        if items.is_empty() {
            return;
        }
        let out = self.name(name);
        for (index, item) in items.iter().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            write(item, out);
        }
        out.push(b']');
    }
}

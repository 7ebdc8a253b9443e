//! Requests of instrumented applications (`ExportTraceServiceRequest`), as protobuf or as OTLP/JSON, read into one form.
//!
//! A request may be anybody's bytes: nothing here panics, and what is made of it is bounded before it is made. A span
//! that is wrong is left out by itself, counted, and told to its sender; a request that cannot be read as such is refused.

mod json;
mod protobuf;

use thiserror::Error;

use super::proto::{Event, KeyValue, Link, ResourceSpans, Span};

/// Spans of one request. SDKs send 512 at a time unless told otherwise.
pub const SPANS_MAX: usize = 50_000;
/// Values of one request (attributes, their parts, events, links). Some 8 MB of usual spans, and not 100 MB in memory.
const VALUES_MAX: usize = 1_000_000;
/// Messages inside one another; a value in a list in a list counts two for each list.
const DEPTH_MAX: usize = 40;
/// Attributes of one span; OpenInference raises OpenTelemetry's own limit of 128 to as many.
const ATTRIBUTES_MAX: usize = 10_000;
/// Events, and links, of one span. OpenTelemetry's own limit is 128.
const EVENTS_MAX: usize = 1_000;
/// Reasons that are told; a sender that gets everything wrong gets the same one a thousand times.
const REASONS_MAX: usize = 3;

/// A request, less the spans that are wrong.
#[derive(Clone, Default, Debug)]
pub struct Received {
    pub resource_spans: Vec<ResourceSpans>,
    pub rejected: Rejected,
}

impl Received {
    pub fn spans(&self) -> usize {
        let scopes = self.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum()
    }
}

/// Spans that are not kept, and why the first of them are not.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rejected {
    pub count: u64,
    reasons: Vec<String>,
}

impl Rejected {
    pub fn note(&mut self, reason: impl Into<String>) {
        self.count += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason.into());
        }
    }

    /// Empty when nothing was rejected.
    pub fn message(&self) -> String {
        let mut message = self.reasons.join("; ");
        let more = self.count.saturating_sub(self.reasons.len() as u64);
        if more > 0 {
            message.push_str(&format!("; and {more} more"));
        }
        message
    }
}

/// The request as a whole cannot be read.
#[derive(Debug, Error)]
pub enum Unreadable {
    #[error("the body is not an ExportTraceServiceRequest in protobuf: {what} is broken")]
    Protobuf { what: &'static str },
    #[error("the body is not an ExportTraceServiceRequest in JSON: {what}")]
    Json { what: String },
}

/// Reads `application/x-protobuf`.
pub fn from_protobuf(body: &[u8]) -> Result<Received, Unreadable> {
    protobuf::read(body)
}

/// Reads `application/json`: ids in hexadecimal, names in camelCase or snake_case, 64-bit numbers as text or number.
pub fn from_json(body: &[u8]) -> Result<Received, Unreadable> {
    json::read(body)
}

/// Where a span stands in its request; the sender's own words are not repeated.
#[derive(Clone, Copy, Debug)]
struct Place {
    resource: usize,
    scope: usize,
    span: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { resource, scope, span } = self;
        write!(f, "resource_spans[{resource}].scope_spans[{scope}].spans[{span}]")
    }
}

/// What is left of a request's bounds.
#[derive(Debug)]
struct Room {
    spans: usize,
    values: usize,
}

impl Default for Room {
    fn default() -> Room {
        Room { spans: SPANS_MAX, values: VALUES_MAX }
    }
}

impl Room {
    fn take_span(&mut self) -> Result<(), String> {
        let left = self.spans.checked_sub(1);
        self.spans = left.ok_or_else(|| format!("a request may hold {SPANS_MAX} spans"))?;
        Ok(())
    }

    fn take_value(&mut self) -> Result<(), String> {
        let left = self.values.checked_sub(1);
        self.values = left.ok_or_else(|| format!("a request may hold {VALUES_MAX} values"))?;
        Ok(())
    }
}

/// Holds a span to what the format asks of its ids, and to our bounds: what is beyond is counted as dropped, as an SDK
/// does with its own.
fn checked(mut span: Span) -> Result<Span, String> {
    let is_id = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
    if !is_id(&span.trace_id, 16) {
        return Err(wrong_id("trace_id", 16, &span.trace_id));
    }
    if !is_id(&span.span_id, 8) {
        return Err(wrong_id("span_id", 8, &span.span_id));
    }
    // Zeros for "none" are written by some exporters.
    if span.parent_span_id.iter().all(|byte| *byte == 0) {
        span.parent_span_id.clear();
    } else if span.parent_span_id.len() != 8 {
        return Err(wrong_id("parent_span_id", 8, &span.parent_span_id));
    }
    span.dropped_attributes_count +=
        beyond(&mut span.attributes, ATTRIBUTES_MAX, span.dropped_attributes_count);
    span.dropped_events_count += beyond(&mut span.events, EVENTS_MAX, span.dropped_events_count);
    span.dropped_links_count += beyond(&mut span.links, EVENTS_MAX, span.dropped_links_count);
    for Event { attributes, dropped_attributes_count: dropped, .. } in &mut span.events {
        *dropped += beyond(attributes, ATTRIBUTES_MAX, *dropped);
    }
    for Link { attributes, dropped_attributes_count: dropped, .. } in &mut span.links {
        *dropped += beyond(attributes, ATTRIBUTES_MAX, *dropped);
    }
    Ok(span)
}

/// Cuts a list, and says how many that were; no more than `dropped` can still count.
fn beyond<T>(list: &mut Vec<T>, max: usize, dropped: u32) -> u32 {
    let cut = list.len().saturating_sub(max);
    list.truncate(max);
    u32::try_from(cut).unwrap_or(u32::MAX).min(u32::MAX - dropped)
}

fn wrong_id(name: &str, length: usize, id: &[u8]) -> String {
    match id.len() {
        0 => format!("{name} is missing"),
        found if found == length => format!("{name} is all zeros"),
        found => format!("{name} has {found} bytes instead of {length}"),
    }
}

/// As a span's: what says where spans come from is bounded too.
fn bound_attributes(attributes: &mut Vec<KeyValue>, dropped: &mut u32) {
    *dropped += beyond(attributes, ATTRIBUTES_MAX, *dropped);
}

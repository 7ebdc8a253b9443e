//! Spans of applications by the API, and the tree of a whole trace.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing::get,
};
use gauntlet_console::{
    next_of, shown_cursor, spans_from_query,
    tree::{Step, Tree, What},
};
use gauntlet_ports::{SpanCursor, SpanFilter, SpanRow, StoredSpan, TraceFilter};
use gauntlet_types::{CallRecord, Code, Fault, SpanId, TraceId};
use serde_json::{Value, json};

use crate::{
    admin::{Admin, store_fault},
    api::{answer, fault, flush},
};

/// Spans of one trace that are looked at: some 60 MB of rows. What is beyond is said to be missing.
const SPANS_MAX: usize = 100_000;
/// Spans asked of the store at once.
const SPANS_PAGE: u32 = 10_000;
/// Calls of one trace: each is read from its payload, since only that knows its parent.
const CALLS_MAX: usize = 500;
/// Steps of a tree in one answer, unless asked otherwise, and at most.
const STEPS_DEFAULT: usize = 1_000;
const STEPS_MAX: usize = 10_000;

pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/api/v1/spans", get(spans))
        .route("/api/v1/spans/{trace}/{span}", get(span))
        .route("/api/v1/trace-tree/{trace}", get(tree))
}

/// Everything that is known of one trace.
pub(crate) struct Whole {
    pub spans: Vec<SpanRow>,
    pub calls: Vec<CallRecord>,
    /// False where there were more than this gateway looks at.
    pub is_all: bool,
}

impl Whole {
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.calls.is_empty()
    }
}

/// Reads a trace; previews of its spans are left out, since a tree shows none.
pub(crate) fn whole(admin: &Admin, trace: TraceId) -> Result<Whole, Fault> {
    flush(admin);
    let mut spans: Vec<SpanRow> = Vec::new();
    let mut before = None;
    let mut is_all = true;
    // Each page lies before the one ahead of it; the last is not full.
    loop {
        let filter = SpanFilter { trace_id: Some(trace), before, limit: SPANS_PAGE, ..SpanFilter::default() };
        let page = admin.traces.span_find(&filter).map_err(store_fault)?;
        before = next_of(&filter, &page);
        spans.extend(page.into_iter().map(|row| SpanRow {
            input_preview: String::new(),
            output_preview: String::new(),
            ..row
        }));
        if spans.len() > SPANS_MAX {
            spans.truncate(SPANS_MAX);
            is_all = false;
        }
        if before.is_none() || !is_all {
            break;
        }
    }
    let filter = TraceFilter { trace_id: Some(trace), ..TraceFilter::default() };
    let (rows, are_all) = admin.traces.trace_rows(&filter, CALLS_MAX).map_err(store_fault)?;
    is_all &= are_all;
    let mut calls = Vec::new();
    for row in rows.iter().rev() {
        calls.extend(admin.traces.trace_get(row.id).map_err(store_fault)?.map(|call| call.record));
    }
    Ok(Whole { spans, calls, is_all })
}

/// A trace id as it stands in an address: 32 hexadecimal digits, nothing else.
pub(crate) fn trace_id(text: &str) -> Option<TraceId> {
    let is_plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.parse().ok().filter(|_| is_plain)
}

pub(crate) fn span_id(text: &str) -> Option<SpanId> {
    let is_plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.parse().ok().filter(|_| is_plain)
}

fn read_trace_id(text: &str) -> Result<TraceId, Fault> {
    trace_id(text).ok_or_else(|| {
        let message = format!("`{text}` is not a trace id; it has 32 hexadecimal digits");
        Fault::caller(Code::InvalidRequest, message)
    })
}

async fn spans(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let read = spans_from_query(query.as_deref().unwrap_or(""), admin.now());
    let unknown = read.unknown.iter().map(|name| format!("there is no filter {name}"));
    let problems: Vec<String> = read.problems.into_iter().chain(unknown).collect();
    if !problems.is_empty() {
        return fault(&Fault::caller(Code::InvalidRequest, problems.join("; ")));
    }
    let filter = read.filter;
    answer(admin, move |admin| {
        flush(admin);
        let rows = admin.traces.span_find(&filter).map_err(store_fault)?;
        let next: Option<SpanCursor> = next_of(&filter, &rows);
        Ok(json!({"spans": rows, "next": next.map(shown_cursor)}))
    })
    .await
}

async fn span(State(admin): State<Admin>, Path((trace, span)): Path<(String, String)>) -> Response {
    answer(admin, move |admin| {
        let trace = read_trace_id(&trace)?;
        let id = span_id(&span).ok_or_else(|| {
            let message = format!("`{span}` is not a span id; it has 16 hexadecimal digits");
            Fault::caller(Code::InvalidRequest, message)
        })?;
        let span = span_get(admin, trace, id)?.ok_or_else(|| {
            Fault::caller(Code::NotFound, format!("there is no span {id} in trace {trace}"))
        })?;
        let text = |bytes: &[u8]| match serde_json::from_slice::<Value>(bytes) {
            Ok(value) => value,
            Err(_) if bytes.is_empty() => Value::Null,
            Err(_) => String::from_utf8_lossy(bytes).into(),
        };
        Ok(json!({
            "record": span.record,
            "input": text(&span.input),
            "output": text(&span.output),
            "rest": text(&span.rest),
        }))
    })
    .await
}

pub(crate) fn span_get(admin: &Admin, trace: TraceId, span: SpanId) -> Result<Option<StoredSpan>, Fault> {
    flush(admin);
    admin.traces.span_get(trace, span).map_err(store_fault)
}

async fn tree(State(admin): State<Admin>, Path(trace): Path<String>, RawQuery(query): RawQuery) -> Response {
    let (from, limit) = match window(query.as_deref().unwrap_or("")) {
        Ok(window) => window,
        Err(why) => return fault(&why),
    };
    answer(admin, move |admin| {
        let trace = read_trace_id(&trace)?;
        let whole = whole(admin, trace)?;
        if whole.is_empty() {
            return Err(Fault::caller(Code::NotFound, format!("there is no trace {trace}")));
        }
        let tree = Tree::of(&whole.spans, &whole.calls);
        let sums = tree.sums();
        let end = from.saturating_add(limit).min(tree.steps.len());
        let steps: Vec<Value> = tree.steps.get(from..end).unwrap_or_default().iter().map(step_json).collect();
        let root = tree.root().map(|step| step.what);
        Ok(json!({
            "trace_id": trace,
            "name": root.map(|what| what.name()),
            "service": root.and_then(|what| what.span()).map(|span| &span.service),
            "started": tree.started,
            "took_us": tree.took_us,
            "spans": sums.spans,
            "calls": sums.calls,
            "errors": sums.errors,
            "cost": sums.cost,
            "tokens_in": sums.tokens_in,
            "tokens_out": sums.tokens_out,
            "said_by_spans": {
                "cost": sums.said_cost,
                "tokens_in": sums.said_tokens_in,
                "tokens_out": sums.said_tokens_out,
            },
            "is_whole": whole.is_all,
            "steps": steps,
            "next": (end < tree.steps.len()).then_some(end),
        }))
    })
    .await
}

/// `from` and `limit` of a question for a tree.
fn window(query: &str) -> Result<(usize, usize), Fault> {
    let (mut from, mut limit) = (0, STEPS_DEFAULT);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let wrong = |what: String| Fault::caller(Code::InvalidRequest, what);
        let number = || value.parse::<usize>().map_err(|_| wrong(format!("{name} cannot be {value}")));
        match name {
            "from" => from = number()?,
            "limit" => limit = number()?.clamp(1, STEPS_MAX),
            _ => return Err(wrong(format!("there is no filter {name}"))),
        }
    }
    Ok((from, limit))
}

fn step_json(step: &Step<'_>) -> Value {
    let what = step.what;
    let tokens = what.tokens();
    let (sort, request) = match what {
        What::Span(_) => ("span", None),
        What::Call(call) => ("call", Some(call.id)),
        What::Attempt(call, _) => ("attempt", Some(call.id)),
        What::Tool(tool) => ("tool", Some(tool.call.id)),
    };
    let mut shown = json!({
        "sort": sort,
        "depth": step.depth,
        "below": step.below,
        "span_id": what.id(),
        "parent_span_id": what.parent(),
        "request_id": request,
        "name": what.name(),
        "kind": what.kind(),
        "service": what.span().map(|span| &span.service),
        "model": what.model(),
        "start_us": step.start_us,
        "took_us": step.took_us,
        "is_error": what.is_error(),
        "tokens_in": tokens.map(|tokens| tokens.0),
        "tokens_out": tokens.map(|tokens| tokens.1),
        "cost": what.cost(),
        "notes": step.notes.words().collect::<Vec<_>>(),
    });
    if let What::Tool(tool) = what {
        shown["arguments"] = tool.arguments.into();
        shown["output"] = tool.output.into();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_addresses_are_exact() {
        assert_eq!(trace_id("0af7651916cd43dd8448eb211c80319c").map(|id| id.0 >> 96), Some(0x0af7_6519));
        for bad in ["", "0af7", "+af7651916cd43dd8448eb211c80319c", "0af76519-6cd4-3dd8-448e-b211c80319c1"] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
        assert_eq!(span_id("00f067aa0ba902b7"), Some(SpanId(0x00f0_67aa_0ba9_02b7)));
        assert_eq!(span_id("+0f067aa0ba902b7"), None);
    }

    #[test]
    fn a_window_is_read_strictly() {
        assert_eq!(window("").unwrap(), (0, STEPS_DEFAULT));
        assert_eq!(window("from=7&limit=99999999").unwrap(), (7, STEPS_MAX));
        assert!(window("form=7").is_err() && window("from=x").is_err());
    }
}

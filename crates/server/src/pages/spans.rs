//! Pages of spans and of whole traces.

use axum::{
    Router,
    extract::{Path, Query, RawQuery, State, rejection::QueryRejection},
    response::Response,
    routing::get,
};
use gauntlet_console::{self as console, Opened, SpansView, TraceView, WholeView, tree::Tree};
use gauntlet_types::{Code, Fault, TraceId};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Frame, page};
use crate::{
    admin::{Admin, store_fault},
    api::{blocking, flush, in_chat, trace_get},
    spans::{span_get, span_id, trace_id, whole},
};

pub(super) fn router() -> Router<Admin> {
    Router::new().route("/spans", get(spans)).route("/traces/{id}", get(trace))
}

async fn spans(State(admin): State<Admin>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let frame = Frame::new(&admin, &headers);
    let asked_for = console::spans_from_query(query.as_deref().unwrap_or(""), admin.now());
    let filter = asked_for.filter.clone();
    let found = blocking(&admin, move |admin| {
        flush(admin);
        admin.traces.span_find(&filter).map_err(store_fault)
    });
    match found.await {
        Ok(rows) => {
            let next = console::next_of(&asked_for.filter, &rows);
            let view = SpansView { query: &asked_for, rows: &rows, next };
            page(StatusCode::OK, console::spans(&frame.shell(), &view))
        }
        Err(fault) => frame.fault(&fault),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// The step that is open.
    span: String,
    /// Where the list of steps begins.
    from: Option<usize>,
}

async fn trace(
    State(admin): State<Admin>,
    headers: HeaderMap,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let frame = Frame::new(&admin, &headers);
    // What cannot be read opens nothing; the page itself is there all the same.
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let html = blocking(&admin, move |admin| {
        if let Some(trace) = trace_id(&id)
            && let Some(html) = whole_page(&frame, admin, trace, &asked)?
        {
            return Ok(html);
        }
        // A request id may be given without its `r_`, and then looks like a trace's.
        call_page(&frame, admin, &id)
    });
    match html.await {
        Ok(html) => page(StatusCode::OK, html),
        Err(fault) => Frame::new(&admin, &headers).fault(&fault),
    }
}

fn call_page(frame: &Frame, admin: &Admin, id: &str) -> Result<String, Fault> {
    let call = trace_get(admin, id)?;
    let whole = whole(admin, call.record.trace_id)?;
    let tree = Tree::of(&whole.spans, &whole.calls);
    Ok(console::trace(&frame.shell(), &TraceView { call: &call, said: &in_chat(&call), tree: &tree }))
}

/// None where nothing is known of the trace.
fn whole_page(frame: &Frame, admin: &Admin, trace: TraceId, asked: &Asked) -> Result<Option<String>, Fault> {
    let whole = whole(admin, trace)?;
    if whole.is_empty() {
        return Ok(None);
    }
    let tree = Tree::of(&whole.spans, &whole.calls);
    let wanted = match asked.span.as_str() {
        "" => None,
        text => Some(span_id(text).ok_or_else(|| {
            Fault::caller(
                Code::InvalidRequest,
                format!("`{text}` is not a span id; it has 16 hexadecimal digits"),
            )
        })?),
    };
    let span = wanted.map(|id| span_get(admin, trace, id)).transpose()?.flatten();
    let call = wanted.and_then(|id| whole.calls.iter().find(|call| call.span_id == id));
    let call = match (&span, call) {
        (None, Some(call)) => {
            admin.traces.trace_get(call.id).map_err(store_fault)?.map(|call| in_chat(&call))
        }
        _ => None,
    };
    let opened = match (&span, &call) {
        (Some(span), _) => Some(Opened::Span(span)),
        (None, Some(call)) => Some(Opened::Call(call)),
        (None, None) => wanted.map(Opened::Missing),
    };
    let view = WholeView { trace, tree: &tree, is_all: whole.is_all, from: asked.from, opened };
    Ok(Some(console::whole_trace(&frame.shell(), &view)))
}

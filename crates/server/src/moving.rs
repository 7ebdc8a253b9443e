//! `GET /api/v1/traces/export` and `POST /api/v1/traces/import`: calls and spans as lines of JSON, out and in again.
//!
//! A line is `{"record":…,"input":…,"output":…}`, or `{"span":…,"input":…,"output":…,"rest":…}`. Texts are JSON as they are
//! stored; what is none stands under `input_text` or `input_hex` instead, and what is empty is null. An export is streamed:
//! what waits for the reader is a few pages. An import is a request for each batch, which is added whole or not at all.

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use gauntlet_ports::{
    Arrived, RecordQuery, SpanCursor, SpanFilter, StoreError, StoredCall, StoredSpan, TraceFilter,
};
use gauntlet_types::{CallRecord, Code, Fault, SpanRecord, Timestamp};
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::mpsc;

use crate::{
    admin::{Admin, store_fault},
    api::{answer, fault, filter, flush},
};

/// Bytes of an import's request: the largest call is one line, and its texts may be written at twice their length.
const IMPORT_MAX: usize = 256 << 20;
/// Lines of an import's request; they are one transaction.
const LINES_MAX: usize = 1_000;
/// Calls read from the store at once.
const PAGE: u32 = 500;
/// Bytes of a piece of the answer.
const PIECE: usize = 256 << 10;
/// Pieces that wait for the reader.
const PIECES_WAITING: usize = 4;

pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/api/v1/traces/export", get(export))
        .route("/api/v1/traces/import", post(import).layer(DefaultBodyLimit::max(IMPORT_MAX)))
}

/// A line going out.
#[derive(Serialize)]
struct CallOut<'a> {
    record: &'a CallRecord,
    #[serde(flatten)]
    texts: Texts<'a>,
}

#[derive(Serialize)]
struct SpanOut<'a> {
    span: &'a SpanRecord,
    #[serde(flatten)]
    texts: Texts<'a>,
    rest: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Texts<'a> {
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_hex: Option<String>,
    output: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_hex: Option<String>,
}

/// A line coming in: a call or a span.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineIn<'a> {
    record: Option<CallRecord>,
    span: Option<SpanRecord>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    input_text: Option<String>,
    input_hex: Option<String>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    output_text: Option<String>,
    output_hex: Option<String>,
    #[serde(borrow, default)]
    rest: Option<&'a RawValue>,
}

type Parts<'a> = (Option<&'a RawValue>, Option<&'a str>, Option<String>);

/// JSON as it is, unless it has lines (which stand between its values alone, and are made spaces by the caller) or is the
/// word that says that there is nothing.
fn parts(text: &[u8]) -> Parts<'_> {
    if text.is_empty() {
        return (None, None, None);
    }
    match serde_json::from_slice::<&RawValue>(text) {
        Ok(json) if json.get() != "null" => (Some(json), None, None),
        _ => match std::str::from_utf8(text) {
            Ok(text) => (None, Some(text), None),
            Err(_) => (None, None, Some(hex(text))),
        },
    }
}

fn texts<'a>(input: &'a [u8], output: &'a [u8]) -> Texts<'a> {
    let ((input, input_text, input_hex), (output, output_text, output_hex)) = (parts(input), parts(output));
    Texts { input, input_text, input_hex, output, output_text, output_hex }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// One line. Raw line ends can only stand between the values of a JSON text.
fn write_line(out: &mut Vec<u8>, line: &impl Serialize) -> Result<(), StoreError> {
    let from = out.len();
    let failed =
        |error: serde_json::Error| StoreError::Failed { what: "writing a line", source: error.into() };
    serde_json::to_writer(&mut *out, line).map_err(failed)?;
    for byte in &mut out[from..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.push(b'\n');
    Ok(())
}

/// Gathers lines and hands them on by the piece; says when nobody reads any more.
struct Out {
    tx: mpsc::Sender<Result<Bytes, std::io::Error>>,
    piece: Vec<u8>,
}

struct Gone;

impl Out {
    fn line(&mut self, line: &impl Serialize) -> Result<Result<(), Gone>, StoreError> {
        write_line(&mut self.piece, line)?;
        Ok(if self.piece.len() >= PIECE { self.send() } else { Ok(()) })
    }

    fn call(&mut self, call: &StoredCall) -> Result<Result<(), Gone>, StoreError> {
        self.line(&CallOut { record: &call.record, texts: texts(&call.input, &call.output) })
    }

    fn send(&mut self) -> Result<(), Gone> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.tx.blocking_send(Ok(piece.into())).map_err(|_| Gone)
    }
}

/// The filters of lists; `spans=true` brings spans after the calls.
async fn export(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let with_spans = query.split('&').any(|pair| pair == "spans=true");
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("spans=")).collect();
    let filter = match filter(&admin, Some(&rest.join("&"))) {
        Ok(filter) => filter,
        Err(why) => return fault(&why),
    };
    let (tx, rx) = mpsc::channel(PIECES_WAITING);
    // Ends by itself when it is through, or when nobody reads: then nothing can be sent.
    tokio::task::spawn_blocking(move || {
        flush(&admin);
        let mut out = Out { tx, piece: Vec::with_capacity(PIECE) };
        if let Err(error) = write_all(&admin, &filter, with_spans, &mut out) {
            tracing::warn!(%error, "an export broke off");
            // The answer ends before its end, which the reader can tell.
            let _ = out.tx.blocking_send(Err(std::io::Error::other("the store failed")));
        }
    });
    let pieces = futures_util::stream::unfold(rx, |mut rx| async { rx.recv().await.map(|one| (one, rx)) });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response()
}

fn write_all(admin: &Admin, filter: &TraceFilter, with_spans: bool, out: &mut Out) -> Result<(), StoreError> {
    let is_rare = filter.text.is_some()
        || filter.trace_id.is_some()
        || filter.session.is_some()
        || filter.user.is_some();
    let done = if is_rare { find(admin, filter, out)? } else { scan(admin, filter, out)? };
    let done = match done {
        Ok(()) if with_spans => spans(admin, filter, out)?,
        done => done,
    };
    // Whoever has gone does not miss the rest.
    if done.is_ok() {
        let _ = out.send();
    }
    Ok(())
}

/// All records of a time, read through in the order of their arrival.
fn scan(admin: &Admin, filter: &TraceFilter, out: &mut Out) -> Result<Result<(), Gone>, StoreError> {
    let query = RecordQuery {
        from: filter.since.unwrap_or(Timestamp(i64::MIN)),
        to: filter.until.unwrap_or(Timestamp(i64::MAX)),
        newest: 0,
        without_texts: false,
    };
    let mut cursor = None;
    loop {
        let page = admin.traces.record_page(&query, cursor, PAGE)?;
        for call in page.calls.iter().filter(|call| filter.fits(&call.record)) {
            if out.call(call)?.is_err() {
                return Ok(Err(Gone));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(Ok(()));
        }
    }
}

/// Calls that an index or their shown texts find, newest first.
fn find(admin: &Admin, filter: &TraceFilter, out: &mut Out) -> Result<Result<(), Gone>, StoreError> {
    let mut asked = TraceFilter { after: None, before: None, limit: PAGE, ..filter.clone() };
    loop {
        let page = admin.traces.trace_find(&asked)?;
        for row in &page.rows {
            let Some(call) = admin.traces.trace_get(row.id)? else { continue };
            if out.call(&call)?.is_err() {
                return Ok(Err(Gone));
            }
        }
        asked.before = page.next;
        if asked.before.is_none() {
            return Ok(Ok(()));
        }
    }
}

/// Spans of the same time and callers, newest first.
fn spans(admin: &Admin, filter: &TraceFilter, out: &mut Out) -> Result<Result<(), Gone>, StoreError> {
    let mut before: Option<SpanCursor> = None;
    loop {
        let page = SpanFilter {
            trace_id: filter.trace_id,
            tenant: filter.tenant.clone(),
            user: filter.user.clone(),
            session: filter.session.clone(),
            since: filter.since,
            until: filter.until,
            before,
            limit: PAGE,
            ..SpanFilter::default()
        };
        let rows = admin.traces.span_find(&page)?;
        let Some(last) = rows.last() else { return Ok(Ok(())) };
        before = Some(SpanCursor { started: last.record.started, seq: last.seq });
        for row in &rows {
            let Some(span) = admin.traces.span_get(row.record.trace_id, row.record.span_id)? else {
                continue;
            };
            let (rest, ..) = parts(&span.rest);
            let line = SpanOut { span: &span.record, texts: texts(&span.input, &span.output), rest };
            if out.line(&line)?.is_err() {
                return Ok(Err(Gone));
            }
        }
    }
}

/// `charge=true` adds what the calls drew to budgets, `skip_bad=true` leaves out lines that cannot be read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    charge: bool,
    #[serde(default)]
    skip_bad: bool,
}

async fn import(
    State(admin): State<Admin>,
    wanted: Result<axum::extract::Query<Wanted>, axum::extract::rejection::QueryRejection>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let bad = |message: String| fault(&Fault::caller(Code::InvalidRequest, message));
    match (wanted, body) {
        (Ok(wanted), Ok(body)) => answer(admin, move |admin| admin.import(&wanted.0, &body)).await,
        (Err(error), _) => bad(error.body_text()),
        (_, Err(error)) => bad(error.body_text()),
    }
}

impl Admin {
    fn import(&self, wanted: &Wanted, body: &[u8]) -> Result<Value, Fault> {
        if wanted.charge && self.runtime.is_some() {
            let message =
                "budgets are charged only while no gateway runs: one that does would not know of it";
            return Err(Fault::caller(Code::InvalidRequest, message));
        }
        let (mut calls, mut spans, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if number > LINES_MAX {
                let message = format!("an import takes {LINES_MAX} lines at once; send the rest in another");
                return Err(Fault::caller(Code::InvalidRequest, message));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match read(line) {
                Ok(Entry::Call(call)) => calls.push(*call),
                Ok(Entry::Span(span)) => spans.push(*span),
                Err(why) => bad.push(json!({"line": number + 1, "why": why})),
            }
        }
        let (mut added_calls, mut added_spans) = (0, 0);
        if bad.is_empty() || wanted.skip_bad {
            let add = |batch: Arrived<'_>| {
                if wanted.charge { self.traces.append(batch, &[]) } else { self.traces.import(batch) }
            };
            added_calls = add(Arrived::calls(&calls)).map_err(store_fault)?;
            added_spans = add(Arrived { calls: &[], spans: &spans }).map_err(store_fault)?;
        }
        Ok(json!({
            "calls": calls.len(), "spans": spans.len(), "added_calls": added_calls, "added_spans": added_spans,
            "bad": bad,
        }))
    }
}

enum Entry {
    Call(Box<StoredCall>),
    Span(Box<StoredSpan>),
}

fn read(line: &[u8]) -> Result<Entry, String> {
    let line: LineIn<'_> = serde_json::from_slice(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => "the line is cut short".to_owned(),
        // The place in the line would repeat texts.
        _ => format!("not a line of an export: {error}"),
    })?;
    let input = bytes_of("input", line.input, line.input_text, line.input_hex)?;
    let output = bytes_of("output", line.output, line.output_text, line.output_hex)?;
    match (line.record, line.span) {
        (Some(record), None) => Ok(Entry::Call(Box::new(StoredCall { record, input, output }))),
        (None, Some(record)) => {
            let rest = bytes_of("rest", line.rest, None, None)?;
            Ok(Entry::Span(Box::new(StoredSpan { record, input, output, rest })))
        }
        _ => Err("a line has either `record` or `span`".to_owned()),
    }
}

fn bytes_of(
    name: &str,
    json: Option<&RawValue>,
    text: Option<String>,
    hex: Option<String>,
) -> Result<Bytes, String> {
    let json = json.filter(|json| json.get() != "null");
    match (json, text, hex) {
        (None, None, None) => Ok(Bytes::new()),
        (Some(json), None, None) => Ok(Bytes::copy_from_slice(json.get().as_bytes())),
        (None, Some(text), None) => Ok(text.into()),
        (None, None, Some(hex)) => {
            unhex(&hex).map(Bytes::from).ok_or_else(|| format!("`{name}_hex` is not hexadecimal"))
        }
        _ => Err(format!("`{name}` is given twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text that went out and came in again.
    fn check(text: &[u8], wanted: &[u8]) {
        let mut line = Vec::new();
        write_line(&mut line, &texts(text, b"")).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "{line:?}");
        let read: LineIn<'_> = serde_json::from_slice(&line).unwrap();
        let back = bytes_of("input", read.input, read.input_text, read.input_hex).unwrap();
        assert_eq!(back, wanted, "{}", String::from_utf8_lossy(&line));
    }

    #[test]
    fn every_text_survives_its_line() {
        let same: [&[u8]; 8] = [
            b"",
            b"null",
            br#"{"a":1e400,"a":"\ud800 \u0000","b":[1.0]}"#,
            b"plain text\nof two lines",
            b"\xff\xfe\n",
            "\u{2028}\u{0}".as_bytes(),
            br#""a text""#,
            b"{\"cut\":",
        ];
        same.iter().for_each(|text| check(text, text));
        check(b"{\r\n  \"a\": [1,\n2]\n}", b"{    \"a\": [1, 2] }");
    }

    #[test]
    fn hexadecimal_is_read_strictly() {
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
        for bad in ["0", "0g", "+1", "é"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}

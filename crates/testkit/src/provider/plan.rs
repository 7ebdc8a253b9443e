//! A step and the request it answers, worked out into bytes with pauses: plain values, so that a connection only plays.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    embeddings,
    format::Format,
    gzip::gzip,
    request::Seen,
    say,
    step::{After, CutBy, Form, Make, Step},
};

const JSON: &str = "application/json";

/// Pieces that were split apart on purpose need a moment between them, or the system sends them as one.
const SPLIT_PAUSE: Duration = Duration::from_micros(300);

#[derive(Debug)]
pub(super) enum Plan {
    Answer(Answer),
    Endless { before_headers: Duration, head: String, frame: Bytes, every: Duration },
    Hang,
    Drop { before: Duration },
    Raw { before: Duration, bytes: Bytes },
}

#[derive(Debug)]
pub(super) struct Answer {
    pub before_headers: Duration,
    /// Status line and headers, with the empty line.
    pub head: String,
    pub is_chunked: bool,
    /// Each with the pause before it; each handed to the system on its own.
    pub pieces: Vec<(Duration, Bytes)>,
    /// Broken off after the pieces, instead of ended.
    pub cut: Option<CutBy>,
}

pub(super) fn plan(step: &Step, seen: &Seen) -> Plan {
    let model = step.model.clone().unwrap_or_else(|| seen.model());
    let format = seen.format();
    let stream_type = match format {
        Format::Converse => "application/vnd.amazon.eventstream",
        // Without `alt=sse` Gemini streams the elements of one array.
        Format::Gemini if !seen.path.contains("alt=sse") => JSON,
        _ => "text/event-stream",
    };
    let (is_stream, content_type, frames) = match &step.make {
        Make::Hang => return Plan::Hang,
        Make::Drop => return Plan::Drop { before: step.before_headers },
        Make::Raw(bytes) => return Plan::Raw { before: step.before_headers, bytes: bytes.clone() },
        Make::Endless { piece, every } => {
            return Plan::Endless {
                before_headers: step.before_headers,
                head: head(step, "text/event-stream", None),
                frame: say::piece_frame(piece, &model),
                every: *every,
            };
        }
        Make::Bytes { content_type, body } => (false, *content_type, vec![body.clone()]),
        Make::Fault(fault) => (false, JSON, vec![json_bytes(&fault.body(format, step.status))]),
        Make::Count(tokens) => (false, JSON, vec![json_bytes(&say::count(format, *tokens))]),
        Make::Embeddings { dimensions } => {
            (false, JSON, vec![json_bytes(&embeddings::answer(seen, *dimensions, &model))])
        }
        Make::Frames(frames) => (true, stream_type, frames.clone()),
        Make::Say { say, form } => match form {
            Form::AsAsked if seen.asks_stream() => (true, stream_type, say.frames(seen, &model)),
            Form::Stream => (true, stream_type, say.frames(seen, &model)),
            Form::Plain | Form::AsAsked => (false, JSON, vec![json_bytes(&say.plain(format, &model))]),
        },
    };

    let frames = with_faults(frames, step, format);
    let (mut pieces, pause) = pieces(frames, step);
    let whole_length: usize = pieces.iter().map(Bytes::len).sum();
    let cut = step.cut.map(|(after, how)| {
        pieces = kept(std::mem::take(&mut pieces), after);
        how
    });
    let pieces = pieces
        .into_iter()
        .enumerate()
        .map(|(index, piece)| (if index == 0 { step.before_first } else { pause }, piece))
        .collect();
    let length = (!is_stream).then_some(whole_length);
    let head = head(step, content_type, length);
    Plan::Answer(Answer { before_headers: step.before_headers, head, is_chunked: is_stream, pieces, cut })
}

fn json_bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

fn with_faults(mut frames: Vec<Bytes>, step: &Step, format: Format) -> Vec<Bytes> {
    if let Some((count, error)) = &step.error_after {
        frames.truncate(*count);
        frames.push(error.frame(format));
    }
    if let Some(count) = step.half_frame_after
        && let Some(frame) = frames.get_mut(count)
    {
        frame.truncate(frame.len() / 2);
        frames.truncate(count + 1);
    }
    frames
}

/// The frames as they are, or the same bytes cut elsewhere; with the pause between them.
fn pieces(frames: Vec<Bytes>, step: &Step) -> (Vec<Bytes>, Duration) {
    let is_split = !step.splits.is_empty() || step.split_every.is_some();
    if !is_split && !step.is_gzip {
        return (frames, step.between);
    }
    let body = frames.concat();
    let body = Bytes::from(if step.is_gzip { gzip(&body) } else { body });
    let every = step
        .split_every
        .into_iter()
        .flat_map(|size| (1..).map(move |n| n * size).take_while(|at| *at < body.len()));
    let mut cuts: Vec<usize> =
        step.splits.iter().copied().filter(|at| *at > 0 && *at < body.len()).chain(every).collect();
    cuts.push(body.len());
    cuts.sort_unstable();
    cuts.dedup();
    let mut from = 0;
    let pieces = cuts
        .into_iter()
        .map(|to| {
            let piece = body.slice(from..to);
            from = to;
            piece
        })
        .collect();
    (pieces, step.between.max(SPLIT_PAUSE))
}

fn kept(mut pieces: Vec<Bytes>, after: After) -> Vec<Bytes> {
    match after {
        After::Frames(count) => pieces.truncate(count),
        After::Bytes(count) => {
            let mut left = count;
            for piece in &mut pieces {
                piece.truncate(left);
                left -= piece.len();
            }
            pieces.retain(|piece| !piece.is_empty());
        }
    }
    pieces
}

fn head(step: &Step, content_type: &str, length: Option<usize>) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", step.status, reason(step.status));
    let has = |name: &str| step.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
    if !has("content-type") {
        add("content-type", content_type);
    }
    if step.is_gzip {
        add("content-encoding", "gzip");
    }
    match length {
        Some(length) => add("content-length", &length.to_string()),
        None => add("transfer-encoding", "chunked"),
    }
    for (name, value) in &step.headers {
        add(name, value);
    }
    head.push_str("\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Scripted")
}

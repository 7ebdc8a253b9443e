//! A chat answer, whole or streamed: bytes to events, and the answers that we write ourselves.

pub(crate) mod extras;
mod flow;
mod read;
mod write;
mod writer;

use bytes::Bytes;
use gauntlet_types::{Event, Finish};

pub(crate) use flow::Flow;
pub(crate) use read::Said;
pub(crate) use write::kept_members;
pub use write::{channel_frame, frame, plain_text_answer, stream_of_answer, stream_text_answer, text_frame};
pub(crate) use writer::{Writer, whole};

use crate::{
    answer::{AnswerText, Chunk, End, PlainAnswer, choice_of},
    json::Malformed,
    text::Found,
};

/// Reads a whole answer. Malformed when it is not JSON (HTML, half a document, nothing), or has neither `choices` nor
/// an error.
pub fn read_plain(body: &Bytes) -> Result<PlainAnswer, Malformed> {
    read_plain_as(body, Said::Message)
}

/// The same for legacy completions, whose choices say it elsewhere.
pub(crate) fn read_plain_as(body: &Bytes, said: Said) -> Result<PlainAnswer, Malformed> {
    let reading = read::plain(body, said).map_err(|fail| fail.locate(body))?;
    let text = |found: &Found| AnswerText { choice: choice_of(found.place), segment: found.segment(body) };
    Ok(PlainAnswer {
        texts: reading.texts.iter().map(text).collect(),
        events: reading.events,
        seals: Vec::new(),
        error: reading.error,
    })
}

/// Reads the data of one stream frame. An error frame becomes `Event::Error`, `[DONE]` becomes `Event::Done`; data that
/// is blank says nothing.
pub fn read_chunk(data: &[u8]) -> Result<Chunk, Malformed> {
    read_chunk_as(data, Said::Message)
}

/// The same for legacy completions.
pub(crate) fn read_chunk_as(data: &[u8], said: Said) -> Result<Chunk, Malformed> {
    if data.first() != Some(&b'{') {
        match data.trim_ascii() {
            b"[DONE]" => return Ok(Chunk { events: vec![Event::Done], is_done: true, ..Chunk::default() }),
            b"" => return Ok(Chunk::default()),
            _ => {}
        }
    }
    let reading = read::chunk(data, said).map_err(|fail| fail.locate(data))?;
    let is_usage_only = reading.has_usage && !reading.has_substance && reading.error.is_none();
    let mut events = reading.events;
    if let Some(error) = reading.error {
        events.push(Event::Error { code: error.code.or(error.kind), message: error.message });
    }
    let ends = events.iter().filter_map(|event| match event {
        Event::Finish { choice, .. } => Some(End::Choice(*choice)),
        _ => None,
    });
    let ends = ends.collect();
    Ok(Chunk { events, texts: reading.deltas, ends, is_usage_only, ..Chunk::default() })
}

/// The reason of an ending, in the words of OpenAI and its relatives.
pub(crate) fn finish(word: &str) -> Finish {
    match word {
        "stop" | "eos" | "end_turn" | "stop_sequence" => Finish::Stop,
        // Mistral tells the model's own limit from the caller's.
        "length" | "model_length" | "max_tokens" => Finish::Length,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

/// The word for an ending. `Other` is written as `stop`, since clients know a closed set of words.
pub(crate) const fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Other => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
    }
}

#[cfg(test)]
mod tests;

//! A chat answer, whole or streamed: bytes to events, and the answers that we write ourselves.

mod assemble;
mod read;
mod write;

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::{Event, Finish};

pub use assemble::{ASSEMBLED_MAX, Assembled, Assembler};
pub use write::{channel_frame, frame, plain_text_answer, stream_of_answer, stream_text_answer, text_frame};

use super::error::ProviderError;
use crate::{
    json::Malformed,
    text::{Found, Place, Segment},
};

/// A text of an answer: the choice it belongs to, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerText {
    pub choice: u32,
    pub segment: Segment,
}

/// What a whole answer says.
#[derive(Clone, PartialEq, Debug)]
pub struct PlainAnswer {
    pub events: Vec<Event>,
    /// The texts in the order of the body, tool arguments among them (`Kind::Arguments`).
    pub texts: Vec<AnswerText>,
    /// The body tells of an error, whatever its status said.
    pub error: Option<ProviderError>,
}

/// What part of an answer a piece of text belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Channel {
    Content,
    Refusal,
    Reasoning,
    /// The arguments of a tool call, by its index.
    Arguments(u32),
    /// The arguments of the one call of the old form.
    FunctionCall,
}

/// A piece of text in a stream chunk. Pieces that are empty are not listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextDelta {
    pub choice: u32,
    pub channel: Channel,
    /// Where the content of the string literal stands in the chunk's data, without its quotes. An edit here takes
    /// `json::escape`d text.
    pub raw: Range<usize>,
}

/// What one frame of a stream says.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Chunk {
    pub events: Vec<Event>,
    pub texts: Vec<TextDelta>,
    /// It holds usage and nothing that a caller who asked for none would miss.
    pub is_usage_only: bool,
    /// It is the end mark.
    pub is_done: bool,
}

/// Reads a whole answer. Malformed when it is not JSON (HTML, half a document, nothing), or has neither `choices` nor
/// an error.
pub fn read_plain(body: &Bytes) -> Result<PlainAnswer, Malformed> {
    let reading = read::plain(body).map_err(|fail| fail.locate(body))?;
    let text = |found: &Found| AnswerText { choice: choice_of(found.place), segment: found.segment(body) };
    Ok(PlainAnswer {
        texts: reading.texts.iter().map(text).collect(),
        events: reading.events,
        error: reading.error,
    })
}

fn choice_of(place: Place) -> u32 {
    match place {
        Place::AnswerContent { choice }
        | Place::AnswerRefusal { choice }
        | Place::AnswerReasoning { choice }
        | Place::AnswerArguments { choice, .. } => choice,
        _ => 0,
    }
}

/// Reads the data of one stream frame. An error frame becomes `Event::Error`, `[DONE]` becomes `Event::Done`; data that
/// is blank says nothing.
pub fn read_chunk(data: &[u8]) -> Result<Chunk, Malformed> {
    if data.first() != Some(&b'{') {
        match data.trim_ascii() {
            b"[DONE]" => return Ok(Chunk { events: vec![Event::Done], is_done: true, ..Chunk::default() }),
            b"" => return Ok(Chunk::default()),
            _ => {}
        }
    }
    let reading = read::chunk(data).map_err(|fail| fail.locate(data))?;
    let is_usage_only = reading.has_usage && !reading.has_substance && reading.error.is_none();
    let mut events = reading.events;
    if let Some(error) = reading.error {
        events.push(Event::Error { code: error.code.or(error.kind), message: error.message });
    }
    Ok(Chunk { events, texts: reading.deltas, is_usage_only, is_done: false })
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

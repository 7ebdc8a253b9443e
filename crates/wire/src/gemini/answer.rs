//! A generateContent answer, whole or streamed: bytes to events, and the answers that we write ourselves.

mod candidate;
mod flow;
mod grounding;
mod partial;
mod read;
mod span;
mod write;
mod writer;

use bytes::Bytes;
use gauntlet_types::Finish;

pub(crate) use flow::Flow;
pub(crate) use write::{args, whole};
pub(crate) use writer::Writer;

use crate::{
    answer::{AnswerText, PlainAnswer, choice_of},
    json::Malformed,
    text::Found,
};

/// Reads a whole answer. Malformed when it is not JSON, or is neither an answer nor an error.
pub fn read_plain(body: &Bytes) -> Result<PlainAnswer, Malformed> {
    let reading = read::plain(body).map_err(|fail| fail.locate(body))?;
    let text = |found: &Found| AnswerText { choice: choice_of(found.place), segment: found.segment(body) };
    Ok(PlainAnswer {
        texts: reading.found.iter().map(text).collect(),
        events: reading.events,
        seals: reading.seals,
        error: reading.error,
    })
}

/// The reason of an ending (Gemini API reference, "FinishReason"; the words of Vertex beside them).
pub(crate) fn finish(word: &str) -> Finish {
    match word {
        "STOP" => Finish::Stop,
        // The second ends a part of a long answer: the caller may ask on with its token.
        "MAX_TOKENS" | "CONTINUATION" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

pub(crate) const fn finish_word(finish: Finish) -> &'static str {
    match finish {
        // Gemini does not tell the two apart.
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
        Finish::Other => "OTHER",
    }
}

#[cfg(test)]
mod tests;

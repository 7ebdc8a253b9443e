//! What a model says, free of any vendor's words; each format's own file writes it as that vendor's servers do.
//!
//! The shapes follow the vendors' API references and what their SDKs expect. Nothing of the gateway's own readers and
//! writers is used, so that a mistake of theirs cannot hide here.

mod chat;
mod completions;
mod converse;
mod fault;
mod gemini;
mod messages;
mod responses;

use bytes::Bytes;
use serde_json::Value;

use super::{format::Format, request::Seen};

pub(super) use chat::piece_frame;
pub(super) use fault::{Fault, count};

/// One piece of an answer, in the order in which the model gives them.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Text(Vec<String>),
    /// What the model thinks, and the signature or cipher that it wants back with the next request.
    Thought {
        pieces: Vec<String>,
        seal: String,
    },
    Refusal(Vec<String>),
    /// A tool's name, and its arguments in the pieces in which the model writes them.
    Call {
        name: String,
        pieces: Vec<String>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum UsageChunk {
    /// As OpenAI: when `stream_options.include_usage` is true.
    WhenAsked,
    Always,
    Never,
}

/// `prompt` counts the cached and the written tokens too, `completion` those of reasoning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    pub cached: u64,
    pub written: u64,
    pub reasoning: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Say {
    pub parts: Vec<Said>,
    pub tokens: Tokens,
    /// Why it ended, in the vendor's own word.
    pub finish: Option<String>,
    /// For chat and completions alone: other formats tell always, and have no end mark.
    pub usage_chunk: UsageChunk,
    pub has_done: bool,
}

impl Say {
    pub(super) fn new(parts: Vec<Said>) -> Say {
        let tokens = Tokens { prompt: 9, completion: 12, cached: 0, written: 0, reasoning: 0 };
        Say { parts, tokens, finish: None, usage_chunk: UsageChunk::WhenAsked, has_done: true }
    }

    pub(super) fn plain(&self, format: Format, model: &str) -> Value {
        match format {
            Format::Chat => chat::plain(self, model),
            Format::Completions => completions::plain(self, model),
            Format::Responses => responses::plain(self, model),
            Format::Messages => messages::plain(self, model),
            Format::Gemini => gemini::plain(self, model),
            Format::Converse => converse::plain(self),
        }
    }

    pub(super) fn frames(&self, seen: &Seen, model: &str) -> Vec<Bytes> {
        let usage_is_asked =
            || seen.field("stream_options").is_some_and(|options| options["include_usage"] == true);
        match seen.format() {
            Format::Chat => chat::frames(self, model, usage_is_asked()),
            Format::Completions => completions::frames(self, model, usage_is_asked()),
            Format::Responses => responses::frames(self, model),
            Format::Messages => messages::frames(self, model),
            Format::Gemini => gemini::frames(self, model, seen.path.contains("alt=sse")),
            Format::Converse => converse::frames(self),
        }
    }

    /// The vendor's word for why the answer ended: as set, or by what was said.
    fn finish<'a>(&'a self, calls: &'a str, refusal: &'a str, stop: &'a str) -> &'a str {
        let has = |is: fn(&Said) -> bool| self.parts.iter().any(is);
        match &self.finish {
            Some(finish) => finish,
            None if has(|part| matches!(part, Said::Call { .. })) => calls,
            None if has(|part| matches!(part, Said::Refusal(_))) => refusal,
            None => stop,
        }
    }

    fn has_usage_chunk(&self, is_asked: bool) -> bool {
        match self.usage_chunk {
            UsageChunk::WhenAsked => is_asked,
            UsageChunk::Always => true,
            UsageChunk::Never => false,
        }
    }

    /// All text, without thoughts and refusals.
    fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Said::Text(pieces) => Some(pieces.concat()),
            Said::Thought { .. } | Said::Refusal(_) | Said::Call { .. } => None,
        });
        texts.collect()
    }
}

/// A frame of server-sent events without a name.
pub(super) fn data_frame(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// A frame that its `type` names, as Anthropic and OpenAI's Responses write them.
fn named_frame(value: &Value) -> Bytes {
    let name = value["type"].as_str().unwrap_or("message");
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}

/// Arguments as the formats that want an object hold them.
fn arguments(pieces: &[String]) -> Value {
    let text = pieces.concat();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

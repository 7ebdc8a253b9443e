//! What a model answered, free of dialect.

use serde::{Deserialize, Serialize};

use crate::{call::Dialect, usage::Usage};

/// Why an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    Other,
}

impl Finish {
    pub const fn as_str(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
            Finish::Other => "other",
        }
    }
}

/// A call of a tool that the model asks for. `arguments` is the text as the model wrote it, usually JSON.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// What a tool gave back, as the next request tells it to the model. Arguments and output are cut where they are long.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ToolResult {
    /// Of the call of the tool.
    pub id: String,
    /// Empty where the request does not repeat who was called.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub arguments: String,
    pub output: String,
}

/// What a provider signed or sealed, and wants back unchanged with the next request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seal {
    /// Whose it is: nobody else can read it, and others refuse it.
    pub by: Dialect,
    pub on: Sealed,
    /// The id of the item that it came with, where there is one.
    pub id: Option<String>,
    pub data: String,
}

/// What a seal belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sealed {
    /// The reasoning that came just before it; its piece of reasoning ends here.
    Reasoning,
    /// Reasoning that nobody may read: there is no text of it.
    Redacted,
    /// The call of a tool, by its index.
    ToolCall(u32),
    /// The text that came just before it.
    Text,
}

/// A source that an answer names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
    /// The words of the source.
    pub cited: Option<String>,
    /// The part of the answer it stands for, in characters from the beginning of the text of its choice.
    pub span: Option<(u32, u32)>,
}

/// One thing learnt from an answer, whole or streamed, in the order of the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The model that really answers, as the provider names it.
    Model(String),
    Text {
        choice: u32,
        text: String,
    },
    Refusal {
        choice: u32,
        text: String,
    },
    Reasoning {
        choice: u32,
        text: String,
    },
    /// The first piece of a tool call has its id and name; later pieces only add to the arguments.
    ToolCall {
        choice: u32,
        index: u32,
        id: Option<String>,
        name: Option<String>,
        arguments: String,
    },
    Seal {
        choice: u32,
        seal: Seal,
    },
    Citation {
        choice: u32,
        citation: Citation,
    },
    /// A picture or a sound that the model made: its media type and its bytes in base64.
    Media {
        choice: u32,
        mime: String,
        data: String,
    },
    Finish {
        choice: u32,
        why: Finish,
    },
    Usage(Usage),
    /// An error inside a stream that began well.
    Error {
        code: Option<String>,
        message: String,
    },
    /// The stream's own end mark (`[DONE]`).
    Done,
}

impl Event {
    /// The choice of the answer that this belongs to, from 0; none for what is of the whole answer.
    #[must_use]
    pub fn choice(&self) -> Option<u32> {
        match self {
            Event::Text { choice, .. }
            | Event::Refusal { choice, .. }
            | Event::Reasoning { choice, .. }
            | Event::ToolCall { choice, .. }
            | Event::Seal { choice, .. }
            | Event::Citation { choice, .. }
            | Event::Media { choice, .. }
            | Event::Finish { choice, .. } => Some(*choice),
            Event::Model(_) | Event::Usage(_) | Event::Error { .. } | Event::Done => None,
        }
    }
}

//! What a model answered, free of dialect.

use serde::{Deserialize, Serialize};

use crate::usage::Usage;

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

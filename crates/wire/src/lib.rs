//! Dialects: bytes of a provider's wire format to neutral values and back. Pure: no IO, no clock, no async.
//!
//! A body stays bytes from the door to the provider. Reading it yields values and the places where they stand, and
//! every change is a splice at such a place, so that what we do not understand survives untouched. `json`, `splice`,
//! `text` and `sse` serve every dialect; a dialect is a module of its own (`openai`, `anthropic`, `gemini`) and knows no
//! other. `conversation`, `answer` and `flow` put the dialects under one face; where caller and model speak differently,
//! `translate` goes by way of `ask` and the events of an answer. `otlp` is the one way out that is no model's: finished
//! calls as spans.

#![forbid(unsafe_code)]

pub mod eventstream;
pub mod json;
mod reading;
pub mod splice;
pub mod sse;
pub mod text;
mod usage;

pub mod answer;
pub mod ask;
pub mod conversation;
pub mod error;
pub mod extension;
pub mod flow;
pub mod models;
pub mod pass;
pub mod seal;
pub mod translate;

pub mod anthropic;
pub mod bedrock;
pub mod gemini;
pub mod openai;
pub mod otlp;
pub mod vertex;

pub use conversation::Conversation;
pub use json::Malformed;
pub use splice::{Edit, splice};
pub use text::{Kind, Place, Role, Segment, SegmentText};

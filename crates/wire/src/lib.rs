//! Dialects: bytes of a provider's wire format to neutral values and back. Pure: no IO, no clock, no async.
//!
//! A body stays bytes from the door to the provider. Reading it yields values and the places where they stand, and
//! every change is a splice at such a place, so that what we do not understand survives untouched. `json`, `splice`,
//! `text` and `sse` serve every dialect; a dialect is a module of its own (`openai`) and knows no other. `otlp` is the
//! one way out that is no model's: finished calls as spans.

#![forbid(unsafe_code)]

pub mod eventstream;
pub mod json;
pub mod splice;
pub mod sse;
pub mod text;
mod usage;

pub mod anthropic;
pub mod gemini;
pub mod openai;
pub mod otlp;
pub mod vertex;

pub use json::Malformed;
pub use splice::{Edit, splice};
pub use text::{Kind, Place, Role, Segment, SegmentText};

//! The OpenAI dialect, as OpenAI speaks it and as the many compatible servers do.
//!
//! Source: OpenAI API reference (chat, Responses, completions, embeddings, models, errors), and for the others what their
//! streams really hold; `tests/golden` has an example of each.

pub mod answer;
pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod error;
pub mod models;
pub mod responses;
pub mod tool_results;
pub mod usage;

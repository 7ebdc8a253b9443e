//! The Anthropic dialect: Messages.
//!
//! Source: Anthropic API reference (Messages, count tokens, streaming, extended thinking, prompt caching, errors);
//! `tests/golden/anthropic` has an example of each.

pub mod answer;
pub mod ask;
pub mod count;
pub mod error;
pub mod neutral;
pub mod usage;

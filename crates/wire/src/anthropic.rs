//! The Anthropic dialect: Messages.

pub mod answer;
pub mod ask;
pub mod error;
pub mod neutral;
pub mod usage;

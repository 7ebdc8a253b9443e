//! Bedrock's Converse: spoken upstream alone, so that it is written as a request and read as an answer.
//!
//! The binary framing of its streams is the adapter's work: here an event is a frame with its name in `event` and its
//! payload in `data`.

mod answer;
pub mod error;
mod media;
mod settings;
mod usage;
mod write;

pub(crate) use answer::Flow;
pub use answer::read_plain;
pub(crate) use write::write;

#[cfg(test)]
mod tests;

//! Models that somebody else taught, run from a directory as Hugging Face exports it: names and places ([`Tagger`]),
//! injection or toxicity ([`Classifier`]), meaning as a vector ([`Embedder`]).
//!
//! Nothing is fetched and no model comes with the binary: an operator names a folder with `config.json`,
//! `tokenizer.json` and `model.onnx` or `model.safetensors`. The graph runs in a pure-Rust runtime; everything around it
//! (tokens and their way back to bytes, windows, labels) is here. [`names`] finds people and places by rules alone.
//!
//! Calls take milliseconds of a core and block: keep them off the workers. Nothing here is async or reads a clock. A
//! directory is outside data: its files are read within limits, and a broken one is an error with its cure, never a panic.

#![forbid(unsafe_code)]

mod classifier;
mod config;
mod directory;
mod embedder;
mod encoder;
mod error;
mod graph;
mod label;
mod message;
pub mod names;
mod reader;
mod runtime;
mod tagger;
mod tokenizer;
mod weights;
mod window;

#[cfg(test)]
mod tests;

pub use classifier::Classifier;
pub use embedder::Embedder;
pub use error::ModelError;
pub use reader::{Options, TEXT_BYTES_MAX};
pub use tagger::Tagger;

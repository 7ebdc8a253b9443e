//! Checks of the tools that a model calls: which, with what arguments, and where the arguments come from.
//!
//! The result of a tool needs no check of its own: it is scanned as any text of an untrusted writer.

mod path;
pub(crate) mod rules;
mod sql;
pub(crate) mod taint;

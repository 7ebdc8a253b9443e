//! Checks of what a model says: links that carry something out, words that must not be said, promises about its form.
//!
//! [`links`], [`canary`] and [`profanity`] find spans and work on streams; the rest judge an answer as a whole, but for
//! [`leak`], which watches a stream word by word. None of them asks a model: what is only meant is beyond them.

pub(crate) mod canary;
pub(crate) mod citation;
pub(crate) mod contract;
pub(crate) mod data;
pub(crate) mod leak;
pub(crate) mod links;
pub(crate) mod profanity;
pub(crate) mod refusal;

//! A chat request in the neutral form, and out of it.

mod read;
mod write;

pub(crate) use read::{read, source_of_url};
pub(crate) use write::{effort_word, tier_word, value, write};

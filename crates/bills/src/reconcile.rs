//! A provider's own figures against ours, by model and day: tokens, requests, money, and by how much they drift.
//!
//! Reads what providers give out: OpenAI's organization usage and costs, Anthropic's usage and cost reports, or a plain
//! CSV. Several pages may stand in one file, one after another or in a list.

mod compare;
mod read;

pub(crate) use compare::base;
pub use compare::{Figures, Pair, Report, Row, Rules, compare};
pub use read::{Export, Format, ReadError, read};

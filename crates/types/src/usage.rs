//! What a model used, in one convention whatever the dialect.

use serde::{Deserialize, Serialize};

use crate::money::TokenCount;

/// Tokens of one answer, each counted in exactly one field, so that fields may be added up.
///
/// OpenAI counts cached tokens inside `prompt_tokens` and reasoning inside `completion_tokens`; Anthropic counts cache
/// reads and writes outside `input_tokens`. A dialect's reader brings both to this form: `input_fresh` excludes what was
/// read from or written to a cache, `output` excludes reasoning.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub input_fresh: TokenCount,
    pub cache_read: TokenCount,
    /// Written to a cache that lives five minutes (Anthropic's default).
    pub cache_write_5m: TokenCount,
    /// Written to a cache that lives an hour.
    pub cache_write_1h: TokenCount,
    pub output: TokenCount,
    pub reasoning: TokenCount,
    /// Counted by us, since the provider did not say.
    pub estimated: bool,
}

impl Usage {
    /// The tokens of two answers together; estimated if either was.
    pub fn plus(&self, other: &Usage) -> Usage {
        let sum = |one: TokenCount, other: TokenCount| TokenCount(one.0.saturating_add(other.0));
        Usage {
            input_fresh: sum(self.input_fresh, other.input_fresh),
            cache_read: sum(self.cache_read, other.cache_read),
            cache_write_5m: sum(self.cache_write_5m, other.cache_write_5m),
            cache_write_1h: sum(self.cache_write_1h, other.cache_write_1h),
            output: sum(self.output, other.output),
            reasoning: sum(self.reasoning, other.reasoning),
            estimated: self.estimated || other.estimated,
        }
    }

    pub fn input_total(&self) -> TokenCount {
        let parts = [self.input_fresh, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        TokenCount(parts.iter().fold(0, |sum: u32, part| sum.saturating_add(part.0)))
    }

    pub fn output_total(&self) -> TokenCount {
        TokenCount(self.output.0.saturating_add(self.reasoning.0))
    }

    pub fn total(&self) -> TokenCount {
        TokenCount(self.input_total().0.saturating_add(self.output_total().0))
    }
}

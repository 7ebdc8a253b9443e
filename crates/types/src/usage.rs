//! What a model used, in one convention whatever the dialect.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::TokenCount;

/// How urgently a provider worked, which some of them price.
///
/// In ascending order of what they cost, so that the greater of two is never the cheaper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// Answered within a day, at about half the price.
    Batch,
    /// Answered when there is room.
    Flex,
    #[default]
    Standard,
    /// Answered before others, for more money.
    Priority,
}

impl ServiceTier {
    pub const ALL: [ServiceTier; 4] =
        [ServiceTier::Batch, ServiceTier::Flex, ServiceTier::Standard, ServiceTier::Priority];

    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceTier::Batch => "batch",
            ServiceTier::Flex => "flex",
            ServiceTier::Standard => "standard",
            ServiceTier::Priority => "priority",
        }
    }

    /// The tier behind a provider's word for it, in any case; none for `auto`, which leaves the choice to the provider,
    /// and for words that nobody knows.
    ///
    /// Words of OpenAI (`default`, `flex`, `priority`, `fast`, and `scale`, which is paid in advance), Anthropic
    /// (`standard`, `priority`, `batch`), Groq (`on_demand`, `performance`) and Vertex (`ON_DEMAND_PRIORITY` …).
    pub fn of_word(word: &str) -> Option<ServiceTier> {
        const WORDS: [(&str, ServiceTier); 16] = [
            ("default", ServiceTier::Standard),
            ("standard", ServiceTier::Standard),
            ("standard_only", ServiceTier::Standard),
            ("on_demand", ServiceTier::Standard),
            ("scale", ServiceTier::Standard),
            ("provisioned_throughput", ServiceTier::Standard),
            ("service_tier_standard", ServiceTier::Standard),
            ("flex", ServiceTier::Flex),
            ("on_demand_flex", ServiceTier::Flex),
            ("service_tier_flex", ServiceTier::Flex),
            ("priority", ServiceTier::Priority),
            ("fast", ServiceTier::Priority),
            ("performance", ServiceTier::Priority),
            ("on_demand_priority", ServiceTier::Priority),
            ("service_tier_priority", ServiceTier::Priority),
            ("batch", ServiceTier::Batch),
        ];
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, tier)| *tier)
    }

    fn is_standard(&self) -> bool {
        *self == ServiceTier::Standard
    }
}

/// Tokens of one answer, each counted in exactly one field, so that fields may be added up; and what is paid by the
/// piece.
///
/// OpenAI counts cached tokens inside `prompt_tokens` and reasoning inside `completion_tokens`; Anthropic counts cache
/// reads and writes outside `input_tokens`. A dialect's reader brings both to this form: `input_fresh` excludes what was
/// read from or written to a cache, `output` excludes reasoning, and both exclude audio and images where the provider
/// tells them apart. Video counts as images.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Audio that was not read from a cache.
    #[serde(skip_serializing_if = "is_none")]
    pub audio_input: TokenCount,
    #[serde(skip_serializing_if = "is_none")]
    pub audio_cache_read: TokenCount,
    #[serde(skip_serializing_if = "is_none")]
    pub audio_output: TokenCount,
    /// Images that were not read from a cache.
    #[serde(skip_serializing_if = "is_none")]
    pub image_input: TokenCount,
    #[serde(skip_serializing_if = "is_none")]
    pub image_cache_read: TokenCount,
    #[serde(skip_serializing_if = "is_none")]
    pub image_output: TokenCount,
    /// Searches of the web that the provider did.
    #[serde(skip_serializing_if = "is_zero")]
    pub web_searches: u32,
    /// As the provider answered it, not as it was asked for.
    #[serde(skip_serializing_if = "ServiceTier::is_standard")]
    pub tier: ServiceTier,
    /// Counted by us, since the provider did not say.
    pub estimated: bool,
}

/// As if derived, but without the fields that most answers do not have: what is 0 there is not worth a line's length.
impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Usage");
        out.field("input_fresh", &self.input_fresh)
            .field("cache_read", &self.cache_read)
            .field("cache_write_5m", &self.cache_write_5m)
            .field("cache_write_1h", &self.cache_write_1h)
            .field("output", &self.output)
            .field("reasoning", &self.reasoning);
        let rare = [
            ("audio_input", self.audio_input),
            ("audio_cache_read", self.audio_cache_read),
            ("audio_output", self.audio_output),
            ("image_input", self.image_input),
            ("image_cache_read", self.image_cache_read),
            ("image_output", self.image_output),
        ];
        for (name, count) in rare.iter().filter(|(_, count)| count.0 > 0) {
            out.field(name, count);
        }
        if self.web_searches > 0 {
            out.field("web_searches", &self.web_searches);
        }
        if !self.tier.is_standard() {
            out.field("tier", &self.tier);
        }
        out.field("estimated", &self.estimated).finish()
    }
}

fn is_none(count: &TokenCount) -> bool {
    count.0 == 0
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Usage {
    /// The tokens of two answers together; estimated if either was, and of the dearer tier.
    pub fn plus(&self, other: &Usage) -> Usage {
        let sum = |one: TokenCount, other: TokenCount| TokenCount(one.0.saturating_add(other.0));
        Usage {
            input_fresh: sum(self.input_fresh, other.input_fresh),
            cache_read: sum(self.cache_read, other.cache_read),
            cache_write_5m: sum(self.cache_write_5m, other.cache_write_5m),
            cache_write_1h: sum(self.cache_write_1h, other.cache_write_1h),
            output: sum(self.output, other.output),
            reasoning: sum(self.reasoning, other.reasoning),
            audio_input: sum(self.audio_input, other.audio_input),
            audio_cache_read: sum(self.audio_cache_read, other.audio_cache_read),
            audio_output: sum(self.audio_output, other.audio_output),
            image_input: sum(self.image_input, other.image_input),
            image_cache_read: sum(self.image_cache_read, other.image_cache_read),
            image_output: sum(self.image_output, other.image_output),
            web_searches: self.web_searches.saturating_add(other.web_searches),
            // The empty usage says nothing of a tier, so adding to it keeps the other's.
            tier: match (*self == Usage::default(), *other == Usage::default()) {
                (true, _) => other.tier,
                (_, true) => self.tier,
                (false, false) => self.tier.max(other.tier),
            },
            estimated: self.estimated || other.estimated,
        }
    }

    /// What is left when one answer's tokens are taken out of a sum that holds them.
    pub fn without(&self, part: &Usage) -> Usage {
        let minus = |all: TokenCount, part: TokenCount| TokenCount(all.0.saturating_sub(part.0));
        Usage {
            input_fresh: minus(self.input_fresh, part.input_fresh),
            cache_read: minus(self.cache_read, part.cache_read),
            cache_write_5m: minus(self.cache_write_5m, part.cache_write_5m),
            cache_write_1h: minus(self.cache_write_1h, part.cache_write_1h),
            output: minus(self.output, part.output),
            reasoning: minus(self.reasoning, part.reasoning),
            audio_input: minus(self.audio_input, part.audio_input),
            audio_cache_read: minus(self.audio_cache_read, part.audio_cache_read),
            audio_output: minus(self.audio_output, part.audio_output),
            image_input: minus(self.image_input, part.image_input),
            image_cache_read: minus(self.image_cache_read, part.image_cache_read),
            image_output: minus(self.image_output, part.image_output),
            web_searches: self.web_searches.saturating_sub(part.web_searches),
            tier: self.tier,
            estimated: self.estimated,
        }
    }

    pub fn input_total(&self) -> TokenCount {
        total([
            self.input_fresh,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.audio_input,
            self.audio_cache_read,
            self.image_input,
            self.image_cache_read,
        ])
    }

    pub fn output_total(&self) -> TokenCount {
        total([self.output, self.reasoning, self.audio_output, self.image_output])
    }

    pub fn total(&self) -> TokenCount {
        total([self.input_total(), self.output_total()])
    }

    /// Read from a cache, of every kind.
    pub fn cache_read_total(&self) -> TokenCount {
        total([self.cache_read, self.audio_cache_read, self.image_cache_read])
    }
}

fn total<const N: usize>(parts: [TokenCount; N]) -> TokenCount {
    TokenCount(parts.iter().fold(0, |sum: u32, part| sum.saturating_add(part.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_text_alone_keep_their_shape() {
        let usage = Usage { input_fresh: TokenCount(1), output: TokenCount(2), ..Usage::default() };
        let old = r#"{"input_fresh":1,"cache_read":0,"cache_write_5m":0,"cache_write_1h":0,"output":2,"reasoning":0,"estimated":false}"#;
        assert_eq!(serde_json::to_string(&usage).unwrap(), old);
        assert_eq!(serde_json::from_str::<Usage>(old).unwrap(), usage);
        let rich = Usage {
            audio_input: TokenCount(3),
            image_output: TokenCount(4),
            web_searches: 1,
            tier: ServiceTier::Flex,
            ..usage
        };
        let text = serde_json::to_string(&rich).unwrap();
        assert!(
            text.contains(r#""audio_input":3,"image_output":4,"web_searches":1,"tier":"flex""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), rich);
    }

    #[test]
    fn sums_hold_every_part_once() {
        let one = TokenCount(1);
        let all = Usage {
            input_fresh: one,
            cache_read: one,
            cache_write_5m: one,
            cache_write_1h: one,
            output: one,
            reasoning: one,
            audio_input: one,
            audio_cache_read: one,
            audio_output: one,
            image_input: one,
            image_cache_read: one,
            image_output: one,
            web_searches: 1,
            tier: ServiceTier::Batch,
            estimated: false,
        };
        assert_eq!((all.input_total().0, all.output_total().0, all.total().0), (8, 4, 12));
        let twice = all.plus(&all);
        assert_eq!((twice.total().0, twice.web_searches, twice.tier), (24, 2, ServiceTier::Batch));
        assert_eq!(Usage::default().plus(&all), all);
        let dear = Usage { tier: ServiceTier::Priority, ..all };
        assert_eq!(all.plus(&dear).tier, ServiceTier::Priority);
    }

    #[test]
    fn words_of_providers_are_understood() {
        for (word, tier) in [
            ("default", Some(ServiceTier::Standard)),
            ("Priority", Some(ServiceTier::Priority)),
            ("ON_DEMAND_FLEX", Some(ServiceTier::Flex)),
            ("batch", Some(ServiceTier::Batch)),
            ("auto", None),
            ("", None),
        ] {
            assert_eq!(ServiceTier::of_word(word), tier, "{word}");
        }
    }
}

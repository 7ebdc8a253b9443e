//! Tokens, each counted in one field, and the cost as the sender gives it.

use gauntlet_types::{NanoUsd, TokenCount, Usage};

use super::{
    Facts,
    aliases::{self, Names},
    number,
};

/// More than any cost of one step, and well inside of what nano-dollars hold.
const COST_USD_MAX: f64 = 1e6;

pub(super) fn usage(facts: &Facts<'_>) -> Usage {
    let count = |names: Names| facts.number(names).map_or(0, tokens);
    let (input, output) = (count(aliases::TOKENS_IN), count(aliases::TOKENS_OUT));
    if (input, output) == (0, 0)
        && let Some(details) = facts.parsed(aliases::USAGE_DETAILS)
    {
        let part = |name: &str| TokenCount(details.get(name).and_then(number).map_or(0, tokens));
        return Usage {
            input_fresh: part("input"),
            output: part("output"),
            cache_read: part("cache_read_input_tokens"),
            cache_write_5m: part("cache_creation_input_tokens"),
            ..Usage::default()
        };
    }
    let (read, written) = (count(aliases::CACHE_READ), count(aliases::CACHE_WRITE));
    let (audio_in, audio_out) = (count(aliases::AUDIO_IN), count(aliases::AUDIO_OUT));
    let reasoning = count(aliases::REASONING);
    let cached = read.saturating_add(written);
    // The conventions count cached tokens within the input's. Whoever passes Anthropic's own figures on does not; that
    // shows where the cached are more than the input, or the total needs them besides.
    let total = count(aliases::TOKENS_TOTAL);
    let is_beside =
        cached > input || (cached > 0 && total == input.saturating_add(output).saturating_add(cached));
    let within = audio_in.saturating_add(if is_beside { 0 } else { cached });
    Usage {
        input_fresh: TokenCount(input.saturating_sub(within)),
        cache_read: TokenCount(read),
        cache_write_5m: TokenCount(written),
        output: TokenCount(output.saturating_sub(reasoning.saturating_add(audio_out))),
        reasoning: TokenCount(reasoning),
        audio_input: TokenCount(audio_in),
        audio_output: TokenCount(audio_out),
        ..Usage::default()
    }
}

fn tokens(number: f64) -> u32 {
    // Saturates, and takes what is negative as none.
    number as u32
}

pub(super) fn cost(facts: &Facts<'_>) -> Option<NanoUsd> {
    let is_foreign =
        facts.text(aliases::COST_CURRENCY).is_some_and(|currency| !currency.eq_ignore_ascii_case("usd"));
    let parts = || {
        let parts = aliases::COST_PARTS.iter().filter_map(|name| number(facts.attributes.get(*name)?));
        parts.reduce(|sum, part| sum + part)
    };
    let details = || number(facts.parsed(aliases::COST_DETAILS)?.get("total")?);
    let usd = facts.number(aliases::COST).filter(|_| !is_foreign).or_else(parts).or_else(details)?;
    (0.0..=COST_USD_MAX).contains(&usd).then(|| NanoUsd((usd * 1e9).round() as i64))
}

//! Long prefixes that many calls share while the provider's cache is hardly used: what its read price would save.

use std::{collections::HashMap, sync::Arc};

use gauntlet_policy::price::Price;
use gauntlet_ports::StoredCall;
use gauntlet_types::{NanoUsd, Timestamp, TokenCount};
use serde_json::Value;

use super::{Advice, CALLS_MIN, Kind, Place};

/// Providers cache nothing shorter (OpenAI and Anthropic, "Prompt caching"; some models want more).
const TOKENS_MIN: u32 = 1_024;
/// Calls are of one prefix when they agree so far; what varies earlier is no prefix that a cache could keep.
const BYTES_ALIKE: usize = 4_096;
/// Compared beyond that, so that a longer prefix is seen as what it is.
const BYTES_MAX: usize = 64 * 1_024;
/// Prefixes remembered: 32 MiB at most.
const PREFIXES_MAX: usize = 512;
/// A provider keeps a prefix for five minutes after its last use.
const TTL_US: i64 = 300_000_000;
/// Where so much of the input is cached already, there is nothing to say.
const CACHED_PERCENT_MAX: u64 = 20;

#[derive(Default)]
pub(super) struct Prefixes(HashMap<(Place, blake3::Hash), Prefix>);

struct Prefix {
    /// What all calls so far begin with.
    text: String,
    last: Timestamp,
    calls: u64,
    /// Calls that came while the provider would still have had the prefix.
    within: u64,
    tokens_in: u64,
    tokens_cached: u64,
    /// Input tokens of a byte, the least of all calls: fewer tokens save less.
    tokens_per_byte: f64,
    price: Arc<Price>,
}

impl Prefixes {
    pub(super) fn add(&mut self, place: &Place, call: &StoredCall, price: &Arc<Price>) {
        let record = &call.record;
        let tokens = record.usage.input_total().0;
        if tokens < TOKENS_MIN {
            return;
        }
        let Some(text) = text_of(&call.input).filter(|text| text.len() >= BYTES_ALIKE) else { return };
        let key = (place.clone(), blake3::hash(&text.as_bytes()[..BYTES_ALIKE]));
        let is_full = self.0.len() >= PREFIXES_MAX;
        let tokens_per_byte = f64::from(tokens) / text.len() as f64;
        let cached = u64::from(record.usage.cache_read.0);
        match self.0.get_mut(&key) {
            Some(prefix) => {
                prefix.text.truncate(shared(&prefix.text, &text));
                prefix.within += u64::from(record.started.0 - prefix.last.0 <= TTL_US);
                prefix.last = prefix.last.max(record.started);
                prefix.calls += 1;
                prefix.tokens_in += u64::from(tokens);
                prefix.tokens_cached += cached;
                prefix.tokens_per_byte = prefix.tokens_per_byte.min(tokens_per_byte);
            }
            None if is_full => {}
            None => {
                let prefix = Prefix {
                    text: text[..boundary(&text, BYTES_MAX)].to_owned(),
                    last: record.started,
                    calls: 1,
                    within: 0,
                    tokens_in: tokens.into(),
                    tokens_cached: cached,
                    tokens_per_byte,
                    price: price.clone(),
                };
                self.0.insert(key, prefix);
            }
        }
    }

    pub(super) fn finish(&self) -> Vec<Advice> {
        let found = self.0.iter().filter(|(_, prefix)| prefix.calls >= CALLS_MIN as u64);
        found.filter_map(|((place, _), prefix)| prefix.advise(place)).collect()
    }
}

impl Prefix {
    fn advise(&self, (route, target): &Place) -> Option<Advice> {
        let tokens = (self.text.len() as f64 * self.tokens_per_byte).floor() as u32;
        if tokens < TOKENS_MIN || self.tokens_cached * 100 > self.tokens_in * CACHED_PERCENT_MAX {
            return None;
        }
        let rates = self.price.rates_at(TokenCount(tokens));
        let off = rates.input.0.checked_sub(rates.cache_read.0).filter(|_| rates.cache_read.0 > 0)?;
        // Each time the prefix has gone cold it is written anew, which some vendors charge more for.
        let premium = rates.cache_write_5m.0.saturating_sub(rates.input.0);
        let pico =
            |calls: u64, tokens: u64, rate: u64| u128::from(calls) * u128::from(tokens) * u128::from(rate);
        let gained = pico(self.within, tokens.into(), off);
        let written = pico(self.calls - self.within, tokens.into(), premium);
        // What is cached already saves already.
        let had = pico(1, self.tokens_cached, off);
        let saved = gained.checked_sub(written)?.checked_sub(had)?;
        Some(Advice {
            kind: Kind::PromptPrefix,
            route: route.to_string(),
            model: target.to_string(),
            what: format!(
                "{} calls begin with the same {tokens} tokens, and {} % of their input is read from the provider's \
                 cache: mark the prefix for caching (`cache_control` at Anthropic), and keep what changes behind it",
                self.calls,
                self.tokens_cached * 100 / self.tokens_in.max(1),
            ),
            mind: format!(
                "counts the {} calls that came within five minutes of another, at the price of a cache read; the \
                 tokens of the prefix are worked out from its share of the text",
                self.within
            ),
            calls: self.calls,
            // Rounded down: a saving is not told larger than it is.
            saved: NanoUsd(i64::try_from(saved / 1_000).unwrap_or(i64::MAX)),
            saved_usd_per_month: 0.0,
        })
    }
}

/// The texts of the messages, one after another, as the model reads them.
fn text_of(input: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(input).ok()?;
    let mut text = String::new();
    for message in body["messages"].as_array()? {
        text.push_str(message["role"].as_str().unwrap_or(""));
        text.push('\n');
        match &message["content"] {
            Value::String(content) => text.push_str(content),
            Value::Array(parts) => {
                parts.iter().filter_map(|part| part["text"].as_str()).for_each(|part| text.push_str(part));
            }
            _ => {}
        }
        text.push('\n');
    }
    Some(text)
}

/// Bytes at the beginning that two texts share, whole characters only.
fn shared(one: &str, other: &str) -> usize {
    boundary(one, one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count())
}

/// The last place up to `at` where a character ends.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

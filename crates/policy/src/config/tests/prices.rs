//! `prices.yml`: kinds, lengths, service tiers, dates, and the mistakes in them.

use gauntlet_types::{ServiceTier, TokenCount, Usage};

use super::*;
use crate::price::Price;

fn sources(prices: &str) -> Sources {
    Sources {
        gauntlet: source(FILE, "providers: {openai: {}}"),
        prices: source("prices.yml", prices),
        ..Sources::default()
    }
}

fn price_at(text: &str, target: &str, day: &str) -> std::sync::Arc<Price> {
    let at = Day::parse(day).unwrap().start();
    policy(&sources(text)).price(&Target::parse(target).unwrap(), at).unwrap()
}

#[test]
fn every_kind_length_and_tier_can_be_written() {
    let text = "\
a:
  input: 2
  output: 8
  cache_read: 0.5
  audio_input: 40
  audio_output: 80
  image_input: 3
  per_request: 0.01
  per_search: 0.02
  context_window: 400_000
  output_max: 16384
  long: {over: 200000, input: 4, output: 12}
  tiers:
    batch: {multiplier: 0.5}
    flex: {input: 1, output: 5}
    priority: {multiplier: 2, output: 20, long: [{over: 300000, input: 9}, {over: 100000, input: 7}]}";
    let price = price_at(text, "openai/a", "2026-11-21");
    let millions = |rates: &crate::price::Rates| rates.each().map(|rate| rate.as_usd_per_million());
    assert_eq!(millions(&price.rates), [2.0, 0.5, 2.0, 2.0, 8.0, 8.0, 40.0, 40.0, 80.0, 3.0, 3.0, 8.0]);
    // What is dearer than plain input stays so; what cost as much follows it.
    assert_eq!(
        millions(&price.tiers[0].rates),
        [4.0, 4.0, 4.0, 4.0, 12.0, 12.0, 40.0, 40.0, 80.0, 4.0, 4.0, 12.0]
    );
    let batch = price.batch.as_ref().unwrap();
    assert_eq!(millions(&batch.rates), [1.0, 0.25, 1.0, 1.0, 4.0, 4.0, 20.0, 20.0, 40.0, 1.5, 1.5, 4.0]);
    assert_eq!(batch.tiers[0].rates.input.as_usd_per_million(), 2.0);
    let flex = price.flex.as_ref().unwrap();
    // Without its own word on long calls, what a tier says holds for them too.
    assert_eq!(
        [flex.rates.input, flex.tiers[0].rates.input].map(|rate| rate.as_usd_per_million()),
        [1.0, 1.0]
    );
    let priority = price.priority.as_ref().unwrap();
    assert_eq!(millions(&priority.rates)[..5], [4.0, 1.0, 4.0, 4.0, 20.0]);
    assert_eq!(priority.tiers.iter().map(|tier| tier.over.0).collect::<Vec<_>>(), [100_000, 300_000]);
    assert_eq!(priority.tiers[1].rates.input.as_usd_per_million(), 9.0);
    assert_eq!((price.per_request, price.per_search), (NanoUsd(10_000_000), NanoUsd(20_000_000)));
    assert_eq!(
        (price.context_window, price.output_max),
        (Some(TokenCount(400_000)), Some(TokenCount(16_384)))
    );
    let usage = Usage { audio_input: TokenCount(1000), tier: ServiceTier::Batch, ..Usage::default() };
    assert_eq!(price.cost(&usage).to_string(), "0.03");
}

#[test]
fn prices_hold_from_their_day() {
    let text = "\
gpt-4o-mini:
  - {from: 2026-10-01, input: 3, output: 1}
  - {input: 1, output: 1}
  - {from: 2026-01-01, input: 2, output: 1}
openai/gpt-4o: {from: 2026-12-01, input: 9, output: 9}";
    let input = |target: &str, day: &str| price_at(text, target, day).rates.input.as_usd_per_million();
    assert_eq!(input("openai/gpt-4o-mini", "2025-12-31"), 1.0);
    assert_eq!(input("openai/gpt-4o-mini", "2026-01-01"), 2.0);
    assert_eq!(input("openai/gpt-4o-mini", "2026-10-01"), 3.0);
    // Until its day, the table holds.
    assert_eq!(input("openai/gpt-4o", "2026-11-30"), 2.5);
    assert_eq!(input("openai/gpt-4o", "2026-12-01"), 9.0);
}

#[test]
fn a_price_of_ones_own_keeps_the_limits_that_the_table_knows() {
    let price = price_at("openai/gpt-4o-mini: {input: 1, output: 2}", "openai/gpt-4o-mini", "2026-11-21");
    let limits = (price.context_window, price.output_max);
    assert_eq!(limits, (Some(TokenCount(128_000)), Some(TokenCount(16_384))));
    let text = "gpt-4o-mini: {input: 1, output: 2, output_max: 5}";
    assert_eq!(price_at(text, "openai/gpt-4o-mini", "2026-11-21").output_max, Some(TokenCount(5)));
}

#[test]
fn mistakes_in_prices_have_place_and_cure() {
    let check = |text: &str, expected: &str| compare(told(&sources(text)), &[expected], text);
    check("a: []", "prices.yml:1:4: price of `a` is an empty list; write `{input: …, output: …}`");
    check(
        "a:\n  - {from: 2026-01-01, input: 1, output: 1}\n  - {from: 2026-01-01, input: 2, output: 1}",
        "prices.yml:3:5: price of `a` has two entries from 2026-01-01; keep one of them",
    );
    check(
        "a: [{input: 1, output: 1}, {input: 2, output: 1}]",
        "price of `a` has two entries without `from`; say from which day the later one holds, such as `from: 2026-10-01`",
    );
    check(
        "a: {from: soon, input: 1, output: 1}",
        "prices.yml:1:11: `from: soon` is not a day; write for example `2026-10-01`",
    );
    check(
        "a: {input: 1, output: 1, tiers: {bach: {multiplier: 1}}}",
        "unknown field `bach` in `tiers` of the price of `a`; did you mean `batch`?",
    );
    check(
        "a: {input: 1, output: 1, tiers: {batch: {multiplier: 0}}}",
        "`multiplier: 0` is not a factor above 0 and up to 100; write for example `0.5` for half the price",
    );
    check(
        "a: {input: 1, output: 1, tiers: {batch: {}}}",
        "`batch` of the price of `a` says no price; write `multiplier: 0.5`, or the prices that differ",
    );
    check("a: {input: 1, output: 1, tiers: batch}", "`tiers` of the price of `a` must be a map of fields");
    check(
        "a: {input: 1, output: 1, tiers: {flex: {long: {input: 2}}}}",
        "`long` of `flex` of the price of `a` has no `over`; write for example `over: 200000`",
    );
    check(
        "a: {input: 1, output: 1, long: [{over: 9, input: 2}, {over: 9, input: 3}]}",
        "`long` of the price of `a` has two entries over 9; keep one of them",
    );
    check("a: {input: 1, output: 1, audio: 2}", "unknown field `audio` in price of `a`");
    check("a: {free: true, tiers: {batch: {multiplier: 1}}}", "is `free: true` and has `tiers` too");
    check("a: {input: 1, output: 1, output_max: none}", "`output_max: none` is not a number of tokens");
}

#[test]
fn the_version_of_prices_follows_the_file() {
    let version = |text: &str| policy(&sources(text)).price_version().to_string();
    assert_eq!(version("a: {free: true}"), version("a: {free: true}"));
    assert_ne!(version("a: {free: true}"), version("b: {free: true}"));
    assert_eq!(policy(&gauntlet("providers: {openai: {}}")).price_version(), crate::price::TABLE_VERSION);
}

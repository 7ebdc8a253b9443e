use std::sync::Arc;

use gauntlet_policy::price::{Price, Rates, Sheet};
use gauntlet_types::{CacheUse, Decision, PicoUsdPerToken, TokenCount};

use super::{sample::call, *};

fn prices(target: &Target, at: Timestamp) -> Option<Arc<Price>> {
    Sheet::find("openai", &target.model)?.at(at)
}

const DAY: Traffic = Traffic { calls: 20, cost: NanoUsd(20_000), days: 1.0 };

fn report_by(price_of: PriceOf<'_>, calls: &[StoredCall], traffic: &Traffic) -> Report {
    let mut sample = Sample::new(price_of, Vec::new());
    calls.iter().for_each(|call| sample.add(call));
    sample.finish(traffic)
}

fn of(report: &Report, kind: Kind) -> Option<&Advice> {
    report.advice.iter().find(|one| one.kind == kind)
}

/// None of these changes leaves an advice of that kind.
fn silenced(
    price_of: PriceOf<'_>,
    kind: Kind,
    calls: &[StoredCall],
    what: &str,
    change: fn(usize, &mut StoredCall),
) {
    let mut calls = calls.to_vec();
    calls.iter_mut().enumerate().for_each(|(at, call)| change(at, call));
    assert!(of(&report_by(price_of, &calls, &DAY), kind).is_none(), "{what}");
}

#[test]
fn repeats_within_an_hour_would_have_been_cached() {
    // A second apart, twenty times the same; then the same an hour on.
    let mut calls: Vec<_> =
        (0..20).map(|n| call(n, "gpt-4o", (100, 900), "what time is it", 1_000)).collect();
    let found = report_by(&prices, &calls, &DAY);
    let advice = of(&found, Kind::Cache).expect("an advice");
    assert_eq!((advice.calls, advice.saved), (19, NanoUsd(19_000)));
    assert!((advice.saved_usd_per_month - 0.000_019 * 30.0).abs() < 1e-12, "{advice:?}");
    assert!(found.is_whole && found.calls == 20);
    calls.push(call(3_601, "gpt-4o", (100, 900), "what time is it", 1_000));
    let found = report_by(&prices, &calls, &DAY);
    assert_eq!(of(&found, Kind::Cache).unwrap().calls, 19, "the kept answer is too old by then");
    let check = |what, change| silenced(&prices, Kind::Cache, &calls, what, change);
    check("other tenants", |at, call| call.record.caller.tenant = format!("t{at}").into());
    check("other words", |at, call| call.input = format!("{{\"q\": {at}}}").into());
    check("redacted, so perhaps other words", |_, call| call.record.decision = Decision::Redact);
    check("a route with a cache", |_, call| call.record.cache = CacheUse::Miss);
    check("failed", |_, call| call.record.outcome = Outcome::Failed);
    check("no texts kept", |_, call| call.input.clear());
}

#[test]
fn small_calls_are_cheaper_on_the_next_smaller_model() {
    let usage = call(0, "gpt-4o", (200, 50), "", 0).record.usage;
    let cost = |model: &str| {
        let target = Target { provider: "openai".into(), model: model.into() };
        prices(&target, Timestamp(0)).expect("a price").cost(&usage).0
    };
    let (dear, cheap) = (cost("gpt-4o"), cost("gpt-4o-mini"));
    let calls: Vec<_> = (0..12).map(|n| call(n * 9999, "gpt-4o", (200, 50), "short", dear)).collect();
    let found = report_by(&prices, &calls, &DAY);
    let advice = of(&found, Kind::CheaperModel).expect("an advice");
    assert_eq!((advice.calls, advice.saved), (12, NanoUsd(12 * (dear - cheap))));
    assert!(advice.what.contains("openai/gpt-4o-mini") && advice.mind.contains("eval"), "{advice:?}");
    let check = |what, change| silenced(&prices, Kind::CheaperModel, &calls, what, change);
    check("long answers", |_, call| call.record.usage.output = TokenCount(2_000));
    check("long questions", |_, call| call.record.usage.input_fresh = TokenCount(9_000));
    check("with tools", |_, call| call.input = "{\"tools\": [{}]}".into());
    check("already the smallest", |_, call| call.record.target = Target::parse("openai/gpt-4.1-nano"));
    assert!(of(&report_by(&prices, &calls[..9], &DAY), Kind::CheaperModel).is_none(), "too few calls");
}

/// Prices of a vendor that charges writes to its cache: a dollar a million tokens, and a quarter more for a write.
fn with_cache(_: &Target, _: Timestamp) -> Option<Arc<Price>> {
    let micro = |micro: u64| PicoUsdPerToken(micro * 1_000);
    Some(Arc::new(Price::flat(Rates {
        input: micro(1_000),
        cache_read: micro(100),
        cache_write_5m: micro(1_250),
        cache_write_1h: micro(2_000),
        output: micro(5_000),
        reasoning: micro(5_000),
        ..Rates::default()
    })))
}

#[test]
fn long_shared_prefixes_are_worth_caching() {
    let prefix = "You answer questions about boats. ".repeat(300);
    let text = |n: i64| format!("{prefix}{n} and something else");
    let calls: Vec<_> =
        (0..20).map(|n| call(n * 60, "claude-x", (3_000, 900), &text(n), 7_500_000)).collect();
    let found = report_by(&with_cache, &calls, &DAY);
    let advice = of(&found, Kind::PromptPrefix).expect("an advice");
    // 19 reads at nine tenths off and one write at a quarter more, of nearly all 3,000 tokens.
    let most = 19 * 3_000 * 900 - 3_000 * 250;
    assert!(advice.saved.0 <= most && advice.saved.0 > most * 98 / 100, "{advice:?}");
    let check = |what, change| silenced(&with_cache, Kind::PromptPrefix, &calls, what, change);
    check("cached already", |_, call| {
        call.record.usage.cache_read = TokenCount(2_000);
        call.record.usage.input_fresh = TokenCount(1_000);
    });
    check("too short", |_, call| call.record.usage.input_fresh = TokenCount(900));
    check("hours apart: each call would write", |at, call| {
        call.record.started.0 += at as i64 * 3_600_000_000
    });
    check("what differs stands first", |at, call| {
        call.input =
            String::from_utf8_lossy(&call.input).replace("You answer", &format!("{at:09} answer")).into();
    });
}

#[test]
fn an_hour_is_not_taken_for_a_month() {
    let calls: Vec<_> = (0..20).map(|n| call(n, "gpt-4o", (100, 900), "x", 1_000)).collect();
    let short = report_by(&prices, &calls, &Traffic { days: 0.01, ..DAY });
    assert!((short.cost_usd_per_month - 0.000_02 * 30.0).abs() < 1e-12, "{}", short.cost_usd_per_month);
    let traffic = Traffic { calls: 2_000, cost: NanoUsd(2_000_000), days: 10.0 };
    let sampled = report_by(&prices, &calls, &traffic);
    assert!(!sampled.is_whole && (sampled.cost_usd_per_month - 0.006).abs() < 1e-12);
    let none = report_by(&prices, &[], &Traffic { calls: 0, cost: NanoUsd::ZERO, days: 7.0 });
    assert!(none.advice.is_empty() && none.cost_usd_per_month == 0.0);
}

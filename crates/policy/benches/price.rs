//! What pricing costs on the way of a call: looking a price up, bounding a call, settling it.

use divan::{Bencher, black_box};
use gauntlet_policy::{
    config::{LoadOptions, Source, Sources, load},
    price::Price,
};
use gauntlet_types::{Target, Timestamp, TokenCount, Usage};

/// Counts allocations: pricing must need none on the way of a call.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

fn usage() -> Usage {
    Usage {
        input_fresh: TokenCount(812),
        cache_read: TokenCount(3_072),
        output: TokenCount(271),
        reasoning: TokenCount(64),
        ..Usage::default()
    }
}

#[divan::bench]
fn look_up_a_known_price(bencher: Bencher) {
    let text = "providers:\n  openai: {key: k}\n".to_owned();
    let sources =
        Sources { gauntlet: Some(Source { file: "gauntlet.yml".to_owned(), text }), ..Sources::default() };
    let loaded = load(&sources, &|_| None, &LoadOptions::default()).expect("a good configuration");
    let target = Target::parse("openai/gpt-4o-mini").expect("a target");
    bencher.bench(|| loaded.policy.price(black_box(&target), NOW));
}

#[divan::bench]
fn look_up_a_price_of_the_file(bencher: Bencher) {
    let source = |file: &str, text: &str| Some(Source { file: file.to_owned(), text: text.to_owned() });
    let sources = Sources {
        gauntlet: source("gauntlet.yml", "providers:\n  openai: {key: k}\n"),
        prices: source(
            "prices.yml",
            "openai/gpt-4o-mini: [{input: 1, output: 2}, {from: 2026-01-01, input: 2, output: 2}]",
        ),
        ..Sources::default()
    };
    let loaded = load(&sources, &|_| None, &LoadOptions::default()).expect("a good configuration");
    let target = Target::parse("openai/gpt-4o-mini").expect("a target");
    bencher.bench(|| loaded.policy.price(black_box(&target), NOW));
}

#[divan::bench]
fn bound_and_cost(bencher: Bencher) {
    let price = Price::simulated();
    let usage = usage();
    bencher.bench(|| {
        let price = black_box(&price);
        (price.bound(TokenCount(4_096), TokenCount(1_024)), price.cost(black_box(&usage)))
    });
}

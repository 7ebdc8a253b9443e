use gauntlet_types::{Day, NanoUsd, ServiceTier, Timestamp, TokenCount, Usage, money::round_pico};
use proptest::prelude::*;

use super::*;
use crate::price::Rates;

const LITELLM: &str = r#"{
  "sample_spec": {"litellm_provider": "one of https://…", "input_cost_per_token": 0.0},
  "gpt-x": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 16384, "max_output_tokens": 16384,
    "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08,
    "input_cost_per_token_batches": 7.5e-08, "output_cost_per_token_batches": 3e-07,
    "input_cost_per_token_priority": 2.5e-07, "output_cost_per_token_priority": 1e-06,
    "input_cost_per_token_flex": 1e-07, "search_context_cost_per_query": {"search_context_size_low": 0.03,
    "search_context_size_high": 0.05}, "supports_vision": true, "supported_endpoints": ["/v1/chat"], "odd": 1},
  "anthropic/claude-x": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06,
    "cache_creation_input_token_cost_above_1hr": 6e-06, "input_cost_per_token_above_200k_tokens": 6e-06,
    "output_cost_per_token_above_200k_tokens": 2.25e-05, "cache_read_input_token_cost_above_200k_tokens": 6e-07,
    "cache_creation_input_token_cost_above_200k_tokens": 7.5e-06},
  "gemini/live": {"litellm_provider": "gemini", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06,
    "input_cost_per_audio_token": 1e-06, "output_cost_per_audio_token": 1.2e-05, "output_cost_per_reasoning_token": 3.5e-06,
    "input_cost_per_image_token": 3.0000000000000004e-07},
  "dashscope/q": {"litellm_provider": "dashscope", "tiered_pricing": [
    {"range": [0, 128000], "input_cost_per_token": 4e-07, "output_cost_per_token": 1.2e-06},
    {"range": [128000, 1000000], "input_cost_per_token": 1.2e-06, "output_cost_per_token": 3.6e-06}]},
  "eu.embed:0": {"litellm_provider": "bedrock_converse", "mode": "embedding", "input_cost_per_token": 1e-07},
  "whisper": {"litellm_provider": "openai", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0},
  "image": {"litellm_provider": "openai", "input_cost_per_token": 0, "output_cost_per_token": 0, "input_cost_per_pixel": 1e-8},
  "gift": {"litellm_provider": "openai", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
  "broken": {"litellm_provider": "openai", "input_cost_per_token": -1, "output_cost_per_token": 0.0}
}"#;

/// Prices in pico-dollars a token, by kind: the plain one, and the one over a length.
type Plain = [(u64, Option<(u32, u64)>); 12];

/// What the list above says of some models in some tiers, written out by hand.
fn by_hand(model: &str, tier: ServiceTier) -> Plain {
    let flat = |each: [u64; 12]| each.map(|price| (price, None));
    let over = |each: [(u64, u64); 12], over: u32| each.map(|(plain, long)| (plain, Some((over, long))));
    let k = 1000;
    match (model, tier) {
        ("gpt-x", ServiceTier::Standard) => {
            flat([150, 75, 150, 150, 600, 600, 150, 75, 600, 150, 75, 600].map(|n| n * k))
        }
        ("gpt-x", ServiceTier::Batch) => {
            flat([75, 75, 75, 75, 300, 300, 75, 75, 300, 75, 75, 300].map(|n| n * k))
        }
        ("gpt-x", ServiceTier::Priority) => {
            flat([250, 75, 250, 250, 1000, 1000, 250, 75, 1000, 250, 75, 1000].map(|n| n * k))
        }
        ("gpt-x", ServiceTier::Flex) => {
            flat([100, 75, 100, 100, 600, 600, 100, 75, 600, 100, 75, 600].map(|n| n * k))
        }
        ("claude-x", _) => {
            let (input, read, write, hour) = ((3000, 6000), (300, 600), (3750, 7500), (6000, 6000));
            let output = (15_000, 22_500);
            let each = [input, read, write, hour, output, output, input, read, output, input, read, output];
            over(each.map(|(plain, long)| (plain * k, long * k)), 200_000)
        }
        ("live", _) => {
            flat([300, 300, 300, 300, 2500, 3500, 1000, 1000, 12_000, 300, 300, 2500].map(|n| n * k))
        }
        ("q", _) => {
            let (input, output) = ((400_000, 1_200_000), (1_200_000, 3_600_000));
            let each =
                [input, input, input, input, output, output, input, input, output, input, input, output];
            over(each, 128_000)
        }
        other => panic!("{other:?}"),
    }
}

fn counts(usage: &Usage) -> [TokenCount; 12] {
    [
        usage.input_fresh,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        usage.audio_input,
        usage.audio_cache_read,
        usage.audio_output,
        usage.image_input,
        usage.image_cache_read,
        usage.image_output,
    ]
}

fn written(list: &List) -> Vec<(String, Sheet)> {
    let name = |one: &Imported| format!("{}/{}", one.provider, one.model);
    let prices: Vec<_> = list.models.iter().map(|one| (name(one), one.sheet.clone())).collect();
    let merged = merge("", &prices, "a test", false).unwrap();
    let source = crate::config::Source { file: "prices.yml".to_owned(), text: merged.text };
    let read = crate::config::own_prices(&source).unwrap();
    read.into_iter().map(|own| (own.name.to_string(), own.sheet)).collect()
}

#[test]
fn what_is_imported_costs_what_the_list_says() {
    let list = read(Format::Litellm, LITELLM).unwrap();
    let prices = written(&list);
    let cases = [
        ("openai/gpt-x", "gpt-x"),
        ("anthropic/claude-x", "claude-x"),
        ("gemini/live", "live"),
        ("dashscope/q", "q"),
    ];
    proptest!(|(each in prop::array::uniform12(0u32..150_000), at in 0usize..4, case in 0usize..4)| {
        let (name, model) = cases[case];
        let tier = ServiceTier::ALL[at];
        let [a, b, c, d, e, f, g, h, i, j, k, l] = each.map(TokenCount);
        let usage = Usage {
            input_fresh: a, cache_read: b, cache_write_5m: c, cache_write_1h: d, output: e, reasoning: f, audio_input: g,
            audio_cache_read: h, audio_output: i, image_input: j, image_cache_read: k, image_output: l, tier,
            ..Usage::default()
        };
        let input = usage.input_total().0;
        let pico: u128 = counts(&usage).iter().zip(by_hand(model, tier)).map(|(count, (plain, long))| {
            let price = long.filter(|(over, _)| input > *over).map_or(plain, |(_, price)| price);
            u128::from(price) * u128::from(count.0)
        }).sum();
        let (_, sheet) = prices.iter().find(|(known, _)| known == name).unwrap();
        prop_assert_eq!(sheet.at(Timestamp(0)).unwrap().cost(&usage), round_pico(pico));
    });
}

#[test]
fn what_cannot_be_billed_is_told() {
    let list = read(Format::Litellm, LITELLM).unwrap();
    let names: Vec<String> =
        list.models.iter().map(|one| format!("{}/{}", one.provider, one.model)).collect();
    assert_eq!(
        names,
        ["anthropic/claude-x", "dashscope/q", "bedrock/eu.embed:0", "gemini/live", "openai/gpt-x"]
    );
    let gpt = list.models[4].sheet.at(Timestamp(0)).unwrap();
    assert_eq!((gpt.output_max, gpt.per_search), (Some(TokenCount(16_384)), NanoUsd(50_000_000)));
    let skipped: Vec<_> = list.skipped.iter().map(|one| (one.model.as_str(), one.why.as_str())).collect();
    assert_eq!(
        skipped,
        [
            ("broken", "its `input_cost_per_token: -1` is not an amount from 0 up"),
            ("gift", "it costs nothing there; write `free: true` yourself if that is so"),
            ("image", "its tokens cost nothing, but it has input_cost_per_pixel"),
            ("whisper", "it has no price of tokens, only input_cost_per_second"),
        ]
    );
    let unknown: Vec<_> = list.unknown.iter().map(|(field, count)| (field.as_str(), *count)).collect();
    assert_eq!(
        unknown,
        [
            ("input_cost_per_pixel", 1),
            ("input_cost_per_second", 1),
            ("odd", 1),
            ("output_cost_per_second", 1)
        ]
    );
    assert!(read(Format::Litellm, "[]").unwrap_err().to_string().contains("is not LiteLLM's"));
    assert!(read(Format::Litellm, "{").unwrap_err().to_string().contains("can be read"));
    assert!(read(Format::Litellm, &"[".repeat(100)).is_err());
    assert!(read(Format::GenaiPrices, LITELLM).unwrap_err().to_string().contains("of genai-prices"));
}

const GENAI: &str = "
name: Example
id: example
models:
  - id: dated
    match: {equals: dated}
    context_window: 400_000
    prices:
      - prices: {input_mtok: 0.5, output_mtok: 2, web_searches_kcount: 10}
      - constraint: {start_date: 2026-10-01}
        prices:
          input_mtok: {base: 1.25, tiers: [{start: 200000, price: 2.5}]}
          output_mtok: 10
          requests_kcount: 5
          input_video_mtok: 3
    price_variants:
      - {when: {processing: batch}, constraint: {start_date: 2026-11-01}, prices: {input_mtok: 0.625}}
      - {when: {search_type: web}, prices: {}}
  - id: by-night
    prices:
      - {prices: {input_mtok: 1, output_mtok: 1}}
      - {constraint: {start_time: 16:30:00Z, end_time: 00:30:00Z}, prices: {input_mtok: 0.5, output_mtok: 0.5}}
  - id: ocr
    prices: {input_document_kpages: 2}
";

#[test]
fn dated_prices_are_imported_with_their_days() {
    let list = read(Format::GenaiPrices, GENAI).unwrap();
    let prices = written(&list);
    assert_eq!(prices.len(), 1);
    let at = |day: &str| prices[0].1.at(Day::parse(day).unwrap().start()).unwrap();
    let usage = Usage { input_fresh: TokenCount(300_000), web_searches: 2, ..Usage::default() };
    assert_eq!(at("2026-01-01").cost(&usage).to_string(), "0.17");
    assert_eq!(at("2026-10-01").cost(&usage).to_string(), "0.755");
    assert_eq!(at("2026-10-31").batch, None);
    let batch = Usage { tier: ServiceTier::Batch, ..usage };
    assert_eq!(at("2026-11-01").cost(&batch).to_string(), "0.1925");
    let skipped: Vec<_> = list.skipped.iter().map(|one| (one.model.as_str(), one.why.as_str())).collect();
    assert_eq!(
        skipped,
        [
            ("by-night", "its price changes with the time of day, which prices.yml cannot say"),
            ("ocr", "it has no price of tokens"),
        ]
    );
    let unknown: Vec<_> = list.unknown.iter().map(|(field, count)| (field.as_str(), *count)).collect();
    assert_eq!(unknown, [("input_document_kpages", 1), ("input_video_mtok", 1), ("price_variants", 1)]);
}

#[test]
fn an_import_keeps_what_people_wrote() {
    let sheet = |input: u64| {
        let mut said = [None; crate::price::KINDS];
        (said[0], said[4]) =
            (Some(gauntlet_types::PicoUsdPerToken(input)), Some(gauntlet_types::PicoUsdPerToken(7)));
        Sheet::flat(Price::flat(Rates::filled(&said)))
    };
    let new = [("p/a".to_owned(), sheet(1)), ("p/b".to_owned(), sheet(2)), ("p/c".to_owned(), sheet(3))];
    let file = "# Ours.\np/a:\n  input: 5   # agreed upon\n  output: 6\n\n# Below.\nq: {free: true}\n\
                p/c: {input: 1, output: 1}  # imported from elsewhere";
    let merged = merge(file, &new, "test", false).unwrap();
    assert_eq!(
        merged.text,
        "# Ours.\np/a:\n  input: 5   # agreed upon\n  output: 6\n\n# Below.\nq: {free: true}\n\
         p/c: {input: 0.000003, output: 0.000007}  # imported from test\n\
         p/b: {input: 0.000002, output: 0.000007}  # imported from test\n"
    );
    assert_eq!((&merged.kept[..], &merged.changed[..]), (&["p/a".to_owned()][..], &["p/c".to_owned()][..]));
    let again = merge(&merged.text, &new, "test", false).unwrap();
    assert_eq!((&again.text, again.same.len()), (&merged.text, 2));

    let replaced = merge(file, &new, "test", true).unwrap();
    assert!(
        replaced.text.starts_with(
            "# Ours.\np/a: {input: 0.000001, output: 0.000007}  # imported from test\n\n# Below.\nq: {free: true}\n"
        ),
        "{}",
        replaced.text
    );
    // Of a file on one line no entry can be changed alone.
    let flow = merge("{p/a: {input: 1, output: 1}, q: {free: true}}", &new, "test", true).unwrap_err();
    assert!(flow.to_string().contains("write each entry on lines of its own"), "{flow}");
    assert!(merge("p/a: {input: x}", &new, "test", false).is_err());
}

#[test]
fn any_name_is_a_key() {
    for name in ["gpt-4o", "a/b:0", "true", "null", "1.5", "*", "é\"\\", "no", "a: b", "# x", "on", "a#b"] {
        let sheet = Sheet::flat(Price::simulated());
        let merged = merge("", &[(name.to_owned(), sheet)], "test", false);
        assert_eq!(merged.unwrap().added, [name], "{name}");
    }
}

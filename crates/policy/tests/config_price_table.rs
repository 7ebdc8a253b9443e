//! The built-in price table says what the library it is taken from says.
//!
//! To take over new prices: raise the library's version in `Cargo.toml` and `TABLE_VERSION`, then run this test once
//! with `GAUNTLET_PRICES_JSON` naming the library's `data/prices.json`. It writes `data/prices.tsv` anew.

#![allow(clippy::unwrap_used)] // helpers of tests may stop a test as the tests themselves do

use std::{collections::BTreeMap, fmt::Write, path::Path, time::Duration};

use gauntlet_policy::price::{Sheet, TABLE_VERSION};
use gauntlet_types::{Timestamp, TokenCount, Usage};
use genai_prices::{Calculator, PriceRequest, Usage as LibraryUsage, UsageKey};
use serde_json::Value;

#[test]
fn the_table_agrees_with_the_library() {
    if let Ok(json) = std::env::var("GAUNTLET_PRICES_JSON") {
        let data: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/prices.tsv");
        std::fs::write(table, write_table(&data)).unwrap();
        return;
    }
    let library = Calculator::bundled();
    let mut compared = 0;
    for provider in library.providers() {
        for model in provider.models() {
            // As the vendor writes it, and as others write its dated versions.
            for suffix in ["", "-20251211", "-2025-12-11"] {
                let name = format!("{}{suffix}", model.id());
                let sheet = Sheet::find(provider.id(), &name);
                let (instants, usages) = if suffix.is_empty() { (3, 3) } else { (1, 1) };
                for instant in &INSTANTS[..instants] {
                    for usage in &USAGES[..usages] {
                        agree(library, provider.id(), &name, sheet.as_ref(), instant, *usage);
                        compared += usize::from(sheet.is_some());
                    }
                }
            }
        }
    }
    assert!(compared > 15_000, "only {compared} prices were compared");
}

const INSTANTS: [&str; 3] = ["2026-11-21T12:00:00Z", "2026-03-01T03:00:00Z", "2027-02-01T20:00:00Z"];

/// Fresh, cache read, cache write, write for an hour, output, reasoning: below and above every tier.
type Tokens = (u32, u32, u32, u32, u32, u32);
const USAGES: [Tokens; 3] =
    [(1000, 300, 40, 0, 500, 70), (300_000, 7, 0, 0, 9, 0), (5_000_000, 100, 0, 60, 1000, 0)];

fn agree(
    library: &Calculator,
    provider: &str,
    model: &str,
    sheet: Option<&Sheet>,
    instant: &str,
    (fresh, read, write, hour, output, reasoning): Tokens,
) {
    let at = Timestamp(instant.parse::<jiff::Timestamp>().unwrap().as_microsecond());
    let ours = sheet.and_then(|sheet| sheet.at(at));
    let amount = f64::from;
    let theirs = LibraryUsage::from([
        (UsageKey::INPUT_TOKENS, amount(fresh + read + write + hour)),
        (UsageKey::CACHE_READ_TOKENS, amount(read)),
        (UsageKey::CACHE_WRITE_TOKENS, amount(write + hour)),
        (UsageKey::CACHE_WRITE_1H_TOKENS, amount(hour)),
        (UsageKey::OUTPUT_TOKENS, amount(output + reasoning)),
        (UsageKey::OUTPUT_REASONING_TOKENS, amount(reasoning)),
    ]);
    let request = PriceRequest::new(model, &theirs)
        .with_provider_id(provider)
        .with_timestamp(std::time::UNIX_EPOCH + Duration::from_micros(at.0 as u64));
    let theirs = library.calculate(&request).ok();
    let Some(ours) = ours else {
        // Models sold by the hour or by the page cost no tokens; the table leaves them out.
        assert!(theirs.is_none_or(|price| price.total_price < 0.011), "{provider}/{model} is missing");
        return;
    };
    let theirs = theirs.unwrap_or_else(|| panic!("{provider}/{model} is only in the table")).total_price;
    let usage = Usage {
        input_fresh: TokenCount(fresh),
        cache_read: TokenCount(read),
        cache_write_5m: TokenCount(write),
        cache_write_1h: TokenCount(hour),
        output: TokenCount(output),
        reasoning: TokenCount(reasoning),
        estimated: false,
    };
    let ours = ours.cost(&usage).as_usd();
    assert!(
        (ours - theirs).abs() <= 1.1e-9 + theirs * 1e-6,
        "{provider}/{model} at {instant}: {ours} for {theirs}"
    );
}

/// The table as text, from the library's data.
fn write_table(data: &Value) -> String {
    let mut out = format!(
        "# Prices of language models, from {TABLE_VERSION} (MIT licence, Pydantic Services Inc.), columns as in\n\
         # src/price/table.rs. Written by tests/config_price_table.rs; corrections belong into prices.yml.\n"
    );
    for provider in data.as_array().unwrap() {
        let others = provider["fallback_model_providers"]
            .as_array()
            .map(|others| others.iter().map(|other| other.as_str().unwrap()).collect::<Vec<_>>().join(","));
        writeln!(out, "P\t{}\t{}", text(&provider["id"]), others.unwrap_or_default()).unwrap();
        for model in provider["models"].as_array().unwrap() {
            let Some(prices) = prices(&model["prices"]) else { continue };
            let window = model["context_window"].as_u64().map(|n| n.to_string()).unwrap_or_default();
            let patterns =
                patterns(&model["match"]).iter().map(|all| all.join("&")).collect::<Vec<_>>().join("|");
            writeln!(out, "M\t{}\t{window}\t{patterns}\t{prices}", text(&model["id"])).unwrap();
        }
    }
    out
}

fn text(value: &Value) -> &str {
    let text = value.as_str().unwrap();
    assert!(!text.contains(['\t', '\n']), "{text}");
    text
}

/// A rule as alternatives of parts that must all hold.
fn patterns(rule: &Value) -> Vec<Vec<String>> {
    let (operation, argument) = rule.as_object().unwrap().iter().next().unwrap();
    let literal = |mark: &str| {
        let text = text(argument).to_lowercase();
        assert!(!text.contains(['#', '|', '&']), "{text}");
        vec![vec![format!("{mark}{text}")]]
    };
    match operation.as_str() {
        "equals" => literal("="),
        "starts_with" => literal("^"),
        "ends_with" => literal("$"),
        "contains" => literal("~"),
        "regex" => regex(text(argument)).into_iter().map(|pattern| vec![pattern]).collect(),
        "or" => argument.as_array().unwrap().iter().flat_map(patterns).collect(),
        "and" => argument.as_array().unwrap().iter().map(patterns).fold(vec![vec![]], |left, right| {
            let both = |one: &Vec<String>| {
                let one = one.clone();
                right.iter().map(move |other| one.iter().chain(other).cloned().collect())
            };
            left.iter().flat_map(both).collect()
        }),
        other => panic!("unknown rule {other}"),
    }
}

/// The regular expressions of the data are literals with digits; anything else needs a new kind of pattern.
fn regex(regex: &str) -> Vec<String> {
    if regex == "^(?!.*-[tT][tT][sS](?:$|-))" {
        return vec!["!-tts".to_owned()];
    }
    let body = regex.strip_prefix('^').unwrap_or_else(|| panic!("unknown pattern {regex}"));
    let (mark, body) = body.strip_suffix('$').map_or(("^", body), |body| ("=", body));
    let body = body
        .replace(r"\d{8}", "########")
        .replace(r"\d{4}", "####")
        .replace(r"\d{2}", "##")
        .replace(r"\d", "#")
        .replace(r"\.", ".")
        .replace(r"\[", "\u{1}")
        .replace(r"\]", "\u{2}");
    let alternatives = match body.split_once("[-@]") {
        Some((before, after)) => vec![format!("{before}-{after}"), format!("{before}@{after}")],
        None => vec![body],
    };
    let literal = |body: String| {
        assert!(!body.contains(['\\', '[', '(', '?', '*', '+', '{', '|', '&']), "unknown pattern {regex}");
        format!("{mark}{}", body.replace('\u{1}', "[").replace('\u{2}', "]"))
    };
    alternatives.into_iter().map(literal).collect()
}

fn prices(value: &Value) -> Option<String> {
    let Some(rows) = value.as_array() else { return row(value) };
    let rows = rows.iter().map(|entry| {
        let prices = row(&entry["prices"])?;
        let constraint = &entry["constraint"];
        Some(if constraint.is_null() {
            prices
        } else if let Some(day) = constraint["start_date"].as_str() {
            format!("@{day} {prices}")
        } else {
            let seconds = |name: &str| {
                let time: jiff::civil::Time =
                    text(&constraint[name]).strip_suffix('Z').unwrap().parse().unwrap();
                u32::from(time.hour().unsigned_abs()) * 3600
                    + u32::from(time.minute().unsigned_abs()) * 60
                    + u32::from(time.second().unsigned_abs())
            };
            format!("%{}-{} {prices}", seconds("start_time"), seconds("end_time"))
        })
    });
    Some(rows.collect::<Option<Vec<_>>>()?.join("\t"))
}

/// One set of prices; none when tokens cost nothing in it.
fn row(prices: &Value) -> Option<String> {
    let pico = |usd: &Value| (usd.as_f64().unwrap() * 1e6).round() as u64;
    let names = BTreeMap::from([
        ("input_mtok", "i"),
        ("cache_read_mtok", "r"),
        ("cache_write_mtok", "w"),
        ("cache_write_1h_mtok", "h"),
        ("output_mtok", "o"),
        ("output_reasoning_mtok", "t"),
    ]);
    let mut parts = Vec::new();
    for (name, mark) in [
        "input_mtok",
        "cache_read_mtok",
        "cache_write_mtok",
        "cache_write_1h_mtok",
        "output_mtok",
        "output_reasoning_mtok",
    ]
    .map(|name| (name, names[name]))
    {
        match &prices[name] {
            Value::Null => {}
            Value::Object(tiered) => {
                let mut part = format!("{mark}{}", pico(&tiered["base"]));
                for tier in tiered["tiers"].as_array().unwrap() {
                    write!(part, ">{}:{}", tier["start"], pico(&tier["price"])).unwrap();
                }
                parts.push(part);
            }
            flat => parts.push(format!("{mark}{}", pico(flat))),
        }
    }
    if !parts.iter().any(|part| part.starts_with(['i', 'o'])) {
        return None;
    }
    if let Some(usd) = prices["requests_kcount"].as_f64() {
        parts.push(format!("q{}", (usd * 1e6).round()));
    }
    Some(parts.join(" "))
}

//! The built-in price table says what the library it is taken from says.
//!
//! To take over new prices: raise the library's version in `Cargo.toml` and `TABLE_VERSION`, then run this test once
//! with `GAUNTLET_PRICES_JSON` naming the library's `data/prices.json`. It writes `data/prices.tsv` anew.

#![allow(clippy::unwrap_used)] // helpers of tests may stop a test as the tests themselves do

use std::{fmt::Write, path::Path, time::Duration};

use gauntlet_policy::price::{Sheet, TABLE_VERSION, entries};
use gauntlet_types::{ServiceTier, Timestamp, TokenCount, Usage};
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
                if sheet.as_ref().is_some_and(|_| is_own(provider.id(), &name)) {
                    continue;
                }
                let (instants, usages, tiers) = if suffix.is_empty() { (3, 4, 4) } else { (1, 1, 1) };
                for instant in &INSTANTS[..instants] {
                    for tokens in USAGES[..usages].iter().copied() {
                        for tier in TIERS[..tiers].iter().copied() {
                            let case = Case { provider: provider.id(), model: &name, instant, tokens, tier };
                            agree(library, &case, sheet.as_ref());
                            compared += usize::from(sheet.is_some());
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 80_000, "only {compared} prices were compared");
}

/// Whether only our own file knows the model.
fn is_own(provider: &str, model: &str) -> bool {
    entries().any(|entry| entry.is_own && entry.vendor == provider && entry.model == model)
}

const INSTANTS: [&str; 3] = ["2026-11-21T12:00:00Z", "2026-03-01T03:00:00Z", "2027-02-01T20:00:00Z"];

/// Fresh, cache read, cache write, write for an hour, output, reasoning, audio in, cached, out, images in, cached, out:
/// below and above every tier of length.
type Tokens = [u32; 12];
const USAGES: [Tokens; 4] = [
    [1000, 300, 40, 0, 500, 70, 0, 0, 0, 0, 0, 0],
    [300_000, 7, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],
    [5_000_000, 100, 0, 60, 1000, 0, 0, 0, 0, 0, 0, 0],
    [800, 50, 0, 0, 90, 0, 700, 0, 40, 300, 0, 20],
];
const TIERS: [(ServiceTier, &str, &str); 4] = [
    (ServiceTier::Standard, "", ""),
    (ServiceTier::Batch, "processing", "batch"),
    (ServiceTier::Flex, "service_tier", "flex"),
    (ServiceTier::Priority, "service_tier", "priority"),
];

struct Case<'a> {
    provider: &'a str,
    model: &'a str,
    instant: &'a str,
    tokens: Tokens,
    tier: (ServiceTier, &'a str, &'a str),
}

fn agree(library: &Calculator, case: &Case<'_>, sheet: Option<&Sheet>) {
    let Case { provider, model, instant, tokens, tier } = *case;
    let at = Timestamp(instant.parse::<jiff::Timestamp>().unwrap().as_microsecond());
    let ours = sheet.and_then(|sheet| sheet.at(at));
    let [fresh, read, write, hour, output, reasoning, audio, audio_read, speech, image, image_read, drawn] =
        tokens;
    let amount = f64::from;
    let mut theirs = LibraryUsage::from([
        (
            UsageKey::INPUT_TOKENS,
            amount(fresh + read + write + hour + audio + audio_read + image + image_read),
        ),
        (UsageKey::CACHE_READ_TOKENS, amount(read + audio_read + image_read)),
        (UsageKey::CACHE_WRITE_TOKENS, amount(write + hour)),
        (UsageKey::CACHE_WRITE_1H_TOKENS, amount(hour)),
        (UsageKey::OUTPUT_TOKENS, amount(output + reasoning + speech + drawn)),
        (UsageKey::OUTPUT_REASONING_TOKENS, amount(reasoning)),
    ]);
    if audio + audio_read + speech + image + image_read + drawn > 0 {
        for (key, count) in [
            (UsageKey::INPUT_AUDIO_TOKENS, audio + audio_read),
            (UsageKey::CACHE_AUDIO_READ_TOKENS, audio_read),
            (UsageKey::OUTPUT_AUDIO_TOKENS, speech),
            (UsageKey::INPUT_IMAGE_TOKENS, image + image_read),
            (UsageKey::CACHE_IMAGE_READ_TOKENS, image_read),
            (UsageKey::OUTPUT_IMAGE_TOKENS, drawn),
        ] {
            theirs.insert(key, amount(count));
        }
    }
    let mut request = PriceRequest::new(model, &theirs)
        .with_provider_id(provider)
        .with_timestamp(std::time::UNIX_EPOCH + Duration::from_micros(at.0 as u64));
    if tier.0 != ServiceTier::Standard {
        request = request.with_price_context(tier.1, tier.2);
    }
    let theirs = library.calculate(&request).ok();
    let Some(ours) = ours else {
        // Models sold by the hour or by the page cost no tokens; the table leaves them out.
        assert!(theirs.is_none_or(|price| price.total_price < 0.011), "{provider}/{model} is missing");
        return;
    };
    let theirs = theirs.unwrap_or_else(|| panic!("{provider}/{model} is only in the table")).total_price;
    let [fresh, read, write, hour, output, reasoning, audio, audio_read, speech, image, image_read, drawn] =
        tokens.map(TokenCount);
    let usage = Usage {
        input_fresh: fresh,
        cache_read: read,
        cache_write_5m: write,
        cache_write_1h: hour,
        output,
        reasoning,
        audio_input: audio,
        audio_cache_read: audio_read,
        audio_output: speech,
        image_input: image,
        image_cache_read: image_read,
        image_output: drawn,
        tier: tier.0,
        ..Usage::default()
    };
    let ours = ours.cost(&usage).as_usd();
    assert!(
        (ours - theirs).abs() <= 1.1e-9 + theirs * 1e-6,
        "{provider}/{model} at {instant}, {:?}, {tokens:?}: {ours} for {theirs}",
        tier.0
    );
}

/// The table as text, from the library's data.
fn write_table(data: &Value) -> String {
    let library = TABLE_VERSION.split('+').next().unwrap();
    let mut out = format!(
        "# Prices of language models, from {library} (MIT licence, Pydantic Services Inc.), columns as in\n\
         # src/price/table.rs. Written by tests/config_price_table.rs; what it lacks\n\
         # stands in prices_own.tsv, corrections belong into prices.yml.\n"
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
            let services = services(&model["price_variants"]);
            writeln!(out, "M\t{}\t{window}\t{patterns}\t{prices}{services}", text(&model["id"])).unwrap();
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

/// Prices of service tiers, each column with a tab before it. Variants by other things (the kind of search, the route)
/// are left out, since no usage tells them.
fn services(variants: &Value) -> String {
    let mut out = String::new();
    for variant in variants.as_array().into_iter().flatten() {
        let when = variant["when"].as_object().unwrap();
        let tier = match (when.get("processing").map(text), when.get("service_tier").map(text)) {
            (Some(word @ "batch"), None) | (None, Some(word @ ("flex" | "priority"))) if when.len() == 1 => {
                word
            }
            // `fast` is a second word for `priority`, at its prices.
            _ => continue,
        };
        let parts = parts(&variant["prices"]);
        assert!(variant["constraint"]["start_time"].is_null(), "{variant}");
        if parts.is_empty() {
            // The same prices as ever.
            continue;
        }
        let from =
            variant["constraint"]["start_date"].as_str().map(|day| format!("@{day}")).unwrap_or_default();
        write!(out, "\t*{tier}{from} {}", parts.join(" ")).unwrap();
    }
    out
}

/// One set of prices; none when tokens cost nothing in it.
fn row(prices: &Value) -> Option<String> {
    let mut parts = parts(prices);
    if !parts.iter().any(|part| part.starts_with(['i', 'o'])) {
        return None;
    }
    for (name, mark) in [("requests_kcount", "q"), ("web_searches_kcount", "s")] {
        if let Some(usd) = prices[name].as_f64() {
            parts.push(format!("{mark}{}", (usd * 1e6).round()));
        }
    }
    Some(parts.join(" "))
}

/// The kinds of tokens, each after its letter.
fn parts(prices: &Value) -> Vec<String> {
    let pico = |usd: &Value| (usd.as_f64().unwrap() * 1e6).round() as u64;
    let mut parts = Vec::new();
    for (name, mark) in [
        ("input_mtok", 'i'),
        ("cache_read_mtok", 'r'),
        ("cache_write_mtok", 'w'),
        ("cache_write_1h_mtok", 'h'),
        ("output_mtok", 'o'),
        ("output_reasoning_mtok", 't'),
        ("input_audio_mtok", 'a'),
        ("cache_audio_read_mtok", 'y'),
        ("output_audio_mtok", 'c'),
        ("input_image_mtok", 'm'),
        ("cache_image_read_mtok", 'n'),
        ("output_image_mtok", 'p'),
    ] {
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
    parts
}

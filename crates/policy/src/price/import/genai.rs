//! genai-prices: providers → models → prices in USD for a million tokens, with days, lengths and service tiers.

use gauntlet_types::{Day, NanoUsd, ServiceTier, TokenCount};

use super::{ImportError, List, complete, decimal::scaled, tree::Tree};
use crate::price::{
    Price, When,
    kinds::{Kind, Kinds, Service, assemble},
};

/// Names of kinds, in the order of `Rates::NAMES`.
const FIELDS: [&str; 12] = [
    "input_mtok",
    "cache_read_mtok",
    "cache_write_mtok",
    "cache_write_1h_mtok",
    "output_mtok",
    "output_reasoning_mtok",
    "input_audio_mtok",
    "cache_audio_read_mtok",
    "output_audio_mtok",
    "input_image_mtok",
    "cache_image_read_mtok",
    "output_image_mtok",
];

pub(super) fn read(file: &Tree) -> Result<List, ImportError> {
    let providers = match file {
        Tree::List(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    if !providers.iter().any(|provider| provider.get("models").is_some() && provider.get("id").is_some()) {
        return Err(ImportError::OtherFormat("of genai-prices: no provider has `id` and `models`"));
    }
    let mut list = List::default();
    for provider in providers {
        let name = provider.get("id").and_then(Tree::text).unwrap_or_default();
        for model in provider.get("models").map_or(&[][..], Tree::items) {
            let Some(id) = model.get("id").and_then(Tree::text) else { continue };
            let rows = one(model, &mut list);
            list.add(name, id, rows);
        }
    }
    Ok(list)
}

fn one(model: &Tree, list: &mut List) -> Result<Vec<(When, Price)>, String> {
    let prices = model.get("prices").ok_or("it has no prices")?;
    let mut standard = Vec::new();
    match prices {
        Tree::List(entries) => {
            for entry in entries {
                let kinds = kinds(entry.get("prices").unwrap_or(&Tree::Null), list)?;
                standard.push((when(entry)?, kinds));
            }
        }
        flat => standard.push((When::Always, kinds(flat, list)?)),
    }
    // Embeddings have no output to pay for, and no price of one.
    for (_, kinds) in &standard {
        complete(kinds, true)?;
    }
    let day = |when: &When| if let When::From(day) = when { day.0 } else { i64::MIN };
    standard.sort_by_key(|(when, _)| day(when));
    let mut services = Vec::new();
    for variant in model.get("price_variants").map_or(&[][..], Tree::items) {
        let when_asked = variant.get("when").unwrap_or(&Tree::Null);
        let Some(tier) = tier(when_asked) else {
            // `fast` is a second word for `priority`, and `default` needs no words.
            let is_known =
                matches!(when_asked.get("service_tier").and_then(Tree::text), Some("default" | "fast"));
            if !is_known {
                list.unknown("price_variants");
            }
            continue;
        };
        let from = match when(variant)? {
            When::From(day) => Some(day),
            When::Always | When::TimeOfDay(..) => None,
        };
        let kinds = kinds(variant.get("prices").unwrap_or(&Tree::Null), list)?;
        if kinds.kinds.iter().any(Option::is_some) {
            services.push(Service { tier, from, kinds });
        }
    }
    let window =
        model.get("context_window").and_then(Tree::text).and_then(|text| scaled(&text.replace('_', ""), 0));
    let context_window = window.and_then(|window| u32::try_from(window).ok()).map(TokenCount);
    let mut rows = assemble(&standard, &services);
    rows.iter_mut().for_each(|(_, price)| price.context_window = context_window);
    Ok(rows)
}

/// The service tier of `{processing: batch}` and `{service_tier: flex}`.
fn tier(when: &Tree) -> Option<ServiceTier> {
    match when.entries() {
        [(key, value)] if key == "processing" || key == "service_tier" => match value.text()? {
            "batch" => Some(ServiceTier::Batch),
            "flex" => Some(ServiceTier::Flex),
            "priority" => Some(ServiceTier::Priority),
            _ => None,
        },
        _ => None,
    }
}

fn when(entry: &Tree) -> Result<When, String> {
    let Some(constraint) = entry.get("constraint") else { return Ok(When::Always) };
    match constraint.get("start_date").and_then(Tree::text) {
        Some(day) => Day::parse(day)
            .map(|day| When::From(day.start()))
            .ok_or_else(|| format!("its `start_date: {day}` is not a day")),
        None if constraint.get("start_time").is_some() => Ok(When::TimeOfDay(0, 0)),
        None => Err("it has a constraint that is neither a day nor a time of day".to_owned()),
    }
}

fn kinds(prices: &Tree, list: &mut List) -> Result<Kinds, String> {
    let mut found = Kinds::default();
    for (name, value) in prices.entries().iter().filter(|(_, value)| *value != Tree::Null) {
        let amount = |value: Option<&Tree>, places: i32| {
            let text = value.and_then(Tree::text).unwrap_or("…");
            scaled(text, places).ok_or_else(|| format!("its `{name}: {text}` is not an amount from 0 up"))
        };
        // For a thousand, in nano-dollars for one.
        let piece = |value| Ok::<_, String>(NanoUsd(i64::try_from(amount(value, 6)?).unwrap_or(i64::MAX)));
        if let Some(kind) = FIELDS.iter().position(|field| field == name) {
            let tiers = value.get("tiers").map_or(&[][..], Tree::items);
            let base = value.get("base").or(Some(value));
            let tiers = tiers.iter().map(|tier| {
                let start =
                    u32::try_from(amount(tier.get("start"), 0)?).map_err(|error| error.to_string())?;
                Ok::<_, String>((start, amount(tier.get("price"), 6)?))
            });
            let mut tiers = tiers.collect::<Result<Vec<_>, _>>()?;
            tiers.sort_unstable();
            found.kinds[kind] = Some(Kind(amount(base, 6)?, tiers));
        } else if name == "web_searches_kcount" {
            found.per_search = piece(Some(value))?;
        } else if name == "requests_kcount" {
            found.per_request = piece(Some(value))?;
        } else {
            list.unknown(name);
        }
    }
    Ok(found)
}

//! `gauntlet prices`: what models cost, who says so, and what others say.

mod import;

use std::{collections::BTreeSet, process::ExitCode};

use anyhow::{Context, Result, bail};
use gauntlet_policy::{
    config::{Policy, PriceFrom, Priced},
    plan::{Resolved, resolve},
    price::{self, Entry, KINDS, Price, Rates, Schedule, Sheet, TABLE_DAY, TABLE_VERSION, When},
};
use gauntlet_types::{Day, Target, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    cli::{Place, Prices},
    config_dir,
    show::{self, Column},
    wiring,
};

/// Days after which vendors have probably changed some price.
const TABLE_FRESH_DAYS: i64 = 90;

pub fn run(place: &Place, command: Prices) -> Result<ExitCode> {
    match command {
        Prices::List { provider, model } => list(place, provider.as_deref(), model.as_deref()),
        Prices::Show { model, at } => show(place, &model, at.as_deref()),
        Prices::Check => check(place),
        Prices::Import(asked) => import::run(place, &asked),
    }
}

fn policy(place: &Place) -> Result<Policy> {
    let dir = config_dir::read(config_dir::find(place.config.as_deref())?.as_deref())?;
    match wiring::load(&dir, true) {
        Ok(loaded) => Ok(loaded.policy),
        Err(_) => bail!("the configuration has mistakes; `gauntlet check` shows them"),
    }
}

/// A day, or now.
fn instant(at: Option<&str>) -> Result<Timestamp> {
    match at {
        None => Ok(wiring::now()),
        Some(text) => {
            let day =
                Day::parse(text).with_context(|| format!("`{text}` is not a day such as 2026-11-21"))?;
            Ok(day.start())
        }
    }
}

fn list(place: &Place, provider: Option<&str>, model: Option<&str>) -> Result<ExitCode> {
    let policy = policy(place)?;
    let at = wiring::now();
    // A configured provider's prices are those of its vendor.
    let vendor = provider.map(|name| match policy.provider(name).map(|provider| &provider.priced) {
        Some(Priced::Table(vendor)) => vendor.as_str(),
        _ => price::vendor(name, None, name).unwrap_or(name),
    });
    let has = |text: &str| model.is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()));
    let mut found: Vec<(String, String, Sheet)> = Vec::new();
    for own in policy.config().own_prices() {
        let is_of =
            |provider: &str| Target::parse(&own.name).is_none_or(|target| *target.provider == *provider);
        if provider.is_none_or(is_of) && has(&own.name) {
            found.push((own.name.to_string(), format!("prices.yml:{}", own.line), own.sheet.clone()));
        }
    }
    let in_table = |entry: &Entry| vendor.is_none_or(|vendor| vendor == entry.vendor) && has(entry.model);
    for entry in price::entries().filter(in_table) {
        let name = format!("{}/{}", entry.vendor, entry.model);
        found.push((name, table_name(entry.is_own).to_owned(), entry.sheet()));
    }
    if let Some(name) = provider.filter(|_| found.is_empty() && model.is_none()) {
        let vendors = price::vendors().collect::<Vec<_>>().join(", ");
        bail!("no prices are known of a provider `{name}`; the table has: {vendors}");
    }
    let priced = found.into_iter().filter_map(|(name, from, sheet)| Some((name, from, sheet.at(at)?)));
    if place.json {
        let rows = priced.map(|(name, from, price)| {
            let mut row = Map::new();
            row.insert("model".to_owned(), name.into());
            row.insert("from".to_owned(), from.into());
            row.extend(price_json(&price));
            Value::Object(row)
        });
        show::json(&Value::Array(rows.collect()));
        return Ok(ExitCode::SUCCESS);
    }
    let mut columns = vec![Column::Left("model")];
    columns.extend(["input", "cached", "output", "batch in", "batch out", "audio in"].map(Column::Right));
    columns.push(Column::Left("from"));
    let rows = priced.map(|(name, from, price)| {
        let own = |is_own: bool, text: String| if is_own { text } else { String::new() };
        let rates = &price.rates;
        let batch = price.batch.as_ref().map(|batch| &batch.rates);
        vec![
            name,
            usd(rates.input),
            own(rates.cache_read != rates.input, usd(rates.cache_read)),
            usd(rates.output),
            batch.map(|batch| usd(batch.input)).unwrap_or_default(),
            batch.map(|batch| usd(batch.output)).unwrap_or_default(),
            own(rates.audio_input != rates.input, usd(rates.audio_input)),
            from,
        ]
    });
    show::table(&columns, rows.collect(), "No model of that name has a price.");
    println!("USD for a million tokens; {}", policy.price_version());
    Ok(ExitCode::SUCCESS)
}

/// A price as somebody says it.
struct Found {
    name: String,
    from: Value,
    said: String,
    price: std::sync::Arc<Price>,
    sheet: Option<Sheet>,
}

fn show(place: &Place, model: &str, at: Option<&str>) -> Result<ExitCode> {
    let policy = policy(place)?;
    let at = instant(at)?;
    let targets = match resolve(policy.config(), model) {
        Resolved::Targets(targets) | Resolved::Ambiguous(targets) => targets,
        Resolved::Unknown => Vec::new(),
    };
    let mut found: Vec<Found> = targets.iter().filter_map(|target| configured(&policy, target, at)).collect();
    if found.is_empty() {
        found = unconfigured(model, at);
    }
    if found.is_empty() {
        if place.json {
            show::json(&json!([]));
        } else {
            println!(
                "Nobody knows what `{model}` costs; `gauntlet prices list --model …` looks for a part of its name."
            );
        }
        return Ok(ExitCode::from(1));
    }
    if place.json {
        let rows = found.iter().map(|one| {
            let mut row = Map::new();
            row.insert("model".to_owned(), one.name.as_str().into());
            row.insert("from".to_owned(), one.from.clone());
            row.insert("version".to_owned(), policy.price_version().as_str().into());
            row.insert("at".to_owned(), at.to_string().into());
            row.extend(price_json(&one.price));
            row.insert("changes".to_owned(), one.sheet.iter().flat_map(changes).collect());
            Value::Object(row)
        });
        show::json(&Value::Array(rows.collect()));
    } else {
        for (number, one) in found.iter().enumerate() {
            if number > 0 {
                println!();
            }
            print(one, &policy);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn configured(policy: &Policy, target: &Target, at: Timestamp) -> Option<Found> {
    let (price, from) = policy.config().priced(target, at)?;
    let (from, said, sheet) = match from {
        PriceFrom::File { line } => {
            let own = policy.config().own_prices().find(|own| own.line == line);
            let said = format!("prices.yml, line {line}");
            (json!({"source": "prices.yml", "line": line}), said, own.map(|own| own.sheet.clone()))
        }
        PriceFrom::FreeProvider => {
            (json!({"source": "provider"}), "its provider is said to be free".to_owned(), None)
        }
        PriceFrom::Simulated => (json!({"source": "simulated"}), "the simulated model".to_owned(), None),
        PriceFrom::Table { vendor, model, is_own } => {
            let (from, said) = in_table(vendor, model, is_own);
            (from, said, Entry::find(vendor, model).map(|entry| entry.sheet()))
        }
    };
    Some(Found { name: target.to_string(), from, said, price, sheet })
}

/// What the table has under that name, whether or not a provider of that vendor is configured.
fn unconfigured(model: &str, at: Timestamp) -> Vec<Found> {
    let of = |vendor: &str, model: &str| {
        let entry = Entry::find(vendor, model)?;
        let (from, said) = in_table(entry.vendor, entry.model, entry.is_own);
        let sheet = entry.sheet();
        let price = sheet.at(at)?;
        let name = format!("{}/{}", entry.vendor, entry.model);
        Some(Found { name, from, said, price, sheet: Some(sheet) })
    };
    let vendor =
        model.split_once('/').and_then(|(name, rest)| Some((price::vendor(name, None, name)?, rest)));
    if let Some(found) = vendor.and_then(|(vendor, rest)| of(vendor, rest)) {
        return vec![found];
    }
    let mut seen = BTreeSet::new();
    price::vendors()
        .filter_map(|vendor| of(vendor, model))
        .filter(|one| seen.insert(one.name.clone()))
        .collect()
}

const fn table_name(is_own: bool) -> &'static str {
    if is_own { "built in, by hand" } else { "built in" }
}

fn in_table(vendor: &str, model: &str, is_own: bool) -> (Value, String) {
    let from = json!({"source": "table", "vendor": vendor, "entry": model, "by_hand": is_own});
    (from, format!("built-in table {TABLE_VERSION} of {TABLE_DAY}, `{model}` of {vendor}"))
}

/// The days on which the price changes.
fn changes(sheet: &Sheet) -> Vec<Value> {
    let day = |(when, _): &(When, _)| match when {
        When::From(start) => Some(start.day().to_string().into()),
        When::Always | When::TimeOfDay(..) => None,
    };
    sheet.rows().iter().filter_map(day).collect()
}

fn print(found: &Found, policy: &Policy) {
    let price = &found.price;
    println!("{} — {}", found.name, found.said);
    let mut rows: Vec<(String, &Rates)> = vec![("standard".to_owned(), &price.rates)];
    rows.extend(price.tiers.iter().map(|tier| (format!("standard, over {} tokens", tier.over), &tier.rates)));
    for (name, schedule) in services(price) {
        rows.push((name.to_owned(), &schedule.rates));
        for tier in &schedule.tiers {
            rows.push((format!("{name}, over {} tokens", tier.over), &tier.rates));
        }
    }
    // A kind that costs what it is a part of in every tier is not worth a column.
    let is_shown = |kind: &usize| {
        matches!(kind, 0 | 4) || rows.iter().any(|(_, rates)| rates.said(None)[*kind].is_some())
    };
    let kinds: Vec<usize> = (0..KINDS).filter(is_shown).collect();
    let mut columns = vec![Column::Left("USD for a million")];
    columns.extend(kinds.iter().map(|kind| Column::Right(Rates::NAMES[*kind])));
    let rows = rows.into_iter().map(|(name, rates)| {
        let figures = kinds.iter().map(|kind| usd(rates.each()[*kind]));
        std::iter::once(name).chain(figures).collect()
    });
    show::table(&columns, rows.collect(), "");
    println!("Kinds without a column cost what they are a part of: cached as input, reasoning as output.");
    for (name, amount) in [("a request", price.per_request), ("a web search", price.per_search)] {
        if amount.0 != 0 {
            println!("{name}: {amount} USD");
        }
    }
    for (name, count) in [("context window", price.context_window), ("most output", price.output_max)] {
        if let Some(count) = count {
            println!("{name}: {count} tokens");
        }
    }
    let days: Vec<String> = found.sheet.iter().flat_map(changes).map(|day| show::text(&day)).collect();
    if !days.is_empty() {
        println!("changes on {} (--at shows another day)", days.join(", "));
    }
    println!("recorded with calls as {}", policy.price_version());
}

fn services(price: &Price) -> impl Iterator<Item = (&'static str, &Schedule)> {
    let all = [("batch", &price.batch), ("flex", &price.flex), ("priority", &price.priority)];
    all.into_iter().filter_map(|(name, schedule)| Some((name, schedule.as_ref()?)))
}

fn usd(price: gauntlet_types::PicoUsdPerToken) -> String {
    price.as_usd_per_million().to_string()
}

/// The figures under the names of `prices.yml`: USD for a million tokens.
fn price_json(price: &Price) -> Map<String, Value> {
    let rates = |rates: &Rates| -> Map<String, Value> {
        let figures = rates.each().map(|price| price.as_usd_per_million().into());
        Rates::NAMES.into_iter().map(str::to_owned).zip(figures).collect()
    };
    let long = |tiers: &[price::Tier]| -> Value {
        let tier = |tier: &price::Tier| {
            let mut row = Map::new();
            row.insert("over".to_owned(), tier.over.0.into());
            row.extend(rates(&tier.rates));
            Value::Object(row)
        };
        tiers.iter().map(tier).collect()
    };
    let mut out = rates(&price.rates);
    out.insert("long".to_owned(), long(&price.tiers));
    let tiers = services(price).map(|(name, schedule)| {
        let mut row = rates(&schedule.rates);
        row.insert("long".to_owned(), long(&schedule.tiers));
        (name.to_owned(), Value::Object(row))
    });
    out.insert("tiers".to_owned(), Value::Object(tiers.collect()));
    out.insert("per_request".to_owned(), price.per_request.as_usd().into());
    out.insert("per_search".to_owned(), price.per_search.as_usd().into());
    out.insert("context_window".to_owned(), price.context_window.map(|count| count.0).into());
    out.insert("output_max".to_owned(), price.output_max.map(|count| count.0).into());
    out
}

fn check(place: &Place) -> Result<ExitCode> {
    let policy = policy(place)?;
    let config = policy.config();
    let routes = config.routes.values().chain([&config.default_route]);
    let by_routes =
        routes.filter_map(|route| route.model.as_deref()).flat_map(|model| match resolve(config, model) {
            Resolved::Targets(targets) | Resolved::Ambiguous(targets) => targets,
            Resolved::Unknown => Vec::new(),
        });
    let targets: BTreeSet<String> =
        config.targets().cloned().chain(by_routes).map(|target| target.to_string()).collect();
    let now = wiring::now();
    let price = |name: &String| config.priced(&Target::parse(name)?, now);
    let unpriced: Vec<&String> = targets.iter().filter(|name| price(name).is_none()).collect();
    let by_table =
        targets.iter().filter(|name| matches!(price(name), Some((_, PriceFrom::Table { .. })))).count();
    let day = Day::parse(TABLE_DAY).context("the table has no day")?;
    let age = (now.0 - day.start().0) / (24 * 3600 * 1_000_000);
    let is_stale = age > TABLE_FRESH_DAYS;
    if place.json {
        show::json(&json!({
            "ok": unpriced.is_empty(), "targets": targets.len(), "unpriced": unpriced, "by_table": by_table,
            "version": policy.price_version().as_str(), "table_day": TABLE_DAY, "table_age_days": age,
            "table_is_stale": is_stale,
        }));
    } else {
        for name in &unpriced {
            println!(
                "{name} has no price: add `{name}: {{input: …, output: …}}` to prices.yml, import a list with"
            );
            println!("  `gauntlet prices import`, or say `price: free` at its provider");
        }
        println!(
            "{} of {} configured targets have a price, {by_table} by the built-in table of {TABLE_DAY}, {age} days old",
            targets.len() - unpriced.len(),
            targets.len()
        );
        if is_stale && by_table > 0 {
            println!(
                "The table is older than {TABLE_FRESH_DAYS} days: import a newer list, or compare with the vendors' pages."
            );
        }
        println!("prices: {}", policy.price_version());
    }
    Ok(if unpriced.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

//! A price as an entry of `prices.yml`, on one line.

use std::fmt::Write;

use gauntlet_types::{PicoUsdPerToken, Timestamp};

use crate::price::{Price, Rates, Said, Schedule, Sheet, Tier, When};

/// The entry without its name: `{input: 0.15, output: 0.6}`, or a list of these with days. Reading it gives the sheet back.
pub fn entry(sheet: &Sheet) -> String {
    let rows: Vec<String> = sheet.rows().iter().map(|(when, one)| price(*when, one)).collect();
    match &rows[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

/// A name as a key of YAML: in quotes, unless it is plain in every reading.
pub(super) fn key(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'));
    // `true`, `null`, `no` and their like have neither a slash nor a dash.
    if is_plain && name.contains(['/', '-']) {
        return name.to_owned();
    }
    serde_json::to_string(name).expect("a text always has a JSON form")
}

fn price(when: When, price: &Price) -> String {
    let mut fields = Vec::new();
    if let When::From(Timestamp(start)) = when {
        fields.push(format!("from: {}", Timestamp(start).day()));
    }
    if price.is_free() {
        fields.push("free: true".to_owned());
    } else {
        fields.extend(kinds(&price.rates.said(None)));
        for (name, amount) in [("per_request", price.per_request), ("per_search", price.per_search)] {
            if amount.0 != 0 {
                fields.push(format!("{name}: {amount}"));
            }
        }
        if !price.tiers.is_empty() {
            fields.push(format!("long: {}", long(&price.tiers, &price.rates)));
        }
    }
    for (name, count) in [("context_window", price.context_window), ("output_max", price.output_max)] {
        fields.extend(count.map(|count| format!("{name}: {count}")));
    }
    let services = [("batch", &price.batch), ("flex", &price.flex), ("priority", &price.priority)];
    let services: Vec<String> = services
        .into_iter()
        .filter_map(|(name, schedule)| Some(format!("{name}: {}", service(schedule.as_ref()?, price))))
        .collect();
    if !services.is_empty() {
        fields.push(format!("tiers: {{{}}}", services.join(", ")));
    }
    format!("{{{}}}", fields.join(", "))
}

fn kinds(said: &Said) -> Vec<String> {
    let named = Rates::NAMES.into_iter().zip(said);
    named.filter_map(|(name, price)| Some(format!("{name}: {}", per_million((*price)?)))).collect()
}

fn long(tiers: &[Tier], base: &Rates) -> String {
    let one = |tier: &Tier| {
        let mut fields = vec![format!("over: {}", tier.over)];
        fields.extend(kinds(&tier.rates.said(Some(base))));
        format!("{{{}}}", fields.join(", "))
    };
    match tiers {
        [tier] => one(tier),
        many => format!("[{}]", many.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

fn service(schedule: &Schedule, standard: &Price) -> String {
    let said = schedule.rates.said(Some(&standard.rates));
    let mut fields = kinds(&said);
    let inherited = standard.tiers.iter().map(|tier| Tier { rates: tier.rates.with(&said), ..*tier });
    if !inherited.eq(schedule.tiers.iter().copied()) {
        fields.push(format!("long: {}", long(&schedule.tiers, &schedule.rates)));
    }
    if fields.is_empty() {
        fields.push("multiplier: 1".to_owned());
    }
    format!("{{{}}}", fields.join(", "))
}

/// USD for a million tokens, exactly.
pub(super) fn per_million(price: PicoUsdPerToken) -> String {
    let (whole, rest) = (price.0 / 1_000_000, price.0 % 1_000_000);
    let mut text = whole.to_string();
    if rest > 0 {
        let digits = format!("{rest:06}");
        write!(text, ".{}", digits.trim_end_matches('0')).expect("a text can be written to");
    }
    text
}

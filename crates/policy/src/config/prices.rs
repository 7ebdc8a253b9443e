//! `prices.yml` — prices that stand above the built-in table.
//!
//! ```yaml
//! gpt-4o-mini: {input: 0.15, output: 0.60, cache_read: 0.075}   # USD per million tokens, at any provider
//! local/smollm2: {free: true}                                   # at this provider only
//! gpt-4o:                                                       # over time
//!   - {input: 2.50, output: 10}
//!   - {from: 2026-10-01, input: 2, output: 8, tiers: {batch: {multiplier: 0.5}}}
//! ```

use std::sync::Arc;

use gauntlet_types::{Day, Name, ServiceTier};

use super::{
    node::{Label, Node, Value},
    read::{self, Fields, Report},
    scalar,
};
use crate::price::{KINDS, Price, Rates, Said, Schedule, Sheet, Tier, When};

/// The prices that `prices.yml` gives a model, and the line they begin at.
#[derive(Clone, Debug)]
pub struct OwnPrice {
    /// A model, or `provider/model`.
    pub name: Name,
    pub line: usize,
    pub sheet: Sheet,
}

pub(super) fn read(node: &Node, report: &mut Report) -> Vec<OwnPrice> {
    let mut prices = Vec::new();
    for (label, node) in read::map(node, "", report).unwrap_or_default() {
        if let Some(sheet) = sheet(label, node, report) {
            prices.push(OwnPrice { name: label.text.as_str().into(), line: label.at.line, sheet });
        }
    }
    prices
}

/// One price, or a list of prices with the day from which each holds.
fn sheet(label: &Label, node: &Node, report: &mut Report) -> Option<Sheet> {
    let what = format!("price of `{}`", label.text);
    let Value::List(items) = &node.value else {
        let (from, price) = one(node, &what, report)?;
        return Some(Sheet::new(vec![row(from, price)]));
    };
    if items.is_empty() {
        report.error(node.at, format!("{what} is an empty list"), "write `{input: …, output: …}`");
        return None;
    }
    let mut dated: Vec<(Option<Day>, Price)> = Vec::new();
    let mut is_whole = true;
    for item in items {
        let Some((from, price)) = one(item, &what, report) else {
            is_whole = false;
            continue;
        };
        if dated.iter().any(|(other, _)| *other == from) {
            let (message, cure) = match from {
                Some(day) => (format!("{what} has two entries from {day}"), "keep one of them".to_owned()),
                None => (
                    format!("{what} has two entries without `from`"),
                    "say from which day the later one holds, such as `from: 2026-10-01`".to_owned(),
                ),
            };
            report.error(item.at, message, cure);
        }
        dated.push((from, price));
    }
    dated.sort_by_key(|(from, _)| *from);
    is_whole.then(|| Sheet::new(dated.into_iter().map(|(from, price)| row(from, price)).collect()))
}

fn row(from: Option<Day>, price: Price) -> (When, Arc<Price>) {
    (from.map_or(When::Always, |day| When::From(day.start())), Arc::new(price))
}

fn one(node: &Node, what: &str, report: &mut Report) -> Option<(Option<Day>, Price)> {
    let mut fields = Fields::of(node, what, report)?;
    let from = fields.read("from", report, scalar::DAY);
    let is_free = fields.read("free", report, scalar::BOOL) == Some(true);
    let said = said(&mut fields, report);
    let rates = (said[0].is_some() && said[4].is_some()).then(|| Rates::filled(&said));
    let per_request = fields.read("per_request", report, scalar::USD);
    let per_search = fields.read("per_search", report, scalar::USD);
    let context_window = fields.read("context_window", report, scalar::TOKENS);
    let output_max = fields.read("output_max", report, scalar::TOKENS);
    let long = fields.get("long").map(|node| long(node, &format!("the {what}"), rates, report));
    let tiers = match long {
        Some(tiers) => tiers,
        None => Some(Vec::new()),
    };
    let standard = rates.zip(tiers).map(|(rates, tiers)| Schedule { rates, tiers });
    let services = fields.get("tiers").map(|node| services(node, what, standard.as_ref(), report));
    if is_free {
        let priced = Rates::NAMES
            .into_iter()
            .chain(["per_request", "per_search", "long", "tiers"])
            .find(|field| fields.is_written(field));
        if let Some(field) = priced {
            report.error(
                node.at,
                format!("{what} is `free: true` and has `{field}` too"),
                "keep one of them",
            );
        }
        fields.finish(report);
        return Some((from, Price { context_window, output_max, ..Price::free() }));
    }
    if !fields.is_written("input") && !fields.is_written("output") {
        let cure = "write `input` and `output` in USD for a million tokens, or `free: true`";
        report.error(node.at, format!("{what} has neither `input` nor `output`"), cure);
    }
    // A price with one side missing would make that side free.
    for (field, other) in [("input", "output"), ("output", "input")] {
        if fields.is_missing(field) && !fields.is_missing(other) {
            report.error(
                node.at,
                format!("{what} has no `{field}`"),
                format!("write `{field}: 0` if it costs nothing"),
            );
        }
    }
    fields.finish(report);
    let Schedule { rates, tiers } = standard?;
    let [batch, flex, priority] = services.unwrap_or_default();
    let price = Price {
        rates,
        tiers,
        batch,
        flex,
        priority,
        per_request: per_request.unwrap_or_default(),
        per_search: per_search.unwrap_or_default(),
        context_window,
        output_max,
    };
    Some((from, price))
}

/// The kinds that are written; [`Rates`] derives the rest.
fn said(fields: &mut Fields<'_>, report: &mut Report) -> Said {
    Rates::NAMES.map(|name| fields.read(name, report, scalar::USD_PER_MILLION))
}

/// `long: {over: 200000, input: …}`, or a list of these: the prices of calls with more input tokens than that.
fn long(node: &Node, of: &str, base: Option<Rates>, report: &mut Report) -> Option<Vec<Tier>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut tiers: Vec<Tier> = Vec::new();
    let mut is_whole = true;
    for item in items {
        let Some(mut fields) = Fields::of(item, format!("`long` of {of}"), report) else {
            is_whole = false;
            continue;
        };
        let over = fields.read("over", report, scalar::TOKENS);
        if fields.is_missing("over") {
            report.error(
                item.at,
                format!("`long` of {of} has no `over`"),
                "write for example `over: 200000`",
            );
        }
        let said = said(&mut fields, report);
        fields.finish(report);
        match (over, base) {
            (Some(over), Some(base)) => {
                if tiers.iter().any(|tier| tier.over == over) {
                    report.error(
                        item.at,
                        format!("`long` of {of} has two entries over {over}"),
                        "keep one of them",
                    );
                }
                tiers.push(Tier { over, rates: base.with(&said) });
            }
            _ => is_whole = false,
        }
    }
    tiers.sort_by_key(|tier| tier.over);
    is_whole.then_some(tiers)
}

/// `tiers: {batch: {multiplier: 0.5}, priority: {input: …}}`: batch, flex and priority, in this order.
fn services(
    node: &Node,
    what: &str,
    standard: Option<&Schedule>,
    report: &mut Report,
) -> [Option<Schedule>; 3] {
    let Some(mut fields) = Fields::of(node, format!("`tiers` of the {what}"), report) else {
        return Default::default();
    };
    let found = [ServiceTier::Batch, ServiceTier::Flex, ServiceTier::Priority].map(|tier| {
        let node = fields.get(tier.as_str())?;
        service(node, &format!("`{}` of the {what}", tier.as_str()), standard, report)
    });
    fields.finish(report);
    found
}

/// What is written holds for calls of any length, unless the tier has its own `long`.
fn service(node: &Node, of: &str, standard: Option<&Schedule>, report: &mut Report) -> Option<Schedule> {
    let mut fields = Fields::of(node, of, report)?;
    let multiplier = fields.read("multiplier", report, scalar::FACTOR);
    let said = said(&mut fields, report);
    let base = standard.map(|standard| {
        let scaled = multiplier.map_or_else(|| standard.clone(), |billionths| standard.scaled(billionths));
        let tiers = scaled.tiers.iter().map(|tier| Tier { rates: tier.rates.with(&said), ..*tier });
        Schedule { rates: scaled.rates.with(&said), tiers: tiers.collect() }
    });
    let own = fields.get("long").map(|node| long(node, of, base.as_ref().map(|base| base.rates), report));
    let is_empty = !fields.is_written("multiplier") && !fields.is_written("long") && said == [None; KINDS];
    if is_empty && !Rates::NAMES.iter().any(|name| fields.is_written(name)) {
        let cure = "write `multiplier: 0.5`, or the prices that differ, such as `input: …`";
        report.error(node.at, format!("{of} says no price"), cure);
    }
    fields.finish(report);
    let mut schedule = base?;
    if let Some(tiers) = own {
        schedule.tiers = tiers?;
    }
    Some(schedule)
}

//! `prices.yml` — prices that stand above the built-in table.
//!
//! ```yaml
//! gpt-4o-mini: {input: 0.15, output: 0.60, cache_read: 0.075}   # USD per million tokens, at any provider
//! local/smollm2: {free: true}                                   # at this provider only
//! ```

use std::{collections::HashMap, sync::Arc};

use gauntlet_types::{Name, TokenCount};

use super::{
    node::Node,
    read::{self, Fields, Report},
    scalar,
};
use crate::price::{Price, Rates, Tier};

pub(super) fn read(node: &Node, report: &mut Report) -> HashMap<Name, Arc<Price>> {
    let mut prices = HashMap::new();
    for (label, node) in read::map(node, "", report).unwrap_or_default() {
        let what = format!("price of `{}`", label.text);
        if let Some(price) = one(node, &what, report) {
            prices.insert(label.text.as_str().into(), Arc::new(price));
        }
    }
    prices
}

fn one(node: &Node, what: &str, report: &mut Report) -> Option<Price> {
    let mut fields = Fields::of(node, what, report)?;
    let is_free = fields.read("free", report, scalar::BOOL) == Some(true);
    let rates = rates(&mut fields, report);
    let per_request = fields.read("per_request", report, scalar::USD);
    let long = fields.get("long").map(|node| long(node, what, rates, report));
    if is_free {
        let priced = [
            "input",
            "output",
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "reasoning",
            "per_request",
            "long",
        ]
        .into_iter()
        .find(|field| fields.is_written(field));
        if let Some(field) = priced {
            report.error(
                node.at,
                format!("{what} is `free: true` and has `{field}` too"),
                "keep one of them",
            );
        }
        fields.finish(report);
        return Some(Price::free());
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
    let mut price = Price::flat(rates?);
    price.per_request = per_request.unwrap_or_default();
    if let Some(tier) = long {
        price.tiers.push(tier?);
    }
    Some(price)
}

/// What is unset costs what it is a part of: cache reads as input, reasoning as output.
fn rates(fields: &mut Fields<'_>, report: &mut Report) -> Option<Rates> {
    let mut usd = |name: &'static str| fields.read(name, report, scalar::USD_PER_MILLION);
    let (input, output) = (usd("input"), usd("output"));
    let (read, write_5m, write_1h) = (usd("cache_read"), usd("cache_write_5m"), usd("cache_write_1h"));
    let reasoning = usd("reasoning");
    let (input, output) = (input?, output?);
    let write_5m = write_5m.unwrap_or(input);
    Some(Rates {
        input,
        cache_read: read.unwrap_or(input),
        cache_write_5m: write_5m,
        cache_write_1h: write_1h.unwrap_or(write_5m),
        output,
        reasoning: reasoning.unwrap_or(output),
    })
}

/// `long: {over: 200000, input: …}`: the prices of calls with more input tokens than that.
fn long(node: &Node, what: &str, base: Option<Rates>, report: &mut Report) -> Option<Tier> {
    let mut fields = Fields::of(node, format!("`long` of the {what}"), report)?;
    let over = fields.read("over", report, scalar::TOKENS);
    if fields.is_missing("over") {
        report.error(
            node.at,
            format!("`long` of the {what} has no `over`"),
            "write for example `over: 200000`",
        );
    }
    let mut usd = |name: &'static str| fields.read(name, report, scalar::USD_PER_MILLION);
    let written = [
        usd("input"),
        usd("cache_read"),
        usd("cache_write_5m"),
        usd("cache_write_1h"),
        usd("output"),
        usd("reasoning"),
    ];
    fields.finish(report);
    let base = base?;
    let [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning] = written;
    let rates = Rates {
        input: input.unwrap_or(base.input),
        cache_read: cache_read.or(input).unwrap_or(base.cache_read),
        cache_write_5m: cache_write_5m.or(input).unwrap_or(base.cache_write_5m),
        cache_write_1h: cache_write_1h.or(cache_write_5m).or(input).unwrap_or(base.cache_write_1h),
        output: output.unwrap_or(base.output),
        reasoning: reasoning.or(output).unwrap_or(base.reasoning),
    };
    Some(Tier { over: over.unwrap_or(TokenCount(u32::MAX)), rates })
}

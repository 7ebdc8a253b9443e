//! `sampling` and `retention`: which texts are kept, and how long anything is.

use std::time::Duration;

use gauntlet_types::Environment;

use super::{
    node::Node,
    read::{Fields, Report},
    scalar::{self, Scalar},
    shape::{Ages, Retention, Sampling},
};

/// A trace is taken to be over when nothing of it has happened for so long.
const WAIT_DEFAULT: Duration = Duration::from_secs(60);
/// An age may be years, where a time limit may not.
const AGE: Scalar<Duration> = Scalar {
    expected: "an age of at least an hour",
    example: "write for example `30d`, `12h`, or `forever`",
    parse: age,
};
const FOREVER: Duration = Duration::MAX;

fn age(text: &str) -> Option<Duration> {
    if text == "forever" {
        return Some(FOREVER);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let hours = match text[digits..].trim() {
        "h" => number,
        "d" => number.checked_mul(24)?,
        "y" => number.checked_mul(24 * 365)?,
        _ => return None,
    };
    // A hundred years is as good as for ever, and still fits a timestamp.
    (1..=24 * 365 * 100).contains(&hours).then(|| Duration::from_secs(hours * 3600))
}

/// `sampling: {keep: 20%, slow: 10s, wait: 1m}`.
pub(super) fn sampling(node: &Node, report: &mut Report) -> Option<Sampling> {
    let mut fields = Fields::of(node, "`sampling`", report)?;
    let sampling = Sampling {
        keep_percent: fields.read("keep", report, scalar::PERCENT).unwrap_or(100),
        slow: fields.read("slow", report, scalar::DURATION),
        wait: fields.read("wait", report, scalar::DURATION).unwrap_or(WAIT_DEFAULT),
    };
    fields.finish(report);
    Some(sampling)
}

/// `retention: {messages: 30d, records: 400d, dev: {messages: 3d}}`: an environment's own words go before the general ones.
pub(super) fn retention(node: &Node, report: &mut Report) -> Option<Retention> {
    let mut fields = Fields::of(node, "`retention`", report)?;
    let general = ages(&mut fields, node, report);
    let mut retention = Retention { ages: [general; Environment::ALL.len()] };
    for (at, environment) in Environment::ALL.into_iter().enumerate() {
        let Some(own_node) = fields.get(environment.as_str()) else { continue };
        let what = format!("`retention.{}`", environment.as_str());
        let Some(mut own) = Fields::of(own_node, what, report) else { continue };
        let ages = ages(&mut own, own_node, report);
        own.finish(report);
        let slot = &mut retention.ages[at];
        *slot = Ages { messages: ages.messages.or(slot.messages), records: ages.records.or(slot.records) };
    }
    fields.finish(report);
    for slot in &mut retention.ages {
        let bounded = |age: Option<Duration>| age.filter(|age| *age != FOREVER);
        (slot.messages, slot.records) = (bounded(slot.messages), bounded(slot.records));
        // Texts go with their records at the latest.
        if let (Some(messages), Some(records)) = (slot.messages, slot.records) {
            slot.messages = Some(messages.min(records));
        }
    }
    Some(retention)
}

fn ages(fields: &mut Fields<'_>, node: &Node, report: &mut Report) -> Ages {
    let ages =
        Ages { messages: fields.read("messages", report, AGE), records: fields.read("records", report, AGE) };
    if let (Some(messages), Some(records)) = (ages.messages, ages.records)
        && messages > records
    {
        let cure = "write an age of `messages` that is no longer than that of `records`";
        report.error(node.at, "`messages` cannot be kept longer than the records they belong to", cure);
    }
    ages
}

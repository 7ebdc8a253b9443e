//! What would be saved, from real traffic: exact repeats, calls that a smaller model could take, prefixes worth caching.
//!
//! Works on a sample of stored calls, newest first in the store and given here in the order of their arrival. A saving is
//! worked out as a share of the sample's cost and then put to a month of the whole traffic; every advice says what it
//! rests on. Where a guess has two ends, the smaller saving is told.

mod prefix;
mod repeats;
mod tier;

use std::collections::HashMap;

use gauntlet_ports::StoredCall;
use gauntlet_types::{CallRecord, Name, NanoUsd, Outcome, Target, Timestamp};
use serde::Serialize;

use crate::reprice::PriceOf;

/// Calls looked at, at most; each is read whole.
pub const SAMPLE_MAX: u32 = 20_000;
/// Pieces of advice given, the largest saving first.
const ADVICE_MAX: usize = 20;
/// With fewer calls of a kind nothing is said of it.
const CALLS_MIN: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An exact cache on the route would have answered.
    Cache,
    /// A smaller model of the same vendor.
    CheaperModel,
    /// The provider's own cache of prompt prefixes.
    PromptPrefix,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Advice {
    pub kind: Kind,
    pub route: String,
    /// As `provider/model`.
    pub model: String,
    /// What to do, in a sentence.
    pub what: String,
    /// What has to be checked before, or what the figure leaves out.
    pub mind: String,
    /// Of the sample that this is about.
    pub calls: u64,
    /// Of the sample's cost.
    pub saved: NanoUsd,
    pub saved_usd_per_month: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    pub advice: Vec<Advice>,
    /// Calls looked at, when the first and last of them began, and what they cost.
    pub calls: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub sample_cost_usd: f64,
    /// What the whole traffic costs a month, by which the sample is put to one.
    pub cost_usd_per_month: f64,
    /// Whether the sample is every call of the span.
    pub is_whole: bool,
}

/// The traffic that the sample stands for.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Calls and cost of the span that was asked about.
    pub calls: u64,
    pub cost: NanoUsd,
    /// Days from the first call in the span until now; less than one counts as one, so that an hour is not taken for
    /// a month.
    pub days: f64,
}

type Place = (Name, Target);

/// Looks at calls one after another; what it remembers is bounded.
pub struct Sample<'a> {
    price_of: PriceOf<'a>,
    /// Models to choose a cheaper one from beside those that the names suggest.
    known: Vec<Target>,
    repeats: repeats::Repeats,
    prefixes: prefix::Prefixes,
    tiers: HashMap<Place, tier::Calls>,
    calls: u64,
    cost: NanoUsd,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl<'a> Sample<'a> {
    pub fn new(price_of: PriceOf<'a>, known: Vec<Target>) -> Sample<'a> {
        Sample {
            price_of,
            known,
            repeats: repeats::Repeats::default(),
            prefixes: prefix::Prefixes::default(),
            tiers: HashMap::new(),
            calls: 0,
            cost: NanoUsd::ZERO,
            first: None,
            last: None,
        }
    }

    pub fn add(&mut self, call: &StoredCall) {
        let record = &call.record;
        self.calls += 1;
        self.cost = self.cost.plus(record.cost);
        self.first = Some(self.first.map_or(record.started, |first| first.min(record.started)));
        self.last = Some(self.last.map_or(record.started, |last| last.max(record.started)));
        let Some(target) = record.target.clone().filter(|_| is_answered(record)) else { return };
        let place = (record.route.clone(), target);
        self.repeats.add(&place, call);
        if record.door.dialect().is_some() {
            if let Some(price) = (self.price_of)(&place.1, record.started) {
                self.prefixes.add(&place, call, &price);
            }
            self.tiers.entry(place).or_default().add(call);
        }
    }

    pub fn finish(self, traffic: &Traffic) -> Report {
        let month = traffic.cost.as_usd() * 30.0 / traffic.days.max(1.0);
        // A share of the sample's cost is the same share of the month's.
        let monthly = |saved: NanoUsd| match self.cost.0 {
            0 => 0.0,
            cost => month * (saved.0 as f64 / cost as f64).min(1.0),
        };
        let mut advice: Vec<Advice> = self.repeats.finish();
        advice.extend(self.prefixes.finish());
        for ((route, target), calls) in &self.tiers {
            advice.extend(calls.advise(route, target, &self.known, self.price_of));
        }
        advice.retain(|one| one.saved > NanoUsd::ZERO);
        for one in &mut advice {
            one.saved_usd_per_month = monthly(one.saved);
        }
        advice.sort_by(|one, other| {
            other
                .saved
                .cmp(&one.saved)
                .then_with(|| (&one.route, &one.model).cmp(&(&other.route, &other.model)))
        });
        advice.truncate(ADVICE_MAX);
        Report {
            advice,
            calls: self.calls,
            first: self.first,
            last: self.last,
            sample_cost_usd: self.cost.as_usd(),
            cost_usd_per_month: month,
            is_whole: self.calls >= traffic.calls,
        }
    }
}

/// A model answered, and was paid for it.
fn is_answered(record: &CallRecord) -> bool {
    record.outcome == Outcome::Ok && !record.cache.is_hit()
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

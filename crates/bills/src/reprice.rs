//! What a stored call costs by the prices of now.
//!
//! Prices change after the fact: a table was wrong, a model had no price, a discount was agreed upon. The tokens of a call
//! do not, so its cost can be worked out anew from them, attempt by attempt.

use std::{collections::BTreeMap, sync::Arc};

use gauntlet_policy::price::Price;
use gauntlet_types::{CallRecord, Code, Day, NanoUsd, Outcome, Target, Timestamp, TokenCount};
use serde::{Deserialize, Serialize};

/// The price of a target at a time, by today's table.
pub type PriceOf<'a> = &'a dyn Fn(&Target, Timestamp) -> Option<Arc<Price>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Priced {
    /// What it costs now; may be what it cost.
    Anew(NanoUsd),
    /// Nothing to work it out from: no model was asked, our cache answered, or it was charged its hold.
    Kept,
    /// A model it asked has no price now: it keeps its cost.
    Unpriced,
}

pub fn price(record: &CallRecord, price_of: PriceOf<'_>) -> Priced {
    let (Some(target), false) = (&record.target, record.cache.is_hit()) else {
        return Priced::Kept;
    };
    // Nobody knows what an interrupted call used, nor one that was dropped: they were charged their hold.
    let is_dropped = record.error == Some(Code::Internal) && record.cost >= record.held;
    if record.outcome == Outcome::Interrupted || (is_dropped && record.held > NanoUsd::ZERO) {
        return Priced::Kept;
    }
    let mut cost = NanoUsd::ZERO;
    let (mut usage, mut own) = (record.usage, record.cost);
    for attempt in &record.attempts {
        let Some(billed) = &attempt.billed else { continue };
        let Some(price) = price_of(&attempt.target, record.started) else { return Priced::Unpriced };
        cost = cost.plus(price.cost(&billed.usage));
        usage = usage.without(&billed.usage);
        own = own.minus(billed.cost);
    }
    if usage.total() == TokenCount(0) {
        // An answer without a token cost nothing; one that cost all the same was charged its hold.
        return match (own, cost) {
            (NanoUsd::ZERO, NanoUsd::ZERO) => Priced::Kept,
            (own, _) => Priced::Anew(own.plus(cost)),
        };
    }
    match price_of(target, record.started) {
        Some(price) => Priced::Anew(price.cost(&usage).plus(cost)),
        None => Priced::Unpriced,
    }
}

/// What a model's calls of a day cost, and would cost.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub day: String,
    pub model: String,
    pub calls: u64,
    /// Calls that cost something else now.
    pub changed: u64,
    /// Calls of a model without a price now, which keep their cost.
    pub unpriced: u64,
    pub before: NanoUsd,
    pub after: NanoUsd,
}

/// Gathers [`Change`]s.
#[derive(Default)]
pub struct Changes(BTreeMap<(Day, String), Change>);

impl Changes {
    pub fn add(&mut self, record: &CallRecord, priced: Priced) {
        let model = record.target.as_ref().map_or_else(|| record.model_asked.to_string(), Target::to_string);
        let change = self.0.entry((record.started.day(), model)).or_default();
        let after = match priced {
            Priced::Anew(cost) => cost,
            Priced::Kept | Priced::Unpriced => record.cost,
        };
        change.calls += 1;
        change.changed += u64::from(after != record.cost);
        change.unpriced += u64::from(priced == Priced::Unpriced);
        change.before = change.before.plus(record.cost);
        change.after = change.after.plus(after);
    }

    /// By day, then by model. Models that nothing is known of (no call reached one) are left out.
    pub fn finish(self) -> Vec<Change> {
        let named = self.0.into_iter();
        named.map(|((day, model), change)| Change { day: day.to_string(), model, ..change }).collect()
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_policy::price::Rates;
    use gauntlet_types::{Attempt, AttemptEnd, Billed, CacheUse, PicoUsdPerToken, Usage};

    use super::*;
    use crate::advice::sample::record;

    fn usage(fresh: u32, output: u32) -> Usage {
        Usage { input_fresh: TokenCount(fresh), output: TokenCount(output), ..Usage::default() }
    }

    /// A dollar a million tokens of `cheap`, ten of `dear`; nothing is known of others.
    fn prices(target: &Target, _: Timestamp) -> Option<Arc<Price>> {
        let usd = |dollars: u64| PicoUsdPerToken(dollars * 1_000_000);
        let rates = |dollars| Rates { input: usd(dollars), output: usd(dollars), ..Rates::default() };
        match &*target.model {
            "cheap" => Some(Arc::new(Price::flat(rates(1)))),
            "dear" => Some(Arc::new(Price::flat(rates(10)))),
            _ => None,
        }
    }

    fn attempt(model: &str, billed: Option<Billed>) -> Attempt {
        Attempt {
            target: Target { provider: "p".into(), model: model.into() },
            start_us: 0,
            took_us: 1,
            end: AttemptEnd::Cut,
            status: None,
            error: None,
            billed,
        }
    }

    #[test]
    fn a_call_is_priced_by_its_tokens() {
        let check = |what: &str, change: fn(&mut CallRecord), expected: Priced| {
            let mut record = record("acme", "bot", "cheap");
            record.usage = usage(100, 40);
            record.cost = NanoUsd(7);
            change(&mut record);
            assert_eq!(price(&record, &prices), expected, "{what}");
        };
        check("plain", |_| {}, Priced::Anew(NanoUsd(140_000)));
        check("once without a price", |record| record.cost = NanoUsd::ZERO, Priced::Anew(NanoUsd(140_000)));
        check("a model unknown now", |record| record.target = Target::parse("p/unknown"), Priced::Unpriced);
        check("no model was asked", |record| record.target = None, Priced::Kept);
        check("our cache answered", |record| record.cache = CacheUse::Exact, Priced::Kept);
        check("nobody knows", |record| record.outcome = Outcome::Interrupted, Priced::Kept);
        check("charged its hold", |record| record.usage = Usage::default(), Priced::Anew(NanoUsd(7)));
        check(
            "refused",
            |record| (record.usage, record.cost) = (Usage::default(), NanoUsd::ZERO),
            Priced::Kept,
        );
        check(
            "a dear attempt failed and was billed",
            |record| {
                let billed = Billed { usage: usage(100, 2), cost: NanoUsd(3) };
                record.attempts = vec![attempt("dear", Some(billed)), attempt("cheap", None)];
                record.usage = usage(200, 42);
            },
            Priced::Anew(NanoUsd(1_020_000 + 140_000)),
        );
        check(
            "an attempt at a model unknown now",
            |record| {
                let billed = Billed { usage: usage(1, 1), cost: NanoUsd(3) };
                record.attempts = vec![attempt("unknown", Some(billed))];
            },
            Priced::Unpriced,
        );
    }

    #[test]
    fn changes_add_up_by_day_and_model() {
        let mut changes = Changes::default();
        let mut record = record("acme", "bot", "cheap");
        record.cost = NanoUsd(10);
        changes.add(&record, Priced::Anew(NanoUsd(25)));
        changes.add(&record, Priced::Anew(NanoUsd(10)));
        changes.add(&record, Priced::Unpriced);
        let found = changes.finish();
        assert_eq!(found.len(), 1);
        let change = &found[0];
        assert_eq!((change.calls, change.changed, change.unpriced), (3, 1, 1));
        assert_eq!(
            (change.before, change.after, change.model.as_str()),
            (NanoUsd(30), NanoUsd(45), "openai/cheap")
        );
    }
}

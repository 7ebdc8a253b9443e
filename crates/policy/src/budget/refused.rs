//! The budget that stood in the way, and what the caller is told about it.

use gauntlet_types::{Charge, Code, Fault, Measure, NanoUsd, Timestamp};

use super::Cap;

/// The budget that stood in the way. Amounts in what the charge measures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Which of the draws.
    pub index: usize,
    pub charge: Charge,
    pub cap: Cap,
    /// By all replicas, as far as known.
    pub spent: i64,
    pub held: i64,
    pub wanted: i64,
    pub short: Short,
    /// Of a rolling budget: when enough will have left its window, if holds do not grow.
    pub until: Option<Timestamp>,
}

/// What there was too little of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Short {
    /// The budget has no room.
    Cap,
    /// This replica's slice has none; the budget may: ask the shared store for more.
    Slice,
}

impl Refused {
    /// What the caller is told: which budget, its cap, what is left and when it turns, in numbers for programs too.
    /// `resets` is when the budget starts afresh; none if it never does.
    pub fn fault(&self, message: Option<&str>, resets: Option<Timestamp>) -> Fault {
        let measure = self.charge.measure;
        let left = self.cap.amount.saturating_sub(self.spent).saturating_sub(self.held).max(0);
        let period = self.charge.period.map(|day| day.to_string());
        let turns = match (resets, self.cap.rolling) {
            (Some(at), None) => format!("it turns at {at}"),
            (Some(at), Some(_)) => format!("room returns by {at}"),
            (None, _) => "it does not turn".to_owned(),
        };
        let (scope, key) = (&self.charge.scope, &self.charge.key);
        let facts = format!(
            "budget `{scope}` of `{key}` has {} of {} left and this call may take {}; {turns}",
            show(measure, left),
            show(measure, self.cap.amount),
            show(measure, self.wanted)
        );
        let message = match message {
            Some(friendly) => format!("{friendly} ({facts})"),
            None => facts,
        };
        let mut detail = serde_json::json!({
            "scope": scope, "key": key, "period": period, "measure": measure.as_str(),
            "resets": resets.map(|at| at.to_string()),
        });
        let figures =
            [("cap", self.cap.amount), ("spent", self.spent), ("held", self.held), ("wanted", self.wanted)];
        for (name, amount) in figures {
            let (name, figure) = match measure {
                Measure::Usd => (format!("{name}_usd"), NanoUsd(amount).as_usd().into()),
                Measure::Tokens | Measure::Requests => (name.to_owned(), amount.into()),
            };
            detail[name] = figure;
        }
        Fault::policy(Code::BudgetExceeded, message).detail(detail)
    }
}

/// An amount for people: `0.30 USD`, `1200 tokens`.
pub fn show(measure: Measure, amount: i64) -> String {
    match measure {
        Measure::Usd => format!("{} USD", NanoUsd(amount)),
        Measure::Tokens => format!("{amount} tokens"),
        Measure::Requests => format!("{amount} requests"),
    }
}

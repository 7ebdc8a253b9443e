//! What a run will take: the calls before anything is asked, the money after the first few cases.

use std::fmt;

use gauntlet_types::NanoUsd;

use super::{Plan, answer, units};
use crate::Scorer;

/// Letters of English to a token, about; other languages and code have fewer.
const LETTERS_PER_TOKEN: usize = 4;

/// Known before the first call.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Forecast {
    /// Answers that are asked for: cases times repeats, less those of a run that goes on.
    pub calls: u64,
    /// Of judges and embeddings, at most; those that were asked before are not asked again.
    pub judge_calls_max: u64,
    /// Of what the cases say themselves, by their letters. A prompt's own text comes on top.
    pub tokens_in_about: u64,
}

impl fmt::Display for Forecast {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forecast { calls, judge_calls_max, tokens_in_about } = self;
        let plural = |count: &u64| if *count == 1 { "" } else { "s" };
        write!(
            out,
            "{calls} call{}, {judge_calls_max} judges' call{} at most{}, ",
            plural(calls),
            plural(judge_calls_max),
            // What cannot be read is asked for once more.
            if *judge_calls_max > 0 { " (twice as many of a judge that nobody understands)" } else { "" }
        )?;
        write!(out, "about {tokens_in_about} tokens of their own to read")
    }
}

/// Reckons without asking anybody.
pub fn forecast(plan: &Plan<'_>, scorers: &[Box<dyn Scorer>]) -> Forecast {
    let had =
        plan.resume.as_ref().map_or(0, |(_, had)| had.iter().filter(|result| result.error.is_none()).count());
    let repeats = u64::from(plan.repeats.max(1));
    let answers = (plan.cases.len() as u64 * repeats).saturating_sub(had as u64);
    let judged = |case: &&crate::Case| {
        let scorers = answer::scorers_of(scorers, case).filter(|scorer| scorer.lacks(case).is_none());
        scorers.map(|scorer| u64::from(scorer.calls_max())).sum::<u64>()
    };
    let letters: usize = plan.cases.iter().map(|case| units::length(case)).sum();
    Forecast {
        calls: if plan.is_recorded { 0 } else { answers },
        judge_calls_max: plan.cases.iter().map(judged).sum::<u64>() * repeats,
        tokens_in_about: if plan.is_recorded { 0 } else { (letters / LETTERS_PER_TOKEN) as u64 * repeats },
    }
}

/// Known after the first few answers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Estimate {
    /// Answers that it is drawn from, and what they cost.
    pub asked: usize,
    pub spent: NanoUsd,
    /// Answers still to come, and what they will cost: as those did on average, as the cheapest, as the dearest.
    pub left: usize,
    pub cost: NanoUsd,
    pub cost_low: NanoUsd,
    pub cost_high: NanoUsd,
    pub judge_calls: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub budget: Option<NanoUsd>,
}

impl Estimate {
    /// Whether the budget will end the run before its last case.
    pub fn passes_budget(&self) -> bool {
        self.budget.is_some_and(|budget| self.spent.plus(self.cost) > budget)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { asked, left, .. } = self;
        let usd = NanoUsd::as_usd;
        write!(
            out,
            "about ${:.4} for {left} more answers, between ${:.4} and ${:.4} by the first {asked}; {} judges' calls, {} tokens in, {} out",
            usd(self.cost),
            usd(self.cost_low),
            usd(self.cost_high),
            self.judge_calls,
            self.tokens_in,
            self.tokens_out
        )?;
        match self.budget {
            Some(budget) if self.passes_budget() => {
                write!(out, "; its budget of ${budget} will end it sooner")
            }
            _ => Ok(()),
        }
    }
}

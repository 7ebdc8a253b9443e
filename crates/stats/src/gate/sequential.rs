//! Stopping a run as soon as it is decided.

use crate::{Clustered, StatsError, check, distributions::normal_sf};

use super::{NonInferiority, Outcome, Verdict, non_inferiority, outcome, spending::Levels};

/// A non-inferiority question that is looked at several times while cases come in.
///
/// Each look costs some of alpha, little of it early, so that a wrong pass and a wrong fail keep their chance however many
/// looks there are: group-sequential with O'Brien and Fleming's kind of spending (Lan & DeMets 1983). The looks are at numbers
/// of cases, fixed or not, but never chosen by what the scores look like. **Cases must come in an order that has nothing to do with
/// how hard they are**: shuffle them.
///
/// waiting ─look→ waiting │ ─a bound is crossed→ decided │ ─all cases are there→ decided
#[derive(Clone, Debug)]
pub struct Sequential {
    question: NonInferiority,
    planned: usize,
    seen: usize,
    looks: usize,
    levels: Levels,
    decided: Option<Outcome>,
}

/// What one look said.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SequentialLook {
    /// Bounds and p-values as if this were the only look; the outcome is by the level of this one.
    pub verdict: Verdict,
    /// What p-values were compared with.
    pub level: f64,
    /// The rest of the run would not change the answer, or there is no rest.
    pub stop: bool,
}

/// More looks gain nothing and cost time: the levels take some milliseconds each.
const LOOKS_MAX: usize = 50;

impl Sequential {
    /// For a run of `planned` independent cases in all.
    ///
    /// Errors: a question out of range, fewer than 2 cases planned.
    pub fn new(question: NonInferiority, planned: usize) -> Result<Sequential, StatsError> {
        question.checked()?;
        check::at_least(planned, 2, "planned cases", "a sequential run")?;
        Ok(Sequential {
            question,
            planned,
            seen: 0,
            looks: 0,
            levels: Levels::new(question.alpha),
            decided: None,
        })
    }

    /// Whether a look now would be a new one: cases were added, looks are left, nothing is decided.
    pub fn may_look(&self, clusters: usize) -> bool {
        self.decided.is_none() && clusters > self.seen && clusters <= self.planned && self.looks < LOOKS_MAX
    }

    /// Looks at all differences so far, clusters complete. Errors: as [`non_inferiority`]; no new cases since the look before; more cases
    /// than planned; more than 50 looks; a look after the decision.
    pub fn look(&mut self, differences: &[Clustered]) -> Result<SequentialLook, StatsError> {
        let verdict = non_inferiority(differences, &self.question)?;
        let level = self.level(verdict.clusters)?;
        let is_last = verdict.clusters == self.planned;
        let outcome = outcome(verdict.p_inferior < level, verdict.p_worse < level);
        let stop = is_last || outcome != Outcome::Inconclusive;
        if stop {
            self.decided = Some(outcome);
        }
        Ok(SequentialLook { verdict: Verdict { outcome, ..verdict }, level, stop })
    }

    fn level(&mut self, clusters: usize) -> Result<f64, StatsError> {
        if !self.may_look(clusters) {
            return Err(StatsError::Parameter {
                name: "the number of cases at this look",
                value: clusters as f64,
                range: "above that of the look before and up to the number planned, in up to 50 looks before the decision",
            });
        }
        self.seen = clusters;
        self.looks += 1;
        // A hair's breadth below the least level: at a look too early to spend anything nothing is decided.
        let share = clusters as f64 / self.planned as f64;
        Ok(self.levels.next(share).unwrap_or_else(|| normal_sf(f64::INFINITY)))
    }
}

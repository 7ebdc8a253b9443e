//! Whether a run that is under way is decided already.

use gauntlet_ports::{EvalResult, EvalRun, RunState, Verdict};

use super::{GateInput, Standing, decide, early::Early, paired};
use crate::Suite;

/// Looks at a run while it goes on. A runner asks it after each batch, and stops when it says a verdict.
///
/// The gate that decides afterwards looks again in the same way, so that it comes to the same verdict.
#[derive(Debug)]
pub struct Stopper {
    suite: Suite,
    baseline: EvalRun,
    before: Vec<EvalResult>,
    standings: Vec<Standing>,
    looked: usize,
}

impl Stopper {
    /// None where the suite does not ask for it (`gate: {sequential: true}`).
    pub fn new(
        suite: &Suite,
        baseline: EvalRun,
        before: Vec<EvalResult>,
        standings: Vec<Standing>,
    ) -> Option<Stopper> {
        let suite = suite.gate.sequential.then(|| suite.clone())?;
        Some(Stopper { suite, baseline, before, standings, looked: 0 })
    }

    /// The verdict, once the cases that are not asked yet could not change it but by the error rate of the gate.
    ///
    /// `run` as it stands, with all cases and repeats that are planned; `results` are all so far, not only new ones. Cases must be asked in
    /// an order that was shuffled.
    pub fn look(&mut self, run: &EvalRun, results: &[EvalResult]) -> Option<Verdict> {
        let run = EvalRun { state: RunState::Stopped, ..run.clone() };
        let input = GateInput {
            suite: &self.suite,
            run: &run,
            results,
            baseline: Some((&self.baseline, &self.before)),
            history: &[],
            standings: &self.standings,
        };
        let (pairs, _) = paired(&input).ok()?;
        let reached = Early::of(&input, &pairs)?.looks_reached();
        if reached <= self.looked {
            return None;
        }
        self.looked = reached;
        match decide(&input).ok()?.verdict {
            Verdict::Inconclusive => None,
            decided => Some(decided),
        }
    }
}

//! Proof in the record of which guards ran, on what, and how it ended. A guard that did not run says so: nothing is ever
//! taken to have passed because nobody looked.

use gauntlet_guard::Decided;
use gauntlet_types::{Direction, GuardRun, Name, RunOutcome};

use crate::call::Call;

impl Call {
    /// Whether any rule holds, or text is to be dressed: then somebody has to read the request.
    pub(crate) fn asks_anything(&self) -> bool {
        self.rules.iter().any(|rules| !rules.kinds().is_empty())
            || self.chain.levels().iter().any(|level| level.rules.spotlight.is_some())
    }

    /// Notes that these kinds were looked for, where policy asks for them.
    pub(crate) fn note_runs(
        &mut self,
        direction: Direction,
        kinds: &[&'static str],
        decided: &Decided,
        on: Option<Name>,
        since: u32,
    ) {
        let took_us = self.elapsed_us().saturating_sub(since);
        let rules = &self.rules[direction as usize];
        // What has failed has not passed.
        let has_failed = |kind: &str| {
            let mut runs = self.record.guard_runs.iter();
            runs.any(|run| {
                run.direction == direction && *run.kind == *kind && run.outcome == RunOutcome::Failed
            })
        };
        let runs = kinds.iter().filter(|kind| rules.has(kind) && !has_failed(kind)).map(|kind| {
            let excepted = decided.excepted.get(kind).copied().unwrap_or(0);
            let is_found = decided.notes.iter().any(|note| *note.kind == **kind);
            GuardRun {
                direction,
                kind: (*kind).into(),
                outcome: if is_found { RunOutcome::Found } else { RunOutcome::Passed },
                on: on.clone(),
                took_us,
                reason: None,
                excepted,
            }
        });
        let runs: Vec<GuardRun> = runs.collect();
        self.record.guard_runs.extend(runs);
    }

    /// Whether any of these kinds was noted already.
    pub(crate) fn has_run(&self, direction: Direction, kinds: &[&str]) -> bool {
        let mut runs = self.record.guard_runs.iter();
        runs.any(|run| run.direction == direction && kinds.contains(&run.kind.as_str()))
    }

    /// Notes that a guard began and could not finish.
    pub(crate) fn note_failed(&mut self, direction: Direction, kind: &str, reason: &str, took_us: u32) {
        self.record.guard_runs.push(GuardRun {
            direction,
            kind: kind.into(),
            outcome: RunOutcome::Failed,
            on: None,
            took_us,
            reason: Some(reason.to_owned()),
            excepted: 0,
        });
    }

    /// Whatever policy asks for and nothing was noted of has not run.
    pub(crate) fn note_missing_runs(&mut self) {
        for direction in [Direction::Input, Direction::Output] {
            for kind in self.rules[direction as usize].kinds() {
                let runs = &self.record.guard_runs;
                if runs.iter().any(|run| run.direction == direction && *run.kind == *kind) {
                    continue;
                }
                let reason = self.why_not_run(direction, kind);
                self.record.guard_runs.push(GuardRun {
                    direction,
                    kind: kind.into(),
                    outcome: RunOutcome::NotRun,
                    on: None,
                    took_us: 0,
                    reason: Some(reason.to_owned()),
                    excepted: 0,
                });
            }
        }
    }

    fn why_not_run(&self, direction: Direction, kind: &str) -> &'static str {
        use gauntlet_types::{CacheUse, Outcome};
        if !self.rules[direction as usize].has(kind) {
            return "the sample left this call out";
        }
        if kind == "canary" && self.canary.is_none() {
            return "no word was planted";
        }
        match (self.record.outcome, direction) {
            (Outcome::Ok | Outcome::Cancelled, Direction::Output) => match self.record.cache {
                CacheUse::Exact => "the answer was looked at when it was kept",
                _ => "the answer had nothing for it to look at",
            },
            (Outcome::Canned, Direction::Output) => "the answer is the operator's own",
            (_, Direction::Output) => "there was no answer to look at",
            (_, Direction::Input) => "the call ended before it",
        }
    }
}

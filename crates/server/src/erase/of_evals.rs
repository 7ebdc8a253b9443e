//! What runs of evals keep of somebody's calls: a case that was made from a call (`gauntlet trace promote`) holds its words, and so
//! do the answers to that case, the judges' calls about them, and the reports that quote it.

use std::collections::{BTreeSet, HashSet};

use gauntlet_ports::{Cut, EvalStoreError, TraceFilter};
use gauntlet_types::{CallId, Fault, Name, TextsGone};

use super::{AT_ONCE, ROUNDS_MAX};
use crate::{
    admin::{Admin, store_fault},
    evals::evals_fault,
};

/// Cases that an answer names: more than anybody mends by hand in one go.
const CASES_MAX: usize = 100;

#[derive(Default)]
pub(super) struct OfEvals {
    rows: u64,
    calls: u64,
    cases: BTreeSet<String>,
    /// Runs whose judges' calls have lost their texts already.
    silenced: BTreeSet<Name>,
}

impl OfEvals {
    /// Before the calls themselves go, since all of it is found by them: an erasure that breaks off is asked for again, and
    /// finds again what it had not reached.
    pub(super) fn cut(&mut self, admin: &Admin, calls: &[CallId]) -> Result<(), Fault> {
        let cut = admin.evals.eval_cut(calls).map_err(evals_fault)?;
        self.rows += cut.rows;
        for (suite, case) in &cut.cases {
            if self.cases.len() < CASES_MAX {
                self.cases.insert(format!("{suite}/{case}"));
            }
        }
        self.calls += cut_texts(admin, &cut.answers)?;
        for run in &cut.runs {
            if self.silenced.insert(run.clone()) {
                self.silence(admin, run)?;
            }
        }
        Ok(())
    }

    /// Which of a run's judges' calls were shown the case is written nowhere, so the texts of all of them go, and of every
    /// call of the run that is no case's answer. Scores and verdicts stay.
    fn silence(&mut self, admin: &Admin, run: &Name) -> Result<(), Fault> {
        let results = match admin.evals.result_list(run) {
            Ok(results) => results,
            // Its results stand for themselves, as those that somebody wrote by hand.
            Err(EvalStoreError::UnknownRun(_)) => return Ok(()),
            Err(error) => return Err(evals_fault(error)),
        };
        let answers: HashSet<CallId> = results.into_iter().filter_map(|result| result.call).collect();
        let mut filter =
            TraceFilter { eval_id: Some(run.to_string()), limit: AT_ONCE, ..TraceFilter::default() };
        for _ in 0..ROUNDS_MAX {
            let page = admin.traces.trace_find(&filter).map_err(store_fault)?;
            let is_other = |call: &CallId| !answers.contains(call);
            let calls: Vec<CallId> = page.rows.iter().map(|row| row.id).filter(is_other).collect();
            self.calls += cut_texts(admin, &calls)?;
            // What judges answered in these calls is kept for the next run.
            self.rows += admin.evals.eval_cut(&calls).map_err(evals_fault)?.rows;
            filter.before = page.next;
            if filter.before.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Rows, calls and cases.
    pub(super) fn told(self) -> (u64, u64, Vec<String>) {
        (self.rows, self.calls, self.cases.into_iter().collect())
    }
}

fn cut_texts(admin: &Admin, calls: &[CallId]) -> Result<u64, Fault> {
    let mut count = 0;
    for calls in calls.chunks(AT_ONCE as usize) {
        let cuts: Vec<_> = calls.iter().map(|call| (*call, Cut::Texts(TextsGone::Erased))).collect();
        count += admin.traces.cut(&cuts).map_err(store_fault)?;
    }
    Ok(count)
}

//! Who looks on while a run goes: a line on the terminal, and a question where it becomes dear.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use gauntlet_evals::{
    gate::Stopper,
    run::{
        Plan, Standing, Watch,
        estimate::{Estimate, Forecast},
    },
};
use gauntlet_ports::{EvalResult, EvalRun};
use gauntlet_types::NanoUsd;

use crate::show;

/// An estimate above this is asked about, on a terminal.
const ASK_ABOVE: NanoUsd = NanoUsd(1_000_000_000);
/// The line changes no more often: nobody reads faster.
const EVERY: Duration = Duration::from_millis(200);

pub(in crate::command) struct Onlooker {
    is_terminal: bool,
    /// Whether the estimate is told where nobody watches, too.
    tells_estimate: bool,
    does_not_ask: bool,
    begun: Instant,
    /// Answers that the run had when it began.
    had: usize,
    shown: Mutex<Option<Instant>>,
    stopper: Mutex<Option<(Stopper, Vec<EvalResult>)>>,
}

impl Onlooker {
    pub(super) fn new(plan: &Plan<'_>, forecast: &Forecast, yes: bool, stopper: Option<Stopper>) -> Onlooker {
        let had = plan.resume.iter().flat_map(|(_, had)| had).filter(|result| result.error.is_none()).count();
        let name = &plan.wanted.name;
        let cases = show::counted(plan.cases.len(), "case");
        eprintln!("{}: {cases} of {name}: {forecast}", plan.suite.name);
        // A verdict that comes early is of all results, those before a break too.
        let is_terminal = io::stderr().is_terminal();
        let before = plan.resume.as_ref().map(|(_, had)| had.clone()).unwrap_or_default();
        Onlooker {
            is_terminal,
            tells_estimate: true,
            does_not_ask: yes || !is_terminal || !io::stdin().is_terminal(),
            begun: Instant::now(),
            had,
            shown: Mutex::new(None),
            stopper: Mutex::new(stopper.map(|stopper| (stopper, before))),
        }
    }

    /// For a judge that rates what people have rated: it is told to somebody at a terminal and to nobody else, for what is read by a
    /// program is the comparison. It does not ask: the ratings are few, and their price is told.
    pub(in crate::command) fn of_ratings(
        judge: &str,
        kind: &str,
        plan: &Plan<'_>,
        calls_max: u64,
        is_json: bool,
    ) -> Onlooker {
        let is_terminal = io::stderr().is_terminal() && !is_json;
        if is_terminal {
            let rows = plan.cases.len();
            eprintln!(
                "{judge} rates {rows} rows by {kind}, anew: {calls_max} calls at most, twice as many if nobody understands it"
            );
        }
        Onlooker {
            is_terminal,
            tells_estimate: is_terminal,
            does_not_ask: true,
            begun: Instant::now(),
            had: 0,
            shown: Mutex::new(None),
            stopper: Mutex::new(None),
        }
    }

    /// Leaves the terminal's line to whoever comes next.
    pub(in crate::command) fn end(&self) {
        if self.is_terminal {
            eprint!("\r\u{1b}[K");
        }
    }

    fn left(&self, standing: &Standing) -> Duration {
        let done = standing.done.saturating_sub(self.had).max(1);
        let left = standing.total.saturating_sub(standing.done);
        self.begun.elapsed().mul_f64(left as f64 / done as f64)
    }
}

impl Watch for Onlooker {
    fn tell(&self, standing: &Standing) {
        if !self.is_terminal {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = standing.done == standing.total;
        if shown.is_some_and(|shown| shown.elapsed() < EVERY) && !is_last {
            return;
        }
        *shown = Some(Instant::now());
        let Standing { done, total, failed, errors, .. } = standing;
        let cost = standing.cost.plus(standing.judge_cost).as_usd();
        let left = self.left(standing).as_secs();
        eprint!(
            "\r\u{1b}[K{done} of {total}, {failed} failed, {errors} errors, ${cost:.4}, about {left} s left"
        );
        // A terminal that is gone is nothing to stop a run for.
        let _ = io::stderr().flush();
    }

    fn go_on(&self, estimate: &Estimate) -> bool {
        self.end();
        if self.tells_estimate {
            eprintln!("{estimate}");
        }
        if self.does_not_ask || estimate.cost <= ASK_ABOVE {
            return true;
        }
        eprint!("go on? [y/N] ");
        let _ = io::stderr().flush();
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
    }

    fn decided(&self, run: &EvalRun, batch: &[EvalResult]) -> Option<String> {
        let mut stopper = self.stopper.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopper, results) = stopper.as_mut()?;
        results.extend_from_slice(batch);
        let verdict = stopper.look(run, results)?;
        Some(format!("its verdict is certain already: {}", verdict.as_str()))
    }
}

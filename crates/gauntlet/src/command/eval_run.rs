//! `gauntlet eval run`: reads a suite, asks every case through the gateway, keeps and shows what came of it.
//!
//! What decides is in `gauntlet_evals`; here the files, the gateway, the terminal and the clock are put to it.

mod baseline;
mod brief;
mod keep;
mod known;
pub(super) mod onlooker;
mod told;

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use gauntlet_evals::{
    Case, Scorer, Suite,
    gate::{Stopper, find},
    judge, metrics,
    run::{self, Parts, Plan, Stop, candidate, candidate::Wanted, estimate::forecast},
    select::{Selection, select},
};
use gauntlet_ports::{EvalResult, EvalRun, EvalStore, RunState};
use gauntlet_types::{Name, NanoUsd};

use crate::{
    cli::{EvalRunArgs, Place},
    clock::SystemClock,
    evals_client::{Gateway, GatewayStore},
    suites,
};
use brief::Brief;
use keep::{Judgements, Shelf};
use known::Known;
use onlooker::Onlooker;

pub fn run(place: &Place, args: &EvalRunArgs) -> Result<ExitCode> {
    let path = suites::find(place, &args.suite)?;
    let mut suite = suites::good(&path)?;
    if let Some(concurrency) = args.concurrency {
        suite.concurrency = concurrency;
    }
    if let Some(budget) = &args.budget {
        let budget: NanoUsd = budget.parse().context("--budget")?;
        anyhow::ensure!(budget > NanoUsd::ZERO, "--budget {budget} leaves nothing to spend");
        suite.budget = Some(budget);
    }
    let scorers = metrics::make(&suite).map_err(|mistakes| suites::told(&mistakes))?;
    let lacking = metrics::lacking(&suite, &scorers);
    if lacking.iter().any(|mistake| !mistake.is_warning) {
        return Err(suites::told(&lacking));
    }
    suites::warn(&lacking);
    if args.dry_run {
        return dry_run(place, args, &suite, &scorers);
    }
    let app_sha = app_sha(args, &path);
    Gateway::with(place, |gateway| {
        let bench =
            Bench { place, args, suite: &suite, scorers: &scorers, gateway, store: gateway.store(), app_sha };
        bench.run()
    })
}

fn selection(args: &EvalRunArgs, is_fast: bool) -> Selection {
    Selection { is_fast, cases: args.cases.clone(), tags: args.tags.clone() }
}

fn dry_run(
    place: &Place,
    args: &EvalRunArgs,
    suite: &Suite,
    scorers: &[Box<dyn Scorer>],
) -> Result<ExitCode> {
    crate::end_with_the_reader();
    let selected = select(suite, &selection(args, args.fast)).map_err(anyhow::Error::msg)?;
    let wanted = Wanted::parse(args.candidate.as_deref(), args.model.as_deref(), suite, &|_| false)
        .map_err(anyhow::Error::msg)?;
    let plan = Plan {
        suite,
        cases: selected.cases,
        wanted,
        repeats: args.repeats.unwrap_or(suite.repeats),
        is_fast: args.fast,
        is_recorded: args.recorded,
        ..Plan::of(suite)
    };
    told::forecast(place, &plan, &forecast(&plan, scorers), selected.note.as_deref());
    Ok(ExitCode::SUCCESS)
}

/// The version of the application: as said, else GitHub's, else that of the working tree that the suite is in.
fn app_sha(args: &EvalRunArgs, suite: &Path) -> Option<Name> {
    let said =
        args.app_sha.clone().or_else(|| std::env::var("GITHUB_SHA").ok()).filter(|sha| !sha.is_empty());
    let of_git = || {
        let folder = suite.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let git = std::process::Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(["rev-parse", "HEAD"])
            .output()
            .ok()?;
        let sha = String::from_utf8(git.stdout).ok()?.trim().to_owned();
        (git.status.success() && !sha.is_empty()).then_some(sha)
    };
    said.or_else(of_git).map(Name::from)
}

/// All that the runs of one command share.
struct Bench<'a> {
    place: &'a Place,
    args: &'a EvalRunArgs,
    suite: &'a Suite,
    scorers: &'a [Box<dyn Scorer>],
    gateway: &'a Gateway,
    store: Arc<GatewayStore>,
    app_sha: Option<Name>,
}

impl Bench<'_> {
    fn run(&self) -> Result<ExitCode> {
        let known = Known::ask(self.place)?;
        let resume = self.resumed()?;
        let is_chosen = !self.args.cases.is_empty() || !self.args.tags.is_empty();
        let is_fast = self.args.fast || (!is_chosen && resume.as_ref().is_some_and(|(row, _)| row.is_fast));
        let selected = select(self.suite, &selection(self.args, is_fast)).map_err(anyhow::Error::msg)?;
        if let Some(note) = &selected.note {
            eprintln!("{note}");
        }
        let wanted = self.wanted(&known, resume.as_ref().map(|(row, _)| row))?;
        let repeats =
            resume.as_ref().map(|(row, _)| row.repeats).or(self.args.repeats).unwrap_or(self.suite.repeats);
        let app_sha = resume.as_ref().map_or_else(|| self.app_sha.clone(), |(row, _)| row.app_sha.clone());
        // Before the plan, which holds them.
        let beside: Vec<Case>;
        let mut plan = Plan {
            suite: self.suite,
            is_fast: is_fast || selected.cases.len() < self.suite.cases.len(),
            cases: selected.cases,
            wanted,
            repeats,
            is_recorded: self.args.recorded,
            app_sha,
            resume,
        };
        let find = known.finder();
        let mistakes = candidate::mistakes(&plan, &find);
        if !mistakes.is_empty() {
            return Err(suites::told(&mistakes));
        }
        let before = baseline::get(self, &known, &plan)?;
        if let Some((_, results)) = &before {
            // A judge that prefers one of two answers sees the baseline's.
            let mut cases: Vec<Case> = plan.cases.iter().map(|case| (*case).clone()).collect();
            judge::with_baseline(&mut cases, results);
            beside = cases;
            plan.cases = beside.iter().collect();
        }
        let (row, brief) = self.go(&plan, &known, before.as_ref())?;
        crate::end_with_the_reader();
        told::show(self, &row, &brief, before.as_ref())
    }

    fn resumed(&self) -> Result<Option<(EvalRun, Vec<EvalResult>)>> {
        let Some(id) = &self.args.resume else { return Ok(None) };
        let row = self.store.run_get(id)?;
        let results = self.store.result_list(id)?;
        Ok(Some((row, results)))
    }

    fn wanted(&self, known: &Known, resume: Option<&EvalRun>) -> Result<Wanted> {
        let (said, model) = (self.args.candidate.as_deref(), self.args.model.as_deref());
        let wanted = known.wanted(said, model, self.suite)?;
        match resume {
            // What the run tests need not be said again.
            Some(row) if said.is_none() && model.is_none() && row.candidate.name != wanted.name => {
                known.wanted(Some(&row.candidate.name), None, self.suite)
            }
            _ => Ok(wanted),
        }
    }

    /// Makes one run, to its end or until it is stopped.
    fn go(
        &self,
        plan: &Plan<'_>,
        known: &Known,
        before: Option<&(EvalRun, Vec<EvalResult>)>,
    ) -> Result<(EvalRun, Brief)> {
        let runner = self.gateway.runner()?;
        let former = plan.resume.as_ref().map_or(&[][..], |(_, former)| former);
        let shelf = Shelf::new(Arc::clone(&self.store), former);
        let judgements = Judgements { runner: Arc::clone(&runner), is_fresh: self.args.no_judge_cache };
        let stopper = match before {
            Some((row, results)) => {
                let standings = find::standings(&*self.store, self.suite)?;
                Stopper::new(self.suite, row.clone(), results.clone(), standings)
            }
            None => None,
        };
        let watch = Onlooker::new(plan, &forecast(plan, self.scorers), self.args.yes, stopper);
        let (clock, stop) = (SystemClock::new(), Stop::default());
        let find = known.finder();
        let parts = Parts {
            runner: &*runner,
            scorers: self.scorers,
            cache: &judgements,
            sink: &shelf,
            clock: &clock,
            prompts: &find,
            stop: &stop,
            watch: &watch,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let row = runtime.block_on(async {
            tokio::select! {
                row = run::run(plan, &parts) => row.map_err(anyhow::Error::from),
                error = interrupts(&stop) => Err(error),
            }
        });
        watch.end();
        Ok((row?, shelf.into_brief()))
    }
}

/// Tells the run of every Ctrl-C and SIGTERM, for ever. What comes back is why it cannot.
async fn interrupts(stop: &Stop) -> anyhow::Error {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(term), Ok(int)) => (term, int),
        (Err(error), _) | (_, Err(error)) => {
            return anyhow::Error::new(error).context("signals cannot be heard");
        }
    };
    loop {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        let again = if stop.is_asked() { "" } else { " (again to wait for none)" };
        eprintln!("\nstopping: answers under way are waited for and kept{again}");
        stop.ask();
    }
}

/// The code of a run by itself; a gate has its own.
fn code_of(row: &EvalRun, has_answers: bool) -> u8 {
    match row.state {
        RunState::Done if row.errors < row.cases => 0,
        // Nothing was found out of the candidate.
        RunState::Done => 1,
        RunState::Stopped if has_answers => 1,
        RunState::Stopped | RunState::Running => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_says_whether_anything_was_found_out() {
        let check = |state: RunState, errors: u32, has_answers: bool, code: u8| {
            let row = EvalRun { state, cases: 2, errors, ..EvalRun::default() };
            assert_eq!(code_of(&row, has_answers), code, "{state:?}, {errors} errors");
        };
        check(RunState::Done, 0, true, 0);
        check(RunState::Done, 1, true, 0);
        check(RunState::Done, 2, false, 1);
        check(RunState::Stopped, 1, true, 1);
        check(RunState::Stopped, 0, false, 2);
        check(RunState::Running, 1, true, 2);
    }
}

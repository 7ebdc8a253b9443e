//! A run: every case of a suite is asked, the answers are scored, and what came of it is kept as it comes.
//!
//! [`run`] decides what is asked next and when it ends; [`answer`] does one case; [`pace`] holds all calls, judges' too, to what
//! the gateway and the providers bear. A run never fails for one case: what cannot be answered or scored says why, and the rest
//! goes on. It ends early by its budget, by an early verdict, by a person, or when nothing at all can be answered.

mod answer;
pub mod candidate;
pub mod estimate;
mod keep;
mod pace;
mod stop;
mod tally;
mod units;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use gauntlet_ports::{Candidate, Clock, EvalResult, EvalRun, RunState, Runner};
use gauntlet_prompts::Prompt;
use gauntlet_types::{Name, NanoUsd, Timestamp};
use thiserror::Error;

use crate::{Case, JudgeCache, Scorer, Suite, suite};
use answer::Work;
use candidate::Wanted;
use estimate::Estimate;
use keep::Keeper;
use pace::Paced;
use tally::Tally;
use units::Unit;

pub use keep::Sink;
pub use stop::Stop;
pub use tally::Standing;

/// Cases under way for each call that may be: one is asked while others are scored.
const WINDOW_FACTOR: usize = 2;
/// Answers are kept so often at least: what a crash may lose.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// After being asked to stop, answers under way get so long to arrive: they are paid for.
const GRACE: Duration = Duration::from_secs(20);

/// What a run is to do.
#[derive(Debug)]
pub struct Plan<'a> {
    pub suite: &'a Suite,
    /// In their order; see [`crate::select::select`].
    pub cases: Vec<&'a Case>,
    pub wanted: Wanted,
    pub repeats: u32,
    pub is_fast: bool,
    /// Score the answers that the cases bring along, and ask nothing but judges.
    pub is_recorded: bool,
    pub app_sha: Option<Name>,
    /// A run to go on with, and what it has.
    pub resume: Option<(EvalRun, Vec<EvalResult>)>,
}

impl<'a> Plan<'a> {
    /// All cases of a suite as often as it says, and nothing chosen yet.
    pub fn of(suite: &'a Suite) -> Plan<'a> {
        Plan {
            suite,
            cases: suite.cases.iter().collect(),
            wanted: Wanted::default(),
            repeats: suite.repeats,
            is_fast: false,
            is_recorded: false,
            app_sha: None,
            resume: None,
        }
    }
}

/// What a run is done with. Everything of the outside world is handed in.
pub struct Parts<'a> {
    pub runner: &'a dyn Runner,
    pub scorers: &'a [Box<dyn Scorer>],
    pub cache: &'a dyn JudgeCache,
    pub sink: &'a dyn Sink,
    pub clock: &'a dyn Clock,
    /// A prompt by its reference, where it is known here.
    pub prompts: &'a (dyn Fn(&str) -> Option<Arc<Prompt>> + Sync),
    pub stop: &'a Stop,
    pub watch: &'a dyn Watch,
}

/// Who looks on, and may have a say.
pub trait Watch: Sync {
    /// After every case.
    fn tell(&self, _standing: &Standing) {}

    /// After the first few cases, which belong to the run. `false` ends it there.
    fn go_on(&self, _estimate: &Estimate) -> bool {
        true
    }

    /// After each batch that was kept, with it and the run as it stands: why it may end, its verdict being certain.
    fn decided(&self, _run: &EvalRun, _batch: &[EvalResult]) -> Option<String> {
        None
    }
}

/// Nobody looks on.
pub struct Unwatched;

impl Watch for Unwatched {}

#[derive(Debug, Error)]
pub enum RunError {
    #[error("the results cannot be kept: {0}")]
    NotKept(String),
    #[error("run `{run}` cannot go on: {why}; start a new one without --resume")]
    CannotResume { run: Name, why: String },
}

/// Runs to the end, or to where it must stop. The row that comes back was kept last.
///
/// Errors: the sink keeps failing, or the run that shall go on was another one. What was kept before stays, and can be gone on
/// with.
pub async fn run(plan: &Plan<'_>, parts: &Parts<'_>) -> Result<EvalRun, RunError> {
    let mut course = Course::begin(plan, parts)?;
    course.keeper.row(&course.row).await?;
    let paced = Paced::new(parts, plan.suite);
    let work = Work::new(plan, parts, &paced, course.row.id.clone(), course.row.candidate.clone());
    let units = course.units();
    let ended = course.go(&units, &work).await;
    // Whatever ended it: what arrived is kept.
    let kept = course.finish(ended, &work).await;
    kept.map(|()| course.row)
}

/// Why no further case is begun.
enum End {
    Done,
    Stopped(String),
    /// Nothing was decided: the gateway is gone. It can be gone on with.
    Broken(String),
    NotKept(RunError),
}

/// A run under way.
struct Course<'a> {
    plan: &'a Plan<'a>,
    parts: &'a Parts<'a>,
    row: EvalRun,
    tally: Tally,
    keeper: Keeper<'a>,
    /// (case, repeat) that a former part of the run has answered.
    had: HashSet<(Name, u32)>,
}

impl<'a> Course<'a> {
    fn begin(plan: &'a Plan<'a>, parts: &'a Parts<'a>) -> Result<Course<'a>, RunError> {
        let mut tally = Tally::new(&plan.suite.metrics, parts.scorers, &plan.cases, plan.repeats);
        let mut had = HashSet::new();
        let row = match &plan.resume {
            None => new_row(plan, parts.clock),
            Some((row, results)) => {
                fits(plan, row)?;
                let wanted: HashSet<&Name> = plan.cases.iter().map(|case| &case.id).collect();
                // What failed is asked again: it may have been the reason for stopping.
                let good =
                    results.iter().filter(|result| result.error.is_none() && wanted.contains(&result.case));
                for result in good {
                    tally.add(result);
                    had.insert((result.case.clone(), result.repeat));
                }
                tally.judged(row.judge_calls, row.judge_cached);
                EvalRun { state: RunState::Running, why: None, ended: None, ..row.clone() }
            }
        };
        Ok(Course { plan, parts, row, tally, keeper: Keeper::new(parts.sink), had })
    }

    /// What is to be done, the first answers of all cases before the second of any.
    fn units(&self) -> Vec<Unit> {
        let mut cases: Vec<usize> = (0..self.plan.cases.len()).collect();
        if self.plan.suite.gate.sequential {
            // Who stops early must have seen cases of all parts of the dataset.
            cases.sort_by_cached_key(|case| crate::hash::sha256(&self.plan.cases[*case].id));
        }
        let repeats = 0..self.plan.repeats.max(1);
        let all = repeats.flat_map(|repeat| cases.iter().map(move |case| (*case, repeat)));
        all.filter(|(case, repeat)| !self.had.contains(&(self.plan.cases[*case].id.clone(), *repeat)))
            .collect()
    }

    async fn go(&mut self, units: &[Unit], work: &Work<'_>) -> End {
        let probe = units::probe(units, &self.plan.cases);
        let (first, rest) = units::parted(units, &probe);
        // The first alone: it tells which version a label stands for, which the others then ask by its number, and what a case
        // costs, without which no budget can stop the second.
        for part in [&first[..first.len().min(1)], &first[first.len().min(1)..]] {
            if let Some(end) = self.stretch(part, work).await {
                return end;
            }
        }
        if rest.is_empty() {
            return End::Done;
        }
        let estimate = self.tally.estimate(rest.len(), self.plan.suite.budget);
        if !self.parts.watch.go_on(&estimate) {
            return End::Stopped("stopped at its estimate".to_owned());
        }
        self.stretch(&rest, work).await.unwrap_or(End::Done)
    }

    /// Does these units; none when all of them are done.
    async fn stretch(&mut self, units: &[Unit], work: &Work<'_>) -> Option<End> {
        let window = (self.plan.suite.concurrency.max(1) as usize) * WINDOW_FACTOR;
        let mut under_way: FuturesUnordered<LocalBoxFuture<'_, answer::Done>> = FuturesUnordered::new();
        let mut units = units.iter();
        let mut left = units.len();
        let mut tick = tokio::time::interval(FLUSH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut end: Option<End> = None;
        let mut grace = None;
        while left > 0 {
            while end.is_none() && under_way.len() < window && self.keeper.has_room() {
                end = self.end(work, under_way.len());
                if end.is_some() {
                    break;
                }
                let Some((case, repeat)) = units.next() else { break };
                under_way.push(Box::pin(work.unit(self.plan.cases[*case], *repeat)));
            }
            if end.is_some() && under_way.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                // In the order of how rare they are: a flood of answers must keep nobody else waiting.
                kept = self.keeper.progress(), if self.keeper.is_busy() => {
                    match kept {
                        Ok(batch) => if end.is_none() && let Some(why) = self.parts.watch.decided(&self.row, &batch) {
                            end = Some(End::Stopped(why));
                        },
                        Err(error) => return Some(End::NotKept(error)),
                    }
                }
                _ = self.parts.stop.hurried() => break,
                _ = over(&mut grace) => break,
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    left -= 1;
                    self.take(done);
                    if end.is_none() {
                        end = self.end(work, under_way.len());
                    }
                }
                _ = tick.tick() => self.keeper.push(self.current(work)),
                _ = self.parts.stop.asked(), if end.is_none() => end = self.end(work, under_way.len()),
            }
            if self.keeper.is_full() {
                self.keeper.push(self.current(work));
            }
            if grace.is_none() && self.parts.stop.is_asked() {
                grace = Some(Box::pin(tokio::time::sleep(GRACE)));
            }
        }
        end
    }

    /// Whether no further case may begin, with so many under way.
    fn end(&self, work: &Work<'_>, under_way: usize) -> Option<End> {
        if self.parts.stop.is_asked() {
            return Some(End::Stopped("stopped by a person".to_owned()));
        }
        if let Some(end) = work.paced.ended() {
            return Some(match end {
                pace::Ended::Refused(why) => End::Stopped(why),
                pace::Ended::Gone(why) => End::Broken(why),
            });
        }
        let budget = self.plan.suite.budget?;
        let spent = self.spent(work);
        // Those under way have yet to spend what a case spends.
        let foreseen = spent.plus(NanoUsd(self.tally.case_cost().0.saturating_mul(under_way as i64)));
        (foreseen >= budget).then(|| {
            let why = format!(
                "its budget of ${budget} is used up: ${spent} are spent, and {under_way} cases under way"
            );
            End::Stopped(why)
        })
    }

    /// By this run and its former parts.
    fn spent(&self, work: &Work<'_>) -> NanoUsd {
        let former =
            self.plan.resume.as_ref().map_or(NanoUsd::ZERO, |(row, _)| row.cost.plus(row.judge_cost));
        former.plus(work.paced.spent())
    }

    fn take(&mut self, done: answer::Done) {
        self.tally.judged(done.judge_calls, done.judge_cached);
        let Some(result) = done.result else { return };
        if self.row.candidate.prompt.is_none() {
            self.row.candidate.prompt = done.prompt;
        }
        self.tally.add(&result);
        self.keeper.add(result);
        self.parts.watch.tell(&self.tally.standing());
    }

    /// The row as it is now.
    fn current(&self, work: &Work<'_>) -> EvalRun {
        let mut row = self.row.clone();
        self.tally.fill(&mut row);
        // What no result holds was spent as well: answers that were dropped when the run ended.
        let spent = self.spent(work);
        let told = row.cost.plus(row.judge_cost);
        row.cost = row.cost.plus(spent.minus(told).max(NanoUsd::ZERO));
        row
    }

    async fn finish(&mut self, end: End, work: &Work<'_>) -> Result<(), RunError> {
        let (state, why) = match end {
            End::Done => (RunState::Done, None),
            End::Stopped(why) => (RunState::Stopped, Some(why)),
            End::Broken(why) => (RunState::Running, Some(why)),
            End::NotKept(error) => return Err(error),
        };
        let mut row = self.current(work);
        self.tally.metrics(&mut row);
        row.state = state;
        row.why = why;
        row.ended = Some(self.parts.clock.now());
        self.row = row.clone();
        self.keeper.finish(&row).await
    }
}

/// Never, where nobody is waited for any more.
async fn over(grace: &mut Option<std::pin::Pin<Box<tokio::time::Sleep>>>) {
    match grace {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}

/// Of chosen cases in their order: runs with the same one asked the same.
pub fn dataset_hash(cases: &[&Case]) -> Name {
    suite::dataset_hash(cases.iter().copied())
}

fn new_row(plan: &Plan<'_>, clock: &dyn Clock) -> EvalRun {
    let suite = plan.suite;
    let started = clock.now();
    EvalRun {
        id: run_id(&suite.name, started, clock.chance()),
        suite: suite.name.clone(),
        suite_hash: suite.hash.clone(),
        dataset_hash: dataset_hash(&plan.cases),
        app_sha: plan.app_sha.clone(),
        route: suite.route.clone(),
        candidate: Candidate {
            name: plan.wanted.name.clone(),
            model: plan.wanted.model.clone(),
            prompt: None,
        },
        is_fast: plan.is_fast,
        cases: plan.cases.len() as u32,
        repeats: plan.repeats.max(1),
        state: RunState::Running,
        started,
        ..EvalRun::default()
    }
}

/// `support-20261122T101500-3f9a2c`: sorts by time within its suite, and no two are the same.
fn run_id(suite: &str, now: Timestamp, chance: f64) -> Name {
    let time = now.to_string();
    let time: String = time
        .chars()
        .take_while(|letter| *letter != '.')
        .filter(|letter| !matches!(letter, '-' | ':'))
        .collect();
    let random = (chance.clamp(0.0, 1.0) * f64::from(0xff_ffff_u32)) as u32;
    format!("{suite}-{time}-{random:06x}").into()
}

/// Whether going on with this run makes one run of both parts.
fn fits(plan: &Plan<'_>, row: &EvalRun) -> Result<(), RunError> {
    let suite = plan.suite;
    let why = if row.suite != suite.name {
        format!("it is of suite `{}`, not `{}`", row.suite, suite.name)
    } else if row.state == RunState::Done && row.errors == 0 {
        "it is done, and no case of it is in error".to_owned()
    } else if row.suite_hash != suite.hash {
        "the suite has changed since".to_owned()
    } else if row.dataset_hash != dataset_hash(&plan.cases) {
        "its cases have changed since, or others are chosen".to_owned()
    } else if row.candidate.name != plan.wanted.name {
        format!("it tests `{}`, not `{}`", row.candidate.name, plan.wanted.name)
    } else if row.repeats != plan.repeats.max(1) {
        format!("it has {} repeats, not {}", row.repeats, plan.repeats.max(1))
    } else {
        return Ok(());
    };
    Err(RunError::CannotResume { run: row.id.clone(), why })
}

#[cfg(test)]
pub(crate) mod tests;

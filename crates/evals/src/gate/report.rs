//! What a gate says: plain values that are printed, kept and read again.
//!
//! `gauntlet gate --json` prints a [`GateReport`] as it is, and the store keeps the same. Its shape is documented in
//! `docs/release-gates.md`; fields are added, never renamed.

pub mod junit;
pub mod markdown;
pub mod table;
#[cfg(test)]
mod tests;
pub mod text;

use gauntlet_ports::{Direction, EvalRun, RunState, Verdict};
use gauntlet_types::{CallId, Name, NanoUsd, PromptRef, Timestamp};
use serde::{Deserialize, Serialize};

pub use junit::{Inconclusive, junit};
pub use markdown::{MARKDOWN_MAX, markdown, marker};
pub use table::{Align, table};
pub use text::{Look, compared, moved, p_value, signed, text};

/// The shape of a report; a reader refuses another.
pub const FORMAT: &str = "gauntlet.gate/1";

/// Cases that a report lists as worse or better. The store keeps the whole report, and a reader wants the worst.
pub const CHANGES_MAX: usize = 100;

/// Names of a list that is told in a report.
pub const NAMES_MAX: usize = 20;

/// What a gate holds a run to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Every case of the run was asked.
    Complete,
    /// Cases without an answer.
    Errors,
    /// Cases whose answer a metric could not score.
    Unscored,
    /// The mean of a metric against its floor.
    Floor,
    /// A metric against the baseline.
    Regression,
    /// A metric against the runs of the last days.
    Trend,
    Cost,
    Latency,
    /// What guards and policy metrics found that they did not find in the baseline's answers.
    Violations,
}

impl CheckKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckKind::Complete => "complete",
            CheckKind::Errors => "errors",
            CheckKind::Unscored => "unscored",
            CheckKind::Floor => "floor",
            CheckKind::Regression => "regression",
            CheckKind::Trend => "trend",
            CheckKind::Cost => "cost",
            CheckKind::Latency => "latency",
            CheckKind::Violations => "violations",
        }
    }
}

/// What a p-value supposes to be true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PValueOf {
    /// The candidate is worse by the margin or more; a small one lets it pass.
    AtMargin,
    /// The candidate is no worse; a small one fails it.
    NoWorse,
    /// Nothing changed, either way.
    NoChange,
}

impl PValueOf {
    pub const fn as_str(self) -> &'static str {
        match self {
            PValueOf::AtMargin => "at margin",
            PValueOf::NoWorse => "no worse",
            PValueOf::NoChange => "no change",
        }
    }
}

/// One thing that was checked, with the numbers it was decided by.
///
/// Regressions and trends are differences, turned so that more is better; cost and latency are ratios to the baseline;
/// errors and unscored are shares; floors are means as they are scored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Check {
    pub kind: CheckKind,
    pub metric: Option<Name>,
    /// Of the metric; where lower is better, a floor is the most that is allowed.
    #[serde(default)]
    pub direction: Direction,
    pub verdict: Verdict,
    /// In one sentence, with the numbers.
    pub reason: String,
    /// What was measured.
    pub value: Option<f64>,
    /// What it is held to.
    pub limit: Option<f64>,
    /// The two bounds that the verdict was made by; each is one-sided at the gate's error rate.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Cases, and independent groups of them.
    pub n: u32,
    pub clusters: Option<u32>,
    pub p_value: Option<f64>,
    /// What it is the chance under.
    #[serde(default)]
    pub p_value_of: Option<PValueOf>,
    /// The smallest drop that so many cases show four times out of five.
    pub detectable: Option<f64>,
    /// So many further cases would probably decide.
    pub more_cases: Option<u32>,
    /// Or so many answers to each of the same cases.
    pub more_repeats: Option<u32>,
    /// The means of both sides, as they are scored.
    pub candidate: Option<f64>,
    pub baseline: Option<f64>,
}

impl Check {
    pub(crate) fn new(kind: CheckKind, metric: Option<&Name>, verdict: Verdict, reason: String) -> Check {
        Check {
            kind,
            metric: metric.cloned(),
            direction: Direction::default(),
            verdict,
            reason,
            value: None,
            limit: None,
            low: None,
            high: None,
            n: 0,
            clusters: None,
            p_value: None,
            p_value_of: None,
            detectable: None,
            more_cases: None,
            more_repeats: None,
            candidate: None,
            baseline: None,
        }
    }

    /// `faithfulness: regression`, `cost`: unique in a report.
    pub fn title(&self) -> String {
        match &self.metric {
            Some(metric) => format!("{metric}: {}", self.kind.as_str()),
            None => self.kind.as_str().to_owned(),
        }
    }
}

/// A run, in short.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunFacts {
    pub id: Name,
    /// What was tested, as people name it.
    pub candidate: Name,
    pub prompt: Option<PromptRef>,
    pub model: Option<Name>,
    pub app_sha: Option<Name>,
    pub route: Option<Name>,
    pub suite_hash: Name,
    pub dataset_hash: Name,
    pub is_fast: bool,
    pub state: RunState,
    pub cases: u32,
    pub repeats: u32,
    pub cost: NanoUsd,
    pub judge_cost: NanoUsd,
    pub judge_calls: u32,
    pub judge_cached: u32,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
}

impl From<&EvalRun> for RunFacts {
    fn from(run: &EvalRun) -> RunFacts {
        RunFacts {
            id: run.id.clone(),
            candidate: run.candidate.name.clone(),
            prompt: run.candidate.prompt.clone(),
            model: run.candidate.model.clone(),
            app_sha: run.app_sha.clone(),
            route: run.route.clone(),
            suite_hash: run.suite_hash.clone(),
            dataset_hash: run.dataset_hash.clone(),
            is_fast: run.is_fast,
            state: run.state,
            cases: run.cases,
            repeats: run.repeats,
            cost: run.cost,
            judge_cost: run.judge_cost,
            judge_calls: run.judge_calls,
            judge_cached: run.judge_cached,
            started: run.started,
            ended: run.ended,
        }
    }
}

/// Names, the first of them told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Names {
    pub count: u32,
    /// At most [`NAMES_MAX`].
    pub first: Vec<Name>,
}

impl Names {
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a Name>) -> Names {
        let mut told = Names::default();
        for name in names {
            told.count += 1;
            if told.first.len() < NAMES_MAX {
                told.first.push(name.clone());
            }
        }
        told
    }
}

/// Which cases were compared.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Compared {
    pub both: u32,
    pub only_candidate: Names,
    pub only_baseline: Names,
    /// Asked something else, or expecting something else, in the two runs: not compared.
    pub changed: Names,
}

/// What became of one case in one metric, from one run to the other.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct CaseChange {
    pub case: Name,
    pub metric: Name,
    pub direction: Direction,
    pub baseline: f64,
    pub candidate: f64,
    /// Turned so that more is better.
    pub change: f64,
    /// The traces of the answers.
    pub call: Option<CallId>,
    pub baseline_call: Option<CallId>,
    /// Texts in short.
    pub input: Option<String>,
    pub expected: Option<String>,
    pub output: Option<String>,
    pub baseline_output: Option<String>,
    /// The scorer's, of the candidate's answer; or why there is none.
    pub reason: Option<String>,
}

/// What a gate said of a run, and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GateReport {
    /// [`FORMAT`].
    pub format: Name,
    pub verdict: Verdict,
    /// In one sentence.
    pub summary: String,
    pub suite: Name,
    pub run: RunFacts,
    pub baseline: Option<RunFacts>,
    /// `non_inferiority` or `p_value`.
    pub rule: Name,
    pub margin: f64,
    pub alpha: f64,
    pub compared: Option<Compared>,
    pub checks: Vec<Check>,
    /// (case, metric) pairs that became worse and better; with a baseline alone.
    pub worse: u32,
    pub better: u32,
    /// The worst of them first.
    pub regressions: Vec<CaseChange>,
    /// What a reader must know to believe the verdict.
    pub notes: Vec<String>,
}

/// The verdict of checks together: fail if any fails, else inconclusive if any is, else pass. Of none: inconclusive.
pub fn verdict_of<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Verdict {
    let mut verdict = None;
    for check in checks {
        verdict = Some(match (verdict, check.verdict) {
            (Some(Verdict::Fail), _) | (_, Verdict::Fail) => Verdict::Fail,
            (Some(Verdict::Inconclusive), _) | (_, Verdict::Inconclusive) => Verdict::Inconclusive,
            (_, Verdict::Pass) => Verdict::Pass,
        });
    }
    verdict.unwrap_or(Verdict::Inconclusive)
}

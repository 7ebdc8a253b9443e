//! A suite as it was read and found good: what is asked of whom, how it is scored, and what a gate holds it to.
//!
//! ```yaml
//! suite: support                       # evals/support.yaml
//! description: Answers of the support desk
//! dataset: support.jsonl               # beside it; or a list
//! vars: {locale: en}                   # of every case that does not say them itself
//! route: support_bot                   # whose guards and prompt are tested; optional
//! prompt: support-agent                # the candidate's version is chosen by --candidate
//! model: openai/gpt-4o-mini            # none: that of the prompt or route
//! params: {temperature: 0}
//! repeats: 1
//! concurrency: 8
//! answer_limit: 2m                     # longest wait for an answer, and for each score of it
//! score_limit: 3m
//! fast: 20                             # cases of `--fast` where none is tagged `fast`
//! budget_usd: 2.00                     # the run stops before it spends more, judges included
//! golden: sha256:4f2c…                 # of the golden cases; a change is refused unless declared here
//! judge: {model: openai/gpt-4o, samples: 1}
//! metrics:
//!   - exact                            # a name alone
//!   - contains: {value: "{{ expected }}", floor: 0.9}
//!   - faithfulness: {floor: 0.85, margin: 0.03}
//! gate: {baseline: production, margin: 0.03, cost: 1.15, latency: 1.25, trend: {drop: 0.05, days: 7}}
//! ```

mod gate;
mod metric;
mod read;

use std::time::Duration;

use gauntlet_types::{Name, NanoUsd};
use serde_json::{Map, Value};

use crate::Case;

pub(crate) use read::dataset_hash;
pub use read::{Load, Reading, SUITE_BYTES_MAX, read};

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Suite {
    pub name: Name,
    /// The file it was read from.
    pub file: String,
    pub description: Option<String>,
    /// SHA-256 of the suite in its canonical form, hexadecimal: layout and comments do not count.
    pub hash: Name,
    pub route: Option<Name>,
    /// The prompt's name, with or without `@version` or `@label`.
    pub prompt: Option<Name>,
    pub model: Option<Name>,
    /// Fields of every body: `temperature`, `max_tokens`, `seed`.
    pub params: Map<String, Value>,
    /// Variables of every case that does not say them itself.
    pub vars: Map<String, Value>,
    /// Answers to each case.
    pub repeats: u32,
    /// Calls under way at once.
    pub concurrency: u32,
    /// Longest wait for one answer; zero for [`Suite::ANSWER_LIMIT`].
    pub answer_limit: Duration,
    /// Longest wait for one score of it, judges' calls included but for the time in which they wait for their turn; zero for [`Suite::SCORE_LIMIT`].
    pub score_limit: Duration,
    /// Cases of a fast run where none is tagged `fast`; 0 for [`Suite::FAST_CASES`].
    pub fast: u32,
    pub budget: Option<NanoUsd>,
    pub judge: Option<JudgeSpec>,
    pub metrics: Vec<MetricSpec>,
    pub gate: GateSpec,
    /// The datasets' files, as messages name them.
    pub datasets: Vec<String>,
    /// What the golden cases must hash to, without `sha256:`.
    pub golden: Option<Name>,
    /// All cases of all datasets, in their order, ids unique.
    pub cases: Vec<Case>,
}

impl Suite {
    /// A reasoning model may think for a minute; whoever waits longer says so.
    pub const ANSWER_LIMIT: Duration = Duration::from_secs(120);
    /// Several judges' calls in a row, each as slow as an answer may be.
    pub const SCORE_LIMIT: Duration = Duration::from_secs(180);
    pub const FAST_CASES: u32 = 20;
    pub const CONCURRENCY: u32 = 8;

    /// The prompt's name alone, without `@version` or `@label`.
    pub fn prompt_name(&self) -> Option<&str> {
        self.prompt.as_deref().map(|prompt| prompt.split_once('@').map_or(prompt, |(name, _)| name))
    }
}

/// Who judges where a metric does not say it itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct JudgeSpec {
    pub model: Name,
    /// Draws whose median counts; 1 unless said.
    pub samples: u32,
    /// For `similar` and answer relevancy.
    pub embedding_model: Option<Name>,
    pub params: Map<String, Value>,
    /// A calibration that must stand: kappa's or rho's lower bound at least this, over at least 50 human ratings.
    pub min_agreement: Option<f64>,
}

/// A metric of a suite: its kind, and what it was told.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MetricSpec {
    /// Unique in the suite; the kind unless `name` says otherwise.
    pub name: Name,
    /// `exact`, `contains`, `faithfulness`, …
    pub kind: Name,
    /// Everything else that stands there, for the scorer; unknown fields are mistakes, told with the line.
    pub options: Map<String, Value>,
    /// A case passes when its score is at least this (at most, where lower is better).
    pub threshold: Option<f64>,
    /// The mean must be at least this (at most, where lower is better) for the gate to pass.
    pub floor: Option<f64>,
    /// How much worse than the baseline is still as good; the gate's own unless said.
    pub margin: Option<f64>,
    /// Whether the gate looks at it. Latency and cost are looked at by ratio instead.
    pub gates: bool,
    pub line: usize,
}

/// What a gate holds a run to. Defaults are those of [`GateSpec::default`].
#[derive(Clone, PartialEq, Debug)]
pub struct GateSpec {
    pub baseline: BaselineSpec,
    /// Non-inferiority margin, in points of the metric.
    pub margin: f64,
    /// One-sided error rate over all metrics of the gate together.
    pub alpha: f64,
    /// Cost at most so many times the baseline's.
    pub cost: Option<f64>,
    /// Latency (median) at most so many times the baseline's.
    pub latency: Option<f64>,
    pub trend: Option<TrendSpec>,
    /// No more guardrail blocks or policy violations than the baseline's.
    pub violations: bool,
    /// `non_inferiority`, or the founding document's `p_value` (pass when p > 0.05).
    pub rule: Name,
    /// Stop a run early once its verdict is certain, error rates kept.
    pub sequential: bool,
    pub line: usize,
}

impl Default for GateSpec {
    fn default() -> GateSpec {
        GateSpec {
            baseline: BaselineSpec::Last,
            margin: 0.03,
            alpha: 0.05,
            cost: Some(1.15),
            latency: None,
            trend: Some(TrendSpec { drop: 0.05, days: 7 }),
            violations: true,
            rule: "non_inferiority".into(),
            sequential: false,
            line: 0,
        }
    }
}

/// Which run is compared with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum BaselineSpec {
    /// Floors alone.
    None,
    /// The newest finished run of the same suite and cases that passed its gate, whatever it tested.
    #[default]
    Last,
    /// Of the version that a label of the suite's prompt points to: `production`.
    Label(Name),
    AppSha(Name),
    Run(Name),
}

#[derive(Clone, PartialEq, Debug)]
pub struct TrendSpec {
    /// Points.
    pub drop: f64,
    pub days: u32,
}

#[cfg(test)]
mod tests;

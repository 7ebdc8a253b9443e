//! Evals: what a runner asks of the gateway, and what is kept of a run.
//!
//! A run's id is the `eval_id` of all its calls, judges' included, so that results and traces join by plain SQL.

use std::fmt;

use futures_util::future::BoxFuture;
use gauntlet_types::{CallId, Name, NanoUsd, PromptRef, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// Where an [`Ask`] goes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    Chat,
    Embeddings,
}

/// One call of a run. It passes the same pipeline as an application's, in the environment `eval`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    pub kind: AskKind,
    /// As at `/v1/chat/completions` or `/v1/embeddings`, `model` included; a stored prompt is named by its field
    /// `gauntlet: {"prompt": "name@version", "variables": {…}}`.
    pub body: Map<String, Value>,
    pub route: Option<Name>,
    pub eval_id: Name,
    pub app_sha: Option<Name>,
    /// The prompt that the messages of the body were rendered from by the runner itself (a judge's), for the record.
    pub prompt: Option<PromptRef>,
    /// A judge is shown what guards stop, so none looks at its call.
    pub is_judge: bool,
}

/// What came of an [`Ask`], a refusal included.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Told {
    pub call: Option<CallId>,
    /// As the caller of the door would see it.
    pub status: u16,
    /// As the door answers: an answer, or an error in OpenAI's shape.
    pub body: Value,
    pub cost: NanoUsd,
    pub latency_us: u64,
    /// `provider/model` that answered.
    pub model: Option<Name>,
    pub prompt: Option<PromptRef>,
    /// What the guards decided: `allow`, `redact`, `flag`, `block`.
    pub decision: Name,
    /// `miss`, `exact` or `semantic`.
    pub cache: Name,
    /// When asking again may help, of a refusal that says so (`rate_limited`, `overloaded`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Told {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The words of the first choice.
    pub fn text(&self) -> &str {
        self.body["choices"][0]["message"]["content"].as_str().unwrap_or_default()
    }

    /// The stable code of a refusal.
    pub fn error_code(&self) -> Option<&str> {
        self.body["error"]["code"].as_str()
    }

    pub fn error_message(&self) -> Option<&str> {
        self.body["error"]["message"].as_str()
    }

    /// Of prompt and of completion, as the door's `usage` says them.
    pub fn tokens(&self) -> (u64, u64) {
        let of = |name: &str| self.body["usage"][name].as_u64().unwrap_or(0);
        (of("prompt_tokens"), of("completion_tokens"))
    }
}

/// The gateway could not be asked at all; what it refuses is a [`Told`].
#[derive(Debug, Error)]
#[error("the gateway cannot be asked: {0}")]
pub struct RunnerError(pub String);

/// Makes calls through the pipeline, as many at once as it is asked for.
pub trait Runner: Send + Sync {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Told, RunnerError>>;
}

/// What was tested.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Candidate {
    /// As people name it: `support-agent@1.3.0`, `openai/gpt-4o-mini`, or both joined by ` on `.
    pub name: Name,
    /// Alias or `provider/model`; none for that of the prompt or route.
    pub model: Option<Name>,
    /// The version and its hash are those that answered, even where a label was asked for.
    pub prompt: Option<PromptRef>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Under way, or broken off: it can be resumed.
    #[default]
    Running,
    Done,
    /// Ended before its last case: by its budget, by an early verdict, or by a person.
    Stopped,
}

impl RunState {
    pub const ALL: [RunState; 3] = [RunState::Running, RunState::Done, RunState::Stopped];

    pub const fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Done => "done",
            RunState::Stopped => "stopped",
        }
    }

    pub fn parse(text: &str) -> Option<RunState> {
        RunState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    #[default]
    HigherIsBetter,
    LowerIsBetter,
}

/// A metric over the cases of a run. Cases without a score are counted, never taken for 0.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct MetricSummary {
    pub metric: Name,
    /// Which formula: `ragas/0.4:faithfulness`, `gauntlet/1:contains`.
    pub implementation: Name,
    pub direction: Direction,
    /// Of the means of the cases; none where nothing was scored.
    pub mean: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    pub scored: u32,
    pub unscored: u32,
}

/// One run of a suite against one candidate.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct EvalRun {
    /// The `eval_id`: `<suite>-<UTC time>-<random>`.
    pub id: Name,
    pub suite: Name,
    /// Of the suite as read (SHA-256, hexadecimal).
    pub suite_hash: Name,
    /// Of the cases that belong to the run, in their order.
    pub dataset_hash: Name,
    pub app_sha: Option<Name>,
    pub route: Option<Name>,
    pub candidate: Candidate,
    /// A part of the cases was asked: the fast ones, or those of some tags or names.
    pub is_fast: bool,
    pub cases: u32,
    pub repeats: u32,
    pub state: RunState,
    /// Why it stopped, where it did.
    pub why: Option<String>,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// Of the candidate's answers.
    pub cost: NanoUsd,
    pub judge_cost: NanoUsd,
    /// Calls of judges and embeddings that were made, and answers of theirs that were known already.
    pub judge_calls: u32,
    pub judge_cached: u32,
    pub passed: u32,
    pub failed: u32,
    /// Cases that could not be answered or scored at all.
    pub errors: u32,
    pub metrics: Vec<MetricSummary>,
}

/// What one scorer says of one answer.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Score {
    pub metric: Name,
    pub implementation: Name,
    /// None is *unscored*: the judge answered nonsense, or the formula has no value here.
    pub value: Option<f64>,
    /// Whether it holds its threshold; none without one.
    pub passed: Option<bool>,
    pub reason: Option<String>,
    /// What the value was made of: claims with their verdicts, distances, the pair that was compared.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

/// One answer to one case. `(run, case, repeat)` is unique: adding it again replaces it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct EvalResult {
    pub run: Name,
    pub case: Name,
    pub repeat: u32,
    /// Cases of one cluster (a conversation, a document) are not independent; none for the case itself.
    pub cluster: Option<Name>,
    pub app_sha: Option<Name>,
    pub route: Option<Name>,
    /// The trace of the answer.
    pub call: Option<CallId>,
    /// The recorded call that the case was made from: what is erased there is erased here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<CallId>,
    pub model: Option<Name>,
    /// What was asked, in short, for lists.
    pub input: Option<String>,
    pub expected: Option<String>,
    pub output: Option<String>,
    /// SHA-256 of the output, hexadecimal.
    pub output_hash: Option<Name>,
    /// Why there is no answer.
    pub error: Option<String>,
    /// The guards' decision.
    pub decision: Option<Name>,
    pub cost: NanoUsd,
    pub judge_cost: NanoUsd,
    pub latency_us: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// All thresholds held; none where no metric has one.
    pub passed: Option<bool>,
    pub scores: Vec<Score>,
    pub at: Timestamp,
}

/// What makes a judge's answer the same: who judges, by which text, what, and which draw of several.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct JudgeKey {
    pub judge_model: Name,
    /// Of the judge's prompt as rendered, but for the candidate's output: question and references are in it.
    pub judge_prompt_hash: Name,
    /// Of the candidate's output.
    pub output_hash: Name,
    pub sample: u32,
}

/// A judge's answer that is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Judged {
    pub key: JudgeKey,
    pub answer: String,
    /// What it cost when it was asked.
    pub cost: NanoUsd,
    pub call: Option<CallId>,
    pub at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    /// Too few cases to tell; never taken for a pass unless asked.
    Inconclusive,
}

impl Verdict {
    pub const ALL: [Verdict; 3] = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive];

    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
        }
    }

    pub fn parse(text: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == text)
    }
}

/// What a gate said of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EvalGate {
    /// `gate-<UTC time>-<random>`.
    pub id: Name,
    pub suite: Name,
    pub run: Name,
    pub baseline: Option<Name>,
    pub app_sha: Option<Name>,
    /// The prompt version that the run tested: a promotion needs a green gate for exactly its hash.
    pub prompt: Option<PromptRef>,
    pub verdict: Verdict,
    /// In one sentence.
    pub summary: String,
    /// The whole report, as `gauntlet gate --json` prints it.
    pub report: Value,
    pub at: Timestamp,
}

/// Which runs; nothing for all. Newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFilter {
    pub suite: Option<Name>,
    pub app_sha: Option<Name>,
    pub prompt_name: Option<Name>,
    pub prompt_hash: Option<Name>,
    pub state: Option<RunState>,
    /// Started at or after.
    pub since: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<EvalCursor>,
    /// At most [`RUNS_MAX`]; none for so many.
    pub limit: Option<u32>,
}

/// The last of a page of runs or gates, which the next begins after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EvalCursor {
    pub at: Timestamp,
    pub id: Name,
}

impl EvalCursor {
    /// As it is displayed: microseconds since 1970, a dot, the id.
    pub fn parse(text: &str) -> Option<EvalCursor> {
        let (at, id) = text.split_once('.')?;
        let at = at.parse().ok().map(Timestamp)?;
        (!id.is_empty()).then(|| EvalCursor { at, id: id.into() })
    }
}

impl fmt::Display for EvalCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.0, self.id)
    }
}

/// Which gates; nothing for all. Newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GateFilter {
    pub suite: Option<Name>,
    pub run: Option<Name>,
    pub prompt_name: Option<Name>,
    pub prompt_hash: Option<Name>,
    /// Older than this one.
    pub before: Option<EvalCursor>,
    pub limit: Option<u32>,
}

/// A suite at a glance: its last runs, and what gates said of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SuiteTrend {
    pub suite: Name,
    /// Newest first.
    pub runs: Vec<TrendRun>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TrendRun {
    pub run: EvalRun,
    /// Of the newest gate that looked at it.
    pub verdict: Option<Verdict>,
    /// The metrics that this gate held it to.
    pub gated: Vec<Name>,
}

/// What went with calls that are erased, and where more of their words may stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EvalsCut {
    /// Results, judges' answers and gates' reports that lost words.
    pub rows: u64,
    /// Calls that asked a case made from one of these calls: their records hold its words too.
    pub answers: Vec<CallId>,
    /// Runs with such a case: their judges' calls were shown its words.
    pub runs: Vec<Name>,
    /// The cases, as their datasets name them: files that nobody but their owner can mend.
    pub cases: Vec<(Name, Name)>,
}

/// Suites of one glance.
pub const SUITES_SHOWN_MAX: u32 = 50;
/// Of one list of runs or gates: more than a page or a trend looks at.
pub const RUNS_MAX: u32 = 1_000;
/// Results added, or judges' answers looked up, at once.
pub const EVAL_BATCH_MAX: usize = 1_000;

#[derive(Debug, Error)]
pub enum EvalStoreError {
    #[error("there is no run `{0}`; `gauntlet eval list` shows those there are")]
    UnknownRun(Name),
    #[error("{given} at once are too many; at most {EVAL_BATCH_MAX} are taken")]
    TooMany { given: usize },
    #[error("the store of evals failed at {what}")]
    Store { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Synchronous: called from blocking threads. In the same store as traces, so that plain SQL joins both.
pub trait EvalStore: Send + Sync {
    /// Adds a run, or replaces what is known of it.
    fn run_put(&self, run: &EvalRun) -> Result<(), EvalStoreError>;
    fn run_get(&self, id: &str) -> Result<EvalRun, EvalStoreError>;
    fn run_list(&self, filter: &RunFilter) -> Result<Vec<EvalRun>, EvalStoreError>;
    /// At most [`EVAL_BATCH_MAX`], in one transaction.
    fn result_add(&self, results: &[EvalResult]) -> Result<(), EvalStoreError>;
    /// At most so many suites (no more than [`SUITES_SHOWN_MAX`]), the one that ran last first, each with at most so many runs. No
    /// report of a gate and no result is read for it.
    fn trend_list(&self, suites: u32, runs: u32) -> Result<Vec<SuiteTrend>, EvalStoreError>;
    /// The first answers of a run that did not pass, those that never came before the others, in the order of case and
    /// repeat. At most [`EVAL_BATCH_MAX`], and no more is read than is given. None of a run that nobody knows.
    fn result_failed(&self, run: &str, limit: u32) -> Result<Vec<EvalResult>, EvalStoreError>;
    /// In the order of case and repeat.
    fn result_list(&self, run: &str) -> Result<Vec<EvalResult>, EvalStoreError>;
    /// Those that are known, in no order; at most [`EVAL_BATCH_MAX`] keys.
    fn judged_get(&self, keys: &[JudgeKey]) -> Result<Vec<Judged>, EvalStoreError>;
    /// A key that is known keeps its first answer.
    fn judged_put(&self, judged: &[Judged]) -> Result<(), EvalStoreError>;
    fn gate_put(&self, gate: &EvalGate) -> Result<(), EvalStoreError>;
    fn gate_list(&self, filter: &GateFilter) -> Result<Vec<EvalGate>, EvalStoreError>;
}

/// What the gateway does with evals that nobody else does: words go when calls go, or when they are old.
pub trait EvalRetention: EvalStore {
    /// Takes away what goes with calls that are erased: the words of results that they answered or whose cases were made
    /// from them, judges' answers that they gave or that were about those results, and quotes of those cases in gates'
    /// reports. Figures and verdicts stay. At most [`EVAL_BATCH_MAX`] calls.
    fn eval_cut(&self, calls: &[CallId]) -> Result<EvalsCut, EvalStoreError>;
    /// Takes the words out of results from before `words`, judges' answers from before it and quotes out of reports of gates
    /// from before it; removes results from before `results`. Runs and gates stay. At most [`EVAL_BATCH_MAX`] rows of each, and
    /// says how many that were.
    fn eval_expire(
        &self,
        words: Option<Timestamp>,
        results: Option<Timestamp>,
    ) -> Result<u64, EvalStoreError>;
}

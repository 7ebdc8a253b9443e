//! The one record of a call: what `record` writes, the store keeps, and every page, bill and gate reads.

use serde::{Deserialize, Serialize};

use crate::{
    answer::{Finish, ToolCall, ToolResult},
    call::{Caller, Door, PromptRef, Target},
    fault::Code,
    guard::{Decision, GuardNote, GuardRun},
    id::{CallId, Name, SpanId, TraceId},
    money::NanoUsd,
    span::Document,
    time::{Day, Timestamp},
    usage::Usage,
};

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The model (or the cache) answered.
    #[default]
    Ok,
    /// The route's canned answer was given, since no model could.
    Canned,
    /// Refused before a model was asked: key, limit, budget, kill switch, bad request.
    Refused,
    /// A guard stopped it.
    Blocked,
    /// Every target failed, or the stream broke.
    Failed,
    /// The caller went away before the end.
    Cancelled,
    /// The process died while the call was in flight; found at the next start and charged its hold.
    Interrupted,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Ok,
        Outcome::Canned,
        Outcome::Refused,
        Outcome::Blocked,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::Interrupted,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Canned => "canned",
            Outcome::Refused => "refused",
            Outcome::Blocked => "blocked",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Interrupted => "interrupted",
        }
    }

    pub fn parse(text: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }

    /// Counts towards an error rate: something broke, as opposed to a rule that did its work.
    pub const fn is_error(self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Interrupted | Outcome::Canned)
    }
}

/// The stages of a call, in their order (DESIGN §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Admit,
    Limit,
    GuardInput,
    Render,
    Plan,
    Reserve,
    Cache,
    Attempt,
    GuardOutput,
    Settle,
    Record,
}

impl Stage {
    /// Numbered by their place here in stored records: add at the end only.
    pub const ALL: [Stage; 11] = [
        Stage::Admit,
        Stage::Limit,
        Stage::GuardInput,
        Stage::Render,
        Stage::Plan,
        Stage::Reserve,
        Stage::Cache,
        Stage::Attempt,
        Stage::GuardOutput,
        Stage::Settle,
        Stage::Record,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Admit => "admit",
            Stage::Limit => "limit",
            Stage::GuardInput => "guard_input",
            Stage::Render => "render",
            Stage::Plan => "plan",
            Stage::Reserve => "reserve",
            Stage::Cache => "cache",
            Stage::Attempt => "attempt",
            Stage::GuardOutput => "guard_output",
            Stage::Settle => "settle",
            Stage::Record => "record",
        }
    }
}

/// When a stage ran, in microseconds after the call began.
///
/// In formats for people (JSON) an object with these names, in others a bare sequence: every record has eleven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StageTime {
    pub stage: Stage,
    pub start_us: u32,
    pub took_us: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "StageTime")]
struct StageTimeNamed {
    stage: Stage,
    start_us: u32,
    took_us: u32,
}

impl Serialize for StageTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let StageTime { stage, start_us, took_us } = *self;
        if serializer.is_human_readable() {
            StageTimeNamed { stage, start_us, took_us }.serialize(serializer)
        } else {
            (stage as u8, start_us, took_us).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for StageTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let StageTimeNamed { stage, start_us, took_us } = StageTimeNamed::deserialize(deserializer)?;
            return Ok(StageTime { stage, start_us, took_us });
        }
        let (stage, start_us, took_us) = <(u8, u32, u32)>::deserialize(deserializer)?;
        let known = Stage::ALL.get(usize::from(stage)).copied();
        let stage = known.ok_or_else(|| serde::de::Error::custom(format_args!("no stage {stage}")))?;
        Ok(StageTime { stage, start_us, took_us })
    }
}

/// How one attempt at a model ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    Ok,
    /// Answered with an error status.
    Status,
    Connect,
    /// No first token in time.
    FirstTokenTimeout,
    /// Silent for too long within an answer.
    IdleTimeout,
    /// The whole attempt took too long.
    TotalTimeout,
    /// Answered something that is not the dialect: HTML, half a frame, nothing.
    Malformed,
    /// The connection broke in the middle of the answer.
    Cut,
    /// An error inside a stream that began with 200.
    StreamError,
    /// Abandoned, since the caller went away.
    Abandoned,
    /// Dropped before its first token, since a target that was asked beside it gave its own first.
    Outrun,
}

/// One try at one target.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub target: Target,
    pub start_us: u32,
    pub took_us: u32,
    pub end: AttemptEnd,
    pub status: Option<u16>,
    /// What went wrong, redacted and cut short; for operators, never for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Of an attempt that failed or was not used and is billed all the same; part of the call's own usage and cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Billed>,
}

/// What an attempt cost that gave the caller nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Billed {
    pub usage: Usage,
    pub cost: NanoUsd,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheUse {
    /// The route asks for no cache, or not for calls of this kind.
    #[default]
    Off,
    Miss,
    /// The same question.
    Exact,
    /// A question that means the same.
    Semantic,
}

impl CacheUse {
    /// Numbered by their place here in metrics.
    pub const ALL: [CacheUse; 4] = [CacheUse::Off, CacheUse::Miss, CacheUse::Exact, CacheUse::Semantic];

    /// A kept answer was given, and no provider was paid.
    pub const fn is_hit(self) -> bool {
        matches!(self, CacheUse::Exact | CacheUse::Semantic)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            CacheUse::Off => "off",
            CacheUse::Miss => "miss",
            CacheUse::Exact => "exact",
            CacheUse::Semantic => "semantic",
        }
    }
}

/// What a call that was answered from the cache owes, and to which call.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct CacheHit {
    /// The call whose answer was given again.
    pub of: CallId,
    /// Of both questions, from -1 to 1; none where they are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f32>,
    /// How long the answer had been kept.
    pub age_s: u32,
    /// What that answer had cost.
    pub saved: NanoUsd,
}

/// What a budget counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Nano-dollars.
    #[default]
    Usd,
    /// Input and output, cached and reasoning ones included.
    Tokens,
    Requests,
}

impl Measure {
    pub const ALL: [Measure; 3] = [Measure::Usd, Measure::Tokens, Measure::Requests];

    pub const fn as_str(self) -> &'static str {
        match self {
            Measure::Usd => "usd",
            Measure::Tokens => "tokens",
            Measure::Requests => "requests",
        }
    }

    pub fn parse(text: &str) -> Option<Measure> {
        Measure::ALL.into_iter().find(|measure| measure.as_str() == text)
    }

    pub const fn is_usd(&self) -> bool {
        matches!(self, Measure::Usd)
    }
}

/// One budget that a call draws on. Written to the record, so that the store adds spend up exactly as the ledger does.
///
/// `scope` names the rule (`model_daily`, `route_user_daily`, `route_conversation`, `tenant_rolling_24h_tokens` …; with
/// `:eval` and the like behind it outside production), `key` its subject (`gpt-4o`, `support_bot/ann`). `period` is the
/// last day of the budget's window (of a daily budget, its day), none for one that never turns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Charge {
    pub scope: Name,
    pub key: Name,
    pub period: Option<Day>,
    #[serde(default, skip_serializing_if = "Measure::is_usd")]
    pub measure: Measure,
    /// Of a rolling budget, which part of the day, from 0; else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u16,
}

fn is_zero(part: &u16) -> bool {
    *part == 0
}

impl Charge {
    /// A budget in dollars over a calendar window.
    pub fn usd(scope: impl Into<Name>, key: impl Into<Name>, period: Option<Day>) -> Charge {
        Charge { scope: scope.into(), key: key.into(), period, measure: Measure::Usd, part: 0 }
    }

    /// What a call draws from this budget: nano-dollars, tokens, or one request.
    pub const fn amount(&self, drawn: &Drawn) -> i64 {
        drawn.of(self.measure)
    }
}

/// What one call draws from its budgets, in each measure.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Drawn {
    pub usd: NanoUsd,
    pub tokens: i64,
    pub requests: i64,
}

impl Drawn {
    /// Dollars alone, as a correction by hand makes them.
    pub const fn usd(usd: NanoUsd) -> Drawn {
        Drawn { usd, tokens: 0, requests: 0 }
    }

    pub const fn of(&self, measure: Measure) -> i64 {
        match measure {
            Measure::Usd => self.usd.0,
            Measure::Tokens => self.tokens,
            Measure::Requests => self.requests,
        }
    }

    /// The greater of both in each measure.
    pub fn most(self, other: Drawn) -> Drawn {
        Drawn {
            usd: self.usd.max(other.usd),
            tokens: self.tokens.max(other.tokens),
            requests: self.requests.max(other.requests),
        }
    }

    pub fn plus(self, other: Drawn) -> Drawn {
        Drawn {
            usd: self.usd.plus(other.usd),
            tokens: self.tokens.saturating_add(other.tokens),
            requests: self.requests.saturating_add(other.requests),
        }
    }
}

/// What a budget without room made of a call that it did not refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetAction {
    /// A cheaper model was asked.
    Downgrade,
    /// The operator's own words were the answer.
    Answer,
    /// The call waited for room.
    Queue,
}

impl BudgetAction {
    pub const fn as_str(self) -> &'static str {
        match self {
            BudgetAction::Downgrade => "downgrade",
            BudgetAction::Answer => "answer",
            BudgetAction::Queue => "queue",
        }
    }
}

/// That a call met a full budget, which, and what was done about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BudgetNote {
    pub action: BudgetAction,
    pub scope: Name,
    pub key: Name,
    /// The model that would have been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Name>,
}

/// Why the words of a call or span are not there any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextsGone {
    /// Not among those that `sampling` keeps.
    Sampled,
    /// Older than `retention` keeps them.
    Expired,
    /// Of a call of evals: its case was made from a call that was erased.
    Erased,
}

/// How a streamed answer arrived from the model.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct StreamTiming {
    /// Pieces with text or part of a tool call; each about a token.
    pub chunks: u32,
    /// When the last of them came, in microseconds after the call began.
    pub last_us: u32,
    /// The longest silence between two of them.
    pub gap_max_us: u32,
}

impl StreamTiming {
    /// Takes note of a piece.
    pub fn note(&mut self, at_us: u32) {
        if self.chunks > 0 {
            self.gap_max_us = self.gap_max_us.max(at_us.saturating_sub(self.last_us));
        }
        self.chunks += 1;
        self.last_us = at_us;
    }
}

/// Everything known about a call but its texts, which travel beside it (`SpoolEntry`), redacted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallRecord {
    pub id: CallId,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    pub started: Timestamp,
    pub latency_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamTiming>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageTime>,

    pub door: Door,
    pub is_streaming: bool,
    pub caller: Caller,
    pub route: Name,
    /// As the caller wrote it.
    pub model_asked: Name,
    /// The target that answered, or the last that was tried; none if no model was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The model that the provider says answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_answered: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<Name>,

    pub outcome: Outcome,
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Code>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    pub decision: Decision,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<GuardNote>,
    /// Each guard that policy asks for, and how far it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard_runs: Vec<GuardRun>,
    /// The levels and policies that held: `floor, strict@1.2.0 (5d1c0a7e)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard_policy: Vec<Name>,
    pub cache: CacheUse,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_hit: Option<CacheHit>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What tools gave back since the answer before: the messages of tools that the request ends with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_results: Vec<ToolResult>,
    /// What was retrieved for the request, as the caller says, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,

    pub usage: Usage,
    pub cost: NanoUsd,
    /// What was held before the call; charged in full if the call was interrupted.
    pub held: NanoUsd,
    /// The tokens of that bound.
    #[serde(default)]
    pub held_tokens: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// What became of it at a full budget, other than a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetNote>,
    /// Spent on output that nobody read (the caller had gone).
    pub wasted: NanoUsd,
    pub price_version: Name,
    pub config_version: Name,

    /// Why it went to its target: a rule, a strategy, targets that were left alone. None without a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Name>,
    /// Request fields that had no counterpart at the target and were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Name>,
    /// Request fields that we added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injected: Vec<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts_gone: Option<TextsGone>,
    /// From 0 to 1, once a judge has looked at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_score: Option<f32>,
}

impl CallRecord {
    /// Mean time between two pieces of a streamed answer, in microseconds; none with fewer than two.
    pub fn chunk_gap_us(&self) -> Option<u64> {
        let stream = self.stream.filter(|stream| stream.chunks > 1)?;
        let streaming = u64::from(stream.last_us).saturating_sub(self.first_token_us?);
        Some(streaming / u64::from(stream.chunks - 1))
    }

    /// How long a model was waited for, in microseconds: what two attempts took at once counts once.
    pub fn attempted_us(&self) -> u64 {
        if let [only] = &self.attempts[..] {
            return only.took_us.into();
        }
        let times = self.attempts.iter().map(|attempt| (attempt.start_us.into(), attempt.took_us.into()));
        covered(times.collect())
    }

    /// What attempt number `index` used and cost: what it was billed for without use, or as the one that answered, the
    /// rest of the call's. None of one that cost nothing.
    pub fn attempt_billed(&self, index: usize) -> Option<Billed> {
        let attempt = self.attempts.get(index)?;
        if attempt.billed.is_some() || index + 1 < self.attempts.len() || self.cache.is_hit() {
            return attempt.billed;
        }
        let others = || self.attempts.iter().filter_map(|attempt| attempt.billed);
        let usage = others().fold(self.usage, |rest, other| rest.without(&other.usage));
        let cost = others().fold(self.cost, |rest, other| rest.minus(other.cost));
        (usage.total().0 > 0 || cost.0 != 0).then_some(Billed { usage, cost })
    }

    /// What the call draws from each of its budgets: its cost, its tokens, and itself.
    ///
    /// A call that never got past its reservation has no charges, so that it counts nowhere. Of an interrupted one
    /// nobody knows the usage: it draws what was held.
    pub fn drawn(&self) -> Drawn {
        let tokens = match (self.outcome, self.cache) {
            (Outcome::Interrupted, _) => self.held_tokens,
            // A kept answer used none of the provider's.
            (_, cache) if cache.is_hit() => 0,
            _ => u64::from(self.usage.total().0),
        };
        Drawn { usd: self.cost, tokens: i64::try_from(tokens).unwrap_or(i64::MAX), requests: 1 }
    }
}

/// How much is covered by times of (start, duration), which may lie over one another.
fn covered(mut times: Vec<(u64, u64)>) -> u64 {
    times.sort_unstable();
    let (mut until, mut sum) = (0, 0);
    for (start, took) in times {
        let end = start + took;
        sum += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_attempts_took_at_once_counts_once() {
        let check = |times: &[(u64, u64)], expected: u64| {
            assert_eq!(covered(times.to_vec()), expected, "{times:?}");
        };
        check(&[], 0);
        check(&[(10, 5), (20, 5)], 10);
        check(&[(80, 20), (0, 100)], 100);
        check(&[(0, 90), (80, 20)], 100);
        check(&[(0, 10), (0, 10), (5, 1)], 10);
    }
}

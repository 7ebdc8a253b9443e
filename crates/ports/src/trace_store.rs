//! Where records rest: appended by the drainer in batches, read by pages, bills and the command line.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use gauntlet_types::{
    CallId, CallRecord, Charge, Day, Name, NanoUsd, Outcome, SpanId, SpanKind, SpanRecord, Timestamp, TraceId,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bills::{
    Correction, Reconciliation, RecordCursor, RecordPage, RecordQuery, Repricing, SpendQuery, SpendRow,
};
use crate::keep::Cut;

/// A record with its texts (JSON, redacted).
#[derive(Clone, Debug)]
pub struct StoredCall {
    pub record: CallRecord,
    pub input: Bytes,
    pub output: Bytes,
}

/// A step that an application sent, with its texts, redacted. Empty where there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredSpan {
    pub record: SpanRecord,
    /// What went in and what came out: JSON, or plain text as the sender gave it.
    pub input: Bytes,
    pub output: Bytes,
    /// Everything the sender said, in one JSON object: `attributes`, `resource`, `events`, `links`. Nothing is left out for
    /// being unknown.
    pub rest: Bytes,
}

/// What goes into the store at once. See [`TraceStore::append`].
#[derive(Clone, Copy, Default, Debug)]
pub struct Arrived<'a> {
    pub calls: &'a [StoredCall],
    pub spans: &'a [StoredSpan],
}

impl<'a> Arrived<'a> {
    pub const fn calls(calls: &'a [StoredCall]) -> Arrived<'a> {
        Arrived { calls, spans: &[] }
    }
}

/// Narrows a list of spans. Every field that is set must hold; texts compare exactly.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SpanFilter {
    pub trace_id: Option<TraceId>,
    pub tenant: Option<String>,
    pub user: Option<String>,
    pub session: Option<String>,
    pub service: Option<String>,
    pub kind: Option<SpanKind>,
    pub name: Option<String>,
    /// Only those that name no parent.
    pub roots: bool,
    /// Only those that failed.
    pub errors: bool,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Newest first, strictly before this place: `next` of the page before.
    pub before: Option<SpanCursor>,
    /// Spans wanted; 0 means 50, and more than 1000 is taken as 1000, or with a trace id more than 10,000 as 10,000.
    pub limit: u32,
}

/// A place in a list of spans that goes by time, then by order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SpanCursor {
    pub started: Timestamp,
    pub seq: i64,
}

/// A line of a list of spans, or a bar of a waterfall.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpanRow {
    /// Order of arrival.
    pub seq: i64,
    /// As far as a row keeps it: no documents, no tags, no scope, of the caller tenant, user, session and environment, of
    /// the usage what went in and out in all, of the error message 200 characters. [`TraceStore::span_get`] has it whole.
    pub record: SpanRecord,
    /// Redacted and cut at 200 characters.
    pub input_preview: String,
    pub output_preview: String,
}

/// How far a worker's spool has been taken over: everything before `offset` of `segment` is in the store.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SpoolPosition {
    pub worker: String,
    pub segment: u64,
    pub offset: u64,
}

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the trace store failed at {what}")]
    Failed { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error(
        "the trace store at {path} was written by a newer version (schema {found}, this one knows {known})"
    )]
    Newer { path: String, found: i64, known: i64 },
}

/// A place in the list of calls, which goes by the order of their arrival in the store.
///
/// Written as `r_…` (a call) or as a plain number (its place, as [`TracePage::next`] gives it).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TraceCursor {
    /// Order of arrival, as [`TraceRow::seq`] says it.
    Seq(i64),
    Call(CallId),
}

impl fmt::Display for TraceCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceCursor::Seq(seq) => write!(f, "{seq}"),
            TraceCursor::Call(id) => write!(f, "{id}"),
        }
    }
}

impl FromStr for TraceCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<TraceCursor, ()> {
        match text.parse() {
            Ok(seq) => Ok(TraceCursor::Seq(seq)),
            Err(_) => text.parse().map(TraceCursor::Call).map_err(|_| ()),
        }
    }
}

/// Narrows a list of traces. Every field that is set must hold; texts compare exactly unless said otherwise.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceFilter {
    /// One call, by its request id.
    pub id: Option<CallId>,
    pub tenant: Option<String>,
    pub team: Option<String>,
    pub user: Option<String>,
    pub session: Option<String>,
    pub route: Option<String>,
    /// The model asked for, or the target's model.
    pub model: Option<String>,
    pub provider: Option<String>,
    pub key: Option<String>,
    pub tag: Option<String>,
    pub environment: Option<String>,
    pub outcome: Option<Outcome>,
    /// The HTTP status that the caller got.
    pub status: Option<u16>,
    /// Stable error code.
    pub error: Option<String>,
    pub decision: Option<String>,
    pub cache: Option<String>,
    pub prompt_name: Option<String>,
    pub prompt_version: Option<String>,
    pub eval_id: Option<String>,
    pub app_sha: Option<String>,
    pub trace_id: Option<TraceId>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub cost_min: Option<NanoUsd>,
    /// Included, as `cost_min` is.
    pub cost_max: Option<NanoUsd>,
    pub latency_ms_min: Option<u64>,
    pub latency_ms_max: Option<u64>,
    /// Words that all occur in the input or the answer, in any case and with or without accents: `word`, `"a phrase"`,
    /// `begin*`, `-without`. Nothing typed here is a mistake; see `docs/finding.md`.
    pub text: Option<String>,
    /// Newest first, strictly before this place: `next` of the page before.
    pub before: Option<TraceCursor>,
    /// Oldest first, strictly after this place: for following.
    pub after: Option<TraceCursor>,
    /// Rows wanted; 0 means 50, and more than 1000 is taken as 1000.
    pub limit: u32,
}

impl TraceFilter {
    /// Whether a call passes, its place in the list and its texts aside: those are the store's to search.
    pub fn fits(&self, record: &CallRecord) -> bool {
        let is = |wanted: &Option<String>, have: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| have == Some(wanted))
        };
        let (caller, prompt) = (&record.caller, record.prompt.as_ref());
        let target = record.target.as_ref();
        let model = |wanted: &String| {
            *record.model_asked == **wanted || target.is_some_and(|target| *target.model == **wanted)
        };
        let us = |ms: u64| ms.saturating_mul(1000);
        self.id.is_none_or(|id| id == record.id)
            && is(&self.tenant, Some(&caller.tenant))
            && is(&self.team, caller.team.as_deref())
            && is(&self.user, caller.user.as_deref())
            && is(&self.session, caller.session.as_deref())
            && is(&self.route, Some(&record.route))
            && self.model.as_ref().is_none_or(model)
            && is(&self.provider, target.map(|target| &*target.provider))
            && is(&self.key, caller.key.as_deref())
            && self.tag.as_ref().is_none_or(|tag| caller.tags.iter().any(|have| **have == **tag))
            && is(&self.environment, Some(caller.environment.as_str()))
            && self.outcome.is_none_or(|outcome| outcome == record.outcome)
            && self.status.is_none_or(|status| status == record.status)
            && is(&self.error, record.error.map(|code| code.as_str()))
            && is(&self.decision, Some(record.decision.as_str()))
            && is(&self.cache, Some(record.cache.as_str()))
            && is(&self.prompt_name, prompt.map(|prompt| &*prompt.name))
            && is(&self.prompt_version, prompt.map(|prompt| &*prompt.version))
            && is(&self.eval_id, caller.eval_id.as_deref())
            && is(&self.app_sha, caller.app_sha.as_deref())
            && self.trace_id.is_none_or(|id| id == record.trace_id)
            && self.since.is_none_or(|at| record.started >= at)
            && self.until.is_none_or(|at| record.started < at)
            && self.cost_min.is_none_or(|least| record.cost >= least)
            && self.cost_max.is_none_or(|most| record.cost <= most)
            && self.latency_ms_min.is_none_or(|least| record.latency_us >= us(least))
            && self.latency_ms_max.is_none_or(|most| record.latency_us <= us(most))
    }
}

/// Part of a list of traces.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct TracePage {
    pub rows: Vec<TraceRow>,
    /// Where the list goes on; none at its end. A page may be short, or empty, and go on all the same: then looking further
    /// would have taken too long.
    pub next: Option<TraceCursor>,
    /// Of a page that ended before it was full: calls that arrived up to here were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_back_to: Option<Timestamp>,
}

/// A line of a list of traces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceRow {
    pub id: CallId,
    /// Order of arrival.
    #[serde(default)]
    pub seq: i64,
    pub trace_id: TraceId,
    pub started: Timestamp,
    pub tenant: Name,
    pub user: Option<Name>,
    pub session: Option<Name>,
    pub route: Name,
    pub model: Name,
    pub provider: Option<Name>,
    pub environment: String,
    pub prompt_name: Option<Name>,
    pub prompt_version: Option<Name>,
    pub outcome: Outcome,
    pub error: Option<String>,
    pub decision: String,
    pub cache: String,
    pub is_streaming: bool,
    pub tokens_in: u32,
    pub tokens_out: u32,
    pub usage_estimated: bool,
    pub cost: NanoUsd,
    pub latency_us: u64,
    pub first_token_us: Option<u64>,
    /// The last user message and the answer's text, redacted and cut at 200 characters.
    pub input_preview: String,
    pub output_preview: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    /// Of the last two days alone.
    Minute,
    Hour,
    Day,
}

/// Figures of one group (a route, a model, or all) over a span of time, from roll-ups alone.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct OverviewRow {
    pub name: String,
    pub calls: u64,
    /// Calls that broke (`Outcome::is_error`).
    pub errors: u64,
    /// Calls that a limit, a budget, a key or a guard refused.
    pub refused: u64,
    pub cache_hits: u64,
    /// Answers that ended at their token limit (`finish_reason: length`).
    #[serde(default)]
    pub cut_short: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub cost: NanoUsd,
    pub p50_us: Option<u64>,
    pub p95_us: Option<u64>,
    pub p99_us: Option<u64>,
}

#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Overview {
    pub total: OverviewRow,
    pub by_route: Vec<OverviewRow>,
    pub by_model: Vec<OverviewRow>,
    pub by_tenant: Vec<OverviewRow>,
    /// (start of the minute, hour or day, figures), oldest first, with gaps left out.
    pub series: Vec<(Timestamp, OverviewRow)>,
}

/// What has been spent against one budget in one period.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BudgetSpent {
    pub charge: Charge,
    /// Nano-dollars, tokens or requests, as the charge measures.
    pub spent: i64,
}

/// Synchronous: called from the drainer's thread and from blocking threads.
pub trait TraceStore: Send + Sync {
    /// Adds records, their roll-ups and their spend in one transaction with the spool's positions. A record whose id is
    /// there already is left out, roll-ups and spend included, so that a repeat changes nothing.
    /// The same holds for spans, which are the same where time, span id and trace id are. Says how many calls and spans
    /// were new.
    fn append(&self, batch: Arrived<'_>, positions: &[SpoolPosition]) -> Result<usize, StoreError>;
    /// The same without what its calls drew from budgets: they are of another time or place. Everything else is added up.
    fn import(&self, batch: Arrived<'_>) -> Result<usize, StoreError>;
    fn spool_positions(&self) -> Result<Vec<SpoolPosition>, StoreError>;

    /// Calls by the order of their arrival, newest first (or oldest first with `after`). A call arrives when it has ended, so that a
    /// long one stands beside those that ended with it, whenever it began. Takes some 50 ms at most, however rare what is looked for.
    fn trace_find(&self, filter: &TraceFilter) -> Result<TracePage, StoreError>;
    /// Calls that fit, newest first, up to `most`, however long it takes to look; and whether these are all.
    fn trace_rows(&self, filter: &TraceFilter, most: usize) -> Result<(Vec<TraceRow>, bool), StoreError> {
        let mut rows = Vec::new();
        let mut asked = TraceFilter { limit: 0, after: None, ..filter.clone() };
        loop {
            let left = most.saturating_sub(rows.len());
            asked.limit = u32::try_from(left.clamp(1, 1000)).unwrap_or(1);
            let page = self.trace_find(&asked)?;
            rows.extend(page.rows.into_iter().take(left));
            asked.before = page.next;
            if asked.before.is_none() || rows.len() >= most {
                return Ok((rows, asked.before.is_none()));
            }
        }
    }
    /// Takes the oldest calls that the index does not have into it, about `limit` of them, and says how many; 0 where all are
    /// in it. Without the index everything is found as well, but slower.
    fn index_step(&self, limit: u32) -> Result<usize, StoreError>;
    fn trace_get(&self, id: CallId) -> Result<Option<StoredCall>, StoreError>;

    /// Spans of applications, newest first.
    fn span_find(&self, filter: &SpanFilter) -> Result<Vec<SpanRow>, StoreError>;
    /// One span with its texts, the first to arrive where ids were used twice.
    fn span_get(&self, trace: TraceId, span: SpanId) -> Result<Option<StoredSpan>, StoreError>;

    /// From daily roll-ups, dearest first (by day: oldest first).
    fn spend(&self, query: &SpendQuery) -> Result<Vec<SpendRow>, StoreError>;
    /// From hourly roll-ups, `from` included and `to` not, both taken to the hour. By the minute from minutes alone, `from` and
    /// `to` taken to the minute: these are kept for 48 hours before the newest call, and of a span that reaches further
    /// back only what is still there is added up.
    fn overview(&self, from: Timestamp, to: Timestamp, series: Grain) -> Result<Overview, StoreError>;
    /// Spend in periods that are not over on `day` (a month is named by its last day), and of budgets that never turn.
    fn budget_spent(&self, day: Day) -> Result<Vec<BudgetSpent>, StoreError>;
    /// Whole records that began in a span, in the order of their arrival, about `limit` at a time.
    fn record_page(
        &self,
        query: &RecordQuery,
        cursor: Option<RecordCursor>,
        limit: u32,
    ) -> Result<RecordPage, StoreError>;
    /// Puts what calls cost by other prices beside what they cost, in one transaction with the sums of `spend`; the cost
    /// itself and the budgets stay. A later correction of a call replaces an earlier one, and one to its own cost
    /// takes it away. Adds what changed to the pass of `run.at` (its `calls`, `before` and `after` are not read), and
    /// says how many calls that were; a pass that changes nothing leaves no trace.
    fn reprice(&self, run: &Repricing, corrections: &[Correction<'_>]) -> Result<u64, StoreError>;
    /// Passes of pricing anew, newest first.
    fn repricing_list(&self, limit: u32) -> Result<Vec<Repricing>, StoreError>;
    fn reconciliation_add(&self, reconciliation: &Reconciliation) -> Result<(), StoreError>;
    /// Newest first.
    fn reconciliation_list(&self, limit: u32) -> Result<Vec<Reconciliation>, StoreError>;
    /// Where the newest call stands in the order of arrival, as cursors of [`TraceStore::record_page`] count; 0 without any.
    fn record_newest(&self) -> Result<i64, StoreError>;
    /// Spans in the order of arrival, those behind `after`.
    fn span_page(&self, after: i64, limit: u32) -> Result<Vec<SpanRow>, StoreError>;
    /// Takes away what is named of calls, in one transaction; what is gone already and unknown calls are passed over. Says
    /// how many calls it changed.
    fn cut(&self, calls: &[(CallId, Cut)]) -> Result<u64, StoreError>;
    /// The same of spans, by their `seq`.
    fn span_cut(&self, spans: &[(i64, Cut)]) -> Result<u64, StoreError>;
    /// Gives the room of what was cut back to the file system, as far as the store can without holding batches up.
    /// `thoroughly` waits for readers, so that nothing of it is left in a log either.
    fn shrink(&self, thoroughly: bool) -> Result<(), StoreError>;
    /// How far a job in the background has come; 0 before it began.
    fn progress(&self, job: &str) -> Result<i64, StoreError>;
    fn progress_set(&self, job: &str, at: i64) -> Result<(), StoreError>;
    /// A cheap question that fails when the store does.
    fn ping(&self) -> Result<(), StoreError>;
}

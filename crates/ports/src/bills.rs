//! What bills are made from: sums of spend, records to price anew, corrections, reconciliations.

use gauntlet_types::{CallRecord, Day, Name, NanoUsd, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::trace_store::StoredCall;

/// What to add spend up by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpendBy {
    Tenant,
    Team,
    Route,
    Model,
    Provider,
    Environment,
    Prompt,
    Day,
    Month,
    User,
    Key,
    Tag,
}

impl SpendBy {
    pub const ALL: [SpendBy; 12] = [
        SpendBy::Tenant,
        SpendBy::Team,
        SpendBy::Route,
        SpendBy::Model,
        SpendBy::Provider,
        SpendBy::Environment,
        SpendBy::Prompt,
        SpendBy::Day,
        SpendBy::Month,
        SpendBy::User,
        SpendBy::Key,
        SpendBy::Tag,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            SpendBy::Tenant => "tenant",
            SpendBy::Team => "team",
            SpendBy::Route => "route",
            SpendBy::Model => "model",
            SpendBy::Provider => "provider",
            SpendBy::Environment => "environment",
            SpendBy::Prompt => "prompt",
            SpendBy::Day => "day",
            SpendBy::Month => "month",
            SpendBy::User => "user",
            SpendBy::Key => "key",
            SpendBy::Tag => "tag",
        }
    }

    /// Reads the name, and what people say for it.
    pub fn parse(text: &str) -> Option<SpendBy> {
        match text {
            "feature" => Some(SpendBy::Route),
            "env" => Some(SpendBy::Environment),
            _ => SpendBy::ALL.into_iter().find(|by| by.as_str() == text),
        }
    }

    const fn named(self) -> Option<NameKind> {
        match self {
            SpendBy::User => Some(NameKind::User),
            SpendBy::Key => Some(NameKind::Key),
            SpendBy::Tag => Some(NameKind::Tag),
            _ => None,
        }
    }
}

/// Names too many to be a dimension of the roll-ups. Keys and tags have sums of their own by day and tenant; users are
/// added up from the calls themselves, which takes longer and lasts as long as the calls are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NameKind {
    Key,
    Tag,
    User,
}

impl NameKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            NameKind::Key => "key",
            NameKind::Tag => "tag",
            NameKind::User => "user",
        }
    }
}

/// Which spend, added up by what. Every filter that is set must hold; texts compare exactly.
#[derive(Clone, Default, Debug)]
pub struct SpendQuery {
    pub by: Vec<SpendBy>,
    /// First and last day, both included.
    pub from: Day,
    pub to: Day,
    pub tenant: Option<String>,
    pub team: Option<String>,
    pub route: Option<String>,
    pub model: Option<String>,
    pub provider: Option<String>,
    pub environment: Option<String>,
    /// `name`, or `name@version`.
    pub prompt: Option<String>,
    pub user: Option<String>,
    pub key: Option<String>,
    pub tag: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "spend by {kind} is kept by day and tenant only: it goes with tenant, day and month, not with {other}; \
     `gauntlet trace list` finds the single calls"
)]
pub struct Unanswerable {
    kind: &'static str,
    other: &'static str,
}

impl SpendQuery {
    /// The kind of names this asks about, if any: such a question goes with tenants and days alone.
    pub fn named(&self) -> Result<Option<NameKind>, Unanswerable> {
        let filters = [(&self.user, SpendBy::User), (&self.key, SpendBy::Key), (&self.tag, SpendBy::Tag)];
        let filtered = filters.iter().filter(|(filter, _)| filter.is_some()).map(|(_, by)| *by);
        let asked: Vec<SpendBy> = self.by.iter().copied().chain(filtered).collect();
        let Some(kind) = asked.iter().find_map(|by| by.named()) else { return Ok(None) };
        let others = [
            (&self.team, SpendBy::Team),
            (&self.route, SpendBy::Route),
            (&self.model, SpendBy::Model),
            (&self.provider, SpendBy::Provider),
            (&self.environment, SpendBy::Environment),
            (&self.prompt, SpendBy::Prompt),
        ];
        let mut all = asked
            .into_iter()
            .chain(others.iter().filter(|(filter, _)| filter.is_some()).map(|(_, by)| *by))
            .filter(|by| by.named() != Some(kind));
        match all.find(|by| !matches!(by, SpendBy::Tenant | SpendBy::Day | SpendBy::Month)) {
            Some(other) => Err(Unanswerable { kind: kind.as_str(), other: other.as_str() }),
            None => Ok(Some(kind)),
        }
    }
}

/// Sums of one group. Of sums by user, key or tag, only calls, errors, tokens and costs are kept.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SpendRow {
    /// One value for each entry of `SpendQuery::by`.
    pub keys: Vec<String>,
    pub calls: u64,
    pub errors: u64,
    /// Refused by a limit, a budget, a key or a guard.
    pub refused: u64,
    pub cache_hits: u64,
    /// Answers that ended at their token limit (`finish_reason: length`).
    pub cut_short: u64,
    /// Calls whose tokens were counted here, since the provider did not say.
    pub estimated: u64,
    /// All input: fresh, read from the provider's cache, and written to it.
    pub tokens_in: u64,
    pub tokens_cached: u64,
    pub tokens_written: u64,
    /// All output, reasoning included.
    pub tokens_out: u64,
    pub tokens_reasoning: u64,
    /// Of exact hits of our own cache, which no provider saw: part of the tokens above.
    pub spared_in: u64,
    pub spared_cached: u64,
    pub spared_out: u64,
    pub cost: NanoUsd,
    /// What it costs by a later price table, where calls were priced anew; else the cost.
    pub corrected: NanoUsd,
    /// Spent on output that nobody read.
    pub wasted: NanoUsd,
}

impl SpendRow {
    pub fn add(&mut self, more: &SpendRow) {
        self.calls += more.calls;
        self.errors += more.errors;
        self.refused += more.refused;
        self.cache_hits += more.cache_hits;
        self.cut_short += more.cut_short;
        self.estimated += more.estimated;
        self.tokens_in += more.tokens_in;
        self.tokens_cached += more.tokens_cached;
        self.tokens_written += more.tokens_written;
        self.tokens_out += more.tokens_out;
        self.tokens_reasoning += more.tokens_reasoning;
        self.spared_in += more.spared_in;
        self.spared_cached += more.spared_cached;
        self.spared_out += more.spared_out;
        self.cost = self.cost.plus(more.cost);
        self.corrected = self.corrected.plus(more.corrected);
        self.wasted = self.wasted.plus(more.wasted);
    }

    /// Input that was neither read from nor written to the provider's cache.
    pub fn tokens_fresh(&self) -> u64 {
        self.tokens_in.saturating_sub(self.tokens_cached).saturating_sub(self.tokens_written)
    }
}

/// Whole records in the order of their arrival, to be read through in pages.
#[derive(Clone, Copy, Default, Debug)]
pub struct RecordQuery {
    /// When calls began: from the first instant on, and before the second.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Only so many of the newest; 0 for all.
    pub newest: u32,
    /// Leaves input and output empty, which spares their memory.
    pub without_texts: bool,
}

/// Where the next page begins and the last one ends; means something to the store alone. Calls that arrive while
/// somebody reads are not added to what is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordCursor {
    pub next: i64,
    pub last: i64,
}

#[derive(Clone, Debug)]
pub struct RecordPage {
    pub calls: Vec<StoredCall>,
    pub next: Option<RecordCursor>,
}

/// One pass of pricing anew, as it is kept: when, by which prices, and what it changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Repricing {
    /// Names the pass: its pages add up under one time.
    pub at: Timestamp,
    pub price_version: Name,
    pub from: Day,
    pub to: Day,
    pub model: Option<Name>,
    /// Calls whose standing cost changed.
    pub calls: u64,
    /// What these calls stood at before and after.
    pub before: NanoUsd,
    pub after: NanoUsd,
}

/// A call and what it costs by the prices of now.
#[derive(Clone, Debug)]
pub struct Correction<'a> {
    pub record: &'a CallRecord,
    pub cost: NanoUsd,
}

/// A comparison with a provider's own figures, as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reconciliation {
    pub at: Timestamp,
    pub provider: Name,
    pub from: Day,
    pub to: Day,
    pub threshold_percent: f64,
    pub is_drift: bool,
    /// The comparison in full, as the API answers it.
    pub report: Value,
}

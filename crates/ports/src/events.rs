//! What an operator should be told once: a budget at its cap, a tenant far above its usual spend, a bill that drifts.

use gauntlet_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    BudgetWarned,
    BudgetFull,
    /// A tenant spends a multiple of its daily mean.
    SpendBaseline,
    /// A model was asked whose price nobody knows.
    PriceMissing,
    /// A provider's figures differ from ours.
    ReconcileDrift,
    /// What was kept of somebody is gone.
    Erased,
}

impl EventKind {
    pub const ALL: [EventKind; 6] = [
        EventKind::BudgetWarned,
        EventKind::BudgetFull,
        EventKind::SpendBaseline,
        EventKind::PriceMissing,
        EventKind::ReconcileDrift,
        EventKind::Erased,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EventKind::BudgetWarned => "budget_warned",
            EventKind::BudgetFull => "budget_full",
            EventKind::SpendBaseline => "spend_baseline",
            EventKind::PriceMissing => "price_missing",
            EventKind::ReconcileDrift => "reconcile_drift",
            EventKind::Erased => "erased",
        }
    }

    pub fn parse(text: &str) -> Option<EventKind> {
        EventKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == text)
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Rises with each event; 0 before it is kept.
    pub seq: u64,
    pub at: Timestamp,
    pub kind: EventKind,
    /// What happened to whom and when, so that it is noted once: `spend_baseline:acme:2026-11-21`.
    pub key: String,
    pub severity: Severity,
    /// A sentence for people. Names in it may be anybody's text.
    pub message: String,
    /// The figures, for programs.
    pub detail: Value,
}

#[derive(Clone, Default, Debug)]
pub struct EventFilter {
    pub kind: Option<EventKind>,
    /// Rises; only events after it, for whoever sends them out.
    pub after: Option<u64>,
    /// Rows wanted; 0 means 50, and more than 1000 is taken as 1000.
    pub limit: u32,
}

//! The words that every room speaks: ids, money, time, the call and its record, events of an answer, faults.
//!
//! Plain values only: no IO, no clock, no async. What a value means (unit, range, source) stands at its type.

pub mod answer;
pub mod call;
pub mod export;
pub mod fault;
pub mod guard;
pub mod id;
pub mod money;
pub mod offer;
pub mod record;
pub mod secret;
pub mod sketch;
pub mod span;
pub mod time;
pub mod usage;

pub use answer::{Citation, Event, Finish, Seal, Sealed, ToolCall, ToolResult};
pub use call::{Caller, Dialect, Door, Environment, PromptRef, Target};
pub use export::{ExportProfile, ExportProtocol};
pub use fault::{Blame, Code, Fault};
pub use guard::{
    Action, Decision, Direction, ExceptedValue, Exception, Finding, GuardNote, GuardRun, OnError, Rule,
    RunOutcome, Scope, Scopes, Voice,
};
pub use id::{CallId, Name, SpanId, TraceId};
pub use money::{MoneyError, NanoUsd, PicoUsdPerToken, TokenCount};
pub use offer::{Quirks, Service, Services};
pub use record::{
    Attempt, AttemptEnd, Billed, BudgetAction, BudgetNote, CacheHit, CacheUse, CallRecord, Charge, Drawn,
    Measure, Outcome, Stage, StageTime, StreamTiming, TextsGone,
};
pub use secret::Secret;
pub use span::{Document, SpanKind, SpanRecord};
pub use time::{Day, Mono, Timestamp};
pub use usage::{ServiceTier, Usage};

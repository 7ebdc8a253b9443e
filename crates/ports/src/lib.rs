//! The seams: traits with two implementations or more, and the plain values that pass through them.
//!
//! Nothing here does anything (but [`crash`], in debug builds). Adapters (`store`, `trace`, `upstream`) implement, `pipeline` and the faces call.

pub mod bills;
pub mod clock;
pub mod control;
pub mod crash;
pub mod evals;
pub mod events;
pub mod groups;
pub mod keep;
mod models;
mod owners;
pub mod shared;
pub mod spool;
pub mod trace_store;
pub mod upstream;

pub use bills::{
    Correction, NameKind, Reconciliation, RecordCursor, RecordPage, RecordQuery, Repricing, SpendBy,
    SpendQuery, SpendRow, Unanswerable,
};
pub use clock::Clock;
pub use control::{
    Approval, ControlError, ControlStore, HISTORY_MAX, Kill, KillKind, LabelMove, MoveKind, OWNED_MAX, Owned,
    StoredKey, StoredPrompt,
};
pub use evals::{
    Ask, AskKind, Candidate, Direction, EVAL_BATCH_MAX, EvalCursor, EvalGate, EvalResult, EvalRetention,
    EvalRun, EvalStore, EvalStoreError, EvalsCut, GateFilter, JudgeKey, Judged, MetricSummary, RUNS_MAX,
    RunFilter, RunState, Runner, RunnerError, SUITES_SHOWN_MAX, Score, SuiteTrend, Told, TrendRun, Verdict,
};
pub use events::{Event, EventFilter, EventKind, Severity};
pub use groups::{GroupBy, GroupPage, GroupRow};
pub use keep::Cut;
pub use models::{Classifier, Embedder, Models, Tagger};
pub use owners::Owners;
pub use shared::{
    BudgetAsk, BudgetGrant, Exchange, Exchanged, RateAsk, RateGrant, ReplicaLine, SharedError, SharedState,
    SlotAsk, SlotGrant,
};
pub use spool::{Observer, Spool, SpoolError, Texts};
pub use trace_store::{
    Arrived, BudgetSpent, Grain, Overview, OverviewRow, SpanCursor, SpanFilter, SpanRow, SpoolPosition,
    StoreError, StoredCall, StoredSpan, TraceCursor, TraceFilter, TracePage, TraceRow, TraceStore,
};
pub use upstream::{
    Auth, AwsKeys, Endpoint, EndpointKind, HttpEndpoint, Layout, Operation, Sim, TokenGrant, Upstream,
    UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest, VertexModel,
};

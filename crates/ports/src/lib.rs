//! The seams: traits with two implementations or more, and the plain values that pass through them.
//!
//! Nothing here does anything (but [`crash`], in debug builds). Adapters (`store`, `trace`, `upstream`) implement, `pipeline` and the faces call.

pub mod clock;
pub mod control;
pub mod crash;
pub mod spool;
pub mod trace_store;
pub mod upstream;

pub use clock::Clock;
pub use control::{ControlError, ControlStore, Kill, KillKind, StoredKey, StoredPrompt};
pub use spool::{Observer, Spool, SpoolError, Texts};
pub use trace_store::{
    BudgetSpent, Grain, Overview, OverviewRow, SpendBy, SpendQuery, SpendRow, SpoolPosition, StoreError,
    StoredCall, TraceFilter, TraceRow, TraceStore,
};
pub use upstream::{
    Endpoint, EndpointKind, Sim, Upstream, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest,
};

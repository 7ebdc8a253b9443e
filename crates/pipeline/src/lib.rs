//! The way of one call, from the caller's bytes to the answer's. `run.rs` is the page to read first.
//!
//! Every kind of traffic enters by [`run`]; no stage calls another, and only `stage::attempt` talks to a model.

mod answer;
pub mod cache;
mod call;
mod checks;
mod detach;
mod documents;
mod dress;
mod filter;
mod gate;
mod judge;
mod ledger;
mod live;
mod models;
mod money;
mod outgoing;
mod passing;
mod proof;
mod reader;
mod request;
mod routing;
mod run;
mod share;
mod snapshot;
mod spans;
mod stage;
mod stream;
mod tagged;
mod text;

pub use answer::{Answer, AnswerBody, EvalModel, Incoming, Operator, PassPath, Purpose};
pub use detach::{Detach, Gone, Tasks};
pub use gate::{Gate, Shared, SharedParts};
pub use ledger::{Ledger, LedgerState};
pub use models::manners;
pub use run::run;
pub use share::{Sharer, SharerParts, Sharing};
pub use snapshot::{Snapshot, SnapshotError, endpoints};
pub use spans::{SpanDesk, SpanSender, Taken};

//! Where records and control data rest: the embedded SQLite adapters of the ports, and those for Postgres.
//!
//! `gauntlet.db` ([`SqliteTraces`]) holds calls, their texts, roll-ups and spend; `control.db` ([`SqliteControl`]) holds
//! keys, kill switches, prompts and the audit log. Both are plain SQLite files that `sqlite3` can read while the gateway
//! runs. Nothing of these is async and no clock is read (the audit log's time is SQLite's own): callers bring blocking
//! threads.
//!
//! [`shared`] is what several gateways have in common, in Redis or Postgres. That is async, as its one caller is.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod control;
mod error;
mod evals;
mod file;
mod finding;
pub mod moving;
mod pool;
mod postgres;
pub mod shared;
#[cfg(test)]
mod tests;
mod time;
mod tls;
mod traces;

pub use control::SqliteControl;
pub use error::OpenError;
pub use finding::walk::Patience;
pub use postgres::{Database, PostgresControl, PostgresTraces, SpentBy};
pub use traces::SqliteTraces;

//! Where records and control data rest: the embedded SQLite adapters of the ports.
//!
//! `gauntlet.db` ([`SqliteTraces`]) holds calls, their texts, roll-ups and spend; `control.db` ([`SqliteControl`]) holds
//! keys, kill switches, prompts and the audit log. Both are plain SQLite files that `sqlite3` can read while the gateway
//! runs. No clock is read but for the audit log's time, and nothing here is async: callers bring blocking threads.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod control;
mod error;
mod file;
mod pool;
mod time;
mod traces;

pub use control::SqliteControl;
pub use error::OpenError;
pub use traces::SqliteTraces;

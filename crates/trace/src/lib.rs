//! The record's way from a finished call to the places that keep it: spool, drainer, log line, metrics.
//!
//! A call writes its record to its worker's [`FileSpool`] (one `write(2)`); the [`Drainer`] moves records from there to
//! the trace store in batches, and [`recover`](recover::recover) does so at start for what a dead process left behind.
//! On the way [`Exporters`] put its spans aside for receivers elsewhere.
//! [`LineSink`] and [`Metrics`] see the same record and need neither the spool nor the store.
//!
//! Plain threads, no async: everything here either takes microseconds or runs on a thread of its own. What it does not
//! do: decide what is recorded, redact, or read the clock.

pub mod catalog;
pub mod dashboard;
pub mod disk;
pub mod drain;
pub mod error;
pub mod eval_figures;
pub mod export;
mod follow;
pub mod keep;
pub mod line;
pub mod metrics;
mod prometheus;
pub mod recover;
pub mod segment;
mod series;
pub mod sink;
pub mod spool;

pub use disk::{Disk, RealDisk, SegmentFile};
pub use drain::{Drainer, DrainerConfig, DrainerHandle, DrainerStats};
pub use error::TraceError;
pub use eval_figures::EvalFigures;
pub use export::{Exporter, ExporterStats, Exporters, Posted};
pub use line::line;
pub use metrics::Metrics;
pub use prometheus::Gauge;
pub use recover::{Recovered, recover, recover_with};
pub use sink::{LineSink, LineTarget, Rotation};
pub use spool::{FileSpool, SpoolLimits};

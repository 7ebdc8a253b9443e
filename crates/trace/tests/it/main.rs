//! What the spool, the drainer, recovery, log lines and metrics promise, by their public face.

// A helper of a test may fail the test; clippy sees that only in functions marked as tests.
#![allow(clippy::unwrap_used)]

mod disk_full;
mod drain;
mod export;
mod lines;
mod memory_store;
mod metrics;
mod money;
mod recovery;
mod spans;
mod spool;
mod support;

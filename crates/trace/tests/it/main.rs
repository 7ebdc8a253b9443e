//! What the spool, the drainer, recovery, log lines and metrics promise, by their public face.

mod disk_full;
mod drain;
mod lines;
mod metrics;
mod recovery;
mod spool;
mod support;

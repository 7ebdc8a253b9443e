//! What can go wrong between the spool and the store.

use std::{io, path::Path};

use gauntlet_ports::StoreError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum TraceError {
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: String, source: io::Error },
    #[error("`{0}` cannot name a worker: use letters, digits, `_` and `.`, at most 64 of them")]
    WorkerName(String),
    #[error("the trace store did not take the records of {path}")]
    Store { path: String, source: StoreError },
    #[error("{waiting_bytes} bytes of records were still on their way to the trace store")]
    NotDrained { waiting_bytes: u64 },
    #[error("log lines were still on their way to {0}")]
    LinesWaiting(String),
}

impl TraceError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> TraceError {
        TraceError::Io { what, path: path.display().to_string(), source }
    }
}

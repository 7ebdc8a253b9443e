//! The durable way of a record: into the operating system's hands before the caller sees the last byte.

use bytes::Bytes;
use gauntlet_types::CallRecord;
use thiserror::Error;

use crate::trace_store::StoredSpan;

/// The texts of a call as JSON, redacted. Empty where there is none, or where the route keeps none.
#[derive(Clone, Default, Debug)]
pub struct Texts {
    /// The request body as it came, redacted.
    pub input: Bytes,
    /// The answer: the body of a plain one; of a stream, the assembled message in the same shape.
    pub output: Bytes,
}

#[derive(Debug, Error)]
pub enum SpoolError {
    #[error("cannot write to the spool at {path}")]
    Write { path: String, source: std::io::Error },
    #[error(
        "records wait for the spool at {path} to become writable again; {waiting_bytes} bytes are held in memory"
    )]
    Behind { path: String, waiting_bytes: usize },
    #[error("a record of {bytes} bytes is larger than the spool takes ({limit})")]
    TooLarge { bytes: usize, limit: usize },
}

/// An append-only journal. One per worker, so that calls do not wait for each other.
pub trait Spool: Send + Sync {
    /// Notes that a call is about to ask a model, with what it holds. `record` is as it shall stand if the process dies
    /// now: outcome `interrupted`, cost equal to the hold. On error the call must not go on. Called again when what the
    /// call holds has changed: the last entry counts.
    fn open(&self, record: &CallRecord) -> Result<(), SpoolError>;

    /// Writes the final record; returns when the bytes are in the operating system's hands. When they cannot be, they
    /// are kept in memory (bounded) and tried again, and `open` refuses further calls meanwhile.
    fn close(&self, record: &CallRecord, texts: &Texts) -> Result<(), SpoolError>;

    /// Writes spans that an application sent; when this returns they are in the operating system's hands. On error
    /// nothing is kept, and the sender is to try again.
    fn spans(&self, spans: &[StoredSpan]) -> Result<(), SpoolError>;
}

/// Sees every finished record: metrics, the log line, live tails. Must not block and must not fail.
pub trait Observer: Send + Sync {
    fn observe(&self, record: &CallRecord);
}

impl<F: Fn(&CallRecord) + Send + Sync> Observer for F {
    fn observe(&self, record: &CallRecord) {
        self(record);
    }
}

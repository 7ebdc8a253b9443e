//! Why an attempt failed, whom that speaks against, and what it costs.

use std::time::Duration;

use gauntlet_policy::retry::{self, Against, Verdict};
use gauntlet_ports::UpstreamError;
use gauntlet_types::AttemptEnd;

use crate::{money::Bill, reader::Stop};

/// Why an attempt failed.
pub(super) struct Failed {
    pub(super) end: AttemptEnd,
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    /// For the record, and for the caller if the request itself is at fault.
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// An answer had begun: the model was at work.
    pub(super) is_begun: bool,
}

impl Failed {
    pub(super) fn new(end: AttemptEnd, message: impl Into<String>) -> Failed {
        Failed { end, status: None, code: None, message: message.into(), retry_after: None, is_begun: false }
    }

    /// What the provider will have on its bill for it. An error that it reports itself is its own; what it had begun and
    /// did not finish, or what cannot be read, was work.
    pub(super) fn bill(&self, is_streaming: bool) -> Bill {
        match self.end {
            AttemptEnd::Ok | AttemptEnd::Status | AttemptEnd::Connect | AttemptEnd::StreamError => {
                Bill::Nothing
            }
            // A connection that broke before the answer's head most likely never carried the request.
            AttemptEnd::Cut | AttemptEnd::Malformed | AttemptEnd::Abandoned if !self.is_begun => {
                Bill::Nothing
            }
            // Of a plain answer nothing is seen before its end.
            AttemptEnd::TotalTimeout | AttemptEnd::IdleTimeout | AttemptEnd::Cut | AttemptEnd::Outrun
                if !is_streaming =>
            {
                Bill::Bound
            }
            AttemptEnd::FirstTokenTimeout
            | AttemptEnd::TotalTimeout
            | AttemptEnd::IdleTimeout
            | AttemptEnd::Cut
            | AttemptEnd::Malformed
            | AttemptEnd::Abandoned
            | AttemptEnd::Outrun => Bill::Seen,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        retry::judge(self.status, self.end, self.code.as_deref())
    }

    pub(super) fn against(&self) -> Against {
        retry::against(self.status, self.end, self.code.as_deref(), self.retry_after)
    }

    pub(super) fn is_timeout(&self) -> bool {
        matches!(self.end, AttemptEnd::FirstTokenTimeout | AttemptEnd::IdleTimeout | AttemptEnd::TotalTimeout)
    }

    pub(super) fn begun(self) -> Failed {
        Failed { is_begun: true, ..self }
    }
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Failed {
        let end = stop.end();
        Failed::new(end, stop.to_string())
    }
}

impl From<UpstreamError> for Failed {
    fn from(error: UpstreamError) -> Failed {
        Stop::from(error).into()
    }
}

impl From<gauntlet_wire::Malformed> for Failed {
    fn from(bad: gauntlet_wire::Malformed) -> Failed {
        Failed::new(AttemptEnd::Malformed, format!("not an answer: {}", bad.message))
    }
}

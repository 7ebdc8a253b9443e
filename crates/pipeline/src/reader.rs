//! Reads an answer's pieces with patience for each and for the whole, and says why it stopped.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use bytes::Bytes;
use gauntlet_ports::{UpstreamBody, UpstreamError};
use gauntlet_types::{AttemptEnd, CallId, Code, Fault};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use crate::detach::Gone;

/// Why reading an answer stopped before its end.
#[derive(Debug, Error)]
pub(crate) enum Stop {
    #[error("no connection: {0}")]
    Connect(String),
    #[error("the answer broke off: {0}")]
    Cut(String),
    #[error("no first token in time")]
    FirstToken,
    #[error("silent for too long")]
    Idle,
    #[error("took too long")]
    Total,
    #[error("not an answer: {0}")]
    Malformed(String),
    #[error("an error within the stream: {message}")]
    Provider { code: Option<String>, message: String },
    #[error("the caller went away")]
    Gone,
}

impl From<UpstreamError> for Stop {
    fn from(error: UpstreamError) -> Stop {
        // Causes name the address and the system's own words, which an operator needs and no caller sees.
        let chain = |error: &dyn std::error::Error| {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                text.push_str(&format!(": {inner}"));
                cause = inner.source();
            }
            text
        };
        match &error {
            // What could not be sent at all is told like what could not be delivered: the model knows of neither.
            UpstreamError::Connect { .. }
            | UpstreamError::Token { .. }
            | UpstreamError::Unserved { .. }
            | UpstreamError::Request { .. } => Stop::Connect(chain(&error)),
            UpstreamError::Broken { .. } => Stop::Cut(chain(&error)),
            UpstreamError::Encoding { .. } => Stop::Malformed(error.to_string()),
        }
    }
}

impl Stop {
    pub(crate) fn end(&self) -> AttemptEnd {
        match self {
            Stop::Connect(_) => AttemptEnd::Connect,
            Stop::Cut(_) => AttemptEnd::Cut,
            Stop::FirstToken => AttemptEnd::FirstTokenTimeout,
            Stop::Idle => AttemptEnd::IdleTimeout,
            Stop::Total => AttemptEnd::TotalTimeout,
            Stop::Malformed(_) => AttemptEnd::Malformed,
            Stop::Provider { .. } => AttemptEnd::StreamError,
            Stop::Gone => AttemptEnd::Abandoned,
        }
    }

    pub(crate) fn fault(&self, id: CallId) -> Fault {
        let code = match self {
            Stop::Idle | Stop::Total | Stop::FirstToken => Code::UpstreamTimeout,
            _ => Code::UpstreamFailed,
        };
        Fault::provider(
            code,
            format!("the model's answer broke off; try again, or look at trace {id} for why"),
        )
    }
}

/// Reads the pieces of an answer, with patience for each and for the whole.
pub(crate) struct Reader {
    body: UpstreamBody,
    idle: Duration,
    deadline: Instant,
    /// Armed at or before the moment that matters, and put off when it rings too early: cheaper than moving it at
    /// every piece.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Reader {
    pub(crate) fn new(body: UpstreamBody, idle: Duration, deadline: Instant) -> Reader {
        Reader { body, idle, deadline, timer: None }
    }

    /// Sets when the whole must be there, and gives the moment that held before.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) -> Instant {
        std::mem::replace(&mut self.deadline, deadline)
    }

    /// The next piece; none at the end. `gone` stops the wait when the caller goes.
    pub(crate) async fn next(&mut self, gone: Option<&Gone>) -> Result<Option<Bytes>, Stop> {
        let mut until = None;
        let (body, timer, idle, deadline) = (&mut self.body, &mut self.timer, self.idle, self.deadline);
        poll_fn(|cx| {
            if let Poll::Ready(piece) = body.as_mut().poll_next(cx) {
                return Poll::Ready(piece.transpose().map_err(Stop::from));
            }
            if gone.is_some_and(Gone::is_set) {
                return Poll::Ready(Err(Stop::Gone));
            }
            let until = *until.get_or_insert_with(|| deadline.min(Instant::now() + idle));
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            while timer.as_mut().poll(cx).is_ready() {
                if Instant::now() >= until {
                    return Poll::Ready(Err(if until >= deadline { Stop::Total } else { Stop::Idle }));
                }
                timer.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await
    }
}

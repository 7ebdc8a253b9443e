//! What comes in by a door and what goes out of it, free of any server framework.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use gauntlet_types::{Door, Fault};
use http::{HeaderMap, StatusCode};

/// A call as the door took it. A body that could not be taken still becomes a record, hence the `Result`.
pub struct Incoming {
    pub door: Door,
    pub headers: HeaderMap,
    pub body: Result<Bytes, Fault>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
}

pub enum AnswerBody {
    Whole(Bytes),
    /// Ends only when the call is settled and recorded; dropping it early leaves that to the `Tasks`.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

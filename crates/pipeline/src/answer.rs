//! What comes in by a door and what goes out of it, free of any server framework.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use gauntlet_types::{Caller, Door, Fault, PromptRef};
use http::{HeaderMap, StatusCode};

/// A call as the door took it. A body that could not be taken still becomes a record, hence the `Result`.
pub struct Incoming {
    pub door: Door,
    pub headers: HeaderMap,
    pub body: Result<Bytes, Fault>,
    /// Made by management in somebody's name, so that no key is asked for; none for a caller at a door.
    pub operator: Option<Box<Operator>>,
}

/// A call that the operator has made again: its body was rendered and guarded before, the model it names is the one that
/// is asked, and no kept answer will do. Everything else holds for it as for any call, kill switches and budgets first.
pub struct Operator {
    pub caller: Caller,
    /// The prompt version that stands in the body; none where the body has none, or another is asked for.
    pub prompt: Option<PromptRef>,
    /// The call of a guard that asks a model, or of the cache that has a question embedded: what it is shown is what guards stop, so that none looks at it again.
    pub is_judge: bool,
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

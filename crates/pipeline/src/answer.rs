//! What comes in by a door and what goes out of it, free of any server framework.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use gauntlet_types::{Caller, Door, Fault, Name, PromptRef};
use gauntlet_wire::conversation::PathAsk;
use http::{HeaderMap, Method, StatusCode};

/// A call as the door took it. A body that could not be taken still becomes a record, hence the `Result`.
pub struct Incoming {
    pub door: Door,
    /// The model and whether to stream, where the dialect says so in the path.
    pub path: PathAsk,
    /// At a door whose requests are passed through: the method, and the path below `/v1` with its query.
    pub pass: Option<PassPath>,
    pub headers: HeaderMap,
    pub body: Result<Bytes, Fault>,
    /// Made by management in somebody's name, so that no key is asked for; none for a caller at a door.
    pub operator: Option<Box<Operator>>,
}

/// Where a request that is passed through goes.
#[derive(Clone, Debug)]
pub struct PassPath {
    pub method: Method,
    /// Begins with a slash.
    pub path: Name,
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

//! What comes in by a door and what goes out of it, free of any server framework.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use gauntlet_types::{CallRecord, Caller, Door, Fault, Name, PromptRef};
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

/// A call that the operator has made: no key is asked for, and no kept answer will do. Everything else holds for it as
/// for any call, kill switches and budgets first.
pub struct Operator {
    pub caller: Caller,
    /// The prompt version that stands in the body; none where the body has none, or another is asked for.
    pub prompt: Option<PromptRef>,
    pub purpose: Purpose,
}

/// What the operator has a call made for, which says how much of its route holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Made again: the body was rendered before, and the model that it names is the one that is asked.
    Replay,
    /// Of a guard that asks a model, of the cache that has a question embedded, of an eval that has an answer judged: what it
    /// is shown is what guards stop, so that none looks at it. The model that it names is the one that is asked.
    Judge,
    /// A case of an eval, which passes as an application's call by this route would: its prompt and its guards hold, and of
    /// models what [`EvalModel`] says.
    Eval(EvalModel),
}

/// Which model a case of an eval asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EvalModel {
    /// As an application's call: a prompt's own, else by the route's rules.
    AsRouted,
    /// The one that the body names, since that is what is tested: it stands above the prompt's own and the route's.
    AsNamed,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: AnswerBody,
    /// For whoever had the call made ([`Operator`]) and waits for no store to know what came of it; none of a stream.
    pub record: Option<Box<CallRecord>>,
}

pub enum AnswerBody {
    Whole(Bytes),
    /// Ends only when the call is settled and recorded; dropping it early leaves that to the `Tasks`.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

//! What a checked configuration is made of: routes with every default applied, and the server's own settings.

use std::{sync::Arc, time::Duration};

pub use gauntlet_types::Secret;
use gauntlet_types::{Environment, Name, TokenCount};

use super::{
    cache::{CacheBounds, CachePolicy},
    limits::Limits,
    routing::RouteRule,
};
use crate::{guard::Level, retry::RetryPolicy};

/// A prompt as a route names it: `name@label` or `name@1.2.0`; without `@…` the label `production`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromptPin {
    pub name: Name,
    /// A label or a version.
    pub at: Name,
}

/// A JSON schema that answers must fit.
#[derive(Debug)]
pub struct Schema {
    /// As the route names it.
    pub path: Name,
    pub value: serde_json::Value,
}

/// What happens to a call of a model that has no price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unpriced {
    /// Refused with `unpriced_model` (default).
    Block,
    /// Let through, counted as 0 and flagged.
    Allow,
    /// Let through with its output held to the route's `max_tokens`; token limits count it.
    CapTokens,
}

/// What happens to the upstream call when the caller hangs up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnDisconnect {
    /// Stopped at once (default).
    Abort,
    /// Read to its end, so that the record is whole.
    Drain,
    /// Read for at most so many more tokens.
    DrainTokens(TokenCount),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Default 5 s.
    pub connect: Duration,
    /// From the request to the first token of its answer. Default 30 s.
    pub first_token: Duration,
    /// Between two pieces of an answer. Default 30 s.
    pub idle: Duration,
    /// One attempt from begin to end. Default 120 s.
    pub attempt: Duration,
    /// The whole call, waits and fallbacks included. Default 300 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            attempt: Duration::from_secs(120),
            total: Duration::from_secs(300),
        }
    }
}

/// How calls of one feature are treated. Unset fields came from `default:`, then from the defaults named here.
#[derive(Clone, Debug)]
pub struct Route {
    pub name: Name,
    /// Wins over what the caller asks for.
    pub model: Option<Name>,
    /// The models of calls of some kind; the first that fits wins over `model`.
    pub rules: Vec<RouteRule>,
    /// The kind of work of calls that name none; its model is found in `tasks`.
    pub task: Option<Name>,
    /// Regions that its calls may go to; none: any.
    pub residency: Vec<Name>,
    pub prompt: Option<PromptPin>,
    /// Its level of guards, and those of the policies that it names. Default: everything is flagged, any shape goes.
    pub guards: Vec<Arc<Level>>,
    /// The canned answer when no model can give one.
    pub fallback: Option<Arc<str>>,
    /// None: off (default).
    pub cache: Option<CachePolicy>,
    /// Callers may ask for less, never for more.
    pub max_tokens: Option<TokenCount>,
    /// Output tokens taken for the estimate, and asked of the provider, when neither the caller nor `max_tokens` sets
    /// a bound. Default 4096.
    pub max_tokens_default: TokenCount,
    pub unpriced: Unpriced,
    /// Default: 3 attempts at one target, 250 ms doubling up to 8 s.
    pub retry: RetryPolicy,
    pub timeouts: Timeouts,
    pub on_disconnect: OnDisconnect,
    /// Whether redacted texts are kept beside the record. Default yes.
    pub record_bodies: bool,
    /// Refuses what cannot be told to the model in its own dialect, in place of leaving it out.
    pub strict: bool,
    pub limits: Limits,
}

/// Settings of the server itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// `sqlite` (default), or a `postgres://…` address.
    pub store: Secret,
    /// Default `127.0.0.1:8787`.
    pub listen: Option<Name>,
    /// Where spans are taken over gRPC: an address, or `off`. Default: port 4317 beside `listen`.
    pub otlp_listen: Option<Name>,
    /// Bytes of a request body. Default 10 MB.
    pub body_max: usize,
    pub log: LogSink,
    /// None: the texts of all calls are kept.
    pub sampling: Option<Sampling>,
    pub retention: Retention,
    /// Where replicas meet; none where there is but one.
    pub shared: Option<SharedStore>,
    pub cache: CacheBounds,
}

/// The store through which replicas share budgets, rates and slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedStore {
    /// `redis://…` or `postgres://…`
    pub url: Secret,
    /// How long a replica may spend from its slices without hearing from the store. Default 5 s.
    pub lease: Duration,
    pub on_store_down: OnStoreDown,
}

/// What happens to calls under a budget when the shared store has not been heard from for a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnStoreDown {
    /// Refused: no cap is passed (default).
    Block,
    /// Each replica goes on with the whole of each cap, less what the others were last heard to have spent.
    Local,
}

/// Where the JSON line of each call goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogSink {
    /// Default.
    Off,
    Stdout,
    Stderr,
    /// `rotate` bytes each, `keep` old ones.
    File {
        path: Name,
        rotate: u64,
        keep: u32,
    },
}

/// A log file that has reached this is put aside: a day of 100 calls a second is some 6 GB, so this is minutes to weeks.
pub const LOG_ROTATE: u64 = 100 << 20;
/// Files put aside that are kept.
pub const LOG_KEEP: u32 = 5;

/// Which calls keep their texts; costs and metrics are exact whatever stands here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampling {
    /// Percent of the ordinary traces. Errors, blocked and flagged calls and evals are always kept.
    pub keep_percent: u32,
    /// Calls that took at least so long keep their trace.
    pub slow: Option<Duration>,
    /// A trace is taken to be over when nothing of it has happened for so long.
    pub wait: Duration,
}

/// How long things are kept, by environment in the order of [`Environment::ALL`]. For good unless said.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Retention {
    pub ages: [Ages; Environment::ALL.len()],
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ages {
    /// Texts of calls and spans.
    pub messages: Option<Duration>,
    /// The rest of them. Sums stay.
    pub records: Option<Duration>,
}

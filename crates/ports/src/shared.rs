//! What several gateway processes share: budgets, rates and places for calls in flight.
//!
//! # The protocol
//!
//! A call must not wait for a network, and N replicas together must not pass a cap. So the store deals out *slices*: room
//! under a cap that one replica alone may use, counted as gone from the moment it is granted. A replica decides each call
//! in its own memory, within its slices, and every now and then exchanges figures with the store.
//!
//! For every account and replica the store counts `spent + slice`. What a replica does is bounded by a *limit*, an
//! absolute figure: `spent + held` never passes it by a new hold. Two rules make the caps hold:
//!
//! 1. **What the store counts for a replica is never less than that replica's limit.** A limit rises only by a reply, and
//!    the store has counted the rise before the reply was sent. What the store counts falls only to what the replica itself
//!    has promised not to pass while the exchange is on its way ([`BudgetAsk::keep`]).
//! 2. **The store lets a slice grow only while spend and slices of all replicas stay within the cap.**
//!
//! So spend and holds of all replicas are at most what the store counts, and that is at most the cap (or, where the cap
//! was lowered or a provider billed beyond its bound, what was counted then: nobody is granted more until it fits again).
//!
//! # What a replica does
//!
//! For each account: remember `limit`, start from the spend that its own journal knows, `limit = spent`. To exchange,
//! note `spent` and `held`, send `keep = max(limit - spent, held)`, and until the reply is there raise `limit` by nothing
//! (calls go on within it). Then `limit = spent as sent + BudgetGrant::slice`. That may be lower than before: others want
//! room. Calls in flight stay; new ones wait or are refused; the next exchange sends the lower `keep`, and only then has the
//! room returned. Exchanges are one at a time: the next one begins when the last has answered or failed. After a failure
//! `limit` stays as it was and the next exchange says everything again, since all figures are absolute.
//!
//! An exchange that timed out may have been applied, or may be applied later. Budgets and slots are not harmed: what it
//! granted is counted for this replica, and one with an older `seq` than the last is refused. **Rates are**: the tokens that
//! it took are lost (never given twice), which at most makes callers wait for them to grow again.
//!
//! # Replicas that vanish
//!
//! A replica that stops reporting keeps its slices, for they may have been used up unseen. They return when the replica
//! comes back (its journal says how much was used; so its id must outlive a restart), when it leaves in good order, or when
//! an operator [forgets](SharedState::forget) it. Time alone returns places in flight, which cost no money if wrong.
//!
//! A replica id is one process at a time: `session` is greater at each start, and a second process under the same id (a
//! copied data folder) is refused with [`SharedError::InUse`] while the first one lives. After a crash the same answer comes for
//! what is left of the lease.
//!
//! # A store that loses its memory
//!
//! A store emptied or set back (Redis without persistence, a fail-over to a copy that lagged, a restored backup) would
//! deal out room that replicas still hold. It notices: its mark is gone, or a replica has seen an answer
//! ([`Exchange::acked`]) that it knows nothing of. Then it takes a new mark ([`Exchanged::epoch`]) and for one lease nothing
//! grows ([`Exchanged::is_settling`]), while replicas register again what they have spent and hold. On a new `epoch` a
//! replica names all its accounts in the next exchange. What a replica knows of the others' spend
//! ([`BudgetAsk::elsewhere_spent`]) is a floor, so that the spend of one that is gone is not lost with the store's memory; the
//! *slices* of a replica that is away through all of it are. A Redis that starts empty is the same case, also the first time: the
//! store cannot tell, and safety wins. Postgres makes its mark with its tables and does not settle when new.

use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;

/// One atomic exchange at a time; see the module for what a replica owes the protocol.
pub trait SharedState: Send + Sync {
    /// One atomic round trip. Answers stand in the order of what was asked.
    fn exchange<'a>(&'a self, ask: &'a Exchange) -> BoxFuture<'a, Result<Exchanged, SharedError>>;

    /// A last exchange of a replica that stops in good order: everything is applied as by `exchange`, then its slices (but
    /// for what `last` names as held) and its slots return (those that `last` names at once, others with the lease), and its
    /// session ends. `last` must name every account
    /// whose spend has changed since the last answer. The spend stays.
    fn leave<'a>(&'a self, last: &'a Exchange) -> BoxFuture<'a, Result<(), SharedError>>;

    /// An operator says that a replica is gone for good: what its slices still hold returns, and its session ends. False
    /// when nothing is known of it; refused with `InUse` while it lives.
    fn forget<'a>(&'a self, replica: &'a str) -> BoxFuture<'a, Result<bool, SharedError>>;

    /// Replicas by id: those alive, and those that still hold something.
    fn replicas(&self) -> BoxFuture<'_, Result<Vec<ReplicaLine>, SharedError>>;
}

/// What a replica says and asks. Accounts and keys are opaque bytes of UTF-8, each named at most once in its list.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// Stable over restarts.
    pub replica: String,
    /// Greater at each start of the process, from 1 and below 2^53: the time in microseconds, or a counter kept beside the
    /// id. What an earlier process has sent and what arrives late is known by it.
    pub session: u64,
    /// Greater at each exchange of a session; from 1.
    pub seq: u64,
    /// The `seq` of the last exchange whose answer came; 0 before the first. Tells the store whether it has forgotten.
    pub acked: u64,
    /// How long the replica counts as alive without another exchange; some times the pause between two.
    pub lease: Duration,
    pub budgets: Vec<BudgetAsk>,
    pub rates: Vec<RateAsk>,
    pub slots: Vec<SlotAsk>,
}

/// Amounts are in the account's own unit: nano-dollars, tokens, requests. Redis counts exactly up to 2^53 and takes a greater
/// figure for that (9 million dollars): a cap beyond it is cut to it.
#[derive(Clone, Debug, Default)]
pub struct BudgetAsk {
    pub account: String,
    pub cap: i64,
    /// All that this replica has ever spent in it.
    pub spent: i64,
    /// By its calls in flight.
    pub held: i64,
    /// The slice beyond `spent` that the replica may use while this exchange is on its way: `limit - spent`, or less if
    /// it has lowered its limit before asking. Taken for `held` if less.
    pub keep: i64,
    /// Room beyond `held` that a waiting call needs; 0 for none.
    pub need: i64,
    /// The slice wished for; taken for `held + need` if less.
    pub want: i64,
    /// `BudgetGrant::elsewhere_spent` of the last answer; 0 before the first.
    pub elsewhere_spent: i64,
    /// The replica's entry is dropped when it is not renewed for so long. Past the end of the account's period, with
    /// room for clocks that differ and for calls in flight.
    pub forget_after: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetGrant {
    /// From now on `spent + held` may reach `spent as asked + slice`. Never less than `held`; may be less than `keep`.
    pub slice: i64,
    /// Spent by all other replicas together, as far as the store knows.
    pub elsewhere_spent: i64,
    /// Held ready by all other replicas: what of it is unused may come free soon. A need that does not fit into
    /// `cap - spent - held - elsewhere_spent` cannot be met by waiting.
    pub elsewhere_slices: i64,
    /// Nothing grows in this account for now, whether or not there is room.
    pub is_settling: bool,
}

/// A bucket of tokens that all replicas draw from, filled by the store's clock.
#[derive(Clone, Debug, Default)]
pub struct RateAsk {
    pub key: String,
    pub per_minute: u64,
    pub burst: u64,
    /// Tokens to draw at most; negative gives back.
    pub take: i64,
    /// Tokens without which the rest is no use: with fewer in the bucket nothing is taken.
    pub need: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateGrant {
    /// Negative for what was given back (all of it: what does not fit into the bucket is gone).
    pub taken: i64,
    /// Until `need` would be there if nobody else takes; zero if it was. `Duration::MAX` if it never will be.
    pub wait: Duration,
}

/// Places for calls in flight at once.
#[derive(Clone, Debug, Default)]
pub struct SlotAsk {
    pub key: String,
    pub max: u32,
    /// Calls in flight.
    pub used: u32,
    /// Places that the replica may use while this exchange is on its way; taken for `used` if less.
    pub keep: u32,
    /// Places wished for: calls in flight, those that wait, and few to spare. Others get none of what is wished for here.
    pub want: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotGrant {
    /// `max(used, min(want, what others leave))`. A replica whose lease is over leaves all of its places to others.
    pub slots: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    pub budgets: Vec<BudgetGrant>,
    pub rates: Vec<RateGrant>,
    pub slots: Vec<SlotGrant>,
    /// This one included.
    pub replicas_alive: u32,
    /// The store has lost its memory: no slice grows for now.
    pub is_settling: bool,
    /// Another one than last time: name every account in the next exchange.
    pub epoch: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaLine {
    pub id: String,
    /// Since its last exchange, by the store's clock.
    pub seen_ago: Duration,
    pub is_alive: bool,
    /// Accounts in which it holds a slice.
    pub accounts: u32,
    /// The sum of these slices, over accounts of all units. In doubt when it is not alive.
    pub slices: i64,
}

/// No message holds the address's password.
#[derive(Debug, Error)]
pub enum SharedError {
    #[error("the shared state at {place} cannot be reached")]
    Unavailable { place: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// It may have been applied, or may be later.
    #[error("the shared state at {place} did not answer within {} ms", limit.as_millis())]
    TimedOut { place: String, limit: Duration },
    #[error("the shared state at {place} refused the exchange")]
    Refused { place: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the shared state was asked for what cannot be: {what}")]
    Malformed { what: String },
    /// Another process lives, or has just died, under this id.
    #[error(
        "replica id `{replica}` is in use by another process; if that one has crashed, it is free in {} ms",
        wait.as_millis()
    )]
    InUse { replica: String, wait: Duration },
    /// The session was ended: it left, was forgotten, or another took the id after its lease was over. What it holds
    /// beyond its calls in flight is no longer its own: go on only with a new, greater session.
    #[error("the session of replica `{replica}` has ended")]
    Superseded { replica: String },
    /// A later exchange of the session has been applied already.
    #[error("exchange {seq} of replica `{replica}` comes after a later one")]
    Stale { replica: String, seq: u64 },
}

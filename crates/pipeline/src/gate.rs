//! What all calls share, and what belongs to one worker.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use gauntlet_guard::{Profanity, Refusals, Scanner};
use gauntlet_policy::{
    budget::{Crossed, show},
    health::Health,
    limit::Limiter,
};
use gauntlet_ports::{Clock, Observer, Owners, Spool, Upstream};
use gauntlet_types::{CallId, Fault, Name};

use crate::{
    cache::Cache, detach::Tasks, judge::Verdicts, ledger::Ledger, snapshot::Snapshot, spans::SpanDesk,
};

/// What one worker needs to run calls: its own way upstream and its own spool, and what all workers share.
pub struct Gate {
    pub shared: Arc<Shared>,
    pub upstream: Arc<dyn Upstream>,
    pub spool: Arc<dyn Spool>,
}

/// The choices of whoever wires the program.
pub struct SharedParts {
    pub snapshot: Arc<Snapshot>,
    pub clock: Arc<dyn Clock>,
    pub ledger: Ledger,
    pub scanner: Arc<Scanner>,
    pub observers: Vec<Arc<dyn Observer>>,
    pub owners: Arc<dyn Owners>,
    /// Keys the hashes of found values, so that equal values join and none can be guessed.
    pub hash_key: [u8; 32],
    /// The status a fault is answered with; the server's table, noted in the record.
    pub status_of: fn(&Fault) -> u16,
    /// Told of every budget that takes a step up. Must not block.
    pub on_crossed: Box<dyn Fn(&Crossed) + Send + Sync>,
}

/// Ids of answers that are remembered, each some hundred bytes: a day of a busy gateway's conversations.
const KEPT_ANSWERS_MAX: u64 = 100_000;

/// An answer that a provider keeps (`store` of Responses), so that a conversation goes on where it is known.
#[derive(Clone)]
pub(crate) struct KeptAnswer {
    pub(crate) tenant: Name,
    pub(crate) provider: Name,
}

pub struct Shared {
    pub snapshot: ArcSwap<Snapshot>,
    pub clock: Arc<dyn Clock>,
    pub ledger: Ledger,
    pub tasks: Tasks,
    pub spans: SpanDesk,
    pub(crate) limiter: Mutex<Limiter>,
    pub(crate) slots: tokio::sync::Notify,
    pub(crate) health: Mutex<Health>,
    /// Answers that are given again.
    pub cache: Cache,
    pub(crate) verdicts: Verdicts,
    pub(crate) scanner: Arc<Scanner>,
    pub(crate) profanity: Arc<Profanity>,
    pub(crate) refusals: Refusals,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) owners: Arc<dyn Owners>,
    /// Whose answers providers keep, and which provider does: the newest, in memory alone.
    pub(crate) kept_answers: moka::sync::Cache<Name, KeptAnswer>,
    pub(crate) hash_key: [u8; 32],
    pub(crate) status_of: fn(&Fault) -> u16,
    on_crossed: Box<dyn Fn(&Crossed) + Send + Sync>,
}

impl Shared {
    /// Lets go of every kept answer.
    pub fn forget_answers(&self) {
        self.cache.clear(None, None);
    }

    pub fn new(parts: SharedParts) -> Shared {
        Shared {
            snapshot: ArcSwap::new(parts.snapshot),
            clock: parts.clock,
            ledger: parts.ledger,
            tasks: Tasks::default(),
            spans: SpanDesk::default(),
            limiter: Mutex::new(Limiter::new()),
            slots: tokio::sync::Notify::new(),
            health: Mutex::default(),
            cache: Cache::default(),
            verdicts: Verdicts::new(),
            scanner: parts.scanner,
            profanity: Arc::new(Profanity::new()),
            refusals: Refusals::new(),
            observers: parts.observers,
            owners: parts.owners,
            kept_answers: moka::sync::Cache::new(KEPT_ANSWERS_MAX),
            hash_key: parts.hash_key,
            status_of: parts.status_of,
            on_crossed: parts.on_crossed,
        }
    }
}

impl Shared {
    /// A number of a call's own that nobody outside can guess.
    pub(crate) fn secret_of(&self, call: CallId) -> u64 {
        let hash = blake3::keyed_hash(&self.hash_key, call.0.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(bytes)
    }

    /// Housekeeping, now and then: holds of calls that nobody ended are charged in full, and limits that nobody uses
    /// leave memory.
    pub fn sweep(&self) {
        let now = self.clock.mono();
        for reaped in self.ledger.reap(now) {
            tracing::error!(call = %reaped, "a hold outlived its call and was charged in full");
        }
        lock(&self.limiter).forget_idle(now);
        self.cache.sweep(now);
    }

    /// A budget took a step up.
    pub(crate) fn told(&self, crossed: &Crossed) {
        let measure = crossed.charge.measure;
        tracing::warn!(
            budget = %crossed.charge.scope,
            of = %crossed.charge.key,
            spent = %show(measure, crossed.spent),
            cap = %show(measure, crossed.cap),
            "a budget has reached {} % of its cap",
            crossed.percent
        );
        (self.on_crossed)(crossed);
    }
}

/// What the pipeline locks is changed in one step each time, so a panic elsewhere leaves nothing half-done behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

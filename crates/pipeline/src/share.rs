//! Budgets, rates and slots over several replicas: slices are asked for in the background, and by a call only when its
//! slice is too small. The protocol, and why no cap is passed, stands in `gauntlet_ports::shared`.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use gauntlet_policy::{
    budget::share::Ask,
    config::OnStoreDown,
    limit::{Draught, Granted, LimitAsk},
};
use gauntlet_ports::{BudgetAsk, Exchange, Exchanged, RateAsk, SharedError, SharedState, SlotAsk};
use gauntlet_types::Mono;
use tokio::sync::Notify;

use crate::gate::{Shared, lock};

/// How calls and the task that exchanges figures with the shared store meet.
#[derive(Default)]
pub struct Sharing {
    /// A call needs more than its slice.
    wanted: Notify,
    /// An exchange has ended, well or badly.
    done: Notify,
    is_down: AtomicBool,
    is_settling: AtomicBool,
    replicas: AtomicU32,
}

/// How long a call waits for one exchange; the store's own limit is shorter.
const REFILL_WAIT: Duration = Duration::from_millis(800);
/// How often a call asks before it takes no for an answer: slices that others do not need come back within some
/// exchanges.
const REFILLS_MAX: u32 = 6;
/// Between two questions of one call: time for others to give back.
const REFILL_PAUSE: Duration = Duration::from_millis(100);

impl Sharing {
    /// Asks for larger slices and waits for the answer, the `nth` time for this call, from 0; false when asking more is
    /// no use.
    pub(crate) async fn refill(&self, nth: u32) -> bool {
        if nth >= REFILLS_MAX || (nth > 0 && self.is_settling()) {
            return false;
        }
        if nth > 0 {
            tokio::time::sleep(REFILL_PAUSE).await;
        }
        let done = self.done.notified();
        tokio::pin!(done);
        // Registered before asking, so that a quick answer is not missed.
        done.as_mut().enable();
        self.wanted.notify_one();
        tokio::time::timeout(REFILL_WAIT, done).await.is_ok() && !self.is_down()
    }

    /// Whether the last exchange failed.
    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Acquire)
    }

    /// Gateways alive, this one included; 0 before the store was heard.
    pub fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed)
    }

    /// The shared store has begun anew, and grants nothing until every replica has told it what it holds.
    pub fn is_settling(&self) -> bool {
        self.is_settling.load(Ordering::Acquire)
    }
}

/// Between two exchanges while calls come in.
const TICK: Duration = Duration::from_millis(150);
/// Calls that ask one after the other are answered together.
const GAP: Duration = Duration::from_millis(3);
/// Of one exchange: some hundred kilobytes.
const ACCOUNTS_MAX: usize = 2_000;
const LIMITS_MAX: usize = 5_000;

/// The other side: keeps this replica's slices filled.
pub struct Sharer {
    shared: Arc<Shared>,
    store: Arc<dyn SharedState>,
    replica: String,
    lease: Duration,
    on_down: OnStoreDown,
    session: u64,
    seq: u64,
    acked: u64,
    epoch: Option<String>,
    /// Until when slices may be used without hearing from the store; none before the first answer.
    lease_until: Option<Mono>,
    replicas: u32,
    /// The lease is over.
    is_cut_off: bool,
}

/// What a replica needs to share.
pub struct SharerParts {
    pub shared: Arc<Shared>,
    pub store: Arc<dyn SharedState>,
    /// Outlives restarts.
    pub replica: String,
    pub lease: Duration,
    pub on_down: OnStoreDown,
}

impl Sharer {
    /// None where the ledger has its budgets to itself.
    pub fn new(parts: SharerParts) -> Option<Sharer> {
        parts.shared.ledger.sharing()?;
        let SharerParts { shared, store, replica, lease, on_down } = parts;
        lock(&shared.limiter).lease(shared.clock.mono());
        let session = session_after(&shared, 0);
        let (seq, acked, epoch, lease_until, replicas, is_cut_off) = (0, 0, None, None, 1, false);
        Some(Sharer {
            shared,
            store,
            replica,
            lease,
            on_down,
            session,
            seq,
            acked,
            epoch,
            lease_until,
            replicas,
            is_cut_off,
        })
    }

    /// Exchanges figures until `stop`, then gives back what this replica has no use for any more.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut last = self.shared.clock.mono();
        loop {
            let Some(sharing) = self.shared.ledger.sharing() else { return };
            let asked = tokio::select! {
                () = &mut stop => break,
                () = sharing.wanted.notified() => {
                    tokio::time::sleep(GAP).await;
                    true
                }
                () = tokio::time::sleep(TICK) => false,
            };
            let now = self.shared.clock.mono();
            // An idle replica only shows that it lives.
            let is_due = asked || now.since(last) >= self.lease / 4 || self.is_down();
            if self.exchange(is_due).await {
                last = now;
            }
        }
        self.leave().await;
    }

    fn is_down(&self) -> bool {
        self.shared.ledger.sharing().is_some_and(Sharing::is_down)
    }

    /// One exchange, unless there is nothing to say and none is due. True if the store was asked.
    async fn exchange(&mut self, is_due: bool) -> bool {
        // Cut off, this replica may be spending what is not counted for it: first the store is heard, then everything
        // is told.
        if self.is_cut_off {
            let probe = self.ask(&[], &[]);
            match self.store.exchange(&probe).await {
                Ok(exchanged) => self.rejoin(exchanged),
                Err(error) => self.failed(&error),
            }
            self.tell_done();
            return true;
        }
        let asks = self.shared.ledger.book().asks(self.shared.clock.now(), ACCOUNTS_MAX);
        let limits = lock(&self.shared.limiter).asks(LIMITS_MAX);
        if asks.is_empty() && limits.is_empty() && !is_due {
            return false;
        }
        let sent = self.shared.clock.mono();
        let exchange = self.ask(&asks, &limits);
        match self.store.exchange(&exchange).await {
            Ok(exchanged) => self.take(&asks, &limits, exchanged, sent),
            Err(error) => {
                // All figures are absolute: what was not heard is said again.
                self.shared.ledger.book().ask_again(&asks);
                self.failed(&error);
            }
        }
        self.tell_done();
        true
    }

    fn ask(&mut self, asks: &[Ask], limits: &[LimitAsk]) -> Exchange {
        self.seq += 1;
        let budget = |ask: &Ask| BudgetAsk {
            account: ask.account(),
            cap: ask.cap,
            spent: ask.spent,
            held: ask.held,
            keep: ask.keep,
            need: ask.need,
            want: ask.want,
            elsewhere_spent: ask.elsewhere,
            forget_after: ask.forget_after,
        };
        let key =
            |ask: &LimitAsk, what: &str| format!("{}\u{1f}{what}\u{1f}{}", ask.scope.as_str(), ask.name);
        let rate = |ask: &LimitAsk, what: &str, (limit, draught): (u32, Draught)| RateAsk {
            key: key(ask, what),
            per_minute: limit.into(),
            burst: limit.into(),
            take: draught.take,
            need: draught.need.into(),
        };
        let rates = limits.iter().flat_map(|ask| {
            let requests = ask.requests.map(|wanted| rate(ask, "rpm", wanted));
            requests.into_iter().chain(ask.tokens.map(|wanted| rate(ask, "tpm", wanted)))
        });
        let slots = limits.iter().filter_map(|ask| {
            let wanted = ask.slots?;
            let (max, used, keep, want) = (wanted.max, wanted.used, wanted.keep, wanted.want);
            Some(SlotAsk { key: key(ask, "slots"), max, used, keep, want })
        });
        Exchange {
            replica: self.replica.clone(),
            session: self.session,
            seq: self.seq,
            acked: self.acked,
            lease: self.lease,
            budgets: asks.iter().map(budget).collect(),
            rates: rates.collect(),
            slots: slots.collect(),
        }
    }

    fn take(&mut self, asks: &[Ask], limits: &[LimitAsk], exchanged: Exchanged, sent: Mono) {
        {
            let mut book = self.shared.ledger.book();
            for (ask, grant) in asks.iter().zip(&exchanged.budgets) {
                book.grant(ask, grant.slice, grant.elsewhere_spent);
            }
        }
        let now = self.shared.clock.mono();
        let (mut rates, mut slots) = (exchanged.rates.iter(), exchanged.slots.iter());
        let mut wakes = false;
        {
            let mut limiter = lock(&self.shared.limiter);
            for ask in limits {
                let mut rate = |asked: bool| {
                    asked.then(|| rates.next()).flatten().map(|grant| (grant.taken, grant.wait))
                };
                let granted = Granted {
                    requests: rate(ask.requests.is_some()),
                    tokens: rate(ask.tokens.is_some()),
                    slots: ask.slots.and_then(|_| slots.next()).map(|grant| grant.slots),
                };
                wakes |= !limiter.grant(now, ask.scope, &ask.name, &granted).is_empty();
            }
        }
        if wakes {
            self.shared.slots.notify_waiters();
        }
        self.heard(&exchanged, sent);
    }

    /// The store has answered.
    fn heard(&mut self, exchanged: &Exchanged, sent: Mono) {
        self.acked = self.seq;
        self.replicas = exchanged.replicas_alive.max(1);
        self.lease_until = Some(sent.plus(self.lease));
        if let Some(sharing) = self.shared.ledger.sharing() {
            sharing.replicas.store(self.replicas, Ordering::Relaxed);
            if sharing.is_down.swap(false, Ordering::AcqRel) {
                tracing::info!(replicas = self.replicas, "the shared store answers again");
            }
            if exchanged.is_settling != sharing.is_settling.swap(exchanged.is_settling, Ordering::AcqRel)
                && exchanged.is_settling
            {
                tracing::warn!(
                    "the shared store begins anew: nothing is granted until all replicas have reported"
                );
            }
        }
        if self.epoch.as_ref() != Some(&exchanged.epoch) {
            if self.epoch.is_some() {
                self.shared.ledger.book().ask_for_all();
            }
            self.epoch = Some(exchanged.epoch.clone());
        }
    }

    /// Heard from the store again after being cut off: from here on nothing is spent but from slices.
    fn rejoin(&mut self, exchanged: Exchanged) {
        let now = self.shared.clock.mono();
        self.is_cut_off = false;
        {
            let mut book = self.shared.ledger.book();
            book.cut_off(false);
            book.ask_for_all();
        }
        lock(&self.shared.limiter).lease(now);
        self.heard(&exchanged, now);
    }

    fn failed(&mut self, error: &SharedError) {
        let now = self.shared.clock.mono();
        if let Some(sharing) = self.shared.ledger.sharing()
            && !sharing.is_down.swap(true, Ordering::AcqRel)
        {
            tracing::error!(error = error as &dyn std::error::Error, "the shared store cannot be asked");
        }
        let is_ended = matches!(error, SharedError::Superseded { .. });
        if is_ended {
            self.session = session_after(&self.shared, self.session);
            (self.seq, self.acked) = (0, 0);
        }
        let is_over = self.lease_until.is_none_or(|until| now >= until);
        if (is_over || is_ended) && !self.is_cut_off {
            self.is_cut_off = true;
            // One that was never heard may be a misspelt address: it has no right to go on alone.
            let goes_on = self.on_down == OnStoreDown::Local && self.lease_until.is_some() && !is_ended;
            self.shared.ledger.book().cut_off(goes_on);
            if goes_on {
                lock(&self.shared.limiter).part(now, self.replicas);
                tracing::warn!(
                    "going on alone (`on_store_down: local`): caps may be passed by what other replicas spend"
                );
            } else {
                tracing::error!("calls under budgets are refused until the shared store answers");
            }
        }
    }

    fn tell_done(&self) {
        if let Some(sharing) = self.shared.ledger.sharing() {
            sharing.done.notify_waiters();
        }
        self.shared.ledger.tell_freed();
    }

    /// All calls have ended: the last word, with which the slices return.
    async fn leave(&mut self) {
        if self.is_cut_off || self.lease_until.is_none() {
            return;
        }
        let asks = self.shared.ledger.book().asks(self.shared.clock.now(), usize::MAX);
        let last = self.ask(&asks, &[]);
        if let Err(error) = self.store.leave(&last).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "could not take leave of the shared store; slices return with the next start"
            );
        }
    }
}

/// Greater at each start, so that two processes under one id are noticed, and the older gives way.
fn session_after(shared: &Shared, last: u64) -> u64 {
    u64::try_from(shared.clock.now().0).unwrap_or(0).max(last + 1)
}

//! All calls of a run, candidate's and judges', held to what the gateway and the providers bear.
//!
//! So many at once and no more; when one is refused for coming too soon, all wait as long as it was told, fewer go at once
//! for a while, and it is asked again. Whatever no further call can get past ends the run instead of failing thousands of
//! cases one by one.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use gauntlet_ports::{Ask, Clock, Runner, RunnerError, Told};
use gauntlet_types::{Mono, NanoUsd};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Parts, Stop};
use crate::{Suite, Waits};

/// One call is asked again for so long at most: a rate limit by the minute has passed several times over.
const PATIENCE: Duration = Duration::from_secs(600);
/// A longer pause is no rate limit but a day's quota; nobody waits for it.
const PAUSE_MAX: Duration = Duration::from_secs(120);
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// Tries of a call that failed upstream or on the way; the gateway has tried its other targets already.
const FAULTS_MAX: u32 = 3;
/// Good answers after which one call more may go at once again.
const EASE_AFTER: usize = 20;
/// Refusals in a row, without one good answer before, that show that the next would be refused too: of the candidate's
/// calls, of which the first goes alone, and of judges'.
const HOPELESS: [u32; 2] = [1, 5];
/// Broken connections in a row after which the gateway is taken for gone.
const GONE: u32 = 10;

/// Codes that have nothing to do with the one case.
const NEVER: [&str; 7] =
    ["unauthorized", "forbidden", "killed", "unknown_route", "unknown_model", "unpriced_model", "not_found"];
const SOON: [&str; 3] = ["rate_limited", "overloaded", "unavailable"];
const FAULTS: [&str; 2] = ["upstream_failed", "upstream_timeout"];

#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// The gateway says no to all that would follow.
    Refused(String),
    /// The gateway cannot be reached.
    Gone(String),
}

pub(super) struct Paced<'a> {
    inner: &'a dyn Runner,
    clock: &'a dyn Clock,
    stop: &'a Stop,
    answer_limit: Duration,
    slots: Semaphore,
    /// Slots that exist, and those that shall.
    existing: AtomicUsize,
    wanted: AtomicUsize,
    slots_max: usize,
    good_since: AtomicUsize,
    /// Nobody asks before (microseconds of the clock).
    open_at: AtomicU64,
    spent: AtomicI64,
    /// Of the candidate's calls and of judges': good answers, answers that cost something, and what.
    good: [AtomicU32; 2],
    paid: [AtomicI64; 2],
    paid_for: [AtomicI64; 2],
    hopeless: [AtomicU32; 2],
    broken: AtomicU32,
    ended: Mutex<Option<Ended>>,
}

/// What to do with an answer.
enum Next {
    Take,
    /// Ask again after so long, for everybody's sake or only for its own.
    Slow(Duration),
    Again,
}

impl<'a> Paced<'a> {
    pub(super) fn new(parts: &Parts<'a>, suite: &Suite) -> Paced<'a> {
        let slots = suite.concurrency.max(1) as usize;
        let limit = if suite.answer_limit.is_zero() { Suite::ANSWER_LIMIT } else { suite.answer_limit };
        Paced {
            inner: parts.runner,
            clock: parts.clock,
            stop: parts.stop,
            answer_limit: limit,
            slots: Semaphore::new(slots),
            existing: AtomicUsize::new(slots),
            wanted: AtomicUsize::new(slots),
            slots_max: slots,
            good_since: AtomicUsize::new(0),
            open_at: AtomicU64::new(0),
            spent: AtomicI64::new(0),
            good: Default::default(),
            paid: Default::default(),
            paid_for: Default::default(),
            hopeless: Default::default(),
            broken: AtomicU32::new(0),
            ended: Mutex::new(None),
        }
    }

    pub(super) fn spent(&self) -> NanoUsd {
        NanoUsd(self.spent.load(Relaxed))
    }

    /// What a call of the candidate, or of a judge, has cost on average.
    pub(super) fn usual_cost(&self, is_judge: bool) -> NanoUsd {
        let who = usize::from(is_judge);
        NanoUsd(self.paid_for[who].load(Relaxed) / self.paid[who].load(Relaxed).max(1))
    }

    fn pay(&self, cost: NanoUsd, is_judge: bool) {
        let who = usize::from(is_judge);
        self.spent.fetch_add(cost.0.max(0), Relaxed);
        if cost.0 > 0 {
            self.paid[who].fetch_add(1, Relaxed);
            self.paid_for[who].fetch_add(cost.0, Relaxed);
        }
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&self, why: Ended) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    /// Asks when it is this call's turn; `waits` knows of the time until then.
    pub(super) async fn paced(&self, ask: Ask, waits: &Waits) -> Result<Told, RunnerError> {
        let begun = self.clock.mono();
        let mut faults = 0;
        let mut tries: u32 = 0;
        loop {
            let slot = waits.during(self.slot()).await?;
            waits.during(self.until_open()).await;
            if self.ended().is_some() {
                return Err(RunnerError("the run has ended".to_owned()));
            }
            let open = Open { paced: self, is_judge: ask.is_judge };
            let asked = tokio::time::timeout(self.answer_limit, self.inner.ask(ask.clone())).await;
            if asked.is_ok() {
                open.answered();
            }
            self.give_back(slot);
            tries += 1;
            let told = match asked {
                Err(_) => {
                    let limit = self.answer_limit;
                    return Err(RunnerError(format!(
                        "no answer came within {limit:?} (answer_limit of the suite)"
                    )));
                }
                Ok(Err(error)) => {
                    let in_a_row = self.broken.fetch_add(1, Relaxed) + 1;
                    if in_a_row >= GONE {
                        self.end(Ended::Gone(error.0.clone()));
                    }
                    faults += 1;
                    if faults >= FAULTS_MAX || self.stop.is_asked() {
                        return Err(error);
                    }
                    tokio::time::sleep(self.pause(tries)).await;
                    continue;
                }
                Ok(Ok(told)) => told,
            };
            self.broken.store(0, Relaxed);
            self.pay(told.cost, ask.is_judge);
            let has_time = self.clock.mono().since(begun) < PATIENCE && !self.stop.is_asked();
            match self.judge(&told, ask.is_judge, tries) {
                Next::Slow(pause) if has_time && pause <= PAUSE_MAX => self.slow(pause),
                Next::Again if has_time && faults + 1 < FAULTS_MAX => {
                    faults += 1;
                    tokio::time::sleep(self.pause(tries)).await;
                }
                Next::Take | Next::Slow(_) | Next::Again => return Ok(told),
            }
        }
    }

    fn judge(&self, told: &Told, is_judge: bool, tries: u32) -> Next {
        let who = usize::from(is_judge);
        if told.is_ok() {
            self.good[who].fetch_add(1, Relaxed);
            self.ease();
            return Next::Take;
        }
        let code = told.error_code().unwrap_or_default();
        let words = || told.error_message().unwrap_or("no reason is given").to_owned();
        if code == "budget_exceeded" {
            self.end(Ended::Refused(format!("the gateway's budget is used up: {}", words())));
            return Next::Take;
        }
        if NEVER.contains(&code) {
            let in_a_row = self.hopeless[who].fetch_add(1, Relaxed) + 1;
            if in_a_row >= HOPELESS[who] && self.good[who].load(Relaxed) == 0 {
                let first = match (is_judge, in_a_row) {
                    (false, 1) => "the first call was refused".to_owned(),
                    (false, _) => format!("the first {in_a_row} calls were all refused"),
                    (true, _) => format!("the first {in_a_row} judges' calls were all refused"),
                };
                self.end(Ended::Refused(format!("{first} ({code}): {}", words())));
            }
            return Next::Take;
        }
        // The gateway has waited as long as an application would; a run has more patience with a provider's limit.
        let is_limited_upstream = FAULTS.contains(&code)
            && (told.retry_after_ms.is_some() || told.body["error"]["provider_status"] == 429);
        let is_soon = SOON.contains(&code)
            || is_limited_upstream
            || (matches!(told.status, 429 | 503 | 529) && !FAULTS.contains(&code));
        if is_soon {
            return Next::Slow(told.retry_after_ms.map_or_else(|| self.pause(tries), Duration::from_millis));
        }
        if FAULTS.contains(&code) { Next::Again } else { Next::Take }
    }

    /// Doubles with each try, up to half a minute, and scatters by a quarter so that not all come back at once.
    fn pause(&self, tries: u32) -> Duration {
        let doubled = PAUSE_FIRST * 2_u32.pow(tries.saturating_sub(1).min(6));
        doubled.mul_f64(1.0 + 0.25 * self.clock.chance())
    }

    async fn slot(&self) -> Result<SemaphorePermit<'_>, RunnerError> {
        // Nothing closes it; said for the type.
        self.slots.acquire().await.map_err(|error| RunnerError(error.to_string()))
    }

    async fn until_open(&self) {
        loop {
            let open_at = Mono(self.open_at.load(Relaxed));
            let wait = open_at.since(self.clock.mono());
            if wait.is_zero() || self.stop.is_asked() {
                return;
            }
            // In pieces, so that a run that is stopped need not wait for the whole of it.
            tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
        }
    }

    /// Everybody waits, and half as many go at once. Refusals of calls that went together count once.
    fn slow(&self, pause: Duration) {
        let now = self.clock.mono();
        let was_open = Mono(self.open_at.load(Relaxed)) <= now;
        self.open_at.fetch_max(now.plus(pause).0, Relaxed);
        self.good_since.store(0, Relaxed);
        if was_open {
            let wanted = self.wanted.load(Relaxed);
            self.wanted.store((wanted / 2).max(1), Relaxed);
        }
    }

    fn ease(&self) {
        if self.wanted.load(Relaxed) >= self.slots_max {
            return;
        }
        if (self.good_since.fetch_add(1, Relaxed) + 1).is_multiple_of(EASE_AFTER) {
            let wanted = self.wanted.fetch_add(1, Relaxed) + 1;
            if self.existing.load(Relaxed) < wanted {
                self.existing.fetch_add(1, Relaxed);
                self.slots.add_permits(1);
            }
        }
    }

    fn give_back(&self, slot: SemaphorePermit<'_>) {
        if self.existing.load(Relaxed) > self.wanted.load(Relaxed) {
            self.existing.fetch_sub(1, Relaxed);
            slot.forget();
        }
    }
}

/// A call under way. The gateway ends and bills what nobody waits for any more, so a call that is cut counts with what its
/// like have cost.
struct Open<'a, 'b> {
    paced: &'a Paced<'b>,
    is_judge: bool,
}

impl Open<'_, '_> {
    fn answered(self) {
        std::mem::forget(self);
    }
}

impl Drop for Open<'_, '_> {
    fn drop(&mut self) {
        self.paced.spent.fetch_add(self.paced.usual_cost(self.is_judge).0, Relaxed);
    }
}

impl Runner for Paced<'_> {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Told, RunnerError>> {
        Box::pin(async move { self.paced(ask, &Waits::default()).await })
    }
}

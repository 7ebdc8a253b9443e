//! The shared state in memory: for tests, and as the plain statement of the rules.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, ready};
use gauntlet_ports::{
    BudgetAsk, BudgetGrant, Clock, Exchange, Exchanged, RateAsk, RateGrant, ReplicaLine, SharedError,
    SharedState, SlotAsk, SlotGrant,
};

use super::{Figures, check, millis, wait_of};

/// One process's memory stands for the store; share it between the replicas of a test.
pub struct MemoryShared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    is_marked: bool,
    settle_until: i64,
    replicas: BTreeMap<String, Seat>,
    accounts: BTreeMap<String, Account>,
    buckets: BTreeMap<String, Bucket>,
    slots: BTreeMap<String, BTreeMap<String, Places>>,
}

/// Who sits under a replica id.
#[derive(Clone, Copy, Default)]
struct Seat {
    session: Option<u64>,
    /// The last session that ended: what it and those before it have sent may still arrive.
    retired: Option<u64>,
    seq: u64,
    seen: i64,
    until: i64,
}

impl Seat {
    fn is_alive(&self, now: i64) -> bool {
        self.session.is_some() && now < self.until
    }

    fn end_session(&mut self) {
        self.retired = self.session.take().or(self.retired);
    }
}

#[derive(Default)]
struct Account {
    /// The least that is known to be spent by all.
    floor: i128,
    settle_until: i64,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    spent: i64,
    slice: i64,
    /// What it needs and was not given.
    need: i64,
    drop_at: i64,
}

struct Bucket {
    /// In 1/60,000 of a token, so that a millisecond adds whole numbers.
    level: i128,
    at: i64,
}

struct Places {
    slots: u32,
    until: i64,
}

/// What holds for the whole of an exchange.
#[derive(Clone, Copy)]
struct Now {
    at: i64,
    alive: u32,
    is_settling: bool,
}

impl MemoryShared {
    /// Knows that it is new, so it does not settle.
    pub fn new(clock: Arc<dyn Clock>) -> MemoryShared {
        let state = State { epoch: 1, is_marked: true, ..State::default() };
        MemoryShared { clock, state: Mutex::new(state) }
    }

    /// As a Redis without persistence after a restart.
    pub fn lose_memory(&self) {
        let mut state = self.lock();
        *state = State { epoch: state.epoch, ..State::default() };
    }

    /// What the store counts in an account: spend and slices of all.
    pub fn counted(&self, account: &str) -> i64 {
        let state = self.lock();
        let Some(account) = state.accounts.get(account) else { return 0 };
        account.entries.values().map(|entry| entry.spent + entry.slice).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        (self.clock.mono().0 / 1000) as i64
    }
}

impl SharedState for MemoryShared {
    fn exchange<'a>(&'a self, ask: &'a Exchange) -> BoxFuture<'a, Result<Exchanged, SharedError>> {
        Box::pin(ready(check(ask).and_then(|()| self.lock().exchange(ask, self.now()))))
    }

    fn leave<'a>(&'a self, last: &'a Exchange) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(ready(check(last).and_then(|()| {
            let mut state = self.lock();
            state.exchange(last, self.now())?;
            state.release(&last.replica, &last.budgets);
            Ok(())
        })))
    }

    fn forget<'a>(&'a self, replica: &'a str) -> BoxFuture<'a, Result<bool, SharedError>> {
        let mut state = self.lock();
        let now = self.now();
        let result = match state.replicas.get(replica) {
            None => Ok(false),
            Some(seat) if seat.is_alive(now) => {
                Err(SharedError::InUse { replica: replica.to_owned(), wait: wait_of(seat.until - now) })
            }
            Some(_) => {
                state.release(replica, &[]);
                Ok(true)
            }
        };
        Box::pin(ready(result))
    }

    fn replicas(&self) -> BoxFuture<'_, Result<Vec<ReplicaLine>, SharedError>> {
        let state = self.lock();
        let now = self.now();
        let line = |(id, seat): (&String, &Seat)| {
            let slices = state.accounts.values().filter_map(|account| account.entries.get(id));
            let slices: Vec<i64> = slices
                .filter(|entry| entry.slice > 0 && entry.drop_at > now)
                .map(|entry| entry.slice)
                .collect();
            ReplicaLine {
                id: id.clone(),
                seen_ago: wait_of(now - seat.seen),
                is_alive: seat.is_alive(now),
                accounts: slices.len() as u32,
                slices: slices.iter().sum(),
            }
        };
        let lines =
            state.replicas.iter().map(line).filter(|line| line.is_alive || line.accounts > 0).collect();
        Box::pin(ready(Ok(lines)))
    }
}

impl State {
    fn exchange(&mut self, ask: &Exchange, now: i64) -> Result<Exchanged, SharedError> {
        let has_forgotten = self.take_seat(ask, now)?;
        if has_forgotten || !self.is_marked {
            self.epoch += 1;
            self.is_marked = true;
            self.settle_until = self.settle_until.max(now + millis(ask.lease));
        }
        let alive = self.replicas.values().filter(|seat| seat.is_alive(now)).count() as u32;
        let now = Now { at: now, alive, is_settling: now < self.settle_until };
        Ok(Exchanged {
            budgets: ask.budgets.iter().map(|budget| self.budget(ask, budget, now)).collect(),
            rates: ask.rates.iter().map(|rate| self.rate(rate, now.at)).collect(),
            slots: ask.slots.iter().map(|slot| self.slot(ask, slot, now)).collect(),
            replicas_alive: alive,
            is_settling: now.is_settling,
            epoch: self.epoch.to_string(),
        })
    }

    /// Says whether the replica knows of more than the store does.
    fn take_seat(&mut self, ask: &Exchange, now: i64) -> Result<bool, SharedError> {
        let replica = || ask.replica.clone();
        let known = self.replicas.get(&ask.replica).copied();
        let mut seat = known.unwrap_or_default();
        let mut known_seq = 0;
        let is_ended = seat.retired.is_some_and(|last| ask.session <= last);
        if is_ended || (!seat.is_alive(now) && seat.session.is_some_and(|last| ask.session < last)) {
            return Err(SharedError::Superseded { replica: replica() });
        }
        if seat.session == Some(ask.session) {
            known_seq = seat.seq;
            if ask.seq <= seat.seq {
                return Err(SharedError::Stale { replica: replica(), seq: ask.seq });
            }
        } else if seat.is_alive(now) {
            return Err(SharedError::InUse { replica: replica(), wait: wait_of(seat.until - now) });
        } else {
            seat.end_session();
        }
        seat = Seat {
            session: Some(ask.session),
            seq: ask.seq,
            seen: now,
            until: now + millis(ask.lease),
            ..seat
        };
        self.replicas.insert(replica(), seat);
        Ok(known_seq < ask.acked)
    }

    fn budget(&mut self, ask: &Exchange, budget: &BudgetAsk, now: Now) -> BudgetGrant {
        let asked = Figures::of(budget);
        let account = self.accounts.entry(budget.account.clone()).or_default();
        account.entries.retain(|_, entry| entry.drop_at > now.at);
        let own = account.entries.remove(&ask.replica);

        // A claim that the account knows nothing of: the store has lost it, and perhaps those of others too.
        if own.is_none() && asked.keep > 0 {
            account.settle_until = account.settle_until.max(now.at + millis(ask.lease));
        }
        let is_settling = now.is_settling || now.at < account.settle_until;

        // What is once spent stays spent, whatever a replica that was set back says.
        let spent = own.map_or(asked.spent, |own| own.spent.max(asked.spent));
        account.floor = account.floor.max(i128::from(spent) + i128::from(asked.elsewhere));
        let sum = |of: fn(&Entry) -> i64| account.entries.values().map(|entry| i128::from(of(entry))).sum();
        let others_spent: i128 = sum(|entry| entry.spent);
        let others_slices: i128 = sum(|entry| entry.slice);
        let total = account.floor.max(others_spent + i128::from(spent));
        let is_wanted_elsewhere = account.entries.iter().any(|(id, entry)| {
            entry.need > 0 && self.replicas.get(id).is_some_and(|seat| seat.is_alive(now.at))
        });

        let [held, need] = [asked.held, asked.need].map(i128::from);
        let room = i128::from(budget.cap) - total - others_slices;
        let has_need_met = need <= room - held;
        let (grant, unmet) = if is_settling {
            (i128::from(asked.keep), 0)
        } else {
            let firm = if has_need_met { held + need } else { held };
            let spare = if is_wanted_elsewhere || room <= firm {
                0
            } else {
                (room - firm) / (2 * i128::from(now.alive))
            };
            // A need that could not be met if all others gave up what they hold ready must not keep room from them.
            let could_be_met = need <= i128::from(budget.cap) - total - held;
            let unmet = if !has_need_met && could_be_met { asked.need } else { 0 };
            (firm.max(i128::from(asked.want).min(firm + spare)), unmet)
        };
        let grant = clamp(grant);
        let entry = Entry {
            spent,
            slice: grant.max(asked.keep),
            need: unmet,
            drop_at: now.at + millis(budget.forget_after),
        };
        account.entries.insert(ask.replica.clone(), entry);
        BudgetGrant {
            slice: grant,
            elsewhere_spent: clamp(total - i128::from(spent)),
            elsewhere_slices: clamp(others_slices),
            is_settling,
        }
    }

    fn rate(&mut self, ask: &RateAsk, now: i64) -> RateGrant {
        const TOKEN: i128 = 60_000;
        let full = i128::from(ask.burst) * TOKEN;
        let bucket = self.buckets.entry(ask.key.clone()).or_insert(Bucket { level: full, at: now });
        let grown = i128::from((now - bucket.at).max(0)) * i128::from(ask.per_minute);
        bucket.level = (bucket.level + grown).min(full);
        bucket.at = now;
        if ask.take < 0 {
            bucket.level = (bucket.level - i128::from(ask.take) * TOKEN).min(full);
            return RateGrant { taken: ask.take, wait: Duration::ZERO };
        }
        let need = i128::from(ask.need.max(0));
        let there = bucket.level / TOKEN;
        if there < need {
            let short = need * TOKEN - bucket.level;
            let wait = match i128::from(ask.per_minute) {
                0 => -1,
                _ if need * TOKEN > full => -1,
                per_minute => clamp((short + per_minute - 1) / per_minute),
            };
            return RateGrant { taken: 0, wait: wait_of(wait) };
        }
        let taken = i128::from(ask.take).max(need).min(there);
        bucket.level -= taken * TOKEN;
        RateGrant { taken: clamp(taken), wait: Duration::ZERO }
    }

    fn slot(&mut self, ask: &Exchange, slot: &SlotAsk, now: Now) -> SlotGrant {
        let places = self.slots.entry(slot.key.clone()).or_default();
        places.retain(|id, places| places.until > now.at && *id != ask.replica);
        let others = places.values().fold(0u32, |sum, places| sum.saturating_add(places.slots));
        let keep = slot.keep.max(slot.used);
        let slots = if now.is_settling {
            keep
        } else {
            slot.used.max(slot.want.min(slot.max.saturating_sub(others)))
        };
        let until = now.at + millis(ask.lease);
        places.insert(ask.replica.clone(), Places { slots: slots.max(keep), until });
        SlotGrant { slots }
    }

    /// Ends the session; slices return but for what is held by the accounts named.
    fn release(&mut self, replica: &str, named: &[BudgetAsk]) {
        for (name, account) in &mut self.accounts {
            if let Some(entry) = account.entries.get_mut(replica) {
                let held = named.iter().find(|ask| ask.account == *name).map_or(0, |ask| ask.held.max(0));
                entry.slice = entry.slice.min(held);
                entry.need = 0;
            }
        }
        for places in self.slots.values_mut() {
            places.remove(replica);
        }
        if let Some(seat) = self.replicas.get_mut(replica) {
            seat.end_session();
        }
    }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

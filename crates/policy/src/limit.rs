//! Limits on requests a minute, tokens a minute and calls at once, with a bounded queue for the last.
//!
//! Pure: the caller hands in times, sleeps, and wakes; the limiter says who may go and whom to wake. All limits that
//! apply to a call are taken together or not at all.
//!
//! A call at the limiter:
//! ```text
//! admit    → permit │ rate limited (not queued: come back after `retry_after`) │ busy
//! busy     ─enqueue→ ticket │ busy (no queue, or full)
//! ticket   ─collect→ permit │ still waiting │ busy (a later gate's queue was full)
//! ticket   ─cancel→ gone: what it had taken is given back
//! permit   ─release→ gone: slots are given back, tokens put right
//! ```
//! `release` and `cancel` name the calls to wake; a woken call asks `collect`.

mod bucket;
mod gate;

use std::{collections::HashMap, time::Duration};

use gauntlet_types::{CallId, Code, Fault, Mono, Name};

pub use bucket::{Bucket, Draught};
use gate::{Gate, Sharing};
pub use gate::{GateLine, Granted, LimitAsk, SlotsWanted};

/// The limits of one key, tenant, route or model. What is not set is not limited.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Tokens a minute, in and out.
    pub tpm: Option<u32>,
    /// Calls at once.
    pub max_concurrency: Option<u32>,
    /// Calls that may wait for a slot; 0 refuses at once.
    pub queue: u32,
    /// How long a call may wait.
    pub queue_wait: Duration,
}

impl Limits {
    /// Nothing is limited, so that the call need not be counted.
    pub const fn is_none(&self) -> bool {
        self.rpm.is_none() && self.tpm.is_none() && self.max_concurrency.is_none()
    }
}

/// What a limit is on, in the order in which a waiting call takes its slots: first those that only it and its like
/// compete for, last those that all share. A call that waits for a model holds back its own tenant's slots, never
/// another's; and since all calls take slots in one order, two can never wait for each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LimitScope {
    Key,
    User,
    Team,
    Tenant,
    Environment,
    Route,
    Model,
}

impl LimitScope {
    pub const ALL: [LimitScope; 7] = [
        LimitScope::Key,
        LimitScope::User,
        LimitScope::Team,
        LimitScope::Tenant,
        LimitScope::Environment,
        LimitScope::Route,
        LimitScope::Model,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            LimitScope::Key => "key",
            LimitScope::User => "user",
            LimitScope::Team => "team",
            LimitScope::Environment => "environment",
            LimitScope::Tenant => "tenant",
            LimitScope::Route => "route",
            LimitScope::Model => "model",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    Rpm,
    Tpm,
}

/// Why a call may not go now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Limited {
    Rate {
        scope: LimitScope,
        name: Name,
        what: Rate,
        limit: u32,
        /// When the same call would fit, if no other came before it.
        retry_after: Duration,
    },
    /// All slots are taken, or others wait for them already.
    Busy {
        scope: LimitScope,
        name: Name,
        limit: u32,
        waiting: u32,
        /// How many may wait; when `waiting` has reached it, `enqueue` refuses.
        queue_allowed: u32,
    },
}

/// A call's slots and tokens. Give it to [`Limiter::release`] when the call is over, whatever became of it.
#[derive(Debug)]
#[must_use = "a permit that is not released takes a slot for ever"]
pub struct Permit {
    gates: Vec<u32>,
    tokens: u32,
}

/// A place in a queue. Give it to [`Limiter::collect`] when woken, or to [`Limiter::cancel`].
#[derive(Debug)]
#[must_use = "a ticket that is neither collected nor cancelled may take a slot for ever"]
pub struct Ticket {
    pub id: CallId,
    /// How long the call may wait in all: what the gate says at which it queued first.
    pub wait: Duration,
    number: u64,
}

/// What a ticket is worth at the moment.
#[derive(Debug)]
pub enum Collected {
    Go(Permit),
    Wait(Ticket),
    /// It got its slot at one gate and met a full queue at the next. What it held is given back.
    Refused {
        limited: Limited,
        wake: Vec<CallId>,
    },
}

/// A call that waits, or was let through and has not collected yet.
struct Waiter {
    id: CallId,
    /// In the order of [`LimitScope`]; the first `held` of them have given a slot.
    gates: Vec<u32>,
    held: usize,
    tokens: u32,
    /// At which gate it met a full queue.
    refused: Option<Limited>,
}

#[derive(Default)]
pub struct Limiter {
    /// One map per scope, so that a name is looked up without building a key.
    index: [HashMap<Name, u32>; 7],
    gates: Vec<Option<Gate>>,
    free_gates: Vec<u32>,
    waiters: HashMap<u64, Waiter>,
    ticket_next: u64,
    sharing: Sharing,
}

impl Limiter {
    pub fn new() -> Limiter {
        Limiter::default()
    }

    /// From now on rates and slots are drawn from what the shared store grants.
    pub fn lease(&mut self, now: Mono) {
        self.share(now, Sharing::Leased);
    }

    /// The shared store is away, and each of so many replicas keeps to its part of every limit.
    pub fn part(&mut self, now: Mono, replicas: u32) {
        self.share(now, Sharing::Parted(replicas));
    }

    fn share(&mut self, now: Mono, sharing: Sharing) {
        if self.sharing != sharing {
            self.sharing = sharing;
            self.gates.iter_mut().flatten().for_each(|gate| gate.share(now, sharing));
        }
    }

    /// What to ask the shared store for, at most `max` names.
    pub fn asks(&mut self, max: usize) -> Vec<LimitAsk> {
        if self.sharing != Sharing::Leased {
            return Vec::new();
        }
        self.gates.iter_mut().flatten().filter_map(Gate::ask).take(max).collect()
    }

    /// Takes a grant; says whom to wake.
    #[must_use = "these calls have their slots and wait to be woken"]
    pub fn grant(&mut self, now: Mono, scope: LimitScope, name: &str, granted: &Granted) -> Vec<CallId> {
        let Some(at) = self.index[scope as usize].get(name).copied() else { return Vec::new() };
        self.gate_mut(at).grant(now, granted);
        self.hand_over(at)
    }

    /// Lets a call through at all its limits, or takes nothing.
    ///
    /// `tokens_estimate` is taken from each tokens-a-minute bucket until `release` puts it right. Limits are read from
    /// `wanted` each time, so that a new configuration takes effect at once. Rates are looked at before slots: a
    /// call that would be rate limited after its wait had better not wait.
    pub fn admit(
        &mut self,
        now: Mono,
        wanted: &[(LimitScope, Name, Limits)],
        tokens_estimate: u32,
    ) -> Result<Permit, Limited> {
        let gates = self.open(now, wanted);
        self.check_rates(now, &gates, tokens_estimate)?;
        if let Some(busy) = gates.iter().find(|at| self.gate_mut(**at).is_busy()) {
            return Err(self.gate(*busy).busy());
        }
        self.take_rates(now, &gates, tokens_estimate);
        for at in &gates {
            self.gate_mut(*at).in_flight += 1;
        }
        Ok(Permit { gates, tokens: tokens_estimate })
    }

    /// Queues a call that `admit` found busy. Its requests and tokens are taken now and given back if it cancels. The
    /// ticket may be good at once, when a slot came free since: `collect` before sleeping.
    pub fn enqueue(
        &mut self,
        now: Mono,
        id: CallId,
        wanted: &[(LimitScope, Name, Limits)],
        tokens_estimate: u32,
    ) -> Result<Ticket, Limited> {
        let gates = self.open(now, wanted);
        self.check_rates(now, &gates, tokens_estimate)?;
        let first_busy = gates.iter().find(|at| self.gate_mut(**at).is_busy()).copied();
        if let Some(at) = first_busy
            && self.gate(at).is_queue_full()
        {
            return Err(self.gate(at).busy());
        }
        self.take_rates(now, &gates, tokens_estimate);
        let number = self.ticket_next;
        self.ticket_next += 1;
        let wait = first_busy.map_or(Duration::ZERO, |at| self.gate(at).limits.queue_wait);
        for at in &gates {
            self.gate_mut(*at).expected += 1;
        }
        self.waiters.insert(number, Waiter { id, gates, held: 0, tokens: tokens_estimate, refused: None });
        self.advance(number);
        Ok(Ticket { id, wait, number })
    }

    /// Turns a ticket into a permit, once its call has all its slots.
    pub fn collect(&mut self, now: Mono, ticket: Ticket) -> Collected {
        let Some(waiter) = self.waiters.get_mut(&ticket.number) else {
            // `collect` and `cancel` use a ticket up, so this one is of another limiter and has nothing here.
            debug_assert!(false, "a ticket of another limiter");
            return Collected::Go(Permit { gates: Vec::new(), tokens: 0 });
        };
        if let Some(limited) = waiter.refused.take() {
            return Collected::Refused { limited, wake: self.cancel(now, ticket) };
        }
        if waiter.held < waiter.gates.len() {
            return Collected::Wait(ticket);
        }
        let (gates, tokens) = (std::mem::take(&mut waiter.gates), waiter.tokens);
        self.waiters.remove(&ticket.number);
        for at in &gates {
            self.gate_mut(*at).expected -= 1;
        }
        Collected::Go(Permit { gates, tokens })
    }

    /// Gives up waiting: slots, requests and tokens are given back, since the call did not take place.
    #[must_use = "these calls have their slots and wait to be woken"]
    pub fn cancel(&mut self, now: Mono, ticket: Ticket) -> Vec<CallId> {
        let Some(waiter) = self.waiters.remove(&ticket.number) else { return Vec::new() };
        for at in &waiter.gates {
            self.gate_mut(*at).give_back(now, 1, waiter.tokens);
            self.gate_mut(*at).expected -= 1;
        }
        // It stands in one queue at most: that of the first gate that has not let it through.
        if let Some(at) = waiter.gates.get(waiter.held) {
            self.gate_mut(*at).queue.retain(|number| *number != ticket.number);
        }
        self.give_slots(&waiter.gates[..waiter.held])
    }

    /// Ends a call: its slots pass on, and the tokens it took are put right. Tokens beyond the estimate become a debt
    /// of the bucket, which is paid off before anybody is let through.
    #[must_use = "these calls have their slots and wait to be woken"]
    pub fn release(&mut self, permit: Permit, tokens_actual: u32, now: Mono) -> Vec<CallId> {
        for at in &permit.gates {
            self.gate_mut(*at).adjust_tokens(now, permit.tokens, tokens_actual);
        }
        self.give_slots(&permit.gates)
    }

    /// Calls between `admit` and `release` at a limit.
    pub fn in_flight(&self, scope: LimitScope, name: &str) -> u32 {
        self.find(scope, name).map_or(0, |gate| gate.in_flight)
    }

    /// Calls that wait at a limit.
    pub fn waiting(&self, scope: LimitScope, name: &str) -> u32 {
        self.find(scope, name).map_or(0, |gate| gate.queue.len() as u32)
    }

    /// All limits in use, in no order, for pages and metrics.
    pub fn state(&self) -> Vec<GateLine> {
        self.gates.iter().flatten().map(Gate::line).collect()
    }

    /// Drops what is as if new: no call in flight, none waiting, buckets full. Call it now and then, so that names
    /// that callers made up do not stay.
    pub fn forget_idle(&mut self, now: Mono) {
        for (at, place) in self.gates.iter_mut().enumerate() {
            if !place.as_mut().is_some_and(|gate| gate.is_idle(now)) {
                continue;
            }
            if let Some(gate) = place.take() {
                self.index[gate.scope as usize].remove(&gate.name);
                self.free_gates.push(at as u32);
            }
        }
    }

    /// Finds the gates of a call, sorted by scope, each once; brings their limits up to date.
    fn open(&mut self, now: Mono, wanted: &[(LimitScope, Name, Limits)]) -> Vec<u32> {
        let mut gates: Vec<u32> = Vec::with_capacity(wanted.len());
        for scope in LimitScope::ALL {
            for (_, name, limits) in wanted.iter().filter(|(of, _, limits)| *of == scope && !limits.is_none())
            {
                let at = match self.index[scope as usize].get(name) {
                    Some(at) => *at,
                    None => self.open_new(now, scope, name, limits),
                };
                if !gates.contains(&at) {
                    self.gate_mut(at).set_limits(now, limits);
                    gates.push(at);
                }
            }
        }
        gates
    }

    fn open_new(&mut self, now: Mono, scope: LimitScope, name: &Name, limits: &Limits) -> u32 {
        let gate = Some(Gate::new(now, scope, name.clone(), limits, self.sharing));
        let at = match self.free_gates.pop() {
            Some(at) => {
                self.gates[at as usize] = gate;
                at
            }
            None => {
                self.gates.push(gate);
                (self.gates.len() - 1) as u32
            }
        };
        self.index[scope as usize].insert(name.clone(), at);
        at
    }

    fn check_rates(&mut self, now: Mono, gates: &[u32], tokens: u32) -> Result<(), Limited> {
        // The longest wait decides, so that a caller who heeds it is not refused at the next limit.
        let refusals = gates.iter().filter_map(|at| self.gate_mut(*at).rate_refusal(now, tokens));
        match refusals.max_by_key(|(wait, _)| *wait) {
            Some((_, limited)) => Err(limited),
            None => Ok(()),
        }
    }

    fn take_rates(&mut self, now: Mono, gates: &[u32], tokens: u32) {
        for at in gates {
            self.gate_mut(*at).take_rates(now, tokens);
        }
    }

    /// Walks a waiter on from gate to gate until one has no slot for it. Says whether it is to be woken.
    fn advance(&mut self, number: u64) -> bool {
        let Some(waiter) = self.waiters.get_mut(&number) else { return false };
        while let Some(at) = waiter.gates.get(waiter.held) {
            let Some(gate) = &mut self.gates[*at as usize] else { return false };
            if !gate.is_busy() {
                gate.in_flight += 1;
                waiter.held += 1;
            } else if gate.is_queue_full() {
                waiter.refused = Some(gate.busy());
                return true;
            } else {
                gate.queue.push_back(number);
                return false;
            }
        }
        true
    }

    /// Takes back one slot at each gate and hands free ones to those who wait, first come first served. A slot is
    /// handed over here and now, so that no newcomer can snatch it before the woken call runs.
    fn give_slots(&mut self, gates: &[u32]) -> Vec<CallId> {
        let mut wake = Vec::new();
        for at in gates {
            self.gate_mut(*at).in_flight -= 1;
        }
        for at in gates {
            wake.append(&mut self.hand_over(*at));
        }
        wake
    }

    /// Hands the free slots of a gate to those who wait for them.
    fn hand_over(&mut self, at: u32) -> Vec<CallId> {
        let mut wake = Vec::new();
        while let Some(number) = self.gate_mut(at).hand_over() {
            let Some(waiter) = self.waiters.get_mut(&number) else { continue };
            waiter.held += 1;
            let id = waiter.id;
            if self.advance(number) {
                wake.push(id);
            }
        }
        wake
    }

    fn find(&self, scope: LimitScope, name: &str) -> Option<&Gate> {
        self.gates[*self.index[scope as usize].get(name)? as usize].as_ref()
    }

    fn gate(&self, at: u32) -> &Gate {
        self.gates[at as usize].as_ref().expect(PINNED)
    }

    fn gate_mut(&mut self, at: u32) -> &mut Gate {
        self.gates[at as usize].as_mut().expect(PINNED)
    }
}

const PINNED: &str =
    "a gate is dropped only when it is idle, and a call that knows its place keeps it from being so";

impl Limited {
    /// What the caller is told. A busy limit has no known end, so that a second is a guess, and says nothing false.
    pub fn fault(&self) -> Fault {
        let (message, wait) = match self {
            Limited::Rate { scope, name, what, limit, retry_after } => {
                let what = match what {
                    Rate::Rpm => "requests",
                    Rate::Tpm => "tokens",
                };
                (format!("{} `{name}` is limited to {limit} {what} a minute", scope.as_str()), *retry_after)
            }
            Limited::Busy { scope, name, limit, waiting, .. } => {
                let text = format!(
                    "{} `{name}` is limited to {limit} calls at once, and {waiting} are waiting",
                    scope.as_str()
                );
                (text, Duration::from_secs(1))
            }
        };
        Fault::policy(Code::RateLimited, message).retry_after(wait)
    }
}

#[cfg(test)]
mod tests;

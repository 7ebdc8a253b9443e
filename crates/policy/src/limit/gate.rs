//! One name's limits: two buckets, the slots, and those who wait for one.

use std::{collections::VecDeque, time::Duration};

use gauntlet_types::{Mono, Name};

use super::{Bucket, Draught, LimitScope, Limited, Limits, Rate};

/// Holds: `queue` is empty or every slot is taken (until the limits are changed; then until the next release).
pub(super) struct Gate {
    pub(super) scope: LimitScope,
    pub(super) name: Name,
    pub(super) limits: Limits,
    pub(super) in_flight: u32,
    /// Waiters that have this gate on their way, here or earlier: they know its place, so that it must stay.
    pub(super) expected: u32,
    /// Numbers of tickets, first come first.
    pub(super) queue: VecDeque<u64>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    sharing: Sharing,
    /// Of `max_concurrency`, how many this replica may use; none where it has all of them.
    slots: Option<u32>,
    /// Somebody came since the shared store was last asked, and so many met no free place.
    is_lively: bool,
    turned_away: u32,
}

/// Who else uses the same limits.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Sharing {
    #[default]
    Alone,
    /// Rates and slots come from the shared store.
    Leased,
    /// The shared store is away: each of so many replicas keeps to its part.
    Parted(u32),
}

/// What is asked of the shared store for one name's limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitAsk {
    pub scope: LimitScope,
    pub name: Name,
    /// Limit a minute, and the draught.
    pub requests: Option<(u32, Draught)>,
    pub tokens: Option<(u32, Draught)>,
    pub slots: Option<SlotsWanted>,
}

/// Places for calls at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotsWanted {
    pub max: u32,
    pub used: u32,
    /// What may be used until the answer comes.
    pub keep: u32,
    pub want: u32,
}

/// What came of it: taken and how long until more, for each rate; places.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Granted {
    pub requests: Option<(i64, Duration)>,
    pub tokens: Option<(i64, Duration)>,
    pub slots: Option<u32>,
}

/// At least one: a limit that lets nobody through anywhere is none that was asked for.
fn part_of(limit: u32, parts: u32) -> u32 {
    if limit == 0 { 0 } else { (limit / parts.max(1)).max(1) }
}

/// One limit as it stands, for pages and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateLine {
    pub scope: LimitScope,
    pub name: Name,
    pub limits: Limits,
    pub in_flight: u32,
    pub waiting: u32,
}

impl Gate {
    pub(super) fn new(now: Mono, scope: LimitScope, name: Name, limits: &Limits, sharing: Sharing) -> Gate {
        let mut gate = Gate {
            scope,
            name,
            limits: Limits::default(),
            in_flight: 0,
            expected: 0,
            queue: VecDeque::new(),
            requests: None,
            tokens: None,
            sharing,
            slots: None,
            is_lively: true,
            turned_away: 0,
        };
        gate.set_limits(now, limits);
        gate.share(now, sharing);
        gate
    }

    /// Goes over to another way of sharing: buckets begin anew.
    pub(super) fn share(&mut self, now: Mono, sharing: Sharing) {
        self.sharing = sharing;
        let bucket = |limit: u32| match sharing {
            Sharing::Alone => Bucket::new(now, limit),
            Sharing::Leased => Bucket::leased(now, limit),
            Sharing::Parted(parts) => Bucket::new(now, part_of(limit, parts)),
        };
        if sharing != Sharing::Alone {
            self.requests = self.limits.rpm.map(bucket);
            self.tokens = self.limits.tpm.map(bucket);
        }
        self.slots = match sharing {
            Sharing::Alone => None,
            Sharing::Leased => Some(self.in_flight),
            Sharing::Parted(parts) => self.limits.max_concurrency.map(|max| part_of(max, parts)),
        };
    }

    /// What to ask the shared store for; none where nothing is wanted and nothing is left to give back.
    pub(super) fn ask(&mut self) -> Option<LimitAsk> {
        let draught = |bucket: &mut Option<Bucket>| {
            let bucket = bucket.as_mut()?;
            Some((bucket.limit(), bucket.draught()?))
        };
        let (requests, tokens) = (draught(&mut self.requests), draught(&mut self.tokens));
        let slots = self.limits.max_concurrency.zip(self.slots).and_then(|(max, keep)| {
            let busy = self.in_flight.saturating_add(self.queue.len() as u32);
            let spare = if self.is_lively { (self.in_flight / 4).max(1).max(self.turned_away) } else { 0 };
            let want = busy.saturating_add(spare).min(max);
            // Given back with this exchange.
            let keep = keep.min(want.max(self.in_flight));
            self.slots = Some(keep);
            let is_used = keep > 0 || want > 0;
            is_used.then_some(SlotsWanted { max, used: self.in_flight, keep, want })
        });
        (self.is_lively, self.turned_away) = (false, 0);
        let ask = LimitAsk { scope: self.scope, name: self.name.clone(), requests, tokens, slots };
        (ask.requests.is_some() || ask.tokens.is_some() || ask.slots.is_some()).then_some(ask)
    }

    pub(super) fn grant(&mut self, now: Mono, granted: &Granted) {
        if self.sharing != Sharing::Leased {
            return;
        }
        for (bucket, granted) in [(&mut self.requests, granted.requests), (&mut self.tokens, granted.tokens)]
        {
            if let (Some(bucket), Some((taken, wait))) = (bucket, granted) {
                bucket.grant(now, taken, wait);
            }
        }
        if granted.slots.is_some() {
            self.slots = granted.slots;
        }
    }

    fn has_slot(&self) -> bool {
        let max = self.limits.max_concurrency.map(|max| self.slots.map_or(max, |slots| slots.min(max)));
        max.is_none_or(|max| self.in_flight < max)
    }

    pub(super) fn set_limits(&mut self, now: Mono, limits: &Limits) {
        if self.limits == *limits {
            return;
        }
        self.limits = *limits;
        for (bucket, limit) in [(&mut self.requests, limits.rpm), (&mut self.tokens, limits.tpm)] {
            match (bucket.as_mut(), limit) {
                (Some(bucket), Some(limit)) => bucket.set_limit(now, limit),
                (None, Some(limit)) if self.sharing == Sharing::Leased => {
                    *bucket = Some(Bucket::leased(now, limit));
                }
                (None, Some(limit)) => *bucket = Some(Bucket::new(now, limit)),
                (_, None) => *bucket = None,
            }
        }
    }

    /// A newcomer may not go: all slots are taken, or others came before it.
    pub(super) fn is_busy(&mut self) -> bool {
        self.is_lively = true;
        let is_busy = !self.has_slot() || !self.queue.is_empty();
        self.turned_away = self.turned_away.saturating_add(is_busy.into());
        is_busy
    }

    pub(super) fn is_queue_full(&self) -> bool {
        self.queue.len() >= self.limits.queue as usize
    }

    pub(super) fn busy(&self) -> Limited {
        Limited::Busy {
            scope: self.scope,
            name: self.name.clone(),
            limit: self.limits.max_concurrency.unwrap_or(u32::MAX),
            waiting: self.queue.len() as u32,
            queue_allowed: self.limits.queue,
        }
    }

    /// Takes a slot for the first in the queue, if there is one of each.
    pub(super) fn hand_over(&mut self) -> Option<u64> {
        if !self.has_slot() {
            return None;
        }
        let number = self.queue.pop_front()?;
        self.in_flight += 1;
        Some(number)
    }

    pub(super) fn rate_refusal(&mut self, now: Mono, tokens: u32) -> Option<(Duration, Limited)> {
        let check = |bucket: Option<&mut Bucket>, amount, what| {
            let bucket = bucket?;
            let retry_after = bucket.wait(now, amount);
            let limit = bucket.limit();
            (!retry_after.is_zero()).then(|| {
                let (scope, name) = (self.scope, self.name.clone());
                (retry_after, Limited::Rate { scope, name, what, limit, retry_after })
            })
        };
        let requests = check(self.requests.as_mut(), 1, Rate::Rpm);
        let tokens = check(self.tokens.as_mut(), tokens, Rate::Tpm);
        requests.into_iter().chain(tokens).max_by_key(|(wait, _)| *wait)
    }

    /// Takes what `rate_refusal` found room for at the same instant.
    pub(super) fn take_rates(&mut self, now: Mono, tokens: u32) {
        for (bucket, amount) in [(&mut self.requests, 1), (&mut self.tokens, tokens)] {
            let taken = bucket.as_mut().map_or(Ok(()), |bucket| bucket.take(now, amount));
            debug_assert!(taken.is_ok(), "taken without asking first");
        }
    }

    pub(super) fn give_back(&mut self, now: Mono, requests: u32, tokens: u32) {
        for (bucket, amount) in [(&mut self.requests, requests), (&mut self.tokens, tokens)] {
            if let Some(bucket) = bucket {
                bucket.refund(now, amount);
            }
        }
    }

    pub(super) fn adjust_tokens(&mut self, now: Mono, estimate: u32, actual: u32) {
        if let Some(bucket) = &mut self.tokens {
            bucket.adjust(now, estimate, actual);
        }
    }

    /// Whether a new gate would behave in every way as this one does.
    pub(super) fn is_idle(&mut self, now: Mono) -> bool {
        self.in_flight == 0
            && self.expected == 0
            && self.queue.is_empty()
            && self.requests.as_mut().is_none_or(|bucket| bucket.is_full(now))
            && self.tokens.as_mut().is_none_or(|bucket| bucket.is_full(now))
            && (self.sharing != Sharing::Leased || self.slots.is_none_or(|slots| slots == 0))
    }

    pub(super) fn line(&self) -> GateLine {
        let (scope, name, limits) = (self.scope, self.name.clone(), self.limits);
        GateLine { scope, name, limits, in_flight: self.in_flight, waiting: self.queue.len() as u32 }
    }
}

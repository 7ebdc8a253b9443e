//! One name's limits: two buckets, the slots, and those who wait for one.

use std::{collections::VecDeque, time::Duration};

use gauntlet_types::{Mono, Name};

use super::{Bucket, LimitScope, Limited, Limits, Rate};

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
    pub(super) fn new(now: Mono, scope: LimitScope, name: Name, limits: &Limits) -> Gate {
        let mut gate = Gate {
            scope,
            name,
            limits: Limits::default(),
            in_flight: 0,
            expected: 0,
            queue: VecDeque::new(),
            requests: None,
            tokens: None,
        };
        gate.set_limits(now, limits);
        gate
    }

    pub(super) fn set_limits(&mut self, now: Mono, limits: &Limits) {
        if self.limits == *limits {
            return;
        }
        self.limits = *limits;
        for (bucket, limit) in [(&mut self.requests, limits.rpm), (&mut self.tokens, limits.tpm)] {
            match (bucket.as_mut(), limit) {
                (Some(bucket), Some(limit)) => bucket.set_limit(now, limit),
                (None, Some(limit)) => *bucket = Some(Bucket::new(now, limit)),
                (_, None) => *bucket = None,
            }
        }
    }

    /// A newcomer may not go: all slots are taken, or others came before it.
    pub(super) fn is_busy(&self) -> bool {
        self.limits.max_concurrency.is_some_and(|max| self.in_flight >= max) || !self.queue.is_empty()
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
        if self.limits.max_concurrency.is_some_and(|max| self.in_flight >= max) {
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
    }

    pub(super) fn line(&self) -> GateLine {
        let (scope, name, limits) = (self.scope, self.name.clone(), self.limits);
        GateLine { scope, name, limits, in_flight: self.in_flight, waiting: self.queue.len() as u32 }
    }
}

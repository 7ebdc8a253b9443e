//! The circuit breaker of one target: after some failures in a row a sick target is left alone for a while.
//!
//! Pure: the caller hands in the time. What counts as a failure is the caller's to say; `retry::judge` helps, since
//! what is worth a retry (timeouts, 429, 5xx) speaks against the target, and a caller's own mistake does not.

use std::{ops::RangeInclusive, time::Duration};

use gauntlet_types::Mono;

/// When to open, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerPolicy {
    /// Failures in a row that open the breaker; 0 never opens it.
    pub failures: u32,
    /// How long a target is left alone, and how long a probe may take before another is sent.
    pub cooldown: Duration,
    /// How long the targets of a provider are asked last after it refused our key, or said that its account is empty.
    pub key_cooldown: Duration,
}

/// Cooldowns that may be written: shorter ones are none, and after longer ones nobody remembers why.
pub const COOLDOWNS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy {
            failures: 5,
            cooldown: Duration::from_secs(10),
            key_cooldown: Duration::from_secs(60),
        }
    }
}

/// ```text
/// closed    ─ok→ closed (failures 0)
/// closed    ─failed→ closed (failures + 1) │ ─failed × limit→ open
/// open      ─cooldown over, a call asks→ half-open (that call is the probe)
/// open      ─ok, failed→ open (news of calls that left before it opened; the cooldown is not drawn out)
/// half-open ─ok→ closed │ ─failed→ open
/// half-open ─probe unheard of for a cooldown, a call asks→ half-open (that call is the new probe)
/// any       ─abandoned→ unchanged, but half-open lets the next call probe at once
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breaker {
    Closed {
        failures: u32,
    },
    Open {
        until: Mono,
    },
    /// One probe is under way. It may get lost (its caller hung up, its task died), so that after
    /// `probe_until` another may go: a breaker never stays half open for ever.
    HalfOpen {
        probe_until: Mono,
    },
}

/// What became of a call that was let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerEvent {
    Ok,
    Failed,
    /// Ended for a reason that says nothing about the target: the caller hung up, or sent nonsense.
    Abandoned,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Says whether a call may go to the target now. Asking takes the probe of a breaker whose cooldown is over,
    /// so ask once a call and report with [`Breaker::next`].
    pub fn allows(&mut self, now: Mono, policy: &BreakerPolicy) -> bool {
        match *self {
            Breaker::Closed { .. } => true,
            Breaker::Open { until: wait } | Breaker::HalfOpen { probe_until: wait } => {
                let is_over = now >= wait;
                if is_over {
                    *self = Breaker::HalfOpen { probe_until: now.plus(policy.cooldown) };
                }
                is_over
            }
        }
    }

    /// Whether a call would be let through now, without taking the probe: for plans and pages.
    pub fn would_allow(&self, now: Mono) -> bool {
        match *self {
            Breaker::Closed { .. } => true,
            Breaker::Open { until: wait } | Breaker::HalfOpen { probe_until: wait } => now >= wait,
        }
    }

    /// Takes in what became of a call. Every event means something in every state, since calls that left earlier
    /// report late; so unlike most machines here it has no illegal step.
    #[must_use = "the breaker is a value: put the next state back"]
    pub fn next(self, event: BreakerEvent, now: Mono, policy: &BreakerPolicy) -> Breaker {
        let open = Breaker::Open { until: now.plus(policy.cooldown) };
        match (self, event) {
            (Breaker::Closed { .. }, BreakerEvent::Ok) => Breaker::Closed { failures: 0 },
            (Breaker::Closed { failures }, BreakerEvent::Failed) => {
                let failures = failures.saturating_add(1);
                if policy.failures > 0 && failures >= policy.failures {
                    open
                } else {
                    Breaker::Closed { failures }
                }
            }
            (Breaker::HalfOpen { .. }, BreakerEvent::Ok) => Breaker::Closed { failures: 0 },
            (Breaker::HalfOpen { .. }, BreakerEvent::Failed) => open,
            (Breaker::HalfOpen { .. }, BreakerEvent::Abandoned) => Breaker::HalfOpen { probe_until: now },
            (Breaker::Open { .. }, BreakerEvent::Ok | BreakerEvent::Failed | BreakerEvent::Abandoned)
            | (Breaker::Closed { .. }, BreakerEvent::Abandoned) => self,
        }
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Breaker::Closed { .. } => "closed",
            Breaker::Open { .. } => "open",
            Breaker::HalfOpen { .. } => "half_open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BreakerEvent::{Abandoned, Failed, Ok};

    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: 3,
        cooldown: Duration::from_secs(10),
        key_cooldown: Duration::from_secs(60),
    };
    const NOW: Mono = Mono(100_000_000);
    const LATER: Mono = Mono(110_000_000);

    #[test]
    fn the_table_holds() {
        let closed = |failures| Breaker::Closed { failures };
        let open = Breaker::Open { until: LATER };
        let half_open = Breaker::HalfOpen { probe_until: LATER };
        let early = Breaker::Open { until: Mono(101_000_000) };
        let check = |from: Breaker, event, to: Breaker| {
            assert_eq!(from.next(event, NOW, &POLICY), to, "{from:?} {event:?}");
        };
        check(closed(0), Ok, closed(0));
        check(closed(2), Ok, closed(0));
        check(closed(0), Failed, closed(1));
        check(closed(1), Failed, closed(2));
        check(closed(2), Failed, open);
        check(closed(2), Abandoned, closed(2));
        check(early, Ok, early);
        check(early, Failed, early);
        check(early, Abandoned, early);
        check(half_open, Ok, closed(0));
        check(half_open, Failed, open);
        check(half_open, Abandoned, Breaker::HalfOpen { probe_until: NOW });
    }

    #[test]
    fn one_probe_goes_when_the_cooldown_is_over() {
        let mut breaker = Breaker::Open { until: LATER };
        assert!(!breaker.allows(NOW, &POLICY));
        assert!(!breaker.would_allow(NOW) && breaker.would_allow(LATER));
        assert!(breaker.allows(LATER, &POLICY));
        assert_eq!(breaker.as_str(), "half_open");
        assert!(!breaker.allows(LATER, &POLICY), "a second call must not probe");
        breaker = breaker.next(Ok, LATER, &POLICY);
        assert!(breaker.allows(LATER, &POLICY) && breaker.allows(LATER, &POLICY));
    }

    #[test]
    fn a_lost_probe_does_not_keep_the_target_out_for_ever() {
        let mut breaker = Breaker::Open { until: NOW };
        assert!(breaker.allows(NOW, &POLICY));
        assert!(!breaker.allows(Mono(LATER.0 - 1), &POLICY));
        assert!(breaker.allows(LATER, &POLICY));
        breaker = breaker.next(Abandoned, LATER, &POLICY);
        assert!(breaker.allows(LATER, &POLICY), "an abandoned probe makes room at once");
    }

    #[test]
    fn a_limit_of_nought_never_opens() {
        let never = BreakerPolicy { failures: 0, ..POLICY };
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            breaker = breaker.next(Failed, NOW, &never);
        }
        assert!(breaker.allows(NOW, &never));
    }
}

//! How targets are: breakers, waits that providers asked for, refused keys, calls under way, and latency.
//!
//! Pure: the caller hands in the time and holds the lock. What decides upon it is in [`crate::plan::order`].

mod latency;

use std::{collections::HashMap, time::Duration};

use gauntlet_types::{Mono, Name, Target};
use serde::Serialize;

pub use self::latency::PeakEwma;
use crate::{
    breaker::{Breaker, BreakerEvent, BreakerPolicy},
    retry::{Against, KeyTrouble},
};

/// Callers may name models without number; beyond this, targets that nothing is known against are forgotten.
const TARGETS_MAX: usize = 4096;
/// A provider may ask for a day; that its quota was raised meanwhile shows within the hour.
const RATE_MAX: Duration = Duration::from_secs(3600);

/// What the latency of a call means: streams and whole answers are not comparable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measured {
    /// To the first token of a stream.
    FirstToken,
    /// To the end of a plain answer.
    Whole,
}

/// Why a target is not asked like the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It answered 429, and said until when.
    RateLimited,
    /// Time and again another that was asked beside it, and later, answered first.
    Outrun,
    /// Its provider refuses our key.
    KeyRefused,
    /// The account at its provider is empty or closed.
    Unpaid,
    /// Its breaker is open.
    Breaker,
    /// Its breaker waits for a probe that is under way.
    Probe,
}

impl Why {
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::RateLimited => "rate_limited",
            Why::Outrun => "outrun",
            Why::KeyRefused => "key_refused",
            Why::Unpaid => "unpaid",
            Why::Breaker => "breaker",
            Why::Probe => "probe",
        }
    }

    /// For people: ends the sentence "left alone: …".
    pub const fn words(self) -> &'static str {
        match self {
            Why::RateLimited => "rate limited",
            Why::Outrun => "outrun by others",
            Why::KeyRefused => "key refused",
            Why::Unpaid => "account empty",
            Why::Breaker => "breaker open",
            Why::Probe => "being probed",
        }
    }

    /// Nobody asks it, whatever else there is.
    pub const fn is_hard(self) -> bool {
        matches!(self, Why::Breaker | Why::Probe)
    }
}

/// Whether a target may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Free,
    LeftAlone { why: Why, left: Duration },
}

impl Standing {
    pub const fn is_free(self) -> bool {
        matches!(self, Standing::Free)
    }

    pub const fn why(self) -> Option<Why> {
        match self {
            Standing::Free => None,
            Standing::LeftAlone { why, .. } => Some(why),
        }
    }
}

/// A target as it looks now.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct View {
    pub standing: Standing,
    pub in_flight: u32,
    /// In microseconds; none: nothing was measured yet.
    pub latency_us: Option<f64>,
}

impl View {
    /// Of a target that nothing is known of.
    pub const UNKNOWN: View = View { standing: Standing::Free, in_flight: 0, latency_us: None };
}

/// A target for metrics and pages.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Line {
    pub target: String,
    #[serde(skip)]
    pub of: Target,
    pub breaker: &'static str,
    pub left_alone: Option<Why>,
    pub left_alone_s: f64,
    pub in_flight: u32,
    /// Since the start; of a name that a caller made up, nothing ever does.
    pub has_answered: bool,
    pub first_token_ms: Option<f64>,
    pub whole_ms: Option<f64>,
}

#[derive(Clone, Copy, Default, Debug)]
struct State {
    breaker: Breaker,
    rate_until: Option<Mono>,
    /// Since its last answer.
    outrun: u32,
    outrun_until: Option<Mono>,
    in_flight: u32,
    has_answered: bool,
    latency: [PeakEwma; 2],
}

impl State {
    fn latency(&self, measured: Measured, now: Mono) -> Option<f64> {
        self.latency[measured as usize].at(now)
    }
}

/// All targets that were asked, and the keys of providers that were refused.
#[derive(Default, Debug)]
pub struct Health {
    targets: HashMap<Target, State>,
    keys: HashMap<Name, (KeyTrouble, Mono)>,
}

impl Health {
    pub fn view(&self, target: &Target, measured: Measured, now: Mono) -> View {
        let state = self.targets.get(target);
        View {
            standing: self.standing(target, now),
            in_flight: state.map_or(0, |state| state.in_flight),
            latency_us: state.and_then(|state| state.latency(measured, now)),
        }
    }

    pub fn standing(&self, target: &Target, now: Mono) -> Standing {
        let alone =
            |why, until: Mono| (until > now).then(|| Standing::LeftAlone { why, left: until.since(now) });
        let state = self.targets.get(target);
        let by_breaker = state.and_then(|state| match state.breaker {
            Breaker::Closed { .. } => None,
            Breaker::Open { until } => alone(Why::Breaker, until),
            Breaker::HalfOpen { probe_until } => alone(Why::Probe, probe_until),
        });
        let by_key = || {
            let (trouble, until) = self.keys.get(&target.provider)?;
            let why = match trouble {
                KeyTrouble::Refused => Why::KeyRefused,
                KeyTrouble::Unpaid => Why::Unpaid,
            };
            alone(why, *until)
        };
        let by_rate = || alone(Why::RateLimited, state?.rate_until?);
        let by_others = || alone(Why::Outrun, state?.outrun_until?);
        by_breaker.or_else(by_key).or_else(by_rate).or_else(by_others).unwrap_or(Standing::Free)
    }

    /// Whether a call may go to the target now; `has_others` says whether another is free that it may go to instead.
    /// Asking takes the probe of a breaker whose cooldown is over, so ask once a call.
    ///
    /// A refused key, a wait that was asked for and having been outrun hold only while there are others: a call that would fail for sure
    /// costs less when it tries.
    pub fn admit(&mut self, target: &Target, now: Mono, policy: &BreakerPolicy, has_others: bool) -> bool {
        if has_others && self.standing(target, now).why().is_some_and(|why| !why.is_hard()) {
            return false;
        }
        // A target that never failed has no breaker to ask.
        self.targets.get_mut(target).is_none_or(|state| state.breaker.allows(now, policy))
    }

    /// An attempt has begun; [`Health::ended`] is owed.
    pub fn began(&mut self, target: &Target, now: Mono) {
        let state = self.state(target, now);
        state.in_flight = state.in_flight.saturating_add(1);
    }

    pub fn ended(&mut self, target: &Target) {
        if let Some(state) = self.targets.get_mut(target) {
            state.in_flight = state.in_flight.saturating_sub(1);
        }
    }

    /// The target has answered so quickly; it and its key are as they should be.
    pub fn answered(&mut self, target: &Target, measured: Measured, took: Duration, now: Mono) {
        self.keys.remove(&target.provider);
        let state = self.state(target, now);
        state.latency[measured as usize].note(took, now);
        state.rate_until = None;
        (state.outrun, state.outrun_until) = (0, None);
        state.has_answered = true;
    }

    /// The target kept a call waiting for so long and gave nothing.
    pub fn kept_waiting(&mut self, target: &Target, measured: Measured, waited: Duration, now: Mono) {
        self.state(target, now).latency[measured as usize].note(waited, now);
    }

    /// The target was dropped after so long, since another gave its answer first: it takes at least that.
    ///
    /// As often in a row as would open its breaker, and it is asked last for as long: a target that hangs is else asked, and another
    /// paid beside it, by every call.
    pub fn outrun(
        &mut self,
        target: &Target,
        measured: Measured,
        waited: Duration,
        now: Mono,
        policy: &BreakerPolicy,
    ) {
        let is_news = |us: f64| waited.as_secs_f64() * 1e6 > us;
        if self.state(target, now).latency(measured, now).is_none_or(is_news) {
            self.kept_waiting(target, measured, waited, now);
        }
        let state = self.state(target, now);
        state.outrun = state.outrun.saturating_add(1);
        if policy.failures > 0 && state.outrun >= policy.failures {
            state.outrun_until = Some(now.plus(policy.cooldown));
        }
    }

    /// Tells the breaker what became of a call that was let through.
    pub fn report(&mut self, target: &Target, event: BreakerEvent, now: Mono, policy: &BreakerPolicy) {
        if event != BreakerEvent::Failed && !self.targets.contains_key(target) {
            return;
        }
        let state = self.state(target, now);
        state.breaker = state.breaker.next(event, now, policy);
    }

    /// Takes in a failure, on whomever it falls.
    pub fn failed(&mut self, target: &Target, against: Against, now: Mono, policy: &BreakerPolicy) {
        let event = match against {
            Against::Target => BreakerEvent::Failed,
            Against::Nobody | Against::Rate(_) | Against::Key(_) => BreakerEvent::Abandoned,
        };
        self.report(target, event, now, policy);
        match against {
            Against::Nobody | Against::Target => {}
            Against::Rate(wait) => {
                self.state(target, now).rate_until = Some(now.plus(wait.min(RATE_MAX)));
            }
            Against::Key(trouble) => {
                self.keys.insert(target.provider.clone(), (trouble, now.plus(policy.key_cooldown)));
            }
        }
    }

    /// The configuration was read anew, so that keys may be others: each is tried again.
    pub fn forget_keys(&mut self) {
        self.keys.clear();
    }

    /// Every target that was asked, by name.
    pub fn lines(&self, now: Mono) -> Vec<Line> {
        let mut lines: Vec<Line> = self
            .targets
            .iter()
            .map(|(target, state)| {
                let (left_alone, left) = match self.standing(target, now) {
                    Standing::Free => (None, Duration::ZERO),
                    Standing::LeftAlone { why, left } => (Some(why), left),
                };
                let ms = |measured| state.latency(measured, now).map(|us| us / 1e3);
                Line {
                    target: target.to_string(),
                    of: target.clone(),
                    breaker: state.breaker.as_str(),
                    left_alone,
                    left_alone_s: left.as_secs_f64(),
                    in_flight: state.in_flight,
                    has_answered: state.has_answered,
                    first_token_ms: ms(Measured::FirstToken),
                    whole_ms: ms(Measured::Whole),
                }
            })
            .collect();
        lines.sort_by(|a, b| a.target.cmp(&b.target));
        lines
    }

    fn state(&mut self, target: &Target, now: Mono) -> &mut State {
        if self.targets.len() >= TARGETS_MAX && !self.targets.contains_key(target) {
            let is_waiting = |until: Option<Mono>| until.is_some_and(|until| until > now);
            self.targets.retain(|_, state| {
                state.in_flight > 0
                    || !matches!(state.breaker, Breaker::Closed { failures: 0 })
                    || is_waiting(state.rate_until)
                    || is_waiting(state.outrun_until)
            });
            // All in use or in trouble: only a flood of made-up names comes to this, and their memory is not worth it.
            if self.targets.len() >= TARGETS_MAX {
                self.targets.retain(|_, state| state.in_flight > 0);
            }
        }
        // Copying the name shares its text.
        self.targets.entry(target.clone()).or_default()
    }
}

#[cfg(test)]
mod tests;

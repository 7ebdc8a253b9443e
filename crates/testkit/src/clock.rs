//! Time and chance driven by hand.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use gauntlet_ports::Clock;
use gauntlet_types::{CallId, Mono, Timestamp};
use uuid::Builder;

/// 2026-04-25T18:42:11.482Z, so that dates in expected answers are plain to see.
const START: Timestamp = Timestamp(1_777_142_531_482_000);
/// Neither end of the range: jitter is neither none nor all.
const CHANCE: f64 = 0.5;

/// A clock that stands still until it is advanced. Ids count up, so that the same test makes the same ids.
pub struct ManualClock {
    state: Mutex<State>,
}

struct State {
    now: Timestamp,
    mono: Mono,
    ids: u64,
    chances: VecDeque<f64>,
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new()
    }
}

impl ManualClock {
    pub fn new() -> ManualClock {
        ManualClock::at(START)
    }

    pub fn at(now: Timestamp) -> ManualClock {
        // Not zero: a test that subtracts from the start must not fall off the end.
        let mono = Mono(1_000_000_000);
        ManualClock { state: Mutex::new(State { now, mono, ids: 0, chances: VecDeque::new() }) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.now = state.now.plus(by);
        state.mono = state.mono.plus(by);
    }

    /// Sets the wall clock alone, backwards too, as an operator or NTP may.
    pub fn set(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// The next answers of `chance`, in order; after them it is 0.5 again.
    pub fn script_chances(&self, chances: impl IntoIterator<Item = f64>) {
        self.lock().chances.extend(chances);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no user of the clock panics while it holds it")
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn mono(&self) -> Mono {
        self.lock().mono
    }

    fn call_id(&self) -> CallId {
        let mut state = self.lock();
        state.ids += 1;
        let millis = u64::try_from(state.now.0 / 1_000).unwrap_or(0);
        // Big-endian at the front, so that ids of one millisecond sort in the order they were made.
        let mut random = [0u8; 10];
        random[2..].copy_from_slice(&state.ids.to_be_bytes());
        CallId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    fn chance(&self) -> f64 {
        self.lock().chances.pop_front().unwrap_or(CHANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_when_told() {
        let clock = ManualClock::new();
        let (now, mono) = (clock.now(), clock.mono());
        assert_eq!((clock.now(), clock.mono()), (now, mono));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now(), now.plus(Duration::from_millis(1_500)));
        assert_eq!(clock.mono().since(mono), Duration::from_millis(1_500));
        clock.set(Timestamp(0));
        assert_eq!(clock.now(), Timestamp(0));
        assert_eq!(clock.mono().since(mono), Duration::from_millis(1_500));
    }

    #[test]
    fn ids_are_the_same_every_time_and_sort_by_time() {
        let make = || {
            let clock = ManualClock::new();
            let mut ids: Vec<CallId> = (0..300).map(|_| clock.call_id()).collect();
            clock.advance(Duration::from_secs(1));
            ids.push(clock.call_id());
            ids
        };
        let ids = make();
        assert_eq!(ids, make());
        assert!(ids.is_sorted() && ids[0] != ids[1]);
        assert_eq!(ids[0].0.get_version_num(), 7);
    }

    #[test]
    fn chance_is_scripted_then_even() {
        let clock = ManualClock::new();
        clock.script_chances([0.0, 0.99]);
        assert_eq!([clock.chance(), clock.chance(), clock.chance()], [0.0, 0.99, 0.5]);
    }
}

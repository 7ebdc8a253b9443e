//! Caps shared by several replicas, without a round trip per call.
//!
//! Each replica holds a slice of every budget it uses: what it may spend beyond what it has reported. The shared store
//! keeps, for each replica, its spend (absolute, so that a repeated report changes nothing) and its slice, and grants so
//! that all spends and slices together never pass the cap. A call is decided against the slice alone. A background task
//! exchanges figures a few times a second: slices follow use, shrink near the cap, and go back when idle. A call that
//! finds its slice too small waits for one exchange.
//!
//! ```text
//! asks  → what the store is told: spent so far, held by calls in flight, how much is wanted
//! grant → the new slice takes effect, counted from the spend that was reported
//! ```

use std::time::Duration;

use gauntlet_types::{Charge, Measure, Timestamp};

use super::Book;

/// What is asked for one budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Of a rolling budget, without period and part.
    pub charge: Charge,
    pub cap: i64,
    /// By this replica alone, ever; within a rolling window, as it stands.
    pub spent: i64,
    pub held: i64,
    /// Beyond what is held, for a call that waits.
    pub need: i64,
    /// The slice wished for, `held` and `need` included.
    pub want: i64,
    /// The slice beyond `spent` that may be used until the answer comes.
    pub keep: i64,
    /// Spent by others, as last heard.
    pub elsewhere: i64,
    /// How long the figure matters.
    pub forget_after: Duration,
}

impl Ask {
    /// One name for one budget in every replica.
    pub fn account(&self) -> String {
        let Charge { scope, key, period, measure, .. } = &self.charge;
        let period = period.map_or(String::new(), |day| day.to_string());
        format!("{}\u{1f}{scope}\u{1f}{period}\u{1f}{key}", measure.as_str())
    }
}

/// Slices are made to last for so many exchanges at the pace of the last: one is under way while the next is used.
const EXCHANGES_AHEAD: i64 = 3;
/// A figure is kept for so long after its period has ended: clocks and time zones differ.
const GRACE: Duration = Duration::from_secs(2 * 86_400);
/// A budget that never turns is kept for so long after its last use.
const NEVER_TURNS: Duration = Duration::from_secs(400 * 86_400);

impl Book {
    /// From now on nothing may be spent but from slices.
    pub fn share(&mut self) {
        self.is_shared = true;
        for account in self.accounts.iter_mut().flatten() {
            account.slice.get_or_insert_default().ceiling = account.spent;
        }
    }

    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// What to tell the shared store now, at most `max` budgets; those that calls wait for come first.
    pub fn asks(&mut self, now: Timestamp, max: usize) -> Vec<Ask> {
        let mut places = std::mem::take(&mut self.active);
        places.sort_by_key(|place| {
            let slice = self.accounts[*place as usize].as_ref().and_then(|account| account.slice.as_ref());
            std::cmp::Reverse(slice.map_or(0, |slice| slice.need))
        });
        let later = places.split_off(places.len().min(max));
        let mut asks = Vec::with_capacity(places.len());
        for place in places {
            let Some(account) = self.accounts[place as usize].as_mut() else { continue };
            account.turn_to(now);
            let (charge, spent, held) = (account.charge.clone(), account.spent, account.held);
            let rolling = account.rolling();
            let (Some(slice), Some(cap)) = (&mut account.slice, account.cap) else { continue };
            let ahead = slice.recent.saturating_mul(EXCHANGES_AHEAD).max(slice.need);
            let forget_after = match (rolling, charge.period) {
                (Some(rolling), _) => Duration::from_secs(
                    86_400 / u64::from(rolling.parts_per_day) * (u64::from(rolling.parts) + 1),
                ),
                (None, Some(day)) => {
                    let left = day.next().start().0.saturating_sub(now.0).max(0) as u64;
                    Duration::from_micros(left) + GRACE
                }
                (None, None) => NEVER_TURNS,
            };
            let want = held.saturating_add(ahead);
            // What is not wanted is not used any more from here on, so that it returns with this exchange.
            slice.ceiling = slice.ceiling.min(spent.saturating_add(want));
            let keep = slice.ceiling.saturating_sub(spent).max(held);
            let (need, elsewhere) = (slice.need, slice.elsewhere);
            let cap = cap.amount;
            asks.push(Ask { charge, cap, spent, held, need, want, keep, elsewhere, forget_after });
            // What happens from here on is news for the next exchange.
            slice.recent /= 4;
            slice.need = 0;
            slice.is_active = false;
        }
        self.active = later;
        // Asked for again until nothing is left to give back.
        for ask in &asks {
            if let Some(place) = self.index.get(&ask.charge).copied()
                && (ask.want > 0 || ask.keep > 0)
            {
                self.touch(place);
            }
        }
        asks
    }

    /// Every account is news again: the shared store has lost its memory.
    pub fn ask_for_all(&mut self) {
        for place in 0..self.accounts.len() as u32 {
            self.touch(place);
        }
    }

    /// The answer to these was not heard.
    pub fn ask_again(&mut self, asks: &[Ask]) {
        for ask in asks {
            let Some(place) = self.index.get(&ask.charge).copied() else { continue };
            if let Some(slice) =
                self.accounts[place as usize].as_mut().and_then(|account| account.slice.as_mut())
            {
                slice.need = slice.need.max(ask.need);
            }
            self.touch(place);
        }
    }

    /// Takes a grant: `slice` beyond what the ask reported as spent.
    pub fn grant(&mut self, ask: &Ask, slice: i64, elsewhere: i64) {
        let Some(place) = self.index.get(&ask.charge).copied() else { return };
        let Some(account) = self.accounts[place as usize].as_mut() else { return };
        let Some(held) = &mut account.slice else { return };
        held.ceiling = ask.spent.saturating_add(slice);
        held.elsewhere = elsewhere;
    }

    /// The shared store cannot be asked and this replica's lease is over. Either nothing more may be spent until it can
    /// be, or the caps hold for this replica alone, less what others were last heard to have spent.
    pub fn cut_off(&mut self, goes_on: bool) {
        for account in self.accounts.iter_mut().flatten() {
            let spent = account.spent;
            if let Some(slice) = &mut account.slice {
                slice.ceiling = if goes_on { i64::MAX } else { spent };
            }
        }
    }

    /// Notes that an account's figures changed.
    pub(super) fn touch(&mut self, place: u32) {
        if !self.is_shared {
            return;
        }
        if let Some(slice) = self.accounts[place as usize].as_mut().and_then(|account| account.slice.as_mut())
            && !slice.is_active
        {
            slice.is_active = true;
            self.active.push(place);
        }
    }
}

/// The measure's name in an account, for whoever reads the shared store.
pub fn measure_of(account: &str) -> Option<Measure> {
    Measure::parse(account.split('\u{1f}').next()?)
}

//! A token bucket in integers.

use std::time::Duration;

use gauntlet_types::Mono;

/// Lets through `limit` units a minute. Holds one minute's worth at most, so that after a quiet minute a burst of
/// `limit` may go at once and `limit` more over the next minute. Refills all the time, not by the minute. May be in debt.
///
/// An amount larger than the whole bucket is let through when the bucket is full and leaves a debt: refused, it would
/// be refused for ever, and the rate over time is kept all the same.
///
/// One that several replicas draw from is leased: it fills by grants of the shared store alone.
#[derive(Clone, Debug)]
pub struct Bucket {
    limit: u32,
    leased: Option<Leased>,
    /// In units × microseconds of a minute, so that a microsecond's refill is `limit` and nothing is rounded.
    level: i64,
    at: Mono,
}

/// What a leased bucket remembers between two exchanges with the shared store.
#[derive(Clone, Copy, Default, Debug)]
struct Leased {
    /// Taken since the last exchange, and a share of what was taken before.
    recent: u32,
    /// The largest amount that was refused since.
    need: u32,
    /// When the store expects to have more.
    until: Mono,
}

/// What a leased bucket asks for, in units.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Draught {
    /// Negative gives back.
    pub take: i64,
    pub need: u32,
}

/// Lasts for so many exchanges at the pace of the last.
const EXCHANGES_AHEAD: u32 = 3;
/// When a leased bucket is empty and the store has not said how long it will be.
const SOON: Duration = Duration::from_millis(100);

const MINUTE_US: i64 = 60_000_000;

/// What a bucket of nothing says: there is no true answer.
const NEVER: Duration = Duration::from_secs(60);

/// How deep a debt may get, in minutes' worth: a single wrong figure must not shut a limit for days.
const DEBT_MINUTES_MAX: i64 = 10;

impl Bucket {
    /// A full bucket.
    pub fn new(now: Mono, limit: u32) -> Bucket {
        Bucket { limit, leased: None, level: full(limit), at: now }
    }

    /// An empty one that is filled by grants.
    pub fn leased(now: Mono, limit: u32) -> Bucket {
        Bucket { limit, leased: Some(Leased::default()), level: 0, at: now }
    }

    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Changes the limit; what is in the bucket stays, as far as it fits.
    pub fn set_limit(&mut self, now: Mono, limit: u32) {
        if limit != self.limit {
            self.refill(now);
            self.limit = limit;
            self.level = self.level.min(full(limit));
        }
    }

    /// How long until `amount` fits; zero if it does.
    pub fn wait(&mut self, now: Mono, amount: u32) -> Duration {
        self.refill(now);
        let missing = full(amount.min(self.limit)).saturating_sub(self.level);
        if let (Some(leased), true) = (&mut self.leased, missing > 0) {
            leased.need = leased.need.max(amount);
            return leased.until.since(now).max(SOON);
        }
        match self.limit {
            0 if amount > 0 => NEVER,
            0 => Duration::ZERO,
            limit => Duration::from_micros(missing.max(0).cast_unsigned().div_ceil(u64::from(limit))),
        }
    }

    /// Takes `amount`, or says how long until it would fit.
    pub fn take(&mut self, now: Mono, amount: u32) -> Result<(), Duration> {
        let wait = self.wait(now, amount);
        if wait.is_zero() {
            self.spend(amount);
            Ok(())
        } else {
            Err(wait)
        }
    }

    /// Gives back what was taken and not used; never more than the bucket holds.
    pub fn refund(&mut self, now: Mono, amount: u32) {
        self.refill(now);
        self.level = self.level.saturating_add(full(amount)).min(full(self.limit).max(self.level));
    }

    /// Puts an estimate right: the rest is given back, or taken into debt.
    pub fn adjust(&mut self, now: Mono, estimate: u32, actual: u32) {
        if actual <= estimate {
            self.refund(now, estimate - actual);
        } else {
            self.refill(now);
            self.spend(actual - estimate);
        }
    }

    /// Whole units left; negative in debt.
    pub fn left(&mut self, now: Mono) -> i64 {
        self.refill(now);
        self.level.div_euclid(MINUTE_US)
    }

    pub fn is_full(&mut self, now: Mono) -> bool {
        self.refill(now);
        match self.leased {
            // All is given back, and nobody asks.
            Some(leased) => self.level == 0 && leased.recent == 0 && leased.need == 0,
            None => self.level >= full(self.limit),
        }
    }

    /// What to ask the shared store for; none where nothing is wanted and nothing is left to give back.
    pub fn draught(&mut self) -> Option<Draught> {
        let level = self.level.div_euclid(MINUTE_US);
        let limit = self.limit;
        let leased = self.leased.as_mut()?;
        let wanted = leased.recent.saturating_mul(EXCHANGES_AHEAD).max(leased.need).min(limit);
        let need = leased.need;
        leased.recent /= 4;
        leased.need = 0;
        let take = i64::from(wanted) - level;
        let missing = (i64::from(need.min(limit)) - level).max(0);
        if take < 0 {
            // Gone from here before it is there again.
            self.level += take * MINUTE_US;
        }
        let draught = Draught { take, need: u32::try_from(missing).unwrap_or(0) };
        (draught != Draught::default()).then_some(draught)
    }

    /// What the shared store granted; `wait` until it has what was needed and is not there.
    pub fn grant(&mut self, now: Mono, taken: i64, wait: Duration) {
        if let Some(leased) = &mut self.leased {
            self.level = self.level.saturating_add(taken.max(0).saturating_mul(MINUTE_US));
            leased.until = now.plus(wait.min(NEVER));
        }
    }

    fn spend(&mut self, amount: u32) {
        if let Some(leased) = &mut self.leased {
            leased.recent = leased.recent.saturating_add(amount);
        }
        // The floor lets a single oversized amount through whole: it is taken from a full bucket.
        let floor = full(self.limit).saturating_mul(-DEBT_MINUTES_MAX).min(self.level);
        self.level = self.level.saturating_sub(full(amount)).max(floor);
    }

    fn refill(&mut self, now: Mono) {
        if self.leased.is_some() {
            return;
        }
        let elapsed_us = now.0.saturating_sub(self.at.0);
        let gained = i64::try_from(u128::from(elapsed_us) * u128::from(self.limit)).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(gained).min(full(self.limit));
        self.at = self.at.max(now);
    }
}

const fn full(limit: u32) -> i64 {
    limit as i64 * MINUTE_US
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000)
    }

    #[test]
    fn a_minutes_worth_bursts_and_refills_all_the_time() {
        let mut bucket = Bucket::new(at(0), 60);
        for _ in 0..60 {
            assert_eq!(bucket.take(at(0), 1), Ok(()));
        }
        assert_eq!(bucket.take(at(0), 1), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(at(999), 1), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(at(1_000), 1), Ok(()));
        assert_eq!(bucket.take(at(1_000), 30), Err(Duration::from_secs(30)));
        assert_eq!(bucket.take(at(31_000), 30), Ok(()));
        assert_eq!(bucket.left(at(1_000_000)), 60, "a long pause fills it, not more");
    }

    #[test]
    fn the_wait_it_names_is_enough_and_not_too_much() {
        for (limit, amount) in [(7, 3), (1, 1), (120_000, 999), (3, 3), (u32::MAX, u32::MAX), (1_000_003, 17)]
        {
            let mut bucket = Bucket::new(at(0), limit);
            bucket.take(at(0), limit).unwrap();
            let wait = bucket.take(at(0), amount).unwrap_err();
            let then = at(0).plus(wait);
            assert!(bucket.clone().take(Mono(then.0 - 1), amount).is_err(), "{limit} {amount}");
            assert!(bucket.take(then, amount).is_ok(), "{limit} {amount}");
        }
    }

    #[test]
    fn an_estimate_is_put_right_both_ways() {
        let mut bucket = Bucket::new(at(0), 100);
        bucket.take(at(0), 80).unwrap();
        bucket.adjust(at(0), 80, 30);
        assert_eq!(bucket.left(at(0)), 70);
        bucket.take(at(0), 70).unwrap();
        bucket.adjust(at(0), 70, 170);
        assert_eq!(bucket.left(at(0)), -100);
        assert_eq!(bucket.take(at(0), 1), Err(Duration::from_micros(60_600_000)));
        bucket.refund(at(0), 1_000);
        assert_eq!(bucket.left(at(0)), 100, "never more than it holds");
    }

    #[test]
    fn what_is_larger_than_the_bucket_waits_for_a_full_one_and_leaves_a_debt() {
        let mut bucket = Bucket::new(at(0), 100);
        bucket.take(at(0), 1).unwrap();
        assert_eq!(bucket.take(at(0), 250), Err(Duration::from_micros(600_000)));
        assert_eq!(bucket.take(at(600), 250), Ok(()));
        assert_eq!(bucket.left(at(600)), -150);
        assert_eq!(bucket.take(at(600), 10), Err(Duration::from_secs(96)));
    }

    #[test]
    fn debts_end_clocks_that_stand_still_gain_nothing_and_nought_lets_nothing_through() {
        let mut bucket = Bucket::new(at(10), 10);
        bucket.adjust(at(10), 0, u32::MAX);
        assert_eq!(bucket.left(at(10)), -100);
        assert_eq!(bucket.left(at(0)), -100);
        assert_eq!(bucket.left(Mono(u64::MAX)), 10);
        let mut none = Bucket::new(at(0), 0);
        assert_eq!((none.take(at(0), 1), none.take(at(0), 0)), (Err(NEVER), Ok(())));
        none.set_limit(at(0), 5);
        assert_eq!(none.left(at(60_000)), 5);
    }
}

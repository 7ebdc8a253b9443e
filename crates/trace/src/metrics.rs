//! Metrics of calls, counted from the record alone, so that they agree with the store and the bill.
//!
//! A thread counts in a shard of its own under a lock that nobody else takes but a scrape. A call's labels are looked
//! up as they stand in the record: nothing is formatted or allocated once a set of labels has been seen.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use gauntlet_types::{AttemptEnd, CacheUse, CallRecord, Code, Direction, Name};

use crate::{
    prometheus::{self, Gauge},
    series::{Key, Labels, Series, Shard},
};

/// Sets of (route, model, provider, outcome, operation). Beyond it labels read `other`; totals stay exact.
pub const SERIES_MAX: usize = 1000;

/// More than a gateway has workers, so that two rarely share one.
const SHARDS: usize = 16;

/// Padded, so that neighbours do not share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// Counts calls and shows the counts in Prometheus' text format.
#[derive(Default)]
pub struct Metrics {
    shards: [Padded; SHARDS],
    /// The sets of labels seen by any shard: the bound is on the sum.
    known: Mutex<HashSet<Key>>,
}

/// The shards added up, in a stable order.
#[derive(Default)]
pub(crate) struct Totals {
    /// By route, model, provider, outcome and operation.
    pub series: BTreeMap<(Name, Name, Name, &'static str, &'static str), Series>,
    pub codes: Vec<(&'static str, u64)>,
    pub cache: Vec<(&'static str, u64)>,
    pub guard: BTreeMap<(&'static str, Name, &'static str), u64>,
    pub attempts: BTreeMap<(Name, &'static str), u64>,
    pub rate_limited: u64,
    pub budget_refused: u64,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics::default()
    }

    pub fn observe(&self, record: &CallRecord) {
        let labels = Labels::of(record);
        let mut shard = lock(&self.shards[shard_of_thread()].0);
        shard.observe_rest(record);
        if shard.observe(&labels, record) {
            return;
        }
        let labels = if self.admit(&labels) { labels } else { labels.other() };
        if !shard.observe(&labels, record) {
            shard.add_series(&labels);
            shard.observe(&labels, record);
        }
    }

    /// Everything counted, then `gauges` (which may also be counters kept elsewhere), in Prometheus' text format.
    pub fn render(&self, gauges: &[Gauge<'_>]) -> String {
        prometheus::render(&self.totals(), gauges)
    }

    /// Whether a set of labels may have a series of its own.
    fn admit(&self, labels: &Labels<'_>) -> bool {
        let mut known = lock(&self.known);
        let key = labels.to_key();
        known.contains(&key) || (known.len() < SERIES_MAX && known.insert(key))
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let mut codes = [0; Code::ALL.len()];
        let mut cache = [0; CacheUse::ALL.len()];
        for padded in &self.shards {
            let shard = lock(&padded.0);
            for (key, series) in shard.series() {
                let labels = (
                    key.route.clone(),
                    key.model.clone(),
                    key.provider.clone(),
                    key.outcome.as_str(),
                    key.door.operation(),
                );
                totals.series.entry(labels).or_insert(Series::EMPTY).add(series);
            }
            for (at, count) in shard.codes.iter().enumerate() {
                codes[at] += count;
            }
            for (at, count) in shard.cache.iter().enumerate() {
                cache[at] += count;
            }
            for ((direction, kind, action), count) in &shard.guard {
                let labels = (direction_name(*direction), kind.clone(), action.as_str());
                *totals.guard.entry(labels).or_default() += count;
            }
            for ((provider, end), count) in &shard.attempts {
                *totals.attempts.entry((provider.clone(), end_name(*end))).or_default() += count;
            }
        }
        totals.rate_limited = codes[Code::RateLimited as usize];
        totals.budget_refused = codes[Code::BudgetExceeded as usize];
        totals.codes = Code::ALL.iter().map(|code| code.as_str()).zip(codes).collect();
        totals.cache = CacheUse::ALL.iter().map(|result| result.as_str()).zip(cache).collect();
        totals
    }
}

/// The address of a thread-local tells threads apart without a global counter. Two threads may share a shard: then they
/// wait for each other now and then, and nothing else changes.
fn shard_of_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    let address = MARK.with(|mark| std::ptr::from_ref(mark) as usize as u64);
    // Stacks are far apart, so the low bits say nothing; a multiplication brings the high ones together.
    ((address >> 12).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % SHARDS
}

/// Counts are plain numbers: right whatever happened to the thread that held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Input => "input",
        Direction::Output => "output",
    }
}

fn end_name(end: AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Ok => "ok",
        AttemptEnd::Status => "status",
        AttemptEnd::Connect => "connect",
        AttemptEnd::FirstTokenTimeout => "first_token_timeout",
        AttemptEnd::IdleTimeout => "idle_timeout",
        AttemptEnd::TotalTimeout => "total_timeout",
        AttemptEnd::Malformed => "malformed",
        AttemptEnd::Cut => "cut",
        AttemptEnd::StreamError => "stream_error",
        AttemptEnd::Abandoned => "abandoned",
        AttemptEnd::Outrun => "outrun",
    }
}

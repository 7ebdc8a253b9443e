//! What follows from a batch, added up in memory before it touches the file: sums, latencies, spend.

use std::{collections::BTreeMap, ops::Range};

use foldhash::HashMap;
use gauntlet_types::{CallRecord, Charge, Finish, NanoUsd, Outcome, Timestamp, sketch};
use rusqlite::{CachedStatement, Connection, Result, Statement, params};

use super::names::{NameCounts, NameDeltas};
use crate::time::{self, NEVER_TURNS};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key<'a> {
    /// Of the minute, the hour or the day.
    pub start: Timestamp,
    pub tenant: &'a str,
    pub route: &'a str,
    pub model: &'a str,
    pub provider: &'a str,
    pub environment: &'a str,
    pub team: &'a str,
    pub prompt_name: &'a str,
    pub prompt_version: &'a str,
}

impl<'a> Key<'a> {
    fn minute_of(record: &'a CallRecord) -> Key<'a> {
        let prompt = record.prompt.as_ref();
        Key {
            // Times outside the calendar share its first or last minute, as they do where they are shown.
            start: time::within_calendar(record.started).minute_start(),
            tenant: &record.caller.tenant,
            route: &record.route,
            model: model_of(record),
            provider: record.target.as_ref().map_or("", |target| &target.provider),
            environment: record.caller.environment.as_str(),
            team: record.caller.team.as_deref().unwrap_or(""),
            prompt_name: prompt.map_or("", |prompt| &prompt.name),
            prompt_version: prompt.map_or("", |prompt| &prompt.version),
        }
    }

    pub(crate) fn day_of(record: &'a CallRecord) -> Key<'a> {
        let key = Key::minute_of(record);
        Key { start: day_start(key.start), ..key }
    }
}

/// What latencies are told apart by, and sums of a minute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LatencyKey<'a> {
    pub start: Timestamp,
    pub tenant: &'a str,
    pub route: &'a str,
    pub model: &'a str,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Sums {
    pub calls: i64,
    pub errors: i64,
    pub refused: i64,
    pub cache_hits: i64,
    pub tokens_in: i64,
    pub tokens_cached: i64,
    pub tokens_out: i64,
    pub cost: NanoUsd,
    pub cut_short: i64,
    pub estimated: i64,
    pub tokens_written: i64,
    pub tokens_reasoning: i64,
    pub spared_in: i64,
    pub spared_cached: i64,
    pub spared_out: i64,
    pub wasted: NanoUsd,
}

impl Sums {
    pub(crate) fn add(&mut self, other: &Sums) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.refused += other.refused;
        self.cache_hits += other.cache_hits;
        self.tokens_in += other.tokens_in;
        self.tokens_cached += other.tokens_cached;
        self.tokens_out += other.tokens_out;
        self.cost = self.cost.plus(other.cost);
        self.cut_short += other.cut_short;
        self.estimated += other.estimated;
        self.tokens_written += other.tokens_written;
        self.tokens_reasoning += other.tokens_reasoning;
        self.spared_in += other.spared_in;
        self.spared_cached += other.spared_cached;
        self.spared_out += other.spared_out;
        self.wasted = self.wasted.plus(other.wasted);
    }

    /// In the order of a minute's columns.
    pub(crate) fn of_minute(&self) -> [i64; 8] {
        [
            self.calls,
            self.errors,
            self.refused,
            self.cache_hits,
            self.tokens_in,
            self.tokens_out,
            self.cost.0,
            self.cut_short,
        ]
    }

    fn of(record: &CallRecord) -> Sums {
        let usage = &record.usage;
        let is_hit = record.cache.is_hit();
        let spared = |tokens: u32| if is_hit { tokens.into() } else { 0 };
        Sums {
            calls: 1,
            errors: record.outcome.is_error().into(),
            refused: is_refused(record.outcome).into(),
            cache_hits: is_hit.into(),
            tokens_in: usage.input_total().0.into(),
            tokens_cached: usage.cache_read_total().0.into(),
            tokens_out: usage.output_total().0.into(),
            cost: record.cost,
            cut_short: (record.finish == Some(Finish::Length)).into(),
            estimated: usage.estimated.into(),
            tokens_written: i64::from(usage.cache_write_5m.0) + i64::from(usage.cache_write_1h.0),
            tokens_reasoning: usage.reasoning.0.into(),
            spared_in: spared(usage.input_total().0),
            spared_cached: spared(usage.cache_read_total().0),
            spared_out: spared(usage.output_total().0),
            wasted: record.wasted,
        }
    }
}

fn is_refused(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Refused | Outcome::Blocked)
}

/// Whether a call's duration says how fast an answer is. Refusals take microseconds and would hide slow models;
/// of an interrupted call nobody knows.
fn is_timed(outcome: Outcome) -> bool {
    !is_refused(outcome) && outcome != Outcome::Interrupted
}

/// The model that a row and its roll-ups stand under: what answered or was tried, else what was asked for.
pub(crate) fn model_of(record: &CallRecord) -> &str {
    record.target.as_ref().map_or(&record.model_asked, |target| &target.model)
}

pub(crate) type Buckets = BTreeMap<u16, i64>;

/// What a batch adds. Borrows the names from the records.
#[derive(Default)]
pub(crate) struct Deltas<'a> {
    /// By minute: sums, and where the latencies of the same route stand. Hours and days are added up from these, so that a
    /// call is looked up once.
    sums: HashMap<Key<'a>, (Sums, usize)>,
    latency_places: HashMap<LatencyKey<'a>, usize>,
    latencies: Vec<Buckets>,
    /// Minutes that are written; what lies outside goes to its hour and day alone.
    kept: Range<Timestamp>,
    /// Nano-dollars, tokens or requests, as the charge measures.
    pub spent: HashMap<&'a Charge, i64>,
    pub names: NameDeltas<'a>,
}

impl<'a> Deltas<'a> {
    pub(crate) fn new(kept: Range<Timestamp>) -> Deltas<'a> {
        Deltas { kept, ..Deltas::default() }
    }

    pub(crate) fn add(&mut self, record: &'a CallRecord) {
        let key = Key::minute_of(record);
        let (places, latencies) = (&mut self.latency_places, &mut self.latencies);
        let (sums, place) = self.sums.entry(key).or_insert_with(|| {
            let Key { start, tenant, route, model, .. } = key;
            let place = *places.entry(LatencyKey { start, tenant, route, model }).or_insert(latencies.len());
            if place == latencies.len() {
                latencies.push(Buckets::new());
            }
            (Sums::default(), place)
        });
        sums.add(&Sums::of(record));
        if is_timed(record.outcome) {
            *latencies[*place].entry(sketch::bucket_of(record.latency_us)).or_default() += 1;
        }
        self.names.add(record);
        let drawn = record.drawn();
        for charge in &record.charges {
            let amount = charge.amount(&drawn);
            if amount != 0 {
                let spent = self.spent.entry(charge).or_default();
                *spent = spent.saturating_add(amount);
            }
        }
    }

    /// Of minutes that are kept.
    pub(crate) fn minutes(&self) -> HashMap<LatencyKey<'a>, Sums> {
        let mut minutes: HashMap<LatencyKey<'a>, Sums> = HashMap::default();
        for (key, (sums, _)) in self.sums.iter().filter(|(key, _)| self.kept.contains(&key.start)) {
            let Key { start, tenant, route, model, .. } = *key;
            minutes.entry(LatencyKey { start, tenant, route, model }).or_default().add(sums);
        }
        minutes
    }

    pub(crate) fn hours(&self) -> HashMap<Key<'a>, Sums> {
        self.sums_by(Timestamp::hour_start)
    }

    pub(crate) fn days(&self) -> HashMap<Key<'a>, Sums> {
        self.sums_by(day_start)
    }

    fn sums_by(&self, start: fn(Timestamp) -> Timestamp) -> HashMap<Key<'a>, Sums> {
        let mut all: HashMap<Key<'a>, Sums> = HashMap::default();
        for (key, (sums, _)) in &self.sums {
            all.entry(Key { start: start(key.start), ..*key }).or_default().add(sums);
        }
        all
    }

    /// Of minutes that are kept.
    pub(crate) fn latency_minutes(&self) -> impl Iterator<Item = (&LatencyKey<'a>, &Buckets)> {
        let kept = self.latency_places.iter().filter(|(key, _)| self.kept.contains(&key.start));
        kept.map(|(key, place)| (key, &self.latencies[*place]))
    }

    pub(crate) fn latency_hours(&self) -> HashMap<LatencyKey<'a>, Buckets> {
        self.latencies_by(Timestamp::hour_start)
    }

    pub(crate) fn latency_days(&self) -> HashMap<LatencyKey<'a>, Buckets> {
        self.latencies_by(day_start)
    }

    fn latencies_by(&self, start: fn(Timestamp) -> Timestamp) -> HashMap<LatencyKey<'a>, Buckets> {
        let mut all: HashMap<LatencyKey<'a>, Buckets> = HashMap::default();
        for (key, place) in &self.latency_places {
            let sum = all.entry(LatencyKey { start: start(key.start), ..*key }).or_default();
            for (bucket, calls) in &self.latencies[*place] {
                *sum.entry(*bucket).or_default() += calls;
            }
        }
        all
    }

    /// Adds everything to the tables.
    pub(crate) fn write(&self, connection: &Connection, names: &mut NameCounts) -> Result<()> {
        self.write_sums(connection)?;
        names.write(connection, &self.names)?;
        self.write_latencies(connection)?;
        let mut add = connection.prepare_cached(include_str!("sql/add_budget.sql"))?;
        for (charge, spent) in &self.spent {
            let period = charge.period.map_or_else(|| NEVER_TURNS.to_owned(), time::day);
            let (nano, count) = if charge.measure.is_usd() { (*spent, 0) } else { (0, *spent) };
            let measure = charge.measure.as_str();
            add.execute(params![&*charge.scope, &*charge.key, period, charge.part, measure, nano, count])?;
        }
        Ok(())
    }

    fn write_sums(&self, connection: &Connection) -> Result<()> {
        let mut minute = Named::new(time::minute);
        let mut add = connection.prepare_cached(include_str!("sql/add_rollup_minute.sql"))?;
        for (key, sums) in &self.minutes() {
            add_minute(&mut add, minute.of(key.start), key, sums)?;
        }
        let mut hour = Named::new(time::hour);
        let mut add = connection.prepare_cached(include_str!("sql/add_rollup_hour.sql"))?;
        for (key, sums) in &self.hours() {
            add_sums(&mut add, hour.of(key.start), key, sums)?;
        }
        let mut day = Named::new(day_name);
        let mut add = connection.prepare_cached(include_str!("sql/add_rollup_day.sql"))?;
        for (key, sums) in &self.days() {
            add_sums(&mut add, day.of(key.start), key, sums)?;
        }
        Ok(())
    }

    fn write_latencies(&self, connection: &Connection) -> Result<()> {
        let add = connection.prepare_cached(include_str!("sql/add_latency_minute.sql"))?;
        add_latencies(add, Named::new(time::minute), self.latency_minutes())?;
        let add = connection.prepare_cached(include_str!("sql/add_latency_hour.sql"))?;
        add_latencies(add, Named::new(time::hour), self.latency_hours().iter())?;
        let add = connection.prepare_cached(include_str!("sql/add_latency_day.sql"))?;
        add_latencies(add, Named::new(day_name), self.latency_days().iter())
    }
}

fn add_latencies<'a, 'b: 'a>(
    mut add: CachedStatement<'_>,
    mut named: Named,
    latencies: impl Iterator<Item = (&'a LatencyKey<'b>, &'a Buckets)>,
) -> Result<()> {
    for (key, buckets) in latencies {
        for (bucket, calls) in buckets {
            add.execute(params![named.of(key.start), key.tenant, key.route, key.model, bucket, calls])?;
        }
    }
    Ok(())
}

fn add_minute(add: &mut Statement<'_>, start: &str, key: &LatencyKey<'_>, sums: &Sums) -> Result<()> {
    let [calls, errors, refused, cache_hits, tokens_in, tokens_out, cost, cut_short] = sums.of_minute();
    add.execute(params![
        start, key.tenant, key.route, key.model, calls, errors, refused, cache_hits, tokens_in, tokens_out,
        cost, cut_short
    ])
    .map(drop)
}

fn add_sums(add: &mut Statement<'_>, start: &str, key: &Key<'_>, sums: &Sums) -> Result<()> {
    add.execute(params![
        start,
        key.tenant,
        key.route,
        key.model,
        key.provider,
        key.environment,
        key.team,
        key.prompt_name,
        key.prompt_version,
        sums.calls,
        sums.errors,
        sums.refused,
        sums.cache_hits,
        sums.tokens_in,
        sums.tokens_cached,
        sums.tokens_out,
        sums.cost.0,
        sums.cut_short,
        sums.estimated,
        sums.tokens_written,
        sums.tokens_reasoning,
        sums.spared_in,
        sums.spared_cached,
        sums.spared_out,
        sums.wasted.0,
    ])
    .map(drop)
}

fn day_start(at: Timestamp) -> Timestamp {
    at.day().start()
}

fn day_name(start: Timestamp) -> String {
    time::day(start.day())
}

/// The text of a bucket's start; a batch has one or two.
struct Named {
    show: fn(Timestamp) -> String,
    last: Option<(Timestamp, String)>,
}

impl Named {
    fn new(show: fn(Timestamp) -> String) -> Named {
        Named { show, last: None }
    }

    fn of(&mut self, start: Timestamp) -> &str {
        let show = self.show;
        if self.last.as_ref().is_none_or(|(shown, _)| *shown != start) {
            self.last = None;
        }
        &self.last.get_or_insert_with(|| (start, show(start))).1
    }
}

//! Adding a batch: rows, payload blocks, roll-ups, spend and spool positions in one transaction of few round trips.
//!
//! Batches of several gateways go in one after the other, under one lock. They could not go side by side for long: all
//! of them add to the same sums of the hour. And only so is the order of `rid` the order in which batches are seen, which
//! those who follow or page through the records rely on. Whatever can be worked out before is, so that the lock is held
//! for the statements alone.

use std::{collections::HashSet, ops::Range};

use gauntlet_ports::{Arrived, SpoolPosition, StoreError, StoredCall};
use gauntlet_types::{NanoUsd, Timestamp, TokenCount};
use serde_json::{Value, json};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::{
    database::{Connection, Param, Result, Trouble},
    minutes::{MinuteRows, newest_kept, remove},
    spans,
    values::{At, Columns, Id, On, stored},
};
use crate::{
    error::During,
    traces::{
        append::{Charged, shown_output},
        block::{ENCODING, Packer},
        minutes::Minutes,
        names::{NAMES_MAX, NameDeltas, OTHER},
        preview,
        rollup::{Buckets, Deltas, Key, LatencyKey, Sums, model_of},
    },
};

/// Held to the end of a transaction by whoever adds records or corrections.
pub(super) const BEGIN_APPEND: &str = "begin; select pg_advisory_xact_lock(1196314740, 2)";

/// Reserves numbers for the batch, and says which of its calls are there already.
const RESERVE: &str = "select setval('trace_rid', nextval('trace_rid') + $1 - 1), \
     array(select id from llm_traces where id = any($2))";

/// Where a batch comes from.
pub(super) struct From<'a> {
    /// The gateway.
    pub replica: &'a str,
    pub positions: &'a [SpoolPosition],
    pub charged: Charged,
}

/// Adds the batch, and says how many of its calls and spans were new.
pub(super) fn append(
    connection: &Connection,
    batch: Arrived<'_>,
    from: &From<'_>,
    minutes: &mut Minutes,
) -> std::result::Result<usize, StoreError> {
    let kept = minutes.span(batch, from.charged, || newest_kept(connection)).during("reading minutes")?;
    let mut seen = HashSet::new();
    let once: Vec<&StoredCall> = batch.calls.iter().filter(|call| seen.insert(call.record.id.0)).collect();
    // As a rule none of them is there.
    let mut prepared = Prepared::of(&once, from.charged, &kept)?;
    let spans = spans::once(batch.spans);
    connection.batch(BEGIN_APPEND).during("beginning a batch")?;
    let mut rid_first = 1;
    if !once.is_empty() {
        let (rid_last, known) = reserve(connection, &once).during("looking for known calls")?;
        if !known.is_empty() {
            let new: Vec<&StoredCall> =
                once.into_iter().filter(|call| !known.contains(&call.record.id.0)).collect();
            prepared = Prepared::of(&new, from.charged, &kept)?;
        }
        rid_first = rid_last - prepared.calls.len() as i64 + 1;
    }
    let added = spans::append(connection, &spans)?;
    prepared.write(connection, rid_first, from).during("adding a batch")?;
    let removed = minutes.due().map(|end| remove(connection, end));
    let removed = removed.transpose().during("removing old minutes")?;
    connection.batch("commit").during("committing a batch")?;
    if let Some(left) = removed {
        minutes.removed(left);
    }
    Ok(prepared.calls.len() + added)
}

fn reserve(connection: &Connection, calls: &[&StoredCall]) -> Result<(i64, HashSet<Uuid>)> {
    let ids: Vec<Id> = calls.iter().map(|call| Id(call.record.id.0)).collect();
    let count = calls.len() as i64;
    let rows = connection.query(RESERVE, &[(&count, Type::INT8), (&ids, Type::UUID_ARRAY)])?;
    let row = Columns(rows.first().ok_or(Trouble::Unreadable(0))?);
    let known: Vec<Id> = row.get(1)?;
    Ok((row.get(0)?, known.into_iter().map(|id| id.0).collect()))
}

/// What a batch adds, worked out before anything is locked.
struct Prepared<'a> {
    calls: Vec<&'a StoredCall>,
    rows: Rows,
    /// The number of its first call, and the block.
    blocks: Vec<(i64, Vec<u8>)>,
    minutes: MinuteRows,
    hours: RollupRows,
    days: RollupRows,
    latency_minutes: LatencyRows,
    latency_hours: LatencyRows,
    latency_days: LatencyRows,
    names: NameRows,
    budgets: BudgetRows,
}

impl<'a> Prepared<'a> {
    fn of(
        calls: &[&'a StoredCall],
        charged: Charged,
        kept: &Range<Timestamp>,
    ) -> std::result::Result<Prepared<'a>, StoreError> {
        let mut deltas = Deltas::new(kept.clone());
        let mut packer = Packer::new().during("packing a payload")?;
        let mut rows = Rows::default();
        let (mut blocks, mut first) = (Vec::new(), 0);
        for (number, call) in calls.iter().enumerate() {
            deltas.add(&call.record);
            rows.push(call);
            packer.add(*call).during("packing a payload")?;
            if packer.is_full() || number + 1 == calls.len() {
                blocks.push((first, packer.pack().during("packing a payload")?.to_vec()));
                packer.clear();
                first = number as i64 + 1;
            }
        }
        if charged == Charged::No {
            deltas.spent.clear();
        }
        Ok(Prepared {
            calls: calls.to_vec(),
            rows,
            blocks,
            minutes: MinuteRows::of(deltas.minutes().iter()),
            hours: RollupRows::of(deltas.hours().iter()),
            days: RollupRows::of(deltas.days().iter()),
            latency_minutes: LatencyRows::of(deltas.latency_minutes()),
            latency_hours: LatencyRows::of(deltas.latency_hours().iter()),
            latency_days: LatencyRows::of(deltas.latency_days().iter()),
            names: NameRows::of(&deltas.names),
            budgets: BudgetRows::of(&deltas),
        })
    }

    fn write(&self, connection: &Connection, rid_first: i64, from: &From<'_>) -> Result<()> {
        let From { replica, positions, .. } = *from;
        let rids: Vec<i64> = (rid_first..).take(self.calls.len()).collect();
        let block_rids: Vec<i64> = self.blocks.iter().map(|(first, _)| rid_first + first).collect();
        let bodies: Vec<&[u8]> = self.blocks.iter().map(|(_, body)| &body[..]).collect();
        let workers: Vec<_> = positions.iter().map(|position| stored(&position.worker)).collect();
        // Postgres's integers are signed; the bits survive the round trip.
        let segments: Vec<i64> = positions.iter().map(|position| position.segment as i64).collect();
        let offsets: Vec<i64> = positions.iter().map(|position| position.offset as i64).collect();
        let other = OTHER;
        let mut all: Vec<(&str, Vec<Param<'_>>)> = Vec::new();
        if !self.calls.is_empty() {
            all.push((include_str!("sql/insert_traces.sql"), self.rows.params(&rids)));
            let encoding = &ENCODING;
            all.push((
                "insert into payload (rid_first, enc, body) select b.rid, $3, b.body from unnest($1, $2) as b (rid, body)",
                vec![(&block_rids, Type::INT8_ARRAY), (&bodies, Type::BYTEA_ARRAY), (encoding, Type::TEXT)],
            ));
            all.push((include_str!("sql/add_rollup_hour.sql"), self.hours.params(&self.hours.instants)));
            all.push((include_str!("sql/add_rollup_day.sql"), self.days.params(&self.days.days)));
            if !self.minutes.is_empty() {
                all.push((include_str!("sql/add_rollup_minute.sql"), self.minutes.params()));
                let latencies = &self.latency_minutes;
                all.push((include_str!("sql/add_latency_minute.sql"), latencies.params(&latencies.instants)));
            }
            let latencies = &self.latency_hours;
            all.push((include_str!("sql/add_latency_hour.sql"), latencies.params(&latencies.instants)));
            let latencies = &self.latency_days;
            all.push((include_str!("sql/add_latency_day.sql"), latencies.params(&latencies.days)));
        }
        if !self.names.days.is_empty() {
            let mut params = self.names.params();
            params.push((&NAMES_MAX, Type::INT8));
            params.push((&other, Type::TEXT));
            all.push((include_str!("sql/add_name.sql"), params));
        }
        if !self.budgets.scopes.is_empty() {
            let mut params = self.budgets.params();
            params.push((&replica, Type::TEXT));
            all.push((include_str!("sql/add_budget.sql"), params));
        }
        if !positions.is_empty() {
            all.push((
                include_str!("sql/set_position.sql"),
                vec![
                    (&workers, Type::TEXT_ARRAY),
                    (&segments, Type::INT8_ARRAY),
                    (&offsets, Type::INT8_ARRAY),
                    (&replica, Type::TEXT),
                ],
            ));
        }
        all.push((
            "insert into replicas (replica, seen) values ($1, now()) on conflict (replica) do update set seen = now()",
            vec![(&replica, Type::TEXT)],
        ));
        connection.execute_all(&all)
    }
}

/// A column of the batch, for `unnest`.
pub(super) fn column<T: ToSql + Sync>(values: &Vec<T>, ty: Type) -> Param<'_> {
    (values, ty)
}

pub(super) fn text(value: &str) -> String {
    stored(value).into_owned()
}

pub(super) fn count(tokens: TokenCount) -> i32 {
    i32::try_from(tokens.0).unwrap_or(i32::MAX)
}

/// The columns of `llm_traces`, in the order of `insert_traces.sql`, but for `rid`.
#[derive(Default)]
struct Rows {
    id: Vec<Id>,
    ts: Vec<At>,
    /// Those that are never null, and those that may be.
    texts: [Vec<String>; 8],
    maybe: [Vec<Option<String>>; 13],
    numbers: [Vec<i32>; 5],
    flags: [Vec<bool>; 2],
    cost_nano: Vec<i64>,
    latency_us: Vec<i64>,
    first_token_us: Vec<Option<i64>>,
}

impl Rows {
    fn push(&mut self, call: &StoredCall) {
        let record = &call.record;
        let (caller, target, prompt) = (&record.caller, record.target.as_ref(), record.prompt.as_ref());
        let model = model_of(record);
        let latency_us = i64::try_from(record.latency_us).unwrap_or(i64::MAX);
        let latency_ms = i32::try_from(latency_us.saturating_add(500) / 1000).unwrap_or(i32::MAX);
        self.id.push(Id(record.id.0));
        self.ts.push(At(record.started));
        let trace_id = record.trace_id.to_string();
        let texts = [
            &*record.route,
            model,
            &*caller.tenant,
            caller.environment.as_str(),
            record.outcome.as_str(),
            record.decision.as_str(),
            record.cache.as_str(),
            &*trace_id,
        ];
        for (column, value) in self.texts.iter_mut().zip(texts) {
            column.push(text(value));
        }
        let maybe = [
            caller.app_sha.as_deref(),
            caller.user.as_deref(),
            prompt.map(|prompt| &*prompt.name),
            caller.eval_id.as_deref(),
            caller.team.as_deref(),
            caller.session.as_deref(),
            caller.key.as_deref(),
            target.map(|target| &*target.provider),
            Some(&*record.model_asked).filter(|asked| *asked != model),
            prompt.map(|prompt| &*prompt.version),
            record.error.map(|code| code.as_str()),
        ];
        for (column, value) in self.maybe.iter_mut().zip(maybe) {
            column.push(value.map(text));
        }
        let input = (!call.input.is_empty()).then(|| {
            let shown = preview::of_input(&call.input);
            json!({"role": "user", "content": text(&shown)}).to_string()
        });
        let output = (!call.output.is_empty()).then(|| Value::from(text(&shown_output(call))).to_string());
        self.maybe[11].push(input);
        self.maybe[12].push(output);
        let usage = &record.usage;
        let numbers = [
            count(usage.input_total()),
            count(usage.output_total()),
            latency_ms,
            i32::from(record.status),
            count(usage.cache_read_total()),
        ];
        for (column, value) in self.numbers.iter_mut().zip(numbers) {
            column.push(value);
        }
        self.flags[0].push(record.is_streaming);
        self.flags[1].push(usage.estimated);
        self.cost_nano.push(record.cost.0);
        self.latency_us.push(latency_us);
        self.first_token_us.push(record.first_token_us.map(|us| i64::try_from(us).unwrap_or(i64::MAX)));
    }

    fn params<'a>(&'a self, rids: &'a Vec<i64>) -> Vec<Param<'a>> {
        let text = |at: usize| column(&self.texts[at], Type::TEXT_ARRAY);
        let maybe = |at: usize| column(&self.maybe[at], Type::TEXT_ARRAY);
        let number = |at: usize| column(&self.numbers[at], Type::INT4_ARRAY);
        let flag = |at: usize| column(&self.flags[at], Type::BOOL_ARRAY);
        vec![
            column(&self.id, Type::UUID_ARRAY),
            column(&self.ts, Type::TIMESTAMPTZ_ARRAY),
            text(0),
            text(1),
            maybe(0),
            maybe(1),
            maybe(2),
            number(0),
            number(1),
            number(2),
            maybe(11),
            maybe(12),
            maybe(3),
            column(rids, Type::INT8_ARRAY),
            text(2),
            maybe(4),
            maybe(5),
            maybe(6),
            text(3),
            maybe(7),
            maybe(8),
            maybe(9),
            text(4),
            maybe(10),
            text(5),
            text(6),
            flag(0),
            number(3),
            text(7),
            number(4),
            flag(1),
            column(&self.cost_nano, Type::INT8_ARRAY),
            column(&self.latency_us, Type::INT8_ARRAY),
            column(&self.first_token_us, Type::INT8_ARRAY),
        ]
    }
}

/// Rows of a roll-up by hour or day, in the order of its key.
#[derive(Default)]
struct RollupRows {
    instants: Vec<At>,
    days: Vec<On>,
    texts: [Vec<String>; 8],
    sums: [Vec<i64>; 16],
}

impl RollupRows {
    fn of<'a, 'b: 'a>(rows: impl Iterator<Item = (&'a Key<'b>, &'a Sums)>) -> RollupRows {
        let mut sorted: Vec<_> = rows.collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        let mut out = RollupRows::default();
        for (key, sums) in sorted {
            out.instants.push(At(key.start));
            out.days.push(On::day(key.start.day()));
            let texts = [
                key.tenant,
                key.route,
                key.model,
                key.provider,
                key.environment,
                key.team,
                key.prompt_name,
                key.prompt_version,
            ];
            for (column, value) in out.texts.iter_mut().zip(texts) {
                column.push(text(value));
            }
            let numbers = [
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
            ];
            for (column, value) in out.sums.iter_mut().zip(numbers) {
                column.push(value);
            }
        }
        out
    }

    fn params<'a, S: Start>(&'a self, starts: &'a Vec<S>) -> Vec<Param<'a>> {
        let texts = self.texts.iter().map(|texts| column(texts, Type::TEXT_ARRAY));
        let sums = self.sums.iter().map(|sums| column(sums, Type::INT8_ARRAY));
        std::iter::once(column(starts, S::ARRAY)).chain(texts).chain(sums).collect()
    }
}

/// What an hour or a day begins with.
trait Start: ToSql + Sync {
    const ARRAY: Type;
}

impl Start for At {
    const ARRAY: Type = Type::TIMESTAMPTZ_ARRAY;
}

impl Start for On {
    const ARRAY: Type = Type::DATE_ARRAY;
}

#[derive(Default)]
struct LatencyRows {
    instants: Vec<At>,
    days: Vec<On>,
    texts: [Vec<String>; 3],
    buckets: Vec<i32>,
    calls: Vec<i64>,
}

impl LatencyRows {
    fn of<'a, 'b: 'a>(rows: impl Iterator<Item = (&'a LatencyKey<'b>, &'a Buckets)>) -> LatencyRows {
        let mut sorted: Vec<_> = rows.collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        let mut out = LatencyRows::default();
        for (key, buckets) in sorted {
            for (bucket, calls) in buckets {
                out.instants.push(At(key.start));
                out.days.push(On::day(key.start.day()));
                for (column, value) in out.texts.iter_mut().zip([key.tenant, key.route, key.model]) {
                    column.push(text(value));
                }
                out.buckets.push((*bucket).into());
                out.calls.push(*calls);
            }
        }
        out
    }

    fn params<'a, S: Start>(&'a self, starts: &'a Vec<S>) -> Vec<Param<'a>> {
        let texts = self.texts.iter().map(|texts| column(texts, Type::TEXT_ARRAY));
        let rest = [column(&self.buckets, Type::INT4_ARRAY), column(&self.calls, Type::INT8_ARRAY)];
        std::iter::once(column(starts, S::ARRAY)).chain(texts).chain(rest).collect()
    }
}

/// Sums of keys and tags, in the order of their key.
#[derive(Default)]
pub(super) struct NameRows {
    pub days: Vec<On>,
    texts: [Vec<String>; 3],
    sums: [Vec<i64>; 6],
    corrections: Vec<i64>,
}

impl NameRows {
    pub(super) fn of(deltas: &NameDeltas<'_>) -> NameRows {
        let mut out = NameRows::default();
        for (key, sums) in deltas.sorted() {
            out.days.push(On::day(key.day));
            for (column, value) in out.texts.iter_mut().zip([key.kind.as_str(), key.tenant, key.name]) {
                column.push(text(value));
            }
            let NanoUsd(cost) = sums.cost;
            let numbers =
                [sums.calls, sums.errors, sums.tokens_in, sums.tokens_cached, sums.tokens_out, cost];
            for (column, value) in out.sums.iter_mut().zip(numbers) {
                column.push(value);
            }
            out.corrections.push(sums.correction.0);
        }
        out
    }

    fn keys(&self) -> impl Iterator<Item = Param<'_>> {
        let texts = self.texts.iter().map(|texts| column(texts, Type::TEXT_ARRAY));
        std::iter::once(column(&self.days, Type::DATE_ARRAY)).chain(texts)
    }

    fn params(&self) -> Vec<Param<'_>> {
        self.keys().chain(self.sums.iter().map(|sums| column(sums, Type::INT8_ARRAY))).collect()
    }

    /// For `correct_name.sql`.
    pub(super) fn write_corrections(&self, connection: &Connection) -> Result<()> {
        let other = OTHER;
        let mut params: Vec<Param<'_>> =
            self.keys().chain([column(&self.corrections, Type::INT8_ARRAY)]).collect();
        params.push((&other, Type::TEXT));
        connection.execute(include_str!("sql/correct_name.sql"), &params).map(drop)
    }
}

/// What is spent, in the order of the key.
#[derive(Default)]
struct BudgetRows {
    scopes: Vec<String>,
    keys: Vec<String>,
    periods: Vec<On>,
    parts: Vec<i32>,
    measures: Vec<String>,
    nanos: Vec<i64>,
    counts: Vec<i64>,
}

impl BudgetRows {
    fn of(deltas: &Deltas<'_>) -> BudgetRows {
        // Of one scope and key in two measures the key is the same, and a statement may touch a row only once.
        let mut sorted = std::collections::BTreeMap::new();
        for (charge, spent) in &deltas.spent {
            let key = (text(&charge.scope), text(&charge.key), On::period(charge.period), charge.part);
            let (measure, nano, count) = sorted.entry(key).or_insert((charge.measure, 0i64, 0i64));
            *measure = charge.measure;
            let sum = if charge.measure.is_usd() { nano } else { count };
            *sum = sum.saturating_add(*spent);
        }
        let mut out = BudgetRows::default();
        for ((scope, key, period, part), (measure, nano, count)) in sorted {
            out.scopes.push(scope);
            out.keys.push(key);
            out.periods.push(period);
            out.parts.push(part.into());
            out.measures.push(measure.as_str().to_owned());
            out.nanos.push(nano);
            out.counts.push(count);
        }
        out
    }

    fn params(&self) -> Vec<Param<'_>> {
        vec![
            column(&self.scopes, Type::TEXT_ARRAY),
            column(&self.keys, Type::TEXT_ARRAY),
            column(&self.periods, Type::DATE_ARRAY),
            column(&self.parts, Type::INT4_ARRAY),
            column(&self.measures, Type::TEXT_ARRAY),
            column(&self.nanos, Type::INT8_ARRAY),
            column(&self.counts, Type::INT8_ARRAY),
        ]
    }
}

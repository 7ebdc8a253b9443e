//! Whether a copy is one: both sides are read through, and what they hold is compared by counts, sums and checksums.
//!
//! Rows are compared by what they say, not by how a store writes it. Of records and texts, which are appended in the
//! transaction of their row, a sample is compared whole.

use std::collections::BTreeMap;

use gauntlet_ports::StoredCall;
use gauntlet_types::{CallId, Day, NanoUsd, Timestamp};

use super::{
    At, Look, MoveError, Of, Place, Sort, Which,
    tables::{AT, CALLS, CONTROL, COST, SUMS, TOKENS_IN, TOKENS_OUT, Table, Value},
};

/// Calls that are compared whole, spread evenly over all.
const SAMPLE: u64 = 500;

/// Sums of a day's calls, and a checksum over their ids and figures in the order of their arrival.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct DaySums {
    pub calls: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub cost: NanoUsd,
    pub checksum: u64,
}

/// A table on both sides: rows and their checksum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    pub what: &'static str,
    pub source: (u64, u64),
    pub target: (u64, u64),
}

impl Check {
    pub fn is_same(&self) -> bool {
        self.source == self.target
    }
}

/// What was copied, and what a comparison of both sides says.
#[derive(Default, Debug)]
pub struct Report {
    /// Entries that were new in the target.
    pub copied: Vec<(Sort, u64)>,
    pub checks: Vec<Check>,
    /// Days with the calls' sums on both sides.
    pub days: BTreeMap<Day, [DaySums; 2]>,
    /// Calls that were read whole from both sides, and of these the ones that differ.
    pub sampled: u64,
    pub sampled_differing: Vec<CallId>,
    sample: Vec<CallId>,
}

impl Report {
    pub fn is_same(&self) -> bool {
        self.checks.iter().all(Check::is_same)
            && self.days.values().all(|[source, target]| source == target)
            && self.sampled_differing.is_empty()
    }
}

pub(super) fn compare(source: &mut dyn Look, target: &mut dyn Look) -> Result<Report, MoveError> {
    let mut report = Report::default();
    let every = source.count(Sort::Calls, i64::MAX).of(Which::Source)? / SAMPLE + 1;
    days(source, Which::Source, every, &mut report)?;
    days(target, Which::Target, every, &mut report)?;
    let tables = [Sort::Calls.table(), Sort::Spans.table()];
    for table in tables.into_iter().chain(&SUMS).chain(&CONTROL) {
        report.checks.push(Check {
            what: table.name,
            source: digest(source, table, 0, i64::MAX)?,
            target: digest(target, table, 0, i64::MAX)?,
        });
    }
    Ok(report)
}

fn days(look: &mut dyn Look, which: Which, every: u64, report: &mut Report) -> Result<(), MoveError> {
    let end = look.last(Sort::Calls).of(which)?;
    let mut number = 0;
    look.rows(&CALLS, 0, end, &mut |rows| {
        for row in rows {
            report.days.entry(day_of(row)).or_default()[which as usize].add(row);
            number += 1;
            if which == Which::Source && number % every == 0 {
                report.sample.extend(id_of(row));
            }
        }
        Ok(())
    })
}

/// Compares some calls with their texts.
pub(super) fn sample(from: &Place, to: &Place, report: &mut Report) -> Result<(), MoveError> {
    for id in std::mem::take(&mut report.sample) {
        let read = |place: &Place, which| place.side.traces().trace_get(id).at("reading a call").of(which);
        let (source, target) = (read(from, Which::Source)?, read(to, Which::Target)?);
        report.sampled += 1;
        if !is_same(source.as_ref(), target.as_ref()) {
            report.sampled_differing.push(id);
        }
    }
    Ok(())
}

fn is_same(one: Option<&StoredCall>, other: Option<&StoredCall>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one.input == other.input
                && one.output == other.output
                && rmp_serde::to_vec_named(&one.record).ok() == rmp_serde::to_vec_named(&other.record).ok()
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// How many rows there are, and a checksum over them: that of calls and spans depends on their order.
pub(super) fn digest(
    look: &mut dyn Look,
    table: &'static Table,
    after: i64,
    until: i64,
) -> Result<(u64, u64), MoveError> {
    let is_ordered = table.grows_by.is_some();
    let (mut count, mut sum) = (0, 0u64);
    look.rows(table, after, until, &mut |rows| {
        for row in rows {
            count += 1;
            // By sums, the order in which databases sort texts or numbers does not matter.
            let chained = if is_ordered { sum.rotate_left(1) } else { sum };
            sum = chained.wrapping_add(hash(row));
        }
        Ok(())
    })?;
    Ok((count, sum))
}

impl DaySums {
    fn add(&mut self, row: &[Value]) {
        self.calls += 1;
        self.tokens_in += number(row, TOKENS_IN).max(0).unsigned_abs();
        self.tokens_out += number(row, TOKENS_OUT).max(0).unsigned_abs();
        self.cost = self.cost.plus(NanoUsd(number(row, COST)));
        self.checksum = self.checksum.rotate_left(1).wrapping_add(hash(row));
    }
}

fn number(row: &[Value], place: usize) -> i64 {
    if let Some(Value::Int(number)) = row.get(place) { *number } else { 0 }
}

fn day_of(row: &[Value]) -> Day {
    Timestamp(number(row, AT)).day()
}

fn id_of(row: &[Value]) -> Option<CallId> {
    if let Some(Value::Text(id)) = row.first() { id.parse().ok() } else { None }
}

/// FNV-1a over the values, and a last mixing, since sums of it are taken. It finds mistakes; it is no proof against somebody
/// who makes rows to fit.
fn hash(row: &[Value]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for value in row {
        match value {
            Value::Null => add(&[0]),
            Value::Int(number) => {
                add(&[1]);
                add(&number.to_le_bytes());
            }
            // What Postgres keeps of a `real`.
            Value::Real(number) => {
                add(&[2]);
                add(&(*number as f32).to_le_bytes());
            }
            Value::Text(text) => {
                add(&[3]);
                add(&(text.len() as u64).to_le_bytes());
                add(text.as_bytes());
            }
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

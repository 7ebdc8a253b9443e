//! Spend by key and tag: sums by day and tenant of names that are too many to be a dimension of the roll-ups. (Users are
//! too many even for this: see `spend.rs`.)
//!
//! A day keeps [`NAMES_MAX`] names of a kind (a megabyte); those that come after stand together as [`OTHER`], so that a
//! caller who invents names fills no disk. Sums over all names stay right.

use foldhash::HashMap;
use gauntlet_ports::NameKind;
use gauntlet_types::{CallRecord, Day, NanoUsd};
use rusqlite::{Connection, Result, params};

use crate::time;

/// Names of a kind in a day.
pub(crate) const NAMES_MAX: i64 = 10_000;
pub(crate) const OTHER: &str = "(other)";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameKey<'a> {
    pub day: Day,
    pub kind: NameKind,
    pub tenant: &'a str,
    pub name: &'a str,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct NameSums {
    pub calls: i64,
    pub errors: i64,
    pub tokens_in: i64,
    pub tokens_cached: i64,
    pub tokens_out: i64,
    pub cost: NanoUsd,
    pub correction: NanoUsd,
}

impl NameSums {
    fn add(&mut self, more: &NameSums) {
        self.calls += more.calls;
        self.errors += more.errors;
        self.tokens_in += more.tokens_in;
        self.tokens_cached += more.tokens_cached;
        self.tokens_out += more.tokens_out;
        self.cost = self.cost.plus(more.cost);
        self.correction = self.correction.plus(more.correction);
    }
}

/// The names that a call counts under.
pub(crate) fn names_of(record: &CallRecord) -> impl Iterator<Item = NameKey<'_>> {
    let caller = &record.caller;
    let tags = caller.tags.iter().enumerate().filter(|(at, tag)| !caller.tags[..*at].contains(tag));
    let tags = tags.map(|(_, tag)| (NameKind::Tag, &**tag));
    let named = caller.key.as_deref().map(|name| (NameKind::Key, name)).into_iter().chain(tags);
    let (day, tenant) = (record.started.day(), &*caller.tenant);
    named.map(move |(kind, name)| NameKey { day, kind, tenant, name })
}

/// What a batch adds.
#[derive(Default)]
pub(crate) struct NameDeltas<'a>(HashMap<NameKey<'a>, NameSums>);

impl<'a> NameDeltas<'a> {
    pub(crate) fn add(&mut self, record: &'a CallRecord) {
        let sums = NameSums {
            calls: 1,
            errors: record.outcome.is_error().into(),
            tokens_in: record.usage.input_total().0.into(),
            tokens_cached: record.usage.cache_read.0.into(),
            tokens_out: record.usage.output_total().0.into(),
            cost: record.cost,
            correction: NanoUsd::ZERO,
        };
        self.add_sums(record, &sums);
    }

    pub(crate) fn add_sums(&mut self, record: &'a CallRecord, sums: &NameSums) {
        for key in names_of(record) {
            self.0.entry(key).or_default().add(sums);
        }
    }

    /// In the order of the table, so that neighbours share a page.
    pub(crate) fn sorted(&self) -> Vec<(&NameKey<'a>, &NameSums)> {
        let mut deltas: Vec<_> = self.0.iter().collect();
        deltas.sort_unstable_by_key(|(key, _)| **key);
        deltas
    }
}

/// How many names a day has; what is written is remembered, so that nothing is counted twice.
#[derive(Default)]
pub(crate) struct NameCounts(HashMap<(Day, NameKind), i64>);

impl NameCounts {
    /// After a batch that failed nobody knows what is in the file.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    pub(crate) fn write(&mut self, connection: &Connection, deltas: &NameDeltas<'_>) -> Result<()> {
        if deltas.0.is_empty() {
            return Ok(());
        }
        let mut update = connection.prepare_cached(include_str!("sql/update_name.sql"))?;
        let mut insert = connection.prepare_cached(include_str!("sql/insert_name.sql"))?;
        let (mut day, mut shown) = (None, String::new());
        for (key, sums) in deltas.sorted() {
            if day != Some(key.day) {
                (day, shown) = (Some(key.day), time::day(key.day));
            }
            let run = |statement: &mut rusqlite::CachedStatement<'_>, name: &str| {
                statement.execute(params![
                    sums.calls,
                    sums.errors,
                    sums.tokens_in,
                    sums.tokens_cached,
                    sums.tokens_out,
                    sums.cost.0,
                    sums.correction.0,
                    shown,
                    key.kind.as_str(),
                    key.tenant,
                    name,
                ])
            };
            if run(&mut update, key.name)? > 0 {
                continue;
            }
            let count = self.count(connection, key, &shown)?;
            // Of a call that was counted among the others, the correction is theirs too.
            let is_kept = *count < NAMES_MAX && sums.calls > 0;
            if is_kept {
                *count += 1;
            }
            run(&mut insert, if is_kept { key.name } else { OTHER })?;
        }
        Ok(())
    }

    fn count(&mut self, connection: &Connection, key: &NameKey<'_>, day: &str) -> Result<&mut i64> {
        // Days gone by are asked about when a call comes late.
        if self.0.len() > 64 {
            self.0.clear();
        }
        match self.0.entry((key.day, key.kind)) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let sql = "select count(*) from spend_name where day = ?1 and kind = ?2";
                let mut statement = connection.prepare_cached(sql)?;
                Ok(place.insert(statement.query_row(params![day, key.kind.as_str()], |row| row.get(0))?))
            }
        }
    }
}

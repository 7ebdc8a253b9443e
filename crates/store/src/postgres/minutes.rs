//! Minutes: the rows of a batch, and the removal of those that are no longer kept. See `traces/minutes.rs`.

use gauntlet_types::Timestamp;
use tokio_postgres::types::Type;

use super::{
    append::{column, text},
    database::{Connection, Param, Result},
    values::{At, Columns},
};
use crate::traces::{
    minutes::{Left, portion},
    rollup::{LatencyKey, Sums},
};

/// Rows of a batch, in the order of their key.
#[derive(Default)]
pub(super) struct MinuteRows {
    starts: Vec<At>,
    texts: [Vec<String>; 3],
    sums: [Vec<i64>; 8],
}

impl MinuteRows {
    pub(super) fn of<'a, 'b: 'a>(rows: impl Iterator<Item = (&'a LatencyKey<'b>, &'a Sums)>) -> MinuteRows {
        let mut sorted: Vec<_> = rows.collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        let mut out = MinuteRows::default();
        for (key, sums) in sorted {
            out.starts.push(At(key.start));
            for (column, value) in out.texts.iter_mut().zip([key.tenant, key.route, key.model]) {
                column.push(text(value));
            }
            for (column, value) in out.sums.iter_mut().zip(sums.of_minute()) {
                column.push(value);
            }
        }
        out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(super) fn params(&self) -> Vec<Param<'_>> {
        let texts = self.texts.iter().map(|texts| column(texts, Type::TEXT_ARRAY));
        let sums = self.sums.iter().map(|sums| column(sums, Type::INT8_ARRAY));
        std::iter::once(column(&self.starts, Type::TIMESTAMPTZ_ARRAY)).chain(texts).chain(sums).collect()
    }
}

pub(super) fn newest_kept(connection: &Connection) -> Result<Option<Timestamp>> {
    one(connection, "select max(minute) from rollup_minute")
}

/// Removes a portion of the minutes before `end`.
pub(super) fn remove(connection: &Connection, end: Timestamp) -> Result<Left> {
    let oldest = one(connection, "select min(minute) from rollup_minute")?;
    let Some((until, left)) = portion(oldest, end) else { return Ok(Left::Nothing) };
    let until = At(until);
    let before = || vec![(&until as _, Type::TIMESTAMPTZ)];
    connection.execute_all(&[
        ("delete from latency_minute where minute < $1", before()),
        ("delete from rollup_minute where minute < $1", before()),
    ])?;
    Ok(left)
}

fn one(connection: &Connection, sql: &str) -> Result<Option<Timestamp>> {
    let rows = connection.query(sql, &[])?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Columns(row).get::<Option<At>>(0)?.map(|at| at.0))
}

//! Sums for pages and bills, from roll-ups alone: what they cost does not grow with the number of calls.

use std::ops::Range;

use gauntlet_ports::{BudgetSpent, Grain, OverviewRow};
use gauntlet_types::{Charge, Day, Measure, NanoUsd, Timestamp};
use rusqlite::{Connection, Result, Row, params};

use super::groups::{Place, Rollups};
use crate::time::{self, NEVER_TURNS};

pub(crate) fn budget_spent(connection: &Connection, day: Day) -> Result<Vec<BudgetSpent>> {
    // A period is named by its last day, so that those of longer windows lie ahead.
    let mut statement = connection.prepare_cached(
        "select scope, key, period, part, measure, iif(measure = 'usd', spent_nano, spent_count) from budgets
        where period >= ?1 or period = ?2 order by scope, key, period, part",
    )?;
    let rows = statement.query_map(params![time::day(day), NEVER_TURNS], |row| {
        let period = row.get_ref(2)?.as_str()?;
        Ok(BudgetSpent {
            charge: Charge {
                scope: row.get_ref(0)?.as_str()?.into(),
                key: row.get_ref(1)?.as_str()?.into(),
                period: if period == NEVER_TURNS { None } else { Some(Day::parse(period).unwrap_or(day)) },
                part: row.get(3)?,
                measure: Measure::parse(row.get_ref(4)?.as_str()?).unwrap_or_default(),
            },
            spent: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// The roll-ups of a connection.
pub(crate) struct Tables<'a>(pub &'a Connection);

impl Rollups for Tables<'_> {
    type Error = rusqlite::Error;

    fn sums(
        &mut self,
        grain: Grain,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(&Place<'_>, &OverviewRow),
    ) -> Result<()> {
        let sql = match grain {
            Grain::Minute => include_str!("sql/sums_minute.sql"),
            Grain::Hour => include_str!("sql/sums_hour.sql"),
            Grain::Day => include_str!("sql/sums_day.sql"),
        };
        self.rows(sql, grain, span, |at, row| {
            each(&place(at, row)?, &read_sums(row, 4)?);
            Ok(())
        })
    }

    fn latencies(
        &mut self,
        grain: Grain,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(&Place<'_>, u16, u64),
    ) -> Result<()> {
        let sql = match grain {
            Grain::Minute => include_str!("sql/latencies_minute.sql"),
            Grain::Hour => include_str!("sql/latencies_hour.sql"),
            Grain::Day => include_str!("sql/latencies_day.sql"),
        };
        self.rows(sql, grain, span, |at, row| {
            each(&place(at, row)?, row.get(4)?, whole(row, 5)?);
            Ok(())
        })
    }

    fn hours(
        &mut self,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(Timestamp, &OverviewRow),
    ) -> Result<()> {
        self.rows(include_str!("sql/series_sums_hour.sql"), Grain::Hour, span, |at, row| {
            each(at, &read_sums(row, 1)?);
            Ok(())
        })
    }

    fn hours_latencies(
        &mut self,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(Timestamp, u16, u64),
    ) -> Result<()> {
        self.rows(include_str!("sql/series_latencies_hour.sql"), Grain::Hour, span, |at, row| {
            each(at, row.get(1)?, whole(row, 2)?);
            Ok(())
        })
    }
}

impl Tables<'_> {
    /// Rows of a span, whose first column is the start of their minute, hour or day.
    fn rows(
        &self,
        sql: &str,
        grain: Grain,
        span: &Range<Timestamp>,
        mut each: impl FnMut(Timestamp, &Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let names = bounds(grain, span);
        let mut at = Start::default();
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(params![names.start, names.end])?;
        while let Some(row) = rows.next()? {
            each(at.of(row)?, row)?;
        }
        Ok(())
    }
}

fn place<'a>(start: Timestamp, row: &'a Row<'_>) -> Result<Place<'a>> {
    let text = |column: usize| -> Result<&'a str> { Ok(row.get_ref(column)?.as_str()?) };
    Ok(Place { start, tenant: text(1)?, route: text(2)?, model: text(3)? })
}

fn bounds(grain: Grain, span: &Range<Timestamp>) -> Range<String> {
    match grain {
        Grain::Minute => time::minute(span.start)..time::minute(span.end),
        Grain::Hour => time::hour(span.start)..time::hour(span.end),
        Grain::Day => time::day(span.start.day())..time::day(span.end.day()),
    }
}

/// Reads the start of a row's bucket; rows come in its order, so the last one is remembered.
#[derive(Default)]
struct Start {
    shown: String,
    at: Timestamp,
}

impl Start {
    fn of(&mut self, row: &Row<'_>) -> Result<Timestamp> {
        let shown = row.get_ref(0)?.as_str()?;
        if shown != self.shown {
            self.at = time::parse(shown).unwrap_or_default();
            self.shown = shown.to_owned();
        }
        Ok(self.at)
    }
}

fn read_sums(row: &Row<'_>, first: usize) -> Result<OverviewRow> {
    Ok(OverviewRow {
        calls: whole(row, first)?,
        errors: whole(row, first + 1)?,
        refused: whole(row, first + 2)?,
        cache_hits: whole(row, first + 3)?,
        tokens_in: whole(row, first + 4)?,
        tokens_out: whole(row, first + 5)?,
        cost: NanoUsd(row.get(first + 6)?),
        cut_short: whole(row, first + 7)?,
        ..OverviewRow::default()
    })
}

fn whole(row: &Row<'_>, column: usize) -> Result<u64> {
    row.get::<_, i64>(column).map(|number| number.max(0) as u64)
}

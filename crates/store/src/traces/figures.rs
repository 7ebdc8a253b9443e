//! Sums for pages and bills, from roll-ups alone: what they cost does not grow with the number of calls.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use gauntlet_ports::{BudgetSpent, Grain, Overview, OverviewRow};
use gauntlet_types::{Charge, Day, Measure, NanoUsd, Timestamp, sketch};
use rusqlite::{Connection, Result, Row, params};

use crate::time::{self, NEVER_TURNS};

const HOUR: i64 = 3_600_000_000;

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

/// Sums and latencies of one group while it is gathered.
#[derive(Default)]
struct Group {
    row: OverviewRow,
    latencies: BTreeMap<u16, u64>,
}

#[derive(Default)]
struct Groups {
    total: Group,
    routes: HashMap<String, Group>,
    models: HashMap<String, Group>,
    tenants: HashMap<String, Group>,
    series: BTreeMap<Timestamp, Group>,
}

/// Days that lie whole within the span come from the daily tables, the rest from the hourly ones; a series by the hour
/// reads the hours besides.
pub(crate) fn overview(
    connection: &Connection,
    from: Timestamp,
    to: Timestamp,
    series: Grain,
) -> Result<Overview> {
    let from = from.hour_start();
    let to = Timestamp(to.0.saturating_add(HOUR - 1)).hour_start();
    let mut groups = Groups::default();
    if from < to {
        let first_day = if from.day().start() == from { from.day() } else { from.day().next() };
        let days = first_day.start()..to.day().start();
        let sources = if days.start < days.end {
            vec![(Grain::Hour, from..days.start), (Grain::Day, days.clone()), (Grain::Hour, days.end..to)]
        } else {
            vec![(Grain::Hour, from..to)]
        };
        for (grain, span) in sources {
            groups.gather(connection, grain, &span, series == Grain::Day || grain == Grain::Hour, series)?;
        }
        if series == Grain::Hour && days.start < days.end {
            groups.gather_series(connection, &days)?;
        }
    }
    Ok(groups.finish())
}

impl Groups {
    fn gather(
        &mut self,
        connection: &Connection,
        grain: Grain,
        span: &Range<Timestamp>,
        in_series: bool,
        series: Grain,
    ) -> Result<()> {
        let (sums, latencies) = match grain {
            Grain::Hour => (include_str!("sql/sums_hour.sql"), include_str!("sql/latencies_hour.sql")),
            Grain::Day => (include_str!("sql/sums_day.sql"), include_str!("sql/latencies_day.sql")),
        };
        let names = bounds(grain, span);
        let mut at = Start::default();
        let mut statement = connection.prepare_cached(sums)?;
        let mut rows = statement.query(params![names.start, names.end])?;
        while let Some(row) = rows.next()? {
            let sums = read_sums(row, 4)?;
            self.each(row, in_series.then_some(series), &mut at, |group| add(&mut group.row, &sums))?;
        }
        let mut statement = connection.prepare_cached(latencies)?;
        let mut rows = statement.query(params![names.start, names.end])?;
        while let Some(row) = rows.next()? {
            let (bucket, calls): (u16, u64) = (row.get(4)?, whole(row, 5)?);
            self.each(row, in_series.then_some(series), &mut at, |group| {
                *group.latencies.entry(bucket).or_default() += calls;
            })?;
        }
        Ok(())
    }

    /// Hours of whole days, for the series alone.
    fn gather_series(&mut self, connection: &Connection, span: &Range<Timestamp>) -> Result<()> {
        let names = bounds(Grain::Hour, span);
        let mut at = Start::default();
        let mut statement = connection.prepare_cached(include_str!("sql/series_sums_hour.sql"))?;
        let mut rows = statement.query(params![names.start, names.end])?;
        while let Some(row) = rows.next()? {
            let start = at.of(row, Grain::Hour)?;
            add(&mut self.series.entry(start).or_default().row, &read_sums(row, 1)?);
        }
        let mut statement = connection.prepare_cached(include_str!("sql/series_latencies_hour.sql"))?;
        let mut rows = statement.query(params![names.start, names.end])?;
        while let Some(row) = rows.next()? {
            let start = at.of(row, Grain::Hour)?;
            let group = self.series.entry(start).or_default();
            *group.latencies.entry(row.get(1)?).or_default() += whole(row, 2)?;
        }
        Ok(())
    }

    /// Applies `change` to every group that a row (start, tenant, route, model, …) belongs to.
    fn each(
        &mut self,
        row: &Row<'_>,
        series: Option<Grain>,
        at: &mut Start,
        mut change: impl FnMut(&mut Group),
    ) -> Result<()> {
        change(&mut self.total);
        change(named(&mut self.tenants, row.get_ref(1)?.as_str()?));
        change(named(&mut self.routes, row.get_ref(2)?.as_str()?));
        change(named(&mut self.models, row.get_ref(3)?.as_str()?));
        if let Some(grain) = series {
            change(self.series.entry(at.of(row, grain)?).or_default());
        }
        Ok(())
    }

    fn finish(self) -> Overview {
        let mut total = self.total.finish();
        total.name = "all".to_owned();
        Overview {
            total,
            by_route: dearest_first(self.routes),
            by_model: dearest_first(self.models),
            by_tenant: dearest_first(self.tenants),
            series: self.series.into_iter().map(|(start, group)| (start, group.finish())).collect(),
        }
    }
}

impl Group {
    fn finish(self) -> OverviewRow {
        let buckets: Vec<(u16, u64)> = self.latencies.into_iter().collect();
        let quantile = |q| sketch::quantile(&buckets, q);
        OverviewRow { p50_us: quantile(0.5), p95_us: quantile(0.95), p99_us: quantile(0.99), ..self.row }
    }
}

fn dearest_first(groups: HashMap<String, Group>) -> Vec<OverviewRow> {
    let mut rows: Vec<OverviewRow> =
        groups.into_iter().map(|(name, group)| OverviewRow { name, ..group.finish() }).collect();
    rows.sort_by(|one, other| {
        (other.cost, other.calls).cmp(&(one.cost, one.calls)).then_with(|| one.name.cmp(&other.name))
    });
    rows
}

fn named<'a>(groups: &'a mut HashMap<String, Group>, name: &str) -> &'a mut Group {
    // Two look-ups and no copy for a name that is known, which all but the first are.
    if !groups.contains_key(name) {
        groups.insert(name.to_owned(), Group::default());
    }
    groups.get_mut(name).expect("inserted above if it was missing")
}

fn bounds(grain: Grain, span: &Range<Timestamp>) -> Range<String> {
    match grain {
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
    fn of(&mut self, row: &Row<'_>, grain: Grain) -> Result<Timestamp> {
        let shown = row.get_ref(0)?.as_str()?;
        if shown != self.shown {
            self.at = time::parse(shown).unwrap_or_default();
            self.shown = shown.to_owned();
        }
        Ok(match grain {
            Grain::Hour => self.at,
            Grain::Day => self.at.day().start(),
        })
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

fn add(sum: &mut OverviewRow, more: &OverviewRow) {
    sum.calls += more.calls;
    sum.errors += more.errors;
    sum.refused += more.refused;
    sum.cache_hits += more.cache_hits;
    sum.cut_short += more.cut_short;
    sum.tokens_in += more.tokens_in;
    sum.tokens_out += more.tokens_out;
    sum.cost = sum.cost.plus(more.cost);
}

fn whole(row: &Row<'_>, column: usize) -> Result<u64> {
    row.get::<_, i64>(column).map(|number| number.max(0) as u64)
}

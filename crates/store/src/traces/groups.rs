//! Figures of pages, put together from rows of roll-ups, whatever database they come from.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use gauntlet_ports::{Grain, Overview, OverviewRow};
use gauntlet_types::{Timestamp, sketch};

const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;

/// A row of a roll-up: when its minute, hour or day begins, and what it counts.
pub(crate) struct Place<'a> {
    pub start: Timestamp,
    pub tenant: &'a str,
    pub route: &'a str,
    pub model: &'a str,
}

/// Where the rows come from. All rows of a span: its first instant included, its last not.
pub(crate) trait Rollups {
    type Error;

    /// Sums and latencies by tenant, route and model.
    fn sums(
        &mut self,
        grain: Grain,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(&Place<'_>, &OverviewRow),
    ) -> Result<(), Self::Error>;
    fn latencies(
        &mut self,
        grain: Grain,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(&Place<'_>, u16, u64),
    ) -> Result<(), Self::Error>;
    /// The same by hour alone.
    fn hours(
        &mut self,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(Timestamp, &OverviewRow),
    ) -> Result<(), Self::Error>;
    fn hours_latencies(
        &mut self,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(Timestamp, u16, u64),
    ) -> Result<(), Self::Error>;
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

/// By the minute, minutes alone are read. Else days that lie whole within the span come from the daily tables, the rest from
/// the hourly ones; a series by the hour reads the hours besides.
pub(crate) fn overview<R: Rollups>(
    rollups: &mut R,
    from: Timestamp,
    to: Timestamp,
    series: Grain,
) -> Result<Overview, R::Error> {
    let mut groups = Groups::default();
    if series == Grain::Minute {
        let span = from.minute_start()..Timestamp(to.0.saturating_add(MINUTE - 1)).minute_start();
        if span.start < span.end {
            groups.read(rollups, Grain::Minute, &span, Some(series))?;
        }
        return Ok(groups.finish());
    }
    let from = from.hour_start();
    let to = Timestamp(to.0.saturating_add(HOUR - 1)).hour_start();
    if from < to {
        let first_day = if from.day().start() == from { from.day() } else { from.day().next() };
        let days = first_day.start()..to.day().start();
        let sources = if days.start < days.end {
            vec![(Grain::Hour, from..days.start), (Grain::Day, days.clone()), (Grain::Hour, days.end..to)]
        } else {
            vec![(Grain::Hour, from..to)]
        };
        for (grain, span) in sources {
            let in_series = (series == Grain::Day || grain == Grain::Hour).then_some(series);
            groups.read(rollups, grain, &span, in_series)?;
        }
        if series == Grain::Hour && days.start < days.end {
            rollups.hours(&days, &mut |start, sums| {
                add(&mut groups.series.entry(start).or_default().row, sums);
            })?;
            rollups.hours_latencies(&days, &mut |start, bucket, calls| {
                *groups.series.entry(start).or_default().latencies.entry(bucket).or_default() += calls;
            })?;
        }
    }
    Ok(groups.finish())
}

impl Groups {
    fn read<R: Rollups>(
        &mut self,
        rollups: &mut R,
        grain: Grain,
        span: &Range<Timestamp>,
        series: Option<Grain>,
    ) -> Result<(), R::Error> {
        rollups.sums(grain, span, &mut |place, sums| {
            self.each(place, series, |group| add(&mut group.row, sums));
        })?;
        rollups.latencies(grain, span, &mut |place, bucket, calls| {
            self.each(place, series, |group| *group.latencies.entry(bucket).or_default() += calls);
        })
    }

    /// Applies `change` to every group that a row belongs to.
    fn each(&mut self, place: &Place<'_>, series: Option<Grain>, mut change: impl FnMut(&mut Group)) {
        change(&mut self.total);
        change(named(&mut self.tenants, place.tenant));
        change(named(&mut self.routes, place.route));
        change(named(&mut self.models, place.model));
        if let Some(grain) = series {
            let start = match grain {
                Grain::Minute | Grain::Hour => place.start,
                Grain::Day => place.start.day().start(),
            };
            change(self.series.entry(start).or_default());
        }
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

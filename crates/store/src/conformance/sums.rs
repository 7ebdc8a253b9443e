//! Roll-ups, spend, budgets and percentiles against sums made from the records themselves.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_ports::{Arrived, Grain, OverviewRow, SpendBy, SpendQuery, StoredCall, TraceStore};
use gauntlet_types::{CallRecord, Charge, Day, NanoUsd, Outcome, Timestamp};

use super::sample::{self, START};

const HOUR: Duration = Duration::from_secs(3600);

fn fill(store: &dyn TraceStore) -> Vec<StoredCall> {
    let calls = sample::spread(600);
    for batch in calls.chunks(41) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    calls
}

pub(super) fn model(record: &CallRecord) -> &str {
    record.target.as_ref().map_or(&record.model_asked, |target| &target.model)
}

/// The figures of a row but for its percentiles.
pub(super) type Figures = (u64, u64, u64, u64, u64, u64, NanoUsd);

/// Calls, errors, tokens in, cached, out, cost.
type Spent = (u64, u64, u64, u64, u64, NanoUsd);

pub(super) fn figures(row: &OverviewRow) -> Figures {
    (row.calls, row.errors, row.refused, row.cache_hits, row.tokens_in, row.tokens_out, row.cost)
}

pub(super) fn add_up<'a>(records: impl Iterator<Item = &'a CallRecord>) -> Figures {
    records.fold(Figures::default(), |sum, record| {
        (
            sum.0 + 1,
            sum.1 + u64::from(record.outcome.is_error()),
            sum.2 + u64::from(matches!(record.outcome, Outcome::Refused | Outcome::Blocked)),
            sum.3 + u64::from(record.cache.is_hit()),
            sum.4 + u64::from(record.usage.input_total().0),
            sum.5 + u64::from(record.usage.output_total().0),
            sum.6.plus(record.cost),
        )
    })
}

pub(super) fn roll_ups_add_up_to_the_records(store: &dyn TraceStore) {
    let calls = fill(store);
    let first = START.day().start();
    let spans = [
        (first, first.plus(96 * HOUR)),
        // Begins and ends within days, so that daily and hourly sums meet.
        (START.plus(2 * HOUR).hour_start(), START.plus(50 * HOUR).hour_start()),
        (START.hour_start(), START.hour_start().plus(HOUR)),
        (first.plus(24 * HOUR), first.plus(48 * HOUR)),
        (first, first),
    ];
    for (from, to) in spans {
        let within: Vec<&CallRecord> = calls
            .iter()
            .map(|call| &call.record)
            .filter(|record| record.started >= from && record.started < to)
            .collect();
        let day_start = |at: Timestamp| at.day().start();
        for (grain, start) in [(Grain::Hour, Timestamp::hour_start as fn(_) -> _), (Grain::Day, day_start)] {
            let overview = store.overview(from, to, grain).unwrap();
            assert_eq!(figures(&overview.total), add_up(within.iter().copied()), "{from} to {to}");
            check_groups(&overview.by_route, &within, |record| record.route.to_string());
            check_groups(&overview.by_model, &within, |record| model(record).to_owned());
            check_groups(&overview.by_tenant, &within, |record| record.caller.tenant.to_string());
            let mut series: BTreeMap<Timestamp, Vec<&CallRecord>> = BTreeMap::new();
            for record in &within {
                series.entry(start(record.started)).or_default().push(record);
            }
            let wanted: Vec<(Timestamp, Figures)> =
                series.into_iter().map(|(start, records)| (start, add_up(records.into_iter()))).collect();
            let found: Vec<(Timestamp, Figures)> =
                overview.series.iter().map(|(start, row)| (*start, figures(row))).collect();
            assert_eq!(found, wanted, "the series of {from} to {to} by {grain:?}");
        }
    }
}

pub(super) fn check_groups(
    rows: &[OverviewRow],
    records: &[&CallRecord],
    name: impl Fn(&CallRecord) -> String,
) {
    let mut groups: BTreeMap<String, Vec<&CallRecord>> = BTreeMap::new();
    for record in records {
        groups.entry(name(record)).or_default().push(record);
    }
    let wanted: BTreeMap<String, Figures> =
        groups.into_iter().map(|(name, records)| (name, add_up(records.into_iter()))).collect();
    let found: BTreeMap<String, Figures> = rows.iter().map(|row| (row.name.clone(), figures(row))).collect();
    assert_eq!(found, wanted);
    assert_eq!(rows.len(), wanted.len(), "one row a name");
}

const fn named(by: SpendBy) -> bool {
    matches!(by, SpendBy::User | SpendBy::Key | SpendBy::Tag)
}

pub(super) fn spend_by_any_key_adds_up(store: &dyn TraceStore) {
    let calls = fill(store);
    let (from, to) = (START.day(), START.day().next().next().next());
    let total: NanoUsd = calls.iter().map(|call| call.record.cost).sum();
    let query = |by: &[SpendBy]| SpendQuery { by: by.to_vec(), from, to, ..SpendQuery::default() };
    let every: Vec<SpendBy> = SpendBy::ALL.into_iter().filter(|by| !named(*by)).collect();
    let lists = every.iter().map(|by| vec![*by]).chain([
        vec![],
        every.to_vec(),
        vec![SpendBy::Route, SpendBy::Model],
    ]);
    for by in lists {
        let rows = store.spend(&query(&by)).unwrap();
        assert_eq!(rows.iter().map(|row| row.cost).sum::<NanoUsd>(), total, "{by:?}");
        assert_eq!(rows.iter().map(|row| row.calls).sum::<u64>(), calls.len() as u64, "{by:?}");
        assert!(rows.iter().all(|row| row.keys.len() == by.len()));
        let days = by.contains(&SpendBy::Day) || by.contains(&SpendBy::Month);
        assert!(days || rows.is_sorted_by(|one, next| one.cost >= next.cost), "dearest first: {by:?}");
    }
    let days = store.spend(&query(&[SpendBy::Day])).unwrap();
    assert!(days.is_sorted_by(|one, next| one.keys < next.keys), "oldest day first");
    assert!(days.iter().all(|row| Day::parse(&row.keys[0]).is_some()));
    let ever = SpendQuery { from: Day(i32::MIN), to: Day(i32::MAX), ..query(&[]) };
    assert_eq!(store.spend(&ever).unwrap()[0].cost, total, "the ends of a span may lie anywhere");
    let narrow = SpendQuery {
        by: vec![SpendBy::Model, SpendBy::Environment],
        from: from.next(),
        to: from.next(),
        tenant: Some("acme".to_owned()),
        route: Some("search".to_owned()),
        ..SpendQuery::default()
    };
    let fits = |record: &&CallRecord| {
        record.started.day() == from.next() && record.caller.tenant == "acme" && record.route == "search"
    };
    let mut wanted: BTreeMap<Vec<String>, Spent> = BTreeMap::new();
    for record in calls.iter().map(|call| &call.record).filter(fits) {
        let keys = vec![model(record).to_owned(), record.caller.environment.as_str().to_owned()];
        let sum = wanted.entry(keys).or_default();
        sum.0 += 1;
        sum.1 += u64::from(record.outcome.is_error());
        sum.2 += u64::from(record.usage.input_total().0);
        sum.3 += u64::from(record.usage.cache_read.0);
        sum.4 += u64::from(record.usage.output_total().0);
        sum.5 = sum.5.plus(record.cost);
    }
    let found = store.spend(&narrow).unwrap().into_iter().map(|row| {
        (row.keys, (row.calls, row.errors, row.tokens_in, row.tokens_cached, row.tokens_out, row.cost))
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), wanted);
    assert!(!wanted.is_empty(), "the sample has such calls");
}

pub(super) fn budgets_add_up_to_the_charges(store: &dyn TraceStore) {
    let calls = fill(store);
    // (period, scope, key, part, measure)
    let named = |charge: &Charge| {
        let (scope, key) = (charge.scope.to_string(), charge.key.to_string());
        (charge.period, scope, key, charge.part, charge.measure)
    };
    let mut wanted: BTreeMap<_, i64> = BTreeMap::new();
    for record in calls.iter().map(|call| &call.record) {
        for charge in record.charges.iter().filter(|charge| charge.amount(&record.drawn()) != 0) {
            let spent = wanted.entry(named(charge)).or_default();
            *spent += charge.amount(&record.drawn());
        }
    }
    let first = START.day().0;
    for day in (first - 1..first + 5).map(Day) {
        let found: BTreeMap<_, _> = store
            .budget_spent(day)
            .unwrap()
            .into_iter()
            .filter(|spent| spent.spent != 0)
            .map(|spent| (named(&spent.charge), spent.spent))
            .collect();
        let wanted: BTreeMap<_, _> = wanted
            .iter()
            .filter(|((period, ..), _)| period.is_none_or(|period| period >= day))
            .map(|(key, spent)| (key.clone(), *spent))
            .collect();
        assert_eq!(found, wanted, "budgets of {day} and later, and those that never turn");
    }
}

pub(super) fn percentiles_are_within_five_percent(store: &dyn TraceStore) {
    let mut calls: Vec<StoredCall> =
        (0..1000).map(|number| sample::call(number, i64::from(number) * 120)).collect();
    for (place, call) in calls.iter_mut().enumerate() {
        call.record.latency_us = 20_000 + (place as u64 * 7919 % 1000) * 3001;
    }
    // A refusal takes microseconds and says nothing of how fast the model is.
    for number in 0..300 {
        let mut refused = sample::call(10_000 + number, 5);
        refused.record.outcome = if number % 2 == 0 { Outcome::Refused } else { Outcome::Blocked };
        refused.record.latency_us = 80;
        calls.push(refused);
    }
    for batch in calls.chunks(99) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    let overview = store.overview(START, START.plus(40 * HOUR), Grain::Day).unwrap();
    let rows = [&overview.total, &overview.by_route[0], &overview.by_model[0], &overview.by_tenant[0]];
    for row in rows {
        for (found, rank) in [(row.p50_us, 499), (row.p95_us, 949), (row.p99_us, 989)] {
            let exact = 20_000.0 + f64::from(rank) * 3001.0;
            let found = found.expect("there are calls") as f64;
            assert!((found / exact - 1.0).abs() < 0.05, "{found} for {exact}");
        }
    }
}

pub(super) fn spans_take_whole_hours(store: &dyn TraceStore) {
    // 18:42, 19:42 and 20:42.
    let calls = [sample::call(0, 0), sample::call(1, 3600), sample::call(2, 7200)];
    store.append(Arrived::calls(&calls), &[]).unwrap();
    let count = |from: Timestamp, to: Timestamp| store.overview(from, to, Grain::Hour).unwrap().total.calls;
    let hour = START.hour_start();
    assert_eq!(count(hour, hour.plus(HOUR)), 1);
    assert_eq!(count(hour, hour.plus(3 * HOUR)), 3);
    // Up to "now" includes the hour that is running, and a start within an hour includes that hour.
    assert_eq!(count(START.plus(HOUR), START.plus(2 * HOUR)), 2);
    assert_eq!(count(hour.plus(3 * HOUR), hour.plus(9 * HOUR)), 0);
    assert_eq!(count(hour.plus(HOUR), hour), 0, "a span that ends before it begins is empty");
}

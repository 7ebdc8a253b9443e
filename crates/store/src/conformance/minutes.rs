//! Roll-ups by the minute, against sums made from the records and against the hours.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_ports::{Arrived, Correction, Grain, Overview, Repricing, StoredCall, TraceStore};
use gauntlet_types::{CallRecord, Day, Finish, NanoUsd, Timestamp};

use super::{
    sample::{self, START},
    sums::{add_up, check_groups, figures, model},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const HOUR_S: i64 = 3600;

/// Calls of two and a half hours, in no order of time.
fn fill(store: &dyn TraceStore) -> Vec<StoredCall> {
    let mut calls = sample::spread(600);
    for (number, call) in calls.iter_mut().enumerate() {
        call.record.started = START.plus(Duration::from_secs(number as u64 * 7919 % 9000));
    }
    for batch in calls.chunks(41) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    calls
}

fn minutes(store: &dyn TraceStore, from: Timestamp, to: Timestamp) -> Overview {
    store.overview(from, to, Grain::Minute).unwrap()
}

pub(super) fn minutes_add_up_to_the_records(store: &dyn TraceStore) {
    let calls = fill(store);
    let first = START.minute_start();
    let spans = [
        (START.day().start(), START.day().start().plus(48 * HOUR)),
        (first.plus(5 * MINUTE), first.plus(65 * MINUTE)),
        (first.plus(17 * MINUTE), first.plus(18 * MINUTE)),
        (first, first),
    ];
    for (from, to) in spans {
        let is_within = |record: &&CallRecord| record.started >= from && record.started < to;
        let within: Vec<&CallRecord> = calls.iter().map(|call| &call.record).filter(is_within).collect();
        let overview = minutes(store, from, to);
        assert_eq!(figures(&overview.total), add_up(within.iter().copied()), "{from} to {to}");
        let cut_short = within.iter().filter(|record| record.finish == Some(Finish::Length)).count();
        assert_eq!(overview.total.cut_short, cut_short as u64);
        check_groups(&overview.by_route, &within, |record| record.route.to_string());
        check_groups(&overview.by_model, &within, |record| model(record).to_owned());
        check_groups(&overview.by_tenant, &within, |record| record.caller.tenant.to_string());
        let mut series: BTreeMap<Timestamp, Vec<&CallRecord>> = BTreeMap::new();
        for record in &within {
            series.entry(record.started.minute_start()).or_default().push(record);
        }
        let wanted: Vec<_> =
            series.into_iter().map(|(start, records)| (start, add_up(records.into_iter()))).collect();
        let found: Vec<_> = overview.series.iter().map(|(start, row)| (*start, figures(row))).collect();
        assert_eq!(found, wanted, "the series of {from} to {to}");
    }
    // Both ends within a minute: it is taken whole, as hours are.
    let last = Timestamp(first.plus(18 * MINUTE).0 - 1);
    assert_eq!(
        figures(&minutes(store, Timestamp(last.0 - 1), last).total),
        figures(&minutes(store, first.plus(17 * MINUTE), first.plus(18 * MINUTE)).total)
    );
    assert_eq!(minutes(store, first.plus(HOUR), first).total.calls, 0, "a span that ends before it begins");
}

pub(super) fn minutes_agree_with_their_hours(store: &dyn TraceStore) {
    let calls = fill(store);
    let hour = START.hour_start();
    let both = |hours: u32| -> [String; 2] {
        [Grain::Minute, Grain::Hour].map(|grain| {
            let whole = store.overview(hour, hour.plus(hours * HOUR), grain).unwrap();
            format!("{:#?}", Overview { series: Vec::new(), ..whole })
        })
    };
    let agree = |hours: u32| {
        let [minutes, of_hours] = both(hours);
        assert_eq!(minutes, of_hours, "{hours} hours");
    };
    assert!(store.overview(hour, hour.plus(HOUR), Grain::Minute).unwrap().total.p95_us.is_some());
    [1, 2, 4].into_iter().for_each(agree);
    // A batch that comes again changes neither; nor does a later price, which stands beside what a call cost.
    let before = both(4);
    for batch in calls.chunks(59) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    assert_eq!(both(4), before);
    let run = Repricing {
        at: START,
        price_version: "2026-05".into(),
        from: START.day(),
        to: Day(START.day().0 + 1),
        model: None,
        calls: 0,
        before: NanoUsd::ZERO,
        after: NanoUsd::ZERO,
    };
    let dearer = |call: &StoredCall| NanoUsd(call.record.cost.0 * 2 + 7);
    let corrections: Vec<_> =
        calls.iter().map(|call| Correction { record: &call.record, cost: dearer(call) }).collect();
    assert_eq!(store.reprice(&run, &corrections).unwrap(), 600);
    assert_eq!(both(4), before);
}

pub(super) fn minutes_are_kept_for_two_days(store: &dyn TraceStore) {
    let mut number = 0;
    let mut call = |seconds: i64| {
        number += 1;
        sample::call(number, seconds)
    };
    let add = |call: StoredCall| store.append(Arrived::calls(&[call]), &[]).unwrap();
    let (from, to) = (START.minus(500 * HOUR), START.plus(500 * HOUR));
    let kept = || -> Vec<i64> {
        let series = minutes(store, from, to).series;
        series.iter().map(|(start, _)| (start.0 - START.minute_start().0) / 60_000_000).collect()
    };
    let in_all = || store.overview(from, to, Grain::Hour).unwrap().total.calls;

    // From elsewhere, while nobody knows what is new.
    store.import(Arrived::calls(&[call(0)])).unwrap();
    assert_eq!((kept(), in_all()), (vec![], 1));
    add(call(0));
    add(call(30 * HOUR_S));
    assert_eq!(kept(), [0, 30 * 60]);
    // The oldest that are kept, and what is older by a minute, whoever brings it.
    add(call(-18 * HOUR_S));
    add(call(-18 * HOUR_S - 60));
    store
        .import(Arrived::calls(&[call(-18 * HOUR_S), call(-18 * HOUR_S - 60), call(3600 * HOUR_S)]))
        .unwrap();
    assert_eq!(kept(), [-18 * 60, 0, 30 * 60]);
    let oldest = START.minute_start().minus(18 * HOUR);
    assert_eq!(minutes(store, oldest, oldest.plus(MINUTE)).total.calls, 2);
    // In one batch with what is new.
    store.append(Arrived::calls(&[call(0), call(40 * HOUR_S), call(-9 * HOUR_S)]), &[]).unwrap();
    assert_eq!(kept(), [0, 30 * 60, 40 * 60], "what is older than that is gone");
    // After a rest no batch has all the work.
    add(call(87 * HOUR_S));
    assert_eq!(kept(), [30 * 60, 40 * 60, 87 * 60]);
    add(call(87 * HOUR_S));
    assert_eq!(kept(), [40 * 60, 87 * 60]);
    let latest = minutes(store, START.plus(87 * HOUR).minute_start(), to);
    assert_eq!((latest.total.calls, latest.total.p95_us.is_some()), (2, true));
    assert_eq!(in_all(), 12, "hours and days have all of them but the one that lies far ahead");
}

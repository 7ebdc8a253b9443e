//! Bills: every figure against sums made from the records, corrections beside costs, reconciliations.

use std::collections::BTreeMap;

use gauntlet_ports::{
    Arrived, Correction, Reconciliation, RecordQuery, Repricing, SpendBy, SpendQuery, SpendRow, StoredCall,
    TraceStore,
};
use gauntlet_types::{CallRecord, Day, Finish, NanoUsd, Outcome, Timestamp};

use super::sample::{self, START};

const DAY_US: i64 = 86_400_000_000;

fn fill(store: &dyn TraceStore) -> Vec<StoredCall> {
    let calls = sample::spread(600);
    for batch in calls.chunks(41) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    calls
}

fn all(by: &[SpendBy]) -> SpendQuery {
    let from = START.day();
    SpendQuery { by: by.to_vec(), from, to: Day(from.0 + 3), ..SpendQuery::default() }
}

fn row_of(record: &CallRecord) -> SpendRow {
    let usage = &record.usage;
    let hit = u64::from(record.cache.is_hit());
    SpendRow {
        keys: Vec::new(),
        calls: 1,
        errors: record.outcome.is_error().into(),
        refused: matches!(record.outcome, Outcome::Refused | Outcome::Blocked).into(),
        cache_hits: hit,
        cut_short: (record.finish == Some(Finish::Length)).into(),
        estimated: usage.estimated.into(),
        tokens_in: usage.input_total().0.into(),
        tokens_cached: usage.cache_read.0.into(),
        tokens_written: u64::from(usage.cache_write_5m.0 + usage.cache_write_1h.0),
        tokens_out: usage.output_total().0.into(),
        tokens_reasoning: usage.reasoning.0.into(),
        spared_in: hit * u64::from(usage.input_total().0),
        spared_cached: hit * u64::from(usage.cache_read.0),
        spared_out: hit * u64::from(usage.output_total().0),
        cost: record.cost,
        corrected: record.cost,
        wasted: record.wasted,
    }
}

fn groups<'a>(
    records: impl Iterator<Item = &'a CallRecord>,
    keys: impl Fn(&CallRecord) -> Vec<Vec<String>>,
    row: impl Fn(&CallRecord) -> SpendRow,
) -> BTreeMap<Vec<String>, SpendRow> {
    let mut groups: BTreeMap<Vec<String>, SpendRow> = BTreeMap::new();
    for record in records {
        for key in keys(record) {
            let group = groups.entry(key.clone()).or_default();
            group.add(&row(record));
            group.keys = key;
        }
    }
    groups
}

fn check(store: &dyn TraceStore, query: &SpendQuery, wanted: BTreeMap<Vec<String>, SpendRow>) {
    let rows = store.spend(query).unwrap();
    assert_eq!(rows.len(), wanted.len(), "one row a group: {query:?}");
    let found: BTreeMap<_, _> = rows.into_iter().map(|row| (row.keys.clone(), row)).collect();
    assert_eq!(found, wanted, "{query:?}");
}

pub(super) fn every_figure_of_a_bill_adds_up(store: &dyn TraceStore) {
    let calls = fill(store);
    let records = || calls.iter().map(|call| &call.record);
    let keys = |record: &CallRecord| {
        let month = record.started.day().to_string()[..7].to_owned();
        vec![vec![record.caller.tenant.to_string(), record.route.to_string(), month]]
    };
    check(store, &all(&[SpendBy::Tenant, SpendBy::Route, SpendBy::Month]), groups(records(), keys, row_of));
    type Narrow = (fn(&mut SpendQuery), fn(&CallRecord) -> bool);
    let filters: [Narrow; 6] = [
        (|query| query.team = Some("red".into()), |record| record.caller.team.as_deref() == Some("red")),
        (
            |query| query.model = Some("haiku".into()),
            |record| record.target.as_ref().map_or(&*record.model_asked, |target| &target.model) == "haiku",
        ),
        (
            |query| query.provider = Some("openai".into()),
            |record| record.target.as_ref().is_some_and(|target| &*target.provider == "openai"),
        ),
        (
            |query| query.environment = Some("eval".into()),
            |record| record.caller.environment.as_str() == "eval",
        ),
        (|query| query.prompt = Some("support-agent".into()), |record| record.prompt.is_some()),
        (
            |query| query.prompt = Some("support-agent@2.0.0".into()),
            |record| record.prompt.as_ref().is_some_and(|prompt| &*prompt.version == "2.0.0"),
        ),
    ];
    for (narrow, fits) in filters {
        let mut query = all(&[SpendBy::Route]);
        narrow(&mut query);
        let wanted = groups(
            records().filter(|record| fits(record)),
            |record| vec![vec![record.route.to_string()]],
            row_of,
        );
        assert!(!wanted.is_empty());
        check(store, &query, wanted);
    }
    let overview = store
        .overview(START.day().start(), Timestamp(START.0 + 5 * DAY_US), gauntlet_ports::Grain::Day)
        .unwrap();
    let cut = records().filter(|record| record.finish == Some(Finish::Length)).count() as u64;
    assert_eq!(overview.total.cut_short, cut);
}

pub(super) fn users_keys_and_tags_have_their_sums(store: &dyn TraceStore) {
    let calls = fill(store);
    let records = || calls.iter().map(|call| &call.record);
    // Of names only these figures are kept.
    let row = |record: &CallRecord| {
        let row = row_of(record);
        SpendRow {
            calls: row.calls,
            errors: row.errors,
            tokens_in: row.tokens_in,
            tokens_cached: row.tokens_cached,
            tokens_out: row.tokens_out,
            cost: row.cost,
            corrected: row.corrected,
            ..SpendRow::default()
        }
    };
    check(
        store,
        &all(&[SpendBy::User]),
        groups(
            records(),
            |record| record.caller.user.iter().map(|user| vec![user.to_string()]).collect(),
            row,
        ),
    );
    check(
        store,
        &all(&[SpendBy::Day, SpendBy::Tenant, SpendBy::Key]),
        groups(
            records(),
            |record| {
                let key = record.caller.key.as_ref().unwrap().to_string();
                vec![vec![record.started.day().to_string(), record.caller.tenant.to_string(), key]]
            },
            row,
        ),
    );
    // A call with a tag given twice counts once under it.
    let tags = |record: &CallRecord| {
        let mut tags: Vec<_> = record.caller.tags.iter().map(|tag| vec![tag.to_string()]).collect();
        tags.sort();
        tags.dedup();
        tags
    };
    let query = SpendQuery { tenant: Some("acme".into()), ..all(&[SpendBy::Tag]) };
    check(store, &query, groups(records().filter(|record| record.caller.tenant == "acme"), tags, row));
    let query = SpendQuery { user: Some("user-3".into()), ..all(&[SpendBy::Month]) };
    let found = store.spend(&query).unwrap();
    let wanted = records().filter(|record| record.caller.user.as_deref() == Some("user-3")).count();
    assert_eq!(found.iter().map(|row| row.calls).sum::<u64>(), wanted as u64);
}

pub(super) fn what_is_not_kept_together_is_refused(store: &dyn TraceStore) {
    fill(store);
    assert!(store.spend(&all(&[SpendBy::User, SpendBy::Route])).is_err());
    assert!(store.spend(&SpendQuery { route: Some("search".into()), ..all(&[SpendBy::Key]) }).is_err());
    assert!(store.spend(&SpendQuery { tag: Some("beta".into()), ..all(&[SpendBy::Key]) }).is_err());
}

pub(super) fn pages_of_records_cover_each_once(store: &dyn TraceStore) {
    let calls = fill(store);
    let read = |query: &RecordQuery, limit: u32| {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.record_page(query, cursor, limit).unwrap();
            found.extend(page.calls.into_iter().map(|call| (call.record.id, call.input, call.output)));
            cursor = page.next;
            if cursor.is_none() {
                return found;
            }
        }
    };
    let whole = |call: &StoredCall| (call.record.id, call.input.clone(), call.output.clone());
    let ever = RecordQuery { from: Timestamp(0), to: Timestamp(i64::MAX), ..RecordQuery::default() };
    for limit in [1, 7, 32, 1000] {
        assert_eq!(read(&ever, limit), calls.iter().map(whole).collect::<Vec<_>>(), "in pages of {limit}");
    }
    let day = RecordQuery {
        from: START.day().next().start(),
        to: START.day().next().next().start(),
        ..RecordQuery::default()
    };
    let wanted: Vec<_> = calls
        .iter()
        .filter(|call| call.record.started >= day.from && call.record.started < day.to)
        .map(whole)
        .collect();
    assert!(!wanted.is_empty());
    assert_eq!(read(&day, 50), wanted);
    let newest = read(&RecordQuery { newest: 45, ..ever }, 10);
    assert_eq!(newest, calls[555..].iter().map(whole).collect::<Vec<_>>());
    let nothing = RecordQuery { from: Timestamp(0), to: Timestamp(1), ..RecordQuery::default() };
    assert!(read(&nothing, 10).is_empty());
    let bare = store.record_page(&RecordQuery { without_texts: true, ..ever }, None, 1000).unwrap().calls;
    assert_eq!(bare.len(), 600);
    assert!(bare.iter().all(|call| call.input.is_empty() && call.output.is_empty()));
    assert!(bare.iter().zip(&calls).all(|(bare, whole)| bare.record.id == whole.record.id));
    // What comes while somebody reads is not in the pages that are left.
    let first = store.record_page(&ever, None, 300).unwrap();
    store.append(Arrived::calls(&[sample::call(9_999, 5)]), &[]).unwrap();
    let rest = store.record_page(&ever, first.next, 1000).unwrap();
    assert_eq!((first.calls.len() + rest.calls.len(), rest.next), (600, None));
    // Long texts make more pages, and no call is left out.
    let long = noise(3 << 20);
    let large: Vec<_> = (0..4)
        .map(|number| StoredCall { input: long.clone().into(), ..sample::call(20_000 + number, 400_000) })
        .collect();
    store.append(Arrived::calls(&large), &[]).unwrap();
    let late = RecordQuery { from: Timestamp(START.0 + 399_000_000_000), ..ever };
    let found: Vec<_> = read(&late, 1000).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(found, large.iter().map(|call| call.record.id).collect::<Vec<_>>());
}

fn run(at: i64) -> Repricing {
    Repricing {
        at: Timestamp(at),
        price_version: "2026-12-01".into(),
        from: START.day(),
        to: Day(START.day().0 + 3),
        model: None,
        calls: 0,
        before: NanoUsd::ZERO,
        after: NanoUsd::ZERO,
    }
}

pub(super) fn a_correction_stands_beside_the_cost(store: &dyn TraceStore) {
    let calls = fill(store);
    let budgets = shown(&store.budget_spent(START.day()).unwrap());
    let corrections: Vec<_> = calls
        .iter()
        .filter(|call| &*call.record.route == "search")
        .map(|call| Correction { record: &call.record, cost: NanoUsd(call.record.cost.0 * 2 + 7) })
        .collect();
    assert_eq!(store.reprice(&run(1), &corrections).unwrap(), corrections.len() as u64);
    let corrected = |record: &CallRecord| match &*record.route {
        "search" => NanoUsd(record.cost.0 * 2 + 7),
        _ => record.cost,
    };
    let records = || calls.iter().map(|call| &call.record);
    let row = |record: &CallRecord| SpendRow { corrected: corrected(record), ..row_of(record) };
    let keys = |record: &CallRecord| vec![vec![record.caller.tenant.to_string(), record.route.to_string()]];
    check(store, &all(&[SpendBy::Tenant, SpendBy::Route]), groups(records(), keys, row));
    let users = store.spend(&all(&[SpendBy::User])).unwrap();
    let wanted: NanoUsd = records().filter(|record| record.caller.user.is_some()).map(corrected).sum();
    assert_eq!(users.iter().map(|row| row.corrected).sum::<NanoUsd>(), wanted);
    assert_eq!(shown(&store.budget_spent(START.day()).unwrap()), budgets, "budgets are never rewritten");
    let kept = store.trace_get(calls[0].record.id).unwrap().unwrap();
    assert_eq!(kept.record.cost, calls[0].record.cost, "nor is what a call cost");
    // Back to what it was.
    let back: Vec<_> = records().map(|record| Correction { record, cost: record.cost }).collect();
    assert_eq!(store.reprice(&run(2), &back).unwrap(), corrections.len() as u64);
    check(store, &all(&[SpendBy::Tenant, SpendBy::Route]), groups(records(), keys, row_of));
}

pub(super) fn passes_are_kept_and_repeats_change_nothing(store: &dyn TraceStore) {
    let calls = fill(store);
    let dearer = |add: i64| -> Vec<Correction<'_>> {
        let one = |call: &'_ StoredCall| NanoUsd(call.record.cost.0 + add);
        calls[..100].iter().map(|call| Correction { record: &call.record, cost: one(call) }).collect()
    };
    assert!(store.repricing_list(10).unwrap().is_empty());
    for page in dearer(5).chunks(30) {
        store.reprice(&run(1), page).unwrap();
    }
    let cost: NanoUsd = calls[..100].iter().map(|call| call.record.cost).sum();
    let first = Repricing { calls: 100, before: cost, after: NanoUsd(cost.0 + 500), ..run(1) };
    assert_eq!(store.repricing_list(10).unwrap(), std::slice::from_ref(&first), "the pages of a pass add up");
    assert_eq!(store.reprice(&run(2), &dearer(5)).unwrap(), 0);
    assert_eq!(
        store.repricing_list(10).unwrap(),
        std::slice::from_ref(&first),
        "a pass that changes nothing is none"
    );
    assert_eq!(store.reprice(&run(3), &dearer(9)).unwrap(), 100);
    let second = Repricing { calls: 100, before: first.after, after: NanoUsd(cost.0 + 900), ..run(3) };
    assert_eq!(store.repricing_list(10).unwrap(), [second.clone(), first]);
    assert_eq!(store.repricing_list(1).unwrap(), [second]);
    let total = &store.spend(&all(&[])).unwrap()[0];
    assert_eq!(total.corrected.minus(total.cost), NanoUsd(900), "the second replaces the first");
    // A call that the sums do not know is not corrected.
    let stranger = sample::call(77_777, 0).record;
    let far = CallRecord { route: "nowhere".into(), ..stranger };
    assert_eq!(store.reprice(&run(4), &[Correction { record: &far, cost: NanoUsd(1) }]).unwrap(), 0);
}

pub(super) fn reconciliations_are_kept_newest_first(store: &dyn TraceStore) {
    let one = |provider: &str, is_drift: bool| Reconciliation {
        at: START,
        provider: provider.into(),
        from: START.day(),
        to: START.day().next(),
        threshold_percent: 0.5,
        is_drift,
        report: serde_json::json!({"rows": [{"model": "gpt-4o \"東\"", "drift_percent": 1.25}]}),
    };
    assert!(store.reconciliation_list(5).unwrap().is_empty());
    store.reconciliation_add(&one("openai", false)).unwrap();
    store.reconciliation_add(&one("anthropic", true)).unwrap();
    assert_eq!(store.reconciliation_list(5).unwrap(), [one("anthropic", true), one("openai", false)]);
    assert_eq!(store.reconciliation_list(1).unwrap().len(), 1);
}

fn shown<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a JSON form")
}

/// A text that hardly compresses.
fn noise(bytes: usize) -> String {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + ((state >> 33) % 90) as u8)
    };
    (0..bytes).map(|_| next()).collect()
}

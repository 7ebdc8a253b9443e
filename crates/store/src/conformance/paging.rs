//! Filters, pages, following.

use std::collections::BTreeSet;

use gauntlet_ports::{Arrived, TraceCursor, TraceFilter, TraceRow, TraceStore};
use gauntlet_types::{CallId, CallRecord, Environment, NanoUsd, Outcome, Timestamp};
use uuid::Uuid;

use super::sample::{self, START};

type Fits = Box<dyn Fn(&CallRecord) -> bool>;

fn ids(rows: &[TraceRow]) -> Vec<CallId> {
    rows.iter().map(|row| row.id).collect()
}

/// Every page of a list, walked as a reader does.
pub(super) fn all(store: &dyn TraceStore, filter: &TraceFilter) -> Vec<TraceRow> {
    let mut filter = filter.clone();
    let mut rows = Vec::new();
    for _ in 0..100_000 {
        let mut page = store.trace_find(&filter).unwrap();
        rows.append(&mut page.rows);
        match page.next {
            Some(next) if filter.after.is_some() => filter.after = Some(next),
            Some(next) => filter.before = Some(next),
            None => return rows,
        }
    }
    panic!("a list ends: {filter:?}");
}

pub(super) fn filters_find_what_fits_and_nothing_else(store: &dyn TraceStore) {
    let calls = sample::spread(400);
    for batch in calls.chunks(37) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    let middle = Timestamp(START.0 + 90_000_000_000);
    let late = Timestamp(START.0 + 200_000_000_000);
    let text = |text: &str| Some(text.to_owned());
    let filter = TraceFilter::default;
    let prompt_version =
        |record: &CallRecord| record.prompt.as_ref().map(|prompt| prompt.version.to_string());
    let a_trace = calls[123].record.trace_id;
    let cases: Vec<(TraceFilter, Fits)> = vec![
        (filter(), Box::new(|_| true)),
        (TraceFilter { tenant: text("globex"), ..filter() }, Box::new(|r| r.caller.tenant == "globex")),
        (
            TraceFilter { team: text("red"), ..filter() },
            Box::new(|r| r.caller.team.as_deref() == Some("red")),
        ),
        (
            TraceFilter { user: text("user-3"), ..filter() },
            Box::new(|r| r.caller.user.as_deref() == Some("user-3")),
        ),
        (TraceFilter { user: text("user"), ..filter() }, Box::new(|_| false)),
        (
            TraceFilter { session: text("session-9"), ..filter() },
            Box::new(|r| r.caller.session.as_deref() == Some("session-9")),
        ),
        (TraceFilter { route: text("search"), ..filter() }, Box::new(|r| r.route == "search")),
        (
            TraceFilter { model: text("gpt-4o"), ..filter() },
            Box::new(|r| {
                r.model_asked == "gpt-4o" || r.target.as_ref().is_some_and(|target| target.model == "gpt-4o")
            }),
        ),
        (
            TraceFilter { key: text("batch"), ..filter() },
            Box::new(|r| r.caller.key.as_deref() == Some("batch")),
        ),
        (
            TraceFilter { environment: text("eval"), ..filter() },
            Box::new(|r| r.caller.environment == Environment::Eval),
        ),
        (
            TraceFilter { provider: text("anthropic"), ..filter() },
            Box::new(|r| r.target.as_ref().is_some_and(|target| target.provider == "anthropic")),
        ),
        (
            TraceFilter { tag: text("trial"), ..filter() },
            Box::new(|r| r.caller.tags.iter().any(|tag| *tag == "trial")),
        ),
        (TraceFilter { status: Some(200), ..filter() }, Box::new(|r| r.status == 200)),
        (TraceFilter { status: Some(404), ..filter() }, Box::new(|_| false)),
        (TraceFilter { cache: text("exact"), ..filter() }, Box::new(|r| r.cache.as_str() == "exact")),
        (TraceFilter { id: Some(calls[7].record.id), ..filter() }, {
            let id = calls[7].record.id;
            Box::new(move |r| r.id == id)
        }),
        (
            TraceFilter { cost_max: Some(NanoUsd(6_000_018)), ..filter() },
            Box::new(|r| r.cost <= NanoUsd(6_000_018)),
        ),
        (
            TraceFilter { latency_ms_min: Some(100), latency_ms_max: Some(300), ..filter() },
            Box::new(|r| (100_000..=300_000).contains(&r.latency_us)),
        ),
        (TraceFilter { error: text("budget_exceeded"), ..filter() }, Box::new(|r| r.error.is_some())),
        (TraceFilter { decision: text("redact"), ..filter() }, Box::new(|r| r.decision.as_str() == "redact")),
        (TraceFilter { prompt_name: text("support-agent"), ..filter() }, Box::new(|r| r.prompt.is_some())),
        (
            TraceFilter { prompt_version: text("1.1.0"), ..filter() },
            Box::new(move |r| prompt_version(r).as_deref() == Some("1.1.0")),
        ),
        (
            TraceFilter { eval_id: text("fast"), ..filter() },
            Box::new(|r| r.caller.eval_id.as_deref() == Some("fast")),
        ),
        (
            TraceFilter { app_sha: text("aaa111"), ..filter() },
            Box::new(|r| r.caller.app_sha.as_deref() == Some("aaa111")),
        ),
        (TraceFilter { trace_id: Some(a_trace), ..filter() }, Box::new(move |r| r.trace_id == a_trace)),
        (TraceFilter { since: Some(middle), ..filter() }, Box::new(move |r| r.started >= middle)),
        (TraceFilter { until: Some(middle), ..filter() }, Box::new(move |r| r.started < middle)),
        (
            TraceFilter { cost_min: Some(NanoUsd(6_000_018)), ..filter() },
            Box::new(|r| r.cost >= NanoUsd(6_000_018)),
        ),
        (TraceFilter { latency_ms_min: Some(300), ..filter() }, Box::new(|r| r.latency_us >= 300_000)),
        (
            TraceFilter {
                tenant: text("acme"),
                user: text("user-3"),
                since: Some(START),
                until: Some(late),
                latency_ms_min: Some(2),
                ..filter()
            },
            Box::new(move |r| {
                r.caller.tenant == "acme"
                    && r.caller.user.as_deref() == Some("user-3")
                    && r.started < late
                    && r.latency_us >= 2000
            }),
        ),
    ];
    let outcomes = Outcome::ALL.map(|outcome| -> (TraceFilter, Fits) {
        (TraceFilter { outcome: Some(outcome), ..filter() }, Box::new(move |r| r.outcome == outcome))
    });
    for (filter, fits) in cases.into_iter().chain(outcomes) {
        let filter = TraceFilter { limit: 1000, ..filter };
        let fitting = calls.iter().rev().map(|call| &call.record).filter(|record| fits(record));
        let wanted: Vec<CallId> = fitting.map(|record| record.id).collect();
        assert_eq!(ids(&all(store, &filter)), wanted, "newest first: {filter:?}");
    }
    let page = store.trace_find(&filter()).unwrap();
    assert_eq!((page.rows.len(), page.looked_back_to), (50, None), "fifty rows unless told");
    let many = TraceFilter { limit: u32::MAX, ..filter() };
    assert_eq!(store.trace_find(&many).unwrap().rows.len(), 400);
}

pub(super) fn pages_cover_every_call_once(store: &dyn TraceStore) {
    // Many calls share an instant: ties must neither repeat nor vanish at a page's border.
    let mut calls = sample::spread(230);
    for (place, call) in calls.iter_mut().enumerate() {
        call.record.started = Timestamp(START.0 + (place as i64 / 9) * 1000);
    }
    for batch in calls.chunks(50) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    let users = TraceFilter { user: Some("user-3".to_owned()), ..TraceFilter::default() };
    let routes = TraceFilter { route: Some("search".to_owned()), ..TraceFilter::default() };
    for filter in [TraceFilter::default(), users, routes] {
        let all = all(store, &TraceFilter { limit: 1000, ..filter.clone() });
        let mut seen: Vec<CallId> = Vec::new();
        loop {
            let page = TraceFilter {
                before: seen.last().copied().map(TraceCursor::Call),
                limit: 7,
                ..filter.clone()
            };
            let rows = store.trace_find(&page).unwrap().rows;
            if rows.is_empty() {
                break;
            }
            seen.extend(rows.iter().map(|row| row.id));
            assert!(seen.len() <= all.len(), "pages end");
        }
        assert_eq!(seen, ids(&all), "pages make up the whole list: {filter:?}");
        let mut followed: Vec<CallId> = Vec::new();
        loop {
            let after = followed.last().copied().unwrap_or(CallId(Uuid::nil()));
            let page = TraceFilter { after: Some(TraceCursor::Call(after)), limit: 7, ..filter.clone() };
            let rows = store.trace_find(&page).unwrap().rows;
            if rows.is_empty() {
                break;
            }
            followed.extend(rows.iter().map(|row| row.id));
            assert!(followed.len() <= all.len(), "following ends");
        }
        assert_eq!(followed.iter().collect::<BTreeSet<_>>(), seen.iter().collect::<BTreeSet<_>>());
        assert_eq!(followed.len(), seen.len(), "following shows each call once");
    }
}

pub(super) fn following_misses_no_late_call(store: &dyn TraceStore) {
    store.append(Arrived::calls(&[sample::call(1, 10), sample::call(2, 20)]), &[]).unwrap();
    let follow = |after: CallId| {
        let after = Some(TraceCursor::Call(after));
        ids(&store.trace_find(&TraceFilter { after, ..TraceFilter::default() }).unwrap().rows)
    };
    let (last, late, later) = (sample::call(2, 20), sample::call(3, 5), sample::call(4, 30));
    assert!(follow(last.record.id).is_empty());
    // A long call that began before the last one shown, and was recorded after it.
    store.append(Arrived::calls(&[late.clone(), later.clone()]), &[]).unwrap();
    assert_eq!(follow(last.record.id), [late.record.id, later.record.id]);
    assert_eq!(follow(late.record.id), [later.record.id]);
    let newest = ids(&store.trace_find(&TraceFilter::default()).unwrap().rows);
    assert_eq!(newest[..2], [later.record.id, late.record.id], "lists go by when a call arrived");
}

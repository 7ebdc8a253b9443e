//! Filters, pages, following.

use std::collections::BTreeSet;

use gauntlet_ports::{Arrived, StoredCall, TraceFilter, TraceRow, TraceStore};
use gauntlet_types::{CallId, CallRecord, Environment, NanoUsd, Outcome, Timestamp};
use uuid::Uuid;

use super::sample::{self, START};

type Fits = Box<dyn Fn(&CallRecord) -> bool>;

fn ids(rows: &[TraceRow]) -> Vec<CallId> {
    rows.iter().map(|row| row.id).collect()
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
        let mut wanted: Vec<&CallRecord> =
            calls.iter().map(|call| &call.record).filter(|record| fits(record)).collect();
        wanted.sort_by_key(|record| std::cmp::Reverse(record.started));
        let wanted: Vec<CallId> = wanted.into_iter().map(|record| record.id).collect();
        assert_eq!(ids(&store.trace_find(&filter).unwrap()), wanted, "newest first: {filter:?}");
    }
    assert_eq!(store.trace_find(&filter()).unwrap().len(), 50, "fifty rows unless told");
    let many = TraceFilter { limit: u32::MAX, ..filter() };
    assert_eq!(store.trace_find(&many).unwrap().len(), 400);
}

pub(super) fn text_is_found_in_what_is_shown(store: &dyn TraceStore) {
    let texts = [
        "Where is my ORDER 100%?",
        r#"say "hi" \ and_go"#,
        "first line\nnext line",
        "Émile paid 5€",
        "plain words",
    ];
    let calls: Vec<StoredCall> = texts
        .into_iter()
        .enumerate()
        .map(|(number, text)| {
            let mut call = sample::call(number as u32, number as i64);
            call.input =
                serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string().into();
            call.output = serde_json::json!({"choices": [{"message": {"content": format!("re: {text}")}}]})
                .to_string()
                .into();
            call
        })
        .collect();
    store.append(Arrived::calls(&calls), &[]).unwrap();
    let check = |needle: &str, wanted: &[usize]| {
        let filter = TraceFilter { text: Some(needle.to_owned()), ..TraceFilter::default() };
        let mut found: Vec<usize> = store
            .trace_find(&filter)
            .unwrap()
            .iter()
            .filter_map(|row| calls.iter().position(|call| call.record.id == row.id))
            .collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{needle:?}");
    };
    check("order", &[0]);
    check("MY Order", &[0]);
    check("100%", &[0]);
    check("10%?", &[]);
    check(r#""hi" \ "#, &[1]);
    check("and_go", &[1]);
    check("and-go", &[]);
    check("line\nnext", &[2]);
    check("nnext", &[]);
    check("Émile", &[3]);
    check("5€", &[3]);
    check("re: plain", &[4]);
    check("content", &[]);
    check("role", &[]);
    check("'", &[]);
    check("", &[0, 1, 2, 3, 4]);
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
        let all = store.trace_find(&TraceFilter { limit: 1000, ..filter.clone() }).unwrap();
        let mut seen: Vec<CallId> = Vec::new();
        loop {
            let page = TraceFilter { before: seen.last().copied(), limit: 7, ..filter.clone() };
            let rows = store.trace_find(&page).unwrap();
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
            let page = TraceFilter { after: Some(after), limit: 7, ..filter.clone() };
            let rows = store.trace_find(&page).unwrap();
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
        ids(&store.trace_find(&TraceFilter { after: Some(after), ..TraceFilter::default() }).unwrap())
    };
    let (last, late, later) = (sample::call(2, 20), sample::call(3, 5), sample::call(4, 30));
    assert!(follow(last.record.id).is_empty());
    // A long call that began before the last one shown, and was recorded after it.
    store.append(Arrived::calls(&[late.clone(), later.clone()]), &[]).unwrap();
    assert_eq!(follow(last.record.id), [late.record.id, later.record.id]);
    assert_eq!(follow(late.record.id), [later.record.id]);
    let newest = store.trace_find(&TraceFilter::default()).unwrap();
    assert_eq!(newest[0].id, later.record.id);
    assert_eq!(newest[3].id, late.record.id, "lists go by when a call began");
}

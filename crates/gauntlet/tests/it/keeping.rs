//! What is kept: texts of some traces, for some time, and nothing of who asks to be forgotten. Sums never move.

use std::{fs, sync::Arc, time::Duration};

use gauntlet_ports::{Arrived, StoredCall, StoredSpan, TraceStore};
use gauntlet_store::{SqliteTraces, conformance::sample};
use gauntlet_testkit::{Step, http};
use gauntlet_trace::keep::{Ages, Keeper, Rules, Sampling};
use gauntlet_types::{CallId, Decision, Environment, Outcome, SpanId, TextsGone, Timestamp, TraceId};
use serde_json::{Value, json};

use crate::app::TestApp;

const DAY: Duration = Duration::from_secs(86_400);

fn store() -> (tempfile::TempDir, Arc<SqliteTraces>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteTraces::open(folder.path().join("gauntlet.db")).unwrap());
    (folder, store)
}

/// An ordinary call, `seconds` after the sample's start, in a trace of its own that began here.
fn call(number: u32, seconds: i64) -> StoredCall {
    let mut call = sample::call(number, seconds);
    let record = &mut call.record;
    (record.outcome, record.decision, record.error) = (Outcome::Ok, Decision::Allow, None);
    record.guard.clear();
    record.parent_span_id = None;
    record.latency_us = 800_000;
    record.trace_id = TraceId(0x77_0000 + u128::from(number));
    record.caller.environment = Environment::Prod;
    record.caller.eval_id = None;
    call
}

fn has_texts(store: &SqliteTraces, id: CallId) -> bool {
    let call = store.trace_get(id).unwrap().expect("a record stays");
    assert_eq!(call.input.is_empty(), call.record.texts_gone.is_some());
    !call.input.is_empty()
}

fn none_kept() -> Rules {
    let sampling =
        Sampling { keep_percent: 0, slow: Some(Duration::from_secs(5)), wait: Duration::from_secs(60) };
    Rules { sampling: Some(sampling), ..Rules::default() }
}

#[test]
fn what_stands_out_keeps_its_texts_and_the_rest_does_not() {
    let (_folder, store) = store();
    let mut calls: Vec<StoredCall> = (0..8).map(|number| call(number, 0)).collect();
    calls[1].record.outcome = Outcome::Failed;
    calls[2].record.decision = Decision::Flag;
    calls[3].record.latency_us = 6_000_000;
    calls[4].record.caller.environment = Environment::Eval;
    calls[5].record.caller.eval_id = Some("nightly".into());
    calls[6].record.caller.environment = Environment::Shadow;
    store.append(Arrived::calls(&calls), &[]).unwrap();
    let before = store.overview(Timestamp(0), Timestamp(i64::MAX / 2), gauntlet_ports::Grain::Day).unwrap();
    let keeper = Keeper::new(store.clone());
    let kept = keeper.pass(&none_kept(), sample::START).unwrap();
    assert_eq!((kept.cut, kept.removed), (2, 0));
    let texts: Vec<bool> = calls.iter().map(|call| has_texts(&store, call.record.id)).collect();
    assert_eq!(texts, [false, true, true, true, true, true, true, false]);
    assert_eq!(keeper.pass(&none_kept(), sample::START).unwrap(), Default::default(), "once is enough");
    let after = store.overview(Timestamp(0), Timestamp(i64::MAX / 2), gauntlet_ports::Grain::Day).unwrap();
    assert_eq!(
        serde_json::to_value(&after).unwrap(),
        serde_json::to_value(&before).unwrap(),
        "figures stay exact"
    );
}

fn span(number: u32, trace: u128, seconds: i64) -> StoredSpan {
    let mut span = sample::span(number, seconds);
    span.record.trace_id = TraceId(trace);
    span.record.caller.environment = Environment::Prod;
    span
}

#[test]
fn a_trace_is_decided_whole_once_it_is_over() {
    let (_folder, store) = store();
    // Two traces of an agent, each with a call of ours; in one a tool fails a minute later.
    let (good, bad) = (0xa_u128, 0xb_u128);
    let mut calls = [call(1, 0), call(2, 0)];
    for (call, trace) in calls.iter_mut().zip([good, bad]) {
        call.record.trace_id = TraceId(trace);
        call.record.parent_span_id = Some(SpanId(9));
    }
    store.append(Arrived { calls: &calls, spans: &[span(1, good, 0), span(2, bad, 0)] }, &[]).unwrap();
    let keeper = Keeper::new(store.clone());
    let at = |seconds: i64| Timestamp(sample::START.0 + seconds * 1_000_000);
    assert_eq!(keeper.pass(&none_kept(), at(30)).unwrap(), Default::default(), "it may go on");
    let mut failed = span(3, bad, 50);
    failed.record.is_error = true;
    store.append(Arrived { calls: &[], spans: &[failed] }, &[]).unwrap();
    let kept = keeper.pass(&none_kept(), at(200)).unwrap();
    assert_eq!(kept.cut, 2, "the good one's call and span");
    assert!(!has_texts(&store, calls[0].record.id) && has_texts(&store, calls[1].record.id));
    let text = |number: u64, trace: u128| {
        let id = SpanId(0xa000_0000_0000_0000 + number);
        store.span_get(TraceId(trace), id).unwrap().expect("it stays").rest.len()
    };
    assert_eq!(text(1, good), 0);
    assert!(text(2, bad) > 0 && text(3, bad) > 0);

    // A trace that never ends is decided all the same.
    let mut endless = call(3, 1000);
    (endless.record.trace_id, endless.record.parent_span_id) = (TraceId(0xc), Some(SpanId(9)));
    store
        .append(Arrived { calls: std::slice::from_ref(&endless), spans: &[span(4, 0xc, 1590)] }, &[])
        .unwrap();
    assert_eq!(keeper.pass(&none_kept(), at(1595)).unwrap().cut, 0);
    keeper.pass(&none_kept(), at(1640)).unwrap();
    assert!(!has_texts(&store, endless.record.id));
}

#[test]
fn age_is_by_environment_and_by_field() {
    let (_folder, store) = store();
    let mut calls: Vec<StoredCall> = (0..600).map(|number| call(number, i64::from(number) * 8640)).collect();
    for call in calls.iter_mut().step_by(2) {
        call.record.caller.environment = Environment::Dev;
    }
    for batch in calls.chunks(100) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    let mut spans: Vec<StoredSpan> =
        (0..60).map(|number| span(number, 0xd, i64::from(number) * 86_400)).collect();
    // From a clock that is years ahead: neither first to go, nor in the way of others.
    spans[10].record.started = Timestamp(sample::START.0 + 10 * 365 * 86_400_000_000);
    store.append(Arrived { calls: &[], spans: &spans }, &[]).unwrap();
    let general = Ages { messages: Some(30 * DAY), records: None };
    let mut rules = Rules { ages: [general; Environment::ALL.len()], sampling: None };
    rules.ages[Environment::ALL.iter().position(|one| *one == Environment::Dev).unwrap()] =
        Ages { messages: Some(10 * DAY), records: Some(20 * DAY) };
    // Sixty days after the first, which is the time of the last.
    let now = Timestamp(sample::START.0 + 60 * 86_400_000_000);
    let keeper = Keeper::new(store.clone());
    while keeper.pass(&rules, now).unwrap().is_more {}
    for (number, call) in calls.iter().enumerate() {
        let age = (now.0 - call.record.started.0) / 86_400_000_000;
        let is_dev = number % 2 == 0;
        let found = store.trace_get(call.record.id).unwrap();
        match (is_dev, age) {
            (true, 22..) => assert!(found.is_none(), "{number} is {age} days old"),
            (true, 12..=18) | (false, 32..) => {
                let found = found.expect("its record stays");
                assert!(found.input.is_empty());
                assert_eq!(found.record.texts_gone, Some(TextsGone::Expired));
            }
            (true, ..=8) | (false, ..=28) => assert!(!found.expect("it stays").input.is_empty(), "{number}"),
            // About the very day it may be either.
            _ => {}
        }
    }
    let with_texts = |span: &StoredSpan| {
        let found =
            store.span_get(span.record.trace_id, span.record.span_id).unwrap().expect("kept for good");
        !found.rest.is_empty()
    };
    assert!(!with_texts(&spans[5]) && with_texts(&spans[40]));
    assert!(with_texts(&spans[10]), "it goes with those around it");

    // Time goes on, and so does retention.
    while keeper.pass(&rules, Timestamp(now.0 + 40 * 86_400_000_000)).unwrap().is_more {}
    assert!(!has_texts(&store, calls[599].record.id));
    assert!(!with_texts(&spans[10]) && !with_texts(&spans[59]));
}

#[test]
fn room_is_given_back_and_nothing_of_the_erased_is_left_in_the_file() {
    let (folder, store) = store();
    let word = "unforgettable";
    let calls: Vec<StoredCall> = (0..4000)
        .map(|number| {
            let mut call = call(number, i64::from(number));
            // Noise, so that the texts take room.
            let mix = |at: u64| (u64::from(number) * 7919 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let noise: String = (0..600).map(|at| format!("{:x}", mix(at))).collect();
            call.input = format!(r#"{{"messages":[{{"role":"user","content":"{word} {noise}"}}]}}"#).into();
            call
        })
        .collect();
    for batch in calls.chunks(500) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    while store.index_step(500).unwrap() > 0 {}
    store.shrink(true).unwrap();
    let size = || fs::metadata(folder.path().join("gauntlet.db")).unwrap().len();
    let before = size();
    let ages = [Ages { messages: None, records: Some(DAY) }; Environment::ALL.len()];
    let rules = Rules { ages, sampling: None };
    let later = Timestamp(sample::START.0 + 100 * 86_400_000_000);
    let keeper = Keeper::new(store.clone());
    while keeper.pass(&rules, later).unwrap().is_more {}
    for _ in 0..before / (16 << 20) + 2 {
        store.shrink(true).unwrap();
    }
    assert!(size() * 4 < before, "{} of {before} bytes are left", size());
    for file in ["gauntlet.db", "gauntlet.db-wal"] {
        let bytes = fs::read(folder.path().join(file)).unwrap_or_default();
        assert!(
            !bytes.windows(word.len()).any(|part| part == word.as_bytes()),
            "a preview is left in {file}"
        );
    }
}

#[test]
fn somebodys_traces_are_erased_with_a_proof_that_names_nobody() {
    // The books of the erased stay, so that records no longer add up to them.
    let app =
        TestApp::with_files("", &[("budgets.yml", "tenants: {default: {daily_usd: 5}}\n")]).without_balance();
    app.provider.default(Step::answer(&["well then"]).usage(9, 5));
    for (user, times) in [("ann-4711", 3), ("bob", 2)] {
        for _ in 0..times {
            assert_eq!(app.chat(&[("x-gauntlet-user", user)], &TestApp::body("my secret wish")).status, 200);
        }
    }
    let spent = app.api("/api/v1/overview")["today"]["total"].clone();
    let found =
        |user: &str| app.api(&format!("/api/v1/traces?user={user}"))["traces"].as_array().map_or(0, Vec::len);
    assert_eq!((found("ann-4711"), found("bob")), (3, 2));

    let dry = app.command_json(&["erase", "--user", "ann-4711", "--dry-run"]);
    assert_eq!((&dry["calls"], found("ann-4711")), (&json!(3), 3));
    let refused = app.command(&["erase", "--user", "ann-4711"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("say --yes"), "{}", refused.stderr);
    let done = app.command_json(&["erase", "--user", "ann-4711", "--yes", "--reason", "request 12"]);
    assert_eq!((&done["calls"], &done["left"]), (&json!(3), &json!(0)));
    assert_eq!((found("ann-4711"), found("bob")), (0, 2));
    assert_eq!(app.api("/api/v1/overview")["today"]["total"], spent, "the books stay");

    let events = app.command_json(&["events", "--kind", "erased"]);
    let proof = &events[0];
    assert_eq!((&proof["detail"]["calls"], &proof["detail"]["reason"]), (&json!(3), &json!("request 12")));
    assert_eq!(proof["detail"]["subject"], done["subject"]);
    assert!(!events.to_string().contains("ann-4711"), "{events}");
    let again = app.command_json(&["erase", "--user", "ann-4711", "--yes"]);
    assert_eq!((&again["calls"], &again["subject"]), (&json!(0), &done["subject"]), "a subject has one hash");

    let nobody = http::post_json(&app.url("/api/v1/erase"), &[], &json!({"reason": "all"})).unwrap();
    assert_eq!(nobody.status, 400, "{}", nobody.text());
}

#[test]
fn a_gateway_samples_by_its_configuration() {
    let app =
        TestApp::start("sampling: {keep: 0%, slow: 30s}\nretention: {messages: 30d, dev: {records: 7d}}");
    app.provider.default(Step::answer(&["well"]).usage(9, 5));
    let plain = app.chat(&[], &TestApp::body("an ordinary question"));
    app.provider.default(Step::status(500));
    let failed = app.chat(&[], &TestApp::body("a question that fails"));
    let done = app.command_json(&["retention", "run"]);
    assert_eq!(done, json!({"cut": 1, "removed": 0}));
    let plain = app.trace_of(&plain);
    assert_eq!((&plain["input"], &plain["record"]["texts_gone"]), (&Value::Null, &json!("sampled")));
    assert!(app.trace_of(&failed)["input"].to_string().contains("a question that fails"));
    let page =
        http::get(&app.url(&format!("/traces/{}", plain["record"]["id"].as_str().unwrap())), &[]).unwrap();
    assert!(page.text().contains("sampling"), "the page says why there are no words");
    let shown = app.command(&["retention"]).expect_ok().stdout;
    assert!(shown.contains("30 days") && shown.contains("0 % of ordinary traces"), "{shown}");
    let rules = app.api("/api/v1/retention");
    let dev = rules["retention"].as_array().unwrap().iter().find(|row| row["environment"] == "dev").unwrap();
    assert_eq!((&dev["messages_s"], &dev["records_s"]), (&json!(7 * 86_400), &json!(7 * 86_400)));
    let prod =
        rules["retention"].as_array().unwrap().iter().find(|row| row["environment"] == "prod").unwrap();
    assert_eq!((&prod["messages_s"], &prod["records_s"]), (&json!(30 * 86_400), &Value::Null));
}

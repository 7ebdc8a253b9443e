//! Writing and reading back.

use bytes::Bytes;
use gauntlet_ports::{
    Arrived, Grain, SpendBy, SpendQuery, SpoolPosition, StoredCall, TraceFilter, TraceStore,
};
use gauntlet_types::{CallId, Name, Timestamp, ToolCall};
use uuid::Uuid;

use super::sample::{self, START};

pub(super) fn position(worker: &str, segment: u64, offset: u64) -> SpoolPosition {
    SpoolPosition { worker: worker.to_owned(), segment, offset }
}

pub(super) fn same(one: &StoredCall, other: &StoredCall) {
    let json = |call: &StoredCall| serde_json::to_value(&call.record).expect("a record has a JSON form");
    assert_eq!(json(one), json(other), "the record is read back as it was written");
    assert_eq!(
        (&one.input, &one.output),
        (&other.input, &other.output),
        "the texts are read back byte by byte"
    );
}

pub(super) fn an_empty_store_answers_everything_with_nothing(store: &dyn TraceStore) {
    store.ping().unwrap();
    assert!(store.trace_find(&TraceFilter::default()).unwrap().rows.is_empty());
    let user = TraceFilter { user: Some("ann".to_owned()), ..TraceFilter::default() };
    assert!(store.trace_find(&user).unwrap().rows.is_empty());
    assert!(store.trace_get(CallId(Uuid::nil())).unwrap().is_none());
    assert!(store.spool_positions().unwrap().is_empty());
    assert!(store.budget_spent(START.day()).unwrap().is_empty());
    for by in [vec![], vec![SpendBy::Day, SpendBy::Prompt]] {
        let query = SpendQuery { by, from: START.day(), to: START.day().next(), ..SpendQuery::default() };
        assert!(store.spend(&query).unwrap().is_empty());
    }
    let overview =
        store.overview(START, START.plus(std::time::Duration::from_secs(1_000_000)), Grain::Hour).unwrap();
    assert_eq!((overview.total.calls, overview.total.p50_us, overview.series.len()), (0, None, 0));
    assert_eq!(store.append(Arrived::calls(&[]), &[]).unwrap(), 0);
}

pub(super) fn a_call_is_read_back_as_it_was_written(store: &dyn TraceStore) {
    // Enough for several blocks, in batches of odd sizes, one of them larger than any block.
    let mut calls = sample::spread(157);
    calls[70].input =
        Bytes::from(format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "long ".repeat(120_000)));
    calls[71].input = Bytes::new();
    calls[71].output = Bytes::new();
    calls[72].input = Bytes::from_static(&[0xff, 0x00, 0xfe]);
    calls[73].record.charges.clear();
    calls[74].record.tool_calls = vec![ToolCall {
        id: "t1".to_owned(),
        name: "find_order".to_owned(),
        arguments: r#"{"id":7}"#.to_owned(),
    }];
    calls[74].output = Bytes::from_static(br#"{"choices":[{"message":{"content":null}}]}"#);
    for batch in [&calls[..1], &calls[1..34], &calls[34..100], &calls[100..]] {
        assert_eq!(store.append(Arrived::calls(batch), &[]).unwrap(), batch.len());
    }
    for call in &calls {
        let found = store.trace_get(call.record.id).unwrap().expect("a call that was added is found");
        same(&found, call);
    }
    assert!(store.trace_get(CallId(Uuid::from_u128(1))).unwrap().is_none());
    let row = |call: &StoredCall| {
        let filter = TraceFilter { trace_id: Some(call.record.trace_id), ..TraceFilter::default() };
        let mut rows = store.trace_find(&filter).unwrap().rows;
        assert_eq!(rows.len(), 1, "a trace id finds its one call");
        rows.remove(0)
    };
    for call in &calls[..60] {
        let (row, record) = (row(call), &call.record);
        assert_eq!((row.id, row.trace_id, row.started), (record.id, record.trace_id, record.started));
        assert_eq!(
            (&row.tenant, &row.user, &row.session),
            (&record.caller.tenant, &record.caller.user, &record.caller.session)
        );
        let model = record.target.as_ref().map_or(&record.model_asked, |target| &target.model);
        assert_eq!((&row.route, &row.model), (&record.route, model));
        assert_eq!(row.provider.as_ref(), record.target.as_ref().map(|target| &target.provider));
        assert_eq!(row.environment, record.caller.environment.as_str());
        let prompt = record.prompt.as_ref();
        assert_eq!(row.prompt_name.as_ref(), prompt.map(|prompt| &prompt.name));
        assert_eq!(row.prompt_version.as_ref(), prompt.map(|prompt| &prompt.version));
        assert_eq!(
            (row.outcome, row.error.as_deref()),
            (record.outcome, record.error.map(|code| code.as_str()))
        );
        assert_eq!(
            (row.decision.as_str(), row.cache.as_str()),
            (record.decision.as_str(), record.cache.as_str())
        );
        assert_eq!((row.is_streaming, row.usage_estimated), (record.is_streaming, record.usage.estimated));
        assert_eq!(
            (row.tokens_in, row.tokens_out),
            (record.usage.input_total().0, record.usage.output_total().0)
        );
        assert_eq!(
            (row.cost, row.latency_us, row.first_token_us),
            (record.cost, record.latency_us, record.first_token_us)
        );
    }
    let previews = |call: &StoredCall| {
        let row = row(call);
        (row.input_preview, row.output_preview)
    };
    assert_eq!(previews(&calls[3]), ("question 3".to_owned(), "answer 3".to_owned()));
    assert_eq!(previews(&calls[70]).0.chars().count(), 200, "previews are cut");
    assert_eq!(previews(&calls[71]), (String::new(), String::new()));
    assert_eq!(
        previews(&calls[74]).1,
        r#"find_order({"id":7})"#,
        "an answer without text shows the tools it asks for"
    );
}

pub(super) fn appending_again_changes_nothing(store: &dyn TraceStore) {
    let calls = sample::spread(90);
    let state = || {
        let day = START.day();
        let query = SpendQuery {
            by: vec![SpendBy::Route],
            from: day,
            to: day.next().next().next(),
            ..SpendQuery::default()
        };
        let all =
            store.overview(day.start(), Timestamp(day.start().0 + 4 * 86_400_000_000), Grain::Day).unwrap();
        format!("{:?} {:?} {:?}", store.spend(&query).unwrap(), store.budget_spent(day).unwrap(), all)
    };
    assert_eq!(store.append(Arrived::calls(&calls[..50]), &[]).unwrap(), 50);
    assert_eq!(store.append(Arrived::calls(&calls[30..]), &[]).unwrap(), 40, "only new calls count");
    let before = state();
    assert_eq!(store.append(Arrived::calls(&calls), &[]).unwrap(), 0);
    let mut changed = calls[7].clone();
    changed.record.cost = gauntlet_types::NanoUsd(999_000_000_000);
    assert_eq!(store.append(Arrived::calls(&[changed]), &[]).unwrap(), 0, "the first record of an id stands");
    assert_eq!(state(), before);
    let twice = [sample::call(5000, 1), sample::call(5000, 1), sample::call(5001, 1)];
    assert_eq!(
        store.append(Arrived::calls(&twice), &[]).unwrap(),
        2,
        "a call that is twice in a batch is added once"
    );
    for call in calls.iter().chain(&twice) {
        same(&store.trace_get(call.record.id).unwrap().expect("found"), call);
    }
}

pub(super) fn positions_stand_with_their_batch(store: &dyn TraceStore) {
    store
        .append(Arrived::calls(&[sample::call(1, 0)]), &[position("1", 7, 100), position("0", 3, u64::MAX)])
        .unwrap();
    assert_eq!(store.spool_positions().unwrap(), [position("0", 3, u64::MAX), position("1", 7, 100)]);
    store.append(Arrived::calls(&[]), &[position("1", 8, 0)]).unwrap();
    store.append(Arrived::calls(&[sample::call(1, 0)]), &[position("0", 4, 5)]).unwrap();
    assert_eq!(
        store.spool_positions().unwrap(),
        [position("0", 4, 5), position("1", 8, 0)],
        "a position moves though its calls are known"
    );
}

pub(super) fn hostile_text_survives(store: &dyn TraceStore) {
    let names = [
        "'; drop table llm_traces; --",
        "\"quoted\" %_\\ ?1 :a @b",
        "né à 東京 😀 \u{202e}rtl\u{200d}",
        "nul\0inside",
        "new\nline\ttab\u{1b}[31m",
        "",
        " ",
    ];
    for (number, text) in names.into_iter().enumerate() {
        let mut call = sample::call(number as u32, number as i64);
        let name = Name::from(text);
        let record = &mut call.record;
        record.caller.tenant = name.clone();
        record.caller.user = Some(name.clone());
        record.caller.session = Some(name.clone());
        record.route = name.clone();
        record.model_asked = name.clone();
        record.target = None;
        record.error_message = Some(text.to_owned());
        record.charges = vec![sample::charge(text, name.clone(), None)];
        call.input = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string().into();
        call.output = Bytes::from(text.to_owned());
        store.append(Arrived::calls(std::slice::from_ref(&call)), &[position(text, 1, 1)]).unwrap();
        same(&store.trace_get(call.record.id).unwrap().expect("found"), &call);
        let owned = || Some(text.to_owned());
        for filter in [
            TraceFilter { tenant: owned(), ..TraceFilter::default() },
            TraceFilter { user: owned(), ..TraceFilter::default() },
            TraceFilter { session: owned(), route: owned(), model: owned(), ..TraceFilter::default() },
        ] {
            let rows = store.trace_find(&filter).unwrap().rows;
            assert_eq!(rows.len(), 1, "{text:?} is found by exactly its own name");
            assert_eq!((&rows[0].tenant, &rows[0].input_preview[..]), (&name, text));
        }
        let spent = store.budget_spent(START.day()).unwrap();
        assert!(spent.iter().any(|spent| spent.charge.scope == text && spent.charge.key == text), "{text:?}");
    }
    assert_eq!(store.spool_positions().unwrap().len(), names.len());
    let query = SpendQuery {
        by: vec![SpendBy::Tenant],
        from: START.day(),
        to: START.day(),
        tenant: Some(names[0].to_owned()),
        route: Some(names[0].to_owned()),
        ..SpendQuery::default()
    };
    assert_eq!(store.spend(&query).unwrap()[0].keys, [names[0]]);
}

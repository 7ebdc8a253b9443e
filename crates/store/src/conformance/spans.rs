//! Spans of applications: kept once, read back, found, and counted nowhere.

use bytes::Bytes;
use gauntlet_ports::{
    Arrived, Grain, SpanCursor, SpanFilter, SpanRow, SpendBy, SpendQuery, StoredSpan, TraceFilter, TraceStore,
};
use gauntlet_types::{Name, NanoUsd, SpanId, SpanKind, Timestamp, TokenCount, TraceId};

use super::{
    sample::{self, START},
    traces::position,
};

fn arrived(spans: &[StoredSpan]) -> Arrived<'_> {
    Arrived { calls: &[], spans }
}

fn append(store: &dyn TraceStore, spans: &[StoredSpan]) -> usize {
    store.append(arrived(spans), &[]).unwrap()
}

fn same(found: &StoredSpan, wanted: &StoredSpan) {
    let json = |span: &StoredSpan| serde_json::to_value(&span.record).unwrap();
    assert_eq!(json(found), json(wanted), "the record is read back as it was written");
    assert_eq!(
        (&found.input, &found.output, &found.rest),
        (&wanted.input, &wanted.output, &wanted.rest),
        "the texts are read back byte by byte"
    );
}

fn get(store: &dyn TraceStore, span: &StoredSpan) -> StoredSpan {
    let record = &span.record;
    store.span_get(record.trace_id, record.span_id).unwrap().expect("a span that was added is found")
}

/// Every page of a filter, one after the other.
fn pages(store: &dyn TraceStore, filter: &SpanFilter) -> Vec<SpanRow> {
    let mut all: Vec<SpanRow> = Vec::new();
    loop {
        let last = all.last().map(|row| SpanCursor { started: row.record.started, seq: row.seq });
        let page = store.span_find(&SpanFilter { before: last.or(filter.before), ..filter.clone() }).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) fn a_span_is_read_back_as_it_was_written(store: &dyn TraceStore) {
    assert!(store.span_find(&SpanFilter::default()).unwrap().is_empty());
    assert!(store.span_get(TraceId(1), SpanId(1)).unwrap().is_none());
    let mut spans = sample::spread_spans(157);
    spans[70].input = Bytes::from(format!(r#"[{{"role":"user","content":"{}"}}]"#, "long ".repeat(120_000)));
    spans[71].input = Bytes::new();
    spans[71].output = Bytes::new();
    spans[71].rest = Bytes::new();
    spans[72].input = Bytes::from_static(&[0xff, 0x00, 0xfe]);
    spans[73].record.documents.clear();
    for batch in [&spans[..1], &spans[1..34], &spans[34..100], &spans[100..]] {
        assert_eq!(append(store, batch), batch.len());
    }
    for span in &spans {
        same(&get(store, span), span);
    }
    let rows = pages(store, &SpanFilter { limit: 1000, ..SpanFilter::default() });
    assert_eq!(rows.len(), spans.len());
    for span in &spans {
        let wanted = &span.record;
        let row = rows.iter().find(|row| row.record.span_id == wanted.span_id).unwrap();
        let record = &row.record;
        assert_eq!(
            (record.trace_id, record.parent_span_id, record.started, record.took_us),
            (wanted.trace_id, wanted.parent_span_id, wanted.started, wanted.took_us)
        );
        assert_eq!(
            (&record.name, record.kind, &record.service, record.is_error, &record.error_message),
            (&wanted.name, wanted.kind, &wanted.service, wanted.is_error, &wanted.error_message)
        );
        let caller = (&record.caller.tenant, &record.caller.user, &record.caller.session);
        assert_eq!(caller, (&wanted.caller.tenant, &wanted.caller.user, &wanted.caller.session));
        assert_eq!(record.caller.environment, wanted.caller.environment);
        assert_eq!(
            (&record.provider, &record.model, &record.tool, record.cost),
            (&wanted.provider, &wanted.model, &wanted.tool, wanted.cost)
        );
        assert_eq!(
            (record.usage.input_total(), record.usage.output_total()),
            (wanted.usage.input_total(), wanted.usage.output_total())
        );
    }
    let shown = |span: &StoredSpan| {
        let row = rows.iter().find(|row| row.record.span_id == span.record.span_id).unwrap();
        (row.input_preview.clone(), row.output_preview.clone())
    };
    assert_eq!(shown(&spans[3]), ("question 3".to_owned(), "answer 3".to_owned()));
    assert_eq!(shown(&spans[70]).0.chars().count(), 200, "previews are cut");
    assert_eq!(shown(&spans[71]), (String::new(), String::new()));
}

pub(super) fn a_span_is_kept_once(store: &dyn TraceStore) {
    let spans = sample::spread_spans(90);
    assert_eq!(append(store, &spans[..50]), 50);
    assert_eq!(append(store, &spans[30..]), 40, "only new spans count");
    assert_eq!(append(store, &spans), 0);
    let mut changed = spans[7].clone();
    changed.record.name = "other".into();
    assert_eq!(append(store, &[changed]), 0, "the first of its time and ids stands");
    let twice = [spans[0].clone(), sample::span(5000, 1), sample::span(5000, 1)];
    assert_eq!(append(store, &twice), 1, "one that is twice in a batch is added once");
    // Ids that were used twice, at different times.
    let mut again = spans[7].clone();
    again.record.started = Timestamp(again.record.started.0 + 1);
    assert_eq!(append(store, &[again]), 1);
    same(&get(store, &spans[7]), &spans[7]);
    // The same ids in another trace are another span.
    let mut elsewhere = spans[7].clone();
    elsewhere.record.trace_id = TraceId(77);
    assert_eq!(append(store, &[elsewhere.clone()]), 1);
    same(&get(store, &elsewhere), &elsewhere);
    assert_eq!(pages(store, &SpanFilter::default()).len(), 93);
}

pub(super) fn spans_count_in_no_sum(store: &dyn TraceStore) {
    let calls = sample::spread(60);
    let spans = sample::spread_spans(300);
    let day = START.day();
    let sums = || {
        let query = SpendQuery {
            by: vec![SpendBy::Tenant, SpendBy::Model],
            from: day,
            to: day.next().next().next(),
            ..SpendQuery::default()
        };
        let end = Timestamp(day.start().0 + 4 * 86_400_000_000);
        let overview = store.overview(day.start(), end, Grain::Day).unwrap();
        format!("{:?} {:?} {overview:?}", store.spend(&query).unwrap(), store.budget_spent(day).unwrap())
    };
    assert_eq!(store.append(Arrived::calls(&calls[..30]), &[]).unwrap(), 30);
    let before = sums();
    assert_eq!(store.append(arrived(&spans[..200]), &[position("0", 1, 5)]).unwrap(), 200);
    assert_eq!(sums(), before, "no sum knows of spans");
    let mixed = Arrived { calls: &calls, spans: &spans };
    assert_eq!(store.append(mixed, &[position("0", 1, 9)]).unwrap(), 130, "new calls and new spans");
    assert_eq!(store.append(mixed, &[position("0", 2, 0)]).unwrap(), 0);
    assert_eq!(store.spool_positions().unwrap(), [position("0", 2, 0)]);
    for call in &calls {
        super::traces::same(&store.trace_get(call.record.id).unwrap().expect("found"), call);
    }
    for span in &spans {
        same(&get(store, span), span);
    }
    assert_eq!(
        store.trace_find(&TraceFilter { limit: 1000, ..TraceFilter::default() }).unwrap().rows.len(),
        60
    );
}

pub(super) fn span_filters_find_what_fits_and_nothing_else(store: &dyn TraceStore) {
    let spans = sample::spread_spans(400);
    for batch in spans.chunks(37) {
        append(store, batch);
    }
    let owned = |name: &Name| Some(name.to_string());
    let mut filters = Vec::new();
    for span in [&spans[0], &spans[11], &spans[58], &spans[399]] {
        let record = &span.record;
        let some = SpanFilter::default;
        let caller = &record.caller;
        filters.extend([
            SpanFilter { trace_id: Some(record.trace_id), ..some() },
            SpanFilter { tenant: owned(&caller.tenant), kind: Some(record.kind), ..some() },
            SpanFilter { user: caller.user.as_ref().and_then(owned), ..some() },
            SpanFilter { session: caller.session.as_ref().and_then(owned), roots: true, ..some() },
            SpanFilter { service: owned(&record.service), name: owned(&record.name), ..some() },
            SpanFilter { errors: true, since: Some(record.started), ..some() },
            SpanFilter { roots: true, until: Some(record.started), ..some() },
            SpanFilter { trace_id: Some(record.trace_id), since: Some(record.started), ..some() },
            SpanFilter {
                session: caller.session.as_ref().and_then(owned),
                until: Some(record.started),
                ..some()
            },
            SpanFilter { session: Some("nobody's".to_owned()), ..some() },
        ]);
    }
    let fits = |filter: &SpanFilter, span: &StoredSpan| {
        let record = &span.record;
        let is = |wanted: &Option<String>, have: Option<&Name>| {
            wanted.as_deref().is_none_or(|wanted| have.is_some_and(|have| &**have == wanted))
        };
        filter.trace_id.is_none_or(|id| id == record.trace_id)
            && is(&filter.tenant, Some(&record.caller.tenant))
            && is(&filter.user, record.caller.user.as_ref())
            && is(&filter.session, record.caller.session.as_ref())
            && is(&filter.service, Some(&record.service))
            && is(&filter.name, Some(&record.name))
            && filter.kind.is_none_or(|kind| kind == record.kind)
            && (!filter.roots || record.parent_span_id.is_none())
            && (!filter.errors || record.is_error)
            && filter.since.is_none_or(|at| record.started >= at)
            && filter.until.is_none_or(|at| record.started < at)
    };
    for filter in filters {
        let mut wanted: Vec<_> = spans.iter().filter(|span| fits(&filter, span)).collect();
        wanted.sort_by_key(|span| std::cmp::Reverse(span.record.started));
        let wanted: Vec<_> = wanted.iter().map(|span| (span.record.started, span.record.span_id)).collect();
        for limit in [7, 1000] {
            let rows = pages(store, &SpanFilter { limit, ..filter.clone() });
            let found: Vec<_> = rows.iter().map(|row| (row.record.started, row.record.span_id)).collect();
            assert_eq!(found, wanted, "{filter:?} by pages of {limit}");
        }
    }
    assert_eq!(store.span_find(&SpanFilter::default()).unwrap().len(), 50, "a page is 50 unless asked");
}

pub(super) fn pages_pass_spans_of_one_instant(store: &dyn TraceStore) {
    let spans: Vec<_> = (0..100).map(|number| sample::span(number, 0)).collect();
    append(store, &spans);
    let rows = pages(store, &SpanFilter { limit: 9, ..SpanFilter::default() });
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    assert_eq!(seqs.len(), 100);
    assert!(seqs.is_sorted_by(|one, other| one > other), "newest first, then by order of arrival: {seqs:?}");
}

pub(super) fn a_trace_of_a_hundred_thousand_spans_is_kept(store: &dyn TraceStore) {
    const COUNT: u32 = 100_000;
    let spans: Vec<_> = (0..COUNT)
        .map(|number| {
            let mut span = sample::span(number, i64::from(number / 1000));
            span.record.trace_id = TraceId(9);
            span.record.caller.session = Some("long".into());
            span
        })
        .collect();
    assert_eq!(append(store, &spans), COUNT as usize);
    assert_eq!(append(store, &spans[99_000..]), 0);
    let trace = SpanFilter { trace_id: Some(TraceId(9)), limit: u32::MAX, ..SpanFilter::default() };
    assert_eq!(store.span_find(&trace).unwrap().len(), 10_000, "a page of a trace is bounded");
    let rows = pages(store, &trace);
    assert_eq!(rows.len(), COUNT as usize);
    let ids: std::collections::HashSet<SpanId> = rows.iter().map(|row| row.record.span_id).collect();
    assert_eq!(ids.len(), COUNT as usize, "each once");
    let session = SpanFilter { session: Some("long".to_owned()), limit: u32::MAX, ..SpanFilter::default() };
    assert_eq!(store.span_find(&session).unwrap().len(), 1000);
    same(&get(store, &spans[70_001]), &spans[70_001]);
}

pub(super) fn hostile_spans_survive(store: &dyn TraceStore) {
    let names = [
        "'; drop table spans; --",
        "\"quoted\" %_\\ ?1 :a $1",
        "né à 東京 😀 \u{202e}rtl\u{200d}",
        "nul\0inside",
        "\u{f4fff}0",
        "new\nline\ttab\u{1b}[31m",
        "",
    ];
    for (number, text) in names.into_iter().enumerate() {
        let mut span = sample::span(number as u32, number as i64);
        let record = &mut span.record;
        let name = Name::from(text);
        record.name = name.clone();
        record.service = name.clone();
        record.caller.tenant = name.clone();
        record.caller.user = Some(name.clone());
        record.caller.session = Some(name.clone());
        record.model = Some(name.clone());
        record.tool = Some(name.clone());
        record.error_message = Some(text.repeat(300));
        span.input = Bytes::from(serde_json::json!([{"role": "user", "content": text}]).to_string());
        // A lone half of a pair, as JSON allows it to be written.
        span.output = Bytes::from_static(br#"[{"role":"assistant","content":"\ud83d"}]"#);
        span.rest = Bytes::from(text.to_owned());
        assert_eq!(append(store, std::slice::from_ref(&span)), 1);
        same(&get(store, &span), &span);
        let owned = || Some(text.to_owned());
        for filter in [
            SpanFilter { tenant: owned(), name: owned(), ..SpanFilter::default() },
            SpanFilter { user: owned(), service: owned(), ..SpanFilter::default() },
            SpanFilter { session: owned(), ..SpanFilter::default() },
        ] {
            let rows = store.span_find(&filter).unwrap();
            assert_eq!(rows.len(), 1, "{text:?} is found by exactly its own name");
            assert_eq!((&rows[0].record.name, &rows[0].record.caller.user), (&name, &Some(name.clone())));
        }
    }
    let mut odd = Vec::new();
    for (number, started) in [i64::MIN, -1, 0, i64::MAX].into_iter().enumerate() {
        let mut span = sample::span(100 + number as u32, 0);
        let record = &mut span.record;
        record.started = Timestamp(started);
        record.took_us = u64::MAX;
        record.kind = SpanKind::Other;
        record.usage.input_fresh = TokenCount(u32::MAX);
        record.usage.output = TokenCount(u32::MAX);
        record.cost = Some(NanoUsd(i64::MIN));
        record.parent_span_id = Some(record.span_id);
        odd.push(span);
    }
    assert_eq!(append(store, &odd), odd.len());
    assert_eq!(append(store, &odd), 0);
    odd.iter().for_each(|span| same(&get(store, span), span));
    assert_eq!(
        pages(store, &SpanFilter { limit: 2, ..SpanFilter::default() }).len(),
        names.len() + odd.len()
    );
    let mut of_trace = SpanFilter { limit: 1, ..SpanFilter::default() };
    for span in &odd {
        of_trace.trace_id = Some(span.record.trace_id);
        assert_eq!(pages(store, &of_trace).len(), 1, "a time out of the calendar is paged past too");
    }
}

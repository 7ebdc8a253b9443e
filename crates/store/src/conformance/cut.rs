//! What is cut is gone, all else stays as it was, and sums do not move.

use gauntlet_ports::{
    Arrived, Cut, RecordQuery, SpanFilter, SpendQuery, StoredCall, TraceFilter, TraceStore,
};
use gauntlet_types::{TextsGone, Timestamp, ToolCall};

use super::sample;

const EXPIRED: Cut = Cut::Texts(TextsGone::Expired);

/// Everything that is left, in the order of arrival.
fn all(store: &dyn TraceStore) -> Vec<StoredCall> {
    let query = RecordQuery {
        from: Timestamp(0),
        to: Timestamp(sample::START.0 + 10_000_000_000_000),
        without_texts: false,
        newest: 0,
    };
    let (mut calls, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.record_page(&query, cursor, 50).unwrap();
        calls.extend(page.calls);
        cursor = page.next;
        if cursor.is_none() {
            return calls;
        }
    }
}

pub(super) fn cuts(store: &dyn TraceStore) {
    texts_go_and_the_rest_stays(store);
    calls_go_whole(store);
    spans_are_cut_the_same(store);
    progress_is_kept(store);
}

fn texts_go_and_the_rest_stays(store: &dyn TraceStore) {
    let mut calls = sample::spread(300);
    for call in &mut calls {
        call.record.tool_calls =
            vec![ToolCall { id: "t".into(), name: "look".into(), arguments: "{\"of\":\"words\"}".into() }];
    }
    for batch in calls.chunks(70) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    let spend = store.spend(&SpendQuery::default()).unwrap();
    let cuts: Vec<_> = calls
        .iter()
        .enumerate()
        .filter(|(at, _)| at % 7 == 3)
        .map(|(_, call)| (call.record.id, EXPIRED))
        .collect();
    assert_eq!(store.cut(&cuts).unwrap(), cuts.len() as u64);
    assert_eq!(store.cut(&cuts).unwrap(), 0, "what is gone is gone once");
    let left = all(store);
    assert_eq!(left.len(), calls.len());
    for (at, (now, before)) in left.iter().zip(&calls).enumerate() {
        assert_eq!(now.record.id, before.record.id);
        let row = row(store, before);
        if at % 7 == 3 {
            assert!(now.input.is_empty() && now.output.is_empty());
            assert_eq!(now.record.texts_gone, Some(TextsGone::Expired));
            assert_eq!(now.record.tool_calls[0].name, "look");
            assert_eq!(now.record.tool_calls[0].arguments, "");
            assert_eq!((row.input_preview.as_str(), row.output_preview.as_str()), ("", ""));
        } else {
            assert_eq!((&now.input, &now.output), (&before.input, &before.output));
            assert_eq!(now.record.tool_calls, before.record.tool_calls);
        }
        assert_eq!((now.record.cost, now.record.started), (before.record.cost, before.record.started));
        let one = store.trace_get(before.record.id).unwrap().expect("it is still there");
        assert_eq!((one.input, one.output), (now.input.clone(), now.output.clone()));
    }
    assert_eq!(format!("{:?}", store.spend(&SpendQuery::default()).unwrap()), format!("{spend:?}"));
}

fn row(store: &dyn TraceStore, call: &StoredCall) -> gauntlet_ports::TraceRow {
    let filter = TraceFilter { trace_id: Some(call.record.trace_id), ..TraceFilter::default() };
    let page = store.trace_find(&filter).unwrap();
    page.rows.into_iter().find(|row| row.id == call.record.id).expect("a row")
}

fn calls_go_whole(store: &dyn TraceStore) {
    let calls = all(store);
    let spend = store.spend(&SpendQuery::default()).unwrap();
    // Some within blocks, and a long stretch, so that whole blocks go.
    let goes = |at: usize| (60..180).contains(&at) || at.is_multiple_of(11);
    let cuts: Vec<_> = calls
        .iter()
        .enumerate()
        .filter(|(at, _)| goes(*at))
        .flat_map(|(_, call)| [(call.record.id, EXPIRED), (call.record.id, Cut::Whole)])
        .collect();
    assert_eq!(store.cut(&cuts).unwrap(), cuts.len() as u64 / 2, "the greater of two wishes is heard, once");
    store.shrink(true).unwrap();
    let left = all(store);
    let expected: Vec<_> =
        calls.iter().enumerate().filter(|(at, _)| !goes(*at)).map(|(_, call)| call).collect();
    assert_eq!(left.len(), expected.len());
    for (now, before) in left.iter().zip(&expected) {
        assert_eq!(
            (now.record.id, &now.input, &now.output),
            (before.record.id, &before.input, &before.output)
        );
    }
    for (at, call) in calls.iter().enumerate().step_by(3) {
        assert_eq!(store.trace_get(call.record.id).unwrap().is_some(), !goes(at), "{at}");
    }
    assert_eq!(format!("{:?}", store.spend(&SpendQuery::default()).unwrap()), format!("{spend:?}"));
    // The order of arrival goes on where it was.
    let newest = store.record_newest().unwrap();
    store.append(Arrived::calls(&[sample::call(50_001, 7)]), &[]).unwrap();
    assert!(store.record_newest().unwrap() > newest);
    assert_eq!(all(store).len(), expected.len() + 1);
}

fn spans_are_cut_the_same(store: &dyn TraceStore) {
    let spans = sample::spread_spans(200);
    store.append(Arrived { calls: &[], spans: &spans }, &[]).unwrap();
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let page = store.span_page(after, 64).unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        rows.extend(page);
    }
    assert_eq!(rows.len(), spans.len());
    assert!(rows.is_sorted_by(|a, b| a.seq < b.seq));
    let cuts: Vec<_> = rows
        .iter()
        .enumerate()
        .filter_map(|(at, row)| match at % 4 {
            0 => Some((row.seq, EXPIRED)),
            1 => Some((row.seq, Cut::Whole)),
            _ => None,
        })
        .collect();
    assert_eq!(store.span_cut(&cuts).unwrap(), cuts.len() as u64);
    assert_eq!(store.span_cut(&cuts).unwrap(), 0);
    for (at, row) in rows.iter().enumerate() {
        let (trace, span) = (row.record.trace_id, row.record.span_id);
        let found = store.span_get(trace, span).unwrap();
        let filter = SpanFilter { trace_id: Some(trace), limit: 1000, ..SpanFilter::default() };
        let listed = store.span_find(&filter).unwrap().into_iter().find(|other| other.seq == row.seq);
        match at % 4 {
            0 => {
                let found = found.expect("its record stays");
                assert!(found.input.is_empty() && found.output.is_empty() && found.rest.is_empty());
                assert_eq!(listed.expect("and its row").input_preview, "");
            }
            1 => assert!(found.is_none() && listed.is_none()),
            _ => {
                assert!(!found.expect("it stays").rest.is_empty());
                assert_eq!(listed.expect("and its row").input_preview, row.input_preview);
            }
        }
    }
}

fn progress_is_kept(store: &dyn TraceStore) {
    assert_eq!(store.progress("sampling").unwrap(), 0);
    store.progress_set("sampling", 7).unwrap();
    store.progress_set("sampling", i64::MAX).unwrap();
    store.progress_set("other", 1).unwrap();
    assert_eq!((store.progress("sampling").unwrap(), store.progress("other").unwrap()), (i64::MAX, 1));
}

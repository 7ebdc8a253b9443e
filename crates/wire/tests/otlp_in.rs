//! What is made of applications' spans, in every convention; and that no bytes at all can break the reading.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

use std::{fs, path::PathBuf};

use gauntlet_wire::otlp::{
    proto::{ExportTraceServiceRequest, KeyValue, Resource, ResourceSpans, ScopeSpans, Span, Value},
    receive::{self, Received},
    understand::Origin,
};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value as Json, json};

fn cases() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/otlp_in");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|found| found == "json"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    cases.sort();
    assert!(cases.len() >= 12, "{} cases", cases.len());
    cases
}

/// A text as the object it spells, so that a change is seen where it is.
fn opened(text: &str) -> Json {
    match serde_json::from_str::<Json>(text) {
        Ok(inner @ (Json::Object(_) | Json::Array(_))) => json!({ "json": inner }),
        _ => text.into(),
    }
}

fn shown(received: Received) -> Json {
    let rejected = json!({"count": received.rejected.count, "message": received.rejected.message()});
    let mut spans = Vec::new();
    for resource in received.resource_spans {
        for scope in resource.scope_spans {
            let origin = Origin::new(resource.resource.as_ref(), scope.scope.as_ref());
            for span in scope.spans {
                let span = origin.understand(span);
                spans.push(json!({
                    "record": span.record, "input": opened(&span.input), "output": opened(&span.output),
                    "rest": serde_json::from_slice::<Json>(&span.rest).unwrap(),
                }));
            }
        }
    }
    json!({"spans": spans, "rejected": rejected})
}

fn protobuf(received: &Received) -> Vec<u8> {
    ExportTraceServiceRequest { resource_spans: received.resource_spans.clone() }.encode_to_vec()
}

#[test]
fn spans_of_every_convention_are_understood_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden/otlp_in");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (name, body) in cases() {
        let received = receive::from_json(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shown = serde_json::to_string_pretty(&shown(received)).unwrap();
        settings.bind(|| insta::assert_snapshot!(name, shown));
    }
}

#[test]
fn both_encodings_say_the_same() {
    for (name, body) in cases() {
        let from_json = receive::from_json(&body).unwrap();
        let from_protobuf = receive::from_protobuf(&protobuf(&from_json)).unwrap();
        assert_eq!(from_protobuf.rejected.count, 0, "{name}");
        // Compared as shown: NaN equals nothing.
        let (mut one, other) = (shown(from_json), shown(from_protobuf));
        one["rejected"] = other["rejected"].clone();
        assert_eq!(one, other, "{name}");
    }
}

fn span(number: u8) -> Span {
    Span { trace_id: vec![7; 16], span_id: vec![number; 8], ..Span::default() }
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    let scope = ScopeSpans { scope: None, spans };
    let resource =
        Some(Resource { attributes: vec![KeyValue::new("service.name", "s")], ..Resource::default() });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans: vec![scope] }] }
        .encode_to_vec()
}

#[test]
fn a_span_that_is_wrong_goes_alone_and_its_sender_learns_why() {
    let short = Span { trace_id: vec![1; 8], ..span(1) };
    let zero = Span { span_id: vec![0; 8], ..span(1) };
    let parent = Span { parent_span_id: vec![1; 3], ..span(1) };
    let received =
        receive::from_protobuf(&request(vec![span(1), short, zero, span(2), parent, Span::default()]))
            .unwrap();
    assert_eq!((received.spans(), received.rejected.count), (2, 4));
    assert_eq!(
        received.rejected.message(),
        "resource_spans[0].scope_spans[0].spans[1]: trace_id has 8 bytes instead of 16; \
         resource_spans[0].scope_spans[0].spans[2]: span_id is all zeros; \
         resource_spans[0].scope_spans[0].spans[4]: parent_span_id has 3 bytes instead of 8; and 1 more"
    );
}

#[test]
fn a_span_that_is_no_message_takes_no_other_with_it() {
    // Its name is no UTF-8, and not only on the wire's surface.
    let mut bytes = request(vec![span(1), Span { name: "qqqq".to_owned(), ..span(2) }, span(3)]);
    let at = bytes.windows(4).position(|four| four == b"qqqq").unwrap();
    bytes[at] = 0xff;
    let received = receive::from_protobuf(&bytes).unwrap();
    assert_eq!((received.spans(), received.rejected.count), (2, 1));
}

#[test]
fn depth_and_numbers_are_bounded() {
    let mut deep = Value::from("x");
    for _ in 0..200 {
        let inner = gauntlet_wire::otlp::proto::AnyValue { value: Some(deep) };
        deep = Value::List(gauntlet_wire::otlp::proto::ArrayValue { values: vec![inner] });
    }
    let bytes = request(vec![Span { attributes: vec![KeyValue::new("deep", deep)], ..span(1) }, span(2)]);
    let received = receive::from_protobuf(&bytes).unwrap();
    assert_eq!((received.spans(), received.rejected.count), (1, 1));
    assert!(received.rejected.message().contains("deeper"), "{}", received.rejected.message());

    let nested = format!("{}{}", r#"{"arrayValue":{"values":["#.repeat(5_000), "]}}".repeat(5_000));
    let body = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{0}","spanId":"{1}","attributes":[{{"key":"k","value":{nested}}}]}},{{"traceId":"{0}","spanId":"{1}"}}]}}]}}]}}"#,
        "a".repeat(32),
        "b".repeat(16)
    );
    let received = receive::from_json(body.as_bytes()).unwrap();
    assert_eq!((received.spans(), received.rejected.count), (1, 1));

    let many = vec![KeyValue::new("k", 1_i64); 10_500];
    let received = receive::from_protobuf(&request(vec![Span { attributes: many, ..span(1) }])).unwrap();
    let kept = &received.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((kept.attributes.len(), kept.dropped_attributes_count), (10_000, 500));

    let received = receive::from_protobuf(&request(vec![span(1); receive::SPANS_MAX + 3])).unwrap();
    assert_eq!((received.spans(), received.rejected.count), (receive::SPANS_MAX, 3));
}

#[test]
fn what_is_no_request_is_refused() {
    for bytes in [
        &b"\x0a\xff"[..],
        b"\x0a\x05abc",
        b"{",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"hello",
    ] {
        let error = receive::from_protobuf(bytes).unwrap_err().to_string();
        assert!(error.contains("protobuf"), "{error}");
    }
    for bytes in [&b""[..], b"{", b"[]", b"\"x\"", b"{\"resourceSpans\": 3}", b"\xff{}"] {
        let error = receive::from_json(bytes).unwrap_err().to_string();
        assert!(error.contains("JSON"), "{error}");
    }
    assert_eq!(receive::from_protobuf(b"").unwrap().spans(), 0);
    assert_eq!(receive::from_json(b"{}").unwrap().spans(), 0);
}

/// Reads and understands whatever it is; says how many spans came of it.
fn survives(bytes: &[u8]) -> usize {
    let read = [receive::from_protobuf(bytes).ok(), receive::from_json(bytes).ok()];
    read.into_iter().flatten().map(|received| shown(received)["spans"].as_array().unwrap().len()).sum()
}

/// SplitMix64: the same mutations at every run.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize
}

#[test]
fn mutated_requests_never_panic_and_many_still_hold_spans() {
    let mut state = 1;
    let (mut tries, mut held) = (0, 0);
    for (_, body) in cases() {
        let encoded = protobuf(&receive::from_json(&body).unwrap());
        for original in [body, encoded] {
            for _ in 0..200 {
                let mut bytes = original.clone();
                for _ in 0..=next(&mut state) % 4 {
                    let at = next(&mut state) % bytes.len();
                    match next(&mut state) % 4 {
                        0 => bytes[at] = next(&mut state) as u8,
                        1 => bytes[at] ^= 1 << (next(&mut state) % 8),
                        2 => bytes.truncate(at.max(1)),
                        _ => {
                            let piece: Vec<u8> =
                                bytes[at..].iter().take(next(&mut state) % 40).copied().collect();
                            bytes.splice(at..at, piece);
                        }
                    }
                }
                tries += 1;
                held += usize::from(survives(&bytes) > 0);
            }
        }
    }
    assert!(held * 10 > tries, "{held} of {tries}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = survives(&bytes);
    }

    #[test]
    fn any_attributes_are_kept(pairs in proptest::collection::vec((r"(llm\.input_messages\.|gen_ai\.prompt\.)?[0-9]{0,2}\.?[a-z._]{0,12}", any::<String>()), 0..12)) {
        let attributes = pairs.iter().map(|(key, value)| KeyValue::new(key.as_str(), value.as_str())).collect();
        let received = receive::from_protobuf(&request(vec![Span { attributes, ..span(1) }])).unwrap();
        let shown = shown(received);
        for (key, _) in &pairs {
            let last = pairs.iter().rev().find(|(other, _)| other == key).unwrap();
            prop_assert_eq!(&shown["spans"][0]["rest"]["attributes"][key], &Json::from(last.1.as_str()));
        }
    }
}

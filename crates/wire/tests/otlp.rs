//! Golden views of what each profile makes of a call, and that nothing a caller sends can break or outgrow them.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

#[path = "otlp/calls.rs"]
mod calls;

use std::collections::BTreeMap;

use calls::{Case, cases, servers};
use gauntlet_types::ExportProfile;
use gauntlet_wire::otlp::{
    self, Encoding, Finished,
    proto::{
        AnyValue, ArrayValue, Event, ExportTraceServiceRequest, KeyValue, KeyValueList, Link, Resource,
        ResourceSpans, Scope, ScopeSpans, Span, Status, Value,
    },
};
use prost::Message;
use serde_json::{Value as Json, json};

fn plain(value: &Value) -> Json {
    match value {
        // Shown as the object it spells, so that a change is seen where it is.
        Value::Text(text) => match serde_json::from_str::<Json>(text) {
            Ok(inner @ (Json::Object(_) | Json::Array(_))) => json!({ "json": inner }),
            _ => text.as_str().into(),
        },
        Value::Bool(is) => (*is).into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::List(list) => {
            list.values.iter().map(|item| plain(item.value.as_ref().unwrap())).collect::<Vec<_>>().into()
        }
        Value::Map(map) => attributes(&map.values),
        Value::Bytes(bytes) => json!(bytes),
    }
}

fn attributes(all: &[KeyValue]) -> Json {
    let mut shown = BTreeMap::new();
    for one in all {
        let value = plain(one.value.as_ref().unwrap().value.as_ref().unwrap());
        assert!(shown.insert(one.key.clone(), value).is_none(), "{} twice", one.key);
    }
    json!(shown)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(span: &Span) -> Json {
    let events: Vec<Json> = span
        .events
        .iter()
        .map(|event| json!({"name": event.name, "at": event.time_unix_nano, "attributes": attributes(&event.attributes)}))
        .collect();
    json!({
        "name": span.name, "kind": span.kind, "trace": hex(&span.trace_id), "id": hex(&span.span_id),
        "parent": hex(&span.parent_span_id), "start": span.start_time_unix_nano,
        "took": span.end_time_unix_nano - span.start_time_unix_nano,
        "status": span.status.as_ref().map(|status| json!([status.code, status.message])),
        "attributes": attributes(&span.attributes), "events": events,
    })
}

fn spans(case: &Case, profile: ExportProfile) -> Vec<Span> {
    let call =
        Finished { record: &case.record, input: case.input.as_bytes(), output: case.output.as_bytes() };
    otlp::spans(&call, profile, &servers())
}

#[test]
fn each_profile_shows_calls_as_its_receiver_reads_them() {
    for profile in ExportProfile::ALL {
        let all: serde_json::Map<String, Json> = cases()
            .iter()
            .map(|case| (case.name.to_owned(), spans(case, profile).iter().map(shown).collect()))
            .collect();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("golden/otlp");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_json_snapshot!(profile.as_str(), all));
    }
}

#[test]
fn no_profile_says_both_names_of_tokens_written_to_a_cache() {
    for profile in ExportProfile::ALL {
        for case in cases() {
            for span in spans(&case, profile) {
                let names: Vec<&str> = span.attributes.iter().map(|one| one.key.as_str()).collect();
                let count = names
                    .iter()
                    .filter(|name| name.contains("cache_write") || name.contains("cache_creation"));
                assert!(count.count() <= 1, "{names:?}");
            }
        }
    }
}

#[test]
fn a_requests_parts_read_as_one_message() {
    let mut packed = Vec::new();
    let mut expected = Vec::new();
    for case in cases() {
        let call =
            Finished { record: &case.record, input: case.input.as_bytes(), output: case.output.as_bytes() };
        let count = otlp::push_spans(&call, ExportProfile::Default, &servers(), &mut packed);
        let spans = spans(&case, ExportProfile::Default);
        assert_eq!(count, spans.len());
        expected.extend(spans);
    }
    let resource = [("service.name".to_owned(), "gauntlet".to_owned())];
    let request = otlp::request(&resource, "1.2.3", &packed);
    let read = ExportTraceServiceRequest::decode(&request[..]).unwrap();
    let [resource] = read.resource_spans.as_slice() else { panic!("one resource") };
    let [scope] = resource.scope_spans.as_slice() else { panic!("one scope") };
    assert_eq!(
        attributes(&resource.resource.as_ref().unwrap().attributes),
        json!({"service.name": "gauntlet"})
    );
    assert_eq!(scope.scope.as_ref().unwrap().version, "1.2.3");
    assert_eq!(scope.spans, expected);
    // The same call is the same spans, and no two of them share an id.
    let mut ids: Vec<&[u8]> = expected.iter().map(|span| &span.span_id[..]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), expected.len());
}

#[test]
fn what_a_receiver_left_out_is_read_from_its_answer() {
    let check = |encoding: Encoding, answer: &[u8], expected: Option<(u64, &str)>| {
        let expected = expected.map(|(count, why)| (count, why.to_owned()));
        assert_eq!(encoding.rejected(answer), expected, "{}", String::from_utf8_lossy(answer));
    };
    check(Encoding::Protobuf, b"", None);
    check(Encoding::Protobuf, b"not protobuf at all", None);
    let answer = [&[0x0a, 0x07, 0x08, 0x03, 0x12, 0x03][..], b"bad"].concat();
    check(Encoding::Protobuf, &answer, Some((3, "bad")));
    for nothing in ["", "{}", "<html>", "[]", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":null}"#] {
        check(Encoding::Json, nothing.as_bytes(), None);
    }
    let partly = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad"}}"#;
    check(Encoding::Json, partly.as_bytes(), Some((3, "bad")));
    check(Encoding::Json, br#"{"partial_success":{"rejected_spans":2}}"#, Some((2, "")));
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        check(encoding, &encoding.taken(5, "why"), Some((5, "why")));
        check(encoding, &encoding.taken(0, ""), None);
    }
}

/// A request with a value of every kind and nothing left at its default.
fn every_field() -> ExportTraceServiceRequest {
    let any = |value| AnyValue { value: Some(value) };
    let values = [
        Value::from("ü \"quoted\" \u{1}"),
        Value::from(""),
        Value::Bool(false),
        Value::Int(i64::MIN),
        Value::Int(0),
        Value::Double(0.1),
        Value::Double(1e300),
        Value::Double(f64::INFINITY),
        Value::Double(f64::NEG_INFINITY),
        Value::List(ArrayValue { values: vec![any(Value::from("one")), AnyValue::default()] }),
        Value::List(ArrayValue::default()),
        Value::Map(KeyValueList { values: vec![KeyValue::new("inner", true)] }),
        Value::Bytes(vec![0xfb, 0xff, 0x00]),
    ];
    let attributes: Vec<KeyValue> =
        values.into_iter().enumerate().map(|(at, value)| KeyValue::new(format!("a{at}"), value)).collect();
    let one = || vec![KeyValue::new("k", "v")];
    let span = Span {
        trace_id: (0..16).collect(),
        span_id: vec![0xab; 8],
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![0x01; 8],
        name: "chat".to_owned(),
        kind: 3,
        start_time_unix_nano: 1_763_700_000_123_456_789,
        end_time_unix_nano: u64::MAX,
        attributes,
        dropped_attributes_count: 1,
        events: vec![Event {
            time_unix_nano: 1,
            name: "said".to_owned(),
            attributes: one(),
            dropped_attributes_count: 2,
        }],
        dropped_events_count: 3,
        links: vec![Link {
            trace_id: vec![2; 16],
            span_id: vec![3; 8],
            trace_state: "c=d".to_owned(),
            attributes: one(),
            dropped_attributes_count: 4,
            flags: 0x100,
        }],
        dropped_links_count: 5,
        status: Some(Status { message: "it failed".to_owned(), code: 2 }),
        flags: 0x101,
    };
    let scope = Scope {
        name: "gauntlet".to_owned(),
        version: "1".to_owned(),
        attributes: one(),
        dropped_attributes_count: 6,
    };
    // What is empty is left out.
    let bare = Span { trace_id: vec![9; 16], span_id: vec![9; 8], ..Span::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span, bare] }];
    let resource = Resource { attributes: one(), dropped_attributes_count: 7 };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }],
    }
}

fn json_of(request: &ExportTraceServiceRequest) -> String {
    let protobuf = request.encode_to_vec();
    String::from_utf8(Encoding::Json.request(&protobuf).unwrap().into_owned()).unwrap()
}

#[test]
fn json_is_written_by_the_rules_of_otlp() {
    let text = json_of(&every_field());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden/otlp");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // Lines, so that a change is seen where it is.
    settings.bind(|| insta::assert_snapshot!("request_in_json", text.replace("},{", "},\n{")));
    let mut nan = every_field();
    nan.resource_spans[0].scope_spans[0].spans[0].attributes = vec![KeyValue::new("nan", f64::NAN)];
    assert!(json_of(&nan).contains(r#"{"key":"nan","value":{"doubleValue":"NaN"}}"#));
    assert_eq!(json_of(&ExportTraceServiceRequest::default()), "{}");
    assert!(Encoding::Json.request(b"\x0a\xff").is_err());
}

#[test]
fn what_is_written_as_json_reads_as_what_it_was() {
    let check = |request: ExportTraceServiceRequest| {
        let text = json_of(&request);
        let read = Encoding::Json.read(text.as_bytes()).unwrap();
        assert_eq!(read.resource_spans, request.resource_spans, "{text}");
        assert_eq!(read.rejected.count, 0, "{text}");
    };
    check(every_field());
    for profile in ExportProfile::ALL {
        let spans = cases().iter().flat_map(|case| spans(case, profile)).collect();
        let scope_spans = vec![ScopeSpans { scope: None, spans }];
        let resource_spans = vec![ResourceSpans { resource: None, scope_spans }];
        check(ExportTraceServiceRequest { resource_spans });
    }
}

/// Of one call in any profile, whatever was sent: well below what receivers take in a request.
const CALL_MAX: usize = 512 << 10;

#[track_caller]
fn check_bounded(input: &str, output: &str) {
    let case = cases().into_iter().next().unwrap();
    for profile in ExportProfile::ALL {
        let mut packed = Vec::new();
        let call = Finished { record: &case.record, input: input.as_bytes(), output: output.as_bytes() };
        otlp::push_spans(&call, profile, &servers(), &mut packed);
        assert!(packed.len() < CALL_MAX, "{}: {} bytes", profile.as_str(), packed.len());
    }
}

#[test]
fn long_conversations_and_odd_bodies_stay_within_bounds() {
    let long = "ü\\n".repeat(1 << 20);
    let message = |text: &str| format!(r#"{{"role":"user","content":"{text}"}}"#);
    let many = vec![message("hello"); 5_000].join(",");
    check_bounded(&format!(r#"{{"messages":[{}]}}"#, message(&long)), &long);
    check_bounded(&format!(r#"{{"messages":[{many}]}}"#), "");
    let parts = vec![r#"{"type":"text","text":"part "}"#.replace("part ", &"x".repeat(9_000)); 500].join(",");
    check_bounded(&format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#), "");
    let choices = vec![format!(r#"{{"message":{}}}"#, message(&"y".repeat(9_000))); 200].join(",");
    check_bounded("", &format!(r#"{{"choices":[{choices}]}}"#));
    for odd in [
        "",
        "null",
        "[]",
        "{",
        "{\"messages\":{}}",
        "{\"messages\":[1,null,\"x\",{\"role\":5,\"content\":{}}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":[5,{\"type\":7},{\"type\":\"image_url\"}]}],\"stop\":{},\"n\":\"x\"}",
        "{\"choices\":[{},null,{\"message\":{\"tool_calls\":[null,{}]}}],\"id\":7}",
        "\u{0}",
        &"[".repeat(100_000),
    ] {
        check_bounded(odd, odd);
    }
}

#[test]
fn the_newest_messages_and_the_instructions_are_those_that_are_kept() {
    let mut all = vec![r#"{"role":"system","content":"be brief"}"#.to_owned()];
    all.extend((0..500).map(|number| format!(r#"{{"role":"user","content":"message {number}"}}"#)));
    let mut case = cases().remove(0);
    case.input = format!(r#"{{"messages":[{}]}}"#, all.join(","));
    let span = spans(&case, ExportProfile::Semconv).remove(0);
    let shown = shown(&span);
    let messages = shown["attributes"]["gen_ai.input.messages"]["json"].as_array().unwrap().clone();
    assert_eq!(messages.len(), 128);
    assert_eq!(messages[0]["role"], "system");
    assert_eq!(messages[127]["parts"][0]["content"], "message 499");
    assert_eq!(shown["attributes"]["gauntlet.messages_left_out"], 373);
}

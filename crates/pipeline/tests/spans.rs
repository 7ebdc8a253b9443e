//! What the gate makes of spans: whose they are, what may be kept of them, what they cost, in entries of what size.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

#[path = "spans/gate.rs"]
mod gate;

use std::sync::Arc;

use gauntlet_pipeline::Taken;
use gauntlet_ports::StoredSpan;
use gauntlet_types::{Code, Fault};
use gauntlet_wire::otlp::{
    proto::{KeyValue, ResourceSpans, ScopeSpans, Span, Value},
    receive::Received,
};
use http::{HeaderMap, HeaderValue};
use serde_json::Value as Json;

use gate::{Kept, gate};

fn received(spans: Vec<Span>) -> Received {
    let scope_spans = vec![ScopeSpans { scope: None, spans }];
    Received { resource_spans: vec![ResourceSpans { resource: None, scope_spans }], ..Received::default() }
}

fn span(attributes: &[(&str, Value)]) -> Span {
    let attributes = attributes.iter().map(|(key, value)| KeyValue::new(*key, value.clone())).collect();
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "step".to_owned(),
        attributes,
        ..Span::default()
    }
}

fn take(config: &str, headers: &HeaderMap, spans: Vec<Span>) -> Result<(Taken, Vec<StoredSpan>), Fault> {
    let kept = Arc::new(Kept::default());
    let gate = gate(config, kept.clone());
    let sender = gate.span_sender(headers)?;
    let taken = gate.spans(&sender, received(spans))?;
    let all = kept.entries.lock().unwrap().concat();
    Ok((taken, all))
}

fn one(attributes: &[(&str, Value)]) -> StoredSpan {
    let (taken, mut all) = take("", &HeaderMap::new(), vec![span(attributes)]).unwrap();
    assert_eq!(taken.accepted, 1);
    all.remove(0)
}

fn attribute(name: &str, value: impl Into<Value>) -> Json {
    let kept = one(&[(name, value.into())]);
    let rest: Json = serde_json::from_slice(&kept.rest).unwrap();
    rest["attributes"].as_object().unwrap().values().next().unwrap().clone()
}

#[test]
fn what_is_private_is_taken_out_of_every_form() {
    let check = |name: &str, value: &str, expected: &str| {
        assert_eq!(attribute(name, value), expected, "{name}: {value}")
    };
    check("note", "ann@example.org called", "[REDACTED:EMAIL_ADDRESS] called");
    check("note", "nothing here", "nothing here");
    // JSON stays JSON, whatever escapes hide, at any depth.
    check("json", r#"{"a":"x\nann@example.org"}"#, r#"{"a":"x\n[REDACTED:EMAIL_ADDRESS]"}"#);
    check("json", r#"["ann\u0040example.org"]"#, r#"["[REDACTED:EMAIL_ADDRESS]"]"#);
    check(
        "json",
        r#"{"a":"{\"b\":\"ann@example.org\"}"}"#,
        r#"{"a":"{\"b\":\"[REDACTED:EMAIL_ADDRESS]\"}"}"#,
    );
    check("json", r#"{"card": 4111111111111111}"#, r#"{"card":"[REDACTED:CREDIT_CARD]"}"#);
    // What holds nothing private stays as it was written, spaces and all.
    check("json", r#"{ "a" : [1,  2.50] }"#, r#"{ "a" : [1,  2.50] }"#);
    check("broken json", r#"{"a": "ann\u0040example.org"#, r#"{"a": "[REDACTED:EMAIL_ADDRESS]"#);
    assert_eq!(attribute("card", 4_111_111_111_111_111_i64), "[REDACTED:CREDIT_CARD]");
    assert_eq!(attribute("time_unix_nano", 1_763_700_000_000_000_000_i64), 1_763_700_000_000_000_000_i64);
    assert_eq!(attribute("bytes", Value::Bytes(b"hi".to_vec())), "aGk=");
    let secret = attribute("db.password", "hunter2-Tr0ub4dor");
    assert!(!secret.as_str().unwrap().contains("hunter2"), "{secret}");
    let kept = one(&[("key of ann@example.org", "x".into())]);
    assert!(!String::from_utf8_lossy(&kept.rest).contains("ann@"), "{kept:?}");
}

#[test]
fn a_person_is_a_hash_and_other_ids_stay() {
    let user = |value: &str| one(&[("user.id", value.into())]).record.caller.user.unwrap().to_string();
    assert_eq!(user("u-17"), "u-17");
    assert!(user("ann@example.org").starts_with("email_address:"), "{}", user("ann@example.org"));
    assert_eq!(user("ann@example.org"), user("ann@example.org"));
    assert_ne!(user("ann@example.org"), user("bob@example.org"));
}

#[test]
fn a_value_beyond_the_limit_is_cut_and_says_so() {
    let value = attribute("long", "word ".repeat(100_000));
    let text = value.as_str().unwrap();
    assert!(text.len() < (256 << 10) + 64, "{}", text.len());
    assert!(text.ends_with("…[cut: 500000 bytes in all]"), "{}", &text[text.len() - 60..]);
}

#[test]
fn a_model_that_sends_no_cost_is_priced_if_it_is_known() {
    let cost = |more: &[(&str, Value)]| {
        let usage = [("gen_ai.usage.input_tokens", 1_000_i64), ("gen_ai.usage.output_tokens", 100)];
        let mut attributes: Vec<(&str, Value)> = usage.map(|(key, count)| (key, count.into())).to_vec();
        attributes.extend(more.iter().cloned());
        one(&attributes).record.cost.map(|cost| cost.0)
    };
    let chat = ("gen_ai.operation.name", Value::from("chat"));
    let openai = ("gen_ai.provider.name", Value::from("openai"));
    let model = ("gen_ai.request.model", Value::from("gpt-4o-mini"));
    // 0.15 and 0.60 USD a million.
    assert_eq!(cost(&[chat.clone(), openai.clone(), model.clone()]), Some(210_000));
    assert_eq!(
        cost(&[chat.clone(), openai.clone(), model.clone(), ("gen_ai.usage.cost", 0.5.into())]),
        Some(500_000_000)
    );
    assert_eq!(cost(&[chat, openai.clone(), ("gen_ai.request.model", "nobody-knows".into())]), None);
    assert_eq!(cost(&[("gen_ai.operation.name", "execute_tool".into()), openai, model]), None);
}

#[test]
fn what_the_key_binds_stands_and_headers_stand_in_for_what_spans_do_not_say() {
    let mut headers = HeaderMap::new();
    headers.insert("x-gauntlet-tenant", HeaderValue::from_static("acme"));
    headers.insert("x-gauntlet-env", HeaderValue::from_static("staging"));
    let spans = || {
        vec![
            span(&[]),
            span(&[("gauntlet.tenant", "other".into()), ("deployment.environment.name", "dev".into())]),
        ]
    };
    let (_, open) = take("", &headers, spans()).unwrap();
    let told = |span: &StoredSpan| {
        format!("{}/{}", span.record.caller.tenant, span.record.caller.environment.as_str())
    };
    assert_eq!(open.iter().map(told).collect::<Vec<_>>(), ["acme/staging", "other/dev"]);
    headers.insert("authorization", HeaderValue::from_static("Bearer acme-key-0123456789"));
    let keys = "keys:\n  - {name: k, key: acme-key-0123456789, tenant: acme, env: prod}\n";
    let (_, bound) = take(keys, &headers, spans()).unwrap();
    assert_eq!(bound.iter().map(told).collect::<Vec<_>>(), ["acme/prod", "acme/prod"]);
    let nobody = take(keys, &HeaderMap::new(), spans()).unwrap_err();
    assert_eq!(nobody.code, Code::Unauthorized);
}

#[test]
fn entries_are_bounded_and_a_full_disk_is_said() {
    let large = || span(&[("text", "word ".repeat(50_000).into())]);
    let kept = Arc::new(Kept::default());
    let open = gate("", kept.clone());
    let sender = open.span_sender(&HeaderMap::new()).unwrap();
    let taken = open.spans(&sender, received(vec![large(); 60])).unwrap();
    assert_eq!((taken.accepted, open.shared.spans.accepted()), (60, 60));
    let sizes: Vec<usize> = kept.entries.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 60);
    assert!(sizes.len() >= 3 && sizes.iter().all(|size| *size <= 16), "{sizes:?}");

    let narrow = gate("", Arc::new(Kept { limit: Some(100_000), ..Kept::default() }));
    let taken = narrow.spans(&sender, received(vec![large()])).unwrap();
    assert_eq!((taken.accepted, taken.rejected), (0, 1));
    assert!(taken.message.contains("larger than is kept"), "{}", taken.message);

    let full = gate("", Arc::new(Kept { limit: Some(0), ..Kept::default() }));
    let fault = full.spans(&sender, received(vec![large()])).unwrap_err();
    assert_eq!((fault.code, fault.retry_after.is_some()), (Code::Unavailable, true));
}

//! Instrumented applications send their spans here: real instrumentation, real exporters, and bytes of all kinds.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use gauntlet_testkit::{
    Conversation, Step,
    http::{self, Reply},
};
use gauntlet_wire::otlp::proto::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue, Link, Resource, ResourceSpans,
    RpcStatus, Scope, ScopeSpans, Span, Status,
};
use prost::Message;
use serde_json::{Value, json};

use crate::app::TestApp;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const SOON: Duration = Duration::from_secs(20);

fn send(app: &TestApp, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    http::post(&app.url("/v1/traces"), headers, body).expect("the gateway answers")
}

fn span(trace: u8, number: u64, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: number.to_be_bytes().to_vec(),
        name: format!("step {number}"),
        start_time_unix_nano: 1_763_700_000_000_000_000 + number * 1_000,
        end_time_unix_nano: 1_763_700_000_000_500_000 + number * 1_000,
        attributes,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![KeyValue::new("service.name", "shop")], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { scope: None, spans }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn partial(reply: &Reply) -> Option<(i64, String)> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
    let answer = ExportTraceServiceResponse::decode(&reply.body[..]).expect("a response");
    answer.partial_success.map(|partial| (partial.rejected_spans, partial.error_message))
}

/// The stored spans of a trace by name, each whole.
fn stored(app: &TestApp, trace: &str, count: usize) -> BTreeMap<String, Value> {
    let until = Instant::now() + SOON;
    loop {
        let found = app.api(&format!("/api/v1/spans?trace_id={trace}&limit=1000"));
        let rows = found["spans"].as_array().expect("a list");
        if rows.len() >= count {
            let whole = rows.iter().map(|row| {
                let record = &row["record"];
                let id = record["span_id"].as_str().expect("an id");
                (
                    record["name"].as_str().expect("a name").to_owned(),
                    app.api(&format!("/api/v1/spans/{trace}/{id}")),
                )
            });
            return whole.collect();
        }
        assert!(Instant::now() < until, "waited too long for {count} spans: {found:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metric(app: &TestApp, name: &str) -> u64 {
    let text = http::get(&app.url("/metrics"), &[]).expect("metrics").text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
}

/// What each instrumentation calls the model's span, and the kind of its retrieval.
const INSTRUMENTORS: [(&str, &str, &str, &str); 3] = [
    ("openinference", "ChatCompletion", "Shelf", "retriever"),
    ("openllmetry", "openai.chat", "shelf", "chain"),
    ("semconv", "chat prov/test-model", "shelf", "retriever"),
];

#[test]
fn agents_of_three_instrumentations_arrive_by_both_protocols_joined_with_the_gateways_calls() {
    let mut app = TestApp::start("");
    let grpc = app.restart_with_grpc();
    app.provider.default(Step::text("It was sent.").usage(120, 30));
    let told = format!("/v1/traces and gRPC on 127.0.0.1:{grpc}");
    let until = Instant::now() + SOON;
    while !app.gateway().stdout().concat().contains(&told) {
        assert!(Instant::now() < until, "{:?}", app.gateway().stdout());
        std::thread::sleep(Duration::from_millis(20));
    }
    for (instrumentor, llm, shelf, shelf_kind) in INSTRUMENTORS {
        for (protocol, endpoint) in [("http", app.url("")), ("grpc", format!("http://127.0.0.1:{grpc}"))] {
            let agent = Conversation::new(&app.url("/v1"), "any", "prov/test-model")
                .setting("OTEL_SERVICE_NAME", "shop")
                .setting("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.trim_end_matches('/'))
                .setting("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
                .setting("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
                .setting("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY");
            let Some(said) = agent.traced_agent(instrumentor, protocol) else { return };
            assert_eq!(said["answer"], "It was sent.", "{said}");
            let trace = said["trace_id"].as_str().expect("a trace").to_owned();
            let spans = stored(&app, &trace, 5);
            let of =
                |name: &str| &spans.get(name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))["record"];
            let place = format!("{instrumentor} over {protocol}: {spans:#?}");
            assert_eq!(spans.len(), 5, "{place}");
            let kinds =
                ["request", "support_agent", shelf, llm, "find_order"].map(|name| of(name)["kind"].clone());
            assert_eq!(kinds, ["other", "agent", shelf_kind, "llm", "tool"].map(Value::from), "{place}");
            assert_eq!(
                (&of(llm)["model"], &of(llm)["service"]),
                (&json!("test-model"), &json!("shop")),
                "{place}"
            );
            let usage = &of(llm)["usage"];
            assert_eq!((&usage["input_fresh"], &usage["output"]), (&json!(120), &json!(30)), "{place}");
            // By prices.yml: 120 tokens at 1 USD a million, 30 at 2.
            assert_eq!(of(llm)["cost"], json!(180_000), "{place}");
            let texts = &spans[llm];
            assert_eq!(texts["input"][1]["content"], "Where is order 81?", "{place}");
            assert_eq!(texts["output"][0]["content"], "It was sent.", "{place}");
            assert_eq!(of("find_order")["tool"], "find_order", "{place}");
            assert_eq!(of("support_agent")["caller"]["user"], "ann", "{place}");
            assert_eq!(of("support_agent")["caller"]["session"], "s-81", "{place}");
            if shelf_kind == "retriever" {
                assert_eq!(of(shelf)["documents"].as_array().map(Vec::len), Some(2), "{place}");
            }
            assert_eq!(of("support_agent")["parent_span_id"], of("request")["span_id"], "{place}");
            let calls = app.api(&format!("/api/v1/traces?trace_id={trace}"));
            let id = calls["traces"][0]["id"].as_str().unwrap_or_else(|| panic!("no call: {calls}"));
            assert_eq!(app.trace(id)["record"]["parent_span_id"], of(llm)["span_id"], "{place}");
        }
    }
    assert_eq!(
        (metric(&app, "gauntlet_spans_received_total"), metric(&app, "gauntlet_spans_rejected_total")),
        (30, 0)
    );
}

#[test]
fn what_cannot_be_taken_is_refused_in_the_senders_encoding() {
    let app = TestApp::start("max_body: 1mb\n");
    let refused = |headers: &[(&str, &str)], body: &[u8], status: u16, code: i32, words: &str| {
        let reply = send(&app, headers, body);
        let text = reply.text();
        assert_eq!(reply.status, status, "{text}");
        let said = match reply.header("content-type") {
            Some("application/x-protobuf") => RpcStatus::decode(&reply.body[..]).expect("a status"),
            Some("application/json") => {
                let said = reply.json();
                let message = said["message"].as_str().expect("a message").to_owned();
                let code = said["code"].as_i64().expect("a code") as i32;
                RpcStatus { code, message, ..RpcStatus::default() }
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(said.code, code, "{}", said.message);
        assert!(said.message.contains(words), "{}", said.message);
        assert_eq!(
            reply.header("content-type"),
            Some(
                headers
                    .first()
                    .filter(|first| **first == PROTOBUF)
                    .map_or("application/json", |first| first.1)
            )
        );
    };
    let valid = request(vec![span(1, 1, Vec::new())]);
    let packed = ("content-encoding", "gzip");
    refused(&[PROTOBUF], b"\x0a\xff", 400, 3, "protobuf");
    refused(&[PROTOBUF], &valid[..valid.len() - 3], 400, 3, "protobuf");
    refused(&[JSON], b"{\"resourceSpans\":", 400, 3, "JSON");
    refused(&[PROTOBUF, packed], &gzip(&valid)[..20], 400, 3, "gzip");
    refused(&[PROTOBUF, packed], &valid, 400, 3, "gzip");
    // 64 MB of nothing in 64 KB.
    refused(&[PROTOBUF, packed], &gzip(&vec![0; 64 << 20]), 413, 3, "larger than");
    refused(&[JSON], &vec![b' '; 2 << 20], 413, 3, "larger than");
    refused(&[("content-type", "text/plain")], &valid, 415, 3, "application/x-protobuf");
    refused(&[PROTOBUF, ("content-encoding", "br")], &valid, 415, 3, "gzip");
    refused(&[PROTOBUF, ("origin", "https://evil.example")], &valid, 403, 7, "another site");
    let wrong_method = http::get(&app.url("/v1/traces"), &[]).expect("the gateway answers");
    assert_eq!((wrong_method.status, wrong_method.json()["code"].as_i64()), (405, Some(12)));
    // And the gateway is as well as before.
    assert_eq!(partial(&send(&app, &[PROTOBUF, packed], &gzip(&valid))), None);
    assert_eq!(send(&app, &[JSON], b"{}").text(), "{}");
    assert_eq!(metric(&app, "gauntlet_spans_received_total"), 1);
}

#[test]
fn grpc_says_what_it_takes_and_why_not() {
    let mut app =
        TestApp::start("max_body: 1mb\nkeys:\n  - {name: acme, key: acme-key-0123456789, tenant: acme}\n");
    let port = app.restart_with_grpc();
    let caller = Conversation::new("", "acme-key-0123456789", "");
    let Some(seen) = caller.setting("TARGET", &format!("127.0.0.1:{port}")).grpc_export() else { return };
    for (case, status, words) in [
        ("plain", "OK", "0"),
        ("gzip", "OK", "0"),
        ("partial", "OK", "1 resource_spans[0].scope_spans[0].spans[1]: span_id is all zeros"),
        ("empty", "OK", "0"),
        ("no key", "UNAUTHENTICATED", "no key was given"),
        ("unknown key", "UNAUTHENTICATED", "nobody knows it"),
        ("garbage", "INVALID_ARGUMENT", "protobuf"),
        ("too large", "INVALID_ARGUMENT", "larger than 1"),
        ("bomb", "INVALID_ARGUMENT", "larger than 1"),
        ("deflate", "UNIMPLEMENTED", "gzip"),
        ("other method", "UNIMPLEMENTED", "TraceService/Export"),
        ("after all", "OK", "0"),
    ] {
        let (got, said) = (&seen[case][0], seen[case][1].as_str().unwrap_or_default());
        assert!(*got == status && said.contains(words), "{case}: {seen:#}");
    }
    assert_eq!(stored(&app, &"09".repeat(16), 4).len(), 1, "four spans of one name");
    assert_eq!(metric(&app, "gauntlet_spans_received_total"), 4);
}

#[test]
fn spans_that_are_wrong_are_left_out_and_counted() {
    let app = TestApp::start("");
    let short = Span { span_id: vec![1], ..span(2, 1, Vec::new()) };
    let reply =
        send(&app, &[PROTOBUF], &request(vec![span(2, 2, Vec::new()), short, span(2, 3, Vec::new())]));
    let (count, message) = partial(&reply).expect("some were rejected");
    assert_eq!(
        (count, message.as_str()),
        (1, "resource_spans[0].scope_spans[0].spans[1]: span_id has 1 bytes instead of 8")
    );
    assert_eq!(stored(&app, &"02".repeat(16), 2).len(), 2);
    assert_eq!(
        (metric(&app, "gauntlet_spans_received_total"), metric(&app, "gauntlet_spans_rejected_total")),
        (2, 1)
    );
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]});
    let reply = send(&app, &[JSON], body.to_string().as_bytes());
    assert_eq!(reply.json()["partialSuccess"]["rejectedSpans"], "1", "{}", reply.text());
}

#[test]
fn a_key_binds_whose_spans_they_are_and_a_switch_stops_them() {
    let app = TestApp::start(
        "keys:\n  - {name: acme, key: acme-key-0123456789, tenant: acme, team: search}\n  - {name: other, key: other-key-0123456789, tenant: other}\n",
    );
    let body = |number| {
        let claims = [
            ("gauntlet.tenant", "other"),
            ("gauntlet.team", "sales"),
            ("user.id", "ann"),
            ("gauntlet.environment", "dev"),
        ];
        request(vec![span(3, number, claims.map(|(key, value)| KeyValue::new(key, value)).to_vec())])
    };
    let bearer = ("authorization", "Bearer acme-key-0123456789");
    assert_eq!(send(&app, &[PROTOBUF], &body(1)).status, 401);
    assert_eq!(send(&app, &[PROTOBUF, ("x-api-key", "gk_unknown")], &body(1)).status, 401);
    assert_eq!(send(&app, &[PROTOBUF, bearer, ("x-gauntlet-tenant", "other")], &body(1)).status, 403);
    assert_eq!(partial(&send(&app, &[PROTOBUF, bearer], &body(1))), None);
    let spans = stored(&app, &"03".repeat(16), 1);
    let caller = &spans["step 1"]["record"]["caller"];
    let got = ["tenant", "team", "user", "key", "environment"].map(|name| caller[name].clone());
    assert_eq!(got, ["acme", "search", "ann", "acme", "dev"].map(Value::from), "{caller:#}");
    app.command(&["kill", "tenant", "acme"]).expect_ok();
    let reply = send(&app, &[PROTOBUF, bearer], &body(2));
    assert_eq!(reply.status, 403);
    assert_eq!(RpcStatus::decode(&reply.body[..]).expect("a status").code, 7);
    assert_eq!(send(&app, &[PROTOBUF, ("x-api-key", "other-key-0123456789")], &body(3)).status, 200);
}

const SECRETS: [&str; 4] = [
    "ghp_aZ3kQ9xW7vB2nM5cL8pR4tY6uE1sD0fGhJqK",
    "4111 1111 1111 1111",
    "carla.secret@example.org",
    "hunter2-Tr0ub4dor",
];

fn hostile() -> Vec<Span> {
    let all = format!(
        "token {} card {} of {} <script>alert(1)</script> \u{0}\u{202e}",
        SECRETS[0], SECRETS[1], SECRETS[2]
    );
    let escaped = format!(
        "[{{\"role\": \"user\", \"content\": \"\\u0063arla.secret\\u0040example.org said\\n{all}\"}}]"
    );
    let escaped = escaped.replace(['\u{0}'], "");
    let nested =
        json!({"outer": json!({"inner": all, "password": SECRETS[3]}).to_string(), "api_key": SECRETS[0]})
            .to_string();
    let broken = format!("{{\"content\": \"carla.secret\\u0040example.org and {all}");
    let attributes = vec![
        KeyValue::new("gen_ai.input.messages", escaped),
        KeyValue::new("input.value", nested),
        KeyValue::new("output.value", broken),
        KeyValue::new("user.id", SECRETS[2]),
        KeyValue::new("session.id", format!("for {}", SECRETS[2])),
        KeyValue::new("db.password", SECRETS[3]),
        KeyValue::new(format!("key {}", SECRETS[0]), "x"),
        KeyValue::new("card", 4_111_111_111_111_111_i64),
        KeyValue::new("tag.tags", vec![SECRETS[2].to_owned()]),
        KeyValue::new("tool.name", all.as_str()),
        KeyValue::new("llm.model_name", all.as_str()),
        KeyValue::new("retrieval.documents.0.document.id", all.as_str()),
    ];
    let one = || vec![KeyValue::new("exception.message", all.as_str())];
    let event =
        gauntlet_wire::otlp::proto::Event { name: all.clone(), attributes: one(), ..Default::default() };
    let exception = gauntlet_wire::otlp::proto::Event {
        name: "exception".to_owned(),
        attributes: one(),
        ..Default::default()
    };
    let link = Link {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        trace_state: all.clone(),
        attributes: one(),
        ..Link::default()
    };
    let status = Some(Status { code: 2, message: all.clone() });
    let full = Span {
        name: format!("step {all}"),
        trace_state: all.clone(),
        events: vec![event, exception],
        links: vec![link],
        status,
        ..span(4, 1, attributes)
    };
    vec![full, span(4, 2, vec![KeyValue::new("user.id", SECRETS[2])])]
}

/// Files below a folder that hold any of the secrets, plain or as bytes that a compressor left in sight.
fn holding(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            holding(&entry, found);
            continue;
        }
        let bytes = fs::read(&entry).unwrap_or_default();
        for secret in SECRETS.into_iter().chain(["4111111111111111", "carla.secret"]) {
            if bytes.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                found.push(format!("{} holds {secret}", entry.display()));
            }
        }
    }
}

#[test]
fn nothing_private_of_any_field_is_kept() {
    let mut app = TestApp::start("");
    let resource =
        Resource { attributes: vec![KeyValue::new("service.name", SECRETS[2])], ..Resource::default() };
    let scope = Scope { name: SECRETS[0].to_owned(), version: SECRETS[2].to_owned(), ..Scope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: hostile() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    assert_eq!(partial(&send(&app, &[PROTOBUF], &body)), None);
    let trace = "04".repeat(16);
    let spans = stored(&app, &trace, 2);
    let shown = json!(spans).to_string();
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    // One person is one person, and nobody's name.
    let users: Vec<_> =
        spans.values().map(|span| span["record"]["caller"]["user"].as_str().expect("a user")).collect();
    assert!(users[0] == users[1] && users[0].starts_with("email_address:"), "{users:?}");
    let full = spans.values().find(|span| span["record"]["is_error"] == true).expect("it failed");
    assert!(full["rest"].to_string().contains("<script>"), "hostile text is data, and kept: {full:#}");
    assert!(
        full["input"][0]["content"].as_str().expect("messages").starts_with("[REDACTED:EMAIL_ADDRESS] said"),
        "{full:#}"
    );
    app.stop();
    let mut found = Vec::new();
    holding(&app.data_dir(), &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn spans_are_there_after_a_kill_right_behind_the_answer() {
    let mut app = TestApp::start("");
    for round in 0..3_u64 {
        let spans = (0..200).map(|number| span(5, round * 200 + number + 1, Vec::new())).collect();
        assert_eq!(partial(&send(&app, &[PROTOBUF], &request(spans))), None);
        app.kill9();
        app.restart();
        let count = (round as usize + 1) * 200;
        assert_eq!(stored(&app, &"05".repeat(16), count).len(), count);
    }
}

#[test]
fn a_trace_of_a_hundred_thousand_spans_is_kept_whole() {
    let app = TestApp::start("");
    for part in 0..10_u64 {
        let some = |number| span(6, part * 10_000 + number + 1, vec![KeyValue::new("number", number as i64)]);
        let body = gzip(&request((0..10_000).map(some).collect()));
        assert_eq!(partial(&send(&app, &[PROTOBUF, ("content-encoding", "gzip")], &body)), None);
    }
    assert_eq!(metric(&app, "gauntlet_spans_received_total"), 100_000);
    let until = Instant::now() + SOON * 3;
    let last = format!("/api/v1/spans/{}/{:016x}", "06".repeat(16), 100_000);
    while http::get(&app.url(&last), &[]).expect("the gateway answers").status != 200 {
        assert!(Instant::now() < until, "the last span is not in the store");
        std::thread::sleep(Duration::from_millis(50));
    }
    let first = app.api(&format!("/api/v1/spans/{}/{:016x}", "06".repeat(16), 1));
    assert_eq!(first["record"]["name"], "step 1");
}

#[test]
fn a_port_that_was_asked_for_must_be_had() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let other = tempfile::tempdir().expect("a folder");
    let data = other.path().display().to_string();
    let launch = gauntlet_testkit::Launch::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["up", "--data", &data])
        .folder(other.path());
    let ended = launch.clone().otlp_port(port).try_serve().err().expect("it does not start");
    assert!(ended.stderr.contains("cannot listen for spans"), "{ended}");
    let ended = launch.args(["--otlp-listen", "nonsense"]).run();
    assert!(ended.code == Some(2) && ended.stderr.contains("nor `off`"), "{ended}");
}

//! Calls leave by whichever protocol a receiver speaks, and arrive the same by each: gRPC with its own ways to refuse and
//! to ask for patience, and JSON that others can read.

use std::{collections::BTreeSet, fs, time::Duration};

use gauntlet_testkit::{Conversation, GrpcReceiver, GrpcStep, Provider, Step, free_port, http, otlp};
use gauntlet_wire::otlp::{
    grpc::{METHOD, Status},
    proto::{ExportTraceServiceRequest, Span},
};
use prost::Message;
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    otlp_out::{SOON, ask, metric, wait_for},
};

fn grpc_config(port: u16, more: &str) -> String {
    format!("exporters:\n  sink: {{otlp: \"http://127.0.0.1:{port}\", protocol: grpc{more}}}\n")
}

/// The ids of calls whose spans have arrived.
fn calls(sink: &GrpcReceiver) -> BTreeSet<String> {
    let spans = sink.spans();
    spans.iter().filter_map(|span| span.get("gauntlet.call.id").as_str().map(str::to_owned)).collect()
}

fn wait_for_metric(app: &TestApp, name: &str, expected: f64) {
    wait_for(&format!("{name} reaches {expected}"), SOON, || (metric(app, name) >= expected).then_some(()));
}

#[test]
fn a_grpc_receiver_that_is_down_hangs_or_is_busy_gets_everything_even_after_a_kill() {
    let port = free_port();
    let mut app =
        TestApp::start(&grpc_config(port, ", headers: {Authorization: \"Bearer very-secret-token\"}"));
    app.provider.default(Step::text("Hello").usage(5, 2));
    // Nobody listens.
    let mut ids: BTreeSet<String> = (0..20).map(|number| ask(&app, &format!("refused {number}"))).collect();
    wait_for_metric(&app, "gauntlet_export_failed_total", 1.0);
    app.kill9();
    app.restart();
    // Somebody takes the call and never answers.
    let hanging = GrpcReceiver::start_at(port);
    hanging.script([GrpcStep::Hang, GrpcStep::Hang]);
    ids.extend((0..20).map(|number| ask(&app, &format!("hanging {number}"))));
    assert!(hanging.wait_for_calls(1, SOON), "the receiver is asked");
    app.kill9();
    drop(hanging);
    app.restart();
    ids.extend((0..5).map(|number| ask(&app, &format!("after {number}"))));
    let doctor = app.command(&["doctor"]);
    assert!(doctor.stdout.contains("exporter sink"), "{doctor}");
    // Up again: busy in every way that is worth another try, then it takes them.
    let sink = GrpcReceiver::start_at(port);
    let soon = Duration::from_millis(20);
    sink.script([
        GrpcStep::Retry(Status::Unavailable, soon),
        GrpcStep::Retry(Status::ResourceExhausted, soon),
        GrpcStep::Http(503),
        GrpcStep::Drop,
        GrpcStep::StatusAtTheEnd(Status::Aborted, "not now"),
    ]);
    wait_for("every call arrives", SOON * 2, || ids.is_subset(&calls(&sink)).then_some(()));
    wait_for("nothing waits any more", SOON, || {
        (metric(&app, "gauntlet_export_queue_bytes") == 0.0).then_some(())
    });
    assert_eq!(metric(&app, "gauntlet_export_refused_total"), 0.0);
    let call = sink.calls().pop().unwrap();
    assert_eq!(call.path, METHOD);
    assert_eq!(call.header("authorization"), Some("Bearer very-secret-token"));
    assert!(call.is_packed);
    let said = app.gateway().stderr().concat();
    assert!(!said.contains("very-secret"), "headers are secrets: {said}");
    let span = sink.spans().into_iter().find(|span| span.name == "chat test-model").unwrap();
    assert_eq!(span.resource["service.name"], "gauntlet");
    assert_eq!(*span.get("llm.cost.total"), 0.000009);
}

#[test]
fn what_a_grpc_receiver_refuses_is_dropped_counted_and_told() {
    let sink = GrpcReceiver::start();
    let mut app = TestApp::start(&grpc_config(sink.port(), ""));
    app.provider.default(Step::text("Hello"));
    let mut refused = 0.0;
    for (step, why, lost) in [
        (
            GrpcStep::Status(Status::InvalidArgument, "no such project"),
            "status INVALID_ARGUMENT: no such project",
            2.0,
        ),
        (GrpcStep::Status(Status::ResourceExhausted, "quota"), "status RESOURCE_EXHAUSTED: quota", 2.0),
        (GrpcStep::StatusAtTheEnd(Status::Unauthenticated, "who?"), "status UNAUTHENTICATED: who?", 2.0),
        (GrpcStep::Partly(1, "one is too old"), "one is too old", 1.0),
    ] {
        sink.script([step]);
        ask(&app, why);
        refused += lost;
        wait_for_metric(&app, "gauntlet_export_refused_total", refused);
        assert!(app.gateway().wait_for_stderr(why, SOON).is_some(), "{why}");
        let doctor = app.command(&["doctor"]);
        assert!(doctor.code != Some(0) && doctor.stdout.contains(why), "{doctor}");
    }
    assert_eq!(metric(&app, "gauntlet_export_refused_total"), 7.0);
    assert_eq!(metric(&app, "gauntlet_export_sent_total"), 1.0);
    assert_eq!(metric(&app, "gauntlet_export_failed_total"), 0.0);
    // And what comes after is taken.
    let id = ask(&app, "taken");
    wait_for("it arrives", SOON, || calls(&sink).contains(&id).then_some(()));
    app.stop().expect_ok();
    assert_eq!(sink.calls().len(), 5, "nothing that was refused is sent again");
}

#[test]
fn grpcs_own_library_reads_the_spans_and_is_given_the_pause_that_it_asks_for() {
    let port = free_port();
    let app = TestApp::start(&grpc_config(port, ", headers: {X-Team: support}"));
    app.provider.default(Step::text("It was sent.").usage(120, 30));
    ask(&app, &format!("first {}", "word ".repeat(1_000)));
    // The calls before the receiver is up have made pauses long: what it asks for is shorter or longer than theirs.
    let script = json!([
        ["UNAVAILABLE"],
        ["RESOURCE_EXHAUSTED", 4],
        ["UNAVAILABLE", 1],
        ["DATA_LOSS", 1],
        ["OK"],
        ["RESOURCE_EXHAUSTED"],
        ["PARTIAL", 2],
        ["OK"]
    ]);
    let library = Conversation::new("", "", "")
        .setting("PORT", &port.to_string())
        .setting("SCRIPT", &script.to_string());
    let receiver = std::thread::spawn(move || library.grpc_receiver());
    // Two spans a call: taken, refused for good, taken but for both, taken.
    wait_for("the first is taken, or there is no receiver", SOON * 3, || {
        (receiver.is_finished() || metric(&app, "gauntlet_export_sent_total") >= 2.0).then_some(())
    });
    if !receiver.is_finished() {
        ask(&app, "second");
        wait_for_metric(&app, "gauntlet_export_refused_total", 2.0);
        ask(&app, "third");
        wait_for_metric(&app, "gauntlet_export_refused_total", 4.0);
        ask(&app, "fourth");
    }
    let Some(seen) = receiver.join().expect("the receiver ends well") else { return };
    wait_for_metric(&app, "gauntlet_export_sent_total", 4.0);
    let seen = seen.as_array().expect("a list").clone();
    let inputs: Vec<&str> = seen
        .iter()
        .map(|call| {
            let input = call["spans"][0][1]["input.value"].as_str().expect("words");
            input.split(' ').next().expect("a word")
        })
        .collect();
    assert_eq!(inputs, ["first", "first", "first", "first", "first", "second", "third", "fourth"]);
    let after = |call: usize| seen[call]["after"].as_f64().expect("seconds");
    assert!((4.0..6.0).contains(&after(2)), "{}", after(2));
    assert!((1.0..3.0).contains(&after(3)) && (1.0..3.0).contains(&after(4)), "{seen:#?}");
    assert_eq!(seen[0]["metadata"]["x-team"], "support");
    assert_eq!(seen[0]["spans"][0][0], "chat test-model");
    let usage = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"];
    assert_eq!(usage.map(|name| &seen[0]["spans"][0][1][name]), ["120", "30"]);
    let said = app.gateway().stderr().concat();
    assert!(said.contains("status UNAVAILABLE: busy, é 100 %") || said.contains("refused"), "{said}");
    assert!(said.contains("status RESOURCE_EXHAUSTED: busy, é 100 %"), "{said}");
}

/// The spans of all requests by their ids, and the resource's attributes of each.
fn spans(requests: impl Iterator<Item = ExportTraceServiceRequest>) -> Vec<(Span, String)> {
    let mut all = Vec::new();
    for resource in requests.flat_map(|request| request.resource_spans) {
        let about = format!("{:?}", resource.resource);
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        all.extend(spans.map(|span| (span, about.clone())));
    }
    all.sort_by(|a, b| a.0.span_id.cmp(&b.0.span_id));
    all
}

#[test]
fn json_reads_as_the_same_spans_by_another_implementation() {
    let (protobuf, json) = (Provider::start(), Provider::start());
    for sink in [&protobuf, &json] {
        sink.default(Step::plain(json!({})));
    }
    let exporter = |sink: &Provider, protocol: &str| {
        format!("{{otlp: \"http://127.0.0.1:{}/v1/traces\", protocol: {protocol}}}", sink.port())
    };
    let mut app = TestApp::start(&format!(
        "exporters:\n  bytes: {}\n  sink: {}\n",
        exporter(&protobuf, "http/protobuf"),
        exporter(&json, "http/json")
    ));
    app.provider.script([
        Step::text("Ünïcode \" \\ \u{1} \u{1f600} \u{2028}").usage(120, 30),
        Step::tool_call("find_order", &[r#"{"id": 81}"#]).usage(9, 4),
        Step::status(400),
        Step::stream(&["One ", "two"]).usage(7, 2),
    ]);
    let headers = [("x-gauntlet-session", "s-81"), ("x-gauntlet-tags", "a,b")];
    for (text, status) in [("Ü\n\t\"quoted\"", 200), ("Use the tool.", 200), ("Fail.", 400)] {
        assert_eq!(app.chat(&headers, &TestApp::body(text)).status, status);
    }
    assert!(app.stream(&headers, &TestApp::body("Count.")).collect().has_done());
    app.stop().expect_ok();
    let request = json.last_request();
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let expected = spans(
        protobuf
            .requests()
            .iter()
            .map(|request| ExportTraceServiceRequest::decode(&otlp::plain(request)[..]).expect("protobuf")),
    );
    assert_eq!(expected.len(), 9, "four calls, an attempt each, and a tool");
    let folder = tempfile::tempdir().expect("a folder");
    let mut read = Vec::new();
    for (number, request) in json.requests().iter().enumerate() {
        let file = folder.path().join(format!("{number}.json"));
        fs::write(&file, otlp::plain(request)).expect("a file");
        let Some(bytes) = Conversation::otlp_json(&file) else { return };
        read.push(ExportTraceServiceRequest::decode(&bytes[..]).expect("protobuf"));
    }
    assert_eq!(spans(read.into_iter()), expected);
}

#[test]
fn what_a_receiver_of_json_refuses_is_read_in_json() {
    let sink = Provider::start();
    let partly = json!({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "one is too old"}});
    sink.script([
        Step::status(503),
        Step::plain(partly),
        Step::plain(json!({"code": 3, "message": "no"})).with_status(400),
    ]);
    sink.default(Step::plain(json!({})));
    let app = TestApp::start(&format!(
        "exporters:\n  sink: {{otlp: \"http://127.0.0.1:{}/v1/traces\", protocol: http/json}}\n",
        sink.port()
    ));
    app.provider.default(Step::text("Hello"));
    for (refused, sent) in [(1.0, 1.0), (3.0, 1.0), (3.0, 3.0)] {
        ask(&app, "hello");
        wait_for_metric(&app, "gauntlet_export_refused_total", refused);
        wait_for_metric(&app, "gauntlet_export_sent_total", sent);
    }
    assert_eq!(metric(&app, "gauntlet_export_failed_total"), 1.0);
    let said = app.gateway().stderr().concat();
    assert!(said.contains("one is too old") && said.contains("status 400"), "{said}");
}

#[test]
fn a_reload_sends_what_waits_by_the_new_protocol() {
    let (grpc, json) = (GrpcReceiver::start(), Provider::start());
    json.default(Step::plain(json!({})));
    let app = TestApp::start(&grpc_config(grpc.port(), ""));
    app.provider.default(Step::text("Hello"));
    let reload = |config: &str| {
        app.reconfigure(config);
        let reply = http::post(&app.url("/api/v1/reload"), &[], b"").expect("the gateway answers");
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    ask(&app, "taken");
    wait_for_metric(&app, "gauntlet_export_sent_total", 2.0);
    // It has a connection, and is not well: what waits for it goes another way.
    grpc.script(std::iter::repeat_n(GrpcStep::Status(Status::Unavailable, "ill"), 100));
    let id = ask(&app, "waits");
    wait_for_metric(&app, "gauntlet_export_failed_total", 1.0);
    let url = format!("http://127.0.0.1:{}/v1/traces", json.port());
    reload(&format!("exporters:\n  sink: {{otlp: \"{url}\", protocol: http/json}}\n"));
    wait_for("it arrives as JSON", SOON, || {
        let spans = json.requests().iter().flat_map(otlp::spans).collect::<Vec<_>>();
        spans.iter().any(|span| *span.get("gauntlet.call.id") == *id).then_some(())
    });
    let well = GrpcReceiver::start();
    reload(&grpc_config(well.port(), ""));
    let id = ask(&app, "back");
    wait_for("it arrives by gRPC", SOON, || calls(&well).contains(&id).then_some(()));
    assert_eq!(metric(&app, "gauntlet_export_refused_total"), 0.0);
}

#[test]
fn one_gateway_tells_another_by_every_protocol() {
    let mut other = TestApp::start("keys:\n  - {name: acme, key: acme-key-0123456789, tenant: acme}\n");
    let grpc = other.restart_with_grpc();
    let http = other.url("/v1/traces");
    let grpc = format!("http://127.0.0.1:{grpc}");
    for (number, (protocol, address)) in
        [("http/protobuf", &http), ("http/json", &http), ("grpc", &grpc)].into_iter().enumerate()
    {
        let app = TestApp::start(&format!(
            "exporters:\n  sink: {{otlp: \"{address}\", protocol: {protocol}, headers: {{authorization: \"Bearer acme-key-0123456789\"}}}}\n"
        ));
        app.provider.default(Step::tool_call("find_order", &[r#"{"id": 81}"#]).usage(120, 30));
        let trace = format!("4bf92f3577b34da6a3ce929d0e0e47{number:02}");
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let headers = [("x-gauntlet-session", "s-81"), ("x-gauntlet-user", "ann"), ("traceparent", &parent)];
        assert_eq!(app.chat(&headers, &TestApp::body("Where is my order?")).status, 200);
        wait_for_metric(&app, "gauntlet_export_sent_total", 3.0);
        let spans = wait_for("the spans are shown", SOON, || {
            let found = other.api(&format!("/api/v1/spans?trace_id={trace}&limit=1000"));
            found["spans"].as_array().filter(|spans| spans.len() >= 3).cloned()
        });
        let place = format!("by {protocol}: {spans:#?}");
        assert_eq!(spans.len(), 3, "{place}");
        let of = |name: &str| -> &Value {
            let found = spans.iter().map(|span| &span["record"]).find(|record| record["name"] == name);
            found.unwrap_or_else(|| panic!("no {name}, {place}"))
        };
        let call = of("chat test-model");
        assert_eq!((&call["kind"], &call["model"]), (&json!("llm"), &json!("test-model")), "{place}");
        let usage = &call["usage"];
        assert_eq!((&usage["input_fresh"], &usage["output"]), (&json!(120), &json!(30)), "{place}");
        assert_eq!(call["cost"], json!(180_000), "{place}");
        let caller = &call["caller"];
        let who = ["tenant", "session", "user"].map(|name| caller[name].clone());
        assert_eq!(who, ["acme", "s-81", "ann"].map(Value::from), "{place}");
        assert_eq!(of("execute_tool find_order")["tool"], "find_order", "{place}");
        let id = call["span_id"].as_str().expect("an id");
        let whole = other.api(&format!("/api/v1/spans/{trace}/{id}"));
        assert_eq!(whole["input"][0]["content"], "Where is my order?", "{whole:#}");
        assert_eq!(of("attempt prov/test-model")["parent_span_id"], call["span_id"], "{place}");
    }
    let metrics = http::get(&other.url("/metrics"), &[]).expect("metrics").text();
    assert!(metrics.contains("gauntlet_spans_received_total 9"), "{metrics}");
    // A key that the other does not know: refused for good, and told.
    let app = TestApp::start(&grpc_config(0, "").replace("http://127.0.0.1:0", &grpc));
    app.provider.default(Step::text("Hello"));
    ask(&app, "hello");
    wait_for_metric(&app, "gauntlet_export_refused_total", 2.0);
    assert!(app.gateway().wait_for_stderr("status UNAUTHENTICATED: ", SOON).is_some());
}

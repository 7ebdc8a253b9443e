//! Every call arrives as spans where the operator wants them, and a receiver that is down delays and loses nothing.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use gauntlet_testkit::{
    PhoenixServer, Provider, Step, free_port, http,
    otlp::{self, SeenSpan},
};
use serde_json::{Value, json};

use crate::app::TestApp;

pub(crate) const SOON: Duration = Duration::from_secs(20);

fn config(port: u16, more: &str) -> String {
    format!("exporters:\n  sink: {{otlp: \"http://127.0.0.1:{port}/v1/traces\"{more}}}\n")
}

fn taking(port: Option<u16>) -> Provider {
    let sink = port.map_or_else(Provider::start, Provider::start_at);
    sink.default(taken());
    sink
}

/// An empty `ExportTraceServiceResponse`.
fn taken() -> Step {
    Step::plain(json!({})).body("")
}

fn spans(sink: &Provider) -> Vec<SeenSpan> {
    sink.requests().iter().flat_map(otlp::spans).collect()
}

/// The spans of calls, by the call's id.
fn calls(sink: &Provider) -> BTreeSet<String> {
    let spans = spans(sink);
    spans.iter().filter_map(|span| span.get("gauntlet.call.id").as_str().map(str::to_owned)).collect()
}

#[track_caller]
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_for_calls(sink: &Provider, ids: &BTreeSet<String>) {
    wait_for("every call arrives", SOON, || {
        let seen = calls(sink);
        ids.is_subset(&seen).then_some(())
    });
}

/// Asks once, quickly; the call's id.
pub(crate) fn ask(app: &TestApp, text: &str) -> String {
    let reply = app.chat(&[], &TestApp::body(text));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.took < Duration::from_secs(1), "a call waited: {:?}", reply.took);
    reply.header("x-gauntlet-request-id").expect("every answer names its request").to_owned()
}

fn metrics(app: &TestApp) -> String {
    http::get(&app.url("/metrics"), &[]).expect("metrics").text()
}

pub(crate) fn metric(app: &TestApp, name: &str) -> f64 {
    let text = metrics(app);
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{exporter=\"sink\"}}")));
    let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("no {name}: {text}"));
    value.parse().expect("a number")
}

#[test]
fn phoenix_shows_calls_with_models_messages_tokens_cost_and_sessions() {
    let Some(phoenix) = PhoenixServer::start() else { return };
    let http = format!("otlp: \"{}\"", phoenix.traces_url());
    shows_calls(&phoenix, "default", &http, "4bf92f3577b34da6a3ce929d0e0e4736");
    let grpc = format!(
        "otlp: \"{}\", protocol: grpc, resource: {{openinference.project.name: by_grpc}}",
        phoenix.grpc_url()
    );
    shows_calls(&phoenix, "by_grpc", &grpc, "4bf92f3577b34da6a3ce929d0e0e4737");
}

fn shows_calls(phoenix: &PhoenixServer, project: &str, exporter: &str, trace: &str) {
    let app = TestApp::start(&format!("exporters: {{phoenix: {{{exporter}}}}}\n"));
    let session = format!("s-{project}");
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("x-gauntlet-session", &*session), ("x-gauntlet-user", "ann"), ("traceparent", &parent)];
    app.provider.script([
        Step::text("On its way, ann.").usage(120, 30),
        Step::stream(&["One ", "two"]).usage(7, 2),
        Step::tool_call("find_order", &[r#"{"id": 81}"#]).usage(9, 4),
        Step::status(400),
    ]);
    assert_eq!(app.chat(&headers, &TestApp::body("Where is my order?")).status, 200);
    assert!(app.stream(&headers, &TestApp::body("Count.")).collect().has_done());
    assert_eq!(app.chat(&headers, &TestApp::body("Use the tool.")).status, 200);
    assert_eq!(app.chat(&headers, &TestApp::body("Fail.")).status, 400);
    // Four calls, an attempt each, and a tool.
    let spans = phoenix.wait_for_spans(project, 9, SOON);
    let of_kind = |kind: &str| spans.iter().filter(|span| span["span_kind"] == kind).count();
    assert_eq!((of_kind("LLM"), of_kind("CHAIN"), of_kind("TOOL")), (4, 4, 1), "{spans:#?}");
    let named = |input: &str| -> &Value {
        let found = spans.iter().find(|span| span["attributes"]["input.value"] == input);
        found.unwrap_or_else(|| panic!("no span asks {input}: {spans:#?}"))
    };
    let plain = named("Where is my order?");
    assert_eq!(plain["context"]["trace_id"], trace, "{plain:#}");
    assert_eq!(plain["parent_id"], "00f067aa0ba902b7");
    let has = |name: &str, value: Value| assert_eq!(plain["attributes"][name], value, "{name}: {plain:#}");
    has("output.value", json!("On its way, ann."));
    has("llm.model_name", json!("test-model"));
    has("llm.token_count.prompt", json!(120));
    has("llm.token_count.completion", json!(30));
    has("llm.input_messages.0.message.role", json!("user"));
    has("llm.input_messages.0.message.content", json!("Where is my order?"));
    has("llm.output_messages.0.message.content", json!("On its way, ann."));
    has("llm.cost.total", json!(0.00018));
    has("session.id", json!(session));
    has("user.id", json!("ann"));
    let failed = named("Fail.");
    assert_eq!(failed["status_code"], "ERROR", "{failed:#}");
    let tool = spans.iter().find(|span| span["span_kind"] == "TOOL").unwrap();
    assert_eq!(tool["attributes"]["tool.name"], "find_order", "{tool:#}");
    assert_eq!(named("Count.")["attributes"]["output.value"], "One two");
    // What its pages add up: nothing counts twice.
    let shown = phoenix.graphql(
        "{projects{edges{node{name tokenCountPrompt tokenCountCompletion sessions(first: 9){edges{node{sessionId numTraces}}}}}}}",
    );
    let projects = shown["projects"]["edges"].as_array().unwrap();
    let project = projects.iter().map(|edge| &edge["node"]).find(|node| node["name"] == project).unwrap();
    assert_eq!(
        (&project["tokenCountPrompt"], &project["tokenCountCompletion"]),
        (&json!(136.0), &json!(36.0))
    );
    assert_eq!(project["sessions"]["edges"][0]["node"]["sessionId"], session, "{shown:#}");
}

#[test]
fn a_receiver_that_is_down_delays_nothing_and_gets_everything_even_after_a_kill() {
    let port = free_port();
    let mut app = TestApp::start(&config(port, ", headers: {authorization: \"Bearer very-secret-token\"}"));
    app.provider.default(Step::text("Hello").usage(5, 2));
    // Nobody listens.
    let mut ids: BTreeSet<String> = (0..30).map(|number| ask(&app, &format!("refused {number}"))).collect();
    wait_for("the failure is counted", SOON, || {
        (metric(&app, "gauntlet_export_failed_total") > 0.0).then_some(())
    });
    app.kill9();
    app.restart();
    // Somebody listens and never answers.
    let hanging = Provider::start_at(port);
    hanging.default(Step::hang());
    ids.extend((0..30).map(|number| ask(&app, &format!("hanging {number}"))));
    assert!(hanging.wait_for_requests(1, SOON), "the receiver is asked");
    app.kill9();
    drop(hanging);
    app.restart();
    ids.extend((0..5).map(|number| ask(&app, &format!("after {number}"))));
    let doctor = app.command(&["doctor"]);
    assert!(doctor.stdout.contains("exporter sink"), "{doctor}");
    // Up again: busy first, then it takes them.
    let sink = Provider::start_at(port);
    sink.script([Step::status(429).header("retry-after", "1"), Step::status(503)]);
    sink.default(taken());
    wait_for("every call arrives", SOON * 2, || ids.is_subset(&calls(&sink)).then_some(()));
    wait_for("nothing waits any more", SOON, || {
        (metric(&app, "gauntlet_export_queue_bytes") == 0.0).then_some(())
    });
    let request = sink.last_request();
    assert_eq!(request.path, "/v1/traces");
    assert_eq!(request.header("authorization"), Some("Bearer very-secret-token"));
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    let said = app.gateway().stderr().concat();
    assert!(!said.contains("very-secret"), "headers are secrets: {said}");
    let span = spans(&sink).into_iter().find(|span| span.name == "chat test-model").unwrap();
    assert_eq!(span.resource["service.name"], "gauntlet");
    assert_eq!(*span.get("gen_ai.provider.name"), "prov");
    assert_eq!(*span.get("server.address"), "127.0.0.1");
    assert_eq!(*span.get("llm.cost.total"), 0.000009);
}

#[test]
fn a_stop_sends_what_waits_and_a_start_nothing_twice() {
    let sink = taking(None);
    let mut app = TestApp::start(&config(sink.port(), ""));
    app.provider.default(Step::text("Hello"));
    let ids: BTreeSet<String> = (0..20).map(|number| ask(&app, &format!("call {number}"))).collect();
    app.stop().expect_ok();
    assert_eq!(calls(&sink), ids);
    let sent = spans(&sink).len();
    app.restart();
    let last = ask(&app, "another");
    wait_for_calls(&sink, &[last].into());
    assert_eq!(spans(&sink).len(), sent + 2);
}

#[test]
fn a_full_queue_drops_the_oldest_and_says_so() {
    let port = free_port();
    let app = TestApp::start(&config(port, ", queue: 1mb"));
    app.provider.default(Step::text(&"word ".repeat(1_500)));
    let long = "words of a caller ".repeat(500);
    let ids: Vec<String> = (0..80).map(|number| ask(&app, &format!("{number} {long}"))).collect();
    let dropped = || metric(&app, "gauntlet_export_dropped_total");
    // Of 80 calls of some 26 KB each.
    wait_for("the loss is counted", SOON, || (dropped() > 60.0).then_some(()));
    assert!(metric(&app, "gauntlet_export_queue_bytes") <= f64::from(1 << 20));
    wait_for("the loss is logged", SOON, || {
        app.gateway()
            .stderr()
            .concat()
            .contains("the queue of spans is full: the oldest are dropped")
            .then_some(())
    });
    // From what the gateway notes once in a while.
    wait_for("the doctor tells of it", SOON, || {
        let doctor = app.command(&["doctor"]);
        let says = "spans were dropped: its queue was full";
        (doctor.code != Some(0) && doctor.stdout.contains(says)).then_some(())
    });
    let sink = taking(Some(port));
    wait_for("the rest arrives", SOON * 2, || {
        (metric(&app, "gauntlet_export_queue_bytes") == 0.0).then_some(())
    });
    assert!(calls(&sink).contains(&ids[79]));
    let seen = calls(&sink);
    let missing: Vec<usize> = (0..ids.len()).filter(|number| !seen.contains(&ids[*number])).collect();
    assert_eq!(dropped(), 2.0 * missing.len() as f64);
    // Calls of two workers may change places, but not by much.
    assert!(missing.iter().all(|number| *number < missing.len() + 20), "the oldest are missing: {missing:?}");
}

#[test]
fn a_refusal_is_given_up_and_a_reload_takes_over_the_mended_exporter() {
    let (closed, open) = (Provider::start(), taking(None));
    closed.default(Step::status(401));
    let app = TestApp::start(&config(closed.port(), ""));
    app.provider.default(Step::text("Hello"));
    for number in 0..3 {
        ask(&app, &format!("lost {number}"));
        wait_for("the refusal is counted", SOON, || {
            (metric(&app, "gauntlet_export_refused_total") >= 2.0 * f64::from(number + 1)).then_some(())
        });
    }
    let said = app.gateway().stderr().concat();
    assert_eq!(said.matches("the receiver refuses spans").count(), 1, "{said}");
    assert!(said.contains("status 401"), "{said}");
    app.reconfigure(&config(open.port(), ", profile: openinference, texts: no"));
    let reply = http::post(&app.url("/api/v1/reload"), &[], b"").expect("the gateway answers");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = ask(&app, "words that stay here");
    wait_for_calls(&open, &[id].into());
    let span = spans(&open).remove(0);
    assert_eq!(*span.get("llm.model_name"), "test-model");
    assert!(span.get("input.value").is_null(), "{span:?}");
    // Gone from the configuration: nothing is sent any more.
    app.reconfigure("");
    http::post(&app.url("/api/v1/reload"), &[], b"").expect("the gateway answers");
    let before = open.requests().len();
    ask(&app, "unseen");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(open.requests().len(), before);
}

//! What a record says of a call beyond its texts: how its stream came, what was retrieved for it, what each attempt cost.

use std::time::Duration;

use gauntlet_testkit::{Step, http};
use serde_json::json;

use crate::app::TestApp;

#[test]
fn a_stream_has_its_pace_in_the_record_and_in_the_metrics() {
    let app = TestApp::start("");
    app.provider.default(
        Step::answer(&["one ", "two ", "three"]).delay_between(Duration::from_millis(40)).usage(9, 3),
    );
    let mut body = TestApp::body("count");
    body["stream"] = json!(true);
    let mut stream = app.stream(&[], &body);
    let id = stream.header("x-gauntlet-request-id").unwrap().to_owned();
    while stream.next_frame().is_some() {}
    let record = app.trace(&id)["record"].clone();
    let timing = &record["stream"];
    assert_eq!(timing["chunks"], 3, "{record}");
    let (first, last) = (record["first_token_us"].as_u64().unwrap(), timing["last_us"].as_u64().unwrap());
    assert!(last >= first + 70_000, "two pauses of 40 ms lie between: {first} to {last}");
    assert!((30_000..last).contains(&timing["gap_max_us"].as_u64().unwrap()), "{timing}");
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    for line in [
        "gen_ai_client_operation_time_to_first_chunk_seconds_count{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"prov\",gen_ai_request_model=\"test-model\"} 1",
        "gen_ai_client_operation_time_per_output_chunk_seconds_count{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"prov\",gen_ai_request_model=\"test-model\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn what_was_retrieved_stands_in_the_record() {
    let app = TestApp::start("");
    let body = TestApp::body("Where is the tower?");
    let listed = r#"[{"id": "kb-12", "score": 0.83}, "kb-7", {"id": "ann@example.com", "score": null}]"#;
    let by_header = app.chat(&[("x-gauntlet-documents", listed)], &body);
    let documents = app.trace_of(&by_header)["record"]["documents"].clone();
    assert_eq!(documents[0], json!({"id": "kb-12", "score": 0.83}));
    assert_eq!(documents[1], json!({"id": "kb-7"}));
    let hashed = documents[2]["id"].as_str().unwrap();
    assert!(hashed.starts_with("email_address:"), "an address is kept as its keyed hash: {hashed}");

    let mut named = body.clone();
    named["gauntlet"] = json!({"documents": [{"id": "kb-1", "score": 2}]});
    let by_body = app.chat(&[], &named);
    assert_eq!(app.trace_of(&by_body)["record"]["documents"], json!([{"id": "kb-1", "score": 2.0}]));
    assert_eq!(app.provider.last_request().json().get("gauntlet"), None);

    for (bad, why) in [
        ("kb-12", "must be JSON"),
        (r#"{"id": "a"}"#, "must be a list"),
        (r#"[{"id": "a", "score": "high"}]"#, "[0] must be"),
        (r#"["a", ""]"#, "[1] must have an id"),
        (&format!("[{}]", vec!["\"a\""; 101].join(",")), "lists 101 documents"),
    ] {
        let refused = app.chat(&[("x-gauntlet-documents", bad)], &body);
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains(why), "{why}: {}", refused.text());
    }
}

#[test]
fn each_attempt_says_what_it_used_and_cost() {
    let app = TestApp::with_files(
        "models: {m: {targets: [prov/first, prov/last]}}\ndefault: {retry: {attempts: 1}}",
        &[("prices.yml", "first: {input: 1, output: 2}\nlast: {input: 1, output: 2}\n")],
    );
    // The first breaks off in the middle of an answer, which is billed; then another answers.
    app.provider.respond(|request| match request.json()["model"].as_str() {
        Some("first") => Step::answer(&["half of an answer that"]).usage(9, 5).cut_after_bytes(60),
        _ => Step::answer(&["whole"]).usage(9, 5),
    });
    let reply = app.chat(&[], &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let call = app.trace_of(&reply);
    let attempts = call["attempts"].as_array().unwrap();
    assert_eq!((&attempts[0]["target"], &attempts[1]["target"]), (&json!("prov/first"), &json!("prov/last")));
    let cost = |at: usize| attempts[at]["cost"].as_i64().unwrap();
    assert!(cost(0) > 0, "{call}");
    assert_eq!(cost(1), 9 * 1_000 + 5 * 2_000, "{call}");
    assert_eq!(cost(0) + cost(1), call["record"]["cost"].as_i64().unwrap(), "{call}");
    assert_eq!(attempts[1]["usage"]["output"], 5, "{call}");
}

#[test]
fn a_tool_stands_between_the_calls_with_what_it_was_given_and_gave_back() {
    let app = TestApp::start("routes: {bot: {input: {pii: redact}, output: {pii: redact}}}");
    app.provider.script([
        Step::tool_call("find_order", &["{\"of\":", "\"ann@example.com\"}"]).usage(9, 5),
        Step::text("It was sent.").usage(20, 5),
    ]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let headers = [("x-gauntlet-route", "bot"), ("traceparent", &parent)];
    let mut body = TestApp::body("Where is my order?");
    let asked = app.chat(&headers, &body);
    app.trace_of(&asked);
    let answer = asked.json()["choices"][0]["message"].clone();
    let id = answer["tool_calls"][0]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(answer);
    messages.push(json!({"role": "tool", "tool_call_id": id, "content": "sent to bob@example.com"}));
    let brought = app.chat(&headers, &body);
    assert_eq!(brought.status, 200, "{}", brought.text());
    let results = app.trace_of(&brought)["record"]["tool_results"].clone();
    assert_eq!((&results[0]["id"], &results[0]["name"]), (&id, &json!("find_order")));

    let tree = app.api(&format!("/api/v1/trace-tree/{trace}"));
    let steps = tree["steps"].as_array().unwrap();
    let sorts: Vec<_> = steps.iter().map(|step| step["sort"].as_str().unwrap()).collect();
    assert_eq!(sorts, ["call", "tool", "call"], "{tree:#}");
    let tool = &steps[1];
    assert_eq!((&tool["name"], &tool["depth"]), (&json!("find_order"), &json!(1)));
    let (given, gave) = (tool["arguments"].as_str().unwrap(), tool["output"].as_str().unwrap());
    assert!(given.starts_with("{\"of\":\"") && !given.contains("ann@"), "{given}");
    assert!(gave.starts_with("sent to ") && !gave.contains("bob@"), "{gave}");
    assert!(tool["took_us"].as_u64().unwrap() > 0, "{tool}");
    let shown = app.command(&["trace", "show", trace]).expect_ok().stdout;
    assert!(shown.contains("find_order [tool]"), "{shown}");
}

//! A route may ask that exact repeats are answered again for nothing; nothing private is kept for that.

use gauntlet_testkit::{Step, http::Reply};
use serde_json::{Value, json};

use crate::app::TestApp;

const CONFIG: &str = "routes:
  cached: {cache: 10m}
  other: {cache: 10m}
  bare:
    cache: 10m
    input: {pii: allow, secrets: allow, injection: allow}
    output: {pii: allow, secrets: allow}
    record: {bodies: false}";

fn ask(app: &TestApp, route: &str, tenant: &str, body: &Value) -> Reply {
    let reply = app.chat(&[("x-gauntlet-route", route), ("x-gauntlet-tenant", tenant)], body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn cache(reply: &Reply) -> &str {
    reply.header("x-gauntlet-cache").unwrap_or("none")
}

#[test]
fn an_exact_repeat_is_answered_for_nothing() {
    let app = TestApp::with_files(CONFIG, &[("budgets.yml", "tenants:\n  acme:\n    daily_usd: 5\n")]);
    let body = TestApp::body("what is a moat?");
    let first = ask(&app, "cached", "acme", &body);
    let again = ask(&app, "cached", "acme", &body);
    assert_eq!((cache(&first), cache(&again)), ("miss", "exact"));
    assert_eq!(first.body, again.body);
    assert_eq!(app.provider.requests().len(), 1, "the provider was asked once");
    assert_ne!(first.header("x-gauntlet-cost-usd"), Some("0.00"));
    assert_eq!(again.header("x-gauntlet-cost-usd"), Some("0.00"));
    assert_eq!(again.header("x-gauntlet-model"), Some("prov/test-model"));
    let trace = app.trace_of(&again);
    let record = &trace["record"];
    assert_eq!(
        (&record["cache"], &record["cost"], &record["outcome"]),
        (&"exact".into(), &0.into(), &"ok".into())
    );
    assert!(record["attempts"].as_array().is_none_or(Vec::is_empty), "{record:#}");
    assert_eq!(trace["output"]["choices"][0]["message"]["content"], "Hello there");

    assert_eq!(cache(&ask(&app, "cached", "other", &body)), "miss", "each tenant has its own");
    assert_eq!(cache(&ask(&app, "other", "acme", &body)), "miss", "each route has its own");
    let mut other = body.clone();
    other["seed"] = 1.into();
    assert_eq!(cache(&ask(&app, "cached", "acme", &other)), "miss", "every field counts");
}

#[test]
fn nothing_is_cached_unless_the_route_asks() {
    let app = TestApp::start(CONFIG);
    for _ in 0..2 {
        assert_eq!(cache(&ask(&app, "default", "acme", &TestApp::body("hi"))), "none");
    }
    assert_eq!(app.provider.requests().len(), 2);
}

#[test]
fn a_streamed_answer_is_replayed_as_a_stream() {
    let app = TestApp::start(CONFIG);
    app.provider.script([Step::stream(&["one ", "two ", "three"])]);
    let headers = [("x-gauntlet-route", "cached")];
    let first = app.stream(&headers, &TestApp::body("count")).collect();
    let again = app.stream(&headers, &TestApp::body("count")).collect();
    assert_eq!(again.header("x-gauntlet-cache"), Some("exact"));
    assert!(again.header("content-type").unwrap().starts_with("text/event-stream"));
    assert_eq!((first.text().as_str(), again.text().as_str()), ("one two three", "one two three"));
    assert!(again.has_done());
    assert_eq!(app.provider.requests().len(), 1);
    let trace = app.trace(again.header("x-gauntlet-request-id").unwrap());
    assert_eq!(trace["output"]["choices"][0]["message"]["content"], "one two three", "{trace:#}");
    assert_eq!((&trace["record"]["cost"], &trace["record"]["cache"]), (&0.into(), &"exact".into()));
    // A plain call is the same question, and gets a whole answer.
    let plain = ask(&app, "cached", "default", &TestApp::body("count"));
    assert_eq!(cache(&plain), "exact");
    assert_eq!(plain.json()["choices"][0]["message"]["content"], "one two three");
}

#[test]
fn what_holds_private_data_is_not_kept() {
    let app = TestApp::start(CONFIG);
    for route in ["cached", "bare"] {
        let mail = TestApp::body("write to ann@example.org");
        for _ in 0..2 {
            assert_eq!(
                cache(&ask(&app, route, "acme", &mail)),
                "miss",
                "{route}: a question with an address"
            );
        }
        let clean = TestApp::body("whom do I write to?");
        app.provider
            .script([Step::answer(&["to ann@", "example.org"]), Step::answer(&["to bob@example.org"])]);
        for _ in 0..2 {
            assert_eq!(
                cache(&ask(&app, route, "acme", &clean)),
                "miss",
                "{route}: an answer with an address"
            );
        }
        app.provider
            .script([Step::stream(&["to ann@", "example.org"]), Step::stream(&["to bob@example.org"])]);
        for _ in 0..2 {
            let headers = [("x-gauntlet-route", route)];
            let streamed = app.stream(&headers, &TestApp::body("whom?")).collect();
            assert_eq!(
                streamed.header("x-gauntlet-cache"),
                Some("miss"),
                "{route}: a stream with an address"
            );
        }
        let public = TestApp::body("what is a moat?");
        assert_eq!(cache(&ask(&app, route, "acme", &public)), "miss");
        assert_eq!(cache(&ask(&app, route, "acme", &public)), "exact", "{route}: the rest is kept");
    }
}

#[test]
fn private_variables_of_a_prompt_are_not_kept() {
    let prompt = "name: greet\nversion: 1.0.0\nrequired_vars: [who]\ntemplate: Say hello to $who.\n";
    let app = TestApp::with_files(CONFIG, &[("prompts/greet.yaml", prompt)]);
    let body = |who: &str| json!({"model": "prov/test-model", "gauntlet": {"prompt": "greet@1.0.0", "variables": {"who": who}}});
    for stream in [false, true] {
        let mut private = body("ann@example.org");
        let mut public = body("the world");
        (private["stream"], public["stream"]) = (stream.into(), stream.into());
        for _ in 0..2 {
            assert_eq!(cache(&ask(&app, "cached", "acme", &private)), "miss", "stream: {stream}");
        }
        let first = if stream { "exact" } else { "miss" };
        assert_eq!(cache(&ask(&app, "cached", "acme", &public)), first, "stream: {stream}");
        assert_eq!(cache(&ask(&app, "cached", "acme", &public)), "exact", "stream: {stream}");
    }
}

#[test]
fn a_failed_answer_is_not_kept() {
    let app = TestApp::start("routes:\n  cached: {cache: 10m, fallback: Sorry., retry: off}");
    app.provider.script([Step::status(500)]);
    let first = ask(&app, "cached", "acme", &TestApp::body("hi"));
    assert_eq!(first.json()["choices"][0]["message"]["content"], "Sorry.");
    let second = ask(&app, "cached", "acme", &TestApp::body("hi"));
    assert_eq!(
        (cache(&second), second.json()["choices"][0]["message"]["content"].as_str()),
        ("miss", Some("Hello there"))
    );
}

//! Questions that mean the same are answered again where a route asks for that, and only where their words allow it.

use std::time::Duration;

use gauntlet_testkit::{
    Step,
    http::{self, Reply},
};
use serde_json::{Value, json};

use crate::app::TestApp;

const PRICES: (&str, &str) =
    ("prices.yml", "test-model: {input: 1, output: 2}\ntest-embedding: {input: 1, output: 0}\n");

const CONFIG: &str = "routes:
  near: {cache: {ttl: 10m, semantic: {model: prov/test-embedding}}}
  loose: {cache: {ttl: 10m, semantic: {model: prov/test-embedding, check: no}}}";

/// A gateway whose embedder puts every text about a topic at the same place, and a name of a topic is in the text.
fn start() -> TestApp {
    let app = TestApp::with_files(CONFIG, &[PRICES]);
    app.provider.respond(|seen| {
        if !seen.path.ends_with("/embeddings") {
            return Step::answer(&["Hello", " there"]);
        }
        let text = seen.json()["input"].to_string();
        let topics = ["moat", "tower", "bridge", "gate"];
        let mut vector: Vec<f32> = topics.iter().map(|topic| f32::from(u8::from(text.contains(topic)))).collect();
        vector.extend([0.1, 0.0, 0.0, 0.0]);
        Step::status(200).json(&json!({
            "object": "list", "model": "test-embedding", "data": [{"object": "embedding", "index": 0, "embedding": vector}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        }))
    });
    app
}

fn ask(app: &TestApp, route: &str, tenant: &str, body: &Value) -> Reply {
    let reply = app.chat(&[("x-gauntlet-route", route), ("x-gauntlet-tenant", tenant)], body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn cache(reply: &Reply) -> &str {
    reply.header("x-gauntlet-cache").unwrap_or("none")
}

fn metric(app: &TestApp, name: &str) -> f64 {
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    let value = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
    value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[test]
fn a_question_that_means_the_same_is_answered_for_the_price_of_its_vector() {
    let app = start();
    let first = ask(&app, "near", "acme", &TestApp::body("what is a moat?"));
    let again = ask(&app, "near", "acme", &TestApp::body("tell me what a moat is"));
    assert_eq!((cache(&first), cache(&again)), ("miss", "semantic"));
    assert_eq!((first.body.clone(), again.header("x-gauntlet-cost-usd")), (again.body.clone(), Some("0.00")));
    assert_eq!(again.header("x-gauntlet-cache-similarity"), Some("1.000"));
    let record = app.trace_of(&again)["record"].clone();
    let hit = &record["cache_hit"];
    assert_eq!(hit["of"].as_str(), first.header("x-gauntlet-request-id"));
    assert!(hit["similarity"].as_f64().unwrap() > 0.99, "{hit}");
    assert_eq!((&record["cache"], &record["cost"]), (&"semantic".into(), &0.into()));
    // Each question was embedded once, as a call of its own that is priced and recorded.
    let traces = app.api("/api/v1/traces?limit=50")["traces"].as_array().unwrap().clone();
    let embedded: Vec<_> =
        traces.iter().filter(|row| row["model"].as_str().is_some_and(|m| m.contains("embedding"))).collect();
    assert_eq!(embedded.len(), 2, "{traces:#?}");
    let record = app.trace(embedded[0]["id"].as_str().unwrap())["record"].clone();
    assert_eq!(
        (&record["door"], &record["caller"]["tenant"], &record["cost"]),
        (&"embeddings".into(), &"acme".into(), &4000.into())
    );
    // The very same words need no vector.
    let requests = app.provider.requests().len();
    assert_eq!(cache(&ask(&app, "near", "acme", &TestApp::body("what is a moat?"))), "exact");
    assert_eq!(app.provider.requests().len(), requests);
    let stats = app.command_json(&["cache", "stats"]);
    assert_eq!(
        (&stats["lines"][0]["exact_hits"], &stats["lines"][0]["semantic_hits"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn all_but_the_last_words_must_be_the_same() {
    let app = start();
    let body = |system: &str, text: &str| json!({"model": "prov/test-model", "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]});
    let check = |route: &str, tenant: &str, body: &Value, expected: &str| {
        assert_eq!(cache(&ask(&app, route, tenant, body)), expected, "{route} {tenant} {body}");
    };
    check("near", "acme", &body("be kind", "what is a moat?"), "miss");
    check("near", "acme", &body("be kind", "a moat is what?"), "semantic");
    check("near", "acme", &body("be brief", "a moat is what?"), "miss");
    check("near", "other", &body("be kind", "a moat is what?"), "miss");
    check("loose", "acme", &body("be kind", "a moat is what?"), "miss");
    check("near", "acme", &body("be kind", "what is a tower?"), "miss");
    let mut seeded = body("be kind", "so what is a moat?");
    seeded["seed"] = 3.into();
    check("near", "acme", &seeded, "miss");
    let mut longer = body("be kind", "so what is a moat?");
    longer["messages"].as_array_mut().unwrap().insert(1, json!({"role": "user", "content": "hello"}));
    check("near", "acme", &longer, "miss");
    // As a stream, too, though it was kept whole.
    let headers = [("x-gauntlet-route", "near"), ("x-gauntlet-tenant", "acme")];
    let streamed = app.stream(&headers, &body("be kind", "a moat, what is it?")).collect();
    assert_eq!(
        (streamed.header("x-gauntlet-cache"), streamed.text().as_str()),
        (Some("semantic"), "Hello there")
    );
}

#[test]
fn near_questions_whose_numbers_or_negations_differ_are_asked_of_the_model() {
    let app = start();
    let check = |route: &str, text: &str, expected: &str| {
        assert_eq!(cache(&ask(&app, route, "acme", &TestApp::body(text))), expected, "{route}: {text}");
    };
    for route in ["near", "loose"] {
        check(route, "how deep is a moat of 2 metres?", "miss");
    }
    check("near", "how deep is a moat of 3 metres?", "miss");
    check("near", "why is the moat not of 2 metres?", "miss");
    check("near", "a moat of two metres, how deep is it?", "semantic");
    check("loose", "how deep is a moat of 3 metres?", "semantic");
    assert_eq!(metric(&app, "gauntlet_cache_near_misses_total"), 2.0);
}

#[test]
fn nothing_private_is_embedded() {
    let app = start();
    let body = TestApp::body("is ann@example.org in the moat?");
    for _ in 0..2 {
        assert_eq!(cache(&ask(&app, "near", "acme", &body)), "miss");
    }
    let embedded = app.provider.requests().iter().filter(|seen| seen.path.ends_with("/embeddings")).count();
    assert_eq!(embedded, 0);
}

#[test]
fn while_the_embedder_is_down_calls_go_on_and_soon_it_is_left_alone() {
    let app = TestApp::with_files(
        "default: {retry: off}\nroutes:\n  near: {cache: {ttl: 10m, semantic: {model: prov/test-embedding}}}",
        &[PRICES],
    );
    app.provider.respond(|seen| {
        if seen.path.ends_with("/embeddings") { Step::status(500) } else { Step::answer(&["Hello"]) }
    });
    for number in 0..8 {
        let reply = ask(&app, "near", "acme", &TestApp::body(&format!("question {number}")));
        assert_eq!(cache(&reply), "miss");
    }
    assert_eq!(
        cache(&ask(&app, "near", "acme", &TestApp::body("question 1"))),
        "exact",
        "the same words still are"
    );
    assert_eq!(metric(&app, "gauntlet_cache_embed_failures_total"), 5.0, "then it is left alone");
}

#[test]
fn an_embedder_that_hangs_does_not_hold_a_call_for_long() {
    let app = start().without_balance();
    app.provider.respond(|seen| {
        if seen.path.ends_with("/embeddings") { Step::hang() } else { Step::answer(&["Hello"]) }
    });
    let begun = std::time::Instant::now();
    assert_eq!(cache(&ask(&app, "near", "acme", &TestApp::body("what is a moat?"))), "miss");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(metric(&app, "gauntlet_cache_embed_failures_total"), 1.0);
}

#[test]
fn a_budget_that_is_full_for_vectors_leaves_the_call_alone() {
    let budgets = ("budgets.yml", "models:\n  prov/test-embedding: {daily_usd: 0.000000001}\n");
    let app = TestApp::with_files(CONFIG, &[PRICES, budgets]);
    for text in ["what is a moat?", "tell me what a moat is"] {
        assert_eq!(cache(&ask(&app, "near", "acme", &TestApp::body(text))), "miss", "{text}");
    }
    assert_eq!(metric(&app, "gauntlet_cache_embed_failures_total"), 2.0);
    let embedded = app.provider.requests().iter().filter(|seen| seen.path.ends_with("/embeddings")).count();
    assert_eq!(embedded, 0, "the provider was not asked for what nobody pays");
}

#[test]
fn a_folder_without_a_model_is_told_when_the_configuration_is_checked() {
    let app = TestApp::start("routes: {}");
    app.reconfigure("routes:\n  near: {cache: {ttl: 1m, semantic: {embedder: models/none}}}");
    let ended = app.command(&["check"]);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("`cache: semantic: embedder: models/none`"), "{said}");
}

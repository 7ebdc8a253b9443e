//! What happens at a full budget: refused, waiting, a cheaper model, the operator's words; caps on tokens, requests and
//! single calls; books of their own for each environment.

use std::{
    thread,
    time::{Duration, Instant},
};

use gauntlet_testkit::{Step, http::Reply};
use serde_json::{Value, json};

use crate::app::TestApp;

const PRICES: &str = "test-model: {input: 1, output: 2}\ndear: {input: 10, output: 20}\n";

/// A gateway whose answers cost 5 tokens in and 100 out: 205 micro-dollars of `test-model`, ten times as much of `dear`.
fn start(budgets: &str) -> TestApp {
    let app = TestApp::with_files(
        "routes: {bot: {max_tokens: 100}, other: {max_tokens: 100}}",
        &[("budgets.yml", budgets), ("prices.yml", PRICES)],
    );
    app.provider.default(answer());
    app
}

fn answer() -> Step {
    Step::text("Hello to you").usage(5, 100)
}

fn ask(app: &TestApp, model: &str, headers: &[(&str, &str)]) -> Reply {
    let mut headers = headers.to_vec();
    if !headers.iter().any(|(name, _)| *name == "x-gauntlet-route") {
        headers.push(("x-gauntlet-route", "bot"));
    }
    let body = json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]});
    app.chat(&headers, &body)
}

#[track_caller]
fn refused(reply: &Reply, scope: &str) -> Value {
    let error = reply.json()["error"].clone();
    assert_eq!(
        (reply.status, &error["code"], &error["scope"]),
        (429, &json!("budget_exceeded"), &json!(scope)),
        "{error}"
    );
    error
}

#[test]
fn a_call_too_dear_for_one_call_is_refused_in_friendly_words() {
    let app = start(
        "routes: {bot: {per_call_usd: 0.001, message: \"Please ask something shorter.\"}, other: {per_call_tokens: 90}}",
    );
    assert_eq!(ask(&app, "prov/test-model", &[]).status, 200);
    let error = refused(&ask(&app, "prov/dear", &[]), "route_call");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Please ask something shorter. (budget `route_call` of `bot` has 0.001 USD"),
        "{message}"
    );
    let error = refused(&ask(&app, "prov/test-model", &[("x-gauntlet-route", "other")]), "route_call_tokens");
    assert_eq!(
        (&error["measure"], &error["cap"], &error["wanted"]),
        (&json!("tokens"), &json!(90), &json!(110))
    );
    assert_eq!(app.provider.requests().len(), 1);
}

#[test]
fn a_full_budget_turns_to_a_cheaper_model_that_fits() {
    let app =
        start("tenants: {default: {daily_usd: 0.003, at_limit: {downgrade: [prov/dear, prov/test-model]}}}");
    let first = ask(&app, "prov/dear", &[]);
    assert_eq!((first.status, first.header("x-gauntlet-budget")), (200, None));
    let cheap = ask(&app, "prov/dear", &[]);
    assert_eq!(
        (cheap.status, cheap.header("x-gauntlet-budget")),
        (200, Some("downgrade")),
        "{}",
        cheap.text()
    );
    assert_eq!(cheap.header("x-gauntlet-model"), Some("prov/test-model"));
    assert_eq!(app.provider.requests()[1].json()["model"], "test-model");
    let note = app.trace_of(&cheap)["record"]["budget"].clone();
    assert_eq!(
        note,
        json!({"action": "downgrade", "scope": "tenant_daily", "key": "default", "instead_of": "prov/dear"})
    );
    let more = (0..10).map(|_| ask(&app, "prov/dear", &[]).status).collect::<Vec<_>>();
    assert_eq!(
        more.iter().filter(|status| **status == 200).count(),
        3,
        "950 of 3,000 micro-dollars were left: {more:?}"
    );
    refused(&ask(&app, "prov/dear", &[]), "tenant_daily");
}

#[test]
fn a_full_budget_answers_in_the_operators_words() {
    let app = start("routes: {bot: {daily_requests: 1, at_limit: {answer: \"We are closed for today.\"}}}");
    assert_eq!(ask(&app, "prov/test-model", &[]).status, 200);
    let closed = ask(&app, "prov/test-model", &[]);
    assert_eq!((closed.status, closed.header("x-gauntlet-budget")), (200, Some("answer")));
    assert_eq!(closed.json()["choices"][0]["message"]["content"], "We are closed for today.");
    let record = app.trace_of(&closed)["record"].clone();
    assert_eq!((&record["outcome"], &record["error"]), (&json!("canned"), &json!("budget_exceeded")));
    assert_eq!((&record["cost"], &record["budget"]["action"]), (&json!(0), &json!("answer")));
    let mut stream = app.stream(&[("x-gauntlet-route", "bot")], &TestApp::body("Hello"));
    let text: String = std::iter::from_fn(|| stream.next_frame().map(|frame| frame.data)).collect();
    assert!(text.contains("We are closed for today."), "{text}");
    assert_eq!(app.provider.requests().len(), 1);
}

#[test]
fn a_call_waits_for_room_if_that_is_wanted() {
    // Room for one call and a half: the second waits until the first is settled for less than it held.
    let app = start("tenants: {default: {daily_usd: 0.0003, at_limit: {queue: 5s}}}");
    app.provider.default(Step::text("Hi").usage(5, 5).delay(Duration::from_millis(400)));
    let begun = Instant::now();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| ask(&app, "prov/test-model", &[]))).collect();
        for call in calls {
            let reply = call.join().unwrap();
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    });
    assert!(begun.elapsed() >= Duration::from_millis(1_100), "one after the other");
    let waited = app.api("/api/v1/traces?limit=10")["traces"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| app.trace(row["id"].as_str().unwrap())["record"]["budget"]["action"] == "queue")
        .count();
    assert_eq!(waited, 2);
    // Nothing frees a budget that is spent: the wait ends in a refusal.
    app.write("budgets.yml", "tenants: {default: {daily_usd: 0.00005, at_limit: {queue: 300ms}}}");
    assert_eq!(app.command(&["check"]).code, Some(0));
    assert_eq!(app.gateway().url("/"), app.url("/"));
    let reply = gauntlet_testkit::http::post_json(&app.url("/api/v1/reload"), &[], &json!({})).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let begun = Instant::now();
    refused(&ask(&app, "prov/test-model", &[]), "tenant_daily");
    assert!(begun.elapsed() >= Duration::from_millis(280));
}

#[test]
fn tokens_and_requests_have_caps_that_survive_a_restart() {
    let budgets = "\
models: {test-model: {caps: [{tokens: 320, window: rolling 24h}]}}
tags: {\"*\": {daily_requests: 2}}
everything: {monthly_tokens: 100000, timezone: Pacific/Auckland}";
    let mut app = start(budgets);
    for _ in 0..3 {
        assert_eq!(ask(&app, "prov/test-model", &[]).status, 200);
    }
    let error = refused(&ask(&app, "prov/test-model", &[]), "model_rolling_1d_tokens");
    assert_eq!((&error["cap"], &error["spent"], &error["wanted"]), (&json!(320), &json!(315), &json!(110)));
    for expected in [200, 200, 429] {
        assert_eq!(ask(&app, "prov/dear", &[("x-gauntlet-tags", "vip")]).status, expected);
    }
    app.kill9();
    app.restart();
    let error = refused(&ask(&app, "prov/test-model", &[]), "model_rolling_1d_tokens");
    assert_eq!(error["spent"], 315);
    refused(&ask(&app, "prov/dear", &[("x-gauntlet-tags", "vip")]), "tag_daily_requests");
    assert_eq!(ask(&app, "prov/dear", &[("x-gauntlet-tags", "rest")]).status, 200);
    let books = app.api("/api/v1/budgets");
    let all = books["lines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["scope"] == "everything_monthly_tokens")
        .unwrap();
    assert_eq!((&all["spent"], &all["spent_usd"]), (&json!(6 * 105), &Value::Null));
}

#[test]
fn environments_pay_from_books_of_their_own() {
    let app = start(
        "tenants: {default: {daily_usd: 0.00025}}\nenvironments: {eval: {tenants: {default: {daily_usd: 0.00045}}}}",
    );
    let of = |environment: &str| ask(&app, "prov/test-model", &[("x-gauntlet-env", environment)]);
    assert_eq!(of("prod").status, 200);
    refused(&of("prod"), "tenant_daily");
    assert_eq!(
        [of("eval").status, of("eval").status],
        [200, 200],
        "what evaluations cost is not production's"
    );
    refused(&of("eval"), "tenant_daily:eval");
    assert_eq!(of("judge").status, 200);
    refused(&of("judge"), "tenant_daily:judge");
}

#[test]
fn what_a_failed_attempt_was_billed_counts_and_needs_room() {
    let app = TestApp::with_files(
        "models: {m: {targets: [prov/dear, prov/test-model]}}\nroutes: {bot: {max_tokens: 100, retry: {attempts: 1}, timeouts: {first_token: 300ms}}}",
        &[
            (
                "budgets.yml",
                "models: {dear: {daily_usd: 1}, test-model: {daily_usd: 1}}\nusers: {poor: {daily_usd: 0.0022}}",
            ),
            ("prices.yml", PRICES),
        ],
    );
    let body = json!({"model": "m", "stream": true, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]});
    app.provider.script([
        Step::stream(&["never"]).delay_first(Duration::from_secs(2)),
        Step::stream(&["Hello"]).usage(5, 100).with_usage_chunk(),
    ]);
    let mut stream = app.stream(&[("x-gauntlet-route", "bot")], &body);
    let id = stream.header("x-gauntlet-request-id").unwrap().to_owned();
    while stream.next_frame().is_some() {}
    let record = app.trace(&id)["record"].clone();
    let attempts = record["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["end"]), (2, &json!("first_token_timeout")), "{attempts:#?}");
    // Five tokens of `dear` were read in vain; then `test-model` answered.
    let billed = attempts[0]["billed"]["cost"].as_i64().unwrap();
    assert_eq!(billed, 50_000);
    assert_eq!(record["cost"].as_i64().unwrap(), billed + 205_000, "{record:#}");
    // Both models' budgets pay for the whole call, since one record cannot be split.
    let scopes: Vec<&str> =
        record["charges"].as_array().unwrap().iter().map(|charge| charge["key"].as_str().unwrap()).collect();
    assert_eq!(scopes, ["test-model", "dear"]);
    // Where a second attempt has no room beside what the first was billed, it is not made.
    app.provider.script([Step::stream(&["never"]).delay_first(Duration::from_secs(2))]);
    let mut poor = body.clone();
    (poor["stream"], poor["model"]) = (false.into(), "prov/dear".into());
    app.reconfigure(
        "routes: {bot: {max_tokens: 100, retry: {attempts: 3, base: 1ms}, timeouts: {attempt: 300ms}}}",
    );
    let reply = gauntlet_testkit::http::post_json(&app.url("/api/v1/reload"), &[], &json!({})).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    app.provider.default(Step::hang());
    let reply = app.chat(&[("x-gauntlet-route", "bot"), ("x-gauntlet-user", "poor")], &poor);
    assert_eq!(reply.status, 504);
    let record = app.trace_of(&reply)["record"].clone();
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record:#}");
    assert_eq!(record["cost"], 2_050_000, "all that it was allowed: nobody knows how far it came");
}

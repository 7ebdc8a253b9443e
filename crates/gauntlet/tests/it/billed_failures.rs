//! An attempt that gave the caller nothing and was billed all the same stays with the budgets it was made on.

use gauntlet_testkit::Step;
use serde_json::{Value, json};

use crate::{app::TestApp, load::nano};

const CONFIG: &str = "
models: {support: {targets: [prov/first, prov/narrow, prov/last]}}
default: {max_tokens: 64, retry: {attempts: 1}}
";
const PRICES: &str =
    "first: {input: 1, output: 2}\nnarrow: {input: 1, output: 2}\nlast: {input: 1, output: 2}\n";
/// `narrow` has room for nothing.
const BUDGETS: &str = "
models:
  first: {daily_usd: 5, daily_tokens: 100_000}
  narrow: {daily_usd: 0.000001}
  last: {daily_usd: 5, daily_tokens: 100_000}
";

/// The first target breaks off in the middle of an answer, the second has no budget, the third answers.
fn broken_then_answered(prices: &str) -> (TestApp, Value) {
    let app = TestApp::with_files(CONFIG, &[("budgets.yml", BUDGETS), ("prices.yml", prices)]);
    app.provider.respond(|request| match request.json()["model"].as_str() {
        Some("first") => Step::answer(&["half of an answer that"]).usage(9, 5).cut_after_bytes(60),
        _ => Step::answer(&["whole"]).usage(9, 5),
    });
    let body = json!({"model": "support", "messages": [{"role": "user", "content": "hi"}]});
    let reply = app.chat(&[], &body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let record = app.trace_of(&reply)["record"].clone();
    assert_eq!(record["target"]["model"], "last", "{record:#}");
    assert!(record["attempts"][0]["billed"].is_object(), "{record:#}");
    (app, record)
}

fn spent(app: &TestApp, scope: &str, key: &str) -> i64 {
    let books = app.api("/api/v1/budgets");
    let lines = books["lines"].as_array().expect("a list");
    let line = lines.iter().find(|line| line["scope"] == scope && line["key"] == key);
    line.and_then(|line| line["spent"].as_i64()).unwrap_or_else(|| panic!("no {scope} {key}: {books:#}"))
}

#[test]
fn a_target_without_room_in_between_does_not_make_the_billed_one_free() {
    let (app, record) = broken_then_answered(PRICES);
    let cost = nano(&record["cost"]);
    assert!(cost > 0);
    assert_eq!((spent(&app, "model_daily", "first"), spent(&app, "model_daily", "last")), (cost, cost));
    assert_eq!(spent(&app, "model_daily", "narrow"), 0);
}

#[test]
fn tokens_of_a_billed_attempt_count_even_where_they_cost_nothing() {
    let (app, record) =
        broken_then_answered(&PRICES.replace("first: {input: 1, output: 2}", "first: {input: 0, output: 0}"));
    assert_eq!(record["attempts"][0]["billed"]["cost"], 0, "{record:#}");
    assert!(spent(&app, "model_daily_tokens", "first") > 14, "{record:#}");
}

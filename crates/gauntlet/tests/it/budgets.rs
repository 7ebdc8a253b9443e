//! Money: caps are held whatever happens, every kind of token has its price, and what nobody can price is not asked.

use std::thread;

use gauntlet_testkit::{Step, http::Reply};
use serde_json::{Value, json};

use crate::app::TestApp;

/// The founding document's budgets.yml as it stands there, its indentation and most of its colons lost.
const FLAT: &str = "models:
gpt-4o:
daily_usd 75
tpm 120000
rpm 3000
routes:
support_bot:
per_user_daily_usd 0.30
per_conv_cap_usd 0.06
max_concurrency 200
alerts:
slack_channel llm-spend notify_over 80%
";

/// The same as the YAML that it was.
const YAML: &str = "models:
  gpt-4o:
    daily_usd: 75
    tpm: 120000
    rpm: 3000
routes:
  support_bot:
    per_user_daily_usd: 0.30
    per_conv_cap_usd: 0.06
    max_concurrency: 200
alerts:
  slack_channel: llm-spend
  notify_over: 80%
";

const SUPPORT: &str = "routes:\n  support_bot: {model: prov/gpt-4o}";
const PRICES: (&str, &str) =
    ("prices.yml", "gpt-4o: {input: 2.5, output: 10}\ntest-model: {input: 1, output: 2}\n");

/// 1,000 tokens in and 4,000 out: 0.0425 USD, within what a call without `max_tokens` may cost.
const CALL_USD: f64 = 0.0425;

fn support(app: &TestApp, user: &str, session: &str) -> Reply {
    let headers =
        [("x-gauntlet-route", "support_bot"), ("x-gauntlet-user", user), ("x-gauntlet-session", session)];
    app.chat(&headers, &json!({"model": "any", "messages": [{"role": "user", "content": "hi"}]}))
}

/// A refusal that names the budget, its cap and what was spent; gives the error.
fn exceeded(app: &TestApp, reply: &Reply, scope: &str, key: &str, cap: f64) -> Value {
    assert_eq!(reply.status, 429, "{}", reply.text());
    let error = reply.json()["error"].clone();
    assert_eq!((&error["code"], &error["type"]), (&"budget_exceeded".into(), &"insufficient_quota".into()));
    assert_eq!((&error["scope"], &error["key"]), (&scope.into(), &key.into()), "{error}");
    assert_eq!(error["cap_usd"], json!(cap), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(scope) && message.contains(key), "{message}");
    let record = &app.trace_of(reply)["record"];
    assert_eq!((&record["outcome"], &record["error"]), (&"refused".into(), &"budget_exceeded".into()));
    assert_eq!(record["cost"], 0);
    error
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().expect("a number");
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

/// What the books say was spent of a budget.
fn spent(app: &TestApp, scope: &str, key: &str) -> f64 {
    let books = app.api("/api/v1/budgets");
    let lines = books["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["scope"] == scope && line["key"] == key);
    line.unwrap_or_else(|| panic!("no budget {scope} {key}: {books:#}"))["spent_usd"].as_f64().unwrap()
}

fn holds_as_the_founding_document_says(budgets: &str) {
    let app = TestApp::with_files(SUPPORT, &[("budgets.yml", budgets), PRICES]);
    assert_eq!(app.command(&["check", &app.config_dir().display().to_string()]).code, Some(0));
    app.provider.default(Step::answer(&["hello"]).usage(1000, 4000));

    assert_eq!(support(&app, "ann", "s1").status, 200);
    let refused = support(&app, "ann", "s1");
    let error = exceeded(&app, &refused, "route_conversation", "support_bot/s1", 0.06);
    near(&error["spent_usd"], CALL_USD);
    assert!(refused.header("retry-after").is_none(), "a conversation's budget does not turn");

    // Six more conversations: 7 × 0.0425 = 0.2975, and an eighth call may cost 0.04 and more.
    for session in 2..=7 {
        let reply = support(&app, "ann", &format!("s{session}"));
        assert_eq!(reply.status, 200, "{session}: {}", reply.text());
    }
    let refused = support(&app, "ann", "s8");
    let error = exceeded(&app, &refused, "route_user_daily", "support_bot/ann", 0.3);
    near(&error["spent_usd"], 7.0 * CALL_USD);
    assert!(refused.header("retry-after").is_some(), "a daily budget says when it turns");
    assert_eq!(support(&app, "bob", "b1").status, 200, "another user goes on");
    assert!((spent(&app, "model_daily", "gpt-4o") - 8.0 * CALL_USD).abs() < 1e-9);

    let shown = app.command(&["budget"]).expect_ok().stdout;
    for part in ["route_user_daily", "support_bot/ann", "$0.2975", "$0.3000", "99 %", "model_daily", "$75.00"]
    {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
}

#[test]
fn the_founding_documents_budgets_hold_in_the_form_that_lost_its_colons() {
    holds_as_the_founding_document_says(FLAT);
}

#[test]
fn the_founding_documents_budgets_hold_as_yaml() {
    holds_as_the_founding_document_says(YAML);
}

#[test]
fn leaving_the_names_out_does_not_go_round_a_cap() {
    let app = TestApp::with_files(SUPPORT, &[("budgets.yml", YAML), PRICES]);
    app.provider.default(Step::answer(&["hello"]).usage(1000, 4000));
    let call = || {
        let body = json!({"model": "any", "messages": [{"role": "user", "content": "hi"}]});
        app.chat(&[("x-gauntlet-route", "support_bot")], &body)
    };
    assert_eq!(call().status, 200);
    exceeded(&app, &call(), "route_conversation", "support_bot/anonymous:no-session", 0.06);
}

#[test]
fn fifty_calls_at_once_never_pass_a_cap() {
    let budgets = "tenants:\n  default:\n    daily_usd: 0.01\n";
    let app = TestApp::with_files("", &[("budgets.yml", budgets)]);
    app.provider.default(Step::answer(&["hello"]).usage(100, 500));
    let mut body = TestApp::body("hi");
    body["max_tokens"] = 500.into();
    let round = || -> (usize, usize) {
        let replies: Vec<Reply> = thread::scope(|scope| {
            let calls: Vec<_> = (0..50).map(|_| scope.spawn(|| app.chat(&[], &body))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        let passed = replies.iter().filter(|reply| reply.status == 200).count();
        let refused = replies.iter().filter(|reply| reply.status == 429).count();
        (passed, refused)
    };
    let (first, refused) = round();
    assert_eq!(first + refused, 50);
    assert!(first > 0);
    let passed = first + round().0;
    // A call costs 0.0011 USD, and nine of them fit.
    assert!(passed <= 9, "{passed} passed");
    let spent = spent(&app, "tenant_daily", "default");
    assert!((spent - passed as f64 * 0.0011).abs() < 1e-9 && spent <= 0.01, "{spent} after {passed}");
    assert_eq!(app.provider.requests().len(), passed, "no model was asked for a refused call");
}

#[test]
fn a_cap_survives_a_restart_and_a_kill() {
    let mut app = TestApp::with_files("", &[("budgets.yml", "users:\n  ann:\n    daily_usd: 0.003\n")]);
    app.provider.default(Step::answer(&["hello"]).usage(100, 500));
    let mut body = TestApp::body("hi");
    body["max_tokens"] = 500.into();
    let ask = |app: &TestApp| app.chat(&[("x-gauntlet-user", "ann")], &body);
    assert_eq!(ask(&app).status, 200);
    app.stop().expect_ok();
    app.restart();
    assert_eq!(spent(&app, "user_daily", "ann"), 0.0011);
    assert_eq!(ask(&app).status, 200);
    app.kill9();
    app.restart();
    assert_eq!(spent(&app, "user_daily", "ann"), 0.0022);
    let error = exceeded(&app, &ask(&app), "user_daily", "ann", 0.003);
    assert_eq!(error["spent_usd"], 0.0022);
}

#[test]
fn cached_and_reasoning_tokens_have_their_own_prices() {
    let prices = "rich: {input: 1, output: 2, cache_read: 0.1, reasoning: 4, per_request: 0.01}\n";
    let app = TestApp::with_files("", &[("prices.yml", prices)]);
    app.provider.default(Step::answer(&["hello"]).usage(1000, 500).cached(800).reasoning(300));
    let body = json!({"model": "prov/rich", "messages": [{"role": "user", "content": "hi"}]});
    // In millionths of a dollar: 200 fresh, 800 cached at a tenth, 200 written, 300 thought at 4; and a cent.
    let expected = (200 + 80 + 400 + 1200) * 1000 + 10_000_000;
    let plain = app.chat(&[], &body);
    assert_eq!(plain.header("x-gauntlet-cost-usd"), Some("0.01188"), "{}", plain.text());
    let record = &app.trace_of(&plain)["record"];
    assert_eq!(record["cost"], expected);
    assert_eq!((&record["usage"]["cache_read"], &record["usage"]["reasoning"]), (&800.into(), &300.into()));
    let streamed = app.stream(&[], &body).collect();
    let id = streamed.header("x-gauntlet-request-id").unwrap().to_owned();
    assert_eq!(app.trace(&id)["record"]["cost"], expected, "a stream costs the same");
}

#[test]
fn a_model_without_a_price_is_not_asked_unless_somebody_says_it_is_free() {
    let app = TestApp::start("routes:\n  flagged: {unpriced: allow}");
    let ask = |model: &str, route: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        app.chat(&[("x-gauntlet-route", route)], &body)
    };
    let reply = ask("prov/mystery", "default");
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (400, &"unpriced_model".into()),
        "{}",
        reply.text()
    );
    assert!(reply.text().contains("prices.yml"), "it says the cure: {}", reply.text());
    assert!(app.provider.requests().is_empty());
    assert_eq!(app.trace_of(&reply)["record"]["error"], "unpriced_model");
    assert_eq!(ask("prov/mystery", "flagged").status, 200, "a route may let it through");

    app.reconfigure(&format!("  own: {{dialect: openai, url: \"{}\", price: free}}", app.provider.url()));
    app.command(&["check", &app.config_dir().display().to_string()]).expect_ok();
    let reloaded = gauntlet_testkit::http::post(&app.url("/api/v1/reload"), &[], b"").unwrap();
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    let reply = ask("own/mystery", "default");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(app.trace_of(&reply)["record"]["cost"], 0);
    assert_eq!(ask("prov/mystery", "default").status, 400);
}

#[test]
fn evals_have_a_budget_of_their_own() {
    let budgets = "environments:\n  eval:\n    daily_usd: 0.0015\n";
    let app = TestApp::with_files("", &[("budgets.yml", budgets)]);
    app.provider.default(Step::answer(&["hello"]).usage(100, 500));
    let mut body = TestApp::body("hi");
    body["max_tokens"] = 500.into();
    assert_eq!(app.chat(&[("x-gauntlet-env", "eval")], &body).status, 200);
    exceeded(&app, &app.chat(&[("x-gauntlet-env", "eval")], &body), "environment_daily", "eval", 0.0015);
    for _ in 0..3 {
        assert_eq!(app.chat(&[], &body).status, 200, "production goes on");
    }
    assert_eq!(spent(&app, "environment_daily", "eval"), 0.0011);
}

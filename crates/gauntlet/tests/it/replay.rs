//! A past call is made again from its record: the same, or with another model, through the same pipeline and the eval
//! budget.

use gauntlet_testkit::{Step, http};
use serde_json::json;

use crate::app::TestApp;

#[test]
fn a_call_is_made_again_as_it_was_or_with_another_model() {
    let app = TestApp::with_files(
        "models: {m: {targets: [prov/test-model, prov/other]}}\nroutes: {bot: {model: m, max_tokens: 50, cache: 10m, input: {pii: redact}}}",
        &[
            ("prices.yml", "test-model: {input: 1, output: 2}\nother: {input: 10, output: 20}\n"),
            ("budgets.yml", "tenants: {acme: {daily_usd: 1}}\nenvironments: {eval: {daily_usd: 0.01}}\n"),
        ],
    );
    app.provider.default(Step::answer(&["first ", "answer"]).usage(9, 5));
    let body = json!({
        "model": "m", "temperature": 0.25, "x_future": {"kept": [1, 2]}, "stream": true,
        "messages": [{"role": "user", "content": "I am ann@example.com and want a refund"}],
    });
    let headers = [("x-gauntlet-route", "bot"), ("x-gauntlet-tenant", "acme"), ("x-gauntlet-user", "ann")];
    let mut stream = app.stream(&headers, &body);
    let id = stream.header("x-gauntlet-request-id").unwrap().to_owned();
    while stream.next_frame().is_some() {}
    app.trace(&id);

    app.provider.default(Step::answer(&["second answer"]).usage(9, 3));
    let same = app.command_json(&["trace", "replay", &id]);
    let sent = app.provider.requests().last().unwrap().json();
    assert_eq!(
        (&sent["model"], &sent["temperature"], &sent["x_future"]),
        (&json!("test-model"), &json!(0.25), &json!({"kept": [1, 2]}))
    );
    assert_eq!(sent["messages"][0]["content"], app.provider.requests()[0].json()["messages"][0]["content"]);
    assert_eq!(sent.get("stream"), None);
    assert_eq!(
        (&same["original"]["text"], &same["replay"]["text"]),
        (&json!("first answer"), &json!("second answer"))
    );
    let why: Vec<&str> =
        same["not_the_same"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()).collect();
    assert_eq!(why, ["the answer was a stream, and is whole"]);
    let record = app.trace(same["replay"]["id"].as_str().unwrap())["record"].clone();
    let caller = &record["caller"];
    assert_eq!(
        (&caller["tenant"], &caller["environment"], &caller["user"]),
        (&json!("acme"), &json!("eval"), &json!(null))
    );
    assert_eq!((&caller["eval_id"], &record["route"]), (&json!(format!("replay:{id}")), &json!("bot")));
    let scopes: Vec<&str> = record["charges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|charge| charge["scope"].as_str().unwrap())
        .collect();
    assert_eq!(scopes, ["tenant_daily:eval", "environment_daily"]);

    let other = app.command_json(&["trace", "replay", &id, "--model", "prov/other"]);
    assert_eq!(
        (&other["replay"]["model"], &other["replay"]["cost"]),
        (&json!("prov/other"), &json!(150_000))
    );
    assert!(
        other["not_the_same"].to_string().contains("the model was prov/test-model, and is prov/other"),
        "{other}"
    );
    let shown = app.command(&["trace", "replay", &id]).expect_ok().stdout;
    assert!(shown.contains("- first answer") && shown.contains("+ second answer"), "{shown}");

    // The eval budget holds for replays too, and says so.
    let poor = app.command_json(&["trace", "replay", &id, "--model", "prov/other"]);
    assert_eq!(poor["replay"]["outcome"], "ok");
    app.write("budgets.yml", "environments: {eval: {daily_usd: 0.0005}}\n");
    http::post_json(&app.url("/api/v1/reload"), &[], &json!({})).unwrap();
    let refused = app.command_json(&["trace", "replay", &id, "--model", "prov/other"]);
    assert_eq!(refused["replay"]["outcome"], "refused", "{refused}");
    assert!(refused["replay"]["error"].as_str().unwrap().contains("environment_daily"), "{refused}");
}

#[test]
fn what_cannot_be_made_again_is_said() {
    let app = TestApp::start("routes: {quiet: {record: {bodies: false}}}");
    app.provider.default(Step::text("Hello"));
    let kept = app.chat(&[], &TestApp::body("Hello"));
    let quiet = app.chat(&[("x-gauntlet-route", "quiet")], &TestApp::body("Hello"));
    let id = |reply: &http::Reply| reply.header("x-gauntlet-request-id").unwrap().to_owned();
    app.trace(&id(&quiet));
    let refused = app.command(&["trace", "replay", &id(&quiet)]);
    assert!(refused.stderr.contains("texts of this call were not kept"), "{}", refused.stderr);
    let refused = app.command(&["trace", "replay", &id(&kept), "--model", "nowhere/at-all"]);
    assert!(refused.stdout.contains("nowhere/at-all"), "{} {}", refused.stdout, refused.stderr);
    let unknown = app.command(&["trace", "replay", "r_00000000000070008000000000000000"]);
    assert_ne!(unknown.code, Some(0));
}

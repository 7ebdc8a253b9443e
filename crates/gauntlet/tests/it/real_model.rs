//! A real small model (SmolLM2 behind llama.cpp's OpenAI-compatible server), the official SDKs, a prompt that changes,
//! a budget that trips; and what records, ledger and log line say of it.

use std::fs;

use gauntlet_testkit::{Conversation, LlamaServer};
use serde_json::{Value, json};

use crate::app::TestApp;

const PROMPT: &str = "name: tutor\nversion: 1.0.0\ndescription: a tutor\nowner: tests\nlabels: [production]\ntemplate: You are a tutor. Answer in one short sentence.\n";
const PROMPT_NEXT: &str = "name: tutor\nversion: 1.1.0\ndescription: a tutor\nowner: tests\ntemplate: You are a pirate. Answer in one short sentence.\n";

#[test]
fn a_real_model_is_asked_by_real_sdks_and_every_book_agrees() {
    let Some(model) = LlamaServer::start() else { return };
    let config = format!(
        "  llama: {{dialect: openai, url: \"{}\"}}\nlog: {{json: calls.jsonl}}\n\
         models:\n  small: {{targets: [llama/smollm2]}}\n\
         routes:\n  lessons: {{model: small, prompt: tutor@production, max_tokens: 24}}\n",
        model.url()
    );
    let app = TestApp::with_files(
        &config,
        &[
            ("prices.yml", "smollm2: {input: 1, output: 2}\ntest-model: {input: 1, output: 2}\n"),
            ("budgets.yml", "routes:\n  lessons: {daily_usd: 0.05, per_user_daily_usd: 0.0008}\n"),
            ("prompts/tutor.yaml", PROMPT),
        ],
    );
    let talk = |user: &str| {
        let headers = json!({"x-gauntlet-route": "lessons", "x-gauntlet-user": user}).to_string();
        Conversation::new(&app.url("/v1"), "any", "small")
            .setting("PROMPT", "What is the capital of France?")
            .setting("MAX_TOKENS", "24")
            .setting("EXTRA_HEADERS", &headers)
    };
    let cases = ["chat", "chat_stream"];
    for lines in [talk("ann").python(&cases), talk("bob").node(&cases)].into_iter().flatten() {
        for (case, seen) in &lines {
            assert_eq!(seen["ok"], true, "{case}: {seen}");
            assert!(!seen["text"].as_str().unwrap_or("").is_empty(), "{case}: {seen}");
        }
    }

    // The records: the plain one has the server's own count, the streamed one ours, since its streams carry no usage.
    let rows = app.api("/api/v1/traces?route=lessons&limit=100")["traces"].as_array().unwrap().clone();
    assert!(!rows.is_empty(), "calls were recorded");
    let mut sum = 0;
    for row in &rows {
        let trace = app.trace(row["id"].as_str().unwrap());
        let record = &trace["record"];
        assert_eq!(record["outcome"], "ok", "{record:#}");
        assert_eq!(record["prompt"]["version"], "1.0.0");
        assert_eq!(record["prompt"]["hash"].as_str().unwrap().len(), 64);
        assert_eq!(record["usage"]["estimated"], record["is_streaming"], "{record:#}");
        let usage = &record["usage"];
        let cost = usage["input_fresh"].as_i64().unwrap() * 1_000 + usage["output"].as_i64().unwrap() * 2_000;
        assert_eq!(record["cost"], cost, "{record:#}");
        assert!(usage["output"].as_i64().unwrap() > 0, "{record:#}");
        assert_eq!(
            trace["input"]["messages"][0]["content"],
            "You are a tutor. Answer in one short sentence."
        );
        sum += cost;
    }

    // Our count of a stream is near the server's count of the same question: one tokenizer is not the other.
    let input = |streamed: bool| {
        let row = rows.iter().find(|row| row["is_streaming"] == streamed).expect("both were asked");
        row["tokens_in"].as_f64().unwrap()
    };
    let ratio = input(true) / input(false);
    assert!((0.4..2.5).contains(&ratio), "estimated {} for {}", input(true), input(false));

    // The ledger says the same as the records.
    let books = app.api("/api/v1/budgets");
    let route = books["lines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["scope"] == "route_daily")
        .expect("a budget");
    assert_eq!((route["spent_usd"].as_f64().unwrap() * 1e9).round() as i64, sum);

    // So does the log line, with the names of the founding document.
    // Lines are written behind the answers' backs: the last may take a moment.
    let read = || fs::read_to_string(app.folder().join("calls.jsonl")).expect("the log is there");
    let begun = std::time::Instant::now();
    while read().lines().count() < rows.len() && begun.elapsed().as_secs() < 5 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let log = read();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(lines.len(), rows.len());
    for line in &lines {
        assert_eq!((&line["prompt_name"], &line["prompt_version"]), (&json!("tutor"), &json!("1.0.0")));
        for name in [
            "ts",
            "request_id",
            "tenant_id",
            "model",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "cost_usd",
            "latency_ms_total",
            "guardrail_decision",
        ] {
            assert!(!line[name].is_null(), "{name}: {line}");
        }
    }

    // A new version, promoted: from the next call on.
    app.write("prompts/tutor-next.yaml", PROMPT_NEXT);
    let reloaded = gauntlet_testkit::http::post_json(&app.url("/api/v1/reload"), &[], &json!({})).unwrap();
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    app.command(&["prompt", "promote", "tutor@1.1.0"]).expect_ok();
    let body = json!({"model": "small", "max_tokens": 24, "messages": [{"role": "user", "content": "Where is Rome?"}]});
    let reply = app.chat(&[("x-gauntlet-route", "lessons"), ("x-gauntlet-user", "eve")], &body);
    assert_eq!(reply.header("x-gauntlet-prompt"), Some("tutor@1.1.0"), "{}", reply.text());
    assert_eq!(
        app.trace_of(&reply)["input"]["messages"][0]["content"],
        "You are a pirate. Answer in one short sentence."
    );

    // Ann has a day's money for some calls, not for any number.
    let mut refused = None;
    for _ in 0..200 {
        let reply = app.chat(&[("x-gauntlet-route", "lessons"), ("x-gauntlet-user", "ann")], &body);
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("the cap trips");
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &json!("budget_exceeded")));
    let books = app.api("/api/v1/budgets");
    let of_ann = |line: &&Value| line["scope"] == "route_user_daily" && line["key"] == "lessons/ann";
    let ann = books["lines"].as_array().unwrap().iter().find(of_ann).expect("a budget");
    assert!(ann["spent_usd"].as_f64().unwrap() <= 0.0008, "{ann}");
}

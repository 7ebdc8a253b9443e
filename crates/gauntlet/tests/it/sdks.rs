//! The official OpenAI SDKs, unchanged but for the base URL: what they see through the gateway is what they see without.

use std::collections::BTreeMap;

use gauntlet_testkit::{Conversation, Seen, Step};
use serde_json::{Value, json};

use crate::app::TestApp;

type Lines = BTreeMap<String, Value>;
type Speak = fn(&Conversation, &[&str]) -> Option<Lines>;

const SDKS: [(&str, Speak); 2] = [("python", Conversation::python), ("node", Conversation::node)];

/// Answers as OpenAI would, whatever is asked.
fn like_openai(seen: &Seen) -> Step {
    let body = seen.json();
    let has_result =
        body["messages"].as_array().is_some_and(|all| all.iter().any(|one| one["role"] == "tool"));
    if seen.path.ends_with("/embeddings") {
        return Step::embeddings(8);
    }
    match (&body["tools"], &body["response_format"]) {
        (Value::Array(_), _) if !has_result => {
            Step::tool_call("get_weather", &["{\"ci", "ty\": \"Par", "is\"}"])
        }
        (_, Value::Object(_)) => Step::answer(&["{\"city\": \"Paris\",", " \"celsius\": 21.5}"]),
        _ => Step::answer(&["Sunny", ", 21", " degrees"]),
    }
}

fn talk(app: &TestApp, key: &str) -> Conversation {
    Conversation::new(&app.url("/v1"), key, "prov/test-model")
}

#[test]
fn both_sdks_hold_their_whole_conversation_through_the_gateway() {
    let app = TestApp::start("models:\n  weather: {targets: [prov/test-model]}\n");
    app.provider.respond(like_openai);
    let cases = [
        "chat",
        "chat_stream",
        "chat_stream_usage",
        "tools",
        "tools_stream",
        "tools_round",
        "parse",
        "parse_stream",
        "embeddings",
        "embeddings_float",
        "models",
        "unknown_fields",
        "headers",
        "headers_stream",
    ];
    for (sdk, speak) in SDKS {
        let Some(lines) = speak(&talk(&app, "any"), &cases) else { continue };
        for (case, seen) in &lines {
            assert_eq!(seen["ok"], true, "{sdk} {case}: {seen}");
        }
        let check = |case: &str, pointer: &str, expected: Value| {
            let seen = lines[case].pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(*seen, expected, "{sdk} {case} {pointer}: {}", lines[case]);
        };
        for case in ["chat", "chat_stream", "chat_stream_usage", "tools_round", "headers", "headers_stream"] {
            check(case, "/text", json!("Sunny, 21 degrees"));
        }
        check("chat_stream", "/usage", Value::Null);
        check("chat_stream_usage", "/usage/prompt_tokens", json!(9));
        let call = json!({"id": "call_1", "name": "get_weather", "arguments": "{\"city\": \"Paris\"}"});
        for case in ["tools", "tools_stream"] {
            check(case, "/tool_calls", json!([call]));
            check(case, "/finish", json!("tool_calls"));
        }
        for case in ["parse", "parse_stream"] {
            check(case, "/parsed", json!({"city": "Paris", "celsius": 21.5}));
        }
        check("embeddings", "/dimensions", json!(8));
        check("headers", "/headers/x-gauntlet-model", json!("prov/test-model"));
        let ids = lines["models"]["ids"].as_array().expect("a list");
        assert!(ids.contains(&json!("weather")), "{sdk}: {ids:?}");
    }
    let unknown = app
        .provider
        .requests()
        .iter()
        .filter(|seen| seen.json()["x_unknown"] == json!({"deep": [1, 2.5, "ü"]}))
        .count();
    assert!(unknown >= 1, "unknown fields reach the provider");
    let tools = app.api("/api/v1/traces?limit=200");
    let traced =
        tools["traces"].as_array().expect("a list").iter().map(|row| app.trace(row["id"].as_str().unwrap()));
    let called = traced.filter(|trace| trace["record"]["tool_calls"][0]["name"] == "get_weather").count();
    assert!(called >= 2, "tool calls stand in their records");
}

#[test]
fn refusals_are_the_sdks_own_exceptions() {
    let budgets = "tenants:\n  poor: {daily_usd: 0.000000001}\n";
    let app = TestApp::with_files(
        "  other: {dialect: openai, url: \"http://127.0.0.1:9/v1\"}\n\
         keys:\n  - {name: rich, key: rich-key-0123456789, tenant: rich}\n  - {name: poor, key: poor-key-0123456789, tenant: poor}\n\
         routes:\n  strict: {input: {pii: block}}\n",
        &[("budgets.yml", budgets)],
    );
    app.provider.respond(like_openai);
    let check = |sdk: &str, seen: &Value, class: &str, status: u16, code: &str| {
        let error = &seen["error"];
        let got = (&error["class"], &error["status"], &error["code"]);
        assert_eq!(got, (&json!(class), &json!(status), &json!(code)), "{sdk}: {seen}");
    };
    for (sdk, speak) in SDKS {
        let Some(lines) = speak(&talk(&app, "wrong"), &["chat", "chat_stream"]) else { continue };
        check(sdk, &lines["chat"], "AuthenticationError", 401, "unauthorized");
        check(sdk, &lines["chat_stream"], "AuthenticationError", 401, "unauthorized");
        let broke = speak(&talk(&app, "poor-key-0123456789"), &["chat", "chat_stream"]).expect("it is there");
        check(sdk, &broke["chat"], "RateLimitError", 429, "budget_exceeded");
        check(sdk, &broke["chat_stream"], "RateLimitError", 429, "budget_exceeded");
        let unknown = Conversation::new(&app.url("/v1"), "rich-key-0123456789", "nobody/knows");
        check(
            sdk,
            &speak(&unknown, &["chat"]).expect("it is there")["chat"],
            "NotFoundError",
            404,
            "unknown_model",
        );
        let strict = talk(&app, "rich-key-0123456789")
            .setting("PROMPT", "my card is 4111 1111 1111 1111")
            .setting("EXTRA_HEADERS", "{\"x-gauntlet-route\": \"strict\"}");
        check(
            sdk,
            &speak(&strict, &["chat"]).expect("it is there")["chat"],
            "BadRequestError",
            400,
            "guardrail_blocked",
        );
    }
}

//! The scripts in `crates/gauntlet/tests/sdk`, spoken to the scripted provider directly: so that what a journey through
//! the gateway sees otherwise is the gateway's doing.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_testkit::{Conversation, PlayedEnd, Provider, Seen, Step};
use serde_json::{Value, json};

type Lines = BTreeMap<String, Value>;
type Speak = fn(&Conversation, &[&str]) -> Option<Lines>;

const SDKS: [(&str, Speak); 2] = [("python", Conversation::python), ("node", Conversation::node)];

/// Answers as OpenAI would, by what is asked.
fn like_openai(seen: &Seen) -> Step {
    if seen.header("authorization") != Some("Bearer good-key") {
        return Step::error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided");
    }
    let body = seen.json();
    if body["model"] == "no-such-model" {
        return Step::error(404, "invalid_request_error", "model_not_found", "The model does not exist");
    }
    if seen.path.ends_with("/embeddings") {
        return Step::embeddings(8);
    }
    let has_result =
        body["messages"].as_array().is_some_and(|all| all.iter().any(|one| one["role"] == "tool"));
    match (&body["tools"], &body["response_format"]) {
        (Value::Array(_), _) if !has_result => {
            Step::tool_call("get_weather", &["{\"ci", "ty\": \"Par", "is\"}"])
        }
        (_, Value::Object(_)) => Step::answer(&["{\"city\": \"Paris\",", " \"celsius\": 21.5}"]),
        _ => Step::answer(&["Sunny", ", 21", " degrees"]).header("x-gauntlet-model", "test/m"),
    }
}

fn with_each(provider: &Provider, key: &str, cases: &[&str], check: impl Fn(&str, &Lines)) {
    let talk = Conversation::new(&provider.url(), key, "m-1");
    for (name, speak) in SDKS {
        if let Some(lines) = speak(&talk, cases) {
            check(name, &lines);
        }
    }
}

#[test]
fn conversations_are_seen_by_both_sdks() {
    let provider = Provider::start();
    provider.respond(like_openai);
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
    with_each(&provider, "good-key", &cases, |sdk, lines| {
        for (case, seen) in lines {
            assert_eq!(seen["ok"], true, "{sdk} {case}: {seen}");
        }
        let answer = "Sunny, 21 degrees";
        let check = |case: &str, pointer: &str, expected: Value| {
            let seen = lines[case].pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(*seen, expected, "{sdk} {case} {pointer}: {}", lines[case]);
        };
        for case in ["chat", "chat_stream", "chat_stream_usage", "tools_round", "headers", "headers_stream"] {
            check(case, "/text", json!(answer));
        }
        check("chat", "/usage/total_tokens", json!(21));
        check("chat", "/model", json!("m-1"));
        check("chat_stream", "/usage", Value::Null);
        check("chat_stream", "/finish", json!("stop"));
        check("chat_stream_usage", "/usage/prompt_tokens", json!(9));
        let call = json!({"id": "call_1", "name": "get_weather", "arguments": "{\"city\": \"Paris\"}"});
        for case in ["tools", "tools_stream"] {
            check(case, "/tool_calls", json!([call]));
            check(case, "/finish", json!("tool_calls"));
        }
        for case in ["parse", "parse_stream"] {
            check(case, "/parsed", json!({"city": "Paris", "celsius": 21.5}));
        }
        assert_eq!(lines["embeddings"]["first"], lines["embeddings_float"]["first"], "{sdk}");
        check("embeddings", "/count", json!(2));
        check("embeddings", "/dimensions", json!(8));
        check("models", "/ids", json!(["test-model"]));
        check("headers", "/headers/x-gauntlet-model", json!("test/m"));
    });
    let sent: Vec<Value> = provider.requests().iter().map(Seen::json).collect();
    let extra = sent.iter().filter(|body| body["x_unknown"] == json!({"deep": [1, 2.5, "ü"]})).count();
    let spoken = sent.iter().filter(|body| body["stream_options"] == json!({"include_usage": true})).count();
    assert_eq!(extra, spoken, "each SDK sends its unknown fields and asks for usage once");
}

#[test]
fn errors_are_the_sdks_own_classes() {
    let provider = Provider::start();
    provider.respond(like_openai);
    let check = |sdk: &str, seen: &Value, class: &str, status: u16, code: &str| {
        assert_eq!(seen["ok"], false, "{sdk}: {seen}");
        let error = &seen["error"];
        assert_eq!(
            (&error["class"], &error["status"], &error["code"]),
            (&json!(class), &json!(status), &json!(code)),
            "{sdk}"
        );
        assert!(
            error["classes"].as_array().is_some_and(|all| all.contains(&json!("APIError"))),
            "{sdk}: {error}"
        );
    };
    with_each(&provider, "good-key", &["error_auth", "error_unknown_model"], |sdk, lines| {
        check(sdk, &lines["error_auth"], "AuthenticationError", 401, "invalid_api_key");
        check(sdk, &lines["error_unknown_model"], "NotFoundError", 404, "model_not_found");
    });
    for (step, class, status, code) in [
        (
            Step::error(429, "insufficient_quota", "budget_exceeded", "no").header("retry-after", "7"),
            "RateLimitError",
            429,
            "budget_exceeded",
        ),
        (
            Step::error(400, "invalid_request_error", "guardrail_blocked", "no"),
            "BadRequestError",
            400,
            "guardrail_blocked",
        ),
        (Step::error(503, "server_error", "overloaded", "no"), "InternalServerError", 503, "overloaded"),
    ] {
        provider.default(step);
        with_each(&provider, "good-key", &["chat", "chat_stream"], |sdk, lines| {
            check(sdk, &lines["chat"], class, status, code);
            check(sdk, &lines["chat_stream"], class, status, code);
            if status == 429 {
                assert_eq!(lines["chat"]["error"]["headers"]["retry-after"], "7", "{sdk}");
            }
        });
    }
}

#[test]
fn trouble_within_a_stream_is_seen_with_what_came_before() {
    let provider = Provider::start();
    provider.default(Step::stream(&["one", " two"]).error_in_stream(2, "it broke"));
    with_each(&provider, "k", &["chat_stream"], |sdk, lines| {
        let seen = &lines["chat_stream"];
        assert_eq!((&seen["ok"], &seen["text"]), (&json!(false), &json!("one")), "{sdk}: {seen}");
        assert!(
            seen["error"]["message"].as_str().is_some_and(|text| text.contains("it broke")),
            "{sdk}: {seen}"
        );
    });
    provider.default(Step::refusal(&["I ", "cannot"]));
    with_each(&provider, "k", &["chat", "chat_stream"], |sdk, lines| {
        assert_eq!(lines["chat"]["refusal"], "I cannot", "{sdk}");
        assert_eq!(lines["chat_stream"]["refusal"], "I cannot", "{sdk}");
    });
}

#[test]
fn a_user_who_leaves_a_stream_closes_the_connection() {
    let provider = Provider::start();
    provider.default(Step::endless("x", Duration::from_millis(5)));
    let mut index = 0;
    let talk = Conversation::new(&provider.url(), "k", "m-1");
    for (name, speak) in SDKS {
        if let Some(lines) = speak(&talk, &["stream_leave"]) {
            assert_eq!(lines["stream_leave"]["text"], "x", "{name}");
            let played = provider.wait_for_end(index, Duration::from_secs(10)).expect("the provider notices");
            assert_eq!(played.end, PlayedEnd::ClientGone, "{name}");
            index += 1;
        }
    }
}

#[test]
fn settings_reach_every_call() {
    let provider = Provider::start();
    let talk = Conversation::new(&provider.url(), "k", "m-1")
        .setting("PROMPT", "Hi")
        .setting("MAX_TOKENS", "5")
        .setting("EXTRA_HEADERS", "{\"x-gauntlet-user\": \"ann\"}")
        .setting("EXTRA_BODY", "{\"seed\": 7}");
    let spoken: usize =
        SDKS.iter().filter_map(|(_, speak)| speak(&talk, &["chat"])).map(|lines| lines.len()).sum();
    let requests = provider.requests();
    assert_eq!(requests.len(), spoken);
    for seen in requests {
        let body = seen.json();
        assert_eq!((&body["messages"][1]["content"], &body["max_tokens"]), (&json!("Hi"), &json!(5)));
        assert_eq!((&body["seed"], seen.header("x-gauntlet-user")), (&json!(7), Some("ann")));
    }
}

/// Python only: the asynchronous client of the same SDK.
#[test]
fn the_asynchronous_client_says_the_same() {
    let provider = Provider::start();
    if let Some(lines) = Conversation::new(&provider.url(), "k", "m-1").python(&["chat", "chat_async"]) {
        assert_eq!(lines["chat"]["text"], lines["chat_async"]["text"]);
    }
}

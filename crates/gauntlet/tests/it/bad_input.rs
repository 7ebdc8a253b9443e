//! Whatever a caller sends, it is told what is wrong in OpenAI's shape, the mistake has its record, and nothing breaks.

use std::{io::Write, net::TcpStream, time::Duration};

use gauntlet_testkit::http::{self, Reply};
use serde_json::{Value, json};

use crate::app::TestApp;

/// Two providers, so that a bare name nobody knows is not taken for a model of the only one.
const CONFIG: &str = r#"  other: {dialect: openai, url: "http://127.0.0.1:9/v1"}
models:
  support: {targets: [prov/test-model]}
routes:
  support_bot: {model: support}"#;

const PROMPT: &str = "name: greet\nversion: 1.0.0\nrequired_vars: [who]\ntemplate: Say hello to $who.\n";

fn start() -> TestApp {
    TestApp::with_files(CONFIG, &[("prompts/greet.v1.yaml", PROMPT)])
}

fn no_panics(app: &TestApp) {
    let panicked: Vec<String> =
        app.gateway().stderr().into_iter().filter(|line| line.contains("panicked")).collect();
    assert!(panicked.is_empty(), "{panicked:#?}");
}

/// OpenAI's shape, the status and the stable code; gives the `error` object.
fn refusal(reply: &Reply, status: u16, code: &str) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.is_whole, "the answer is cut: {}", reply.text());
    let error = reply.json()["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    assert!(error["type"].is_string(), "{error}");
    assert!(error.get("param").is_some(), "`param` is there, if only as null: {error}");
    error
}

struct Case {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    param: Option<&'static str>,
    says: &'static [&'static str],
}

fn body(body: impl Into<Vec<u8>>, param: Option<&'static str>, says: &'static [&'static str]) -> Case {
    Case { headers: Vec::new(), body: body.into(), status: 400, code: "invalid_request", param, says }
}

fn header(name: &'static str, value: &str, code: &'static str, says: &'static [&'static str]) -> Case {
    let body = json!({"model": "support", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    Case {
        headers: vec![(name, value.to_owned())],
        body: body.into(),
        status: if code == "unknown_route" { 404 } else { 400 },
        code,
        param: Some(name).filter(|name| *name != "x-gauntlet-prompt"),
        says,
    }
}

#[test]
fn each_mistake_is_named_in_the_callers_dialect_and_recorded() {
    let app = start();
    let hi = r#""messages": [{"role": "user", "content": "hi"}]"#;
    let cases = [
        body("{\"model\": \"support\",\n \"messages\": [}", None, &["line 2", "column 15"]),
        body("{\"model\": \"support\"", None, &["line 1", "column"]),
        body("", None, &["line 1"]),
        body("[1, 2]", None, &["object"]),
        body("null", None, &["object"]),
        body("hello", None, &["line 1, column 1"]),
        body("[".repeat(200_000), None, &["line 1"]),
        body(format!(r#"{{"model": "support", "x": {}, {hi}}}"#, "[".repeat(100_000)), None, &["line 1"]),
        body(format!(r#"{{"model": 5, {hi}}}"#), Some("model"), &["model"]),
        body(format!(r#"{{"model": "", {hi}}}"#), Some("model"), &["model"]),
        body(format!("{{{hi}}}"), Some("model"), &["model", "missing"]),
        body(r#"{"model": "support"}"#, Some("messages"), &["messages"]),
        body(r#"{"model": "support", "messages": []}"#, Some("messages"), &["messages"]),
        body(r#"{"model": "support", "messages": "hi"}"#, Some("messages"), &["messages", "array"]),
        body(r#"{"model": "support", "messages": [7]}"#, Some("messages[0]"), &["messages[0]"]),
        body(format!(r#"{{"model": "support", "stream": "yes", {hi}}}"#), Some("stream"), &["stream"]),
        body(
            format!(r#"{{"model": "support", "max_tokens": -1, {hi}}}"#),
            Some("max_tokens"),
            &["max_tokens"],
        ),
        body(
            format!(r#"{{"model": "support", "temperature": "hot", {hi}}}"#),
            Some("temperature"),
            &["temperature"],
        ),
        body(format!(r#"{{"model": "support", "model": "other", {hi}}}"#), Some("model"), &["twice"]),
        body(format!(r#"{{"model": "support", "gauntlet": 7, {hi}}}"#), Some("gauntlet"), &["object"]),
        body(
            [
                b"{\"model\": \"support\", \"messages\": [{\"role\": \"user\", \"content\": \"".as_slice(),
                &[0xff, 0xfe],
                b"\"}]}",
            ]
            .concat(),
            None,
            &["UTF-8"],
        ),
        Case {
            status: 404,
            code: "unknown_model",
            ..body(
                format!(r#"{{"model": "suport", {hi}}}"#),
                Some("model"),
                &["suport", "did you mean `support`?"],
            )
        },
        Case {
            status: 404,
            code: "unknown_model",
            ..body(format!(r#"{{"model": "nobody/knows", {hi}}}"#), Some("model"), &["nobody/knows"])
        },
        header("x-gauntlet-route", "suport_bot", "unknown_route", &["suport_bot", "support_bot"]),
        header("x-gauntlet-prompt", "greet@2.0.0", "prompt_invalid", &["greet", "1.0.0"]),
        header("x-gauntlet-prompt", "great", "prompt_invalid", &["did you mean `greet`?"]),
        Case {
            param: Some("who"),
            ..header("x-gauntlet-prompt", "greet@1.0.0", "prompt_invalid", &["needs variable `who`"])
        },
        header("x-gauntlet-env", "production-eu", "invalid_request", &["production-eu", "staging"]),
        header("x-gauntlet-user", &"u".repeat(300), "invalid_request", &["x-gauntlet-user", "256"]),
        header("x-gauntlet-session", "a\tb", "invalid_request", &["x-gauntlet-session"]),
        header("x-gauntlet-tags", &"t,".repeat(40), "invalid_request", &["40 tags"]),
    ];
    for (number, case) in cases.iter().enumerate() {
        let headers: Vec<(&str, &str)> =
            case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = app.chat_bytes(&headers, &case.body);
        let error = refusal(&reply, case.status, case.code);
        let message = error["message"].as_str().unwrap();
        for part in case.says {
            assert!(message.contains(part), "case {number}: no `{part}` in `{message}`");
        }
        assert_eq!(error["param"], json!(case.param), "case {number}: {error}");
        assert!(message.len() < 1000, "case {number}: a message stays a message");
        let record = &app.trace_of(&reply)["record"];
        assert_eq!(record["outcome"], "refused", "case {number}: {record:#}");
        assert_eq!(record["error"], case.code, "case {number}");
        assert_eq!(record["status"], case.status, "case {number}");
        assert_eq!(record["caller"]["tenant"], "default", "case {number}");
    }
    assert!(app.provider.requests().is_empty(), "no model was asked");
    no_panics(&app);
}

#[test]
fn a_body_too_large_is_refused_before_it_is_read_and_recorded() {
    let app = start();
    let reply = app.chat_bytes(&[("x-gauntlet-user", "ann")], &vec![b' '; 50 << 20]);
    let error = refusal(&reply, 413, "request_too_large");
    assert!(error["message"].as_str().unwrap().contains("max_body"), "{error}");
    assert_eq!(reply.header("connection"), Some("close"));
    let record = &app.trace_of(&reply)["record"];
    assert_eq!((&record["outcome"], &record["error"]), (&"refused".into(), &"request_too_large".into()));
    assert_eq!((&record["caller"]["tenant"], &record["caller"]["user"]), (&"default".into(), &"ann".into()));
    assert_eq!(app.chat(&[], &TestApp::body("hi")).status, 200, "the next caller is served");
    no_panics(&app);
}

#[test]
fn ten_thousand_messages_are_taken() {
    let app = start();
    let messages: Vec<Value> =
        (0..10_000).map(|n| json!({"role": if n % 2 == 0 { "user" } else { "assistant" }, "content": format!("word {n}")})).collect();
    let reply = app.chat(&[], &json!({"model": "support", "messages": messages}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(app.provider.last_request().json()["messages"].as_array().map(Vec::len), Some(10_000));
    assert_eq!(app.trace_of(&reply)["record"]["outcome"], "ok");
}

#[test]
fn a_flood_of_headers_is_refused_and_recorded() {
    let app = start();
    let names: Vec<String> = (0..130).map(|n| format!("x-flood-{n}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let long = "x".repeat(1000);
    let large: Vec<(&str, &str)> =
        names.iter().take(100).map(|name| (name.as_str(), long.as_str())).collect();
    for flood in [many, large] {
        let reply = app.chat(&flood, &TestApp::body("hi"));
        let error = refusal(&reply, 413, "request_too_large");
        assert!(error["message"].as_str().unwrap().contains("headers"), "{error}");
        let record = &app.trace_of(&reply)["record"];
        assert_eq!((&record["outcome"], &record["status"]), (&"refused".into(), &413.into()));
    }
    // So many that HTTP itself gives up: no call, no record, no harm.
    let names: Vec<String> = (0..2000).map(|n| format!("x-flood-{n}")).collect();
    let flood: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(app.chat(&flood, &TestApp::body("hi")).status, 431);
    assert_eq!(app.chat(&[], &TestApp::body("hi")).status, 200);
    no_panics(&app);
}

#[test]
fn wrong_methods_and_unknown_paths_are_answered_in_the_same_shape() {
    let app = start();
    for (method, path, status, code) in [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/embeddings", 405, "method_not_allowed"),
        ("POST", "/v1/models", 404, "not_found"),
        ("POST", "/v1/chat/completion", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/api/v1/keys", 405, "method_not_allowed"),
        ("GET", "/api/v1/traces/r_nonsense", 400, "invalid_request"),
        ("GET", "/api/v1/traces/r_00000000000000000000000000000000", 404, "not_found"),
        ("GET", "/api/v1/traces?colour=red", 400, "invalid_request"),
        ("GET", "/v1/models/nothing", 404, "unknown_model"),
        ("POST", "/api/v1/keys", 400, "invalid_request"),
    ] {
        let reply = http::send(method, &app.url(path), &[], b"{}").expect("the gateway answers");
        assert_eq!(refusal(&reply, status, code)["code"], code, "{method} {path}");
    }
    no_panics(&app);
}

#[test]
fn a_body_that_breaks_off_is_recorded() {
    let app = start();
    let address = app.gateway().base_url().trim_start_matches("http://").to_owned();
    let head = |framing: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nx-gauntlet-user: gone\r\n{framing}\r\n\r\n"
        )
    };
    for (framing, body) in
        [("transfer-encoding: chunked", "5\r\nhello\r\n"), ("content-length: 100", "hello")]
    {
        let mut socket = TcpStream::connect(&address).expect("the gateway listens");
        socket.write_all((head(framing) + body).as_bytes()).expect("written");
        drop(socket);
    }
    let mut found = Value::Null;
    for _ in 0..100 {
        found = app.api("/api/v1/traces?user=gone");
        if found["traces"].as_array().is_some_and(|rows| rows.len() == 2) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(found["traces"].as_array().map(Vec::len), Some(2), "{found:#}");
    for row in found["traces"].as_array().unwrap() {
        let record = &app.trace(row["id"].as_str().unwrap())["record"];
        assert_eq!((&record["outcome"], &record["error"]), (&"refused".into(), &"invalid_request".into()));
        assert!(record["error_message"].as_str().unwrap().contains("broke off"), "{record:#}");
    }
    no_panics(&app);
}

#[test]
fn a_page_of_another_site_cannot_call_while_no_key_exists() {
    let app = start();
    for origin in
        ["https://evil.example", "http://localhost.evil.example", "http://localhost@evil.example", "null"]
    {
        let reply = app.chat(&[("origin", origin)], &TestApp::body("hi"));
        refusal(&reply, 403, "forbidden");
    }
    assert!(app.provider.requests().is_empty());
    for origin in ["http://localhost:3000", "http://127.0.0.1:8787", "http://[::1]:8787"] {
        let reply = app.chat(&[("origin", origin)], &TestApp::body("hi"));
        assert_eq!(reply.status, 200, "{origin}: {}", reply.text());
    }
}

//! What is passed through escapes nothing: the model is named anew, budgets are charged, guards look, records are kept,
//! and what a provider keeps for one tenant is nobody else's.

use gauntlet_testkit::{Step, http, http::Reply};
use serde_json::{Value, json};

use crate::app::TestApp;

const JSON: (&str, &str) = ("content-type", "application/json");

fn send(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    http::send(method, &app.url(path), headers, body).expect("an answer")
}

fn post(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    send(app, "POST", path, &headers, body.to_string().as_bytes())
}

const MODELS: &str = "models: {ears: {targets: [prov/test-model]}, brush: {targets: [prov/test-model]}}\n\
    default: {input: {pii: redact}, output: {pii: redact}}\n";

#[test]
fn a_json_request_goes_up_under_its_own_path_guarded_priced_and_recorded() {
    let app = TestApp::start(MODELS);
    let answer = json!({"created": 1, "data": [{"b64_json": "QUJD", "revised_prompt": "a cat of ann@example.com"}],
        "usage": {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}});
    app.provider.script([Step::plain(answer)]);
    let asked = json!({"model": "brush", "prompt": "a cat for bob@example.com", "n": 1, "x_new": [1.50]});
    let reply = post(&app, "/v1/images/generations", &[], &asked);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = app.provider.last_request();
    assert!(seen.path.ends_with("/images/generations"), "{}", seen.path);
    let wanted = asked
        .to_string()
        .replace("brush", "test-model")
        .replace("bob@example.com", "[REDACTED:EMAIL_ADDRESS]");
    assert_eq!(String::from_utf8_lossy(&seen.body), wanted);
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-secret"));
    assert!(!reply.text().contains("ann@example.com"), "{}", reply.text());
    let trace = app.trace_of(&reply);
    let record = &trace["record"];
    assert_eq!(record["door"], "images");
    assert_eq!(
        reply.header("x-gauntlet-cost-usd"),
        Some("0.00021"),
        "10 at 1 USD and 100 at 2 USD a million"
    );
    assert!(!trace.to_string().contains("@example.com"));
}

#[test]
fn a_form_keeps_its_file_and_gets_its_model() {
    let app = TestApp::start(MODELS);
    app.provider
        .script([Step::plain(json!({"text": "hello", "usage": {"input_tokens": 5, "output_tokens": 1}}))]);
    let sound = "\u{0}\u{1}RIFF--no-boundary\r\n";
    let form = |model: &str| {
        format!(
            "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
             {sound}\r\n--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b1--\r\n"
        )
    };
    let headers = [("content-type", "multipart/form-data; boundary=b1")];
    let reply = send(&app, "POST", "/v1/audio/transcriptions", &headers, form("ears").as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = app.provider.last_request();
    assert_eq!(String::from_utf8_lossy(&seen.body), form("test-model"));
    assert_eq!(seen.header("content-type"), Some("multipart/form-data; boundary=b1"));
    let trace = app.trace_of(&reply);
    assert_eq!(trace["input"]["file"]["file"], "a.wav", "the record has no sound: {}", trace["input"]);
}

#[test]
fn sounds_come_back_as_they_were_and_cost_their_hold_where_nobody_tells() {
    let app = TestApp::start("default: {default_max_tokens: 1000}");
    app.provider.script([Step::text("").body(&b"\xff\xfbID3"[..]).header("content-type", "audio/mpeg")]);
    let asked = json!({"model": "prov/test-model", "input": "say this", "voice": "alloy"});
    let reply = post(&app, "/v1/audio/speech", &[], &asked);
    assert_eq!((reply.status, &reply.body[..]), (200, &b"\xff\xfbID3"[..]), "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("audio/mpeg"));
    let cost = reply.header("x-gauntlet-cost-usd").and_then(|cost| cost.parse::<f64>().ok()).unwrap_or(0.0);
    assert!(cost >= 0.002, "1,000 tokens of sound at 2 USD a million at least: {cost}");
}

const TWO_TENANTS: &str = "keys:\n\
    - {name: a, key: key-of-acme-000000000000, tenant: acme}\n\
    - {name: b, key: key-of-other-00000000000, tenant: other}\n";

#[test]
fn a_tenants_files_are_nobody_elses() {
    let app = TestApp::start(TWO_TENANTS);
    let (acme, other) = [("authorization", "Bearer key-of-acme-000000000000")]
        .into_iter()
        .zip([("authorization", "Bearer key-of-other-00000000000")])
        .next()
        .expect("two keys");
    let form = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{}\r\n--b--\r\n";
    let kind = ("content-type", "multipart/form-data; boundary=b");
    app.provider.script([Step::plain(json!({"id": "file-1", "object": "file"}))]);
    let made = send(&app, "POST", "/v1/files", &[acme, kind], form.as_bytes());
    assert_eq!(made.status, 200, "{}", made.text());
    let check = |who: (&str, &str), method: &str, path: &str, status: u16| {
        app.provider.default(Step::plain(json!({"id": "file-1", "object": "file", "deleted": true})));
        let reply = send(&app, method, path, &[who], b"");
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    };
    check(acme, "GET", "/v1/files/file-1", 200);
    check(acme, "GET", "/v1/files/file-1/content", 200);
    let before = app.provider.requests().len();
    check(other, "GET", "/v1/files/file-1", 404);
    check(other, "GET", "/v1/files/file-1/content", 404);
    check(other, "DELETE", "/v1/files/file-1", 404);
    let body = json!({"model": "prov/test-model", "messages": [
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]});
    assert_eq!(post(&app, "/v1/chat/completions", &[other], &body).status, 404);
    assert_eq!(app.provider.requests().len(), before, "the provider was not asked");
    let list = json!({"object": "list", "data": [{"id": "file-1"}, {"id": "file-2"}]});
    app.provider.default(Step::plain(list));
    let ids = |who| {
        let reply = send(&app, "GET", "/v1/files?limit=5", &[who], b"").json();
        reply["data"].as_array().expect("a list").iter().map(|file| file["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(acme), [json!("file-1")]);
    assert_eq!(ids(other), Vec::<Value>::new());
    assert!(app.provider.last_request().path.ends_with("/files?limit=5"));
}

#[test]
fn what_cannot_be_metered_is_refused_until_the_route_says_otherwise() {
    let app = TestApp::start("routes: {free: {unpriced: allow}}");
    let asked =
        json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let reply = post(&app, "/v1/batches", &[], &asked);
    assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (400, json!("unpriced_model")));
    app.provider.script([Step::plain(json!({"id": "batch_1", "object": "batch"}))]);
    let reply = post(&app, "/v1/batches", &[("x-gauntlet-route", "free")], &asked);
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let app = TestApp::start("");
    let check = |path: &str, kind: &str, body: &str, part: &str| {
        let reply = send(&app, "POST", path, &[("content-type", kind)], body.as_bytes());
        let message = reply.json()["error"]["message"].as_str().unwrap_or("").to_owned();
        assert!(reply.status == 400 && message.contains(part), "{path} {body}: {} {message}", reply.status);
    };
    check("/v1/moderations", "application/json", "{", "JSON");
    check("/v1/moderations", "application/json", "[]", "object");
    check(
        "/v1/moderations",
        "application/json",
        r#"{"model":"prov/test-model","input":"x","stream":true}"#,
        "stream",
    );
    check("/v1/audio/transcriptions", "multipart/form-data; boundary=b", "no form", "begin");
    check("/v1/images/generations", "application/json", r#"{"model":7,"prompt":"x"}"#, "model");
    assert_eq!(send(&app, "PUT", "/v1/files/x", &[], b"").status, 405);
}

#[test]
fn an_answer_that_is_made_in_the_background_costs_its_hold() {
    let app = TestApp::start("default: {default_max_tokens: 1000}\n");
    let queued = json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "queued", "background": true,
        "model": "test-model", "output": [], "usage": null, "error": null});
    app.provider.script([Step::plain(queued)]);
    app.reconfigure(&format!(
        "  answers: {{dialect: openai, url: \"{}\", key: k, serves: [chat, responses]}}\ndefault: {{default_max_tokens: 1000}}\n",
        app.provider.url()
    ));
    app.write("prices.yml", "test-model: {input: 1, output: 2}\n");
    assert_eq!(send(&app, "POST", "/api/v1/reload", &[], b"").status, 200);
    let asked = json!({"model": "answers/test-model", "input": "hello", "background": true});
    let reply = post(&app, "/v1/responses", &[], &asked);
    assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some("queued")), "{}", reply.text());
    let cost = reply.header("x-gauntlet-cost-usd").and_then(|cost| cost.parse::<f64>().ok()).unwrap_or(0.0);
    assert!(cost >= 0.002, "what nobody can count costs what was held: {cost}");
}

//! Ordinary answers: shapes, script, requests as seen.

use std::time::Duration;

use gauntlet_testkit::{PlayedEnd, Provider, Step, http};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);

fn ask(provider: &Provider, body: &Value) -> http::Reply {
    http::post_json(&format!("{}/chat/completions", provider.url()), &[], body).unwrap()
}

fn stream(provider: &Provider, body: &Value) -> http::Streamed {
    http::post_stream(&format!("{}/chat/completions", provider.url()), &[], body).unwrap().collect()
}

fn hello() -> Value {
    json!({"model": "m-1", "messages": [{"role": "user", "content": "hello"}]})
}

fn hello_stream() -> Value {
    json!({"model": "m-1", "stream": true, "messages": [{"role": "user", "content": "hello"}]})
}

#[test]
fn steps_are_taken_in_order_and_then_the_default() {
    let provider = Provider::start();
    provider.script([Step::text("one"), Step::status(500), Step::text("two")]);
    provider.default(Step::text("default"));
    let text = |reply: http::Reply| reply.json()["choices"][0]["message"]["content"].clone();
    assert_eq!(text(ask(&provider, &hello())), "one");
    assert_eq!(ask(&provider, &hello()).status, 500);
    assert_eq!(provider.steps_left(), 1);
    assert_eq!(text(ask(&provider, &hello())), "two");
    assert_eq!(text(ask(&provider, &hello())), "default");
    provider.respond(|seen| Step::text(seen.json()["messages"][0]["content"].as_str().unwrap_or("")));
    assert_eq!(text(ask(&provider, &hello())), "hello");
}

#[test]
fn a_plain_answer_names_the_model_and_its_usage() {
    let provider = Provider::start();
    provider.script([Step::text("hi").usage(20, 7).cached(16).reasoning(3).header("x-request-id", "r1")]);
    let reply = ask(&provider, &hello());
    assert!(reply.is_whole);
    assert_eq!(reply.header("x-request-id"), Some("r1"));
    let body = reply.json();
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("m-1")));
    assert_eq!(body["usage"]["total_tokens"], 27);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 16);
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_stream_has_usage_only_when_asked() {
    let provider = Provider::start();
    provider.default(Step::stream(&["he", "llo"]));
    let plain = stream(&provider, &hello_stream());
    assert_eq!((plain.text().as_str(), plain.has_done(), plain.is_whole), ("hello", true, true));
    assert_eq!(plain.frames.len(), 5);
    assert!(plain.chunks().iter().all(|chunk| chunk.get("usage").is_none()));

    let mut asking = hello_stream();
    asking["stream_options"] = json!({"include_usage": true});
    let counted = stream(&provider, &asking).chunks();
    assert!(counted[0]["usage"].is_null() && counted[0].get("usage").is_some());
    assert_eq!(counted[counted.len() - 1]["usage"]["total_tokens"], 21);

    provider.script([
        Step::stream(&["a"]).without_usage_chunk().without_done(),
        Step::stream(&["a"]).with_usage_chunk(),
    ]);
    let bare = stream(&provider, &asking);
    assert!(!bare.has_done() && bare.chunks().iter().all(|chunk| chunk["usage"].is_null()));
    assert_eq!(stream(&provider, &hello_stream()).chunks()[3]["usage"]["total_tokens"], 21);
}

#[test]
fn an_answer_is_streamed_when_asked() {
    let provider = Provider::start();
    provider.default(Step::answer(&["a", "b"]).finish("length"));
    assert_eq!(ask(&provider, &hello()).json()["choices"][0]["message"]["content"], "ab");
    let streamed = stream(&provider, &hello_stream());
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    assert_eq!(streamed.text(), "ab");
    assert_eq!(streamed.chunks()[3]["choices"][0]["finish_reason"], "length");
}

#[test]
fn tool_calls_come_in_pieces_when_streamed() {
    let provider = Provider::start();
    provider.default(Step::tool_calls(&[("a", &["{\"x\"", ":1}"]), ("b", &["{}"])]));
    let calls = ask(&provider, &hello()).json()["choices"][0]["message"]["tool_calls"].clone();
    assert_eq!(calls[0]["function"], json!({"name": "a", "arguments": "{\"x\":1}"}));
    assert_eq!((&calls[1]["id"], &calls[1]["function"]["name"]), (&json!("call_2"), &json!("b")));
    let chunks = stream(&provider, &hello_stream()).chunks();
    let delta = |index: usize| chunks[index]["choices"][0]["delta"]["tool_calls"][0].clone();
    assert_eq!(delta(1)["function"]["name"], "a");
    assert_eq!((&delta(3)["index"], &delta(3)["function"]["arguments"]), (&json!(0), &json!(":1}")));
    assert_eq!((&delta(4)["index"], &delta(4)["id"]), (&json!(1), &json!("call_2")));
    assert_eq!(chunks[chunks.len() - 1]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn a_refusal_has_no_content() {
    let provider = Provider::start();
    provider.default(Step::refusal(&["I ", "cannot"]));
    let message = ask(&provider, &hello()).json()["choices"][0]["message"].clone();
    assert_eq!((&message["content"], &message["refusal"]), (&Value::Null, &json!("I cannot")));
    assert_eq!(stream(&provider, &hello_stream()).chunks()[2]["choices"][0]["delta"]["refusal"], "cannot");
}

#[test]
fn embeddings_are_the_same_for_the_same_text() {
    let provider = Provider::start();
    let url = format!("{}/embeddings", provider.url());
    let floats = http::post_json(&url, &[], &json!({"model": "e", "input": ["a", "b", "a"]})).unwrap().json();
    let vector = |index: usize| floats["data"][index]["embedding"].clone();
    assert_eq!(vector(0), vector(2));
    assert_ne!(vector(0), vector(1));
    let packed = json!({"model": "e", "input": "a", "encoding_format": "base64"});
    assert!(http::post_json(&url, &[], &packed).unwrap().json()["data"][0]["embedding"].is_string());
}

#[test]
fn models_are_listed_without_taking_a_step() {
    let provider = Provider::start();
    provider.models(&["a", "b"]);
    provider.script([Step::status(500)]);
    let list = http::get(&format!("{}/models", provider.url()), &[]).unwrap().json();
    assert_eq!((&list["data"][0]["id"], &list["data"][1]["id"]), (&json!("a"), &json!("b")));
    assert_eq!((provider.steps_left(), provider.requests().len()), (1, 0));
}

#[test]
fn requests_are_kept_as_they_came() {
    let provider = Provider::start();
    let body = br#"{"model":"m-1",  "x_unknown": 1.50}"#;
    let url = format!("{}/chat/completions?a=b", provider.url());
    http::post(&url, &[("authorization", "Bearer k"), ("x-Extra", "1")], body).unwrap();
    let seen = provider.last_request();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/chat/completions?a=b"));
    assert_eq!((seen.header("authorization"), seen.header("x-extra")), (Some("Bearer k"), Some("1")));
    assert_eq!(seen.body.as_ref(), body);
    assert_eq!(provider.take_requests().len(), 1);
    assert!(provider.requests().is_empty());
}

#[test]
fn a_chunked_request_and_a_second_one_on_the_same_connection_are_read() {
    let provider = Provider::start();
    let address = format!("127.0.0.1:{}", provider.port());
    let head = "POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n";
    let request = format!(
        "{head}\r\n4\r\n{{\"a\"\r\n3\r\n:1}}\r\n0\r\n\r\n{head}connection: close\r\n\r\n2\r\n{{}}\r\n0\r\nx-trailer: 1\r\n\r\n"
    );
    let answer = http::send_raw(&address, request.as_bytes()).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer).matches("HTTP/1.1 200 OK").count(), 2);
    let bodies: Vec<_> = provider.requests().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["{\"a\":1}", "{}"]);
    assert_eq!(provider.connections(), 1);
}

#[test]
fn a_test_can_wait_for_what_happens_at_the_provider() {
    let provider = Provider::start();
    assert!(!provider.wait_for_requests(1, Duration::from_millis(5)));
    ask(&provider, &hello());
    assert!(provider.wait_for_requests(1, LIMIT));
    let played = provider.wait_for_end(0, LIMIT).unwrap();
    assert_eq!((played.end, played.frames), (PlayedEnd::Whole, 1));
}

#[test]
fn a_dropped_provider_refuses_connections_and_may_come_back() {
    let provider = Provider::start();
    let (url, port) = (format!("{}/models", provider.url()), provider.port());
    assert!(http::get(&url, &[]).is_ok());
    drop(provider);
    assert!(http::get(&url, &[]).is_err());
    let _back = Provider::start_at(port);
    assert!(http::get(&url, &[]).is_ok());
}

//! The doors of conversations, and how each dialect says things: what a test of every door needs to know.

use gauntlet_testkit::http::Reply;
use serde_json::{Value, json};

/// A door of the gateway. A new one is a new line of [`DOORS`].
pub struct Door {
    pub name: &'static str,
    pub path: fn(model: &str, stream: bool) -> String,
    pub body: fn(model: &str, stream: bool) -> Value,
    /// The text of a whole answer, or of a stream as far as it came.
    pub text: fn(&Reply) -> String,
    /// The code of an error answer; none if it has not the dialect's shape.
    pub code: fn(&Value) -> Option<String>,
    /// The code of the error that ends a stream; none for one that ends well.
    pub broken: fn(&Reply) -> Option<String>,
}

pub const DOORS: [Door; 5] = [
    Door {
        name: "chat",
        path: |_, _| "/v1/chat/completions".to_owned(),
        body: |model, stream| json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}),
        text: |reply| match is_stream(reply) {
            false => text(&reply.json()["choices"][0]["message"]["content"]),
            true => joined(reply, |chunk| &chunk["choices"][0]["delta"]["content"]),
        },
        code: openai_code,
        broken: openai_broken,
    },
    Door {
        name: "completions",
        path: |_, _| "/v1/completions".to_owned(),
        body: |model, stream| json!({"model": model, "stream": stream, "prompt": "hi"}),
        text: |reply| match is_stream(reply) {
            false => text(&reply.json()["choices"][0]["text"]),
            true => joined(reply, |chunk| &chunk["choices"][0]["text"]),
        },
        code: openai_code,
        broken: openai_broken,
    },
    Door {
        name: "responses",
        path: |_, _| "/v1/responses".to_owned(),
        body: |model, stream| json!({"model": model, "stream": stream, "input": "hi"}),
        text: |reply| match is_stream(reply) {
            false => text(&reply.json()["output"][0]["content"][0]["text"]),
            true => joined(reply, |event| match event["type"] == "response.output_text.delta" {
                true => &event["delta"],
                false => &Value::Null,
            }),
        },
        code: openai_code,
        broken: |reply| {
            let frames = frames(reply);
            let last = frames.last().expect("a last frame");
            match last["type"].as_str() {
                Some("response.completed" | "response.incomplete") => None,
                Some("response.failed") => Some(text(&last["response"]["error"]["code"])),
                _ => panic!("a stream ends in its own way: {}", reply.text()),
            }
        },
    },
    Door {
        name: "messages",
        path: |_, _| "/v1/messages".to_owned(),
        body: |model, stream| {
            json!({"model": model, "stream": stream, "max_tokens": 100,
                "messages": [{"role": "user", "content": "hi"}]})
        },
        text: |reply| match is_stream(reply) {
            false => text(&reply.json()["content"][0]["text"]),
            true => joined(reply, |event| &event["delta"]["text"]),
        },
        code: |body| {
            let is_shaped = body["type"] == "error" && body["error"]["type"].is_string();
            body["error"]["code"].as_str().filter(|_| is_shaped).map(str::to_owned)
        },
        broken: |reply| {
            let frames = frames(reply);
            let last = frames.last().expect("a last frame");
            match last["type"].as_str() {
                Some("message_stop") => None,
                Some("error") => Some(text(&last["error"]["code"])),
                _ => panic!("a stream ends in its own way: {}", reply.text()),
            }
        },
    },
    Door {
        name: "gemini",
        path: |model, stream| {
            let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            format!("/v1beta/models/{model}:{verb}")
        },
        body: |_, _| json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        text: |reply| match is_stream(reply) {
            false => text(&reply.json()["candidates"][0]["content"]["parts"][0]["text"]),
            true => joined(reply, |chunk| &chunk["candidates"][0]["content"]["parts"][0]["text"]),
        },
        code: gemini_code,
        broken: |reply| {
            let frames = frames(reply);
            let last = frames.last().expect("a last frame");
            let code = gemini_code(last);
            let is_ended = last["candidates"][0]["finishReason"].is_string();
            assert_ne!(is_ended, code.is_some(), "a stream ends in its own way: {}", reply.text());
            code
        },
    },
];

fn openai_code(body: &Value) -> Option<String> {
    let error = body["error"].as_object()?;
    let is_shaped = error["message"].is_string() && error["type"].is_string();
    error["code"].as_str().filter(|_| is_shaped).map(str::to_owned)
}

fn openai_broken(reply: &Reply) -> Option<String> {
    let has_done = reply.text().trim_end().ends_with("data: [DONE]");
    let code = frames(reply).last().and_then(openai_code);
    assert_ne!(has_done, code.is_some(), "a stream ends well or with an error: {}", reply.text());
    code
}

fn gemini_code(body: &Value) -> Option<String> {
    let error = body["error"].as_object()?;
    let is_shaped = error["code"].is_number() && error["status"].is_string();
    error["details"][0]["reason"].as_str().filter(|_| is_shaped).map(str::to_owned)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn joined(reply: &Reply, piece: fn(&Value) -> &Value) -> String {
    frames(reply).iter().map(|frame| text(piece(frame))).collect()
}

pub fn is_stream(reply: &Reply) -> bool {
    reply.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
}

pub fn frames(reply: &Reply) -> Vec<Value> {
    let text = reply.text();
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

//! A prompt holds at every door, and each call records which; what it brings besides messages goes into calls at the chat
//! door.

use gauntlet_testkit::{Step, http};
use serde_json::{Value, json};

use crate::{app::TestApp, fault_doors::DOORS};

const DESK: (&str, &str) = (
    "prompts/desk.yaml",
    "
name: desk
version: 1.0.0
labels: [production]
template: Be brief.
parameters: {temperature: 0.25, max_tokens: 77}
tools: [{type: function, function: {name: look_up, parameters: {type: object}}}]
tool_choice: auto
",
);

#[test]
fn every_door_records_name_version_label_and_hash() {
    let app = TestApp::with_files("", &[DESK]);
    let (url, origin) = (app.provider.url(), app.provider.origin());
    // Each dialect's own provider, so that nothing is translated.
    app.reconfigure(&format!(
        "  answers: {{dialect: openai, url: \"{url}\", key: k, price: free, serves: [chat, responses]}}\n  \
         anth: {{dialect: anthropic, url: \"{origin}\", key: k, price: free}}\n  \
         goog: {{dialect: gemini, url: \"{origin}\", key: k, price: free}}\n"
    ));
    assert_eq!(http::post(&app.url("/api/v1/reload"), &[], b"").unwrap().status, 200);
    app.provider.respond(|_| Step::answer(&["Hello"]));
    let hash = app.command_json(&["prompt", "show", "desk@1.0.0"])["hash"].clone();
    for door in &DOORS {
        let target = match door.name {
            "responses" => "answers",
            "messages" => "anth",
            "gemini" | "generate" => "goog",
            _ => "prov",
        };
        let model = format!("{target}/test-model");
        let body = (door.body)(&model, false).to_string();
        let headers = [("content-type", "application/json"), ("x-gauntlet-prompt", "desk@production")];
        let reply = http::post(&app.url(&(door.path)(&model, false)), &headers, body.as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{}: {}", door.name, reply.text());
        assert_eq!(reply.header("x-gauntlet-prompt"), Some("desk@1.0.0"), "{}", door.name);
        let record = &app.trace_of(&reply)["record"];
        let wanted = json!({"name": "desk", "version": "1.0.0", "label": "production", "hash": hash});
        assert_eq!(record["prompt"], wanted, "{}", door.name);
        let sent = String::from_utf8_lossy(&app.provider.last_request().body).into_owned();
        assert!(sent.contains("Be brief."), "{}: {sent}", door.name);
        let fields = ["tools", "tool_choice", "max_tokens", "temperature"];
        let is_chat = door.name == "chat";
        assert_eq!(sent.contains("look_up"), is_chat, "{}: {sent}", door.name);
        let listed = |name: &str, mark: &str| {
            let list = record[name].as_array().cloned().unwrap_or_default();
            fields.iter().all(|field| list.contains(&json!(format!("{mark}{field}"))))
        };
        assert_eq!(listed("injected", ""), is_chat, "{}: {record}", door.name);
        assert_eq!(listed("dropped", "prompt."), !is_chat, "{}: {record}", door.name);
        let told = reply.header("x-gauntlet-dropped").unwrap_or("");
        assert_eq!(told.contains("prompt.temperature"), !is_chat, "{}: {told}", door.name);
    }
}

#[test]
fn what_the_caller_says_goes_before_what_the_prompt_brings() {
    let app = TestApp::with_files("", &[DESK]);
    let check = |more: Value, wanted: Value| {
        let mut body = json!({"model": "prov/test-model", "gauntlet": {"prompt": "desk"}});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let reply = app.chat(&[], &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sent = app.provider.last_request().json();
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(sent.get(name).unwrap_or(&Value::Null), value, "{name}: {sent}");
        }
        reply
    };
    let own = json!([{"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}}]);
    check(json!({}), json!({"temperature": 0.25, "max_tokens": 77, "tool_choice": "auto"}));
    check(
        json!({"temperature": 1, "max_completion_tokens": 5}),
        json!({"temperature": 1, "max_completion_tokens": 5, "max_tokens": null}),
    );
    check(json!({"tools": own}), json!({"tools": own, "tool_choice": null, "temperature": 0.25}));
    let reply = check(json!({"temperature": null}), json!({"temperature": null, "max_tokens": 77}));
    // A replay with the same prompt says the same again; one with another takes what this one brought out.
    let id = reply.header("x-gauntlet-request-id").unwrap();
    let kept = app.trace(id);
    assert_eq!(kept["input"]["max_tokens"], 77, "{kept}");
    app.write(
        "prompts/next.yaml",
        "{name: desk, version: 1.1.0, template: Be kind., parameters: {temperature: 0.5}}",
    );
    assert_eq!(http::post(&app.url("/api/v1/reload"), &[], b"").unwrap().status, 200);
    app.command_json(&["trace", "replay", id]);
    assert_eq!(app.provider.last_request().json()["max_tokens"], 77);
    app.command_json(&["trace", "replay", id, "--prompt", "desk@1.1.0"]);
    let sent = app.provider.last_request().json();
    assert_eq!((sent.get("max_tokens"), sent.get("tools")), (None, None), "{sent}");
}

#[test]
fn a_strict_call_at_another_door_is_refused_rather_than_cut() {
    let app = TestApp::with_files("", &[DESK]);
    let body = json!({"model": "prov/test-model", "prompt": "hi"});
    let headers = [("x-gauntlet-prompt", "desk"), ("x-gauntlet-strict", "true")];
    let reply = http::post_json(&app.url("/v1/completions"), &headers, &body).unwrap();
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains("call /v1/chat/completions"), "{}", reply.text());
    assert!(app.provider.requests().is_empty());
}

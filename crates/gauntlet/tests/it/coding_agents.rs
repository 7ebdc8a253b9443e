//! The requests of Claude Code and of Codex, in the shape that their documentation and their open sources show: long lists of
//! tools, marks for the prompt cache, betas, sealed thoughts. To a provider of their own dialect they travel byte for byte, and
//! so does the stream that comes back; to others they are translated, and what has no counterpart is named.

use gauntlet_testkit::{Format, Step, http};
use serde_json::{Value, json};

use crate::{app::TestApp, sdks_everywhere};

/// Guards that look at everything, and find nothing.
const GUARDS: &str = "default:\n  input: {pii: redact, secrets: block, injection: flag}\n  output: {pii: flag, secrets: flag}\n";
/// The same, but ready to change what goes out: words are held back until they are whole.
const HOLDING: &str = "default:\n  input: {pii: redact, secrets: block, injection: flag}\n  output: {pii: redact, secrets: block}\n";

/// An agent, what it sends, and what its vendor streams back.
struct Agent {
    name: &'static str,
    path: &'static str,
    /// Where the vendor gets it.
    upstream_path: &'static str,
    /// The alias that leads to its own vendor.
    own: &'static str,
    /// `MODEL` stands for the model.
    body: &'static str,
    stream: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// The header that carries its credentials.
    key: (&'static str, &'static str),
}

const CLAUDE_CODE: Agent = Agent {
    name: "Claude Code",
    path: "/v1/messages?beta=true",
    upstream_path: "/v1/messages",
    own: "on-messages",
    body: include_str!("../agents/claude_code.json"),
    stream: include_str!("../agents/claude_code.sse"),
    headers: &[
        ("accept", "application/json"),
        (
            "anthropic-beta",
            "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05",
        ),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("user-agent", "claude-cli/2.1.40 (external, cli)"),
        ("x-app", "cli"),
        ("x-claude-code-session-id", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"),
        ("x-stainless-lang", "js"),
        ("x-stainless-runtime-version", "v24.3.0"),
        ("x-stainless-timeout", "600"),
    ],
    key: ("authorization", "Bearer caller-secret"),
};

const CODEX: Agent = Agent {
    name: "Codex",
    path: "/v1/responses",
    upstream_path: "/v1/responses",
    own: "on-responses",
    body: include_str!("../agents/codex.json"),
    stream: include_str!("../agents/codex.sse"),
    headers: &[
        ("accept", "text/event-stream"),
        ("user-agent", "codex_cli_rs/0.98.0 (Debian 13; x86_64) xterm-256color"),
        ("originator", "codex_cli_rs"),
        ("version", "0.98.0"),
        ("session_id", "019a8f2e-7c1d-7e33-b0a5-4d2f6e8c9a10"),
        ("x-codex-beta-features", "apply_patch_freeform"),
        ("openai-beta", "responses=experimental"),
    ],
    key: ("authorization", "Bearer caller-secret"),
};

impl Agent {
    fn ask(&self, app: &TestApp, model: &str) -> http::Reply {
        let mut headers = self.headers.to_vec();
        headers.push(self.key);
        let body = self.body.replace("\"MODEL\"", &format!("\"{model}\""));
        http::post(&app.url(self.path), &headers, body.as_bytes()).expect("the gateway answers")
    }

    /// The frames that its vendor streams.
    fn step(&self) -> Step {
        let frames: Vec<&str> = self.stream.split_inclusive("\n\n").collect();
        Step::frames(&frames)
    }
}

#[test]
fn requests_and_streams_of_coding_agents_pass_byte_for_byte() {
    let vendors = sdks_everywhere::vendors();
    let app = sdks_everywhere::gateway(&vendors, GUARDS, &[]);
    for agent in [CLAUDE_CODE, CODEX] {
        let name = agent.name;
        vendors.script([agent.step(), agent.step().split_every(97)]);
        for way in ["in frames", "in pieces of 97 bytes"] {
            let reply = agent.ask(&app, agent.own);
            assert_eq!(reply.status, 200, "{name} {way}: {}", reply.text());
            assert_eq!(reply.text(), agent.stream, "{name} {way}");
            assert_eq!(reply.header("x-gauntlet-dropped"), None, "{name} {way}");
            let seen = vendors.last_request();
            assert_eq!(seen.path, agent.upstream_path, "{name}");
            assert_eq!(seen.body, agent.body.replace("\"MODEL\"", "\"test-model\""), "{name} {way}");
            for (header, value) in agent.headers {
                assert_eq!(seen.header(header), Some(*value), "{name}: {header}");
            }
            let all = format!("{:?}", seen.headers);
            assert!(!all.contains("caller-secret"), "{name}: {all}");
            assert!(!all.contains("x-gauntlet"), "{name}: {all}");
            let record = app.trace_of(&reply)["record"].clone();
            assert_eq!(record["outcome"], "ok", "{name}: {record:#}");
            assert_eq!(record["dropped"].as_array().map_or(0, Vec::len), 0, "{name}: {record:#}");
        }
    }
}

/// The events of a stream with the pieces of each text put together: how a text is cut says nothing.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut events: Vec<Value> = Vec::new();
    for mut event in data.map(|data| serde_json::from_str::<Value>(data).expect("JSON")) {
        for counted in ["sequence_number", "obfuscation"] {
            event.as_object_mut().expect("an object").remove(counted);
        }
        let Some(before) = events.last_mut() else {
            events.push(event);
            continue;
        };
        let pointers = ["/delta", "/delta/text", "/delta/thinking", "/delta/partial_json"];
        let is_next = before["type"] == event["type"] && before["index"] == event["index"];
        let text = |event: &Value, at: &str| event.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let piece =
            pointers.iter().find(|at| is_next && text(before, at).is_some() && text(&event, at).is_some());
        match piece {
            Some(at) => {
                let whole = text(before, at).unwrap_or_default() + &text(&event, at).unwrap_or_default();
                *before.pointer_mut(at).expect("it was found") = whole.into();
            }
            None => events.push(event),
        }
    }
    events
}

#[test]
fn guards_that_hold_words_back_change_nothing_but_how_texts_are_cut() {
    let vendors = sdks_everywhere::vendors();
    let app = sdks_everywhere::gateway(&vendors, HOLDING, &[]);
    for agent in [CLAUDE_CODE, CODEX] {
        vendors.script([agent.step()]);
        let reply = agent.ask(&app, agent.own);
        assert_eq!(events(&reply.text()), events(agent.stream), "{}", agent.name);
        assert_eq!(vendors.last_request().body, agent.body.replace("\"MODEL\"", "\"test-model\""));
    }
}

#[test]
fn usage_of_coding_agents_is_counted_with_what_the_cache_spared() {
    let vendors = sdks_everywhere::vendors();
    let app = sdks_everywhere::gateway(&vendors, "", &[]);
    let check = |agent: &Agent, wanted: [(&str, i64); 3]| {
        vendors.script([agent.step()]);
        let record = app.trace_of(&agent.ask(&app, agent.own))["record"].clone();
        for (field, count) in wanted {
            assert_eq!(record["usage"][field], count, "{}: {:#}", agent.name, record["usage"]);
        }
    };
    check(&CLAUDE_CODE, [("input_fresh", 3), ("cache_read", 18_342), ("cache_write_1h", 1_204)]);
    check(&CODEX, [("input_fresh", 9_211 - 8_960), ("cache_read", 8_960), ("reasoning", 64)]);
}

#[test]
fn coding_agents_reach_models_of_other_vendors_and_learn_what_was_lost() {
    let vendors = sdks_everywhere::vendors();
    let app = sdks_everywhere::gateway(&vendors, GUARDS, &[]);
    let check = |agent: &Agent, model: &str, format: Format, lost: &[&str]| {
        let what = format!("{} to {model}", agent.name);
        let reply = agent.ask(&app, model);
        assert_eq!(reply.status, 200, "{what}: {}", reply.text());
        let dropped = reply.header("x-gauntlet-dropped").unwrap_or_default().to_owned();
        let named: Vec<&str> = dropped.split(',').collect();
        for field in lost {
            assert!(named.contains(field), "{what}: `{field}` is not in {named:?}");
        }
        let record = app.trace_of(&reply)["record"].clone();
        assert_eq!(record["dropped"], json!(named), "{what}");
        let seen = vendors.last_request();
        assert_eq!(seen.format(), format, "{what}");
        let heard = seen.heard();
        assert!(heard.calls.len() >= 2 && heard.results.len() == heard.calls.len(), "{what}: {heard:?}");
        let all = String::from_utf8_lossy(&seen.body).into_owned();
        let has_foreign_seal = ["EuYBCkQYBCJA", "gAAAAABpIiWY"].iter().any(|seal| all.contains(seal));
        assert!(!has_foreign_seal, "{what}: a seal of another vendor would be refused: {all}");
        for header in ["anthropic-beta", "openai-beta", "x-app", "originator", "session_id", "authorization"]
        {
            let value = seen.header(header).unwrap_or_default();
            assert!(
                !value.contains("caller-secret") && !value.contains("claude-code"),
                "{what}: {header}: {value}"
            );
        }
        // The model calls its first tool twice; whatever the way, the answer is a whole stream of the caller's dialect.
        let end = if agent.path.starts_with("/v1/messages") {
            "event: message_stop"
        } else {
            "event: response.completed"
        };
        assert!(reply.text().contains(end), "{what}: {}", reply.text());
    };
    check(&CLAUDE_CODE, "on-chat", Format::Chat, &["context_management"]);
    check(&CLAUDE_CODE, "on-gemini", Format::Gemini, &["context_management"]);
    check(&CLAUDE_CODE, "on-responses", Format::Responses, &["context_management"]);
    check(&CODEX, "on-chat", Format::Chat, &["client_metadata"]);
    check(&CODEX, "on-messages", Format::Messages, &["client_metadata"]);
    check(&CODEX, "on-gemini", Format::Gemini, &["client_metadata"]);
}

#[test]
fn all_or_nothing_refuses_what_would_lose_something() {
    let vendors = sdks_everywhere::vendors();
    let app = sdks_everywhere::gateway(&vendors, "default: {strict: true}\n", &[]);
    let reply = CLAUDE_CODE.ask(&app, "on-chat");
    assert_eq!(reply.status, 400, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["type"], "error", "{body}");
    assert!(
        body["error"]["message"].as_str().is_some_and(|text| text.contains("context_management")),
        "{body}"
    );
    assert!(vendors.requests().is_empty(), "nothing was asked of the provider");
    vendors.script([CLAUDE_CODE.step()]);
    assert_eq!(CLAUDE_CODE.ask(&app, "on-messages").status, 200);
    assert_eq!(Value::from(vendors.requests().len()), json!(1));
}

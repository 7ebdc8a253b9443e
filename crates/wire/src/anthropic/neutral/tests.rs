use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::ask::{Ask, Part, Speaker, What};

fn rewritten(body: &Value, model: &str) -> (Value, Vec<String>) {
    let mut ask = read(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
    let mut dropped = std::mem::take(&mut ask.dropped);
    let written = write(ask, model);
    dropped.extend(written.dropped);
    (serde_json::from_slice(&written.body).unwrap(), dropped)
}

#[test]
fn a_request_that_is_read_and_written_says_the_same() {
    let body = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 20000, "stream": true,
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, {"type": "text", "text": "b"}],
        "tools": [
            {"name": "w", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": true},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "cache_control": {"type": "ephemeral"}},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 5000},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}},
        "stop_sequences": ["END"], "metadata": {"user_id": "u"}, "service_tier": "standard_only",
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}},
                {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}, "title": "t"},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
                {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                {"type": "redacted_thinking", "data": "Emw"},
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"a": [1, "x"]}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    {"type": "text", "text": "rain"},
                    {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}], "is_error": true},
                {"type": "text", "text": "So?", "cache_control": {"type": "ephemeral"}},
            ]},
        ],
    });
    let (written, dropped) = rewritten(&body, "claude-sonnet-4-5");
    assert_eq!(written, body);
    assert_eq!(dropped, Vec::<String>::new());
}

#[test]
fn adaptive_thinking_is_written_as_it_was_read() {
    let body = json!({
        "model": "claude-opus-5", "max_tokens": 100, "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"}, "messages": [{"role": "user", "content": "x"}],
    });
    assert_eq!(rewritten(&body, "claude-opus-5"), (body, Vec::new()));
}

#[test]
fn turns_stand_as_anthropic_wants_them() {
    let part = |what: What| -> Part { what.into() };
    let turn = |speaker, parts| crate::ask::Turn { speaker, parts, name: None };
    let text = |text: &str| part(What::Text(text.into()));
    let result = |id: &str| {
        part(What::ToolResult { id: id.into(), name: None, parts: vec![text("r")], is_error: false })
    };
    let call = |id: &str| {
        part(What::ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments: "{}".into(),
            is_custom: false,
            seal: None,
        })
    };
    let check = |turns: Vec<crate::ask::Turn>, wanted: Value| {
        let ask = Ask { turns, limit: Some(9), ..Ask::default() };
        let body: Value = serde_json::from_slice(&write(ask, "m").body).unwrap();
        assert_eq!(json!({"system": body["system"], "messages": body["messages"]}), wanted);
    };
    check(
        vec![
            turn(Speaker::Assistant, vec![text("first"), call("a")]),
            turn(Speaker::User, vec![text("beside"), text(" \n")]),
            turn(Speaker::System, vec![text("late")]),
            turn(Speaker::User, vec![result("a")]),
            turn(Speaker::Assistant, vec![text("  ")]),
            turn(Speaker::Assistant, vec![text("end \n")]),
        ],
        json!({"system": "late", "messages": [
            {"role": "user", "content": "."},
            {"role": "assistant", "content": [
                {"type": "text", "text": "first"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "r"}, {"type": "text", "text": "beside"}]},
            {"role": "assistant", "content": "end"},
        ]}),
    );
    check(vec![], json!({"system": null, "messages": []}));
}

#[test]
fn bad_input_is_told_where_it_is() {
    let check = |rest: &str, wanted: &str| {
        let body = format!(r#"{{"model":"m",{rest}}}"#);
        assert_eq!(read(body.as_bytes()).expect_err(&body).to_string(), wanted);
    };
    check(r#""messages":[7]"#, "`messages[0]` must be an object");
    check(
        r#""messages":[{"role":"user","content":7}]"#,
        "`messages[0].content` must be a string or an array",
    );
    check(
        r#""messages":[{"role":"user","content":[{"text":"x"}]}]"#,
        "`messages[0].content[0].type` is missing",
    );
    check(
        r#""messages":[{"role":"user","content":[{"type":"image"}]}]"#,
        "`messages[0].content[0].source` is missing",
    );
    check(
        r#""messages":[{"role":"user","content":[{"type":"tool_result","content":"x"}]}]"#,
        "`messages[0].content[0].tool_use_id` is missing",
    );
    check(r#""tools":[{"description":"x"}]"#, "`tools[0].name` is missing");
    check(r#""max_tokens":1.5"#, "`max_tokens` must be a whole number from 0 to 4294967295");
}

/// Marked seals behind calls that are not there, as many as a body can have: quadratic work would take minutes.
#[test]
fn hostile_seals_are_linear() {
    let mark = r#"{"type":"redacted_thinking","data":"gauntlet-seal.gemini.c.x.YQ"},"#.repeat(100_000);
    let call = r#"{"type":"tool_use","id":"a","name":"f","input":{}},"#.repeat(20_000);
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","content":[{call}{mark}{{"type":"text","text":"t"}}]}}]}}"#
    );
    let began = std::time::Instant::now();
    let ask = read(body.as_bytes()).unwrap();
    assert_eq!(ask.turns[0].parts.len(), 20_001);
    assert!(!write(ask, "m").body.is_empty());
    assert!(began.elapsed().as_secs() < 10);
}

fn any_block(speaker: Speaker) -> BoxedStrategy<Value> {
    let text = "[a-z]{1,8}".prop_map(|text| json!({"type": "text", "text": text}));
    let image = "[A-Za-z0-9+/]{4}".prop_map(
        |data| json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}),
    );
    let call = ("[a-zA-Z0-9_-]{1,20}", "[a-z]{1,6}", "[a-z]{0,6}").prop_map(
        |(id, name, value)| json!({"type": "tool_use", "id": id, "name": name, "input": {"k": value}}),
    );
    let thought = ("[a-z]{0,6}", "[A-Za-z0-9+/]{1,9}")
        .prop_map(|(text, signature)| json!({"type": "thinking", "thinking": text, "signature": signature}));
    let redacted = "[A-Za-z0-9+/]{1,9}".prop_map(|data| json!({"type": "redacted_thinking", "data": data}));
    match speaker {
        Speaker::Assistant => prop_oneof![text, call, thought, redacted].boxed(),
        _ => prop_oneof![text, image].boxed(),
    }
}

proptest! {
    #[test]
    fn a_conversation_keeps_its_meaning(
        turns in prop::collection::vec(
            (prop::collection::vec(any_block(Speaker::User), 2..4), prop::collection::vec(any_block(Speaker::Assistant), 2..5)), 1..5
        ),
        system in "[a-z]{1,9}", limit in 1u32..9_000,
    ) {
        let messages: Vec<Value> = turns
            .into_iter()
            .flat_map(|(user, assistant)| {
                [json!({"role": "user", "content": user}), json!({"role": "assistant", "content": assistant})]
            })
            .collect();
        let body = json!({"model": "m", "max_tokens": limit, "system": system, "messages": messages});
        let (mut written, dropped) = rewritten(&body, "m");
        // Calls in the conversation want a tool.
        for key in ["tools", "tool_choice"] {
            written.as_object_mut().unwrap().shift_remove(key);
        }
        prop_assert_eq!(written, body);
        prop_assert_eq!(dropped, Vec::<String>::new());
    }

    #[test]
    fn mutated_requests_are_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..6) {
        let mut body = include_bytes!("../../../tests/golden/anthropic/request_coding_agent.json").to_vec();
        let at = at.index(body.len() - 6);
        body[at] = byte;
        body.drain(at + 1..at + 1 + drop);
        if let Ok(ask) = read(&body) {
            let written = write(ask, "claude-sonnet-4-5");
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&written.body).is_ok());
        }
    }
}

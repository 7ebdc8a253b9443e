//! Responses as OpenAI writes them, with every event of their streams.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Say, named_frame};

const ID: &str = "resp_test";

fn usage(say: &Say) -> Value {
    let tokens = say.tokens;
    json!({
        "input_tokens": tokens.prompt, "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.completion, "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.completion,
    })
}

fn response(model: &str, status: &str, output: Vec<Value>, usage: Value) -> Value {
    json!({
        "id": ID, "object": "response", "created_at": 1_700_000_000, "status": status, "background": false,
        "error": null, "incomplete_details": null, "instructions": null, "max_output_tokens": null,
        "max_tool_calls": null, "model": model, "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "prompt_cache_key": null, "reasoning": {"effort": null, "summary": null},
        "safety_identifier": null, "service_tier": "default", "store": false, "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto", "tools": [],
        "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null, "metadata": {},
    })
}

fn item(index: usize, part: &Said, is_done: bool) -> Value {
    let status = if is_done { "completed" } else { "in_progress" };
    let shown = |value: Value| if is_done { json!([value]) } else { json!([]) };
    match part {
        Said::Text(_) | Said::Refusal(_) => json!({
            "id": item_id(index, part), "type": "message", "status": status, "role": "assistant",
            "content": shown(content(part, true)),
        }),
        Said::Thought { pieces, seal } => {
            // The cipher of an item that has only begun is not the one to send back; OpenAI writes one all the same.
            let cipher = if is_done { seal.clone() } else { "unfinished".to_owned() };
            json!({
                "id": item_id(index, part), "type": "reasoning", "encrypted_content": cipher,
                "summary": shown(json!({"type": "summary_text", "text": pieces.concat()})),
            })
        }
        Said::Call { name, pieces } => json!({
            "id": item_id(index, part), "type": "function_call", "status": status, "call_id": call_id(index),
            "name": name, "arguments": if is_done { pieces.concat() } else { String::new() },
        }),
    }
}

fn content(part: &Said, is_done: bool) -> Value {
    let text = |pieces: &[String]| if is_done { pieces.concat() } else { String::new() };
    match part {
        Said::Refusal(pieces) => json!({"type": "refusal", "refusal": text(pieces)}),
        Said::Text(pieces) => {
            json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text(pieces)})
        }
        Said::Thought { pieces, .. } => json!({"type": "summary_text", "text": text(pieces)}),
        Said::Call { .. } => Value::Null,
    }
}

fn item_id(index: usize, part: &Said) -> String {
    let prefix = match part {
        Said::Text(_) | Said::Refusal(_) => "msg",
        Said::Thought { .. } => "rs",
        Said::Call { .. } => "fc",
    };
    format!("{prefix}_test{index}")
}

fn call_id(index: usize) -> String {
    format!("call_test{index}")
}

/// `completed`, or `incomplete` where the script says why it ended.
fn ended(say: &Say, model: &str) -> Value {
    let output = say.parts.iter().enumerate().map(|(index, part)| item(index, part, true)).collect();
    let mut response =
        response(model, say.finish.as_deref().map_or("completed", |_| "incomplete"), output, usage(say));
    if let Some(reason) = &say.finish {
        response["incomplete_details"] = json!({"reason": reason});
    }
    response
}

pub(super) fn plain(say: &Say, model: &str) -> Value {
    ended(say, model)
}

pub(super) fn frames(say: &Say, model: &str) -> Vec<Bytes> {
    let begun = response(model, "in_progress", Vec::new(), Value::Null);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    for (index, part) in say.parts.iter().enumerate() {
        let at = |kind: &str, more: Value| {
            let mut event = json!({"type": format!("response.{kind}"), "item_id": item_id(index, part), "output_index": index});
            event.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            event
        };
        let whole = |kind: &str, is_done: bool| json!({"type": format!("response.{kind}"), "output_index": index, "item": item(index, part, is_done)});
        events.push(whole("output_item.added", false));
        match part {
            Said::Text(pieces) => {
                events.push(at(
                    "content_part.added",
                    json!({"content_index": 0, "part": content(part, false)}),
                ));
                events.extend(pieces.iter().map(|piece| {
                    at("output_text.delta", json!({"content_index": 0, "delta": piece, "logprobs": []}))
                }));
                let text = json!({"content_index": 0, "text": pieces.concat(), "logprobs": []});
                events.push(at("output_text.done", text));
                events
                    .push(at("content_part.done", json!({"content_index": 0, "part": content(part, true)})));
            }
            Said::Refusal(pieces) => {
                events.push(at(
                    "content_part.added",
                    json!({"content_index": 0, "part": content(part, false)}),
                ));
                let delta = |piece| at("refusal.delta", json!({"content_index": 0, "delta": piece}));
                events.extend(pieces.iter().map(delta));
                events.push(at("refusal.done", json!({"content_index": 0, "refusal": pieces.concat()})));
                events
                    .push(at("content_part.done", json!({"content_index": 0, "part": content(part, true)})));
            }
            Said::Thought { pieces, .. } => {
                let part_of = |is_done| json!({"summary_index": 0, "part": content(part, is_done)});
                events.push(at("reasoning_summary_part.added", part_of(false)));
                let delta =
                    |piece| at("reasoning_summary_text.delta", json!({"summary_index": 0, "delta": piece}));
                events.extend(pieces.iter().map(delta));
                let text = json!({"summary_index": 0, "text": pieces.concat()});
                events.push(at("reasoning_summary_text.done", text));
                events.push(at("reasoning_summary_part.done", part_of(true)));
            }
            Said::Call { name, pieces } => {
                let delta = |piece| at("function_call_arguments.delta", json!({"delta": piece}));
                events.extend(pieces.iter().map(delta));
                let whole = json!({"name": name, "arguments": pieces.concat()});
                events.push(at("function_call_arguments.done", whole));
            }
        }
        events.push(whole("output_item.done", true));
    }
    let kind = if say.finish.is_some() { "response.incomplete" } else { "response.completed" };
    events.push(json!({"type": kind, "response": ended(say, model)}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events.iter().map(named_frame).collect()
}

//! Chat completions as OpenAI writes them; thoughts in `reasoning_content`, as DeepSeek and its followers do.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Say, Tokens, data_frame};

const ID: &str = "chatcmpl-test";
const CREATED: u64 = 1_700_000_000;

pub(super) fn usage(tokens: Tokens) -> Value {
    let Tokens { prompt, completion, cached, reasoning, .. } = tokens;
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn finish(say: &Say) -> &str {
    say.finish("tool_calls", "stop", "stop")
}

pub(super) fn plain(say: &Say, model: &str) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let mut calls = Vec::new();
    for part in &say.parts {
        match part {
            Said::Text(_) => message["content"] = json!(say.text()),
            Said::Thought { pieces, .. } => message["reasoning_content"] = json!(pieces.concat()),
            Said::Refusal(pieces) => message["refusal"] = json!(pieces.concat()),
            Said::Call { name, pieces } => {
                let function = json!({"name": name, "arguments": pieces.concat()});
                calls.push(json!({"id": tool_id(calls.len()), "type": "function", "function": function}));
            }
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    json!({
        "id": ID, "object": "chat.completion", "created": CREATED, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(say)}],
        "usage": usage(say.tokens), "service_tier": "default", "system_fingerprint": "fp_test",
    })
}

pub(super) fn frames(say: &Say, model: &str, usage_is_asked: bool) -> Vec<Bytes> {
    let has_usage = say.has_usage_chunk(usage_is_asked);
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model,
            "service_tier": "default", "system_fingerprint": "fp_test", "choices": choices,
        });
        // With usage asked for, OpenAI writes `"usage": null` into every other chunk.
        if has_usage {
            chunk["usage"] = usage.unwrap_or(Value::Null);
        }
        data_frame(&chunk)
    };
    let delta = |delta: Value, finish: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), None)
    };
    let first = match say.parts.first() {
        Some(Said::Refusal(_)) => json!({"role": "assistant", "content": null, "refusal": ""}),
        Some(Said::Call { .. }) => json!({"role": "assistant", "content": null}),
        _ => json!({"role": "assistant", "content": "", "refusal": null}),
    };
    let mut frames = vec![delta(first, None)];
    let mut calls = 0;
    for part in &say.parts {
        match part {
            Said::Text(pieces) => {
                frames.extend(pieces.iter().map(|piece| delta(json!({"content": piece}), None)));
            }
            Said::Thought { pieces, .. } => {
                frames.extend(pieces.iter().map(|piece| delta(json!({"reasoning_content": piece}), None)));
            }
            Said::Refusal(pieces) => {
                frames.extend(pieces.iter().map(|piece| delta(json!({"refusal": piece}), None)));
            }
            Said::Call { name, pieces } => {
                let function = json!({"name": name, "arguments": ""});
                let first =
                    json!({"index": calls, "id": tool_id(calls), "type": "function", "function": function});
                frames.push(delta(json!({"tool_calls": [first]}), None));
                for piece in pieces {
                    let more = json!({"index": calls, "function": {"arguments": piece}});
                    frames.push(delta(json!({"tool_calls": [more]}), None));
                }
                calls += 1;
            }
        }
    }
    frames.push(delta(json!({}), Some(finish(say))));
    if has_usage {
        frames.push(chunk(json!([]), Some(usage(say.tokens))));
    }
    if say.has_done {
        frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    }
    frames
}

/// A content frame on its own, as an endless stream repeats it.
pub(in super::super) fn piece_frame(piece: &str, model: &str) -> Bytes {
    data_frame(&json!({
        "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model,
        "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}],
    }))
}

fn tool_id(index: usize) -> String {
    format!("call_{}", index + 1)
}

//! Messages as Anthropic writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Say, arguments, named_frame};

const ID: &str = "msg_01TestMessage";

/// Anthropic counts what was read from its cache, and written to it, outside `input_tokens`.
fn usage(say: &Say, output: u64) -> Value {
    let tokens = say.tokens;
    json!({
        "input_tokens": tokens.prompt - tokens.cached - tokens.written,
        "cache_creation_input_tokens": tokens.written, "cache_read_input_tokens": tokens.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output, "service_tier": "standard",
    })
}

fn stop_reason(say: &Say) -> &str {
    say.finish("tool_use", "refusal", "end_turn")
}

fn message(model: &str, content: Vec<Value>, stop_reason: Option<&str>, usage: Value) -> Value {
    json!({
        "id": ID, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": usage,
    })
}

pub(super) fn plain(say: &Say, model: &str) -> Value {
    let content = say.parts.iter().enumerate().map(|(index, part)| match part {
        Said::Text(pieces) | Said::Refusal(pieces) => json!({"type": "text", "text": pieces.concat()}),
        Said::Thought { pieces, seal } => {
            json!({"type": "thinking", "thinking": pieces.concat(), "signature": seal})
        }
        Said::Call { name, pieces } => {
            json!({"type": "tool_use", "id": tool_id(index), "name": name, "input": arguments(pieces)})
        }
    });
    message(model, content.collect(), Some(stop_reason(say)), usage(say, say.tokens.completion))
}

pub(super) fn frames(say: &Say, model: &str) -> Vec<Bytes> {
    let start = message(model, Vec::new(), None, usage(say, 1));
    let mut events = vec![json!({"type": "message_start", "message": start})];
    for (index, part) in say.parts.iter().enumerate() {
        let (block, deltas) = block(index, part);
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        if index == 0 {
            events.push(json!({"type": "ping"}));
        }
        let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({
        "type": "message_delta", "delta": {"stop_reason": stop_reason(say), "stop_sequence": null},
        "usage": usage(say, say.tokens.completion),
    }));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(named_frame).collect()
}

/// A block as it begins, and what is added to it.
fn block(index: usize, part: &Said) -> (Value, Vec<Value>) {
    match part {
        Said::Text(pieces) | Said::Refusal(pieces) => {
            let deltas = pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
            (json!({"type": "text", "text": ""}), deltas.collect())
        }
        Said::Thought { pieces, seal } => {
            let thoughts = pieces.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
            let seal = json!({"type": "signature_delta", "signature": seal});
            (json!({"type": "thinking", "thinking": "", "signature": ""}), thoughts.chain([seal]).collect())
        }
        Said::Call { name, pieces } => {
            // The first delta of a tool's input is empty.
            let pieces = std::iter::once("").chain(pieces.iter().map(String::as_str));
            let deltas = pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
            (json!({"type": "tool_use", "id": tool_id(index), "name": name, "input": {}}), deltas.collect())
        }
    }
}

fn tool_id(index: usize) -> String {
    format!("toolu_01Test{index}")
}

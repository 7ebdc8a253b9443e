//! Converse as Amazon Bedrock writes it; streams in the binary frames of `application/vnd.amazon.eventstream`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Say, arguments};

fn usage(say: &Say) -> Value {
    let tokens = say.tokens;
    json!({
        "inputTokens": tokens.prompt - tokens.cached - tokens.written, "outputTokens": tokens.completion,
        "totalTokens": tokens.prompt + tokens.completion,
        "cacheReadInputTokens": tokens.cached, "cacheWriteInputTokens": tokens.written,
    })
}

fn stop_reason(say: &Say) -> &str {
    say.finish("tool_use", "content_filtered", "end_turn")
}

pub(super) fn plain(say: &Say) -> Value {
    let content = say.parts.iter().enumerate().map(|(index, part)| match part {
        Said::Text(pieces) | Said::Refusal(pieces) => json!({"text": pieces.concat()}),
        Said::Thought { pieces, seal } => {
            json!({"reasoningContent": {"reasoningText": {"text": pieces.concat(), "signature": seal}}})
        }
        Said::Call { name, pieces } => {
            json!({"toolUse": {"toolUseId": tool_id(index), "name": name, "input": arguments(pieces)}})
        }
    });
    let content: Vec<Value> = content.collect();
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(say), "usage": usage(say), "metrics": {"latencyMs": 7},
    })
}

pub(super) fn frames(say: &Say) -> Vec<Bytes> {
    let mut events = vec![("messageStart", json!({"role": "assistant"}))];
    for (index, part) in say.parts.iter().enumerate() {
        let deltas: Vec<Value> = match part {
            Said::Text(pieces) | Said::Refusal(pieces) => {
                pieces.iter().map(|piece| json!({"text": piece})).collect()
            }
            Said::Thought { pieces, seal } => {
                let thoughts = pieces.iter().map(|piece| json!({"reasoningContent": {"text": piece}}));
                thoughts.chain([json!({"reasoningContent": {"signature": seal}})]).collect()
            }
            Said::Call { name, pieces } => {
                let start = json!({"toolUse": {"toolUseId": tool_id(index), "name": name}});
                events.push(("contentBlockStart", json!({"contentBlockIndex": index, "start": start})));
                pieces.iter().map(|piece| json!({"toolUse": {"input": piece}})).collect()
            }
        };
        let delta = |delta| ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}));
        events.extend(deltas.into_iter().map(delta));
        events.push(("contentBlockStop", json!({"contentBlockIndex": index})));
    }
    events.push(("messageStop", json!({"stopReason": stop_reason(say)})));
    events.push(("metadata", json!({"usage": usage(say), "metrics": {"latencyMs": 7}})));
    events.iter().map(|(name, event)| message("event", name, event)).collect()
}

/// A message of Amazon's event stream: lengths, their checksum, headers, payload, checksum of all.
pub(super) fn message(kind: &str, name: &str, payload: &Value) -> Bytes {
    let mut headers = Vec::new();
    let pairs = [
        (format!(":{kind}-type"), name),
        (":content-type".to_owned(), "application/json"),
        (":message-type".to_owned(), kind),
    ];
    for (key, value) in &pairs {
        // Type 7 is a string, its length in two bytes.
        headers.push(u8::try_from(key.len()).expect("a short name"));
        headers.extend_from_slice(key.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("a short value").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    // Two lengths and two checksums of four bytes each.
    let total = u32::try_from(16 + headers.len() + payload.len()).expect("a short message");
    let mut bytes = total.to_be_bytes().to_vec();
    bytes.extend(u32::try_from(headers.len()).expect("short headers").to_be_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend(headers);
    bytes.extend(payload.as_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes.into()
}

fn tool_id(index: usize) -> String {
    format!("tooluse_test{index}")
}

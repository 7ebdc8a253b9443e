//! generateContent as Google writes it: calls of tools without ids, signatures on the parts that they are for.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Say, arguments};

/// Google counts thoughts beside the candidates' tokens.
fn usage(say: &Say) -> Value {
    let tokens = say.tokens;
    let mut usage = json!({
        "promptTokenCount": tokens.prompt, "candidatesTokenCount": tokens.completion - tokens.reasoning,
        "totalTokenCount": tokens.prompt + tokens.completion,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt}],
    });
    if tokens.reasoning > 0 {
        usage["thoughtsTokenCount"] = json!(tokens.reasoning);
    }
    if tokens.cached > 0 {
        usage["cachedContentTokenCount"] = json!(tokens.cached);
    }
    usage
}

fn answer(say: &Say, model: &str, parts: Vec<Value>, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "usageMetadata": usage(say), "modelVersion": model, "responseId": "testResponse"})
}

fn finish(say: &Say) -> &str {
    say.finish("STOP", "SAFETY", "STOP")
}

/// A signature stands on the first call after the thought, or on the text that follows it.
fn sealed(mut part: Value, seal: &mut Option<String>) -> Value {
    if let Some(seal) = seal.take() {
        part["thoughtSignature"] = json!(seal);
    }
    part
}

pub(super) fn plain(say: &Say, model: &str) -> Value {
    let mut seal = None;
    let mut parts = Vec::new();
    for part in &say.parts {
        parts.push(match part {
            Said::Thought { pieces, seal: new } => {
                seal = Some(new.clone());
                json!({"text": pieces.concat(), "thought": true})
            }
            Said::Text(pieces) | Said::Refusal(pieces) => sealed(json!({"text": pieces.concat()}), &mut seal),
            Said::Call { name, pieces } => sealed(call(name, pieces), &mut seal),
        });
    }
    answer(say, model, parts, Some(finish(say)))
}

/// The parts of a streamed answer, a frame each; the last has the reason of the end.
pub(super) fn frames(say: &Say, model: &str, is_sse: bool) -> Vec<Bytes> {
    let mut seal = None;
    let mut parts = Vec::new();
    for part in &say.parts {
        match part {
            Said::Thought { pieces, seal: new } => {
                parts.extend(pieces.iter().map(|piece| json!({"text": piece, "thought": true})));
                seal = Some(new.clone());
            }
            Said::Text(pieces) | Said::Refusal(pieces) => {
                parts.extend(pieces.iter().map(|piece| json!({"text": piece})));
            }
            Said::Call { name, pieces } => parts.push(sealed(call(name, pieces), &mut seal)),
        }
    }
    // The signature of a text comes last, on a part that is empty but for it.
    if seal.is_some() {
        parts.push(sealed(json!({"text": ""}), &mut seal));
    }
    let last = parts.len().saturating_sub(1);
    let chunks = parts.into_iter().enumerate().map(|(index, part)| {
        let chunk = answer(say, model, vec![part], (index == last).then(|| finish(say)));
        let chunk = chunk.to_string();
        match (is_sse, index) {
            (true, _) => format!("data: {chunk}\r\n\r\n"),
            // Without `alt=sse` a stream is one JSON array, an element after the other.
            (false, 0) => format!("[{chunk}"),
            (false, _) => format!(",\r\n{chunk}"),
        }
    });
    let mut frames: Vec<Bytes> = chunks.map(Bytes::from).collect();
    if !is_sse {
        frames.push(Bytes::from_static(b"]"));
    }
    frames
}

fn call(name: &str, pieces: &[String]) -> Value {
    json!({"functionCall": {"name": name, "args": arguments(pieces)}})
}

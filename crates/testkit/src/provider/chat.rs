//! Chat completions as OpenAI writes them, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

/// What the assistant says.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Text(Vec<String>),
    Refusal(Vec<String>),
    /// Tools with their names and the pieces of their arguments.
    Tools(Vec<(String, Vec<String>)>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum UsageChunk {
    /// As OpenAI: when `stream_options.include_usage` is true.
    WhenAsked,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    pub cached: u64,
    pub reasoning: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub content: Content,
    pub tokens: Tokens,
    pub finish: Option<String>,
    pub usage_chunk: UsageChunk,
    pub has_done: bool,
}

const ID: &str = "chatcmpl-test";
const CREATED: u64 = 1_700_000_000;

impl Chat {
    fn finish(&self) -> &str {
        match (&self.finish, &self.content) {
            (Some(finish), _) => finish,
            (None, Content::Tools(_)) => "tool_calls",
            (None, Content::Text(_) | Content::Refusal(_)) => "stop",
        }
    }

    fn usage(&self) -> Value {
        let Tokens { prompt, completion, cached, reasoning } = self.tokens;
        json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }

    pub(super) fn plain(&self, model: &str) -> Value {
        let mut message = json!({"role": "assistant", "content": null, "refusal": null});
        match &self.content {
            Content::Text(pieces) => message["content"] = json!(pieces.concat()),
            Content::Refusal(pieces) => message["refusal"] = json!(pieces.concat()),
            Content::Tools(tools) => {
                let calls = tools.iter().enumerate().map(|(index, (name, pieces))| {
                    let function = json!({"name": name, "arguments": pieces.concat()});
                    json!({"id": tool_id(index), "type": "function", "function": function})
                });
                message["tool_calls"] = calls.collect();
            }
        }
        json!({
            "id": ID, "object": "chat.completion", "created": CREATED, "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish()}],
            "usage": self.usage(), "service_tier": "default", "system_fingerprint": "fp_test",
        })
    }

    pub(super) fn frames(&self, model: &str, usage_is_asked: bool) -> Vec<Bytes> {
        let has_usage = match self.usage_chunk {
            UsageChunk::WhenAsked => usage_is_asked,
            UsageChunk::Always => true,
            UsageChunk::Never => false,
        };
        let chunk = |choices: Value, usage: Option<Value>| {
            let mut chunk = json!({
                "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model,
                "service_tier": "default", "system_fingerprint": "fp_test", "choices": choices,
            });
            // With usage asked for, OpenAI writes `"usage": null` into every other chunk.
            if has_usage {
                chunk["usage"] = usage.unwrap_or(Value::Null);
            }
            frame(&chunk)
        };
        let delta = |delta: Value, finish: Option<&str>| {
            chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), None)
        };
        let mut frames = Vec::new();
        match &self.content {
            Content::Text(pieces) => {
                frames.push(delta(json!({"role": "assistant", "content": "", "refusal": null}), None));
                frames.extend(pieces.iter().map(|piece| delta(json!({"content": piece}), None)));
            }
            Content::Refusal(pieces) => {
                frames.push(delta(json!({"role": "assistant", "content": null, "refusal": ""}), None));
                frames.extend(pieces.iter().map(|piece| delta(json!({"refusal": piece}), None)));
            }
            Content::Tools(tools) => {
                frames.push(delta(json!({"role": "assistant", "content": null}), None));
                for (index, (name, pieces)) in tools.iter().enumerate() {
                    let function = json!({"name": name, "arguments": ""});
                    let first = json!({"index": index, "id": tool_id(index), "type": "function", "function": function});
                    frames.push(delta(json!({"tool_calls": [first]}), None));
                    for piece in pieces {
                        let more = json!({"index": index, "function": {"arguments": piece}});
                        frames.push(delta(json!({"tool_calls": [more]}), None));
                    }
                }
            }
        }
        frames.push(delta(json!({}), Some(self.finish())));
        if has_usage {
            frames.push(chunk(json!([]), Some(self.usage())));
        }
        if self.has_done {
            frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
        }
        frames
    }
}

pub(super) fn frame(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// A content frame on its own, as an endless stream repeats it.
pub(super) fn piece_frame(piece: &str, model: &str) -> Bytes {
    frame(&json!({
        "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model,
        "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}],
    }))
}

fn tool_id(index: usize) -> String {
    format!("call_{}", index + 1)
}

//! OpenAI's legacy completions: a prompt and its continuation.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Say, chat, data_frame};

pub(super) fn plain(say: &Say, model: &str) -> Value {
    let mut answer = chunk(say, model, &say.text(), Some("stop"));
    answer["usage"] = chat::usage(say.tokens);
    answer
}

pub(super) fn frames(say: &Say, model: &str, usage_is_asked: bool) -> Vec<Bytes> {
    let pieces = say.parts.iter().flat_map(|part| match part {
        Said::Text(pieces) => pieces.as_slice(),
        Said::Thought { .. } | Said::Refusal(_) | Said::Call { .. } => &[],
    });
    let mut frames: Vec<Bytes> = pieces.map(|piece| data_frame(&chunk(say, model, piece, None))).collect();
    frames.push(data_frame(&chunk(say, model, "", Some("stop"))));
    if say.has_usage_chunk(usage_is_asked) {
        let mut last = chunk(say, model, "", None);
        last["choices"] = json!([]);
        last["usage"] = chat::usage(say.tokens);
        frames.push(data_frame(&last));
    }
    if say.has_done {
        frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    }
    frames
}

fn chunk(say: &Say, model: &str, text: &str, finish: Option<&str>) -> Value {
    let finish = finish.map(|stop| say.finish(stop, stop, stop));
    json!({
        "id": "cmpl-test", "object": "text_completion", "created": 1_700_000_000, "model": model,
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}],
    })
}

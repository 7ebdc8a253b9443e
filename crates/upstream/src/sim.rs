//! The simulated model. Deterministic: the same request and seed give the same answer, faults included.
//!
//! The model's name picks the behaviour: `echo` repeats the last user message, `fail-503` answers with that status,
//! `cut` breaks a stream in the middle, anything else writes words. Every answer's id begins with `sim-`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use gauntlet_ports::{
    EndpointKind, Operation, Sim, Upstream, UpstreamAnswer, UpstreamError, UpstreamRequest,
};
use gauntlet_types::Name;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// Words of the answers; plain enough to be told from a real model's.
const WORDS: [&str; 24] = [
    "This",
    "answer",
    "is",
    "simulated",
    "so",
    "its",
    "words",
    "mean",
    "nothing",
    "while",
    "tokens",
    "cost",
    "and",
    "time",
    "are",
    "counted",
    "as",
    "they",
    "would",
    "be",
    "with",
    "a",
    "real",
    "model",
];
/// Dimensions of a simulated embedding: enough to look real, small enough to read.
const DIMENSIONS: usize = 8;

#[derive(Default)]
pub(crate) struct SimUpstream;

impl Upstream for SimUpstream {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>> {
        async move {
            let endpoint = request.endpoint.clone();
            let EndpointKind::Sim(sim) = &endpoint.kind else {
                unreachable!("only simulated endpoints are sent here")
            };
            wait(sim.latency).await;
            Ok(answer(sim, &request))
        }
        .boxed()
    }
}

async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn answer(sim: &Sim, request: &UpstreamRequest) -> UpstreamAnswer {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return error(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let seed = hash(sim.seed, &request.body);
    if let Some(status) = request.model.strip_prefix("fail-").and_then(|status| status.parse::<u16>().ok()) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return error(status, "simulated failure");
    }
    if (seed >> 11) as f64 / (1u64 << 53) as f64 >= 1.0 - sim.fault_rate {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "simulated fault");
    }
    match &request.operation {
        Operation::Chat => chat(sim, &request.model, &body, seed, request.is_streaming),
        Operation::Embeddings => embeddings(&request.model, &body, sim.seed),
        other => {
            let message = format!("the simulated model does not serve {}", other.as_str());
            error(StatusCode::NOT_FOUND, &message)
        }
    }
}

fn chat(sim: &Sim, model: &Name, body: &Value, seed: u64, is_streaming: bool) -> UpstreamAnswer {
    let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|field| body[*field].as_u64());
    let wanted = match (&sim.answer, model.as_str()) {
        (Some(text), _) => pieces(text),
        (None, "echo") => pieces(&last_user_text(body)),
        (None, _) => (0..sim.tokens as u64).map(|n| word(seed, n)).collect(),
    };
    let room = limit.map_or(usize::MAX, |limit| limit as usize);
    let finish = if wanted.len() > room { "length" } else { "stop" };
    let pieces: Vec<String> = wanted.into_iter().take(room).collect();
    let prompt_tokens = body["messages"].to_string().len().div_ceil(4);
    let usage = json!({
        "prompt_tokens": prompt_tokens,
        "completion_tokens": pieces.len(),
        "total_tokens": prompt_tokens + pieces.len(),
    });
    let id = format!("sim-{seed:016x}");
    if !is_streaming {
        return plain(&json!({
            "id": id, "object": "chat.completion", "created": 0, "model": &**model,
            "choices": [{
                "index": 0, "finish_reason": finish,
                "message": {"role": "assistant", "content": pieces.concat(), "refusal": null},
            }],
            "usage": usage,
        }));
    }
    let chunk = |choices: Value| json!({"id": id, "object": "chat.completion.chunk", "created": 0, "model": &**model, "choices": choices});
    let delta =
        |delta: Value, finish: Value| chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]));
    let is_cut = &**model == "cut";
    let half = pieces.len() / 2;
    let mut frames = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
    frames.extend(pieces.iter().map(|piece| delta(json!({"content": piece}), Value::Null)));
    if is_cut {
        frames.truncate(1 + half);
    } else {
        frames.push(delta(json!({}), finish.into()));
        if body["stream_options"]["include_usage"] == true {
            let mut last = chunk(json!([]));
            last["usage"] = usage;
            frames.push(last);
        }
    }
    let mut frames: Vec<String> = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    if !is_cut {
        frames.push("data: [DONE]\n\n".to_owned());
    }
    let delay = sim.chunk_delay;
    let provider = Name::from("sim");
    let body = stream::iter(frames)
        .then(move |frame| async move {
            wait(delay).await;
            Ok(Bytes::from(frame))
        })
        .chain(stream::iter(is_cut.then(|| {
            Err(UpstreamError::Broken { provider, source: "simulated cut of the connection".into() })
        })));
    UpstreamAnswer { status: StatusCode::OK, headers: content("text/event-stream"), body: Box::pin(body) }
}

fn embeddings(model: &Name, body: &Value, seed: u64) -> UpstreamAnswer {
    let inputs = match &body["input"] {
        Value::Array(inputs) if inputs.iter().all(Value::is_string) => inputs.clone(),
        other => vec![other.clone()],
    };
    let tokens: usize = inputs.iter().map(|input| input.to_string().len().div_ceil(4)).sum();
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let text = input.to_string();
            let vector: Vec<f64> = (0..DIMENSIONS as u64)
                .map(|n| (hash(seed ^ n, text.as_bytes()) >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
                .collect();
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    plain(&json!({
        "object": "list", "data": data, "model": &**model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
}

fn last_user_text(body: &Value) -> String {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let last = messages.iter().rev().find(|message| message["role"] == "user").unwrap_or(&Value::Null);
    match &last["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// Splits after each blank, as tokens roughly do.
fn pieces(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn word(seed: u64, n: u64) -> String {
    let word = WORDS[(hash(seed, &n.to_le_bytes()) % WORDS.len() as u64) as usize];
    if n == 0 { word.to_owned() } else { format!(" {word}") }
}

/// FNV-1a with a final mix: stable across versions of the standard library, which its own hasher is not.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mixed =
        bytes.iter().fold(0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

fn content(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

fn plain(body: &Value) -> UpstreamAnswer {
    respond(StatusCode::OK, body)
}

fn error(status: StatusCode, message: &str) -> UpstreamAnswer {
    respond(
        status,
        &json!({"error": {"message": message, "type": "simulated_error", "param": null, "code": null}}),
    )
}

fn respond(status: StatusCode, body: &Value) -> UpstreamAnswer {
    let body = Bytes::from(body.to_string());
    UpstreamAnswer { status, headers: content("application/json"), body: Box::pin(stream::iter([Ok(body)])) }
}

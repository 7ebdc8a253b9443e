//! An answer of this dialect, whole or streamed: bytes to events, and the answers that we write ourselves.

mod block;
mod flow;
mod read;
mod whole;
mod writer;

use bytes::Bytes;
use gauntlet_types::{Dialect, Finish, Seal, Sealed, Usage};
use serde_json::{Value, json};

pub(crate) use flow::Flow;
pub use read::read_plain;
pub(crate) use whole::whole;
pub(crate) use writer::Writer;

use crate::seal;

/// Why an answer ended, in Anthropic's words (API reference, "Handling stop reasons").
fn finish(word: &str) -> Finish {
    match word {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::ContentFilter,
        // `pause_turn`: the caller sends the answer back to have it gone on with.
        _ => Finish::Other,
    }
}

/// The word for an ending. `Other` is written as `end_turn`, since clients know a closed set of words.
const fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Other => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "refusal",
    }
}

/// The ending of an answer that we write. Programs go on calling tools by this word alone, so that calls count more than
/// a server's `stop`; a refusal is told by no other means.
fn ending(finish: Option<Finish>, has_calls: bool, has_refusal: bool) -> &'static str {
    match finish {
        None | Some(Finish::Stop | Finish::Other) if has_refusal => "refusal",
        None | Some(Finish::Stop | Finish::Other) if has_calls => "tool_use",
        other => finish_word(other.unwrap_or(Finish::Stop)),
    }
}

/// A frame of a stream: `event` and `data` lines, and a blank one.
fn frame(event: &str, data: &[u8]) -> Bytes {
    debug_assert!(memchr::memchr2(b'\n', b'\r', data).is_none(), "data of one line");
    [b"event: ", event.as_bytes(), b"\ndata: ", data, b"\n\n"].concat().into()
}

/// A frame whose event is the `type` of its data, as all of them are.
fn event_frame(data: &Value) -> Bytes {
    frame(data["type"].as_str().unwrap_or_default(), data.to_string().as_bytes())
}

fn delta_frame(index: u32, delta: Value) -> Bytes {
    event_frame(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

/// The seal that a field holds; none where it is empty, and where reasoning was never sealed (see `unsealed`).
fn seal_of(data: &str, on: Sealed) -> Option<Seal> {
    let seal = seal::read(data, Dialect::Messages, on);
    (!seal.data.is_empty()).then_some(seal)
}

/// What stands as the signature of reasoning that nobody signed. Anthropic refuses such a block, so that it must be known
/// when it comes back.
fn unsealed() -> String {
    let none = Seal { by: Dialect::Chat, on: Sealed::Reasoning, id: None, data: String::new() };
    seal::write(&none, Dialect::Messages)
}

/// Anthropic's usage object. It knows neither audio nor images, and counts reasoning as output.
fn usage_json(usage: &Usage) -> Value {
    let sum = |counts: &[u32]| counts.iter().fold(0u32, |sum, count| sum.saturating_add(*count));
    let (short, hour) = (usage.cache_write_5m.0, usage.cache_write_1h.0);
    let mut json = json!({
        "input_tokens": sum(&[usage.input_fresh.0, usage.audio_input.0, usage.image_input.0]),
        "cache_creation_input_tokens": sum(&[short, hour]),
        "cache_read_input_tokens": usage.cache_read_total().0,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": hour},
        "output_tokens": usage.output_total().0,
    });
    if usage.web_searches > 0 {
        json["server_tool_use"] = json!({"web_search_requests": usage.web_searches});
    }
    json["service_tier"] = usage.tier.as_str().into();
    json
}

#[cfg(test)]
mod tests;

//! Records for the tests of this room.

use gauntlet_ports::StoredCall;
use gauntlet_types::{CallRecord, Target, Timestamp, TokenCount, Usage};
use serde_json::json;

/// A call to `openai/{model}` that was answered.
pub fn record(tenant: &str, route: &str, model: &str) -> CallRecord {
    let value = json!({
        "id": "r_019dc5a07c4b7d5e8f9a0b1c00000001",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "started": 1_777_142_531_482_000i64,
        "latency_us": 840_000,
        "door": "chat_completions",
        "is_streaming": false,
        "caller": {"tenant": tenant},
        "route": route,
        "model_asked": model,
        "outcome": "ok",
        "status": 200,
        "decision": "allow",
        "cache": "off",
        "usage": {},
        "cost": 0,
        "held": 0,
        "wasted": 0,
        "price_version": "v",
        "config_version": "c",
    });
    let record: CallRecord = serde_json::from_value(value).expect("a record");
    CallRecord { target: Some(Target { provider: "openai".into(), model: model.into() }), ..record }
}

/// The same `seconds` later, with so many tokens in and out, a text as its input, and a cost in nano-dollars.
pub fn call(seconds: i64, model: &str, tokens: (u32, u32), text: &str, cost: i64) -> StoredCall {
    let mut record = record("acme", "support_bot", model);
    record.started = Timestamp(record.started.0 + seconds * 1_000_000);
    record.usage =
        Usage { input_fresh: TokenCount(tokens.0), output: TokenCount(tokens.1), ..Usage::default() };
    record.cost = gauntlet_types::NanoUsd(cost);
    let input = json!({"model": model, "messages": [{"role": "system", "content": text}]});
    StoredCall { record, input: input.to_string().into(), output: "{}".into() }
}

//! Spans a second of one core, from the bytes of a request to the entry of the spool: `cargo bench -p gauntlet-pipeline`.

#![allow(clippy::unwrap_used)] // A bench stops where it cannot go on.

#[path = "../tests/spans/gate.rs"]
mod gate;

use std::sync::Arc;

use divan::{Bencher, black_box, counter::ItemsCount};
use gauntlet_wire::otlp::{
    proto::{ExportTraceServiceRequest, KeyValue, Resource, ResourceSpans, ScopeSpans, Span},
    receive,
};
use http::HeaderMap;
use prost::Message;

fn main() {
    divan::main();
}

const SPANS: u64 = 500;

/// Of 1.3 kB each, as an agent's model call is: a dozen settings and a short conversation.
fn request() -> Vec<u8> {
    let prose = "Hello, I bought a touring bike from you last summer and I am very happy with it. Since last week, however, the \
                 rear brake makes a scraping noise whenever it rains. Is this something that I can repair myself? ";
    let messages = format!(r#"[{{"role":"user","parts":[{{"type":"text","content":"{prose}\n{prose}"}}]}}]"#);
    let answer = format!(
        r#"[{{"role":"assistant","parts":[{{"type":"text","content":"{prose}"}}],"finish_reason":"stop"}}]"#
    );
    let span = |number: u64| Span {
        trace_id: vec![7; 16],
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: "chat gpt-4o-mini".to_owned(),
        start_time_unix_nano: 1_763_700_000_000_000_000,
        end_time_unix_nano: 1_763_700_001_000_000_000,
        attributes: vec![
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("gen_ai.provider.name", "openai"),
            KeyValue::new("gen_ai.request.model", "gpt-4o-mini"),
            KeyValue::new("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
            KeyValue::new("gen_ai.usage.input_tokens", 120_i64),
            KeyValue::new("gen_ai.usage.output_tokens", 40_i64),
            KeyValue::new("gen_ai.request.temperature", 0.2),
            KeyValue::new("gen_ai.conversation.id", "conv-1b7f"),
            KeyValue::new("user.id", "u-81"),
            KeyValue::new("server.address", "api.openai.com"),
            KeyValue::new("gen_ai.input.messages", messages.as_str()),
            KeyValue::new("gen_ai.output.messages", answer.as_str()),
        ],
        ..Span::default()
    };
    let resource =
        Some(Resource { attributes: vec![KeyValue::new("service.name", "shop")], ..Resource::default() });
    let scope_spans = vec![ScopeSpans { scope: None, spans: (0..SPANS).map(span).collect() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
        .encode_to_vec()
}

#[divan::bench]
fn take_500_spans(bencher: Bencher) {
    let gate = gate::gate("", Arc::new(gate::Kept { forgets: true, ..gate::Kept::default() }));
    let sender = gate.span_sender(&HeaderMap::new()).unwrap();
    let body = request();
    println!("{} bytes a span", body.len() as u64 / SPANS);
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        let received = receive::from_protobuf(black_box(&body)).unwrap();
        gate.spans(&sender, received).unwrap().accepted
    });
}

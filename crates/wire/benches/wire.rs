//! What reading costs: `cargo bench -p gauntlet-wire`.

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use gauntlet_wire::{
    answer::Assembler,
    openai::{
        answer::{read_chunk, read_plain},
        chat,
    },
    splice,
    sse::Decoder,
};

fn main() {
    divan::main();
}

const WORDS: &str =
    "The customer writes that the parcel has not come, and asks when it will.\\nPlease answer kindly. ";

/// A chat of some length: a system message, turns of a few hundred bytes, a tool, the usual fields.
fn request(bytes: usize) -> Bytes {
    let mut messages = format!(r#"{{"role":"system","content":"{}"}}"#, WORDS.repeat(4));
    let mut turn = 0;
    while messages.len() + 600 < bytes {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        messages.push_str(&format!(r#", {{"role": "{role}", "content": "{}"}}"#, WORDS.repeat(3)));
        turn += 1;
    }
    Bytes::from(format!(
        concat!(
            r#"{{"model": "gpt-4o-mini", "messages": [{}], "temperature": 0.2, "max_tokens": 300, "stream": true, "#,
            r#""user": "ann", "metadata": {{"team": "support"}}, "tools": [{{"type": "function", "function": {{"name": "#,
            r#""find_parcel", "description": "Finds a parcel by its number.", "parameters": {{"type": "object", "#,
            r#""properties": {{"number": {{"type": "string"}}}}, "required": ["number"]}}}}}}]}}"#
        ),
        messages
    ))
}

const CHUNK: &str = concat!(
    r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"#,
    r#""model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","#,
    r#""choices":[{"index":0,"delta":{"content":" parcel"},"logprobs":null,"finish_reason":null}]}"#
);

fn stream() -> Bytes {
    Bytes::from(format!("data: {CHUNK}\n\n").repeat(100))
}

#[divan::bench(args = [2048, 32768])]
fn parse_and_segments(bencher: Bencher, bytes: usize) {
    let body = request(bytes);
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let request = chat::parse(black_box(&body));
        request.map(|request| (request.segments(&body), request))
    });
}

#[divan::bench(args = [2048, 32768])]
fn parse_alone(bencher: Bencher, bytes: usize) {
    let body = request(bytes);
    bencher.counter(BytesCount::new(body.len())).bench(|| chat::parse(black_box(&body)));
}

/// For comparison: what `serde_json` takes to pass over the document and keep nothing.
#[divan::bench(args = [2048, 32768])]
fn serde_json_ignoring_all(bencher: Bencher, bytes: usize) {
    let body = request(bytes);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| serde_json::from_slice::<serde::de::IgnoredAny>(black_box(&body)));
}

/// For comparison: `serde_json` with raw values, the messages scanned once more for their contents.
#[divan::bench(args = [2048, 32768])]
fn serde_json_raw_values(bencher: Bencher, bytes: usize) {
    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    struct Message<'a> {
        role: &'a str,
        #[serde(borrow)]
        content: &'a serde_json::value::RawValue,
    }
    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    struct Request<'a> {
        model: &'a str,
        #[serde(borrow)]
        messages: Vec<Message<'a>>,
        temperature: Option<f64>,
        max_tokens: Option<u32>,
        stream: Option<bool>,
        user: Option<&'a str>,
        #[serde(borrow)]
        tools: &'a serde_json::value::RawValue,
    }
    let body = request(bytes);
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let request = serde_json::from_slice::<Request<'_>>(black_box(&body))?;
        let texts: Vec<std::borrow::Cow<'_, str>> = request
            .messages
            .iter()
            .map(|message| serde_json::from_str::<String>(message.content.get()).map(Into::into))
            .collect::<Result<_, _>>()?;
        Ok::<_, serde_json::Error>(texts.len())
    });
}

#[divan::bench(args = [2048, 32768])]
fn splice_model(bencher: Bencher, bytes: usize) {
    let body = request(bytes);
    let edit = chat::parse(&body).map(|request| request.with_model("gpt-4.1-nano"));
    let Ok(edit) = edit else { return };
    bencher.bench(|| splice(black_box(&body), edit.clone().into_iter().collect()));
}

#[divan::bench]
fn read_one_chunk(bencher: Bencher) {
    bencher.counter(BytesCount::new(CHUNK.len())).bench(|| read_chunk(black_box(CHUNK.as_bytes())));
}

#[divan::bench]
fn read_plain_answer(bencher: Bencher) {
    let body = Bytes::from_static(include_bytes!("../tests/golden/openai/plain_text.json"));
    bencher.counter(BytesCount::new(body.len())).bench(|| read_plain(black_box(&body)));
}

#[divan::bench(args = [64, 1400, 16384, 65536])]
fn decode_100_frames(bencher: Bencher, chunk: usize) {
    let stream = stream();
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let mut decoder = Decoder::new();
        let mut left = stream.clone();
        let mut frames = 0;
        while !left.is_empty() {
            decoder.push(left.split_to(chunk.min(left.len())));
            while let Ok(Some(frame)) = decoder.next() {
                black_box(frame);
                frames += 1;
            }
        }
        frames
    });
}

#[divan::bench]
fn decode_read_and_assemble_100_frames(bencher: Bencher) {
    let stream = stream();
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let mut decoder = Decoder::new();
        decoder.push(stream.clone());
        let mut assembler = Assembler::new();
        while let Ok(Some(frame)) = decoder.next() {
            if let Some(Ok(chunk)) = frame.data().map(read_chunk) {
                chunk.events.iter().for_each(|event| assembler.feed(event));
            }
        }
        assembler
    });
}

//! Golden files of the Messages dialect, and of translations between it and chat: bytes as callers and providers send
//! them, and a snapshot of what we make of them. A new case is a new file.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

use std::{fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use gauntlet_types::{Dialect, Event, Quirks};
use gauntlet_wire::{
    answer::{Assembler, read_plain},
    conversation::PathAsk,
    flow::Flow,
    openai::error,
    sse::{Decoder, Frame},
    translate::{self, Head},
};
use proptest::prelude::*;
use serde_json::Value;

fn cases(folder: &str, extension: &str, prefix: &str) -> Vec<(String, Bytes)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), Bytes::from(fs::read(&path).unwrap()))
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case {prefix}*.{extension} in {folder:?}");
    cases
}

fn snapshot(folder: &str, name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("golden/{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

fn frames(stream: &Bytes) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    decoder.push(stream.clone());
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next().unwrap() {
        frames.push(frame);
    }
    let rest = decoder.rest();
    if !rest.is_empty() {
        frames.push(Frame::parse(rest));
    }
    frames
}

fn events(dialect: Dialect, stream: &Bytes) -> Vec<Event> {
    let mut flow = Flow::new(dialect);
    let chunks = frames(stream).into_iter().filter_map(|frame| flow.read(&frame).unwrap());
    chunks.flat_map(|chunk| chunk.events).collect()
}

fn head() -> Head {
    Head {
        id: "0a1b".into(),
        created: 1_700_000_000,
        model: "asked".into(),
        include_usage: true,
        ..Head::default()
    }
}

fn pretty(json: &[u8]) -> String {
    serde_json::to_string_pretty(&serde_json::from_slice::<Value>(json).unwrap()).unwrap()
}

fn joined(frames: Vec<Bytes>) -> String {
    String::from_utf8(frames.concat()).unwrap()
}

#[test]
fn plain_answers_read_as_recorded() {
    for (name, body) in cases("anthropic", "json", "plain_") {
        let answer = read_plain(Dialect::Messages, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut shown = String::new();
        let mut assembler = Assembler::new();
        for event in &answer.events {
            writeln!(shown, "{event:?}").unwrap();
            assembler.feed(event);
        }
        for text in &answer.texts {
            let segment = &text.segment;
            writeln!(shown, "{} {:?} {:?}", segment.place, segment.raw, segment.as_str(&body)).unwrap();
        }
        for seal in &answer.seals {
            let show = |range: &std::ops::Range<usize>| String::from_utf8_lossy(&body[range.clone()]);
            writeln!(shown, "seal {:?} of {:?}", show(&seal.raw), show(&seal.text)).unwrap();
        }
        writeln!(shown, "error: {:?}", answer.error).unwrap();
        writeln!(shown, "{}", String::from_utf8_lossy(&assembler.message_json())).unwrap();
        snapshot("anthropic", &name, &shown);
    }
}

#[test]
fn provider_errors_read_as_recorded() {
    for (name, body) in cases("anthropic", "json", "error_") {
        snapshot("anthropic", &name, &format!("{:#?}", error::read(&body)));
    }
}

#[test]
fn streams_read_as_recorded() {
    for (name, stream) in cases("anthropic", "sse", "stream_") {
        let mut shown = String::new();
        let mut assembler = Assembler::new();
        let mut flow = Flow::new(Dialect::Messages);
        for frame in frames(&stream) {
            let chunk = flow.read(&frame).unwrap_or_else(|error| panic!("{name}: {error}"));
            let Some(chunk) = chunk else {
                writeln!(shown, "- {}", String::from_utf8_lossy(&frame.raw).trim()).unwrap();
                continue;
            };
            let data = frame.data().unwrap();
            let show =
                |range: &std::ops::Range<usize>| String::from_utf8_lossy(&data[range.clone()]).into_owned();
            write!(shown, "-{}", if chunk.is_done { " (done)" } else { "" }).unwrap();
            for text in &chunk.texts {
                let (part, channel) = (text.key.part, text.key.channel);
                write!(shown, " {part} {channel:?} {:?} {:?}", text.extent, show(&text.raw)).unwrap();
            }
            chunk.seals.iter().for_each(|seal| write!(shown, " seal {}", show(&seal.raw)).unwrap());
            chunk.ends.iter().for_each(|end| write!(shown, " {end:?}").unwrap());
            writeln!(shown).unwrap();
            for event in &chunk.events {
                writeln!(shown, "    {event:?}").unwrap();
                assembler.feed(event);
            }
        }
        writeln!(shown, "{}", String::from_utf8_lossy(&assembler.message_json())).unwrap();
        snapshot("anthropic", &name, &shown);
    }
}

fn requests_written(from: Dialect, to: Dialect, folder: &str, default_model: &str) {
    for (name, body) in cases(folder, "json", "request_") {
        // The model that is asked may be told by the file's name: `request_tools@claude-opus-5.json`.
        let model = name.split_once('@').map_or(default_model, |(_, model)| model);
        let written = translate::ask(from, to, &body, &PathAsk::default(), model, Quirks::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let shown = format!(
            "{}\ndropped: {:?}\ninjected: {:?}\n",
            pretty(&written.body),
            written.dropped,
            written.injected
        );
        snapshot(folder, &name, &shown);
        // What we write is a request of the dialect.
        gauntlet_wire::conversation::parse(to, &written.body.into(), &PathAsk::default()).unwrap();
    }
}

#[test]
fn requests_to_chat_are_written_as_recorded() {
    requests_written(Dialect::Messages, Dialect::Chat, "pairs/messages-chat", "gpt-5");
}

#[test]
fn requests_from_chat_are_written_as_recorded() {
    requests_written(Dialect::Chat, Dialect::Messages, "pairs/chat-messages", "claude-sonnet-4-5");
}

/// Answers of a model that speaks `from`, written for a caller that speaks `to`.
fn answers_written(from: Dialect, to: Dialect, inputs: &str, folder: &str) {
    for (name, body) in cases(inputs, "json", "plain_") {
        let answer = read_plain(from, &body).unwrap();
        if answer.error.is_none() {
            let whole = translate::whole(to, &head(), &answer.events);
            snapshot(folder, &name, &pretty(&whole));
            let read = read_plain(to, &whole).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(read.error.is_none(), "{name}");
        }
    }
    for (name, stream) in cases(inputs, "sse", "stream_") {
        let events = events(from, &stream);
        // What broke off is ended by `Flow::error`, not as if it were whole.
        if events.iter().any(|event| matches!(event, Event::Error { .. })) {
            continue;
        }
        let frames = translate::stream(to, &head(), &events);
        snapshot(folder, &name, &joined(frames));
    }
}

#[test]
fn answers_to_chat_callers_are_written_as_recorded() {
    answers_written(Dialect::Messages, Dialect::Chat, "anthropic", "pairs/messages-chat");
}

#[test]
fn answers_to_messages_callers_are_written_as_recorded() {
    answers_written(Dialect::Chat, Dialect::Messages, "openai", "pairs/chat-messages");
}

/// A conversation goes on after an answer with thoughts: the provider gets them back as it gave them, whatever dialect the
/// caller speaks.
#[test]
fn thoughts_come_back_to_their_provider_as_it_gave_them() {
    let body = cases("anthropic", "json", "plain_thinking").remove(0).1;
    let answer = read_plain(Dialect::Messages, &body).unwrap();
    let given: Value = serde_json::from_slice(&body).unwrap();
    let check = |door: Dialect, message: &dyn Fn(&Value) -> Value| {
        let told: Value = serde_json::from_slice(&translate::whole(door, &head(), &answer.events)).unwrap();
        let user = |text: &str| serde_json::json!({"role": "user", "content": text});
        let next = serde_json::json!({"model": "m", "max_tokens": 99, "messages": [user("q"), message(&told), user("r")]});
        let written = translate::ask(
            door,
            Dialect::Messages,
            next.to_string().as_bytes(),
            &PathAsk::default(),
            "m",
            Quirks::default(),
        )
        .unwrap();
        let sent: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(sent["messages"][1]["content"], given["content"], "{door:?}");
        assert_eq!(written.dropped, Vec::<String>::new(), "{door:?}");
    };
    check(Dialect::Chat, &|told| told["choices"][0]["message"].clone());
    check(Dialect::Messages, &|told| serde_json::json!({"role": "assistant", "content": told["content"]}));
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(cuts in prop::collection::vec(0usize..4_000, 0..12)) {
        for (name, stream) in cases("anthropic", "sse", "stream_") {
            let wanted = events(Dialect::Messages, &stream);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % stream.len()).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let (mut decoder, mut flow) = (Decoder::new(), Flow::new(Dialect::Messages));
            let mut read = Vec::new();
            for pair in cuts.windows(2) {
                decoder.push(stream.slice(pair[0]..pair[1]));
                while let Some(frame) = decoder.next().unwrap() {
                    let chunk = flow.read(&frame).unwrap();
                    read.extend(chunk.into_iter().flat_map(|chunk| chunk.events));
                }
            }
            decoder.close();
            while let Some(frame) = decoder.next().unwrap() {
                let chunk = flow.read(&frame).unwrap();
                read.extend(chunk.into_iter().flat_map(|chunk| chunk.events));
            }
            prop_assert_eq!(read, wanted, "{}", name);
        }
    }
}

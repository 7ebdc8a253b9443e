//! Golden files of Responses and of legacy completions, and of their way to chat and back. A new case is a new file.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

use std::{fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use gauntlet_types::{Blame, Code, Dialect, Event, Fault, Finish, Quirks};
use gauntlet_wire::{
    answer::{self, Assembler},
    conversation::{self, PathAsk},
    flow::Flow,
    sse::{Decoder, Frame},
    translate::{self, Head},
};

fn golden(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder)
}

fn cases(folder: &str, extension: &str, prefix: &str) -> Vec<(String, Bytes)> {
    let mut cases: Vec<_> = fs::read_dir(golden(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), Bytes::from(fs::read(&path).unwrap()))
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case {folder}/{prefix}*.{extension}");
    cases
}

fn snapshot(folder: &str, name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(golden(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

fn folder_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "openai",
        Dialect::Completions => "completions",
        _ => "responses",
    }
}

const OURS: [Dialect; 2] = [Dialect::Responses, Dialect::Completions];

fn frames(stream: &Bytes) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    decoder.push(stream.clone());
    decoder.close();
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next().unwrap() {
        frames.push(frame);
    }
    // Some servers close without a blank line.
    let rest = decoder.rest();
    if !rest.is_empty() {
        frames.push(Frame::parse(rest));
    }
    frames
}

fn events(dialect: Dialect, frames: &[Frame]) -> Vec<Event> {
    let mut flow = Flow::new(dialect);
    let read = frames.iter().filter_map(|frame| flow.read(frame).unwrap());
    read.flat_map(|chunk| chunk.events).collect()
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

#[test]
fn requests_read_as_recorded() {
    for dialect in OURS {
        for (name, body) in cases(folder_of(dialect), "json", "request_") {
            let asked = conversation::parse(dialect, &body, &PathAsk::default())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut shown = String::new();
            for segment in asked.segments(&body) {
                let (place, role, kind) = (segment.place, segment.role, segment.kind);
                writeln!(shown, "{place} {role:?} {kind:?} {:?}", segment.as_str(&body)).unwrap();
            }
            writeln!(shown, "- others").unwrap();
            for segment in asked.other_segments(&body) {
                writeln!(shown, "{:?}", segment.as_str(&body)).unwrap();
            }
            writeln!(shown, "- model {:?}, stream {}", asked.model.value, asked.stream).unwrap();
            writeln!(shown, "- limit {:?}, n {}, user {:?}", asked.max_tokens, asked.n, asked.user).unwrap();
            writeln!(shown, "- tools {:?}, state {:?}", asked.tools, asked.state).unwrap();
            let counts = (asked.message_count, asked.media_count, asked.image_count);
            writeln!(shown, "- messages, media, images {counts:?}").unwrap();
            let named = asked.gauntlet.and_then(|field| field.prompt);
            writeln!(shown, "- prompt {named:?}, effort {:?}", asked.reasoning_effort).unwrap();
            snapshot(folder_of(dialect), &name, &shown);
        }
    }
}

#[test]
fn plain_answers_read_as_recorded() {
    for dialect in OURS {
        for (name, body) in cases(folder_of(dialect), "json", "plain_") {
            let answer = answer::read_plain(dialect, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut shown = String::new();
            let mut assembler = Assembler::new();
            for event in &answer.events {
                writeln!(shown, "{event:?}").unwrap();
                assembler.feed(event);
            }
            for text in &answer.texts {
                let segment = &text.segment;
                writeln!(shown, "{} {:?} {:?}", segment.place, segment.kind, segment.as_str(&body)).unwrap();
            }
            for seal in &answer.seals {
                let text = |range: &std::ops::Range<usize>| String::from_utf8_lossy(&body[range.clone()]);
                writeln!(shown, "seal {:?} of {:?}", text(&seal.raw), text(&seal.text)).unwrap();
            }
            writeln!(shown, "error: {:?}", answer.error).unwrap();
            writeln!(shown, "{}", String::from_utf8_lossy(&assembler.message_json())).unwrap();
            snapshot(folder_of(dialect), &name, &shown);
        }
    }
}

#[test]
fn streams_read_as_recorded() {
    for dialect in OURS {
        for (name, stream) in cases(folder_of(dialect), "sse", "stream_") {
            let mut shown = String::new();
            let mut assembler = Assembler::new();
            let mut flow = Flow::new(dialect);
            for frame in frames(&stream) {
                let chunk = flow.read(&frame).unwrap_or_else(|error| panic!("{name}: {error}"));
                let Some(chunk) = chunk else { continue };
                let data = frame.data().unwrap();
                let kind = frame.event().map(String::from_utf8_lossy).unwrap_or_default();
                let done = if chunk.is_done { " (done)" } else { "" };
                writeln!(shown, "- {kind}{done}").unwrap();
                for text in &chunk.texts {
                    let words = String::from_utf8_lossy(&data[text.raw.clone()]);
                    let key = text.key;
                    writeln!(shown, "    {:?} {:#x} {:?} {words:?}", text.extent, key.part, key.channel)
                        .unwrap();
                }
                chunk.ends.iter().for_each(|end| writeln!(shown, "    {end:x?}").unwrap());
                chunk.seals.iter().for_each(|seal| writeln!(shown, "    {seal:?}").unwrap());
                for event in &chunk.events {
                    writeln!(shown, "    {event:?}").unwrap();
                    assembler.feed(event);
                }
            }
            writeln!(shown, "{}", String::from_utf8_lossy(&assembler.message_json())).unwrap();
            snapshot(folder_of(dialect), &name, &shown);
        }
    }
}

#[test]
fn streams_end_early_as_recorded() {
    let fault = Fault::new(Code::UpstreamFailed, Blame::Provider, "the provider broke off");
    for dialect in OURS {
        for (name, stream) in cases(folder_of(dialect), "sse", "stream_") {
            let all = frames(&stream);
            for is_stopped in [true, false] {
                let mut flow = Flow::new(dialect);
                let mut shown = String::new();
                for frame in &all[..all.len() / 2] {
                    let chunk = flow.read(frame).unwrap().unwrap();
                    flow.sent(frame, &chunk);
                    shown.push_str(&String::from_utf8_lossy(&frame.raw));
                }
                let (how, ours) = match is_stopped {
                    true => ("stopped", flow.close("Stopped by a guard.", Finish::ContentFilter)),
                    false => ("broken", flow.error(&fault, "r_1")),
                };
                ours.iter().for_each(|frame| shown.push_str(&String::from_utf8_lossy(frame)));
                let name = name.trim_start_matches("stream_");
                snapshot(&format!("{}/early", folder_of(dialect)), &format!("{how}_{name}"), &shown);
            }
        }
    }
}

const PAIRS: [(Dialect, Dialect); 4] = [
    (Dialect::Responses, Dialect::Chat),
    (Dialect::Chat, Dialect::Responses),
    (Dialect::Completions, Dialect::Chat),
    (Dialect::Chat, Dialect::Completions),
];

fn pair(from: Dialect, to: Dialect) -> String {
    format!("pairs/{}-{}", from.as_str(), to.as_str())
}

#[test]
fn requests_cross_to_chat_and_back_as_recorded() {
    for (from, to) in PAIRS {
        // Requests in chat are cases of the pair itself; both pairs that begin there share them.
        let folder = match from {
            Dialect::Chat => "pairs/chat-responses",
            other => folder_of(other),
        };
        for (name, body) in cases(folder, "json", "request_") {
            let mut shown = String::new();
            match translate::ask(from, to, &body, &PathAsk::default(), "target", Quirks::default()) {
                Ok(written) => {
                    let value: serde_json::Value = serde_json::from_slice(&written.body).unwrap();
                    writeln!(shown, "{value:#}").unwrap();
                    writeln!(shown, "dropped {:?}", written.dropped).unwrap();
                    writeln!(shown, "injected {:?}", written.injected).unwrap();
                    conversation::parse(to, &Bytes::from(written.body), &PathAsk::default())
                        .unwrap_or_else(|error| panic!("{name}: {error}"));
                }
                Err(error) => writeln!(shown, "refused: {error}").unwrap(),
            }
            snapshot(&pair(from, to), &name, &shown);
        }
    }
}

#[test]
fn answers_cross_to_chat_and_back_as_recorded() {
    for (from, to) in PAIRS {
        for (name, body) in cases(folder_of(from), "json", "plain_") {
            let answer = answer::read_plain(from, &body).unwrap();
            if answer.error.is_some() {
                continue;
            }
            let whole = translate::whole(to, &head(), &answer.events);
            answer::read_plain(to, &whole).unwrap_or_else(|error| panic!("{name}: {error}"));
            let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            snapshot(&pair(from, to), &name, &format!("{value:#}\n"));
        }
    }
}

#[test]
fn streams_cross_to_chat_and_back_as_recorded() {
    for (from, to) in PAIRS {
        for (name, stream) in cases(folder_of(from), "sse", "stream_") {
            let events = events(from, &frames(&stream));
            let mut shown = String::new();
            for frame in translate::stream(to, &head(), &events) {
                shown.push_str(&String::from_utf8_lossy(&frame));
            }
            snapshot(&pair(from, to), &name, &shown);
        }
    }
}

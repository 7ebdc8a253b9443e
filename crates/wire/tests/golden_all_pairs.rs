//! Every dialect to every other: requests as they are written, and answers and streams by what a caller learns of them.
//! The inputs are the golden files of each dialect; a new one is tried in all directions by itself.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use gauntlet_types::{Dialect, Event, Finish, Quirks, Usage};
use gauntlet_wire::{
    answer::{Assembler, read_plain},
    conversation::PathAsk,
    flow::Flow,
    sse::{Decoder, Frame},
    translate::{self, Head, Writer},
};
use serde_json::Value;

const FOLDERS: [(Dialect, &str, &str); 5] = [
    (Dialect::Chat, "openai", "chat"),
    (Dialect::Responses, "responses", "responses"),
    (Dialect::Messages, "anthropic", "messages"),
    (Dialect::Gemini, "gemini", "gemini"),
    (Dialect::Converse, "converse", "converse"),
];
/// What callers speak.
const DOORS: [Dialect; 4] = [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Files of a kind, of the dialect's own folder and of its pairs, by name.
fn cases(dialect: Dialect, prefix: &str) -> BTreeMap<String, Bytes> {
    let (_, own, name) = FOLDERS.into_iter().find(|(known, ..)| *known == dialect).unwrap();
    let pairs = fs::read_dir(root().join("pairs")).unwrap().map(|entry| entry.unwrap().path());
    let of_it = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().split('-').next() == Some(name);
    let folders = pairs.filter(of_it).chain([root().join(own)]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    files
        .filter(|path| path.extension().is_some_and(|kind| kind == "json" || kind == "sse"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, path)| (name, Bytes::from(fs::read(path).unwrap())))
        .collect()
}

fn path() -> PathAsk {
    PathAsk { model: "gemini-3-pro".into(), stream: true, batch: false }
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
fn every_request_is_written_in_every_dialect_as_recorded() {
    for from in DOORS {
        for to in Dialect::ALL.into_iter().filter(|to| *to != from && *to != Dialect::Completions) {
            let mut shown = String::new();
            for (name, body) in cases(from, "request_") {
                writeln!(shown, "== {name}").unwrap();
                match translate::ask(from, to, &body, &path(), "target-model", Quirks::default()) {
                    Ok(written) => {
                        let body: Value = serde_json::from_slice(&written.body).unwrap();
                        writeln!(
                            shown,
                            "{body}\ndropped: {:?}\ninjected: {:?}",
                            written.dropped, written.injected
                        )
                        .unwrap();
                    }
                    Err(error) => writeln!(shown, "refused: {}", error.message).unwrap(),
                }
            }
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path(root().join("all"));
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            let name = format!("{}-{}", from.as_str(), to.as_str());
            settings.bind(|| insta::assert_snapshot!(name, shown));
        }
    }
}

/// What a caller learns of an answer, whatever its dialect.
#[derive(Default, PartialEq, Debug)]
struct Learnt {
    text: String,
    refusal: String,
    calls: Vec<(String, Value)>,
    finish: Option<Finish>,
    /// Input and output in all.
    tokens: Option<(u32, u32)>,
}

fn learnt(events: &[Event]) -> Learnt {
    let mut assembler = Assembler::new();
    // Dialects with one answer alone take the first.
    let is_first = |event: &&Event| {
        !matches!(event, Event::Text { choice, .. } | Event::Refusal { choice, .. } | Event::Reasoning { choice, .. }
            | Event::ToolCall { choice, .. } | Event::Finish { choice, .. } if *choice > 0)
    };
    events.iter().filter(is_first).for_each(|event| assembler.feed(event));
    let Some(first) = assembler.choices().first() else { return Learnt::default() };
    let arguments =
        |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let usage = |usage: &Usage| (usage.input_total().0, usage.output_total().0);
    Learnt {
        // A dialect without refusals tells them as words.
        text: format!("{}{}", first.text, first.refusal),
        refusal: String::new(),
        calls: first.tool_calls().map(|call| (call.name.clone(), arguments(&call.arguments))).collect(),
        finish: match first.finish {
            // Some dialects tell a refusal by the ending, some by its words.
            Some(Finish::ContentFilter) => None,
            _ if !first.refusal.is_empty() => None,
            // And some have no ending of their own for calls.
            Some(Finish::Stop | Finish::Other) if first.tool_calls().next().is_some() => {
                Some(Finish::ToolCalls)
            }
            Some(Finish::Other) => Some(Finish::Stop),
            other => other,
        },
        tokens: assembler.usage().map(usage),
    }
}

fn check(name: &str, from: Dialect, to: Dialect, told: &[Event], heard: &[Event]) {
    let (mut told, mut heard) = (learnt(told), learnt(heard));
    // Broken JSON cannot stand where a dialect wants an object.
    let is_broken = |call: &(String, Value)| call.1.is_string();
    if told.calls.iter().any(is_broken) {
        told.calls.iter_mut().chain(&mut heard.calls).for_each(|call| call.1 = Value::Null);
    }
    // No words for it in the other dialect, or words of its own.
    if told.finish.is_none() || heard.finish.is_none() {
        (told.finish, heard.finish) = (None, None);
    }
    if told.tokens.is_none() {
        heard.tokens = None;
    }
    assert_eq!(told, heard, "{name}: {from:?} to {to:?}");
}

#[test]
fn every_whole_answer_says_the_same_in_every_dialect() {
    let mut count = 0;
    for (from, ..) in FOLDERS {
        for (name, body) in cases(from, "plain_") {
            let Ok(read) = read_plain(from, &body) else { continue };
            if read.error.is_some() {
                continue;
            }
            for to in DOORS.into_iter().filter(|to| *to != from) {
                let written = translate::whole(to, &head(), &read.events);
                let again = read_plain(to, &written).unwrap_or_else(|error| panic!("{name} {to:?}: {error}"));
                check(&name, from, to, &read.events, &again.events);
                count += 1;
            }
        }
    }
    assert!(count > 80, "{count} answers were tried");
}

fn frames(stream: &Bytes) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    decoder.push(stream.clone());
    decoder.close();
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next().unwrap() {
        frames.push(frame);
    }
    frames
}

fn events(dialect: Dialect, frames: &[Frame]) -> Vec<Event> {
    let mut flow = Flow::new(dialect);
    let read = |frame: &Frame| flow.read(frame).unwrap().map(|chunk| chunk.events);
    frames.iter().filter_map(read).flatten().collect()
}

#[test]
fn every_stream_says_the_same_in_every_dialect() {
    let mut count = 0;
    for (from, ..) in FOLDERS {
        for (name, stream) in cases(from, "stream_") {
            let told = events(from, &frames(&stream));
            if told.iter().any(|event| matches!(event, Event::Error { .. })) {
                continue;
            }
            for to in DOORS.into_iter().filter(|to| *to != from) {
                let mut writer = Writer::new(to, head());
                let mut written: Vec<Bytes> = told.iter().flat_map(|event| writer.push(event)).collect();
                written.extend(writer.end());
                let again = events(to, &frames(&Bytes::from(written.concat())));
                check(&name, from, to, &told, &again);
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count} streams were tried");
}

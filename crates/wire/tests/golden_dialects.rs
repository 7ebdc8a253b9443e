//! Golden files of Gemini and Converse: bytes as callers and providers send them, what is read of them, and the same in
//! another dialect. A new case is a new file: `<dialect>/{request,plain,error}_*.json`, `<dialect>/stream_*.sse`, and in
//! `pairs/<from>-<to>/` whatever is to be translated.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

use std::{fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use gauntlet_types::{Dialect, Event, Quirks};
use gauntlet_wire::{
    answer::{Assembler, SealAt, read_plain},
    conversation::{LimitField, PathAsk, parse},
    flow::Flow,
    openai::error,
    splice,
    sse::{Decoder, Frame},
    translate::{self, Head},
};
use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cases(folder: &str, prefix: &str) -> Vec<(String, Bytes)> {
    let mut cases: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found != "snap" && found != "new"))
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), Bytes::from(fs::read(&path).unwrap()))
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case {folder}/{prefix}*");
    cases
}

fn snapshot(folder: &str, name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

fn path() -> PathAsk {
    PathAsk { model: "gemini-3-pro-preview".into(), stream: true, batch: false }
}

fn head() -> Head {
    Head {
        id: "0123456789abcdef".into(),
        created: 1_700_000_000,
        model: "asked".into(),
        include_usage: true,
        ..Head::default()
    }
}

fn frames(stream: &Bytes) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    decoder.push(stream.clone());
    decoder.close();
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
    let read = |frame: &Frame| flow.read(frame).unwrap().map(|chunk| chunk.events);
    frames(stream).iter().filter_map(read).flatten().collect()
}

fn seals(shown: &mut String, seals: &[SealAt], data: &[u8]) {
    let slice = |range: &std::ops::Range<usize>| String::from_utf8_lossy(&data[range.clone()]).into_owned();
    for seal in seals {
        writeln!(shown, "    seal {:?} on {:?} {:?}", slice(&seal.raw), seal.key, slice(&seal.text)).unwrap();
    }
}

#[test]
fn requests_read_as_recorded() {
    for (name, body) in cases("gemini", "request_") {
        let asked = parse(Dialect::Gemini, &body, &path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut shown = String::new();
        for segment in asked.segments(&body) {
            let text: String = segment.as_str(&body).chars().take(60).collect();
            let (role, kind) = (segment.role, segment.kind);
            writeln!(shown, "{} {role:?} {kind:?} {:?} {text:?}", segment.place, segment.scope()).unwrap();
        }
        let others = asked.other_segments(&body);
        let others: Vec<_> = others.iter().map(|segment| segment.as_str(&body)).collect();
        writeln!(shown, "others: {others:?}").unwrap();
        writeln!(
            shown,
            "limit {:?} n {} temperature {:?} top_p {:?} seed {:?} tier {:?} effort {:?} tools {:?} messages {} media {} \
             images {} state {:?} metadata {:?} format {:?}",
            asked.max_tokens.as_ref().map(|limit| limit.value),
            asked.n,
            asked.temperature,
            asked.top_p,
            asked.seed,
            asked.service_tier,
            asked.reasoning_effort,
            asked.tools,
            asked.message_count,
            asked.media_count,
            asked.image_count,
            asked.state,
            asked.metadata,
            asked.response_format.clone().map(|range| String::from_utf8_lossy(&body[range]).into_owned()),
        )
        .unwrap();
        let mut edits = asked.with_system(&body, "SYSTEM");
        edits.extend(asked.with_more(&body, &[("user", "MORE")]));
        edits.push(asked.with_max_tokens(7, LimitField::MaxTokens));
        edits.extend(asked.without_gauntlet());
        let edited = splice::splice(&body, edits);
        parse(Dialect::Gemini, &edited, &path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        writeln!(shown, "{}", String::from_utf8_lossy(&edited)).unwrap();
        snapshot("gemini", &name, &shown);
    }
}

#[test]
fn plain_answers_read_as_recorded() {
    for (dialect, folder) in [(Dialect::Gemini, "gemini"), (Dialect::Converse, "converse")] {
        for (name, body) in cases(folder, "plain_") {
            let answer = read_plain(dialect, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut shown = String::new();
            for event in &answer.events {
                writeln!(shown, "{event:?}").unwrap();
            }
            for text in &answer.texts {
                let (segment, choice) = (&text.segment, text.choice);
                let (place, kind) = (segment.place, segment.kind);
                writeln!(shown, "{choice} {place} {kind:?} {:?}", segment.as_str(&body)).unwrap();
            }
            seals(&mut shown, &answer.seals, &body);
            writeln!(shown, "error: {:?}", answer.error).unwrap();
            snapshot(folder, &name, &shown);
        }
    }
}

#[test]
fn provider_errors_read_as_recorded() {
    for folder in ["gemini", "converse"] {
        for (name, body) in cases(folder, "error_") {
            snapshot(folder, &name, &format!("{:#?}", error::read(&body)));
        }
    }
}

#[test]
fn streams_read_as_recorded() {
    for (dialect, folder) in [(Dialect::Gemini, "gemini"), (Dialect::Converse, "converse")] {
        for (name, stream) in cases(folder, "stream_") {
            let (mut shown, mut assembler, mut flow) = (String::new(), Assembler::new(), Flow::new(dialect));
            for frame in frames(&stream) {
                let read = flow.read(&frame).unwrap_or_else(|error| panic!("{name}: {error}"));
                let Some(chunk) = read else { continue };
                let data = frame.data().unwrap();
                writeln!(shown, "- ends {:?}{}", chunk.ends, if chunk.is_done { " done" } else { "" })
                    .unwrap();
                for text in &chunk.texts {
                    let raw = String::from_utf8_lossy(&data[text.raw.clone()]);
                    writeln!(shown, "    {:?} {:?} {raw:?}", text.key, text.extent).unwrap();
                }
                seals(&mut shown, &chunk.seals, data);
                for event in &chunk.events {
                    writeln!(shown, "    {event:?}").unwrap();
                    assembler.feed(event);
                }
            }
            writeln!(shown, "{}", String::from_utf8_lossy(&assembler.message_json())).unwrap();
            snapshot(folder, &name, &shown);
        }
    }
}

#[test]
fn requests_translate_as_recorded() {
    let pairs = [
        (Dialect::Chat, Dialect::Gemini, "chat-gemini", "gemini-3-pro-preview"),
        (Dialect::Gemini, Dialect::Chat, "gemini-chat", "gpt-5"),
        (Dialect::Gemini, Dialect::Gemini, "gemini-gemini", "gemini-3-pro-preview"),
        (Dialect::Chat, Dialect::Converse, "chat-converse", "eu.anthropic.claude-sonnet-4-5-v1:0"),
        (Dialect::Gemini, Dialect::Converse, "gemini-converse", "amazon.nova-pro-v1:0"),
    ];
    for (from, to, folder, model) in pairs {
        for (name, body) in cases(&format!("pairs/{folder}"), "request_") {
            let written = translate::ask(from, to, &body, &path(), model, Quirks::default())
                .unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
            let value: Value = serde_json::from_slice(&written.body).unwrap();
            let shown = format!(
                "{}\ndropped {:?}\ninjected {:?}\n",
                serde_json::to_string_pretty(&value).unwrap(),
                written.dropped,
                written.injected
            );
            snapshot(&format!("pairs/{folder}"), &name, &shown);
        }
    }
}

#[test]
fn answers_translate_as_recorded() {
    let pairs = [
        (Dialect::Chat, Dialect::Gemini, "chat-gemini"),
        (Dialect::Gemini, Dialect::Chat, "gemini-chat"),
        (Dialect::Converse, Dialect::Chat, "converse-chat"),
        (Dialect::Converse, Dialect::Gemini, "converse-gemini"),
    ];
    for (from, to, folder) in pairs {
        let folder = format!("pairs/{folder}");
        for (name, body) in cases(&folder, "plain_") {
            let answer = read_plain(from, &body).unwrap();
            let whole = translate::whole(to, &head(), &answer.events);
            let value: Value = serde_json::from_slice(&whole).unwrap();
            snapshot(&folder, &name, &serde_json::to_string_pretty(&value).unwrap());
        }
        for (name, stream) in cases(&folder, "stream_") {
            let written = translate::stream(to, &head(), &events(from, &stream));
            let shown: String = written.iter().map(|frame| String::from_utf8_lossy(frame)).collect();
            snapshot(&folder, &name, &shown);
        }
    }
}

/// The next request of a caller who was answered so, in its own dialect.
fn replayed(door: Dialect, answer: &[u8]) -> Vec<u8> {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let body = match door {
        Dialect::Gemini => {
            let words = json!({"role": "user", "parts": [{"text": "go on"}]});
            json!({"contents": [words, answer["candidates"][0]["content"], words]})
        }
        _ => {
            let words = json!({"role": "user", "content": "go on"});
            json!({"model": "m", "messages": [words, answer["choices"][0]["message"], words]})
        }
    };
    body.to_string().into_bytes()
}

#[test]
fn what_a_provider_sealed_comes_back_to_it_through_any_dialect_and_to_nobody_else() {
    let check = |by: Dialect, case: &str, seals: &[&str]| {
        let (folder, name) = case.split_once('/').unwrap();
        let (_, body) = cases(folder, name).remove(0);
        let answer = read_plain(by, &body).unwrap();
        for door in [Dialect::Chat, Dialect::Gemini] {
            let whole = translate::whole(door, &head(), &answer.events);
            let next = replayed(door, &whole);
            for to in [Dialect::Chat, Dialect::Gemini, Dialect::Converse] {
                let written = translate::ask(door, to, &next, &path(), "claude", Quirks::default()).unwrap();
                let text = String::from_utf8(written.body).unwrap();
                for seal in seals {
                    assert_eq!(
                        text.contains(seal),
                        to == by,
                        "{by:?} through {door:?} to {to:?}: {seal} {text}"
                    );
                }
                assert!(
                    !gauntlet_wire::seal::is_in(text.as_bytes()),
                    "{by:?} through {door:?} to {to:?}: {text}"
                );
            }
        }
    };
    check(Dialect::Converse, "converse/plain_reasoning_and_tools", &["EqoBCkgIARAB", "AAECAw=="]);
    check(Dialect::Gemini, "gemini/plain_signature_on_text", &["EgQBAgME"]);
}

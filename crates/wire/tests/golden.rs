//! Golden files: bytes as providers send them, and a snapshot of what we make of them. A new case is a new file.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

use std::{fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use gauntlet_wire::{
    answer::Assembler,
    openai::{
        answer::{read_chunk, read_plain},
        error,
    },
    sse::{Decoder, Frame},
};

fn cases(extension: &str, prefix: &str) -> Vec<(String, Bytes)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/openai");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), Bytes::from(fs::read(&path).unwrap()))
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case {prefix}*.{extension}");
    cases
}

fn snapshot(name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden/openai");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn plain_answers_read_as_recorded() {
    for (name, body) in cases("json", "plain_") {
        let answer = read_plain(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
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
        writeln!(shown, "error: {:?}", answer.error).unwrap();
        writeln!(shown, "{}", String::from_utf8_lossy(&assembler.message_json())).unwrap();
        snapshot(&name, &shown);
    }
}

#[test]
fn provider_errors_read_as_recorded() {
    for (name, body) in cases("json", "error_").into_iter().chain(cases("html", "error_")) {
        snapshot(&name, &format!("{:#?}", error::read(&body)));
    }
}

#[test]
fn streams_read_as_recorded() {
    for (name, stream) in cases("sse", "stream_") {
        let mut shown = String::new();
        let mut assembler = Assembler::new();
        let mut decoder = Decoder::new();
        decoder.push(stream.clone());
        let mut forwarded = Vec::new();
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next().unwrap() {
            frames.push(frame);
        }
        let rest = decoder.rest();
        if !rest.is_empty() {
            frames.push(Frame::parse(rest));
        }
        for frame in frames {
            forwarded.extend_from_slice(&frame.raw);
            let Some(data) = frame.data() else {
                writeln!(shown, "- {}", String::from_utf8_lossy(&frame.raw).trim()).unwrap();
                continue;
            };
            let chunk = read_chunk(data).unwrap_or_else(|error| panic!("{name}: {error}"));
            let note = if chunk.is_usage_only { " (usage only)" } else { "" };
            let spans: Vec<_> =
                chunk.texts.iter().map(|text| String::from_utf8_lossy(&data[text.raw.clone()])).collect();
            writeln!(shown, "-{note} {spans:?}").unwrap();
            for event in &chunk.events {
                writeln!(shown, "    {event:?}").unwrap();
                assembler.feed(event);
            }
        }
        writeln!(shown, "{}", String::from_utf8_lossy(&assembler.message_json())).unwrap();
        assert_eq!(stream, forwarded, "{name}");
        let whole = read_plain(&assembler.message_json()).unwrap();
        assert_eq!(whole.error.is_some(), assembler.error().is_some(), "{name}");
        snapshot(&name, &shown);
    }
}

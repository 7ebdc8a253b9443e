// What fuzzing drives: every parser that reads bytes from outside, and what is done with what it reads. Shared by the
// targets of cargo-fuzz and by a test that runs them on mutated golden files; a panic is the only failure.

use bytes::Bytes;
use gauntlet_types::{Dialect, Quirks};
use gauntlet_wire::{
    answer::read_plain,
    conversation::{self, LimitField, PathAsk},
    eventstream,
    flow::Flow,
    pass,
    splice::splice_checked,
    sse::{Decoder, Frame},
    translate::{self, Head, Writer},
};

/// What callers speak.
const SPOKEN: [Dialect; 5] =
    [Dialect::Chat, Dialect::Completions, Dialect::Responses, Dialect::Messages, Dialect::Gemini];

fn path() -> PathAsk {
    PathAsk { model: "m".into(), stream: true, batch: false }
}

/// A request at every door: read, and changed in every way that the gateway changes requests.
pub fn request(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    for dialect in SPOKEN {
        let Ok(asked) = conversation::parse(dialect, &body, &path()) else { continue };
        let mut edits = vec![asked.with_max_tokens(7, LimitField::MaxTokens)];
        edits.extend(asked.with_model("another/\"model\""));
        edits.extend(asked.with_usage());
        edits.extend(asked.without_gauntlet());
        edits.extend(asked.with_prompt(&body, &[("system", "be kind"), ("user", "hi")]));
        let changed = splice_checked(&body, edits).expect("edits of a request do not meet");
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&changed).is_ok(), "{dialect:?}");
        let hidden = asked.segments(&body).iter().map(|text| text.replaced("[HIDDEN]")).collect();
        let hidden = splice_checked(&body, hidden).expect("texts do not meet");
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&hidden).is_ok(), "{dialect:?}");
        let cuts = asked.without_foreign(&body);
        let cut = splice_checked(&body, cuts).expect("cuts do not meet");
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&cut).is_ok(), "{dialect:?}");
    }
    let _ = pass::parse(None, &body);
    let _ = pass::parse(Some("multipart/form-data; boundary=b"), &body);
    let _ = pass::file_ids(&body);
}

/// A request of every dialect, written in every other.
pub fn translation(data: &[u8]) {
    for from in SPOKEN {
        for to in Dialect::ALL {
            if let Ok(written) = translate::ask(from, to, data, &path(), "m", Quirks::default()) {
                assert!(
                    serde_json::from_slice::<serde::de::IgnoredAny>(&written.body).is_ok(),
                    "{from:?} {to:?}"
                );
            }
        }
    }
}

/// A whole answer of every dialect, written in every other.
pub fn answer(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    for from in Dialect::ALL {
        let Ok(read) = read_plain(from, &body) else { continue };
        let hidden = read.texts.iter().map(|text| text.segment.replaced("[HIDDEN]")).collect();
        let hidden = splice_checked(&body, hidden).expect("texts do not meet");
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&hidden).is_ok(), "{from:?}");
        for to in SPOKEN {
            let whole = translate::whole(to, &Head::default(), &read.events);
            read_plain(to, &whole).expect("what we write can be read");
        }
    }
    let _ = pass::read_answer(Some("application/json"), &body);
}

/// A stream of every dialect, cut anywhere, told in every other.
pub fn stream(data: &[u8]) {
    let middle = data.len() / 3;
    for from in Dialect::ALL {
        let mut heard = Flow::new(from);
        let mut writers: Vec<_> = SPOKEN
            .into_iter()
            .map(|to| (Writer::new(to, Head { include_usage: true, ..Head::default() }), Flow::new(to)))
            .collect();
        let mut decoder = Decoder::new();
        decoder.push(Bytes::copy_from_slice(&data[..middle]));
        decoder.push(Bytes::copy_from_slice(&data[middle..]));
        decoder.close();
        while let Ok(Some(frame)) = decoder.next() {
            let Ok(Some(chunk)) = heard.read(&frame) else { break };
            heard.sent(&frame, &chunk);
            for (writer, told) in &mut writers {
                for event in &chunk.events {
                    writer.push(event).into_iter().for_each(|frame| tell(told, frame));
                }
            }
        }
        if from != Dialect::Converse {
            heard.close("stop", gauntlet_types::Finish::ContentFilter);
        }
        for (mut writer, mut told) in writers {
            writer.end().into_iter().for_each(|frame| tell(&mut told, frame));
        }
    }
}

fn tell(flow: &mut Flow, frame: Bytes) {
    let frame = Frame::parse(frame);
    let chunk = flow.read(&frame).expect("what we write can be read");
    if let Some(chunk) = chunk {
        flow.sent(&frame, &chunk);
    }
}

/// Amazon's event stream.
pub fn messages(data: &[u8]) {
    let mut decoder = eventstream::Decoder::default();
    decoder.push(data);
    while let Ok(Some(message)) = decoder.message() {
        let _ = message.to_sse();
    }
    let _ = decoder.finish();
}

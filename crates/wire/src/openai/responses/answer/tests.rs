mod any;
mod client;

use gauntlet_types::{Code, Dialect, Fault, Seal, Sealed};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use any::any_answer;
use client::client;

use crate::{
    answer::{Channel, Chunk, End, Extent},
    seal,
    splice::splice,
    sse::{Decoder, Frame},
    translate::Head,
};

const STREAMS: &[(&str, &str)] = &[
    ("text", include_str!("../../../../tests/golden/responses/stream_text.sse")),
    ("web_search", include_str!("../../../../tests/golden/responses/stream_web_search.sse")),
    ("custom_tool", include_str!("../../../../tests/golden/responses/stream_custom_tool.sse")),
    ("refusal", include_str!("../../../../tests/golden/responses/stream_refusal.sse")),
    ("reasoning_text", include_str!("../../../../tests/golden/responses/stream_reasoning_text.sse")),
    ("mcp", include_str!("../../../../tests/golden/responses/stream_mcp_and_unknown.sse")),
    ("done_only", include_str!("../../../../tests/golden/responses/stream_done_only.sse")),
    ("parallel", include_str!("../../../../tests/golden/responses/stream_reasoning_parallel_tools.sse")),
];

fn frames(bytes: &[u8], chunk: usize) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(chunk.max(1)) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = decoder.next().unwrap() {
            frames.push(frame);
        }
    }
    frames
}

fn events(frames: &[Frame]) -> Vec<Event> {
    let mut flow = Flow::default();
    let mut read = |frame: &Frame| flow.read(frame, frame.data().unwrap()).unwrap().events;
    frames.iter().flat_map(&mut read).collect()
}

fn data(frame: &Bytes) -> Value {
    serde_json::from_slice(Frame::parse(frame.clone()).data().unwrap()).unwrap()
}

fn head() -> Head {
    Head { id: "0a1b".into(), created: 1, model: "m".into(), ..Head::default() }
}

/// The same with neighbouring pieces of one text joined.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        match (all.last_mut(), &event) {
            (Some(Event::Text { text, .. }), Event::Text { text: more, .. })
            | (Some(Event::Refusal { text, .. }), Event::Refusal { text: more, .. })
            | (Some(Event::Reasoning { text, .. }), Event::Reasoning { text: more, .. }) => {
                text.push_str(more)
            }
            (
                Some(Event::ToolCall { index, arguments, .. }),
                Event::ToolCall { index: same, id: None, arguments: more, .. },
            ) if index == same => arguments.push_str(more),
            _ => all.push(event),
        }
    }
    all
}

#[test]
fn the_writers_frames_are_what_clients_accumulate() {
    for (name, stream) in STREAMS {
        let read = events(&frames(stream.as_bytes(), usize::MAX));
        let mut writer = Writer::new(head());
        let mut written = Vec::new();
        read.iter().for_each(|event| writer.push(event, &mut written));
        writer.end(&mut written);
        let last = client(&written.iter().map(data).collect::<Vec<_>>());
        let whole: Value = serde_json::from_slice(&whole(&head(), &read)).unwrap();
        assert_eq!(last["response"], whole, "{name}");
    }
}

#[test]
fn a_call_of_a_custom_tool_is_one_again() {
    let call = |arguments: &str| Event::ToolCall {
        choice: 0,
        index: 0,
        id: Some("c".into()),
        name: Some("sql".into()),
        arguments: arguments.into(),
    };
    let check = |arguments: &str, input: &str| {
        let head = Head { custom_tools: vec!["sql".into()], ..head() };
        let mut writer = Writer::new(head);
        let mut written = Vec::new();
        writer.push(&call(arguments), &mut written);
        writer.end(&mut written);
        let last = client(&written.iter().map(data).collect::<Vec<_>>());
        let item = &last["response"]["output"][0];
        assert_eq!((item["type"].as_str(), item["input"].as_str()), (Some("custom_tool_call"), Some(input)));
    };
    check("select 1", "select 1");
    check(r#"{"input":"select \"1\""}"#, "select \"1\"");
    check(r#"{"input":"a","more":1}"#, r#"{"input":"a","more":1}"#);
}

#[test]
fn an_answer_that_ends_without_a_word_is_not_called_completed() {
    let text = Event::Text { choice: 0, text: "a".into() };
    let check = |more: &[Event], status: &str| {
        let events: Vec<Event> = [&[text.clone()][..], more].concat();
        let answer: Value = serde_json::from_slice(&whole(&head(), &events)).unwrap();
        assert_eq!(answer["status"], status);
    };
    let finish = |why| Event::Finish { choice: 0, why };
    check(&[finish(Finish::Stop)], "completed");
    check(&[finish(Finish::Length)], "incomplete");
    check(&[finish(Finish::ContentFilter)], "incomplete");
    check(&[], "incomplete");
    check(&[Event::Error { code: None, message: "broke".into() }], "failed");
}

#[test]
fn a_call_that_was_cut_off_is_never_done() {
    let call = Event::ToolCall {
        choice: 0,
        index: 0,
        id: Some("c".into()),
        name: Some("rm".into()),
        arguments: r#"{"path":"/tm"#.into(),
    };
    let mut writer = Writer::new(head());
    let mut written = Vec::new();
    writer.push(&call, &mut written);
    writer.push(&Event::Finish { choice: 0, why: Finish::Length }, &mut written);
    writer.end(&mut written);
    let kinds: Vec<Value> = written.iter().map(|frame| data(frame)["type"].clone()).collect();
    assert!(!kinds.iter().any(|kind| kind.as_str().unwrap().ends_with(".done")), "{kinds:?}");
    assert_eq!(data(&written[written.len() - 1])["response"]["output"][0]["status"], "incomplete");
}

/// Sends the first frames of a stream through a flow.
fn sent(stream: &str, count: usize) -> (Flow, Vec<Value>) {
    let mut flow = Flow::default();
    let mut out = Vec::new();
    for frame in frames(stream.as_bytes(), usize::MAX).iter().take(count) {
        let Some(bytes) = frame.data() else { continue };
        let chunk = flow.read(frame, bytes).unwrap();
        flow.sent(frame, &chunk);
        out.extend(serde_json::from_slice::<Value>(bytes));
    }
    (flow, out)
}

#[test]
fn a_stream_is_closed_natively_wherever_it_stands() {
    for (name, stream) in STREAMS {
        let count = frames(stream.as_bytes(), usize::MAX).len();
        for cut in 0..count - 1 {
            let (mut flow, mut out) = sent(stream, cut);
            if out.len() == 1 && *name == "done_only" {
                continue;
            }
            out.extend(flow.close("Stopped here.", Finish::ContentFilter).iter().map(data));
            let is_odd = *name == "done_only";
            let last = if is_odd { out[out.len() - 1].clone() } else { client(&out) };
            let response = &last["response"];
            assert_eq!(response["incomplete_details"]["reason"], "content_filter", "{name} {cut}");
            let said = response["output"].as_array().unwrap().last().unwrap();
            assert_eq!(said["content"][0]["text"], "Stopped here.", "{name} {cut}");
            let done = |kind: &str| {
                let of = |frame: &&Value| {
                    frame["type"] == "response.output_item.done" && frame["item"]["type"] == kind
                };
                out.iter().filter(of).count()
            };
            let begun = |kind: &str| {
                let of = |frame: &&Value| {
                    frame["type"] == "response.output_item.added" && frame["item"]["type"] == kind
                };
                out.iter().filter(of).count()
            };
            if !is_odd {
                assert_eq!(begun("message"), done("message"), "{name} {cut}");
            }
        }
    }
}

#[test]
fn a_broken_stream_has_failed_and_says_why() {
    let fault = Fault::caller(Code::UpstreamFailed, "the provider broke off");
    let (mut flow, mut out) = sent(STREAMS[0].1, 6);
    out.extend(flow.error(&fault, "r_1").iter().map(data));
    let last = client(&out);
    assert_eq!(last["type"], "response.failed");
    assert_eq!(
        last["response"]["error"],
        serde_json::json!({"code": "upstream_failed", "message": "the provider broke off", "request_id": "r_1"})
    );
    assert_eq!(last["response"]["id"], "resp_68b0c7d5");
}

#[test]
fn a_piece_of_ours_fits_between_and_what_follows_is_renumbered() {
    let all = frames(STREAMS[0].1.as_bytes(), usize::MAX);
    let mut flow = Flow::default();
    let mut out: Vec<Bytes> = Vec::new();
    for frame in &all {
        let chunk: Chunk = flow.read(frame, frame.data().unwrap()).unwrap();
        let mut edits = Vec::new();
        for text in &chunk.texts {
            // As a guard would: the last piece is held back, and comes before the text is done.
            let words = frame.data().unwrap()[text.raw.clone()].to_vec();
            match text.extent {
                Extent::Piece if words == "21 °C.".as_bytes() => {
                    edits.push(crate::Edit::new(text.raw.clone(), ""))
                }
                Extent::Repeat => {
                    edits.push(crate::Edit::new(text.raw.clone(), "Graz: sunny – [kept back]"));
                }
                Extent::Piece | Extent::Whole => {}
            }
        }
        if let Some(End::Part { part, .. }) = chunk.ends.first() {
            let key = Key { choice: 0, part: *part, channel: Channel::Content };
            out.push(flow.piece(key, "[kept back]"));
        }
        edits.extend(flow.renumbered(&chunk));
        let raw = frame.edited(edits);
        flow.sent(&Frame::parse(raw.clone()), &chunk);
        out.push(raw);
    }
    let last = client(&out.iter().map(data).collect::<Vec<_>>());
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Graz: sunny – [kept back]");
}

#[test]
fn closing_tells_the_words_that_went_out_not_those_that_came() {
    let mut flow = Flow::default();
    let mut out = Vec::new();
    for frame in frames(STREAMS[0].1.as_bytes(), usize::MAX).iter().take(6) {
        let bytes = frame.data_bytes().unwrap();
        let chunk = flow.read(frame, &bytes).unwrap();
        let edits = chunk.texts.iter().map(|text| crate::Edit::new(text.raw.clone(), "#")).collect();
        let raw = frame.edited(edits);
        flow.sent(&Frame::parse(raw.clone()), &chunk);
        out.push(data(&raw));
    }
    out.extend(flow.close("", Finish::ContentFilter).iter().map(data));
    let last = client(&out);
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "##");
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn a_foreign_seal_is_voided_with_the_text_it_holds_for() {
    let events = [
        Event::Reasoning { choice: 0, text: "secret".into() },
        Event::Seal {
            choice: 0,
            seal: Seal { by: Dialect::Messages, on: Sealed::Reasoning, id: None, data: "Eq==".into() },
        },
    ];
    let body = whole(&head(), &events);
    let answer = read_plain(&body).unwrap();
    let [sealed] = &answer.seals[..] else { panic!("one seal") };
    assert_eq!(&body[sealed.text.clone()], b"secret");
    let edits = vec![crate::Edit::new(sealed.raw.clone(), seal::VOID)];
    let voided = read_plain(&splice(&body, edits)).unwrap();
    assert!(!voided.events.iter().any(|event| matches!(event, Event::Seal { .. })));
}

#[test]
fn seals_come_back_unchanged_through_a_caller_of_responses() {
    let sealed = |by, on| Seal { by, on, id: None, data: "Eq+/==".into() };
    let event = |seal: Seal| Event::Seal { choice: 0, seal };
    let call = |index: u32, id: &str| Event::ToolCall {
        choice: 0,
        index,
        id: Some(id.into()),
        name: Some("f".into()),
        arguments: "{}".into(),
    };
    let answer: Value = serde_json::from_slice(&whole(
        &head(),
        &[
            Event::Reasoning { choice: 0, text: "hm".into() },
            event(sealed(Dialect::Messages, Sealed::Reasoning)),
            event(sealed(Dialect::Messages, Sealed::Redacted)),
            call(0, "a"),
            call(1, "functions.b:1"),
            event(sealed(Dialect::Gemini, Sealed::ToolCall(1))),
            event(sealed(Dialect::Gemini, Sealed::ToolCall(0))),
        ],
    ))
    .unwrap();
    // As the SDKs do: what was put out is put in again.
    let mut body = serde_json::json!({"model": "m", "input": answer["output"]});
    let asked = crate::openai::responses::ask::read(body.to_string().as_bytes()).unwrap();
    let mut seals = Vec::new();
    for part in asked.turns.iter().flat_map(|turn| &turn.parts) {
        match &part.what {
            crate::ask::What::Reasoning { text, seal } => seals.push((text.as_str(), seal.clone())),
            crate::ask::What::ToolCall { id, seal, .. } => seals.push((id.as_str(), seal.clone())),
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        ("hm", Some(sealed(Dialect::Messages, Sealed::Reasoning))),
        ("", Some(sealed(Dialect::Messages, Sealed::Redacted))),
        ("a", Some(sealed(Dialect::Gemini, Sealed::ToolCall(0)))),
        ("functions.b:1", Some(sealed(Dialect::Gemini, Sealed::ToolCall(0)))),
    ];
    assert_eq!(seals, expected);
    // Neither goes to a provider that speaks Responses itself.
    let bytes = Bytes::from(body.to_string());
    assert!(seal::is_in(&bytes));
    let cut = splice(&bytes, crate::openai::responses::ask::without_foreign(&bytes));
    body["input"] = answer["output"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["type"] != "reasoning")
        .cloned()
        .collect();
    assert_eq!(serde_json::from_slice::<Value>(&cut).unwrap(), body);
}

#[test]
fn a_last_frame_that_leaves_items_out_repeats_none_twice() {
    let stream = STREAMS.iter().find(|(name, _)| *name == "reasoning_text").unwrap().1;
    let all = frames(stream.as_bytes(), usize::MAX);
    let last = data(&all[all.len() - 1].raw);
    let mut less = last.clone();
    less["response"]["output"].as_array_mut().unwrap().remove(0);
    let edited = stream.replace(&last.to_string(), &less.to_string());
    assert_ne!(edited, stream);
    assert_eq!(events(&frames(edited.as_bytes(), usize::MAX)), events(&all));
}

#[test]
fn frames_that_are_no_answer_are_refused_and_unknown_ones_pass() {
    let read = |text: &str| {
        let frame = Frame::parse(Bytes::from(format!("data: {text}\n\n")));
        Flow::default().read(&frame, frame.data().unwrap())
    };
    assert!(read("<html>").is_err() && read("{\"type\":").is_err());
    for odd in [
        "{}",
        "[DONE]",
        "",
        r#"{"type":"response.completed"}"#,
        r#"{"type":"response.output_item.done","item":7}"#,
        r#"{"type":"response.output_text.delta","delta":{"a":1},"output_index":4294967295,"content_index":99999999999}"#,
        r#"{"type":7}"#,
    ] {
        assert!(read(odd).is_ok(), "{odd}");
    }
    let error = read(r#"{"error":{"message":"slow down","code":"rate_limited"}}"#).unwrap();
    assert_eq!(
        error.events,
        [Event::Error { code: Some("rate_limited".into()), message: "slow down".into() }]
    );
}

#[test]
fn words_in_frames_that_we_do_not_know_are_looked_at() {
    let check = |text: &str, expected: &[(Extent, &str)]| {
        let frame = Frame::parse(Bytes::from(format!("data: {text}\n\n")));
        let bytes = frame.data().unwrap();
        let chunk = Flow::default().read(&frame, bytes).unwrap();
        let words = |delta: &crate::answer::TextDelta| {
            (delta.extent, String::from_utf8_lossy(&bytes[delta.raw.clone()]).into_owned())
        };
        let expected: Vec<_> = expected.iter().map(|(extent, words)| (*extent, words.to_string())).collect();
        assert_eq!(chunk.texts.iter().map(words).collect::<Vec<_>>(), expected, "{text}");
        assert!(chunk.events.iter().all(|event| matches!(event, Event::Reasoning { .. })), "{text}");
    };
    check(
        r#"{"type":"response.tomorrow","item_id":"i","deep":[{"said":"a"},"b"]}"#,
        &[(Extent::Whole, "a"), (Extent::Whole, "b")],
    );
    check(r#"{"type":"response.new.delta","delta":"a"}"#, &[(Extent::Piece, "a")]);
    check(r#"{"type":"response.new.delta","delta":{"said":"a"}}"#, &[(Extent::Whole, "a")]);
    check(
        r#"{"type":"response.reasoning_part.done","content_index":0,"part":{"type":"reasoning_text","text":"a"}}"#,
        &[(Extent::Whole, "a")],
    );
    check(r#"{"type":"response.image_generation_call.partial_image","partial_image_b64":"AAAA"}"#, &[]);
    check(r#"{"type":"response.output_text.done","text":""}"#, &[]);
}

#[test]
fn a_long_stream_is_read_in_linear_time() {
    let start = std::time::Instant::now();
    let mut flow = Flow::default();
    for at in 0..20_000 {
        let text = format!(
            r#"{{"type":"response.output_text.delta","output_index":{at},"content_index":{at},"delta":"a","sequence_number":{at}}}"#
        );
        let frame = Frame::parse(Bytes::from(format!("data: {text}\n\n")));
        let chunk = flow.read(&frame, frame.data().unwrap()).unwrap();
        flow.sent(&frame, &chunk);
    }
    let many = r#"{"type":"message","content":[{"type":"output_text","text":"a"}]},"#.repeat(20_000);
    let text = format!(r#"{{"type":"response.completed","response":{{"output":[{many}{{}}]}}}}"#);
    let frame = Frame::parse(Bytes::from(format!("data: {text}\n\n")));
    assert!(flow.read(&frame, frame.data().unwrap()).unwrap().is_done);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

/// Without what stands elsewhere in a stream than in a whole answer.
fn sorted_end(events: Vec<Event>) -> Vec<Event> {
    let is_end = |event: &Event| matches!(event, Event::Usage(_) | Event::Finish { .. } | Event::Done);
    let (mut ends, mut all): (Vec<_>, Vec<_>) = joined(events).into_iter().partition(is_end);
    ends.retain(|event| !matches!(event, Event::Done));
    ends.sort_by_key(|event| matches!(event, Event::Usage(_)));
    all.extend(ends);
    all
}

/// In a whole answer sources stand behind all words of their part.
fn without_sources(events: Vec<Event>) -> (Vec<Event>, Vec<Event>) {
    let (sources, rest) = events.into_iter().partition(|event| matches!(event, Event::Citation { .. }));
    (sources, joined(rest))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_reads_back_the_same(answer in any_answer()) {
        let mut writer = Writer::new(head());
        let mut written = Vec::new();
        answer.iter().for_each(|event| writer.push(event, &mut written));
        writer.end(&mut written);
        client(&written.iter().map(data).collect::<Vec<_>>());
        let stream = written.concat();
        let wanted = sorted_end(answer.clone());
        prop_assert_eq!(sorted_end(events(&frames(&stream, usize::MAX))), wanted.clone());
        let whole = sorted_end(read_plain(&whole(&head(), &answer)).unwrap().events);
        prop_assert_eq!(without_sources(whole), without_sources(wanted));
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(which in 0..STREAMS.len(), chunk in 1usize..400) {
        let stream = STREAMS[which].1.as_bytes();
        prop_assert_eq!(events(&frames(stream, chunk)), events(&frames(stream, usize::MAX)));
    }

    #[test]
    fn any_mutation_is_read_or_refused_and_can_be_closed(
        which in 0..STREAMS.len(), at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..30,
    ) {
        let mut stream = STREAMS[which].1.as_bytes().to_vec();
        let at = at.index(stream.len() - 40);
        stream[at] = byte;
        stream.drain(at + 1..at + 1 + drop);
        let mut flow = Flow::default();
        for frame in frames(&stream, usize::MAX) {
            let Some(bytes) = frame.data() else { continue };
            let Ok(chunk) = flow.read(&frame, bytes) else { continue };
            for text in &chunk.texts {
                flow.piece(text.key, "x");
            }
            let _ = frame.edited(flow.renumbered(&chunk).into_iter().collect());
            flow.sent(&frame, &chunk);
        }
        for frame in flow.close("x", Finish::Stop) {
            prop_assert!(data(&frame).is_object());
        }
    }

    #[test]
    fn any_bytes_are_no_answer_or_one(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_plain(&Bytes::from(body));
    }
}

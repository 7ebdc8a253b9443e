use bytes::Bytes;
use gauntlet_types::{Citation, Code, Dialect, Event, Fault, Finish, Seal, Sealed, TokenCount, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    answer::{Channel, Chunk, End, Extent, Key, read_plain},
    flow::Flow,
    openai::answer::frame,
    sse::{Decoder, Frame},
    translate::{self, Head},
};

fn head() -> Head {
    Head { id: "0a".into(), model: "m".into(), ..Head::default() }
}

fn framed(data: &Value) -> Frame {
    Frame::parse(frame(data.to_string().as_bytes()))
}

fn answer(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts}, "index": 0}], "modelVersion": "m", "responseId": "r"})
}

fn read(flow: &mut Flow, frame: &Frame) -> Chunk {
    flow.read(frame).unwrap().unwrap()
}

/// All events of a stream but for what every frame repeats.
fn events(frames: &[Bytes]) -> Vec<Event> {
    let mut flow = Flow::new(Dialect::Gemini);
    frames.iter().flat_map(|bytes| read(&mut flow, &Frame::parse(bytes.clone())).events).collect()
}

#[test]
fn what_is_no_answer_is_malformed() {
    let check = |body: &'static str, shown: &str| {
        assert_eq!(read_plain(Dialect::Gemini, &Bytes::from(body)).unwrap_err().message, shown, "{body}");
    };
    check("", "the answer is empty");
    check("<html>", "the answer is HTML, not JSON");
    check("[]", "the answer is not a JSON object");
    check("{}", "`candidates` is missing from the answer");
    check(r#"{"candidates":[{"content":{"par"#, "the JSON ends within a string");
}

#[test]
fn parts_of_a_kind_are_one_text_and_end_where_another_begins() {
    let mut flow = Flow::new(Dialect::Gemini);
    let mut check = |parts: Value, keys: &[(u32, Channel)], ends: &[End]| {
        let chunk = read(&mut flow, &framed(&answer(parts.clone())));
        let got: Vec<_> = chunk.texts.iter().map(|text| (text.key.part, text.key.channel)).collect();
        assert_eq!((&got[..], &chunk.ends[..]), (keys, ends), "{parts}");
    };
    let end = |part: u32| End::Part { choice: 0, part };
    check(json!([{"text": "a", "thought": true}]), &[(0, Channel::Reasoning)], &[]);
    check(json!([{"thought": true, "text": "b"}]), &[(0, Channel::Reasoning)], &[]);
    check(
        json!([{"text": "c", "thought": true}, {"text": "d"}]),
        &[(0, Channel::Reasoning), (1, Channel::Content)],
        &[end(0)],
    );
    check(json!([{"text": ""}, {"text": "e"}]), &[(1, Channel::Content)], &[]);
    check(
        json!([{"functionCall": {"name": "f", "args": {"a": "b"}}}]),
        &[(2, Channel::Arguments(0))],
        &[end(1)],
    );
    check(json!([{"functionCall": {"name": "f", "args": {"a": "b"}}}]), &[(3, Channel::Arguments(1))], &[]);
    check(
        json!([{"newPart": {"says": "f"}}, {"text": "g"}]),
        &[(4, Channel::Content), (5, Channel::Content)],
        &[],
    );
}

#[test]
fn calls_without_an_id_get_one_that_is_theirs() {
    let id = |answer: &Value| {
        let read = read_plain(Dialect::Gemini, &Bytes::from(answer.to_string())).unwrap();
        let ids = read.events.into_iter().filter_map(|event| match event {
            Event::ToolCall { id, .. } => id,
            _ => None,
        });
        ids.collect::<Vec<_>>()
    };
    let calls = json!([{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}]);
    let mut told = answer(calls);
    assert_eq!(id(&told), ["call_r_0", "call_r_1"]);
    told.as_object_mut().unwrap().shift_remove("responseId");
    let first = id(&told);
    assert_eq!(first, id(&told));
    assert!(first[0] != first[1] && first.iter().all(|id| id.len() <= 40));
    told["usageMetadata"] = json!({"promptTokenCount": 1});
    assert_ne!(first, id(&told));
}

#[test]
fn a_piece_of_ours_reads_back_as_what_it_is() {
    let mut flow = Flow::new(Dialect::Gemini);
    read(&mut flow, &framed(&answer(json!([{"text": "a"}]))));
    let mut check = |channel: Channel, expected: Option<Event>| {
        let bytes = flow.piece(Key { choice: 1, part: 3, channel }, "tail \"x\"");
        let got = events(
            &[bytes].map(|bytes| bytes).into_iter().filter(|bytes| !bytes.is_empty()).collect::<Vec<_>>(),
        );
        let model = Event::Model("m".into());
        assert_eq!(got, expected.map(|event| vec![model, event]).unwrap_or_default());
    };
    let text = String::from("tail \"x\"");
    check(Channel::Content, Some(Event::Text { choice: 1, text: text.clone() }));
    check(Channel::Reasoning, Some(Event::Reasoning { choice: 1, text }));
    check(Channel::Arguments(0), None);
}

#[test]
fn a_stream_that_we_close_ends_every_choice_that_is_open() {
    let mut flow = Flow::new(Dialect::Gemini);
    let two = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "index": 0, "finishReason": "STOP"},
        {"content": {"parts": [{"text": "b"}]}, "index": 2}]});
    let frame = framed(&two);
    let chunk = read(&mut flow, &frame);
    flow.sent(&frame, &chunk);
    let closing = flow.close("Stopped.", Finish::ContentFilter);
    let why = Finish::ContentFilter;
    let wanted = [
        Event::Text { choice: 0, text: "Stopped.".into() },
        Event::Finish { choice: 0, why },
        Event::Finish { choice: 2, why },
    ];
    assert_eq!(events(&closing), wanted);
}

#[test]
fn an_error_of_ours_in_a_stream_is_googles() {
    let fault = Fault::provider(Code::UpstreamFailed, "the provider broke off");
    let frames = Flow::new(Dialect::Gemini).error(&fault, "req_1");
    let wanted =
        [Event::Error { code: Some("UNAVAILABLE".into()), message: "the provider broke off".into() }];
    assert_eq!(events(&frames), wanted);
    assert!(String::from_utf8_lossy(&frames[0]).contains(r#""reason":"upstream_failed""#));
    assert!(String::from_utf8_lossy(&frames[0]).contains("req_1"));
}

#[test]
fn texts_told_beside_an_answer_are_texts_too() {
    let told = json!({"candidates": [{"content": {"parts": [{"text": "my mail is a@b.c"}]},
        "groundingMetadata": {"webSearchQueries": ["a@b.c"], "groundingSupports": [{"segment": {"text": "mail is a@b.c"}}]},
        "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "f(a@b.c)"}]});
    let body = Bytes::from(told.to_string());
    let read = read_plain(Dialect::Gemini, &body).unwrap();
    let texts: Vec<_> = read.texts.iter().map(|text| text.segment.as_str(&body)).collect();
    assert_eq!(texts, ["my mail is a@b.c", "a@b.c", "mail is a@b.c", "f(a@b.c)"]);
    let chunk = Flow::new(Dialect::Gemini).read(&framed(&told)).unwrap().unwrap();
    let whole = chunk.texts.iter().filter(|text| text.extent == Extent::Whole).count();
    assert_eq!((chunk.texts.len(), whole), (4, 3));
}

/// Events as an answer of another dialect gives them, in an order that Gemini can tell.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let text = "[a-zäß\"\\\\\n€😀]{1,8}";
    let seal = (
        prop::sample::select(vec![Dialect::Gemini, Dialect::Messages, Dialect::Responses]),
        "[a-zA-Z0-9+/]{4}",
    )
        .prop_map(|(by, data)| (by, data));
    let thought = (prop::collection::vec(text, 1..3), seal.clone()).prop_map(|(texts, (by, data))| {
        let thoughts = texts.into_iter().map(|text| Event::Reasoning { choice: 0, text });
        let id = (by == Dialect::Responses).then(|| "rs_1".to_owned());
        let seal = Seal { by, on: Sealed::Reasoning, id, data };
        thoughts.chain([Event::Seal { choice: 0, seal }]).collect::<Vec<_>>()
    });
    let words = prop::collection::vec(text, 1..4)
        .prop_map(|texts| texts.into_iter().map(|text| Event::Text { choice: 0, text }).collect::<Vec<_>>());
    let call =
        ("[a-z]{1,5}", text, prop::option::of(seal)).prop_map(|(name, value, seal)| (name, value, seal));
    let calls = prop::collection::vec(call, 0..3).prop_map(|calls| {
        let mut events = Vec::new();
        for (index, (name, value, seal)) in calls.into_iter().enumerate() {
            let index = index as u32;
            let (id, arguments) = (Some(format!("c_{index}")), json!({"a": value, "n": 1.5}).to_string());
            events.push(Event::ToolCall { choice: 0, index, id, name: Some(name), arguments });
            events.extend(seal.map(|(by, data)| {
                let seal = Seal { by, on: Sealed::ToolCall(index), id: None, data };
                Event::Seal { choice: 0, seal }
            }));
        }
        events
    });
    (prop::option::of(thought), prop::option::of(words), calls, 0u32..100, any::<bool>()).prop_map(
        |(thought, words, calls, tokens, is_cut)| {
            let chars: u32 = words
                .iter()
                .flatten()
                .map(|event| match event {
                    Event::Text { text, .. } => text.chars().count() as u32,
                    _ => 0,
                })
                .sum();
            let mut events = vec![Event::Model("m".into())];
            let has_calls = !calls.is_empty();
            events.extend(thought.into_iter().flatten().chain(words.into_iter().flatten()).chain(calls));
            if chars > 0 {
                let (url, title) = (Some("https://a.b".to_owned()), Some("A".to_owned()));
                let citation = Citation { url, title, cited: None, span: Some((chars - 1, chars)) };
                events.push(Event::Citation { choice: 0, citation });
            }
            let why = match (is_cut, has_calls) {
                (true, _) => Finish::Length,
                (false, true) => Finish::ToolCalls,
                (false, false) => Finish::Stop,
            };
            events.push(Event::Finish { choice: 0, why });
            let usage = Usage {
                input_fresh: TokenCount(tokens),
                cache_read: TokenCount(tokens / 2),
                output: TokenCount(7),
                reasoning: TokenCount(tokens / 3),
                audio_output: TokenCount(tokens / 5),
                ..Usage::default()
            };
            events.push(Event::Usage(usage));
            events
        },
    )
}

/// Neighbouring texts as one, since a whole answer keeps no pieces.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        match (all.last_mut(), &event) {
            (Some(Event::Text { text, .. }), Event::Text { text: more, .. })
            | (Some(Event::Reasoning { text, .. }), Event::Reasoning { text: more, .. }) => {
                text.push_str(more)
            }
            _ => all.push(event),
        }
    }
    all
}

proptest! {
    #[test]
    fn frames_that_we_write_read_back_as_the_same_events(told in any_events()) {
        let frames = translate::stream(Dialect::Gemini, &head(), &told);
        prop_assert_eq!(events(&frames), told);
    }

    #[test]
    fn an_answer_that_we_write_reads_back_as_the_same_events(told in any_events()) {
        let body = translate::whole(Dialect::Gemini, &head(), &told);
        let read = read_plain(Dialect::Gemini, &body).unwrap();
        prop_assert_eq!(read.events, joined(told));
        prop_assert!(read.error.is_none());
    }

    #[test]
    fn any_split_gives_the_same_events(told in any_events(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let stream = translate::stream(Dialect::Gemini, &head(), &told).concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let (mut decoder, mut flow, mut events) = (Decoder::new(), Flow::new(Dialect::Gemini), Vec::new());
        for pair in cuts.windows(2) {
            decoder.push(Bytes::copy_from_slice(&stream[pair[0]..pair[1]]));
            while let Some(frame) = decoder.next().unwrap() {
                events.extend(flow.read(&frame).unwrap().into_iter().flat_map(|chunk| chunk.events));
            }
        }
        prop_assert_eq!(events, told);
    }

    #[test]
    fn any_mutation_is_read_or_refused(told in any_events(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = translate::whole(Dialect::Gemini, &head(), &told).to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let frame = Frame::parse(frame_of(&body));
        let body = Bytes::from(body);
        if let Ok(read) = read_plain(Dialect::Gemini, &body) {
            for text in &read.texts {
                prop_assert!(!text.segment.as_str(&body).is_empty());
            }
            prop_assert!(read.seals.iter().all(|seal| body.get(seal.raw.clone()).is_some()));
        }
        if let Ok(Some(chunk)) = Flow::new(Dialect::Gemini).read(&frame) {
            let data = frame.data().unwrap();
            prop_assert!(chunk.texts.iter().all(|text| data.get(text.raw.clone()).is_some()));
        }
    }
}

/// A mutated byte may be a line end: then the rest is no data.
fn frame_of(body: &[u8]) -> Bytes {
    [b"data: ", body, b"\n\n"].concat().into()
}

#[test]
fn arguments_in_pieces_are_one_call() {
    let mut flow = Flow::new(Dialect::Gemini);
    let mut events = |call: Value| {
        let chunk = read(&mut flow, &framed(&answer(json!([{"functionCall": call}]))));
        let texts = chunk.texts.len();
        let calls = chunk.events.into_iter().filter_map(|event| match event {
            Event::ToolCall { index, id, name, arguments, .. } => Some((index, id, name, arguments)),
            _ => None,
        });
        (calls.collect::<Vec<_>>(), texts)
    };
    let piece = |text: &str| json!({"jsonPath": "$.city", "stringValue": text, "willContinue": true});
    let whole = |index: u32, arguments: &str| vec![(index, None, None, arguments.to_owned())];
    let begin = vec![(0, Some("a".into()), Some("f".into()), String::new())];
    assert_eq!(events(json!({"id": "a", "name": "f", "willContinue": true})), (begin, 0));
    assert_eq!(events(json!({"partialArgs": [piece("Pa")], "willContinue": true})), (whole(0, ""), 1));
    assert_eq!(events(json!({"partialArgs": [piece("ris")], "willContinue": true})), (whole(0, ""), 1));
    assert_eq!(events(json!({})), (whole(0, r#"{"city":"Paris"}"#), 0));
    let next = vec![(1, Some("b".into()), Some("g".into()), "{}".to_owned())];
    assert_eq!(events(json!({"id": "b", "name": "g"})), (next, 0));
}

#[test]
fn hostile_streams_are_linear() {
    let many = 20_000;
    let frames = [
        json!({"candidates": [{"content": {"parts": vec![json!({"functionCall": {"name": "f"}}); many]}}]}),
        json!({"candidates": (0..many).map(|index| json!({"index": index, "content": {"parts": [{"text": "a"}]}})).collect::<Vec<_>>()}),
        json!({"candidates": [{"content": {"parts": (0..many).map(|at| json!({"text": "é", "thought": at % 2 == 0})).collect::<Vec<_>>()}}]}),
        json!({"candidates": [{"groundingMetadata": {"groundingChunks": (0..many).map(|at| json!({"web": {"uri": at.to_string()}})).collect::<Vec<_>>()}}]}),
    ];
    for data in frames {
        let start = std::time::Instant::now();
        let chunk = read(&mut Flow::new(Dialect::Gemini), &framed(&data));
        assert!(!chunk.events.is_empty());
        assert!(start.elapsed().as_millis() < 3_000);
    }
}

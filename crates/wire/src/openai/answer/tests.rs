use bytes::Bytes;
use gauntlet_types::{Citation, Dialect, Event, Finish, Seal, Sealed, ServiceTier, TokenCount, Usage};
use proptest::prelude::*;

use super::*;
use crate::answer::{ASSEMBLED_MAX, Assembler};
use crate::{json, splice::Edit, sse::Frame};

fn chunk(data: &str) -> Chunk {
    read_chunk(data.as_bytes()).unwrap_or_else(|error| panic!("{data}: {error}"))
}

fn text(choice: u32, text: &str) -> Event {
    Event::Text { choice, text: text.to_owned() }
}

#[test]
fn a_chunk_tells_its_text_and_where_it_stands() {
    let data =
        r#"{"id":"c","model":"m","choices":[{"delta":{"content":"a\n\"b"},"index":3,"finish_reason":null}]}"#;
    let chunk = chunk(data);
    assert_eq!(chunk.events, [Event::Model("m".into()), text(3, "a\n\"b")]);
    assert_eq!(chunk.texts.len(), 1);
    assert_eq!((chunk.texts[0].key.choice, &data[chunk.texts[0].raw.clone()]), (3, r#"a\n\"b"#));
    // An edit of a chunk leaves the rest of its frame alone.
    let frame = Frame::parse(frame(data.as_bytes()));
    let edit = Edit::new(chunk.texts[0].raw.clone(), json::escape("[\"X\"]"));
    let wanted = format!("data: {}\n\n", data.replace(r#"a\n\"b"#, r#"[\"X\"]"#));
    assert_eq!(frame.edited(vec![edit]), wanted);
}

#[test]
fn a_chunk_with_usage_alone_is_told_from_one_with_more() {
    let check = |rest: &str, wanted: bool| {
        let data = format!(r#"{{"id":"c","object":"chat.completion.chunk",{rest}}}"#);
        assert_eq!(chunk(&data).is_usage_only, wanted, "{data}");
    };
    let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":2}"#;
    check(&format!(r#""choices":[],{usage}"#), true);
    check(usage, true);
    check(&format!(r#""choices":[{{"index":0,"delta":{{}}}}],{usage}"#), true);
    check(
        &format!(
            r#""choices":[{{"index":0,"delta":{{"content":"","tool_calls":null}},"finish_reason":null}}],{usage}"#
        ),
        true,
    );
    check(&format!(r#""choices":[{{"index":0,"delta":{{"content":"x"}}}}],{usage}"#), false);
    check(&format!(r#""choices":[{{"index":0,"delta":{{"role":"assistant"}}}}],{usage}"#), false);
    check(&format!(r#""choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{usage}"#), false);
    check(&format!(r#""choices":[{{"index":0,"delta":{{"audio":{{"id":"a"}}}}}}],{usage}"#), false);
    // Azure's first chunk has no choices either, but no usage.
    check(r#""choices":[],"prompt_filter_results":[{"prompt_index":0}]"#, false);
    check(r#""choices":[],"usage":null"#, false);
}

#[test]
fn errors_in_a_stream_are_events() {
    let check = |data: &str, code: Option<&str>, message: &str| {
        let wanted = Event::Error { code: code.map(str::to_owned), message: message.to_owned() };
        assert_eq!(chunk(data).events.last(), Some(&wanted), "{data}");
    };
    check(r#"{"error":{"message":"gone","code":"server_error"}}"#, Some("server_error"), "gone");
    check(r#"{"error":{"message":"gone","type":"overloaded"}}"#, Some("overloaded"), "gone");
    check(r#"{"error":"gone"}"#, None, "gone");
    check(r#"{"error":true}"#, None, "the provider reported an error without words");
    check(r#"{"object":"error","message":"gone","code":400}"#, Some("400"), "gone");
    check(r#"{"choices":[],"x_groq":{"error":"over capacity"}}"#, None, "over capacity");
    assert_eq!(chunk(r#"{"choices":[],"error":null}"#).events, []);
}

#[test]
fn the_end_mark_and_blank_data_are_understood() {
    assert!(chunk("[DONE]").is_done && chunk(" [DONE] \r").is_done);
    assert_eq!(chunk("[DONE]").events, [Event::Done]);
    assert_eq!(chunk(""), Chunk::default());
    assert!(!chunk(r#"{"choices":[]}"#).is_done);
}

#[test]
fn what_is_no_answer_is_malformed() {
    let check = |body: &'static str, shown: &str| {
        assert_eq!(read_plain(&Bytes::from(body)).unwrap_err().message, shown, "{body}");
    };
    check("", "the answer is empty");
    check("<!DOCTYPE html><p>502", "the answer is HTML, not JSON");
    check("upstream error", "the answer is not a JSON object");
    check("[]", "the answer is not a JSON object");
    check(r#"{"choices":[{"index":0,"mess"#, "the JSON ends within a string");
    check("{}", "`choices` is missing from the answer");
    check(r#"{"choices":null}"#, "`choices` is missing from the answer");
    assert!(read_chunk(b"{\"choices\":[").is_err());
    assert!(read_chunk(b"oops").is_err());
}

#[test]
fn an_error_under_status_200_is_found() {
    let answer = read_plain(&Bytes::from_static(br#"{"error":{"message":"no","code":429}}"#)).unwrap();
    assert_eq!(answer.error.unwrap().code.as_deref(), Some("429"));
}

#[test]
fn tool_call_pieces_are_joined_by_index() {
    let mut assembler = Assembler::new();
    let call = |index, id: Option<&str>, name: Option<&str>, arguments: &str| Event::ToolCall {
        choice: 0,
        index,
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        arguments: arguments.to_owned(),
    };
    for event in [
        call(0, Some("a"), Some("f"), ""),
        call(2, Some("b"), Some("g"), ""),
        call(0, None, None, "{\"x\""),
        call(2, None, None, ""),
        // Some servers repeat id and name with each piece.
        call(0, Some("a"), Some("f"), ":1}"),
        // And some give all parallel calls one index.
        call(2, Some("c"), Some("h"), "{}"),
    ] {
        assembler.feed(&event);
    }
    let calls: Vec<_> =
        assembler.tool_calls().into_iter().map(|call| (call.id, call.name, call.arguments)).collect();
    let wanted = [("a", "f", "{\"x\":1}"), ("b", "g", ""), ("c", "h", "{}")];
    assert_eq!(calls, wanted.map(|(id, name, arguments)| (id.into(), name.into(), arguments.into())));
}

#[test]
fn the_assembler_is_bounded_and_says_so() {
    let mut assembler = Assembler::new();
    let piece = "x".repeat(1 << 20);
    for _ in 0..3 {
        assembler.feed(&text(0, &piece));
    }
    assert!(assembler.is_truncated());
    assert_eq!(assembler.text(0).len(), ASSEMBLED_MAX);
    assert!(assembler.message_json().ends_with(br#""truncated":true}"#));
    let mut assembler = Assembler::new();
    for choice in 0..1_000 {
        assembler.feed(&text(choice, "x"));
    }
    assert!(assembler.is_truncated() && assembler.choices().len() == 128);
    let mut assembler = Assembler::new();
    for index in 0..100_000 {
        let id = Some(index.to_string());
        assembler.feed(&Event::ToolCall { choice: 0, index, id, name: None, arguments: String::new() });
    }
    assert!(assembler.is_truncated() && assembler.tool_calls().len() == 1_000);
}

#[test]
fn the_service_tier_of_an_answer_is_that_of_its_usage() {
    let tier = |events: &[Event]| {
        events.iter().find_map(|event| if let Event::Usage(usage) = event { Some(usage.tier) } else { None })
    };
    let check = |around: [&str; 2], expected: ServiceTier| {
        let [before, behind] = around;
        let text = format!(r#"{{{before}"choices":[],"usage":{{"prompt_tokens":1}}{behind}}}"#);
        assert_eq!(tier(&read_chunk(text.as_bytes()).unwrap().events), Some(expected), "{text}");
        assert_eq!(tier(&read_plain(&Bytes::from(text.clone())).unwrap().events), Some(expected), "{text}");
    };
    check(["", ""], ServiceTier::Standard);
    check([r#""service_tier":"priority","#, ""], ServiceTier::Priority);
    check(["", r#","service_tier":"flex""#], ServiceTier::Flex);
    check([r#""service_tier":null,"#, ""], ServiceTier::Standard);
    check([r#""service_tier":"auto","#, ""], ServiceTier::Standard);
}

#[test]
fn our_own_answers_read_back() {
    let plain = plain_text_answer("chatcmpl-1", 7, "m", "sorry \"you\"\n", Finish::ContentFilter);
    let answer = read_plain(&plain).unwrap();
    let finish = Event::Finish { choice: 0, why: Finish::ContentFilter };
    let wanted =
        [Event::Model("m".into()), text(0, "sorry \"you\"\n"), finish, Event::Usage(Usage::default())];
    assert_eq!(answer.events, wanted);

    let usage = Usage { input_fresh: TokenCount(4), output: TokenCount(2), ..Usage::default() };
    let frames = stream_text_answer("chatcmpl-1", 7, "m", "hi", Finish::Stop, Some(&usage));
    let mut assembler = Assembler::new();
    for bytes in &frames {
        let frame = Frame::parse(bytes.clone());
        read_chunk(frame.data().unwrap()).unwrap().events.iter().for_each(|event| assembler.feed(event));
    }
    assert_eq!(
        (assembler.text(0), assembler.finish(), assembler.usage()),
        ("hi", Some(Finish::Stop), Some(&usage))
    );
    assert!(assembler.is_done());
    assert_eq!(stream_text_answer("c", 7, "m", "hi", Finish::Stop, None).len(), 3);
}

#[test]
fn a_text_frame_keeps_what_a_client_tells_chunks_by() {
    let like = br#"{"id":"c-1","object":"chat.completion.chunk","created":17e2,"model":"m","choices":[],"x":{"y":1}}"#;
    assert_eq!(
        text_frame(like, 1, "a\"", None),
        concat!(
            r#"data: {"id":"c-1","object":"chat.completion.chunk","created":17e2,"model":"m","#,
            r#""choices":[{"index":1,"delta":{"content":"a\""},"finish_reason":null}]}"#,
            "\n\n"
        )
    );
    assert_eq!(
        text_frame(b"", 0, "", Some(Finish::Stop)),
        concat!(
            r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "\n\n"
        )
    );
}

#[test]
fn plain_texts_can_be_spliced() {
    let body = Bytes::from_static(
        br#"{"choices":[{"message":{"content":"my mail\u003a a@b.c"},"index":5},{"message":{"content":[{"type":"thinking",
        "thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"ok"}],"tool_calls":[{"id":"1","function":
        {"name":"f","arguments":"{}"}}]},"index":6}]}"#,
    );
    let answer = read_plain(&body).unwrap();
    let shown: Vec<_> = answer
        .texts
        .iter()
        .map(|text| {
            format!(
                "{} {} {:?} {}",
                text.choice,
                text.segment.place,
                text.segment.kind,
                text.segment.as_str(&body)
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "5 choices[5].message.content Words my mail: a@b.c",
            "6 choices[6].message.reasoning_content Reasoning hm",
            "6 choices[6].message.content Words ok",
            "6 choices[6].message.tool_calls[0].function.arguments Arguments {}",
        ]
    );
    let edits = answer.texts[0].segment.edits(&body, &[(9..14, "[MAIL]")]);
    let result = crate::splice::splice(&body, edits);
    assert!(result.starts_with(br#"{"choices":[{"message":{"content":"my mail\u003a [MAIL]"}"#));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_chunk(&data);
        let _ = text_frame(&data, 0, "x", None);
        let _ = read_plain(&Bytes::from(data));
    }

    #[test]
    fn any_mutation_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..4) {
        let mut data = br#"{"model":"m","choices":[{"index":0,"delta":{"content":"a\u00e9","tool_calls":[{"index":0,"id":"x",
            "function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#.to_vec();
        let at = at.index(data.len() - 4);
        data[at] = byte;
        data.drain(at + 1..at + 1 + drop);
        if let Ok(chunk) = read_chunk(&data) {
            for text in chunk.texts {
                prop_assert!(!crate::text::decode(&data, text.raw).is_empty());
            }
        }
    }
}

#[test]
fn an_answer_that_is_written_reads_as_it_was_meant() {
    let seal = |by, on, id: Option<&str>| Seal { by, on, id: id.map(str::to_owned), data: "c2ln".to_owned() };
    let citation = Citation {
        url: Some("https://a.example/".into()),
        title: Some("A".into()),
        cited: None,
        span: Some((0, 2)),
    };
    let events = vec![
        Event::Model("claude-x".into()),
        Event::Reasoning { choice: 0, text: "let me ".into() },
        Event::Reasoning { choice: 0, text: "think".into() },
        Event::Seal { choice: 0, seal: seal(Dialect::Messages, Sealed::Reasoning, None) },
        text(0, "Hi \"you\""),
        Event::Citation { choice: 0, citation },
        Event::ToolCall {
            choice: 0,
            index: 3,
            id: Some("a".into()),
            name: Some("f".into()),
            arguments: String::new(),
        },
        Event::ToolCall { choice: 0, index: 3, id: None, name: None, arguments: "{\"x\":1}".into() },
        Event::ToolCall {
            choice: 0,
            index: 5,
            id: Some("b".into()),
            name: Some("g".into()),
            arguments: "{}".into(),
        },
        Event::Seal { choice: 0, seal: seal(Dialect::Gemini, Sealed::ToolCall(5), None) },
        Event::Finish { choice: 0, why: Finish::ToolCalls },
        Event::Usage(Usage { input_fresh: TokenCount(7), output: TokenCount(2), ..Usage::default() }),
    ];
    let head = crate::translate::Head { include_usage: true, model: "m".into(), ..Default::default() };
    let mut whole = Assembler::new();
    events.iter().for_each(|event| whole.feed(event));
    let whole = whole.message_json();

    let mut streamed = Assembler::new();
    let mut seals = Vec::new();
    for frame in crate::translate::stream(Dialect::Chat, &head, &events) {
        let frame = Frame::parse(frame);
        let chunk = read_chunk(frame.data().unwrap()).unwrap();
        seals.extend(chunk.events.iter().filter(|event| matches!(event, Event::Seal { .. })).cloned());
        chunk.events.iter().for_each(|event| streamed.feed(event));
    }
    // Only the numbers of the calls differ: here they count from nought.
    assert_eq!(streamed.message_json(), whole);
    let wanted = [
        Event::Seal { choice: 0, seal: seal(Dialect::Messages, Sealed::Reasoning, None) },
        Event::Seal { choice: 0, seal: seal(Dialect::Gemini, Sealed::ToolCall(1), None) },
    ];
    assert_eq!(seals, wanted);

    let plain = read_plain(&crate::translate::whole(Dialect::Chat, &head, &events)).unwrap();
    let mut read = Assembler::new();
    plain.events.iter().for_each(|event| read.feed(event));
    assert_eq!(read.message_json(), whole);
    assert!(plain.events.iter().any(|event| matches!(event, Event::Citation { .. })));
    assert!(plain.events.iter().filter(|event| matches!(event, Event::Seal { .. })).count() == 2);
}

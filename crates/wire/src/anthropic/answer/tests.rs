mod round_trips;

use bytes::Bytes;
use gauntlet_types::{Code, Event, Fault};

use super::*;
use crate::{
    answer::{Channel, Chunk, End, Extent, Key, PlainAnswer},
    anthropic::ask::without_foreign,
    json::escape,
    seal,
    splice::{Edit, splice},
    sse::{Decoder, Frame},
    translate::Head,
};

fn head() -> Head {
    Head { id: "0a".into(), created: 7, model: "asked".into(), include_usage: true, ..Head::default() }
}

fn frames_of(stream: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    decoder.push(Bytes::copy_from_slice(stream));
    decoder.close();
    std::iter::from_fn(|| decoder.next().unwrap()).collect()
}

fn chunks(flow: &mut Flow, stream: &[u8]) -> Vec<(Frame, Chunk)> {
    let mut read = Vec::new();
    for frame in frames_of(stream) {
        if let Some(data) = frame.data() {
            let chunk = flow.read(&frame, data).unwrap_or_else(|error| panic!("{frame:?}: {error}"));
            read.push((frame, chunk));
        }
    }
    read
}

fn events_of(stream: &[u8]) -> Vec<Event> {
    chunks(&mut Flow::default(), stream).into_iter().flat_map(|(_, chunk)| chunk.events).collect()
}

fn events_frame(kind: &str, rest: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n")
}

fn start() -> String {
    let message = r#","message":{"id":"msg_1","model":"claude","content":[],"usage":{"input_tokens":9,"output_tokens":1}}"#;
    events_frame("message_start", message)
}

fn begin(index: u32, block: &str) -> String {
    events_frame("content_block_start", &format!(r#","index":{index},"content_block":{block}"#))
}

fn delta(index: u32, delta: &str) -> String {
    events_frame("content_block_delta", &format!(r#","index":{index},"delta":{delta}"#))
}

fn stop(index: u32) -> String {
    events_frame("content_block_stop", &format!(r#","index":{index}"#))
}

const TEXT: &str = r#"{"type":"text","text":""}"#;
const THINKING: &str = r#"{"type":"thinking","thinking":"","signature":""}"#;

/// What a client that keeps to the letter of the protocol makes of a stream: each block with its type, its pieces and
/// its signature, and the reason of the ending.
#[derive(Default, Debug, PartialEq)]
struct Seen {
    blocks: Vec<(String, String, Option<String>)>,
    reason: Option<String>,
}

#[track_caller]
fn client(stream: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let (mut open, mut is_started, mut is_done) = (Vec::new(), false, false);
    for frame in frames_of(stream) {
        let data: Value = serde_json::from_slice(frame.data().unwrap()).unwrap();
        let kind = data["type"].as_str().unwrap();
        assert_eq!(frame.event(), Some(kind.as_bytes()), "{data}");
        assert!(!is_done, "behind the end: {data}");
        let index = data["index"].as_u64().unwrap_or(0);
        match kind {
            "message_start" => assert!(!std::mem::replace(&mut is_started, true), "a second start"),
            "content_block_start" => {
                assert!(is_started && seen.reason.is_none());
                assert_eq!(index as usize, seen.blocks.len());
                open.push(index);
                seen.blocks.push((
                    data["content_block"]["type"].as_str().unwrap().to_owned(),
                    String::new(),
                    None,
                ));
            }
            "content_block_delta" => {
                assert!(open.contains(&index), "not open: {data}");
                let block = &mut seen.blocks[index as usize];
                let delta = &data["delta"];
                match (block.0.as_str(), delta["type"].as_str().unwrap()) {
                    ("text", "text_delta") => block.1.push_str(delta["text"].as_str().unwrap()),
                    ("thinking", "thinking_delta") => block.1.push_str(delta["thinking"].as_str().unwrap()),
                    ("thinking", "signature_delta") => {
                        block.2 = Some(delta["signature"].as_str().unwrap().to_owned());
                    }
                    ("tool_use", "input_json_delta") => {
                        block.1.push_str(delta["partial_json"].as_str().unwrap());
                    }
                    ("text", "citations_delta") => {}
                    other => panic!("{other:?}"),
                }
            }
            "content_block_stop" => {
                let at = open.iter().position(|known| *known == index).expect("a block that is open");
                open.remove(at);
            }
            "message_delta" => {
                assert!(open.is_empty(), "blocks are open");
                seen.reason = Some(data["delta"]["stop_reason"].as_str().unwrap().to_owned());
            }
            "message_stop" => is_done = true,
            other => panic!("{other}"),
        }
    }
    assert!(is_started && is_done && seen.reason.is_some(), "{seen:?}");
    seen
}

fn plain(body: &str) -> PlainAnswer {
    read_plain(&Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

#[test]
fn what_is_no_answer_is_told() {
    let check = |body: &str, wanted: &str| {
        let error = read_plain(&Bytes::copy_from_slice(body.as_bytes())).expect_err(body);
        assert!(error.message.contains(wanted), "{body}: {error}");
    };
    check("", "the answer is empty");
    check("<html>", "the answer is HTML, not JSON");
    check("[]", "the answer is not a JSON object");
    check("{}", "`content` is missing from the answer");
    check(r#"{"content":[{"type":"text""#, "ends too early");
    assert_eq!(
        plain(r#"{"error":{}}"#).error.unwrap().message,
        "the provider reported an error without words"
    );
    assert_eq!(plain(r#"{"type":"error","error":"gone"}"#).error.unwrap().message, "gone");
}

#[test]
fn the_type_of_a_block_may_come_last() {
    let answer = plain(
        r#"{"content":[{"text":"a","type":"text"},7,{"input":{"k":"v"},"name":"f","id":"i","type":"tool_use"},{"x":1}]}"#,
    );
    assert_eq!(answer.events.len(), 2);
    assert_eq!(answer.texts.iter().map(|text| text.segment.raw.clone()).collect::<Vec<_>>().len(), 2);
    let stream = [
        start(),
        events_frame("content_block_start", r#","content_block":{"text":"a","type":"text"},"index":0"#),
        events_frame("content_block_delta", r#","delta":{"text":"b","type":"text_delta"},"index":0"#),
    ];
    let texts: Vec<_> = events_of(stream.concat().as_bytes())
        .into_iter()
        .filter(|event| matches!(event, Event::Text { .. }))
        .collect();
    assert_eq!(texts.len(), 2);
}

#[test]
fn an_edit_of_a_text_leaves_the_rest_of_the_answer_alone() {
    let body = r#"{"model":"m","content":[{"type":"text","text":"a \"b\""},{"type":"tool_use","id":"i","name":"f","input":{"k":"v","n":1e3}}]}"#;
    let body = Bytes::from(body);
    let answer = read_plain(&body).unwrap();
    let edits: Vec<Edit> = answer.texts.iter().map(|text| text.segment.replaced("x\"y")).collect();
    let wanted = String::from_utf8(body.to_vec())
        .unwrap()
        .replace(r#"a \"b\""#, r#"x\"y"#)
        .replace("\"v\"", "\"x\\\"y\"");
    assert_eq!(splice(&body, edits), wanted);
}

#[test]
fn a_changed_thought_is_known_when_it_comes_back() {
    let body = Bytes::from(
        r#"{"content":[{"type":"thinking","thinking":"call 555-0100","signature":"EqQB"},{"type":"text","text":"done"}]}"#,
    );
    let answer = read_plain(&body).unwrap();
    let sealed = answer.seals.iter().find(|seal| seal.text == answer.texts[0].segment.raw).unwrap();
    let edits =
        vec![answer.texts[0].segment.replaced("call [phone]"), Edit::new(sealed.raw.clone(), seal::VOID)];
    let changed = splice(&body, edits);
    let answer: Value = serde_json::from_slice(&changed).unwrap();
    let next = json!({"model": "m", "messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "r"}]});
    let next = Bytes::from(next.to_string());
    let sent: Value = serde_json::from_slice(&splice(&next, without_foreign(&next))).unwrap();
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "text", "text": "done"}]));
    // In a stream the seal follows in a frame of its own, with the key of its text.
    let stream = [start(), begin(0, THINKING), delta(0, r#"{"type":"thinking_delta","thinking":"t"}"#)]
        .concat()
        + &delta(0, r#"{"type":"signature_delta","signature":"EqQB"}"#);
    let read = chunks(&mut Flow::default(), stream.as_bytes());
    let (frame, chunk) = &read[3];
    assert_eq!((chunk.seals[0].key, chunk.seals[0].raw.len()), (read[2].1.texts[0].key, 4));
    let voided = frame.edited(vec![Edit::new(chunk.seals[0].raw.clone(), seal::VOID)]);
    assert!(String::from_utf8(voided.to_vec()).unwrap().contains(r#""signature":"gauntlet-seal.void"}"#));
}

#[test]
fn a_stream_of_an_unknown_kind_goes_on() {
    let stream = [
        start(),
        events_frame("novelty", r#","index":{"x":1},"delta":[1],"message":7"#),
        events_frame("content_block_start", r#","index":-1,"content_block":null"#),
        events_frame("content_block_start", r#","index":3,"content_block":{"type":"novel","text":"x"}"#),
        delta(3, r#"{"type":"novel_delta","text":"x"}"#),
        delta(9, r#"{"type":"text_delta","text":"found"}"#),
        events_frame("content_block_stop", ""),
        events_frame("message_delta", r#","delta":null,"usage":null"#),
        "event: message_stop\ndata: {}\n\n".to_owned(),
    ];
    let events = events_of(stream.concat().as_bytes());
    let text = Event::Text { choice: 0, text: "found".into() };
    assert!(events.contains(&text) && events.last() == Some(&Event::Done), "{events:?}");
    for data in ["[]", "{", "nonsense", "{\"type\":"] {
        let frame = Frame::parse(Bytes::from(format!("data: {data}\n\n")));
        assert!(Flow::default().read(&frame, data.as_bytes()).is_err(), "{data}");
    }
}

#[test]
fn counts_grow_and_the_last_ones_stand() {
    let stream = [
        start(),
        events_frame("message_delta", r#","delta":{"stop_reason":null},"usage":{"output_tokens":5}"#),
        events_frame("message_delta", r#","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":8}"#),
    ];
    let used: Vec<(u32, u32)> = events_of(stream.concat().as_bytes())
        .iter()
        .filter_map(|event| match event {
            Event::Usage(usage) => Some((usage.input_fresh.0, usage.output.0)),
            _ => None,
        })
        .collect();
    assert_eq!(used, [(9, 1), (9, 5), (9, 8)]);
}

/// Reads the frames and says that all of them were sent.
fn sent(stream: &str) -> Flow {
    let mut flow = Flow::default();
    for (frame, chunk) in chunks(&mut flow, stream.as_bytes()) {
        flow.sent(&frame, &chunk);
    }
    flow
}

#[test]
fn a_stream_that_a_guard_stops_ends_as_the_dialect_does() {
    let tool = r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#;
    let check = |before: &[String], wanted: &[(&str, &str, Option<&str>)]| {
        let mut stream = before.concat();
        let frames = sent(&stream).close("Stopped.", Finish::ContentFilter);
        for frame in frames {
            stream.push_str(std::str::from_utf8(&frame).unwrap());
        }
        let seen = client(stream.as_bytes());
        let blocks: Vec<_> = seen
            .blocks
            .iter()
            .map(|block| (block.0.as_str(), block.1.as_str(), block.2.as_deref()))
            .collect();
        assert_eq!(blocks, wanted);
        assert_eq!(seen.reason.as_deref(), Some("refusal"));
    };
    let ours = ("text", "Stopped.", None);
    let said = r#"{"type":"text_delta","text":"Hi"}"#;
    let thought = r#"{"type":"thinking_delta","thinking":"hm"}"#;
    let signed = r#"{"type":"signature_delta","signature":"EqQB"}"#;
    check(&[], &[ours]);
    check(&[start()], &[ours]);
    check(&[start(), begin(0, TEXT)], &[("text", "", None), ours]);
    check(&[start(), begin(0, TEXT), delta(0, said)], &[("text", "Hi", None), ours]);
    check(&[start(), begin(0, TEXT), delta(0, said), stop(0)], &[("text", "Hi", None), ours]);
    let begun = delta(0, r#"{"type":"input_json_delta","partial_json":"{\"a"}"#);
    check(&[start(), begin(0, tool), begun], &[("tool_use", "{\"a", None), ours]);
    // A thought that was cut off is marked, so that it never goes back to its provider.
    check(&[start(), begin(0, THINKING), delta(0, thought)], &[("thinking", "hm", Some(seal::VOID)), ours]);
    check(
        &[start(), begin(0, THINKING), delta(0, thought), delta(0, signed)],
        &[("thinking", "hm", Some("EqQB")), ours],
    );
    // Read and held back, but not sent.
    let mut flow = Flow::default();
    chunks(&mut flow, [start(), begin(0, TEXT), delta(0, said)].concat().as_bytes());
    let frames = flow.close("Stopped.", Finish::Stop);
    let seen = client(&frames.concat());
    assert_eq!((seen.blocks.len(), seen.reason.as_deref()), (1, Some("end_turn")));
    assert!(String::from_utf8(frames[0].to_vec()).unwrap().contains(r#""model":"claude""#));
    assert_eq!(flow.close("again", Finish::Stop), Vec::<Bytes>::new());
    // The reason of the ending is out already: no words fit any more.
    let ending =
        events_frame("message_delta", r#","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":8}"#);
    let mut flow = sent(&[start(), ending].concat());
    assert_eq!(flow.close("late", Finish::Stop), [event_frame(&json!({"type": "message_stop"}))]);
}

#[test]
fn what_was_held_back_goes_out_as_a_piece_of_its_block() {
    let check = |channel: Channel, wanted: &str| {
        let frame = Flow::default().piece(Key { choice: 0, part: 2, channel }, "a\"\n");
        let data = format!(r#"{{"type":"content_block_delta","index":2,"delta":{wanted}}}"#);
        assert_eq!(frame, format!("event: content_block_delta\ndata: {data}\n\n"));
    };
    check(Channel::Content, r#"{"type":"text_delta","text":"a\"\n"}"#);
    check(Channel::Reasoning, r#"{"type":"thinking_delta","thinking":"a\"\n"}"#);
    check(Channel::Arguments(0), r#"{"type":"input_json_delta","partial_json":"a\"\n"}"#);
}

#[test]
fn a_stream_that_breaks_ends_with_an_error_event() {
    let fault = Fault::provider(Code::UpstreamTimeout, "no answer");
    let wanted = concat!(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"no answer\",",
        "\"code\":\"upstream_timeout\"},\"request_id\":\"r1\"}\n\n"
    );
    let frames = Flow::default().error(&fault, "r1");
    assert_eq!(frames, [wanted]);
    let error = Event::Error { code: Some("upstream_timeout".into()), message: "no answer".into() };
    assert_eq!(events_of(&frames.concat()), [error]);
}

fn text(text: &str) -> Event {
    Event::Text { choice: 0, text: text.into() }
}

fn call(index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) -> Event {
    let (id, name) = (id.map(str::to_owned), name.map(str::to_owned));
    Event::ToolCall { choice: 0, index, id, name, arguments: arguments.into() }
}

fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(head());
    let mut frames = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut frames));
    writer.end(&mut frames);
    frames.concat()
}

#[test]
fn calls_whose_pieces_come_mixed_keep_their_own() {
    let seen = client(&written(&[
        call(4, Some("a"), Some("f"), "{\"x\":"),
        call(7, Some("b"), Some("g"), "{"),
        call(4, None, None, "\"}\"}"),
        call(7, None, None, "}"),
        text("done"),
        call(4, Some("c"), Some("h"), ""),
    ]));
    let blocks: Vec<_> = seen.blocks.iter().map(|block| (block.0.as_str(), block.1.as_str())).collect();
    assert_eq!(
        blocks,
        [("tool_use", "{\"x\":\"}\"}"), ("tool_use", "{}"), ("text", "done"), ("tool_use", "")]
    );
    assert_eq!(seen.reason.as_deref(), Some("tool_use"));
}

#[test]
fn an_ending_says_what_a_client_must_do() {
    let finish = |why| Event::Finish { choice: 0, why };
    let refusal = Event::Refusal { choice: 0, text: "no".into() };
    let check = |events: &[Event], wanted: &str| {
        assert_eq!(client(&written(events)).reason.as_deref(), Some(wanted), "{events:?}");
        let whole: Value = serde_json::from_slice(&whole(&head(), events)).unwrap();
        assert_eq!(whole["stop_reason"], wanted, "{events:?}");
    };
    check(&[], "end_turn");
    check(&[text("a"), finish(Finish::Stop)], "end_turn");
    check(&[text("a"), finish(Finish::Other)], "end_turn");
    check(&[text("a"), finish(Finish::Length)], "max_tokens");
    check(&[text("a"), finish(Finish::ContentFilter)], "refusal");
    check(&[refusal.clone(), finish(Finish::Stop)], "refusal");
    check(&[call(0, Some("a"), Some("f"), "{}"), finish(Finish::Stop)], "tool_use");
    check(&[call(0, Some("a"), Some("f"), "{\"a"), finish(Finish::Length)], "max_tokens");
    // Other choices have no place here.
    check(&[text("a"), Event::Finish { choice: 1, why: Finish::Length }], "end_turn");
}

#[test]
fn a_call_has_an_id_that_every_provider_takes() {
    let events = [call(0, Some("functions.f:0"), Some("f"), "{}"), call(1, None, Some("g"), "{}")];
    let whole: Value = serde_json::from_slice(&whole(&head(), &events)).unwrap();
    let ids: Vec<&str> =
        whole["content"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], crate::ask::tool_id("functions.f:0"));
    assert!(ids[1].starts_with("toolu_0a_") && ids[0] != ids[1]);
    let streamed = events_of(&written(&events));
    let told: Vec<&str> = streamed
        .iter()
        .filter_map(|event| match event {
            Event::ToolCall { id: Some(id), .. } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ids);
}

#[test]
fn the_seal_of_a_call_comes_back_to_its_call() {
    let seal = |index| {
        let seal =
            Seal { by: Dialect::Gemini, on: Sealed::ToolCall(index), id: None, data: format!("s{index}") };
        Event::Seal { choice: 0, seal }
    };
    let events = [
        call(0, Some("a"), Some("f"), "{}"),
        seal(0),
        call(1, Some("b"), Some("f"), "{}"),
        seal(1),
        text("so"),
    ];
    let whole: Value = serde_json::from_slice(&whole(&head(), &events)).unwrap();
    let kinds: Vec<&str> =
        whole["content"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tool_use", "redacted_thinking", "tool_use", "redacted_thinking", "text"]);
    let next = json!({"model": "m", "messages": [{"role": "assistant", "content": whole["content"]}]});
    let ask = crate::anthropic::neutral::read(next.to_string().as_bytes()).unwrap();
    let seals: Vec<_> = ask.turns[0]
        .parts
        .iter()
        .filter_map(|part| match &part.what {
            crate::ask::What::ToolCall { id, seal, .. } => {
                Some((id.as_str(), seal.as_ref().map(|seal| &seal.data[..])))
            }
            _ => None,
        })
        .collect();
    assert_eq!(seals, [("a", Some("s0")), ("b", Some("s1"))]);
    assert_eq!(ask.turns[0].parts.len(), 3);
}

/// Quadratic work would take minutes here. Measured in time, so with a wide margin.
#[test]
fn hostile_streams_are_linear() {
    let many = 20_000u32;
    let mut stream = start();
    for index in 0..many {
        stream.push_str(&begin(index, r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#));
    }
    let began = std::time::Instant::now();
    let frames = sent(&stream).close("x", Finish::Stop);
    assert!(frames.len() > 1_000);
    let mut events = Vec::new();
    for index in 0..many {
        events.push(call(index, Some(&format!("c{index}")), Some("f"), "{"));
        events.push(text("a"));
    }
    assert!(client(&written(&events)).blocks.len() > 500);
    assert!(!whole(&head(), &events).is_empty());
    assert!(began.elapsed().as_secs() < 20);
}

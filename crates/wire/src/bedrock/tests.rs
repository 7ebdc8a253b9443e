use bytes::Bytes;
use gauntlet_types::{Dialect, Event, Finish, Seal, Sealed};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::write;
use crate::{
    answer::read_plain,
    ask::{
        Ask, CacheMark, Effort, Media, Part, Reasoning, Source, Speaker, Tool, ToolChoice, ToolKind, Turn,
        What,
    },
    flow::Flow,
    sse::{Decoder, Frame},
};

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn ask(turns: Vec<(Speaker, Vec<What>)>) -> Ask {
    let turn = |(speaker, parts): (Speaker, Vec<What>)| Turn {
        speaker,
        parts: parts.into_iter().map(Into::into).collect(),
        name: None,
    };
    Ask { turns: turns.into_iter().map(turn).collect(), ..Ask::default() }
}

fn hi() -> (Speaker, Vec<What>) {
    (Speaker::User, vec![What::Text("hi".into())])
}

fn tool(name: &str) -> Tool {
    let kind = ToolKind::Function { schema: None };
    Tool { name: name.into(), description: None, kind, strict: None, cache: Some(CacheMark::FiveMinutes) }
}

#[test]
fn speakers_take_turns_and_blank_words_go() {
    let blank = || (Speaker::User, vec![What::Text(" \n".into())]);
    let said = || (Speaker::Assistant, vec![What::Text("a".into())]);
    let written = write(ask(vec![hi(), blank(), hi(), said(), said(), blank()]), CLAUDE);
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": [{"text": "hi"}, {"text": "hi"}]},
            {"role": "assistant", "content": [{"text": "a"}, {"text": "a"}]}])
    );
    let lone = write(ask(vec![(Speaker::System, vec![What::Text("Go.".into())])]), CLAUDE);
    let body: Value = serde_json::from_slice(&lone.body).unwrap();
    assert_eq!(body, json!({"messages": [{"role": "user", "content": [{"text": "Go."}]}]}));
}

#[test]
fn thinking_is_told_as_the_model_knows_it() {
    let check = |model: &str, change: fn(&mut Ask), fields: Value, dropped: &[&str]| {
        let mut ask = ask(vec![hi()]);
        ask.reasoning = Some(Reasoning { effort: Some(Effort::Medium), ..Reasoning::default() });
        change(&mut ask);
        let written = write(ask, model);
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(&body["additionalModelRequestFields"], &fields, "{model}");
        assert_eq!(written.dropped, dropped);
    };
    let thinking = |budget: u32| json!({"thinking": {"type": "enabled", "budget_tokens": budget}});
    check(CLAUDE, |_| {}, thinking(4096), &[]);
    check(CLAUDE, |ask| ask.limit = Some(2_000), thinking(1_999), &[]);
    check(CLAUDE, |ask| ask.limit = Some(1_000), Value::Null, &["reasoning"]);
    check(
        CLAUDE,
        |ask| (ask.temperature, ask.top_k) = (Some(0.2), Some(4)),
        thinking(4096),
        &["temperature", "top_k"],
    );
    let both = |ask: &mut Ask| (ask.reasoning, ask.temperature, ask.top_p) = (None, Some(0.2), Some(0.9));
    check(CLAUDE, both, Value::Null, &["top_p"]);
    check("anthropic.claude-3-haiku-20240307-v1:0", both, Value::Null, &[]);
    let forced = |ask: &mut Ask| (ask.tools, ask.tool_choice) = (vec![tool("f")], Some(ToolChoice::Any));
    check(CLAUDE, forced, Value::Null, &["reasoning"]);
    check("openai.gpt-oss-120b-1:0", |_| {}, json!({"reasoning_effort": "medium"}), &[]);
    check(
        "amazon.nova-2-lite-v1:0",
        |_| {},
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
        &[],
    );
    check(
        "amazon.nova-pro-v1:0",
        |ask| ask.top_k = Some(4),
        json!({"inferenceConfig": {"topK": 4}}),
        &["reasoning"],
    );
    check("meta.llama3", |ask| ask.top_k = Some(4), Value::Null, &["reasoning", "top_k"]);
}

#[test]
fn tools_are_named_wherever_a_message_has_a_call() {
    let call = || {
        let (id, name, arguments) = ("functions.f:0".to_owned(), "f".to_owned(), "[1]".to_owned());
        (Speaker::Assistant, vec![What::ToolCall { id, name, arguments, is_custom: false, seal: None }])
    };
    let check = |mut asked: Ask, choice: Option<ToolChoice>, tools: Value, dropped: &[&str]| {
        asked.tool_choice = choice;
        let written = write(asked, CLAUDE);
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(&body["toolConfig"], &tools);
        assert_eq!(written.dropped, dropped);
    };
    let spec = |name: &str| json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}});
    let point = json!({"cachePoint": {"type": "default"}});
    let with = |turns: Vec<(Speaker, Vec<What>)>| Ask { tools: vec![tool("g")], ..ask(turns) };
    check(ask(vec![hi()]), None, Value::Null, &[]);
    check(ask(vec![hi(), call()]), None, json!({"tools": [spec("f")]}), &[]);
    check(with(vec![hi()]), Some(ToolChoice::None), Value::Null, &[]);
    check(
        with(vec![hi(), call()]),
        Some(ToolChoice::None),
        json!({"tools": [spec("g"), point]}),
        &["tool_choice"],
    );
    let named = json!({"tools": [spec("g"), point], "toolChoice": {"tool": {"name": "g"}}});
    check(with(vec![hi()]), Some(ToolChoice::Named("g".into())), named, &[]);
}

#[test]
fn seals_go_back_to_whoever_made_them() {
    let check = |model: &str, seal: Option<Seal>, expected: Value| {
        let said = vec![What::Reasoning { text: "hm".into(), seal }, What::Text("a".into())];
        let written = write(ask(vec![hi(), (Speaker::Assistant, said)]), model);
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(body["messages"][1]["content"], expected);
        assert_eq!(written.dropped.is_empty(), expected.as_array().unwrap().len() == 2);
    };
    let seal = |by: Dialect, on: Sealed, data: &str| Some(Seal { by, on, id: None, data: data.into() });
    let told =
        json!([{"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eq"}}}, {"text": "a"}]);
    let text = json!([{"text": "a"}]);
    check(CLAUDE, seal(Dialect::Converse, Sealed::Reasoning, "Eq"), told.clone());
    check(CLAUDE, seal(Dialect::Messages, Sealed::Reasoning, "Eq"), told);
    check(
        CLAUDE,
        seal(Dialect::Converse, Sealed::Redacted, "AA=="),
        json!([{"reasoningContent": {"redactedContent": "AA=="}}, {"text": "a"}]),
    );
    check("amazon.nova-2", seal(Dialect::Messages, Sealed::Reasoning, "Eq"), text.clone());
    check(CLAUDE, seal(Dialect::Messages, Sealed::Redacted, "Eq"), text.clone());
    check(CLAUDE, seal(Dialect::Gemini, Sealed::Reasoning, "Eq"), text.clone());
    check(CLAUDE, seal(Dialect::Converse, Sealed::Reasoning, crate::seal::VOID), text.clone());
    check(CLAUDE, None, text);
}

#[test]
fn media_becomes_blocks_or_is_listed() {
    let check = |kind: Media, source: Source, expected: Value, dropped: &[&str]| {
        let what = What::Media { kind, source, name: None, detail: None };
        let parts = vec![What::Text("see".into()).into(), Part { what, cache: Some(CacheMark::Hour) }];
        let asked = Ask { turns: vec![Turn { speaker: Speaker::User, parts, name: None }], ..Ask::default() };
        let written = write(asked, CLAUDE);
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(&body["messages"][0]["content"][1], &expected);
        assert_eq!(written.dropped, dropped);
        // The mark goes with its part.
        assert_eq!(body["messages"][0]["content"][2].is_null(), expected.is_null());
    };
    let inline = |mime: &str| Source::Inline { mime: mime.into(), data: "AA==".into() };
    let bytes = json!({"bytes": "AA=="});
    check(Media::Image, inline("image/jpg"), json!({"image": {"format": "jpeg", "source": bytes}}), &[]);
    check(Media::Video, inline("video/mp4"), json!({"video": {"format": "mp4", "source": bytes}}), &[]);
    check(
        Media::Document,
        inline("text/csv"),
        json!({"document": {"format": "csv", "name": "document", "source": bytes}}),
        &[],
    );
    check(
        Media::Document,
        Source::Text("t".into()),
        json!({"document": {"format": "txt", "name": "document", "source": {"text": "t"}}}),
        &[],
    );
    check(Media::Image, inline("image/tiff"), Value::Null, &["image"]);
    let url = |url: &str| Source::Url { url: url.into(), mime: None };
    check(Media::Image, url("https://a.b/c.png"), Value::Null, &["image"]);
    check(
        Media::Image,
        url("s3://a/c.png"),
        json!({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://a/c.png"}}}}),
        &[],
    );
    check(Media::Document, Source::File("file-1".into()), Value::Null, &["document"]);
}

fn event(name: &str, data: &Value) -> Frame {
    Frame::parse(format!("event: {name}\ndata: {data}\n\n").into())
}

#[test]
fn exceptions_in_a_stream_are_errors() {
    let check = |name: &str, data: Value, message: &str| {
        let chunk = Flow::new(Dialect::Converse).read(&event(name, &data)).unwrap().unwrap();
        let wanted = Event::Error { code: Some(name.to_owned()), message: message.to_owned() };
        assert_eq!(chunk.events, [wanted]);
    };
    check("throttlingException", json!({"message": "slow"}), "slow");
    check("modelStreamErrorException", json!({"message": "gone", "originalStatusCode": 500}), "gone");
    check("newKindOfException", json!({}), "the provider reported an error");
}

#[test]
fn every_stop_reason_is_understood() {
    let check = |word: &str, expected: Finish| {
        let chunk = Flow::new(Dialect::Converse).read(&event("messageStop", &json!({"stopReason": word})));
        assert_eq!(chunk.unwrap().unwrap().events, [Event::Finish { choice: 0, why: expected }], "{word}");
    };
    check("end_turn", Finish::Stop);
    check("stop_sequence", Finish::Stop);
    check("tool_use", Finish::ToolCalls);
    check("max_tokens", Finish::Length);
    check("model_context_window_exceeded", Finish::Length);
    check("guardrail_intervened", Finish::ContentFilter);
    check("content_filtered", Finish::ContentFilter);
    check("malformed_tool_use", Finish::Other);
}

const STREAM: &str = concat!(
    "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n",
    "event: contentBlockDelta\ndata: {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"h\\u00e4\"}}}\n\n",
    "event: contentBlockDelta\ndata: {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":\"Eq\"}}}\n\n",
    "event: contentBlockStop\ndata: {\"contentBlockIndex\":0}\n\n",
    "event: contentBlockStart\ndata: {\"contentBlockIndex\":1,\"start\":{\"toolUse\":{\"toolUseId\":\"a\",\"name\":\"f\"}}}\n\n",
    "event: contentBlockDelta\ndata: {\"delta\":{\"toolUse\":{\"input\":\"{}\"}},\"contentBlockIndex\":1}\n\n",
    "event: messageStop\ndata: {\"stopReason\":\"tool_use\"}\n\n",
    "event: metadata\ndata: {\"usage\":{\"inputTokens\":1,\"outputTokens\":2}}\n\n",
);

fn events(pieces: &[&[u8]]) -> Result<Vec<Event>, crate::Malformed> {
    let (mut decoder, mut flow, mut events) = (Decoder::new(), Flow::new(Dialect::Converse), Vec::new());
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = decoder.next().unwrap() {
            events.extend(flow.read(&frame)?.into_iter().flat_map(|chunk| chunk.events));
        }
    }
    Ok(events)
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(cut in 0..STREAM.len()) {
        let (first, second) = STREAM.as_bytes().split_at(cut);
        prop_assert_eq!(events(&[first, second]).unwrap(), events(&[STREAM.as_bytes()]).unwrap());
    }

    #[test]
    fn any_mutation_is_read_or_refused(at in 0..STREAM.len(), byte in any::<u8>()) {
        let mut stream = STREAM.as_bytes().to_vec();
        stream[at] = byte;
        let _ = events(&[&stream]);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_plain(Dialect::Converse, &Bytes::from(body));
    }
}

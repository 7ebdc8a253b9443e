use gauntlet_types::{Code, Event, Fault, Finish, TokenCount, Usage};
use proptest::prelude::*;

use super::*;
use crate::{
    answer::{Channel, Key},
    conversation::LimitField,
    splice::splice,
    sse::Frame,
    translate::Head,
};

fn read(body: &str) -> (Bytes, Conversation) {
    let body = Bytes::from(body.to_owned());
    let asked = parse(&body).unwrap_or_else(|error| panic!("{body:?}: {error}"));
    (body, asked)
}

#[test]
fn every_prompt_is_found_and_ours_goes_before_each() {
    let check = |body: &str, prompts: usize, expected: &str| {
        let (bytes, asked) = read(body);
        assert_eq!(asked.message_count, prompts, "{body}");
        assert_eq!(splice(&bytes, asked.with_prompt(&bytes, &[("system", "be \"kind\"")])), expected);
    };
    check(r#"{"model":"m","prompt":"a"}"#, 1, r#"{"model":"m","prompt":"be \"kind\"\n\na"}"#);
    check(
        r#"{"model":"m","prompt":["a" ,""]}"#,
        2,
        r#"{"model":"m","prompt":["be \"kind\"\n\na" ,"be \"kind\"\n\n"]}"#,
    );
    check(r#"{"model":"m","prompt":[1,2]}"#, 1, r#"{"model":"m","prompt":[1,2]}"#);
    check(r#"{"model":"m","prompt":[[1],[2]]}"#, 2, r#"{"model":"m","prompt":[[1],[2]]}"#);
    check(r#"{"gauntlet":{},"model":"m"}"#, 0, r#"{"prompt":"be \"kind\"","gauntlet":{},"model":"m"}"#);
}

#[test]
fn answers_are_counted_as_they_are_billed() {
    let check = |members: &str, made: u32| {
        let (_, asked) = read(&format!(r#"{{"model":"m",{members}}}"#));
        assert_eq!(asked.n, made, "{members}");
    };
    check(r#""prompt":"a""#, 1);
    check(r#""prompt":"a","n":2,"best_of":5"#, 5);
    check(r#""prompt":["a","b"],"n":3"#, 6);
}

#[test]
fn usage_is_asked_for_and_the_limit_replaced() {
    let (body, asked) = read(r#"{"model":"m","prompt":"a","stream":true,"max_tokens":9}"#);
    let mut edits: Vec<Edit> = asked.with_usage().into_iter().collect();
    edits.push(asked.with_max_tokens(3, LimitField::MaxCompletionTokens));
    assert_eq!(
        splice(&body, edits),
        r#"{"stream_options":{"include_usage":true},"model":"m","prompt":"a","stream":true,"max_tokens":3}"#
    );
    let (_, asked) = read(r#"{"model":"m","prompt":"a"}"#);
    assert_eq!((asked.with_usage(), asked.max_tokens), (None, None));
}

#[test]
fn bad_requests_say_what_is_wrong_and_where() {
    let check = |body: &str, message: &str| {
        let error = parse(&Bytes::from(body.to_owned())).map(drop).expect_err(body);
        assert_eq!(error.to_string(), message);
    };
    check(r#"{"model":"m"}"#, "`prompt` is missing at line 1 column 14");
    check(r#"{"model":"m","prompt":[]}"#, "`prompt` is empty at line 1 column 26");
    check(r#"{"model":"m","prompt":7}"#, "`prompt` must be a string or an array at line 1 column 23");
    check(
        r#"{"model":"m","prompt":["a",1]}"#,
        "`prompt` mixes tokens with whole prompts at line 1 column 30",
    );
    check(
        r#"{"model":"m","prompt":[{}]}"#,
        "`prompt` must hold strings, tokens, or lists of tokens at line 1 column 24",
    );
    check(r#"{"model":"m","prompt":"a","prompt":"b"}"#, "`prompt` is given twice at line 1 column 27");
    check(r#"{"model":"m","Prompt":"a"}"#, "`Prompt` is spelt `prompt` at line 1 column 14");
}

#[test]
fn several_prompts_and_tokens_are_refused_across_dialects() {
    let check = |prompt: &str, message: Option<&str>| {
        let read = read_ask(format!(r#"{{"model":"m","prompt":{prompt}}}"#).as_bytes());
        assert_eq!(read.err().map(|error| error.message).as_deref(), message, "{prompt}");
    };
    const CURE: &str = "send one prompt of text, or choose a model that speaks completions";
    check(r#""a""#, None);
    check(r#"["a"]"#, None);
    check(r#"["a","b"]"#, Some(&format!("`prompt` has several prompts; {CURE}")));
    check("[1]", Some(&format!("`prompt` has tokens, not text; {CURE}")));
    check("[[1]]", Some(&format!("`prompt` has tokens, not text; {CURE}")));
}

#[test]
fn a_completion_keeps_its_meaning_through_the_neutral_form() {
    let body = serde_json::json!({
        "model": "m", "prompt": "Once", "max_tokens": 9, "temperature": 0.5, "top_p": 0.25, "seed": 3,
        "presence_penalty": 0.5, "frequency_penalty": 1.0, "stop": ["a"], "n": 2, "logprobs": 1, "user": "u",
        "stream": true, "stream_options": {"include_usage": true},
    });
    let asked = read_ask(body.to_string().as_bytes()).unwrap();
    assert_eq!(asked.dropped, Vec::<String>::new());
    let written = write_ask(asked, "m");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&written.body).unwrap(), body);
}

fn said(choice: u32, text: &str) -> Event {
    Event::Text { choice, text: text.into() }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let usage = Usage { input_fresh: TokenCount(3), output: TokenCount(5), ..Usage::default() };
    let answer = [
        Event::Model("m".into()),
        said(0, "a"),
        said(1, "b"),
        said(0, "\"c\n"),
        Event::Finish { choice: 0, why: Finish::Length },
        Event::Finish { choice: 1, why: Finish::Stop },
        Event::Usage(usage),
    ];
    let head = Head { id: "1".into(), include_usage: true, ..Head::default() };
    let mut writer = Writer::new(head.clone());
    let mut frames = Vec::new();
    answer.iter().for_each(|event| writer.push(event, &mut frames));
    writer.end(&mut frames);
    let mut flow = Flow::default();
    let mut read = Vec::new();
    for frame in frames.into_iter().map(Frame::parse) {
        read.extend(flow.read(&frame, frame.data().unwrap()).unwrap().events);
    }
    // Each frame names the model.
    read.retain(|event| !matches!(event, Event::Model(_)));
    assert_eq!(read.pop(), Some(Event::Done));
    assert_eq!(read, answer[1..]);
    let plain = read_plain(&whole(&head, &answer)).unwrap();
    let texts: Vec<_> =
        plain.events.into_iter().filter(|event| matches!(event, Event::Text { .. })).collect();
    assert_eq!(texts, [said(0, "a\"c\n"), said(1, "b")]);
}

#[test]
fn frames_of_ours_have_the_head_of_the_providers() {
    let mut flow = Flow::default();
    let frame = Frame::parse(Bytes::from_static(
        br#"data: {"id":"cmpl-1","object":"text_completion","created":7,"choices":[{"text":"a","index":1,"logprobs":null,"finish_reason":null}],"model":"m"}"#,
    ));
    flow.read(&frame, frame.data().unwrap()).unwrap();
    let key = Key { choice: 1, part: 0, channel: Channel::Content };
    let piece = r#"data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{"text":"b\n","index":1,"logprobs":null,"finish_reason":null}]}"#;
    assert_eq!(flow.piece(key, "b\n"), format!("{piece}\n\n"));
    let closing = flow.close("stop", Finish::ContentFilter);
    assert!(closing[0].ends_with(b"\"finish_reason\":\"content_filter\"}]}\n\n"));
    assert_eq!(closing[1], "data: [DONE]\n\n");
    let fault = Fault::caller(Code::UpstreamFailed, "broke");
    assert!(
        flow.error(&fault, "r_1")[0].ends_with(b"\"code\":\"upstream_failed\",\"request_id\":\"r_1\"}}\n\n")
    );
}

proptest! {
    #[test]
    fn any_mutation_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = br#"{"model":"m","prompt":["a","b"],"suffix":"c","stream_options":{"x":1},"n":2}"#.to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = read_ask(&body);
        let body = Bytes::from(body);
        if let Ok(asked) = parse(&body) {
            let mut edits = asked.with_prompt(&body, &[("system", "s")]);
            edits.push(asked.with_max_tokens(1, LimitField::MaxTokens));
            edits.extend(asked.with_model("n"));
            let result = crate::splice::splice_checked(&body, edits).unwrap();
            prop_assert!(parse(&result).is_ok());
        }
    }
}

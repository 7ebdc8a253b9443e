//! A kept answer in the form that is asked for: a plain one as a stream, a stream as a plain one.

use bytes::Bytes;
use gauntlet_wire::{answer::Assembler, openai::answer, sse::Decoder};
use serde_json::{Map, Value, json};

use super::store::Kept;
use crate::call::Whole;

/// How a call wants its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) stream: bool,
    /// Its stream shall tell the usage.
    pub(crate) usage: bool,
    /// Text and calls of tools are all that it asks for: what else an answer may hold is lost between the forms.
    pub(crate) only_words: bool,
}

/// The answer as it is wanted. In the form in which it came its bytes are what they were; none where it cannot be put into the
/// other form whole.
pub(crate) fn as_wanted(kept: &Kept, wanted: Wanted) -> Option<Whole> {
    let is_same = kept.is_stream == wanted.stream && (!wanted.stream || kept.has_usage == wanted.usage);
    let body = kept.body.clone();
    match (is_same, wanted.stream) {
        (true, true) => Some(Whole::events(body)),
        (true, false) => Some(Whole::json(body)),
        _ if !wanted.only_words => None,
        (false, true) => as_stream(kept, wanted.usage),
        (false, false) => plain_of(&body).map(Whole::json),
    }
}

fn as_stream(kept: &Kept, has_usage: bool) -> Option<Whole> {
    let plain = if kept.is_stream { plain_of(&kept.body)? } else { kept.body.clone() };
    let head = head_of(&plain, "chat.completion.chunk")?;
    let usage = has_usage.then_some(&kept.usage);
    Some(Whole::events(answer::stream_of_answer(head.to_string().as_bytes(), &plain, usage).concat().into()))
}

/// What a document says of itself before its choices, under another name for its kind.
fn head_of(document: &[u8], object: &str) -> Option<Value> {
    let document: Map<String, Value> = serde_json::from_slice(document).ok()?;
    let member = |name: &str| document.get(name).cloned().unwrap_or(Value::Null);
    let mut head =
        json!({"id": member("id"), "object": object, "created": member("created"), "model": member("model")});
    if let Some(fingerprint) = document.get("system_fingerprint") {
        head["system_fingerprint"] = fingerprint.clone();
    }
    Some(head)
}

/// The frames of a stream put together.
fn plain_of(frames: &Bytes) -> Option<Bytes> {
    let (mut decoder, mut assembler) = (Decoder::new(), Assembler::new());
    decoder.push(frames.clone());
    decoder.close();
    let mut head = None;
    while let Some(frame) = decoder.next().ok()? {
        let Some(data) = frame.data() else { continue };
        let chunk = answer::read_chunk(data).ok()?;
        if head.is_none() && !chunk.is_done {
            head = head_of(data, "chat.completion");
        }
        chunk.events.iter().for_each(|event| assembler.feed(event));
    }
    if assembler.is_truncated() || assembler.choices().is_empty() {
        return None;
    }
    // What was put together is written for the record, and says neither whose answer it is nor when it was made.
    let mut message: Map<String, Value> = serde_json::from_slice(&assembler.message_json()).ok()?;
    let mut whole = match head? {
        Value::Object(head) => head,
        _ => return None,
    };
    for name in ["choices", "usage"] {
        whole.insert(name.to_owned(), message.remove(name)?);
    }
    serde_json::to_vec(&whole).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use gauntlet_types::{CallId, Mono, NanoUsd, Target, TokenCount, Usage};

    use super::*;

    fn kept(body: &str, is_stream: bool, has_usage: bool) -> Kept {
        Kept {
            call: CallId(Default::default()),
            route: "r".into(),
            body: Bytes::from(body.to_owned()),
            is_stream,
            has_usage,
            output: Bytes::new(),
            target: Target { provider: "p".into(), model: "m".into() },
            model_answered: None,
            usage: Usage { input_fresh: TokenCount(3), output: TokenCount(2), ..Usage::default() },
            finish: None,
            cost: NanoUsd::ZERO,
            question: "".into(),
            born: Mono(0),
            until: Mono(1),
        }
    }

    const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"you\""},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

    fn stream(has_usage: bool) -> String {
        let chunk = |choices: &str| {
            format!(
                r#"data: {{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{choices}]}}"#
            )
        };
        let mut frames = vec![
            chunk(r#"{"index":0,"delta":{"role":"assistant","content":"Hi "}}"#),
            chunk(r#"{"index":0,"delta":{"content":"\"you\""}}"#),
            chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#),
        ];
        if has_usage {
            frames.push(r#"data: {"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#.to_owned());
        }
        frames.push("data: [DONE]".to_owned());
        frames.join("\n\n") + "\n\n"
    }

    fn given(kept: &Kept, stream: bool, usage: bool) -> String {
        let whole = as_wanted(kept, Wanted { stream, usage, only_words: true }).expect("it can be put so");
        String::from_utf8(whole.body.to_vec()).unwrap()
    }

    #[test]
    fn in_its_own_form_an_answer_is_byte_for_byte_what_it_was() {
        assert_eq!(given(&kept(PLAIN, false, false), false, false), PLAIN);
        assert_eq!(given(&kept(PLAIN, false, false), false, true), PLAIN);
        for usage in [false, true] {
            let frames = stream(usage);
            assert_eq!(given(&kept(&frames, true, usage), true, usage), frames);
        }
    }

    #[test]
    fn a_plain_answer_becomes_a_stream_with_its_words_and_name() {
        for usage in [false, true] {
            let frames = given(&kept(PLAIN, false, false), true, usage);
            assert!(frames.ends_with("data: [DONE]\n\n"), "{frames}");
            assert_eq!(frames.contains("\"prompt_tokens\""), usage, "{frames}");
            assert!(
                frames.contains("\"object\":\"chat.completion.chunk\"")
                    && !frames.contains("\"chat.completion\"")
            );
            let again: Value = serde_json::from_slice(&plain_of(&Bytes::from(frames)).unwrap()).unwrap();
            assert_eq!(
                (&again["id"], &again["created"], &again["model"]),
                (&"c1".into(), &7.into(), &"m".into())
            );
            assert_eq!(again["choices"][0]["message"]["content"], "Hi \"you\"");
            assert_eq!(again["choices"][0]["finish_reason"], "stop");
        }
    }

    #[test]
    fn a_stream_becomes_a_plain_answer_and_tells_its_usage_or_not() {
        let plain: Value =
            serde_json::from_str(&given(&kept(&stream(true), true, true), false, false)).unwrap();
        assert_eq!(plain["object"], "chat.completion");
        assert_eq!(plain["choices"][0]["message"]["content"], "Hi \"you\"");
        assert_eq!((&plain["id"], &plain["usage"]["prompt_tokens"]), (&"c1".into(), &3.into()));
        let quiet = given(&kept(&stream(true), true, true), true, false);
        assert!(!quiet.contains("prompt_tokens") && quiet.contains("Hi "), "{quiet}");
        let telling = given(&kept(&stream(false), true, false), true, true);
        assert!(telling.contains("\"prompt_tokens\":3"), "{telling}");
    }

    #[test]
    fn what_the_other_form_cannot_hold_is_not_put_into_it() {
        let wanted = Wanted { stream: true, usage: false, only_words: false };
        assert!(as_wanted(&kept(PLAIN, false, false), wanted).is_none());
        assert!(
            as_wanted(&kept("data: nonsense\n\n", true, false), Wanted { stream: false, ..wanted }).is_none()
        );
        let broken = Wanted { stream: false, usage: false, only_words: true };
        assert!(
            as_wanted(&kept("data: [DONE]\n\n", true, false), broken).is_none(),
            "a stream without a word"
        );
    }
}

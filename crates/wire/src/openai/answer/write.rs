//! Answers and frames that we write ourselves.

use bytes::Bytes;
use gauntlet_types::{Event, Finish, Usage};

use super::finish_word;
use crate::{
    answer::Channel,
    json::{Cursor, Scan, ValueKind, quote},
    openai::usage,
};

/// The end mark of a stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// A frame of a stream: `data: …` and a blank line. The data must have no line ends, as JSON that we write has none.
pub fn frame(data: &[u8]) -> Bytes {
    debug_assert!(memchr::memchr2(b'\n', b'\r', data).is_none(), "data of one line");
    [b"data: ", data, b"\n\n"].concat().into()
}

/// A whole answer that no model gave (canned, cached). Its usage is zero.
pub fn plain_text_answer(id: &str, created: i64, model: &str, text: &str, finish: Finish) -> Bytes {
    let mut body = head(id, "chat.completion", created, model);
    body.extend_from_slice(br#""choices":[{"index":0,"message":{"role":"assistant","content":"#);
    body.extend_from_slice(&quote(text));
    body.extend_from_slice(
        format!(
            r#","refusal":null}},"logprobs":null,"finish_reason":"{}"}}],"usage":{}}}"#,
            finish_word(finish),
            usage::json(&Usage::default())
        )
        .as_bytes(),
    );
    body.into()
}

/// The same as a stream: a frame with role and text, one with the ending, one with the usage if given, the end mark.
pub fn stream_text_answer(
    id: &str,
    created: i64,
    model: &str,
    text: &str,
    finish: Finish,
    usage: Option<&Usage>,
) -> Vec<Bytes> {
    let head = head(id, "chat.completion.chunk", created, model);
    let chunk = |rest: &[u8]| frame(&[&head[..], rest].concat());
    let words = [
        br#""choices":[{"index":0,"delta":{"role":"assistant","content":"#,
        &quote(text)[..],
        br#"},"finish_reason":null}]}"#,
    ];
    let ending =
        format!(r#""choices":[{{"index":0,"delta":{{}},"finish_reason":"{}"}}]}}"#, finish_word(finish));
    let mut frames = vec![chunk(&words.concat()), chunk(ending.as_bytes())];
    if let Some(usage) = usage {
        frames.push(chunk(format!(r#""choices":[],"usage":{}}}"#, usage::json(usage)).as_bytes()));
    }
    frames.push(Bytes::from_static(DONE));
    frames
}

/// The members up to the choices, with the opening brace and the last comma.
fn head(id: &str, object: &str, created: i64, model: &str) -> Vec<u8> {
    let mut head = b"{\"id\":".to_vec();
    head.extend_from_slice(&quote(id));
    head.extend_from_slice(format!(r#","object":"{object}","created":{created},"model":"#).as_bytes());
    head.extend_from_slice(&quote(model));
    head.push(b',');
    head
}

/// A frame with text of ours in the midst of a provider's stream (a tail that a guard held back, a fallback text), and
/// an ending if one is given.
///
/// `like` is the data of an earlier chunk, whose `id`, `object`, `created`, `model` and `system_fingerprint` are kept as
/// they are written. Without one that can be read, the frame has only `object` and `choices`.
pub fn text_frame(like: &[u8], choice: u32, text: &str, finish: Option<Finish>) -> Bytes {
    let delta = if text.is_empty() { Vec::new() } else { [b"\"content\":", &quote(text)[..]].concat() };
    delta_frame(like, choice, &delta, finish)
}

/// The same for the text of any channel, without an ending.
pub fn channel_frame(like: &[u8], choice: u32, channel: Channel, text: &str) -> Bytes {
    let text = quote(text);
    let (before, after) = match channel {
        Channel::Content => ("\"content\":".to_owned(), ""),
        Channel::Refusal => ("\"refusal\":".to_owned(), ""),
        Channel::Reasoning => ("\"reasoning_content\":".to_owned(), ""),
        Channel::Arguments(index) => {
            (format!(r#""tool_calls":[{{"index":{index},"function":{{"arguments":"#), "}}]")
        }
        Channel::FunctionCall => (r#""function_call":{"arguments":"#.to_owned(), "}"),
    };
    delta_frame(like, choice, &[before.as_bytes(), &text, after.as_bytes()].concat(), None)
}

/// A whole answer as the frames of a stream, under the head of an earlier chunk (`like`, as for `text_frame`): a frame for
/// each text and tool call, the endings, the usage if given, the end mark. An answer that cannot be read gives the end mark
/// alone.
pub fn stream_of_answer(like: &[u8], answer: &Bytes, usage: Option<&Usage>) -> Vec<Bytes> {
    let mut frames = vec![delta_frame(like, 0, br#""role":"assistant""#, None)];
    let read = super::read_plain(answer);
    for event in read.iter().flat_map(|read| &read.events) {
        match event {
            Event::Text { choice, text } => frames.push(channel_frame(like, *choice, Channel::Content, text)),
            Event::Refusal { choice, text } => {
                frames.push(channel_frame(like, *choice, Channel::Refusal, text));
            }
            Event::Reasoning { choice, text } => {
                frames.push(channel_frame(like, *choice, Channel::Reasoning, text));
            }
            Event::ToolCall { choice, index, id, name, arguments } => {
                let text = |text: &Option<String>| quote(text.as_deref().unwrap_or(""));
                let delta = [
                    format!(r#""tool_calls":[{{"index":{index},"id":"#).as_bytes(),
                    &text(id),
                    br#","type":"function","function":{"name":"#,
                    &text(name),
                    br#","arguments":"#,
                    &quote(arguments),
                    b"}}]",
                ]
                .concat();
                frames.push(delta_frame(like, *choice, &delta, None));
            }
            Event::Finish { choice, why } => frames.push(text_frame(like, *choice, "", Some(*why))),
            _ => {}
        }
    }
    if let Some(usage) = usage {
        let members = kept_members(like).unwrap_or_default();
        let rest = format!(r#""choices":[],"usage":{}}}"#, usage::json(usage));
        frames.push(frame(&[b"{", &members[..], rest.as_bytes()].concat()));
    }
    frames.push(Bytes::from_static(DONE));
    frames
}

fn delta_frame(like: &[u8], choice: u32, delta: &[u8], finish: Option<Finish>) -> Bytes {
    let mut data = b"{".to_vec();
    match kept_members(like) {
        Ok(members) if !members.is_empty() => data.extend_from_slice(&members),
        _ => data.extend_from_slice(br#""object":"chat.completion.chunk","#),
    }
    data.extend_from_slice(format!(r#""choices":[{{"index":{choice},"delta":{{"#).as_bytes());
    data.extend_from_slice(delta);
    match finish {
        Some(finish) => {
            data.extend_from_slice(format!(r#"}},"finish_reason":"{}"}}]}}"#, finish_word(finish)).as_bytes())
        }
        None => data.extend_from_slice(br#"},"finish_reason":null}]}"#),
    }
    frame(&data)
}

/// The members of an earlier chunk that head every other, each with its comma.
pub(crate) fn kept_members(like: &[u8]) -> Scan<Vec<u8>> {
    let mut kept = Vec::new();
    let mut cursor = Cursor::new(like)?;
    if cursor.kind()? != ValueKind::Object {
        return Ok(kept);
    }
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        let kind = cursor.kind()?;
        let value = cursor.span()?;
        // Scalars only: they hold no line ends.
        let is_scalar = !matches!(kind, ValueKind::Object | ValueKind::Array);
        if is_scalar && matches!(&*key, "id" | "object" | "created" | "model" | "system_fingerprint") {
            kept.extend_from_slice(&quote(&key));
            kept.push(b':');
            kept.extend_from_slice(cursor.slice(value).as_bytes());
            kept.push(b',');
        }
    }
    Ok(kept)
}

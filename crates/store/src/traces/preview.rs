//! The words a list of traces shows: the last user message and the answer's text, cut short.
//!
//! Bodies arrive as they came by the wire, in any dialect, and are only looked into, never built up: one pass finds the
//! message, another reads no more of it than is shown. A body that cannot be read as expected is shown as it begins.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Characters shown.
pub(crate) const SHOWN_MAX: usize = 200;
/// Messages nest at most: message, parts, part, text.
const DEPTH_MAX: u8 = 6;

/// The last user message of a request body.
pub(crate) fn of_input(body: &[u8]) -> String {
    preview(body, |text| {
        // By far the most bodies are chats; reading them in one pass is worth a second look at the others.
        if let Ok(ChatRequest { messages: Some(LastUser(Some(content))) }) = serde_json::from_str(text) {
            let mut shown = Shown::default();
            shown.add(content, 0);
            return Some(shown.text);
        }
        let body: InputBody<'_> = serde_json::from_str(text).ok()?;
        let found = [body.messages, body.contents, body.input].into_iter().flatten().next();
        let mut shown = Shown::default();
        match found {
            Some(raw) => match serde_json::from_str::<LastUser<'_>>(raw.get()) {
                Ok(LastUser(Some(message))) => shown.add(message, 0),
                Ok(LastUser(None)) | Err(_) => shown.add(raw.get(), 0),
            },
            None => shown.add(body.prompt?.get(), 0),
        }
        Some(shown.text)
    })
}

/// The answer's text in an answer body.
pub(crate) fn of_output(body: &[u8]) -> String {
    preview(body, |text| {
        if let Ok(ChatAnswer { choices: Some(First(Some(Choice { message: ChatMessage { content } }))) }) =
            serde_json::from_str(text)
            && content.get().starts_with('"')
        {
            let mut shown = Shown::default();
            shown.add(content.get(), 0);
            return Some(shown.text);
        }
        let body: OutputBody<'_> = serde_json::from_str(text).ok()?;
        let mut shown = Shown::default();
        let parts = [body.choices, body.content, body.candidates, body.output, body.message, body.error];
        for part in parts.into_iter().flatten() {
            shown.add(part.get(), 0);
            if !shown.text.is_empty() {
                break;
            }
        }
        Some(shown.text)
    })
}

/// What went into a step of an application: the last user message of a list or a request, else the text as it begins.
pub(crate) fn of_span_input(body: &[u8]) -> String {
    of_span(body, |text| match serde_json::from_str(text) {
        Ok(LastUser(Some(content))) => Some(content),
        _ => Some(text),
    })
    .unwrap_or_else(|| or_as_it_begins(of_input(body), body))
}

/// What came out of it.
pub(crate) fn of_span_output(body: &[u8]) -> String {
    of_span(body, Some).unwrap_or_else(|| or_as_it_begins(of_output(body), body))
}

/// Of a list or a text in JSON; none of anything else.
fn of_span<'a>(body: &'a [u8], part: impl FnOnce(&'a str) -> Option<&'a str>) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim_ascii();
    if !text.starts_with(['[', '"']) || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let mut shown = Shown::default();
    shown.add(part(text)?.trim_ascii(), 0);
    Some(or_as_it_begins(shown.text, body))
}

/// An object whose words are not where those of a model are still says something.
fn or_as_it_begins(shown: String, body: &[u8]) -> String {
    if shown.is_empty() { preview(body, |_| None) } else { shown }
}

/// The first characters of `text`.
pub(crate) fn cut(text: &str) -> &str {
    text.char_indices().nth(SHOWN_MAX).map_or(text, |(end, _)| &text[..end])
}

fn preview(body: &[u8], read: impl FnOnce(&str) -> Option<String>) -> String {
    if body.is_empty() {
        return String::new();
    }
    // No character takes more than four bytes; what lies beyond cannot be shown.
    let as_it_begins = || cut(&String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN_MAX)])).to_owned();
    std::str::from_utf8(body).ok().and_then(read).unwrap_or_else(as_it_begins)
}

#[derive(Deserialize)]
struct ChatRequest<'a> {
    #[serde(borrow)]
    messages: Option<LastUser<'a>>,
}

#[derive(Deserialize)]
struct ChatAnswer<'a> {
    #[serde(borrow)]
    choices: Option<First<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: ChatMessage<'a>,
}

#[derive(Deserialize)]
struct ChatMessage<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct InputBody<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    /// Gemini.
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    /// Embeddings and Responses.
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OutputBody<'a> {
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    /// Anthropic.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    /// Gemini.
    #[serde(borrow)]
    candidates: Option<&'a RawValue>,
    /// Responses.
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A message, or a part of one, in any dialect.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
}

/// The content of the last message by the user in a list of messages.
struct LastUser<'a>(Option<&'a str>);

impl<'a, 'de: 'a> Deserialize<'de> for LastUser<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Messages;
        impl<'de> Visitor<'de> for Messages {
            type Value = LastUser<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<LastUser<'de>, A::Error> {
                let mut last = None;
                while let Some(message) = messages.next_element::<Part<'de>>()? {
                    // Gemini leaves the role out in a conversation of one message.
                    if message.role.is_none_or(|role| role.get() == "\"user\"") {
                        last = message.content.or(message.parts).map(RawValue::get).or(last);
                    }
                }
                Ok(LastUser(last))
            }
        }
        deserializer.deserialize_seq(Messages)
    }
}

/// The first element of a list; the others are passed over.
struct First<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choices<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Choices<T> {
            type Value = First<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<First<T>, A::Error> {
                let first = elements.next_element()?;
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        deserializer.deserialize_seq(Choices(PhantomData))
    }
}

/// Gathers text from nested parts until enough is there.
#[derive(Default)]
struct Shown {
    text: String,
    count: usize,
}

impl Shown {
    fn add(&mut self, raw: &str, depth: u8) {
        if self.count >= SHOWN_MAX || depth > DEPTH_MAX {
            return;
        }
        match raw.as_bytes().first() {
            Some(b'"') => {
                if !self.text.is_empty() && raw.len() > 2 {
                    self.text.push(' ');
                    self.count += 1;
                }
                let text = beginning(raw, SHOWN_MAX - self.count);
                self.count += text.chars().count();
                self.text.push_str(&text);
            }
            Some(b'[') => {
                if let Ok(Elements(elements)) = serde_json::from_str::<Elements<'_>>(raw) {
                    for element in elements {
                        self.add(element.get(), depth + 1);
                    }
                }
            }
            Some(b'{') => {
                if let Ok(part) = serde_json::from_str::<Part<'_>>(raw) {
                    let inner = [part.text, part.message, part.content, part.parts, part.refusal];
                    for raw in inner.into_iter().flatten() {
                        self.add(raw.get(), depth + 1);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The first elements of a list; an embedding request may hold thousands, of which the first fill the preview.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Elements<'de>, A::Error> {
                let mut first = Vec::new();
                while let Some(element) = elements.next_element::<&'de RawValue>()? {
                    if first.len() < SHOWN_MAX {
                        first.push(element);
                    }
                }
                Ok(Elements(first))
            }
        }
        deserializer.deserialize_seq(First)
    }
}

/// The first `count` characters of a JSON string, without reading the rest of it.
fn beginning(raw: &str, count: usize) -> Cow<'_, str> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or("");
    let bytes = inner.as_bytes();
    let (mut end, mut has_escapes) = (0, false);
    for _ in 0..count {
        match bytes.get(end) {
            None => break,
            Some(b'\\') => {
                has_escapes = true;
                end += match bytes.get(end + 1..end + 4) {
                    // Two escapes make one character beyond the basic plane.
                    Some([b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B']) => 12,
                    Some([b'u', ..]) => 6,
                    _ => 2,
                };
            }
            Some(_) => {
                end += 1;
                while !inner.is_char_boundary(end) {
                    end += 1;
                }
            }
        }
    }
    let piece = inner.get(..end).unwrap_or(inner);
    if !has_escapes {
        return Cow::Borrowed(piece);
    }
    match serde_json::from_str::<String>(&format!("\"{piece}\"")) {
        Ok(text) => Cow::Owned(text),
        // A lone half of a pair: shown as it was written.
        Err(_) => Cow::Borrowed(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_message_is_shown() {
        let check = |body: &str, shown: &str| assert_eq!(of_input(body.as_bytes()), shown, "{body}");
        check(r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#, "a");
        check(
            r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"c\n\"d\""}]}"#,
            "c\n\"d\"",
        );
        check(
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url"},{"type":"text","text":"y"}]}]}"#,
            "x y",
        );
        check(r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#, "hi");
        check(r#"{"input":["one","two"]}"#, "one two");
        check(r#"{"input":"one"}"#, "one");
        check(r#"{"input":[1,2,3]}"#, "");
        check(r#"{"messages":[{"role":"user","content":"\ud83d\ude00 ok"}]}"#, "😀 ok");
        check("", "");
        check("not json", "not json");
        check("{\"messages\":7}", "");
    }

    #[test]
    fn the_answer_is_shown_in_any_dialect() {
        let check = |body: &str, shown: &str| assert_eq!(of_output(body.as_bytes()), shown, "{body}");
        check(r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"}}]}"#, "yes");
        check(r#"{"choices":[{"message":{"content":null,"refusal":"no"}}]}"#, "no");
        check(r#"{"content":[{"type":"text","text":"claude"}]}"#, "claude");
        check(r#"{"candidates":[{"content":{"parts":[{"text":"gem"}]}}]}"#, "gem");
        check(r#"{"error":{"message":"broken"}}"#, "broken");
        check(r#"{"data":[{"embedding":[0.1,0.2]}]}"#, "");
    }

    #[test]
    fn a_step_shows_its_messages_or_how_it_begins() {
        let check = |body: &str, input: &str, output: &str| {
            let shown = (of_span_input(body.as_bytes()), of_span_output(body.as_bytes()));
            assert_eq!((&shown.0[..], &shown.1[..]), (input, output), "{body}");
        };
        let messages =
            r#"[{"role":"user","content":"a"},{"role":"assistant","parts":[{"type":"text","content":"b"}]}]"#;
        check(messages, "a", "a b");
        check(
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            "a",
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
        );
        check(r#"{"answer":42}"#, r#"{"answer":42}"#, r#"{"answer":42}"#);
        check(r#""quoted \u00e9""#, "quoted é", "quoted é");
        check("[1,2]", "[1,2]", "[1,2]");
        check("[not json", "[not json", "[not json");
        check("plain", "plain", "plain");
        check("", "", "");
    }

    #[test]
    fn previews_are_cut_between_characters() {
        let long = "é".repeat(500);
        let body = serde_json::json!({"messages": [{"role": "user", "content": long}]}).to_string();
        assert_eq!(of_input(body.as_bytes()), "é".repeat(SHOWN_MAX));
        let escaped =
            format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, r"\ud83d\ude00".repeat(300));
        assert_eq!(of_input(escaped.as_bytes()), "😀".repeat(SHOWN_MAX));
        assert_eq!(of_input("ü".repeat(900).as_bytes()), "ü".repeat(SHOWN_MAX));
        assert_eq!(of_input(&[0xff; 10]).chars().count(), 10);
        for bad in [
            r#"{"messages":[{"role":"user","content":"\ud83d"}]}"#,
            r#"{"messages":[{"role":"user","content":"\u12"}]}"#,
        ] {
            assert!(of_input(bad.as_bytes()).chars().count() <= SHOWN_MAX);
        }
    }
}

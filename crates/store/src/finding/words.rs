//! The words of a call: what text search finds it by.
//!
//! One definition for every database and for calls that no index has yet: databases are given words that are already folded
//! and apart, and split at spaces alone. What is here is written to disk, so that a change needs the index built anew.

use std::borrow::Cow;

use gauntlet_ports::StoredCall;
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Bytes of the input's end that are searched: of a long conversation the newest messages.
const INPUT_MAX: usize = 16 * 1024;
/// Bytes of the answer's beginning that are searched.
const OUTPUT_MAX: usize = 16 * 1024;
/// Words of one call; Postgres counts places up to 16,383.
const WORDS_MAX: usize = 16_000;
/// Characters of a word that count: what is longer is a key or a picture, and its beginning finds it.
const WORD_MAX: usize = 64;
/// Texts nest at most: messages, message, parts, part, call, arguments and what tools put into those.
const DEPTH_MAX: u8 = 24;

/// The words of a call's texts, folded, with a space after each.
pub(crate) fn of_call(call: &StoredCall) -> String {
    let mut words = Words::default();
    words.add(end_of(&input_texts(&call.input), INPUT_MAX));
    words.add(start_of(&output_texts(&call.output), OUTPUT_MAX));
    for tool in &call.record.tool_calls {
        words.add(start_of(&tool.name, OUTPUT_MAX));
        words.add(start_of(&tool.arguments, OUTPUT_MAX));
    }
    words.text
}

/// The words of what somebody typed.
pub(crate) fn of_text(text: &str) -> Vec<String> {
    let mut words = Words::default();
    words.add(text);
    words.text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Whether a character is a word of its own: Chinese and Japanese are written without spaces.
pub(crate) fn stands_alone(char: char) -> bool {
    matches!(char, '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Gathers words: lower case, without accents, in compatibility form, letters and digits alone.
#[derive(Default)]
struct Words {
    text: String,
    count: usize,
    /// Characters of the word under way.
    length: usize,
}

impl Words {
    fn add(&mut self, text: &str) {
        if text.is_ascii() {
            text.bytes().for_each(|byte| self.push(char::from(byte.to_ascii_lowercase())));
        } else {
            text.nfkd().flat_map(char::to_lowercase).for_each(|char| self.push(char));
        }
        self.end();
    }

    fn push(&mut self, char: char) {
        if stands_alone(char) {
            self.end();
            self.put(char);
            self.end();
        } else if char.is_alphanumeric() {
            self.put(char);
        } else if !is_combining_mark(char) {
            self.end();
        }
    }

    fn put(&mut self, char: char) {
        if self.length < WORD_MAX && self.count < WORDS_MAX {
            self.text.push(char);
            self.length += 1;
        }
    }

    fn end(&mut self) {
        if self.length > 0 {
            self.text.push(' ');
            self.count += 1;
            self.length = 0;
        }
    }
}

fn start_of(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

fn end_of(text: &str, bytes: usize) -> &str {
    let start = (text.len().saturating_sub(bytes)..text.len()).find(|start| text.is_char_boundary(*start));
    &text[start.unwrap_or(text.len())..]
}

fn input_texts(body: &[u8]) -> Cow<'_, str> {
    const PLACES: [&str; 7] =
        ["system", "systemInstruction", "instructions", "prompt", "contents", "messages", "input"];
    texts(body, &PLACES)
}

fn output_texts(body: &[u8]) -> Cow<'_, str> {
    const PLACES: [&str; 6] = ["choices", "content", "candidates", "output", "message", "error"];
    texts(body, &PLACES)
}

/// The texts under some names of a body; a body that is no JSON object is its own text.
fn texts<'a>(body: &'a [u8], places: &[&str]) -> Cow<'a, str> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => {
            let mut out = String::new();
            for value in places.iter().filter_map(|place| fields.get(*place)) {
                gather(value, 0, &mut out);
            }
            Cow::Owned(out)
        }
        Ok(Value::String(text)) => Cow::Owned(text),
        _ => String::from_utf8_lossy(body),
    }
}

/// Strings of messages and parts in any dialect: those under names that hold what was said, and not ids, roles and pictures.
fn gather(value: &Value, depth: u8, out: &mut String) {
    const SAID: [&str; 22] = [
        "content",
        "text",
        "parts",
        "message",
        "refusal",
        "reasoning",
        "reasoning_content",
        "thinking",
        "summary",
        "name",
        "arguments",
        "function",
        "tool_calls",
        "functionCall",
        "functionResponse",
        "args",
        "response",
        "output",
        "delta",
        "transcript",
        "result",
        "code",
    ];
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) => push(text, out),
        Value::Array(values) => values.iter().for_each(|value| gather(value, depth + 1, out)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    // What a model hands to a tool: the tool's own names and values.
                    "input" | "args" | "response" if value.is_object() => all(value, depth + 1, out),
                    "input" => gather(value, depth + 1, out),
                    said if SAID.contains(&said) => gather(value, depth + 1, out),
                    _ => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn all(value: &Value, depth: u8, out: &mut String) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) => push(text, out),
        Value::Number(number) => push(&number.to_string(), out),
        Value::Array(values) => values.iter().for_each(|value| all(value, depth + 1, out)),
        Value::Object(fields) => {
            for (name, value) in fields {
                push(name, out);
                all(value, depth + 1, out);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn push(text: &str, out: &mut String) {
    out.push_str(text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;

    #[test]
    fn words_are_folded_and_apart() {
        let check = |text: &str, words: &[&str]| assert_eq!(of_text(text), words, "{text:?}");
        check("Where is my ORDER-100%?", &["where", "is", "my", "order", "100"]);
        check("Émile paid 5€ für Straße", &["emile", "paid", "5", "fur", "straße"]);
        check("e\u{301}mile ÉMILE", &["emile", "emile"]);
        check("東京タワー ok", &["東", "京", "タ", "ワ", "ー", "ok"]);
        check("ﬁne ＡＢＣ", &["fine", "abc"]);
        check("a_b 'quoted' \"x\"*", &["a", "b", "quoted", "x"]);
        check("\0\u{202e}😀", &[]);
        assert_eq!(of_text("한국어 한국어").len(), 2, "Korean is written with spaces");
        assert_eq!(of_text(&"x".repeat(500))[0].len(), WORD_MAX);
        assert_eq!(of_text(&"x ".repeat(20_000)).len(), WORDS_MAX);
    }

    #[test]
    fn what_was_said_is_searched_in_any_dialect() {
        let check = |input: &str, output: &str, words: &str| {
            let mut call = sample::call(1, 0);
            call.input = input.to_owned().into();
            call.output = output.to_owned().into();
            assert_eq!(of_call(&call).trim_end(), words, "{input} {output}");
        };
        check(
            r#"{"model":"m","messages":[{"role":"system","content":"Be kind"},{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image_url","image_url":{"url":"data:x"}}]}]}"#,
            r#"{"id":"i","choices":[{"message":{"role":"assistant","content":"Yes","tool_calls":[{"id":"t","function":{"name":"find_order","arguments":"{\"id\":7}"}}]}}]}"#,
            "be kind hi yes find order id 7",
        );
        check(
            r#"{"system":"S","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"u","content":"42 found"}]}]}"#,
            r#"{"content":[{"type":"text","text":"claude"},{"type":"tool_use","id":"u","name":"look","input":{"city":"Köln","n":3}}]}"#,
            "s 42 found claude look city koln n 3",
        );
        check(
            r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"gem"}]}}]}"#,
            "hi gem",
        );
        check(r#"{"input":["one","two"]}"#, r#"{"data":[{"embedding":[0.1]}]}"#, "one two");
        check("not json", "", "not json");
        let long = format!(
            r#"{{"messages":[{{"content":"first"}},{{"content":"{}"}},{{"content":"last"}}]}}"#,
            "é ".repeat(9_000)
        );
        let mut call = sample::call(1, 0);
        call.input = long.into();
        let words = of_call(&call);
        assert!(words.contains("last ") && !words.contains("first "), "the newest messages are searched");
    }
}

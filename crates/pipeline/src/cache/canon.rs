//! A request in one form, however it was written: members in order, white space and escapes gone, and without what changes
//! nothing of the answer.

use std::{collections::BTreeMap, fmt};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Members of a request that no answer depends on: how it is delivered, and who asks.
const IGNORED: [&str; 7] =
    ["stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key", "model"];

/// The longest question that is embedded: more is a document, which no other question repeats and which costs.
const QUESTION_MAX: usize = 4_000;

/// A JSON value whose members have an order. A member that stands twice is refused: which of both counts differs from
/// server to server.
#[derive(Clone, PartialEq, Debug)]
enum Json {
    /// A number, a truth or nothing, as it is shown.
    Bare(String),
    Text(String),
    List(Vec<Json>),
    Map(BTreeMap<String, Json>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Bare("null".to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bare(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Bare(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Bare(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        // `1.0` is shown as `1`, so that both are one number.
        Ok(Json::Bare(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = members.next_entry::<String, Json>()? {
            if map.insert(key, value).is_some() {
                return Err(de::Error::custom("a member stands twice"));
            }
        }
        Ok(Json::Map(map))
    }
}

impl Json {
    /// Each value with its kind and length, so that no two values are written alike.
    fn feed(&self, hasher: &mut blake3::Hasher) {
        let mut part = |kind: u8, bytes: &[u8]| {
            hasher.update(&[kind]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        match self {
            Json::Bare(text) => part(b'b', text.as_bytes()),
            Json::Text(text) => part(b't', text.as_bytes()),
            Json::List(items) => {
                part(b'l', &(items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| item.feed(hasher));
            }
            Json::Map(members) => {
                part(b'm', &(members.len() as u64).to_le_bytes());
                for (key, value) in members {
                    hasher.update(&(key.len() as u64).to_le_bytes());
                    hasher.update(key.as_bytes());
                    value.feed(hasher);
                }
            }
        }
    }

    /// The words of the last message, where that is one text of the user's.
    fn question(&mut self) -> Option<&mut String> {
        let Json::Map(members) = self else { return None };
        let Some(Json::List(messages)) = members.get_mut("messages") else { return None };
        let Some(Json::Map(last)) = messages.last_mut() else { return None };
        if last.get("role") != Some(&Json::Text("user".to_owned())) {
            return None;
        }
        match last.get_mut("content")? {
            Json::Text(text) => Some(text),
            Json::List(parts) => match &mut parts[..] {
                [Json::Map(part)] if part.get("type") == Some(&Json::Text("text".to_owned())) => {
                    match part.get_mut("text")? {
                        Json::Text(text) => Some(text),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// A request that was read.
#[derive(Clone, Debug)]
pub(crate) struct Canon(Json);

impl Canon {
    /// None for what is no JSON object, or has a member twice.
    pub(crate) fn read(body: &[u8]) -> Option<Canon> {
        let Ok(Json::Map(mut members)) = serde_json::from_slice(body) else { return None };
        for ignored in IGNORED {
            members.remove(ignored);
        }
        // `null` is what an absent member is.
        members.retain(|_, value| *value != Json::Bare("null".to_owned()));
        Some(Canon(Json::Map(members)))
    }

    pub(crate) fn feed(&self, hasher: &mut blake3::Hasher) {
        self.0.feed(hasher);
    }

    /// Whether text and calls of tools are all that is asked for.
    pub(crate) fn asks_for_words(&self) -> bool {
        const MORE: [&str; 4] = ["logprobs", "modalities", "audio", "web_search_options"];
        let Json::Map(members) = &self.0 else { return false };
        let is_off = |value: &Json| *value == Json::Bare("false".to_owned());
        MORE.iter().all(|name| members.get(*name).is_none_or(is_off))
    }

    /// Takes the question out, and leaves all else that the answer depends on; none where there is no question to embed.
    pub(crate) fn take_question(&mut self) -> Option<String> {
        let question = self.0.question()?;
        let fits = !question.trim().is_empty() && question.len() <= QUESTION_MAX;
        fits.then(|| std::mem::take(question))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(body: &str) -> Option<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        Canon::read(body.as_bytes())?.feed(&mut hasher);
        Some(*hasher.finalize().as_bytes())
    }

    #[test]
    fn what_changes_nothing_of_the_answer_does_not_count() {
        let check = |a: &str, b: &str| assert_eq!(hash(a).expect(a), hash(b).expect(b), "{a} {b}");
        check(r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true , null ],\n\"a\":1 }");
        check(r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"y":2,"x":1}}"#);
        check(r#"{"a":"\u0041"}"#, r#"{"a":"A"}"#);
        check(r#"{"temperature":1.0}"#, r#"{"temperature":1}"#);
        check(r#"{"a":1,"stop":null}"#, r#"{"a":1}"#);
        for ignored in IGNORED {
            check(&format!(r#"{{"a":1,"{ignored}":{{"x":1}}}}"#), r#"{"a":1}"#);
        }
    }

    #[test]
    fn what_changes_the_answer_counts() {
        let check = |a: &str, b: &str| assert_ne!(hash(a).expect(a), hash(b).expect(b), "{a} {b}");
        check(r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#);
        check(r#"{"a":"1"}"#, r#"{"a":1}"#);
        check(r#"{"a":"ab","b":"c"}"#, r#"{"a":"a","b":"bc"}"#);
        check(r#"{"a":[[1],2]}"#, r#"{"a":[[1,2]]}"#);
        check(r#"{"a":{}}"#, r#"{"a":[]}"#);
        check(r#"{"seed":1}"#, r#"{"seed":2}"#);
        check(r#"{"a":{"user":1}}"#, r#"{"a":{"user":2}}"#);
        check(r#"{"a":"null"}"#, r#"{"a":[null]}"#);
    }

    #[test]
    fn what_is_read_in_two_ways_has_no_form() {
        for body in [r#"{"a":1,"a":2}"#, r#"{"b":[{"a":1,"a":1}]}"#, "[]", "{", "1", r#"{"a":1e999}"#] {
            assert_eq!(hash(body), None, "{body}");
        }
    }

    #[test]
    fn the_question_is_the_last_words_of_the_user() {
        let check = |messages: &str, expected: Option<&str>| {
            let mut canon = Canon::read(format!(r#"{{"messages":{messages}}}"#).as_bytes()).unwrap();
            assert_eq!(canon.take_question().as_deref(), expected, "{messages}");
        };
        check(r#"[{"role":"system","content":"s"},{"role":"user","content":"why?"}]"#, Some("why?"));
        check(r#"[{"role":"user","content":[{"type":"text","text":"why?"}]}]"#, Some("why?"));
        check(r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]"#, None);
        check(r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#, None);
        check(r#"[{"role":"user","content":"why?"},{"role":"assistant","content":"because"}]"#, None);
        check(r#"[{"role":"user","content":" "}]"#, None);
        check(&format!(r#"[{{"role":"user","content":"{}"}}]"#, "x".repeat(QUESTION_MAX + 1)), None);
        check("[]", None);
        check("7", None);
    }

    #[test]
    fn without_its_question_a_request_is_what_all_with_other_questions_are() {
        let frame = |body: &str| {
            let mut canon = Canon::read(body.as_bytes()).unwrap();
            canon.take_question().unwrap();
            let mut hasher = blake3::Hasher::new();
            canon.feed(&mut hasher);
            *hasher.finalize().as_bytes()
        };
        let body = |system: &str, question: &str| {
            format!(
                r#"{{"messages":[{{"role":"system","content":"{system}"}},{{"role":"user","content":"{question}"}}]}}"#
            )
        };
        assert_eq!(frame(&body("s", "one")), frame(&body("s", "two")));
        assert_ne!(frame(&body("s", "one")), frame(&body("t", "one")));
    }
}

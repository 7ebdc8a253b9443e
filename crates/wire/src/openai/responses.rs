//! OpenAI's Responses: where things stand in a request, and the changes that only this dialect makes so.
//!
//! Source: OpenAI API reference ("Responses", "Streaming events"); for what Codex sends, its own requests.
//!
//! A prompt of ours goes into `input`, never into `instructions`: OpenAI repeats the instructions in every answer, and a
//! stored prompt is not the caller's to read.

pub mod answer;
pub mod ask;
mod item;
mod read;

use std::ops::Range;

use bytes::Bytes;

pub use ask::without_foreign;
pub use read::parse;

use crate::{conversation::Conversation, json::quote, splice::Edit};

/// Places that only edits need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Layout {
    /// Just behind the object's opening brace: new members go here, each with its comma, since `model` follows.
    pub first_member: usize,
    /// The limit's value, `null` included.
    pub limit: Option<Range<usize>>,
    /// `input` where it is a plain string, with its quotes.
    pub words: Option<Range<usize>>,
}

impl Layout {
    /// A plain string becomes the last of a list.
    pub(crate) fn with_prompt(
        &self,
        asked: &Conversation,
        body: &Bytes,
        messages: &[(&str, &str)],
    ) -> Vec<Edit> {
        if messages.is_empty() {
            return Vec::new();
        }
        let all = items(messages);
        if let Some(words) = &self.words {
            let before = [b"[", &all[..], br#",{"role":"user","content":"#].concat();
            return vec![Edit::insert(words.start, before), Edit::insert(words.end, &b"}]"[..])];
        }
        if asked.messages.is_empty() {
            let member = [b"\"input\":[", &all[..], b"],"].concat();
            return vec![Edit::insert(self.first_member, member)];
        }
        debug_assert_eq!(body.get(asked.messages.start), Some(&b'['), "the body that was parsed");
        let comma: &[u8] = if asked.message_count > 0 { b"," } else { b"" };
        vec![Edit::insert(asked.messages.start + 1, [&all[..], comma].concat())]
    }

    pub(crate) fn with_more(&self, asked: &Conversation, messages: &[(&str, &str)]) -> Option<Edit> {
        if messages.is_empty() {
            return None;
        }
        Some(Edit::insert(asked.messages.end - 1, [b",", &items(messages)[..]].concat()))
    }

    pub(crate) fn with_max_tokens(&self, limit: u32) -> Edit {
        match &self.limit {
            Some(span) => Edit::new(span.clone(), limit.to_string()),
            None => Edit::insert(self.first_member, format!(r#""max_output_tokens":{limit},"#)),
        }
    }
}

/// Messages in the short form, which takes plain words of every role.
fn items(messages: &[(&str, &str)]) -> Vec<u8> {
    let one = |(role, text): &(&str, &str)| {
        [b"{\"role\":", &quote(role)[..], b",\"content\":", &quote(text), b"}"].concat()
    };
    messages.iter().map(one).collect::<Vec<_>>().join(&b","[..])
}

#[cfg(test)]
mod tests;

//! A chat completions request: where things stand in it, and the changes that only this dialect makes so.

pub mod ask;
pub(crate) mod message;
pub(crate) mod read;

use std::ops::Range;

use bytes::Bytes;

pub use read::parse;

use crate::{
    conversation::{Conversation, LimitField},
    json::quote,
    splice::Edit,
};

/// Places that only edits need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Layout {
    /// Just behind the object's opening brace: new members go here, each with its comma, since `model` follows.
    pub first_member: usize,
    /// The limit's value, `null` included.
    pub limit: Option<Range<usize>>,
    /// It is given as `max_completion_tokens`.
    pub is_new_limit: bool,
    pub stream_options: StreamOptions,
}

#[derive(Clone, Default, Debug)]
pub(crate) enum StreamOptions {
    #[default]
    Absent,
    Null(Range<usize>),
    /// An object without `include_usage`: just behind its brace, and whether it is empty.
    Without {
        at: usize,
        is_empty: bool,
    },
    /// The value of `include_usage`.
    With(Range<usize>),
}

impl StreamOptions {
    /// Edit: asks for a usage chunk; where nothing is said of a stream yet, as a member at `first_member`.
    pub(crate) fn with_usage(&self, first_member: usize) -> Edit {
        const OPTIONS: &[u8] = br#"{"include_usage":true}"#;
        match self {
            StreamOptions::Absent => {
                Edit::insert(first_member, &br#""stream_options":{"include_usage":true},"#[..])
            }
            StreamOptions::Null(span) => Edit::new(span.clone(), OPTIONS),
            StreamOptions::Without { at, is_empty: true } => {
                Edit::insert(*at, &br#""include_usage":true"#[..])
            }
            StreamOptions::Without { at, is_empty: false } => {
                Edit::insert(*at, &br#""include_usage":true,"#[..])
            }
            StreamOptions::With(span) => Edit::new(span.clone(), &b"true"[..]),
        }
    }
}

impl Layout {
    pub(crate) fn with_usage(&self) -> Edit {
        self.stream_options.with_usage(self.first_member)
    }

    pub(crate) fn with_prompt(&self, asked: &Conversation, body: &Bytes, messages: &[(&str, &str)]) -> Edit {
        let mut all = Vec::new();
        for (index, (role, text)) in messages.iter().enumerate() {
            if index > 0 {
                all.push(b',');
            }
            write_message(&mut all, role, text);
        }
        if asked.messages.is_empty() {
            let member = [b"\"messages\":[", &all[..], b"],"].concat();
            return Edit::insert(self.first_member, member);
        }
        debug_assert_eq!(body.get(asked.messages.start), Some(&b'['), "the body that was parsed");
        if asked.message_count > 0 && !all.is_empty() {
            all.push(b',');
        }
        Edit::insert(asked.messages.start + 1, all)
    }

    pub(crate) fn with_more(&self, asked: &Conversation, messages: &[(&str, &str)]) -> Edit {
        let mut all = Vec::new();
        for (role, text) in messages {
            all.push(b',');
            write_message(&mut all, role, text);
        }
        Edit::insert(asked.messages.end - 1, all)
    }

    pub(crate) fn with_max_tokens(&self, limit: u32, absent: LimitField) -> Edit {
        match &self.limit {
            Some(span) => Edit::new(span.clone(), limit.to_string()),
            None => Edit::insert(self.first_member, format!(r#""{}":{limit},"#, absent.as_str())),
        }
    }
}

fn write_message(all: &mut Vec<u8>, role: &str, text: &str) {
    all.extend_from_slice(b"{\"role\":");
    all.extend_from_slice(&quote(role));
    all.extend_from_slice(b",\"content\":");
    all.extend_from_slice(&quote(text));
    all.push(b'}');
}

#[cfg(test)]
mod tests;

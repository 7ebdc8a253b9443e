//! OpenAI's legacy completions: a prompt and its continuation, for base models and old programs.
//!
//! Source: OpenAI API reference ("Completions").

mod answer;
mod ask;
mod read;

use std::ops::Range;

use bytes::Bytes;

pub use answer::read_plain;
pub(crate) use answer::{Flow, Writer, whole};
pub(crate) use ask::{read as read_ask, write as write_ask};
pub use read::parse;

use super::chat::StreamOptions;
use crate::{
    conversation::Conversation,
    json::{escape, quote},
    splice::Edit,
};

/// Places that only edits need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Layout {
    /// Just behind the object's opening brace: new members go here, each with its comma, since `model` follows.
    pub first_member: usize,
    /// The limit's value, `null` included.
    pub limit: Option<Range<usize>>,
    pub stream_options: StreamOptions,
    /// Where the text of each prompt begins, within its quotes; none of those that come as tokens.
    pub prompts: Vec<usize>,
}

impl Layout {
    pub(crate) fn with_usage(&self) -> Edit {
        self.stream_options.with_usage(self.first_member)
    }

    /// The words of a prompt of ours stand before each prompt of the caller's. Prompts that come as tokens cannot have
    /// any.
    pub(crate) fn with_prompt(
        &self,
        asked: &Conversation,
        _: &Bytes,
        messages: &[(&str, &str)],
    ) -> Vec<Edit> {
        let texts: Vec<&str> = messages.iter().map(|(_, text)| *text).collect();
        let all = texts.join("\n\n");
        if all.is_empty() {
            return Vec::new();
        }
        if asked.message_count == 0 {
            return vec![Edit::insert(self.first_member, [b"\"prompt\":", &quote(&all)[..], b","].concat())];
        }
        let words = escape(&format!("{all}\n\n"));
        self.prompts.iter().map(|at| Edit::insert(*at, words.clone())).collect()
    }

    /// There is no conversation to go on with.
    pub(crate) fn with_more(&self, _: &Conversation, _: &[(&str, &str)]) -> Option<Edit> {
        None
    }

    pub(crate) fn with_max_tokens(&self, limit: u32) -> Edit {
        match &self.limit {
            Some(span) => Edit::new(span.clone(), limit.to_string()),
            None => Edit::insert(self.first_member, format!(r#""max_tokens":{limit},"#)),
        }
    }
}

#[cfg(test)]
mod tests;

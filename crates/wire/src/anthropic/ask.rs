//! A Messages request: where things stand in it, and the changes that only this dialect makes so.

mod foreign;
mod message;
mod read;

use std::ops::Range;

use bytes::Bytes;

pub use foreign::without_foreign;
pub(crate) use read::parse;

use crate::{
    conversation::{Conversation, Spanned},
    json::{escape, quote},
    splice::Edit,
};

/// The smallest number of tokens of thought that Anthropic takes.
pub(crate) const BUDGET_MIN: u32 = 1_024;

/// Places that only edits need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Layout {
    /// Just behind the object's opening brace: new members go here, each with its comma, since `model` follows.
    pub first_member: usize,
    /// The limit's value, `null` included.
    pub limit: Option<Range<usize>>,
    pub system: System,
    /// The value of `thinking`.
    pub thinking: Option<Range<usize>>,
    pub budget: Option<Spanned<u32>>,
}

/// What the caller says as the system.
#[derive(Clone, Default, Debug)]
pub(crate) enum System {
    #[default]
    Absent,
    Null(Range<usize>),
    /// The content of the literal.
    Text(Range<usize>),
    /// Just behind the array's bracket.
    Blocks {
        at: usize,
        is_empty: bool,
    },
}

impl Layout {
    /// System texts go before the caller's own in `system`, the others before its messages. No breakpoint of a cache is
    /// set: the caller may have set its four.
    pub(crate) fn with_prompt(
        &self,
        asked: &Conversation,
        body: &Bytes,
        messages: &[(&str, &str)],
    ) -> Vec<Edit> {
        let is_system = |role: &str| matches!(role, "system" | "developer");
        let texts: Vec<&str> =
            messages.iter().filter(|(role, _)| is_system(role)).map(|(_, text)| *text).collect();
        let others: Vec<_> = messages.iter().filter(|(role, _)| !is_system(role)).copied().collect();
        let mut edits = Vec::new();
        if !texts.is_empty() {
            edits.push(self.with_system(&texts));
        }
        if others.is_empty() {
            return edits;
        }
        let mut all = others.iter().map(|(role, text)| message(role, text)).collect::<Vec<_>>().join(&b',');
        if asked.messages.is_empty() {
            let member = [b"\"messages\":[", &all[..], b"],"].concat();
            edits.push(Edit::insert(self.first_member, member));
            return edits;
        }
        debug_assert_eq!(body.get(asked.messages.start), Some(&b'['), "the body that was parsed");
        if asked.message_count > 0 {
            all.push(b',');
        }
        edits.push(Edit::insert(asked.messages.start + 1, all));
        edits
    }

    fn with_system(&self, texts: &[&str]) -> Edit {
        let joined = texts.join("\n\n");
        match &self.system {
            System::Absent => {
                let member = [b"\"system\":", &quote(&joined)[..], b","].concat();
                Edit::insert(self.first_member, member)
            }
            System::Null(span) => Edit::new(span.clone(), quote(&joined)),
            System::Text(span) if span.is_empty() => Edit::insert(span.start, escape(&joined)),
            System::Text(span) => Edit::insert(span.start, escape(&format!("{joined}\n\n"))),
            System::Blocks { at, is_empty } => {
                let mut blocks = texts.iter().map(|text| block(text)).collect::<Vec<_>>().join(&b',');
                if !is_empty {
                    blocks.push(b',');
                }
                Edit::insert(*at, blocks)
            }
        }
    }

    pub(crate) fn with_more(&self, asked: &Conversation, messages: &[(&str, &str)]) -> Option<Edit> {
        let mut all = Vec::new();
        for (role, text) in messages {
            all.push(b',');
            all.extend_from_slice(&message(role, text));
        }
        Some(Edit::insert(asked.messages.end - 1, all))
    }

    pub(crate) fn with_max_tokens(&self, limit: u32) -> Edit {
        match &self.limit {
            Some(span) => Edit::new(span.clone(), limit.to_string()),
            None => Edit::insert(self.first_member, format!(r#""max_tokens":{limit},"#)),
        }
    }

    /// Thoughts must stay below the limit, or the request is refused: half of it, or none where half is too little.
    pub(crate) fn with_less_thinking(&self, limit: u32) -> Option<Edit> {
        let (thinking, budget) = (self.thinking.as_ref()?, self.budget.as_ref()?);
        match limit {
            _ if budget.value < limit => None,
            ..=BUDGET_MIN => Some(Edit::new(thinking.clone(), &br#"{"type":"disabled"}"#[..])),
            _ => Some(Edit::new(budget.span.clone(), (limit / 2).max(BUDGET_MIN).to_string())),
        }
    }
}

/// A message of a caller or a model: the dialect knows no other roles among the messages, so a late word of the system's
/// is said as the caller's.
fn message(role: &str, text: &str) -> Vec<u8> {
    let role = if role == "assistant" { "assistant" } else { "user" };
    [b"{\"role\":\"", role.as_bytes(), b"\",\"content\":", &quote(text), b"}"].concat()
}

fn block(text: &str) -> Vec<u8> {
    [b"{\"type\":\"text\",\"text\":", &quote(text)[..], b"}"].concat()
}

#[cfg(test)]
mod tests;

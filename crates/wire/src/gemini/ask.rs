//! A generateContent request: where things stand in it, and the changes that are made to it in place.

mod content;
mod marks;
mod read;

use std::ops::Range;

use bytes::Bytes;

pub use marks::without_foreign;
pub(crate) use read::parse;

use crate::{
    conversation::Conversation,
    json::{Cursor, Scan, ValueKind, quote},
    splice::Edit,
};

/// Places that only edits need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Layout {
    /// Just behind the object's opening brace: new members go here, each with its comma, since a member follows.
    pub first_member: usize,
    pub contents: List,
    pub system: Object,
    /// Of `systemInstruction`.
    pub system_parts: List,
    pub config: Object,
    /// The value of `maxOutputTokens`, `null` included.
    pub limit: Option<Range<usize>>,
}

/// A member that holds a list. Google takes a lone value for a list of one.
#[derive(Clone, Default, Debug)]
pub(crate) enum List {
    #[default]
    Absent,
    Null(Range<usize>),
    Many {
        span: Range<usize>,
        count: u32,
    },
    One(Range<usize>),
}

/// A member that holds an object.
#[derive(Clone, Default, Debug)]
pub(crate) enum Object {
    #[default]
    Absent,
    Null(Range<usize>),
    /// Just behind its brace.
    Open {
        at: usize,
        is_empty: bool,
    },
}

impl List {
    /// Walks the list that follows; `see` is called at each item with its number.
    pub(crate) fn walk(
        cursor: &mut Cursor<'_>,
        param: impl std::fmt::Display,
        mut see: impl FnMut(&mut Cursor<'_>, u32) -> Scan<()>,
    ) -> Scan<List> {
        let kind = cursor.kind()?;
        let start = cursor.at();
        match kind {
            ValueKind::Null => {
                cursor.word("null")?;
                Ok(List::Null(start..cursor.at()))
            }
            ValueKind::Object => {
                see(cursor, 0)?;
                Ok(List::One(start..cursor.at()))
            }
            _ => {
                let mut array = cursor.expect_array(param)?;
                let mut count = 0;
                while cursor.item(&mut array)? {
                    see(cursor, count)?;
                    count += 1;
                }
                Ok(List::Many { span: start..cursor.at(), count })
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            List::Absent | List::Null(_) => 0,
            List::One(_) => 1,
            List::Many { count, .. } => *count as usize,
        }
    }

    /// The value; empty where there is none.
    pub(crate) fn span(&self) -> Range<usize> {
        match self {
            List::Absent | List::Null(_) => 0..0,
            List::One(span) | List::Many { span, .. } => span.clone(),
        }
    }

    /// Puts items first, under `key` of the object that begins at `home` where the list is not there yet.
    fn with_first(&self, items: &[u8], key: &str, home: (usize, bool)) -> Vec<Edit> {
        let comma: &[u8] = b",";
        match self {
            List::Absent => {
                let (at, is_empty) = home;
                let behind = if is_empty { b"" } else { comma };
                let member = [format!("\"{key}\":[").as_bytes(), items, b"]", behind].concat();
                vec![Edit::insert(at, member)]
            }
            List::Null(span) => vec![Edit::new(span.clone(), [b"[", items, b"]"].concat())],
            List::Many { span, count } => {
                let behind = if *count == 0 { b"" } else { comma };
                vec![Edit::insert(span.start + 1, [items, behind].concat())]
            }
            List::One(span) => vec![
                Edit::insert(span.start, [b"[", items, comma].concat()),
                Edit::insert(span.end, &b"]"[..]),
            ],
        }
    }
}

impl Layout {
    /// System messages go to the front of `systemInstruction`, the others to the front of `contents`.
    pub(crate) fn with_prompt(&self, _: &Conversation, _: &Bytes, messages: &[(&str, &str)]) -> Vec<Edit> {
        let (mut system, mut contents) = (Vec::new(), Vec::new());
        for (role, text) in messages {
            match *role {
                "system" | "developer" => append(&mut system, part(text)),
                _ => append(&mut contents, content(role, text)),
            }
        }
        let mut edits = Vec::new();
        if !system.is_empty() {
            edits.extend(self.with_system(&system));
        }
        if !contents.is_empty() {
            edits.extend(self.contents.with_first(&contents, "contents", (self.first_member, false)));
        }
        edits
    }

    fn with_system(&self, parts: &[u8]) -> Vec<Edit> {
        let object = [b"{\"parts\":[", parts, b"]}"].concat();
        match &self.system {
            Object::Absent => {
                let member = [b"\"systemInstruction\":", &object[..], b","].concat();
                vec![Edit::insert(self.first_member, member)]
            }
            Object::Null(span) => vec![Edit::new(span.clone(), object)],
            Object::Open { at, is_empty } => self.system_parts.with_first(parts, "parts", (*at, *is_empty)),
        }
    }

    /// Gemini knows no system message in the midst of a conversation: one comes as the user's. None where `contents` is
    /// a lone object, which cannot grow by one edit.
    pub(crate) fn with_more(&self, _: &Conversation, messages: &[(&str, &str)]) -> Option<Edit> {
        let List::Many { span, .. } = &self.contents else { return None };
        let mut all = Vec::new();
        for (role, text) in messages {
            all.push(b',');
            all.extend_from_slice(&content(role, text));
        }
        Some(Edit::insert(span.end - 1, all))
    }

    pub(crate) fn with_max_tokens(&self, limit: u32) -> Edit {
        let member = format!(r#""maxOutputTokens":{limit}"#);
        match (&self.limit, &self.config) {
            (Some(span), _) => Edit::new(span.clone(), limit.to_string()),
            (None, Object::Absent) => {
                Edit::insert(self.first_member, format!(r#""generationConfig":{{{member}}},"#))
            }
            (None, Object::Null(span)) => Edit::new(span.clone(), format!("{{{member}}}")),
            (None, Object::Open { at, is_empty: true }) => Edit::insert(*at, member),
            (None, Object::Open { at, is_empty: false }) => Edit::insert(*at, format!("{member},")),
        }
    }
}

fn append(all: &mut Vec<u8>, item: Vec<u8>) {
    if !all.is_empty() {
        all.push(b',');
    }
    all.extend_from_slice(&item);
}

fn part(text: &str) -> Vec<u8> {
    [b"{\"text\":", &quote(text)[..], b"}"].concat()
}

fn content(role: &str, text: &str) -> Vec<u8> {
    let role = if matches!(role, "assistant" | "model") { "model" } else { "user" };
    [format!(r#"{{"role":"{role}","parts":["#).as_bytes(), &part(text), b"]}"].concat()
}

#[cfg(test)]
mod tests;

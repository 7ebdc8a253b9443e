//! An object of an answer with its members at hand, whatever their order: what an item is may stand behind what it says.

use std::borrow::Cow;

use serde_json::Value;

use crate::json::{Cursor, Fail, Literal, Scan, ValueKind};

/// The members that are read anywhere in an answer, in order; others are passed over.
const KNOWN: &[&str] = &[
    "action",
    "annotation",
    "annotations",
    "arguments",
    "call_id",
    "code",
    "content",
    "content_index",
    "delta",
    "diff",
    "encrypted_content",
    "error",
    "file_id",
    "filename",
    "id",
    "incomplete_details",
    "input",
    "item",
    "item_id",
    "message",
    "model",
    "name",
    "operation",
    "output",
    "output_format",
    "output_index",
    "part",
    "reason",
    "refusal",
    "response",
    "result",
    "sequence_number",
    "service_tier",
    "status",
    "summary",
    "summary_index",
    "end_index",
    "start_index",
    "text",
    "title",
    "transcript",
    "type",
    "url",
    "usage",
];

/// A walk over the whole document comes first, so that every cursor in here stands before JSON that is well-formed.
pub(super) struct Fields<'a> {
    members: Vec<(&'static str, Cursor<'a>)>,
    /// The object itself.
    pub whole: Cursor<'a>,
}

/// The members of the document's object; none where it is no object. The cursor itself goes to the end.
pub(super) fn whole<'a>(cursor: &mut Cursor<'a>, body: &[u8]) -> Scan<Option<Fields<'a>>> {
    if body.trim_ascii().first() != Some(&b'{') {
        return Ok(None);
    }
    let fields = Fields::read(cursor)?;
    cursor.finish()?;
    Ok(fields)
}

pub(super) fn not_an_answer(body: &[u8]) -> Box<Fail> {
    let why = match body.trim_ascii().first() {
        None => "the answer is empty",
        Some(b'<') => "the answer is HTML, not JSON",
        Some(_) => "the answer is not a JSON object",
    };
    Fail::new(0, why)
}

impl<'a> Fields<'a> {
    /// Passes the value that follows; none where it is no object. Of two members of one name the last counts, as with the
    /// parsers that clients use.
    fn read(cursor: &mut Cursor<'a>) -> Scan<Option<Fields<'a>>> {
        if cursor.kind()? != ValueKind::Object {
            cursor.skip()?;
            return Ok(None);
        }
        let whole = cursor.clone();
        let mut members: Vec<(&'static str, Cursor<'a>)> = Vec::new();
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            cursor.kind()?;
            if let Some(known) = KNOWN.iter().find(|known| **known == key) {
                match members.iter_mut().find(|(name, _)| name == known) {
                    Some((_, at)) => *at = cursor.clone(),
                    None => members.push((known, cursor.clone())),
                }
            }
            cursor.skip()?;
        }
        Ok(Some(Fields { members, whole }))
    }

    /// Before the value of a member.
    pub(super) fn get(&self, key: &str) -> Option<Cursor<'a>> {
        debug_assert!(KNOWN.contains(&key), "`{key}` is read but not known");
        self.members.iter().find(|(name, _)| *name == key).map(|(_, at)| at.clone())
    }

    pub(super) fn kind(&self, key: &str) -> Option<ValueKind> {
        self.get(key)?.kind().ok()
    }

    /// A string that is not empty.
    pub(super) fn literal(&self, key: &str) -> Option<Literal> {
        let mut cursor = self.get(key)?;
        let is_string = cursor.kind().ok()? == ValueKind::String;
        let literal = if is_string { cursor.literal().ok()? } else { return None };
        (!literal.is_empty()).then_some(literal)
    }

    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.literal(key).map(|literal| self.whole.text(literal))
    }

    pub(super) fn number(&self, key: &str) -> Option<u32> {
        let mut cursor = self.get(key)?;
        let is_number = cursor.kind().ok()? == ValueKind::Number;
        let digits = if is_number { cursor.number().ok()? } else { return None };
        cursor.slice(digits).parse().ok()
    }

    pub(super) fn object(&self, key: &str) -> Option<Fields<'a>> {
        Fields::read(&mut self.get(key)?).ok()?
    }

    pub(super) fn has_list(&self, key: &str) -> bool {
        self.kind(key) == Some(ValueKind::Array)
    }

    /// The objects of a list. What is no object keeps its place, as an object without members.
    pub(super) fn objects(&self, key: &str) -> Vec<Fields<'a>> {
        let read = || -> Scan<Vec<Fields<'a>>> {
            let mut all = Vec::new();
            let Some(mut cursor) = self.get(key) else { return Ok(all) };
            if cursor.kind()? != ValueKind::Array {
                return Ok(all);
            }
            let mut array = cursor.enter()?;
            while cursor.item(&mut array)? {
                let whole = cursor.clone();
                let fields = Fields::read(&mut cursor)?;
                all.push(fields.unwrap_or(Fields { members: Vec::new(), whole }));
            }
            Ok(all)
        };
        read().unwrap_or_default()
    }

    /// A small member as a tree; `null` counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<Value> {
        let mut cursor = self.get(key)?;
        let span = cursor.span().ok()?;
        serde_json::from_str(cursor.slice(span)).ok().filter(|value: &Value| !value.is_null())
    }
}

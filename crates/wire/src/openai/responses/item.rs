//! The items of `input`, as far as guards and estimates need them.

use std::ops::Range;

use super::read::noted;
use crate::{
    conversation::MESSAGES_MAX,
    json::{Cursor, Fail, Literal, Scan, ValueKind},
    openai::chat::message::{definitions, media},
    reading::{Seen, refuse_case_variant},
    text::{Found, Kind, Place, Role, all_strings, others},
};

#[derive(Default, Clone)]
pub(super) struct Items {
    pub count: usize,
    pub span: Range<usize>,
    pub media_count: u32,
    pub image_count: u32,
    /// An item that the provider keeps, by its id.
    pub reference: Option<String>,
}

pub(super) fn read(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<Items> {
    cursor.kind()?;
    let start = cursor.at();
    if cursor.kind()? != ValueKind::Array {
        return Err(Fail::field(start, "input", "must be a string or an array"));
    }
    let mut array = cursor.enter()?;
    let mut items = Items::default();
    while cursor.item(&mut array)? {
        if items.count == MESSAGES_MAX {
            let why = format_args!("has more than {MESSAGES_MAX} items");
            return Err(Fail::field(cursor.at(), "input", why));
        }
        Item { index: items.count as u32, texts: &mut *texts, items: &mut items }.read(cursor)?;
        items.count += 1;
    }
    items.span = start..cursor.at();
    Ok(items)
}

/// The `type` of the object that follows; the cursor stays before it.
pub(super) fn type_of(cursor: &Cursor<'_>) -> Scan<Option<String>> {
    let mut ahead = cursor.clone();
    if ahead.kind()? != ValueKind::Object {
        return Ok(None);
    }
    let mut object = ahead.enter()?;
    while let Some(key) = ahead.member(&mut object)? {
        if key == "type" && ahead.kind()? == ValueKind::String {
            let literal = ahead.literal()?;
            return Ok(Some(ahead.text(literal).into_owned()));
        }
        ahead.skip()?;
    }
    Ok(None)
}

/// What is read of an item. `encrypted_content` is no text, but a key all the same.
const KEYS: &[&str] = &[
    "type",
    "role",
    "content",
    "summary",
    "arguments",
    "input",
    "output",
    "action",
    "operation",
    "code",
    "queries",
    "results",
    "outputs",
    "error",
    "tools",
    "encrypted_content",
    "result",
    "id",
];
const PART_KEYS: &[&str] = &["type", "text", "refusal"];

struct Item<'t> {
    index: u32,
    texts: &'t mut Vec<Found>,
    items: &'t mut Items,
}

impl Item<'_> {
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let item = self.index;
        let mut object = cursor.expect_object(format_args!("input[{item}]"))?;
        let (first, start) = (self.texts.len(), object.key);
        let (mut kind, mut role, mut id) = (None, None, None);
        let mut has_content = false;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            let Some(bit) = KEYS.iter().position(|known| *known == key) else {
                refuse_case_variant(&key, KEYS, object.key)?;
                self.unknown(cursor, &key)?;
                continue;
            };
            seen.once(bit as u32, object.key, format_args!("input[{item}].{key}"))?;
            if cursor.null()? {
                continue;
            }
            let key = KEYS[bit];
            match key {
                "type" => {
                    let literal = cursor.expect_string(format_args!("input[{item}].type"))?;
                    kind = Some(cursor.text(literal).into_owned());
                }
                "role" => {
                    let literal = cursor.expect_string(format_args!("input[{item}].role"))?;
                    role = Some(Role::parse(&cursor.text(literal)));
                }
                "content" => {
                    has_content = true;
                    self.said(cursor, key, Role::Other, Kind::Words)?;
                }
                "summary" => self.said(cursor, key, Role::Assistant, Kind::Reasoning)?,
                "output" | "results" | "outputs" | "error" => {
                    self.said(cursor, key, Role::Tool, Kind::Words)?;
                }
                "arguments" | "input" | "action" | "operation" | "code" | "queries" => {
                    let place = self.place(None, key);
                    all_strings(cursor, &mut |literal| {
                        self.see(place, Role::Assistant, Kind::Arguments, literal)
                    })?;
                }
                "tools" => definitions(cursor, self.place(None, key), self.texts)?,
                "result" => {
                    self.count_media(true);
                    media(cursor, self.texts)?;
                }
                "id" => id = noted(cursor, self.texts)?,
                _ => cursor.skip()?,
            }
        }
        let kind = kind.as_deref();
        let is_message = matches!(kind, None | Some("message"));
        if is_message && role.is_none() && (has_content || id.is_none()) {
            return Err(Fail::field(start, format_args!("input[{item}].role"), "is missing"));
        }
        if kind == Some("item_reference") || (kind.is_none() && role.is_none()) {
            self.items.reference = self.items.reference.take().or(id);
        }
        self.name_speaker(first, role.unwrap_or_else(|| speaker(kind.unwrap_or(""))), kind);
        Ok(())
    }

    /// Role and type may stand behind the texts.
    fn name_speaker(&mut self, first: usize, role: Role, kind: Option<&str>) {
        for found in &mut self.texts[first..] {
            if found.role == Role::Other && !matches!(found.kind, Kind::Other | Kind::Definition) {
                found.role = role;
                if kind == Some("reasoning") && found.kind == Kind::Words {
                    found.kind = Kind::Reasoning;
                }
            }
        }
    }

    fn place(&self, inner: Option<(&'static str, u32)>, leaf: &'static str) -> Place {
        Place::Path { list: "input", item: self.index, inner, leaf }
    }

    fn see(&mut self, place: Place, role: Role, kind: Kind, literal: Literal) {
        if !literal.is_empty() {
            self.texts.push(Found { place, role, kind, literal });
        }
    }

    fn count_media(&mut self, is_image: bool) {
        self.items.media_count = self.items.media_count.saturating_add(1);
        self.items.image_count = self.items.image_count.saturating_add(is_image.into());
    }

    /// Members that we have no use for: names and marks for the record, anything else as words.
    fn unknown(&mut self, cursor: &mut Cursor<'_>, key: &str) -> Scan<()> {
        if matches!(
            key,
            "call_id" | "name" | "status" | "phase" | "namespace" | "server_label" | "approval_request_id"
        ) {
            return others(cursor, self.texts);
        }
        let place = self.place(None, "");
        all_strings(cursor, &mut |literal| self.see(place, Role::Other, Kind::Words, literal))
    }

    /// A string, one part, or a list of parts.
    fn said(&mut self, cursor: &mut Cursor<'_>, key: &'static str, role: Role, kind: Kind) -> Scan<()> {
        match cursor.kind()? {
            ValueKind::String => {
                let literal = cursor.literal()?;
                self.see(self.place(None, key), role, kind, literal);
            }
            ValueKind::Array => {
                let mut array = cursor.enter()?;
                let mut part = 0;
                while cursor.item(&mut array)? {
                    self.part(cursor, (key, part), role, kind)?;
                    part += 1;
                }
            }
            // The picture of a computer's screen.
            ValueKind::Object => self.part(cursor, (key, 0), role, kind)?,
            ValueKind::Number | ValueKind::True | ValueKind::False | ValueKind::Null => {
                let param = format_args!("input[{}].{key}", self.index);
                return Err(Fail::field(cursor.at(), param, "must be a string or an array"));
            }
        }
        Ok(())
    }

    fn part(&mut self, cursor: &mut Cursor<'_>, at: (&'static str, u32), role: Role, kind: Kind) -> Scan<()> {
        if cursor.kind()? != ValueKind::Object {
            let place = self.place(Some(at), "");
            return all_strings(cursor, &mut |literal| self.see(place, role, kind, literal));
        }
        let mut object = cursor.enter()?;
        let mut seen = Seen::default();
        let (mut is_media, mut is_image) = (false, false);
        while let Some(key) = cursor.member(&mut object)? {
            if let Some(bit) = PART_KEYS.iter().position(|known| *known == key) {
                let param = format_args!("input[{}].{}[{}].{key}", self.index, at.0, at.1);
                seen.once(bit as u32, object.key, param)?;
            }
            match &*key {
                "type" => {
                    let mut ahead = cursor.clone();
                    if ahead.kind()? == ValueKind::String {
                        let literal = ahead.literal()?;
                        is_image |= matches!(&*ahead.text(literal), "input_image" | "computer_screenshot");
                    }
                    cursor.skip()?;
                }
                "text" => {
                    let place = self.place(Some(at), "text");
                    all_strings(cursor, &mut |literal| self.see(place, role, kind, literal))?;
                }
                "refusal" => {
                    let place = self.place(Some(at), "refusal");
                    all_strings(cursor, &mut |literal| self.see(place, role, Kind::Refusal, literal))?;
                }
                "image_url" | "file_id" | "file_data" | "file_url" | "input_audio" | "video_url" => {
                    is_media |= at.0 != "results" && cursor.kind()? != ValueKind::Null;
                    media(cursor, self.texts)?;
                }
                // Marks that no model reads, and sources that an earlier answer named.
                "id" | "detail" | "annotations" | "logprobs" | "prompt_cache_breakpoint" => {
                    others(cursor, self.texts)?;
                }
                "encrypted_content" => cursor.skip()?,
                // Words of a kind that we do not know (`filename`, `stdout`, `logs` …) still reach the model.
                _ => {
                    refuse_case_variant(&key, PART_KEYS, object.key)?;
                    let place = self.place(Some(at), "");
                    all_strings(cursor, &mut |literal| self.see(place, role, kind, literal))?;
                }
            }
        }
        if is_media {
            self.count_media(is_image);
        }
        Ok(())
    }
}

/// Who speaks in an item that names no role.
fn speaker(kind: &str) -> Role {
    match kind {
        "mcp_approval_response" => Role::User,
        "reasoning" | "mcp_approval_request" | "mcp_list_tools" => Role::Assistant,
        _ if kind.ends_with("_output") => Role::Tool,
        _ if kind.ends_with("_call") => Role::Assistant,
        _ => Role::Other,
    }
}

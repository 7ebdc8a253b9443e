//! Messages and tools of a request, as far as guards and estimates need them.

use std::ops::Range;

use crate::{
    conversation::MESSAGES_MAX,
    json::{Cursor, Fail, Literal, Scan, ValueKind},
    reading::{Seen, refuse_case_variant},
    text::{Found, Kind, Place, Role, all_strings, other, others, strings_named},
};

#[derive(Default, Clone)]
pub(super) struct Messages {
    pub count: usize,
    pub span: Range<usize>,
    pub media_count: u32,
    pub image_count: u32,
}

pub(super) fn read(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<Messages> {
    cursor.kind()?;
    let start = cursor.at();
    let mut array = cursor.expect_array("messages")?;
    let mut messages = Messages::default();
    while cursor.item(&mut array)? {
        if messages.count == MESSAGES_MAX {
            return Err(Fail::field(
                cursor.at(),
                "messages",
                format_args!("has more than {MESSAGES_MAX} items"),
            ));
        }
        let mut reader = Message { index: messages.count as u32, texts, media_count: 0, image_count: 0 };
        reader.read(cursor)?;
        messages.media_count = messages.media_count.saturating_add(reader.media_count);
        messages.image_count = messages.image_count.saturating_add(reader.image_count);
        messages.count += 1;
    }
    messages.span = start..cursor.at();
    Ok(messages)
}

const KEYS: &[&str] =
    &["role", "content", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call"];
const PART_KEYS: &[&str] = &["type", "text"];

struct Message<'t> {
    index: u32,
    texts: &'t mut Vec<Found>,
    media_count: u32,
    image_count: u32,
}

impl Message<'_> {
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let message = self.index;
        let mut object = cursor.expect_object(format_args!("messages[{message}]"))?;
        let (first, start) = (self.texts.len(), object.key);
        let mut role = None;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            let Some(bit) = KEYS.iter().position(|known| *known == key) else {
                refuse_case_variant(&key, KEYS, object.key)?;
                others(cursor, self.texts)?;
                continue;
            };
            seen.once(bit as u32, object.key, format_args!("messages[{message}].{key}"))?;
            match KEYS[bit] {
                "role" => {
                    let literal = cursor.expect_string(format_args!("messages[{message}].role"))?;
                    role = Some(Role::parse(&cursor.text(literal)));
                }
                "content" => self.content(cursor)?,
                "refusal" => self.optional(cursor, Place::MessageRefusal { message }, Kind::Refusal)?,
                "tool_calls" => self.tool_calls(cursor)?,
                "function_call" => self.call(cursor, Place::FunctionCall { message })?,
                _ => self.optional(cursor, Place::MessageReasoning { message }, Kind::Reasoning)?,
            }
        }
        let Some(role) = role else {
            return Err(Fail::field(start, format_args!("messages[{message}].role"), "is missing"));
        };
        // The role may stand behind the texts.
        for found in &mut self.texts[first..] {
            found.role = role;
        }
        Ok(())
    }

    fn see(&mut self, place: Place, kind: Kind, literal: Literal) {
        if !literal.is_empty() {
            self.texts.push(Found { place, role: Role::Other, kind, literal });
        }
    }

    /// A string, or anything else that we pass over.
    fn optional(&mut self, cursor: &mut Cursor<'_>, place: Place, kind: Kind) -> Scan<()> {
        if cursor.kind()? == ValueKind::String {
            let literal = cursor.literal()?;
            self.see(place, kind, literal);
        } else {
            cursor.skip()?;
        }
        Ok(())
    }

    fn content(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let message = self.index;
        match cursor.kind()? {
            ValueKind::String => {
                let literal = cursor.literal()?;
                self.see(Place::Content { message }, Kind::Words, literal);
            }
            ValueKind::Null => cursor.word("null")?,
            ValueKind::Array => {
                let mut array = cursor.enter()?;
                let mut part = 0;
                while cursor.item(&mut array)? {
                    self.part(cursor, part)?;
                    part += 1;
                }
            }
            kind => {
                let param = format_args!("messages[{message}].content");
                let wanted = format_args!("must be a string or an array, not {}", kind.name());
                return Err(Fail::field(cursor.at(), param, wanted));
            }
        }
        Ok(())
    }

    fn part(&mut self, cursor: &mut Cursor<'_>, part: u32) -> Scan<()> {
        let message = self.index;
        // Some servers take plain strings as parts.
        if cursor.kind()? == ValueKind::String {
            let literal = cursor.literal()?;
            self.see(Place::PartOther { message, part }, Kind::Words, literal);
            return Ok(());
        }
        let mut object = cursor.expect_object(format_args!("messages[{message}].content[{part}]"))?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            if let Some(bit) = PART_KEYS.iter().position(|known| *known == key) {
                seen.once(bit as u32, object.key, format_args!("messages[{message}].content[{part}].{key}"))?;
            }
            match &*key {
                "text" => {
                    let literal =
                        cursor.expect_string(format_args!("messages[{message}].content[{part}].text"))?;
                    self.see(Place::Part { message, part }, Kind::Words, literal);
                }
                // Not words: bytes of media, and marks that providers check.
                "image_url" | "input_audio" | "file" | "video_url" | "audio_url" | "image" => {
                    self.media_count = self.media_count.saturating_add(1);
                    let is_image = matches!(&*key, "image_url" | "image");
                    self.image_count = self.image_count.saturating_add(is_image.into());
                    media(cursor, self.texts)?;
                }
                "type" | "id" | "cache_control" | "signature" | "data" => cursor.skip()?,
                // Words of a kind we do not know by name (`refusal`, `thinking`, `title` …) still reach the model.
                _ => {
                    refuse_case_variant(&key, PART_KEYS, object.key)?;
                    let place = Place::PartOther { message, part };
                    all_strings(cursor, &mut |literal| self.see(place, Kind::Words, literal))?;
                }
            }
        }
        Ok(())
    }

    fn tool_calls(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let message = self.index;
        if cursor.null()? {
            return Ok(());
        }
        let mut array = cursor.expect_array(format_args!("messages[{message}].tool_calls"))?;
        let mut call = 0;
        while cursor.item(&mut array)? {
            let mut object = cursor.expect_object(format_args!("messages[{message}].tool_calls[{call}]"))?;
            while let Some(key) = cursor.member(&mut object)? {
                match &*key {
                    "function" | "custom" => self.call(cursor, Place::Arguments { message, call })?,
                    _ => others(cursor, self.texts)?,
                }
            }
            call += 1;
        }
        Ok(())
    }

    /// The `{name, arguments}` of a call, or `{name, input}` of a custom tool's.
    fn call(&mut self, cursor: &mut Cursor<'_>, place: Place) -> Scan<()> {
        if cursor.kind()? != ValueKind::Object {
            cursor.skip()?;
            return Ok(());
        }
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match &*key {
                // Usually one string; some servers take the object itself.
                "arguments" | "input" => {
                    all_strings(cursor, &mut |literal| self.see(place, Kind::Arguments, literal))?
                }
                _ => others(cursor, self.texts)?,
            }
        }
        Ok(())
    }
}

fn push(texts: &mut Vec<Found>, place: Place, role: Role, kind: Kind, literal: Literal) {
    if !literal.is_empty() {
        texts.push(Found { place, role, kind, literal });
    }
}

/// Longer strings of media are their bytes in base64, which spell nothing.
const MEDIA_STRING_MAX: usize = 8192;

/// Addresses and names of images, sounds and files.
pub(crate) fn media(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<()> {
    all_strings(cursor, &mut |literal| {
        if literal.range().len() <= MEDIA_STRING_MAX {
            other(literal, texts);
        }
    })
}

/// Descriptions at any depth of the value that follows; its other strings are for the record.
pub(crate) fn definitions(cursor: &mut Cursor<'_>, place: Place, texts: &mut Vec<Found>) -> Scan<()> {
    strings_named(cursor, "description", &mut |literal, is_named| match is_named {
        true => push(texts, place, Role::Other, Kind::Definition, literal),
        false => other(literal, texts),
    })
}

/// The value of `prediction`: a plain string, or the `text` of its parts.
pub(super) fn prediction(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<()> {
    // It is the answer that the caller expects, so the assistant's words.
    let (place, role) = (Place::Prediction, Role::Assistant);
    let mut object = cursor.expect_object("prediction")?;
    while let Some(key) = cursor.member(&mut object)? {
        if key != "content" {
            others(cursor, texts)?;
        } else if cursor.kind()? == ValueKind::String {
            let literal = cursor.literal()?;
            push(texts, place, role, Kind::Words, literal);
        } else {
            strings_named(cursor, "text", &mut |literal, is_named| match is_named {
                true => push(texts, place, role, Kind::Words, literal),
                false => other(literal, texts),
            })?;
        }
    }
    Ok(())
}

/// One tool: its name (`function.name`, `custom.name`, or `name` of the old form) and its descriptions.
pub(super) fn tool(
    cursor: &mut Cursor<'_>,
    place: Place,
    names: &mut Vec<String>,
    texts: &mut Vec<Found>,
) -> Scan<()> {
    let mut object = cursor.expect_object(place)?;
    while let Some(key) = cursor.member(&mut object)? {
        let kind = cursor.kind()?;
        match (&*key, kind) {
            ("function" | "custom", ValueKind::Object) => {
                let mut inner = cursor.enter()?;
                while let Some(key) = cursor.member(&mut inner)? {
                    tool_member(cursor, &key, place, names, texts)?;
                }
            }
            _ => tool_member(cursor, &key, place, names, texts)?,
        }
    }
    Ok(())
}

fn tool_member(
    cursor: &mut Cursor<'_>,
    key: &str,
    place: Place,
    names: &mut Vec<String>,
    texts: &mut Vec<Found>,
) -> Scan<()> {
    match (key, cursor.kind()?) {
        ("name", ValueKind::String) => {
            let literal = cursor.literal()?;
            other(literal, texts);
            names.push(cursor.text(literal).into_owned());
        }
        ("description", ValueKind::String) => {
            let literal = cursor.literal()?;
            push(texts, place, Role::Other, Kind::Definition, literal);
        }
        _ => definitions(cursor, place, texts)?,
    }
    Ok(())
}

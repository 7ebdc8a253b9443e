//! Messages, system blocks and tools of a request, as far as guards and estimates need them.

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
    let mut reader = Reader { texts, media_count: 0, image_count: 0 };
    while cursor.item(&mut array)? {
        if messages.count == MESSAGES_MAX {
            let message = format_args!("has more than {MESSAGES_MAX} items");
            return Err(Fail::field(cursor.at(), "messages", message));
        }
        reader.message(cursor, messages.count as u32)?;
        messages.count += 1;
    }
    (messages.media_count, messages.image_count) = (reader.media_count, reader.image_count);
    messages.span = start..cursor.at();
    Ok(messages)
}

/// `system` as a lone string.
pub(super) fn system_text(literal: Literal, texts: &mut Vec<Found>) {
    let at = At { list: "system", item: 0, part: None, is_nested: false };
    push(texts, at.place(""), Role::System, Kind::Words, literal);
}

/// `system` as blocks, and how many there are.
pub(super) fn system_blocks(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<u32> {
    let first = texts.len();
    let mut reader = Reader { texts, media_count: 0, image_count: 0 };
    let mut array = cursor.enter()?;
    let mut item = 0;
    while cursor.item(&mut array)? {
        reader.block(cursor, At { list: "system", item, part: None, is_nested: false })?;
        item += 1;
    }
    texts[first..].iter_mut().for_each(|found| found.role = Role::System);
    Ok(item)
}

/// The block that is being read.
#[derive(Clone, Copy)]
struct At {
    list: &'static str,
    item: u32,
    part: Option<u32>,
    /// It stands within the content of a block (a tool's result, a document), whose place its texts have.
    is_nested: bool,
}

impl At {
    fn place(self, leaf: &'static str) -> Place {
        let inner = self.part.map(|part| ("content", part));
        let leaf = match (self.is_nested, leaf) {
            (false, leaf) => leaf,
            (true, "text") => "content[].text",
            (true, "content") => "content",
            (true, _) => "content[]",
        };
        Place::Path { list: self.list, item: self.item, inner, leaf }
    }
}

const KEYS: &[&str] = &["role", "content"];
const BLOCK_KEYS: &[&str] = &["type", "text", "thinking", "input", "content", "source", "data"];
const SOURCE_KEYS: &[&str] = &["type", "data", "content", "url"];

/// Longer strings of media are their bytes in base64, which spell nothing.
const MEDIA_STRING_MAX: usize = 8192;

struct Reader<'t> {
    texts: &'t mut Vec<Found>,
    media_count: u32,
    image_count: u32,
}

impl Reader<'_> {
    fn message(&mut self, cursor: &mut Cursor<'_>, message: u32) -> Scan<()> {
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
            if key == "role" {
                let literal = cursor.expect_string(format_args!("messages[{message}].role"))?;
                role = Some(Role::parse(&cursor.text(literal)));
                continue;
            }
            match cursor.kind()? {
                ValueKind::String | ValueKind::Array => {
                    let at = At { list: "messages", item: message, part: None, is_nested: false };
                    self.content(cursor, at)?;
                }
                kind => {
                    let param = format_args!("messages[{message}].content");
                    let wanted = format_args!("must be a string or an array, not {}", kind.name());
                    return Err(Fail::field(cursor.at(), param, wanted));
                }
            }
        }
        let Some(role) = role else {
            return Err(Fail::field(start, format_args!("messages[{message}].role"), "is missing"));
        };
        // The role may stand behind the texts. What a tool gave back stays the tool's.
        for found in self.texts[first..].iter_mut().filter(|found| found.role == Role::Other) {
            found.role = role;
        }
        Ok(())
    }

    fn see(&mut self, place: Place, kind: Kind, literal: Literal) {
        push(self.texts, place, Role::Other, kind, literal);
    }

    fn words(&mut self, cursor: &mut Cursor<'_>, place: Place, kind: Kind) -> Scan<()> {
        all_strings(cursor, &mut |literal| self.see(place, kind, literal))
    }

    /// A string, blocks, or one block by itself (the result of a tool that the provider runs).
    fn content(&mut self, cursor: &mut Cursor<'_>, at: At) -> Scan<()> {
        match cursor.kind()? {
            ValueKind::Array => {
                let mut array = cursor.enter()?;
                let mut part = 0;
                while cursor.item(&mut array)? {
                    // Blocks within a block keep its place.
                    let part_of = if at.is_nested { at.part } else { Some(part) };
                    self.block(cursor, At { part: part_of, ..at })?;
                    part = part.saturating_add(1);
                }
                Ok(())
            }
            ValueKind::Object => self.block(cursor, at),
            _ => {
                let leaf = if at.list == "messages" { "content" } else { "" };
                self.words(cursor, at.place(leaf), Kind::Words)
            }
        }
    }

    fn block(&mut self, cursor: &mut Cursor<'_>, at: At) -> Scan<()> {
        // Providers refuse anything else, but some compatible server may take it.
        if cursor.kind()? == ValueKind::String {
            return self.words(cursor, at.place(""), Kind::Words);
        }
        let mut object = cursor.expect_object(at.place(""))?;
        let first = self.texts.len();
        let (mut kind, mut data, mut media) = (None, None, false);
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            match BLOCK_KEYS.iter().position(|known| *known == key) {
                Some(bit) => {
                    seen.once(bit as u32, object.key, format_args!("{}.{key}", at.place("")))?;
                }
                None => refuse_case_variant(&key, BLOCK_KEYS, object.key)?,
            }
            match (&*key, cursor.kind()?) {
                ("type", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    kind = Some(cursor.text(literal));
                }
                ("data", ValueKind::String) => data = Some(cursor.literal()?),
                ("text", _) => self.words(cursor, at.place("text"), Kind::Words)?,
                ("thinking", _) => self.words(cursor, at.place("thinking"), Kind::Reasoning)?,
                ("input", _) => self.words(cursor, at.place("input"), Kind::Arguments)?,
                ("content", _) => self.content(cursor, At { is_nested: true, ..at })?,
                ("source", ValueKind::Object) => media |= self.source(cursor, at)?,
                ("citations", _) => self.citations(cursor)?,
                // Marks that only the provider reads.
                (
                    "signature" | "encrypted_content" | "encrypted_stdout" | "cache_control" | "id"
                    | "tool_use_id",
                    _,
                ) => cursor.skip()?,
                ("name" | "server_name" | "tool_name" | "file_id" | "caller", _) => {
                    others(cursor, self.texts)?
                }
                // `title`, `context`, `stdout`, a `source` that is an address, and what we do not know by name.
                _ => self.words(cursor, at.place(""), Kind::Words)?,
            }
        }
        let kind = kind.as_deref().unwrap_or("");
        if let Some(literal) = data.filter(|_| kind != "redacted_thinking") {
            self.see(at.place(""), Kind::Words, literal);
            self.texts[first..].sort_by_key(|found| found.literal.start);
        }
        if media {
            self.media_count = self.media_count.saturating_add(1);
            self.image_count = self.image_count.saturating_add(u32::from(kind == "image"));
        }
        // Also what tools gave back that the provider runs (`web_search_tool_result` …).
        if kind.ends_with("tool_result") {
            let said = self.texts[first..].iter_mut().filter(|found| found.kind != Kind::Other);
            said.for_each(|found| found.role = Role::Tool);
        }
        Ok(())
    }

    /// Where a picture or a document comes from. True where it is media; a document may be plain words.
    fn source(&mut self, cursor: &mut Cursor<'_>, at: At) -> Scan<bool> {
        let mut object = cursor.enter()?;
        let first = self.texts.len();
        let (mut kind, mut data) = (None, None);
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            match SOURCE_KEYS.iter().position(|known| *known == key) {
                Some(bit) => {
                    seen.once(bit as u32, object.key, format_args!("{}.{key}", at.place("source")))?;
                }
                None => refuse_case_variant(&key, SOURCE_KEYS, object.key)?,
            }
            match (&*key, cursor.kind()?) {
                ("type", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    kind = Some(cursor.text(literal));
                }
                ("data", ValueKind::String) => data = Some(cursor.literal()?),
                ("content", _) => self.content(cursor, At { is_nested: true, ..at })?,
                ("media_type" | "file_id", _) => others(cursor, self.texts)?,
                ("url", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    if literal.range().len() <= MEDIA_STRING_MAX {
                        other(literal, self.texts);
                    }
                }
                _ => self.words(cursor, at.place("source"), Kind::Words)?,
            }
        }
        let kind = kind.as_deref().unwrap_or("");
        if let Some(literal) = data.filter(|_| kind != "base64") {
            self.see(at.place("source"), Kind::Words, literal);
            self.texts[first..].sort_by_key(|found| found.literal.start);
        }
        Ok(!matches!(kind, "text" | "content"))
    }

    /// What earlier answers named as their sources, which no model reads again; or the wish for such.
    fn citations(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let texts = &mut *self.texts;
        strings_named(cursor, "encrypted_index", &mut |literal, is_sealed| {
            if !is_sealed {
                other(literal, texts);
            }
        })
    }
}

fn push(texts: &mut Vec<Found>, place: Place, role: Role, kind: Kind, literal: Literal) {
    if !literal.is_empty() {
        texts.push(Found { place, role, kind, literal });
    }
}

/// Descriptions at any depth of the value that follows; its other strings are for the record.
pub(super) fn definitions(cursor: &mut Cursor<'_>, place: Place, texts: &mut Vec<Found>) -> Scan<()> {
    strings_named(cursor, "description", &mut |literal, is_named| match is_named {
        true => push(texts, place, Role::Other, Kind::Definition, literal),
        false => other(literal, texts),
    })
}

/// One tool, the caller's or the provider's own: its name and its descriptions.
pub(super) fn tool(
    cursor: &mut Cursor<'_>,
    tool: u32,
    names: &mut Vec<String>,
    texts: &mut Vec<Found>,
) -> Scan<()> {
    let place = Place::Tool { tool };
    let mut object = cursor.expect_object(place)?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("name", ValueKind::String) => {
                let literal = cursor.literal()?;
                other(literal, texts);
                names.push(cursor.text(literal).into_owned());
            }
            ("description", ValueKind::String) => {
                let literal = cursor.literal()?;
                push(texts, place, Role::Other, Kind::Definition, literal);
            }
            ("input_examples", _) => all_strings(cursor, &mut |literal| {
                push(texts, place, Role::Other, Kind::Definition, literal);
            })?,
            _ => definitions(cursor, place, texts)?,
        }
    }
    Ok(())
}

//! Contents and their parts, as far as guards and estimates need them.

use std::fmt;

use super::{List, Object};
use crate::{
    gemini::names::known,
    json::{Cursor, Fail, Literal, Scan, ValueKind},
    reading::Seen,
    text::{Found, Kind, Place, Role, all_strings, other, others},
};

/// Images, sounds and files.
#[derive(Clone, Copy, Default)]
pub(super) struct Media {
    pub count: u32,
    pub images: u32,
}

const KEYS: &[&str] = &["role", "parts"];

const PART_KEYS: &[&str] = &[
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];

/// Longer addresses are bytes in disguise (`data:…`), which spell nothing.
const MEDIA_STRING_MAX: usize = 8192;

pub(super) fn contents(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>, media: &mut Media) -> Scan<List> {
    List::walk(cursor, "contents", |cursor, index| {
        let home = Home { list: "contents", item: Some(index) };
        Reader { home, texts, media }.content(cursor).map(drop)
    })
}

/// `systemInstruction`: a content whose role says nothing.
pub(super) fn system(
    cursor: &mut Cursor<'_>,
    texts: &mut Vec<Found>,
    media: &mut Media,
) -> Scan<(Object, List)> {
    let home = Home { list: "systemInstruction.parts", item: None };
    Reader { home, texts, media }.content(cursor)
}

/// Where a content stands.
#[derive(Clone, Copy)]
struct Home {
    list: &'static str,
    /// None for the system instruction, which is no list.
    item: Option<u32>,
}

impl Home {
    fn place(self, part: u32, leaf: &'static str) -> Place {
        match self.item {
            Some(item) => Place::Path { list: self.list, item, inner: Some(("parts", part)), leaf },
            None => Place::Path { list: self.list, item: part, inner: None, leaf },
        }
    }

    fn part(self, part: u32) -> PartName {
        PartName(self, part)
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            Some(item) => write!(f, "{}[{item}]", self.list),
            None => f.write_str("systemInstruction"),
        }
    }
}

/// The path of a part, which is spelt out in errors only: requests have many parts.
#[derive(Clone, Copy)]
struct PartName(Home, u32);

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.parts[{}]", self.0, self.1)
    }
}

struct Reader<'t> {
    home: Home,
    texts: &'t mut Vec<Found>,
    media: &'t mut Media,
}

impl Reader<'_> {
    fn content(&mut self, cursor: &mut Cursor<'_>) -> Scan<(Object, List)> {
        let home = self.home;
        let mut object = cursor.expect_object(home)?;
        let at = cursor.at();
        let first = self.texts.len();
        let (mut role, mut parts, mut is_empty) = (Role::User, List::Absent, true);
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            is_empty = false;
            let Some(bit) = known(&key, KEYS, object.key)? else {
                others(cursor, self.texts)?;
                continue;
            };
            seen.once(bit as u32, object.key, format_args!("{home}.{}", KEYS[bit]))?;
            if KEYS[bit] == "parts" {
                let param = format_args!("{home}.parts");
                parts = List::walk(cursor, param, |cursor, part| self.part(cursor, part))?;
            } else if !cursor.null()? {
                let literal = cursor.expect_string(format_args!("{home}.role"))?;
                role = match &*cursor.text(literal) {
                    "model" => Role::Assistant,
                    // A role that is empty counts as none.
                    "" => Role::User,
                    word => Role::parse(word),
                };
            }
        }
        if home.item.is_none() {
            role = Role::System;
        }
        // The role may stand behind the texts; what tools gave back has its own already.
        for found in &mut self.texts[first..] {
            if found.role == Role::Other && found.kind != Kind::Other {
                found.role = role;
            }
        }
        Ok((Object::Open { at, is_empty }, parts))
    }

    fn see(&mut self, place: Place, role: Role, kind: Kind, literal: Literal) {
        if !literal.is_empty() {
            self.texts.push(Found { place, role, kind, literal });
        }
    }

    fn see_all(&mut self, cursor: &mut Cursor<'_>, place: Place, role: Role, kind: Kind) -> Scan<()> {
        all_strings(cursor, &mut |literal| self.see(place, role, kind, literal))
    }

    fn part(&mut self, cursor: &mut Cursor<'_>, part: u32) -> Scan<()> {
        let home = self.home;
        let param = home.part(part);
        let mut object = cursor.expect_object(param)?;
        let mut seen = Seen::default();
        let (mut is_thought, mut text) = (false, None);
        while let Some(key) = cursor.member(&mut object)? {
            let Some(bit) = known(&key, PART_KEYS, object.key)? else {
                match &*key {
                    // Settings, which no model reads as words.
                    "videoMetadata" | "video_metadata" | "mediaResolution" | "media_resolution"
                    | "partMetadata" | "part_metadata" => others(cursor, self.texts)?,
                    // Parts of a kind that we do not know may still reach the model.
                    _ => self.see_all(cursor, home.place(part, ""), Role::Other, Kind::Words)?,
                }
                continue;
            };
            let key = PART_KEYS[bit];
            seen.once(bit as u32, object.key, format_args!("{param}.{key}"))?;
            if cursor.null()? {
                continue;
            }
            match key {
                "text" => {
                    let literal = cursor.expect_string(format_args!("{param}.text"))?;
                    text = Some(self.texts.len());
                    self.see(home.place(part, "text"), Role::Other, Kind::Words, literal);
                }
                "thought" => is_thought = cursor.expect_bool(format_args!("{param}.thought"))?,
                // Sealed bytes spell nothing.
                "thoughtSignature" => cursor.skip()?,
                "inlineData" | "fileData" => self.media(cursor)?,
                "functionCall" => self.call(cursor, part)?,
                "functionResponse" => self.response(cursor, part)?,
                "executableCode" => {
                    self.see_all(cursor, home.place(part, "executableCode"), Role::Other, Kind::Words)?;
                }
                _ => {
                    self.see_all(cursor, home.place(part, "codeExecutionResult"), Role::Tool, Kind::Words)?
                }
            }
        }
        if is_thought && let Some(found) = text.and_then(|at| self.texts.get_mut(at)) {
            found.kind = Kind::Reasoning;
        }
        Ok(())
    }

    /// Types, addresses and names of a picture, a sound or a file.
    fn media(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        self.media.count = self.media.count.saturating_add(1);
        let mut object = cursor.expect_object("inlineData")?;
        while let Some(key) = cursor.member(&mut object)? {
            if cursor.kind()? != ValueKind::String {
                others(cursor, self.texts)?;
                continue;
            }
            let literal = cursor.literal()?;
            let is_type = matches!(&*key, "mimeType" | "mime_type");
            if is_type && cursor.slice(literal.range()).starts_with("image") {
                self.media.images = self.media.images.saturating_add(1);
            }
            if key != "data" && literal.range().len() <= MEDIA_STRING_MAX {
                other(literal, self.texts);
            }
        }
        Ok(())
    }

    fn call(&mut self, cursor: &mut Cursor<'_>, part: u32) -> Scan<()> {
        let mut object = cursor.expect_object("functionCall")?;
        let mut has_args = false;
        while let Some(key) = cursor.member(&mut object)? {
            match known(&key, &["args"], object.key)? {
                Some(_) if has_args => return Err(twice(object.key, "functionCall.args")),
                Some(_) => {
                    has_args = true;
                    let place = self.home.place(part, "functionCall.args");
                    self.see_all(cursor, place, Role::Other, Kind::Arguments)?;
                }
                None => others(cursor, self.texts)?,
            }
        }
        Ok(())
    }

    fn response(&mut self, cursor: &mut Cursor<'_>, part: u32) -> Scan<()> {
        let mut object = cursor.expect_object("functionResponse")?;
        let mut has_response = false;
        while let Some(key) = cursor.member(&mut object)? {
            let place = self.home.place(part, "functionResponse.response");
            match known(&key, &["response", "parts"], object.key)? {
                Some(0) if has_response => return Err(twice(object.key, "functionResponse.response")),
                Some(0) => {
                    has_response = true;
                    self.see_all(cursor, place, Role::Tool, Kind::Words)?;
                }
                Some(_) => {
                    List::walk(cursor, "functionResponse.parts", |cursor, _| {
                        let mut object = cursor.expect_object("functionResponse.parts")?;
                        while let Some(key) = cursor.member(&mut object)? {
                            match known(&key, &["inlineData", "fileData"], object.key)? {
                                Some(_) => self.media(cursor)?,
                                None => self.see_all(cursor, place, Role::Tool, Kind::Words)?,
                            }
                        }
                        Ok(())
                    })?;
                }
                None => others(cursor, self.texts)?,
            }
        }
        Ok(())
    }
}

fn twice(at: usize, param: &str) -> Box<Fail> {
    Fail::field(at, param, "is given twice")
}

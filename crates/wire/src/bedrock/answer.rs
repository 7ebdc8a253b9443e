//! A Converse answer, whole or streamed, as events.

mod flow;

use bytes::Bytes;
use gauntlet_types::{Citation, Dialect, Event, Finish, Seal, Sealed, ServiceTier};

pub(crate) use flow::Flow;

use super::usage;
use crate::{
    answer::{AnswerText, Channel, Key, PlainAnswer, SealAt},
    json::{Cursor, Fail, Literal, Malformed, Scan, ValueKind},
    text::{Found, Kind, Place, Role, all_strings},
    usage::{members, tier},
};

fn finish(word: &str) -> Finish {
    match word {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "tool_use" => Finish::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

fn seal(on: Sealed, data: String) -> Event {
    Event::Seal { choice: 0, seal: Seal { by: Dialect::Converse, on, id: None, data } }
}

#[derive(Default)]
struct Reading {
    events: Vec<Event>,
    texts: Vec<Found>,
    seals: Vec<SealAt>,
    calls: u32,
    block: u32,
}

/// Reads a whole answer. Malformed when it is not JSON, or is neither an answer nor an error.
pub fn read_plain(body: &Bytes) -> Result<PlainAnswer, Malformed> {
    let mut reading = Reading::default();
    let has_output = reading.read(body).map_err(|fail| fail.locate(body))?;
    let mut error = None;
    if !has_output {
        error = super::error::from_slice(body);
        if error.is_none() {
            return Err(Malformed::field("output", "is missing from the answer"));
        }
    }
    let texts = reading.texts.iter();
    let texts = texts.map(|found| AnswerText { choice: 0, segment: found.segment(body) }).collect();
    Ok(PlainAnswer { events: reading.events, texts, seals: reading.seals, error })
}

impl Reading {
    fn read(&mut self, body: &[u8]) -> Scan<bool> {
        let mut cursor = Cursor::new(body)?;
        let cursor = &mut cursor;
        if cursor.kind().ok() != Some(ValueKind::Object) {
            return Err(Fail::new(cursor.at(), "the answer is not a JSON object"));
        }
        let (mut has_output, mut why, mut used, mut served) = (false, None, None, None);
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("output", ValueKind::Object) => {
                    has_output = true;
                    self.output(cursor)?;
                }
                ("stopReason", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    why = Some(finish(&cursor.text(literal)));
                }
                ("usage", ValueKind::Object) => used = usage::read(cursor)?,
                ("serviceTier", ValueKind::Object) => served = service_tier(cursor)?,
                _ => cursor.skip()?,
            }
        }
        cursor.finish()?;
        self.events.extend(why.map(|why| Event::Finish { choice: 0, why }));
        if let Some(mut usage) = used {
            usage.tier = served.unwrap_or(usage.tier);
            self.events.push(Event::Usage(usage));
        }
        Ok(has_output)
    }

    fn output(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        members(cursor, |key, cursor| match key {
            "message" => members(cursor, |key, cursor| match (key, cursor.kind()?) {
                ("content", ValueKind::Array) => {
                    let mut array = cursor.enter()?;
                    while cursor.item(&mut array)? {
                        members(cursor, |key, cursor| self.member(key, cursor))?;
                        self.block = self.block.saturating_add(1);
                    }
                    Ok(())
                }
                _ => cursor.skip(),
            })
            .map(drop),
            _ => cursor.skip(),
        })
        .map(drop)
    }

    fn key(&self, channel: Channel) -> Key {
        Key { choice: 0, part: self.block, channel }
    }

    fn see(&mut self, cursor: &Cursor<'_>, literal: Literal, is_thought: bool) {
        if literal.is_empty() {
            return;
        }
        let text = cursor.text(literal).into_owned();
        let (place, kind, event) = match is_thought {
            true => {
                (Place::AnswerReasoning { choice: 0 }, Kind::Reasoning, Event::Reasoning { choice: 0, text })
            }
            false => (Place::AnswerContent { choice: 0 }, Kind::Words, Event::Text { choice: 0, text }),
        };
        self.texts.push(Found { place, role: Role::Assistant, kind, literal });
        self.events.push(event);
    }

    /// A member of a content block, which has one.
    fn member(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Scan<()> {
        match (key, cursor.kind()?) {
            ("text", ValueKind::String) => {
                let literal = cursor.literal()?;
                self.see(cursor, literal, false);
            }
            ("toolUse", ValueKind::Object) => self.call(cursor)?,
            ("reasoningContent", ValueKind::Object) => self.reasoning(cursor)?,
            ("citationsContent", ValueKind::Object) => {
                members(cursor, |key, cursor| match (key, cursor.kind()?) {
                    ("content", ValueKind::Array) => {
                        let mut array = cursor.enter()?;
                        while cursor.item(&mut array)? {
                            members(cursor, |key, cursor| self.member(key, cursor))?;
                        }
                        Ok(())
                    }
                    ("citations", ValueKind::Array) => {
                        let mut array = cursor.enter()?;
                        while cursor.item(&mut array)? {
                            let citation = citation(cursor)?;
                            self.events.push(Event::Citation { choice: 0, citation });
                        }
                        Ok(())
                    }
                    _ => cursor.skip(),
                })?;
            }
            ("image" | "audio" | "video", ValueKind::Object) => {
                let kind = key.to_owned();
                self.events.extend(media(cursor, &kind)?);
            }
            _ => all_strings(cursor, &mut |literal| {
                // Of a block that we do not know, its words still reach the caller.
                let place = Place::AnswerContent { choice: 0 };
                if !literal.is_empty() {
                    self.texts.push(Found { place, role: Role::Assistant, kind: Kind::Words, literal });
                }
            })?,
        }
        Ok(())
    }

    fn call(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        let (mut id, mut name, mut arguments) = (None, None, "{}".to_owned());
        members(cursor, |key, cursor| {
            match (key, cursor.kind()?) {
                ("toolUseId", ValueKind::String) => id = word(cursor)?,
                ("name", ValueKind::String) => name = word(cursor)?,
                ("input", _) => {
                    let start = cursor.at();
                    all_strings(cursor, &mut |literal| {
                        let place = Place::AnswerArguments { choice: 0, call: index };
                        if !literal.is_empty() {
                            let kind = Kind::Arguments;
                            self.texts.push(Found { place, role: Role::Assistant, kind, literal });
                        }
                    })?;
                    arguments = cursor.slice(start..cursor.at()).to_owned();
                }
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        self.events.push(Event::ToolCall { choice: 0, index, id, name, arguments });
        Ok(())
    }

    fn reasoning(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        members(cursor, |key, cursor| {
            match (key, cursor.kind()?) {
                ("reasoningText", ValueKind::Object) => {
                    let (mut text, mut signature) = (None, None);
                    members(cursor, |key, cursor| {
                        match (key, cursor.kind()?) {
                            ("text", ValueKind::String) => text = Some(cursor.literal()?),
                            ("signature", ValueKind::String) => signature = Some(cursor.literal()?),
                            _ => cursor.skip()?,
                        }
                        Ok(())
                    })?;
                    if let Some(text) = text {
                        self.see(cursor, text, true);
                    }
                    if let Some(signature) = signature.filter(|literal| !literal.is_empty()) {
                        let text = text.map_or(0..0, Literal::range);
                        let key = self.key(Channel::Reasoning);
                        self.seals.push(SealAt { text, key, raw: signature.range() });
                        self.events.push(seal(Sealed::Reasoning, cursor.text(signature).into_owned()));
                    }
                }
                ("redactedContent", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    self.events.push(seal(Sealed::Redacted, cursor.text(literal).into_owned()));
                }
                _ => cursor.skip()?,
            }
            Ok(())
        })
        .map(drop)
    }
}

/// `{"title", "source", "sourceContent": [{"text"}], "location": {"web": {"url"}}}`
fn citation(cursor: &mut Cursor<'_>) -> Scan<Citation> {
    let (mut citation, mut cited) = (Citation::default(), String::new());
    members(cursor, |key, cursor| {
        match (key, cursor.kind()?) {
            ("title", ValueKind::String) => citation.title = word(cursor)?,
            // Of a search result its address; of a document its name.
            ("source", ValueKind::String) => {
                let source = word(cursor)?.filter(|source| source.starts_with("http"));
                citation.url = citation.url.take().or(source);
            }
            ("sourceContent", ValueKind::Array) => {
                let mut array = cursor.enter()?;
                while cursor.item(&mut array)? {
                    members(cursor, |key, cursor| {
                        match (key, cursor.kind()?) {
                            ("text", ValueKind::String) => cited.push_str(&word(cursor)?.unwrap_or_default()),
                            _ => cursor.skip()?,
                        }
                        Ok(())
                    })?;
                }
            }
            ("location", ValueKind::Object) => {
                members(cursor, |_, cursor| {
                    members(cursor, |key, cursor| {
                        match (key, cursor.kind()?) {
                            ("url", ValueKind::String) => citation.url = word(cursor)?,
                            _ => cursor.skip()?,
                        }
                        Ok(())
                    })
                    .map(drop)
                })?;
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    citation.cited = (!cited.is_empty()).then_some(cited);
    Ok(citation)
}

/// `{"type": "flex"}`
fn service_tier(cursor: &mut Cursor<'_>) -> Scan<Option<ServiceTier>> {
    let mut served = None;
    members(cursor, |key, cursor| {
        match key {
            "type" => served = tier(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(served)
}

/// `{"format": "png", "source": {"bytes": …}}`
fn media(cursor: &mut Cursor<'_>, kind: &str) -> Scan<Option<Event>> {
    let (mut format, mut data) = (None, None);
    members(cursor, |key, cursor| {
        match (key, cursor.kind()?) {
            ("format", ValueKind::String) => format = word(cursor)?,
            ("source", ValueKind::Object) => {
                members(cursor, |key, cursor| {
                    match (key, cursor.kind()?) {
                        ("bytes", ValueKind::String) => data = word(cursor)?,
                        _ => cursor.skip()?,
                    }
                    Ok(())
                })?;
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    let mime = format!("{kind}/{}", format.as_deref().unwrap_or("png"));
    Ok(data.map(|data| Event::Media { choice: 0, mime, data }))
}

fn word(cursor: &mut Cursor<'_>) -> Scan<Option<String>> {
    let literal = cursor.literal()?;
    Ok((!literal.is_empty()).then(|| cursor.text(literal).into_owned()))
}

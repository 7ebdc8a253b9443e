//! A Converse answer, whole or streamed, as events.

use bytes::Bytes;
use gauntlet_types::{Citation, Dialect, Event, Fault, Finish, Seal, Sealed};

use super::usage;
use crate::{
    answer::{AnswerText, Channel, Chunk, End, Extent, Key, PlainAnswer, SealAt, TextDelta},
    json::{Cursor, Fail, Literal, Malformed, Scan, ValueKind},
    openai::error::from_value,
    sse::Frame,
    text::{Found, Kind, Place, Role, all_strings},
    usage::{count, members, tier},
};

/// Blocks of one answer whose calls are told apart; real ones have a handful.
const BLOCKS_MAX: usize = 1_000;

/// Bytes of a signature that are joined from its pieces: a hundred times the longest seen.
const SIGNATURE_MAX: usize = 1 << 20;

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
        // `{"message": …}`, its kind in a header or in `__type`.
        error = serde_json::from_slice(body).ok().as_ref().and_then(from_value);
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
                ("serviceTier", ValueKind::Object) => {
                    members(cursor, |key, cursor| {
                        match key {
                            "type" => served = tier(cursor)?,
                            _ => cursor.skip()?,
                        }
                        Ok(())
                    })?;
                }
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
    let mime = format!("{kind}/{}", format.as_deref().unwrap_or("octet-stream"));
    Ok(data.map(|data| Event::Media { choice: 0, mime, data }))
}

fn word(cursor: &mut Cursor<'_>) -> Scan<Option<String>> {
    let literal = cursor.literal()?;
    Ok((!literal.is_empty()).then(|| cursor.text(literal).into_owned()))
}

/// A stream as it is read; it goes to nobody as it is, so that nothing is written.
#[derive(Default, Debug)]
pub(crate) struct Flow {
    /// The block of each call, by the call's index.
    calls: Vec<u32>,
    signature: String,
}

/// A frame's members, whatever its event.
#[derive(Default)]
struct Payload {
    block: u32,
    chunk: Chunk,
    signature: String,
    is_call: bool,
    id: Option<String>,
    name: Option<String>,
    input: String,
    message: Option<String>,
}

impl Flow {
    pub(crate) fn read(&mut self, frame: &Frame, data: &[u8]) -> Result<Chunk, Malformed> {
        let event = std::str::from_utf8(frame.event().unwrap_or_default()).unwrap_or_default();
        self.event(event, data).map_err(|fail| fail.locate(data))
    }

    pub(crate) fn sent(&mut self, _: &Frame, _: &Chunk) {}

    pub(crate) fn piece(&self, _: Key, _: &str) -> Bytes {
        Bytes::new()
    }

    pub(crate) fn close(&mut self, _: &str, _: Finish) -> Vec<Bytes> {
        Vec::new()
    }

    pub(crate) fn error(&mut self, _: &Fault, _: &str) -> Vec<Bytes> {
        Vec::new()
    }

    fn event(&mut self, event: &str, data: &[u8]) -> Scan<Chunk> {
        if data.trim_ascii().is_empty() {
            return Ok(Chunk::default());
        }
        let mut cursor = Cursor::new(data)?;
        let mut payload = Payload::default();
        let mut object = cursor.expect_object("the event")?;
        while let Some(key) = cursor.member(&mut object)? {
            payload.member(&key, &mut cursor)?;
        }
        cursor.finish()?;
        Ok(self.understand(event, payload))
    }

    fn understand(&mut self, event: &str, mut payload: Payload) -> Chunk {
        let part = payload.block;
        for text in &mut payload.chunk.texts {
            // The number of the block may stand behind its words.
            text.key.part = part;
        }
        if payload.is_call || !payload.input.is_empty() {
            self.call(&mut payload);
        }
        if self.signature.len() + payload.signature.len() <= SIGNATURE_MAX {
            self.signature.push_str(&payload.signature);
        }
        let mut chunk = payload.chunk;
        match event {
            "contentBlockStop" => {
                let signature = std::mem::take(&mut self.signature);
                if !signature.is_empty() {
                    chunk.events.push(seal(Sealed::Reasoning, signature));
                }
                chunk.ends.push(End::Part { choice: 0, part });
            }
            "messageStop" => chunk.ends.push(End::Choice(0)),
            "metadata" => {
                chunk.is_done = true;
                chunk.events.push(Event::Done);
            }
            _ if event.ends_with("Exception") || event.ends_with("Error") => {
                let message = payload.message.unwrap_or_else(|| "the provider reported an error".into());
                chunk.events.push(Event::Error { code: Some(event.to_owned()), message });
            }
            _ => {}
        }
        chunk
    }

    fn call(&mut self, payload: &mut Payload) {
        let known = self.calls.iter().position(|block| *block == payload.block);
        let index = match known {
            Some(index) => index,
            None if self.calls.len() == BLOCKS_MAX => return,
            None => {
                self.calls.push(payload.block);
                self.calls.len() - 1
            }
        } as u32;
        for text in &mut payload.chunk.texts {
            if let Channel::Arguments(call) = &mut text.key.channel {
                *call = index;
            }
        }
        let arguments = std::mem::take(&mut payload.input);
        let (id, name) = (payload.id.take(), payload.name.take());
        payload.chunk.events.push(Event::ToolCall { choice: 0, index, id, name, arguments });
    }
}

impl Payload {
    fn member(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Scan<()> {
        match (key, cursor.kind()?) {
            ("contentBlockIndex", _) => self.block = count(cursor)?.unwrap_or(0),
            ("start", ValueKind::Object) => {
                members(cursor, |key, cursor| match key {
                    "toolUse" => {
                        self.is_call = true;
                        members(cursor, |key, cursor| {
                            match (key, cursor.kind()?) {
                                ("toolUseId", ValueKind::String) => self.id = word(cursor)?,
                                ("name", ValueKind::String) => self.name = word(cursor)?,
                                _ => cursor.skip()?,
                            }
                            Ok(())
                        })
                        .map(drop)
                    }
                    _ => cursor.skip(),
                })?;
            }
            ("delta", ValueKind::Object) => {
                members(cursor, |key, cursor| self.delta(key, cursor))?;
            }
            ("stopReason", ValueKind::String) => {
                let literal = cursor.literal()?;
                let why = finish(&cursor.text(literal));
                self.chunk.events.push(Event::Finish { choice: 0, why });
            }
            ("usage", ValueKind::Object) => {
                self.chunk.events.extend(usage::read(cursor)?.map(Event::Usage));
            }
            ("message" | "Message", ValueKind::String) => self.message = word(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    }

    fn delta(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Scan<()> {
        match (key, cursor.kind()?) {
            ("text", ValueKind::String) => self.see(cursor, Channel::Content)?,
            ("toolUse", ValueKind::Object) => {
                members(cursor, |key, cursor| match (key, cursor.kind()?) {
                    ("input", ValueKind::String) => self.see(cursor, Channel::Arguments(0)),
                    _ => cursor.skip(),
                })?;
            }
            ("reasoningContent", ValueKind::Object) => {
                members(cursor, |key, cursor| {
                    match (key, cursor.kind()?) {
                        ("text", ValueKind::String) => self.see(cursor, Channel::Reasoning)?,
                        ("signature", ValueKind::String) => {
                            self.signature = word(cursor)?.unwrap_or_default();
                        }
                        ("redactedContent", ValueKind::String) => {
                            let data = word(cursor)?;
                            self.chunk.events.extend(data.map(|data| seal(Sealed::Redacted, data)));
                        }
                        _ => cursor.skip()?,
                    }
                    Ok(())
                })?;
            }
            ("citation", ValueKind::Object) => {
                let citation = citation(cursor)?;
                self.chunk.events.push(Event::Citation { choice: 0, citation });
            }
            _ => cursor.skip()?,
        }
        Ok(())
    }

    fn see(&mut self, cursor: &mut Cursor<'_>, channel: Channel) -> Scan<()> {
        let literal = cursor.literal()?;
        if literal.is_empty() {
            return Ok(());
        }
        let text = cursor.text(literal).into_owned();
        let key = Key { choice: 0, part: 0, channel };
        self.chunk.texts.push(TextDelta { key, extent: Extent::Piece, raw: literal.range() });
        match channel {
            Channel::Arguments(_) => self.input.push_str(&text),
            Channel::Reasoning => self.chunk.events.push(Event::Reasoning { choice: 0, text }),
            _ => self.chunk.events.push(Event::Text { choice: 0, text }),
        }
        Ok(())
    }
}

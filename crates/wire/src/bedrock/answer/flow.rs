//! A Converse stream as events.

use bytes::Bytes;
use gauntlet_types::{Event, Fault, Finish, Sealed, ServiceTier};

use super::{citation, finish, media, seal, service_tier, word};
use crate::{
    answer::{Channel, Chunk, End, Extent, Key, TextDelta},
    bedrock::usage,
    json::{Cursor, Malformed, Scan, ValueKind},
    sse::Frame,
    usage::{count, members},
};

/// Blocks of one answer whose calls are told apart; real ones have a handful.
const BLOCKS_MAX: usize = 1_000;

/// Bytes of a signature that are joined from its pieces: a hundred times the longest seen.
const SIGNATURE_MAX: usize = 1 << 20;

/// A stream as it is read; it goes to nobody as it is, so that nothing is written.
#[derive(Default, Debug)]
pub(crate) struct Flow {
    /// By the call's index.
    calls: Vec<Call>,
    signature: String,
}

#[derive(Debug)]
struct Call {
    block: u32,
    has_arguments: bool,
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
    tier: Option<ServiceTier>,
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
                chunk.events.extend(self.no_arguments(part));
                chunk.ends.push(End::Part { choice: 0, part });
            }
            "messageStop" => chunk.ends.push(End::Choice(0)),
            "metadata" => {
                if let (Some(Event::Usage(usage)), Some(tier)) = (chunk.events.last_mut(), payload.tier) {
                    usage.tier = tier;
                }
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

    /// A call that ends without arguments has none: an empty object, since empty text is no JSON.
    fn no_arguments(&mut self, block: u32) -> Option<Event> {
        let index = self.calls.iter().position(|call| call.block == block && !call.has_arguments)?;
        self.calls[index].has_arguments = true;
        let (id, name, arguments) = (None, None, "{}".to_owned());
        Some(Event::ToolCall { choice: 0, index: index as u32, id, name, arguments })
    }

    fn call(&mut self, payload: &mut Payload) {
        let known = self.calls.iter().position(|call| call.block == payload.block);
        let index = match known {
            Some(index) => index,
            None if self.calls.len() == BLOCKS_MAX => return,
            None => {
                self.calls.push(Call { block: payload.block, has_arguments: false });
                self.calls.len() - 1
            }
        };
        self.calls[index].has_arguments |= !payload.input.is_empty();
        let index = index as u32;
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
            ("serviceTier", ValueKind::Object) => self.tier = service_tier(cursor)?,
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
            // A picture comes whole; its format stood at the beginning of its block, and is PNG wherever one was seen.
            ("image", ValueKind::Object) => self.chunk.events.extend(media(cursor, "image")?),
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

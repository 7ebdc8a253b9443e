//! One pass over a whole answer.

use bytes::Bytes;
use gauntlet_types::{Event, Seal, Sealed, Usage};

use super::{
    block::{Block, block, characters, string},
    finish, seal_of,
};
use crate::{
    answer::{AnswerText, Channel, Key, PlainAnswer, SealAt, choice_of},
    anthropic::usage,
    json::{Cursor, Fail, Literal, Malformed, Scan, ValueKind},
    openai::error::{ProviderError, from_value},
    text::{Found, Kind, Place, Role},
};

/// Reads a whole answer. Malformed when it is not JSON (HTML, half a document, nothing), or has neither `content` nor an
/// error.
pub fn read_plain(body: &Bytes) -> Result<PlainAnswer, Malformed> {
    let mut reading = Reading::default();
    reading.read(body).map_err(|fail| fail.locate(body))?;
    let text = |found: &Found| AnswerText { choice: choice_of(found.place), segment: found.segment(body) };
    Ok(PlainAnswer {
        texts: reading.texts.iter().map(text).collect(),
        events: reading.events,
        seals: reading.seals,
        error: reading.error,
    })
}

#[derive(Default)]
struct Reading {
    events: Vec<Event>,
    texts: Vec<Found>,
    seals: Vec<SealAt>,
    error: Option<ProviderError>,
    /// Calls of tools so far, those that the provider runs among them.
    calls: u32,
    /// Characters of text so far.
    characters: u32,
}

impl Reading {
    fn read(&mut self, body: &[u8]) -> Scan<()> {
        let mut cursor = Cursor::new(body)?;
        let cursor = &mut cursor;
        if cursor.kind().ok() != Some(ValueKind::Object) {
            let what = match body.trim_ascii().first() {
                None => "the answer is empty",
                Some(b'<') => "the answer is HTML, not JSON",
                Some(_) => "the answer is not a JSON object",
            };
            return Err(Fail::new(cursor.at(), what));
        }
        let (mut model, mut ending, mut used): (_, _, Option<Usage>) = (None, None, None);
        let mut has_content = false;
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("model", ValueKind::String) => model = Some(string(cursor)?),
                ("content", ValueKind::Array) => {
                    has_content = true;
                    let mut array = cursor.enter()?;
                    let mut part = 0;
                    while cursor.item(&mut array)? {
                        if let Some(block) = block(cursor)? {
                            self.block(cursor, part, block);
                        }
                        part += 1;
                    }
                }
                ("stop_reason", ValueKind::String) => ending = Some(finish(&string(cursor)?)),
                ("usage", _) => {
                    let span = cursor.span()?;
                    used = usage::read(cursor.slice(span).as_bytes()).ok().flatten();
                }
                ("error", ValueKind::Object | ValueKind::String) => {
                    let span = cursor.span()?;
                    let value = serde_json::from_str(cursor.slice(span)).unwrap_or_default();
                    self.error = Some(told(&value));
                }
                _ => cursor.skip()?,
            }
        }
        cursor.finish()?;
        if !has_content && self.error.is_none() {
            return Err(Fail::field(body.len(), "content", "is missing from the answer"));
        }
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            self.events.insert(0, Event::Model(model));
        }
        self.events.extend(ending.map(|why| Event::Finish { choice: 0, why }));
        self.events.extend(used.map(Event::Usage));
        Ok(())
    }

    fn block(&mut self, cursor: &Cursor<'_>, part: u32, block: Block) {
        let choice = 0;
        match &*block.kind {
            "text" => {
                let Some(literal) = block.text else { return };
                let text = cursor.text(literal).into_owned();
                let start = self.characters;
                self.characters = start.saturating_add(characters(&text));
                if !text.is_empty() {
                    self.events.push(Event::Text { choice, text });
                    self.see(Place::AnswerContent { choice }, Kind::Words, literal);
                }
                for mut citation in block.citations {
                    citation.span = Some((start, self.characters));
                    self.events.push(Event::Citation { choice, citation });
                }
            }
            "thinking" => {
                if let Some(literal) = block.thinking.filter(|literal| !literal.is_empty()) {
                    self.events.push(Event::Reasoning { choice, text: cursor.text(literal).into_owned() });
                    self.see(Place::AnswerReasoning { choice }, Kind::Reasoning, literal);
                }
                let Some(raw) = block.signature else { return };
                if let Some(seal) = seal_of(&cursor.text(raw), Sealed::Reasoning) {
                    self.seal(seal);
                    if let Some(text) = block.thinking {
                        let key = Key { choice, part, channel: Channel::Reasoning };
                        self.seals.push(SealAt { text: text.range(), key, raw: raw.range() });
                    }
                }
            }
            "redacted_thinking" => {
                let seal = block.data.and_then(|data| seal_of(&data, Sealed::Redacted));
                seal.into_iter().for_each(|seal| self.seal(seal));
            }
            // Written by the model, and seen by the caller when it is sent back with the next request.
            "compaction" => {
                let literal = block.content.filter(|literal| !literal.is_empty());
                if let Some(literal) = literal {
                    self.see(Place::AnswerContent { choice }, Kind::Words, literal);
                }
            }
            _ if block.is_call() => {
                let index = self.calls;
                self.calls += 1;
                for literal in &block.input_texts {
                    self.see(Place::AnswerArguments { choice, call: index }, Kind::Arguments, *literal);
                }
                // What the provider runs itself is no call that the caller has to answer.
                if block.kind == "tool_use" {
                    let arguments = block.input.unwrap_or_else(|| "{}".to_owned());
                    self.events.push(Event::ToolCall {
                        choice,
                        index,
                        id: block.id,
                        name: block.name,
                        arguments,
                    });
                }
            }
            _ => {}
        }
    }

    fn see(&mut self, place: Place, kind: Kind, literal: Literal) {
        self.texts.push(Found { place, role: Role::Assistant, kind, literal });
    }

    fn seal(&mut self, mut seal: Seal) {
        // A call's own number is lost on the wire; the mark stands behind its call.
        if let Sealed::ToolCall(call) = &mut seal.on {
            *call = self.calls.saturating_sub(1);
            seal.id = None;
        }
        self.events.push(Event::Seal { choice: 0, seal });
    }
}

/// The words of an error that an answer tells of.
pub(super) fn told(error: &serde_json::Value) -> ProviderError {
    let mut error = from_value(error).unwrap_or_default();
    if error.message.is_empty() {
        error.message = "the provider reported an error without words".to_owned();
    }
    error
}

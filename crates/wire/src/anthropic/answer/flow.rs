//! A stream of this dialect on its way to its caller: what each event says, and events of ours between them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use bytes::Bytes;
use gauntlet_types::{Citation, Event, Fault, Finish, Seal, Sealed};
use serde_json::{Value, json};

use super::{
    block::{Block, block, characters, citation, string},
    delta_frame, event_frame, finish, finish_word, frame,
    read::told,
    seal_of,
};
use crate::{
    answer::{Channel, Chunk, End, Extent, Key, SealAt, TextDelta},
    anthropic::{error, usage::Counts},
    json::{Cursor, Fail, Literal, Malformed, Scan, ValueKind},
    seal,
    sse::Frame,
};

/// Blocks that may be open at once. Anthropic opens one after another; a stream beyond this loses the citations and the
/// bare arguments of the further ones, nothing else.
const OPEN_MAX: usize = 1_000;

/// Sources of one block that are told of; a long answer from the web names some tens.
const CITATIONS_MAX: usize = 1_000;

#[derive(Default, Debug)]
pub(crate) struct Flow {
    counts: Counts,
    /// What was read, by the block's index.
    open: HashMap<u32, Open>,
    /// Calls of tools so far, those that the provider runs among them.
    calls: u32,
    /// Characters of text so far.
    characters: u32,
    is_done: bool,
    /// The data of `message_start`.
    start: Bytes,
    sent: Sent,
}

/// A block that was begun and has not ended.
#[derive(Debug)]
struct Open {
    channel: Channel,
    /// The call is the caller's to answer.
    is_own_call: bool,
    has_arguments: bool,
    /// Where its text begins, in characters of all text.
    start: u32,
    citations: Vec<Citation>,
}

/// What the caller has seen.
#[derive(Default, Debug)]
struct Sent {
    is_started: bool,
    /// Open blocks, and whether they hold reasoning that lacks its signature.
    open: BTreeMap<u32, bool>,
    /// The first index that no block has had.
    next: u32,
    /// The stop reason is out; no block can follow.
    has_ended: bool,
    is_done: bool,
}

/// The members of an event.
#[derive(Default)]
struct Members<'a> {
    kind: Cow<'a, str>,
    index: u32,
    block: Option<Block>,
    delta: Delta<'a>,
    model: Option<String>,
    error: Option<Value>,
}

#[derive(Default)]
struct Delta<'a> {
    kind: Cow<'a, str>,
    text: Option<Literal>,
    thinking: Option<Literal>,
    signature: Option<Literal>,
    partial_json: Option<Literal>,
    content: Option<Literal>,
    citation: Option<Citation>,
    stop_reason: Option<Cow<'a, str>>,
}

impl Flow {
    pub(crate) fn read(&mut self, frame: &Frame, data: &[u8]) -> Result<Chunk, Malformed> {
        match data.trim_ascii() {
            b"" => return Ok(Chunk::default()),
            // Some compatible servers end with OpenAI's mark, or send it behind their own.
            b"[DONE]" => return Ok(self.done()),
            _ => {}
        }
        self.scan(frame, data).map_err(|fail| fail.locate(data))
    }

    fn scan(&mut self, frame: &Frame, data: &[u8]) -> Scan<Chunk> {
        let mut cursor = Cursor::new(data)?;
        let mut has_counts = false;
        let mut said = members(&mut cursor, &mut |usage| {
            has_counts |= self.counts.read(usage.as_bytes()).is_ok();
        })?;
        cursor.finish()?;
        if said.kind.is_empty() {
            said.kind = String::from_utf8_lossy(frame.event().unwrap_or_default());
        }
        let mut chunk = match &*said.kind {
            "message_start" => {
                self.start = frame.data_bytes().unwrap_or_default();
                let model = said.model.filter(|model| !model.is_empty());
                Chunk { events: model.map(Event::Model).into_iter().collect(), ..Chunk::default() }
            }
            "content_block_start" => match said.block {
                Some(block) => self.begin(&cursor, said.index, block),
                None => Chunk::default(),
            },
            "content_block_delta" => self.delta(&cursor, said.index, said.delta),
            "content_block_stop" => self.stop(said.index),
            "message_delta" => match said.delta.stop_reason {
                Some(word) => Chunk {
                    events: vec![Event::Finish { choice: 0, why: finish(&word) }],
                    ends: vec![End::Choice(0)],
                    ..Chunk::default()
                },
                None => Chunk::default(),
            },
            "message_stop" => self.done(),
            "error" => {
                let error = told(&said.error.unwrap_or_default());
                let event = Event::Error { code: error.code.or(error.kind), message: error.message };
                Chunk { events: vec![event], ..Chunk::default() }
            }
            // `ping`, and what is to come.
            _ => Chunk::default(),
        };
        if has_counts && let Some(usage) = self.counts.usage() {
            chunk.events.push(Event::Usage(usage));
        }
        Ok(chunk)
    }

    fn done(&mut self) -> Chunk {
        if std::mem::replace(&mut self.is_done, true) {
            return Chunk::default();
        }
        Chunk { events: vec![Event::Done], ends: vec![End::Choice(0)], is_done: true, ..Chunk::default() }
    }

    fn begin(&mut self, cursor: &Cursor<'_>, part: u32, block: Block) -> Chunk {
        let mut chunk = Chunk::default();
        let mut open = Open {
            channel: Channel::Content,
            is_own_call: false,
            has_arguments: false,
            start: self.characters,
            citations: block.citations.clone(),
        };
        match &*block.kind {
            "text" => self.piece_of(cursor, part, Channel::Content, block.text, &mut chunk),
            "thinking" => {
                open.channel = Channel::Reasoning;
                self.piece_of(cursor, part, Channel::Reasoning, block.thinking, &mut chunk);
                self.signature(cursor, part, block.signature, &mut chunk);
            }
            "redacted_thinking" => {
                let seal = block.data.and_then(|data| seal_of(&data, Sealed::Redacted));
                chunk.events.extend(seal.map(|seal| self.sealed(seal)));
                return chunk;
            }
            "compaction" => chunk.texts.extend(piece(part, Channel::Content, block.content)),
            _ if block.is_call() => {
                let index = self.calls;
                self.calls = index.saturating_add(1);
                open.channel = Channel::Arguments(index);
                open.is_own_call = block.kind == "tool_use";
                // Anthropic begins with an empty object and adds pieces; others may give all of it here.
                let arguments = block.input.unwrap_or_default();
                open.has_arguments = arguments.len() > 2;
                let arguments = if open.has_arguments { arguments } else { String::new() };
                let key = Key { choice: 0, part, channel: open.channel };
                let whole =
                    |literal: &Literal| TextDelta { key, extent: Extent::Whole, raw: literal.range() };
                chunk.texts.extend(block.input_texts.iter().map(whole));
                if open.is_own_call {
                    let (id, name) = (block.id, block.name);
                    chunk.events.push(Event::ToolCall { choice: 0, index, id, name, arguments });
                }
            }
            // What a tool of the provider's gave back, and what is to come: nothing that the model says.
            _ => return chunk,
        }
        if self.open.len() < OPEN_MAX {
            self.open.insert(part, open);
        }
        chunk
    }

    fn delta(&mut self, cursor: &Cursor<'_>, part: u32, delta: Delta<'_>) -> Chunk {
        let mut chunk = Chunk::default();
        match &*delta.kind {
            "text_delta" => self.piece_of(cursor, part, Channel::Content, delta.text, &mut chunk),
            "thinking_delta" => self.piece_of(cursor, part, Channel::Reasoning, delta.thinking, &mut chunk),
            "signature_delta" => self.signature(cursor, part, delta.signature, &mut chunk),
            "compaction_delta" => chunk.texts.extend(piece(part, Channel::Content, delta.content)),
            "input_json_delta" => {
                let Some(literal) = delta.partial_json.filter(|literal| !literal.is_empty()) else {
                    return chunk;
                };
                // Without its beginning it is still text that reaches the caller.
                let channel = self.open.get(&part).map_or(Channel::FunctionCall, |open| open.channel);
                chunk.texts.extend(piece(part, channel, Some(literal)));
                if let Some(open) = self.open.get_mut(&part)
                    && let Channel::Arguments(index) = open.channel
                {
                    open.has_arguments = true;
                    if open.is_own_call {
                        let arguments = cursor.text(literal).into_owned();
                        let (id, name) = (None, None);
                        chunk.events.push(Event::ToolCall { choice: 0, index, id, name, arguments });
                    }
                }
            }
            "citations_delta" => {
                if let (Some(open), Some(citation)) = (self.open.get_mut(&part), delta.citation)
                    && open.citations.len() < CITATIONS_MAX
                {
                    open.citations.push(citation);
                }
            }
            _ => {}
        }
        chunk
    }

    /// The end of a block. Which part of the text its sources stand for is known only here.
    fn stop(&mut self, part: u32) -> Chunk {
        let mut chunk = Chunk { ends: vec![End::Part { choice: 0, part }], ..Chunk::default() };
        let Some(open) = self.open.remove(&part) else { return chunk };
        for mut citation in open.citations {
            citation.span = Some((open.start, self.characters));
            chunk.events.push(Event::Citation { choice: 0, citation });
        }
        // A call without arguments has no pieces; whoever reads its arguments as JSON wants an object all the same.
        if let Channel::Arguments(index) = open.channel
            && open.is_own_call
            && !open.has_arguments
        {
            let arguments = "{}".to_owned();
            chunk.events.push(Event::ToolCall { choice: 0, index, id: None, name: None, arguments });
        }
        chunk
    }

    fn piece_of(
        &mut self,
        cursor: &Cursor<'_>,
        part: u32,
        channel: Channel,
        literal: Option<Literal>,
        chunk: &mut Chunk,
    ) {
        let Some(literal) = literal.filter(|literal| !literal.is_empty()) else { return };
        let text = cursor.text(literal).into_owned();
        chunk.texts.extend(piece(part, channel, Some(literal)));
        chunk.events.push(match channel {
            Channel::Reasoning => Event::Reasoning { choice: 0, text },
            _ => {
                self.characters = self.characters.saturating_add(characters(&text));
                Event::Text { choice: 0, text }
            }
        });
    }

    fn signature(&mut self, cursor: &Cursor<'_>, part: u32, literal: Option<Literal>, chunk: &mut Chunk) {
        let Some(literal) = literal else { return };
        if let Some(seal) = seal_of(&cursor.text(literal), Sealed::Reasoning) {
            let key = Key { choice: 0, part, channel: Channel::Reasoning };
            chunk.seals.push(SealAt { text: 0..0, key, raw: literal.range() });
            chunk.events.push(self.sealed(seal));
        }
    }

    fn sealed(&self, mut seal: Seal) -> Event {
        if let Sealed::ToolCall(call) = &mut seal.on {
            *call = self.calls.saturating_sub(1);
            seal.id = None;
        }
        Event::Seal { choice: 0, seal }
    }

    /// Notes what the caller sees. An edit changes texts and seals, never the frame of an event.
    pub(crate) fn sent(&mut self, frame: &Frame, chunk: &Chunk) {
        let Some(data) = frame.data() else { return };
        // Most frames are pieces of a text.
        if chunk.seals.is_empty() && data.starts_with(br#"{"type":"content_block_delta""#) {
            return;
        }
        let said = Cursor::new(data).and_then(|mut cursor| members(&mut cursor, &mut |_| {}));
        let Ok(said) = said else { return };
        match &*said.kind {
            "message_start" => self.sent.is_started = true,
            "content_block_start" => {
                let lacks_seal = said.block.is_some_and(|block| {
                    block.kind == "thinking" && block.signature.is_none_or(Literal::is_empty)
                });
                if self.sent.open.len() < OPEN_MAX {
                    self.sent.open.insert(said.index, lacks_seal);
                }
                self.sent.next = self.sent.next.max(said.index.saturating_add(1));
            }
            "content_block_delta" => {
                if said.delta.kind == "signature_delta"
                    && let Some(lacks_seal) = self.sent.open.get_mut(&said.index)
                {
                    *lacks_seal = false;
                }
            }
            "content_block_stop" => drop(self.sent.open.remove(&said.index)),
            "message_delta" => self.sent.has_ended = true,
            "message_stop" => self.sent.is_done = true,
            _ => {}
        }
    }

    pub(crate) fn piece(&self, key: Key, text: &str) -> Bytes {
        delta_frame(
            key.part,
            match key.channel {
                Channel::Content | Channel::Refusal => json!({"type": "text_delta", "text": text}),
                Channel::Reasoning => json!({"type": "thinking_delta", "thinking": text}),
                Channel::Arguments(_) | Channel::FunctionCall => {
                    json!({"type": "input_json_delta", "partial_json": text})
                }
            },
        )
    }

    pub(crate) fn close(&mut self, text: &str, finish: Finish) -> Vec<Bytes> {
        let mut frames = Vec::new();
        if std::mem::replace(&mut self.sent.is_done, true) {
            return frames;
        }
        if !std::mem::replace(&mut self.sent.is_started, true) {
            frames.push(match self.start.is_empty() {
                false => frame("message_start", &one_line(&self.start)),
                true => event_frame(&blank_start()),
            });
        }
        for (index, lacks_seal) in std::mem::take(&mut self.sent.open) {
            // Reasoning that was cut off can never go back to its provider: the mark tells us so when it comes back.
            if lacks_seal {
                frames.push(delta_frame(index, json!({"type": "signature_delta", "signature": seal::VOID})));
            }
            frames.push(stop_frame(index));
        }
        if !std::mem::replace(&mut self.sent.has_ended, true) {
            if !text.is_empty() {
                let index = self.sent.next;
                self.sent.next = index.saturating_add(1);
                let block = json!({"type": "text", "text": ""});
                frames.push(event_frame(
                    &json!({"type": "content_block_start", "index": index, "content_block": block}),
                ));
                frames.push(delta_frame(index, json!({"type": "text_delta", "text": text})));
                frames.push(stop_frame(index));
            }
            let output = self.counts.usage().map_or(0, |usage| usage.output.0);
            frames.push(event_frame(&json!({
                "type": "message_delta",
                "delta": {"stop_reason": finish_word(finish), "stop_sequence": null},
                "usage": {"output_tokens": output},
            })));
        }
        frames.push(event_frame(&json!({"type": "message_stop"})));
        frames
    }

    /// An error event and nothing behind it: the answer is not whole.
    pub(crate) fn error(&mut self, fault: &Fault, request_id: &str) -> Vec<Bytes> {
        let id = Some(request_id).filter(|id| !id.is_empty());
        vec![frame("error", &error::event_data(fault, id))]
    }
}

fn piece(part: u32, channel: Channel, literal: Option<Literal>) -> Option<TextDelta> {
    let literal = literal.filter(|literal| !literal.is_empty())?;
    let key = Key { choice: 0, part, channel };
    Some(TextDelta { key, extent: Extent::Piece, raw: literal.range() })
}

fn stop_frame(index: u32) -> Bytes {
    event_frame(&json!({"type": "content_block_stop", "index": index}))
}

/// Data of several lines is JSON with white space between its members, where a space says as much as a line end.
fn one_line(data: &[u8]) -> Vec<u8> {
    data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}

/// The beginning of a stream of which the provider has not said anything yet.
fn blank_start() -> Value {
    json!({"type": "message_start", "message": {
        "id": "msg_0", "type": "message", "role": "assistant", "model": "", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0},
    }})
}

/// A string that is borrowed where it has no escapes: most frames are a piece of a text, and need no more of it.
fn word<'a>(cursor: &mut Cursor<'a>) -> Scan<Cow<'a, str>> {
    let literal = cursor.literal()?;
    Ok(cursor.text(literal))
}

/// Reads the members of an event; `count` gets each usage object as it is written.
fn members<'a>(cursor: &mut Cursor<'a>, count: &mut dyn FnMut(&str)) -> Scan<Members<'a>> {
    if cursor.kind().ok() != Some(ValueKind::Object) {
        return Err(Fail::new(cursor.at(), "the event is not a JSON object"));
    }
    let mut said = Members::default();
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("type", ValueKind::String) => said.kind = word(cursor)?,
            ("index", ValueKind::Number) => {
                let span = cursor.number()?;
                said.index = cursor.slice(span).parse().unwrap_or(0);
            }
            ("content_block", _) => said.block = block(cursor)?,
            ("delta", ValueKind::Object) => said.delta = delta(cursor)?,
            ("message", ValueKind::Object) => {
                let mut message = cursor.enter()?;
                while let Some(key) = cursor.member(&mut message)? {
                    match (&*key, cursor.kind()?) {
                        ("model", ValueKind::String) => said.model = Some(string(cursor)?),
                        ("usage", ValueKind::Object) => {
                            let span = cursor.span()?;
                            count(cursor.slice(span));
                        }
                        _ => cursor.skip()?,
                    }
                }
            }
            ("usage", ValueKind::Object) => {
                let span = cursor.span()?;
                count(cursor.slice(span));
            }
            ("error", _) => {
                let span = cursor.span()?;
                said.error = serde_json::from_str(cursor.slice(span)).ok();
            }
            _ => cursor.skip()?,
        }
    }
    // An error without a type of its event: some servers in between write it so.
    if said.kind.is_empty() && said.error.as_ref().is_some_and(|error| !error.is_null()) {
        said.kind = "error".into();
    }
    Ok(said)
}

fn delta<'a>(cursor: &mut Cursor<'a>) -> Scan<Delta<'a>> {
    let mut delta = Delta::default();
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("type", ValueKind::String) => delta.kind = word(cursor)?,
            ("text", ValueKind::String) => delta.text = Some(cursor.literal()?),
            ("thinking", ValueKind::String) => delta.thinking = Some(cursor.literal()?),
            ("signature", ValueKind::String) => delta.signature = Some(cursor.literal()?),
            ("partial_json", ValueKind::String) => delta.partial_json = Some(cursor.literal()?),
            ("content", ValueKind::String) => delta.content = Some(cursor.literal()?),
            ("citation", _) => delta.citation = citation(cursor)?,
            ("stop_reason", ValueKind::String) => delta.stop_reason = Some(word(cursor)?),
            _ => cursor.skip()?,
        }
    }
    Ok(delta)
}

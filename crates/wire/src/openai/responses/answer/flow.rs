//! A stream on its way to its caller.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use gauntlet_types::{Event, Fault, Finish};
use serde_json::{Value, json};

use super::{
    fields::{self, Fields},
    finish_of,
    frames::{At, Sort},
    item::{self, ASIDE, Arguments, Bit, Calls, UNKNOWN, key, part},
    sent::{Sent, part_number, sort_of},
    usage_of,
};
use crate::{
    answer::{Channel, Chunk, End, Extent, Key, Number, SealAt, TextDelta},
    json::{Cursor, Literal, Malformed, Scan},
    openai::error::from_value,
    splice::Edit,
    sse::Frame,
};

/// Texts and items that are told apart, far beyond any real answer: of what comes later each telling is a text of its
/// own, which costs a guard a second look.
const KNOWN_MAX: usize = 1 << 16;

/// Which telling of a text a frame is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// The beginning of an item or a part; pieces follow.
    Begin,
    /// The whole, behind its pieces or without any.
    Whole,
}

#[derive(Default, Debug)]
pub(crate) struct Flow {
    calls: Calls,
    /// Items by their place: their type and their id.
    items: BTreeMap<u32, (String, String)>,
    /// Texts of which something was told.
    told: BTreeSet<Key>,
    /// Parts that may get a further piece.
    open: BTreeSet<u32>,
    /// Items whose call, seal or picture was told.
    done: BTreeSet<u32>,
    /// How many sources of a part were told.
    cited: BTreeMap<u32, usize>,
    /// Where the words of a part begin among the characters of all words.
    starts: BTreeMap<u32, u32>,
    chars: u32,
    /// Kinds of frames that we do not know, by the part that stands for their text.
    unknown: BTreeMap<u32, String>,
    /// Frames of ours that went out between the provider's.
    inserted: u64,
    has_model: bool,
    is_done: bool,
    sent: Sent,
}

impl Flow {
    pub(crate) fn read(&mut self, frame: &Frame, data: &[u8]) -> Result<Chunk, Malformed> {
        match data.trim_ascii() {
            b"" => Ok(Chunk::default()),
            // Some servers end every stream so.
            b"[DONE]" => {
                let events = if self.is_done { Vec::new() } else { vec![Event::Done] };
                Ok(Chunk { events, is_done: true, ..Chunk::default() })
            }
            _ => self.frame(frame, data).map_err(|fail| fail.locate(data)),
        }
    }

    fn frame(&mut self, frame: &Frame, data: &[u8]) -> Scan<Chunk> {
        let mut chunk = Chunk::default();
        let mut cursor = Cursor::new(data)?;
        let Some(fields) = fields::whole(&mut cursor, data)? else { return Err(fields::not_an_answer(data)) };
        chunk.number = number(&fields);
        let named = frame.event().and_then(|name| std::str::from_utf8(name).ok());
        let kind = fields.text("type");
        let kind = kind.as_deref().or(named).unwrap_or("");
        let at = fields.number("output_index").unwrap_or(0);
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begin(frame, &fields, &mut chunk);
            }
            "response.output_item.added" | "response.output_item.done" => {
                let telling = if kind.ends_with("added") { Telling::Begin } else { Telling::Whole };
                if let Some(item) = fields.object("item") {
                    self.item(&cursor, &item, at, telling, &mut chunk);
                }
            }
            // `content_part`, `reasoning_summary_part`, and the `reasoning_part` of vLLM.
            kind if kind.ends_with("_part.added") => {
                self.part(&cursor, &fields, at, Telling::Begin, &mut chunk);
            }
            kind if kind.ends_with("_part.done") => {
                self.part(&cursor, &fields, at, Telling::Whole, &mut chunk);
            }
            "response.output_text.annotation.added" => self.annotation(&fields, &mut chunk),
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.end(&cursor, &fields, &mut chunk);
            }
            "error" => chunk.events.push(error(data)),
            "" if fields.get("error").is_some() => chunk.events.push(error(data)),
            kind => self.text(&cursor, &fields, kind, at, &mut chunk),
        }
        Ok(chunk)
    }

    fn begin(&mut self, frame: &Frame, fields: &Fields<'_>, chunk: &mut Chunk) {
        let Some(response) = fields.object("response") else { return };
        if !self.has_model
            && let Some(model) = response.text("model")
        {
            self.has_model = true;
            chunk.events.push(Event::Model(model.into_owned()));
        }
        if self.sent.head.is_empty()
            && let (Some(data), Ok(span)) = (frame.data_bytes(), response.whole.clone().span())
        {
            self.sent.head = data.slice(span);
        }
    }

    fn item(&mut self, cursor: &Cursor<'_>, item: &Fields<'_>, at: u32, telling: Telling, chunk: &mut Chunk) {
        if self.items.len() < KNOWN_MAX {
            let own = |name: &str| item.text(name).unwrap_or_default().into_owned();
            self.items.entry(at).or_insert_with(|| (own("type"), own("id")));
        }
        self.bits(cursor, item::bits(item, at), telling, chunk);
        if telling == Telling::Whole {
            let ended: Vec<u32> = self.open.range(part(at, 0)..=part(at, 0) | 0xFFF).copied().collect();
            ended.into_iter().for_each(|part| self.close_part(part, chunk));
        }
    }

    fn part(
        &mut self,
        cursor: &Cursor<'_>,
        fields: &Fields<'_>,
        at: u32,
        telling: Telling,
        chunk: &mut Chunk,
    ) {
        let Some(said) = fields.object("part") else { return };
        let number = match said.text("type").as_deref() {
            Some("summary_text") => part_number(fields, Sort::Summary),
            Some("reasoning_text") => part_number(fields, Sort::Body),
            _ => part(at, fields.number("content_index").unwrap_or(0)),
        };
        let mut bits = Vec::new();
        item::content(&said, number, &mut bits);
        self.bits(cursor, bits, telling, chunk);
        if telling == Telling::Whole {
            self.close_part(number, chunk);
        }
    }

    fn close_part(&mut self, part: u32, chunk: &mut Chunk) {
        if self.open.remove(&part) {
            chunk.ends.push(End::Part { choice: 0, part });
        }
    }

    fn annotation(&mut self, fields: &Fields<'_>, chunk: &mut Chunk) {
        let number = part_number(fields, Sort::Text);
        let Some(citation) = fields.object("annotation").as_ref().and_then(item::citation) else { return };
        if self.cited.len() < KNOWN_MAX {
            *self.cited.entry(number).or_default() += 1;
        }
        self.cite(number, citation, chunk);
    }

    fn cite(&self, part: u32, citation: gauntlet_types::Citation, chunk: &mut Chunk) {
        let start = self.starts.get(&part).copied().unwrap_or(self.chars);
        chunk.events.push(Event::Citation { choice: 0, citation: item::moved(citation, start) });
    }

    /// The last frame, which has the whole answer once more.
    fn end(&mut self, cursor: &Cursor<'_>, fields: &Fields<'_>, chunk: &mut Chunk) {
        chunk.is_done = true;
        self.is_done = true;
        chunk.ends.push(End::Choice(0));
        self.open.clear();
        let Some(response) = fields.object("response") else {
            chunk.events.push(Event::Done);
            return;
        };
        let items = response.objects("output");
        // Some servers leave items out here, so that a place is another's; ids tell them apart.
        let places = self.items.iter().filter(|(_, (_, id))| !id.is_empty());
        let places: HashMap<String, u32> = places.map(|(at, (_, id))| (id.clone(), *at)).collect();
        for (index, item) in items.iter().enumerate() {
            let known = item.text("id").and_then(|id| places.get(&*id).copied());
            self.bits(cursor, item::bits(item, known.unwrap_or(index as u32)), Telling::Whole, chunk);
        }
        let error = super::error_of(&response);
        chunk.events.extend(usage_of(&response, &items).map(Event::Usage));
        if let Some(error) = error {
            let code = error.code.or(error.kind);
            chunk.events.push(Event::Error { code, message: error.message });
            return;
        }
        if let Some(why) = finish_of(&response, !self.calls.is_empty()) {
            chunk.events.push(Event::Finish { choice: 0, why });
        }
        chunk.events.push(Event::Done);
    }

    /// A frame with one text: a piece of it, or all of it when it is done.
    fn text(&mut self, cursor: &Cursor<'_>, fields: &Fields<'_>, kind: &str, at: u32, chunk: &mut Chunk) {
        let (stem, telling) = match kind.rsplit_once('.') {
            Some((stem, "delta")) => (stem, Telling::Begin),
            Some((stem, "done")) => (stem, Telling::Whole),
            _ => return self.unknown(cursor, fields, at, kind, chunk),
        };
        let members: &[&str] = match telling {
            Telling::Begin => &["delta"],
            Telling::Whole => &["text", "refusal", "arguments", "input", "code", "diff", "transcript"],
        };
        // Sound in base64.
        if stem == "response.audio" {
            return;
        }
        let literal = members.iter().find_map(|member| fields.literal(member));
        let is_known = sort_of(kind).is_some() || stem.ends_with("_arguments") || stem.ends_with("_input");
        if literal.is_none() && !is_known {
            return self.unknown(cursor, fields, at, kind, chunk);
        }
        let (key, is_told) = self.text_key(fields, kind, stem, at);
        if let Some(literal) = literal {
            let is_first = !self.told.contains(&key);
            if self.words(key, literal, telling, chunk) && is_told {
                let text = cursor.text(literal).into_owned();
                chunk.events.push(match key.channel {
                    Channel::Arguments(index) => {
                        Event::ToolCall { choice: 0, index, id: None, name: None, arguments: text }
                    }
                    channel => {
                        self.count(key, &text);
                        if is_first { item::first_event(key, text) } else { item::event(channel, text) }
                    }
                });
            }
        }
        if telling == Telling::Whole {
            self.close_part(key.part, chunk);
        }
    }

    /// Which text a frame tells of, and whether it makes events: what the provider does itself makes none.
    fn text_key(&mut self, fields: &Fields<'_>, kind: &str, stem: &str, at: u32) -> (Key, bool) {
        match (stem, sort_of(kind)) {
            ("response.function_call_arguments" | "response.custom_tool_call_input", _) => {
                let index = self.calls.number(at, None);
                (key(part(at, 0), Channel::Arguments(index)), true)
            }
            ("response.mcp_call_arguments" | "response.code_interpreter_call_code", _) => {
                (key(part(at, ASIDE), Channel::Content), false)
            }
            (_, Some((Sort::Text, _))) => (key(part_number(fields, Sort::Text), Channel::Content), true),
            (_, Some((Sort::Refusal, _))) => {
                (key(part_number(fields, Sort::Refusal), Channel::Refusal), true)
            }
            (_, Some((sort, _))) => (key(part_number(fields, sort), Channel::Reasoning), true),
            (stem, None) => {
                let number = part(at, UNKNOWN);
                if self.unknown.len() < KNOWN_MAX {
                    self.unknown.entry(number).or_insert_with(|| stem.to_owned());
                }
                (key(number, Channel::Content), false)
            }
        }
    }

    /// A frame that we do not know: its words may be those of another frame once more, so a guard looks at them too.
    fn unknown(&mut self, cursor: &Cursor<'_>, fields: &Fields<'_>, at: u32, kind: &str, chunk: &mut Chunk) {
        let mut bits = Vec::new();
        item::asides(fields, at, kind, &mut bits);
        self.bits(cursor, bits, Telling::Whole, chunk);
    }

    /// Notes a text of a frame; says whether it is new.
    fn words(&mut self, key: Key, literal: Literal, telling: Telling, chunk: &mut Chunk) -> bool {
        let is_new = !self.told.contains(&key);
        if is_new && self.told.len() < KNOWN_MAX {
            self.told.insert(key);
        }
        let extent = match telling {
            Telling::Begin => Extent::Piece,
            Telling::Whole if is_new => Extent::Whole,
            Telling::Whole => Extent::Repeat,
        };
        if telling == Telling::Begin && self.open.len() < KNOWN_MAX {
            self.open.insert(key.part);
        }
        chunk.texts.push(TextDelta { key, extent, raw: literal.range() });
        telling == Telling::Begin || is_new
    }

    fn count(&mut self, key: Key, text: &str) {
        if key.channel == Channel::Content {
            if self.starts.len() < KNOWN_MAX {
                self.starts.entry(key.part).or_insert(self.chars);
            }
            self.chars = self.chars.saturating_add(text.chars().count() as u32);
        }
    }

    fn bits(&mut self, cursor: &Cursor<'_>, bits: Vec<Bit>, telling: Telling, chunk: &mut Chunk) {
        // Sources of one part stand side by side.
        let mut nth = (u32::MAX, 0);
        for bit in bits {
            match bit {
                Bit::Words { key, literal } => {
                    if self.words(key, literal, telling, chunk) {
                        let text = cursor.text(literal).into_owned();
                        self.count(key, &text);
                        chunk.events.push(item::first_event(key, text));
                    }
                }
                Bit::Aside { key: Some(key), literal, .. } => {
                    self.words(key, literal, telling, chunk);
                }
                Bit::Aside { at, key: None, literal } => {
                    let key = key(part(at, 0), Channel::Content);
                    chunk.texts.push(TextDelta { key, extent: Extent::Whole, raw: literal.range() });
                }
                Bit::Call { at, id, name, arguments } => {
                    self.call(cursor, (at, id, name), &arguments, telling, chunk);
                }
                Bit::Citation { key, citation } => {
                    nth = if nth.0 == key.part { (key.part, nth.1 + 1) } else { (key.part, 1) };
                    let known = self.cited.get(&key.part).copied().unwrap_or(0);
                    if nth.1 > known && self.cited.len() < KNOWN_MAX {
                        self.cited.insert(key.part, nth.1);
                        self.cite(key.part, citation, chunk);
                    }
                }
                // Before an item is done its seal is not the last.
                Bit::Seal { .. } | Bit::Media { .. } if telling == Telling::Begin => {}
                Bit::Seal { at, id, data, of } => self.seal(cursor, (at, id, data), &of, chunk),
                Bit::Media { at, mime, data } => {
                    if self.is_first(at) {
                        let data = cursor.text(data).into_owned();
                        chunk.events.push(Event::Media { choice: 0, mime, data });
                    }
                }
            }
        }
    }

    fn is_first(&mut self, at: u32) -> bool {
        self.done.len() < KNOWN_MAX && self.done.insert(at)
    }

    fn seal(
        &mut self,
        cursor: &Cursor<'_>,
        (at, id, data): (u32, Option<String>, Literal),
        of: &[(Key, Literal)],
        chunk: &mut Chunk,
    ) {
        let Some((seal, is_foreign)) = item::seal(cursor, id, data, !of.is_empty(), &self.calls) else {
            return;
        };
        // OpenAI's own holds the reasoning itself, not the summary of it.
        if is_foreign {
            let at = |(key, literal): &(Key, Literal)| SealAt {
                text: literal.range(),
                key: *key,
                raw: data.range(),
            };
            chunk.seals.extend(of.iter().map(at));
        }
        if self.is_first(at) {
            chunk.events.push(Event::Seal { choice: 0, seal });
        }
    }

    /// A call whose arguments are JSON, not text, is told when it is whole.
    fn call(
        &mut self,
        cursor: &Cursor<'_>,
        (at, id, name): (u32, Option<String>, String),
        arguments: &Arguments,
        telling: Telling,
        chunk: &mut Chunk,
    ) {
        let index = self.calls.number(at, id.as_deref());
        let key = key(part(at, 0), Channel::Arguments(index));
        let mut new = String::new();
        match arguments {
            Arguments::Json { .. } if telling == Telling::Begin => return,
            Arguments::Json { strings, .. } => {
                for literal in strings {
                    chunk.texts.push(TextDelta { key, extent: Extent::Whole, raw: literal.range() });
                }
                new = arguments.text(cursor);
            }
            Arguments::Text(Some(literal)) => {
                if self.words(key, *literal, telling, chunk) {
                    new = arguments.text(cursor);
                }
            }
            Arguments::Text(None) => {}
        }
        if self.is_first(at) {
            let event = Event::ToolCall { choice: 0, index, id, name: Some(name), arguments: new };
            return chunk.events.push(event);
        }
        if !new.is_empty() && matches!(arguments, Arguments::Text(_)) {
            chunk.events.push(Event::ToolCall { choice: 0, index, id: None, name: None, arguments: new });
        }
    }

    pub(crate) fn sent(&mut self, frame: &Frame, _: &Chunk) {
        self.sent.note(frame);
    }

    /// Edit: the number of a frame, moved on by the frames that we have put before it.
    pub(crate) fn renumbered(&self, chunk: &Chunk) -> Option<Edit> {
        let number = chunk.number.as_ref().filter(|_| self.inserted > 0)?;
        Some(Edit::new(number.raw.clone(), (number.value + self.inserted).to_string()))
    }

    pub(crate) fn piece(&mut self, key: Key, text: &str) -> Bytes {
        let (at, index, is_body) = item::parts(key.part);
        let nothing = (String::new(), String::new());
        let (kind, id) = self.items.get(&at).unwrap_or(&nothing);
        self.inserted += 1;
        let numbers = &mut self.sent.numbers;
        let sort = match key.channel {
            Channel::Content => Sort::Text,
            Channel::Refusal => Sort::Refusal,
            Channel::Reasoning if is_body => Sort::Body,
            Channel::Reasoning => Sort::Summary,
            Channel::Arguments(_) | Channel::FunctionCall => {
                let stem = match kind.as_str() {
                    "custom_tool_call" => "response.custom_tool_call_input.delta",
                    _ => "response.function_call_arguments.delta",
                };
                return numbers.frame(stem, json!({"item_id": id, "output_index": at, "delta": text}));
            }
        };
        let stem = match kind.as_str() {
            "mcp_call" => Some("response.mcp_call_arguments"),
            "code_interpreter_call" => Some("response.code_interpreter_call_code"),
            _ => self.unknown.get(&key.part).map(String::as_str),
        };
        if let (Channel::Content, Some(stem)) = (key.channel, stem) {
            let members = json!({"item_id": id, "output_index": at, "delta": text});
            return numbers.frame(&format!("{stem}.delta"), members);
        }
        let frame = sort.delta(At { item: at, id, index }, text, numbers);
        self.sent.said(at, key.part, sort, text);
        frame
    }

    pub(crate) fn close(&mut self, text: &str, finish: Finish) -> Vec<Bytes> {
        self.sent.close(text, finish)
    }

    pub(crate) fn error(&mut self, fault: &Fault, request_id: &str) -> Vec<Bytes> {
        vec![self.sent.fail(fault, request_id)]
    }
}

/// Where a frame's number stands.
fn number(fields: &Fields<'_>) -> Option<Number> {
    let value = fields.number("sequence_number")?;
    let raw = fields.get("sequence_number")?.span().ok()?;
    Some(Number { raw, value: value.into() })
}

/// A bare `error`, in its own form or in that of the other doors.
fn error(data: &[u8]) -> Event {
    let value: Value = serde_json::from_slice(data).unwrap_or_default();
    let error = from_value(&value).unwrap_or_default();
    let kind = error.kind.filter(|kind| kind != "error");
    let message = match error.message.is_empty() {
        true => "the provider reported an error without words".to_owned(),
        false => error.message,
    };
    Event::Error { code: error.code.or(kind), message }
}

//! One pass over an answer or a chunk.

use gauntlet_types::{Dialect, Event, Sealed};

use super::{extras, finish};
use crate::{
    answer::{Channel, Extent, Key, TextDelta},
    json::{Cursor, Fail, Literal, Scan, ValueKind},
    openai::{
        error::{ProviderError, from_value},
        usage,
    },
    seal,
    text::{Found, Kind, Place, Role},
    usage::tier,
};

/// The words of `reasoning_details` are another text than `reasoning`, though they read alike.
const DETAIL_PART: u32 = 1;

/// Whole answers have their words in `message`, chunks in `delta`. Only one of them is read: some servers send both in
/// each chunk, the message growing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Chunk,
}

/// What the words of a choice stand in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// `message` or `delta`.
    Message,
    /// `text`, as in legacy completions.
    Text,
}

pub(super) struct Reading {
    shape: Shape,
    said: Said,
    pub events: Vec<Event>,
    /// Texts of a whole answer.
    pub texts: Vec<Found>,
    /// Texts of a chunk.
    pub deltas: Vec<TextDelta>,
    pub error: Option<ProviderError>,
    pub has_usage: bool,
    /// Anything that a caller sees in the answer: a role, a word, a tool, an ending.
    pub has_substance: bool,
}

pub(super) fn plain(body: &[u8], said: Said) -> Scan<Reading> {
    let mut reading = Reading::new(Shape::Plain, said);
    let has_choices = reading.read(body)?;
    if !has_choices && reading.error.is_none() {
        return Err(Fail::field(body.len(), "choices", "is missing from the answer"));
    }
    Ok(reading)
}

pub(super) fn chunk(data: &[u8], said: Said) -> Scan<Reading> {
    let mut reading = Reading::new(Shape::Chunk, said);
    reading.read(data)?;
    Ok(reading)
}

impl Reading {
    fn new(shape: Shape, said: Said) -> Reading {
        Reading {
            shape,
            said,
            events: Vec::new(),
            texts: Vec::new(),
            deltas: Vec::new(),
            error: None,
            has_usage: false,
            has_substance: false,
        }
    }

    fn is(&self, said: Said, shape: Shape) -> bool {
        self.said == said && self.shape == shape
    }

    /// Tells whether there are `choices`.
    fn read(&mut self, body: &[u8]) -> Scan<bool> {
        let mut cursor = Cursor::new(body)?;
        let cursor = &mut cursor;
        if cursor.kind().ok() != Some(ValueKind::Object) {
            return Err(Fail::new(cursor.at(), not_an_answer(body)));
        }
        let mut has_choices = false;
        let mut is_error_object = false;
        let mut late_usage = None;
        let mut late_tier = None;
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match &*key {
                "choices" => has_choices |= self.choices(cursor)?,
                "model" => {
                    if cursor.kind()? == ValueKind::String {
                        let literal = cursor.literal()?;
                        if !literal.is_empty() {
                            self.events.push(Event::Model(cursor.text(literal).into_owned()));
                        }
                    } else {
                        cursor.skip()?;
                    }
                }
                "usage" => late_usage = usage::read(cursor)?.or(late_usage),
                "service_tier" => late_tier = tier(cursor)?,
                "x_groq" => late_usage = self.x_groq(cursor)?.or(late_usage),
                "error" => self.error(cursor)?,
                // vLLM and others write the error without an envelope.
                "object" => {
                    let span = cursor.span()?;
                    is_error_object = cursor.slice(span) == "\"error\"";
                }
                _ => cursor.skip()?,
            }
        }
        cursor.finish()?;
        if let Some(mut usage) = late_usage {
            self.has_usage = true;
            usage.tier = late_tier.unwrap_or(usage.tier);
            self.events.push(Event::Usage(usage));
        }
        if is_error_object && self.error.is_none() {
            self.error = serde_json::from_slice(body).ok().as_ref().and_then(from_value);
        }
        Ok(has_choices)
    }

    fn error(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let kind = cursor.kind()?;
        let span = cursor.span()?;
        match kind {
            ValueKind::Null | ValueKind::False => {}
            _ => {
                let value = serde_json::from_str(cursor.slice(span)).unwrap_or_default();
                let mut error = from_value(&value).unwrap_or_default();
                if error.message.is_empty() {
                    error.message = "the provider reported an error without words".to_owned();
                }
                self.error = Some(error);
            }
        }
        Ok(())
    }

    /// Groq's own member: usage of a stream, or an error in it.
    fn x_groq(&mut self, cursor: &mut Cursor<'_>) -> Scan<Option<gauntlet_types::Usage>> {
        if cursor.kind()? != ValueKind::Object {
            cursor.skip()?;
            return Ok(None);
        }
        let mut counted = None;
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match &*key {
                "usage" => counted = usage::read(cursor)?,
                "error" => self.error(cursor)?,
                _ => cursor.skip()?,
            }
        }
        Ok(counted)
    }

    fn choices(&mut self, cursor: &mut Cursor<'_>) -> Scan<bool> {
        if cursor.kind()? != ValueKind::Array {
            cursor.skip()?;
            return Ok(false);
        }
        let mut array = cursor.enter()?;
        let mut position = 0;
        while cursor.item(&mut array)? {
            if cursor.kind()? == ValueKind::Object {
                self.choice(cursor, position)?;
            } else {
                cursor.skip()?;
            }
            position += 1;
        }
        Ok(true)
    }

    fn choice(&mut self, cursor: &mut Cursor<'_>, position: u32) -> Scan<()> {
        let first = (self.events.len(), self.texts.len(), self.deltas.len());
        let mut choice = position;
        let mut ending = None;
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("index", ValueKind::Number) => {
                    let span = cursor.number()?;
                    choice = cursor.slice(span).parse().unwrap_or(position);
                }
                ("finish_reason", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    if !literal.is_empty() {
                        ending = Some(finish(&cursor.text(literal)));
                    }
                }
                ("message", ValueKind::Object) if self.is(Said::Message, Shape::Plain) => {
                    self.message(cursor, position)?
                }
                ("delta", ValueKind::Object) if self.is(Said::Message, Shape::Chunk) => {
                    self.message(cursor, position)?
                }
                ("text", ValueKind::String) if self.said == Said::Text => {
                    let literal = cursor.literal()?;
                    self.see(cursor, position, Channel::Content, literal);
                }
                _ => cursor.skip()?,
            }
        }
        if choice != position {
            self.renumber(first, choice);
        }
        if let Some(why) = ending {
            self.has_substance = true;
            self.events.push(Event::Finish { choice, why });
        }
        Ok(())
    }

    /// `index` may stand behind the words, so the position in the array serves until it is read.
    #[cold]
    fn renumber(&mut self, first: (usize, usize, usize), number: u32) {
        for event in &mut self.events[first.0..] {
            match event {
                Event::Text { choice, .. }
                | Event::Refusal { choice, .. }
                | Event::Reasoning { choice, .. }
                | Event::ToolCall { choice, .. }
                | Event::Seal { choice, .. }
                | Event::Citation { choice, .. }
                | Event::Media { choice, .. }
                | Event::Finish { choice, .. } => *choice = number,
                _ => {}
            }
        }
        for found in &mut self.texts[first.1..] {
            match &mut found.place {
                Place::AnswerContent { choice }
                | Place::AnswerRefusal { choice }
                | Place::AnswerReasoning { choice }
                | Place::AnswerArguments { choice, .. } => *choice = number,
                _ => {}
            }
        }
        for delta in &mut self.deltas[first.2..] {
            delta.key.choice = number;
        }
    }

    fn message(&mut self, cursor: &mut Cursor<'_>, choice: u32) -> Scan<()> {
        let mut object = cursor.enter()?;
        let mut has_reasoning = false;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("content", _) => self.words(cursor, choice, Channel::Content)?,
                ("refusal", _) => self.words(cursor, choice, Channel::Refusal)?,
                // Some servers send both, with the same words.
                ("reasoning_content" | "reasoning", ValueKind::String) if !has_reasoning => {
                    has_reasoning = true;
                    self.words(cursor, choice, Channel::Reasoning)?;
                }
                ("role", ValueKind::String) => {
                    self.has_substance = true;
                    cursor.literal()?;
                }
                ("tool_calls", ValueKind::Array) => self.tool_calls(cursor, choice)?,
                ("reasoning_details", ValueKind::Array) => {
                    self.has_substance = true;
                    self.details(cursor, choice, has_reasoning)?;
                }
                ("annotations" | "images", ValueKind::Array) => {
                    let span = cursor.span()?;
                    let list = cursor.slice(span);
                    self.has_substance |= list != "[]";
                    self.events.extend(extras::read(list, choice));
                }
                ("function_call", ValueKind::Object) => {
                    let (name, arguments) = self.function(cursor, choice, 0)?;
                    self.tool_call(choice, 0, None, name, arguments);
                }
                (_, ValueKind::Null) => cursor.word("null")?,
                _ => {
                    let span = cursor.span()?;
                    // `audio`, `annotations` …: the caller may want them, unless they are empty.
                    self.has_substance |= !matches!(cursor.slice(span), "\"\"" | "[]" | "{}");
                }
            }
        }
        Ok(())
    }

    /// `reasoning_details`, in which OpenRouter and we carry reasoning with its seal. Its words may stand beside it already
    /// (`is_told`).
    fn details(&mut self, cursor: &mut Cursor<'_>, choice: u32, is_told: bool) -> Scan<()> {
        let mut array = cursor.enter()?;
        while cursor.item(&mut array)? {
            if cursor.kind()? != ValueKind::Object {
                cursor.skip()?;
                continue;
            }
            let mut detail = extras::Detail::default();
            let mut object = cursor.enter()?;
            while let Some(key) = cursor.member(&mut object)? {
                match (&*key, cursor.kind()?) {
                    ("text" | "summary", ValueKind::String) => {
                        let literal = cursor.literal()?;
                        let events = self.events.len();
                        self.see_part(cursor, choice, DETAIL_PART, Channel::Reasoning, literal);
                        if is_told {
                            self.events.truncate(events);
                        }
                    }
                    (key, ValueKind::String) => {
                        let literal = cursor.literal()?;
                        detail.member(key, cursor.text(literal));
                    }
                    _ => cursor.skip()?,
                }
            }
            self.events.extend(detail.seal().map(|seal| Event::Seal { choice, seal }));
        }
        Ok(())
    }

    /// A string, or content parts. In parts (Mistral), those of type `thinking` hold parts of their own.
    fn words(&mut self, cursor: &mut Cursor<'_>, choice: u32, channel: Channel) -> Scan<()> {
        match cursor.kind()? {
            ValueKind::String => {
                let literal = cursor.literal()?;
                self.see(cursor, choice, channel, literal);
            }
            ValueKind::Array => {
                let mut array = cursor.enter()?;
                while cursor.item(&mut array)? {
                    if cursor.kind()? != ValueKind::Object {
                        cursor.skip()?;
                        continue;
                    }
                    let mut part = cursor.enter()?;
                    while let Some(key) = cursor.member(&mut part)? {
                        match &*key {
                            "text" => self.words(cursor, choice, channel)?,
                            "refusal" => self.words(cursor, choice, Channel::Refusal)?,
                            "thinking" => self.words(cursor, choice, Channel::Reasoning)?,
                            _ => cursor.skip()?,
                        }
                    }
                }
            }
            ValueKind::Object | ValueKind::Number | ValueKind::True | ValueKind::False | ValueKind::Null => {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    fn see(&mut self, cursor: &Cursor<'_>, choice: u32, channel: Channel, literal: Literal) {
        self.see_part(cursor, choice, 0, channel, literal);
    }

    fn see_part(&mut self, cursor: &Cursor<'_>, choice: u32, part: u32, channel: Channel, literal: Literal) {
        // Empty pieces come with the role and with the ending; they are no first token.
        if literal.is_empty() {
            return;
        }
        self.has_substance = true;
        let text = cursor.text(literal).into_owned();
        let (event, place, kind) = match channel {
            Channel::Content => (Event::Text { choice, text }, Place::AnswerContent { choice }, Kind::Words),
            Channel::Refusal => {
                (Event::Refusal { choice, text }, Place::AnswerRefusal { choice }, Kind::Refusal)
            }
            Channel::Reasoning => {
                (Event::Reasoning { choice, text }, Place::AnswerReasoning { choice }, Kind::Reasoning)
            }
            Channel::Arguments(_) | Channel::FunctionCall => unreachable!("`function` sees arguments"),
        };
        self.events.push(event);
        match self.shape {
            Shape::Plain => self.texts.push(Found { place, role: Role::Assistant, kind, literal }),
            Shape::Chunk => self.delta_of(choice, part, channel, literal),
        }
    }

    fn delta(&mut self, choice: u32, channel: Channel, literal: Literal) {
        self.delta_of(choice, 0, channel, literal);
    }

    fn delta_of(&mut self, choice: u32, part: u32, channel: Channel, literal: Literal) {
        let key = Key { choice, part, channel };
        self.deltas.push(TextDelta { key, extent: Extent::Piece, raw: literal.range() });
    }

    fn tool_calls(&mut self, cursor: &mut Cursor<'_>, choice: u32) -> Scan<()> {
        let mut array = cursor.enter()?;
        let mut position = 0;
        while cursor.item(&mut array)? {
            if cursor.kind()? != ValueKind::Object {
                cursor.skip()?;
                continue;
            }
            let (mut index, mut id, mut function) = (position, None, (None, String::new()));
            let mut signature = None;
            let first = self.deltas.len();
            let mut object = cursor.enter()?;
            while let Some(key) = cursor.member(&mut object)? {
                match (&*key, cursor.kind()?) {
                    ("index", ValueKind::Number) => {
                        let span = cursor.number()?;
                        index = cursor.slice(span).parse().unwrap_or(position);
                    }
                    ("id", ValueKind::String) => id = filled(cursor)?,
                    ("extra_content", ValueKind::Object) => {
                        let span = cursor.span()?;
                        signature = extras::thought_signature(cursor.slice(span));
                    }
                    ("function" | "custom", ValueKind::Object) => {
                        function = self.function(cursor, choice, position)?
                    }
                    _ => cursor.skip()?,
                }
            }
            // The index may stand behind the arguments.
            self.deltas[first..].iter_mut().for_each(|delta| delta.key.channel = Channel::Arguments(index));
            self.tool_call(choice, index, id, function.0, function.1);
            if let Some(signature) = signature {
                let seal = seal::read(&signature, Dialect::Gemini, Sealed::ToolCall(index));
                self.events.push(Event::Seal { choice, seal });
            }
            position += 1;
        }
        Ok(())
    }

    fn tool_call(
        &mut self,
        choice: u32,
        index: u32,
        id: Option<String>,
        name: Option<String>,
        arguments: String,
    ) {
        self.has_substance = true;
        self.events.push(Event::ToolCall { choice, index, id, name, arguments });
    }

    /// Name and arguments. Arguments that come as an object instead of a string are taken as they are written.
    fn function(
        &mut self,
        cursor: &mut Cursor<'_>,
        choice: u32,
        call: u32,
    ) -> Scan<(Option<String>, String)> {
        let (mut name, mut arguments) = (None, String::new());
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("name", ValueKind::String) => name = filled(cursor)?,
                ("arguments" | "input", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    arguments = cursor.text(literal).into_owned();
                    if self.shape == Shape::Plain && !literal.is_empty() {
                        let place = Place::AnswerArguments { choice, call };
                        self.texts.push(Found {
                            place,
                            role: Role::Assistant,
                            kind: Kind::Arguments,
                            literal,
                        });
                    }
                    if self.shape == Shape::Chunk && !literal.is_empty() {
                        self.delta(choice, Channel::FunctionCall, literal);
                    }
                }
                ("arguments" | "input", ValueKind::Object) => {
                    let span = cursor.span()?;
                    arguments = cursor.slice(span).to_owned();
                }
                _ => cursor.skip()?,
            }
        }
        Ok((name, arguments))
    }
}

/// A string that is not empty: later pieces of a tool call have `"id": ""` at some servers.
fn filled(cursor: &mut Cursor<'_>) -> Scan<Option<String>> {
    let literal = cursor.literal()?;
    Ok((!literal.is_empty()).then(|| cursor.text(literal).into_owned()))
}

fn not_an_answer(body: &[u8]) -> &'static str {
    match body.trim_ascii().first() {
        None => "the answer is empty",
        Some(b'<') => "the answer is HTML, not JSON",
        Some(_) => "the answer is not a JSON object",
    }
}

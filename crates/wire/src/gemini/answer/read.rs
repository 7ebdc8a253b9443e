//! An answer, or a frame of one, as events and the places of its texts.

use std::ops::Range;

use gauntlet_types::{Citation, Dialect, Event, Finish, Sealed};

use super::{
    candidate::{self, Call, Candidate, Part, word},
    grounding::{SOURCES_MAX, Source},
    partial::Partial,
    span::Widths,
};
use crate::{
    answer::{Channel, End, Extent, Key, SealAt, TextDelta},
    ask::tool_id,
    conversation::CHOICES_MAX,
    gemini::usage,
    json::{Cursor, Fail, Literal, Scan, ValueKind},
    openai::error::{ProviderError, from_value},
    seal,
    text::{Found, Kind, Place, Role},
};

/// What is remembered of an answer from frame to frame.
#[derive(Default, Debug)]
pub(super) struct State {
    choices: Vec<Choice>,
    pub model: Option<String>,
    pub id: Option<String>,
}

#[derive(Default, Debug)]
struct Choice {
    number: u32,
    /// The number of the present part, in our count: each run of words of one kind, each call, each picture is one.
    part: u32,
    run: Run,
    calls: u32,
    /// The arguments of the last call, where they come in pieces.
    partial: Option<Partial>,
    widths: Widths,
    /// The last text of the present run, in the body that is read.
    last: Range<usize>,
    cited: Vec<Citation>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Run {
    #[default]
    None,
    Words,
    Thoughts,
    Other,
}

impl State {
    fn choice(&mut self, number: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|choice| choice.number == number) {
            Some(at) => at,
            // Nobody may ask for more: what comes all the same is counted with the last.
            None if self.choices.len() >= CHOICES_MAX as usize => self.choices.len() - 1,
            None => {
                self.choices.push(Choice { number, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }
}

#[derive(Default)]
pub(super) struct Reading {
    pub events: Vec<Event>,
    /// The texts as a whole answer tells them.
    pub found: Vec<Found>,
    /// The same as a frame tells them.
    pub deltas: Vec<TextDelta>,
    pub ends: Vec<End>,
    pub seals: Vec<SealAt>,
    pub error: Option<ProviderError>,
    /// Calls without an id: the event, and which call of its choice it is.
    nameless: Vec<(usize, u32)>,
}

pub(super) fn plain(body: &[u8]) -> Scan<Reading> {
    let mut reading = Reading::default();
    let is_answer = reading.read(body, &mut State::default())?;
    if !is_answer && reading.error.is_none() {
        return Err(Fail::field(body.len(), "candidates", "is missing from the answer"));
    }
    Ok(reading)
}

pub(super) fn frame(data: &[u8], state: &mut State) -> Scan<Reading> {
    let mut reading = Reading::default();
    reading.read(data, state)?;
    Ok(reading)
}

impl Reading {
    /// Tells whether it has anything of an answer.
    fn read(&mut self, body: &[u8], state: &mut State) -> Scan<bool> {
        let mut cursor = Cursor::new(body)?;
        let cursor = &mut cursor;
        // Errors of a stream in array form come as a list of one.
        if cursor.kind().ok() == Some(ValueKind::Array) {
            self.error = serde_json::from_slice(body).ok().as_ref().and_then(from_value);
        }
        if self.error.is_some() {
            return Ok(false);
        }
        if cursor.kind().ok() != Some(ValueKind::Object) {
            return Err(Fail::new(cursor.at(), not_an_answer(body)));
        }
        let (mut is_answer, mut used, mut model, mut id) = (false, None, None, None);
        let (mut has_candidates, mut is_blocked) = (false, false);
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("candidates", ValueKind::Array) => {
                    is_answer = true;
                    let mut array = cursor.enter()?;
                    let mut position = 0;
                    while cursor.item(&mut array)? {
                        has_candidates = true;
                        let candidate = candidate::read(cursor, position)?;
                        self.candidate(cursor, candidate, state);
                        position += 1;
                    }
                }
                ("promptFeedback", ValueKind::Object) => {
                    is_answer = true;
                    is_blocked = blocked(cursor)?;
                }
                ("usageMetadata", ValueKind::Object) => {
                    is_answer = true;
                    let span = cursor.span()?;
                    used = usage::read(cursor.slice(span).as_bytes()).ok().flatten();
                }
                ("modelVersion", ValueKind::String) => model = word(cursor)?,
                ("responseId", ValueKind::String) => id = word(cursor)?,
                ("error", ValueKind::Object | ValueKind::String) => {
                    let span = cursor.span()?;
                    let value = serde_json::from_str(cursor.slice(span)).unwrap_or_default();
                    let mut error = from_value(&value).unwrap_or_default();
                    if error.message.is_empty() {
                        error.message = "the provider reported an error without words".to_owned();
                    }
                    self.error = Some(error);
                }
                _ => cursor.skip()?,
            }
        }
        cursor.finish()?;
        if is_blocked && !has_candidates {
            self.events.push(Event::Finish { choice: 0, why: Finish::ContentFilter });
            self.ends.push(End::Choice(0));
        }
        self.name_calls(id.as_deref(), body);
        state.id = id.or(state.id.take());
        if let Some(model) = model.filter(|model| state.model.as_ref() != Some(model)) {
            state.model = Some(model.clone());
            self.events.insert(0, Event::Model(model));
        }
        self.events.extend(used.map(Event::Usage));
        Ok(is_answer)
    }

    /// Ids of our own for calls without one: the same whenever the answer is read, and not the same in the next answer,
    /// since a caller may keep both in one conversation.
    fn name_calls(&mut self, response: Option<&str>, body: &[u8]) {
        if self.nameless.is_empty() {
            return;
        }
        let salt = match response {
            Some(id) => id.to_owned(),
            None => tool_id(&String::from_utf8_lossy(body)),
        };
        for (at, number) in &self.nameless {
            if let Some(Event::ToolCall { choice, id, .. }) = self.events.get_mut(*at) {
                let whole = match choice {
                    0 => format!("call_{salt}_{number}"),
                    choice => format!("call_{salt}_{choice}_{number}"),
                };
                *id = Some(tool_id(&whole));
            }
        }
    }

    fn candidate(&mut self, cursor: &Cursor<'_>, mut candidate: Candidate, state: &mut State) {
        let choice = state.choice(candidate.number);
        let number = choice.number;
        // Where each part's words begin in the text of the choice: sources are told by part.
        let mut starts = Vec::with_capacity(candidate.parts.len());
        choice.last = 0..0;
        for part in &mut candidate.parts {
            starts.push(choice.widths.bytes());
            self.part(cursor, part, choice);
        }
        let sources = candidate.grounding.list.iter().chain(&candidate.citations);
        for source in sources {
            let citation = source.citation(choice, &starts);
            if choice.cited.len() < SOURCES_MAX && !choice.cited.contains(&citation) {
                choice.cited.push(citation.clone());
                self.events.push(Event::Citation { choice: number, citation });
            }
        }
        let beside = candidate.grounding.beside.into_iter().chain(candidate.message);
        for literal in beside.filter(|literal| !literal.is_empty()) {
            self.enter(choice, Run::Other);
            self.text(choice.key(Channel::Content), Kind::Words, Extent::Whole, literal);
        }
        if let Some(why) = candidate.why {
            let why = if why == Finish::Stop && choice.calls > 0 { Finish::ToolCalls } else { why };
            self.events.push(Event::Finish { choice: number, why });
            self.ends.push(End::Choice(number));
        }
    }

    /// Goes on to a new part where the kind of words changes; the one before gets no further piece.
    fn enter(&mut self, choice: &mut Choice, run: Run) {
        if choice.run == run && run != Run::Other {
            return;
        }
        if matches!(choice.run, Run::Words | Run::Thoughts) {
            self.ends.push(End::Part { choice: choice.number, part: choice.part });
        }
        if choice.run != Run::None {
            choice.part = choice.part.saturating_add(1);
        }
        choice.run = run;
        choice.last = 0..0;
    }

    fn part(&mut self, cursor: &Cursor<'_>, part: &mut Part, choice: &mut Choice) {
        let number = choice.number;
        let mut sealed = if part.is_thought { Sealed::Reasoning } else { Sealed::Text };
        if let Some(literal) = part.text.filter(|literal| !literal.is_empty()) {
            let text = cursor.text(literal).into_owned();
            let (run, channel, kind) = match part.is_thought {
                true => (Run::Thoughts, Channel::Reasoning, Kind::Reasoning),
                false => (Run::Words, Channel::Content, Kind::Words),
            };
            self.enter(choice, run);
            self.text(choice.key(channel), kind, Extent::Piece, literal);
            choice.last = literal.range();
            if !part.is_thought {
                choice.widths.add(&text);
            }
            self.events.push(match part.is_thought {
                true => Event::Reasoning { choice: number, text },
                false => Event::Text { choice: number, text },
            });
        }
        for literal in part.code.iter().filter(|literal| !literal.is_empty()) {
            self.enter(choice, Run::Other);
            self.text(choice.key(Channel::Content), Kind::Words, Extent::Whole, *literal);
            let text = cursor.text(*literal).into_owned();
            choice.widths.add(&text);
            self.events.push(Event::Text { choice: number, text });
        }
        // Guards look at them; they are no words of the answer.
        for literal in part.unknown.iter().filter(|literal| !literal.is_empty()) {
            self.enter(choice, Run::Other);
            self.text(choice.key(Channel::Content), Kind::Words, Extent::Whole, *literal);
        }
        if let Some((mime, data)) = part.media {
            self.enter(choice, Run::Other);
            let mime = mime.map(|mime| cursor.text(mime).into_owned()).unwrap_or_default();
            let data = cursor.text(data).into_owned();
            self.events.push(Event::Media { choice: number, mime, data });
        }
        if let Some(call) = &mut part.call {
            sealed = Sealed::ToolCall(self.call(cursor, call, choice));
        }
        if let Some(literal) = part.signature.filter(|literal| !literal.is_empty()) {
            let data = cursor.text(literal);
            let seal = seal::read(&data, Dialect::Gemini, sealed);
            let seal = match (seal.on, sealed) {
                // The mark does not know which call of the answer it is on.
                (Sealed::ToolCall(_), Sealed::ToolCall(_)) => gauntlet_types::Seal { on: sealed, ..seal },
                _ => seal,
            };
            self.events.push(Event::Seal { choice: number, seal });
            self.seal(part, choice, literal);
        }
    }

    fn call(&mut self, cursor: &Cursor<'_>, call: &mut Call, choice: &mut Choice) -> u32 {
        let partial = choice.partial.take();
        let is_new = partial.is_none();
        if is_new {
            self.enter(choice, Run::Other);
            choice.calls = choice.calls.saturating_add(1);
        }
        let index = choice.calls.saturating_sub(1);
        let key = choice.key(Channel::Arguments(index));
        for literal in call.strings.iter().filter(|literal| !literal.is_empty()) {
            self.text(key, Kind::Arguments, Extent::Whole, *literal);
        }
        let whole = call.args.clone().map(|args| cursor.slice(args).to_owned());
        let arguments = if is_new && !call.continues && call.pieces.is_empty() {
            whole.unwrap_or_else(|| "{}".to_owned())
        } else {
            let mut partial = partial.unwrap_or_default();
            call.pieces.drain(..).for_each(|piece| partial.add(piece));
            // Told once they are whole.
            let json = if call.continues { String::new() } else { whole.unwrap_or_else(|| partial.json()) };
            choice.partial = call.continues.then_some(partial);
            json
        };
        if is_new && call.id.is_none() {
            self.nameless.push((self.events.len(), index));
        }
        let (id, name) = if is_new { (call.id.take(), call.name.take()) } else { (None, None) };
        self.events.push(Event::ToolCall { choice: choice.number, index, id, name, arguments });
        index
    }

    /// Notes the seal at each text it holds for: the strings of a call, or the words it comes with or after.
    fn seal(&mut self, part: &Part, choice: &Choice, literal: Literal) {
        let raw = literal.range();
        let Some(call) = &part.call else {
            let channel = if part.is_thought { Channel::Reasoning } else { Channel::Content };
            self.seals.push(SealAt { text: choice.last.clone(), key: choice.key(channel), raw });
            return;
        };
        let key = choice.key(Channel::Arguments(choice.calls.saturating_sub(1)));
        let strings = call.strings.iter().filter(|literal| !literal.is_empty());
        self.seals.extend(strings.map(|text| SealAt { text: text.range(), key, raw: raw.clone() }));
    }

    fn text(&mut self, key: Key, kind: Kind, extent: Extent, literal: Literal) {
        let choice = key.choice;
        let place = match key.channel {
            Channel::Reasoning => Place::AnswerReasoning { choice },
            Channel::Arguments(call) => Place::AnswerArguments { choice, call },
            Channel::Content | Channel::Refusal | Channel::FunctionCall => Place::AnswerContent { choice },
        };
        self.found.push(Found { place, role: Role::Assistant, kind, literal });
        self.deltas.push(TextDelta { key, extent, raw: literal.range() });
    }
}

impl Choice {
    fn key(&self, channel: Channel) -> Key {
        Key { choice: self.number, part: self.part, channel }
    }
}

impl Source {
    /// With its place in characters of the choice's text, where that can be told.
    fn citation(&self, choice: &Choice, starts: &[usize]) -> Citation {
        let base = match starts.get(self.part as usize) {
            // A stream counts from the beginning of the answer, whatever part the sources come with.
            _ if self.part == 0 => Some(0),
            start => start.copied(),
        };
        let chars = |byte: u32| choice.widths.chars_at(base?.checked_add(byte as usize)?);
        let span = self.bytes.and_then(|(start, end)| Some((chars(start)?, chars(end)?)));
        Citation { url: self.url.clone(), title: self.title.clone(), cited: self.cited.clone(), span }
    }
}

/// Whether the prompt itself was refused.
fn blocked(cursor: &mut Cursor<'_>) -> Scan<bool> {
    let mut is_blocked = false;
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        let kind = cursor.kind()?;
        let span = cursor.span()?;
        let is_reason = key == "blockReason" && kind == ValueKind::String;
        is_blocked |= is_reason && !matches!(cursor.slice(span), "\"\"" | "\"BLOCK_REASON_UNSPECIFIED\"");
    }
    Ok(is_blocked)
}

fn not_an_answer(body: &[u8]) -> &'static str {
    match body.trim_ascii().first() {
        None => "the answer is empty",
        Some(b'<') => "the answer is HTML, not JSON",
        Some(_) => "the answer is not a JSON object",
    }
}

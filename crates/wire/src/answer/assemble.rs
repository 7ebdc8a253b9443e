//! Puts a stream's events together again, for the record and for decisions on the whole answer.

use bytes::Bytes;
use gauntlet_types::{Event, Finish, ToolCall, Usage};

use crate::{json::quote, openai::usage};

/// Bytes of text that are kept of one stream. The longest outputs sold (128 thousand tokens) have about half a megabyte;
/// what goes beyond is dropped and the record says so.
pub const ASSEMBLED_MAX: usize = 2 << 20;

/// What a tool call costs towards `ASSEMBLED_MAX` beside its text, so that empty ones do not add up unseen.
const TOOL_CALL_COST: usize = 256;

/// Choices that are kept: as many as a request may ask for.
const CHOICES_MAX: usize = crate::conversation::CHOICES_MAX as usize;

/// Tool calls of one choice that are kept. Finding one by its index is a linear search; real answers have a handful.
const TOOL_CALLS_MAX: usize = 1_000;

/// Collects events.
#[derive(Clone, Default, Debug)]
pub struct Assembler {
    choices: Vec<Assembled>,
    model: Option<String>,
    usage: Option<Usage>,
    error: Option<String>,
    size: usize,
    is_truncated: bool,
    is_done: bool,
}

/// What one choice has become so far.
#[derive(Clone, Default, Debug)]
pub struct Assembled {
    pub index: u32,
    pub text: String,
    pub refusal: String,
    pub reasoning: String,
    pub finish: Option<Finish>,
    calls: Vec<(u32, ToolCall)>,
}

impl Assembled {
    /// In the order in which they began.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.calls.iter().map(|(_, call)| call)
    }

    /// The call that a piece belongs to. A new id under a known index begins a new call: some servers number all
    /// parallel calls 0.
    fn call(&mut self, index: u32, id: Option<&str>) -> Option<&mut ToolCall> {
        let known = self.calls.iter().rposition(|(at, _)| *at == index).filter(|at| {
            let call = &self.calls[*at].1;
            id.is_none_or(|id| call.id.is_empty() || call.id == id)
        });
        let at = match known {
            Some(at) => at,
            None if self.calls.len() == TOOL_CALLS_MAX => return None,
            None => {
                self.calls.push((index, ToolCall::default()));
                self.calls.len() - 1
            }
        };
        Some(&mut self.calls[at].1)
    }
}

impl Assembler {
    pub fn new() -> Assembler {
        Assembler::default()
    }

    pub fn feed(&mut self, event: &Event) {
        match event {
            Event::Model(model) => {
                if self.model.as_deref() != Some(model) && self.room(model.len()) {
                    self.model = Some(model.clone());
                }
            }
            Event::Text { choice, text } => self.add(*choice, text, |choice| &mut choice.text),
            Event::Refusal { choice, text } => self.add(*choice, text, |choice| &mut choice.refusal),
            Event::Reasoning { choice, text } => self.add(*choice, text, |choice| &mut choice.reasoning),
            Event::ToolCall { choice, index, id, name, arguments } => {
                self.tool_call(*choice, *index, id.as_deref(), name.as_deref(), arguments);
            }
            Event::Finish { choice, why } => {
                if let Some(choice) = self.choice_mut(*choice) {
                    choice.finish = Some(*why);
                }
            }
            // Where usage comes with every chunk it grows: the last one counts.
            Event::Usage(usage) => self.usage = Some(*usage),
            // Marks of the provider's, for the caller alone; the record has the words.
            Event::Seal { .. } | Event::Citation { .. } | Event::Media { .. } => {}
            Event::Error { message, .. } => self.error = Some(message.clone()),
            Event::Done => self.is_done = true,
        }
    }

    /// Takes `bytes` off the room that is left; false, and truncated from then on, if there is too little.
    fn room(&mut self, bytes: usize) -> bool {
        self.is_truncated |= self.size + bytes > ASSEMBLED_MAX;
        if !self.is_truncated {
            self.size += bytes;
        }
        !self.is_truncated
    }

    fn add(&mut self, choice: u32, text: &str, part: fn(&mut Assembled) -> &mut String) {
        if self.room(text.len())
            && let Some(choice) = self.choice_mut(choice)
        {
            part(choice).push_str(text);
        }
    }

    fn tool_call(&mut self, choice: u32, index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) {
        let begins = if id.is_some() || name.is_some() { TOOL_CALL_COST } else { 0 };
        if !self.room(arguments.len() + begins) {
            return;
        }
        let Some(choice) = self.choice_mut(choice) else { return };
        let Some(call) = choice.call(index, id) else {
            self.is_truncated = true;
            return;
        };
        if let Some(id) = id
            && call.id.is_empty()
        {
            call.id = id.to_owned();
        }
        // The name comes whole; a server that repeats it with every piece must not double it.
        if let Some(name) = name
            && call.name.is_empty()
        {
            call.name = name.to_owned();
        }
        call.arguments.push_str(arguments);
    }

    fn choice_mut(&mut self, index: u32) -> Option<&mut Assembled> {
        let at = match self.choices.binary_search_by_key(&index, |choice| choice.index) {
            Ok(at) => at,
            Err(_) if self.choices.len() == CHOICES_MAX => {
                self.is_truncated = true;
                return None;
            }
            Err(at) => {
                self.choices.insert(at, Assembled { index, ..Assembled::default() });
                at
            }
        };
        self.choices.get_mut(at)
    }

    /// The choices that anything was said of, by their index.
    pub fn choices(&self) -> &[Assembled] {
        &self.choices
    }

    /// The text of a choice so far; empty if it has none.
    pub fn text(&self, choice: u32) -> &str {
        let at = self.choices.binary_search_by_key(&choice, |choice| choice.index);
        at.map_or("", |at| &self.choices[at].text)
    }

    /// The tool calls of all choices.
    pub fn tool_calls(&self) -> Vec<ToolCall> {
        self.choices.iter().flat_map(Assembled::tool_calls).cloned().collect()
    }

    /// How the first choice ended.
    pub fn finish(&self) -> Option<Finish> {
        self.choices.first().and_then(|choice| choice.finish)
    }

    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// The message of an error that broke the stream.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Text was dropped, since there was more than `ASSEMBLED_MAX`.
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// The end mark was seen.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The answer in the shape of a whole one. A truncated one has `"truncated":true` at the end.
    pub fn message_json(&self) -> Bytes {
        let mut body = br#"{"object":"chat.completion","model":"#.to_vec();
        optional(&mut body, self.model.as_deref());
        body.extend_from_slice(br#","choices":["#);
        for (position, choice) in self.choices.iter().enumerate() {
            if position > 0 {
                body.push(b',');
            }
            write_choice(&mut body, choice);
        }
        body.extend_from_slice(br#"],"usage":"#);
        match &self.usage {
            Some(usage) => body.extend_from_slice(usage::json(usage).as_bytes()),
            None => body.extend_from_slice(b"null"),
        }
        if let Some(error) = &self.error {
            body.extend_from_slice(br#","error":{"message":"#);
            body.extend_from_slice(&quote(error));
            body.push(b'}');
        }
        if self.is_truncated {
            body.extend_from_slice(br#","truncated":true"#);
        }
        body.push(b'}');
        body.into()
    }
}

fn optional(body: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => body.extend_from_slice(&quote(text)),
        None => body.extend_from_slice(b"null"),
    }
}

fn write_choice(body: &mut Vec<u8>, choice: &Assembled) {
    body.extend_from_slice(
        format!(r#"{{"index":{},"message":{{"role":"assistant","content":"#, choice.index).as_bytes(),
    );
    optional(body, Some(choice.text.as_str()).filter(|text| !text.is_empty()));
    for (key, text) in [("refusal", &choice.refusal), ("reasoning_content", &choice.reasoning)] {
        if !text.is_empty() {
            body.extend_from_slice(format!(r#","{key}":"#).as_bytes());
            body.extend_from_slice(&quote(text));
        }
    }
    for (position, call) in choice.tool_calls().enumerate() {
        let before = if position == 0 { r#","tool_calls":["# } else { "," };
        body.extend_from_slice(before.as_bytes());
        body.extend_from_slice(br#"{"id":"#);
        body.extend_from_slice(&quote(&call.id));
        body.extend_from_slice(br#","type":"function","function":{"name":"#);
        body.extend_from_slice(&quote(&call.name));
        body.extend_from_slice(br#","arguments":"#);
        body.extend_from_slice(&quote(&call.arguments));
        body.extend_from_slice(b"}}");
    }
    if !choice.calls.is_empty() {
        body.push(b']');
    }
    body.extend_from_slice(br#"},"finish_reason":"#);
    // For the record, so in our own words: what ended in an unknown way is not written as `stop`.
    optional(body, choice.finish.map(Finish::as_str));
    body.push(b'}');
}

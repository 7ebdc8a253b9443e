//! Events written as an answer of Responses: where the model speaks another dialect, or the words are ours.
//!
//! Every text is told as often as OpenAI tells it, since clients differ in which telling they read. Calls of tools stay
//! open until the end, because pieces of several may come in turns.

use bytes::Bytes;
use gauntlet_types::{Citation, Dialect, Event, Finish, Seal, Sealed, Usage};
use serde_json::{Value, json};

use super::frames::{self, At, Numbers, Sort};
use crate::{answer::ASSEMBLED_MAX, openai::usage, seal, translate::Head};

/// Items that are written; real answers have a few dozen.
const ITEMS_MAX: usize = 4_096;

/// What is remembered of an answer while it is written.
struct State {
    head: Head,
    numbers: Numbers,
    /// Of items that are done, in their place.
    output: Vec<Value>,
    speaking: Option<Speaking>,
    calls: Vec<Call>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    error: Option<(Option<String>, String)>,
    is_begun: bool,
    /// Characters of the words before the open part.
    chars: u32,
    /// Bytes that are kept for the tellings to come.
    kept: usize,
}

/// The message or the reasoning that is open.
struct Speaking {
    at: u32,
    id: String,
    parts: Vec<Value>,
    open: Option<Part>,
    is_reasoning: bool,
}

struct Part {
    sort: Sort,
    text: String,
    annotations: Vec<Value>,
    chars: u32,
}

struct Call {
    /// Its number among the events.
    index: u32,
    at: u32,
    item_id: String,
    call_id: String,
    name: String,
    arguments: String,
    /// Of a tool that takes plain text.
    is_custom: bool,
}

impl Call {
    fn item(&self, status: &str) -> Value {
        if self.is_custom {
            return json!({
                "id": self.item_id, "type": "custom_tool_call", "status": status, "call_id": self.call_id,
                "input": self.arguments, "name": self.name,
            });
        }
        json!({
            "id": self.item_id, "type": "function_call", "status": status, "arguments": self.arguments,
            "call_id": self.call_id, "name": self.name,
        })
    }
}

impl Call {
    fn delta(&self, text: &str, numbers: &mut Numbers) -> Bytes {
        let members = json!({"item_id": self.item_id, "output_index": self.at, "delta": text});
        numbers.frame(&format!("{}.delta", self.stem()), members)
    }

    fn stem(&self) -> &'static str {
        if self.is_custom { "response.custom_tool_call_input" } else { "response.function_call_arguments" }
    }

    /// Tells the arguments once more, as a whole; what was held back of them first.
    fn end(&mut self, numbers: &mut Numbers, frames: &mut Vec<Bytes>) {
        let mut held = None;
        if self.is_custom {
            if let Some(text) = plain(&self.arguments) {
                self.arguments = text;
            }
            held = Some(self.arguments.clone()).filter(|text| !text.is_empty());
        } else if self.arguments.is_empty() {
            // No arguments are an object without members: clients parse what they get.
            self.arguments = "{}".to_owned();
            held = Some(self.arguments.clone());
        }
        frames.extend(held.map(|text| self.delta(&text, numbers)));
        let mut members = json!({"item_id": self.item_id, "output_index": self.at});
        members[if self.is_custom { "input" } else { "arguments" }] = self.arguments.as_str().into();
        if !self.is_custom {
            members["name"] = self.name.as_str().into();
        }
        frames.push(numbers.frame(&format!("{}.done", self.stem()), members));
    }
}

/// The text of a custom tool that a dialect without such tools has put into an object, as its only member.
fn plain(arguments: &str) -> Option<String> {
    let Ok(Value::Object(members)) = serde_json::from_str(arguments) else { return None };
    let mut members = members.into_iter();
    match (members.next(), members.next()) {
        (Some((name, Value::String(text))), None) if name == "input" => Some(text),
        _ => None,
    }
}

impl State {
    fn new(head: Head) -> State {
        State {
            head,
            numbers: Numbers::default(),
            output: Vec::new(),
            speaking: None,
            calls: Vec::new(),
            finish: None,
            usage: None,
            error: None,
            is_begun: false,
            chars: 0,
            kept: 0,
        }
    }

    fn response(&self) -> Value {
        frames::response(&format!("resp_{}", self.head.id), self.head.created, &self.head.model)
    }

    fn begin(&mut self, frames: &mut Vec<Bytes>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            for kind in ["response.created", "response.in_progress"] {
                let response = self.response();
                frames.push(self.numbers.frame(kind, json!({"response": response})));
            }
        }
    }

    /// The place of a new item and its id.
    fn item(&mut self, prefix: &str) -> Option<(u32, String)> {
        if self.output.len() == ITEMS_MAX {
            return None;
        }
        let at = self.output.len() as u32;
        self.output.push(Value::Null);
        Some((at, format!("{prefix}_{}_{at}", self.head.id)))
    }

    fn room(&mut self, text: &str) -> bool {
        self.kept += text.len();
        self.kept <= ASSEMBLED_MAX
    }

    fn say(&mut self, sort: Sort, text: &str, frames: &mut Vec<Bytes>) {
        if text.is_empty() {
            return;
        }
        self.begin(frames);
        if !self.open(sort, frames) {
            return;
        }
        let is_kept = self.room(text);
        let Some(speaking) = &mut self.speaking else { return };
        let Some(part) = &mut speaking.open else { return };
        part.chars = part.chars.saturating_add(text.chars().count() as u32);
        if is_kept {
            part.text.push_str(text);
        }
        let at = At { item: speaking.at, id: &speaking.id, index: speaking.parts.len() as u32 };
        frames.push(sort.delta(at, text, &mut self.numbers));
    }

    /// Opens a part of this sort, unless one is open.
    fn open(&mut self, sort: Sort, frames: &mut Vec<Bytes>) -> bool {
        let is_reasoning = sort.is_of_reasoning();
        if self.speaking.as_ref().is_none_or(|speaking| speaking.is_reasoning != is_reasoning) {
            self.hush(None, frames);
            let Some((at, id)) = self.item(if is_reasoning { "rs" } else { "msg" }) else { return false };
            let item = match is_reasoning {
                true => json!({"id": id, "type": "reasoning", "summary": []}),
                false => frames::message(&id, "in_progress", Vec::new()),
            };
            frames.push(frames::item_added(at, item, &mut self.numbers));
            self.speaking = Some(Speaking { at, id, parts: Vec::new(), open: None, is_reasoning });
        }
        let Some(speaking) = &mut self.speaking else { return false };
        if speaking.open.as_ref().is_some_and(|part| part.sort == sort) {
            return true;
        }
        self.close_part(frames);
        let Some(speaking) = &mut self.speaking else { return false };
        let at = At { item: speaking.at, id: &speaking.id, index: speaking.parts.len() as u32 };
        frames.push(sort.added(at, &mut self.numbers));
        speaking.open = Some(Part { sort, text: String::new(), annotations: Vec::new(), chars: 0 });
        true
    }

    fn close_part(&mut self, frames: &mut Vec<Bytes>) {
        let Some(speaking) = &mut self.speaking else { return };
        let Some(Part { sort, text, annotations, chars }) = speaking.open.take() else { return };
        if sort == Sort::Text {
            self.chars = self.chars.saturating_add(chars);
        }
        let at = At { item: speaking.at, id: &speaking.id, index: speaking.parts.len() as u32 };
        frames.push(sort.text_done(at, &text, &mut self.numbers));
        frames.push(sort.done(at, &text, &annotations, &mut self.numbers));
        speaking.parts.push(sort.part(&text, &annotations));
    }

    /// Ends the open message or reasoning.
    fn hush(&mut self, seal: Option<String>, frames: &mut Vec<Bytes>) {
        self.close_part(frames);
        let Some(Speaking { at, id, parts, is_reasoning, .. }) = self.speaking.take() else { return };
        let item = match is_reasoning {
            true => reasoning(&id, parts, seal),
            false => frames::message(&id, "completed", parts),
        };
        self.done(at, item, frames);
    }

    fn done(&mut self, at: u32, item: Value, frames: &mut Vec<Bytes>) {
        frames.push(frames::item_done(at, &item, &mut self.numbers));
        self.output[at as usize] = item;
    }

    fn call(&mut self, piece: (u32, Option<&str>, Option<&str>, &str), frames: &mut Vec<Bytes>) {
        let (index, id, name, arguments) = piece;
        self.begin(frames);
        // A new id under a known index is a new call: some servers number all parallel calls 0.
        let known = self
            .calls
            .iter()
            .rposition(|call| call.index == index)
            .filter(|at| id.is_none_or(|id| id.is_empty() || self.calls[*at].call_id == id));
        let known = known.or_else(|| {
            self.hush(None, frames);
            let name = name.unwrap_or_default().to_owned();
            let is_custom = self.head.custom_tools.contains(&name);
            let (at, item_id) = self.item(if is_custom { "ctc" } else { "fc" })?;
            let call_id = id.filter(|id| !id.is_empty()).map(str::to_owned);
            let call = Call {
                index,
                at,
                call_id: call_id.unwrap_or_else(|| format!("call_{}_{at}", self.head.id)),
                item_id,
                name,
                arguments: String::new(),
                is_custom,
            };
            frames.push(frames::item_added(at, call.item("in_progress"), &mut self.numbers));
            self.calls.push(call);
            Some(self.calls.len() - 1)
        });
        let Some(known) = known else { return };
        if arguments.is_empty() {
            return;
        }
        let is_kept = self.room(arguments);
        let call = &mut self.calls[known];
        if is_kept {
            call.arguments.push_str(arguments);
        }
        // Plain text may have come as JSON, which shows when it is whole.
        if !call.is_custom {
            frames.push(call.delta(arguments, &mut self.numbers));
        }
    }

    /// Seals stand in reasoning items: that of the reasoning before, or one of their own.
    fn seal(&mut self, seal: &Seal, frames: &mut Vec<Bytes>) {
        self.begin(frames);
        let is_open = self.speaking.as_ref().is_some_and(|speaking| speaking.is_reasoning);
        if seal.on == Sealed::Reasoning && is_open {
            return self.hush(Some(seal::write(seal, Dialect::Responses)), frames);
        }
        let data = match seal.on {
            // The item is not the call: the seal's id says which call it is of.
            Sealed::ToolCall(index) => {
                let call = self.calls.iter().rfind(|call| call.index == index);
                // A full stop would end the id within the mark.
                let id = call.map(|call| call.call_id.clone()).filter(|id| !id.contains('.'));
                seal::write(&Seal { id, ..seal.clone() }, Dialect::Responses)
            }
            Sealed::Reasoning | Sealed::Redacted | Sealed::Text => seal::write(seal, Dialect::Responses),
        };
        self.hush(None, frames);
        let Some((at, id)) = self.item("rs") else { return };
        let id = seal.id.clone().filter(|_| seal.by == Dialect::Responses).unwrap_or(id);
        frames.push(frames::item_added(at, reasoning(&id, Vec::new(), None), &mut self.numbers));
        self.done(at, reasoning(&id, Vec::new(), Some(data)), frames);
    }

    fn cite(&mut self, citation: &Citation, frames: &mut Vec<Bytes>) {
        self.begin(frames);
        if !self.open(Sort::Text, frames) {
            return;
        }
        let chars = self.chars;
        let Some(speaking) = &mut self.speaking else { return };
        let Some(part) = &mut speaking.open else { return };
        let Some(annotation) = annotation(citation, chars, part.chars) else { return };
        let members = json!({
            "item_id": speaking.id, "output_index": speaking.at, "content_index": speaking.parts.len(),
            "annotation_index": part.annotations.len(), "annotation": annotation,
        });
        part.annotations.push(annotation);
        frames.push(self.numbers.frame("response.output_text.annotation.added", members));
    }

    /// A picture. There is no item for a sound that a model made.
    fn media(&mut self, mime: &str, data: &str, frames: &mut Vec<Bytes>) {
        let Some(format) = mime.strip_prefix("image/") else { return };
        self.begin(frames);
        self.hush(None, frames);
        let Some((at, id)) = self.item("ig") else { return };
        let item = |status, result: Value| {
            json!({
                "id": id, "type": "image_generation_call", "status": status, "output_format": format,
                "result": result,
            })
        };
        frames.push(frames::item_added(at, item("in_progress", Value::Null), &mut self.numbers));
        self.done(at, item("completed", data.into()), frames);
    }

    fn push(&mut self, event: &Event, frames: &mut Vec<Bytes>) {
        match event {
            Event::Model(model) => {
                if !self.is_begun {
                    self.head.model.clone_from(model);
                }
            }
            Event::Text { choice: 0, text } => self.say(Sort::Text, text, frames),
            Event::Refusal { choice: 0, text } => self.say(Sort::Refusal, text, frames),
            Event::Reasoning { choice: 0, text } => self.say(Sort::Summary, text, frames),
            Event::ToolCall { choice: 0, index, id, name, arguments } => {
                self.call((*index, id.as_deref(), name.as_deref(), arguments), frames);
            }
            Event::Seal { choice: 0, seal } => self.seal(seal, frames),
            Event::Citation { choice: 0, citation } => self.cite(citation, frames),
            Event::Media { choice: 0, mime, data } => self.media(mime, data, frames),
            Event::Finish { choice: 0, why } => self.finish = Some(*why),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error { code, message } => self.error = Some((code.clone(), message.clone())),
            // An answer of Responses has one choice.
            Event::Text { .. }
            | Event::Refusal { .. }
            | Event::Reasoning { .. }
            | Event::ToolCall { .. }
            | Event::Seal { .. }
            | Event::Citation { .. }
            | Event::Media { .. }
            | Event::Finish { .. }
            | Event::Done => {}
        }
    }

    /// Closes what is open, and gives the whole response with its status.
    fn end(&mut self, frames: &mut Vec<Bytes>) -> (&'static str, Value) {
        self.begin(frames);
        self.hush(None, frames);
        // A call that the model was cut off in is no call to be made.
        let is_whole = self.error.is_none() && !matches!(self.finish, Some(Finish::Length));
        for mut call in std::mem::take(&mut self.calls) {
            if is_whole || serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_ok() {
                call.end(&mut self.numbers, frames);
                self.done(call.at, call.item("completed"), frames);
            } else {
                self.output[call.at as usize] = call.item("incomplete");
            }
        }
        let mut response = self.response();
        response["output"] = std::mem::take(&mut self.output).into();
        response["usage"] = self.usage.map_or(Value::Null, |usage| usage::responses_json(&usage));
        if let Some((code, message)) = self.error.take() {
            response["status"] = "failed".into();
            let code = code.as_deref().unwrap_or("server_error");
            response["error"] = json!({"code": code, "message": message});
            return ("failed", response);
        }
        (frames::end(&mut response, self.finish), response)
    }
}

fn reasoning(id: &str, summary: Vec<Value>, seal: Option<String>) -> Value {
    let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
    if let Some(seal) = seal {
        item["encrypted_content"] = seal.into();
    }
    item
}

/// A source as OpenAI names it. `before` are the characters before its part, `so_far` those in it: a source without a
/// span stands where it was told.
fn annotation(citation: &Citation, before: u32, so_far: u32) -> Option<Value> {
    let (start, end) = match citation.span {
        Some((start, end)) => (start.saturating_sub(before), end.saturating_sub(before)),
        None => (so_far, so_far),
    };
    let title = citation.title.as_deref();
    Some(match (&citation.url, title) {
        (Some(url), title) => json!({
            "type": "url_citation", "start_index": start, "end_index": end, "url": url, "title": title.unwrap_or(""),
        }),
        (None, Some(title)) => {
            json!({"type": "file_citation", "index": end, "file_id": "", "filename": title})
        }
        (None, None) => return None,
    })
}

/// Writes the frames of a stream.
pub(crate) struct Writer(State);

impl Writer {
    pub(crate) fn new(head: Head) -> Writer {
        Writer(State::new(head))
    }

    pub(crate) fn push(&mut self, event: &Event, frames: &mut Vec<Bytes>) {
        self.0.push(event, frames);
    }

    pub(crate) fn end(&mut self, frames: &mut Vec<Bytes>) {
        let (status, response) = self.0.end(frames);
        let last = self.0.numbers.frame(&format!("response.{status}"), json!({"response": response}));
        frames.push(last);
    }
}

/// Writes a whole answer.
pub(crate) fn whole(head: &Head, events: &[Event]) -> Bytes {
    let mut state = State::new(head.clone());
    // The model of a whole answer may be told at its end.
    for event in events {
        if let Event::Model(model) = event {
            state.head.model.clone_from(model);
        }
    }
    let mut frames = Vec::new();
    for event in events {
        state.push(event, &mut frames);
        frames.clear();
    }
    let (_, response) = state.end(&mut frames);
    response.to_string().into()
}

//! The record's bodies read for showing: messages with their parts, tools, settings.
//!
//! Bodies are a caller's and a model's words, so nothing here can fail: what is not understood is left out. Each message
//! is parsed on its own, the newest first, until the bound is reached; a body of megabytes costs one walk over it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json, value::RawValue};

use super::bound;

pub(super) const MESSAGES_MAX: usize = 128;
const PARTS_MAX: usize = 64;
const TOOLS_MAX: usize = 64;
/// Choices of an answer, and texts to embed, that are shown.
const CHOICES_MAX: usize = 16;

type Members<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Default, Debug)]
pub(super) struct Input {
    /// In the order of the conversation.
    pub messages: Vec<Message>,
    /// Messages that the bounds left no room for.
    pub left_out: usize,
    /// Definitions, as the caller wrote them.
    pub tools: Vec<String>,
    /// Of an embeddings request.
    pub embedded: Vec<String>,
    /// `temperature` and the like: scalars and lists of scalars alone.
    pub settings: Map<String, Value>,
}

#[derive(Default, Debug)]
pub(super) struct Output {
    pub id: Option<String>,
    pub choices: Vec<(Message, Option<String>)>,
}

#[derive(Default, Debug)]
pub(super) struct Message {
    pub role: String,
    pub parts: Vec<Part>,
}

#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Reasoning(String),
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    ToolResult {
        id: String,
        text: String,
    },
    /// An image, a sound, a file: its kind and, where it is not within the request, its address.
    Media {
        modality: &'static str,
        uri: Option<String>,
    },
}

const SETTINGS: [&str; 12] = [
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "n",
    "stop",
    "reasoning_effort",
    "service_tier",
];

impl Input {
    pub(super) fn read(body: &[u8]) -> Input {
        let Ok(members) = serde_json::from_slice::<Members<'_>>(body) else { return Input::default() };
        let mut input = Input::default();
        for name in SETTINGS {
            let value = members.get(name).and_then(|raw| small(raw));
            if let Some(value) = value.filter(is_setting) {
                input.settings.insert(name.to_owned(), value);
            }
        }
        if let Some(all) = list(&members, "messages") {
            input.take(&all);
        }
        for tool in list(&members, "tools").unwrap_or_default().into_iter().take(TOOLS_MAX) {
            // A definition that is cut is no JSON any more; its name is told all the same.
            let tool = tool.get();
            if tool.len() <= bound::TEXT_MAX && room(&input.tools, tool.len()) {
                input.tools.push(tool.to_owned());
            }
        }
        input.embedded = match members.get("input").and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            Some(Value::String(text)) => vec![bound::text(&text)],
            Some(Value::Array(texts)) => {
                let texts = texts.iter().filter_map(Value::as_str).take(CHOICES_MAX / 4);
                texts.map(bound::text).collect()
            }
            _ => Vec::new(),
        };
        input
    }

    /// The first message if it instructs the model, and as many of the newest as fit.
    fn take(&mut self, all: &[&RawValue]) {
        let mut bytes = 0;
        let mut rest = all;
        let mut first = None;
        if let [raw, others @ ..] = all {
            let message = Message::read(raw.get());
            if matches!(message.role.as_str(), "system" | "developer") {
                bytes += message.bytes();
                first = Some(message);
                rest = others;
            }
        }
        let max = MESSAGES_MAX - usize::from(first.is_some());
        let mut newest = Vec::new();
        for raw in rest.iter().rev().take(max) {
            let message = Message::read(raw.get());
            bytes += message.bytes();
            if bytes > bound::TEXTS_MAX && !newest.is_empty() {
                break;
            }
            newest.push(message);
        }
        self.left_out = rest.len() - newest.len();
        self.messages = first.into_iter().chain(newest.into_iter().rev()).collect();
    }

    /// What was asked, in a line for lists: the words of the last message by a person.
    pub(super) fn shown(&self) -> Option<String> {
        let last = self.messages.iter().rev().find(|message| message.role == "user");
        let text = last.or(self.messages.last()).map(Message::text);
        text.or_else(|| self.embedded.first().cloned()).filter(|text| !text.is_empty())
    }
}

impl Output {
    pub(super) fn read(body: &[u8]) -> Output {
        let Ok(members) = serde_json::from_slice::<Members<'_>>(body) else { return Output::default() };
        let id = members.get("id").and_then(|raw| small(raw));
        let mut output =
            Output { id: id.as_ref().and_then(Value::as_str).map(bound::line), choices: Vec::new() };
        let mut bytes = 0;
        for choice in list(&members, "choices").unwrap_or_default().into_iter().take(CHOICES_MAX) {
            let Ok(choice) = serde_json::from_str::<Members<'_>>(choice.get()) else { continue };
            let message = choice.get("message").map(|raw| Message::read(raw.get())).unwrap_or_default();
            bytes += message.bytes();
            if bytes > bound::TEXTS_MAX && !output.choices.is_empty() {
                break;
            }
            let finish = choice.get("finish_reason").and_then(|raw| small(raw));
            output.choices.push((message, finish.as_ref().and_then(Value::as_str).map(bound::line)));
        }
        output
    }

    /// What was answered, in a line for lists: words, or else the tools that were asked for.
    pub(super) fn shown(&self) -> Option<String> {
        let (message, _) = self.choices.first()?;
        let text = message.text();
        if !text.is_empty() {
            return Some(text);
        }
        let calls: Vec<String> = message
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::ToolCall { name, arguments, .. } => Some(format!("{name}({arguments})")),
                _ => None,
            })
            .collect();
        (!calls.is_empty()).then(|| bound::text(&calls.join("\n")))
    }
}

impl Message {
    fn read(text: &str) -> Message {
        // A message of text alone is by far the most frequent; one with images inside is parsed to be left out.
        let Ok(Value::Object(members)) = serde_json::from_str::<Value>(text) else {
            return Message::default();
        };
        let words = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut message = Message { role: bound::line(words("role")), parts: Vec::new() };
        let reasoning = words("reasoning_content");
        if !reasoning.is_empty() {
            message.add(Part::Reasoning(bound::text(reasoning)));
        }
        let id = words("tool_call_id");
        let is_result = message.role == "tool" || message.role == "function";
        match members.get("content") {
            Some(Value::String(text)) if is_result => {
                message.add(Part::ToolResult { id: bound::line(id), text: bound::text(text) });
            }
            Some(Value::String(text)) if !text.is_empty() => message.add(Part::Text(bound::text(text))),
            Some(Value::Array(parts)) => {
                for part in parts {
                    match read_part(part) {
                        Some(Part::Text(text)) if is_result => {
                            message.add(Part::ToolResult { id: bound::line(id), text })
                        }
                        Some(part) => message.add(part),
                        None => {}
                    }
                }
            }
            _ => {}
        }
        if !words("refusal").is_empty() {
            message.add(Part::Text(bound::text(words("refusal"))));
        }
        for call in members.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let function = &call["function"];
            let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
            message.add(Part::ToolCall {
                id: bound::line(&text(&call["id"])),
                name: bound::line(&text(&function["name"])),
                arguments: bound::text(&text(&function["arguments"])),
            });
        }
        message
    }

    fn add(&mut self, part: Part) {
        // A message of many long parts is as bounded as many messages are.
        if self.parts.len() < PARTS_MAX && self.bytes() < bound::TEXTS_MAX {
            self.parts.push(part);
        }
    }

    /// The words alone.
    pub(super) fn text(&self) -> String {
        let mut all = String::new();
        for part in &self.parts {
            if let Part::Text(text) | Part::ToolResult { text, .. } = part {
                if !all.is_empty() {
                    all.push('\n');
                }
                all.push_str(text);
            }
        }
        bound::text(&all)
    }

    fn bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) | Part::Reasoning(text) => text.len(),
            Part::ToolCall { id, name, arguments } => id.len() + name.len() + arguments.len(),
            Part::ToolResult { id, text } => id.len() + text.len(),
            Part::Media { uri, .. } => uri.as_ref().map_or(0, String::len),
        });
        // Some bytes for what stands around each.
        self.role.len() + parts.map(|bytes| bytes + 48).sum::<usize>() + 32
    }

    /// In the conventions' shape.
    pub(super) fn json(&self) -> Map<String, Value> {
        let parts: Vec<Value> = self.parts.iter().map(part_json).collect();
        let mut message = Map::new();
        message.insert("role".to_owned(), self.role.as_str().into());
        message.insert("parts".to_owned(), parts.into());
        message
    }
}

fn part_json(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({"type": "text", "content": text}),
        Part::Reasoning(text) => json!({"type": "reasoning", "content": text}),
        Part::ToolCall { id, name, arguments } => {
            // As the object it spells, where it spells one.
            let arguments = match serde_json::from_str::<Value>(arguments) {
                Ok(value @ Value::Object(_)) => value,
                _ => arguments.as_str().into(),
            };
            json!({"type": "tool_call", "id": id, "name": name, "arguments": arguments})
        }
        Part::ToolResult { id, text } => json!({"type": "tool_call_response", "id": id, "response": text}),
        Part::Media { modality, uri: Some(uri) } => json!({"type": "uri", "modality": modality, "uri": uri}),
        Part::Media { modality, uri: None } => {
            json!({"type": "blob", "modality": modality, "content": "", "gauntlet.left_out": true})
        }
    }
}

fn read_part(part: &Value) -> Option<Part> {
    let text = |name: &str| part[name].as_str();
    Some(match text("type")? {
        "text" => Part::Text(bound::text(text("text")?)),
        "refusal" => Part::Text(bound::text(text("refusal")?)),
        "image_url" => {
            let uri = part["image_url"]["url"].as_str().or(part["image_url"].as_str());
            // The bytes themselves would fill any bound.
            let uri = uri.filter(|uri| !uri.starts_with("data:")).map(bound::line);
            Part::Media { modality: "image", uri }
        }
        "input_audio" => Part::Media { modality: "audio", uri: None },
        "file" => Part::Media { modality: "file", uri: None },
        _ => return None,
    })
}

fn list<'a>(members: &Members<'a>, name: &str) -> Option<Vec<&'a RawValue>> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

/// A value that is no longer than a name may be.
fn small(raw: &RawValue) -> Option<Value> {
    (raw.get().len() <= 1 << 10).then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

fn is_setting(value: &Value) -> bool {
    match value {
        Value::Number(_) | Value::Bool(_) | Value::String(_) => true,
        Value::Array(items) => items.iter().all(Value::is_string),
        Value::Null | Value::Object(_) => false,
    }
}

fn room(texts: &[String], more: usize) -> bool {
    texts.iter().map(String::len).sum::<usize>() + more <= bound::TEXTS_MAX / 2
}

//! Events written as a chat answer: where the model speaks another dialect, or the words are ours.

use bytes::Bytes;
use gauntlet_types::{Citation, Dialect, Event, Finish, Seal, Sealed, Usage};
use serde_json::{Map, Value, json};

use super::{finish_word, frame};
use crate::{openai::usage, seal, translate::Head};

/// Choices that are written, as many as may be asked for.
const CHOICES_MAX: usize = crate::conversation::CHOICES_MAX as usize;

/// Writes the frames of a stream.
pub(crate) struct Writer {
    head: Head,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    has_written: bool,
}

/// What is remembered of one choice.
#[derive(Default)]
struct Choice {
    number: u32,
    /// Indexes of tool calls as they came, in the order of their own here.
    calls: Vec<u32>,
    /// Reasoning since the last seal.
    reasoning: String,
    /// Pieces of `reasoning_details` so far.
    details: usize,
    finish: Option<Finish>,
}

impl Choice {
    fn call(&mut self, index: u32) -> usize {
        self.calls.iter().position(|known| *known == index).unwrap_or_else(|| {
            self.calls.push(index);
            self.calls.len() - 1
        })
    }

    /// The member of a message that a seal becomes.
    fn sealed(&mut self, seal: &Seal) -> Option<(&'static str, Value)> {
        if let Sealed::ToolCall(index) = seal.on {
            let data = seal::write(seal, Dialect::Gemini);
            let at = self.call(index);
            let extra = json!({"google": {"thought_signature": data}});
            return Some(("tool_calls", json!([{"index": at, "extra_content": extra}])));
        }
        let text = std::mem::take(&mut self.reasoning);
        let detail = detail(seal, text, self.details)?;
        self.details += 1;
        Some(("reasoning_details", json!([detail])))
    }
}

/// One entry of `reasoning_details`, the form in which OpenRouter carries reasoning through this dialect.
fn detail(seal: &Seal, text: String, index: usize) -> Option<Value> {
    // The formats are OpenRouter's words for who made it.
    let format = match seal.by {
        Dialect::Messages | Dialect::Converse => "anthropic-claude-v1",
        Dialect::Responses => "openai-responses-v1",
        Dialect::Gemini => "google-gemini-v1",
        Dialect::Chat | Dialect::Completions => "unknown",
    };
    // Bedrock's and Anthropic's own are not the same: the mark tells them apart.
    let data = match seal.by {
        Dialect::Converse => seal::write(seal, Dialect::Chat),
        _ => seal.data.clone(),
    };
    Some(match (seal.on, seal.by) {
        (Sealed::Reasoning, Dialect::Messages | Dialect::Converse | Dialect::Chat) => {
            json!({"type": "reasoning.text", "text": text, "signature": data, "format": format, "index": index})
        }
        (Sealed::Reasoning | Sealed::Redacted | Sealed::Text, _) => {
            json!({"type": "reasoning.encrypted", "data": data, "id": seal.id, "format": format, "index": index})
        }
        (Sealed::ToolCall(_), _) => return None,
    })
}

impl Writer {
    pub(crate) fn new(head: Head) -> Writer {
        Writer { head, choices: Vec::new(), usage: None, has_written: false }
    }

    fn choice(&mut self, number: u32) -> Option<(usize, bool)> {
        if let Some(at) = self.choices.iter().position(|choice| choice.number == number) {
            return Some((at, false));
        }
        if self.choices.len() == CHOICES_MAX {
            return None;
        }
        self.choices.push(Choice { number, ..Choice::default() });
        Some((self.choices.len() - 1, true))
    }

    /// A frame for one choice; its first has the role.
    fn delta(
        &mut self,
        number: u32,
        frames: &mut Vec<Bytes>,
        member: impl FnOnce(&mut Choice) -> Option<(&'static str, Value)>,
    ) {
        self.deltas(number, frames, |choice| member(choice).into_iter().collect());
    }

    fn deltas(
        &mut self,
        number: u32,
        frames: &mut Vec<Bytes>,
        members: impl FnOnce(&mut Choice) -> Vec<(&'static str, Value)>,
    ) {
        let Some((at, is_first)) = self.choice(number) else { return };
        let members = members(&mut self.choices[at]);
        if members.is_empty() {
            return;
        }
        let mut delta = Map::new();
        if is_first {
            delta.insert("role".into(), "assistant".into());
        }
        delta.extend(members.into_iter().map(|(key, value)| (key.to_owned(), value)));
        frames.push(self.frame(json!([{"index": number, "delta": delta, "finish_reason": null}]), None));
    }

    fn frame(&mut self, choices: Value, usage: Option<Value>) -> Bytes {
        self.has_written = true;
        let head = &self.head;
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", head.id), "object": "chat.completion.chunk", "created": head.created,
            "model": head.model, "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        frame(chunk.to_string().as_bytes())
    }

    pub(crate) fn push(&mut self, event: &Event, frames: &mut Vec<Bytes>) {
        match event {
            Event::Model(model) => {
                if !self.has_written {
                    self.head.model.clone_from(model);
                }
            }
            Event::Text { choice, text } => {
                self.delta(*choice, frames, |_| Some(("content", text.as_str().into())));
            }
            Event::Refusal { choice, text } => {
                self.delta(*choice, frames, |_| Some(("refusal", text.as_str().into())));
            }
            // Twice: as most clients show it, and as those read it that send it back with its seal.
            Event::Reasoning { choice, text } => self.deltas(*choice, frames, |choice| {
                let detail = json!([{"type": "reasoning.text", "text": text, "index": choice.details}]);
                vec![("reasoning_content", text.as_str().into()), ("reasoning_details", detail)]
            }),
            Event::ToolCall { choice, index, id, name, arguments } => {
                self.delta(*choice, frames, |choice| {
                    let at = choice.call(*index);
                    let mut function = Map::new();
                    if let Some(name) = name {
                        function.insert("name".into(), name.as_str().into());
                    }
                    function.insert("arguments".into(), arguments.as_str().into());
                    let mut call = json!({"index": at});
                    if let Some(id) = id {
                        call["id"] = id.as_str().into();
                        call["type"] = "function".into();
                    }
                    call["function"] = Value::Object(function);
                    Some(("tool_calls", json!([call])))
                });
            }
            Event::Seal { choice, seal } => self.delta(*choice, frames, |choice| choice.sealed(seal)),
            Event::Citation { choice, citation } => {
                self.delta(*choice, frames, |_| Some(("annotations", json!([annotation(citation)?]))));
            }
            Event::Media { choice, mime, data } => {
                self.delta(*choice, frames, |_| Some(("images", json!([image(mime, data)]))));
            }
            Event::Finish { choice, why } => {
                if let Some((at, _)) = self.choice(*choice) {
                    self.choices[at].finish = Some(*why);
                }
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error { .. } | Event::Done => {}
        }
    }

    pub(crate) fn end(&mut self, frames: &mut Vec<Bytes>) {
        if self.choices.is_empty() {
            self.delta(0, frames, |_| Some(("content", "".into())));
        }
        let endings: Vec<(u32, Option<Finish>)> =
            self.choices.iter().map(|choice| (choice.number, choice.finish)).collect();
        for (number, finish) in endings {
            let Some(finish) = finish else { continue };
            let ending = json!([{"index": number, "delta": {}, "finish_reason": finish_word(finish)}]);
            frames.push(self.frame(ending, None));
        }
        if let Some(usage) = self.usage.filter(|_| self.head.include_usage) {
            let usage = serde_json::from_str(&usage::json(&usage)).unwrap_or_default();
            frames.push(self.frame(json!([]), Some(usage)));
        }
        frames.push(frame(b"[DONE]"));
    }
}

/// OpenAI's form of a source on the web; sources without an address have none.
fn annotation(citation: &Citation) -> Option<Value> {
    let (start, end) = citation.span.unwrap_or_default();
    let url = citation.url.as_deref()?;
    let title = citation.title.as_deref().unwrap_or("");
    let source = json!({"url": url, "title": title, "start_index": start, "end_index": end});
    Some(json!({"type": "url_citation", "url_citation": source}))
}

fn image(mime: &str, data: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": format!("data:{mime};base64,{data}")}})
}

/// What one choice has become.
#[derive(Default)]
struct Message {
    text: String,
    refusal: String,
    reasoning: String,
    calls: Vec<Value>,
    details: Vec<Value>,
    annotations: Vec<Value>,
    images: Vec<Value>,
    state: Choice,
}

impl Message {
    fn push(&mut self, event: &Event) {
        match event {
            Event::Text { text, .. } => self.text.push_str(text),
            Event::Refusal { text, .. } => self.refusal.push_str(text),
            Event::Reasoning { text, .. } => {
                self.reasoning.push_str(text);
                self.state.reasoning.push_str(text);
            }
            Event::ToolCall { index, id, name, arguments, .. } => {
                let at = self.state.call(*index);
                if at == self.calls.len() {
                    let function = json!({"name": "", "arguments": ""});
                    self.calls.push(json!({"id": "", "type": "function", "function": function}));
                }
                let call = &mut self.calls[at];
                if let Some(id) = id {
                    call["id"] = id.as_str().into();
                }
                if let Some(name) = name {
                    call["function"]["name"] = name.as_str().into();
                }
                if let Value::String(all) = &mut call["function"]["arguments"] {
                    all.push_str(arguments);
                }
            }
            Event::Seal { seal, .. } => match self.state.sealed(seal) {
                Some(("tool_calls", value)) => {
                    let at = value[0]["index"].as_u64().unwrap_or(0) as usize;
                    if let Some(call) = self.calls.get_mut(at) {
                        call["extra_content"] = value[0]["extra_content"].clone();
                    }
                }
                Some((_, Value::Array(details))) => self.details.extend(details),
                _ => {}
            },
            Event::Citation { citation, .. } => self.annotations.extend(annotation(citation)),
            Event::Media { mime, data, .. } => self.images.push(image(mime, data)),
            Event::Finish { why, .. } => self.state.finish = Some(*why),
            Event::Model(_) | Event::Usage(_) | Event::Error { .. } | Event::Done => {}
        }
    }

    fn json(self) -> Value {
        let mut message = Map::new();
        message.insert("role".into(), "assistant".into());
        let is_silent = self.text.is_empty() && (!self.calls.is_empty() || !self.refusal.is_empty());
        let content = if is_silent { Value::Null } else { self.text.into() };
        message.insert("content".into(), content);
        let refusal = if self.refusal.is_empty() { Value::Null } else { self.refusal.into() };
        message.insert("refusal".into(), refusal);
        if !self.reasoning.is_empty() {
            message.insert("reasoning_content".into(), self.reasoning.into());
        }
        let lists = [
            ("tool_calls", self.calls),
            ("reasoning_details", self.details),
            ("annotations", self.annotations),
            ("images", self.images),
        ];
        for (key, list) in lists {
            if !list.is_empty() {
                message.insert(key.into(), Value::Array(list));
            }
        }
        let finish = self.state.finish.map(finish_word).unwrap_or("stop");
        json!({"index": self.state.number, "message": message, "logprobs": null, "finish_reason": finish})
    }
}

/// Writes a whole answer.
pub(crate) fn whole(head: &Head, events: &[Event]) -> Bytes {
    let mut messages: Vec<Message> = Vec::new();
    let (mut model, mut used) = (head.model.as_str(), None);
    for event in events {
        match event {
            Event::Model(answered) => model = answered,
            Event::Usage(usage) => used = Some(*usage),
            _ => {}
        }
        let Some(number) = event.choice() else { continue };
        let known = messages.iter().position(|message| message.state.number == number);
        let at = known.unwrap_or_else(|| {
            messages.push(Message { state: Choice { number, ..Choice::default() }, ..Message::default() });
            messages.len() - 1
        });
        messages[at].push(event);
    }
    if messages.is_empty() {
        messages.push(Message::default());
    }
    let choices: Vec<Value> = messages.into_iter().take(CHOICES_MAX).map(Message::json).collect();
    let usage: Value = serde_json::from_str(&usage::json(&used.unwrap_or_default())).unwrap_or_default();
    let answer = json!({
        "id": format!("chatcmpl-{}", head.id), "object": "chat.completion", "created": head.created, "model": model,
        "choices": choices, "usage": usage,
    });
    answer.to_string().into()
}

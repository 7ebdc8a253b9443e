//! Events written as the frames of a stream.

use bytes::Bytes;
use gauntlet_types::{Citation, Event, Finish, Sealed, Usage};
use serde_json::{Map, Value, json};

use super::{
    finish_word,
    span::Widths,
    write::{self, Calls},
};
use crate::{conversation::CHOICES_MAX, openai::answer::frame, translate::Head};

/// Sources of one choice that are kept until its end, where Google tells them.
const CITATIONS_MAX: usize = 1_000;

pub(crate) struct Writer {
    head: Head,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    has_written: bool,
}

#[derive(Default)]
struct Choice {
    number: u32,
    calls: Calls,
    widths: Widths,
    citations: Vec<Citation>,
    finish: Option<Finish>,
}

impl Writer {
    pub(crate) fn new(head: Head) -> Writer {
        Writer { head, choices: Vec::new(), usage: None, has_written: false }
    }

    fn choice(&mut self, number: u32) -> Option<&mut Choice> {
        let at = match self.choices.iter().position(|choice| choice.number == number) {
            Some(at) => at,
            None if self.choices.len() == CHOICES_MAX as usize => return None,
            None => {
                self.choices.push(Choice { number, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        self.choices.get_mut(at)
    }

    pub(crate) fn push(&mut self, event: &Event, frames: &mut Vec<Bytes>) {
        match event {
            Event::Model(model) => {
                if !self.has_written {
                    self.head.model.clone_from(model);
                }
            }
            // Gemini has no word for a refusal.
            Event::Text { choice, text } | Event::Refusal { choice, text } => {
                if let Some(state) = self.choice(*choice) {
                    state.widths.add(text);
                    self.part(*choice, write::text(text), frames);
                }
            }
            Event::Reasoning { choice, text } => self.part(*choice, write::thought(text), frames),
            Event::ToolCall { choice, index, id, name, arguments } => {
                if let Some(state) = self.choice(*choice) {
                    state.calls.push(*index, id.as_deref(), name.as_deref(), arguments);
                }
            }
            Event::Seal { choice, seal } => match (seal.on, write::sealed(seal)) {
                (Sealed::ToolCall(index), _) => {
                    if let Some(state) = self.choice(*choice) {
                        state.calls.sign(index, seal);
                    }
                }
                (_, Some(part)) => self.part(*choice, part, frames),
                (_, None) => {}
            },
            Event::Citation { choice, citation } => {
                if let Some(state) = self.choice(*choice)
                    && state.citations.len() < CITATIONS_MAX
                {
                    state.citations.push(citation.clone());
                }
            }
            Event::Media { choice, mime, data } => self.part(*choice, write::media(mime, data), frames),
            Event::Finish { choice, why } => {
                if let Some(state) = self.choice(*choice) {
                    state.finish = Some(*why);
                }
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error { .. } | Event::Done => {}
        }
    }

    fn part(&mut self, number: u32, part: Value, frames: &mut Vec<Bytes>) {
        if self.choice(number).is_none() {
            return;
        }
        let candidate = json!({"content": {"role": "model", "parts": [part]}, "index": number});
        frames.push(self.frame(vec![candidate], None));
    }

    fn frame(&mut self, candidates: Vec<Value>, usage: Option<Value>) -> Bytes {
        self.has_written = true;
        let mut answer = Map::new();
        answer.insert("candidates".into(), Value::Array(candidates));
        if let Some(usage) = usage {
            answer.insert("usageMetadata".into(), usage);
        }
        answer.insert("modelVersion".into(), self.head.model.as_str().into());
        answer.insert("responseId".into(), self.head.id.as_str().into());
        frame(Value::Object(answer).to_string().as_bytes())
    }

    /// One frame with all that comes last: calls, which are told whole, sources, endings, usage. No end mark.
    pub(crate) fn end(&mut self, frames: &mut Vec<Bytes>) {
        if self.choices.is_empty() {
            self.choices.push(Choice::default());
        }
        let candidates = self.choices.iter_mut().map(Choice::ending).collect();
        let usage = self.usage.as_ref().map(write::usage);
        frames.push(self.frame(candidates, usage));
    }
}

impl Choice {
    fn ending(&mut self) -> Value {
        let mut candidate = Map::new();
        candidate.insert("content".into(), json!({"role": "model", "parts": self.calls.take()}));
        if let Some(finish) = self.finish {
            candidate.insert("finishReason".into(), finish_word(finish).into());
        }
        if let Some(grounding) = write::grounding(&self.citations, &self.widths) {
            candidate.insert("groundingMetadata".into(), grounding);
        }
        candidate.insert("index".into(), self.number.into());
        Value::Object(candidate)
    }
}

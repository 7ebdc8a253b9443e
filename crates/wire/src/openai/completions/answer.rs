//! The continuation of a prompt, whole or streamed.

use bytes::Bytes;
use gauntlet_types::{Event, Fault, Finish, Usage};
use serde_json::{Value, json};

use crate::{
    answer::{Channel, Chunk, Key, PlainAnswer},
    json::{Malformed, quote},
    openai::{
        answer::{Said, finish_word, frame, kept_members, read_chunk_as, read_plain_as},
        error, usage,
    },
    sse::Frame,
    translate::Head,
};

/// Choices that are written, as many as may be asked for.
const CHOICES_MAX: usize = crate::conversation::CHOICES_MAX as usize;

/// Reads a whole answer. Malformed when it is not JSON (HTML, half a document, nothing), or has neither `choices` nor
/// an error.
pub fn read_plain(body: &Bytes) -> Result<PlainAnswer, Malformed> {
    read_plain_as(body, Said::Text)
}

/// The data of the last frame, whose head serves as the head of ours.
#[derive(Default, Debug)]
pub(crate) struct Flow {
    pattern: Bytes,
}

impl Flow {
    pub(crate) fn read(&mut self, frame: &Frame, data: &[u8]) -> Result<Chunk, Malformed> {
        let chunk = read_chunk_as(data, Said::Text)?;
        if !chunk.is_done && !chunk.events.is_empty() {
            self.pattern = frame.data_bytes().unwrap_or_default();
        }
        Ok(chunk)
    }

    /// Every frame of this dialect stands for itself.
    pub(crate) fn sent(&mut self, _: &Frame, _: &Chunk) {}

    pub(crate) fn piece(&self, key: Key, text: &str) -> Bytes {
        debug_assert_eq!(key.channel, Channel::Content, "a completion has no other text");
        self.text(key.choice, text, None)
    }

    fn text(&self, choice: u32, text: &str, finish: Option<Finish>) -> Bytes {
        let head = match kept_members(&self.pattern) {
            Ok(members) if !members.is_empty() => members,
            _ => br#""object":"text_completion","#.to_vec(),
        };
        let finish = finish.map_or("null".to_owned(), |finish| format!("\"{}\"", word(finish)));
        let text = String::from_utf8(quote(text)).unwrap_or_default();
        let rest = format!(
            r#""choices":[{{"text":{text},"index":{choice},"logprobs":null,"finish_reason":{finish}}}]}}"#
        );
        frame(&[b"{", &head[..], rest.as_bytes()].concat())
    }

    pub(crate) fn close(&mut self, text: &str, finish: Finish) -> Vec<Bytes> {
        vec![self.text(0, text, Some(finish)), frame(b"[DONE]")]
    }

    /// An error frame and no `[DONE]`: the answer is not whole.
    pub(crate) fn error(&mut self, fault: &Fault, request_id: &str) -> Vec<Bytes> {
        vec![frame(&error::body(fault, Some(request_id)))]
    }
}

/// There are no tools here to end for.
const fn word(finish: Finish) -> &'static str {
    match finish {
        Finish::ToolCalls => "stop",
        other => finish_word(other),
    }
}

/// The words of an event, and the choice they are of. A refusal is an answer too; reasoning and calls of tools have no
/// place here.
fn words(event: &Event) -> Option<(u32, &str)> {
    match event {
        Event::Text { choice, text } | Event::Refusal { choice, text } => Some((*choice, text)),
        _ => None,
    }
}

/// Writes the frames of a stream.
pub(crate) struct Writer {
    head: Head,
    endings: Vec<(u32, Finish)>,
    usage: Option<Usage>,
    has_written: bool,
}

impl Writer {
    pub(crate) fn new(head: Head) -> Writer {
        Writer { head, endings: Vec::new(), usage: None, has_written: false }
    }

    fn frame(&mut self, choices: Value, usage: Option<&Usage>) -> Bytes {
        self.has_written = true;
        let mut chunk = answer(&self.head, choices);
        if let Some(usage) = usage {
            chunk["usage"] = serde_json::from_str(&usage::json(usage)).unwrap_or_default();
        }
        frame(chunk.to_string().as_bytes())
    }

    pub(crate) fn push(&mut self, event: &Event, frames: &mut Vec<Bytes>) {
        if let Some((choice, text)) = words(event) {
            return frames.push(self.frame(json!([one(choice, text, None)]), None));
        }
        match event {
            Event::Model(model) if !self.has_written => self.head.model.clone_from(model),
            Event::Finish { choice, why } if self.endings.len() < CHOICES_MAX => {
                self.endings.push((*choice, *why));
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
    }

    pub(crate) fn end(&mut self, frames: &mut Vec<Bytes>) {
        for (choice, why) in std::mem::take(&mut self.endings) {
            frames.push(self.frame(json!([one(choice, "", Some(why))]), None));
        }
        if let Some(usage) = self.usage.filter(|_| self.head.include_usage) {
            frames.push(self.frame(json!([]), Some(&usage)));
        }
        frames.push(frame(b"[DONE]"));
    }
}

fn one(choice: u32, text: &str, finish: Option<Finish>) -> Value {
    json!({"text": text, "index": choice, "logprobs": null, "finish_reason": finish.map(word)})
}

fn answer(head: &Head, choices: Value) -> Value {
    json!({
        "id": format!("cmpl-{}", head.id), "object": "text_completion", "created": head.created, "model": head.model,
        "choices": choices,
    })
}

/// One choice of a whole answer.
struct Choice {
    number: u32,
    text: String,
    finish: Finish,
}

fn choice(choices: &mut Vec<Choice>, number: u32) -> Option<&mut Choice> {
    let known = choices.iter().position(|choice| choice.number == number);
    if known.is_none() && choices.len() < CHOICES_MAX {
        choices.push(Choice { number, text: String::new(), finish: Finish::Stop });
        return choices.last_mut();
    }
    choices.get_mut(known?)
}

/// Writes a whole answer.
pub(crate) fn whole(head: &Head, events: &[Event]) -> Bytes {
    let mut head = head.clone();
    let mut choices = Vec::new();
    let mut used = Usage::default();
    for event in events {
        match event {
            Event::Model(model) => head.model.clone_from(model),
            Event::Usage(usage) => used = *usage,
            Event::Finish { choice: number, why } => {
                if let Some(choice) = choice(&mut choices, *number) {
                    choice.finish = *why;
                }
            }
            event => {
                if let Some((number, text)) = words(event)
                    && let Some(choice) = choice(&mut choices, number)
                {
                    choice.text.push_str(text);
                }
            }
        }
    }
    if choices.is_empty() {
        choices.push(Choice { number: 0, text: String::new(), finish: Finish::Stop });
    }
    let choices = choices.iter().map(|choice| one(choice.number, &choice.text, Some(choice.finish)));
    let mut answer = answer(&head, choices.collect());
    answer["usage"] = serde_json::from_str(&usage::json(&used)).unwrap_or_default();
    answer.to_string().into()
}

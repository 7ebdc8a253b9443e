//! A stream on its way to its caller, in this dialect.

use bytes::Bytes;
use gauntlet_types::{Event, Fault, Finish};
use serde_json::{Map, Value, json};

use super::{finish_word, read, write};
use crate::{
    answer::{Channel, Chunk, Key},
    conversation::CHOICES_MAX,
    gemini::error,
    json::Malformed,
    openai::answer::frame,
    sse::Frame,
};

#[derive(Default, Debug)]
pub(crate) struct Flow {
    state: read::State,
    /// Choices that have begun with the caller and not ended.
    open: Vec<u32>,
}

impl Flow {
    /// Google sends no end mark: a stream is whole when it is closed after its endings, so that `is_done` stays false.
    pub(crate) fn read(&mut self, _: &Frame, data: &[u8]) -> Result<Chunk, Malformed> {
        match data.trim_ascii() {
            b"" => return Ok(Chunk::default()),
            // Servers that only resemble Google's send OpenAI's mark.
            b"[DONE]" => return Ok(Chunk { events: vec![Event::Done], is_done: true, ..Chunk::default() }),
            _ => {}
        }
        let reading = read::frame(data, &mut self.state).map_err(|fail| fail.locate(data))?;
        let mut events = reading.events;
        if let Some(error) = reading.error {
            events.push(Event::Error { code: error.code.or(error.kind), message: error.message });
        }
        let (texts, ends, seals) = (reading.deltas, reading.ends, reading.seals);
        Ok(Chunk { events, texts, ends, seals, ..Chunk::default() })
    }

    pub(crate) fn sent(&mut self, _: &Frame, chunk: &Chunk) {
        for event in &chunk.events {
            let Some(choice) = event.choice() else { continue };
            if matches!(event, Event::Finish { .. }) {
                self.open.retain(|open| *open != choice);
            } else if !self.open.contains(&choice) && self.open.len() < CHOICES_MAX as usize {
                self.open.push(choice);
            }
        }
    }

    /// Arguments come whole, so that no further piece of them can be asked for; should one be, it says nothing.
    pub(crate) fn piece(&self, key: Key, text: &str) -> Bytes {
        let part = match key.channel {
            Channel::Content | Channel::Refusal => write::text(text),
            Channel::Reasoning => write::thought(text),
            Channel::Arguments(_) | Channel::FunctionCall => return Bytes::new(),
        };
        self.frame(vec![json!({"content": {"role": "model", "parts": [part]}, "index": key.choice})])
    }

    /// One frame: our words in the first choice, and the ending of every choice that is open.
    pub(crate) fn close(&mut self, text: &str, finish: Finish) -> Vec<Bytes> {
        let mut open = std::mem::take(&mut self.open);
        if !open.contains(&0) {
            open.push(0);
        }
        open.sort_unstable();
        let ending = |number: u32| {
            let mut candidate = json!({"finishReason": finish_word(finish), "index": number});
            if number == 0 && !text.is_empty() {
                candidate["content"] = json!({"role": "model", "parts": [write::text(text)]});
            }
            candidate
        };
        vec![self.frame(open.into_iter().map(ending).collect())]
    }

    /// An error frame and no ending: the answer is not whole.
    pub(crate) fn error(&mut self, fault: &Fault, request_id: &str) -> Vec<Bytes> {
        let id = Some(request_id).filter(|id| !id.is_empty());
        vec![frame(&error::body(fault, error::http(fault.code), id))]
    }

    fn frame(&self, candidates: Vec<Value>) -> Bytes {
        let mut answer = Map::new();
        answer.insert("candidates".into(), Value::Array(candidates));
        for (key, value) in [("modelVersion", &self.state.model), ("responseId", &self.state.id)] {
            if let Some(value) = value {
                answer.insert(key.into(), value.as_str().into());
            }
        }
        frame(Value::Object(answer).to_string().as_bytes())
    }
}

//! Events written as parts and candidates, and a whole answer of them.

use bytes::Bytes;
use gauntlet_types::{Citation, Dialect, Event, Finish, Seal, Sealed, Usage};
use serde_json::{Map, Value, json};

use super::{finish_word, span::Widths};
use crate::{conversation::CHOICES_MAX, seal, translate::Head};

/// Calls of one choice that are written; real answers have a handful.
const CALLS_MAX: usize = 1_000;

/// Bytes of arguments of one call that are kept until it is whole: as many as one frame may have.
const ARGUMENTS_MAX: usize = crate::sse::FRAME_MAX;

pub(super) fn text(text: &str) -> Value {
    json!({"text": text})
}

pub(super) fn thought(text: &str) -> Value {
    json!({"text": text, "thought": true})
}

/// A call as it is collected: Gemini tells its arguments whole.
#[derive(Default)]
pub(super) struct Call {
    index: u32,
    id: Option<String>,
    name: String,
    arguments: String,
    signature: Option<String>,
}

/// The calls of one choice.
#[derive(Default)]
pub(super) struct Calls(Vec<Call>);

impl Calls {
    pub(super) fn push(&mut self, index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) {
        // A new id under a known index begins a new call: some servers number all parallel calls 0.
        let known = self.0.iter().rposition(|call| call.index == index).filter(|at| {
            let known = self.0[*at].id.as_deref();
            id.is_none_or(|id| known.is_none_or(|known| known == id))
        });
        let at = match known {
            Some(at) => at,
            None if self.0.len() == CALLS_MAX => return,
            None => {
                self.0.push(Call { index, ..Call::default() });
                self.0.len() - 1
            }
        };
        let call = &mut self.0[at];
        if let Some(id) = id {
            call.id = Some(id.to_owned());
        }
        if let Some(name) = name {
            name.clone_into(&mut call.name);
        }
        if call.arguments.len() + arguments.len() <= ARGUMENTS_MAX {
            call.arguments.push_str(arguments);
        }
    }

    pub(super) fn sign(&mut self, index: u32, seal: &Seal) {
        if let Some(call) = self.0.iter_mut().rev().find(|call| call.index == index) {
            call.signature = Some(seal::write(seal, Dialect::Gemini));
        }
    }

    /// The parts, once.
    pub(super) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.0).into_iter().map(Call::part).collect()
    }
}

impl Call {
    fn part(self) -> Value {
        let mut call = Map::new();
        if let Some(id) = self.id {
            call.insert("id".into(), id.into());
        }
        call.insert("name".into(), self.name.into());
        call.insert("args".into(), args(&self.arguments));
        let mut part = json!({"functionCall": call});
        if let Some(signature) = self.signature {
            part["thoughtSignature"] = signature.into();
        }
        part
    }
}

/// Arguments as the object that Gemini wants; other text stands in an object of one member.
pub(crate) fn args(text: &str) -> Value {
    if text.trim_ascii().is_empty() {
        return json!({});
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(args)) => Value::Object(args),
        _ => json!({"input": text}),
    }
}

/// The part that a seal stands on by itself: one on a call goes with the call.
pub(super) fn sealed(seal: &Seal) -> Option<Value> {
    let data = seal::write(seal, Dialect::Gemini);
    match seal.on {
        Sealed::Reasoning | Sealed::Redacted => {
            Some(json!({"text": "", "thought": true, "thoughtSignature": data}))
        }
        Sealed::Text => Some(json!({"text": "", "thoughtSignature": data})),
        Sealed::ToolCall(_) => None,
    }
}

pub(super) fn media(mime: &str, data: &str) -> Value {
    json!({"inlineData": {"mimeType": mime, "data": data}})
}

/// Sources as Google tells them; their places are counted in bytes.
pub(super) fn grounding(citations: &[Citation], widths: &Widths) -> Option<Value> {
    if citations.is_empty() {
        return None;
    }
    let (mut chunks, mut supports): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for citation in citations {
        let mut source = Map::new();
        let members = [("uri", &citation.url), ("title", &citation.title), ("text", &citation.cited)];
        for (key, value) in members {
            if let Some(value) = value {
                source.insert(key.into(), value.as_str().into());
            }
        }
        let kind = if citation.cited.is_some() { "retrievedContext" } else { "web" };
        let chunk = json!({kind: source});
        let at = chunks.iter().position(|known| *known == chunk).unwrap_or_else(|| {
            chunks.push(chunk);
            chunks.len() - 1
        });
        let bytes = |char: u32| widths.bytes_at(char);
        if let Some((start, end)) = citation.span.and_then(|(start, end)| Some((bytes(start)?, bytes(end)?)))
        {
            let segment = json!({"startIndex": start, "endIndex": end});
            supports.push(json!({"segment": segment, "groundingChunkIndices": [at]}));
        }
    }
    let mut all = json!({"groundingChunks": chunks});
    if !supports.is_empty() {
        all["groundingSupports"] = supports.into();
    }
    Some(all)
}

pub(super) fn usage(usage: &Usage) -> Value {
    let candidates = usage.output_total().0.saturating_sub(usage.reasoning.0);
    let mut counts = json!({
        "promptTokenCount": usage.input_total().0, "candidatesTokenCount": candidates,
        "totalTokenCount": usage.total().0,
    });
    if usage.reasoning.0 > 0 {
        counts["thoughtsTokenCount"] = usage.reasoning.0.into();
    }
    if usage.cache_read_total().0 > 0 {
        counts["cachedContentTokenCount"] = usage.cache_read_total().0.into();
    }
    let lists = [
        (
            "promptTokensDetails",
            usage.audio_input.0 + usage.audio_cache_read.0,
            usage.image_input.0 + usage.image_cache_read.0,
        ),
        ("cacheTokensDetails", usage.audio_cache_read.0, usage.image_cache_read.0),
        ("candidatesTokensDetails", usage.audio_output.0, usage.image_output.0),
    ];
    for (key, audio, image) in lists {
        let kinds = [("AUDIO", audio), ("IMAGE", image)].into_iter().filter(|(_, tokens)| *tokens > 0);
        let kinds: Vec<Value> =
            kinds.map(|(kind, tokens)| json!({"modality": kind, "tokenCount": tokens})).collect();
        if !kinds.is_empty() {
            counts[key] = kinds.into();
        }
    }
    counts
}

/// What one choice has become.
#[derive(Default)]
struct Candidate {
    number: u32,
    parts: Vec<Value>,
    calls: Calls,
    widths: Widths,
    citations: Vec<Citation>,
    finish: Option<Finish>,
}

impl Candidate {
    fn push(&mut self, event: &Event) {
        match event {
            Event::Text { text, .. } | Event::Refusal { text, .. } => {
                self.widths.add(text);
                self.words(text, false);
            }
            Event::Reasoning { text, .. } => self.words(text, true),
            Event::ToolCall { index, id, name, arguments, .. } => {
                self.calls.push(*index, id.as_deref(), name.as_deref(), arguments);
            }
            Event::Seal { seal, .. } => self.seal(seal),
            Event::Citation { citation, .. } => self.citations.push(citation.clone()),
            Event::Media { mime, data, .. } => self.parts.push(media(mime, data)),
            Event::Finish { why, .. } => self.finish = Some(*why),
            Event::Model(_) | Event::Usage(_) | Event::Error { .. } | Event::Done => {}
        }
    }

    /// Neighbours of one kind are one part, unless a seal ends the first.
    fn words(&mut self, words: &str, is_thought: bool) {
        if let Some(last) = self.parts.last_mut().filter(|last| is_open(last, is_thought))
            && let Value::String(all) = &mut last["text"]
        {
            all.push_str(words);
            return;
        }
        self.parts.push(if is_thought { thought(words) } else { text(words) });
    }

    fn seal(&mut self, seal: &Seal) {
        let is_thought = match seal.on {
            Sealed::ToolCall(index) => return self.calls.sign(index, seal),
            Sealed::Reasoning => true,
            Sealed::Text => false,
            Sealed::Redacted => return self.parts.extend(sealed(seal)),
        };
        match self.parts.last_mut().filter(|last| is_open(last, is_thought)) {
            Some(last) => last["thoughtSignature"] = seal::write(seal, Dialect::Gemini).into(),
            None => self.parts.extend(sealed(seal)),
        }
    }

    fn json(mut self) -> Value {
        self.parts.extend(self.calls.take());
        let mut candidate = Map::new();
        candidate.insert("content".into(), json!({"role": "model", "parts": self.parts}));
        let finish = self.finish.unwrap_or(Finish::Stop);
        candidate.insert("finishReason".into(), finish_word(finish).into());
        if let Some(grounding) = grounding(&self.citations, &self.widths) {
            candidate.insert("groundingMetadata".into(), grounding);
        }
        candidate.insert("index".into(), self.number.into());
        Value::Object(candidate)
    }
}

fn is_open(part: &Value, is_thought: bool) -> bool {
    part["text"].is_string()
        && part["thoughtSignature"].is_null()
        && part["thought"].as_bool().unwrap_or(false) == is_thought
}

/// Writes a whole answer.
pub(crate) fn whole(head: &Head, events: &[Event]) -> Bytes {
    let mut candidates: Vec<Candidate> = Vec::new();
    let (mut model, mut used) = (head.model.as_str(), None);
    for event in events {
        match event {
            Event::Model(answered) => model = answered,
            Event::Usage(usage) => used = Some(*usage),
            _ => {}
        }
        let Some(number) = event.choice() else { continue };
        let known = candidates.iter().position(|candidate| candidate.number == number);
        let at = match known {
            Some(at) => at,
            None if candidates.len() == CHOICES_MAX as usize => continue,
            None => {
                candidates.push(Candidate { number, ..Candidate::default() });
                candidates.len() - 1
            }
        };
        candidates[at].push(event);
    }
    if candidates.is_empty() {
        candidates.push(Candidate::default());
    }
    let candidates: Vec<Value> = candidates.into_iter().map(Candidate::json).collect();
    let answer = json!({
        "candidates": candidates, "usageMetadata": usage(&used.unwrap_or_default()), "modelVersion": model,
        "responseId": head.id,
    });
    answer.to_string().into()
}

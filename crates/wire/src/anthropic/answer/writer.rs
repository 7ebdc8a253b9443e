//! Events written as a stream of this dialect: where the model speaks another one, or the words are ours.
//!
//! Blocks stand one behind another, as Anthropic's do. Only calls of tools whose pieces come mixed are open together,
//! since a block that has ended cannot go on.

use std::collections::HashMap;

use bytes::Bytes;
use gauntlet_types::{Citation, Event, Finish, Seal, Sealed, Usage};
use serde_json::{Value, json};

use super::{delta_frame, ending, event_frame, unsealed, usage_json};
use crate::{ask::tool_id, seal, translate::Head};

/// Calls that are written: twice as many as OpenAI lets a model make at once. Those whose pieces come mixed are open
/// together, and looked through whenever a block begins.
pub(super) const CALLS_MAX: usize = 256;

/// Writes the frames of a stream. The dialect has one choice: what is said in others is left out.
pub(crate) struct Writer {
    head: Head,
    is_started: bool,
    /// The next block's index.
    next: u32,
    open: Vec<Open>,
    /// The calls by their index in the events; a new id under an old index is another call.
    calls: HashMap<u32, Call>,
    calls_count: usize,
    has_refusal: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

#[derive(Clone)]
struct Call {
    block: u32,
    /// As it came; empty where none did.
    id: String,
}

/// A block that has begun and not ended.
struct Open {
    block: u32,
    kind: Kind,
}

enum Kind {
    Text,
    Reasoning,
    Call {
        id: String,
        arguments: Scanner,
        /// Follows when it ends.
        seal: Option<Seal>,
    },
}

impl Writer {
    pub(crate) fn new(head: Head) -> Writer {
        Writer {
            head,
            is_started: false,
            next: 0,
            open: Vec::new(),
            calls: HashMap::new(),
            calls_count: 0,
            has_refusal: false,
            finish: None,
            usage: None,
        }
    }

    pub(crate) fn push(&mut self, event: &Event, frames: &mut Vec<Bytes>) {
        match event {
            Event::Model(model) if !self.is_started => self.head.model.clone_from(model),
            Event::Text { choice: 0, text } => self.text(text, frames),
            Event::Refusal { choice: 0, text } => {
                self.has_refusal |= !text.is_empty();
                self.text(text, frames);
            }
            Event::Reasoning { choice: 0, text } if !text.is_empty() => {
                let block = self.reasoning(frames);
                frames.push(delta_frame(block, json!({"type": "thinking_delta", "thinking": text})));
            }
            Event::ToolCall { choice: 0, index, id, name, arguments } => {
                let Some(block) = self.call(*index, id.as_deref(), name.as_deref(), frames) else { return };
                self.arguments(block, arguments, frames);
            }
            Event::Seal { choice: 0, seal } => self.seal(seal, frames),
            Event::Citation { choice: 0, citation } => self.citation(citation, frames),
            Event::Finish { choice: 0, why } => self.finish = Some(*why),
            Event::Usage(usage) => self.usage = Some(*usage),
            // Pictures and sounds that a model made have no place in this dialect.
            _ => {}
        }
    }

    pub(crate) fn end(&mut self, frames: &mut Vec<Bytes>) {
        self.start(frames);
        for open in std::mem::take(&mut self.open) {
            self.stop(open, frames);
        }
        let reason = ending(self.finish, self.calls_count > 0, self.has_refusal);
        let usage = self.usage.as_ref().map_or_else(|| json!({"output_tokens": 0}), usage_json);
        frames.push(event_frame(&json!({
            "type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage,
        })));
        frames.push(event_frame(&json!({"type": "message_stop"})));
    }

    fn start(&mut self, frames: &mut Vec<Bytes>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let blank = || json!({"input_tokens": 0, "output_tokens": 0});
        let usage = self.usage.as_ref().map_or_else(blank, usage_json);
        frames.push(event_frame(&json!({"type": "message_start", "message": {
            "id": format!("msg_{}", self.head.id), "type": "message", "role": "assistant", "model": self.head.model,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
        }})));
    }

    /// Begins a block, after the end of those that are whole.
    fn begin(&mut self, content: Value, frames: &mut Vec<Bytes>) -> u32 {
        self.start(frames);
        let (ended, open) = std::mem::take(&mut self.open).into_iter().partition(Open::is_whole);
        self.open = open;
        let ended: Vec<Open> = ended;
        ended.into_iter().for_each(|open| self.stop(open, frames));
        let index = self.next;
        self.next = index.saturating_add(1);
        frames.push(event_frame(
            &json!({"type": "content_block_start", "index": index, "content_block": content}),
        ));
        index
    }

    fn stop(&mut self, open: Open, frames: &mut Vec<Bytes>) {
        let stop = |index: u32| event_frame(&json!({"type": "content_block_stop", "index": index}));
        if matches!(open.kind, Kind::Reasoning) {
            frames.push(signature(open.block, &unsealed()));
        }
        frames.push(stop(open.block));
        if let Kind::Call { seal: Some(seal), .. } = open.kind {
            let index = self.next;
            self.next = index.saturating_add(1);
            let content = redacted(&seal);
            frames.push(event_frame(
                &json!({"type": "content_block_start", "index": index, "content_block": content}),
            ));
            frames.push(stop(index));
        }
    }

    fn text(&mut self, text: &str, frames: &mut Vec<Bytes>) {
        if text.is_empty() {
            return;
        }
        let block = match self.open.last() {
            Some(Open { block, kind: Kind::Text }) => *block,
            _ => {
                let block = self.begin(json!({"type": "text", "text": ""}), frames);
                self.open.push(Open { block, kind: Kind::Text });
                block
            }
        };
        frames.push(delta_frame(block, json!({"type": "text_delta", "text": text})));
    }

    fn reasoning(&mut self, frames: &mut Vec<Bytes>) -> u32 {
        if let Some(Open { block, kind: Kind::Reasoning }) = self.open.last() {
            return *block;
        }
        let block = self.begin(json!({"type": "thinking", "thinking": "", "signature": ""}), frames);
        self.open.push(Open { block, kind: Kind::Reasoning });
        block
    }

    /// The block of a call; none where there are too many.
    fn call(
        &mut self,
        index: u32,
        id: Option<&str>,
        name: Option<&str>,
        frames: &mut Vec<Bytes>,
    ) -> Option<u32> {
        let id = id.unwrap_or("");
        if let Some(call) = self.calls.get_mut(&index)
            && (id.is_empty() || call.id.is_empty() || call.id == id)
        {
            if call.id.is_empty() {
                call.id = id.to_owned();
            }
            return Some(call.block);
        }
        if self.calls_count == CALLS_MAX {
            return None;
        }
        let written = call_id(id, &self.head, self.calls_count);
        self.calls_count += 1;
        let content = json!({"type": "tool_use", "id": written, "name": name.unwrap_or(""), "input": {}});
        let block = self.begin(content, frames);
        self.calls.insert(index, Call { block, id: id.to_owned() });
        let kind = Kind::Call { id: written, arguments: Scanner::default(), seal: None };
        self.open.push(Open { block, kind });
        Some(block)
    }

    fn arguments(&mut self, block: u32, text: &str, frames: &mut Vec<Bytes>) {
        // A call that has ended was whole: what would follow is white space.
        let Some(open) = self.open.iter_mut().find(|open| open.block == block) else { return };
        if let Kind::Call { arguments, .. } = &mut open.kind
            && !text.is_empty()
        {
            arguments.push(text);
            frames.push(delta_frame(block, json!({"type": "input_json_delta", "partial_json": text})));
        }
    }

    fn seal(&mut self, seal: &Seal, frames: &mut Vec<Bytes>) {
        match seal.on {
            Sealed::Reasoning => {
                let block = self.reasoning(frames);
                frames.push(signature(block, &seal::write(seal, gauntlet_types::Dialect::Messages)));
                frames.push(event_frame(&json!({"type": "content_block_stop", "index": block})));
                self.open.retain(|open| open.block != block);
            }
            Sealed::ToolCall(index) => {
                let known = self.calls.get(&index).map(|call| call.block);
                let open = self.open.iter_mut().find(|open| Some(open.block) == known);
                match open.map(|open| &mut open.kind) {
                    Some(Kind::Call { id, seal: its, .. }) => {
                        *its = Some(Seal { id: Some(id.clone()), ..seal.clone() });
                    }
                    _ => self.redacted(seal, frames),
                }
            }
            Sealed::Redacted | Sealed::Text => self.redacted(seal, frames),
        }
    }

    fn redacted(&mut self, seal: &Seal, frames: &mut Vec<Bytes>) {
        let block = self.begin(redacted(seal), frames);
        frames.push(event_frame(&json!({"type": "content_block_stop", "index": block})));
    }

    /// A source stands in the text that it is for; one that comes too late has no place.
    fn citation(&mut self, citation: &Citation, frames: &mut Vec<Bytes>) {
        if let Some(Open { block, kind: Kind::Text }) = self.open.last()
            && let Some(citation) = written_citation(citation)
        {
            frames.push(delta_frame(*block, json!({"type": "citations_delta", "citation": citation})));
        }
    }
}

impl Open {
    fn is_whole(&self) -> bool {
        match &self.kind {
            Kind::Text | Kind::Reasoning => true,
            // A seal comes behind a call, so that one without arguments has got none.
            Kind::Call { arguments, seal, .. } => {
                arguments.is_whole() || (!arguments.is_begun && seal.is_some())
            }
        }
    }
}

/// The id that a call is written with: a client gives it back with the result, so it must please every provider.
pub(super) fn call_id(id: &str, head: &Head, number: usize) -> String {
    if id.is_empty() { tool_id(&format!("toolu_{}_{number}", head.id)) } else { tool_id(id) }
}

/// The block that carries a seal which has no text.
pub(super) fn redacted(seal: &Seal) -> Value {
    json!({"type": "redacted_thinking", "data": seal::write(seal, gauntlet_types::Dialect::Messages)})
}

/// A source on the web as Anthropic's search tells it; others need places in documents that only Anthropic counts. Its
/// index is void, so that the citation is cut where it would reach Anthropic.
pub(super) fn written_citation(citation: &Citation) -> Option<Value> {
    let url = citation.url.as_deref()?;
    let cited = citation.cited.as_deref().unwrap_or("");
    Some(json!({
        "type": "web_search_result_location", "cited_text": cited, "url": url, "title": citation.title,
        "encrypted_index": seal::VOID,
    }))
}

fn signature(index: u32, signature: &str) -> Bytes {
    delta_frame(index, json!({"type": "signature_delta", "signature": signature}))
}

/// Follows the arguments of a call to see where their object ends.
#[derive(Default)]
struct Scanner {
    depth: u32,
    is_begun: bool,
    in_string: bool,
    is_escaped: bool,
}

impl Scanner {
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.is_begun |= !byte.is_ascii_whitespace();
        }
    }

    fn is_whole(&self) -> bool {
        self.is_begun && self.depth == 0 && !self.in_string
    }
}

//! Events written as a whole answer of this dialect.

use std::collections::HashMap;

use bytes::Bytes;
use gauntlet_types::{Dialect, Event, Finish, Seal, Sealed, Usage};
use serde_json::{Value, json};

use super::{
    ending, unsealed, usage_json,
    writer::{CALLS_MAX, call_id, redacted, written_citation},
};
use crate::{seal, translate::Head};

/// A block that grows.
enum Block {
    Text { text: String, citations: Vec<Value> },
    Reasoning { text: String, signature: Option<String> },
    Call { id: String, written: String, name: String, arguments: String, seal: Option<Seal> },
    Redacted(Seal),
}

/// Writes a whole answer. The dialect has one choice: what is said in others is left out.
pub(crate) fn whole(head: &Head, events: &[Event]) -> Bytes {
    let mut blocks = Blocks { head, blocks: Vec::new(), known: HashMap::new(), calls: 0, has_refusal: false };
    let (mut model, mut used, mut finish): (_, Option<Usage>, Option<Finish>) =
        (head.model.as_str(), None, None);
    for event in events {
        match event {
            Event::Model(answered) => model = answered,
            Event::Usage(usage) => used = Some(*usage),
            Event::Finish { choice: 0, why } => finish = Some(*why),
            other => blocks.push(other),
        }
    }
    let reason = ending(finish, blocks.calls > 0, blocks.has_refusal);
    let content: Vec<Value> = blocks.blocks.into_iter().flat_map(Block::json).collect();
    let answer = json!({
        "id": format!("msg_{}", head.id), "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": usage_json(&used.unwrap_or_default()),
    });
    answer.to_string().into()
}

struct Blocks<'a> {
    head: &'a Head,
    blocks: Vec<Block>,
    /// Where the last call of each index stands.
    known: HashMap<u32, usize>,
    calls: usize,
    has_refusal: bool,
}

impl Blocks<'_> {
    fn push(&mut self, event: &Event) {
        match event {
            Event::Text { choice: 0, text } => self.text(text),
            Event::Refusal { choice: 0, text } => {
                self.has_refusal |= !text.is_empty();
                self.text(text);
            }
            Event::Reasoning { choice: 0, text } => match self.blocks.last_mut() {
                _ if text.is_empty() => {}
                Some(Block::Reasoning { text: all, signature: None }) => all.push_str(text),
                _ => self.blocks.push(Block::Reasoning { text: text.clone(), signature: None }),
            },
            Event::ToolCall { choice: 0, index, id, name, arguments } => {
                self.call(*index, id.as_deref().unwrap_or(""), name.as_deref(), arguments);
            }
            Event::Seal { choice: 0, seal } => self.seal(seal),
            Event::Citation { choice: 0, citation } => {
                if let Some(Block::Text { citations, .. }) = self.blocks.last_mut() {
                    citations.extend(written_citation(citation));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        match self.blocks.last_mut() {
            _ if text.is_empty() => {}
            Some(Block::Text { text: all, .. }) => all.push_str(text),
            _ => self.blocks.push(Block::Text { text: text.to_owned(), citations: Vec::new() }),
        }
    }

    fn call(&mut self, number: u32, new_id: &str, new_name: Option<&str>, piece: &str) {
        // A new id under an old index is another call.
        let known = self.known.get(&number).map(|at| &mut self.blocks[*at]);
        if let Some(Block::Call { id, name, arguments, .. }) = known
            && (new_id.is_empty() || id.is_empty() || id == new_id)
        {
            if name.is_empty() {
                *name = new_name.unwrap_or("").to_owned();
            }
            arguments.push_str(piece);
            return;
        }
        if self.calls == CALLS_MAX {
            return;
        }
        let written = call_id(new_id, self.head, self.calls);
        self.calls += 1;
        self.known.insert(number, self.blocks.len());
        self.blocks.push(Block::Call {
            id: new_id.to_owned(),
            written,
            name: new_name.unwrap_or("").to_owned(),
            arguments: piece.to_owned(),
            seal: None,
        });
    }

    fn seal(&mut self, seal: &Seal) {
        match seal.on {
            Sealed::Reasoning => {
                let data = Some(seal::write(seal, Dialect::Messages));
                match self.blocks.last_mut() {
                    Some(Block::Reasoning { signature, .. }) if signature.is_none() => *signature = data,
                    _ => self.blocks.push(Block::Reasoning { text: String::new(), signature: data }),
                }
            }
            Sealed::ToolCall(number) => {
                let call = self.known.get(&number).map(|at| &mut self.blocks[*at]);
                match call {
                    Some(Block::Call { written, seal: its, .. }) => {
                        *its = Some(Seal { id: Some(written.clone()), ..seal.clone() });
                    }
                    _ => self.blocks.push(Block::Redacted(seal.clone())),
                }
            }
            Sealed::Redacted | Sealed::Text => self.blocks.push(Block::Redacted(seal.clone())),
        }
    }
}

impl Block {
    fn json(self) -> Vec<Value> {
        match self {
            Block::Text { text, citations } => {
                let mut block = json!({"type": "text", "text": text});
                if !citations.is_empty() {
                    block["citations"] = citations.into();
                }
                vec![block]
            }
            Block::Reasoning { text, signature } => {
                let signature = signature.unwrap_or_else(unsealed);
                vec![json!({"type": "thinking", "thinking": text, "signature": signature})]
            }
            Block::Call { written, name, arguments, seal, .. } => {
                let input = crate::anthropic::neutral::input(&arguments);
                let call = json!({"type": "tool_use", "id": written, "name": name, "input": input});
                std::iter::once(call).chain(seal.as_ref().map(redacted)).collect()
            }
            Block::Redacted(seal) => vec![redacted(&seal)],
        }
    }
}

//! Frames and items that we write ourselves, in the order of members that OpenAI has.

use bytes::Bytes;
use gauntlet_types::Finish;
use serde_json::{Map, Value, json};

/// Counts the frames of a stream.
#[derive(Default, Debug)]
pub(super) struct Numbers {
    pub next: u64,
}

impl Numbers {
    /// A frame of this kind, with its number; `members` is an object.
    pub(super) fn frame(&mut self, kind: &str, members: Value) -> Bytes {
        let mut data = Map::new();
        data.insert("type".into(), kind.into());
        data.insert("sequence_number".into(), self.next.into());
        if let Value::Object(members) = members {
            data.extend(members);
        }
        self.next += 1;
        format!("event: {kind}\ndata: {}\n\n", Value::Object(data)).into()
    }
}

/// Where a part stands: the place and the id of its item, and its own place within.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub item: u32,
    pub id: &'a str,
    pub index: u32,
}

/// The parts of which messages and reasoning are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Text,
    Refusal,
    Summary,
    /// The `content` of reasoning.
    Body,
}

impl Sort {
    pub(super) const fn is_of_reasoning(self) -> bool {
        matches!(self, Sort::Summary | Sort::Body)
    }

    const fn stem(self) -> &'static str {
        match self {
            Sort::Text => "response.output_text",
            Sort::Refusal => "response.refusal",
            Sort::Summary => "response.reasoning_summary_text",
            Sort::Body => "response.reasoning_text",
        }
    }

    const fn part_stem(self) -> &'static str {
        match self {
            Sort::Summary => "response.reasoning_summary_part",
            Sort::Text | Sort::Refusal | Sort::Body => "response.content_part",
        }
    }

    const fn index(self) -> &'static str {
        match self {
            Sort::Summary => "summary_index",
            Sort::Text | Sort::Refusal | Sort::Body => "content_index",
        }
    }

    pub(super) fn part(self, text: &str, annotations: &[Value]) -> Value {
        match self {
            Sort::Text => {
                json!({"type": "output_text", "annotations": annotations, "logprobs": [], "text": text})
            }
            Sort::Refusal => json!({"type": "refusal", "refusal": text}),
            Sort::Summary => json!({"type": "summary_text", "text": text}),
            Sort::Body => json!({"type": "reasoning_text", "text": text}),
        }
    }

    fn place(self, at: At<'_>) -> Value {
        json!({"item_id": at.id, "output_index": at.item, self.index(): at.index})
    }

    pub(super) fn added(self, at: At<'_>, numbers: &mut Numbers) -> Bytes {
        let mut members = self.place(at);
        members["part"] = self.part("", &[]);
        numbers.frame(&format!("{}.added", self.part_stem()), members)
    }

    pub(super) fn delta(self, at: At<'_>, text: &str, numbers: &mut Numbers) -> Bytes {
        let mut members = self.place(at);
        members["delta"] = text.into();
        if self == Sort::Text {
            // The official SDKs read it unasked.
            members["logprobs"] = json!([]);
        }
        numbers.frame(&format!("{}.delta", self.stem()), members)
    }

    pub(super) fn text_done(self, at: At<'_>, text: &str, numbers: &mut Numbers) -> Bytes {
        let mut members = self.place(at);
        members[if self == Sort::Refusal { "refusal" } else { "text" }] = text.into();
        if self == Sort::Text {
            members["logprobs"] = json!([]);
        }
        numbers.frame(&format!("{}.done", self.stem()), members)
    }

    pub(super) fn done(self, at: At<'_>, text: &str, annotations: &[Value], numbers: &mut Numbers) -> Bytes {
        let mut members = self.place(at);
        members["part"] = self.part(text, annotations);
        numbers.frame(&format!("{}.done", self.part_stem()), members)
    }
}

pub(super) fn item_added(at: u32, item: Value, numbers: &mut Numbers) -> Bytes {
    numbers.frame("response.output_item.added", json!({"output_index": at, "item": item}))
}

pub(super) fn item_done(at: u32, item: &Value, numbers: &mut Numbers) -> Bytes {
    numbers.frame("response.output_item.done", json!({"output_index": at, "item": item}))
}

pub(super) fn message(id: &str, status: &str, content: Vec<Value>) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

/// A message of ours in a stream, whole; gives the item.
pub(super) fn say(at: u32, id: &str, text: &str, numbers: &mut Numbers, frames: &mut Vec<Bytes>) -> Value {
    let place = At { item: at, id, index: 0 };
    frames.push(item_added(at, message(id, "in_progress", Vec::new()), numbers));
    frames.push(Sort::Text.added(place, numbers));
    frames.push(Sort::Text.delta(place, text, numbers));
    frames.push(Sort::Text.text_done(place, text, numbers));
    frames.push(Sort::Text.done(place, text, &[], numbers));
    let item = message(id, "completed", vec![Sort::Text.part(text, &[])]);
    frames.push(item_done(at, &item, numbers));
    item
}

/// The object `response` before anything was answered. OpenAI repeats in it what was asked for, which we do not have
/// here: those members have the values of a request that asked for nothing.
pub(super) fn response(id: &str, created: i64, model: &str) -> Value {
    json!({
        "id": id, "object": "response", "created_at": created, "status": "in_progress", "background": false,
        "error": null, "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": model,
        "output": [], "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": false,
        "temperature": null, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": null, "truncation": "disabled", "usage": null, "user": null, "metadata": {},
    })
}

/// Puts the ending into a response; gives its status.
pub(super) fn end(response: &mut Value, finish: Option<Finish>) -> &'static str {
    let (status, reason) = match finish {
        Some(Finish::Length) => ("incomplete", Some("max_output_tokens")),
        Some(Finish::ContentFilter) => ("incomplete", Some("content_filter")),
        Some(Finish::Stop | Finish::ToolCalls | Finish::Other) => ("completed", None),
        // It ended without saying how: to call it completed would be a claim of ours.
        None => ("incomplete", None),
    };
    response["status"] = status.into();
    if status == "incomplete" {
        response["incomplete_details"] = json!({"reason": reason});
    }
    status
}

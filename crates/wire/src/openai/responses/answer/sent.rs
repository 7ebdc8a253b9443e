//! What has gone out to the caller, so that a stream can be ended in its midst: what is open is closed with the words that
//! the caller has, not with those that the provider sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use gauntlet_types::{Fault, Finish};
use serde_json::{Value, json};

use super::{
    fields::{self, Fields},
    frames::{self, At, Numbers, Sort},
    item,
};
use crate::{answer::ASSEMBLED_MAX, json::Cursor, sse::Frame};

/// Items of one answer that are kept; real answers have a few dozen.
const ITEMS_MAX: usize = 4_096;

/// Bytes of finished items that are kept for the last frame. A picture has some megabytes; an answer with more than
/// this is closed without it.
const ITEMS_BYTES_MAX: usize = 8 << 20;

#[derive(Default, Debug)]
pub(super) struct Sent {
    /// The object `response` of the first frame.
    pub head: Bytes,
    pub numbers: Numbers,
    is_begun: bool,
    items: BTreeMap<u32, Item>,
    /// The place behind the last item that began.
    items_begun: u32,
    words_size: usize,
    items_size: usize,
}

#[derive(Default, Debug)]
struct Item {
    kind: String,
    id: String,
    /// By their numbers (`item::part`).
    parts: BTreeMap<u32, Part>,
    done: Option<Bytes>,
}

#[derive(Debug)]
struct Part {
    sort: Sort,
    text: String,
    /// The sources named so far, as they are written.
    annotations: Vec<Bytes>,
    stage: Stage,
}

/// open ─its text is done→ told ─it is done itself→ closed
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Open,
    Told,
    Closed,
}

impl Sent {
    /// Notes a frame as it went out.
    pub(super) fn note(&mut self, frame: &Frame) {
        let Some(data) = frame.data_bytes() else { return };
        let Ok(mut cursor) = Cursor::new(&data) else { return };
        let Ok(Some(fields)) = fields::whole(&mut cursor, &data) else { return };
        if let Some(number) = fields.number("sequence_number") {
            self.numbers.next = self.numbers.next.max(u64::from(number) + 1);
        }
        let kind = fields.text("type").unwrap_or_default();
        match &*kind {
            "response.created" | "response.in_progress" | "response.queued" => self.is_begun = true,
            "response.output_item.added" => self.begin(&fields),
            "response.output_item.done" => self.finish(&fields, &data),
            kind if kind.ends_with("_part.added") => self.part(&fields, None, |_| {}),
            kind if kind.ends_with("_part.done") => {
                self.part(&fields, None, |part| part.stage = Stage::Closed);
            }
            "response.output_text.annotation.added" => {
                let Some(Ok(span)) = fields.get("annotation").map(|mut cursor| cursor.span()) else { return };
                if self.room(span.len()) {
                    self.part(&fields, Some(Sort::Text), |part| part.annotations.push(data.slice(span)));
                }
            }
            kind => {
                let Some((sort, is_done)) = sort_of(kind) else { return };
                if is_done {
                    return self.part(&fields, Some(sort), |part| part.stage = Stage::Told);
                }
                if let Some(text) = fields.text("delta") {
                    let room = self.room(text.len());
                    self.part(&fields, Some(sort), |part| part.text.push_str(if room { &text } else { "" }));
                }
            }
        }
    }

    fn room(&mut self, bytes: usize) -> bool {
        self.words_size += bytes;
        self.words_size <= ASSEMBLED_MAX
    }

    /// Notes a piece of ours.
    pub(super) fn said(&mut self, at: u32, part: u32, sort: Sort, text: &str) {
        if self.room(text.len())
            && let Some(part) = self.items.get_mut(&at).and_then(|item| item.parts.get_mut(&part))
            && part.sort == sort
        {
            part.text.push_str(text);
        }
    }

    fn begin(&mut self, fields: &Fields<'_>) {
        let (Some(at), Some(item)) = (fields.number("output_index"), fields.object("item")) else { return };
        self.items_begun = self.items_begun.max(at.saturating_add(1));
        if self.items.len() < ITEMS_MAX {
            let id = item.text("id").unwrap_or_default().into_owned();
            let kind = item.text("type").unwrap_or_default().into_owned();
            self.items.insert(at, Item { kind, id, ..Item::default() });
        }
    }

    fn finish(&mut self, fields: &Fields<'_>, data: &Bytes) {
        let (Some(at), Some(item)) = (fields.number("output_index"), fields.get("item")) else { return };
        let Ok(span) = item.clone().span() else { return };
        self.items_size += span.len();
        if self.items.len() < ITEMS_MAX || self.items.contains_key(&at) {
            let kept = self.items_size <= ITEMS_BYTES_MAX;
            let done = if kept { data.slice(span) } else { Bytes::from_static(b"null") };
            self.items.entry(at).or_default().done = Some(done);
        }
    }

    fn part(&mut self, fields: &Fields<'_>, sort: Option<Sort>, change: impl FnOnce(&mut Part)) {
        let Some(item) = fields.number("output_index").and_then(|at| self.items.get_mut(&at)) else { return };
        let said = fields.object("part");
        let kind = said.as_ref().and_then(|part| part.text("type"));
        let sort = sort.or(match kind.as_deref() {
            Some("output_text") => Some(Sort::Text),
            Some("refusal") => Some(Sort::Refusal),
            Some("summary_text") => Some(Sort::Summary),
            Some("reasoning_text") => Some(Sort::Body),
            _ => None,
        });
        let Some(sort) = sort else { return };
        let number = part_number(fields, sort);
        if item.parts.len() == ITEMS_MAX && !item.parts.contains_key(&number) {
            return;
        }
        let begun = said.as_ref().and_then(|part| part.text("text").or(part.text("refusal")));
        let part = item.parts.entry(number).or_insert_with(|| Part {
            sort,
            text: begun.unwrap_or_default().into_owned(),
            annotations: Vec::new(),
            stage: Stage::Open,
        });
        change(part);
    }

    /// The frames that end the stream here with words of ours.
    pub(super) fn close(&mut self, text: &str, finish: Finish) -> Vec<Bytes> {
        let mut frames = Vec::new();
        let mut response = self.response();
        if !self.is_begun {
            for kind in ["response.created", "response.in_progress"] {
                frames.push(self.numbers.frame(kind, json!({"response": response})));
            }
        }
        let mut output = Vec::new();
        for (at, item) in std::mem::take(&mut self.items) {
            output.extend(item.close(at, &mut self.numbers, &mut frames).map(|item| (at, item)));
        }
        if !text.is_empty() {
            let at = self.last_index(&output);
            let id = format!("msg_gauntlet_{at}");
            let item = frames::say(at, &id, text, &mut self.numbers, &mut frames);
            output.push((at, item));
        }
        response["output"] = output.into_iter().map(|(_, item)| item).collect();
        let status = frames::end(&mut response, Some(finish));
        let last = self.numbers.frame(&format!("response.{status}"), json!({"response": response}));
        frames.push(last);
        frames
    }

    /// The place of an item behind all others; calls that were left open have one too, and clients count them.
    fn last_index(&self, output: &[(u32, Value)]) -> u32 {
        output.iter().map(|(at, _)| at.saturating_add(1)).max().unwrap_or(0).max(self.items_begun)
    }

    /// The frame that ends a stream which broke off. Codex and others pass over a bare `error`, so it is the response
    /// that has failed.
    pub(super) fn fail(&mut self, fault: &Fault, request_id: &str) -> Bytes {
        let mut response = self.response();
        let done = self.items.values().filter_map(|item| serde_json::from_slice(item.done.as_ref()?).ok());
        response["output"] = done.filter(|item: &Value| !item.is_null()).collect();
        response["status"] = "failed".into();
        response["error"] =
            json!({"code": fault.code.as_str(), "message": fault.message, "request_id": request_id});
        self.numbers.frame("response.failed", json!({"response": response}))
    }

    fn response(&self) -> Value {
        match serde_json::from_slice(&self.head) {
            Ok(Value::Object(head)) => Value::Object(head),
            _ => frames::response("resp_gauntlet", 0, ""),
        }
    }
}

impl Item {
    /// Closes what is open of it, and gives it as the last frame has it. A call that was not whole stays open: a client
    /// runs what is done, and half a patch must not be run.
    fn close(self, at: u32, numbers: &mut Numbers, frames: &mut Vec<Bytes>) -> Option<Value> {
        if let Some(done) = self.done {
            return serde_json::from_slice(&done).ok().filter(|item: &Value| !item.is_null());
        }
        let is_of_reasoning = match self.kind.as_str() {
            "message" => false,
            "reasoning" => true,
            _ => return None,
        };
        let (mut summary, mut content) = (Vec::new(), Vec::new());
        for (number, part) in self.parts {
            let read = |source: &Bytes| serde_json::from_slice(source).ok();
            let sources: Vec<Value> = part.annotations.iter().filter_map(read).collect();
            let place = At { item: at, id: &self.id, index: item::parts(number).1 };
            if part.stage == Stage::Open {
                frames.push(part.sort.text_done(place, &part.text, numbers));
            }
            if part.stage != Stage::Closed {
                frames.push(part.sort.done(place, &part.text, &sources, numbers));
            }
            let list = if part.sort == Sort::Summary { &mut summary } else { &mut content };
            list.push(part.sort.part(&part.text, &sources));
        }
        let item = match is_of_reasoning {
            true => {
                let mut item = json!({"id": self.id, "type": "reasoning", "summary": summary});
                if !content.is_empty() {
                    item["content"] = content.into();
                }
                item
            }
            false => frames::message(&self.id, "incomplete", content),
        };
        frames.push(frames::item_done(at, &item, numbers));
        Some(item)
    }
}

/// What a frame of this kind tells of: a text, and whether it is done.
pub(super) fn sort_of(kind: &str) -> Option<(Sort, bool)> {
    Some(match kind {
        "response.output_text.delta" => (Sort::Text, false),
        "response.output_text.done" => (Sort::Text, true),
        "response.refusal.delta" => (Sort::Refusal, false),
        "response.refusal.done" => (Sort::Refusal, true),
        "response.reasoning_summary_text.delta" => (Sort::Summary, false),
        "response.reasoning_summary_text.done" => (Sort::Summary, true),
        "response.reasoning_text.delta" => (Sort::Body, false),
        "response.reasoning_text.done" => (Sort::Body, true),
        _ => return None,
    })
}

/// The number of the part that a frame tells of.
pub(super) fn part_number(fields: &Fields<'_>, sort: Sort) -> u32 {
    let at = fields.number("output_index").unwrap_or(0);
    match sort {
        Sort::Summary => item::part(at, fields.number("summary_index").unwrap_or(0)),
        Sort::Body => item::body_part(at, fields.number("content_index").unwrap_or(0)),
        Sort::Text | Sort::Refusal => item::part(at, fields.number("content_index").unwrap_or(0)),
    }
}

//! What few answers have: sources, pictures, and reasoning with its seal.

use std::borrow::Cow;

use gauntlet_types::{Citation, Dialect, Event, Seal, Sealed};
use serde_json::Value;

use crate::{ask::Source, openai::chat::ask::source_of_url, seal};

/// Entries of one list that are read; real answers have a handful.
const ENTRIES_MAX: usize = 256;

/// Reads `annotations` or `images`.
pub(super) fn read(list: &str, choice: u32) -> Vec<Event> {
    let Ok(Value::Array(items)) = serde_json::from_str(list) else { return Vec::new() };
    items.iter().take(ENTRIES_MAX).filter_map(|item| one(item, choice)).collect()
}

fn one(item: &Value, choice: u32) -> Option<Event> {
    if let Some(url) = item["image_url"]["url"].as_str() {
        let Source::Inline { mime, data } = source_of_url(url.to_owned()) else { return None };
        return Some(Event::Media { choice, mime, data });
    }
    let source = item.get("url_citation")?;
    let text = |key: &str| source[key].as_str().map(str::to_owned);
    let at = |key: &str| source[key].as_u64().and_then(|at| u32::try_from(at).ok());
    let span = at("start_index").zip(at("end_index"));
    let citation = Citation { url: text("url"), title: text("title"), cited: None, span };
    Some(Event::Citation { choice, citation })
}

/// Gemini's seal of a tool call, where its compatible endpoint puts it.
pub(super) fn thought_signature(extra: &str) -> Option<String> {
    let extra: Value = serde_json::from_str(extra).ok()?;
    extra["google"]["thought_signature"].as_str().map(str::to_owned)
}

/// One entry of `reasoning_details` but for its words.
#[derive(Default)]
pub(super) struct Detail {
    format: Option<String>,
    signature: Option<String>,
    data: Option<String>,
    id: Option<String>,
}

impl Detail {
    pub(super) fn member(&mut self, key: &str, text: Cow<'_, str>) {
        let place = match key {
            "format" => &mut self.format,
            "signature" => &mut self.signature,
            "data" => &mut self.data,
            "id" => &mut self.id,
            _ => return,
        };
        *place = Some(text.into_owned());
    }

    pub(super) fn seal(self) -> Option<Seal> {
        let by = dialect_of(self.format.as_deref());
        match (self.signature, self.data) {
            (Some(signature), _) => {
                Some(Seal { id: self.id, ..seal::read(&signature, by, Sealed::Reasoning) })
            }
            (None, Some(data)) => Some(Seal { id: self.id, ..seal::read(&data, by, Sealed::Redacted) }),
            (None, None) => None,
        }
    }
}

/// Who made a piece of reasoning, by OpenRouter's word for its format.
pub(crate) fn dialect_of(format: Option<&str>) -> Dialect {
    match format {
        Some("anthropic-claude-v1") => Dialect::Messages,
        Some("google-gemini-v1") => Dialect::Gemini,
        Some("openai-responses-v1") => Dialect::Responses,
        _ => Dialect::Chat,
    }
}

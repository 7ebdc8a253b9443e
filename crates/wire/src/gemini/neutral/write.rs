//! The neutral form written as a request of Gemini's.

use std::collections::HashMap;

use gauntlet_types::{Dialect, Seal, Sealed, ServiceTier};
use serde_json::{Map, Value, json};

use super::{read::is_builtin, settings};
use crate::{
    ask::{Ask, Media, Part, Source, Speaker, Tool, ToolKind, Turn, What, Written},
    gemini::{NO_SIGNATURE, answer::args},
    openai::chat::ask::value,
    seal,
};

/// Writes a request for the model of this name, which the path tells.
pub(crate) fn write(mut ask: Ask, model: &str) -> Written {
    ask.name_results();
    let mut written = Written::default();
    let dropped = &mut written.dropped;
    list_dropped(&ask, dropped);
    let config = settings::generation_config(&mut ask, model, dropped);
    let mut contents = Contents { calls: HashMap::new(), list: Vec::new(), system: Vec::new(), dropped };
    for turn in std::mem::take(&mut ask.turns) {
        contents.turn(turn, &mut written.injected);
    }
    let Contents { list, mut system, .. } = contents;
    let mut contents: Vec<Value> = list.into_iter().map(Content::json).collect();
    if contents.is_empty() && !system.is_empty() {
        // A request without contents is refused: as in a prompt of ours, a lone instruction is the user's.
        contents.push(json!({"role": "user", "parts": std::mem::take(&mut system)}));
    }
    if settings::is_third(model) && sign_calls(&mut contents) {
        written.injected.push("thoughtSignature".into());
    }
    let mut body = Map::new();
    body.insert("contents".into(), contents.into());
    if !system.is_empty() {
        body.insert("systemInstruction".into(), json!({"parts": system}));
    }
    let tools = write_tools(std::mem::take(&mut ask.tools), dropped);
    let has_functions = tools.iter().any(|tool| tool.get("functionDeclarations").is_some());
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
    }
    // Google refuses a choice among functions where there are none.
    if let Some(choice) = ask.tool_choice.filter(|_| has_functions) {
        body.insert("toolConfig".into(), settings::tool_config(choice));
    }
    match ask.service_tier {
        Some(ServiceTier::Flex) => drop(body.insert("serviceTier".into(), "flex".into())),
        Some(ServiceTier::Priority) => drop(body.insert("serviceTier".into(), "priority".into())),
        Some(ServiceTier::Standard | ServiceTier::Batch) | None => {}
    }
    if !config.is_empty() {
        body.insert("generationConfig".into(), Value::Object(config));
    }
    written.injected.sort();
    written.injected.dedup();
    written.body = Value::Object(body).to_string().into_bytes();
    written
}

/// What Gemini has no member for.
fn list_dropped(ask: &Ask, dropped: &mut Vec<String>) {
    let absent = [
        ("parallel_tool_calls", ask.parallel_tools == Some(false)),
        ("verbosity", ask.verbosity.is_some()),
        ("user", ask.user.is_some()),
        ("metadata", !ask.metadata.is_empty()),
        ("prompt_cache_key", ask.cache_key.is_some()),
        ("store", ask.store == Some(true)),
        ("name", ask.turns.iter().any(|turn| turn.name.is_some())),
        ("tools.strict", ask.tools.iter().any(|tool| tool.strict == Some(true))),
        (
            "cache_control",
            ask.tools.iter().any(|tool| tool.cache.is_some())
                || ask.turns.iter().flat_map(|turn| &turn.parts).any(|part| part.cache.is_some()),
        ),
    ];
    dropped.extend(absent.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name.to_owned()));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    User,
    /// Results of functions stand in a content of their own, as many as there were calls.
    Results,
    Model,
}

struct Content {
    voice: Voice,
    parts: Vec<Value>,
    /// Of results: which call of the turn before each is of.
    order: Vec<usize>,
}

impl Content {
    fn json(mut self) -> Value {
        if self.voice == Voice::Results && self.order.len() == self.parts.len() {
            // By the order of their calls, which is how Gemini tells two of one function apart.
            let mut sorted: Vec<_> = self.order.iter().copied().zip(self.parts).collect();
            sorted.sort_by_key(|(order, _)| *order);
            self.parts = sorted.into_iter().map(|(_, part)| part).collect();
        }
        let role = if self.voice == Voice::Model { "model" } else { "user" };
        json!({"role": role, "parts": self.parts})
    }
}

struct Contents<'d> {
    /// Calls in their order, by id.
    calls: HashMap<String, usize>,
    list: Vec<Content>,
    system: Vec<Value>,
    dropped: &'d mut Vec<String>,
}

impl Contents<'_> {
    fn turn(&mut self, turn: Turn, injected: &mut Vec<String>) {
        let voice = match turn.speaker {
            Speaker::System => {
                for part in turn.parts {
                    match part.what {
                        What::Text(text) | What::Refusal(text) => self.system.push(json!({"text": text})),
                        _ => self.dropped.push("system".into()),
                    }
                }
                return;
            }
            Speaker::User => Voice::User,
            Speaker::Assistant => Voice::Model,
        };
        let mut parts = Vec::new();
        // Seals of texts that wait for a text to stand on.
        let mut waiting: Vec<String> = Vec::new();
        for part in turn.parts {
            self.part(part, &mut parts, &mut waiting, injected);
        }
        for data in waiting {
            match parts.iter_mut().rev().find(|part| is_unsealed_text(part)) {
                Some(part) => part["thoughtSignature"] = data.into(),
                None => parts.push(json!({"text": "", "thoughtSignature": data})),
            }
        }
        self.add(voice, parts);
    }

    fn add(&mut self, voice: Voice, mut parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.list.last_mut() {
            Some(last) if last.voice == voice => last.parts.append(&mut parts),
            _ => self.list.push(Content { voice, parts, order: Vec::new() }),
        }
    }

    fn part(
        &mut self,
        part: Part,
        parts: &mut Vec<Value>,
        waiting: &mut Vec<String>,
        injected: &mut Vec<String>,
    ) {
        match part.what {
            // Gemini refuses a text without a letter.
            What::Text(text) | What::Refusal(text) => {
                if !text.is_empty() {
                    parts.push(json!({"text": text}));
                }
            }
            What::Media { kind, source, detail, .. } => {
                if detail.is_some_and(|detail| detail != "auto") {
                    self.dropped.push("detail".into());
                }
                parts.extend(write_media(kind, source, self.dropped, injected));
            }
            What::ToolCall { id, name, arguments, seal, .. } => {
                let mut part = json!({"functionCall": {"id": id, "name": name, "args": args(&arguments)}});
                if let Some(seal) = seal.as_ref().filter(|seal| is_own(seal)) {
                    part["thoughtSignature"] = seal.data.as_str().into();
                }
                let order = self.calls.len();
                self.calls.insert(id, order);
                parts.push(part);
            }
            What::ToolResult { id, name, parts: said, is_error } => {
                self.result(id, name, said, is_error, parts, injected);
            }
            What::Reasoning { text, seal } => match seal.filter(is_own) {
                Some(seal) if seal.on == Sealed::Reasoning && !text.is_empty() => {
                    parts.push(json!({"text": text, "thought": true, "thoughtSignature": seal.data}));
                }
                Some(seal) => match parts.last_mut().filter(|last| is_unsealed_text(last)) {
                    Some(last) => last["thoughtSignature"] = seal.data.into(),
                    None => waiting.push(seal.data),
                },
                None => self.dropped.push("reasoning".into()),
            },
        }
    }

    /// A result goes into a content of its own; pictures in it follow as the user's, which every model takes.
    fn result(
        &mut self,
        id: String,
        name: Option<String>,
        said: Vec<Part>,
        is_error: bool,
        pictures: &mut Vec<Value>,
        injected: &mut Vec<String>,
    ) {
        let mut texts = Vec::new();
        for part in said {
            match part.what {
                What::Text(text) => texts.push(text),
                What::Media { kind, source, .. } => {
                    pictures.extend(write_media(kind, source, self.dropped, injected));
                }
                _ => self.dropped.push("tool_result".into()),
            }
        }
        let text = texts.join("\n\n");
        let response = match (is_error, serde_json::from_str(&text)) {
            (true, _) => json!({"error": text}),
            (false, Ok(Value::Object(members))) => Value::Object(members),
            (false, _) => json!({"output": text}),
        };
        let name = name.unwrap_or_else(|| "unknown".into());
        let order = self.calls.get(&id).copied().unwrap_or(usize::MAX);
        let part = json!({"functionResponse": {"id": id, "name": name, "response": response}});
        // All results of one turn stand together, whatever the user says between them.
        let mut since = self.list.iter_mut().rev().take_while(|content| content.voice != Voice::Model);
        match since.find(|content| content.voice == Voice::Results) {
            Some(results) => {
                results.parts.push(part);
                results.order.push(order);
            }
            None => self.list.push(Content { voice: Voice::Results, parts: vec![part], order: vec![order] }),
        }
    }
}

fn is_unsealed_text(part: &Value) -> bool {
    part["text"].is_string() && part["thought"].is_null() && part["thoughtSignature"].is_null()
}

fn is_own(seal: &Seal) -> bool {
    seal.by == Dialect::Gemini && !seal::is_void(&seal.data)
}

/// Puts the word that skips the check where Gemini 3 looks for a signature: at the first call of each step of the
/// present turn, which begins with the user's last words. Tells whether it was needed.
fn sign_calls(contents: &mut [Value]) -> bool {
    let is_words = |content: &Value| {
        let parts = content["parts"].as_array();
        let is_result = |part: &Value| part.get("functionResponse").is_some();
        content["role"] == "user" && parts.is_some_and(|parts| !parts.iter().all(is_result))
    };
    let begin = contents.iter().rposition(is_words).unwrap_or(0);
    let mut is_needed = false;
    for content in &mut contents[begin..] {
        let parts = content["parts"].as_array_mut();
        let first = parts.and_then(|parts| parts.iter_mut().find(|part| part.get("functionCall").is_some()));
        if let Some(call) = first.filter(|call| call["thoughtSignature"].is_null()) {
            call["thoughtSignature"] = NO_SIGNATURE.into();
            is_needed = true;
        }
    }
    is_needed
}

fn write_tools(tools: Vec<Tool>, dropped: &mut Vec<String>) -> Vec<Value> {
    let (mut functions, mut written): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for tool in tools {
        let schema = match tool.kind {
            ToolKind::Function { schema } => schema.map(|schema| value(&schema)),
            // A text is the one argument of a function.
            ToolKind::Custom { format } => {
                if format.is_some() {
                    dropped.push(format!("tools.{}.format", tool.name));
                }
                let text = json!({"type": "object", "properties": {"input": {"type": "string"}},
                    "required": ["input"]});
                Some(text)
            }
            ToolKind::Builtin { raw } => {
                let raw = value(&raw);
                match is_builtin(&raw) {
                    true => written.push(raw),
                    false => dropped.push(format!("tools.{}", tool.name)),
                }
                continue;
            }
        };
        let mut function = Map::new();
        function.insert("name".into(), tool.name.into());
        if let Some(description) = tool.description {
            function.insert("description".into(), description.into());
        }
        if let Some(schema) = schema {
            function.insert("parametersJsonSchema".into(), schema);
        }
        functions.push(Value::Object(function));
    }
    if !functions.is_empty() {
        written.insert(0, json!({"functionDeclarations": functions}));
    }
    written
}

fn write_media(
    kind: Media,
    source: Source,
    dropped: &mut Vec<String>,
    injected: &mut Vec<String>,
) -> Option<Value> {
    match source {
        Source::Inline { mime, data } => Some(json!({"inlineData": {"mimeType": mime, "data": data}})),
        Source::Text(text) => Some(json!({"text": text})),
        Source::Url { url, mime } => {
            let mime = mime.unwrap_or_else(|| {
                injected.push("mimeType".into());
                guess(&url, kind).to_owned()
            });
            Some(json!({"fileData": {"mimeType": mime, "fileUri": url}}))
        }
        // An address at Google; ids of other providers' files are none.
        Source::File(uri) if uri.contains("://") => Some(json!({"fileData": {"fileUri": uri}})),
        Source::File(_) => {
            dropped.push(format!("{kind:?}").to_lowercase());
            None
        }
    }
}

/// The type of a file by its name, or else the usual one of its kind: Google demands one.
fn guess(url: &str, kind: Media) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or("");
    let ending = path.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    match (ending.as_str(), kind) {
        ("png", _) => "image/png",
        ("jpg" | "jpeg", _) => "image/jpeg",
        ("webp", _) => "image/webp",
        ("gif", _) => "image/gif",
        ("heic", _) => "image/heic",
        ("pdf", _) => "application/pdf",
        ("txt" | "md", _) => "text/plain",
        ("html", _) => "text/html",
        ("mp3", _) => "audio/mpeg",
        ("wav", _) => "audio/wav",
        ("mp4", _) => "video/mp4",
        ("webm", _) => "video/webm",
        (_, Media::Image) => "image/jpeg",
        (_, Media::Audio) => "audio/mpeg",
        (_, Media::Video) => "video/mp4",
        (_, Media::Document) => "application/pdf",
    }
}

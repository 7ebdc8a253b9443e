//! The neutral form written as a Converse request. The model is in the path, and so is whether it streams.

use gauntlet_types::{Dialect, Seal, Sealed, ServiceTier};
use serde_json::{Map, Value, json};

use super::{
    media,
    settings::{self, Family},
};
use crate::{
    ask::{Ask, CacheMark, Part, Shape, Speaker, Tool, ToolChoice, ToolKind, Turn, What, Written, tool_id},
    gemini::answer::args,
    openai::chat::ask::value,
    seal,
};

/// Pairs of metadata that Converse takes, and bytes of one key or value.
const METADATA_MAX: usize = 16;
const METADATA_BYTES_MAX: usize = 256;

/// Writes a request for the model of this name.
pub(crate) fn write(mut ask: Ask, model: &str) -> Written {
    let mut written = Written::default();
    let family = Family::of(model);
    list_dropped(&ask, &mut written.dropped);
    let mut messages = Messages {
        family,
        list: Vec::new(),
        system: Vec::new(),
        tools_used: Vec::new(),
        dropped: &mut written.dropped,
    };
    for turn in std::mem::take(&mut ask.turns) {
        messages.turn(turn);
    }
    let Messages { mut list, mut system, tools_used, dropped, .. } = messages;
    if list.is_empty() && !system.is_empty() {
        // A request without a word from the user is refused: as in a prompt of ours, a lone instruction is the user's.
        list.push(Message { is_user: true, content: std::mem::take(&mut system) });
    }
    let mut body = Map::new();
    body.insert("messages".into(), list.into_iter().map(Message::json).collect());
    if !system.is_empty() {
        body.insert("system".into(), system.into());
    }
    let additional = settings::additional(&mut ask, model, dropped);
    let config = inference_config(&mut ask);
    if !config.is_empty() {
        body.insert("inferenceConfig".into(), Value::Object(config));
    }
    if let Some(tools) = tool_config(&mut ask, &tools_used, dropped, &mut written.injected) {
        body.insert("toolConfig".into(), tools);
    }
    if !additional.is_empty() {
        body.insert("additionalModelRequestFields".into(), Value::Object(additional));
    }
    match ask.shape {
        Some(Shape::Schema { name, description, schema, .. }) => {
            body.insert("outputConfig".into(), output_config(name, description, schema.get()));
        }
        Some(Shape::Json) => dropped.push("response_format".into()),
        Some(Shape::Text) | None => {}
    }
    match ask.service_tier {
        Some(ServiceTier::Flex) => drop(body.insert("serviceTier".into(), json!({"type": "flex"}))),
        Some(ServiceTier::Priority) => {
            body.insert("serviceTier".into(), json!({"type": "priority"}));
        }
        Some(ServiceTier::Standard | ServiceTier::Batch) | None => {}
    }
    write_metadata(ask.metadata, &mut body, dropped);
    written.body = Value::Object(body).to_string().into_bytes();
    written
}

/// What Converse has no member for.
fn list_dropped(ask: &Ask, dropped: &mut Vec<String>) {
    let absent = [
        ("parallel_tool_calls", ask.parallel_tools == Some(false)),
        ("seed", ask.seed.is_some()),
        ("presence_penalty", ask.presence_penalty.is_some()),
        ("frequency_penalty", ask.frequency_penalty.is_some()),
        ("n", ask.choices.is_some_and(|choices| choices > 1)),
        ("logprobs", ask.logprobs.is_some()),
        ("verbosity", ask.verbosity.is_some()),
        ("user", ask.user.is_some()),
        ("prompt_cache_key", ask.cache_key.is_some()),
        ("store", ask.store == Some(true)),
        ("name", ask.turns.iter().any(|turn| turn.name.is_some())),
    ];
    dropped.extend(absent.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name.to_owned()));
}

fn write_metadata(pairs: Vec<(String, String)>, body: &mut Map<String, Value>, dropped: &mut Vec<String>) {
    let fits = |text: &String| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b" _:/=+@-.,".contains(&byte);
        text.len() <= METADATA_BYTES_MAX && text.bytes().all(letter)
    };
    let (kept, other): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(key, value)| !key.is_empty() && fits(key) && fits(value));
    if !other.is_empty() || kept.len() > METADATA_MAX {
        dropped.push("metadata".into());
    }
    if !kept.is_empty() {
        let kept = kept.into_iter().take(METADATA_MAX).map(|(key, value)| (key, Value::from(value)));
        body.insert("requestMetadata".into(), Value::Object(kept.collect()));
    }
}

fn inference_config(ask: &mut Ask) -> Map<String, Value> {
    let stop = std::mem::take(&mut ask.stop);
    let members = [
        ("maxTokens", ask.limit.map(Value::from)),
        ("temperature", ask.temperature.map(Value::from)),
        ("topP", ask.top_p.map(Value::from)),
        ("stopSequences", (!stop.is_empty()).then(|| stop.into())),
    ];
    members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// The schema goes as a string.
fn output_config(name: Option<String>, description: Option<String>, schema: &str) -> Value {
    let mut inner = json!({"schema": schema});
    if let Some(name) = name {
        inner["name"] = name.into();
    }
    if let Some(description) = description {
        inner["description"] = description.into();
    }
    json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": inner}}})
}

fn cache_point(mark: CacheMark) -> Value {
    match mark {
        CacheMark::FiveMinutes => json!({"cachePoint": {"type": "default"}}),
        CacheMark::Hour => json!({"cachePoint": {"type": "default", "ttl": "1h"}}),
    }
}

/// The tools. Converse demands them wherever a message has a call or a result, so that those of the past are named where
/// the caller names none; and it knows no word for "no tool".
fn tool_config(
    ask: &mut Ask,
    used: &[String],
    dropped: &mut Vec<String>,
    injected: &mut Vec<String>,
) -> Option<Value> {
    let mut tools: Vec<Value> = Vec::new();
    for tool in std::mem::take(&mut ask.tools) {
        let cache = tool.cache;
        tools.extend(write_tool(tool, dropped));
        tools.extend(cache.map(cache_point));
    }
    let wants_none = ask.tool_choice == Some(ToolChoice::None);
    if wants_none && used.is_empty() {
        return None;
    }
    if tools.is_empty() && !used.is_empty() {
        injected.push("toolConfig".into());
        let empty = || json!({"json": {"type": "object", "properties": {}}});
        tools = used.iter().map(|name| json!({"toolSpec": {"name": name, "inputSchema": empty()}})).collect();
    }
    if tools.is_empty() {
        return None;
    }
    let choice = match ask.tool_choice.take() {
        Some(ToolChoice::Auto) => Some(json!({"auto": {}})),
        Some(ToolChoice::Any) => Some(json!({"any": {}})),
        Some(ToolChoice::Named(name)) => Some(json!({"tool": {"name": name}})),
        Some(ToolChoice::None) => {
            dropped.push("tool_choice".into());
            None
        }
        None => None,
    };
    let mut config = json!({"tools": tools});
    if let Some(choice) = choice {
        config["toolChoice"] = choice;
    }
    Some(config)
}

fn write_tool(tool: Tool, dropped: &mut Vec<String>) -> Option<Value> {
    let schema = match tool.kind {
        ToolKind::Function { schema } => {
            schema.map_or_else(|| json!({"type": "object", "properties": {}}), |schema| value(&schema))
        }
        ToolKind::Custom { format } => {
            if format.is_some() {
                dropped.push(format!("tools.{}.format", tool.name));
            }
            json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]})
        }
        ToolKind::Builtin { .. } => {
            dropped.push(format!("tools.{}", tool.name));
            return None;
        }
    };
    let mut spec = json!({"name": tool.name, "inputSchema": {"json": schema}});
    if let Some(description) = tool.description.filter(|description| !description.is_empty()) {
        spec["description"] = description.into();
    }
    if let Some(strict) = tool.strict {
        spec["strict"] = strict.into();
    }
    Some(json!({"toolSpec": spec}))
}

struct Message {
    is_user: bool,
    content: Vec<Value>,
}

impl Message {
    fn json(self) -> Value {
        json!({"role": if self.is_user { "user" } else { "assistant" }, "content": self.content})
    }
}

struct Messages<'d> {
    family: Family,
    list: Vec<Message>,
    system: Vec<Value>,
    /// Names of tools that were called.
    tools_used: Vec<String>,
    dropped: &'d mut Vec<String>,
}

impl Messages<'_> {
    /// Speakers take turns in Converse, so that neighbours of one become one message.
    fn turn(&mut self, turn: Turn) {
        let (mut content, mut results) = (Vec::new(), Vec::new());
        let is_system = turn.speaker == Speaker::System;
        for part in turn.parts {
            let cache = part.cache;
            let is_result = matches!(part.what, What::ToolResult { .. });
            let home = if is_result { &mut results } else { &mut content };
            let before = home.len();
            self.part(part.what, home);
            if let Some(mark) = cache.filter(|_| home.len() > before) {
                home.push(cache_point(mark));
            }
        }
        if is_system {
            let is_said = |block: &Value| block.get("text").is_some() || block.get("cachePoint").is_some();
            if !content.iter().all(is_said) {
                self.dropped.push("system".into());
            }
            self.system.extend(content.into_iter().filter(is_said));
            return;
        }
        // Results answer the calls before them, so that they come first.
        results.append(&mut content);
        if results.is_empty() {
            return;
        }
        let is_user = turn.speaker == Speaker::User;
        match self.list.last_mut() {
            Some(last) if last.is_user == is_user => last.content.append(&mut results),
            _ => self.list.push(Message { is_user, content: results }),
        }
    }

    fn part(&mut self, what: What, content: &mut Vec<Value>) {
        match what {
            // A text without a letter is refused.
            What::Text(text) | What::Refusal(text) => {
                if !text.trim().is_empty() {
                    content.push(json!({"text": text}));
                }
            }
            What::Media { kind, source, name, detail } => {
                if detail.is_some_and(|detail| detail != "auto") {
                    self.dropped.push("detail".into());
                }
                content.extend(media::write(kind, source, name, self.dropped));
            }
            What::ToolCall { id, name, arguments, .. } => {
                if !self.tools_used.contains(&name) {
                    self.tools_used.push(name.clone());
                }
                let call = json!({"toolUseId": tool_id(&id), "name": name, "input": args(&arguments)});
                content.push(json!({"toolUse": call}));
            }
            What::ToolResult { id, parts, is_error, .. } => {
                let said = self.result(parts);
                let mut result = json!({"toolUseId": tool_id(&id), "content": said});
                if is_error {
                    result["status"] = "error".into();
                }
                content.push(json!({"toolResult": result}));
            }
            What::Reasoning { text, seal } => match seal.filter(|seal| self.is_own(seal)) {
                Some(seal) if seal.on == Sealed::Redacted => {
                    content.push(json!({"reasoningContent": {"redactedContent": seal.data}}));
                }
                Some(seal) => {
                    let told = json!({"text": text, "signature": seal.data});
                    content.push(json!({"reasoningContent": {"reasoningText": told}}));
                }
                None => self.dropped.push("reasoning".into()),
            },
        }
    }

    fn result(&mut self, parts: Vec<Part>) -> Vec<Value> {
        let mut said = Vec::new();
        for part in parts {
            match part.what {
                What::Text(text) if text.trim().is_empty() => {}
                What::Text(text) => said.push(json!({"text": text})),
                What::Media { kind, source, name, .. } => {
                    said.extend(media::write(kind, source, name, self.dropped));
                }
                _ => self.dropped.push("tool_result".into()),
            }
        }
        said
    }

    /// Claude's signatures hold wherever it runs (Anthropic API, "Extended thinking"); sealed bytes are told apart.
    fn is_own(&self, seal: &Seal) -> bool {
        let is_claudes =
            seal.by == Dialect::Messages && seal.on == Sealed::Reasoning && self.family == Family::Claude;
        (seal.by == Dialect::Converse || is_claudes)
            && matches!(seal.on, Sealed::Reasoning | Sealed::Redacted)
            && !seal::is_void(&seal.data)
    }
}

//! A request out of the neutral form.

use std::collections::HashSet;

use gauntlet_types::Dialect;
use serde_json::{Map, Value, json};

use crate::{
    ask::{
        Ask, Effort, Media, Part, Shape, Source, Speaker, Tool, ToolChoice, ToolKind, Turn, What, Written,
        tool_id,
    },
    openai::chat::ask::{effort_word, tier_word, value},
};

/// The least limit of an output that OpenAI takes (API reference, `max_output_tokens`).
const LIMIT_MIN: u32 = 16;

const SEALS: &str = "reasoning.encrypted_content";

/// Writes a request for the model of this name.
///
/// Nothing is left with the provider: the caller's dialect has no word for it, so each request has the whole
/// conversation, and reasoning comes back sealed where any is asked for.
pub(crate) fn write(ask: Ask, model: &str) -> Written {
    let mut written = Written::default();
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.into(), value);
        }
    };
    let dropped = &mut written.dropped;
    for (name, is_lost) in [
        ("top_k", ask.top_k.is_some()),
        ("seed", ask.seed.is_some()),
        ("presence_penalty", ask.presence_penalty.is_some()),
        ("frequency_penalty", ask.frequency_penalty.is_some()),
        ("stop", !ask.stop.is_empty()),
        ("n", ask.choices.is_some_and(|choices| choices > 1)),
    ] {
        if is_lost {
            dropped.push(name.into());
        }
    }
    let mut input = Input { items: Vec::new(), custom: HashSet::new(), has_seals: false, dropped };
    let mut turns = ask.turns;
    let leading = turns.iter().take_while(|turn| turn.speaker == Speaker::System).count();
    let instructions: Vec<String> = turns.drain(..leading).filter_map(|turn| input.system(turn)).collect();
    turns.into_iter().for_each(|turn| input.turn(turn));
    let has_seals = input.has_seals;
    let mut items = input.items;
    if items.is_empty() {
        // A request needs something to answer; instructions alone are none.
        items.extend(instructions.iter().map(|text| json!({"role": "user", "content": text})));
    } else {
        put("instructions", (!instructions.is_empty()).then(|| instructions.join("\n\n").into()));
    }
    put("input", Some(items.into()));

    let customs: HashSet<String> = ask.tools.iter().filter(is_custom).map(|tool| tool.name.clone()).collect();
    let tools: Vec<Value> = ask.tools.into_iter().filter_map(|tool| write_tool(tool, dropped)).collect();
    let has_tools = !tools.is_empty();
    put("tools", has_tools.then_some(tools.into()));
    put("tool_choice", ask.tool_choice.filter(|_| has_tools).map(|choice| write_choice(choice, &customs)));
    put("parallel_tool_calls", ask.parallel_tools.filter(|_| has_tools).map(Value::from));
    if ask.limit.is_some_and(|limit| limit < LIMIT_MIN) {
        // A refusal would help nobody; some tokens more cost next to nothing.
        written.injected.push("max_output_tokens".into());
    }
    put("max_output_tokens", ask.limit.map(|limit| limit.max(LIMIT_MIN).into()));
    put("temperature", ask.temperature.map(Value::from));
    put("top_p", ask.top_p.map(Value::from));
    let mut text = Map::new();
    if let Some(shape) = ask.shape {
        text.insert("format".into(), write_shape(shape));
    }
    if let Some(verbosity) = ask.verbosity {
        text.insert("verbosity".into(), verbosity.into());
    }
    put("text", (!text.is_empty()).then_some(Value::Object(text)));
    let mut include = Vec::new();
    let mut thinks = has_seals;
    if let Some(reasoning) = ask.reasoning {
        let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
        let mut object = Map::new();
        if let Some(effort) = effort {
            object.insert("effort".into(), effort_word(effort).into());
        }
        if reasoning.is_told == Some(true) {
            object.insert("summary".into(), "auto".into());
        }
        thinks |= !object.is_empty() && effort != Some(Effort::None);
        put("reasoning", (!object.is_empty()).then_some(Value::Object(object)));
    }
    if thinks {
        include.push(SEALS);
    }
    if let Some(top) = ask.logprobs {
        include.push("message.output_text.logprobs");
        put("top_logprobs", (top > 0).then(|| top.into()));
    }
    put("include", (!include.is_empty()).then(|| include.into()));
    put("user", ask.user.map(Value::from));
    if !ask.metadata.is_empty() {
        let pairs = ask.metadata.into_iter().map(|(key, value)| (key, Value::from(value)));
        put("metadata", Some(Value::Object(pairs.collect())));
    }
    put("service_tier", ask.service_tier.map(|tier| tier_word(tier).into()));
    put("prompt_cache_key", ask.cache_key.map(Value::from));
    put("store", Some(ask.store.unwrap_or(false).into()));
    put("stream", ask.stream.then(|| true.into()));
    if ask.store.is_none() {
        // OpenAI keeps answers for a month unless it is told not to.
        written.injected.push("store".into());
    }
    written.body = Value::Object(body).to_string().into_bytes();
    written
}

fn is_custom(tool: &&Tool) -> bool {
    matches!(tool.kind, ToolKind::Custom { .. })
}

struct Input<'d> {
    items: Vec<Value>,
    /// Ids of calls of custom tools: what those give back is an item of another type.
    custom: HashSet<String>,
    has_seals: bool,
    dropped: &'d mut Vec<String>,
}

impl Input<'_> {
    /// The text of a system message; none where there is none.
    fn system(&mut self, turn: Turn) -> Option<String> {
        let mut texts = Vec::new();
        for part in turn.parts {
            self.note(&part);
            match part.what {
                What::Text(text) => texts.push(text),
                _ => self.dropped.push("system".into()),
            }
        }
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    fn note(&mut self, part: &Part) {
        if part.cache.is_some() {
            self.dropped.push("cache_control".into());
        }
    }

    /// Writes one turn as a message, and items of their own for its reasoning, its calls and what tools gave back, in
    /// their order.
    fn turn(&mut self, turn: Turn) {
        if turn.name.is_some() {
            self.dropped.push("name".into());
        }
        let speaker = turn.speaker;
        let mut content = Vec::new();
        for part in turn.parts {
            self.note(&part);
            match part.what {
                What::Text(text) => {
                    let kind = if speaker == Speaker::Assistant { "output_text" } else { "input_text" };
                    content.push(json!({"type": kind, "text": text}));
                }
                What::Refusal(text) => content.push(json!({"type": "refusal", "refusal": text})),
                What::Media { .. } if speaker == Speaker::Assistant => {
                    self.dropped.push("assistant.media".into());
                }
                What::Media { kind, source, name, detail } => {
                    content.extend(self.media(kind, source, name, detail));
                }
                other => {
                    self.message(speaker, std::mem::take(&mut content));
                    self.item(other);
                }
            }
        }
        self.message(speaker, content);
    }

    fn message(&mut self, speaker: Speaker, mut content: Vec<Value>) {
        let role = match speaker {
            Speaker::System => "system",
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        let content = match &mut content[..] {
            [] => return,
            // The short form, which all servers of this dialect know.
            [only] if only["text"].is_string() => only["text"].take(),
            _ => content.into(),
        };
        self.items.push(json!({"role": role, "content": content}));
    }

    fn item(&mut self, what: What) {
        match what {
            What::ToolCall { id, name, arguments, is_custom, seal } => {
                if seal.is_some() {
                    self.dropped.push("reasoning".into());
                }
                let id = tool_id(&id);
                if is_custom {
                    self.items.push(
                        json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": arguments}),
                    );
                    self.custom.insert(id);
                } else {
                    let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
                    self.items.push(
                        json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments}),
                    );
                }
            }
            What::ToolResult { id, parts, is_error, .. } => {
                if is_error {
                    self.dropped.push("tool_result.is_error".into());
                }
                let id = tool_id(&id);
                let output = self.result(parts);
                let is_custom = self.custom.contains(&id);
                let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
                self.items.push(json!({"type": kind, "call_id": id, "output": output}));
            }
            What::Reasoning { text, seal } => match seal.filter(|seal| seal.by == Dialect::Responses) {
                Some(seal) => {
                    let mut item = Map::new();
                    item.insert("type".into(), "reasoning".into());
                    if let Some(id) = seal.id {
                        item.insert("id".into(), id.into());
                    }
                    let is_told = !text.is_empty();
                    let summary = is_told.then(|| json!({"type": "summary_text", "text": text}));
                    item.insert("summary".into(), summary.into_iter().collect());
                    item.insert("encrypted_content".into(), seal.data.into());
                    self.items.push(Value::Object(item));
                    self.has_seals = true;
                }
                None => self.dropped.push("reasoning".into()),
            },
            What::Text(_) | What::Refusal(_) | What::Media { .. } => {}
        }
    }

    /// What a tool gave back: plain text, or parts where there is more than text.
    fn result(&mut self, parts: Vec<Part>) -> Value {
        let mut content = Vec::new();
        for part in parts {
            self.note(&part);
            match part.what {
                What::Text(text) => content.push(json!({"type": "input_text", "text": text})),
                What::Media { kind, source, name, detail } => {
                    content.extend(self.media(kind, source, name, detail));
                }
                _ => self.dropped.push("tool_result".into()),
            }
        }
        let texts: Option<Vec<&str>> = content.iter().map(|part| part["text"].as_str()).collect();
        match texts {
            Some(texts) => texts.join("\n\n").into(),
            None => content.into(),
        }
    }

    fn media(
        &mut self,
        kind: Media,
        source: Source,
        name: Option<String>,
        detail: Option<String>,
    ) -> Option<Value> {
        let mut part = Map::new();
        let mut put = |key: &str, value: String| drop(part.insert(key.into(), value.into()));
        match (kind, source) {
            (Media::Image, source) => {
                put("type", "input_image".into());
                match source {
                    Source::Url { url, .. } => put("image_url", url),
                    Source::Inline { mime, data } => put("image_url", format!("data:{mime};base64,{data}")),
                    Source::File(id) if is_openais(&id) => put("file_id", id),
                    Source::File(_) | Source::Text(_) => return self.lost(kind),
                }
                put("detail", detail.unwrap_or_else(|| "auto".into()));
            }
            (Media::Document, Source::Text(text)) => {
                put("type", "input_text".into());
                put("text", text);
            }
            (Media::Document, source) => {
                put("type", "input_file".into());
                match source {
                    Source::Url { url, .. } => put("file_url", url),
                    Source::Inline { mime, data } => {
                        put("filename", name.unwrap_or_else(|| "document.pdf".into()));
                        put("file_data", format!("data:{mime};base64,{data}"));
                    }
                    Source::File(id) if is_openais(&id) => put("file_id", id),
                    Source::File(_) | Source::Text(_) => return self.lost(kind),
                }
            }
            (Media::Audio | Media::Video, _) => return self.lost(kind),
        }
        Some(Value::Object(part))
    }

    fn lost(&mut self, kind: Media) -> Option<Value> {
        self.dropped.push(format!("{kind:?}").to_lowercase());
        None
    }
}

/// Whether a file may be kept by a speaker of this dialect: Anthropic's ids begin with `file_`, Google's are addresses.
fn is_openais(id: &str) -> bool {
    !id.starts_with("file_") && !id.contains('/')
}

fn write_tool(tool: Tool, dropped: &mut Vec<String>) -> Option<Value> {
    if tool.cache.is_some() {
        dropped.push("cache_control".into());
    }
    let mut written = Map::new();
    let kind = match &tool.kind {
        ToolKind::Function { .. } => "function",
        ToolKind::Custom { .. } => "custom",
        ToolKind::Builtin { .. } => {
            dropped.push(format!("tools.{}", tool.name));
            return None;
        }
    };
    written.insert("type".into(), kind.into());
    written.insert("name".into(), tool.name.into());
    if let Some(description) = tool.description {
        written.insert("description".into(), description.into());
    }
    match tool.kind {
        ToolKind::Function { schema } => {
            let schema =
                schema.map_or_else(|| json!({"type": "object", "properties": {}}), |raw| value(&raw));
            written.insert("parameters".into(), schema);
            // Left out it counts as true, and OpenAI then refuses most schemas.
            written.insert("strict".into(), tool.strict.unwrap_or(false).into());
        }
        ToolKind::Custom { format } => {
            if let Some(format) = format {
                written.insert("format".into(), value(&format));
            }
        }
        ToolKind::Builtin { .. } => {}
    }
    Some(Value::Object(written))
}

fn write_choice(choice: ToolChoice, customs: &HashSet<String>) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Any => "required".into(),
        ToolChoice::Named(name) => {
            let kind = if customs.contains(&name) { "custom" } else { "function" };
            json!({"type": kind, "name": name})
        }
    }
}

fn write_shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "text"}),
        Shape::Json => json!({"type": "json_object"}),
        Shape::Schema { name, description, schema, strict } => {
            let mut format = Map::new();
            format.insert("type".into(), "json_schema".into());
            format.insert("name".into(), name.unwrap_or_else(|| "answer".into()).into());
            if let Some(description) = description {
                format.insert("description".into(), description.into());
            }
            format.insert("schema".into(), value(&schema));
            if let Some(strict) = strict {
                format.insert("strict".into(), strict.into());
            }
            Value::Object(format)
        }
    }
}

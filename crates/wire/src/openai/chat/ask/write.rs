//! A chat request out of the neutral form.

use gauntlet_types::{Dialect, Quirks, ServiceTier};
use serde_json::{Map, Value, json};

use crate::ask::{
    Ask, Effort, Media, Part, Shape, Source, Speaker, Tool, ToolChoice, ToolKind, Turn, What, Written,
};

/// Writes a request for the model of this name.
pub(crate) fn write(ask: Ask, model: &str, quirks: Quirks) -> Written {
    let mut written = Written::default();
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let mut messages = Vec::new();
    for turn in ask.turns {
        write_turn(turn, &mut messages, &mut written.dropped);
    }
    body.insert("messages".into(), Value::Array(messages));
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.into(), value);
        }
    };
    let tools: Vec<Value> =
        ask.tools.into_iter().filter_map(|tool| write_tool(tool, &mut written.dropped)).collect();
    let has_tools = !tools.is_empty();
    put("tools", has_tools.then_some(Value::Array(tools)));
    put("tool_choice", ask.tool_choice.filter(|_| has_tools).map(|choice| write_choice(&choice)));
    put("parallel_tool_calls", ask.parallel_tools.filter(|_| has_tools).map(Value::from));
    let limit = if quirks.has_old_limit { "max_tokens" } else { "max_completion_tokens" };
    put(limit, ask.limit.map(Value::from));
    put("temperature", ask.temperature.map(Value::from));
    put("top_p", ask.top_p.map(Value::from));
    put("seed", ask.seed.map(Value::from));
    put("presence_penalty", ask.presence_penalty.map(Value::from));
    put("frequency_penalty", ask.frequency_penalty.map(Value::from));
    put("stop", (!ask.stop.is_empty()).then(|| ask.stop.into()));
    put("n", ask.choices.map(Value::from));
    if let Some(top) = ask.logprobs {
        put("logprobs", Some(true.into()));
        put("top_logprobs", (top > 0).then(|| top.into()));
    }
    put("response_format", ask.shape.map(write_shape));
    if let Some(reasoning) = ask.reasoning {
        let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
        put("reasoning_effort", effort.map(|effort| effort_word(effort).into()));
    }
    put("verbosity", ask.verbosity.map(Value::from));
    put("user", ask.user.map(Value::from));
    put("service_tier", ask.service_tier.map(|tier| tier_word(tier).into()));
    put("prompt_cache_key", ask.cache_key.map(Value::from));
    put("store", ask.store.map(Value::from));
    if ask.stream {
        put("stream", Some(true.into()));
        // Money hangs on it, whatever the caller's dialect says of it.
        put("stream_options", (!quirks.has_no_stream_options).then(|| json!({"include_usage": true})));
    }
    if ask.top_k.is_some() {
        written.dropped.push("top_k".into());
    }
    if !ask.metadata.is_empty() {
        // OpenAI refuses metadata of an answer that it does not store.
        if ask.store == Some(true) {
            let pairs = ask.metadata.into_iter().map(|(key, value)| (key, Value::from(value)));
            body.insert("metadata".into(), Value::Object(pairs.collect()));
        } else {
            written.dropped.push("metadata".into());
        }
    }
    written.body = Value::Object(body).to_string().into_bytes();
    written
}

pub(crate) const fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Most => "xhigh",
    }
}

pub(crate) const fn tier_word(tier: ServiceTier) -> &'static str {
    match tier {
        ServiceTier::Flex => "flex",
        ServiceTier::Priority => "priority",
        ServiceTier::Standard | ServiceTier::Batch => "default",
    }
}

fn write_shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "text"}),
        Shape::Json => json!({"type": "json_object"}),
        Shape::Schema { name, description, schema, strict } => {
            let mut inner = Map::new();
            inner.insert("name".into(), name.unwrap_or_else(|| "answer".into()).into());
            if let Some(description) = description {
                inner.insert("description".into(), description.into());
            }
            inner.insert("schema".into(), value(&schema));
            if let Some(strict) = strict {
                inner.insert("strict".into(), strict.into());
            }
            json!({"type": "json_schema", "json_schema": inner})
        }
    }
}

/// Raw JSON as a value.
pub(crate) fn value(raw: &serde_json::value::RawValue) -> Value {
    serde_json::from_str(raw.get()).expect("raw values are JSON")
}

fn write_tool(tool: Tool, dropped: &mut Vec<String>) -> Option<Value> {
    if tool.cache.is_some() {
        dropped.push("cache_control".into());
    }
    let mut inner = Map::new();
    inner.insert("name".into(), tool.name.as_str().into());
    if let Some(description) = tool.description {
        inner.insert("description".into(), description.into());
    }
    match tool.kind {
        ToolKind::Function { schema } => {
            if let Some(schema) = schema {
                inner.insert("parameters".into(), value(&schema));
            }
            if let Some(strict) = tool.strict {
                inner.insert("strict".into(), strict.into());
            }
            Some(json!({"type": "function", "function": inner}))
        }
        ToolKind::Custom { format } => {
            if let Some(format) = format {
                inner.insert("format".into(), value(&format));
            }
            Some(json!({"type": "custom", "custom": inner}))
        }
        ToolKind::Builtin { .. } => {
            dropped.push(format!("tools.{}", tool.name));
            None
        }
    }
}

fn write_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Any => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

/// Writes one turn as one message; results of tools become messages of their own, before what the user says beside them.
fn write_turn(turn: Turn, messages: &mut Vec<Value>, dropped: &mut Vec<String>) {
    if turn.parts.iter().any(|part| part.cache.is_some()) {
        dropped.push("cache_control".into());
    }
    let (mut content, mut calls, mut reasoning, mut details) =
        (Vec::new(), Vec::new(), String::new(), Vec::new());
    let (mut refusal, mut pictures) = (None, Vec::new());
    for part in turn.parts {
        match part.what {
            What::Text(text) => content.push(json!({"type": "text", "text": text})),
            What::Refusal(text) => refusal = Some(text),
            What::Media { kind, source, name, detail } => {
                content.extend(write_media(kind, source, name, detail, dropped));
            }
            What::ToolCall { id, name, arguments, is_custom, seal } => {
                let mut call = match is_custom {
                    true => json!({"id": id, "type": "custom", "custom": {"name": name, "input": arguments}}),
                    false => {
                        let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
                        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
                    }
                };
                if let Some(seal) = seal.filter(|seal| seal.by == Dialect::Gemini) {
                    call["extra_content"] = json!({"google": {"thought_signature": seal.data}});
                }
                calls.push(call);
            }
            What::ToolResult { id, parts, .. } => {
                let text = result_text(parts, &mut pictures, dropped);
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
            }
            What::Reasoning { text, seal } => match seal {
                // DeepSeek and its like want the text back beside the calls it led to; others pass it over.
                None => reasoning.push_str(&text),
                Some(seal) if seal.by == Dialect::Chat => {
                    details.push(json!({"type": "reasoning.text", "text": text, "signature": seal.data}));
                }
                Some(_) => dropped.push("reasoning".into()),
            },
        }
    }
    // A tool's message takes text alone: its pictures follow as the user's.
    let mut all = pictures;
    all.append(&mut content);
    if all.is_empty() && calls.is_empty() && refusal.is_none() {
        return;
    }
    let role = match turn.speaker {
        Speaker::System => "system",
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
    };
    let mut message = Map::new();
    message.insert("role".into(), role.into());
    let texts = all.iter().map(|part| part["text"].as_str()).collect::<Option<Vec<_>>>();
    let content = match texts {
        Some(texts) if texts.is_empty() => Value::Null,
        Some(texts) if texts.len() == 1 || turn.speaker != Speaker::User => texts.join("\n\n").into(),
        _ => Value::Array(all),
    };
    message.insert("content".into(), content);
    if let Some(refusal) = refusal {
        message.insert("refusal".into(), refusal.into());
    }
    if let Some(name) = turn.name {
        message.insert("name".into(), name.into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), Value::Array(calls));
    }
    if !reasoning.is_empty() {
        message.insert("reasoning_content".into(), reasoning.into());
    }
    if !details.is_empty() {
        message.insert("reasoning_details".into(), Value::Array(details));
    }
    messages.push(Value::Object(message));
}

fn result_text(parts: Vec<Part>, pictures: &mut Vec<Value>, dropped: &mut Vec<String>) -> String {
    let mut texts = Vec::new();
    for part in parts {
        match part.what {
            What::Text(text) => texts.push(text),
            What::Media { kind, source, name, detail } => {
                pictures.extend(write_media(kind, source, name, detail, dropped));
            }
            _ => dropped.push("tool_result".into()),
        }
    }
    texts.join("\n\n")
}

fn write_media(
    kind: Media,
    source: Source,
    name: Option<String>,
    detail: Option<String>,
    dropped: &mut Vec<String>,
) -> Option<Value> {
    let url = match &source {
        Source::Url { url, .. } => Some(url.clone()),
        Source::Inline { mime, data } => Some(format!("data:{mime};base64,{data}")),
        Source::File(_) | Source::Text(_) => None,
    };
    match (kind, source, url) {
        (Media::Image, _, Some(url)) => {
            let mut image = json!({"url": url});
            if let Some(detail) = detail {
                image["detail"] = detail.into();
            }
            Some(json!({"type": "image_url", "image_url": image}))
        }
        (Media::Audio, Source::Inline { mime, data }, _) => {
            let format = match mime.strip_prefix("audio/").unwrap_or(&mime) {
                "mpeg" => "mp3",
                "x-wav" | "wave" => "wav",
                other => other,
            };
            Some(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
        }
        (Media::Document, Source::Text(text), _) => Some(json!({"type": "text", "text": text})),
        (Media::Document, Source::Inline { .. }, Some(url)) => {
            let name = name.unwrap_or_else(|| "document.pdf".into());
            Some(json!({"type": "file", "file": {"filename": name, "file_data": url}}))
        }
        (Media::Document, Source::File(id), _) => Some(json!({"type": "file", "file": {"file_id": id}})),
        (Media::Video, _, Some(url)) => Some(json!({"type": "video_url", "video_url": {"url": url}})),
        (kind, ..) => {
            dropped.push(format!("{kind:?}").to_lowercase());
            None
        }
    }
}

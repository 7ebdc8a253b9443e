//! A chat request in the neutral form, and out of it.

use gauntlet_types::{Dialect, Quirks, Seal, Sealed, ServiceTier};
use serde_json::{Map, Value, json};

use crate::{
    ask::{
        Ask, CacheMark, Effort, Media, Part, Reasoning, Shape, Source, Speaker, Tool, ToolChoice, ToolKind,
        Turn, What, Written,
        members::{Members, raw},
    },
    json::Malformed,
    openai::answer::extras::dialect_of,
    seal,
};

/// Reads a request.
pub(crate) fn read(body: &[u8]) -> Result<Ask, Malformed> {
    let mut members = Members::of_body(body)?;
    let mut ask = Ask { model: members.needed("model")?, ..Ask::default() };
    for (index, message) in members.list("messages")?.into_iter().enumerate() {
        let message = Members::of(message, format!("messages[{index}]"))?;
        read_message(message, &mut ask)?;
    }
    for (index, tool) in members.list("tools")?.into_iter().enumerate() {
        let tool = Members::of(tool, format!("tools[{index}]"))?;
        ask.tools.push(read_tool(tool, &mut ask.dropped)?);
    }
    ask.tool_choice = members.take("tool_choice").and_then(|choice| read_choice(&choice));
    ask.parallel_tools = members.flag("parallel_tool_calls")?;
    let (newer, older) = (members.whole("max_completion_tokens")?, members.whole("max_tokens")?);
    ask.limit = newer.or(older);
    ask.temperature = members.float("temperature")?;
    ask.top_p = members.float("top_p")?;
    ask.top_k = members.whole("top_k")?;
    ask.seed = members.take("seed").and_then(|seed| seed.as_i64());
    ask.presence_penalty = members.float("presence_penalty")?;
    ask.frequency_penalty = members.float("frequency_penalty")?;
    ask.stop = match members.take("stop") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => {
            all.into_iter().filter_map(|stop| Some(stop.as_str()?.to_owned())).collect()
        }
        _ => Vec::new(),
    };
    ask.choices = members.whole("n")?;
    let wants_logprobs = members.flag("logprobs")?.unwrap_or(false);
    let top = members.whole("top_logprobs")?;
    ask.logprobs = wants_logprobs.then(|| top.unwrap_or(0));
    ask.shape = members.object("response_format")?.map(read_shape).transpose()?.flatten();
    ask.reasoning = read_reasoning(&mut members)?;
    ask.verbosity = members.text("verbosity")?;
    // OpenAI's newer name for it; both say who is asking.
    ask.user = members.text("safety_identifier")?.or(members.text("user")?);
    if let Some(Value::Object(metadata)) = members.take("metadata") {
        ask.metadata =
            metadata.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect();
    }
    ask.service_tier = members.text("service_tier")?.as_deref().and_then(ServiceTier::of_word);
    ask.cache_key = members.text("prompt_cache_key")?;
    ask.store = members.flag("store")?;
    ask.stream = members.flag("stream")?.unwrap_or(false);
    if let Some(mut options) = members.object("stream_options")? {
        ask.include_usage = options.flag("include_usage")?.unwrap_or(false);
        options.rest(&mut ask.dropped);
    }
    members.rest(&mut ask.dropped);
    Ok(ask)
}

fn read_reasoning(members: &mut Members) -> Result<Option<Reasoning>, Malformed> {
    let mut reasoning = Reasoning::default();
    let mut is_said = false;
    if let Some(word) = members.text("reasoning_effort")? {
        reasoning.effort = Effort::of_word(&word);
        is_said = true;
    }
    // OpenRouter's object, which says more.
    if let Some(mut object) = members.object("reasoning")? {
        let effort = object.text("effort")?.as_deref().and_then(Effort::of_word);
        reasoning.effort = effort.or(reasoning.effort);
        reasoning.budget = object.whole("max_tokens")?;
        reasoning.is_told = object.flag("exclude")?.map(|is_left_out| !is_left_out);
        is_said = true;
    }
    Ok(is_said.then_some(reasoning))
}

fn read_shape(mut format: Members) -> Result<Option<Shape>, Malformed> {
    Ok(match format.needed("type")?.as_str() {
        "text" => Some(Shape::Text),
        "json_object" => Some(Shape::Json),
        "json_schema" => {
            let Some(mut inner) = format.object("json_schema")? else {
                return Err(Malformed::field(format.path("json_schema"), "is missing"));
            };
            let (name, description, strict) =
                (inner.text("name")?, inner.text("description")?, inner.flag("strict")?);
            let schema = inner.raw("schema").unwrap_or_else(|| raw(&json!({})));
            Some(Shape::Schema { name, description, schema, strict })
        }
        _ => None,
    })
}

fn read_tool(mut tool: Members, dropped: &mut Vec<String>) -> Result<Tool, Malformed> {
    let cache = cache_mark(&mut tool)?;
    let kind = tool.text("type")?.unwrap_or_else(|| "function".into());
    match kind.as_str() {
        "function" => {
            let Some(mut function) = tool.object("function")? else {
                return Err(Malformed::field(tool.path("function"), "is missing"));
            };
            let read = Tool {
                name: function.needed("name")?,
                description: function.text("description")?,
                strict: function.flag("strict")?,
                kind: ToolKind::Function { schema: function.raw("parameters") },
                cache,
            };
            function.rest(dropped);
            Ok(read)
        }
        "custom" => {
            let Some(mut custom) = tool.object("custom")? else {
                return Err(Malformed::field(tool.path("custom"), "is missing"));
            };
            let (name, description) = (custom.needed("name")?, custom.text("description")?);
            let kind = ToolKind::Custom { format: custom.raw("format") };
            Ok(Tool { name, description, strict: None, kind, cache })
        }
        other => {
            let raw = raw(&json!({"type": other}));
            Ok(Tool {
                name: other.to_owned(),
                description: None,
                strict: None,
                kind: ToolKind::Builtin { raw },
                cache,
            })
        }
    }
}

fn read_choice(choice: &Value) -> Option<ToolChoice> {
    match choice {
        Value::String(word) => Some(match word.as_str() {
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Any,
            _ => ToolChoice::Auto,
        }),
        Value::Object(_) => {
            let name = choice["function"]["name"].as_str().or_else(|| choice["custom"]["name"].as_str())?;
            Some(ToolChoice::Named(name.to_owned()))
        }
        _ => None,
    }
}

/// Anthropic's mark, which its models' callers set in this dialect too.
fn cache_mark(members: &mut Members) -> Result<Option<CacheMark>, Malformed> {
    let Some(mut control) = members.object("cache_control")? else { return Ok(None) };
    Ok(Some(match control.text("ttl")?.as_deref() {
        Some("1h") => CacheMark::Hour,
        _ => CacheMark::FiveMinutes,
    }))
}

fn read_message(mut message: Members, ask: &mut Ask) -> Result<(), Malformed> {
    let role = message.needed("role")?;
    let cache = cache_mark(&mut message)?;
    let content = message.take("content");
    let mut parts = read_content(content, &message.path("content"), &mut ask.dropped)?;
    if let (Some(cache), Some(last)) = (cache, parts.last_mut()) {
        last.cache = Some(cache);
    }
    let name = message.text("name")?;
    let speaker = match role.as_str() {
        "system" | "developer" => Speaker::System,
        "assistant" => {
            let mut all = read_reasoned(&mut message)?;
            all.append(&mut parts);
            if let Some(refusal) = message.text("refusal")? {
                all.push(What::Refusal(refusal).into());
            }
            for call in message.list("tool_calls")? {
                all.push(read_call(Members::of(call, message.path("tool_calls"))?)?.into());
            }
            parts = all;
            Speaker::Assistant
        }
        "tool" | "function" => {
            let id = message.text("tool_call_id")?.or_else(|| name.clone()).unwrap_or_default();
            let what = What::ToolResult { id, name: name.clone(), parts, is_error: false };
            message.rest(&mut ask.dropped);
            ask.turns.push(Turn { speaker: Speaker::User, parts: vec![what.into()], name: None });
            return Ok(());
        }
        _ => Speaker::User,
    };
    message.ignore(&["annotations", "images", "reasoning"]);
    message.rest(&mut ask.dropped);
    ask.turns.push(Turn { speaker, parts, name });
    Ok(())
}

/// What the model thought before. `reasoning_content` alone has no seal, so that no provider would take it back.
fn read_reasoned(message: &mut Members) -> Result<Vec<Part>, Malformed> {
    let mut parts = Vec::new();
    for detail in message.list("reasoning_details")? {
        let mut detail = Members::of(detail, message.path("reasoning_details"))?;
        let by = dialect_of(detail.text("format")?.as_deref());
        let text = detail.text("text")?.or(detail.text("summary")?).unwrap_or_default();
        let id = detail.text("id")?;
        let seal = match (detail.text("signature")?, detail.text("data")?) {
            (Some(signature), _) => Some(seal::read(&signature, by, Sealed::Reasoning)),
            (None, Some(data)) => Some(Seal { id, ..seal::read(&data, by, Sealed::Redacted) }),
            (None, None) => None,
        };
        parts.push(What::Reasoning { text, seal }.into());
    }
    let plain = message.text("reasoning_content")?;
    if let Some(text) = plain.filter(|_| parts.is_empty()) {
        parts.push(What::Reasoning { text, seal: None }.into());
    }
    Ok(parts)
}

fn read_call(mut call: Members) -> Result<What, Malformed> {
    let id = call.text("id")?.unwrap_or_default();
    let signature = match call.object("extra_content")? {
        Some(mut extra) => match extra.object("google")? {
            Some(mut google) => google.text("thought_signature")?,
            None => None,
        },
        None => None,
    };
    let seal = signature.map(|signature| seal::read(&signature, Dialect::Gemini, Sealed::ToolCall(0)));
    if let Some(mut custom) = call.object("custom")? {
        let (name, arguments) = (custom.needed("name")?, custom.text("input")?.unwrap_or_default());
        return Ok(What::ToolCall { id, name, arguments, is_custom: true, seal });
    }
    let Some(mut function) = call.object("function")? else {
        return Err(Malformed::field(call.path("function"), "is missing"));
    };
    let name = function.needed("name")?;
    let arguments = match function.take("arguments") {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    Ok(What::ToolCall { id, name, arguments, is_custom: false, seal })
}

fn read_content(
    content: Option<Value>,
    path: &str,
    dropped: &mut Vec<String>,
) -> Result<Vec<Part>, Malformed> {
    let items = match content {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => return Ok(vec![What::Text(text).into()]),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Malformed::field(path, "must be a string or an array")),
    };
    let mut parts = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        if let Value::String(text) = item {
            parts.push(What::Text(text).into());
            continue;
        }
        let mut part = Members::of(item, path.as_str())?;
        let cache = cache_mark(&mut part)?;
        let what = read_part(&mut part)?;
        match what {
            Some(what) => parts.push(Part { what, cache }),
            None => dropped.push(path),
        }
    }
    Ok(parts)
}

fn read_part(part: &mut Members) -> Result<Option<What>, Malformed> {
    let kind = part.needed("type")?;
    Ok(match kind.as_str() {
        "text" | "input_text" | "output_text" => Some(What::Text(part.needed("text")?)),
        "refusal" => Some(What::Refusal(part.needed("refusal")?)),
        "image_url" => {
            let (url, detail) = match part.take("image_url") {
                Some(Value::String(url)) => (url, None),
                Some(value) => {
                    let mut image = Members::of(value, part.path("image_url"))?;
                    (image.needed("url")?, image.text("detail")?)
                }
                None => return Err(Malformed::field(part.path("image_url"), "is missing")),
            };
            Some(What::Media { kind: Media::Image, source: source_of_url(url), name: None, detail })
        }
        "input_audio" => {
            let Some(mut audio) = part.object("input_audio")? else {
                return Err(Malformed::field(part.path("input_audio"), "is missing"));
            };
            let mime = format!("audio/{}", audio.text("format")?.unwrap_or_else(|| "wav".into()));
            let source = Source::Inline { mime, data: audio.needed("data")? };
            Some(What::Media { kind: Media::Audio, source, name: None, detail: None })
        }
        "file" => {
            let Some(mut file) = part.object("file")? else {
                return Err(Malformed::field(part.path("file"), "is missing"));
            };
            let name = file.text("filename")?;
            let source = match (file.text("file_data")?, file.text("file_id")?) {
                (Some(data), _) => Some(source_of_url(data)),
                (None, Some(id)) => Some(Source::File(id)),
                (None, None) => None,
            };
            source.map(|source| What::Media { kind: Media::Document, source, name, detail: None })
        }
        "video_url" => {
            let Some(mut video) = part.object("video_url")? else {
                return Err(Malformed::field(part.path("video_url"), "is missing"));
            };
            let source = source_of_url(video.needed("url")?);
            Some(What::Media { kind: Media::Video, source, name: None, detail: None })
        }
        _ => None,
    })
}

/// A `data:` URL as its bytes; any other address as it is.
pub(crate) fn source_of_url(url: String) -> Source {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        // Parameters of the type (`;charset=…`) are of no use to the providers.
        Some((mime, data)) => {
            let mime = mime.split(';').next().unwrap_or("").to_owned();
            Source::Inline { mime, data: data.to_owned() }
        }
        None => Source::Url { url, mime: None },
    }
}

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

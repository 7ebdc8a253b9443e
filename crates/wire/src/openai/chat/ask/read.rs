//! A chat request into the neutral form.

use gauntlet_types::{Dialect, Seal, Sealed, ServiceTier};
use serde_json::{Value, json};

use crate::{
    ask::{
        Ask, CacheMark, Effort, Media, Part, Reasoning, Shape, Source, Speaker, Tool, ToolChoice, ToolKind,
        Turn, What,
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

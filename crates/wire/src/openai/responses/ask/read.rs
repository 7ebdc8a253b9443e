//! A request into the neutral form.

use gauntlet_types::{Dialect, Seal, Sealed, ServiceTier};
use serde_json::{Value, json};

use crate::{
    ask::{
        Ask, Effort, Media, Part, Reasoning, Shape, Source, Speaker, Tool, ToolChoice, ToolKind, Turn, What,
        members::{Members, raw},
    },
    json::Malformed,
    openai::{
        chat::ask::source_of_url,
        responses::{answer::tool_of, read::NATIVE_PROMPT},
    },
    seal,
};

/// Reads a request. Refused where it goes on with something that only its provider holds.
pub(crate) fn read(body: &[u8]) -> Result<Ask, Malformed> {
    let mut members = Members::of_body(body)?;
    refuse_state(&mut members)?;
    let mut ask = Ask { model: members.needed("model")?, include_usage: true, ..Ask::default() };
    if let Some(text) = members.text("instructions")?.filter(|text| !text.is_empty()) {
        say(&mut ask.turns, Speaker::System, vec![What::Text(text).into()]);
    }
    match members.take("input") {
        Some(Value::String(text)) => say(&mut ask.turns, Speaker::User, vec![What::Text(text).into()]),
        Some(Value::Array(items)) => {
            for (index, item) in items.into_iter().enumerate() {
                read_item(Members::of(item, format!("input[{index}]"))?, &mut ask)?;
            }
        }
        None => {}
        Some(_) => return Err(Malformed::field("input", "must be a string or an array")),
    }
    for (index, tool) in members.list("tools")?.into_iter().enumerate() {
        let tool = read_tool(tool, format!("tools[{index}]"), &mut ask.dropped)?;
        ask.tools.push(tool);
    }
    ask.tool_choice = read_choice(members.take("tool_choice"), &mut ask.dropped);
    ask.parallel_tools = members.flag("parallel_tool_calls")?;
    ask.limit = members.whole("max_output_tokens")?;
    ask.temperature = members.float("temperature")?;
    ask.top_p = members.float("top_p")?;
    read_include(&mut members, &mut ask)?;
    read_text(&mut members, &mut ask)?;
    ask.reasoning = read_reasoning(&mut members, &mut ask.dropped)?;
    // OpenAI's newer name for it; both say who is asking.
    let older = members.text("user")?;
    ask.user = members.text("safety_identifier")?.or(older);
    if let Some(Value::Object(metadata)) = members.take("metadata") {
        ask.metadata =
            metadata.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect();
    }
    ask.service_tier = members.text("service_tier")?.as_deref().and_then(ServiceTier::of_word);
    ask.cache_key = members.text("prompt_cache_key")?;
    ask.store = members.flag("store")?;
    ask.stream = members.flag("stream")?.unwrap_or(false);
    if members.text("truncation")?.is_some_and(|word| word != "disabled") {
        ask.dropped.push("truncation".into());
    }
    if members.flag("background")?.unwrap_or(false) {
        ask.dropped.push("background".into());
    }
    // How frames are padded says nothing to others.
    members.ignore(&["stream_options"]);
    members.rest(&mut ask.dropped);
    Ok(ask)
}

const CURE: &str = "which only the provider that made it holds; send the whole conversation in `input`, or choose a \
                    model that speaks Responses";

fn refuse_state(members: &mut Members) -> Result<(), Malformed> {
    if members.text("previous_response_id")?.is_some() {
        return Err(Malformed::field(
            "previous_response_id",
            format_args!("names an earlier answer, {CURE}"),
        ));
    }
    if members.take("conversation").is_some() {
        return Err(Malformed::field("conversation", format_args!("names a stored conversation, {CURE}")));
    }
    let prompt = members.take("prompt");
    let id = prompt.as_ref().and_then(|prompt| prompt["id"].as_str()).unwrap_or("");
    if id.starts_with(NATIVE_PROMPT) {
        return Err(Malformed::field("prompt", format_args!("names a stored prompt, {CURE}")));
    }
    Ok(())
}

/// Adds to what the same speaker said before it where both are of the assistant, or both are results of tools: in other
/// dialects calls that were made together stand in one message, and so do their results.
fn say(turns: &mut Vec<Turn>, speaker: Speaker, parts: Vec<Part>) {
    let is_result = |part: &Part| matches!(part.what, What::ToolResult { .. });
    let are_results = speaker == Speaker::User && parts.iter().all(is_result);
    match turns.last_mut() {
        Some(last)
            if last.speaker == speaker
                && (speaker == Speaker::Assistant || (are_results && last.parts.iter().all(is_result))) =>
        {
            last.parts.extend(parts);
        }
        _ => turns.push(Turn { speaker, parts, name: None }),
    }
}

fn read_item(mut item: Members, ask: &mut Ask) -> Result<(), Malformed> {
    let kind = item.text("type")?;
    let role = item.text("role")?;
    let kind = match (&kind, &role) {
        (Some(kind), _) => kind.as_str(),
        (None, Some(_)) => "message",
        (None, None) => "item_reference",
    };
    match kind {
        "message" => {
            let speaker = match role.as_deref() {
                Some("system" | "developer") => Speaker::System,
                Some("assistant") => Speaker::Assistant,
                _ => Speaker::User,
            };
            let content = item.take("content");
            let parts = read_content(content, &item.path("content"), &mut ask.dropped)?;
            item.ignore(&["id", "status", "phase"]);
            item.rest(&mut ask.dropped);
            say(&mut ask.turns, speaker, parts);
        }
        "item_reference" => {
            return Err(Malformed::field(item.path("id"), format_args!("names a stored item, {CURE}")));
        }
        "reasoning" => read_reasoned(item, ask)?,
        kind => match (tool_of(kind), kind.strip_suffix("_output")) {
            (Some((name, member)), _) => read_call(item, kind, name, member, ask)?,
            (None, Some(call)) if tool_of(call).is_some() => read_result(item, ask)?,
            // What the provider did itself, and what we do not know.
            _ => ask.dropped.push(item.path("").trim_end_matches('.').to_owned()),
        },
    }
    Ok(())
}

fn read_call(
    mut item: Members,
    kind: &str,
    name: &str,
    member: &str,
    ask: &mut Ask,
) -> Result<(), Malformed> {
    let own = item.text("id")?;
    let id = item.text("call_id")?.or(own).unwrap_or_default();
    let name = item.text("name")?.unwrap_or_else(|| name.to_owned());
    let arguments = match item.take(member) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let is_custom = kind == "custom_tool_call";
    item.ignore(&["status"]);
    item.rest(&mut ask.dropped);
    let what = What::ToolCall { id, name, arguments, is_custom, seal: None };
    say(&mut ask.turns, Speaker::Assistant, vec![what.into()]);
    Ok(())
}

fn read_result(mut item: Members, ask: &mut Ask) -> Result<(), Malformed> {
    let own = item.text("id")?;
    let id = item.text("call_id")?.or(own).unwrap_or_default();
    let path = item.path("output");
    let parts = match item.take("output") {
        // What a shell or a screen gave back has a form of its own.
        Some(Value::Array(parts)) if parts.iter().any(|part| part["type"].is_string()) => {
            read_content(Some(Value::Array(parts)), &path, &mut ask.dropped)?
        }
        Some(Value::Object(screen)) if screen.get("type").is_some() => {
            read_content(Some(json!([screen])), &path, &mut ask.dropped)?
        }
        Some(Value::String(text)) => vec![What::Text(text).into()],
        Some(other) => vec![What::Text(other.to_string()).into()],
        None => Vec::new(),
    };
    let is_error = item.text("status")?.is_some_and(|status| status == "failed");
    item.rest(&mut ask.dropped);
    let what = What::ToolResult { id, name: None, parts, is_error };
    say(&mut ask.turns, Speaker::User, vec![what.into()]);
    Ok(())
}

fn read_reasoned(mut item: Members, ask: &mut Ask) -> Result<(), Malformed> {
    let texts = |parts: Vec<Value>| -> Vec<String> {
        parts.iter().filter_map(|part| Some(part["text"].as_str()?.to_owned())).collect()
    };
    let (summary, content) = (texts(item.list("summary")?), texts(item.list("content")?));
    let text = if content.is_empty() { summary } else { content }.join("\n\n");
    let id = item.text("id")?;
    let data = item.text("encrypted_content")?;
    if data.as_deref().is_some_and(|data| data.starts_with(seal::VOID)) {
        ask.dropped.push(item.path("encrypted_content"));
        return Ok(());
    }
    let on = if text.is_empty() { Sealed::Redacted } else { Sealed::Reasoning };
    let seal = data.map(|data| match seal::read(&data, Dialect::Responses, on) {
        own if own.by == Dialect::Responses => Seal { id, ..own },
        foreign => foreign,
    });
    match seal {
        Some(sealed) if matches!(sealed.on, Sealed::ToolCall(_)) => {
            let path = item.path("encrypted_content");
            seal_call(sealed, &path, ask);
        }
        None if text.is_empty() => {}
        seal => say(&mut ask.turns, Speaker::Assistant, vec![What::Reasoning { text, seal }.into()]),
    }
    Ok(())
}

/// Gives a call back its seal, which came in an item of its own behind it.
fn seal_call(sealed: Seal, path: &str, ask: &mut Ask) {
    let wanted = sealed.id.clone();
    let calls = ask.turns.iter_mut().rev().flat_map(|turn| turn.parts.iter_mut().rev());
    for part in calls {
        if let What::ToolCall { id, seal, .. } = &mut part.what
            && wanted.as_ref().is_none_or(|wanted| wanted == id)
        {
            *seal = Some(Seal { id: None, ..sealed });
            return;
        }
    }
    ask.dropped.push(path.to_owned());
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
        match read_part(&mut part)? {
            Some(what) => {
                part.ignore(&["annotations", "logprobs"]);
                part.rest(dropped);
                parts.push(what.into());
            }
            None => dropped.push(path),
        }
    }
    Ok(parts)
}

fn read_part(part: &mut Members) -> Result<Option<What>, Malformed> {
    let kind = part.needed("type")?;
    Ok(match kind.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            Some(What::Text(part.needed("text")?))
        }
        "refusal" => Some(What::Refusal(part.needed("refusal")?)),
        "input_image" | "computer_screenshot" => {
            let source = match (part.text("image_url")?, part.text("file_id")?) {
                (Some(url), _) => source_of_url(url),
                (None, Some(id)) => Source::File(id),
                (None, None) => return Err(Malformed::field(part.path("image_url"), "is missing")),
            };
            let detail = part.text("detail")?;
            Some(What::Media { kind: Media::Image, source, name: None, detail })
        }
        "input_file" => {
            let name = part.text("filename")?;
            let (data, url, id) = (part.text("file_data")?, part.text("file_url")?, part.text("file_id")?);
            let source = match (data, url, id) {
                (Some(data), ..) => source_of_url(data),
                (None, Some(url), _) => Source::Url { url, mime: None },
                (None, None, Some(id)) => Source::File(id),
                (None, None, None) => return Err(Malformed::field(part.path("file_data"), "is missing")),
            };
            Some(What::Media { kind: Media::Document, source, name, detail: None })
        }
        "input_audio" => {
            let Some(mut audio) = part.object("input_audio")? else {
                return Err(Malformed::field(part.path("input_audio"), "is missing"));
            };
            let mime = format!("audio/{}", audio.text("format")?.unwrap_or_else(|| "wav".into()));
            let source = Source::Inline { mime, data: audio.needed("data")? };
            Some(What::Media { kind: Media::Audio, source, name: None, detail: None })
        }
        _ => None,
    })
}

fn read_tool(tool: Value, path: String, dropped: &mut Vec<String>) -> Result<Tool, Malformed> {
    let whole = raw(&tool);
    let mut tool = Members::of(tool, path)?;
    let kind = tool.needed("type")?;
    let read = match kind.as_str() {
        "function" => Tool {
            name: tool.needed("name")?,
            description: tool.text("description")?,
            strict: tool.flag("strict")?,
            kind: ToolKind::Function { schema: tool.raw("parameters") },
            cache: None,
        },
        "custom" => Tool {
            name: tool.needed("name")?,
            description: tool.text("description")?,
            strict: None,
            kind: ToolKind::Custom { format: tool.raw("format") },
            cache: None,
        },
        _ => {
            let raw = ToolKind::Builtin { raw: whole };
            return Ok(Tool { name: kind, description: None, strict: None, kind: raw, cache: None });
        }
    };
    tool.rest(dropped);
    Ok(read)
}

fn read_choice(choice: Option<Value>, dropped: &mut Vec<String>) -> Option<ToolChoice> {
    let word = |word: &str| match word {
        "none" => ToolChoice::None,
        "required" | "any" => ToolChoice::Any,
        _ => ToolChoice::Auto,
    };
    let choice = choice?;
    if let Some(said) = choice.as_str() {
        return Some(word(said));
    }
    match choice["type"].as_str() {
        Some("function" | "custom") => Some(ToolChoice::Named(choice["name"].as_str()?.to_owned())),
        Some("allowed_tools") => {
            dropped.push("tool_choice.tools".into());
            Some(word(choice["mode"].as_str().unwrap_or("auto")))
        }
        _ => {
            dropped.push("tool_choice".into());
            None
        }
    }
}

/// Seals are always told across dialects; likelihoods have a member of their own elsewhere.
fn read_include(members: &mut Members, ask: &mut Ask) -> Result<(), Malformed> {
    let top = members.whole("top_logprobs")?;
    ask.logprobs = top;
    for wanted in members.list("include")? {
        match wanted.as_str() {
            Some("reasoning.encrypted_content") => {}
            Some("message.output_text.logprobs") => ask.logprobs = Some(top.unwrap_or(0)),
            _ => ask.dropped.push("include".into()),
        }
    }
    Ok(())
}

fn read_text(members: &mut Members, ask: &mut Ask) -> Result<(), Malformed> {
    let Some(mut text) = members.object("text")? else { return Ok(()) };
    ask.verbosity = text.text("verbosity")?;
    if let Some(mut format) = text.object("format")? {
        ask.shape = match format.needed("type")?.as_str() {
            "text" => Some(Shape::Text),
            "json_object" => Some(Shape::Json),
            "json_schema" => Some(Shape::Schema {
                name: format.text("name")?,
                description: format.text("description")?,
                strict: format.flag("strict")?,
                schema: format.raw("schema").unwrap_or_else(|| raw(&json!({}))),
            }),
            _ => {
                ask.dropped.push("text.format".into());
                None
            }
        };
        format.rest(&mut ask.dropped);
    }
    text.rest(&mut ask.dropped);
    Ok(())
}

fn read_reasoning(members: &mut Members, dropped: &mut Vec<String>) -> Result<Option<Reasoning>, Malformed> {
    let Some(mut object) = members.object("reasoning")? else { return Ok(None) };
    let effort = object.text("effort")?.as_deref().and_then(Effort::of_word);
    let older = object.text("generate_summary")?;
    let summary = object.text("summary")?.or(older);
    object.rest(dropped);
    Ok(Some(Reasoning { effort, budget: None, is_told: summary.map(|word| word != "none") }))
}

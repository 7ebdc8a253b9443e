//! A Messages request read into the neutral form.

use std::collections::HashMap;

use gauntlet_types::{Dialect, Seal, Sealed, ServiceTier};
use serde_json::Value;

use crate::{
    ask::{
        Ask, CacheMark, Effort, Media, Part, Reasoning, Shape, Source, Speaker, Tool, ToolChoice, ToolKind,
        Turn, What,
        members::{Members, raw},
        tool_id,
    },
    json::Malformed,
    seal,
};

/// Reads a request of either door.
pub(crate) fn read(body: &[u8]) -> Result<Ask, Malformed> {
    let mut members = Members::of_body(body)?;
    let mut ask = Ask { model: members.needed("model")?, include_usage: true, ..Ask::default() };
    read_system(&mut members, &mut ask)?;
    for (index, message) in members.list("messages")?.into_iter().enumerate() {
        read_message(Members::of(message, format!("messages[{index}]"))?, &mut ask)?;
    }
    for (index, tool) in members.list("tools")?.into_iter().enumerate() {
        ask.tools.push(read_tool(tool, format!("tools[{index}]"), &mut ask.dropped)?);
    }
    if let Some(mut choice) = members.object("tool_choice")? {
        ask.tool_choice = match choice.needed("type")?.as_str() {
            "any" => Some(ToolChoice::Any),
            "none" => Some(ToolChoice::None),
            "tool" => Some(ToolChoice::Named(choice.needed("name")?)),
            _ => Some(ToolChoice::Auto),
        };
        ask.parallel_tools = choice.flag("disable_parallel_tool_use")?.map(|is_off| !is_off);
        choice.rest(&mut ask.dropped);
    }
    ask.limit = members.whole("max_tokens")?;
    ask.temperature = members.float("temperature")?;
    ask.top_p = members.float("top_p")?;
    ask.top_k = members.whole("top_k")?;
    let stops = members.list("stop_sequences")?;
    ask.stop = stops.into_iter().filter_map(|stop| Some(stop.as_str()?.to_owned())).collect();
    read_reasoning(&mut members, &mut ask)?;
    read_output(&mut members, &mut ask)?;
    if let Some(mut metadata) = members.object("metadata")? {
        ask.user = metadata.text("user_id")?;
        metadata.rest(&mut ask.dropped);
    }
    ask.service_tier = members.text("service_tier")?.as_deref().and_then(ServiceTier::of_word);
    ask.stream = members.flag("stream")?.unwrap_or(false);
    // The mark for all of it stands for one at its end.
    if let Some(mark) = cache_mark(&mut members)?
        && let Some(last) = ask.turns.last_mut().and_then(|turn| turn.parts.last_mut())
    {
        last.cache = Some(mark);
    }
    members.ignore(&["gauntlet"]);
    members.rest(&mut ask.dropped);
    Ok(ask)
}

fn read_system(members: &mut Members, ask: &mut Ask) -> Result<(), Malformed> {
    let parts = read_content(members.take("system"), "system", &mut ask.dropped)?;
    if !parts.is_empty() {
        ask.turns.push(Turn { speaker: Speaker::System, parts, name: None });
    }
    Ok(())
}

fn read_reasoning(members: &mut Members, ask: &mut Ask) -> Result<(), Malformed> {
    let Some(mut thinking) = members.object("thinking")? else { return Ok(()) };
    let mut reasoning = Reasoning::default();
    match thinking.needed("type")?.as_str() {
        "disabled" => reasoning.effort = Some(Effort::None),
        _ => reasoning.budget = thinking.whole("budget_tokens")?,
    }
    reasoning.is_told = thinking.text("display")?.map(|display| display != "omitted");
    thinking.rest(&mut ask.dropped);
    ask.reasoning = Some(reasoning);
    Ok(())
}

fn read_output(members: &mut Members, ask: &mut Ask) -> Result<(), Malformed> {
    // The older name of the format, from its time as a beta.
    let mut format = members.object("output_format")?;
    if let Some(mut config) = members.object("output_config")? {
        format = config.object("format")?.or(format);
        if let Some(effort) = config.text("effort")?.as_deref().and_then(Effort::of_word) {
            let reasoning = ask.reasoning.get_or_insert_default();
            // What is switched off stays off, whatever effort is wished for.
            reasoning.effort.get_or_insert(effort);
        }
        config.rest(&mut ask.dropped);
    }
    if let Some(mut format) = format {
        if let Some(schema) = format.raw("schema") {
            let name = format.text("name")?;
            ask.shape = Some(Shape::Schema { name, description: None, schema, strict: Some(true) });
        }
        format.ignore(&["type"]);
        format.rest(&mut ask.dropped);
    }
    Ok(())
}

fn read_tool(tool: Value, path: String, dropped: &mut Vec<String>) -> Result<Tool, Malformed> {
    let whole = raw(&tool);
    let mut tool = Members::of(tool, path)?;
    let cache = cache_mark(&mut tool)?;
    let kind = tool.text("type")?.unwrap_or_else(|| "custom".into());
    if kind != "custom" {
        let name = tool.text("name")?.unwrap_or(kind);
        return Ok(Tool {
            name,
            description: None,
            strict: None,
            kind: ToolKind::Builtin { raw: whole },
            cache,
        });
    }
    let read = Tool {
        name: tool.needed("name")?,
        description: tool.text("description")?,
        strict: tool.flag("strict")?,
        kind: ToolKind::Function { schema: tool.raw("input_schema") },
        cache,
    };
    tool.rest(dropped);
    Ok(read)
}

fn cache_mark(members: &mut Members) -> Result<Option<CacheMark>, Malformed> {
    let Some(mut control) = members.object("cache_control")? else { return Ok(None) };
    Ok(Some(match control.text("ttl")?.as_deref() {
        Some("1h") => CacheMark::Hour,
        _ => CacheMark::FiveMinutes,
    }))
}

fn read_message(mut message: Members, ask: &mut Ask) -> Result<(), Malformed> {
    let speaker = match message.needed("role")?.as_str() {
        "assistant" => Speaker::Assistant,
        "system" => Speaker::System,
        _ => Speaker::User,
    };
    let parts = read_content(message.take("content"), &message.path("content"), &mut ask.dropped)?;
    let parts = join_seals(parts);
    message.rest(&mut ask.dropped);
    ask.turns.push(Turn { speaker, parts, name: None });
    Ok(())
}

/// Gives each call the seal that was carried behind it (see the writer of answers).
fn join_seals(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    let (mut calls, mut last): (HashMap<String, usize>, Option<usize>) = (HashMap::new(), None);
    for part in parts {
        match part.what {
            What::Reasoning { seal: Some(carried), .. } if matches!(carried.on, Sealed::ToolCall(_)) => {
                let call = carried.id.as_ref().map_or(last, |id| calls.get(id).copied());
                if let Some(at) = call
                    && let What::ToolCall { seal, .. } = &mut joined[at].what
                {
                    *seal = Some(Seal { id: None, ..carried });
                }
            }
            what => {
                if let What::ToolCall { id, .. } = &what {
                    last = Some(joined.len());
                    calls.insert(tool_id(id), joined.len());
                }
                joined.push(Part { what, cache: part.cache });
            }
        }
    }
    joined
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
        let mut block = Members::of(item, path.as_str())?;
        let cache = cache_mark(&mut block)?;
        match read_block(&mut block, dropped)? {
            Some(what) => {
                parts.push(Part { what, cache });
                block.rest(dropped);
            }
            None => dropped.push(path),
        }
    }
    Ok(parts)
}

fn read_block(block: &mut Members, dropped: &mut Vec<String>) -> Result<Option<What>, Malformed> {
    let kind = block.needed("type")?;
    // Sources that an earlier answer named: of use to whoever shows it, not to a model.
    if kind == "text" {
        block.ignore(&["citations"]);
    }
    Ok(match kind.as_str() {
        "text" => Some(What::Text(block.needed("text")?)),
        "image" => {
            let source = read_source(block, dropped)?;
            source.map(|source| What::Media { kind: Media::Image, source, name: None, detail: None })
        }
        "document" => {
            let source = read_source(block, dropped)?;
            let name = block.text("title")?;
            source.map(|source| What::Media { kind: Media::Document, source, name, detail: None })
        }
        // What a caller found itself, for the model to name: words with a title.
        "search_result" => {
            let path = block.path("content");
            let source = Source::Text(joined(read_content(block.take("content"), &path, dropped)?, dropped));
            let name = block.text("title")?;
            Some(What::Media { kind: Media::Document, source, name, detail: None })
        }
        "tool_use" => {
            let (id, name) = (block.needed("id")?, block.needed("name")?);
            block.ignore(&["caller"]);
            let arguments = block.take("input").map_or_else(|| "{}".to_owned(), |input| input.to_string());
            Some(What::ToolCall { id, name, arguments, is_custom: false, seal: None })
        }
        "tool_result" => {
            let id = block.needed("tool_use_id")?;
            let parts = read_content(block.take("content"), &block.path("content"), dropped)?;
            let is_error = block.flag("is_error")?.unwrap_or(false);
            Some(What::ToolResult { id, name: None, parts, is_error })
        }
        "thinking" => {
            let text = block.text("thinking")?.unwrap_or_default();
            let signature = block.text("signature")?.unwrap_or_default();
            Some(What::Reasoning { text, seal: sealed(&signature, Sealed::Reasoning) })
        }
        "redacted_thinking" => {
            let data = block.text("data")?.unwrap_or_default();
            Some(What::Reasoning { text: String::new(), seal: sealed(&data, Sealed::Redacted) })
        }
        // The conversation so far in the model's own words, in the place of what was cut.
        "compaction" => block.text("content")?.map(What::Text),
        _ => None,
    })
}

/// None where the field is empty, and where nobody sealed the reasoning.
fn sealed(data: &str, on: Sealed) -> Option<Seal> {
    let seal = seal::read(data, Dialect::Messages, on);
    (!seal.data.is_empty()).then_some(seal)
}

fn read_source(block: &mut Members, dropped: &mut Vec<String>) -> Result<Option<Source>, Malformed> {
    let Some(mut source) = block.object("source")? else {
        return Err(Malformed::field(block.path("source"), "is missing"));
    };
    let read = match source.needed("type")?.as_str() {
        "base64" => {
            let mime = source.text("media_type")?.unwrap_or_default();
            Some(Source::Inline { mime, data: source.needed("data")? })
        }
        "url" => Some(Source::Url { url: source.needed("url")?, mime: None }),
        "file" => Some(Source::File(source.needed("file_id")?)),
        "text" => {
            source.ignore(&["media_type"]);
            Some(Source::Text(source.needed("data")?))
        }
        "content" => {
            let path = source.path("content");
            Some(Source::Text(joined(read_content(source.take("content"), &path, dropped)?, dropped)))
        }
        _ => None,
    };
    source.rest(dropped);
    Ok(read)
}

/// The words of a document that is given in blocks; its pictures have no place in one text.
fn joined(parts: Vec<Part>, dropped: &mut Vec<String>) -> String {
    let mut texts = Vec::new();
    for part in parts {
        match part.what {
            What::Text(text) => texts.push(text),
            _ => dropped.push("document".into()),
        }
    }
    texts.join("\n\n")
}

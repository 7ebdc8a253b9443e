//! Parts of a content in the neutral form.

use gauntlet_types::{Dialect, Sealed};
use serde_json::{Map, Value};

use super::{calls::Calls, list, object};
use crate::{
    ask::{Media, Part, Source, Speaker, What, members::Members},
    gemini::NO_SIGNATURE,
    json::Malformed,
    seal,
};

pub(super) const CONTENT_KEYS: &[&str] = &["role", "parts"];

const PART_KEYS: &[&str] =
    &["text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse"];

/// Who speaks, and what.
pub(super) fn read(
    mut content: Members,
    calls: &mut Calls,
    dropped: &mut Vec<String>,
) -> Result<(Speaker, Vec<Part>), Malformed> {
    let speaker = match content.text("role")?.as_deref() {
        Some("model") => Speaker::Assistant,
        Some("system") => Speaker::System,
        _ => Speaker::User,
    };
    let mut read: Vec<Part> = Vec::new();
    for (index, part) in list(content.take("parts")).into_iter().enumerate() {
        let part = object(part, format!("{}[{index}]", content.path("parts")), PART_KEYS)?;
        for what in read_part(part, calls, dropped)? {
            // A thought comes in pieces; its seal, if any, with the last.
            if let (Some(Part { what: What::Reasoning { text, seal: open @ None }, .. }), true) =
                (read.last_mut(), is_thought(&what))
                && let What::Reasoning { text: more, seal } = &what
            {
                text.push_str(more);
                open.clone_from(seal);
                continue;
            }
            read.push(what.into());
        }
    }
    content.rest(dropped);
    Ok((speaker, read))
}

/// A thought, and no seal of a text.
fn is_thought(what: &What) -> bool {
    match what {
        What::Reasoning { seal, .. } => seal.as_ref().is_none_or(|seal| seal.on == Sealed::Reasoning),
        _ => false,
    }
}

fn read_part(
    mut part: Members,
    calls: &mut Calls,
    dropped: &mut Vec<String>,
) -> Result<Vec<What>, Malformed> {
    let path = part.path("");
    let path = path.trim_end_matches('.').to_owned();
    let signature = part.text("thoughtSignature")?.filter(|data| !data.is_empty() && data != NO_SIGNATURE);
    let is_thought = part.flag("thought")?.unwrap_or(false);
    let sealed = |on: Sealed| signature.as_deref().map(|data| seal::read(data, Dialect::Gemini, on));
    let mut whats = Vec::new();
    if let Some(text) = part.text("text")? {
        if is_thought {
            whats.push(What::Reasoning { text, seal: sealed(Sealed::Reasoning) });
        } else {
            if !text.is_empty() {
                whats.push(What::Text(text));
            }
            if let Some(seal) = sealed(Sealed::Text) {
                whats.push(What::Reasoning { text: String::new(), seal: Some(seal) });
            }
        }
    }
    if let Some(call) = part.object("functionCall")? {
        whats.push(read_call(call, sealed(Sealed::ToolCall(0)), calls, dropped)?);
    }
    if let Some(response) = part.object("functionResponse")? {
        whats.push(read_response(response, calls, dropped)?);
    }
    if let Some(data) = part.take("inlineData") {
        whats.push(read_inline(data, &part.path("inlineData"), dropped)?);
    }
    if let Some(data) = part.take("fileData") {
        whats.push(read_file(data, &part.path("fileData"), dropped)?);
    }
    if whats.is_empty() && signature.is_none() {
        dropped.push(path);
    } else {
        part.rest(dropped);
    }
    Ok(whats)
}

fn read_call(
    mut call: Members,
    seal: Option<gauntlet_types::Seal>,
    calls: &mut Calls,
    dropped: &mut Vec<String>,
) -> Result<What, Malformed> {
    let name = call.needed("name")?;
    let id = calls.call(call.text("id")?, &name);
    let arguments = call.take("args").map_or_else(|| "{}".to_owned(), |args| args.to_string());
    call.rest(dropped);
    Ok(What::ToolCall { id, name, arguments, is_custom: false, seal })
}

fn read_response(
    mut response: Members,
    calls: &mut Calls,
    dropped: &mut Vec<String>,
) -> Result<What, Malformed> {
    let name = response.needed("name")?;
    let id = calls.result(response.text("id")?, &name);
    let (text, is_error) = match response.take("response") {
        Some(Value::Object(said)) => said_text(said),
        Some(other) => (other.to_string(), false),
        None => (String::new(), false),
    };
    let mut parts: Vec<Part> = vec![What::Text(text).into()];
    for (index, part) in list(response.take("parts")).into_iter().enumerate() {
        let path = format!("{}[{index}]", response.path("parts"));
        let mut part = object(part, path.as_str(), &["inlineData", "fileData"])?;
        if let Some(data) = part.take("inlineData") {
            parts.push(read_inline(data, &path, dropped)?.into());
        }
        if let Some(data) = part.take("fileData") {
            parts.push(read_file(data, &path, dropped)?.into());
        }
    }
    response.rest(dropped);
    Ok(What::ToolResult { id, name: Some(name), parts, is_error })
}

/// Google's clients wrap what a function gave as `{"output": …}` or `{"result": …}`, and its failure as
/// `{"error": …}`; anything else is told as it stands.
fn said_text(said: Map<String, Value>) -> (String, bool) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lone = if said.len() == 1 { said.iter().next() } else { None };
    match lone {
        Some((key, value)) if key == "error" => (text(value), true),
        Some((key, value)) if matches!(key.as_str(), "output" | "result") => (text(value), false),
        _ => (Value::Object(said).to_string(), false),
    }
}

fn read_inline(value: Value, path: &str, dropped: &mut Vec<String>) -> Result<What, Malformed> {
    let mut data = object(value, path, &["mimeType", "displayName"])?;
    let mime = data.text("mimeType")?.unwrap_or_default();
    let name = data.text("displayName")?;
    let source = Source::Inline { mime: mime.clone(), data: data.needed("data")? };
    data.rest(dropped);
    Ok(What::Media { kind: kind(&mime), source, name, detail: None })
}

fn read_file(value: Value, path: &str, dropped: &mut Vec<String>) -> Result<What, Malformed> {
    let mut data = object(value, path, &["mimeType", "fileUri", "displayName"])?;
    let mime = data.text("mimeType")?;
    let name = data.text("displayName")?;
    let url = data.needed("fileUri")?;
    data.rest(dropped);
    let kind = kind(mime.as_deref().unwrap_or(""));
    // What was uploaded to Google means nothing elsewhere.
    let is_googles = !url.starts_with("http") || url.contains("generativelanguage.googleapis.com");
    let source = if is_googles { Source::File(url) } else { Source::Url { url, mime } };
    Ok(What::Media { kind, source, name, detail: None })
}

fn kind(mime: &str) -> Media {
    match mime.split('/').next() {
        Some("image") => Media::Image,
        Some("audio") => Media::Audio,
        Some("video") => Media::Video,
        _ => Media::Document,
    }
}

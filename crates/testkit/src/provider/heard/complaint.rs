//! The rules by which vendors refuse requests, as far as a gateway may break them.

use serde_json::Value;

use super::{Format, Seen, list, text};

/// Top-level fields that Anthropic knows; any other is "Extra inputs are not permitted".
const MESSAGES: &str = "model messages max_tokens system tools tool_choice stream stop_sequences temperature top_p top_k metadata \
    thinking service_tier container context_management mcp_servers output_config output_format cache_control inference_geo speed";

/// Google answers "Invalid JSON payload received. Unknown name" to any other.
const GEMINI: &str = "contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent serviceTier store model";
const GEMINI_CONFIG: &str = "stopSequences responseMimeType responseSchema responseJsonSchema responseFormat responseModalities candidateCount \
    maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs logprobs \
    enableEnhancedCivicAnswers speechConfig thinkingConfig imageConfig mediaResolution audioTimestamp";

/// OpenAI answers "Unknown parameter" to any other.
const RESPONSES: &str = "model input instructions tools tool_choice stream stream_options temperature top_p max_output_tokens max_tool_calls \
    metadata parallel_tool_calls previous_response_id conversation reasoning text truncation user store include background \
    service_tier prompt safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options top_logprobs \
    context_management client_metadata moderation";

pub(super) fn of(seen: &Seen, body: &Value) -> Option<String> {
    match seen.format() {
        Format::Chat => chat(body),
        Format::Responses => unknown(body, RESPONSES, "").or_else(|| responses(body)),
        Format::Messages => messages(seen, body),
        Format::Gemini => gemini(body),
        Format::Completions => body["prompt"].is_null().then(|| "`prompt` is missing".to_owned()),
        Format::Converse => turns(list(body, "messages"), "assistant"),
    }
}

fn unknown(body: &Value, known: &str, path: &str) -> Option<String> {
    let fields = body.as_object()?;
    let known: Vec<&str> = known.split_whitespace().collect();
    let field = fields.keys().find(|field| !known.contains(&field.as_str()))?;
    Some(format!("{path}{field}: Extra inputs are not permitted"))
}

/// Turns begin with the user, and none is empty.
fn turns(messages: &[Value], model: &str) -> Option<String> {
    if messages.is_empty() {
        return Some("at least one message is required".to_owned());
    }
    if messages[0]["role"] == model {
        return Some("the first message must be the user's".to_owned());
    }
    None
}

fn chat(body: &Value) -> Option<String> {
    if list(body, "messages").is_empty() {
        return Some("`messages` is empty".to_owned());
    }
    let mut open: Vec<String> = Vec::new();
    for (index, message) in list(body, "messages").iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !["system", "developer", "user", "assistant", "tool"].contains(&role) {
            return Some(format!("messages[{index}]: there is no role `{role}`"));
        }
        if role == "tool" {
            let id = text(&message["tool_call_id"]);
            let Some(at) = open.iter().position(|known| *known == id) else {
                return Some(format!(
                    "messages[{index}]: `{id}` does not follow a call of this id ({open:?})"
                ));
            };
            open.remove(at);
        } else if !open.is_empty() {
            return Some(format!("messages[{index}]: the calls {open:?} have no results"));
        }
        for call in list(message, "tool_calls") {
            // Custom tools take plain text.
            if !call["function"]["arguments"].is_string() && !call["custom"]["input"].is_string() {
                return Some(format!("messages[{index}]: arguments must be a string"));
            }
            open.push(text(&call["id"]));
        }
    }
    (!open.is_empty()).then(|| format!("the calls {open:?} have no results"))
}

fn responses(body: &Value) -> Option<String> {
    if body["input"].is_null() {
        return Some("`input` is missing".to_owned());
    }
    let mut calls = Vec::new();
    for (index, item) in list(body, "input").iter().enumerate() {
        match item["type"].as_str() {
            Some("function_call") => calls.push(text(&item["call_id"])),
            Some("function_call_output") => {
                let id = text(&item["call_id"]);
                let Some(at) = calls.iter().position(|known| *known == id) else {
                    return Some(format!("input[{index}]: no tool call found for `{id}`"));
                };
                calls.remove(at);
            }
            _ => {}
        }
    }
    (!calls.is_empty()).then(|| format!("no tool output found for the calls {calls:?}"))
}

fn messages(seen: &Seen, body: &Value) -> Option<String> {
    let refuse = |why: &str| Some(why.to_owned());
    if seen.header("anthropic-version").is_none() {
        return refuse("anthropic-version: header is required");
    }
    if body["max_tokens"].as_u64().is_none() {
        return refuse("max_tokens: Field required");
    }
    let all = list(body, "messages");
    let complaint = unknown(body, MESSAGES, "").or_else(|| turns(all, "assistant"));
    if complaint.is_some() {
        return complaint;
    }
    let mut open: Vec<String> = Vec::new();
    for (index, message) in all.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !["user", "assistant", "system"].contains(&role) {
            return Some(format!("messages.{index}.role: there is no role `{role}`"));
        }
        let mut given: Vec<String> = Vec::new();
        for block in list(message, "content") {
            let kind = block["type"].as_str().unwrap_or_default();
            let id = text(&block["id"]);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            match kind {
                "text" if text(&block["text"]).is_empty() => {
                    return Some(format!("messages.{index}: text content blocks must be non-empty"));
                }
                "thinking" if block["signature"].as_str().is_none_or(str::is_empty) => {
                    return Some(format!("messages.{index}: thinking.signature: Field required"));
                }
                "tool_use" if id.is_empty() || !id.bytes().all(is_plain) => {
                    return Some(format!("messages.{index}: tool_use.id `{id}` does not match the pattern"));
                }
                "tool_use" if !block["input"].is_object() => {
                    return Some(format!("messages.{index}: tool_use.input must be an object"));
                }
                "tool_result" => given.push(text(&block["tool_use_id"])),
                _ => {}
            }
        }
        if let Some(id) = given.iter().find(|id| !open.contains(id)) {
            return Some(format!("messages.{index}: unexpected tool_use_id `{id}` in tool_result blocks"));
        }
        open.retain(|id| !given.contains(id));
        if !open.is_empty() {
            return Some(format!("messages.{index}: tool_use ids without tool_result right after: {open:?}"));
        }
        let calls = list(message, "content").iter().filter(|block| block["type"] == "tool_use");
        open.extend(calls.map(|block| text(&block["id"])));
    }
    (!open.is_empty()).then(|| format!("tool_use ids without tool_result: {open:?}"))
}

fn gemini(body: &Value) -> Option<String> {
    let config = &body["generationConfig"];
    let complaint = unknown(body, GEMINI, "")
        .or_else(|| unknown(config, GEMINI_CONFIG, "generationConfig."))
        .or_else(|| turns(list(body, "contents"), "nobody"));
    if complaint.is_some() {
        return complaint;
    }
    let mut open: Vec<String> = Vec::new();
    for (index, content) in list(body, "contents").iter().enumerate() {
        let role = content["role"].as_str().unwrap_or("user");
        if !["user", "model", "function"].contains(&role) {
            return Some(format!("contents[{index}]: please use a valid role: user, model"));
        }
        if list(content, "parts").is_empty() {
            return Some(format!("contents[{index}].parts: must not be empty"));
        }
        let names = |field: &str| -> Vec<String> {
            let parts = list(content, "parts").iter().filter(|part| part[field].is_object());
            parts.map(|part| text(&part[field]["name"])).collect()
        };
        let given = names("functionResponse");
        if !open.is_empty() || !given.is_empty() {
            // As many answers as calls, in the turn right after them.
            if open != given {
                return Some(format!(
                    "contents[{index}]: the number of function response parts must equal the calls: {open:?} / {given:?}"
                ));
            }
            open.clear();
        }
        for part in list(content, "parts") {
            if part["functionResponse"].is_object() && !part["functionResponse"]["response"].is_object() {
                return Some(format!("contents[{index}]: functionResponse.response must be an object"));
            }
        }
        open.extend(names("functionCall"));
    }
    (!open.is_empty()).then(|| format!("the calls {open:?} have no responses"))
}

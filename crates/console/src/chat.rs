//! Reads a recorded body as a conversation.
//!
//! The record keeps what the caller sent, in the caller's shape, possibly redacted, possibly nonsense. So nothing is
//! required here: what is known becomes messages, what is not stays JSON, and what is not even JSON stays text.

use gauntlet_types::ToolCall;
use serde_json::Value;

/// Texts of an embeddings input that are told apart; the rest is a number.
const TEXTS_MAX: usize = 50;
/// Settings are short; a longer value stays in the raw body.
const SETTING_MAX: usize = 120;

#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    Text(String),
    Refusal(String),
    Reasoning(String),
    /// A picture, a sound, a file: described, never loaded.
    Media(String),
    /// Something this page does not know.
    Json(Value),
}

#[derive(Clone, Default, Debug)]
pub struct Message {
    pub role: String,
    /// The speaker's name, or the id of the tool call that this answers.
    pub name: Option<String>,
    pub parts: Vec<Part>,
    pub tool_calls: Vec<ToolCall>,
    pub finish: Option<String>,
}

/// A body, as far as it is understood.
#[derive(Clone, Default, Debug)]
pub struct Body {
    pub messages: Vec<Message>,
    /// Names of the tools on offer.
    pub tools: Vec<String>,
    /// Plain settings beside the messages: temperature, limits.
    pub settings: Vec<(String, String)>,
    /// Said about the body as a whole: how many vectors, how many more texts.
    pub notes: Vec<String>,
    /// What was not understood at all.
    pub unknown: Option<Part>,
}

/// Reads a request body: chat messages, a Responses or an embeddings `input`.
pub fn read_input(bytes: &[u8]) -> Body {
    let value = match parse(bytes) {
        Ok(Value::Object(value)) => value,
        Ok(other) => return Body { unknown: Some(Part::Json(other)), ..Body::default() },
        Err(body) => return *body,
    };
    let mut body = Body { tools: tool_names(value.get("tools")), ..Body::default() };
    if let Some(text) = value.get("instructions").and_then(Value::as_str) {
        body.messages.push(says("system", text));
    }
    match (value.get("messages"), value.get("input")) {
        (Some(Value::Array(messages)), _) => body.messages.extend(messages.iter().map(message)),
        (_, Some(input)) => read_items(&mut body, input),
        _ => body.unknown = Some(Part::Json(Value::Object(value.clone()))),
    }
    for (name, setting) in &value {
        let shown = match setting {
            Value::String(text) => text.clone(),
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
            plain => plain.to_string(),
        };
        let is_shown_elsewhere = matches!(name.as_str(), "model" | "input" | "instructions");
        if !is_shown_elsewhere && shown.len() <= SETTING_MAX {
            body.settings.push((name.clone(), shown));
        }
    }
    body
}

/// Reads what an application says went into a step or came out of it: a list of messages, a request, an answer, a text.
pub fn read_step(bytes: &[u8]) -> Body {
    let value = match parse(bytes) {
        Ok(value) => value,
        Err(body) => return *body,
    };
    let is_message = |value: &Value| value.get("role").is_some();
    match &value {
        Value::Array(list) if list.iter().any(is_message) => {
            Body { messages: list.iter().map(message).collect(), ..Body::default() }
        }
        Value::String(text) => Body { unknown: Some(Part::Text(text.clone())), ..Body::default() },
        Value::Object(map) if map.contains_key("messages") => read_input(bytes),
        Value::Object(map) if map.contains_key("choices") || map.contains_key("role") => read_output(bytes),
        _ => Body { unknown: Some(Part::Json(value)), ..Body::default() },
    }
}

/// Reads an answer: chat choices, embedding vectors, an error.
pub fn read_output(bytes: &[u8]) -> Body {
    let value = match parse(bytes) {
        Ok(value) => value,
        Err(body) => return *body,
    };
    let mut body = Body::default();
    if let Some(choices) = value.get("choices").and_then(Value::as_array) {
        for choice in choices {
            let mut said = choice.get("message").or_else(|| choice.get("delta")).map_or_else(
                || says("assistant", choice.get("text").and_then(Value::as_str).unwrap_or_default()),
                message,
            );
            said.finish = choice.get("finish_reason").and_then(Value::as_str).map(str::to_owned);
            body.messages.push(said);
        }
    } else if let Some(items) = value.get("output").filter(|output| output.is_array()) {
        read_items(&mut body, items);
    } else if let Some(data) = value.get("data").and_then(Value::as_array) {
        let length =
            data.first().and_then(|item| item.get("embedding")).and_then(Value::as_array).map(Vec::len);
        let each = length.map_or_else(String::new, |length| format!(" of {length} dimensions"));
        body.notes.push(format!("{} vector{}{each}", data.len(), if data.len() == 1 { "" } else { "s" }));
    } else if let Some(text) = value.pointer("/error/message").and_then(Value::as_str) {
        body.messages.push(says("error", text));
    } else if value.get("role").is_some() {
        body.messages.push(message(&value));
    } else {
        body.unknown = Some(Part::Json(value));
    }
    body
}

/// Empty is an empty body; what is no JSON is shown as the text it is.
fn parse(bytes: &[u8]) -> Result<Value, Box<Body>> {
    if bytes.is_empty() {
        return Err(Box::default());
    }
    serde_json::from_slice(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Box::new(Body { unknown: Some(Part::Text(text)), ..Body::default() })
    })
}

/// `input` of embeddings (a text, texts, token ids) and of Responses (items with roles), and `output` of the latter.
fn read_items(body: &mut Body, input: &Value) {
    let Some(items) = input.as_array() else {
        body.messages.push(says("input", &text_of(input)));
        return;
    };
    if !items.is_empty() && items.iter().all(Value::is_number) {
        body.notes.push(format!("{} token ids", items.len()));
        return;
    }
    for item in items.iter().take(TEXTS_MAX) {
        match item {
            Value::String(text) => body.messages.push(says("input", text)),
            Value::Array(ids) => body.messages.push(says("input", &format!("{} token ids", ids.len()))),
            other => body.messages.push(message(other)),
        }
    }
    if items.len() > TEXTS_MAX {
        body.notes.push(format!("and {} more inputs", items.len() - TEXTS_MAX));
    }
}

fn says(role: &str, text: &str) -> Message {
    let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.to_owned())] };
    Message { role: role.to_owned(), parts, ..Message::default() }
}

fn message(value: &Value) -> Message {
    let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = field("type").unwrap_or_default();
    // Items of the Responses shape that are no messages.
    if kind == "function_call" {
        return Message {
            role: "assistant".to_owned(),
            tool_calls: vec![tool_call(value)],
            ..Message::default()
        };
    }
    let is_tool_result = kind == "function_call_output";
    let role = if is_tool_result { Some("tool".to_owned()) } else { field("role") };
    let mut parts = Vec::new();
    if let Some(text) =
        field("reasoning_content").or_else(|| field("reasoning")).filter(|text| !text.is_empty())
    {
        parts.push(Part::Reasoning(text));
    }
    // OpenTelemetry calls the content of a message its parts.
    let content = value.get(if is_tool_result { "output" } else { "content" }).or_else(|| value.get("parts"));
    match content {
        Some(Value::Array(list)) => parts.extend(list.iter().map(part)),
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::Null) => {}
        Some(Value::String(text)) => parts.push(Part::Text(text.clone())),
        Some(other) => parts.push(Part::Json(other.clone())),
        // Not a message at all.
        None if role.is_none() => parts.push(Part::Json(value.clone())),
        None => {}
    }
    if let Some(text) = field("refusal").filter(|text| !text.is_empty()) {
        parts.push(Part::Refusal(text));
    }
    let listed = value.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let tool_calls = listed.chain(value.get("function_call")).map(tool_call).collect();
    Message {
        role: role.unwrap_or_else(|| "unknown".to_owned()),
        name: field("name").or_else(|| field("tool_call_id")).or_else(|| field("call_id")),
        parts,
        tool_calls,
        finish: None,
    }
}

fn part(value: &Value) -> Part {
    if let Some(text) = value.as_str() {
        return Part::Text(text.to_owned());
    }
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let known = match kind {
        "text" | "input_text" | "output_text" | "summary_text" => {
            text("text").or_else(|| text("content")).map(Part::Text)
        }
        "refusal" => text("refusal").map(Part::Refusal),
        "thinking" | "reasoning" => {
            text("thinking").or_else(|| text("text")).or_else(|| text("content")).map(Part::Reasoning)
        }
        "image_url" | "input_image" => {
            let url = value.pointer("/image_url/url").or_else(|| value.get("image_url"));
            url.and_then(Value::as_str).map(|url| Part::Media(format!("image: {}", describe(url))))
        }
        "input_audio" => {
            let data = value.pointer("/input_audio/data").and_then(Value::as_str).unwrap_or_default();
            Some(Part::Media(format!("audio: {} bytes of base64", data.len())))
        }
        "file" | "input_file" => {
            let name =
                value.pointer("/file/filename").or_else(|| value.get("filename")).and_then(Value::as_str);
            Some(Part::Media(format!("file: {}", name.unwrap_or("no name"))))
        }
        _ => None,
    };
    known.unwrap_or_else(|| Part::Json(value.clone()))
}

/// A `data:` address is all content and no name.
fn describe(url: &str) -> String {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((kind, data)) => format!("{kind}, {} bytes inline", data.len()),
        None => url.to_owned(),
    }
}

fn tool_call(value: &Value) -> ToolCall {
    let function = value.get("function").or_else(|| value.get("custom")).unwrap_or(value);
    let text = |from: &Value, name: &str| from.get(name).map(text_of).unwrap_or_default();
    let id = text(value, "call_id");
    ToolCall {
        id: if id.is_empty() { text(value, "id") } else { id },
        name: text(function, "name"),
        arguments: function
            .get("arguments")
            .or_else(|| function.get("input"))
            .map(text_of)
            .unwrap_or_default(),
    }
}

fn tool_names(tools: Option<&Value>) -> Vec<String> {
    let listed = tools.and_then(Value::as_array).into_iter().flatten();
    listed
        .map(|tool| {
            let name =
                tool.pointer("/function/name").or_else(|| tool.get("name")).or_else(|| tool.get("type"));
            name.map(text_of).unwrap_or_else(|| "unnamed".to_owned())
        })
        .collect()
}

/// A text as it is, anything else as JSON.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// JSON with indentation; what is no JSON comes back as it is.
pub fn pretty(text: &str) -> String {
    serde_json::from_str::<Value>(text)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &Body) -> Vec<String> {
        let shown = |part: &Part| match part {
            Part::Text(text) | Part::Refusal(text) | Part::Reasoning(text) | Part::Media(text) => {
                text.clone()
            }
            Part::Json(value) => value.to_string(),
        };
        body.messages
            .iter()
            .map(|said| {
                format!("{}: {}", said.role, said.parts.iter().map(shown).collect::<Vec<_>>().join("|"))
            })
            .collect()
    }

    #[test]
    fn every_shape_of_chat_content_is_read() {
        let body = read_input(
            br#"{"model":"m","temperature":0.2,"stream":true,"tools":[{"type":"function","function":{"name":"get_order"}}],
            "messages":[{"role":"system","content":"Be kind"},
            {"role":"user","content":[{"type":"text","text":"What is"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"new_thing","x":1}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"get_order","arguments":"{\"id\":36}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"{\"state\":\"sent\"}"},
            {"role":7,"content":{"odd":true}}, "bare"]}"#,
        );
        assert_eq!(
            texts(&body),
            [
                "system: Be kind",
                "user: What is|image: image/png;base64, 4 bytes inline|{\"type\":\"new_thing\",\"x\":1}",
                "assistant: ",
                "tool: {\"state\":\"sent\"}",
                "unknown: {\"odd\":true}",
                "unknown: \"bare\"",
            ]
        );
        assert_eq!(body.messages[2].tool_calls[0].arguments, "{\"id\":36}");
        assert_eq!(body.messages[3].name.as_deref(), Some("c1"));
        assert_eq!(body.tools, ["get_order"]);
        assert_eq!(body.settings, [("temperature".into(), "0.2".into()), ("stream".into(), "true".into())]);
    }

    #[test]
    fn embeddings_and_responses_inputs_are_read() {
        assert_eq!(texts(&read_input(br#"{"input":"one"}"#)), ["input: one"]);
        assert_eq!(
            texts(&read_input(br#"{"input":["a","b",[1,2]]}"#)),
            ["input: a", "input: b", "input: 2 token ids"]
        );
        assert_eq!(read_input(br#"{"input":[1,2,3]}"#).notes, ["3 token ids"]);
        let items = br#"{"instructions":"Be kind","input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]},
            {"type":"function_call_output","call_id":"c","output":"42"}]}"#;
        assert_eq!(texts(&read_input(items)), ["system: Be kind", "user: hi", "tool: 42"]);
    }

    #[test]
    fn answers_are_read() {
        let body = read_output(
            br#"{"choices":[{"finish_reason":"stop","message":{"role":"assistant","reasoning_content":"hm","content":"Yes"}},
            {"message":{"role":"assistant","refusal":"No"}},{"text":"old"}]}"#,
        );
        assert_eq!(texts(&body), ["assistant: hm|Yes", "assistant: No", "assistant: old"]);
        assert_eq!(body.messages[0].finish.as_deref(), Some("stop"));
        assert_eq!(read_output(br#"{"data":[{"embedding":[0.1,0.2]}]}"#).notes, ["1 vector of 2 dimensions"]);
        assert_eq!(texts(&read_output(br#"{"error":{"message":"no"}}"#)), ["error: no"]);
    }

    #[test]
    fn nonsense_is_kept_as_it_is() {
        assert_eq!(read_input(b"\xff<b>").unknown, Some(Part::Text("\u{fffd}<b>".into())));
        assert_eq!(read_input(b"[1]").unknown, Some(Part::Json(serde_json::json!([1]))));
        assert_eq!(
            read_input(br#"{"messages":"x"}"#).unknown,
            Some(Part::Json(serde_json::json!({"messages":"x"})))
        );
        assert_eq!(read_output(br#"{"foo":1}"#).unknown, Some(Part::Json(serde_json::json!({"foo":1}))));
        assert!(read_input(b"").messages.is_empty() && read_input(b"").unknown.is_none());
        // Deeper than the parser goes.
        assert!(matches!(read_input("[".repeat(100_000).as_bytes()).unknown, Some(Part::Text(_))));
        assert_eq!(pretty("{\"a\":1}"), "{\n  \"a\": 1\n}");
        assert_eq!(pretty("{half"), "{half");
    }
}

//! What went in and what came out. Messages, however they were sent, become one JSON array of `{role, content,
//! tool_calls …}`; everything else stays the text that it is.

use gauntlet_types::SpanKind;
use serde_json::{Map, Value as Json, json};

use super::{
    Facts,
    aliases::{self, Names},
    plain,
};

/// Steps of a flattened name; the longest in use has eight.
const STEPS_MAX: usize = 16;

pub(super) fn input(facts: &Facts<'_>, kind: SpanKind) -> String {
    let tool = || (kind == SpanKind::Tool).then(|| facts.text(aliases::TOOL_IN)).flatten();
    let sent = || {
        let system = facts.parsed(aliases::SYSTEM).map(|parts| json!({"role": "system", "parts": parts}));
        let listed =
            facts.parsed(aliases::MESSAGES_IN).and_then(items).or_else(|| system.is_some().then(Vec::new))?;
        Some(system.into_iter().chain(listed).collect())
    };
    let all = || sent().or_else(|| flat(facts, aliases::FLAT_IN)).or_else(|| told(facts, aliases::EVENTS_IN));
    tool().or_else(|| all().and_then(shown)).or_else(|| facts.text(aliases::TEXT_IN)).unwrap_or_default()
}

pub(super) fn output(facts: &Facts<'_>, kind: SpanKind) -> String {
    let tool = || (kind == SpanKind::Tool).then(|| facts.text(aliases::TOOL_OUT)).flatten();
    let found = || {
        let is_retrieval = matches!(kind, SpanKind::Retriever | SpanKind::Reranker);
        is_retrieval.then(|| documents(facts)).flatten().map(|documents| json!(documents).to_string())
    };
    let sent = || facts.parsed(aliases::MESSAGES_OUT).and_then(items);
    let all = || {
        let listed = sent().or_else(|| flat(facts, aliases::FLAT_OUT));
        listed.or_else(|| told(facts, aliases::EVENTS_OUT)).or_else(|| answer(facts))
    };
    let text = tool().or_else(found).or_else(|| all().and_then(shown));
    text.or_else(|| facts.text(aliases::TEXT_OUT)).unwrap_or_default()
}

/// What a retrieval found, an object each.
pub(super) fn documents(facts: &Facts<'_>) -> Option<Vec<Json>> {
    if let Some(Json::Array(documents)) = facts.parsed(aliases::DOCUMENTS) {
        return Some(documents);
    }
    let documents = flat(facts, aliases::FLAT_DOCUMENTS)?;
    Some(documents.into_iter().map(|one| unwrapped(one, "document")).collect())
}

fn shown(messages: Vec<Json>) -> Option<String> {
    let messages: Vec<Json> = messages.into_iter().map(message).collect();
    (!messages.is_empty()).then(|| Json::Array(messages).to_string())
}

fn items(value: Json) -> Option<Vec<Json>> {
    match value {
        Json::Array(items) => Some(items),
        one @ Json::Object(_) => Some(vec![one]),
        _ => None,
    }
}

/// Vercel's answer.
fn answer(facts: &Facts<'_>) -> Option<Vec<Json>> {
    let text = facts.text(aliases::ANSWER_TEXT);
    let calls = facts.parsed(aliases::ANSWER_TOOLS);
    if text.is_none() && calls.is_none() {
        return None;
    }
    let mut message = json!({"role": "assistant", "content": text});
    if let Some(calls) = calls {
        message["tool_calls"] = calls;
    }
    Some(vec![message])
}

/// Messages that came as events.
fn told(facts: &Facts<'_>, names: &[(&str, &str)]) -> Option<Vec<Json>> {
    let of_event = |event: &super::Event| {
        let (_, role) = names.iter().find(|(name, _)| *name == event.name)?;
        let mut message = Map::new();
        message.insert("role".to_owned(), (*role).into());
        for (key, value) in &event.attributes {
            // Structured attributes came late to events: lists and objects were sent as JSON, and once as a whole.
            let text = value.as_str().filter(|text| key != "content" && text.starts_with(['{', '[']));
            match (key.as_str(), text.map(serde_json::from_str)) {
                ("gen_ai.event.content" | "body", Some(Ok(Json::Object(members)))) => message.extend(members),
                ("gen_ai.system" | "gen_ai.provider.name" | "event.name", _) => {}
                (_, Some(Ok(value))) => drop(message.insert(key.clone(), value)),
                _ => drop(message.insert(key.clone(), value.clone())),
            }
        }
        Some(Json::Object(message))
    };
    let messages: Vec<Json> = facts.events.iter().filter_map(of_event).collect();
    (!messages.is_empty()).then_some(messages)
}

/// A list that was sent as a name for each leaf: the first prefix that has any.
fn flat(facts: &Facts<'_>, prefixes: Names) -> Option<Vec<Json>> {
    prefixes.iter().find_map(|prefix| {
        let mut tree = Map::new();
        for (key, value) in facts.attributes {
            let path = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'));
            // `gen_ai.prompt.name` is no message.
            if let Some(path) = path.filter(|path| path.starts_with(|c: char| c.is_ascii_digit())) {
                plant(&mut tree, path, value, STEPS_MAX);
            }
        }
        match listed(Json::Object(tree)) {
            Json::Array(items) if !items.is_empty() => Some(items),
            _ => None,
        }
    })
}

fn plant(tree: &mut Map<String, Json>, path: &str, value: &Json, steps: usize) {
    match path.split_once('.') {
        Some((step, rest)) if steps > 0 => {
            let inner = tree.entry(step).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                plant(inner, rest, value, steps - 1);
            }
        }
        _ => drop(tree.insert(path.to_owned(), value.clone())),
    }
}

/// Objects whose members are all numbered become lists, in the order of the numbers.
fn listed(value: Json) -> Json {
    let Json::Object(members) = value else { return value };
    let number = |name: &String| name.parse::<u64>().ok();
    if !members.is_empty() && members.keys().all(|name| number(name).is_some()) {
        let mut items: Vec<_> = members.into_iter().collect();
        items.sort_by_key(|(name, _)| number(name));
        return items.into_iter().map(|(_, item)| listed(item)).collect();
    }
    members.into_iter().map(|(name, value)| (name, listed(value))).collect()
}

/// `{"message": {…}}` as OpenInference wraps everything.
fn unwrapped(mut value: Json, name: &str) -> Json {
    match value.as_object_mut().filter(|members| members.len() == 1).and_then(|members| members.remove(name))
    {
        Some(inner) => inner,
        None => value,
    }
}

/// One message in the one shape.
fn message(value: Json) -> Json {
    let value = unwrapped(value, "message");
    let Json::Object(mut members) = value else { return json!({"role": "", "content": value}) };
    // A choice holds its message beside its number and reason.
    match members.remove("message") {
        Some(Json::Object(inner)) => members.extend(inner),
        Some(words) => drop(members.insert("content".to_owned(), words)),
        None => {}
    }
    let mut shown = Map::new();
    shown.insert("role".to_owned(), members.remove("role").unwrap_or_else(|| "".into()));
    let parts = members.remove("parts").or_else(|| members.remove("contents"));
    let content = members.remove("content");
    let mut calls: Vec<Json> = match members.remove("tool_calls") {
        Some(Json::Array(calls)) => calls,
        Some(Json::String(text)) => serde_json::from_str(&text).unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut others = Vec::new();
    let mut texts = Vec::new();
    let parts = match parts {
        Some(Json::Array(parts)) => parts,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for part in parts {
        let part = unwrapped(part, "message_content");
        let words = part.get("content").or_else(|| part.get("text")).and_then(Json::as_str);
        match (part.get("type").and_then(Json::as_str), words) {
            (Some("text") | None, Some(words)) => texts.push(words.to_owned()),
            (Some("reasoning" | "thinking"), Some(words)) => {
                members.entry("reasoning_content").or_insert_with(|| words.into());
            }
            (Some("tool_call" | "tool_use"), _) => calls.push(part),
            (Some("tool_call_response"), _) => {
                let id = part.get("id").cloned().unwrap_or_default();
                members.entry("tool_call_id").or_insert(id);
                texts.extend(part.get("response").or_else(|| part.get("result")).map(plain));
            }
            (Some("image"), _) if part["image"]["image"]["url"].is_string() => {
                others.push(json!({"type": "image_url", "image_url": part["image"]["image"]}));
            }
            _ if part.is_string() => texts.push(plain(&part)),
            _ => others.push(part),
        }
    }
    let content = match (content, others.is_empty()) {
        (Some(content), true) if texts.is_empty() => content,
        (_, true) => texts.join("\n").into(),
        (_, false) => {
            let texts = texts.into_iter().map(|text| json!({"type": "text", "text": text}));
            texts.chain(others).collect()
        }
    };
    shown.insert("content".to_owned(), content);
    if !calls.is_empty() {
        shown.insert("tool_calls".to_owned(), calls.into_iter().map(tool_call).collect());
    }
    // What the sender said beside: reasons of the end, names, ids of tool calls.
    shown.extend(members);
    Json::Object(shown)
}

/// A tool call as OpenAI writes it: `{id, type, function: {name, arguments}}`, the arguments as text.
fn tool_call(value: Json) -> Json {
    let call = unwrapped(value, "tool_call");
    let inner = call.get("function").filter(|inner| inner.is_object()).unwrap_or(&call);
    let find = |names: &[&str]| names.iter().find_map(|name| inner.get(*name).or_else(|| call.get(*name)));
    let arguments = find(&["arguments", "args", "input"]).map(plain).unwrap_or_default();
    let name = find(&["name", "toolName"]).map(plain).unwrap_or_default();
    let id = find(&["id", "toolCallId"]).map(plain).unwrap_or_default();
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

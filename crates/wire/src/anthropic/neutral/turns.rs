//! The turns of a conversation as Anthropic wants them: the user's first, no empty text, results of tools before the
//! words beside them, and one turn of each side after the other.

use std::collections::BTreeSet;

use gauntlet_types::{Dialect, Seal, Sealed};
use serde_json::{Value, json};

use super::{
    input,
    write::{Draft, write_media},
};
use crate::{
    ask::{Ask, CacheMark, Part, Speaker, Turn, What, tool_id},
    seal,
};

/// Marks of a cache that a request may have.
pub(super) const MARKS_MAX: usize = 4;

/// What the user says where the conversation begins with the assistant, which Anthropic refuses.
const OPENING: &str = ".";

/// Marks that will be written, in the order of the prompt: tools, system, messages.
pub(super) fn marks(ask: &Ask) -> usize {
    let tools = ask.tools.iter().filter(|tool| tool.cache.is_some()).count();
    tools + ask.turns.iter().flat_map(|turn| &turn.parts).filter(|part| mark_of(part).is_some()).count()
}

/// The mark of a part. What stands within a tool's result is marked by the result.
fn mark_of(part: &Part) -> Option<CacheMark> {
    match &part.what {
        What::ToolResult { parts, .. } => {
            part.cache.or_else(|| parts.iter().rev().find_map(|part| part.cache))
        }
        _ => part.cache,
    }
}

/// The mark, if it is not one of the first that are too many.
pub(super) fn kept(mark: Option<CacheMark>, spare: &mut usize) -> Option<CacheMark> {
    if mark.is_some() && *spare > 0 {
        *spare -= 1;
        return None;
    }
    mark
}

pub(super) fn cache_control(mark: CacheMark) -> Value {
    match mark {
        CacheMark::FiveMinutes => json!({"type": "ephemeral"}),
        CacheMark::Hour => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// A seal that Anthropic made and nobody has touched.
pub(super) fn is_own(seal: Option<&Seal>) -> bool {
    seal.is_some_and(|seal| seal.by == Dialect::Messages && !seal::is_marked(&seal.data))
}

/// Writes `system` and `messages`.
pub(super) fn write(turns: Vec<Turn>, spare: &mut usize, draft: &mut Draft) {
    let (system, turns): (Vec<_>, Vec<_>) =
        turns.into_iter().partition(|turn| turn.speaker == Speaker::System);
    let mut system = blocks(system, spare, draft);
    let mut messages: Vec<(Speaker, Vec<Value>)> = Vec::new();
    for turn in turns {
        let speaker = turn.speaker;
        let written = blocks(vec![turn], spare, draft);
        match messages.last_mut() {
            _ if written.is_empty() => {}
            Some((last, all)) if *last == speaker => all.extend(written),
            _ => messages.push((speaker, written)),
        }
    }
    match messages.first() {
        Some((Speaker::Assistant, _)) => {
            messages.insert(0, (Speaker::User, vec![json!({"type": "text", "text": OPENING})]));
            draft.injected.push("messages[0]".into());
        }
        // Instructions alone are what the user asks.
        None if !system.is_empty() => messages.push((Speaker::User, std::mem::take(&mut system))),
        _ => {}
    }
    if let Some((Speaker::Assistant, last)) = messages.last_mut() {
        trim_end(last);
    }
    draft.put("system", (!system.is_empty()).then(|| content(system)));
    let messages = messages.into_iter().map(|(speaker, mut blocks)| {
        let role = if speaker == Speaker::Assistant { "assistant" } else { "user" };
        if speaker != Speaker::Assistant {
            blocks.sort_by_key(|block| block["type"] != "tool_result");
        }
        json!({"role": role, "content": content(blocks)})
    });
    let messages = messages.collect();
    draft.put("messages", Some(Value::Array(messages)));
}

/// A lone text without a mark as a string, as callers write it.
fn content(mut blocks: Vec<Value>) -> Value {
    match &mut blocks[..] {
        [block] if block["type"] == "text" && block.get("cache_control").is_none() => block["text"].take(),
        _ => blocks.into(),
    }
}

/// The beginning of an answer that the model shall go on with must not end in white space.
fn trim_end(blocks: &mut [Value]) {
    if let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}

fn blocks(turns: Vec<Turn>, spare: &mut usize, draft: &mut Draft) -> Vec<Value> {
    let mut blocks = Vec::new();
    for turn in turns {
        if turn.name.is_some() {
            draft.dropped.push("name".into());
        }
        for part in turn.parts {
            let cache = kept(mark_of(&part), spare);
            let Some(mut block) = block(part.what, draft) else {
                if cache.is_some() {
                    draft.dropped.push("cache_control".into());
                }
                continue;
            };
            if let Some(mark) = cache {
                // Thoughts take no mark.
                match block["type"].as_str() {
                    Some("thinking" | "redacted_thinking") => draft.dropped.push("cache_control".into()),
                    _ => block["cache_control"] = cache_control(mark),
                }
            }
            blocks.push(block);
        }
    }
    blocks
}

fn block(what: What, draft: &mut Draft) -> Option<Value> {
    match what {
        What::Text(text) | What::Refusal(text) => {
            (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text}))
        }
        What::Media { kind, source, name, detail } => write_media(kind, source, name, detail, draft),
        What::ToolCall { id, name, arguments, is_custom, seal } => {
            if seal.is_some() {
                dropped_once(draft);
            }
            let input = if is_custom { json!({"input": arguments}) } else { input(&arguments) };
            Some(json!({"type": "tool_use", "id": tool_id(&id), "name": name, "input": input}))
        }
        What::ToolResult { id, parts, is_error, .. } => Some(result(&id, parts, is_error, draft)),
        What::Reasoning { text, seal } => match seal {
            Some(seal) if is_own(Some(&seal)) => Some(match seal.on {
                Sealed::Redacted => json!({"type": "redacted_thinking", "data": seal.data}),
                _ => json!({"type": "thinking", "thinking": text, "signature": seal.data}),
            }),
            _ => {
                dropped_once(draft);
                None
            }
        },
    }
}

fn dropped_once(draft: &mut Draft) {
    if !draft.dropped.iter().any(|name| name == "reasoning") {
        draft.dropped.push("reasoning".into());
    }
}

fn result(id: &str, parts: Vec<Part>, is_error: bool, draft: &mut Draft) -> Value {
    let mut blocks = Vec::new();
    for part in parts {
        match part.what {
            What::Text(_) | What::Refusal(_) | What::Media { .. } => blocks.extend(block(part.what, draft)),
            _ => draft.dropped.push("tool_result".into()),
        }
    }
    let mut result = json!({"type": "tool_result", "tool_use_id": tool_id(id)});
    if !blocks.is_empty() {
        result["content"] = content(blocks);
    }
    if is_error {
        result["is_error"] = true.into();
    }
    result
}

/// Names of the tools that were called, in order.
pub(super) fn called(messages: Option<&Value>) -> BTreeSet<String> {
    let messages = messages.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let blocks = messages.iter().filter_map(|message| message["content"].as_array()).flatten();
    let calls = blocks.filter(|block| block["type"] == "tool_use");
    calls.filter_map(|call| Some(call["name"].as_str()?.to_owned())).collect()
}

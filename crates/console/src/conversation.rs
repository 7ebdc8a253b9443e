//! A conversation on the page: bubbles by role, tool calls beside the words that asked for them.

use gauntlet_ports::StoredCall;
use gauntlet_types::{TextsGone, ToolCall};
use maud::{Markup, html};

use crate::{
    chat::{Body, Message, Part, pretty, read_input, read_output, read_step},
    text::{Line, Room},
};

/// Messages shown, the newest; an agent's call repeats its whole past.
const MESSAGES_MAX: usize = 60;
/// Tool calls shown of one message.
const TOOL_CALLS_MAX: usize = 32;
const SETTINGS_MAX: usize = 24;
const TOOLS_MAX: usize = 40;

/// The request and the answer. Takes its bytes from `room`: the answer first, then messages from the newest back, since
/// those are what one opens the page for.
pub fn conversation(call: &StoredCall, room: &mut Room) -> Markup {
    let input = read_input(&call.input);
    let mut output = read_output(&call.output);
    // A stream that broke has its tool calls in the record only.
    if output.messages.iter().all(|said| said.tool_calls.is_empty()) && !call.record.tool_calls.is_empty() {
        let tool_calls = call.record.tool_calls.clone();
        match output.messages.last_mut() {
            Some(said) => said.tool_calls = tool_calls,
            None => {
                output.messages.push(Message {
                    role: "assistant".to_owned(),
                    tool_calls,
                    ..Message::default()
                });
            }
        }
    }
    let answer = body(&output, room);
    let question = body(&input, room);
    html! {
        section.panel {
            h2 { "Conversation" }
            (settings(&input))
            @if call.input.is_empty() { p.muted { (why_gone(call.record.texts_gone, "The route keeps no text of what was asked.")) } }
            (question)
            @if call.output.is_empty() && output.messages.is_empty() {
                p.muted { @if call.record.outcome.as_str() == "ok" {
                    (why_gone(call.record.texts_gone, "The route keeps no text of the answer."))
                } @else { "There is no answer: the call ended as " (call.record.outcome.as_str()) "." } }
            } @else {
                h3.answer { "Answer" }
                (answer)
            }
        }
    }
}

fn why_gone(gone: Option<TextsGone>, otherwise: &'static str) -> &'static str {
    match gone {
        Some(TextsGone::Sampled) => "The text was not among those that `sampling` keeps.",
        Some(TextsGone::Expired) => "The text is older than `retention` keeps it.",
        Some(TextsGone::Erased) => "The text was erased with the call that its case was made from.",
        None => otherwise,
    }
}

/// What went into a step of an application or came out of it: bubbles where it is messages, else the text or the JSON.
pub fn said(bytes: &[u8], room: &mut Room) -> Markup {
    let read = read_step(bytes);
    if let (Some(Part::Json(value)), true) = (&read.unknown, read.messages.is_empty()) {
        return room.code(&serde_json::to_string_pretty(value).unwrap_or_default());
    }
    let shown = body(&read, room);
    html! { (settings(&read)) (shown) }
}

fn settings(input: &Body) -> Markup {
    html! {
        @if !input.settings.is_empty() || !input.tools.is_empty() {
            p.settings {
                @for (name, value) in input.settings.iter().take(SETTINGS_MAX) {
                    span { span.muted { (Line(name)) } " " (Line(value)) }
                }
                @if !input.tools.is_empty() {
                    span { span.muted { "tools" }
                        @for tool in input.tools.iter().take(TOOLS_MAX) { " " code { (Line(tool)) } }
                        @if input.tools.len() > TOOLS_MAX { " and " (input.tools.len() - TOOLS_MAX) " more" }
                    }
                }
            }
        }
    }
}

fn body(body: &Body, room: &mut Room) -> Markup {
    let from = body.messages.len().saturating_sub(MESSAGES_MAX);
    let mut shown = Vec::new();
    for said in body.messages[from..].iter().rev() {
        if room.is_full() {
            break;
        }
        shown.push(bubble(said, room));
    }
    let left_out = body.messages.len() - shown.len();
    html! {
        @for text in &body.notes { p.muted { (Line(text)) } }
        @if left_out > 0 { p.cut { (left_out) " earlier messages are left out here." } }
        @for bubble in shown.iter().rev() { (bubble) }
        @if let Some(unknown) = &body.unknown { (part(unknown, room)) }
    }
}

fn bubble(said: &Message, room: &mut Room) -> Markup {
    // Only names of ours become class names.
    let class = match said.role.as_str() {
        "system" | "developer" => "system",
        "user" | "input" => "user",
        "assistant" | "model" => "assistant",
        "tool" | "function" => "tool",
        "error" => "error",
        _ => "other",
    };
    let is_result = class == "tool";
    html! {
        article class={ "bubble " (class) } {
            header {
                b { (Line(&said.role)) }
                @if let Some(name) = &said.name { span.muted { (Line(name)) } }
                @if let Some(finish) = &said.finish {
                    @if finish == "length" { span.pill.warn { "cut at its token limit" } }
                    @else { span.muted { "finish: " (Line(finish)) } }
                }
            }
            @for piece in &said.parts {
                @match piece {
                    Part::Text(text) if is_result && text.trim_start().starts_with(['{', '[']) => {
                        (room.code(&pretty(text)))
                    }
                    piece => (part(piece, room)),
                }
            }
            @if said.parts.is_empty() && said.tool_calls.is_empty() { p.muted { "(nothing)" } }
            @for call in said.tool_calls.iter().take(TOOL_CALLS_MAX) { (tool_call(call, room)) }
            @if said.tool_calls.len() > TOOL_CALLS_MAX {
                p.cut { (said.tool_calls.len() - TOOL_CALLS_MAX) " more tool calls." }
            }
        }
    }
}

fn part(part: &Part, room: &mut Room) -> Markup {
    html! {
        @match part {
            Part::Text(text) => (room.block(text)),
            Part::Refusal(text) => { p.pill.warn { "refusal" } (room.block(text)) },
            Part::Reasoning(text) => details { summary { "Reasoning" } (room.block(text)) },
            Part::Media(text) => p.media { (Line(text)) },
            Part::Json(value) => details {
                summary { "JSON" }
                (room.code(&serde_json::to_string_pretty(value).unwrap_or_default()))
            },
        }
    }
}

fn tool_call(call: &ToolCall, room: &mut Room) -> Markup {
    html! {
        div.call {
            p { span.muted { "calls" } " " code { (Line(&call.name)) } " " span.muted { (Line(&call.id)) } }
            @if !call.arguments.trim().is_empty() { (room.code(&pretty(&call.arguments))) }
        }
    }
}

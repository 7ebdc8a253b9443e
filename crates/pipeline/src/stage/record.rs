//! One record, redacted, in the operating system's hands before the caller sees the last byte.

use bytes::Bytes;
use gauntlet_guard::Kinds;
use gauntlet_ports::{SpoolError, Texts};
use gauntlet_types::{Direction, Stage, ToolCall, ToolResult};
use gauntlet_wire::{answer::Assembler, pass, splice, translate};

use crate::{call::Call, tagged::NAMES};

pub(crate) fn run(call: &mut Call) {
    call.enter(Stage::Record);
    call.note_missing_runs();
    call.record.tool_calls = tool_calls(call);
    let texts = call.texts();
    // Of the text that is kept, so that nothing private is in it.
    call.record.tool_results = tool_results(call, &texts.input);
    call.close_timeline();
    let mut closed = call.gate.spool.close(&call.record, &texts);
    if matches!(closed, Err(SpoolError::TooLarge { .. })) {
        // The figures matter more than the words: what cannot be kept whole is kept without its texts.
        call.record.tool_results.clear();
        closed = call.gate.spool.close(&call.record, &Texts::default());
    }
    if let Err(error) = closed {
        // The spool keeps it in memory and takes no new calls until it is written: see `Spool::close`.
        tracing::error!(error = &error as &dyn std::error::Error, "a record waits for the spool");
    }
    gauntlet_ports::crash_point!("record.closed");
    super::settle::release(call);
    gauntlet_ports::crash_point!("record.released");
    for observer in &call.gate.shared.observers {
        observer.observe(&call.record);
    }
    call.mark_finished();
}

/// The request as it was sent on, less everything private; empty if it could not be read, or was refused
/// before anyone searched it, since nothing then says what is private in it.
pub(crate) fn input(call: &mut Call) -> Bytes {
    if matches!(call.request, crate::call::Request::None) || !call.is_scanned || call.is_unseen {
        return Bytes::new();
    }
    let mut edits = std::mem::take(&mut call.edits);
    for prompt in std::mem::take(&mut call.record_prompt) {
        edits.retain(|edit| edit.range != prompt.range);
        edits.push(prompt);
    }
    edits.append(&mut call.record_edits);
    let body = splice(&call.body, edits);
    match &call.request {
        crate::call::Request::Pass(_) => {
            let kind = call.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            pass::noted(kind, &body)
        }
        _ => body,
    }
}

/// What tools gave back, out of the text that is kept.
fn tool_results(call: &Call, input: &Bytes) -> Vec<ToolResult> {
    if call.request.conversation().is_none() || input.is_empty() {
        return Vec::new();
    }
    match translate::recorded_ask(call.dialect(), input, &call.path) {
        Some(chat) => gauntlet_wire::openai::tool_results::of(&chat),
        None => Vec::new(),
    }
}

/// The tools that the answer calls, with what is private in their arguments taken out.
fn tool_calls(call: &Call) -> Vec<ToolCall> {
    if !call.route.record_bodies {
        return Vec::new();
    }
    if call.rules[Direction::Output as usize].has(NAMES) {
        // The output is what is left when the names are out, too; where it is not kept, neither are they.
        let mut redacted = Assembler::new();
        let events = translate::recorded_answer(call.dialect(), &call.output);
        events.iter().for_each(|event| redacted.feed(event));
        return redacted.tool_calls();
    }
    let mut calls = call.assembler.tool_calls();
    for tool in &mut calls {
        let mut found = Vec::new();
        let kinds = Kinds { injection: false, ..Kinds::ALL };
        call.shared().scanner.scan(&tool.arguments, kinds, &mut found);
        tool.arguments = gauntlet_guard::redact(&tool.arguments, &found);
    }
    calls
}

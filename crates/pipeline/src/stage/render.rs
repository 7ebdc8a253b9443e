//! Puts the versioned prompt in: resolved, checked against its variables, rendered, and noted with its hash.

use gauntlet_prompts::Prompt;
use gauntlet_types::{Action, Code, Fault, Stage};
use gauntlet_wire::Edit;
use serde_json::{Map, Value};

use crate::{
    call::{Call, Request},
    text::{action_for, is_private},
};

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Render);
    let Request::Chat(chat) = &call.request else { return Ok(()) };
    if let Some(operator) = &call.operator {
        call.record.prompt = operator.prompt.clone();
    }
    let named = call.prompt_named();
    // Our own field is no business of the provider's, whether or not a prompt is rendered.
    call.edits.extend(chat.without_gauntlet());
    let Some(reference) = named else {
        if chat.message_count == 0 {
            let message =
                "`messages` is empty and no prompt is named (x-gauntlet-prompt, or the route's `prompt`)";
            return Err(Fault::caller(Code::InvalidRequest, message).param("messages"));
        }
        return Ok(());
    };
    let (prompt, label) = call.snapshot.prompts.resolve(&reference)?;
    call.record.prompt = Some(prompt.reference(label));
    let mut variables = chat.gauntlet.as_ref().map(|field| field.variables.clone()).unwrap_or_default();
    let for_record = clean(call, &mut variables);
    let Request::Chat(chat) = &call.request else { return Ok(()) };
    let (edit, messages) = rendered(chat, &prompt, &variables, &call.body)?;
    if let Some(variables) = &for_record {
        call.record_prompt = Some(rendered(chat, &prompt, variables, &call.body)?.0);
    }
    // What a replay needs: with these variables another version can be rendered in the place of these messages.
    call.record_edits.push(chat.with_noted(&serde_json::json!({
        "prompt": format!("{}@{}", prompt.name, prompt.version),
        "variables": for_record.as_ref().unwrap_or(&variables),
        "rendered_messages": messages,
    })));
    call.edits.push(edit);
    call.pinned = prompt.model.clone();
    Ok(())
}

fn rendered(
    chat: &gauntlet_wire::openai::chat::ChatRequest,
    prompt: &Prompt,
    variables: &Map<String, Value>,
    body: &bytes::Bytes,
) -> Result<(Edit, usize), Fault> {
    let rendered = prompt.render(variables)?;
    let messages: Vec<(&str, &str)> =
        rendered.messages.iter().map(|(role, text)| (*role, text.as_str())).collect();
    Ok((chat.with_prompt(body, &messages), messages.len()))
}

/// Variables are input too. What the route redacts is redacted before it is rendered; gives another set for the record
/// where that must hold less than what is sent.
fn clean(call: &Call, variables: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    let mut for_record = variables.clone();
    let mut is_private = false;
    for (sent, kept) in variables.values_mut().zip(for_record.values_mut()) {
        is_private |= clean_value(call, sent, kept);
    }
    is_private.then_some(for_record)
}

/// Cleans the texts of a value and of its like for the record, at any depth; says whether anything private was there.
/// Depth is bounded by the parser that read it.
fn clean_value(call: &Call, sent: &mut Value, kept: &mut Value) -> bool {
    match (sent, kept) {
        (Value::String(sent), Value::String(kept)) => clean_text(call, sent, kept),
        (Value::Array(sent), Value::Array(kept)) => sent
            .iter_mut()
            .zip(kept)
            .fold(false, |found, (sent, kept)| clean_value(call, sent, kept) || found),
        (Value::Object(sent), Value::Object(kept)) => sent
            .values_mut()
            .zip(kept.values_mut())
            .fold(false, |found, (sent, kept)| clean_value(call, sent, kept) || found),
        _ => false,
    }
}

fn clean_text(call: &Call, sent: &mut String, kept: &mut String) -> bool {
    let rules = &call.route.input;
    let mut found = Vec::new();
    let kinds = gauntlet_guard::Kinds { injection: false, ..gauntlet_guard::Kinds::ALL };
    call.shared().scanner.scan(sent, kinds, &mut found);
    found.retain(is_private);
    if found.is_empty() {
        return false;
    }
    *kept = gauntlet_guard::redact(sent, &found);
    found.retain(|finding| action_for(finding, rules.pii, rules.secrets) == Action::Redact);
    *sent = gauntlet_guard::redact(sent, &found);
    true
}

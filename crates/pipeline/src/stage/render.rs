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
    let for_record = clean(call, &mut variables)?;
    let Request::Chat(chat) = &call.request else { return Ok(()) };
    let edit = rendered(chat, &prompt, &variables, &call.body)?;
    if let Some(variables) = for_record {
        call.record_prompt = Some(rendered(chat, &prompt, &variables, &call.body)?);
    }
    call.edits.push(edit);
    call.pinned = prompt.model.clone();
    Ok(())
}

fn rendered(
    chat: &gauntlet_wire::openai::chat::ChatRequest,
    prompt: &Prompt,
    variables: &Map<String, Value>,
    body: &bytes::Bytes,
) -> Result<Edit, Fault> {
    let rendered = prompt.render(variables)?;
    let messages: Vec<(&str, &str)> =
        rendered.messages.iter().map(|(role, text)| (*role, text.as_str())).collect();
    Ok(chat.with_prompt(body, &messages))
}

/// Variables are input too. What the route redacts is redacted before it is rendered; gives another set for the record
/// where that must hold less than what is sent.
fn clean(call: &mut Call, variables: &mut Map<String, Value>) -> Result<Option<Map<String, Value>>, Fault> {
    let (scanner, rules) = (call.shared().scanner.clone(), call.route.input.clone());
    let mut for_record = None;
    for name in variables.keys().cloned().collect::<Vec<_>>() {
        let Some(Value::String(text)) = variables.get(&name) else { continue };
        let mut found = Vec::new();
        scanner.scan(
            text,
            gauntlet_guard::Kinds { injection: false, ..gauntlet_guard::Kinds::ALL },
            &mut found,
        );
        found.retain(is_private);
        if found.is_empty() {
            continue;
        }
        let action = |finding: &gauntlet_types::Finding| action_for(finding, rules.pii, rules.secrets);
        let hidden = Value::String(gauntlet_guard::redact(text, &found));
        found.retain(|finding| action(finding) == Action::Redact);
        let sent = Value::String(gauntlet_guard::redact(text, &found));
        for_record.get_or_insert_with(|| variables.clone()).insert(name.clone(), hidden);
        variables.insert(name, sent);
    }
    Ok(for_record)
}

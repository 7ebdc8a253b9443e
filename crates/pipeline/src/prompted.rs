//! What a call's prompt says of its body besides messages: put in before anything looks at the body, so that limits, guards,
//! budgets and the record see the call as it is sent.
//!
//! At the chat door alone, whose words these fields are. At the other doors they are left out, which the record and the
//! answer's header tell.

use std::collections::HashMap;

use gauntlet_types::{Code, Dialect, Fault, Name};
use gauntlet_wire::{conversation, splice};
use serde::de::IgnoredAny;

use crate::call::{Call, Request};

/// Marks the names of what was left out of a call at another door.
pub(crate) const LEFT_OUT: &str = "prompt.";

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    let Request::Conversation(chat) = &call.request else { return Ok(()) };
    let Some(reference) = call.prompt_named() else { return Ok(()) };
    // A prompt that nobody knows is told of where it is rendered.
    let Ok((prompt, _)) = call.snapshot.prompts.resolve(&reference) else { return Ok(()) };
    if prompt.fields.is_empty() {
        return Ok(());
    }
    if chat.dialect != Dialect::Chat {
        let left_out: Vec<Name> =
            prompt.fields.names().map(|name| format!("{LEFT_OUT}{name}").into()).collect();
        if call.is_strict() {
            let message = format!(
                "prompt `{}@{}` brings {}, which this door cannot take, and `strict` wants all or nothing: call /v1/chat/completions",
                prompt.name,
                prompt.version,
                prompt.fields.names().collect::<Vec<_>>().join(", ")
            );
            return Err(Fault::caller(Code::PromptInvalid, message));
        }
        call.record.dropped.extend(left_out);
        return Ok(());
    }
    // The body was read, so that it is an object.
    let said: HashMap<String, IgnoredAny> = serde_json::from_slice(&call.body).unwrap_or_default();
    let missing = prompt.fields.missing(|name| said.contains_key(name));
    let Some(edit) = chat.with_fields(&missing) else { return Ok(()) };
    let body = splice(&call.body, vec![edit]);
    let asked = conversation::parse(Dialect::Chat, &body, &call.path).map_err(|bad| {
        let message = format!(
            "prompt `{}@{}` brings a field that does not fit this call: {}",
            prompt.name, prompt.version, bad.message
        );
        Fault::caller(Code::PromptInvalid, message)
    })?;
    call.prompt_fields = missing.keys().map(|name| name.as_str().into()).collect();
    call.record.injected.extend(call.prompt_fields.iter().cloned());
    call.body = body;
    call.request = Request::Conversation(Box::new(asked));
    Ok(())
}

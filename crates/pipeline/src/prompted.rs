//! What a call's prompt says of its body besides messages: put in before anything looks at the body, so that limits, guards,
//! budgets and the record see the call as it is sent.
//!
//! At the chat door alone, whose words these fields are. At the other doors they are left out, which the record and the
//! answer's header tell.

use std::collections::HashMap;

use gauntlet_places::near;
use gauntlet_types::{Code, Dialect, Fault, Name};
use gauntlet_wire::{
    conversation::{self, Conversation},
    extension::Form,
    splice,
};
use http::HeaderMap;
use serde::de::IgnoredAny;

use crate::call::{Call, Request};

/// Names the prompt of a call, before the body and the route.
pub(crate) const HEADER: &str = "x-gauntlet-prompt";
/// How a prompt is named, for messages.
const REFERENCE: &str = "write name, name@label or name@1.2.0";
/// Members of the body's `gauntlet` field that mean something.
const MEMBERS: [&str; 3] = ["documents", "prompt", "variables"];

/// Marks the names of what was left out of a call at another door.
pub(crate) const LEFT_OUT: &str = "prompt.";

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    let Request::Conversation(chat) = &call.request else { return Ok(()) };
    let named = call.prompt_named();
    header(&call.headers)?;
    // What an operator sends is what another call said, or a run of evals; it was looked at there.
    if call.operator.is_none() {
        members(chat, named.as_deref())?;
    }
    let Some(reference) = named else { return Ok(()) };
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

/// Whoever names a prompt means it: a name that cannot be read must not become a call without any.
fn header(headers: &HeaderMap) -> Result<(), Fault> {
    let Some(value) = headers.get(HEADER) else { return Ok(()) };
    let wrong = match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if text.trim().is_empty() => "is empty",
        Ok(_) => return Ok(()),
        Err(_) => "is not UTF-8",
    };
    Err(invalid(format!("header {HEADER} {wrong}; {REFERENCE}, or leave it out"), HEADER))
}

/// The same of the body's own field: a member that means nothing is a mistyped one, and variables belong to a prompt.
fn members(chat: &Conversation, named: Option<&str>) -> Result<(), Fault> {
    let Some(field) = &chat.gauntlet else { return Ok(()) };
    // `prompt` of the Responses API is OpenAI's, who may add to it.
    if field.form == Form::Gauntlet
        && let Some(unknown) = field.rest.keys().find(|name| !MEMBERS.contains(&name.as_str()))
    {
        let cure = near::cure(unknown, MEMBERS, "there are prompt, variables and documents");
        let shown: String = unknown.chars().take(64).collect();
        return Err(invalid(format!("`gauntlet` has no field `{shown}`: {cure}"), "gauntlet"));
    }
    if field.prompt.as_deref().is_some_and(|prompt| prompt.trim().is_empty()) {
        let message = format!("`gauntlet.prompt` is empty; {REFERENCE}, or leave it out");
        return Err(invalid(message, "gauntlet.prompt"));
    }
    if named.is_none() && !field.variables.is_empty() {
        let message = format!(
            "variables are given and no prompt is named: say which in `gauntlet.prompt`, in the header {HEADER}, \
             or in the route's `prompt`"
        );
        return Err(invalid(message, "gauntlet.variables"));
    }
    Ok(())
}

fn invalid(message: String, param: &'static str) -> Fault {
    Fault::caller(Code::PromptInvalid, message).param(param)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gauntlet_wire::conversation::PathAsk;
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_prompt_header_that_cannot_be_read_is_refused() {
        let check = |value: &[u8], wanted: Option<&str>| {
            let value = HeaderValue::from_bytes(value).unwrap();
            let fault = header(&[(http::HeaderName::from_static(HEADER), value)].into_iter().collect()).err();
            assert_eq!(fault.as_ref().map(|fault| fault.code), wanted.map(|_| Code::PromptInvalid));
            let message = fault.map(|fault| fault.message).unwrap_or_default();
            assert!(message.contains(wanted.unwrap_or_default()), "{message}");
        };
        check(b"desk@production", None);
        check("b\u{fc}ro".as_bytes(), None);
        check(b"desk\xff", Some("is not UTF-8"));
        check(b"", Some("is empty"));
        check(b"  ", Some("is empty"));
        assert!(header(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn variables_without_a_prompt_and_mistyped_fields_are_refused() {
        let check = |field: &str, named: Option<&str>, wanted: Option<&str>| {
            let body = format!(r#"{{"model":"m","messages":[],"gauntlet":{field}}}"#);
            let chat = conversation::parse(Dialect::Chat, &Bytes::from(body), &PathAsk::default()).unwrap();
            let fault = members(&chat, named).err();
            assert_eq!(
                fault.as_ref().map(|fault| fault.code),
                wanted.map(|_| Code::PromptInvalid),
                "{field}"
            );
            let message = fault.map(|fault| fault.message).unwrap_or_default();
            assert!(message.contains(wanted.unwrap_or_default()), "{message}");
        };
        check(r#"{"variables": {"a": 1}}"#, None, Some("no prompt is named"));
        check(r#"{"variables": {"a": 1}}"#, Some("desk"), None);
        check(r#"{"variables": {}}"#, None, None);
        check(r#"{"variabels": {"a": 1}}"#, Some("desk"), Some("did you mean `variables`?"));
        check(r#"{"zzz": 1}"#, Some("desk"), Some("there are prompt, variables and documents"));
        check(r#"{"prompt": " "}"#, Some("desk"), Some("`gauntlet.prompt` is empty"));
        check(r#"{"documents": ["kb-1"]}"#, None, None);
    }
}

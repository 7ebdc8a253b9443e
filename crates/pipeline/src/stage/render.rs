//! Puts the versioned prompt in: resolved, checked against its variables, rendered, and noted with its hash.

use std::sync::Arc;

use gauntlet_guard::{Found, Kinds, Rulebook, Scanner, Vault, Where};
use gauntlet_prompts::Prompt;
use gauntlet_types::{Code, Direction, Fault, GuardNote, Scope, Stage};
use gauntlet_wire::Edit;
use serde_json::{Map, Value};

use crate::{
    call::{Call, Request},
    text::{INJECTION, is_private},
};

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Render);
    let Request::Conversation(chat) = &call.request else { return Ok(()) };
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
    let Request::Conversation(chat) = &call.request else { return Ok(()) };
    let (edits, texts) = rendered(chat, &prompt, &variables, &call.body)?;
    if let Some(variables) = &for_record {
        call.record_prompt = rendered(chat, &prompt, variables, &call.body)?.0;
    }
    // What a replay needs: with these variables another version can be rendered in the place of these messages.
    call.record_edits.push(chat.with_noted(&serde_json::json!({
        "prompt": format!("{}@{}", prompt.name, prompt.version),
        "variables": for_record.as_ref().unwrap_or(&variables),
        "rendered_messages": texts.len(),
    })));
    call.edits.extend(edits);
    call.prompt_texts = texts;
    call.pinned = prompt.model.clone().filter(|_| !call.is_pin_ignored());
    Ok(())
}

/// Role and text.
type Messages = Vec<(&'static str, String)>;

fn rendered(
    chat: &gauntlet_wire::Conversation,
    prompt: &Prompt,
    variables: &Map<String, Value>,
    body: &bytes::Bytes,
) -> Result<(Vec<Edit>, Messages), Fault> {
    let rendered = prompt.render(variables)?;
    let messages: Vec<(&str, &str)> =
        rendered.messages.iter().map(|(role, text)| (*role, text.as_str())).collect();
    let edits = chat.with_prompt(body, &messages);
    Ok((edits, rendered.messages))
}

/// Variables are input too. What the rules replace is replaced before it is rendered; gives another set for the record
/// where that must hold less than what is sent.
///
/// Errors: a rule stops what stands in a variable.
fn clean(call: &mut Call, variables: &mut Map<String, Value>) -> Result<Option<Map<String, Value>>, Fault> {
    let mut for_record = variables.clone();
    let mut cleaner = Cleaner {
        scanner: Arc::clone(&call.shared().scanner),
        rules: call.rules[Direction::Input as usize].clone(),
        vault: &mut call.vault,
        notes: Vec::new(),
        is_private: false,
    };
    for (sent, kept) in variables.values_mut().zip(for_record.values_mut()) {
        cleaner.value(sent, kept);
    }
    let Cleaner { is_private, notes, .. } = cleaner;
    for note in &notes {
        if !note.shadow {
            call.record.decision = call.record.decision.max(note.action.into());
        }
    }
    let stopped =
        notes.iter().find(|note| !note.shadow && note.action.stops()).map(super::guard_input::stopped);
    call.record.guard.extend(notes);
    match stopped {
        Some(fault) => Err(fault),
        None => Ok(is_private.then_some(for_record)),
    }
}

struct Cleaner<'a> {
    scanner: Arc<Scanner>,
    rules: Rulebook,
    vault: &'a mut Vault,
    notes: Vec<GuardNote>,
    is_private: bool,
}

impl Cleaner<'_> {
    /// Cleans the texts of a value and of its like for the record, at any depth. Depth is bounded by the parser that read
    /// it.
    fn value(&mut self, sent: &mut Value, kept: &mut Value) {
        match (sent, kept) {
            (Value::String(sent), Value::String(kept)) => self.text(sent, kept),
            (Value::Array(sent), Value::Array(kept)) => {
                sent.iter_mut().zip(kept).for_each(|(sent, kept)| self.value(sent, kept));
            }
            (Value::Object(sent), Value::Object(kept)) => {
                sent.values_mut().zip(kept.values_mut()).for_each(|(sent, kept)| self.value(sent, kept));
            }
            _ => {}
        }
    }

    fn text(&mut self, sent: &mut String, kept: &mut String) {
        let mut findings = Vec::new();
        let injection = self.rules.has(INJECTION);
        self.scanner.scan(sent, Kinds { injection, ..Kinds::ALL }, &mut findings);
        if findings.is_empty() {
            return;
        }
        let place = Where::Other("a variable of the prompt");
        let found = Found { place, scope: Scope::User, text: sent, findings: findings.clone() };
        let decided = gauntlet_guard::decide(Direction::Input, &self.rules, &[found]);
        self.notes.extend(decided.notes);
        let actions = decided.actions.into_iter().next().unwrap_or_default();
        let mut replaced = String::with_capacity(sent.len());
        let mut done = 0;
        for (finding, action) in findings.iter().zip(&actions) {
            let (Some(action), Some(value)) = (action, sent.get(finding.span.clone())) else { continue };
            if is_private(finding) && action.replaces() && finding.span.start >= done {
                replaced.push_str(&sent[done..finding.span.start]);
                let words =
                    gauntlet_guard::replacement(finding, value, *action, &self.rules, Some(self.vault));
                replaced.push_str(&words);
                done = finding.span.end;
            }
        }
        replaced.push_str(&sent[done..]);
        let passes = |i: usize| actions.get(i) == Some(&None);
        let private: Vec<_> = findings
            .into_iter()
            .enumerate()
            .filter(|(i, finding)| is_private(finding) && !passes(*i))
            .map(|(_, finding)| finding)
            .collect();
        self.is_private |= !private.is_empty();
        *kept = gauntlet_guard::redact(sent, &private);
        *sent = replaced;
    }
}

//! Is the input safe: size, personal data, secrets, attempts at injection. Everything found is also kept out of the record.

use gauntlet_guard::Rules;
use gauntlet_types::{Action, Code, Decision, Direction, Fault, GuardNote, Stage};

use crate::{
    call::{Call, Request},
    text::{Scanned, action_for},
};

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::GuardInput);
    size(call)?;
    let rules = call.route.input.clone();
    let guards = [rules.pii, rules.secrets, rules.injection].iter().any(|action| *action != Action::Allow);
    // Neither a record nor the cache may hold what nobody has looked at.
    if !guards && !call.route.record_bodies && call.route.cache.is_none() {
        return Ok(());
    }
    let segments = match &call.request {
        Request::Chat(chat) => gauntlet_wire::openai::chat::segments(chat, &call.body),
        Request::Embeddings(embeddings) => {
            gauntlet_wire::openai::embeddings::segments(embeddings, &call.body)
        }
        Request::None => Vec::new(),
    };
    let scanner = call.shared().scanner.clone();
    keep_others_out(call);
    let input = Scanned::scan(&scanner, segments, &call.body, rules.injection != Action::Allow);
    if input.texts.iter().all(|(_, found)| found.is_empty()) {
        call.input = input;
        return Ok(());
    }
    let asked = Rules { pii: rules.pii, secrets: rules.secrets, injection: rules.injection, max_bytes: None };
    let (decision, notes) =
        gauntlet_guard::decide(Direction::Input, &asked, &input.found(&call.body), &call.shared().hash_key);
    call.record.decision = call.record.decision.max(decision);
    let blocked = notes.iter().find(|note| note.action == Action::Block).map(blocked);
    call.record.guard.extend(notes);
    let is_redacted = |action: Action| action == Action::Redact;
    call.edits.extend(
        input.redactions(&call.body, |finding| is_redacted(action_for(finding, rules.pii, rules.secrets))),
    );
    call.record_edits.extend(
        input.redactions(&call.body, |finding| !is_redacted(action_for(finding, rules.pii, rules.secrets))),
    );
    call.input = input;
    match blocked {
        Some(fault) if decision == Decision::Block => Err(fault),
        _ => Ok(()),
    }
}

/// `user`, `metadata` and unknown fields travel as they are, and are kept redacted.
fn keep_others_out(call: &mut Call) {
    call.is_scanned = true;
    if !call.route.record_bodies {
        return;
    }
    let others = match &call.request {
        Request::Chat(chat) => gauntlet_wire::openai::chat::other_segments(chat, &call.body),
        Request::Embeddings(embeddings) => {
            gauntlet_wire::openai::embeddings::other_segments(embeddings, &call.body)
        }
        Request::None => Vec::new(),
    };
    let found = Scanned::scan(&call.shared().scanner, others, &call.body, false);
    call.record_edits.extend(found.redactions(&call.body, |_| true));
}

fn size(call: &Call) -> Result<(), Fault> {
    match call.route.input.size_max {
        Some(limit) if call.body.len() > limit => {
            let message = format!(
                "the request is {} bytes long; route `{}` takes at most {limit}",
                call.body.len(),
                call.route.name
            );
            Err(Fault::policy(Code::RequestTooLarge, message))
        }
        _ => Ok(()),
    }
}

/// Says what was found and where, never the text itself.
fn blocked(note: &GuardNote) -> Fault {
    let message = format!("the input was stopped by a guardrail: {} ({})", note.label, note.reason);
    let detail = serde_json::json!({"guard": {"kind": note.kind, "type": note.label, "count": note.count}});
    Fault::policy(Code::GuardrailBlocked, message).detail(detail)
}

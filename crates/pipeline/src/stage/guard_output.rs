//! Is the answer safe: personal data, secrets, the shape that the route asks for. A stream is guarded as it flows, with
//! a bounded hold-back; only a schema needs the whole of it.

use std::sync::Arc;

use bytes::Bytes;
use gauntlet_guard::Rules;
use gauntlet_policy::config::{OnInvalid, OutputRules};
use gauntlet_types::{Action, Code, Decision, Direction, Fault, Finish, GuardNote, Outcome, Stage};
use gauntlet_wire::{Segment, openai::answer, splice};

use crate::{
    call::{Call, Passed, Whole},
    live::Live,
    stage::attempt::{Answered, canned},
    text::{Scanned, action_for},
};

/// What became of an answer.
pub(crate) enum Guarded {
    Passed(Passed),
    /// It does not fit, and the route wants the next target asked.
    Again,
}

pub(crate) async fn run(call: &mut Call, answered: Answered) -> Result<Guarded, Fault> {
    call.enter(Stage::GuardOutput);
    match answered {
        Answered::Canned(whole) => Ok(Guarded::Passed(Passed::Whole(whole))),
        Answered::Plain { body, texts } => plain(call, body, texts),
        Answered::Live(live) if call.route.output.schema.is_some() => checked_stream(call, live).await,
        Answered::Live(live) => Ok(Guarded::Passed(Passed::Live(live))),
    }
}

fn plain(call: &mut Call, body: Bytes, texts: Vec<Segment>) -> Result<Guarded, Fault> {
    if let Some(why) = misfit(call, &texts, &body)
        && let Some(guarded) = invalid(call, why)?
    {
        note_output(call, &body, texts);
        return Ok(guarded);
    }
    let (scanned, decision) = note_output(call, &body, texts);
    if decision == Decision::Block {
        return blocked(call);
    }
    let rules = call.route.output.clone();
    let edits =
        scanned.redactions(&body, |finding| action_for(finding, rules.pii, rules.secrets) == Action::Redact);
    Ok(Guarded::Passed(Passed::Whole(Whole::json(splice(&body, edits)))))
}

/// Scans an answer, notes what was found, and keeps the redacted text for the record.
pub(crate) fn note_output(call: &mut Call, body: &Bytes, texts: Vec<Segment>) -> (Scanned, Decision) {
    let rules = &call.route.output;
    let asked = Rules { pii: rules.pii, secrets: rules.secrets, injection: Action::Allow, max_bytes: None };
    let guards = asked.pii != Action::Allow || asked.secrets != Action::Allow;
    if (!guards && !call.route.record_bodies) || texts.is_empty() {
        if call.output.is_empty() {
            call.output = body.clone();
        }
        return (Scanned::default(), Decision::Allow);
    }
    let scanner = call.shared().scanner.clone();
    let scanned = Scanned::scan(&scanner, texts, body, false);
    let mut decision = Decision::Allow;
    if !scanned.is_clean() {
        let (decided, notes) =
            gauntlet_guard::decide(Direction::Output, &asked, &scanned.found(body), &call.shared().hash_key);
        decision = decided;
        call.record.decision = call.record.decision.max(decided);
        call.record.guard.extend(notes);
    }
    call.output = splice(body, scanned.redactions(body, |_| true));
    (scanned, decision)
}

/// Why the answer's text does not fit the route's schema; none if it does, or none is asked.
fn misfit(call: &Call, texts: &[Segment], body: &Bytes) -> Option<String> {
    let schema = call.route.output.schema.as_ref()?;
    // An answer that calls tools has no text to hold to a schema.
    let content =
        texts.iter().find(|segment| matches!(segment.place, gauntlet_wire::Place::AnswerContent { .. }))?;
    let errors = call.snapshot.schemas.get(&schema.path)?.check(content.as_str(body)).err()?;
    Some(errors.join("; "))
}

/// Notes a misfit and says what to do: none lets it pass.
fn invalid(call: &mut Call, why: String) -> Result<Option<Guarded>, Fault> {
    let OutputRules { schema, on_invalid, .. } = call.route.output.clone();
    let path = schema.map(|schema| schema.path.to_string()).unwrap_or_default();
    let action = if on_invalid == OnInvalid::Flag { Action::Flag } else { Action::Block };
    call.record.decision = call.record.decision.max(action.into());
    call.record.guard.push(GuardNote {
        direction: Direction::Output,
        kind: "schema".into(),
        label: path.as_str().into(),
        action,
        count: 1,
        score: 1.0,
        reason: why.clone(),
        value_hash: None,
    });
    match on_invalid {
        OnInvalid::Flag => Ok(None),
        OnInvalid::Fallback => {
            call.abandon_answer();
            Ok(Some(Guarded::Again))
        }
        OnInvalid::Block => {
            let message = format!("the model's answer does not fit schema `{path}`: {why}");
            Err(Fault::provider(Code::OutputInvalid, message))
        }
    }
}

/// The operator's fallback in place of an answer that may not be shown.
fn blocked(call: &mut Call) -> Result<Guarded, Fault> {
    let Some(text) = call.route.fallback.clone() else {
        let notes = call.record.guard.iter().filter(|note| note.action == Action::Block);
        let what: Vec<&str> = notes.map(|note| note.label.as_str()).collect();
        let message = format!("the answer was stopped by a guardrail: {}", what.join(", "));
        return Err(Fault::policy(Code::GuardrailBlocked, message));
    };
    call.record.outcome = Outcome::Blocked;
    call.record.error = Some(Code::GuardrailBlocked);
    let output = std::mem::take(&mut call.output);
    let whole = canned(call, &text, Finish::ContentFilter);
    // The record shows what the model said (redacted); what the caller got is the route's own text.
    call.output = output;
    Ok(Guarded::Passed(Passed::Whole(whole)))
}

/// A schema can only be held against the whole answer: the stream is read to its end, then let go in one piece.
async fn checked_stream(call: &mut Call, mut live: Box<Live>) -> Result<Guarded, Fault> {
    let mut frames = Vec::new();
    if let Err(stop) = live.collect(call, &mut frames).await {
        // The caller has seen nothing of it, so the next target may still answer.
        call.note_broken(&stop);
        call.end_last_attempt();
        call.abandon_answer();
        return Ok(Guarded::Again);
    }
    let message = call.assembler.message_json();
    let texts = texts_of(&message);
    if let Some(why) = misfit(call, &texts, &message)
        && let Some(guarded) = invalid(call, why)?
    {
        note_output(call, &message, texts);
        return Ok(guarded);
    }
    let (scanned, decision) = note_output(call, &message, texts);
    if decision == Decision::Block {
        return blocked(call);
    }
    let rules = call.route.output.clone();
    let wants =
        |finding: &gauntlet_types::Finding| action_for(finding, rules.pii, rules.secrets) == Action::Redact;
    if scanned.redactions(&message, wants).is_empty() {
        return Ok(Guarded::Passed(Passed::Whole(Whole::events(frames.concat().into()))));
    }
    // Redacted text cannot be put back into frames that are already cut: one frame carries it.
    let text = scanned.texts.first().map(|(segment, found)| {
        let picked: Vec<_> = found.iter().filter(|finding| wants(finding)).cloned().collect();
        gauntlet_guard::redact(segment.as_str(&message), &picked)
    });
    let output = std::mem::take(&mut call.output);
    let finish = call.record.finish.unwrap_or(Finish::Stop);
    let whole = canned(call, &text.unwrap_or_default(), finish);
    call.output = output;
    Ok(Guarded::Passed(Passed::Whole(whole)))
}

/// The texts of an answer that we put together ourselves, and can therefore read.
pub(crate) fn texts_of(message: &Bytes) -> Vec<Segment> {
    let read = answer::read_plain(message).map(|read| read.texts).unwrap_or_default();
    read.into_iter().map(|text| text.segment).collect()
}

/// What a stream must be held back for: the kinds that are changed or stopped. None when it may pass untouched.
pub(crate) fn stream_kinds(rules: &OutputRules) -> Option<gauntlet_guard::Kinds> {
    let acts = |action: Action| matches!(action, Action::Redact | Action::Block);
    let kinds =
        gauntlet_guard::Kinds { pii: acts(rules.pii), secrets: acts(rules.secrets), injection: false };
    (kinds.pii || kinds.secrets).then_some(kinds)
}

/// Shared by all streams.
pub(crate) fn redactor(call: &Call) -> Option<gauntlet_guard::StreamRedactor> {
    let kinds = stream_kinds(&call.route.output)?;
    Some(gauntlet_guard::StreamRedactor::new(Arc::clone(&call.shared().scanner), kinds))
}

//! Is the input safe: size, personal data, secrets, attempts at injection. Everything found is also kept out of the record.

use gauntlet_guard::Extras;
use gauntlet_types::{
    Action, Code, Decision, Direction, Fault, Finish, GuardNote, Name, Outcome, Scope, Stage,
};

use crate::{
    call::{Call, Passed},
    judge::{self, JUDGE},
    stage::attempt::canned,
    tagged::{self, CLASSIFIER, NAMES},
    text::{INJECTION, OutOfTime, Scanned},
};

/// The kinds that one scan of the texts finds.
const SCANNED: [&str; 4] = ["pii", "secrets", INJECTION, "toxicity"];
/// Those that models in this process find.
const TAGGED: [&str; 2] = [NAMES, CLASSIFIER];

/// Gives an answer where a stopped call has the route's own words in place of an error.
pub(crate) async fn run(call: &mut Call) -> Result<Option<Passed>, Fault> {
    let fault = match look(call).await {
        Ok(()) => return Ok(None),
        Err(fault) => fault,
    };
    // The route's words are those of a conversation.
    let wants_words = call.request.conversation().is_some()
        && call.chain.levels().iter().any(|level| level.rules.answers_blocked);
    match call.route.fallback.clone() {
        Some(text) if wants_words && fault.code == Code::GuardrailBlocked => {
            call.record.outcome = Outcome::Blocked;
            call.record.error = Some(Code::GuardrailBlocked);
            Ok(Some(Passed::Whole(canned(call, &text, Finish::ContentFilter))))
        }
        _ => Err(fault),
    }
}

async fn look(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::GuardInput);
    size(call)?;
    let rules = call.rules[Direction::Input as usize].clone();
    let guards = call.asks_anything();
    // Neither a record nor the cache may hold what nobody has looked at.
    if !guards && !call.route.record_bodies && call.route.cache.is_none() {
        return Ok(());
    }
    let segments = call.request.segments(&call.body);
    let scanner = call.shared().scanner.clone();
    let extras = call.extras(Direction::Input);
    let since = call.elapsed_us();
    let limit = call.policy().config().guards.scan_time;
    let is_late = || u128::from(call.elapsed_us() - since) > limit.as_micros();
    let injection = rules.has(INJECTION).then_some(&rules);
    let mut input = match Scanned::scan(&scanner, segments, &call.body, injection, &extras, is_late) {
        Ok(input) => input,
        Err(late) => return out_of_time(call, late, since),
    };
    keep_others_out(call);
    let tagged = tagged::look(call, Direction::Input, &input, &call.body).await;
    for (kind, why) in &tagged.failed {
        call.note_failed(Direction::Input, kind, why, 0);
    }
    // What nobody has looked at for names is not kept, whether or not it passes.
    call.is_unseen |= tagged.failed.iter().any(|(kind, _)| *kind == NAMES);
    if let Some((kind, why)) = tagged::closes(call, Direction::Input, &tagged) {
        return Err(not_seen(call, "input", kind, &why));
    }
    input.add(tagged.found);
    let decided = input.decide(&call.body, Direction::Input, &rules);
    call.note_runs(Direction::Input, &SCANNED, &decided, input.scopes(), since);
    call.note_runs(Direction::Input, &TAGGED, &decided, input.scopes(), since);
    call.record.decision = call.record.decision.max(decided.decision);
    let stopped = decided.notes.iter().find(|note| !note.shadow && note.action.stops()).map(stopped);
    call.record.guard.extend(decided.notes);
    if !input.is_empty() {
        let edits = input.for_traffic(&call.body, &rules, Some(&mut call.vault));
        call.masks.extend(edits);
        call.record_edits.extend(input.for_record(&call.body));
    }
    call.input = input;
    call.dress();
    if let Some(to) = decided.reroute {
        call.reroute = Some(to);
    }
    match stopped {
        Some(fault) if decided.decision == Decision::Block => Err(fault),
        _ => judge(call).await,
    }
}

/// Asks the judges about what was said since the last answer, redacted; those that need not be waited for are heard before
/// the answer goes out.
async fn judge(call: &mut Call) -> Result<(), Fault> {
    if !call.rules[Direction::Input as usize].has(JUDGE) {
        return Ok(());
    }
    let mut asked = Vec::new();
    for scope in [Scope::User, Scope::ToolResult] {
        let text = call.input.latest(&call.body, scope);
        asked.extend(judge::ask(call, Direction::Input, scope, &text));
    }
    let (now, alongside) = judge::apart(asked);
    call.judging = alongside;
    heed(call, now).await
}

/// Does what judges of the input want.
pub(crate) async fn heed(call: &mut Call, asked: Vec<judge::Asked>) -> Result<(), Fault> {
    match judge::hear(call, Direction::Input, asked).await? {
        Some(note) if note.action.stops() => Err(stopped(&note)),
        Some(note) if note.action == Action::Reroute => {
            let voice = call.rules[Direction::Input as usize]
                .of(JUDGE)
                .find(|voice| Some(&voice.level) == note.rule.as_ref());
            call.reroute = Some(voice.and_then(|voice| voice.rule.to.clone()));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Nothing is known of what was not looked at: the record gets none of it, and a rule that fails closed stops the call.
fn out_of_time(call: &mut Call, late: OutOfTime, since: u32) -> Result<(), Fault> {
    let rules = call.rules[Direction::Input as usize].clone();
    let OutOfTime { looked, of } = late;
    let reason = format!("out of time after {looked} of {of} texts (`guardrails: scan_time`)");
    call.is_unseen = true;
    let took = call.elapsed_us() - since;
    for kind in SCANNED.into_iter().filter(|kind| rules.has(kind)) {
        call.note_failed(Direction::Input, kind, &reason, took);
    }
    match SCANNED.into_iter().find(|kind| rules.is_closed(kind)) {
        None => Ok(()),
        Some(kind) => Err(not_seen(call, "input", kind, &reason)),
    }
}

/// A guard that could not look stops the call, under a rule that fails closed.
pub(crate) fn not_seen(call: &mut Call, what: &str, kind: &str, why: &str) -> Fault {
    call.record.decision = Decision::Block;
    let message = format!("guardrail `{kind}` could not look at the whole {what}: {why}");
    let detail = serde_json::json!({"guard": {"kind": kind, "type": "not_run"}});
    Fault::policy(Code::GuardrailBlocked, message).detail(detail)
}

/// `user`, `metadata` and unknown fields travel as they are, and are kept redacted.
fn keep_others_out(call: &mut Call) {
    call.is_scanned = true;
    if !call.route.record_bodies {
        return;
    }
    let others = call.request.other_segments(&call.body);
    if let Ok(found) =
        Scanned::scan(&call.shared().scanner, others, &call.body, None, &Extras::default(), || false)
    {
        call.record_edits.extend(found.for_record(&call.body));
    }
}

fn size(call: &Call) -> Result<(), Fault> {
    match call.chain.size_max() {
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
pub(crate) fn stopped(note: &GuardNote) -> Fault {
    let direction = if note.direction == Direction::Input { "input" } else { "answer" };
    let (what, cure) = match note.action {
        Action::Review => ("is held for review", "; once a person lets it pass, send it again"),
        _ => ("was stopped by a guardrail", ""),
    };
    let message = format!("the {direction} {what}: {} ({}){cure}", note.label, note.reason);
    let rule = note.rule.as_ref().map(Name::as_str);
    let detail = serde_json::json!({"guard": {
        "kind": note.kind, "type": note.label, "count": note.count, "action": note.action, "rule": rule,
    }});
    Fault::policy(Code::GuardrailBlocked, message).detail(detail)
}

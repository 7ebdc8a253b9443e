//! Is the answer safe: personal data, secrets, the shape that policy asks for. A stream is guarded as it flows, with a
//! bounded hold-back; only what needs the whole of it (a shape, another try) holds all of it.

use bytes::Bytes;
use gauntlet_types::{
    Action, Code, Decision, Dialect, Direction, Event, Fault, Finish, Outcome, Scope, Stage,
};
use gauntlet_wire::{
    Edit, Segment,
    answer::{SealAt, read_plain},
    openai::answer,
    seal, splice, translate,
};

use crate::{
    call::{Call, Passed, Request, Whole},
    checks::{self, SCHEMA, Wrong},
    filter,
    judge::{self, JUDGE},
    live::Live,
    stage::{
        attempt::{Answered, canned},
        guard_input::{self, stopped},
    },
    tagged,
    text::{INJECTION, Scanned},
};

/// The kinds that one scan of the texts finds.
const SCANNED: [&str; 9] = [
    "pii",
    "secrets",
    INJECTION,
    "links",
    "exfiltration",
    "canary",
    "toxicity",
    tagged::NAMES,
    tagged::CLASSIFIER,
];
/// The kinds of which anything that is done is done to all of an answer.
const WHOLE: [&str; 5] = ["schema", "contract", "citations", "refusal", INJECTION];

/// How often an answer is asked for again: a model that has failed twice at a task fails at it.
const REASK_MAX: u32 = 2;
/// What was wrong, as a model is told it.
const COMPLAINT_MAX: usize = 2000;

/// What became of an answer.
pub(crate) enum Guarded {
    Passed(Passed),
    /// It does not fit, and is asked for again: of the next target, or with what was wrong.
    Again,
}

pub(crate) async fn run(call: &mut Call, answered: Answered) -> Result<Guarded, Fault> {
    call.enter(Stage::GuardOutput);
    let judging = std::mem::take(&mut call.judging);
    // Where they say no, the answer was made and is paid for, and nobody sees it.
    guard_input::heed(call, judging).await?;
    match answered {
        Answered::Canned(whole) => Ok(Guarded::Passed(Passed::Whole(whole))),
        Answered::Plain { body, texts, seals } => whole(call, body, texts, seals, None).await,
        Answered::Passed { whole: answer, texts } => match passed(call, answer, texts).await? {
            Guarded::Passed(Passed::Whole(guarded)) => {
                let body = call.own_of_list(guarded.body).await?;
                Ok(Guarded::Passed(Passed::Whole(Whole { body, ..guarded })))
            }
            other => Ok(other),
        },
        Answered::Live(live) if needs_whole(call) => held_stream(call, live).await,
        Answered::Live(live) => Ok(Guarded::Passed(Passed::Live(live))),
    }
}

/// Whether anything may be done to a stream that can only be done to all of it.
fn needs_whole(call: &Call) -> bool {
    let rules = &call.rules[Direction::Output as usize];
    let asks_again = |kind: &str| {
        rules.of(kind).any(|voice| {
            let most = voice.rule.most();
            matches!(most, Action::Repair | Action::Reask | Action::Reroute) && !voice.rule.shadow
        })
    };
    WHOLE.iter().any(|kind| rules.most(kind) > Action::Flag)
        || rules.has(JUDGE)
        || tagged::is_asked(call, Direction::Output)
        || rules.kinds().iter().any(|kind| asks_again(kind))
}

/// A whole answer; `frames` are those of the stream that it came as.
async fn whole(
    call: &mut Call,
    mut body: Bytes,
    mut texts: Vec<Segment>,
    mut seals: Vec<SealAt>,
    frames: Option<Vec<Bytes>>,
) -> Result<Guarded, Fault> {
    // A stream that was put together is in chat's words, whoever asked.
    let form = if frames.is_some() { Dialect::Chat } else { call.dialect() };
    let mut wrongs = checks::of_words(call, &texts, &body);
    let mut is_mended = false;
    if wrongs.iter().map(|wrong| wrong.action).max() == Some(Action::Repair)
        && let Some(mended) = checks::mended(call, &texts, &body)
    {
        (is_mended, body) = (true, mended);
        (texts, seals) = (texts_of(form, &body), Vec::new());
        wrongs = checks::of_words(call, &texts, &body);
    }
    wrongs.extend(checks::of_calls(call));
    let first = call.record.guard.len();
    let scanned = note_tagged(call, &body, texts).await?;
    let rules = call.rules[Direction::Output as usize].clone();
    wrongs.extend(content(call, first));
    wrongs.extend(judged(call, &scanned, &body).await?);
    let worst = wrongs.into_iter().max_by_key(|wrong| wrong.action);
    if let Some(wrong) = worst.filter(|wrong| wrong.action > Action::Redact)
        && let Some(guarded) = handle(call, wrong).await?
    {
        return Ok(guarded);
    }
    let mut edits = scanned.for_traffic(&body, &rules, None);
    edits.extend(voided(form, &edits, &seals));
    if edits.is_empty() && call.vault.is_empty() && !is_mended {
        return Ok(Guarded::Passed(Passed::Whole(match frames {
            Some(frames) => Whole::events(frames.concat().into()),
            None => Whole::json(body),
        })));
    }
    let body = restored(call, form, splice(&body, edits));
    Ok(Guarded::Passed(Passed::Whole(match frames {
        // Words that are changed cannot be put back into frames that are already cut.
        Some(frames) => Whole::events(reframed(call, &body, frames.first())),
        None => Whole::json(body),
    })))
}

/// The answer to a request that was passed through: its texts are guarded, its bytes are not read.
async fn passed(call: &mut Call, answer: Whole, texts: Vec<Segment>) -> Result<Guarded, Fault> {
    let Whole { body, content_type } = answer;
    if texts.is_empty() {
        // Sounds and files are no words: the record says how much there was.
        let note = serde_json::json!({"bytes": body.len(), "type": content_type.to_str().unwrap_or("")});
        call.output = note.to_string().into();
        return Ok(Guarded::Passed(Passed::Whole(Whole { body, content_type })));
    }
    Ok(match whole(call, body, texts, Vec::new(), None).await? {
        Guarded::Passed(Passed::Whole(guarded)) => {
            Guarded::Passed(Passed::Whole(Whole { content_type, ..guarded }))
        }
        other => other,
    })
}

/// What the scan found that is more than a span to replace: the worst of the notes from the one numbered `first`.
fn content(call: &Call, first: usize) -> Option<Wrong> {
    let notes = call.record.guard[first..].iter().filter(|note| !note.shadow);
    let note = notes.max_by_key(|note| note.action)?;
    let rules = &call.rules[Direction::Output as usize];
    let voice = rules.of(&note.kind).find(|voice| Some(&voice.level) == note.rule.as_ref());
    Some(Wrong {
        kind: "content",
        action: note.action,
        or_else: voice.map_or(Action::Block, |voice| voice.rule.or_else),
        reroute: voice.and_then(|voice| voice.rule.to.clone()),
        complaint: format!("it contains {} ({})", note.label, note.kind),
    })
}

/// What judges say of an answer.
async fn judged(call: &mut Call, scanned: &Scanned, body: &Bytes) -> Result<Option<Wrong>, Fault> {
    let text = scanned.latest(body, Scope::Assistant);
    let asked = judge::ask(call, Direction::Output, Scope::Assistant, &text);
    let Some(note) = judge::hear(call, Direction::Output, asked).await? else { return Ok(None) };
    let rules = &call.rules[Direction::Output as usize];
    let voice = rules.of(JUDGE).find(|voice| Some(&voice.level) == note.rule.as_ref());
    Ok(Some(Wrong {
        kind: JUDGE,
        action: note.action,
        or_else: voice.map_or(Action::Block, |voice| voice.rule.or_else),
        reroute: voice.and_then(|voice| voice.rule.to.clone()),
        complaint: format!("a judge holds it to be {}", note.label),
    }))
}

/// Does what policy wants about a wrong answer; none lets it pass.
async fn handle(call: &mut Call, wrong: Wrong) -> Result<Option<Guarded>, Fault> {
    let Wrong { kind, action, or_else, reroute, complaint } = wrong;
    let asks = action == Action::Reask || (action == Action::Repair && or_else == Action::Reask);
    if asks && call.reasked < REASK_MAX && ask_again(call, &complaint).await {
        return Ok(Some(Guarded::Again));
    }
    // What cannot be asked for again or mended, and what policy wants then.
    let action = match (action, or_else) {
        (Action::Reask | Action::Repair, Action::Reask | Action::Repair) => Action::Block,
        (Action::Reask | Action::Repair, or_else) => or_else,
        (action, _) => action,
    };
    match action {
        Action::Reroute => {
            if let Some(model) = reroute {
                turn_to(call, &model).await?;
            }
            call.abandon_answer().await;
            call.current += 1;
            Ok(Some(Guarded::Again))
        }
        Action::Allow
        | Action::Log
        | Action::Flag
        | Action::Tokenize
        | Action::Mask
        | Action::Hash
        | Action::Redact => Ok(None),
        Action::Reask | Action::Repair | Action::Review | Action::Block => {
            blocked(call, kind, &complaint).map(Some)
        }
    }
}

/// The targets of another model stand behind those of the plan, once.
async fn turn_to(call: &mut Call, model: &str) -> Result<(), Fault> {
    let more = call.targets_of(model).await?;
    let known: Vec<_> = call.plan.iter().map(|planned| planned.target.clone()).collect();
    call.plan.truncate(call.current + 1);
    call.plan.extend(more.into_iter().filter(|planned| !known.contains(&planned.target)));
    Ok(())
}

/// Puts what was wrong behind the conversation, for the same target. Says no where there is no conversation.
async fn ask_again(call: &mut Call, complaint: &str) -> bool {
    let Request::Conversation(chat) = &call.request else { return false };
    let answer: String = call.assembler.text(0).chars().take(COMPLAINT_MAX).collect();
    let complaint: String = complaint.chars().take(COMPLAINT_MAX).collect();
    let asked = format!("Your answer cannot be used: {complaint}. Answer again, and mend exactly that.");
    let Some(edit) = chat.with_more(&call.body, &[("assistant", &answer), ("user", &asked)]) else {
        return false;
    };
    // The one before it is in the way: both go behind the last message.
    call.edits.retain(|other| other.range != edit.range);
    call.edits.push(edit);
    call.reasked += 1;
    call.abandon_answer().await;
    true
}

/// The same with what models in this process find, for answers that are there whole.
async fn note_tagged(call: &mut Call, body: &Bytes, texts: Vec<Segment>) -> Result<Scanned, Fault> {
    if !tagged::is_asked(call, Direction::Output) {
        return Ok(note_output(call, body, texts));
    }
    let unscanned = Scanned::of(texts.clone());
    let tagged = tagged::look(call, Direction::Output, &unscanned, body).await;
    for (kind, why) in &tagged.failed {
        call.note_failed(Direction::Output, kind, why, 0);
    }
    if let Some((kind, why)) = tagged::closes(call, Direction::Output, &tagged) {
        return Err(guard_input::not_seen(call, "answer", kind, &why));
    }
    call.tagged = tagged.found;
    let scanned = note_output(call, body, texts);
    if tagged.failed.iter().any(|(kind, _)| *kind == tagged::NAMES) {
        // What nobody has looked at for names is not kept, whether or not it passes.
        call.output = Bytes::new();
    }
    Ok(scanned)
}

/// Scans an answer, notes what was found, and keeps the redacted text for the record.
pub(crate) fn note_output(call: &mut Call, body: &Bytes, texts: Vec<Segment>) -> Scanned {
    let rules = call.rules[Direction::Output as usize].clone();
    let guards = SCANNED.iter().any(|kind| rules.has(kind)) || rules.has(JUDGE);
    if (!guards && !call.route.record_bodies) || texts.is_empty() {
        if call.output.is_empty() {
            call.output = body.clone();
        }
        return Scanned::default();
    }
    let since = call.elapsed_us();
    let scanner = call.shared().scanner.clone();
    let injection = rules.has(INJECTION).then_some(&rules);
    // Never late: an answer is as long as its tokens, and what is not looked at could not be kept.
    let extras = call.extras(Direction::Output);
    let Ok(mut scanned) = Scanned::scan(&scanner, texts, body, injection, &extras, || false) else {
        return Scanned::default();
    };
    scanned.add(std::mem::take(&mut call.tagged));
    let decided = scanned.decide(body, Direction::Output, &rules);
    // Without a planted word there was nothing to look for.
    let looked = |kind: &&&str| **kind != "canary" || call.canary.is_some();
    let kinds: Vec<&'static str> = SCANNED.iter().filter(looked).copied().collect();
    call.note_runs(Direction::Output, &kinds, &decided, scanned.scopes(), since);
    call.record.decision = call.record.decision.max(decided.decision);
    call.record.guard.extend(decided.notes);
    call.output = splice(body, scanned.for_record(body));
    scanned
}

/// The operator's fallback in place of an answer that may not be shown.
fn blocked(call: &mut Call, kind: &str, complaint: &str) -> Result<Guarded, Fault> {
    call.record.decision = Decision::Block;
    let Some(text) = call.route.fallback.clone() else {
        let mut notes = call.record.guard.iter().rev().filter(|note| !note.shadow);
        return Err(match notes.find(|note| note.direction == Direction::Output && note.action.stops()) {
            Some(note) if kind != SCHEMA => stopped(note),
            _ => Fault::provider(
                Code::OutputInvalid,
                format!("the model's answer cannot be used: {complaint}"),
            ),
        });
    };
    call.record.outcome = Outcome::Blocked;
    call.record.error = Some(Code::GuardrailBlocked);
    let output = std::mem::take(&mut call.output);
    let whole = canned(call, &text, Finish::ContentFilter);
    // The record shows what the model said (redacted); what the caller got is the route's own text.
    call.output = output;
    Ok(Guarded::Passed(Passed::Whole(whole)))
}

/// What needs the whole answer gets it: the stream is read to its end, then let go in one piece.
async fn held_stream(call: &mut Call, mut live: Box<Live>) -> Result<Guarded, Fault> {
    let mut frames = Vec::new();
    if let Err(stop) = live.collect(call, &mut frames).await {
        // The caller has seen nothing of it, so the next target may still answer.
        call.note_broken(&stop);
        call.end_last_attempt();
        call.abandon_answer().await;
        call.current += 1;
        return Ok(Guarded::Again);
    }
    let message = call.assembler.message_json();
    let texts = texts_of(Dialect::Chat, &message);
    whole(call, message, texts, Vec::new(), Some(frames)).await
}

/// Tokens become values again, in words and in the arguments of tools.
fn restored(call: &Call, form: Dialect, body: Bytes) -> Bytes {
    if call.vault.is_empty() {
        return body;
    }
    let Ok(read) = read_plain(form, &body) else { return body };
    let mut edits: Vec<_> = read
        .texts
        .iter()
        .filter_map(|text| {
            let segment = &text.segment;
            let text = segment.as_str(&body);
            let shown = call.vault.restore(text, filter::as_written(segment.scope()));
            (shown != text).then(|| segment.replaced(&shown))
        })
        .collect();
    edits.extend(voided(form, &edits, &read.seals));
    splice(&body, edits)
}

/// Seals of texts that are changed hold no longer.
fn voided(form: Dialect, edits: &[Edit], seals: &[SealAt]) -> Vec<Edit> {
    let is_changed = |sealed: &&SealAt| {
        edits.iter().any(|edit| edit.range.start < sealed.text.end && sealed.text.start < edit.range.end)
    };
    let mut voided: Vec<Edit> = Vec::new();
    for sealed in seals.iter().filter(is_changed) {
        // One seal may hold for several texts.
        if !voided.iter().any(|edit| edit.range == sealed.raw) {
            voided.push(Edit::new(sealed.raw.clone(), seal::void(form)));
        }
    }
    voided
}

/// An answer that was put together as a stream again.
fn reframed(call: &Call, body: &Bytes, like: Option<&Bytes>) -> Bytes {
    let dialect = call.dialect();
    if dialect != Dialect::Chat {
        let mut events = read_plain(Dialect::Chat, body).map(|read| read.events).unwrap_or_default();
        events.retain(|event| !matches!(event, Event::Usage(_)));
        events.extend(call.usage.map(Event::Usage));
        return translate::stream(dialect, &call.head(), &events).concat().into();
    }
    let like = like.map(|frame| gauntlet_wire::sse::Frame::parse(frame.clone()));
    let like = like.and_then(|frame| frame.data_bytes()).unwrap_or_default();
    let asked = call.request.conversation().is_some_and(|chat| chat.include_usage);
    let usage = call.usage.filter(|_| asked);
    answer::stream_of_answer(&like, body, usage.as_ref()).concat().into()
}

/// The texts of an answer that we put together ourselves, and can therefore read.
pub(crate) fn texts_of(form: Dialect, message: &Bytes) -> Vec<Segment> {
    let read = read_plain(form, message).map(|read| read.texts).unwrap_or_default();
    read.into_iter().map(|text| text.segment).collect()
}

//! What policy asks of a whole answer: its shape, what it must say and may cite, whether it refuses or tells its prompt, which
//! tools it calls and with whose words. Each check is a pure function of `guard`; here it gets its texts, and what it
//! finds becomes notes, proof and a verdict.

use bytes::Bytes;
use gauntlet_guard::{LeakWatch, Misfit, Source, Taint};
use gauntlet_policy::guard::Level;
use gauntlet_types::{Action, Direction, Finding, GuardNote, GuardRun, Name, RunOutcome, Scope, Voice};
use gauntlet_wire::{Kind, Place, Segment, splice};

use crate::{call::Call, filter, text::Scanned};

pub(crate) const SCHEMA: &str = "schema";
const CONTRACT: &str = "contract";
const CITATIONS: &str = "citations";
const REFUSAL: &str = "refusal";
pub(crate) const LEAK: &str = "leak";
const TOOLS: &str = "tools";
const TAINT: &str = "taint";

/// Checks of what an answer says.
const OF_WORDS: [&str; 5] = [SCHEMA, CONTRACT, CITATIONS, REFUSAL, LEAK];
/// Checks of the calls of tools in it.
pub(crate) const OF_CALLS: [&str; 2] = [TOOLS, TAINT];

/// Notes of one check of one answer; the rest is counted.
const NOTES_MAX: usize = 8;

/// What is wrong with an answer, and what policy wants done about it.
pub(crate) struct Wrong {
    pub(crate) kind: &'static str,
    pub(crate) action: Action,
    pub(crate) or_else: Action,
    pub(crate) reroute: Option<Name>,
    /// In words that quote nothing of the answer but what the check itself says.
    pub(crate) complaint: String,
}

/// Holds the words of an answer against what policy asks of them.
pub(crate) fn of_words(call: &mut Call, texts: &[Segment], body: &Bytes) -> Vec<Wrong> {
    // As the caller will read it, with values for tokens.
    let contents: Vec<String> = texts
        .iter()
        .filter(|segment| matches!(segment.place, Place::AnswerContent { .. }))
        .map(|segment| call.vault.restore(segment.as_str(body), filter::as_written(Scope::Assistant)))
        .filter(|text| !text.is_empty())
        .collect();
    // An answer that calls tools has no words to hold against anything.
    if contents.is_empty() {
        return Vec::new();
    }
    let mut wrongs = Vec::new();
    let has_prompt = !system_texts(call).is_empty();
    // Without a prompt there is nothing to tell.
    for kind in OF_WORDS.into_iter().filter(|kind| *kind != LEAK || has_prompt) {
        let check = |call: &Call, level: &Level| {
            contents.iter().flat_map(|text| words(call, level, kind, text)).collect::<Vec<_>>()
        };
        wrongs.extend(run(call, kind, &contents.join("\n"), Scope::Assistant, contents.len(), check));
    }
    wrongs
}

/// The answer with its words mended to fit the schema of each level that asks for that; none where they cannot be.
pub(crate) fn mended(call: &mut Call, texts: &[Segment], body: &Bytes) -> Option<Bytes> {
    let since = call.elapsed_us();
    let rules = &call.rules[Direction::Output as usize];
    let mut edits = Vec::new();
    let mut done = Vec::new();
    for segment in texts.iter().filter(|segment| matches!(segment.place, Place::AnswerContent { .. })) {
        let mut text = segment.as_str(body).to_owned();
        for level in call.chain.levels() {
            let is_asked =
                |voice: &Voice| voice.level == *level.label() && voice.rule.action == Action::Repair;
            let Some(path) = level.rules.schema.as_ref().map(|schema| &schema.path) else { continue };
            let Some(schema) = call.snapshot.schemas.get(path).filter(|_| rules.of(SCHEMA).any(is_asked))
            else {
                continue;
            };
            let repaired = schema.repair(&text)?;
            done.extend(repaired.steps.iter().map(|step| step.as_str()));
            text = repaired.text;
        }
        edits.push(segment.replaced(&text));
    }
    done.dedup();
    call.record.guard_runs.push(GuardRun {
        direction: Direction::Output,
        kind: SCHEMA.into(),
        outcome: RunOutcome::Found,
        on: None,
        took_us: call.elapsed_us().saturating_sub(since),
        reason: Some(format!("mended: {}", done.join(", "))),
        excepted: 0,
    });
    Some(splice(body, edits))
}

/// What one level has to say against a text.
fn words(call: &Call, level: &Level, kind: &'static str, text: &str) -> Vec<Missed> {
    let rules = &level.rules;
    match kind {
        SCHEMA => {
            let Some(path) = rules.schema.as_ref().map(|schema| &schema.path) else { return Vec::new() };
            let Some(Err(errors)) = call.snapshot.schemas.get(path).map(|schema| schema.check(text)) else {
                return Vec::new();
            };
            vec![Missed {
                label: path.clone(),
                score: 1.0,
                reason: errors.join("; "),
                complaint: format!("it does not fit schema `{path}`: {}", errors.join("; ")),
            }]
        }
        CONTRACT => {
            rules.contract.iter().flat_map(|contract| contract.check(text)).map(Missed::from).collect()
        }
        CITATIONS => {
            let Some(citations) = &rules.citations else { return Vec::new() };
            let sources = sources(call);
            let sources: Vec<Source<'_>> = sources.iter().map(|(id, text)| Source { id, text }).collect();
            citations.check(text, &sources).into_iter().map(Missed::from).collect()
        }
        REFUSAL => {
            let score = call.shared().refusals.score(text);
            let usual = gauntlet_guard::REFUSAL_SCORE;
            let threshold = level
                .voices(Direction::Output)
                .iter()
                .find(|voice| voice.rule.kind == REFUSAL)
                .and_then(|voice| voice.rule.threshold);
            if score < threshold.unwrap_or(usual) {
                return Vec::new();
            }
            let reason = "the answer declines".to_owned();
            vec![Missed { label: REFUSAL.into(), score, complaint: reason.clone(), reason }]
        }
        LEAK => {
            let prompts = system_texts(call);
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            let leak = LeakWatch::check(&prompts, text).map(|leak| leak.finding());
            let missed = leak.map(|finding| Missed {
                label: finding.label.into(),
                score: finding.score,
                reason: "the answer repeats the system prompt".to_owned(),
                complaint: "it repeats its instructions".to_owned(),
            });
            missed.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Looks at the tools that an answer calls: whether they may be called, with what, and whose words that is.
pub(crate) fn of_calls(call: &mut Call) -> Vec<Wrong> {
    if !OF_CALLS.iter().any(|kind| call.rules[Direction::Output as usize].has(kind)) {
        return Vec::new();
    }
    let mut calls = call.assembler.tool_calls();
    if calls.is_empty() {
        return Vec::new();
    }
    for made in &mut calls {
        // As the tool will read them: a token hides whose words they are.
        made.arguments = call.vault.restore(&made.arguments, filter::as_written(Scope::ToolArguments));
    }
    // What a review lets pass is these calls, and no others.
    let value: Vec<String> = calls.iter().map(|call| format!("{} {}", call.name, call.arguments)).collect();
    let value = value.join("\n");
    let mut wrongs = run(call, TOOLS, &value, Scope::ToolArguments, calls.len(), |_, level| {
        let Some(rules) = &level.rules.tools else { return Vec::new() };
        calls
            .iter()
            .flat_map(|call| rules.check_call(&call.name, &call.arguments))
            .map(Missed::from)
            .collect()
    });
    if call.rules[Direction::Output as usize].has(TAINT) {
        let (untrusted, trusted) = by_trust(call);
        let (untrusted, trusted): (Vec<&str>, Vec<&str>) =
            (untrusted.iter().map(String::as_str).collect(), trusted.iter().map(String::as_str).collect());
        let taint = Taint::of(&untrusted, &trusted);
        let missed: Vec<Misfit> = calls.iter().flat_map(|call| taint.check(&call.arguments)).collect();
        wrongs.extend(run(call, TAINT, &value, Scope::ToolArguments, calls.len(), |_, _| {
            missed.iter().cloned().map(Missed::from).collect()
        }));
    }
    wrongs
}

/// One thing that is wrong, in words.
struct Missed {
    label: Name,
    score: f32,
    reason: String,
    complaint: String,
}

impl From<Misfit> for Missed {
    fn from(misfit: Misfit) -> Missed {
        Missed {
            label: misfit.label.into(),
            score: 1.0,
            complaint: misfit.reason.clone(),
            reason: misfit.reason,
        }
    }
}

/// Asks every level that has a rule of this kind, notes what was missed and that it was looked at.
fn run(
    call: &mut Call,
    kind: &'static str,
    value: &str,
    of: Scope,
    count: usize,
    check: impl Fn(&Call, &Level) -> Vec<Missed>,
) -> Vec<Wrong> {
    let rules = call.rules[Direction::Output as usize].clone();
    if !rules.has(kind) {
        return Vec::new();
    }
    let since = call.elapsed_us();
    let (mut wrongs, mut notes, mut excepted) = (Vec::new(), Vec::new(), 0);
    let finding = Finding { kind, label: kind, span: 0..value.len(), score: 1.0 };
    let is_excepted = rules.is_excepted(&finding, value, of);
    let levels = call.chain.levels().to_vec();
    for level in &levels {
        let Some(voice) = rules.of(kind).find(|voice| voice.level == *level.label()) else { continue };
        let missed = check(call, level);
        if is_excepted {
            excepted += missed.len() as u32;
            continue;
        }
        note(voice, kind, &missed, of, &rules.hash(value), &mut notes, &mut wrongs);
    }
    for wrong in &wrongs {
        call.record.decision = call.record.decision.max(wrong.action.into());
    }
    call.record.guard_runs.push(GuardRun {
        direction: Direction::Output,
        kind: kind.into(),
        outcome: if notes.is_empty() { RunOutcome::Passed } else { RunOutcome::Found },
        on: Some(format!("{} {count}", of.as_str()).into()),
        took_us: call.elapsed_us().saturating_sub(since),
        reason: None,
        excepted,
    });
    call.record.guard.extend(notes);
    wrongs
}

fn note(
    voice: &Voice,
    kind: &'static str,
    missed: &[Missed],
    of: Scope,
    hash: &str,
    notes: &mut Vec<GuardNote>,
    wrongs: &mut Vec<Wrong>,
) {
    let rule = &voice.rule;
    let action = |missed: &Missed| rule.action(&missed.label, missed.score, of, 0.0);
    for one in missed.iter().filter(|missed| action(missed) != Action::Allow).take(NOTES_MAX) {
        notes.push(GuardNote {
            direction: Direction::Output,
            kind: kind.into(),
            label: one.label.clone(),
            action: action(one),
            count: 1,
            score: one.score,
            reason: one.reason.clone(),
            value_hash: Some(hash.to_owned()),
            rule: Some(voice.level.clone()),
            shadow: rule.shadow,
        });
    }
    let worst = missed.iter().map(action).max().unwrap_or(Action::Allow);
    if !rule.shadow && worst != Action::Allow {
        let complaints: Vec<&str> =
            missed.iter().take(NOTES_MAX).map(|missed| missed.complaint.as_str()).collect();
        wrongs.push(Wrong {
            kind,
            action: worst,
            or_else: rule.or_else,
            reroute: rule.to.clone(),
            complaint: complaints.join("; "),
        });
    }
}

/// What the model was told by those who made it: system messages, and the prompt that was rendered.
pub(crate) fn system_texts(call: &Call) -> Vec<String> {
    let is_told = |segment: &Segment| segment.scope() == Scope::System && segment.kind == Kind::Words;
    let written = call.input.texts.iter().filter(|looked| is_told(&looked.segment));
    let written = written.map(|looked| looked.segment.as_str(&call.body).to_owned());
    // A prompt for the user's side holds what the user said.
    let rendered = call.prompt_texts.iter().filter(|(role, _)| *role != "user");
    written.chain(rendered.map(|(_, text)| text.clone())).collect()
}

/// What tools brought, and what people wrote.
fn by_trust(call: &Call) -> (Vec<String>, Vec<String>) {
    let prompt_texts: Vec<String> = call.prompt_texts.iter().map(|(_, text)| text.clone()).collect();
    let (mut untrusted, mut trusted) = (Vec::new(), prompt_texts);
    for looked in &call.input.texts {
        let text = looked.segment.as_str(&call.body).to_owned();
        match looked.segment.scope() {
            Scope::ToolResult | Scope::Document => untrusted.push(text),
            Scope::System | Scope::User => trusted.push(text),
            // The model may have it from either.
            Scope::Assistant | Scope::ToolArguments => {}
        }
    }
    untrusted.extend(documents(call).into_iter().map(|(_, text)| text));
    (untrusted, trusted)
}

/// What an answer may cite: the documents of the call by their ids, and every text of the conversation without one.
fn sources(call: &Call) -> Vec<(String, String)> {
    let said = Scanned::words(&call.input, &call.body).into_iter().map(|text| (String::new(), text));
    documents(call).into_iter().chain(said).collect()
}

/// The documents that the call says it was given, with their texts where it has them.
fn documents(call: &Call) -> Vec<(String, String)> {
    let listed = call
        .request
        .conversation()
        .and_then(|chat| chat.gauntlet.as_ref()?.rest.get("documents")?.as_array());
    let text_of = |id: &str| {
        let found = listed?.iter().find(|item| item["id"] == *id)?;
        found["text"].as_str().map(str::to_owned)
    };
    let documents = call.record.documents.iter();
    documents.map(|document| (document.id.to_string(), text_of(&document.id).unwrap_or_default())).collect()
}

//! The only place that talks to a model: targets in order, retries with patience, fallback, and a canned answer at the end.

mod asking;
mod failed;
mod hedge;

use std::time::Duration;

use bytes::Bytes;
use gauntlet_policy::{
    breaker::BreakerEvent,
    retry::{Against, RetryPolicy, Verdict},
};
use gauntlet_types::{Attempt, AttemptEnd, Code, Dialect, Event, Fault, Finish, Outcome, Stage, Usage};
use gauntlet_wire::{
    answer::{PlainAnswer, read_plain},
    gemini::embed,
    translate,
};
use http::HeaderValue;
use tokio::time::Instant;

use self::{asking::Heard, failed::Failed, hedge::Try};
use crate::{
    call::{Call, Request, Whole},
    live::Live,
    routing::WORTH_WAITING,
    tokens,
};

/// What a model (or the canned answer in its stead) gave.
pub(crate) enum Answered {
    Plain {
        body: Bytes,
        texts: Vec<gauntlet_wire::Segment>,
        seals: Vec<gauntlet_wire::answer::SealAt>,
    },
    /// Of a request that was passed through.
    Passed {
        whole: Whole,
        texts: Vec<gauntlet_wire::Segment>,
    },
    Live(Box<Live>),
    /// The operator's own words, or numbers: no guard needed.
    Canned(Whole),
}

pub(crate) async fn run(call: &mut Call) -> Result<Answered, Fault> {
    call.enter(Stage::Attempt);
    if let Some(counted) = counted_here(call).await {
        return Ok(Answered::Canned(counted));
    }
    let left = call.route.timeouts.total.saturating_sub(call.clock().mono().since(call.begun()));
    let deadline = Instant::now() + left;
    let mut last = None;
    // `current` stands behind the targets whose answers the output guard has refused.
    for index in call.current..call.plan.len() {
        // What the targets before have used up is not held against the next one.
        if Instant::now() >= deadline {
            break;
        }
        match at_target(call, index, deadline, &mut last).await {
            Some(result) => return result,
            None => continue,
        }
    }
    give_up(call, last)
}

/// The tokens of a request whose model nobody can ask for them: by the tokenizer that comes nearest.
async fn counted_here(call: &Call) -> Option<Whole> {
    let planned = call.plan.first().filter(|_| call.door().is_count())?;
    let dialect = call.dialect();
    if planned.endpoint.speaks(dialect, &planned.target.model) {
        return None;
    }
    tokens::ready().await;
    let tokens = super::settle::count_input(call).0;
    let body = match dialect {
        Dialect::Gemini => serde_json::json!({"totalTokens": tokens}),
        _ => serde_json::json!({"input_tokens": tokens}),
    };
    Some(Whole::json(body.to_string().into()))
}

/// Tries one target as often as the route allows; none when the next one is to be tried.
async fn at_target(
    call: &mut Call,
    index: usize,
    deadline: Instant,
    last: &mut Option<Failed>,
) -> Option<Result<Answered, Fault>> {
    let policy = RetryPolicy {
        // A file or a batch that was made before its answer was lost would be made twice.
        attempts: if call.makes_things() { 1 } else { call.route.retry.attempts },
        base: call.route.retry.base,
        max: call.route.retry.max,
    };
    for attempt in 1.. {
        if !call.hold_for(index).await {
            let target = &call.plan[index].target;
            last.get_or_insert_with(|| Failed::new(AttemptEnd::Abandoned, format!("no budget for {target}")));
            return None;
        }
        if let Err(left) = call.may_ask(index) {
            let target = &call.plan[index].target;
            last.get_or_insert_with(|| {
                let message = format!("{target} is left alone after failures");
                Failed { retry_after: Some(left), ..Failed::new(AttemptEnd::Connect, message) }
            });
            return None;
        }
        call.current = index;
        call.record.target = Some(call.plan[index].target.clone());
        let (tried, came) = hedge::ask(call, index, deadline).await;
        gauntlet_ports::crash_point!("attempt.answered");
        call.current = tried.index;
        call.record.target = Some(call.plan[tried.index].target.clone());
        let landed = match came.result {
            Ok(heard) => {
                call.note_told(&tried.told);
                land(call, heard, came.at_us).await.map_err(Failed::begun)
            }
            Err(failed) => Err(failed),
        };
        let failed = match landed {
            Ok(answered) => {
                note(call, &tried, came.at_us, None);
                call.note_answered(tried.index, tried.lasted(came.at_us));
                // A stream is under way until it ends; what guards do with a whole answer is no load of the target's.
                call.flight = matches!(answered, Answered::Live(_)).then_some(tried.flight);
                return Some(Ok(answered));
            }
            Err(failed) => failed,
        };
        let against = set_aside(call, &tried, came.at_us, &failed, deadline).await;
        drop(tried);
        let verdict = failed.verdict();
        match verdict {
            Verdict::GiveUp => return Some(Err(refused(&failed, call))),
            Verdict::NextTarget => {
                *last = Some(failed);
                return None;
            }
            Verdict::Retry if is_better_left(call, index, against) => {
                *last = Some(failed);
                return None;
            }
            Verdict::Retry => {
                let left = deadline.saturating_duration_since(Instant::now());
                let pause = policy.delay(attempt, call.clock().chance(), failed.retry_after, left);
                *last = Some(failed);
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return None,
                }
            }
        }
    }
    None
}

/// Takes note of what a target said, and puts it into the caller's dialect.
async fn land(call: &mut Call, heard: Heard, at_us: u32) -> Result<Answered, Failed> {
    match heard {
        Heard::Count(body) => Ok(Answered::Canned(Whole::json(body))),
        Heard::Pass { body, content_type, read } => {
            read.model.into_iter().for_each(|model| call.take_note(&Event::Model(model)));
            read.usage.into_iter().for_each(|usage| call.take_note(&Event::Usage(usage)));
            let content_type = content_type.unwrap_or(HeaderValue::from_static("application/json"));
            if let Some(id) = read.id {
                call.note_owner(&id)
                    .await
                    .map_err(|fault| Failed::new(AttemptEnd::Malformed, fault.message))?;
            }
            let texts = read.texts.into_iter().map(|text| text.segment).collect();
            Ok(Answered::Passed { whole: Whole { body, content_type }, texts })
        }
        Heard::Whole { body, spoken, read } => {
            read.events.iter().for_each(|event| call.take_note(event));
            let dialect = call.dialect();
            if spoken == dialect {
                call.note_kept_answer(&body);
                return Ok(answered(body, read));
            }
            let body = translate::whole(dialect, &call.head(), &read.events);
            let read = read_plain(dialect, &body)?;
            Ok(answered(body, read))
        }
        Heard::Vectors { body, spoken, read } => {
            // Vectors are no text: the record says how many there were.
            call.output =
                serde_json::json!({"object": "list", "embeddings": read.count, "model": read.model})
                    .to_string()
                    .into();
            read.model.into_iter().for_each(|model| call.take_note(&Event::Model(model)));
            read.usage.into_iter().for_each(|usage| call.take_note(&Event::Usage(usage)));
            if call.usage.is_none() {
                tokens::ready().await;
            }
            let body = vectors(call, body, spoken)?;
            Ok(Answered::Plain { body, texts: Vec::new(), seals: Vec::new() })
        }
        Heard::Live(live) => {
            if let Some(first) = live.first_as_sent() {
                call.note_kept_answer(first);
            }
            call.record.first_token_us.get_or_insert(u64::from(at_us));
            Ok(Answered::Live(live))
        }
    }
}

/// An answer of vectors as the caller's dialect writes it.
fn vectors(call: &Call, body: Bytes, spoken: Dialect) -> Result<Bytes, gauntlet_wire::Malformed> {
    match (&call.request, spoken) {
        (Request::Embeddings(_), Dialect::Gemini) => {
            let used = call.usage.unwrap_or_else(|| super::settle::count(call));
            embed::answer_to_openai(&body, &call.record.model_asked, &used)
        }
        (Request::Embed(_), Dialect::Chat) => {
            embed::answer_from_openai(&body, super::admit::embed_form(&call.path))
        }
        _ => Ok(body),
    }
}

fn answered(body: Bytes, read: PlainAnswer) -> Answered {
    let texts = read.texts.into_iter().map(|text| text.segment).collect();
    Answered::Plain { body, texts, seals: read.seals }
}

/// Notes a try that gave the caller nothing, with what it is billed all the same, and on whom its failure falls.
async fn set_aside(call: &mut Call, tried: &Try, at_us: u32, failed: &Failed, deadline: Instant) -> Against {
    call.current = tried.index;
    note(call, tried, at_us, Some(failed));
    call.bill_failed(failed.bill(call.request.is_streaming())).await;
    gauntlet_ports::crash_point!("attempt.billed");
    let took = tried.lasted(at_us);
    let against = match failed.is_timeout() && had_no_time(call, took, deadline) {
        true => Against::Nobody,
        false => failed.against(),
    };
    let kept_waiting = failed.is_timeout() && against == Against::Target;
    call.note_failed_at(tried.index, against, kept_waiting.then_some(took));
    against
}

fn note(call: &mut Call, tried: &Try, at_us: u32, failed: Option<&Failed>) {
    let (start_us, took_us) = (tried.start_us, at_us.saturating_sub(tried.start_us));
    let target = call.plan[tried.index].target.clone();
    let (end, status, error) = match failed {
        None => (AttemptEnd::Ok, Some(200), None),
        Some(failed) => (failed.end, failed.status, Some(failed.message.clone())),
    };
    call.record.attempts.push(Attempt { target, start_us, took_us, end, status, error, billed: None });
}

/// Whether an attempt ended because the call's own time did, before the target had a fair chance.
fn had_no_time(call: &Call, took: Duration, deadline: Instant) -> bool {
    let fair = match call.request.is_streaming() {
        true => call.route.timeouts.first_token,
        false => call.route.timeouts.attempt,
    };
    Instant::now() >= deadline && took < fair
}

/// Whether a target that asked for a pause is better left for the next one than waited for.
fn is_better_left(call: &Call, index: usize, against: Against) -> bool {
    matches!(against, Against::Rate(wait) if wait > WORTH_WAITING) && call.has_free_after(index)
}

/// Tells the target's breaker what became of a stream after its first token.
pub(crate) fn report(call: &Call, index: usize, event: BreakerEvent) {
    if event == BreakerEvent::Failed {
        call.note_failed_at(index, Against::Target, None);
    }
}

/// The request itself is at fault, so no target would take it. The caller learns why, in our shape.
fn refused(failed: &Failed, call: &Call) -> Fault {
    let target = &call.plan[call.current].target;
    let message = format!("`{target}` refused the request: {}", failed.message);
    let fault = Fault::caller(Code::UpstreamRefused, message);
    match &failed.code {
        Some(code) => fault.detail(serde_json::json!({"provider_code": code})),
        None => fault,
    }
}

/// Nothing answered: the route's canned answer, or a fault that shows nothing of the provider's.
fn give_up(call: &mut Call, last: Option<Failed>) -> Result<Answered, Fault> {
    if let Some(text) = call.route.fallback.clone() {
        call.record.outcome = Outcome::Canned;
        call.record.error = Some(Code::UpstreamFailed);
        return Ok(Answered::Canned(canned(call, &text, Finish::Stop)));
    }
    let timed_out = last.as_ref().is_some_and(Failed::is_timeout);
    let tried = call.record.attempts.len();
    let attempts = if tried == 1 { "attempt" } else { "attempts" };
    let message = format!(
        "no model could answer ({tried} {attempts}); try again, or look at trace {} for what each said",
        call.record.id
    );
    let fault =
        Fault::provider(if timed_out { Code::UpstreamTimeout } else { Code::UpstreamFailed }, message);
    let fault = if is_limited(call, last.as_ref()) {
        // For a run of evals, which has the patience that an application has not.
        fault.detail(serde_json::json!({"provider_status": 429}))
    } else {
        fault
    };
    // A provider that said when to come back is passed on: the caller's own retry is then worth it.
    Err(match last.and_then(|failed| failed.retry_after) {
        Some(wait) => fault.retry_after(wait),
        None => fault,
    })
}

/// Whether nothing but limits stood in the way, so that the same call will do later. An empty account is no such limit.
fn is_limited(call: &Call, last: Option<&Failed>) -> bool {
    let attempts = &call.record.attempts;
    last.is_some_and(|failed| failed.verdict() == Verdict::Retry)
        && !attempts.is_empty()
        && attempts.iter().all(|attempt| attempt.status == Some(429))
}

/// A text of the operator's as an answer of the caller's dialect, streamed if that was asked for.
pub(crate) fn canned(call: &mut Call, text: &str, finish: Finish) -> Whole {
    let events = [
        Event::Text { choice: 0, text: text.to_owned() },
        Event::Finish { choice: 0, why: finish },
        Event::Usage(Usage::default()),
    ];
    let (dialect, head) = (call.dialect(), call.head());
    let plain = translate::whole(dialect, &head, &events);
    call.output = plain.clone();
    call.record.finish = Some(finish);
    if call.request.is_streaming() {
        return Whole::events(translate::stream(dialect, &head, &events).concat().into());
    }
    Whole::json(plain)
}

//! The only place that talks to a model: targets in order, retries with patience, fallback, and a canned answer at the end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gauntlet_policy::{
    breaker::BreakerEvent,
    retry::{self, Against, RetryPolicy, Verdict},
};
use gauntlet_ports::{UpstreamAnswer, UpstreamError};
use gauntlet_types::{Attempt, AttemptEnd, Code, Dialect, Event, Fault, Finish, Outcome, Stage, Usage};
use gauntlet_wire::{
    answer::{PlainAnswer, read_plain},
    gemini::embed,
    openai::{embeddings, error::ProviderError},
    pass, translate,
};
use http::{HeaderMap, HeaderValue, header};
use tokio::time::Instant;

use crate::{
    call::{Call, Request, Whole},
    live::Live,
    money::Bill,
    outgoing,
    reader::{Reader, Stop},
    routing::{Flight, WORTH_WAITING},
    tokens,
};

/// A plain answer is held in memory whole; embeddings of a large batch come to some ten megabytes.
const ANSWER_MAX: usize = 64 << 20;
/// Of an error's body: enough to find its message in.
const ERROR_MAX: usize = 64 << 10;
/// An error's body must not hold the call up.
const ERROR_WAIT: Duration = Duration::from_secs(5);
/// Of what a provider says about a failure, in the record.
const MESSAGE_MAX: usize = 300;

/// A shorter value of a configured header is a version or a name, and no secret.
const KEY_MIN: usize = 8;

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

/// Why an attempt failed.
struct Failed {
    end: AttemptEnd,
    status: Option<u16>,
    code: Option<String>,
    /// For the record, and for the caller if the request itself is at fault.
    message: String,
    retry_after: Option<Duration>,
    /// An answer had begun: the model was at work.
    is_begun: bool,
}

impl Failed {
    fn new(end: AttemptEnd, message: impl Into<String>) -> Failed {
        Failed { end, status: None, code: None, message: message.into(), retry_after: None, is_begun: false }
    }
}

impl Failed {
    /// What the provider will have on its bill for it. An error that it reports itself is its own; what it had begun and
    /// did not finish, or what cannot be read, was work.
    fn bill(&self, is_streaming: bool) -> Bill {
        match self.end {
            AttemptEnd::Ok | AttemptEnd::Status | AttemptEnd::Connect | AttemptEnd::StreamError => {
                Bill::Nothing
            }
            // A connection that broke before the answer's head most likely never carried the request.
            AttemptEnd::Cut | AttemptEnd::Malformed | AttemptEnd::Abandoned if !self.is_begun => {
                Bill::Nothing
            }
            // Of a plain answer nothing is seen before its end.
            AttemptEnd::TotalTimeout | AttemptEnd::IdleTimeout | AttemptEnd::Cut if !is_streaming => {
                Bill::Bound
            }
            AttemptEnd::FirstTokenTimeout
            | AttemptEnd::TotalTimeout
            | AttemptEnd::IdleTimeout
            | AttemptEnd::Cut
            | AttemptEnd::Malformed
            | AttemptEnd::Abandoned => Bill::Seen,
        }
    }

    fn verdict(&self) -> Verdict {
        retry::judge(self.status, self.end, self.code.as_deref())
    }

    fn against(&self) -> Against {
        retry::against(self.status, self.end, self.code.as_deref(), self.retry_after)
    }

    fn is_timeout(&self) -> bool {
        matches!(self.end, AttemptEnd::FirstTokenTimeout | AttemptEnd::IdleTimeout | AttemptEnd::TotalTimeout)
    }

    fn begun(self) -> Failed {
        Failed { is_begun: true, ..self }
    }
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Failed {
        let end = stop.end();
        Failed::new(end, stop.to_string())
    }
}

impl From<UpstreamError> for Failed {
    fn from(error: UpstreamError) -> Failed {
        Stop::from(error).into()
    }
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
        call.flight = Some(Flight::begin(&call.gate.shared, &call.plan[index].target));
        let start_us = call.elapsed_us();
        let result = once(call, index, deadline).await;
        gauntlet_ports::crash_point!("attempt.answered");
        note(call, start_us, result.as_ref().err());
        if let Err(failed) = &result {
            call.bill_failed(failed.bill(call.request.is_streaming())).await;
            gauntlet_ports::crash_point!("attempt.billed");
        }
        let took = Duration::from_micros(u64::from(call.elapsed_us() - start_us));
        let failed = match result {
            Ok(answered) => {
                call.note_answered(index, took);
                // A stream is under way until it ends; what guards do with a whole answer is no load of the target's.
                if !matches!(answered, Answered::Live(_)) {
                    call.flight = None;
                }
                return Some(Ok(answered));
            }
            Err(failed) => failed,
        };
        call.flight = None;
        let verdict = failed.verdict();
        let against = match failed.is_timeout() && had_no_time(call, took, deadline) {
            true => Against::Nobody,
            false => failed.against(),
        };
        let kept_waiting = failed.is_timeout() && against == Against::Target;
        call.note_failed_at(index, against, kept_waiting.then_some(took));
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

/// One request to one target.
async fn once(call: &mut Call, index: usize, deadline: Instant) -> Result<Answered, Failed> {
    let deadline = deadline.min(Instant::now() + call.route.timeouts.attempt);
    let is_streaming = call.request.is_streaming();
    let (request, spoken) = outgoing::request(call, index, is_streaming)
        .map_err(|why| Failed { status: Some(400), ..Failed::new(AttemptEnd::Status, why.0) })?;
    let first_token = Instant::now() + call.route.timeouts.first_token;
    // A plain answer's headers come when it is finished, so that only the attempt's own limit holds for it.
    let patience = if is_streaming { deadline.min(first_token) } else { deadline };
    let sent = tokio::time::timeout_at(patience, call.gate.upstream.send(request)).await;
    let answer = match sent {
        Ok(answer) => answer?,
        Err(_) if is_streaming && patience < deadline => return Err(Stop::FirstToken.into()),
        Err(_) => return Err(Stop::Total.into()),
    };
    if !answer.status.is_success() {
        return Err(status(call, answer).await);
    }
    gauntlet_ports::crash_point!("attempt.head");
    let reader = Reader::new(answer.body, call.route.timeouts.idle, deadline);
    let read = if is_streaming {
        live(call, &answer.headers, reader, patience, spoken).await
    } else {
        plain(call, &answer.headers, reader, spoken).await
    };
    read.map_err(Failed::begun)
}

/// Reads a plain answer to its end; the model wrote it in `spoken`.
async fn plain(
    call: &mut Call,
    headers: &HeaderMap,
    mut reader: Reader,
    spoken: Dialect,
) -> Result<Answered, Failed> {
    let body = collect(&mut reader, ANSWER_MAX).await?;
    let malformed = |bad: gauntlet_wire::Malformed| {
        Failed::new(AttemptEnd::Malformed, format!("not an answer: {}", bad.message))
    };
    match &call.request {
        Request::Conversation(_) if call.door().is_count() => Ok(Answered::Canned(Whole::json(body))),
        Request::Pass(_) => {
            let kind = headers.get(header::CONTENT_TYPE).cloned();
            let read = pass::read_answer(kind.as_ref().and_then(|kind| kind.to_str().ok()), &body);
            let read = read.map_err(malformed)?;
            if let Some(error) = read.error {
                return Err(provider_error(call, error, AttemptEnd::StreamError, None));
            }
            read.model.into_iter().for_each(|model| call.take_note(&Event::Model(model)));
            read.usage.into_iter().for_each(|usage| call.take_note(&Event::Usage(usage)));
            let kind = kind.unwrap_or(HeaderValue::from_static("application/json"));
            if let Some(id) = read.id {
                call.note_owner(&id)
                    .await
                    .map_err(|fault| Failed::new(AttemptEnd::Malformed, fault.message))?;
            }
            let texts = read.texts.into_iter().map(|text| text.segment).collect();
            Ok(Answered::Passed { whole: Whole { body, content_type: kind }, texts })
        }
        Request::Conversation(_) => {
            let read = read_plain(spoken, &body).map_err(malformed)?;
            if let Some(error) = read.error {
                return Err(provider_error(call, error, AttemptEnd::StreamError, None));
            }
            read.events.iter().for_each(|event| call.take_note(event));
            let dialect = call.dialect();
            if spoken == dialect {
                call.note_kept_answer(&body);
                return Ok(answered(body, read));
            }
            let body = translate::whole(dialect, &call.head(), &read.events);
            let read = read_plain(dialect, &body).map_err(malformed)?;
            Ok(answered(body, read))
        }
        Request::Embeddings(_) | Request::Embed(_) | Request::None => {
            let read = match spoken {
                Dialect::Gemini => embed::read_answer(&body),
                _ => embeddings::read_answer(&body),
            };
            let read = read.map_err(malformed)?;
            if let Some(error) = read.error {
                return Err(provider_error(call, error, AttemptEnd::StreamError, None));
            }
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
            let body = vectors(call, body, spoken).map_err(malformed)?;
            Ok(Answered::Plain { body, texts: Vec::new(), seals: Vec::new() })
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

/// Reads a stream up to its first token, so that a failure before it can still be tried elsewhere.
async fn live(
    call: &mut Call,
    headers: &HeaderMap,
    reader: Reader,
    patience: Instant,
    spoken: Dialect,
) -> Result<Answered, Failed> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if kind.starts_with("application/json") || kind.starts_with("text/html") {
        let mut reader = reader;
        let body = collect(&mut reader, ERROR_MAX).await?;
        let error = gauntlet_wire::openai::error::read(&body);
        return Err(provider_error(call, error, AttemptEnd::Malformed, None));
    }
    let mut live = Live::new(reader, call.dialect(), spoken, call.head());
    live.peek(call, patience).await.map_err(|stop| match stop {
        Stop::Provider { code, message } => {
            let error = ProviderError { message, code, ..ProviderError::default() };
            provider_error(call, error, AttemptEnd::StreamError, None)
        }
        stop => stop.into(),
    })?;
    gauntlet_ports::crash_point!("attempt.first_token");
    Ok(Answered::Live(Box::new(live)))
}

async fn collect(reader: &mut Reader, limit: usize) -> Result<Bytes, Failed> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = reader.next(None).await? {
        if first.len() + all.len() + piece.len() > limit {
            return Err(Failed::new(
                AttemptEnd::Malformed,
                format!("the answer is longer than {limit} bytes"),
            ));
        }
        if first.is_empty() && all.is_empty() {
            first = piece;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// What an error status says.
async fn status(call: &mut Call, answer: UpstreamAnswer) -> Failed {
    let wait = Instant::now() + ERROR_WAIT;
    let mut reader = Reader::new(answer.body, ERROR_WAIT, wait);
    // What cannot be read of it is left out; the status says enough to go on.
    let body = collect(&mut reader, ERROR_MAX).await.unwrap_or_default();
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    // Google says it in the body.
    let told = || gauntlet_wire::gemini::error::retry_delay(&body);
    let retry_after = retry::retry_after(&header, call.clock().now()).or_else(told);
    let error = match header("x-amzn-errortype") {
        Some(kind) => gauntlet_wire::bedrock::error::read(&body, Some(kind)),
        None => gauntlet_wire::openai::error::read(&body),
    };
    let status = answer.status.as_u16();
    Failed { retry_after, ..provider_error(call, error, AttemptEnd::Status, Some(status)) }
}

/// A provider may quote the request in its error: what is private in it stays out of the record and the answer.
fn provider_error(call: &Call, error: ProviderError, end: AttemptEnd, status: Option<u16>) -> Failed {
    let mut found = Vec::new();
    call.shared().scanner.scan(&error.message, gauntlet_guard::Kinds::ALL, &mut found);
    let mut message = without_key(gauntlet_guard::redact(&error.message, &found), call);
    if message.len() > MESSAGE_MAX {
        let cut = (0..=MESSAGE_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(cut);
    }
    Failed { status, code: error.code.or(error.kind), ..Failed::new(end, message) }
}

/// Some providers say which key they refuse.
fn without_key(message: String, call: &Call) -> String {
    let secrets = call.plan[call.current].endpoint.secrets();
    let keys = secrets.into_iter().filter(|key| key.len() >= KEY_MIN);
    keys.fold(message, |message, key| message.replace(key, "[REDACTED:provider_key]"))
}

fn note(call: &mut Call, start_us: u32, failed: Option<&Failed>) {
    let took_us = call.elapsed_us() - start_us;
    let target = call.plan[call.current].target.clone();
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
    let message = format!(
        "no model could answer ({tried} attempts); try again, or look at trace {} for what each said",
        call.record.id
    );
    let fault =
        Fault::provider(if timed_out { Code::UpstreamTimeout } else { Code::UpstreamFailed }, message);
    // A provider that said when to come back is passed on: the caller's own retry is then worth it.
    Err(match last.and_then(|failed| failed.retry_after) {
        Some(wait) => fault.retry_after(wait),
        None => fault,
    })
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

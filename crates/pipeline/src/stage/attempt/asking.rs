//! One request to one target: sent, and its answer read until it is known whether it will do. It owns all that it needs, so
//! that two can be under way at once and either may be dropped.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use gauntlet_policy::{config::Timeouts, retry};
use gauntlet_ports::{Endpoint, UpstreamAnswer, UpstreamRequest};
use gauntlet_types::{AttemptEnd, Dialect, Mono};
use gauntlet_wire::{
    answer::{PlainAnswer, read_plain},
    gemini::embed,
    openai::{
        embeddings::{self, EmbeddingsAnswer},
        error::ProviderError,
    },
    pass::{self, PassAnswer},
    translate::Head,
};
use http::{HeaderMap, HeaderValue, header};
use tokio::time::Instant;

use super::failed::Failed;
use crate::{
    call::{Call, Request},
    gate::Gate,
    live::Live,
    outgoing::{self, Told},
    reader::{Reader, Stop},
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

/// What a target said that will do.
pub(super) enum Heard {
    /// Tokens that it counted.
    Count(Bytes),
    Pass {
        body: Bytes,
        content_type: Option<HeaderValue>,
        read: PassAnswer,
    },
    /// In the dialect that the target speaks.
    Whole {
        body: Bytes,
        spoken: Dialect,
        read: PlainAnswer,
    },
    Vectors {
        body: Bytes,
        spoken: Dialect,
        read: EmbeddingsAnswer,
    },
    /// Up to its first token.
    Live(Box<Live>),
}

/// What became of a request, and when, in microseconds after the call began.
pub(super) struct Came {
    pub(super) result: Result<Heard, Failed>,
    pub(super) at_us: u32,
}

/// How an answer is read.
#[derive(Clone, Copy)]
enum Form {
    Count,
    Pass,
    Conversation,
    Vectors,
}

pub(super) struct Asking {
    gate: Arc<Gate>,
    request: UpstreamRequest,
    form: Form,
    /// The caller's dialect, and the target's.
    dialect: Dialect,
    spoken: Dialect,
    /// Of a stream that has to be told in another dialect.
    head: Option<Head>,
    timeouts: Timeouts,
    /// Of the whole attempt.
    deadline: Instant,
    call_begun: Mono,
}

impl Asking {
    /// A request to this target of the plan, and what was changed to tell it. Errors: it cannot be told there.
    pub(super) fn new(call: &Call, index: usize, deadline: Instant) -> Result<(Asking, Told), Failed> {
        let is_streaming = call.request.is_streaming();
        let (request, spoken, told) = outgoing::request(call, index, is_streaming)
            .map_err(|why| Failed { status: Some(400), ..Failed::new(AttemptEnd::Status, why.0) })?;
        let form = match &call.request {
            Request::Conversation(_) if call.door().is_count() => Form::Count,
            Request::Conversation(_) => Form::Conversation,
            Request::Pass(_) => Form::Pass,
            Request::Embeddings(_) | Request::Embed(_) | Request::None => Form::Vectors,
        };
        let dialect = call.dialect();
        let is_retold = is_streaming && spoken != dialect;
        let asking = Asking {
            gate: Arc::clone(&call.gate),
            request,
            form,
            dialect,
            spoken,
            head: is_retold.then(|| Head { custom_tools: told.custom_tools.clone(), ..call.head() }),
            timeouts: call.route.timeouts,
            deadline: deadline.min(Instant::now() + call.route.timeouts.attempt),
            call_begun: call.begun(),
        };
        Ok((asking, told))
    }

    /// Sends it, and reads the answer: a plain one to its end, a stream up to its first token, so that a failure before
    /// it can still be tried elsewhere.
    pub(super) async fn go(self) -> Came {
        let (gate, begun) = (Arc::clone(&self.gate), self.call_begun);
        let result = self.answer().await;
        let at_us = gate.shared.clock.mono().since(begun).as_micros().min(u128::from(u32::MAX)) as u32;
        Came { result, at_us }
    }

    async fn answer(self) -> Result<Heard, Failed> {
        let Asking { gate, request, form, dialect, spoken, head, timeouts, deadline, .. } = self;
        let (is_streaming, endpoint) = (request.is_streaming, Arc::clone(&request.endpoint));
        let first_token = Instant::now() + timeouts.first_token;
        // A plain answer's headers come when it is finished, so that only the attempt's own limit holds for it.
        let patience = if is_streaming { deadline.min(first_token) } else { deadline };
        let sent = tokio::time::timeout_at(patience, gate.upstream.send(request)).await;
        let answer = match sent {
            Ok(answer) => answer?,
            Err(_) if is_streaming && patience < deadline => return Err(Stop::FirstToken.into()),
            Err(_) => return Err(Stop::Total.into()),
        };
        let heard = Ears { gate, endpoint };
        if !answer.status.is_success() {
            return Err(heard.status(answer).await);
        }
        gauntlet_ports::crash_point!("attempt.head");
        let reader = Reader::new(answer.body, timeouts.idle, deadline);
        let read = if is_streaming {
            let live = |reader| Live::new(reader, dialect, spoken, head.unwrap_or_default());
            heard.live(&answer.headers, reader, patience, live).await
        } else {
            heard.plain(&answer.headers, reader, form, spoken).await
        };
        read.map_err(Failed::begun)
    }
}

/// Reads answers of one target, and what it says of its failures.
struct Ears {
    gate: Arc<Gate>,
    endpoint: Arc<Endpoint>,
}

impl Ears {
    async fn plain(
        &self,
        headers: &HeaderMap,
        mut reader: Reader,
        form: Form,
        spoken: Dialect,
    ) -> Result<Heard, Failed> {
        let body = collect(&mut reader, ANSWER_MAX).await?;
        let (heard, error) = match form {
            Form::Count => return Ok(Heard::Count(body)),
            Form::Pass => {
                let content_type = headers.get(header::CONTENT_TYPE).cloned();
                let kind = content_type.as_ref().and_then(|kind| kind.to_str().ok());
                let mut read = pass::read_answer(kind, &body)?;
                let error = read.error.take();
                (Heard::Pass { body, content_type, read }, error)
            }
            Form::Conversation => {
                let mut read = read_plain(spoken, &body)?;
                let error = read.error.take();
                (Heard::Whole { body, spoken, read }, error)
            }
            Form::Vectors => {
                let mut read = match spoken {
                    Dialect::Gemini => embed::read_answer(&body)?,
                    _ => embeddings::read_answer(&body)?,
                };
                let error = read.error.take();
                (Heard::Vectors { body, spoken, read }, error)
            }
        };
        match error {
            None => Ok(heard),
            Some(error) => Err(self.error(error, AttemptEnd::StreamError, None)),
        }
    }

    async fn live(
        &self,
        headers: &HeaderMap,
        mut reader: Reader,
        patience: Instant,
        live: impl FnOnce(Reader) -> Live,
    ) -> Result<Heard, Failed> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if kind.starts_with("application/json") || kind.starts_with("text/html") {
            let body = collect(&mut reader, ERROR_MAX).await?;
            let error = gauntlet_wire::openai::error::read(&body);
            return Err(self.error(error, AttemptEnd::Malformed, None));
        }
        let mut live = Box::new(live(reader));
        live.peek(patience).await.map_err(|stop| match stop {
            Stop::Provider { code, message } => {
                let error = ProviderError { message, code, ..ProviderError::default() };
                self.error(error, AttemptEnd::StreamError, None)
            }
            stop => stop.into(),
        })?;
        gauntlet_ports::crash_point!("attempt.first_token");
        Ok(Heard::Live(live))
    }

    /// What an error status says.
    async fn status(&self, answer: UpstreamAnswer) -> Failed {
        let wait = Instant::now() + ERROR_WAIT;
        let mut reader = Reader::new(answer.body, ERROR_WAIT, wait);
        // What cannot be read of it is left out; the status says enough to go on.
        let body = collect(&mut reader, ERROR_MAX).await.unwrap_or_default();
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        // Google says it in the body.
        let told = || gauntlet_wire::gemini::error::retry_delay(&body);
        let retry_after = retry::retry_after(&header, self.gate.shared.clock.now()).or_else(told);
        let error = match header("x-amzn-errortype") {
            Some(kind) => gauntlet_wire::bedrock::error::read(&body, Some(kind)),
            None => gauntlet_wire::openai::error::read(&body),
        };
        let status = answer.status.as_u16();
        Failed { retry_after, ..self.error(error, AttemptEnd::Status, Some(status)) }
    }

    /// A provider may quote the request in its error: what is private in it stays out of the record and the answer.
    fn error(&self, error: ProviderError, end: AttemptEnd, status: Option<u16>) -> Failed {
        let mut found = Vec::new();
        self.gate.shared.scanner.scan(&error.message, gauntlet_guard::Kinds::ALL, &mut found);
        let mut message = self.without_key(gauntlet_guard::redact(&error.message, &found));
        if message.len() > MESSAGE_MAX {
            let cut = (0..=MESSAGE_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(cut);
        }
        Failed { status, code: error.code.or(error.kind), ..Failed::new(end, message) }
    }

    /// Some providers say which key they refuse.
    fn without_key(&self, message: String) -> String {
        let keys = self.endpoint.secrets().into_iter().filter(|key| key.len() >= KEY_MIN);
        keys.fold(message, |message, key| message.replace(key, "[REDACTED:provider_key]"))
    }
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

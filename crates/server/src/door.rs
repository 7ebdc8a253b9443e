//! The doors, as the vendors' SDKs know them. Bare hyper, since every call passes here.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use gauntlet_pipeline::{Answer, AnswerBody, Detach, Gate, Gone, PassPath};
use gauntlet_types::{Code, Dialect, Door, Fault, Name};
use gauntlet_wire::{conversation::PathAsk, gemini::array::ArrayStream, sse::Decoder};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;

use crate::{body, error};

/// More headers than any SDK sends; beyond it, something is wrong with the caller.
const HEADERS_MAX: usize = 128;
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// A door, and what the path says beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) door: Door,
    path: PathAsk,
    /// Requests are passed through.
    is_pass: bool,
}

/// Which door a request is for; none for everything that is not a call.
pub(crate) fn find(path: &str) -> Option<Found> {
    let door = match path {
        "/v1/chat/completions" => Door::ChatCompletions,
        "/v1/completions" => Door::Completions,
        "/v1/responses" => Door::Responses,
        "/v1/messages" => Door::Messages,
        "/v1/messages/count_tokens" => Door::MessagesCountTokens,
        "/v1/embeddings" => Door::Embeddings,
        _ => return find_pass(path).or_else(|| find_gemini(path)),
    };
    Some(Found { door, path: PathAsk::default(), is_pass: false })
}

/// What is passed through as it is, with everything below it.
fn find_pass(path: &str) -> Option<Found> {
    const DOORS: [(&str, Door); 9] = [
        ("/v1/moderations", Door::Moderations),
        ("/v1/images/", Door::Images),
        ("/v1/audio/speech", Door::Speech),
        ("/v1/audio/", Door::Transcriptions),
        ("/v1/rerank", Door::Rerank),
        ("/v2/rerank", Door::Rerank),
        ("/v1/files", Door::Files),
        ("/v1/batches", Door::Batches),
        ("/v1/responses/", Door::Responses),
    ];
    let (_, door) = DOORS.iter().find(|(prefix, _)| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
    })?;
    Some(Found { door: *door, path: PathAsk::default(), is_pass: true })
}

/// `/v1beta/models/{model}:generateContent` and its like. The model may be `provider/model`.
fn find_gemini(path: &str) -> Option<Found> {
    let versions = ["/v1beta/models/", "/v1/models/", "/v1alpha/models/"];
    let rest = versions.iter().find_map(|version| path.strip_prefix(version))?;
    let (model, verb) = rest.rsplit_once(':')?;
    let door = match verb {
        "generateContent" | "streamGenerateContent" => Door::GenerateContent,
        "countTokens" => Door::GeminiCountTokens,
        "embedContent" | "batchEmbedContents" => Door::EmbedContent,
        _ => return None,
    };
    let (stream, batch) = (verb == "streamGenerateContent", verb == "batchEmbedContents");
    let model = percent_encoding::percent_decode_str(model).decode_utf8().ok()?.into_owned();
    Some(Found { door, path: PathAsk { model, stream, batch }, is_pass: false })
}

pub(crate) async fn call(gate: Arc<Gate>, found: Found, request: Request<Incoming>) -> Response<DoorBody> {
    let Found { door, path, is_pass } = found;
    let (mut parts, incoming) = request.into_parts();
    let takes = match is_pass {
        true => matches!(parts.method, Method::POST | Method::GET | Method::DELETE),
        false => parts.method == Method::POST,
    };
    if !takes {
        let message = format!("{} takes POST, not {}", parts.uri.path(), parts.method);
        let fault = Fault::caller(Code::MethodNotAllowed, message);
        return error::answer_in(door.manners(), &fault).map(|bytes| DoorBody::Whole(Full::new(bytes)));
    }
    key_of_query(&parts.uri, &mut parts.headers);
    let as_array = path.stream && !has_alt_sse(&parts.uri);
    let body = match headers_fit(&parts.headers) {
        Ok(()) => body::read(incoming, gate.shared.snapshot.load().policy.config().server.body_max).await,
        Err(fault) => Err(fault),
    };
    // What was not read of a refused body would be taken for the next request.
    let must_close = body.is_err();
    let headers = if must_close { trimmed(parts.headers) } else { parts.headers };
    let gone = Gone::default();
    let tasks = gate.shared.tasks.clone();
    let pass = is_pass.then(|| PassPath { method: parts.method, path: below_version(&parts.uri) });
    let incoming = gauntlet_pipeline::Incoming { door, path, pass, headers, body, operator: None };
    let answer = Detach::new(gauntlet_pipeline::run(gate, incoming, gone.clone()), gone, tasks).await;
    let mut response = respond(if as_array { in_array(answer) } else { answer });
    if must_close {
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}

/// The path below `/v1`, with its query.
fn below_version(uri: &Uri) -> Name {
    let path = uri.path().get(3..).unwrap_or("");
    match uri.query() {
        Some(query) => format!("{path}?{query}").into(),
        None => path.into(),
    }
}

fn has_alt_sse(uri: &Uri) -> bool {
    uri.query().into_iter().flat_map(|query| query.split('&')).any(|pair| pair == "alt=sse")
}

/// A stream of Gemini's as the array that those get who do not ask for events.
fn in_array(answer: Answer) -> Answer {
    let is_events = answer
        .headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !is_events {
        return answer;
    }
    let Answer { status, mut headers, body, .. } = answer;
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let frames: Pin<Box<dyn Stream<Item = Bytes> + Send>> = match body {
        AnswerBody::Whole(bytes) => Box::pin(stream::iter([bytes])),
        AnswerBody::Stream(frames) => frames,
    };
    let mut array = ArrayStream::default();
    let mut decoder = Decoder::new();
    let mut is_over = false;
    let mut frames = Some(frames);
    let pieces = stream::poll_fn(move |cx| {
        loop {
            // A frame that is too long was refused before it came here.
            if let Ok(Some(frame)) = decoder.next() {
                if let Some(piece) = array.piece(&frame) {
                    return Poll::Ready(Some(piece));
                }
                continue;
            }
            let Some(live) = frames.as_mut() else {
                return Poll::Ready((!std::mem::replace(&mut is_over, true)).then(|| array.end()));
            };
            match std::task::ready!(live.as_mut().poll_next(cx)) {
                Some(bytes) => decoder.push(bytes),
                None => {
                    decoder.close();
                    frames = None;
                }
            }
        }
    });
    Answer { status, headers, body: AnswerBody::Stream(Box::pin(pieces)), record: None }
}

/// Google's examples put the key into the address.
fn key_of_query(uri: &Uri, headers: &mut HeaderMap) {
    let key =
        uri.query().into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("key="));
    let header = HeaderName::from_static("x-goog-api-key");
    if let Some(Ok(key)) = key.map(HeaderValue::from_str)
        && !headers.contains_key(&header)
    {
        headers.insert(header, key);
    }
}

pub(crate) fn headers_fit(headers: &HeaderMap) -> Result<(), Fault> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() <= HEADERS_MAX && bytes <= HEADER_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the request has {} headers of {bytes} bytes; at most {HEADERS_MAX} headers and {HEADER_BYTES_MAX} bytes are taken",
        headers.len()
    );
    Err(Fault::caller(Code::RequestTooLarge, message))
}

/// A flood of headers shall not travel on into the call.
fn trimmed(headers: HeaderMap) -> HeaderMap {
    headers.into_iter().take(HEADERS_MAX).filter_map(|(name, value)| Some((name?, value))).collect()
}

fn respond(answer: Answer) -> Response<DoorBody> {
    let mut response = Response::new(match answer.body {
        AnswerBody::Whole(bytes) => DoorBody::Whole(Full::new(bytes)),
        AnswerBody::Stream(stream) => DoorBody::Stream(stream),
    });
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// `GET /v1/models` and `/v1/models/{id}`: what the caller may ask for.
pub(crate) fn models(gate: &Gate, request: &Request<Incoming>) -> Response<DoorBody> {
    let answered = gauntlet_pipeline::Gate::models(gate, request.headers(), request.uri().path());
    let response = match answered {
        Ok(body) => {
            let mut response = Response::new(body);
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        Err(fault) => {
            let manners = gauntlet_pipeline::manners(request.headers(), request.uri().path());
            error::answer_in(manners, &fault)
        }
    };
    response.map(|bytes| DoorBody::Whole(Full::new(bytes)))
}

/// The body of any answer: whole, streamed by a call, or made by the management router.
pub(crate) enum DoorBody {
    Whole(Full<Bytes>),
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    Router(UnsyncBoxBody<Bytes, axum::Error>),
}

impl Body for DoorBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            DoorBody::Whole(full) => {
                Pin::new(full).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(never)))
            }
            DoorBody::Stream(stream) => {
                stream.as_mut().poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
            DoorBody::Router(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            DoorBody::Whole(full) => full.is_end_stream(),
            DoorBody::Stream(_) => false,
            DoorBody::Router(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            DoorBody::Whole(full) => full.size_hint(),
            DoorBody::Stream(_) => SizeHint::default(),
            DoorBody::Router(body) => body.size_hint(),
        }
    }
}

fn never(never: Infallible) -> axum::Error {
    match never {}
}

pub(crate) fn from_router(response: axum::response::Response) -> Response<DoorBody> {
    response.map(|body| DoorBody::Router(body.boxed_unsync()))
}

pub(crate) fn broken(manners: Dialect) -> Response<DoorBody> {
    let fault = Fault::us(Code::Internal, "the gateway failed on this call; the log says more");
    let mut response = error::answer_in(manners, &fault).map(|bytes| DoorBody::Whole(Full::new(bytes)));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

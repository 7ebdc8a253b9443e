//! Spans of applications: `POST /v1/traces`, and what both ways in have in common. [`grpc`] is the other.

pub mod grpc;

use std::{io::Read, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use gauntlet_pipeline::{Gate, SpanSender, Taken};
use gauntlet_types::{Code, Fault};
use gauntlet_wire::otlp::Encoding;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{
    body,
    door::{DoorBody, headers_fit},
    error,
};

pub(crate) const PATH: &str = "/v1/traces";
/// A request waits so long for others to be worked on; exporters give theirs ten seconds.
const WAIT_MAX: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How a body is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    /// By the name that HTTP and gRPC share.
    fn of(name: Option<&HeaderValue>) -> Option<Packing> {
        match name.map_or(Ok("identity"), HeaderValue::to_str).ok()?.trim() {
            "" | "identity" => Some(Packing::Plain),
            "gzip" | "x-gzip" => Some(Packing::Gzip),
            _ => None,
        }
    }
}

/// Answers a request in the encoding that it came in.
pub(crate) async fn call(gate: Arc<Gate>, request: Request<Incoming>) -> Response<DoorBody> {
    let (parts, incoming) = request.into_parts();
    let media = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let encoding = media.and_then(Encoding::of_media_type);
    // Whoever speaks neither can read JSON.
    let spoken = encoding.unwrap_or(Encoding::Json);
    if parts.method != Method::POST {
        let message = format!("{PATH} takes POST, not {}", parts.method);
        return refused(spoken, &Fault::caller(Code::MethodNotAllowed, message));
    }
    let (Some(encoding), Some(packing)) =
        (encoding, Packing::of(parts.headers.get(header::CONTENT_ENCODING)))
    else {
        return wrong_media(spoken);
    };
    match take(&gate, &parts.headers, incoming, encoding, packing).await {
        Ok(taken) => answer(encoding, StatusCode::OK, encoding.taken(taken.rejected, &taken.message)),
        Err(fault) => refused(encoding, &fault),
    }
}

async fn take(
    gate: &Arc<Gate>,
    headers: &HeaderMap,
    incoming: Incoming,
    encoding: Encoding,
    packing: Packing,
) -> Result<Taken, Fault> {
    headers_fit(headers)?;
    let sender = gate.span_sender(headers)?;
    let limit = body_max(gate);
    let body = body::read(incoming, limit).await?;
    work(gate, sender, move || unpacked(body, packing, limit), encoding).await
}

fn body_max(gate: &Gate) -> usize {
    gate.shared.snapshot.load().policy.config().server.body_max
}

/// Reads and keeps the spans of a body off the workers' threads, which serve calls: a large request takes a second.
async fn work(
    gate: &Arc<Gate>,
    sender: SpanSender,
    unpack: impl FnOnce() -> Result<Bytes, Fault> + Send + 'static,
    encoding: Encoding,
) -> Result<Taken, Fault> {
    let slots = gate.shared.spans.slots.clone();
    let Ok(Ok(slot)) = tokio::time::timeout(WAIT_MAX, slots.acquire_owned()).await else {
        let message = "more spans arrive than can be taken at the moment; try again soon";
        return Err(Fault::us(Code::Overloaded, message).retry_after(RETRY_AFTER));
    };
    let gate = gate.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let body = unpack()?;
        let received = encoding.read(&body);
        drop(body);
        let received = received.map_err(|why| Fault::caller(Code::InvalidRequest, why.to_string()))?;
        gate.spans(&sender, received)
    });
    taken.await.unwrap_or_else(|_| {
        Err(Fault::us(Code::Internal, "the gateway failed on these spans; the log says more"))
    })
}

/// A body as it was before it was packed; what would be larger than any body may be is not unpacked to its end.
fn unpacked(body: Bytes, packing: Packing, limit: usize) -> Result<Bytes, Fault> {
    if packing == Packing::Plain {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(&body[..]).take(limit as u64 + 1).read_to_end(&mut plain);
    if plain.len() > limit {
        return Err(body::too_large(limit));
    }
    match read {
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(Fault::caller(Code::InvalidRequest, "the gzip of the body is broken, or breaks off")),
    }
}

fn answer(encoding: Encoding, status: StatusCode, body: Vec<u8>) -> Response<DoorBody> {
    let mut response = Response::new(DoorBody::Whole(Full::new(body.into())));
    *response.status_mut() = status;
    let media = HeaderValue::from_static(encoding.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

fn refused(encoding: Encoding, fault: &Fault) -> Response<DoorBody> {
    let body = encoding.refused(error::grpc_status(fault), &fault.message);
    let mut response = answer(encoding, error::status(fault), body);
    error::retry_after(fault, response.headers_mut());
    close(response)
}

fn wrong_media(encoding: Encoding) -> Response<DoorBody> {
    let message = "spans are taken as application/x-protobuf or application/json, plain or with `content-encoding: gzip`";
    let invalid = error::grpc_status(&Fault::caller(Code::InvalidRequest, ""));
    close(answer(encoding, StatusCode::UNSUPPORTED_MEDIA_TYPE, encoding.refused(invalid, message)))
}

/// What was not read of a refused body would be taken for the next request.
fn close(mut response: Response<DoorBody>) -> Response<DoorBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

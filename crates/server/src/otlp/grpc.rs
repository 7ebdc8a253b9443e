//! Spans over gRPC: `TraceService/Export`, one unary method, written out over HTTP/2.
//!
//! A call is one message in and one out, with `grpc-status` in the trailers; a refusal is trailers alone
//! (`grpc/doc/PROTOCOL-HTTP2.md`).

use std::{convert::Infallible, io, net::TcpListener, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use gauntlet_pipeline::{Gate, Taken};
use gauntlet_types::{Code, Fault};
use gauntlet_wire::otlp::{
    Encoding,
    grpc::{self, METHOD, PREFIX_BYTES, Status},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::sync::watch;

use super::{Packing, body_max, unpacked, work};
use crate::{body, door::headers_fit, error, serve};

/// An exporter has one call open; one that is hurried has a few.
const STREAMS_MAX: u32 = 64;
const HEADERS_BYTES_MAX: u32 = 64 << 10;
/// A connection whose other end is gone is noticed within these.
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_WAIT: Duration = Duration::from_secs(20);
/// A call ends by then, whatever deadline it names.
const DEADLINE_MAX: Duration = Duration::from_secs(120);

type GrpcBody = UnsyncBoxBody<Bytes, Infallible>;

/// Why a call came to nothing.
struct Refused {
    status: Status,
    words: String,
    /// Exporters send again what finds no room only when they are told after how long.
    retry_after: Option<Duration>,
}

impl Refused {
    fn new(status: Status, words: impl Into<String>) -> Refused {
        Refused { status, words: words.into(), retry_after: None }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        let retry_after = fault.retry_after;
        Refused { retry_after, ..Refused::new(error::grpc_status(&fault), fault.message) }
    }
}

/// Serves one listener until `stop` turns true, then finishes the calls under way.
pub async fn worker(listener: TcpListener, gate: Arc<Gate>, stop: watch::Receiver<bool>) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAIT);
    let serve = |socket, slot| {
        let gate = gate.clone();
        let service = service_fn(move |request| respond(gate.clone(), request));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(socket), service));
        serve::hold(connection, slot);
    };
    serve::accept(listener, stop, serve).await?;
    graceful.shutdown().await;
    Ok(())
}

async fn respond(gate: Arc<Gate>, request: Request<Incoming>) -> Result<Response<GrpcBody>, Infallible> {
    let media = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if request.method() != Method::POST || !media.starts_with(b"application/grpc") {
        let mut response = Response::new(Empty::new().boxed_unsync());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Ok(response);
    }
    let deadline =
        request.headers().get("grpc-timeout").and_then(deadline).unwrap_or(DEADLINE_MAX).min(DEADLINE_MAX);
    let call = tokio::time::timeout(deadline, export(gate, request));
    // One call must not take the process with it.
    let ended = std::panic::AssertUnwindSafe(call).catch_unwind().await;
    let taken = match ended {
        Ok(Ok(taken)) => taken,
        Ok(Err(_)) => Err(Refused::new(
            Status::DeadlineExceeded,
            "the call's deadline passed before its spans were taken",
        )),
        Err(_) => Err(Refused::new(Status::Internal, "the gateway failed on these spans; the log says more")),
    };
    Ok(answer(taken))
}

async fn export(gate: Arc<Gate>, request: Request<Incoming>) -> Result<Taken, Refused> {
    let (parts, incoming) = request.into_parts();
    if parts.uri.path() != METHOD {
        return Err(Refused::new(Status::Unimplemented, format!("only {METHOD} is served here")));
    }
    let Some(packing) = Packing::of(parts.headers.get("grpc-encoding")) else {
        return Err(Refused::new(Status::Unimplemented, "messages are taken plain or packed as gzip"));
    };
    headers_fit(&parts.headers)?;
    let sender = gate.span_sender(&parts.headers)?;
    let limit = body_max(&gate);
    let body = body::read(incoming, limit.saturating_add(PREFIX_BYTES)).await?;
    let (message, is_packed) = grpc::unframed(body).map_err(|what| {
        Fault::caller(Code::InvalidRequest, format!("the call is no single gRPC message: {what}"))
    })?;
    let packing = match (is_packed, packing) {
        (false, _) => Packing::Plain,
        (true, Packing::Gzip) => Packing::Gzip,
        (true, Packing::Plain) => {
            return Err(Refused::new(
                Status::Internal,
                "the message says it is packed, and grpc-encoding does not say how",
            ));
        }
    };
    Ok(work(&gate, sender, move || unpacked(message, packing, limit), Encoding::Protobuf).await?)
}

/// `grpc-timeout`: at most eight digits and a unit.
fn deadline(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

fn answer(taken: Result<Taken, Refused>) -> Response<GrpcBody> {
    let mut response = match taken {
        Ok(taken) => {
            let message = Encoding::Protobuf.taken(taken.rejected, &taken.message);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(u16::from(Status::Ok.number())));
            let body = Full::new(grpc::framed(&message, false));
            Response::new(body.with_trailers(async { Some(Ok(trailers)) }).boxed_unsync())
        }
        Err(Refused { status, words, retry_after }) => {
            let mut response = Response::new(Empty::new().boxed_unsync());
            let headers = response.headers_mut();
            headers.insert("grpc-status", HeaderValue::from(u16::from(status.number())));
            if let Ok(words) = HeaderValue::from_str(&grpc::percent_encoded(&words)) {
                headers.insert("grpc-message", words);
            }
            let details = retry_after.map(|delay| grpc::retry_details(status, delay));
            if let Some(Ok(details)) = details.as_deref().map(HeaderValue::from_str) {
                headers.insert("grpc-status-details-bin", details);
            }
            response
        }
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_as_grpc_writes_them() {
        let check = |text: &'static str, millis: Option<u128>| {
            let read = deadline(&HeaderValue::from_static(text));
            assert_eq!(read.map(|time| time.as_millis()), millis, "{text}");
        };
        check("10S", Some(10_000));
        check("99999999H", Some(99_999_999 * 3_600_000));
        check("250m", Some(250));
        check("2000u", Some(2));
        for bad in ["", "S", "1", "123456789S", "-1S", "1.5S", "1x"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let fault = Fault::us(Code::Overloaded, "too many").retry_after(Duration::from_secs(2));
        let response = answer(Err(fault.into()));
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!((header("grpc-status"), header("grpc-message")), (Some("14"), Some("too many")));
        let pause = header("grpc-status-details-bin").and_then(grpc::retry_delay);
        assert_eq!(pause, Some(Duration::from_secs(2)));
        let response = answer(Err(Fault::caller(Code::InvalidRequest, "broken").into()));
        assert_eq!(response.headers().get("grpc-status-details-bin"), None);
    }
}

//! OTLP over gRPC: each request is one unary call, on a connection that is kept while requests follow one another.
//!
//! The queue's thread waits for each call, so the connection moves only while it waits. Whatever breaks before the
//! receiver has said anything is tried again; what it says is judged by the table of the OTLP specification.
//! `grpc-retry-pushback-ms` is not looked at: OTLP's own word for a pause is `RetryInfo` among the details.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use gauntlet_policy::config;
use gauntlet_trace::{Posted, export::Post};
use gauntlet_wire::otlp::{
    Encoding,
    grpc::{self, Again, METHOD, PREFIX_BYTES, Status},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::connect::{Connection, HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::{ANSWER_MAX, CONNECT_MAX, READ_MAX, USER_AGENT, hide, packed, readable};

/// Of an answer's head, and of its trailers.
const HEADERS_BYTES_MAX: u32 = 64 << 10;
/// A connection that rested longer may have been forgotten by something in between, which shows only when a call hangs.
const REST_MAX: Duration = Duration::from_secs(30);

pub(super) fn post(exporter: &config::Exporter) -> Post {
    post_with(exporter, gauntlet_upstream::tls::config())
}

fn post_with(exporter: &config::Exporter, tls: rustls::ClientConfig) -> Post {
    let exporter = exporter.clone();
    let link = Mutex::new(Link { tls, runtime: None, kept: None });
    Arc::new(move |body: &[u8]| {
        let broken = |why: String| Posted::Later { after: None, why: hide(&exporter, &why) };
        let request = match request(&exporter, body) {
            Ok(request) => request,
            Err(error) => return broken(error.to_string()),
        };
        // A call that panicked left no connection behind.
        match link.lock().unwrap_or_else(PoisonError::into_inner).call(request) {
            Ok(said) => judged(said, &exporter),
            Err(why) => broken(why),
        }
    })
}

fn request(exporter: &config::Exporter, message: &[u8]) -> http::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{METHOD}", exporter.url))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header("grpc-timeout", format!("{}S", ANSWER_MAX.as_secs()));
    if exporter.headers.iter().all(|(name, _)| *name != "user-agent") {
        request = request.header(header::USER_AGENT, USER_AGENT);
    }
    for (name, value) in &exporter.headers {
        let mut value = HeaderValue::from_bytes(value.expose().as_bytes())?;
        // So that no table of compression keeps it.
        value.set_sensitive(true);
        request = request.header(name.as_str(), value);
    }
    match packed(message) {
        Some(packed) => request.header("grpc-encoding", "gzip").body(Full::new(grpc::framed(&packed, true))),
        None => request.body(Full::new(grpc::framed(message, false))),
    }
}

/// The way to one receiver.
struct Link {
    tls: rustls::ClientConfig,
    runtime: Option<Runtime>,
    /// The last connection, and when it was used.
    kept: Option<(SendRequest<Full<Bytes>>, Instant)>,
}

impl Drop for Link {
    /// A new configuration drops its exporters on a thread of another runtime, where none may be waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Link {
    fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Said, String> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| format!("cannot start a runtime for gRPC: {error}"))?,
        };
        let call = async { tokio::time::timeout(ANSWER_MAX, self.ask(request)).await };
        let ended = runtime.block_on(call);
        self.runtime = Some(runtime);
        ended.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_MAX.as_secs())))
    }

    /// Leaves a connection behind only if it has just served.
    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Said, String> {
        let kept = self.kept.take().filter(|(kept, used)| used.elapsed() < REST_MAX && !kept.is_closed());
        if let Some((mut kept, _)) = kept
            // The receiver may have closed it while nobody looked: then once more on a new one.
            && let Ok(said) = ask(&mut kept, request.clone()).await
        {
            self.kept = Some((kept, Instant::now()));
            return Ok(said);
        }
        let mut fresh = self.connected(request.uri()).await?;
        let said = ask(&mut fresh, request).await?;
        self.kept = Some((fresh, Instant::now()));
        Ok(said)
    }

    async fn connected(&self, uri: &Uri) -> Result<SendRequest<Full<Bytes>>, String> {
        let connect = connector(self.tls.clone()).oneshot(uri.clone());
        let stream = match tokio::time::timeout(CONNECT_MAX, connect).await {
            Ok(connected) => connected.map_err(|error| chain(&*error))?,
            Err(_) => return Err(format!("no connection within {} s", CONNECT_MAX.as_secs())),
        };
        if uri.scheme_str() == Some("https") && !stream.connected().is_negotiated_h2() {
            return Err("the receiver does not speak HTTP/2, so it does not speak gRPC".to_owned());
        }
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new()).max_header_list_size(HEADERS_BYTES_MAX);
        let (sender, connection) = http.handshake(stream).await.map_err(|error| chain(&error))?;
        // What it ends with is told to whoever sends next. It goes with its runtime.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }
}

fn connector(tls: rustls::ClientConfig) -> HttpsConnector<HttpConnector> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http2().wrap_connector(tcp)
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Said, String> {
    sender.ready().await.map_err(|error| chain(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| chain(&error))?;
    said(answer).await
}

/// What a receiver said, wherever in its answer.
struct Said {
    status: Status,
    words: String,
    /// After how long the same is welcome again.
    retry: Option<Duration>,
    /// `ExportTraceServiceResponse`, if it could be read.
    message: Bytes,
    is_too_large: bool,
}

async fn said(answer: Response<Incoming>) -> Result<Said, String> {
    let (head, body) = answer.into_parts();
    let body = match Limited::new(body, READ_MAX + PREFIX_BYTES).collect().await {
        Ok(body) => body,
        Err(error) if error.is::<LengthLimitError>() => {
            // As gRPC's own libraries end a call whose answer is beyond their limit.
            let words = format!("its answer is longer than {READ_MAX} bytes");
            return Ok(Said::new(Status::ResourceExhausted, words));
        }
        Err(error) => return Err(chain(&*error)),
    };
    // An answer of trailers alone has them in its head.
    let has_status = |headers: &&HeaderMap| headers.contains_key("grpc-status");
    let trailers = body.trailers().filter(has_status).or(Some(&head.headers).filter(has_status));
    let Some(trailers) = trailers else {
        let mut said = match head.status {
            StatusCode::OK => Said::new(Status::Unknown, "it ended without a status of gRPC"),
            other => Said::new(Status::of_http(other.as_u16()), format!("HTTP status {}", other.as_u16())),
        };
        said.is_too_large = head.status == StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(said);
    };
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let status = Status::of_text(text("grpc-status").unwrap_or_default());
    let words = trailers.get("grpc-message").map(|words| grpc::percent_decoded(words.as_bytes()));
    let retry = text("grpc-status-details-bin").and_then(grpc::retry_delay);
    // No packed answer was asked for; one that cannot be read says nothing beyond its status.
    let message = match grpc::unframed(body.to_bytes()) {
        Ok((message, false)) => message,
        _ => Bytes::new(),
    };
    Ok(Said { retry, message, ..Said::new(status, words.unwrap_or_default()) })
}

impl Said {
    fn new(status: Status, words: impl Into<String>) -> Said {
        Said { status, words: words.into(), retry: None, message: Bytes::new(), is_too_large: false }
    }
}

fn judged(said: Said, exporter: &config::Exporter) -> Posted {
    if said.is_too_large {
        return Posted::TooLarge;
    }
    if said.status == Status::Ok {
        return match Encoding::Protobuf.rejected(&said.message) {
            Some((rejected, why)) => Posted::Partly { rejected, why: hide(exporter, &why) },
            None => Posted::Taken,
        };
    }
    let why = format!("status {}: {}", said.status, readable(exporter, said.words.as_bytes()));
    match (said.status.again(), said.retry) {
        (Again::Yes, after) | (Again::IfTold, after @ Some(_)) => {
            // No delay is no hint: then the pauses grow as they do without one.
            Posted::Later { after: after.filter(|pause| !pause.is_zero()), why }
        }
        (Again::IfTold, None) | (Again::No, _) => Posted::Refused(why),
    }
}

/// An error with its causes; some say theirs themselves.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;

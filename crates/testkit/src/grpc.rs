//! A receiver of OTLP over gRPC that answers by script, over real HTTP/2, plain or with TLS.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::Read,
    net::TcpListener,
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use gauntlet_wire::otlp::{
    Encoding,
    grpc::{self, Status},
    proto::ExportTraceServiceRequest,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rcgen::{CertifiedKey, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::otlp::{SeenSpan, spans_of};

/// Of nobody, for `localhost` and 127.0.0.1; another in every run.
static CERTIFIED: LazyLock<CertifiedKey<KeyPair>> = LazyLock::new(|| {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    rcgen::generate_simple_self_signed(names).expect("a certificate for two names")
});

/// One answer of a scripted receiver.
#[derive(Clone, Debug)]
pub enum GrpcStep {
    Taken,
    /// Taken but for so many spans.
    Partly(u64, &'static str),
    /// A refusal of trailers alone.
    Status(Status, &'static str),
    /// The same with `RetryInfo` among its details.
    Retry(Status, Duration),
    /// A head first, and the status in trailers behind it.
    StatusAtTheEnd(Status, &'static str),
    /// A page of a proxy in between.
    Http(u16),
    /// An end without any status.
    NoStatus,
    /// Takes the call and never answers.
    Hang,
    /// A message of so many bytes, and then all is well.
    Long(usize),
    /// Ends the connection instead of answering.
    Drop,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct SeenCall {
    pub path: String,
    pub headers: HeaderMap,
    pub is_packed: bool,
    pub request: ExportTraceServiceRequest,
}

impl SeenCall {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Default)]
struct State {
    steps: VecDeque<GrpcStep>,
    seen: Vec<SeenCall>,
    connections: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the receiver panics while it holds its state")
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Listens on a port of 127.0.0.1 until it is dropped, and takes everything once its script is at its end.
pub struct GrpcReceiver {
    shared: Arc<Shared>,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl GrpcReceiver {
    pub fn start() -> GrpcReceiver {
        GrpcReceiver::start_at(0)
    }

    /// Starts at a given port: to come back where an earlier one has gone.
    pub fn start_at(port: u16) -> GrpcReceiver {
        GrpcReceiver::serve(port, None)
    }

    /// With TLS, and these protocols to choose from.
    pub fn start_with_tls(alpn: &[&str]) -> GrpcReceiver {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(CERTIFIED.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![GrpcReceiver::certificate()], key)
            .expect("the key is that of the certificate");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        GrpcReceiver::serve(0, Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// Whom to trust for a receiver with TLS.
    pub fn certificate() -> CertificateDer<'static> {
        CERTIFIED.cert.der().clone()
    }

    fn serve(port: u16, tls: Option<TlsAcceptor>) -> GrpcReceiver {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the receiver's port can be bound");
        listener.set_nonblocking(true).expect("a socket can be told not to block");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = oneshot::channel();
        let accepting = Arc::clone(&shared);
        let serving = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, tls, accepting) => {}
                    _ = stopped => {}
                }
            });
            // Connections go with their runtime, as those of a killed process do.
        });
        GrpcReceiver { shared, port, stop: Some(stop), serving: Some(serving) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Adds steps, taken one a call in order.
    pub fn script(&self, steps: impl IntoIterator<Item = GrpcStep>) {
        self.shared.lock().steps.extend(steps);
    }

    /// Every call, whatever it was answered, in the order of their arrival.
    pub fn calls(&self) -> Vec<SeenCall> {
        self.shared.lock().seen.clone()
    }

    /// The spans of all calls.
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.calls().into_iter().flat_map(|call| spans_of(call.request)).collect()
    }

    /// Connections accepted so far: to see whether they are reused.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until so many calls have arrived; says whether they did.
    pub fn wait_for_calls(&self, count: usize, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.shared.lock();
        while state.seen.len() < count {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.expect("no thread panics while it holds the state").0;
        }
        true
    }
}

impl Drop for GrpcReceiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime takes the socket");
    while let Ok((socket, _)) = listener.accept().await {
        shared.lock().connections += 1;
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match tls {
                None => connection(socket, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(socket).await {
                        connection(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    // A step may end the connection, so that it stands beside the calls.
    let (end, ended) = oneshot::channel();
    let end = Arc::new(Mutex::new(Some(end)));
    let service = service_fn(move |request| respond(Arc::clone(&shared), Arc::clone(&end), request));
    let serving = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = serving => {}
        Ok(()) = ended => {}
    }
}

type End = Arc<Mutex<Option<oneshot::Sender<()>>>>;

async fn respond(
    shared: Arc<Shared>,
    end: End,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (message, is_packed) = grpc::unframed(body).expect("the call is one message of gRPC");
    let message = if is_packed {
        assert_eq!(parts.headers.get("grpc-encoding").map(HeaderValue::as_bytes), Some(&b"gzip"[..]));
        let mut plain = Vec::new();
        GzDecoder::new(&message[..]).read_to_end(&mut plain).expect("the message is gzip as it says");
        plain.into()
    } else {
        message
    };
    let request = ExportTraceServiceRequest::decode(message).expect("the message is OTLP");
    let path = parts.uri.path().to_owned();
    let step = {
        let mut state = shared.lock();
        state.seen.push(SeenCall { path, headers: parts.headers, is_packed, request });
        state.steps.pop_front().unwrap_or(GrpcStep::Taken)
    };
    shared.changed.notify_all();
    let ok = |message: &[u8]| at_the_end(grpc::framed(message, false), Some((Status::Ok, "")));
    Ok(match step {
        GrpcStep::Taken => ok(&Encoding::Protobuf.taken(0, "")),
        GrpcStep::Partly(count, why) => ok(&Encoding::Protobuf.taken(count, why)),
        GrpcStep::Status(status, words) => alone(status, words, None),
        GrpcStep::Retry(status, delay) => alone(status, "slow down", Some(delay)),
        GrpcStep::StatusAtTheEnd(status, words) => at_the_end(Bytes::new(), Some((status, words))),
        GrpcStep::NoStatus => at_the_end(Bytes::new(), None),
        GrpcStep::Long(bytes) => ok(&vec![0; bytes]),
        GrpcStep::Http(status) => {
            let mut response = Response::new(Full::new(Bytes::from("<html>")).boxed_unsync());
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            response
        }
        GrpcStep::Hang => std::future::pending().await,
        GrpcStep::Drop => {
            let end = end.lock().expect("nobody panics with it").take();
            let _ = end.map(|end| end.send(()));
            std::future::pending().await
        }
    })
}

fn number(status: Status) -> HeaderValue {
    HeaderValue::from(u16::from(status.number()))
}

fn words_of(words: &str) -> HeaderValue {
    HeaderValue::from_str(&grpc::percent_encoded(words)).expect("it is printable")
}

fn alone(status: Status, words: &str, retry: Option<Duration>) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", number(status));
    headers.insert("grpc-message", words_of(words));
    if let Some(delay) = retry {
        let details = grpc::retry_details(status, delay);
        headers.insert("grpc-status-details-bin", HeaderValue::from_str(&details).expect("base64"));
    }
    response
}

fn at_the_end(body: Bytes, status: Option<(Status, &str)>) -> Response<Body> {
    let body = Full::new(body);
    let body = match status {
        None => body.boxed_unsync(),
        Some((status, words)) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", number(status));
            trailers.insert("grpc-message", words_of(words));
            body.with_trailers(async { Some(Ok(trailers)) }).boxed_unsync()
        }
    };
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

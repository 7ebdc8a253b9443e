//! A provider over HTTP/1.1: pooled connections, TLS, no redirects (they would carry our credentials elsewhere).

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, future::BoxFuture};
use gauntlet_ports::{
    EndpointKind, Operation, Upstream, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest,
};
use gauntlet_types::Name;
use http_body::Body;
use http_body_util::Full;
use hyper::{
    Method, Request,
    body::Incoming,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{gzip::Gunzip, tls};

/// Providers close idle connections after about a minute; staying below spares a failed first write.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// Connections kept for reuse to one provider by one worker: as many as streams it may serve at once without reconnecting.
const POOL_IDLE_MAX: usize = 1024;

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// One pool for each connect timeout that endpoints ask for: usually one in all.
#[derive(Default)]
pub(crate) struct HttpUpstream {
    pools: Mutex<Vec<(Duration, Pool)>>,
}

impl HttpUpstream {
    fn pool(&self, connect_timeout: Duration) -> Pool {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(timeout, _)| *timeout == connect_timeout) {
            return pool.clone();
        }
        let pool = new_pool(connect_timeout);
        pools.push((connect_timeout, pool.clone()));
        pool
    }
}

fn new_pool(connect_timeout: Duration) -> Pool {
    let mut tcp = HttpConnector::new();
    // Without this a small frame waits for the peer's delayed acknowledgement: 40 ms a token.
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    tcp.set_connect_timeout(Some(connect_timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls::config())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .build(connector)
}

impl Upstream for HttpUpstream {
    fn send(
        &self,
        mut request: UpstreamRequest,
    ) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>> {
        let endpoint = request.endpoint.clone();
        let EndpointKind::Http { chat, embeddings, headers, .. } = &endpoint.kind else {
            unreachable!("only HTTP endpoints are sent here");
        };
        let uri = match request.operation {
            Operation::Embeddings => embeddings.clone(),
            _ => chat.clone(),
        };
        let length = request.body.len();
        let mut outgoing = Request::new(Full::new(std::mem::take(&mut request.body)));
        *outgoing.method_mut() = Method::POST;
        *outgoing.uri_mut() = uri;
        let sent = outgoing.headers_mut();
        *sent = request.headers;
        for (name, value) in headers {
            sent.insert(name.clone(), value.clone());
        }
        sent.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Compressed frames cannot be watched, and between two data centres the saving is small.
        sent.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        sent.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let answer = self.pool(endpoint.connect_timeout).request(outgoing);
        let provider = endpoint.provider.clone();
        Box::pin(async move {
            let answer = answer.await.map_err(|error| failed(&provider, error))?;
            let (parts, body) = answer.into_parts();
            let plain = Plain { body, provider: provider.clone() };
            let body: UpstreamBody = match parts.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
                None | Some(b"identity") => Box::pin(plain),
                Some(b"gzip" | b"x-gzip") => Box::pin(Gunzip::new(plain, provider)),
                Some(other) => {
                    let encoding = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
                    return Err(UpstreamError::Encoding { provider, encoding });
                }
            };
            Ok(UpstreamAnswer { status: parts.status, headers: parts.headers, body })
        })
    }
}

fn failed(provider: &Name, error: hyper_util::client::legacy::Error) -> UpstreamError {
    let provider = provider.clone();
    if error.is_connect() {
        UpstreamError::Connect { provider, source: error.into() }
    } else {
        UpstreamError::Broken { provider, source: error.into() }
    }
}

/// The frames of an answer as they arrive; trailers are left out.
struct Plain {
    body: Incoming,
    provider: Name,
}

impl Stream for Plain {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => None,
                Some(Err(error)) => {
                    Some(Err(UpstreamError::Broken { provider: self.provider.clone(), source: error.into() }))
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    Err(_trailers) => continue,
                },
            });
        }
    }
}

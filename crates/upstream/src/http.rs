//! A provider over HTTP/1.1: pooled connections, TLS, no redirects (they would carry our credentials elsewhere).
//!
//! HTTP/1.1 because a connection of HTTP/2 allows some hundred streams at once and stalls them all behind one lost
//! packet; a pool of plain connections does neither, and streams of tokens gain nothing by sharing one.

mod body;
mod outgoing;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use gauntlet_ports::{
    Auth, Endpoint, EndpointKind, HttpEndpoint, TokenGrant, Upstream, UpstreamAnswer, UpstreamError,
    UpstreamRequest,
};
use gauntlet_types::Name;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{
    tls,
    token::{self, Ask, Fetched, Tokens},
};

/// Providers close idle connections after about a minute; staying below spares a failed first write.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// Connections kept for reuse to one provider by one worker: as many as streams it may serve at once without reconnecting.
const POOL_IDLE_MAX: usize = 1024;
/// An answer with a token has some two kilobytes.
const TOKEN_ANSWER_MAX: usize = 64 << 10;
/// A shorter value is a name or a version, and no secret; cutting it out would cut words.
const SECRET_MIN: usize = 8;

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// One pool for each connect timeout that endpoints ask for: usually one in all.
pub(crate) struct HttpUpstream {
    pools: Mutex<Vec<(Duration, Pool)>>,
    tokens: Tokens,
}

impl HttpUpstream {
    pub(crate) fn new(tokens: Tokens) -> HttpUpstream {
        HttpUpstream { pools: Mutex::default(), tokens }
    }

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
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>> {
        let (pool, tokens) = (self.pool(request.endpoint.connect_timeout), self.tokens.clone());
        Box::pin(async move {
            let endpoint = request.endpoint.clone();
            let EndpointKind::Http(http) = &endpoint.kind else {
                unreachable!("only HTTP endpoints are sent here");
            };
            exchange(&pool, &tokens, &endpoint, http, request).await
        })
    }
}

async fn exchange(
    pool: &Pool,
    tokens: &Tokens,
    endpoint: &Endpoint,
    http: &HttpEndpoint,
    request: UpstreamRequest,
) -> Result<UpstreamAnswer, UpstreamError> {
    let mut outgoing = outgoing::request(request, http)?;
    match &http.auth {
        Auth::None | Auth::Header(..) => {}
        Auth::Aws(keys) => outgoing.sign(keys, tokens.clock().now(), endpoint)?,
        Auth::Token(grant) => {
            let token = tokens.header(grant, || fetch(pool, tokens, grant, endpoint)).await;
            let token = token.map_err(|why| no_token(endpoint, why))?;
            outgoing.headers.insert(AUTHORIZATION, token);
        }
    }
    let token = outgoing.headers.get(AUTHORIZATION).cloned();
    let answer = pool.request(outgoing.into_http()).await;
    let answer = answer.map_err(|error| failed(&endpoint.provider, error))?;
    if let (StatusCode::UNAUTHORIZED, Auth::Token(grant), Some(token)) = (answer.status(), &http.auth, &token)
    {
        tokens.refused(grant, token);
    }
    body::answer(answer, &endpoint.provider)
}

/// Asks for a token. Errors hold no secret: what a server says is looked through for those that it was sent.
async fn fetch(
    pool: &Pool,
    tokens: &Tokens,
    grant: &TokenGrant,
    endpoint: &Endpoint,
) -> Result<Fetched, String> {
    let ask = token::ask(grant, tokens.clock().now())?;
    let answer = pool.request(asking(ask)?).await;
    // The client's own words end in what the system said.
    let answer = answer.map_err(|error| format!("the token server cannot be reached: {}", chain(&error)))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), TOKEN_ANSWER_MAX).collect().await;
    let body = body.map_err(|error| format!("the token server's answer cannot be read: {error}"))?.to_bytes();
    token::read(status, &body).map_err(|said| {
        let secrets = endpoint.secrets().into_iter().filter(|secret| secret.len() >= SECRET_MIN);
        secrets.fold(said, |said, secret| said.replace(secret, "***"))
    })
}

fn asking(ask: Ask) -> Result<Request<Full<Bytes>>, String> {
    let mut asking = Request::builder().uri(&ask.url);
    if ask.form.is_some() {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        asking = asking.method(Method::POST).header(CONTENT_TYPE, form);
    }
    if let Some((name, value)) = ask.header {
        asking = asking.header(name, value);
    }
    let body = Full::new(ask.form.unwrap_or_default().into());
    asking.body(body).map_err(|_| format!("`{}` is not the address of a token server", ask.url))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn no_token(endpoint: &Endpoint, why: String) -> UpstreamError {
    UpstreamError::Token { provider: endpoint.provider.clone(), why }
}

fn failed(provider: &Name, error: hyper_util::client::legacy::Error) -> UpstreamError {
    let provider = provider.clone();
    if error.is_connect() {
        UpstreamError::Connect { provider, source: error.into() }
    } else {
        UpstreamError::Broken { provider, source: error.into() }
    }
}

//! Calls of a run over HTTP/1, as many at once as are asked for, on connections that stay open.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use gauntlet_ports::{Ask, JudgeKey, Judged, Runner, RunnerError, Told};
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{folders::Folders, message};
use crate::runfile::RunFile;

/// The gateway is on this machine.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The gateway ends a call by its route's own times; this is for one that hangs. Longer than any model thinks.
const ANSWER_MAX: Duration = Duration::from_secs(20 * 60);
/// Connections that nobody uses are closed after this.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Of an answer: vectors of a batch of texts are the largest.
const BODY_MAX: usize = 256 << 20;

type Http = Client<HttpConnector, Full<Bytes>>;

/// Asks the gateway at `POST /api/v1/evals/ask`. Wants a Tokio runtime.
pub struct GatewayRunner {
    http: Http,
    ask: Uri,
    judged: Uri,
    judged_get: Uri,
    authorization: HeaderValue,
    folders: Arc<Folders>,
}

impl GatewayRunner {
    pub(super) fn new(run: &RunFile, root: PathBuf) -> Result<GatewayRunner> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        // Asked again on another connection, a call that found its connection closed was never sent; what was sent is not
        // asked twice: it may have been paid for. Both are the client's own rules.
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .retry_canceled_requests(true)
            .build(connector);
        let uri = |path: &str| format!("{}/api/v1/evals/{path}", run.url).parse::<Uri>();
        let of = "the gateway's address cannot be read";
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", run.token)).context("the gateway's token")?;
        authorization.set_sensitive(true);
        Ok(GatewayRunner {
            http,
            ask: uri("ask").context(of)?,
            judged: uri("judged").context(of)?,
            judged_get: uri("judged/get").context(of)?,
            authorization,
            folders: Arc::new(Folders::at(root)),
        })
    }

    /// A judge's answer that is known.
    pub async fn judged_get(&self, key: &JudgeKey) -> Result<Option<Judged>, RunnerError> {
        #[derive(Deserialize)]
        struct Found {
            judged: Vec<Judged>,
        }
        let found: Found = self.post(&self.judged_get, &[key]).await?;
        Ok(found.judged.into_iter().next())
    }

    pub async fn judged_put(&self, judged: &Judged) -> Result<(), RunnerError> {
        self.post::<serde_json::Value>(&self.judged, &[judged]).await.map(drop)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        uri: &Uri,
        body: &impl serde::Serialize,
    ) -> Result<T, RunnerError> {
        let failed = |error: &dyn std::fmt::Display| RunnerError(error.to_string());
        let body = serde_json::to_vec(body).map_err(|error| failed(&error))?;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let asked = async {
            let answer = self.http.request(request).await.map_err(|error| RunnerError(told_whole(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
            let body = body.map_err(|error| failed(&error))?.to_bytes();
            if !status.is_success() {
                return Err(RunnerError(message(&String::from_utf8_lossy(&body), status.as_u16())));
            }
            serde_json::from_slice(&body)
                .map_err(|error| RunnerError(format!("its answer does not fit: {error}")))
        };
        let late = || RunnerError(format!("no answer within {} s", ANSWER_MAX.as_secs()));
        tokio::time::timeout(ANSWER_MAX, asked).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Runner for GatewayRunner {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Told, RunnerError>> {
        Box::pin(async move {
            let Some(folder) = Folders::of(&ask) else { return self.post(&self.ask, &ask).await };
            let folders = Arc::clone(&self.folders);
            let embedded = tokio::task::spawn_blocking(move || folders.embed(&folder, &ask)).await;
            embedded.map_err(|_| RunnerError("the embedding model in its folder broke down".to_owned()))
        })
    }
}

/// An error with its causes: hyper's own words alone say little.
fn told_whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Bounded: a chain of causes that has no end would be a mistake of somebody's.
    for _ in 0..8 {
        let Some(error) = cause else { break };
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

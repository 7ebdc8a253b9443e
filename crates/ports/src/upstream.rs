//! The way to a model: one attempt, no policy.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, future::BoxFuture};
use gauntlet_types::{Dialect, Name};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use thiserror::Error;

/// A provider as the adapter needs it; made from the configuration once per snapshot.
#[derive(Debug)]
pub struct Endpoint {
    pub provider: Name,
    pub kind: EndpointKind,
    pub connect_timeout: Duration,
}

#[derive(Debug)]
pub enum EndpointKind {
    /// `headers` carry our credentials, marked sensitive, and override what the caller sent.
    Http {
        chat: Uri,
        embeddings: Uri,
        models: Uri,
        headers: HeaderMap,
    },
    Sim(Sim),
}

/// The simulated model: for demos, drills, load and tests; its answers say that they are simulated.
#[derive(Clone, Debug)]
pub struct Sim {
    /// Before the first token.
    pub latency: Duration,
    /// Between pieces of a streamed answer.
    pub chunk_delay: Duration,
    /// Tokens in an answer, unless the request's limit is lower.
    pub tokens: u32,
    /// Share of calls that fail with status 500, from 0 to 1; which ones is decided by `seed` and the request alone.
    pub fault_rate: f64,
    pub seed: u64,
    /// A fixed answer instead of generated words.
    pub answer: Option<String>,
}

/// What is asked of a provider; with the model it decides the address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Chat,
    Embeddings,
    CountTokens,
    GeminiCountTokens,
    EmbedContent,
    BatchEmbedContents,
    Other,
    Raw { method: Method, path: Name },
}

impl Operation {
    pub const fn of(dialect: Dialect) -> Operation {
        match dialect {
            Dialect::Chat => Operation::Chat,
            _ => Operation::Other,
        }
    }
}

impl Endpoint {
    /// No simulated model.
    pub fn is_real(&self) -> bool {
        !matches!(self.kind, EndpointKind::Sim(_))
    }

    pub fn native(&self, _: &str) -> Dialect {
        Dialect::Chat
    }

    pub fn speaks(&self, dialect: Dialect, _: &str) -> bool {
        dialect == Dialect::Chat
    }
}

pub struct UpstreamRequest {
    pub endpoint: Arc<Endpoint>,
    pub model: Name,
    pub operation: Operation,
    pub is_streaming: bool,
    /// What the body is: JSON if none is said, a multipart form with its boundary where a file travels.
    pub content_type: Option<HeaderValue>,
    /// The caller's headers that may travel on.
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub type UpstreamBody = Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>> + Send>>;

pub struct UpstreamAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Decoded from its content encoding.
    pub body: UpstreamBody,
}

#[derive(Debug, Error)]
pub enum UpstreamError {
    #[error("cannot reach provider `{provider}`")]
    Connect { provider: Name, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the connection to provider `{provider}` broke")]
    Broken { provider: Name, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("provider `{provider}` answered in content encoding `{encoding}`, which was not asked for")]
    Encoding { provider: Name, encoding: String },
}

pub trait Upstream: Send + Sync {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>>;
}

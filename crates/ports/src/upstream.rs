//! The way to a model: one attempt, no policy.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, future::BoxFuture};
use gauntlet_types::{Door, Name};
use http::{HeaderMap, StatusCode};
use thiserror::Error;

pub struct UpstreamRequest {
    /// Name of the provider in the configuration.
    pub provider: Name,
    pub model: Name,
    pub door: Door,
    pub is_streaming: bool,
    /// The caller's headers that may travel on; credentials of ours are added by the adapter.
    pub headers: HeaderMap,
    pub body: Bytes,
    pub connect_timeout: Duration,
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
    #[error("no connection to provider `{provider}` within {limit:?}")]
    ConnectTimeout { provider: Name, limit: Duration },
    #[error("the connection to provider `{provider}` broke")]
    Broken { provider: Name, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("provider `{provider}` is not configured")]
    Unknown { provider: Name },
    #[error("provider `{provider}` answered in a content encoding that was not asked for: {encoding}")]
    Encoding { provider: Name, encoding: String },
}

pub trait Upstream: Send + Sync {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>>;
}

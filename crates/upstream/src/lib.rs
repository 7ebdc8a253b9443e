//! Adapters that reach a model: over HTTP, or the simulated one. One attempt each; policy, retries and money are elsewhere.
//!
//! What differs from provider to provider is `address` (where), `token` and `sigv4` (who asks) and `frames` (Bedrock's
//! framing). What a body says is its dialect's affair: of bodies only that of Anthropic's models on Vertex AI is touched.

mod address;
mod frames;
mod gzip;
mod http;
mod percent;
mod sigv4;
mod sim;
pub mod tls;
mod token;

use futures_util::future::BoxFuture;
use gauntlet_ports::{EndpointKind, Upstream, UpstreamAnswer, UpstreamError, UpstreamRequest};

pub use token::Tokens;

/// Sends each request to the adapter of its endpoint's kind. One per worker: connections belong to its runtime, and
/// tokens to all of them.
pub struct Upstreams {
    http: http::HttpUpstream,
    sim: sim::SimUpstream,
}

impl Upstreams {
    pub fn new(tokens: Tokens) -> Upstreams {
        Upstreams { http: http::HttpUpstream::new(tokens), sim: sim::SimUpstream }
    }
}

impl Upstream for Upstreams {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>> {
        match request.endpoint.kind {
            EndpointKind::Http(_) => self.http.send(request),
            EndpointKind::Sim(_) => self.sim.send(request),
        }
    }
}

#[cfg(test)]
mod tests;

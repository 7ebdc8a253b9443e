//! Adapters that reach a model: over HTTP, or the simulated one. One attempt each; policy, retries and money are elsewhere.

mod gzip;
mod http;
mod sim;
pub mod tls;

use futures_util::future::BoxFuture;
use gauntlet_ports::{EndpointKind, Upstream, UpstreamAnswer, UpstreamError, UpstreamRequest};

/// Sends each request to the adapter of its endpoint's kind. One per worker: connections belong to its runtime.
#[derive(Default)]
pub struct Upstreams {
    http: http::HttpUpstream,
    sim: sim::SimUpstream,
}

impl Upstream for Upstreams {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>> {
        match request.endpoint.kind {
            EndpointKind::Http { .. } => self.http.send(request),
            EndpointKind::Sim(_) => self.sim.send(request),
        }
    }
}

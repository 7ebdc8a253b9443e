//! What tests bring with them: a scripted provider over real HTTP, a clock driven by hand, the built binary under
//! control, a small HTTP client that keeps arrival times, a real small model, real Redis and Postgres
//! servers to be stopped at the worst moment, a scripted receiver of spans over gRPC, a Prometheus, a product that shows spans, and the vendors' own SDKs.
//!
//! Everything here is blocking and runs on threads of its own, so that tests may be sync or async. Nothing listens
//! anywhere but on 127.0.0.1, at ports the system picks. Failures of the test's own means panic: they are no result.

pub mod binary;
pub mod clock;
pub mod grpc;
pub mod http;
pub mod llama;
pub mod otlp;
pub mod parts;
pub mod phoenix;
pub mod port;
pub mod postgres;
mod process;
pub mod prometheus;
pub mod provider;
pub mod redis;
pub mod sdk;

pub use binary::{Binary, Ended, Launch};
pub use clock::ManualClock;
pub use grpc::{GrpcReceiver, GrpcStep, SeenCall};
pub use llama::LlamaServer;
pub use phoenix::PhoenixServer;
pub use port::free_port;
pub use postgres::PostgresServer;
pub use prometheus::PrometheusServer;
pub use provider::{Format, Heard, HeardCall, HeardResult, Played, PlayedEnd, Provider, Seen, Step};
pub use redis::RedisServer;
pub use sdk::{Client, Conversation};

//! Time and chance, handed in so that tests can drive them.

use gauntlet_types::{CallId, Mono, Timestamp};

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    fn mono(&self) -> Mono;
    /// A fresh id whose order follows time.
    fn call_id(&self) -> CallId;
    /// Uniform in `0.0..1.0`, for jitter; not for secrets.
    fn chance(&self) -> f64;
}

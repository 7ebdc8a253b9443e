//! The real clock; everything else is handed one.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gauntlet_ports::Clock;
use gauntlet_types::{CallId, Mono, Timestamp};

pub struct SystemClock {
    begun: Instant,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { begun: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> Mono {
        Mono(self.begun.elapsed().as_micros() as u64)
    }

    fn call_id(&self) -> CallId {
        CallId(uuid::Uuid::now_v7())
    }

    fn chance(&self) -> f64 {
        fastrand::f64()
    }
}

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
        // Version 7 (RFC 9562): milliseconds, then the fraction of a millisecond in twelve bits, so that ids keep their
        // order within it, then chance. Ids are no secrets, so a fast generator does: asking the system for random
        // bytes would be a system call for every call.
        let micros = self.now().0.max(0) as u64;
        let fraction = (micros % 1000) * 4096 / 1000;
        let mut random = [0; 10];
        random[..2].copy_from_slice(&(fraction as u16).to_be_bytes());
        random[2..].copy_from_slice(&fastrand::u64(..).to_be_bytes());
        CallId(uuid::Builder::from_unix_timestamp_millis(micros / 1000, &random).into_uuid())
    }

    fn chance(&self) -> f64 {
        fastrand::f64()
    }
}

//! Points in time. The clock itself is handed in (`ports::Clock`).

use std::{fmt, time::Duration};

use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01 UTC. Shown as RFC 3339 with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Microseconds on a clock that never goes back; only differences mean something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Mono(pub u64);

/// Days since 1970-01-01 UTC. Shown as `2026-11-21`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub i32);

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Timestamp {
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }

    /// The hour this falls in, as its first instant.
    pub const fn hour_start(self) -> Timestamp {
        Timestamp(self.0.div_euclid(3_600_000_000) * 3_600_000_000)
    }

    /// The minute this falls in, as its first instant.
    pub const fn minute_start(self) -> Timestamp {
        Timestamp(self.0.div_euclid(60_000_000) * 60_000_000)
    }

    pub const fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(duration.as_micros() as i64))
    }

    pub const fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(duration.as_micros() as i64))
    }
}

impl Mono {
    pub const fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    pub const fn plus(self, duration: Duration) -> Mono {
        Mono(self.0.saturating_add(duration.as_micros() as u64))
    }
}

impl Day {
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * MICROS_PER_DAY)
    }

    pub const fn next(self) -> Day {
        Day(self.0 + 1)
    }

    pub fn parse(text: &str) -> Option<Day> {
        let date: Date = text.parse().ok()?;
        let start = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond();
        Some(Timestamp(start).day())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.start().0) {
            Ok(instant) => f.pad(&instant.to_zoned(TimeZone::UTC).date().to_string()),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_show_in_utc() {
        let instant = Timestamp(1_777_142_531_482_000);
        assert_eq!(instant.to_string(), "2026-04-25T18:42:11.482Z");
        assert_eq!(instant.day().to_string(), "2026-04-25");
        assert_eq!(Day::parse("2026-04-25"), Some(instant.day()));
        assert_eq!(Day::parse("2026-13-25"), None);
        assert_eq!(Timestamp(-1).day(), Day(-1));
    }
}

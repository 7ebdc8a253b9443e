//! Times as the tables show them: fixed width, so that text order is time order.

use std::fmt::Write;

use gauntlet_types::{Day, Timestamp};

/// The last instant that calendars here know, a day before the year 9999 ends; later ones would be wider and sort wrongly.
const LATEST: i64 = 253_402_214_399_999_999;
/// The day in `budgets.period` of a budget that never turns; a date, since Postgres wants one there.
pub(crate) const NEVER_TURNS: &str = "0001-01-01";

/// `2026-04-25`; days that no calendar here knows are taken as the nearest that it does.
pub(crate) fn day(day: Day) -> String {
    within(day).to_string()
}

pub(crate) fn within(day: Day) -> Day {
    Day(day.0.clamp(0, Timestamp(LATEST).day().0))
}

/// Instants outside the years 1970 to 9999 are taken as the nearest within.
pub(crate) fn within_calendar(at: Timestamp) -> Timestamp {
    Timestamp(at.0.clamp(0, LATEST))
}

/// Writes times; remembers the day it wrote last, as neighbours in a batch nearly always share it.
#[derive(Default)]
pub(crate) struct TimeWriter {
    day: Option<Day>,
    shown: String,
}

impl TimeWriter {
    /// `2026-04-25`
    pub(crate) fn day(&mut self, day: Day) -> &str {
        if self.day != Some(day) {
            self.shown = self::day(day);
            self.day = Some(day);
        }
        &self.shown
    }

    /// `2026-04-25T18:42:11.482123Z`; instants outside the years 1970 to 9999 are taken as the nearest within.
    pub(crate) fn instant(&mut self, at: Timestamp, out: &mut String) {
        let at = within_calendar(at);
        let micros = at.0 - at.day().start().0;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        out.clear();
        out.push_str(self.day(at.day()));
        let clock = [(b'T', seconds / 3600), (b':', seconds / 60 % 60), (b':', seconds % 60)];
        for (mark, number) in clock {
            out.push(char::from(mark));
            digits(out, number, 10);
        }
        out.push('.');
        digits(out, micros, 100_000);
        out.push('Z');
    }
}

fn digits(out: &mut String, number: i64, mut place: i64) {
    while place > 0 {
        out.push(char::from(b'0' + (number / place % 10) as u8));
        place /= 10;
    }
}

pub(crate) fn instant(at: Timestamp) -> String {
    let mut out = String::with_capacity(27);
    TimeWriter::default().instant(at, &mut out);
    out
}

/// `2026-04-25T18:00Z`
pub(crate) fn hour(at: Timestamp) -> String {
    minute(within_calendar(at).hour_start())
}

/// `2026-04-25T18:42Z`
pub(crate) fn minute(at: Timestamp) -> String {
    let at = within_calendar(at);
    let mut out = at.day().to_string();
    let minutes = (at.0 - at.day().start().0) / 60_000_000;
    // Writing to a string cannot fail.
    let _ = write!(out, "T{:02}:{:02}Z", minutes / 60, minutes % 60);
    out
}

/// Reads what [`TimeWriter::instant`], [`minute`] or `Day` wrote.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let day = Day::parse(text.get(..10)?)?;
    let number = |range| text.get(range).map_or(Some(0), |digits: &str| digits.parse::<i64>().ok());
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    Some(Timestamp(day.start().0 + seconds * 1_000_000 + number(20..26)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_written_and_sort_as_text() {
        let check = |micros: i64, shown: &str| {
            assert_eq!(instant(Timestamp(micros)), shown);
            assert_eq!(parse(shown), Some(Timestamp(micros)));
        };
        check(0, "1970-01-01T00:00:00.000000Z");
        check(1_777_142_531_482_123, "2026-04-25T18:42:11.482123Z");
        check(LATEST, "9999-12-30T23:59:59.999999Z");
        assert_eq!(instant(Timestamp(i64::MAX)), "9999-12-30T23:59:59.999999Z");
        assert_eq!(instant(Timestamp(-5)), "1970-01-01T00:00:00.000000Z");
        let at = Timestamp(1_777_142_531_482_123);
        assert_eq!(hour(at), "2026-04-25T18:00Z");
        assert_eq!(parse(&hour(at)), Some(at.hour_start()));
        assert_eq!(minute(at), "2026-04-25T18:42Z");
        assert_eq!(parse(&minute(at)), Some(at.minute_start()));
        assert_eq!(parse("2026-04-25"), Some(at.day().start()));
        assert_eq!(parse("nonsense"), None);
    }
}

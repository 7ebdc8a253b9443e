//! When a budget turns.

use std::{sync::Mutex, time::Duration};

use gauntlet_types::{Day, Timestamp};
use jiff::{civil::Date, tz::TimeZone};

use crate::budget::Rolling;

/// How long a budget lasts until it starts afresh.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Window {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
    Quarter,
    Year,
    Never,
    /// The last so many seconds, at any moment.
    Rolling(u32),
}

/// Shorter is what `rpm` and `tpm` are for; longer would keep a month's days in memory for each user.
pub(super) const ROLLING_MIN: Duration = Duration::from_secs(600);
pub(super) const ROLLING_MAX: Duration = Duration::from_secs(31 * 86_400);

impl Window {
    /// As field names begin, and as charges are named.
    pub(super) fn label(self) -> String {
        match self {
            Window::Day => "daily".to_owned(),
            Window::Week => "weekly".to_owned(),
            Window::Month => "monthly".to_owned(),
            Window::Quarter => "quarterly".to_owned(),
            Window::Year => "yearly".to_owned(),
            Window::Never => "total".to_owned(),
            Window::Rolling(seconds) => match seconds {
                s if s % 86_400 == 0 => format!("rolling_{}d", s / 86_400),
                s if s % 3_600 == 0 => format!("rolling_{}h", s / 3_600),
                s => format!("rolling_{}m", s / 60),
            },
        }
    }

    /// Reads `daily`, `day`, `monthly`, `rolling 24h` …
    pub(super) fn parse(text: &str, duration: fn(&str) -> Option<Duration>) -> Option<Window> {
        Some(match text {
            "day" | "daily" => Window::Day,
            "week" | "weekly" => Window::Week,
            "month" | "monthly" => Window::Month,
            "quarter" | "quarterly" => Window::Quarter,
            "year" | "yearly" => Window::Year,
            "total" | "never" => Window::Never,
            _ => {
                let length = duration(text.strip_prefix("rolling")?.trim_start_matches(['_', ' ']))?;
                let is_whole = length.subsec_nanos() == 0 && length.as_secs().is_multiple_of(60);
                if !is_whole || !(ROLLING_MIN..=ROLLING_MAX).contains(&length) {
                    return None;
                }
                let window = Window::Rolling(length.as_secs() as u32);
                // What is no whole number of parts would be counted over more than was asked for.
                let part = 86_400 / u64::from(window.rolling()?.parts_per_day);
                if !length.as_secs().is_multiple_of(part) {
                    return None;
                }
                window
            }
        })
    }

    /// How a rolling window is cut: in minutes up to six hours, in hours up to two weeks, else in days.
    pub fn rolling(self) -> Option<Rolling> {
        let Window::Rolling(seconds) = self else { return None };
        let parts_per_day = match seconds {
            0..=21_600 => 1_440,
            21_601..=1_209_600 => 24,
            _ => 1,
        };
        let parts = u64::from(seconds).div_ceil(86_400 / u64::from(parts_per_day));
        Some(Rolling { parts: parts as u16, parts_per_day })
    }
}

/// How the budget of a charge rolls, by the charge's own name: so that what a store kept is understood whatever is
/// configured now.
pub fn rolling_of(scope: &str) -> Option<Rolling> {
    let (_, rest) = scope.split_once("_rolling_")?;
    let label = rest.split(['_', ':']).next()?;
    let (number, unit) = label.split_at_checked(label.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Window::Rolling(number.parse::<u32>().ok()?.checked_mul(seconds)?).rolling()
}

/// A window in a time zone.
#[derive(Debug)]
pub struct Calendar {
    pub window: Window,
    /// None: UTC.
    pub zone: Option<TimeZone>,
    /// The period looked up last, with its first instant and the one after it: finding it takes longer than all the
    /// rest of a budget. A memo only; whoever finds it taken works the period out.
    last: Mutex<Option<(Timestamp, Timestamp, Day)>>,
}

impl Calendar {
    pub(super) fn new(window: Window, zone: Option<TimeZone>) -> Calendar {
        Calendar { window, zone, last: Mutex::new(None) }
    }

    /// The `period` and `part` of a charge at `at`. A period is named by its last day, so that a charge may be forgotten
    /// once that day is past, whatever its window.
    pub fn period(&self, at: Timestamp) -> (Option<Day>, u16) {
        match self.window {
            Window::Never => (None, 0),
            Window::Day if self.zone.is_none() => (Some(at.day()), 0),
            Window::Rolling(_) => {
                let parts = self.window.rolling().map_or(1, |rolling| i64::from(rolling.parts_per_day));
                let within = at.0 - at.day().start().0;
                (Some(at.day()), (within / (86_400_000_000 / parts)) as u16)
            }
            Window::Day | Window::Week | Window::Month | Window::Quarter | Window::Year => {
                (self.span(at).map(|(_, _, day)| day), 0)
            }
        }
    }

    /// An instant in the period that is named by `day`: the noon of that day.
    pub fn within(&self, day: Day) -> Option<Timestamp> {
        let noon = jiff::Timestamp::from_microsecond(day.start().0)
            .ok()?
            .to_zoned(TimeZone::UTC)
            .date()
            .at(12, 0, 0, 0);
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        Some(Timestamp(noon.to_zoned(zone).ok()?.timestamp().as_microsecond()))
    }

    /// When the budget that holds at `at` starts afresh; none if it never does, or rolls.
    pub fn resets(&self, at: Timestamp) -> Option<Timestamp> {
        match self.window {
            Window::Never | Window::Rolling(_) => None,
            Window::Day if self.zone.is_none() => Some(at.day().next().start()),
            _ => self.span(at).map(|(_, end, _)| end),
        }
    }

    fn span(&self, at: Timestamp) -> Option<(Timestamp, Timestamp, Day)> {
        if let Ok(last) = self.last.try_lock()
            && let Some((start, end, day)) = *last
            && (start..end).contains(&at)
        {
            return Some((start, end, day));
        }
        let found = self.work_out(at)?;
        if let Ok(mut last) = self.last.try_lock() {
            *last = Some(found);
        }
        Some(found)
    }

    fn work_out(&self, at: Timestamp) -> Option<(Timestamp, Timestamp, Day)> {
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let date = jiff::Timestamp::from_microsecond(at.0).ok()?.to_zoned(zone.clone()).date();
        let (first, last) = self.dates(date)?;
        let instant = |date: Date| -> Option<Timestamp> {
            Some(Timestamp(date.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond()))
        };
        Some((instant(first)?, instant(last.tomorrow().ok()?)?, Day::parse(&last.to_string())?))
    }

    /// First and last day of the period that a day lies in.
    fn dates(&self, date: Date) -> Option<(Date, Date)> {
        let quarter = (date.month() - 1) / 3;
        let day = |month: i8, last: bool| {
            let first = Date::new(date.year(), month, 1).ok()?;
            Some(if last { first.last_of_month() } else { first })
        };
        match self.window {
            Window::Day | Window::Never | Window::Rolling(_) => Some((date, date)),
            Window::Week => {
                let since = i32::from(date.weekday().to_monday_zero_offset());
                let monday = date.checked_sub(jiff::Span::new().days(since)).ok()?;
                Some((monday, monday.checked_add(jiff::Span::new().days(6)).ok()?))
            }
            Window::Month => Some((date.first_of_month(), date.last_of_month())),
            Window::Quarter => Some((day(quarter * 3 + 1, false)?, day(quarter * 3 + 3, true)?)),
            Window::Year => Some((day(1, false)?, day(12, true)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn periods_are_named_by_their_last_day_in_their_zone() {
        let check = |window, zone: Option<&str>, when: &str, period: &str, resets: &str| {
            let zone = zone.map(|name| TimeZone::get(name).unwrap());
            let calendar = Calendar::new(window, zone);
            for _ in 0..2 {
                let (found, part) = calendar.period(at(when));
                assert_eq!((found.unwrap().to_string().as_str(), part), (period, 0), "{window:?} {when}");
                assert_eq!(calendar.resets(at(when)), Some(at(resets)), "{window:?} {when}");
            }
        };
        let berlin = Some("Europe/Berlin");
        check(Window::Day, None, "2026-11-21T23:30:00Z", "2026-11-21", "2026-11-22T00:00:00Z");
        check(Window::Day, berlin, "2026-11-21T23:30:00Z", "2026-11-22", "2026-11-22T23:00:00Z");
        // The day on which clocks go forward has 23 hours.
        check(Window::Day, berlin, "2026-03-29T12:00:00Z", "2026-03-29", "2026-03-29T22:00:00Z");
        check(Window::Week, None, "2026-11-21T10:00:00Z", "2026-11-22", "2026-11-23T00:00:00Z");
        check(
            Window::Month,
            Some("America/New_York"),
            "2026-03-01T03:00:00Z",
            "2026-02-28",
            "2026-03-01T05:00:00Z",
        );
        check(Window::Month, None, "2028-02-10T00:00:00Z", "2028-02-29", "2028-03-01T00:00:00Z");
        check(Window::Quarter, None, "2026-11-21T10:00:00Z", "2026-12-31", "2027-01-01T00:00:00Z");
        check(Window::Year, None, "2026-11-21T10:00:00Z", "2026-12-31", "2027-01-01T00:00:00Z");
        assert_eq!(Calendar::new(Window::Never, None).resets(at("2026-11-21T10:00:00Z")), None);
    }

    #[test]
    fn rolling_windows_are_read_cut_and_found_again_by_name() {
        let duration = |text: &str| {
            let (number, unit) = text.split_at(text.len().checked_sub(1)?);
            let unit = ["s", "m", "h", "d"].iter().position(|known| *known == unit)?;
            Some(Duration::from_secs(number.parse::<u64>().ok()? * [1, 60, 3_600, 86_400][unit]))
        };
        let check = |text: &str, label: &str, parts, parts_per_day| {
            let window = Window::parse(text, duration).unwrap();
            assert_eq!(window.label(), label);
            let rolling = Some(Rolling { parts, parts_per_day });
            assert_eq!(window.rolling(), rolling, "{text}");
            for scope in [format!("tenant_{label}"), format!("route_user_{label}_tokens:eval")] {
                assert_eq!(rolling_of(&scope), rolling, "{scope}");
            }
        };
        check("rolling 1h", "rolling_1h", 60, 1_440);
        check("rolling 90m", "rolling_90m", 90, 1_440);
        check("rolling 24h", "rolling_1d", 24, 24);
        check("rolling 7d", "rolling_7d", 168, 24);
        check("rolling 30d", "rolling_30d", 30, 1);
        for bad in ["rolling 5m", "rolling 32d", "rolling 61s", "rolling", "rolling 500h", "hourly"] {
            assert_eq!(Window::parse(bad, duration), None, "{bad}");
        }
        assert_eq!((rolling_of("tenant_daily"), rolling_of("tenant_rolling_x")), (None, None));
        let (day, part) = Calendar::new(Window::Rolling(86_400), None).period(at("2026-11-21T23:59:00Z"));
        assert_eq!((day.unwrap().to_string().as_str(), part), ("2026-11-21", 23));
    }
}

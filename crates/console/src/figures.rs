//! Amounts, durations, counts and times as a person reads them. The exact value belongs into a `title` beside them.

use gauntlet_types::{NanoUsd, Timestamp};
use maud::{Markup, html};

const NANO_PER_USD: u64 = 1_000_000_000;

/// Cents from a dollar up, three significant digits below: `$1,204.50`, `$0.0123`, `$0.000412`.
pub fn usd(amount: NanoUsd) -> String {
    let nanos = amount.0.unsigned_abs();
    let sign = if amount.0 < 0 { "−" } else { "" };
    let step = match nanos {
        0..=999 => 1,
        1_000..NANO_PER_USD => 10u64.pow(nanos.ilog10() - 2),
        _ => NANO_PER_USD / 100,
    };
    let rounded = (nanos + step / 2) / step * step;
    let digits = format!("{:09}", rounded % NANO_PER_USD);
    let places = digits.trim_end_matches('0').len().max(2);
    format!("{sign}${}.{}", count(rounded / NANO_PER_USD), &digits[..places])
}

/// `840 µs`, `1.2 ms`, `840 ms`, `2.31 s`, `1 m 12 s`.
pub fn duration(micros: u64) -> String {
    match micros {
        0..=999 => format!("{micros} µs"),
        1_000..=9_949 => format!("{:.1} ms", micros as f64 / 1e3),
        9_950..=999_499 => format!("{:.0} ms", micros as f64 / 1e3),
        999_500..=9_994_999 => format!("{:.2} s", micros as f64 / 1e6),
        9_995_000..=59_949_999 => format!("{:.1} s", micros as f64 / 1e6),
        _ => {
            let seconds = micros.saturating_add(500_000) / 1_000_000;
            format!("{} m {} s", count(seconds / 60), seconds % 60)
        }
    }
}

pub fn duration_or_dash(micros: Option<u64>) -> String {
    micros.map_or_else(|| "–".to_owned(), duration)
}

/// Digits in groups of three: `1,204,500`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// As reports have it: a p-value of 0 there is not.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// A difference with its sign, where three decimals leave it one.
pub fn signed(difference: f64) -> String {
    match format!("{difference:+.3}").as_str() {
        "-0.000" | "+0.000" => "0.000".to_owned(),
        told => told.to_owned(),
    }
}

/// Short from ten thousand up: `9,999`, `12.3 k`, `1.24 M`.
pub fn count_short(number: u64) -> String {
    match number {
        0..=9_999 => count(number),
        10_000..=99_949 => format!("{:.1} k", number as f64 / 1e3),
        99_950..=999_499 => format!("{:.0} k", number as f64 / 1e3),
        999_500..=99_994_999 => format!("{:.2} M", number as f64 / 1e6),
        99_995_000..=999_499_999 => format!("{:.0} M", number as f64 / 1e6),
        _ => format!("{:.2} G", number as f64 / 1e9),
    }
}

/// `–` of nothing, `0.4 %` below ten, `12 %` above. A part that is there never reads as `0 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match share {
        _ if part == 0 => "0 %".to_owned(),
        share if share < 0.1 => "<0.1 %".to_owned(),
        share if share < 9.95 => format!("{share:.1} %"),
        share => format!("{share:.0} %"),
    }
}

/// A point in time: the clock alone on the day of `now`, else with the date. UTC, as everything here.
pub fn time(at: Timestamp, now: Timestamp) -> Markup {
    let shown = match jiff::Timestamp::from_microsecond(at.0) {
        Ok(instant) if at.day() == now.day() => instant.strftime("%H:%M:%S").to_string(),
        Ok(instant) => instant.strftime("%b %-d %H:%M:%S").to_string(),
        Err(_) => at.to_string(),
    };
    html! { time datetime=(at) title=(at) { (shown) } }
}

/// Formats with `strftime`, for labels of charts.
pub fn time_as(at: Timestamp, format: &str) -> String {
    jiff::Timestamp::from_microsecond(at.0)
        .map_or_else(|_| at.to_string(), |i| i.strftime(format).to_string())
}

/// How long from `from` to `to`, in the two largest units: `3 h 20 m`, `2 d 4 h`; none if it is past.
pub fn span(from: Timestamp, to: Timestamp) -> Option<String> {
    let minutes = to.0.checked_sub(from.0).filter(|micros| *micros >= 0)? / 60_000_000;
    Some(match minutes {
        0 => "less than a minute".to_owned(),
        1..=59 => format!("{minutes} m"),
        60..=1_439 => format!("{} h {} m", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1_440, minutes % 1_440 / 60),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well_at_every_size() {
        let check = |nano: i64, shown: &str| assert_eq!(usd(NanoUsd(nano)), shown, "{nano}");
        check(0, "$0.00");
        check(75, "$0.000000075");
        check(412_499, "$0.000412");
        check(12_345_678, "$0.0123");
        check(300_000_000, "$0.30");
        check(999_999_999, "$1.00");
        check(1_204_499_000_000, "$1,204.50");
        check(-2_500_000_000, "−$2.50");
    }

    #[test]
    fn durations_counts_and_shares_read_well() {
        let check = |micros: u64, shown: &str| assert_eq!(duration(micros), shown, "{micros}");
        check(840, "840 µs");
        check(1_234, "1.2 ms");
        check(9_960, "10 ms");
        check(999_600, "1.00 s");
        check(12_340_000, "12.3 s");
        check(72_000_000, "1 m 12 s");
        assert_eq!(count(1_204_500), "1,204,500");
        assert_eq!(count_short(12_345), "12.3 k");
        assert_eq!(count_short(1_239_000), "1.24 M");
        assert_eq!(
            [percent(0, 9), percent(1, 9_000), percent(1, 50), percent(1, 2)],
            ["0 %", "<0.1 %", "2.0 %", "50 %"]
        );
        assert_eq!(percent(0, 0), "–");
        assert_eq!(span(Timestamp(0), Timestamp(12_000_000_000)).as_deref(), Some("3 h 20 m"));
        assert_eq!(span(Timestamp(1), Timestamp(0)), None);
    }
}

//! How single values are written: durations, sizes, shares, amounts.

use std::time::Duration;

use gauntlet_types::{Day, NanoUsd, PicoUsdPerToken, TokenCount};

/// A way to read a value, and what to tell those who wrote something else.
#[derive(Clone, Copy)]
pub(super) struct Scalar<T> {
    /// Ends the sentence "`x` is not …".
    pub(super) expected: &'static str,
    pub(super) example: &'static str,
    pub(super) parse: fn(&str) -> Option<T>,
}

pub(super) const DURATION: Scalar<Duration> = Scalar {
    expected: "a duration",
    example: "write for example `30s`, `500ms`, `2m` or `1h`",
    parse: duration,
};
pub(super) const SIZE: Scalar<usize> =
    Scalar { expected: "a size", example: "write for example `64kb`, `1mb` or `4096` (bytes)", parse: size };
pub(super) const COUNT: Scalar<u32> =
    Scalar { expected: "a whole number from 0 up", example: "write for example `100`", parse: whole };
pub(super) const POSITIVE: Scalar<u64> =
    Scalar { expected: "a whole number from 1 up", example: "write for example `3000`", parse: positive };
pub(super) const POSITIVE_SMALL: Scalar<u32> =
    Scalar { expected: "a whole number from 1 up", example: "write for example `200`", parse: positive };
pub(super) const TOKENS: Scalar<TokenCount> =
    Scalar { expected: "a number of tokens from 1 up", example: "write for example `500`", parse: tokens };
pub(super) const SEED: Scalar<u64> =
    Scalar { expected: "a whole number from 0 up", example: "write for example `7`", parse: whole };
pub(super) const SHARE: Scalar<f64> =
    Scalar { expected: "a share from 0 to 1", example: "write for example `0.05` or `5%`", parse: share };
pub(super) const NUMBER: Scalar<f64> =
    Scalar { expected: "a number", example: "write for example `100` or `-0.5`", parse: number };
pub(super) const PERCENT: Scalar<u32> =
    Scalar { expected: "a percentage from 0 to 100", example: "write for example `80%`", parse: percent };
pub(super) const BOOL: Scalar<bool> =
    Scalar { expected: "yes or no", example: "write `true` or `false`", parse: boolean };
pub(super) const USD: Scalar<NanoUsd> = Scalar {
    expected: "an amount in USD from 0 up",
    example: "write for example `75` or `0.30`",
    parse: usd,
};
pub(super) const USD_PER_MILLION: Scalar<PicoUsdPerToken> = Scalar {
    expected: "a price in USD for a million tokens",
    example: "write for example `0.15`",
    parse: usd_per_million,
};
/// Billionths.
pub(super) const FACTOR: Scalar<u64> = Scalar {
    expected: "a factor above 0 and up to 100",
    example: "write for example `0.5` for half the price",
    parse: factor,
};
pub(super) const DAY: Scalar<Day> =
    Scalar { expected: "a day", example: "write for example `2026-10-01`", parse: Day::parse };

/// Splits `1_000ms` into its number and its unit.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    Some((number, text[end..].trim_start()))
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "" if number == 0.0 => 0.0,
        _ => return None,
    };
    // Longer than a year is a slip, and would overflow timers.
    let seconds = number * seconds;
    (seconds <= 31_536_000.0).then(|| Duration::from_micros((seconds * 1e6).round() as u64))
}

fn size(text: &str) -> Option<usize> {
    let (number, unit) = number_and_unit(text)?;
    let bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" | "k" | "kib" => 1024.0,
        "mb" | "m" | "mib" => 1024.0 * 1024.0,
        "gb" | "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = (number * bytes).floor();
    (1.0..=1e12).contains(&bytes).then_some(bytes as usize)
}

fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.replace('_', "");
    if !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    plain.parse().ok()
}

fn positive<T: std::str::FromStr + PartialEq + Default>(text: &str) -> Option<T> {
    whole(text).filter(|number: &T| *number != T::default())
}

fn tokens(text: &str) -> Option<TokenCount> {
    positive(text).map(TokenCount)
}

fn number(text: &str) -> Option<f64> {
    text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}

fn share(text: &str) -> Option<f64> {
    let (number, unit) = number_and_unit(text)?;
    let share = match unit {
        "" => number,
        "%" => number / 100.0,
        _ => return None,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

/// `80%`, `80`, and `0.8` all say eighty; a bare `1` says one percent.
fn percent(text: &str) -> Option<u32> {
    let (number, unit) = number_and_unit(text)?;
    let percent = match unit {
        "%" => number,
        "" if number < 1.0 => number * 100.0,
        "" => number,
        _ => return None,
    };
    (0.0..=100.0).contains(&percent).then(|| percent.round() as u32)
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn usd(text: &str) -> Option<NanoUsd> {
    text.parse().ok().filter(|amount: &NanoUsd| *amount >= NanoUsd::ZERO)
}

/// A dollar a million tokens is a micro-dollar a token, so the decimal digits are read exactly: a nano-dollar of the
/// written amount is a thousandth of a pico-dollar a token.
fn usd_per_million(text: &str) -> Option<PicoUsdPerToken> {
    let nano = usd(text)?;
    let pico = u64::try_from(nano.0).ok()?;
    // Rounded up: a price is never taken for lower than it is.
    Some(PicoUsdPerToken(pico.div_ceil(1000)))
}

/// Read as an amount is, since both are decimals of nine places.
fn factor(text: &str) -> Option<u64> {
    let billionths = u64::try_from(usd(text)?.0).ok()?;
    (1..=100_000_000_000).contains(&billionths).then_some(billionths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_written() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!([duration("30"), duration("-1s"), duration("s"), duration("9999d")], [None; 4]);
        assert_eq!(size("64kb"), Some(65_536));
        assert_eq!(size("1MB"), Some(1_048_576));
        assert_eq!([size("0"), size("1tb"), size("-1")], [None; 3]);
        assert_eq!(percent("80%"), Some(80));
        assert_eq!(percent("0.8"), Some(80));
        assert_eq!(percent("80"), Some(80));
        assert_eq!([percent("101%"), percent("x")], [None; 2]);
        assert_eq!(positive::<u64>("120_000"), Some(120_000));
        assert_eq!([positive::<u64>("0"), positive("-3"), positive("1.5")], [None; 3]);
        assert_eq!(usd_per_million("0.15"), Some(PicoUsdPerToken(150_000)));
        assert_eq!(usd_per_million("0.0000001"), Some(PicoUsdPerToken(1)));
        assert_eq!(usd("-1"), None);
        assert_eq!(factor("0.5"), Some(500_000_000));
        assert_eq!([factor("0"), factor("-1"), factor("101"), factor("x")], [None; 4]);
    }
}

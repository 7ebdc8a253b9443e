//! Money and tokens as integers; floats appear only where a person reads or writes an amount.

use std::{fmt, iter::Sum, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

const NANO_PER_USD: i64 = 1_000_000_000;
const PICO_PER_USD: i128 = 1_000_000_000_000;

/// An amount in nano-dollars: 1 USD = 1_000_000_000. Negative room is debt. Holds up to 9.2 billion dollars.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

/// A price in pico-dollars a token: finer than a nano-dollar. Multiply, add up, and round once at settle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PicoUsdPerToken(pub u64);

/// A number of tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenCount(pub u32);

#[derive(Debug, Error, PartialEq, Eq)]
pub enum MoneyError {
    #[error("`{0}` is not an amount in USD; write for example `0.30` or `75`")]
    NotAnAmount(String),
    #[error("`{0}` USD does not fit: amounts go up to 9 billion dollars, in steps of 0.000000001")]
    OutOfRange(String),
}

impl NanoUsd {
    pub const ZERO: NanoUsd = NanoUsd(0);

    /// Adds, stopping at the end of the range: an overflowing spend stays above every cap.
    pub const fn plus(self, other: NanoUsd) -> NanoUsd {
        NanoUsd(self.0.saturating_add(other.0))
    }

    pub const fn minus(self, other: NanoUsd) -> NanoUsd {
        NanoUsd(self.0.saturating_sub(other.0))
    }

    /// Dollars for display and JSON; exact up to 2^53 nano-dollars (9 million dollars).
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / NANO_PER_USD as f64
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = NanoUsd>>(amounts: I) -> NanoUsd {
        amounts.fold(NanoUsd::ZERO, NanoUsd::plus)
    }
}

/// Shows all nine places that matter, at least two: `0.30`, `0.000000075`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) =
            (self.0.unsigned_abs() / NANO_PER_USD as u64, self.0.unsigned_abs() % NANO_PER_USD as u64);
        let digits = format!("{rest:09}");
        let shown = digits.trim_end_matches('0');
        let shown = if shown.len() < 2 { &digits[..2] } else { shown };
        f.pad(&format!("{}{whole}.{shown}", if self.0 < 0 { "-" } else { "" }))
    }
}

impl FromStr for NanoUsd {
    type Err = MoneyError;

    /// Reads decimal dollars exactly, without floating point: `75`, `0.30`, `$1_000`, `-2.5`.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let bad = || MoneyError::NotAnAmount(text.to_owned());
        let plain = text.trim().replace('_', "");
        let (negative, plain) = match plain.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, plain.as_str()),
        };
        let plain = plain.strip_prefix('$').unwrap_or(plain);
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        if (whole.is_empty() && fraction.is_empty())
            || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
        {
            return Err(bad());
        }
        let range = || MoneyError::OutOfRange(text.to_owned());
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 9 {
            return Err(range());
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| range())? };
        let nanos: i64 =
            if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").parse().map_err(|_| bad())? };
        let amount = whole.checked_mul(NANO_PER_USD).and_then(|n| n.checked_add(nanos)).ok_or_else(range)?;
        Ok(NanoUsd(if negative { -amount } else { amount }))
    }
}

impl PicoUsdPerToken {
    /// Converts a price in USD for a million tokens, as price lists print it, rounding half up.
    pub fn from_usd_per_million(price: f64) -> Option<PicoUsdPerToken> {
        let pico = (price * (PICO_PER_USD as f64 / 1e6)).round();
        (pico.is_finite() && (0.0..=1e15).contains(&pico)).then_some(PicoUsdPerToken(pico as u64))
    }

    pub fn as_usd_per_million(self) -> f64 {
        self.0 as f64 / (PICO_PER_USD as f64 / 1e6)
    }

    /// Pico-dollars for `tokens`; add these up and round once with [`round_pico`].
    pub const fn times(self, tokens: TokenCount) -> u128 {
        self.0 as u128 * tokens.0 as u128
    }
}

/// Rounds a sum of pico-dollars up to the next nano-dollar: a call is never billed below its cost.
pub fn round_pico(pico: u128) -> NanoUsd {
    NanoUsd(i64::try_from(pico.div_ceil(1000)).unwrap_or(i64::MAX))
}

impl fmt::Display for TokenCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads an amount of dollars from YAML or JSON, written as a number or as text, without passing through a float
/// where the format lets it: for use as `#[serde(deserialize_with)]`.
pub fn usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NanoUsd, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Amount {
        Whole(i64),
        Float(f64),
        Text(String),
    }
    let text = match Amount::deserialize(deserializer)? {
        Amount::Whole(number) => number.to_string(),
        // The shortest decimal that reads back to this float is what the person wrote.
        Amount::Float(number) => format!("{number}"),
        Amount::Text(text) => text,
    };
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_and_show_exactly() {
        let check = |text: &str, nano: i64, shown: &str| {
            let amount: NanoUsd = text.parse().unwrap();
            assert_eq!((amount.0, amount.to_string().as_str()), (nano, shown), "{text}");
        };
        check("75", 75_000_000_000, "75.00");
        check("0.30", 300_000_000, "0.30");
        check("$1_000.5", 1_000_500_000_000, "1000.50");
        check("0.000000075", 75, "0.000000075");
        check("-2.5", -2_500_000_000, "-2.50");
        for bad in ["", ".", "1e3", "abc", "1.2.3", "--1", "0.0000000001", "99999999999"] {
            assert!(bad.parse::<NanoUsd>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sum_is_rounded_once_and_up() {
        let price = PicoUsdPerToken::from_usd_per_million(0.15).unwrap();
        assert_eq!(price.0, 150_000);
        assert_eq!(round_pico(price.times(TokenCount(1))), NanoUsd(150));
        assert_eq!(round_pico(1), NanoUsd(1));
        assert_eq!(round_pico(0), NanoUsd(0));
        assert_eq!(PicoUsdPerToken::from_usd_per_million(f64::NAN), None);
        assert_eq!(PicoUsdPerToken::from_usd_per_million(-1.0), None);
    }
}

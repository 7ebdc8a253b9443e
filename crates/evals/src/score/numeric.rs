//! A number in an answer, near enough to the one expected.
//!
//! The rule by which a number is taken out of a text: digits, with commas between groups of three or without, a fraction
//! behind a point, an exponent, and a sign that does not stand behind a letter or digit. Of several the last one counts,
//! for answers end with their result; `take: first` and `take: only` choose otherwise. Units, currency and `%` are passed
//! over: `$1,299.50`, `1299.5 USD` and `about 1299.50` are the same.

use gauntlet_ports::Direction::HigherIsBetter;
use regex::Regex;
use serde_json::{Value, json};

use super::{
    Measure, Measured, Sheet,
    options::Options,
    sheet::{Plain, Range},
    wanted::Wanted,
};
use crate::{Case, Mistake, Scorer, Seen};

/// Relative: what the conversion between decimal and binary may cost.
const ROUNDING: f64 = 1e-9;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Take {
    Last,
    First,
    /// Unscored unless there is exactly one.
    Only,
}

struct Numeric {
    wanted: Wanted,
    absolute: f64,
    relative: f64,
    take: Take,
    pattern: Regex,
}

pub(super) fn numeric(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let measure = Numeric {
        wanted: Wanted::take(options)?,
        absolute: options.amount("tolerance")?.unwrap_or(0.0),
        relative: options.amount("relative")?.unwrap_or(0.0),
        take: options.word("take", &[("last", Take::Last), ("first", Take::First), ("only", Take::Only)])?,
        pattern: Regex::new(r"[-+−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
            .expect("the pattern is good"),
    };
    let sheet = Sheet::new(options, "gauntlet/1:numeric", HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, measure)
}

impl Numeric {
    fn numbers(&self, text: &str) -> Vec<f64> {
        let found = self.pattern.find_iter(text).filter_map(|found| {
            let is_behind_word = text[..found.start()].chars().next_back().is_some_and(char::is_alphanumeric);
            let word = found.as_str().replace(',', "").replace('−', "-");
            // `3-5` is a range and `v-2` a name: their stroke is no sign.
            let word = if is_behind_word { word.trim_start_matches(['-', '+']) } else { &word };
            word.parse().ok().filter(|number: &f64| number.is_finite())
        });
        found.collect()
    }

    fn take(&self, text: &str) -> Result<f64, &'static str> {
        let numbers = self.numbers(text);
        match (self.take, numbers.as_slice()) {
            (_, []) => Err("there is no number in the answer"),
            (Take::Only, [_, _, ..]) => Err("there are several numbers in the answer"),
            (Take::First | Take::Only, [first, ..]) => Ok(*first),
            (Take::Last, [.., last]) => Ok(*last),
        }
    }

    fn wanted(&self, case: &Case) -> Result<f64, String> {
        let value = self.wanted.of(case)?;
        let number = match &*value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => self.take(text).ok(),
            _ => None,
        };
        number.ok_or_else(|| "a number in `expected`".to_owned())
    }
}

impl Measure for Numeric {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted(case).err()
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match self.wanted(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        match self.take(seen.text) {
            // No number is a wrong number: a model that does not answer may not fare better than one that errs.
            Err(why) => Measured::yes(false).because(why).with(json!({"expected": wanted})),
            Ok(got) => {
                let allowed = self.absolute.max(self.relative.max(ROUNDING) * wanted.abs());
                let far = (got - wanted).abs();
                let measured = Measured::yes(far <= allowed).with(json!({"expected": wanted, "got": got}));
                if far <= allowed {
                    measured
                } else {
                    measured.because(format!("{got} is {far} away from {wanted}"))
                }
            }
        }
    }
}

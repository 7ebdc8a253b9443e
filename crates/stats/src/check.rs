//! What is asked of numbers before anything is computed from them.

use crate::{Column, StatsError};

/// More values than any suite has; it bounds the memory and the time that a mistake can take.
pub const VALUES_MAX: usize = 1_000_000;

pub fn finite(values: &[f64], column: Column) -> Result<(), StatsError> {
    if values.len() > VALUES_MAX {
        return Err(StatsError::TooMany {
            what: "a column",
            of: "values",
            limit: VALUES_MAX,
            found: values.len(),
            cure: "take a sample",
        });
    }
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(StatsError::NotFinite { column, position: at + 1, value: values[at] }),
    }
}

/// Two columns of one length, of finite numbers.
pub fn paired(first: &[f64], second: &[f64]) -> Result<(), StatsError> {
    if first.len() != second.len() {
        return Err(StatsError::Lengths { first: first.len(), second: second.len() });
    }
    finite(first, Column::First)?;
    finite(second, Column::Second)
}

pub fn at_least(found: usize, needed: usize, of: &'static str, what: &'static str) -> Result<(), StatsError> {
    if found < needed { Err(StatsError::TooFew { what, of, needed, found }) } else { Ok(()) }
}

/// A probability that is neither 0 nor 1: a confidence, an error rate, a power.
pub fn open_share(value: f64, name: &'static str) -> Result<(), StatsError> {
    // Nearer to 0 or 1 than this the quantiles below lose their meaning in doubles.
    if (1e-12..=1.0 - 1e-12).contains(&value) {
        Ok(())
    } else {
        Err(StatsError::Parameter { name, value, range: "between 0 and 1, such as 0.95 or 0.05" })
    }
}

pub fn positive(value: f64, name: &'static str) -> Result<(), StatsError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(StatsError::Parameter { name, value, range: "above 0" })
    }
}

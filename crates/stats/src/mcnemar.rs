//! The test of paired yes-or-no outcomes.

use crate::{
    StatsError, check,
    distributions::{fair_binomial_cdf, normal_sf},
};

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum McnemarMethod {
    /// The binomial distribution of the pairs that differ.
    #[default]
    Exact,
    /// Chi-square with one degree of freedom and Edwards's continuity correction.
    ChiSquare,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mcnemar {
    pub n: usize,
    /// Pairs where only the first is a yes: what the second lost.
    pub lost: u64,
    /// Pairs where only the second is a yes.
    pub won: u64,
    /// The lesser of `lost` and `won` for `Exact`, else chi-square.
    pub statistic: f64,
    /// Two-sided.
    pub p_value: f64,
}

/// Compares the shares of yes in two paired columns with McNemar's test.
///
/// Values must be 0 or 1. When no pair differs the p-value is 1. Errors: columns of different lengths or without a pair; other values.
/// Source: McNemar (1947); Fagerland, Lydersen, Laake (2013), "The McNemar test for binary matched-pairs data".
pub fn mcnemar(first: &[f64], second: &[f64], method: McnemarMethod) -> Result<Mcnemar, StatsError> {
    check::paired(first, second)?;
    check::at_least(first.len(), 1, "pairs", "McNemar's test")?;
    yes_or_no(first, crate::Column::First)?;
    yes_or_no(second, crate::Column::Second)?;
    let count = |wanted: (f64, f64)| {
        first.iter().zip(second).filter(|(first, second)| (**first, **second) == wanted).count() as u64
    };
    Ok(mcnemar_counts(first.len(), count((1.0, 0.0)), count((0.0, 1.0)), method))
}

/// [`mcnemar`] of the pairs that differ, out of `n`.
pub fn mcnemar_counts(n: usize, lost: u64, won: u64, method: McnemarMethod) -> Mcnemar {
    let (lesser, both) = (lost.min(won), lost.saturating_add(won));
    let (statistic, p_value) = match method {
        McnemarMethod::Exact if both == 0 => (0.0, 1.0),
        McnemarMethod::Exact => (lesser as f64, (2.0 * fair_binomial_cdf(lesser, both)).min(1.0)),
        McnemarMethod::ChiSquare if both == 0 => (0.0, 1.0),
        McnemarMethod::ChiSquare => {
            let apart = lost.abs_diff(won) as f64 - 1.0;
            let statistic = apart * apart / both as f64;
            (statistic, 2.0 * normal_sf(statistic.sqrt()))
        }
    };
    Mcnemar { n, lost, won, statistic, p_value }
}

fn yes_or_no(values: &[f64], column: crate::Column) -> Result<(), StatsError> {
    match values.iter().position(|value| *value != 0.0 && *value != 1.0) {
        None => Ok(()),
        Some(at) => Err(StatsError::OutOfSupport {
            column,
            position: at + 1,
            value: values[at],
            low: 0.0,
            high: 1.0,
            cure: "this test takes passed (1) and not passed (0); use `wilcoxon` for scores between",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_tables_come_out() {
        let check = |lost, won, method, statistic: f64, p_value: f64| {
            let found = mcnemar_counts(1_000, lost, won, method);
            assert!((found.statistic - statistic).abs() < 5e-4, "{found:?}");
            assert!((found.p_value - p_value).abs() < 5e-4, "{found:?}");
        };
        // Agresti, "Categorical Data Analysis", approval ratings: 150 and 86 changed their minds; z² without correction is 17.36.
        check(150, 86, McnemarMethod::ChiSquare, 16.818, 4.115e-5);
        // Fagerland, Lydersen, Laake (2013), table 1: one against seven, exact conditional p 0.0703.
        check(1, 7, McnemarMethod::Exact, 1.0, 0.0703);
        check(3, 3, McnemarMethod::Exact, 3.0, 1.0);
        check(0, 0, McnemarMethod::Exact, 0.0, 1.0);
        check(0, 0, McnemarMethod::ChiSquare, 0.0, 1.0);
    }

    #[test]
    fn lost_and_won_are_told_apart() {
        let found = mcnemar(&[1.0, 1.0, 0.0, 1.0], &[0.0, 0.0, 1.0, 1.0], McnemarMethod::Exact).unwrap();
        assert_eq!((found.n, found.lost, found.won), (4, 2, 1));
    }

    #[test]
    fn a_score_between_is_refused_with_its_place() {
        let error = mcnemar(&[1.0, 0.5], &[1.0, 0.0], McnemarMethod::Exact).unwrap_err().to_string();
        assert!(error.contains("value 2 of the first column is 0.5"), "{error}");
        assert!(mcnemar(&[], &[], McnemarMethod::Exact).is_err());
    }
}

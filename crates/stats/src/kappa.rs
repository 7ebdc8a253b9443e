//! Agreement of two raters beyond chance.

use std::collections::BTreeSet;

use crate::{Interval, Rng, StatsError, bootstrap::quantile, check, distributions::normal_quantile};

/// How far apart two categories are, by their places in the order of all categories.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Weights {
    /// All disagreements count alike.
    #[default]
    Unweighted,
    /// By the distance of the places.
    Linear,
    /// By its square.
    Quadratic,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Kappa {
    pub n: usize,
    /// Categories that anyone used.
    pub categories: usize,
    pub kappa: f64,
    /// The weighted share of agreement, and what chance would give.
    pub observed: f64,
    pub expected: f64,
    /// Large-sample.
    pub standard_error: f64,
    /// By the large-sample variance, cut at −1 and 1. None where that is 0, as of two cases that agree or do not: an interval without
    /// width would claim to be sure of what nobody knows.
    pub interval: Option<Interval>,
}

/// Below, it is the rounding of a variance that is 0.
const STANDARD_ERROR_MIN: f64 = 1e-9;
/// More categories than a rubric has; the table has their square.
const CATEGORIES_MAX: usize = 1_000;

/// Numbers of categories: the place of each label among all that either column has, in order.
///
/// The numbers of `first` come before those of `second`.
pub fn categories<L: Ord>(first: &[L], second: &[L]) -> (Vec<u32>, Vec<u32>) {
    let all: BTreeSet<&L> = first.iter().chain(second).collect();
    let all: Vec<&L> = all.into_iter().collect();
    let place = |label: &L| all.partition_point(|other| *other < label) as u32;
    (first.iter().map(place).collect(), second.iter().map(place).collect())
}

/// Cohen's kappa of two columns of labels (weighted as `weights` says), with its large-sample interval.
///
/// Categories are what either rater used, in their order; the distance of two is that of their places, as in scikit-learn. Errors:
/// columns of different lengths, fewer than two cases, one category only (kappa is 0/0), more than 1,000 categories.
/// Source: Cohen (1960, 1968); Fleiss, Cohen, Everitt (1969), "Large sample standard errors of kappa and weighted kappa".
pub fn cohen_kappa<L: Ord>(
    first: &[L],
    second: &[L],
    weights: Weights,
    confidence: f64,
) -> Result<Kappa, StatsError> {
    check::open_share(confidence, "the confidence")?;
    if first.len() != second.len() {
        return Err(StatsError::Lengths { first: first.len(), second: second.len() });
    }
    check::at_least(first.len(), 2, "cases", "kappa")?;
    let (first, second) = categories(first, second);
    let table = Table::of(&first, &second, weights)?;
    let Some(kappa) = table.kappa() else {
        return Err(one_category());
    };
    let standard_error = table.standard_error();
    let half = normal_quantile(0.5 + confidence / 2.0) * standard_error;
    let interval = Interval { low: (kappa - half).max(-1.0), high: (kappa + half).min(1.0) };
    Ok(Kappa {
        n: first.len(),
        categories: table.size,
        kappa,
        observed: table.observed,
        expected: table.expected,
        standard_error,
        interval: (standard_error > STANDARD_ERROR_MIN).then_some(interval),
    })
}

/// The percentile interval of kappa over cases drawn again with replacement.
///
/// Draws with one category only have no kappa and are left out. Source: Efron & Tibshirani, "An Introduction to the Bootstrap", ch. 13.
pub fn kappa_bootstrap<L: Ord>(
    first: &[L],
    second: &[L],
    weights: Weights,
    options: &crate::Bootstrap,
) -> Result<Interval, StatsError> {
    cohen_kappa(first, second, weights, options.confidence)?;
    options.checked(first.len())?;
    let (first, second) = categories(first, second);
    let size = Table::of(&first, &second, weights)?.size;
    let mut rng = Rng::new(options.seed);
    let mut kappas: Vec<f64> = Vec::with_capacity(options.resamples as usize);
    for _ in 0..options.resamples {
        let mut counts = vec![0.0; size * size];
        for _ in 0..first.len() {
            let at = rng.below(first.len());
            counts[first[at] as usize * size + second[at] as usize] += 1.0;
        }
        kappas.extend(Table::of_counts(counts, size, weights).kappa());
    }
    check::at_least(kappas.len(), 1, "draws with two categories", "a bootstrap of kappa")?;
    kappas.sort_by(f64::total_cmp);
    let tail = (1.0 - options.confidence) / 2.0;
    Ok(Interval { low: quantile(&kappas, tail), high: quantile(&kappas, 1.0 - tail) })
}

pub(crate) fn one_category() -> StatsError {
    StatsError::Constant {
        what: "kappa",
        column: crate::Column::Values,
        cure: "both raters used one category only; add cases that belong to another",
    }
}

/// How much a pair of categories counts as agreement: 1 for the same, 0 for the farthest apart.
pub(crate) fn agreement(one: u32, other: u32, size: usize, weights: Weights) -> f64 {
    let apart = f64::from(one.abs_diff(other)) / (size.max(2) - 1) as f64;
    match weights {
        Weights::Unweighted => f64::from(u8::from(one == other)),
        Weights::Linear => 1.0 - apart,
        Weights::Quadratic => 1.0 - apart * apart,
    }
}

/// Shares of pairs of categories.
struct Table {
    size: usize,
    shares: Vec<f64>,
    rows: Vec<f64>,
    columns: Vec<f64>,
    weights: Weights,
    n: f64,
    observed: f64,
    expected: f64,
}

impl Table {
    fn of(first: &[u32], second: &[u32], weights: Weights) -> Result<Table, StatsError> {
        let size = first.iter().chain(second).max().map_or(0, |last| *last as usize + 1);
        if size > CATEGORIES_MAX {
            return Err(StatsError::TooMany {
                what: "kappa",
                of: "categories",
                limit: CATEGORIES_MAX,
                found: size,
                cure: "use `spearman` for scores, or round them to the steps of the rubric",
            });
        }
        let mut counts = vec![0.0; size * size];
        for (first, second) in first.iter().zip(second) {
            counts[*first as usize * size + *second as usize] += 1.0;
        }
        Ok(Table::of_counts(counts, size, weights))
    }

    fn of_counts(counts: Vec<f64>, size: usize, weights: Weights) -> Table {
        let n: f64 = counts.iter().sum();
        let shares: Vec<f64> = counts.iter().map(|count| count / n).collect();
        let mut table = Table {
            rows: (0..size).map(|row| shares[row * size..(row + 1) * size].iter().sum()).collect(),
            columns: (0..size).map(|column| (0..size).map(|row| shares[row * size + column]).sum()).collect(),
            size,
            shares,
            weights,
            n,
            observed: 0.0,
            expected: 0.0,
        };
        table.observed = table.sum(|row, column, weight| weight * table.shares[row * size + column]);
        table.expected = table.sum(|row, column, weight| weight * table.rows[row] * table.columns[column]);
        table
    }

    fn sum(&self, term: impl Fn(usize, usize, f64) -> f64) -> f64 {
        let all = (0..self.size).flat_map(|row| (0..self.size).map(move |column| (row, column)));
        all.map(|(row, column)| term(row, column, self.weight(row, column))).sum()
    }

    fn weight(&self, row: usize, column: usize) -> f64 {
        agreement(row as u32, column as u32, self.size, self.weights)
    }

    fn kappa(&self) -> Option<f64> {
        // With one category for both raters chance agrees always.
        let used = |shares: &[f64]| shares.iter().filter(|share| **share > 0.0).count();
        let is_one = used(&self.rows) == 1
            && used(&self.columns) == 1
            && self.rows.iter().zip(&self.columns).any(|(row, column)| row * column > 0.0);
        if is_one || self.n == 0.0 {
            return None;
        }
        Some(1.0 - (1.0 - self.observed) / (1.0 - self.expected))
    }

    /// Fleiss, Cohen, Everitt (1969), equation 14: the variance that does not suppose kappa to be 0.
    fn standard_error(&self) -> f64 {
        let mean = |shares: &[f64], weight: &dyn Fn(usize) -> f64| -> f64 {
            shares.iter().enumerate().map(|(at, share)| share * weight(at)).sum()
        };
        let by_row: Vec<f64> =
            (0..self.size).map(|row| mean(&self.columns, &|column| self.weight(row, column))).collect();
        let by_column: Vec<f64> =
            (0..self.size).map(|column| mean(&self.rows, &|row| self.weight(row, column))).collect();
        let (observed, expected) = (self.observed, self.expected);
        let squares = self.sum(|row, column, weight| {
            let term = weight * (1.0 - expected) - (by_row[row] + by_column[column]) * (1.0 - observed);
            self.shares[row * self.size + column] * term * term
        });
        let centre = observed * expected - 2.0 * expected + observed;
        ((squares - centre * centre).max(0.0) / self.n).sqrt() / (1.0 - expected).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bootstrap;

    /// Columns with the counts of a table.
    fn columns(table: &[&[usize]]) -> (Vec<usize>, Vec<usize>) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (row, counts) in table.iter().enumerate() {
            for (column, count) in counts.iter().enumerate() {
                first.extend(std::iter::repeat_n(row, *count));
                second.extend(std::iter::repeat_n(column, *count));
            }
        }
        (first, second)
    }

    #[test]
    fn published_tables_come_out() {
        let check = |table: &[&[usize]], weights, kappa: f64, standard_error: f64| {
            let (first, second) = columns(table);
            let found = cohen_kappa(&first, &second, weights, 0.95).unwrap();
            assert!((found.kappa - kappa).abs() < 5e-4, "{found:?}");
            assert!((found.standard_error - standard_error).abs() < 5e-4, "{found:?}");
        };
        // Fleiss, Levin, Paik, "Statistical Methods for Rates and Proportions", table 18.1 (diagnoses of 100 subjects): 0.676, 0.088.
        let diagnoses: &[&[usize]] = &[&[75, 1, 4], &[5, 4, 1], &[0, 0, 10]];
        check(diagnoses, Weights::Unweighted, 0.6761, 0.0877);
        // The example of the grant proposals: 20, 5, 10, 15 give 0.4.
        check(&[&[20, 5], &[10, 15]], Weights::Unweighted, 0.4, 0.1268);
    }

    #[test]
    fn weights_count_near_misses_as_partly_right() {
        let (first, second) = columns(&[&[10, 5, 0], &[4, 10, 5], &[0, 4, 10]]);
        let kappa = |weights| cohen_kappa(&first, &second, weights, 0.95).unwrap().kappa;
        assert!(kappa(Weights::Unweighted) < kappa(Weights::Linear));
        assert!(kappa(Weights::Linear) < kappa(Weights::Quadratic));
    }

    #[test]
    fn labels_need_not_be_numbers() {
        let found =
            cohen_kappa(&["yes", "no", "yes", "no"], &["yes", "no", "no", "no"], Weights::Unweighted, 0.95);
        assert!((found.unwrap().kappa - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_bootstrap_interval_is_about_the_large_sample_one() {
        let (first, second) = columns(&[&[75, 1, 4], &[5, 4, 1], &[0, 0, 10]]);
        let large = cohen_kappa(&first, &second, Weights::Unweighted, 0.95).unwrap().interval.unwrap();
        let options = Bootstrap { resamples: 4_000, ..Bootstrap::default() };
        let drawn = kappa_bootstrap(&first, &second, Weights::Unweighted, &options).unwrap();
        assert!((large.low - drawn.low).abs() < 0.03 && (large.high - drawn.high).abs() < 0.03, "{drawn:?}");
    }

    #[test]
    fn cases_without_a_spread_have_no_interval() {
        let check = |first: &[u8], second: &[u8], has_one: bool| {
            let found = cohen_kappa(first, second, Weights::Unweighted, 0.95).unwrap();
            assert_eq!(found.interval.is_some(), has_one, "{found:?}");
        };
        check(&[0, 0], &[0, 1], false);
        check(&[1, 2, 3], &[2, 3, 1], false);
        check(&[0, 1, 0, 1], &[0, 1, 0, 1], false);
        check(&[0, 1, 0, 1, 0], &[0, 1, 1, 1, 0], true);
    }

    #[test]
    fn what_has_no_kappa_is_refused() {
        let refused = |first: &[u8], second: &[u8]| {
            let found = cohen_kappa(first, second, Weights::Linear, 0.95);
            found.expect_err("no kappa").to_string()
        };
        assert!(refused(&[1, 1, 1], &[1, 1, 1]).contains("one category"));
        assert!(refused(&[1], &[1]).contains("at least 2"));
        assert!(refused(&[], &[]).contains("at least 2"));
        assert!(refused(&[1, 2], &[1]).contains("partner"));
        let many: Vec<u32> = (0..2_000).collect();
        assert!(cohen_kappa(&many, &many, Weights::Linear, 0.95).is_err());
    }
}

//! How far two columns go together.

use crate::{
    Column, Interval, StatsError, check,
    distributions::{normal_p, normal_quantile, t_p},
    ranks::average_ranks,
    wilcoxon::Alternative,
};

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum CorrelationMethod {
    /// By Student's t, as SciPy does.
    #[default]
    T,
    /// Over all orders of the second column; up to nine pairs.
    Exact,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Correlation {
    pub n: usize,
    pub coefficient: f64,
    /// That there is none, two-sided.
    pub p_value: f64,
    /// The p-value comes from all orders of one column, and not from a distribution near to theirs.
    pub exact: bool,
    pub interval: Interval,
}

/// All orders of nine are 362,880; of ten ten times that.
const EXACT_MAX: usize = 9;
/// Beyond, the normal approximation differs in no digit that decides anything.
const KENDALL_EXACT_MAX: usize = 50;
/// Kendall's tau compares every pair of pairs.
const KENDALL_MAX: usize = 20_000;

/// Pearson's correlation, with its interval by Fisher's z.
///
/// Errors: fewer than three pairs; a column whose values are all the same; values that are not finite.
/// Source: Fisher (1915, 1921).
pub fn pearson(first: &[f64], second: &[f64], confidence: f64) -> Result<Correlation, StatsError> {
    let coefficient = coefficient_of(first, second, confidence, "Pearson's correlation")?;
    let n = first.len();
    Ok(Correlation {
        n,
        coefficient,
        p_value: p_by_t(coefficient, n),
        exact: false,
        interval: fisher(coefficient, n, 1.0, confidence),
    })
}

/// Spearman's rank correlation rho, with its interval by Fisher's z and Bonett and Wright's variance (1 + rho²/2)/(n − 3).
///
/// Errors: as [`pearson`]; more than nine pairs with `Exact`.
/// Source: Spearman (1904); Bonett & Wright (2000), "Sample size requirements for estimating Pearson, Kendall and Spearman correlations".
pub fn spearman(
    first: &[f64],
    second: &[f64],
    method: CorrelationMethod,
    confidence: f64,
) -> Result<Correlation, StatsError> {
    check::paired(first, second)?;
    let (first, second) = (average_ranks(first).ranks, average_ranks(second).ranks);
    let coefficient = coefficient_of(&first, &second, confidence, "Spearman's rho")?;
    let n = first.len();
    let p_value = match method {
        CorrelationMethod::T => p_by_t(coefficient, n),
        CorrelationMethod::Exact if n <= EXACT_MAX => p_by_orders(&first, &second),
        CorrelationMethod::Exact => {
            return Err(StatsError::TooMany {
                what: "the exact test of Spearman's rho",
                of: "pairs",
                limit: EXACT_MAX,
                found: n,
                cure: "take the t distribution, which is close with that many",
            });
        }
    };
    let inflation = 1.0 + coefficient * coefficient / 2.0;
    let exact = method == CorrelationMethod::Exact;
    Ok(Correlation {
        n,
        coefficient,
        p_value,
        exact,
        interval: fisher(coefficient, n, inflation, confidence),
    })
}

/// Kendall's tau-b, its interval by Fisher's z with variance 0.437/(n − 4).
///
/// The p-value is exact for up to 50 pairs without ties, else by the normal approximation corrected for ties.
/// Errors: as [`pearson`]; more than 20,000 pairs. Source: Kendall, "Rank Correlation Methods", 4th ed., ch. 3 to 5; Fieller, Hartley,
/// Pearson (1957) for the interval.
pub fn kendall(first: &[f64], second: &[f64], confidence: f64) -> Result<Correlation, StatsError> {
    const WHAT: &str = "Kendall's tau";
    check::paired(first, second)?;
    check::open_share(confidence, "the confidence")?;
    check::at_least(first.len(), 3, "pairs", WHAT)?;
    let pairs = first.len();
    if pairs > KENDALL_MAX {
        return Err(StatsError::TooMany {
            what: WHAT,
            of: "pairs",
            limit: KENDALL_MAX,
            found: pairs,
            cure: "take Spearman's rho",
        });
    }
    varied(first, Column::First, WHAT)?;
    varied(second, Column::Second, WHAT)?;
    let mut agreeing: i64 = 0;
    for (at, (x, y)) in first.iter().zip(second).enumerate() {
        for (other_x, other_y) in first[..at].iter().zip(second) {
            agreeing += sign(x - other_x) * sign(y - other_y);
        }
    }
    let (n, score) = (pairs as f64, agreeing as f64);
    let (first, second) = (average_ranks(first).ties, average_ranks(second).ties);
    let sum = |ties: &[f64], term: fn(f64) -> f64| -> f64 { ties.iter().map(|t| term(*t)).sum() };
    let pair_count = n * (n - 1.0) / 2.0;
    let two = |t: f64| t * (t - 1.0);
    let untied = (pair_count - sum(&first, two) / 2.0) * (pair_count - sum(&second, two) / 2.0);
    let coefficient = (score / untied.sqrt()).clamp(-1.0, 1.0);
    let five = |t: f64| t * (t - 1.0) * (2.0 * t + 5.0);
    let three = |t: f64| t * (t - 1.0) * (t - 2.0);
    let variance = (five(n) - sum(&first, five) - sum(&second, five)) / 18.0
        + sum(&first, two) * sum(&second, two) / (2.0 * n * (n - 1.0))
        + sum(&first, three) * sum(&second, three) / (9.0 * three(n));
    // 0.437/(n − 4) stands in the place of 1/(n − 3).
    let inflation = if n > 4.0 { 0.437 * (n - 3.0) / (n - 4.0) } else { f64::INFINITY };
    let exact = pairs <= KENDALL_EXACT_MAX && first.is_empty() && second.is_empty();
    Ok(Correlation {
        n: pairs,
        coefficient,
        p_value: match exact {
            true => p_by_inversions(pairs, agreeing),
            false => normal_p(score / variance.sqrt(), Alternative::TwoSided),
        },
        exact,
        interval: fisher(coefficient, pairs, inflation, confidence),
    })
}

fn sign(difference: f64) -> i64 {
    i64::from(difference > 0.0) - i64::from(difference < 0.0)
}

fn varied(values: &[f64], column: Column, what: &'static str) -> Result<(), StatsError> {
    if values.iter().all(|value| *value == values[0]) {
        return Err(StatsError::Constant {
            what,
            column,
            cure: "it needs cases that were rated differently",
        });
    }
    Ok(())
}

fn coefficient_of(
    first: &[f64],
    second: &[f64],
    confidence: f64,
    what: &'static str,
) -> Result<f64, StatsError> {
    check::paired(first, second)?;
    check::open_share(confidence, "the confidence")?;
    check::at_least(first.len(), 3, "pairs", what)?;
    varied(first, Column::First, what)?;
    varied(second, Column::Second, what)?;
    let (first, second) = (direction(first), direction(second));
    let product: f64 = first.iter().zip(&second).map(|(first, second)| first * second).sum();
    if product.is_finite() {
        return Ok(product.clamp(-1.0, 1.0));
    }
    Err(StatsError::Constant {
        what,
        column: Column::Values,
        cure: "they differ by less than doubles can tell; scale them",
    })
}

/// The column less its mean, scaled to length 1 by way of its largest value, so that neither huge nor tiny numbers overflow.
fn direction(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let mean = values.iter().map(|value| value / largest).sum::<f64>() / values.len() as f64;
    let centred: Vec<f64> = values.iter().map(|value| value / largest - mean).collect();
    let span = centred.iter().fold(0.0f64, |span, value| span.max(value.abs()));
    let length = span * centred.iter().map(|value| (value / span).powi(2)).sum::<f64>().sqrt();
    centred.iter().map(|value| value / length).collect()
}

fn p_by_t(coefficient: f64, n: usize) -> f64 {
    let df = n as f64 - 2.0;
    let rest = (1.0 - coefficient) * (1.0 + coefficient);
    t_p(coefficient * (df / rest).sqrt(), df, Alternative::TwoSided)
}

/// tanh(atanh(r) ± z·√(inflation/(n − 3))).
fn fisher(coefficient: f64, n: usize, inflation: f64, confidence: f64) -> Interval {
    if n < 4 || !inflation.is_finite() {
        return Interval { low: -1.0, high: 1.0 };
    }
    let half = normal_quantile(0.5 + confidence / 2.0) * (inflation / (n as f64 - 3.0)).sqrt();
    let middle = coefficient.atanh();
    Interval { low: (middle - half).tanh(), high: (middle + half).tanh() }
}

/// The share of orders of the second column that go with the first as far as this one does, or farther, either way.
fn p_by_orders(first: &[f64], second: &[f64]) -> f64 {
    let n = first.len() as f64;
    // With fixed ranks rho is a linear function of this sum, which is a multiple of 1/4 and so exact.
    let centre = n * ((n + 1.0) / 2.0).powi(2);
    let apart = |order: &[f64]| -> f64 {
        (first.iter().zip(order).map(|(first, second)| first * second).sum::<f64>() - centre).abs()
    };
    let observed = apart(second);
    let mut order = second.to_vec();
    let (mut reached, mut all) = (0u64, 0u64);
    let mut count = |order: &[f64]| {
        all += 1;
        reached += u64::from(apart(order) >= observed - 1e-9);
    };
    // Heap's algorithm (1963) in its loop form.
    let mut turns = vec![0usize; order.len()];
    count(&order);
    let mut at = 1;
    while at < order.len() {
        if turns[at] < at {
            let other = if at % 2 == 0 { 0 } else { turns[at] };
            order.swap(other, at);
            count(&order);
            turns[at] += 1;
            at = 1;
        } else {
            turns[at] = 0;
            at += 1;
        }
    }
    reached as f64 / all as f64
}

/// The share of all orders of n with a score, agreeing less disagreeing pairs, as far from 0 as this one or farther.
///
/// The number of orders of n with d disagreeing pairs is the sum of those of n − 1 with d, d − 1, … d − n + 1: the last one in line
/// disagrees with none to n − 1 of the others. As shares, so that 50! is not needed.
fn p_by_inversions(n: usize, score: i64) -> f64 {
    let all = n * (n - 1) / 2;
    // Shares by score are even about 0, so that the lesser tail is taken twice.
    let fewer = (all - score.unsigned_abs() as usize) / 2;
    let mut shares = vec![0.0; all + 1];
    shares[0] = 1.0;
    for size in 2..=n {
        let mut window = 0.0;
        let before = shares.clone();
        for (disagreeing, share) in shares.iter_mut().enumerate() {
            window += before[disagreeing];
            if disagreeing >= size {
                window -= before[disagreeing - size];
            }
            *share = window / size as f64;
        }
    }
    (2.0 * shares[..=fewer].iter().sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests;

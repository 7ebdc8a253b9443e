//! The signed-rank test of paired scores.

use crate::{
    StatsError, check,
    distributions::normal_p,
    ranks::{average_ranks, tie_term},
};

/// Which way the second column is held to differ from the first.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Alternative {
    #[default]
    TwoSided,
    /// The second is lower.
    Less,
    /// The second is higher.
    Greater,
}

/// What becomes of pairs that do not differ.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Zeros {
    /// Left out (Wilcoxon 1945).
    #[default]
    Wilcox,
    /// Ranked, then left out (Pratt 1959).
    Pratt,
    /// Ranked, and their ranks shared out evenly to both sides.
    Zsplit,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Method {
    /// SciPy's rule: exact up to 50 pairs without ties and zeros, and up to 13 pairs with them; else approximate.
    #[default]
    Auto,
    /// The distribution over all ways to put signs to the ranks that are there, ties and all.
    Exact,
    /// The normal approximation, corrected for ties.
    Approx,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Options {
    pub zeros: Zeros,
    pub alternative: Alternative,
    pub method: Method,
    /// Moves the statistic half a rank towards the mean; for the approximation only.
    pub continuity: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Wilcoxon {
    /// Pairs.
    pub n: usize,
    /// Pairs that differ.
    pub n_nonzero: usize,
    /// The lesser rank sum for `TwoSided`, else the rank sum of pairs whose second is higher.
    pub statistic: f64,
    /// Rank sums of the pairs whose second is higher, and lower.
    pub plus: f64,
    pub minus: f64,
    pub p_value: f64,
    pub exact: bool,
}

/// SciPy's bounds of `method="auto"`.
const EXACT_MAX: usize = 50;
const EXACT_WITH_TIES_MAX: usize = 13;
/// The exact distribution takes n³ steps: a second at a thousand pairs.
const EXACT_ASKED_MAX: usize = 1_000;

/// Compares two columns pair by pair with the Wilcoxon signed-rank test.
///
/// A difference is `second − first`. SciPy's `wilcoxon(x, y)` takes `x − y`, so `wilcoxon(second, first)` is what gives this
/// answer there (the two-sided one is the same either way). The answers are SciPy's but for two cases: `Exact` stays exact with
/// ties and zeros, where SciPy's takes the distribution without them; and when no pair differs the p-value is 1, where
/// SciPy's approximation gives none.
///
/// Errors: columns of different lengths or without a pair; values that are not finite; `Exact` for more than 1,000 pairs.
/// Source: Hollander, Wolfe, Chicken, "Nonparametric Statistical Methods", 3rd ed., §3.1; for zeros Pratt (1959) and Cureton (1967).
pub fn wilcoxon(first: &[f64], second: &[f64], options: Options) -> Result<Wilcoxon, StatsError> {
    check::paired(first, second)?;
    check::at_least(first.len(), 1, "pairs", "the Wilcoxon test")?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| second - first).collect();
    check::finite(&differences, crate::Column::Differences)?;
    let signed = SignedRanks::of(&differences, options.zeros);
    let n = differences.len();
    let n_nonzero = differences.iter().filter(|difference| **difference != 0.0).count();
    let exact = is_exact(n, n_nonzero == n && signed.ties.is_empty(), options.method)?;
    let p_value = match exact {
        _ if n_nonzero == 0 => 1.0,
        true => signed.exact_p(options.alternative),
        false => signed.approximate_p(options),
    };
    let statistic = match options.alternative {
        Alternative::TwoSided => signed.plus.min(signed.minus),
        Alternative::Less | Alternative::Greater => signed.plus,
    };
    let (plus, minus) = (signed.plus, signed.minus);
    Ok(Wilcoxon { n, n_nonzero, statistic, plus, minus, p_value, exact })
}

fn is_exact(n: usize, is_plain: bool, method: Method) -> Result<bool, StatsError> {
    match method {
        Method::Auto => Ok(n <= if is_plain { EXACT_MAX } else { EXACT_WITH_TIES_MAX }),
        Method::Approx => Ok(false),
        Method::Exact if n <= EXACT_ASKED_MAX => Ok(true),
        Method::Exact => Err(StatsError::TooMany {
            what: "the exact Wilcoxon test",
            of: "pairs",
            limit: EXACT_ASKED_MAX,
            found: n,
            cure: "take the approximation, which is as good with that many",
        }),
    }
}

struct SignedRanks {
    /// Ranks of the pairs that differ.
    ranks: Vec<f64>,
    /// Groups of equal sizes of difference among what is ranked and counts for the variance.
    ties: Vec<f64>,
    /// Pairs that were ranked, and zeros among them.
    ranked: f64,
    zeros: f64,
    /// What zeros add to either side.
    split: f64,
    plus: f64,
    minus: f64,
    is_pratt: bool,
}

impl SignedRanks {
    fn of(differences: &[f64], zeros: Zeros) -> SignedRanks {
        let kept: Vec<f64> =
            differences.iter().copied().filter(|d| zeros != Zeros::Wilcox || *d != 0.0).collect();
        let sizes: Vec<f64> = kept.iter().map(|d| d.abs()).collect();
        let ranked = average_ranks(&sizes);
        let sum_of = |wanted: fn(f64) -> bool| -> f64 {
            kept.iter().zip(&ranked.ranks).filter(|(d, _)| wanted(**d)).map(|(_, rank)| rank).sum()
        };
        let zero_count = kept.iter().filter(|d| **d == 0.0).count() as f64;
        let split = if zeros == Zeros::Zsplit { sum_of(|d| d == 0.0) / 2.0 } else { 0.0 };
        let mut ties = ranked.ties;
        if zeros == Zeros::Pratt && zero_count > 1.0 {
            // The zeros have the lowest ranks, so theirs is the first group; Cureton's variance has them taken out already.
            ties.remove(0);
        }
        SignedRanks {
            plus: sum_of(|d| d > 0.0) + split,
            minus: sum_of(|d| d < 0.0) + split,
            ranks: kept
                .iter()
                .zip(&ranked.ranks)
                .filter(|(d, _)| **d != 0.0)
                .map(|(_, rank)| *rank)
                .collect(),
            ties,
            ranked: kept.len() as f64,
            zeros: zero_count,
            split,
            is_pratt: zeros == Zeros::Pratt,
        }
    }

    /// Over all signs, each way as likely as the other.
    fn exact_p(&self, alternative: Alternative) -> f64 {
        // Mean ranks are whole or half, so twice them is whole.
        let doubled: Vec<usize> = self.ranks.iter().map(|rank| (2.0 * rank).round() as usize).collect();
        let at = (2.0 * (self.plus - self.split)).round() as usize;
        let chances = sums_of_coin_flips(&doubled);
        // The smaller tail is added up as it is, so that it keeps its digits.
        let at_most: f64 = chances[..=at].iter().sum();
        let at_least: f64 = chances[at..].iter().sum();
        match alternative {
            Alternative::Less => at_most.min(1.0),
            Alternative::Greater => at_least.min(1.0),
            Alternative::TwoSided => (2.0 * at_most.min(at_least)).min(1.0),
        }
    }

    fn approximate_p(&self, options: Options) -> f64 {
        let n = self.ranked;
        let mut mean = n * (n + 1.0) / 4.0;
        let mut spread = n * (n + 1.0) * (2.0 * n + 1.0);
        if self.is_pratt {
            let zeros = self.zeros;
            mean -= zeros * (zeros + 1.0) / 4.0;
            spread -= zeros * (zeros + 1.0) * (2.0 * zeros + 1.0);
        }
        let se = ((spread - tie_term(&self.ties) / 2.0) / 24.0).sqrt();
        let mut z = (self.plus - mean) / se;
        if options.continuity {
            let towards = match options.alternative {
                Alternative::Greater => 1.0,
                Alternative::Less => -1.0,
                Alternative::TwoSided if z == 0.0 => 0.0,
                Alternative::TwoSided => z.signum(),
            };
            z -= towards * 0.5 / se;
        }
        normal_p(z, options.alternative)
    }
}

/// The probabilities of each sum when every weight counts with probability one half.
fn sums_of_coin_flips(weights: &[usize]) -> Vec<f64> {
    let total: usize = weights.iter().sum();
    let mut chances = vec![0.0; total + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for &weight in weights {
        reached += weight;
        for sum in (0..=reached).rev() {
            let with = if sum >= weight { chances[sum - weight] } else { 0.0 };
            chances[sum] = (chances[sum] + with) / 2.0;
        }
    }
    chances
}

#[cfg(test)]
mod tests;

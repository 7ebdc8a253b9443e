//! Intervals of shares and of mean differences.

use crate::{
    Clustered, Column, StatsError, check,
    clusters::totals,
    distributions::{beta_quantile, normal_quantile, t_p, t_quantile},
    wilcoxon::Alternative,
};

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Wilson's score interval of a share, two-sided.
///
/// Source: Wilson (1927); recommended by Brown, Cai, DasGupta (2001), "Interval estimation for a binomial proportion".
pub fn wilson(successes: u64, n: u64, confidence: f64) -> Result<Interval, StatsError> {
    checked_share(successes, n, confidence)?;
    let z = normal_quantile(0.5 + confidence / 2.0);
    let (n, share, z2) = (n as f64, successes as f64 / n as f64, z * z);
    let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends the formula gives 0 and 1 but for the last digit.
    let low = if successes == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if share == 1.0 { 1.0 } else { (middle + half).min(1.0) };
    Ok(Interval { low, high })
}

/// Clopper and Pearson's exact interval of a share, two-sided: never covers less than it says, and is wider for it.
///
/// Source: Clopper & Pearson (1934).
pub fn clopper_pearson(successes: u64, n: u64, confidence: f64) -> Result<Interval, StatsError> {
    checked_share(successes, n, confidence)?;
    let tail = (1.0 - confidence) / 2.0;
    let (yes, no) = (successes as f64, (n - successes) as f64);
    Ok(Interval {
        low: if successes == 0 { 0.0 } else { beta_quantile(tail, yes, no + 1.0) },
        high: if successes == n { 1.0 } else { beta_quantile(1.0 - tail, yes + 1.0, no) },
    })
}

fn checked_share(successes: u64, n: u64, confidence: f64) -> Result<(), StatsError> {
    check::open_share(confidence, "the confidence")?;
    check::at_least(n as usize, 1, "cases", "a share")?;
    if successes > n {
        return Err(StatsError::Parameter {
            name: "the number of successes",
            value: successes as f64,
            range: "up to the number of cases",
        });
    }
    Ok(())
}

/// A mean of paired differences and how sure it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MeanDifference {
    pub n: usize,
    pub clusters: usize,
    pub mean: f64,
    pub standard_error: f64,
    pub interval: Interval,
    /// That the mean is 0, two-sided.
    pub p_value: f64,
}

/// The mean difference with Student's interval, robust to clusters (two-sided).
///
/// Clusters − 1 degrees of freedom. With clusters of one value it is the interval of the paired t test. Errors: fewer than two clusters;
/// differences that are all the same, whose interval would have no width and say too much (a gate's bounds do without: `non_inferiority`).
/// Source: Cochran, "Sampling Techniques", 3rd ed., ch. 9A; Cameron & Miller (2015), "A practitioner's guide to cluster-robust inference".
pub fn mean_difference(differences: &[Clustered], confidence: f64) -> Result<MeanDifference, StatsError> {
    check::open_share(confidence, "the confidence")?;
    let totals = totals(differences, Column::Differences)?;
    let clusters = totals.clusters();
    let Some(sd) = totals.sd() else {
        return Err(StatsError::TooFew {
            what: "an interval",
            of: "independent cases",
            needed: 2,
            found: clusters,
        });
    };
    if sd == 0.0 {
        return Err(StatsError::Constant {
            what: "Student's interval",
            column: Column::Differences,
            cure: "add cases that differ, or ask the gate, whose bounds allow for cases that were not seen",
        });
    }
    let standard_error = sd / (clusters as f64).sqrt();
    let df = clusters as f64 - 1.0;
    let half = t_quantile(0.5 + confidence / 2.0, df) * standard_error;
    Ok(MeanDifference {
        n: totals.n,
        clusters,
        mean: totals.mean,
        standard_error,
        interval: Interval { low: totals.mean - half, high: totals.mean + half },
        p_value: t_p(totals.mean / standard_error, df, Alternative::TwoSided),
    })
}

/// The standard deviation of one independent case's difference: what power and numbers of cases are reckoned from.
///
/// With repeats or conversations it is that of clusters, each weighing as many cases as it has. Errors: fewer than two clusters.
pub fn paired_sd(differences: &[Clustered]) -> Result<f64, StatsError> {
    let totals = totals(differences, Column::Differences)?;
    totals.sd().ok_or(StatsError::TooFew {
        what: "a standard deviation",
        of: "independent cases",
        needed: 2,
        found: totals.clusters(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unclustered;

    #[test]
    fn intervals_of_shares_are_those_of_the_tables() {
        let check = |found: Interval, low: f64, high: f64| {
            assert!((found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5, "{found:?}");
        };
        // Newcombe (1998), table I: 81/263, 15/148, 0/20, 1/29.
        check(wilson(81, 263, 0.95).unwrap(), 0.2553, 0.3662);
        check(wilson(15, 148, 0.95).unwrap(), 0.0624, 0.1605);
        check(wilson(0, 20, 0.95).unwrap(), 0.0, 0.1611);
        check(wilson(1, 29, 0.95).unwrap(), 0.0061, 0.1718);
        check(clopper_pearson(81, 263, 0.95).unwrap(), 0.2527, 0.3676);
        check(clopper_pearson(15, 148, 0.95).unwrap(), 0.0578, 0.1617);
        check(clopper_pearson(0, 20, 0.95).unwrap(), 0.0, 0.1684);
        check(clopper_pearson(1, 29, 0.95).unwrap(), 0.0009, 0.1776);
        check(clopper_pearson(20, 20, 0.95).unwrap(), 0.8316, 1.0);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert!(wilson(2, 1, 0.95).is_err() && wilson(0, 0, 0.95).is_err());
        for confidence in [0.0, 1.0, -1.0, 95.0, f64::NAN] {
            assert!(wilson(1, 2, confidence).is_err(), "{confidence}");
            assert!(clopper_pearson(1, 2, confidence).is_err(), "{confidence}");
        }
    }

    #[test]
    fn students_interval_is_that_of_the_sleep_data() {
        // Student (1908): extra hours of sleep, drug 2 minus drug 1; R gives t = 4.0621, p = 0.002833, 0.7001142 to 2.4598858.
        let differences = unclustered(&[1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]);
        let found = mean_difference(&differences, 0.95).unwrap();
        assert!((found.mean - 1.58).abs() < 1e-12);
        assert!((found.interval.low - 0.700_114_2).abs() < 1e-7, "{found:?}");
        assert!((found.interval.high - 2.459_885_8).abs() < 1e-7, "{found:?}");
        assert!((found.p_value - 0.002_832_890).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn repeats_of_a_case_add_no_certainty_of_their_own() {
        let once = [0.1, -0.2, 0.3, 0.0, 0.2];
        let plain = mean_difference(&unclustered(&once), 0.95).unwrap();
        let repeated: Vec<Clustered> = unclustered(&once).into_iter().flat_map(|value| [value; 10]).collect();
        let clustered = mean_difference(&repeated, 0.95).unwrap();
        assert_eq!((clustered.n, clustered.clusters), (50, 5));
        assert!((plain.interval.low - clustered.interval.low).abs() < 1e-12);
        assert!((paired_sd(&repeated).unwrap() - paired_sd(&unclustered(&once)).unwrap()).abs() < 1e-12);
    }

    #[test]
    fn an_interval_without_width_is_refused() {
        let error = mean_difference(&unclustered(&[0.0; 3]), 0.95).unwrap_err().to_string();
        assert!(error.contains("all the same"), "{error}");
        assert!(mean_difference(&unclustered(&[0.1]), 0.95).is_err());
        assert!(mean_difference(&[], 0.95).is_err());
    }
}

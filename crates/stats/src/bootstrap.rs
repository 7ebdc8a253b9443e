//! The bootstrap of a mean difference, clusters drawn whole.

use crate::{
    Clustered, Column, Interval, Rng, StatsError, check,
    clusters::{Total, totals},
    distributions::{normal_cdf, normal_quantile},
};

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum BootstrapMethod {
    /// Bias-corrected and accelerated.
    #[default]
    Bca,
    Percentile,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bootstrap {
    pub method: BootstrapMethod,
    pub resamples: u32,
    pub confidence: f64,
    pub seed: u64,
}

impl Default for Bootstrap {
    /// SciPy's number of resamples and confidence.
    fn default() -> Bootstrap {
        Bootstrap { method: BootstrapMethod::Bca, resamples: 9_999, confidence: 0.95, seed: 0 }
    }
}

/// Fewer have no tail to read a bound from.
const RESAMPLES_MIN: usize = 100;
/// Draws of one value: some seconds of work, and memory for the resamples alone.
const DRAWS_MAX: usize = 1_000_000_000;
const RESAMPLES_MAX: usize = 1_000_000;

impl Bootstrap {
    pub(crate) fn checked(&self, n: usize) -> Result<(), StatsError> {
        check::open_share(self.confidence, "the confidence")?;
        let resamples = self.resamples as usize;
        if resamples < RESAMPLES_MIN {
            let (name, value) = ("the number of resamples", f64::from(self.resamples));
            return Err(StatsError::Parameter { name, value, range: "of at least 100, such as 9999" });
        }
        let limit = RESAMPLES_MAX.min(DRAWS_MAX / n.max(1));
        if resamples > limit {
            return Err(StatsError::TooMany {
                what: "a bootstrap of so many values",
                of: "resamples",
                limit,
                found: resamples,
                cure: "ask for fewer",
            });
        }
        Ok(())
    }
}

/// The interval of the mean of `differences`, by drawing clusters with replacement; the same seed gives the same interval.
///
/// The mean is that of all values drawn, so a cluster weighs as many values as it has. Errors: fewer than two clusters; fewer than
/// 100 resamples or too many; with `Bca`, differences that are all the same. Source: Efron & Tibshirani, "An Introduction to the
/// Bootstrap", ch. 13 and 14; Davison & Hinkley, §3.8 for clusters.
pub fn bootstrap(differences: &[Clustered], options: &Bootstrap) -> Result<Interval, StatsError> {
    let totals = totals(differences, Column::Differences)?;
    let clusters = &totals.totals;
    check::at_least(clusters.len(), 2, "independent cases", "a bootstrap")?;
    options.checked(clusters.len())?;
    if options.method == BootstrapMethod::Bca && totals.sd() == Some(0.0) {
        return Err(StatsError::Constant {
            what: "the bootstrap with bias correction",
            column: Column::Differences,
            cure: "take the percentile method, or ask the gate, whose bounds allow for cases that were not seen",
        });
    }
    let mut rng = Rng::new(options.seed);
    let mut means: Vec<f64> = (0..options.resamples)
        .map(|_| mean_of((0..clusters.len()).map(|_| clusters[rng.below(clusters.len())])))
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - options.confidence) / 2.0;
    let (low, high) = match options.method {
        BootstrapMethod::Percentile => (tail, 1.0 - tail),
        BootstrapMethod::Bca => corrected(&means, clusters, totals.mean, tail),
    };
    Ok(Interval { low: quantile(&means, low), high: quantile(&means, high) })
}

fn mean_of(clusters: impl Iterator<Item = Total>) -> f64 {
    let (sum, count) =
        clusters.fold((0.0, 0.0), |(sum, count), total| (sum + total.sum, count + total.count));
    sum / count
}

/// Where BCa takes its ends: Efron & Tibshirani, equations 14.10, 14.14 and 14.15.
fn corrected(means: &[f64], clusters: &[Total], mean: f64, tail: f64) -> (f64, f64) {
    let below = means.partition_point(|drawn| *drawn < mean) as f64;
    let at_most = means.partition_point(|drawn| *drawn <= mean) as f64;
    // Half of those that are just the mean, as SciPy does: scores of few steps have many.
    let share = (below + at_most) / (2.0 * means.len() as f64);
    let bias = normal_quantile(share.clamp(1e-9, 1.0 - 1e-9));
    let (sum, count) = clusters.iter().fold((0.0, 0.0), |(s, c), total| (s + total.sum, c + total.count));
    let without: Vec<f64> = clusters.iter().map(|total| (sum - total.sum) / (count - total.count)).collect();
    let centre = without.iter().sum::<f64>() / without.len() as f64;
    // In units of the farthest, since cubes of tiny differences are 0 and those of huge ones do not fit.
    let span = without.iter().fold(0.0f64, |span, one| span.max((centre - one).abs()));
    let moment = |power: i32| -> f64 { without.iter().map(|one| ((centre - one) / span).powi(power)).sum() };
    let acceleration = if span > 0.0 { moment(3) / (6.0 * moment(2).powf(1.5)) } else { 0.0 };
    let end = |tail: f64| {
        let moved = bias + normal_quantile(tail);
        normal_cdf(bias + moved / (1.0 - acceleration * moved))
    };
    (end(tail), end(1.0 - tail))
}

/// Between the two nearest of sorted values (R's type 7, numpy's default).
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mean_difference, unclustered};

    fn sample(n: usize, seed: u64) -> Vec<f64> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| rng.normal()).collect()
    }

    #[test]
    fn both_methods_come_near_students_interval_where_that_holds() {
        let differences = unclustered(&sample(200, 3));
        let student = mean_difference(&differences, 0.95).unwrap().interval;
        for method in [BootstrapMethod::Bca, BootstrapMethod::Percentile] {
            let found = bootstrap(&differences, &Bootstrap { method, ..Bootstrap::default() }).unwrap();
            assert!((found.low - student.low).abs() < 0.02, "{method:?} {found:?} {student:?}");
            assert!((found.high - student.high).abs() < 0.02, "{method:?} {found:?} {student:?}");
        }
    }

    #[test]
    fn bca_leans_with_a_skewed_sample() {
        let skewed: Vec<f64> = sample(40, 5).iter().map(|x| x.exp()).collect();
        let mean = skewed.iter().sum::<f64>() / 40.0;
        let find =
            |method| bootstrap(&unclustered(&skewed), &Bootstrap { method, ..Bootstrap::default() }).unwrap();
        let (bca, percentile) = (find(BootstrapMethod::Bca), find(BootstrapMethod::Percentile));
        assert!(bca.high - mean > percentile.high - mean, "{bca:?} {percentile:?}");
    }

    #[test]
    fn repeats_are_drawn_with_their_case() {
        let once = sample(30, 7);
        let repeated: Vec<Clustered> = unclustered(&once).into_iter().flat_map(|one| [one; 5]).collect();
        let options = Bootstrap::default();
        let plain = bootstrap(&unclustered(&once), &options).unwrap();
        let whole = bootstrap(&repeated, &options).unwrap();
        assert!((plain.low - whole.low).abs() < 1e-12 && (plain.high - whole.high).abs() < 1e-12);
        let as_if_independent: Vec<f64> = repeated.iter().map(|one| one.value).collect();
        let narrow = bootstrap(&unclustered(&as_if_independent), &options).unwrap();
        let honest = bootstrap(&repeated, &options).unwrap();
        assert!(honest.high - honest.low > 1.8 * (narrow.high - narrow.low), "{honest:?} {narrow:?}");
    }

    #[test]
    fn a_seed_gives_the_same_interval_again() {
        let differences = unclustered(&sample(25, 9));
        let find = |seed| bootstrap(&differences, &Bootstrap { seed, ..Bootstrap::default() }).unwrap();
        assert_eq!(find(1), find(1));
        assert_ne!(find(1), find(2));
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused() {
        let check = |values: &[f64], options: Bootstrap| {
            assert!(bootstrap(&unclustered(values), &options).is_err(), "{values:?} {options:?}");
        };
        check(&[], Bootstrap::default());
        check(&[1.0], Bootstrap::default());
        check(&[1.0, f64::NAN], Bootstrap::default());
        check(&[0.0; 5], Bootstrap::default());
        check(&[0.0, 1.0], Bootstrap { resamples: 1, ..Bootstrap::default() });
        check(&[0.0, 1.0], Bootstrap { resamples: u32::MAX, ..Bootstrap::default() });
        check(&[0.0, 1.0], Bootstrap { confidence: 1.0, ..Bootstrap::default() });
        let percentile = Bootstrap { method: BootstrapMethod::Percentile, ..Bootstrap::default() };
        let found = bootstrap(&unclustered(&[0.0; 5]), &percentile).unwrap();
        assert_eq!(found, Interval { low: 0.0, high: 0.0 });
    }
}

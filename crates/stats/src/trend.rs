//! Whether a measure goes down over days.

use crate::{
    Outcome, StatsError, check,
    distributions::{normal_quantile, t_quantile},
};

/// The mean of one run, and when it was.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrendPoint {
    /// On any scale of days.
    pub day: f64,
    /// Higher is better.
    pub mean: f64,
    /// Of the mean; above 0.
    pub standard_error: f64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trend {
    pub outcome: Outcome,
    /// Runs within the window.
    pub n: usize,
    /// Days from the first of them to the last.
    pub days: f64,
    /// Of the fitted line from the first to the last day: below 0 it went down. Not drawn out to the whole window.
    pub change: f64,
    /// One-sided bounds.
    pub lower: f64,
    pub upper: f64,
}

/// Asks whether a measure fell by `drop_max` or more within the last `window_days`.
///
/// A line is fitted through the runs of the window that ends with the last run, each weighted by its certainty. Its change over the
/// days that the runs cover is the drop. **Fail** when the line fell by `drop_max` or more, and surely fell; **pass** when it surely fell
/// by less; **inconclusive** else, and with fewer than two runs on different days. The error is the larger of what the runs'
/// own errors give and what their scatter about the line gives. Errors: values that are not finite, standard errors or limits
/// that are not above 0. Source: Draper & Smith, "Applied Regression Analysis", ch. 9.
pub fn trend_drop(
    points: &[TrendPoint],
    drop_max: f64,
    window_days: f64,
    alpha: f64,
) -> Result<Trend, StatsError> {
    check::positive(drop_max, "the greatest drop allowed")?;
    check::positive(window_days, "the window in days")?;
    check::open_share(alpha, "alpha")?;
    let column = |value: fn(&TrendPoint) -> f64| points.iter().map(value).collect::<Vec<f64>>();
    check::finite(&column(|point| point.day), crate::Column::Values)?;
    check::finite(&column(|point| point.mean), crate::Column::Values)?;
    for point in points {
        check::positive(point.standard_error, "the standard error of a run")?;
    }
    let last = points.iter().map(|point| point.day).fold(f64::NEG_INFINITY, f64::max);
    let within: Vec<TrendPoint> =
        points.iter().copied().filter(|point| point.day >= last - window_days).collect();
    let first = within.iter().map(|point| point.day).fold(f64::INFINITY, f64::min);
    let unknown = Trend {
        outcome: Outcome::Inconclusive,
        n: within.len(),
        days: 0.0,
        change: 0.0,
        lower: f64::NEG_INFINITY,
        upper: f64::INFINITY,
    };
    let days = last - first;
    if within.len() < 2 || days <= 0.0 {
        return Ok(unknown);
    }
    let (change, half) = fitted_change(&within, days, alpha);
    let (lower, upper) = (change - half, change + half);
    if !(lower.is_finite() && upper.is_finite()) {
        return Ok(unknown);
    }
    let outcome = if change <= -drop_max && upper < 0.0 {
        Outcome::Fail
    } else if lower > -drop_max {
        Outcome::Pass
    } else {
        Outcome::Inconclusive
    };
    Ok(Trend { outcome, n: within.len(), days, change, lower, upper })
}

/// The change of the line over so many days, and half the width of its interval.
fn fitted_change(points: &[TrendPoint], days: f64, alpha: f64) -> (f64, f64) {
    let weight = |point: &TrendPoint| 1.0 / point.standard_error.powi(2);
    let all: f64 = points.iter().map(weight).sum();
    let mean_of = |value: fn(&TrendPoint) -> f64| -> f64 {
        points.iter().map(|point| weight(point) * value(point)).sum::<f64>() / all
    };
    let (day, level) = (mean_of(|point| point.day), mean_of(|point| point.mean));
    let spread: f64 = points.iter().map(|point| weight(point) * (point.day - day).powi(2)).sum();
    let together: f64 =
        points.iter().map(|point| weight(point) * (point.day - day) * (point.mean - level)).sum();
    let slope = together / spread;
    let by_runs = normal_quantile(1.0 - alpha) / spread.sqrt();
    let df = points.len() as f64 - 2.0;
    let by_scatter = if df >= 1.0 {
        let off = |point: &TrendPoint| point.mean - level - slope * (point.day - day);
        let residual: f64 = points.iter().map(|point| weight(point) * off(point).powi(2)).sum();
        t_quantile(1.0 - alpha, df) * (residual / df / spread).sqrt()
    } else {
        0.0
    };
    (slope * days, by_runs.max(by_scatter) * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(means: &[f64], standard_error: f64) -> Vec<TrendPoint> {
        let days = (0..).map(f64::from);
        days.zip(means).map(|(day, &mean)| TrendPoint { day, mean, standard_error }).collect()
    }

    fn ask(means: &[f64], standard_error: f64) -> Trend {
        trend_drop(&week(means, standard_error), 0.05, 7.0, 0.05).unwrap()
    }

    #[test]
    fn a_week_that_lost_five_points_fails() {
        let found = ask(&[0.90, 0.89, 0.88, 0.87, 0.86, 0.85, 0.84], 0.01);
        assert_eq!(found.outcome, Outcome::Fail);
        assert!((found.change + 0.06).abs() < 1e-12 && (found.days - 6.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_level_week_passes_and_a_noisy_one_does_not_tell() {
        assert_eq!(ask(&[0.90, 0.91, 0.90, 0.89, 0.90, 0.90, 0.91], 0.01).outcome, Outcome::Pass);
        assert_eq!(ask(&[0.90, 0.80, 0.95, 0.85, 0.99, 0.70, 0.92], 0.01).outcome, Outcome::Inconclusive);
        assert_eq!(ask(&[0.90, 0.84], 0.05).outcome, Outcome::Inconclusive);
        assert_eq!(ask(&[0.90, 0.80], 0.01).outcome, Outcome::Fail);
    }

    #[test]
    fn what_was_before_the_window_does_not_count() {
        let mut points = week(&[0.9; 7], 0.005);
        points.push(TrendPoint { day: -30.0, mean: 1.0, standard_error: 0.005 });
        let found = trend_drop(&points, 0.05, 7.0, 0.05).unwrap();
        assert_eq!((found.outcome, found.n), (Outcome::Pass, 7));
    }

    #[test]
    fn one_run_is_no_trend() {
        for points in [vec![], week(&[0.9], 0.01), vec![week(&[0.9], 0.01)[0]; 3]] {
            let found = trend_drop(&points, 0.05, 7.0, 0.05).unwrap();
            assert_eq!(found.outcome, Outcome::Inconclusive, "{points:?}");
        }
    }

    #[test]
    fn odd_numbers_are_refused() {
        let good = week(&[0.9, 0.8], 0.01);
        let with = |point: TrendPoint| trend_drop(&[good[0], point], 0.05, 7.0, 0.05);
        assert!(with(TrendPoint { day: f64::NAN, ..good[1] }).is_err());
        assert!(with(TrendPoint { mean: f64::INFINITY, ..good[1] }).is_err());
        assert!(with(TrendPoint { standard_error: 0.0, ..good[1] }).is_err());
        assert!(trend_drop(&good, 0.0, 7.0, 0.05).is_err());
        assert!(trend_drop(&good, 0.05, -7.0, 0.05).is_err());
        assert!(trend_drop(&good, 0.05, 7.0, 0.0).is_err());
    }
}

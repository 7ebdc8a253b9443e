//! What a metric did over the last days, by the runs that passed their gates.

use std::time::Duration;

use gauntlet_ports::{EvalRun, Verdict};
use gauntlet_stats::{Outcome, TrendPoint, trend_drop};

use super::{
    GateInput,
    metric::{Metric, summary_of},
    report::{Check, CheckKind, text::signed},
};
use crate::TrendSpec;

/// Half the width of a 95% interval in standard errors, as runs keep them.
const HALF_95: f64 = 1.96;
/// A line needs an error of each run; of scores outside 0..=1 it is not known how far one that was not seen may be.
const ERROR_MIN: f64 = 1e-6;
const DAY_US: f64 = 86_400e6;

/// Passed runs of the window before this one.
fn past<'a>(spec: &TrendSpec, input: &GateInput<'a>) -> Vec<&'a EvalRun> {
    let from = input.run.started.minus(Duration::from_secs(u64::from(spec.days) * 86_400));
    let is_before =
        |run: &&EvalRun| run.id != input.run.id && (from..input.run.started).contains(&run.started);
    input.history.iter().filter(is_before).collect()
}

/// Whether two runs asked the same cases, so that their means tell of the same.
fn is_of_same_cases(one: &EvalRun, other: &EvalRun) -> bool {
    one.dataset_hash == other.dataset_hash && one.is_fast == other.is_fast
}

/// Why there is no trend, or which runs it leaves out. A suite that is young shall not be held up for it, and nobody shall take
/// a trend that was not looked at for one that holds.
pub(crate) fn note(metrics: &[Metric<'_>], told: &[Check], input: &GateInput<'_>) -> Option<String> {
    let spec = input.suite.gate.trend.as_ref()?;
    let (past, days) = (past(spec, input), spec.days);
    let all = past.len();
    let same = past.iter().filter(|run| is_of_same_cases(run, input.run)).count();
    let is_told = |metric: &&Metric<'_>| {
        told.iter()
            .any(|check| check.kind == CheckKind::Trend && check.metric.as_ref() == Some(&metric.spec.name))
    };
    let untold: Vec<&str> =
        metrics.iter().filter(|metric| !is_told(metric)).map(|metric| metric.spec.name.as_str()).collect();
    let left_out = all - same;
    Some(match (all, same) {
        (0, _) => format!(
            "trend: no other run of the last {days} days has passed its gate, so there is none to tell yet"
        ),
        (_, 0) => format!(
            "trend: not told, since the runs that passed in the last {days} days ({all}) are all over other cases"
        ),
        _ if left_out > 0 => {
            format!(
                "trend: {left_out} of the {all} runs that passed in the last {days} days are over other cases and do not count"
            )
        }
        _ if !untold.is_empty() => {
            format!(
                "trend: not told of {}, which the runs before scored by another formula or not at all",
                untold.join(", ")
            )
        }
        _ => return None,
    })
}

impl Metric<'_> {
    /// Whether the metric came down over the last days, by a line through the runs that asked the same cases.
    ///
    /// Its point decides that it held: the runs' errors are those of other cases, which these runs share, so that bounds of them would
    /// leave every trend open. They decide whether a fall beyond the limit is sure.
    pub fn trend(&self, spec: &TrendSpec, input: &GateInput<'_>) -> Option<Check> {
        let now = summary_of(input.run, &self.spec.name)?;
        let is_alike = |run: &&EvalRun| {
            is_of_same_cases(run, input.run)
                && summary_of(run, &self.spec.name)
                    .is_some_and(|then| then.implementation == now.implementation)
        };
        let runs: Vec<&EvalRun> = past(spec, input).into_iter().filter(is_alike).collect();
        let points: Vec<TrendPoint> =
            runs.iter().copied().chain([input.run]).filter_map(|run| self.point(run)).collect();
        let found = trend_drop(&points, spec.drop, f64::from(spec.days), input.suite.gate.alpha).ok()?;
        if found.days <= 0.0 {
            return None;
        }
        let limit = -spec.drop;
        let verdict = match found.outcome {
            _ if found.change > limit => Verdict::Pass,
            Outcome::Fail => Verdict::Fail,
            Outcome::Pass | Outcome::Inconclusive => Verdict::Inconclusive,
        };
        let told = format!("{} over {:.1} days and {} runs", signed(found.change), found.days, found.n);
        let reason = match verdict {
            Verdict::Pass => {
                format!("{told}; a fall of {:.3} in {} days would be too much", spec.drop, spec.days)
            }
            Verdict::Fail => {
                format!("{told}; a fall of less than {:.3} in {} days is allowed", spec.drop, spec.days)
            }
            Verdict::Inconclusive => {
                format!("{told}: a fall of less than {:.3} is allowed, but this one may be chance", spec.drop)
            }
        };
        let check = self.check(CheckKind::Trend, verdict, reason);
        Some(Check {
            value: Some(found.change),
            limit: Some(limit),
            low: Some(found.lower),
            high: Some(found.upper),
            n: found.n as u32,
            candidate: now.mean,
            ..check
        })
    }

    fn point(&self, run: &EvalRun) -> Option<TrendPoint> {
        let summary = summary_of(run, &self.spec.name)?;
        let bounds = summary.ci_low.zip(summary.ci_high);
        let error =
            bounds.map(|(low, high)| (high - low).abs() / (2.0 * HALF_95)).filter(|error| *error > 0.0);
        // Scores that are all the same have no spread, and are not sure for it: the next may be as far off as a score can be. So the
        // error is that of n alike and one such.
        let alike = if self.scale.is_share { 1.0 / (f64::from(summary.scored) + 1.0) } else { ERROR_MIN };
        Some(TrendPoint {
            day: run.started.0 as f64 / DAY_US,
            mean: self.scale.turned(summary.mean?),
            standard_error: error.unwrap_or(alike).max(ERROR_MIN),
        })
    }
}

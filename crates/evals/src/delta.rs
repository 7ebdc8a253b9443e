//! How metrics and cost moved from one run to another of the same suite, paired by case.

use std::collections::BTreeMap;

use gauntlet_ports::{Direction, EvalResult, EvalRun};
use gauntlet_stats::{Clustered, StatsError, cluster_by, mean_difference};
use gauntlet_types::Name;
use serde::Serialize;

/// Two-sided.
pub const CONFIDENCE: f64 = 0.95;

/// One figure of both runs over the cases that both have, repeats of a case averaged.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Delta {
    /// A metric of the suite; `cost_usd` for what an answer cost.
    pub metric: Name,
    pub direction: Direction,
    /// Cases that have a value in both.
    pub cases: usize,
    pub from: Option<f64>,
    pub to: Option<f64>,
    /// `to` less `from`, and its interval; none where there are too few cases, or all moved alike.
    pub difference: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    /// Why there is no interval.
    pub why: Option<String>,
}

/// A run with its answers.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub run: &'a EvalRun,
    pub results: &'a [EvalResult],
}

/// Every metric that both runs have, in the order of the newer one, and then the cost of an answer.
pub fn deltas(from: Side<'_>, to: Side<'_>) -> Vec<Delta> {
    let metrics = to.run.metrics.iter().filter(|metric| {
        from.run
            .metrics
            .iter()
            .any(|other| other.metric == metric.metric && other.implementation == metric.implementation)
    });
    let mut deltas: Vec<Delta> = metrics
        .map(|metric| {
            let score =
                |result: &EvalResult| result.scores.iter().find(|score| score.metric == metric.metric)?.value;
            delta(
                metric.metric.clone(),
                metric.direction,
                values(from.results, score),
                values(to.results, score),
            )
        })
        .collect();
    // What failed cost nothing or next to nothing, and would make a broken version look cheap.
    let cost = |result: &EvalResult| result.error.is_none().then(|| result.cost.as_usd());
    let (was, is) = (values(from.results, cost), values(to.results, cost));
    deltas.push(delta("cost_usd".into(), Direction::LowerIsBetter, was, is));
    deltas
}

/// The mean of a case's repeats, and the cluster that the case belongs to.
struct Mean {
    cluster: Name,
    sum: f64,
    count: f64,
}

fn values(results: &[EvalResult], value: impl Fn(&EvalResult) -> Option<f64>) -> BTreeMap<Name, Mean> {
    let mut means: BTreeMap<Name, Mean> = BTreeMap::new();
    for result in results {
        let Some(value) = value(result).filter(|value| value.is_finite()) else { continue };
        let cluster = || result.cluster.clone().unwrap_or_else(|| result.case.clone());
        let mean = means.entry(result.case.clone()).or_insert_with(|| Mean {
            cluster: cluster(),
            sum: 0.0,
            count: 0.0,
        });
        mean.sum += value;
        mean.count += 1.0;
    }
    means
}

fn delta(metric: Name, direction: Direction, from: BTreeMap<Name, Mean>, to: BTreeMap<Name, Mean>) -> Delta {
    let pairs: Vec<(&Name, f64, f64)> = to
        .iter()
        .filter_map(|(case, is)| {
            let was = from.get(case)?;
            Some((&is.cluster, was.sum / was.count, is.sum / is.count))
        })
        .collect();
    let cases = pairs.len();
    let mean = |of: fn(&(&Name, f64, f64)) -> f64| {
        (cases > 0).then(|| pairs.iter().map(of).sum::<f64>() / cases as f64)
    };
    let (was, is) = (mean(|pair| pair.1), mean(|pair| pair.2));
    let differences: Vec<Clustered> = cluster_by(pairs.iter().map(|(cluster, was, is)| (*cluster, is - was)));
    let (interval, why) = match mean_difference(&differences, CONFIDENCE) {
        Ok(found) => (Some(found.interval), None),
        Err(StatsError::Constant { .. }) => (None, Some(format!("all {cases} cases moved alike"))),
        Err(error) => (None, Some(error.to_string())),
    };
    Delta {
        metric,
        direction,
        cases,
        from: was,
        to: is,
        difference: was.zip(is).map(|(was, is)| is - was),
        ci_low: interval.map(|interval| interval.low),
        ci_high: interval.map(|interval| interval.high),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_ports::{MetricSummary, Score};
    use gauntlet_types::NanoUsd;

    fn run() -> EvalRun {
        let metric = MetricSummary { metric: "exact".into(), ..MetricSummary::default() };
        EvalRun { metrics: vec![metric], ..EvalRun::default() }
    }

    fn result(case: &str, value: Option<f64>, cost: i64) -> EvalResult {
        EvalResult {
            case: case.into(),
            cost: NanoUsd(cost),
            scores: vec![Score { metric: "exact".into(), value, ..Score::default() }],
            ..EvalResult::default()
        }
    }

    fn of(from: &[EvalResult], to: &[EvalResult]) -> Vec<Delta> {
        let run = run();
        deltas(Side { run: &run, results: from }, Side { run: &run, results: to })
    }

    #[test]
    fn cases_are_paired_and_their_repeats_averaged() {
        let from = [
            result("a", Some(1.0), 1_000_000),
            result("b", Some(0.0), 1_000_000),
            result("b", Some(1.0), 1_000_000),
            result("c", Some(0.5), 1_000_000),
            result("gone", Some(0.0), 9_000_000),
        ];
        let to = [
            result("a", Some(1.0), 2_000_000),
            result("b", Some(1.0), 2_000_000),
            result("c", Some(1.0), 2_000_000),
            result("new", Some(0.0), 9_000_000),
        ];
        let deltas = of(&from, &to);
        let [exact, cost] = deltas.as_slice() else { panic!("two figures") };
        assert_eq!((exact.cases, exact.to), (3, Some(1.0)));
        // Differences 0, 0.5, 0.5: their mean is 1/3, its standard error 1/6, and t(0.975, 2) is 4.3027.
        assert!((exact.difference.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert!((exact.ci_low.unwrap() - (1.0 / 3.0 - 4.302_652_7 / 6.0)).abs() < 1e-6, "{exact:?}");
        assert_eq!((cost.cases, cost.from, cost.to), (3, Some(0.001), Some(0.002)));
        assert_eq!((cost.ci_low, cost.why.as_deref()), (None, Some("all 3 cases moved alike")));
    }

    #[test]
    fn what_has_no_score_is_no_zero() {
        let deltas = of(&[result("a", None, 0), result("b", Some(1.0), 0)], &[result("a", Some(0.0), 0)]);
        assert_eq!((deltas[0].cases, deltas[0].difference), (0, None));
        assert!(deltas[0].why.is_some());
    }
}

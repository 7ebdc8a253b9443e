//! Two runs side by side, without a verdict: what became better and worse, by how much, and how sure that is.

use std::collections::BTreeSet;

use gauntlet_ports::{Direction, EvalResult, EvalRun, MetricSummary};
use gauntlet_stats::{
    Clustered, NonInferiority, Options, StatsError, cluster_by, mean_difference, non_inferiority, wilcoxon,
};
use gauntlet_types::{Name, NanoUsd};
use serde::{Deserialize, Serialize};

use super::{
    GateError, changed,
    pair::{Answers, Pair, Scale, case_value, mean, pair, score_of},
    report::{CaseChange, Compared, RunFacts},
    whole,
};

/// Two-sided, of the intervals.
pub const CONFIDENCE: f64 = 0.95;

/// Of a dollar.
const NANO: f64 = 1e9;

/// The shape of a comparison.
pub const FORMAT: &str = "gauntlet.compare/1";

/// What an answer cost, in US dollars, beside the metrics of a suite.
pub const ANSWER_COST: &str = "cost_usd";

/// Changes that a comparison lists unless more are asked for.
pub const CHANGES: usize = 100;

/// One figure of both runs, over the cases that have it in both, repeats of a case averaged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MetricChange {
    /// A metric of the suite; [`ANSWER_COST`] for what an answer cost.
    pub metric: Name,
    pub direction: Direction,
    /// The two runs score it by one formula; else the means mean different things.
    pub is_same_formula: bool,
    /// Means, as they are scored.
    pub a: f64,
    pub b: f64,
    /// b − a, as they are scored.
    pub difference: f64,
    /// 95%, two-sided.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Why there is no interval.
    #[serde(default)]
    pub why: Option<String>,
    /// Wilcoxon's signed ranks, two-sided.
    pub p_value: Option<f64>,
    pub n: u32,
    pub better: u32,
    pub worse: u32,
    pub same: u32,
}

/// Two runs of a suite.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// [`FORMAT`].
    pub format: Name,
    pub suite: Name,
    pub a: RunFacts,
    pub b: RunFacts,
    pub compared: Compared,
    pub metrics: Vec<MetricChange>,
    /// Of the cases that both answered, and b's by a's.
    pub cost_a: NanoUsd,
    pub cost_b: NanoUsd,
    pub cost_ratio: Option<f64>,
    /// What one answer cost, in dollars: the mean over these cases.
    #[serde(default)]
    pub answer_cost: Option<MetricChange>,
    /// The median of each case's ratio of b's latency to a's, and its 95% interval.
    pub latency_ratio: Option<f64>,
    pub latency_low: Option<f64>,
    pub latency_high: Option<f64>,
    /// Cases that guards or thresholds of policy metrics stopped in one run and not in the other.
    pub violations_new: Vec<Name>,
    pub violations_gone: Vec<Name>,
    /// Those that became worse first, then those that became better; in a case, each metric that changed.
    pub changes: Vec<CaseChange>,
    pub changes_count: u32,
    pub notes: Vec<String>,
}

/// Compares run b with run a, case by case. Errors: runs of different suites, or without a common case.
pub fn compare(
    a: (&EvalRun, &[EvalResult]),
    b: (&EvalRun, &[EvalResult]),
    changes_max: usize,
) -> Result<Comparison, GateError> {
    let ((run_a, results_a), (run_b, results_b)) = (a, b);
    if run_a.suite != run_b.suite {
        let (run, found) = (run_b.id.clone(), run_b.suite.clone());
        return Err(GateError::OtherSuite { run, found, wanted: run_a.suite.clone() });
    }
    for (run, results) in [a, b] {
        if results.is_empty() {
            return Err(GateError::NoResults(run.id.clone()));
        }
    }
    let (pairs, compared) = pair(results_b, results_a, run_a.dataset_hash == run_b.dataset_hash);
    if pairs.is_empty() {
        return Err(GateError::NothingInCommon {
            run: run_b.id.clone(),
            baseline: run_a.id.clone(),
            changed: compared.changed.count,
        });
    }
    let metrics: Vec<(Name, Scale)> = names(results_a, results_b)
        .into_iter()
        .map(|metric| {
            let scale =
                Scale::of(&metric, direction(&metric, run_a, run_b), results_a.iter().chain(results_b));
            (metric, scale)
        })
        .collect();
    let (_, now, before) = whole::costs(&pairs);
    let mut ratios = whole::latency_ratios(&pairs);
    let (latency, latency_low, latency_high) = whole::median_bounds(&mut ratios, (1.0 - CONFIDENCE) / 2.0);
    let (changes, changes_count) = changes(&metrics, &pairs, changes_max);
    let swapped: Vec<Pair> = pairs
        .iter()
        .map(|pair| Pair { candidate: pair.baseline.clone(), baseline: pair.candidate.clone(), ..*pair })
        .collect();
    let own = |names: Vec<&Name>| names.into_iter().cloned().collect();
    Ok(Comparison {
        format: FORMAT.into(),
        suite: run_a.suite.clone(),
        a: run_a.into(),
        b: run_b.into(),
        metrics: metrics
            .iter()
            .filter_map(|(metric, scale)| {
                change(metric, scale, &pairs, |answers| case_value(answers, metric, None))
            })
            .collect(),
        cost_a: NanoUsd(before.round() as i64),
        cost_b: NanoUsd(now.round() as i64),
        cost_ratio: (before > 0.0).then(|| now / before),
        answer_cost: answer_cost(&pairs),
        latency_ratio: (!ratios.is_empty()).then_some(latency),
        latency_low,
        latency_high,
        violations_new: own(whole::new_violations(&pairs, &[])),
        violations_gone: own(whole::new_violations(&swapped, &[])),
        changes,
        changes_count,
        notes: notes(run_a, run_b, &compared, &metrics),
        compared,
    })
}

fn names(a: &[EvalResult], b: &[EvalResult]) -> Vec<Name> {
    let of = |results: &[EvalResult]| -> BTreeSet<Name> {
        results.iter().flat_map(|result| &result.scores).map(|score| score.metric.clone()).collect()
    };
    of(a).intersection(&of(b)).cloned().collect()
}

fn direction(metric: &str, a: &EvalRun, b: &EvalRun) -> Direction {
    let of = |run: &EvalRun| -> Option<Direction> {
        let is_it = |summary: &&MetricSummary| summary.metric.as_str() == metric;
        run.metrics.iter().find(is_it).map(|summary| summary.direction)
    };
    of(b).or_else(|| of(a)).unwrap_or_default()
}

fn answer_cost(pairs: &[Pair<'_>]) -> Option<MetricChange> {
    let scale =
        Scale { direction: Direction::LowerIsBetter, implementations: BTreeSet::new(), is_share: false };
    change(&ANSWER_COST.into(), &scale, pairs, |answers| Some(whole::case_cost(answers)? / NANO))
}

fn change(
    metric: &Name,
    scale: &Scale,
    pairs: &[Pair<'_>],
    value: impl Fn(&Answers<'_>) -> Option<f64>,
) -> Option<MetricChange> {
    let both: Vec<(&Pair, f64, f64)> = pairs
        .iter()
        .filter_map(|pair| Some((pair, value(&pair.baseline)?, value(&pair.candidate)?)))
        .collect();
    if both.is_empty() {
        return None;
    }
    let (a, b): (Vec<f64>, Vec<f64>) = both.iter().map(|(_, a, b)| (*a, *b)).unzip();
    let changes = cluster_by(both.iter().map(|(pair, a, b)| (pair.cluster().clone(), b - a)));
    let count =
        |of: fn(f64) -> bool| changes.iter().filter(|change| of(scale.turned(change.value))).count() as u32;
    let (bounds, why) = match interval(&changes, scale) {
        Ok(bounds) => (Some(bounds), None),
        Err(StatsError::Constant { .. }) => (None, Some(format!("all {} cases moved alike", both.len()))),
        Err(error) => (None, Some(error.to_string())),
    };
    Some(MetricChange {
        metric: metric.clone(),
        direction: scale.direction,
        is_same_formula: scale.implementations.len() <= 1,
        a: mean(&a),
        b: mean(&b),
        difference: mean(&b) - mean(&a),
        low: bounds.map(|(low, _)| low),
        high: bounds.map(|(_, high)| high),
        why,
        p_value: wilcoxon(&a, &b, Options::default()).ok().map(|found| found.p_value),
        n: both.len() as u32,
        better: count(|change| change > 0.0),
        worse: count(|change| change < 0.0),
        same: count(|change| change == 0.0),
    })
}

/// Of scores from 0 to 1 the interval that holds for any distribution, as the gate's; else Student's.
fn interval(changes: &[Clustered], scale: &Scale) -> Result<(f64, f64), StatsError> {
    if scale.is_share {
        // Any margin does: only the bounds are taken.
        let question = NonInferiority { alpha: (1.0 - CONFIDENCE) / 2.0, ..NonInferiority::with_margin(0.5) };
        return non_inferiority(changes, &question).map(|found| (found.lower, found.upper));
    }
    mean_difference(changes, CONFIDENCE).map(|found| (found.interval.low, found.interval.high))
}

fn changes(metrics: &[(Name, Scale)], pairs: &[Pair<'_>], limit: usize) -> (Vec<CaseChange>, u32) {
    let mut found = Vec::new();
    for (metric, scale) in metrics {
        for pair in pairs {
            let before = case_value(&pair.baseline, metric, None);
            let now = case_value(&pair.candidate, metric, scale.worst());
            if let Some((before, now)) = before.zip(now).filter(|(before, now)| before != now) {
                found.push((scale.turned(now - before), metric, scale.direction, pair, before, now));
            }
        }
    }
    // The worst first, and at the end what gained least: a reader wants both ends of it from the outside in.
    found.sort_by(|one, other| match (one.0 < 0.0, other.0 < 0.0) {
        (true, true) => one.0.total_cmp(&other.0),
        (false, false) => other.0.total_cmp(&one.0),
        (one, other) => other.cmp(&one),
    });
    let count = found.len() as u32;
    found.truncate(limit);
    let told = found
        .into_iter()
        .map(|(_, metric, direction, pair, before, now)| changed(metric, direction, pair, before, now));
    (told.collect(), count)
}

fn notes(a: &EvalRun, b: &EvalRun, compared: &Compared, metrics: &[(Name, Scale)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (metric, _) in metrics.iter().filter(|(_, scale)| scale.implementations.len() > 1) {
        notes
            .push(format!("`{metric}` is scored by different formulas: its means are not of the same thing"));
    }
    if a.suite_hash != b.suite_hash {
        notes.push(
            "the suite was changed between the two runs; a metric's options may be others than before".into(),
        );
    }
    if a.dataset_hash != b.dataset_hash {
        let changed = compared.changed.count;
        notes.push(format!(
            "the runs asked different cases: {} that both asked are compared, {changed} have the same id and ask or expect something else",
            compared.both
        ));
    }
    for run in [a, b] {
        if run.state != gauntlet_ports::RunState::Done {
            notes.push(format!("run `{}` is not finished", run.id));
        }
    }
    notes
}

/// The answers of one case, side by side: what `--case` shows.
pub fn answers_of<'a>(
    case: &str,
    a: &'a [EvalResult],
    b: &'a [EvalResult],
) -> (Vec<&'a EvalResult>, Vec<&'a EvalResult>) {
    let of = |results: &'a [EvalResult]| results.iter().filter(|result| &*result.case == case).collect();
    (of(a), of(b))
}

/// A metric's score of an answer, as text.
pub fn value_of(result: &EvalResult, metric: &str) -> Option<f64> {
    score_of(result, metric).and_then(|score| score.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::made;

    #[test]
    fn what_became_worse_stands_first_and_worst() {
        let (before, now) = ([0.9, 0.9, 0.5, 0.5, 0.7], [0.5, 0.1, 0.9, 0.6, 0.7]);
        let (a, b) = (made::results("exact", &before), made::results("exact", &now));
        let (run_a, run_b) = (made::run("a", &a), made::run("b", &b));
        let found = compare((&run_a, &a), (&run_b, &b), CHANGES).unwrap();
        let order: Vec<&str> = found.changes.iter().map(|change| change.case.as_str()).collect();
        assert_eq!(order, ["c0001", "c0000", "c0002", "c0003"]);
        let metric = &found.metrics[0];
        assert_eq!((metric.better, metric.worse, metric.same), (2, 2, 1));
        assert!((metric.difference + 0.14).abs() < 1e-12);
        assert!(metric.low.unwrap() < metric.difference && metric.difference < metric.high.unwrap());
        assert_eq!(found.cost_ratio, Some(1.0));
    }

    #[test]
    fn cases_are_paired_their_repeats_averaged_and_others_left_out() {
        // Beyond shares, so that the interval is Student's.
        let a = [
            made::scored("a", "length", 10.0),
            made::repeat("b", 0, "length", 0.0),
            made::repeat("b", 1, "length", 10.0),
            made::scored("c", "length", 5.0),
            made::scored("gone", "length", 0.0),
            made::scored("reworded", "length", 0.0),
            made::unanswered("silent"),
        ];
        let twice = |result: EvalResult| EvalResult { cost: NanoUsd(2_000), ..result };
        let mut b = ["a", "b", "c", "new", "reworded", "silent"]
            .map(|case| twice(made::scored(case, "length", 10.0)));
        b[4].input = Some("another question".into());
        let (run_a, mut run_b) = (made::run("a", &a), made::run("b", &b));
        run_b.dataset_hash = "d2".into();
        let found = compare((&run_a, &a), (&run_b, &b), CHANGES).unwrap();
        // Differences 0, 5, 5: their mean is 10/3, its standard error 10/6, and t(0.975, 2) is 4.3027.
        let length = &found.metrics[0];
        assert_eq!((length.n, length.b), (3, 10.0));
        assert!((length.difference - 10.0 / 3.0).abs() < 1e-12);
        assert!((length.low.unwrap() - (10.0 / 3.0 - 4.302_652_7 * 10.0 / 6.0)).abs() < 1e-6, "{length:?}");
        // What failed cost next to nothing, and would make a broken version look cheap.
        let cost = found.answer_cost.unwrap();
        assert_eq!((cost.n, cost.a, cost.b), (3, 0.000_001, 0.000_002));
        assert_eq!((cost.low, cost.why.as_deref()), (None, Some("all 3 cases moved alike")));
        assert!(found.notes.iter().any(|note| note.contains("1 have the same id")), "{:?}", found.notes);
    }

    #[test]
    fn runs_without_a_common_case_are_refused() {
        let (a, b) = ([made::scored("a", "exact", 1.0)], [made::scored("b", "exact", 1.0)]);
        let (run_a, run_b) = (made::run("a", &a), made::run("b", &b));
        let error = compare((&run_a, &a), (&run_b, &b), CHANGES).unwrap_err().to_string();
        assert!(error.contains("no case in common"), "{error}");
    }

    #[test]
    fn runs_of_two_suites_are_refused() {
        let a = [made::scored("a", "exact", 1.0)];
        let run_a = made::run("a", &a);
        let run_b = EvalRun { suite: "other".into(), ..run_a.clone() };
        let error = compare((&run_a, &a), (&run_b, &a), CHANGES).unwrap_err().to_string();
        assert!(error.contains("is of suite `other`, not of `support`"), "{error}");
    }
}

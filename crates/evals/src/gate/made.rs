//! Runs and results for tests.

use gauntlet_ports::{Candidate, Direction, EvalResult, EvalRun, MetricSummary, RunState, Score};
use gauntlet_types::{Name, NanoUsd, PromptRef, Timestamp};

use crate::{GateSpec, MetricSpec, Suite};

pub const DAY_US: i64 = 86_400_000_000;

pub fn score(metric: &str, value: Option<f64>) -> Score {
    Score {
        metric: metric.into(),
        implementation: format!("gauntlet/1:{metric}").as_str().into(),
        value,
        ..Score::default()
    }
}

pub fn repeat(case: &str, repeat: u32, metric: &str, value: f64) -> EvalResult {
    EvalResult {
        case: case.into(),
        repeat,
        input: Some(format!("question {case}")),
        output: Some(format!("answer {case}")),
        decision: Some("allow".into()),
        cost: NanoUsd(1_000),
        latency_us: 100_000,
        scores: vec![score(metric, Some(value))],
        ..EvalResult::default()
    }
}

pub fn scored(case: &str, metric: &str, value: f64) -> EvalResult {
    repeat(case, 0, metric, value)
}

pub fn unanswered(case: &str) -> EvalResult {
    EvalResult {
        output: None,
        error: Some("upstream_failed: the provider hung up".into()),
        cost: NanoUsd::ZERO,
        scores: Vec::new(),
        ..scored(case, "exact", 0.0)
    }
}

/// One answer a case, `values` in their order.
pub fn results(metric: &str, values: &[f64]) -> Vec<EvalResult> {
    values.iter().enumerate().map(|(at, value)| scored(&format!("c{at:04}"), metric, *value)).collect()
}

pub fn run(id: &str, results: &[EvalResult]) -> EvalRun {
    let cases = super::pair::by_case(results).len() as u32;
    EvalRun {
        id: id.into(),
        suite: "support".into(),
        suite_hash: "s1".into(),
        dataset_hash: "d1".into(),
        app_sha: Some("abc123".into()),
        candidate: Candidate {
            name: "support-agent@1.3.0".into(),
            model: None,
            prompt: Some(PromptRef {
                name: "support-agent".into(),
                version: "1.3.0".into(),
                label: None,
                hash: "h13".into(),
            }),
        },
        cases,
        repeats: 1,
        state: RunState::Done,
        started: Timestamp(20_000 * DAY_US),
        ended: Some(Timestamp(20_000 * DAY_US + 60_000_000)),
        cost: results.iter().map(|result| result.cost).sum(),
        ..EvalRun::default()
    }
}

pub fn summary(metric: &str, mean: f64, half: f64, scored: u32) -> MetricSummary {
    MetricSummary {
        metric: metric.into(),
        implementation: format!("gauntlet/1:{metric}").as_str().into(),
        direction: Direction::HigherIsBetter,
        mean: Some(mean),
        ci_low: Some(mean - half),
        ci_high: Some(mean + half),
        scored,
        unscored: 0,
    }
}

pub fn metric(name: &str, floor: Option<f64>) -> MetricSpec {
    MetricSpec { name: name.into(), kind: name.into(), floor, gates: true, ..MetricSpec::default() }
}

pub fn suite(metrics: Vec<MetricSpec>) -> Suite {
    let gate = GateSpec { trend: None, ..GateSpec::default() };
    Suite { name: Name::from("support"), hash: "s1".into(), metrics, gate, repeats: 1, ..Suite::default() }
}

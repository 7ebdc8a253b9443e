//! What a run's results come to. Scores and states are kept, texts are not: ten thousand cases with their answers would not fit
//! where ten thousand numbers do.

use std::collections::HashMap;

use gauntlet_ports::{Direction, EvalResult, EvalRun, MetricSummary};
use gauntlet_stats::{cluster_by, mean_difference, wilson};
use gauntlet_types::{Name, NanoUsd};

use super::estimate::Estimate;
use crate::{Case, Scorer, suite::MetricSpec};

const CONFIDENCE: f64 = 0.95;

/// How a run stands, for whoever looks on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Standing {
    /// Answers, and how many there shall be: cases times repeats.
    pub done: usize,
    pub total: usize,
    /// Of the answers so far.
    pub passed: usize,
    pub failed: usize,
    pub errors: usize,
    pub cost: NanoUsd,
    pub judge_cost: NanoUsd,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
    /// Whether the metric is asked of the case at all.
    applies: bool,
}

/// What became of one case, over its repeats.
#[derive(Clone, Default)]
struct Row {
    cluster: Option<Name>,
    /// By metric.
    scores: Vec<Mean>,
    answers: u32,
    passed: u32,
    failed: u32,
    errors: u32,
}

/// What a case came to so far: it passes when all its answers do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Open,
    Passed,
    Failed,
    Error,
}

impl Row {
    fn outcome(&self) -> Outcome {
        match self {
            Row { failed: 1.., .. } => Outcome::Failed,
            Row { errors: 1.., .. } => Outcome::Error,
            Row { passed: 1.., .. } if self.passed == self.answers => Outcome::Passed,
            _ => Outcome::Open,
        }
    }
}

struct Metric {
    name: Name,
    implementation: Name,
    direction: Direction,
}

pub(super) struct Tally {
    metrics: Vec<Metric>,
    rows: Vec<Row>,
    by_case: HashMap<Name, usize>,
    total: usize,
    standing: Standing,
    /// Cases by their outcome, kept up to date: the row is written every fifty answers, and looking through a hundred thousand
    /// cases each time would be most of a run's own work.
    outcomes: [u32; 4],
    judge_calls: u32,
    judge_cached: u32,
    tokens: (u64, u64),
    /// Of each answer with its judges, for the estimate: the sum, the lowest and the highest.
    costs: (NanoUsd, NanoUsd, NanoUsd),
}

impl Tally {
    pub(super) fn new(
        specs: &[MetricSpec],
        scorers: &[Box<dyn Scorer>],
        cases: &[&Case],
        repeats: u32,
    ) -> Tally {
        debug_assert!(
            specs.len() >= scorers.len() || specs.is_empty(),
            "each scorer is a metric of the suite"
        );
        let metric = |scorer: &dyn Scorer| Metric {
            name: scorer.metric().clone(),
            implementation: scorer.implementation().into(),
            direction: scorer.direction(),
        };
        let row = |case: &&Case| Row {
            cluster: case.cluster.clone(),
            scores: scorers
                .iter()
                .map(|scorer| Mean { applies: scorer.applies(case), ..Mean::default() })
                .collect(),
            ..Row::default()
        };
        Tally {
            metrics: scorers.iter().map(|scorer| metric(&**scorer)).collect(),
            rows: cases.iter().map(row).collect(),
            by_case: cases.iter().enumerate().map(|(index, case)| (case.id.clone(), index)).collect(),
            total: cases.len() * repeats.max(1) as usize,
            standing: Standing::default(),
            outcomes: [0; 4],
            judge_calls: 0,
            judge_cached: 0,
            tokens: (0, 0),
            costs: (NanoUsd::ZERO, NanoUsd(i64::MAX), NanoUsd::ZERO),
        }
    }

    pub(super) fn add(&mut self, result: &EvalResult) {
        let Some(row) = self.by_case.get(&result.case).map(|index| &mut self.rows[*index]) else { return };
        let before = (row.answers > 0).then(|| row.outcome());
        row.answers += 1;
        for (metric, mean) in self.metrics.iter().zip(&mut row.scores) {
            let value =
                result.scores.iter().find(|score| score.metric == metric.name).and_then(|score| score.value);
            if let Some(value) = value {
                mean.sum += value;
                mean.count += 1;
            }
        }
        let standing = &mut self.standing;
        standing.done += 1;
        standing.cost = standing.cost.plus(result.cost);
        standing.judge_cost = standing.judge_cost.plus(result.judge_cost);
        self.tokens.0 += result.tokens_in;
        self.tokens.1 += result.tokens_out;
        let is_unscored = row.scores.iter().any(|mean| mean.applies)
            && result.scores.iter().all(|score| score.value.is_none());
        if result.error.is_some() || is_unscored {
            (row.errors, standing.errors) = (row.errors + 1, standing.errors + 1);
        } else if result.passed == Some(true) {
            (row.passed, standing.passed) = (row.passed + 1, standing.passed + 1);
        } else if result.passed == Some(false) {
            (row.failed, standing.failed) = (row.failed + 1, standing.failed + 1);
        }
        if let Some(before) = before {
            self.outcomes[before as usize] -= 1;
        }
        self.outcomes[row.outcome() as usize] += 1;
        let cost = result.cost.plus(result.judge_cost);
        let (sum, low, high) = self.costs;
        self.costs = (sum.plus(cost), low.min(cost), high.max(cost));
    }

    pub(super) fn judged(&mut self, calls: u32, cached: u32) {
        self.judge_calls = self.judge_calls.saturating_add(calls);
        self.judge_cached = self.judge_cached.saturating_add(cached);
    }

    pub(super) fn standing(&self) -> Standing {
        Standing { total: self.total, ..self.standing }
    }

    /// What an answer has cost on average, judges included.
    pub(super) fn case_cost(&self) -> NanoUsd {
        NanoUsd(self.costs.0.0 / self.standing.done.max(1) as i64)
    }

    pub(super) fn estimate(&self, left: usize, budget: Option<NanoUsd>) -> Estimate {
        let done = self.standing.done;
        let times = |amount: NanoUsd| NanoUsd(amount.0.saturating_mul(left as i64));
        let (sum, low, high) = self.costs;
        let scale = |count: u64| count.saturating_mul(left as u64) / done.max(1) as u64;
        Estimate {
            asked: done,
            left,
            cost: times(self.case_cost()),
            cost_low: times(if done == 0 { NanoUsd::ZERO } else { low }),
            cost_high: times(high),
            spent: sum,
            judge_calls: scale(u64::from(self.judge_calls)),
            tokens_in: scale(self.tokens.0),
            tokens_out: scale(self.tokens.1),
            budget,
        }
    }

    /// Counts and sums.
    pub(super) fn fill(&self, row: &mut EvalRun) {
        row.cost = self.standing.cost;
        row.judge_cost = self.standing.judge_cost;
        row.judge_calls = self.judge_calls;
        row.judge_cached = self.judge_cached;
        row.failed = self.outcomes[Outcome::Failed as usize];
        row.errors = self.outcomes[Outcome::Error as usize];
        row.passed = self.outcomes[Outcome::Passed as usize];
    }

    pub(super) fn metrics(&self, row: &mut EvalRun) {
        row.metrics = (0..self.metrics.len()).map(|index| self.summary(index)).collect();
    }

    fn summary(&self, index: usize) -> MetricSummary {
        let metric = &self.metrics[index];
        let answered = self.rows.iter().filter(|row| row.answers > 0 && row.scores[index].applies);
        let means: Vec<(&Row, f64)> = answered
            .clone()
            .filter(|row| row.scores[index].count > 0)
            .map(|row| (row, row.scores[index].sum / f64::from(row.scores[index].count)))
            .collect();
        let scored = means.len() as u32;
        let mean = (scored > 0).then(|| means.iter().map(|(_, mean)| mean).sum::<f64>() / f64::from(scored));
        let interval = interval(&means);
        MetricSummary {
            metric: metric.name.clone(),
            implementation: metric.implementation.clone(),
            direction: metric.direction,
            mean,
            ci_low: interval.map(|(low, _)| low),
            ci_high: interval.map(|(_, high)| high),
            scored,
            unscored: answered.count() as u32 - scored,
        }
    }
}

/// Of the mean, two-sided at 95%: Wilson's where every case is right or wrong and stands for itself, else Student's over clusters.
/// None of fewer than two cases, or of scores that are all the same and no shares: nothing says how sure that is.
fn interval(means: &[(&Row, f64)]) -> Option<(f64, f64)> {
    let is_binary = means.iter().all(|(row, mean)| row.cluster.is_none() && (*mean == 0.0 || *mean == 1.0));
    if is_binary && !means.is_empty() {
        let right = means.iter().filter(|(_, mean)| *mean == 1.0).count() as u64;
        let interval = wilson(right, means.len() as u64, CONFIDENCE).ok()?;
        return Some((interval.low, interval.high));
    }
    // Asked of the scores themselves: their spread as it is reckoned is not quite 0.
    if means.windows(2).all(|pair| pair[0].1 == pair[1].1) {
        return None;
    }
    // A case without a cluster is one of its own; the number keeps it apart from clusters by that name.
    let keyed = means.iter().enumerate().map(|(index, (row, mean))| {
        let key = row.cluster.as_ref().map_or((index + 1, ""), |cluster| (0, &**cluster));
        (key, *mean)
    });
    let interval = mean_difference(&cluster_by(keyed), CONFIDENCE).ok()?.interval;
    let are_shares = means.iter().all(|(_, mean)| (0.0..=1.0).contains(mean));
    // Student's interval knows no ends of the scale.
    if are_shares {
        Some((interval.low.max(0.0), interval.high.min(1.0)))
    } else {
        Some((interval.low, interval.high))
    }
}

//! Deciding before all cases are there, with the error rates kept.
//!
//! Looks are at fixed numbers of cases, in the order in which they were answered, so that whoever has the results can look again
//! and finds the same: the runner while they come in, and the gate afterwards. The order must have nothing to do with how hard
//! cases are: a runner that stops early shuffles them first.

use std::collections::BTreeMap;

use gauntlet_ports::{RunState, Verdict};
use gauntlet_stats::{Clustered, NonInferiority, Outcome, Sequential};
use gauntlet_types::{Name, Timestamp};

use super::{
    GateInput,
    metric::Metric,
    pair::{Answers, Pair, cluster_of},
    report::{Check, CheckKind},
    whole,
};

/// Looks at a run. More gain little: ten stop at most a tenth of the cases too late.
pub(crate) const LOOKS: usize = 10;

/// The cases of a run in the order of their ends, cluster by cluster.
pub(crate) struct Early<'a> {
    clusters: Vec<Vec<Pair<'a>>>,
    /// Clusters that there will be.
    planned: usize,
}

impl<'a> Early<'a> {
    /// None where the suite does not ask for it, and where it is not known how many cases there will be.
    pub fn of(input: &GateInput<'a>, pairs: &[Pair<'a>]) -> Option<Early<'a>> {
        let (baseline, before) = input.baseline?;
        let is_fit = input.suite.gate.sequential
            && &*input.suite.gate.rule == super::RULE_NON_INFERIORITY
            && baseline.dataset_hash == input.run.dataset_hash;
        if !is_fit {
            return None;
        }
        let mut sizes: BTreeMap<&Name, usize> = BTreeMap::new();
        for answers in super::pair::by_case(before).values() {
            *sizes.entry(cluster_of(answers)).or_default() += 1;
        }
        let mut found: BTreeMap<&Name, Vec<Pair<'a>>> = BTreeMap::new();
        let repeats = input.run.repeats.max(1) as usize;
        for pair in pairs.iter().filter(|pair| pair.candidate.len() >= repeats) {
            found.entry(pair.cluster()).or_default().push(pair.clone());
        }
        let mut whole: Vec<(Timestamp, &Name, Vec<Pair>)> = found
            .into_iter()
            .filter(|(name, pairs)| sizes.get(name).is_some_and(|size| pairs.len() >= *size))
            .map(|(name, pairs)| (ended(&pairs), name, pairs))
            .collect();
        whole.sort_by_key(|(at, name, _)| (*at, *name));
        let clusters = whole.into_iter().map(|(_, _, pairs)| pairs).collect();
        Some(Early { clusters, planned: sizes.len() })
    }

    /// Clusters at each look.
    fn looks(&self) -> impl Iterator<Item = usize> {
        let planned = self.planned;
        (1..=LOOKS).map(move |look| (planned * look).div_ceil(LOOKS)).filter(|at| *at >= 2)
    }

    /// How many looks there can have been: the runner asks again only when there is one more.
    pub fn looks_reached(&self) -> usize {
        self.looks().filter(|at| *at <= self.clusters.len()).count()
    }

    /// Looks as often as there is something new. `fail` asks with its share of the error rate: each metric is one more chance
    /// for a false alarm, while to pass all must.
    fn replay(
        &self,
        question: &NonInferiority,
        family: usize,
        values: &dyn Fn(&[Vec<Pair<'a>>]) -> Vec<Clustered>,
    ) -> Option<gauntlet_stats::Verdict> {
        let stricter = NonInferiority { alpha: question.alpha / family.max(1) as f64, ..*question };
        let mut pass = Sequential::new(*question, self.planned).ok()?;
        let mut fail = Sequential::new(stricter, self.planned).ok()?;
        let mut last = None;
        for at in self.looks().take_while(|at| *at <= self.clusters.len()) {
            let values = values(&self.clusters[..at]);
            let mut outcome = Outcome::Inconclusive;
            // A look is refused where nothing new was scored, and after this one has decided the other way.
            if let Ok(look) = pass.look(&values) {
                last = Some(look.verdict);
                if look.verdict.outcome == Outcome::Pass {
                    outcome = Outcome::Pass;
                }
            }
            if let Ok(look) = fail.look(&values) {
                last = last.or(Some(look.verdict));
                if outcome != Outcome::Pass && look.verdict.outcome == Outcome::Fail {
                    outcome = Outcome::Fail;
                }
            }
            if let Some(found) = &mut last {
                found.outcome = outcome;
            }
            if outcome != Outcome::Inconclusive {
                break;
            }
        }
        last
    }

    pub fn regression(
        &self,
        metric: &Metric<'_>,
        alpha: f64,
        family: usize,
    ) -> Option<gauntlet_stats::Verdict> {
        let question = metric.question(alpha)?;
        self.replay(&question, family, &|clusters| metric.differences(clusters.iter().flatten()))
    }

    /// Before all cases are there, a floor holds or is missed only where that is sure of all of them.
    pub fn floor(
        &self,
        metric: &Metric<'_>,
        floor: f64,
        cases: &[Answers<'_>],
        alpha: f64,
        family: usize,
    ) -> Check {
        let check = metric.floor(floor, cases, alpha);
        let risen = metric.risen_floor(floor);
        let found = (metric.scale.is_share && risen > 0.0 && risen < 1.0)
            .then(|| NonInferiority {
                alpha,
                support: (-risen, 1.0 - risen),
                ..NonInferiority::with_margin(f64::MIN_POSITIVE)
            })
            .and_then(|question| {
                self.replay(&question, family, &|clusters| {
                    let answers: Vec<Answers> =
                        clusters.iter().flatten().map(|pair| pair.candidate.clone()).collect();
                    let above = |value: Clustered| Clustered { value: value.value - risen, ..value };
                    metric.risen(&answers).into_iter().map(above).collect()
                })
            });
        let verdict = match (found.map(|found| found.outcome), check.verdict) {
            (Some(Outcome::Pass), Verdict::Pass) => Verdict::Pass,
            (Some(Outcome::Fail), Verdict::Fail) => Verdict::Fail,
            _ => Verdict::Inconclusive,
        };
        Check { verdict, more_cases: None, ..check }
    }
}

fn ended(pairs: &[Pair<'_>]) -> Timestamp {
    let times = pairs.iter().flat_map(|pair| &pair.candidate).map(|result| result.at);
    times.max().unwrap_or_default()
}

/// What holds of the cases so far holds of all only where the rest cannot change it; for the others the verdict is open.
///
/// A run that was cut short is complete where every metric was decided by its looks.
pub(crate) fn settle(checks: &mut [Check], pairs: &[Pair<'_>], input: &GateInput<'_>) {
    let planned = f64::from(input.run.cases.max(1));
    let (_, now, _) = whole::costs(pairs);
    let before: f64 = input.baseline.map_or(0.0, |(_, results)| {
        results.iter().map(|result| result.cost.0 as f64).sum::<f64>() / f64::from(input.run.repeats.max(1))
    });
    for check in checks.iter_mut().filter(|check| check.verdict == Verdict::Fail) {
        let is_certain = match check.kind {
            CheckKind::Violations | CheckKind::Regression | CheckKind::Floor => true,
            CheckKind::Errors => {
                check.value.unwrap_or(0.0) * f64::from(check.n) / planned > check.limit.unwrap_or(1.0)
            }
            CheckKind::Cost => now > before * check.limit.unwrap_or(f64::INFINITY),
            CheckKind::Complete | CheckKind::Unscored | CheckKind::Trend | CheckKind::Latency => false,
        };
        if !is_certain {
            check.verdict = Verdict::Inconclusive;
        }
    }
    let is_by_looks = |check: &&Check| matches!(check.kind, CheckKind::Regression | CheckKind::Floor);
    let looked: Vec<Verdict> = checks.iter().filter(is_by_looks).map(|check| check.verdict).collect();
    let is_decided = !looked.is_empty() && looked.iter().all(|verdict| *verdict == Verdict::Pass);
    if let Some(complete) = checks.iter_mut().find(|check| check.kind == CheckKind::Complete)
        && is_decided
        && input.run.state == RunState::Stopped
    {
        complete.verdict = Verdict::Pass;
        complete.reason = "stopped early: every metric was decided, and the rest would not change it".into();
    }
}

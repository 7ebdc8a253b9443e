//! Checks of one metric: its floor, the baseline, the days before, and what could not be scored.

use gauntlet_ports::{Direction, EvalRun, MetricSummary, Verdict};
use gauntlet_stats::{
    Bound, Clustered, NonInferiority, Outcome, cluster_by, floor as bounds_of_floor,
    minimum_detectable_effect, non_inferiority, paired_sd, seed_rule,
};
use gauntlet_types::Name;

use super::{
    GateInput, RULE_P_VALUE,
    pair::{Answers, Pair, Scale, case_value, cluster_of, is_unanswered, mean, score_of},
    report::{
        Check, CheckKind, PValueOf,
        text::{p_relation, signed},
    },
    whole::{cut, is_of_violations},
};
use crate::MetricSpec;

/// Cases below which a mean above its floor is no evidence: the founding document's smallest set of cases.
pub const FLOOR_CASES_MIN: usize = 10;

/// Answers of a metric that may stay unscored. Beyond it, what was scored is a choice that the judge made by failing.
pub const UNSCORED_SHARE_MAX: f64 = 0.10;

/// Means of cases are sums of doubles: equal to a floor but for the last digits is equal.
const SLACK: f64 = 1e-9;

/// The chance of a decision that further cases and repeats are reckoned for.
const POWER: f64 = 0.8;
/// Answers to one case: beyond it more cases are the better advice.
const REPEATS_MAX: f64 = 50.0;

/// One metric of the gate with everything that is known of it.
pub(crate) struct Metric<'a> {
    pub spec: &'a MetricSpec,
    pub scale: Scale,
    pub margin: Option<f64>,
}

impl<'a> Metric<'a> {
    pub fn of(spec: &'a MetricSpec, input: &GateInput<'a>) -> Metric<'a> {
        let summary = summary_of(input.run, &spec.name);
        let direction = summary.map_or(Direction::HigherIsBetter, |summary| summary.direction);
        let before = input.baseline.map_or(&[][..], |(_, results)| results);
        let scale = Scale::of(&spec.name, direction, input.results.iter().chain(before));
        // The gate's own margin is in points of 0..=1; what it would be in seconds or words, nobody said.
        let margin = spec.margin.or(scale.is_share.then_some(input.suite.gate.margin));
        Metric { spec, scale, margin }
    }

    pub(super) fn check(&self, kind: CheckKind, verdict: Verdict, reason: String) -> Check {
        Check { direction: self.scale.direction, ..Check::new(kind, Some(&self.spec.name), verdict, reason) }
    }

    /// What the candidate's cases are worth; a case without an answer is worth the least there is.
    pub fn now(&self, answers: &Answers<'_>) -> Option<f64> {
        case_value(answers, &self.spec.name, self.scale.worst())
    }

    pub fn before(&self, answers: &Answers<'_>) -> Option<f64> {
        case_value(answers, &self.spec.name, None)
    }

    /// Differences of cases that both runs scored, turned so that more is better.
    pub fn differences<'p>(&self, pairs: impl IntoIterator<Item = &'p Pair<'p>>) -> Vec<Clustered> {
        cluster_by(pairs.into_iter().filter_map(|pair| {
            let change = self.now(&pair.candidate)? - self.before(&pair.baseline)?;
            Some((pair.cluster().clone(), self.scale.turned(change)))
        }))
    }

    /// Scores of cases by cluster, turned so that the floor is a least value of scores from 0 to 1.
    pub fn risen<'p>(&self, cases: impl IntoIterator<Item = &'p Answers<'p>>) -> Vec<Clustered> {
        cluster_by(cases.into_iter().filter_map(|answers| {
            let value = self.now(answers)?;
            let value = match self.scale.direction {
                Direction::HigherIsBetter => value,
                Direction::LowerIsBetter => 1.0 - value,
            };
            Some((cluster_of(answers).clone(), value))
        }))
    }

    pub fn question(&self, alpha: f64) -> Option<NonInferiority> {
        let margin = self.margin?;
        let question = NonInferiority { alpha, ..NonInferiority::with_margin(margin) };
        match self.scale.is_share {
            true => Some(question),
            false => Some(NonInferiority {
                bound: Bound::Student,
                support: (-f64::MAX / 2.0, f64::MAX / 2.0),
                ..question
            }),
        }
    }

    /// It counts findings, and nobody said how many more are still as good: that there are no new ones is a check of its own.
    pub fn is_left_to_violations(&self, input: &GateInput<'_>) -> bool {
        let gate = &input.suite.gate;
        let is_counted = is_of_violations(self.spec) && self.margin.is_none();
        is_counted && gate.violations && &*gate.rule != RULE_P_VALUE
    }

    /// Like the floor of scores from 0 to 1 where more is better.
    pub fn risen_floor(&self, floor: f64) -> f64 {
        match self.scale.direction {
            Direction::HigherIsBetter => floor,
            Direction::LowerIsBetter => 1.0 - floor,
        }
    }

    /// Answers that a scorer gave up on. A case that the metric says nothing of (it has no score at all) does not count.
    pub fn unscored(&self, cases: &[Answers<'_>]) -> Option<Check> {
        let (mut asked, mut unscored, mut why) = (0u32, 0u32, None);
        for result in cases.iter().flatten().filter(|result| !is_unanswered(result)) {
            let Some(score) = score_of(result, &self.spec.name) else { continue };
            asked += 1;
            if score.value.is_none() {
                unscored += 1;
                why = why.or_else(|| score.reason.clone());
            }
        }
        if unscored == 0 {
            return None;
        }
        let share = f64::from(unscored) / f64::from(asked);
        let why = why.map(|why| format!(" ({})", cut(&why, 200))).unwrap_or_default();
        let told = format!("{unscored} of {asked} answers are not scored{why}");
        let check = match share <= UNSCORED_SHARE_MAX {
            true => self.check(CheckKind::Unscored, Verdict::Pass, told),
            false => self.check(
                CheckKind::Unscored,
                Verdict::Inconclusive,
                format!("{told}, too many to trust the rest"),
            ),
        };
        Some(Check { value: Some(share), limit: Some(UNSCORED_SHARE_MAX), n: asked, ..check })
    }

    /// The mean of the run's own cases decides, as in the founding documents; bounds are told beside it.
    ///
    /// The cases of a suite are chosen, not drawn: their mean is what people look at and what they wrote the floor for. A bound would
    /// ask for some eight points above the floor at 50 cases, and floors would be written lower to make up for it.
    pub fn floor(&self, floor: f64, cases: &[Answers<'_>], alpha: f64) -> Check {
        let kind = CheckKind::Floor;
        let values: Vec<f64> = cases.iter().filter_map(|answers| self.now(answers)).collect();
        if values.is_empty() {
            let check = self.check(kind, Verdict::Inconclusive, "no case was scored".into());
            return Check { limit: Some(floor), ..check };
        }
        let (mean, n) = (mean(&values), values.len());
        let is_held = self.scale.turned(mean - floor) >= -SLACK;
        let side = if self.scale.direction == Direction::HigherIsBetter { "least" } else { "most" };
        let told = format!("a mean of {mean:.3} over {n} cases, and at {side} {floor:.3} is asked for");
        let (verdict, reason) = match (is_held, n >= FLOOR_CASES_MIN) {
            (false, _) => (Verdict::Fail, told),
            (true, true) => (Verdict::Pass, told),
            (true, false) => (
                Verdict::Inconclusive,
                format!("{told}; fewer than {FLOOR_CASES_MIN} cases are too few to rely on it"),
            ),
        };
        let more_cases =
            (verdict == Verdict::Inconclusive).then_some((FLOOR_CASES_MIN - n.min(FLOOR_CASES_MIN)) as u32);
        let check = self.check(kind, verdict, reason);
        let check = Check {
            value: Some(mean),
            limit: Some(floor),
            n: n as u32,
            more_cases,
            candidate: Some(mean),
            ..check
        };
        let bounds =
            self.scale.is_share.then(|| bounds_of_floor(&self.risen(cases), self.risen_floor(floor), alpha));
        match bounds {
            Some(Ok(found)) => {
                let (low, high) = match self.scale.direction {
                    Direction::HigherIsBetter => (found.lower, found.upper),
                    Direction::LowerIsBetter => (1.0 - found.upper, 1.0 - found.lower),
                };
                Check { low: Some(low), high: Some(high), clusters: Some(found.clusters as u32), ..check }
            }
            _ => check,
        }
    }

    /// Against the baseline, by the suite's rule. Verdicts of several metrics are corrected together afterwards.
    pub fn regression(
        &self,
        pairs: &[Pair<'_>],
        input: &GateInput<'_>,
    ) -> (Check, Option<gauntlet_stats::Verdict>) {
        let (means, n) = self.means(pairs);
        let check = |verdict, reason| {
            let check = self.check(CheckKind::Regression, verdict, reason);
            Check { n, candidate: means.map(|means| means.1), baseline: means.map(|means| means.0), ..check }
        };
        let open = |reason: String| (check(Verdict::Inconclusive, reason), None);
        if n == 0 {
            return open("no case was scored in both runs".into());
        }
        if self.scale.implementations.len() > 1 {
            let names: Vec<&str> = self.scale.implementations.iter().map(Name::as_str).collect();
            return open(format!(
                "the two runs score it by different formulas ({}); run the baseline again",
                names.join(", ")
            ));
        }
        if &*input.suite.gate.rule == RULE_P_VALUE {
            return (self.by_p_value(pairs, input.suite.gate.alpha, &check), None);
        }
        let Some(question) = self.question(input.suite.gate.alpha) else {
            return open(format!(
                "its scores are not within 0..1, so the gate's margin says nothing of it; give the metric a `margin` of its own (suite, line {})",
                self.spec.line
            ));
        };
        match non_inferiority(&self.differences(pairs), &question) {
            Ok(found) => (check(Verdict::Inconclusive, String::new()), Some(found)),
            Err(error) => open(error.to_string()),
        }
    }

    /// Means of both sides over the cases that both scored.
    pub fn means(&self, pairs: &[Pair<'_>]) -> (Option<(f64, f64)>, u32) {
        let both: Vec<(f64, f64)> = pairs
            .iter()
            .filter_map(|pair| Some((self.before(&pair.baseline)?, self.now(&pair.candidate)?)))
            .collect();
        let side = |of: fn(&(f64, f64)) -> f64| mean(&both.iter().map(of).collect::<Vec<_>>());
        let means = (!both.is_empty()).then(|| (side(|pair| pair.0), side(|pair| pair.1)));
        (means, both.len() as u32)
    }

    /// The check with what the statistics found, in words.
    pub fn told(
        &self,
        check: Check,
        found: &gauntlet_stats::Verdict,
        pairs: &[Pair<'_>],
        alpha: f64,
    ) -> Check {
        let margin = self.margin.unwrap_or_default();
        let sure = (1.0 - alpha) * 100.0;
        // Cases of a conversation count once: they tell of each other.
        let (of_clusters, unit) = match found.clusters < found.n {
            true => (format!(" in {} clusters", found.clusters), "clusters"),
            false => (String::new(), "cases"),
        };
        let told = format!("{} over {} cases{of_clusters}", signed(found.mean), found.n);
        let more_repeats = self.more_repeats(pairs, found, margin, alpha);
        let (verdict, reason) = match found.outcome {
            Outcome::Pass => (
                Verdict::Pass,
                format!(
                    "{told}; with {sure:.0}% certainty above {}, and down to {} is allowed",
                    signed(found.lower),
                    signed(-margin)
                ),
            ),
            Outcome::Fail => (
                Verdict::Fail,
                format!(
                    "{told}; with {sure:.0}% certainty below {}, and it may be as low as {}",
                    signed(found.upper),
                    signed(found.lower)
                ),
            ),
            Outcome::Inconclusive => {
                let sight = match found.mde {
                    Some(mde) => {
                        format!(
                            "; with {} {unit} you cannot see less than {:.1} points",
                            found.clusters,
                            mde * 100.0
                        )
                    }
                    None => format!("; {} {unit} show no drop, however large", found.clusters),
                };
                let cure = match (found.more_cases, more_repeats) {
                    (Some(cases), Some(repeats)) => {
                        format!("; about {cases} more {unit} would decide, or {repeats} repeats of each")
                    }
                    (Some(cases), None) => format!("; about {cases} more {unit} would decide"),
                    (None, _) => {
                        format!("; no sensible number of {unit} would decide: allow a wider margin")
                    }
                };
                let (low, high) = (signed(found.lower), signed(found.upper));
                (Verdict::Inconclusive, format!("{told}, somewhere from {low} to {high}{sight}{cure}"))
            }
        };
        let (p_value, p_value_of) = match found.outcome {
            Outcome::Fail => (found.p_worse, PValueOf::NoWorse),
            Outcome::Pass | Outcome::Inconclusive => (found.p_inferior, PValueOf::AtMargin),
        };
        Check {
            verdict,
            reason,
            value: Some(found.mean),
            limit: Some(-margin),
            low: Some(found.lower),
            high: Some(found.upper),
            n: found.n as u32,
            clusters: Some(found.clusters as u32),
            p_value: Some(p_value),
            p_value_of: Some(p_value_of),
            detectable: found.mde,
            more_cases: found.more_cases,
            more_repeats: (verdict == Verdict::Inconclusive).then_some(more_repeats).flatten(),
            ..check
        }
    }

    /// Answers to each case that would show the candidate good enough, should the means stay what they are.
    ///
    /// The variance of a case's difference has a part between cases and a part within them, and repeats divide the second alone. None
    /// without repeats, which are what the second part is known from, and where the first part alone is too much.
    fn more_repeats(
        &self,
        pairs: &[Pair<'_>],
        found: &gauntlet_stats::Verdict,
        margin: f64,
        alpha: f64,
    ) -> Option<u32> {
        let differences = self.differences(pairs);
        let total = paired_sd(&differences).ok()?.powi(2);
        let spreads: Vec<(f64, f64)> = pairs
            .iter()
            .filter_map(|pair| {
                let (now, repeats) = self.spread(&pair.candidate)?;
                let (before, others) = self.spread(&pair.baseline)?;
                Some((now + before, repeats.min(others) as f64))
            })
            .collect();
        if spreads.is_empty() {
            return None;
        }
        let within = mean(&spreads.iter().map(|spread| spread.0).collect::<Vec<_>>());
        let repeats = mean(&spreads.iter().map(|spread| spread.1).collect::<Vec<_>>());
        let between = (total - within / repeats).max(0.0);
        let n = found.clusters as f64;
        // In standard errors of a mean of n: for the same chances as the number of cases is reckoned with.
        let z = minimum_detectable_effect(found.clusters, 1.0, alpha, POWER).ok()? * n.sqrt();
        let unseen = if self.scale.is_share { (1.0 + found.mean) / (n + 1.0) } else { 0.0 };
        let distance = found.mean + margin - unseen;
        let wanted = (distance.max(0.0) * n.sqrt() / z).powi(2) - between;
        let needed = (within / wanted).ceil();
        (wanted > 0.0 && needed > repeats && needed <= REPEATS_MAX).then_some(needed as u32)
    }

    /// The variance of a case's repeats, and how many there are; none of fewer than two.
    fn spread(&self, answers: &Answers<'_>) -> Option<(f64, usize)> {
        let values: Vec<f64> =
            answers.iter().filter_map(|result| score_of(result, &self.spec.name)?.value).collect();
        let middle = mean(&values);
        let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
        (values.len() > 1).then(|| (squares / (values.len() - 1) as f64, values.len()))
    }

    fn by_p_value(&self, pairs: &[Pair<'_>], level: f64, check: &dyn Fn(Verdict, String) -> Check) -> Check {
        let both: Vec<(f64, f64)> = pairs
            .iter()
            .filter_map(|pair| Some((self.before(&pair.baseline)?, self.now(&pair.candidate)?)))
            .map(|(before, now)| (self.scale.turned(before), self.scale.turned(now)))
            .collect();
        let (before, now): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
        match seed_rule(&before, &now, level) {
            Ok(found) => {
                let (verdict, said) = match (found.passes, found.p_value > level) {
                    (true, true) => {
                        (Verdict::Pass, "no significant drop, which is no proof that there is none")
                    }
                    (true, false) => (Verdict::Pass, "a significant rise"),
                    (false, _) if found.mean < 0.0 => (Verdict::Fail, "a significant drop"),
                    (false, _) => (Verdict::Fail, "a significant drop of most cases, though not of the mean"),
                };
                let (change, n, p) = (signed(found.mean), found.n, p_relation(found.p_value));
                let reason = format!("{said}: {change} over {n} cases (Wilcoxon, two-sided, p {p})");
                Check {
                    value: Some(found.mean),
                    p_value: Some(found.p_value),
                    p_value_of: Some(PValueOf::NoChange),
                    ..check(verdict, reason)
                }
            }
            Err(error) => check(Verdict::Inconclusive, error.to_string()),
        }
    }
}

pub(super) fn summary_of<'a>(run: &'a EvalRun, metric: &str) -> Option<&'a MetricSummary> {
    run.metrics.iter().find(|summary| summary.metric.as_str() == metric)
}

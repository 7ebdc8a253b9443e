//! What a release gate decides: pass, fail, or that the cases do not tell.
//!
//! Non-inferiority with a margin, after ICH E9 and E10: a candidate passes when it is shown to be no worse than the baseline by the
//! margin or more. Not finding a difference is no pass, since few cases find nothing. Why it is so, and what was weighed, is in
//! `docs/adr/0015-what-a-gate-decides.md`; how often each rule errs, in `docs/gates.md`.

pub(crate) mod bounded;
mod more;
mod sequential;
pub(crate) mod spending;

use crate::{
    Clustered, Column, StatsError, check,
    clusters::{Totals, totals},
    distributions::{t_quantile, t_sf},
    multiplicity::holm,
    wilcoxon::{Alternative, Options, wilcoxon},
};

pub use sequential::{Sequential, SequentialLook};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Pass,
    Fail,
    Inconclusive,
}

/// How the bounds of the mean are made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Bound {
    /// Holds for scores of any distribution on their support, also with few cases and when all differences are 0.
    #[default]
    Bounded,
    /// Student's t over clusters: narrower by some cases, and wrong where rare cases differ much. For scores known to vary evenly.
    Student,
}

/// The question that a gate asks of one metric.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NonInferiority {
    /// The drop of the mean that is not accepted any more, above 0, in the metric's units.
    pub margin: f64,
    /// The chance of a wrong pass, and that of a wrong fail, each. One-sided.
    pub alpha: f64,
    /// For which chance of a decision effects and further cases are reckoned.
    pub power: f64,
    /// What a difference can be at least and at most: −1 and 1 for scores from 0 to 1.
    pub support: (f64, f64),
    pub bound: Bound,
}

impl NonInferiority {
    /// For scores from 0 to 1: 5% for either mistake, 80% power, bounds that suppose nothing else.
    pub fn with_margin(margin: f64) -> NonInferiority {
        NonInferiority { margin, alpha: 0.05, power: 0.8, support: (-1.0, 1.0), bound: Bound::Bounded }
    }

    fn checked(&self) -> Result<(), StatsError> {
        check::positive(self.margin, "the margin")?;
        check::open_share(self.alpha, "alpha")?;
        check::open_share(self.power, "the power")?;
        let parameter = |name, value, range| Err(StatsError::Parameter { name, value, range });
        if self.alpha >= 0.5 {
            return parameter("alpha", self.alpha, "below one half, such as 0.05");
        }
        if self.power < 0.5 {
            return parameter("the power", self.power, "of at least one half, such as 0.8");
        }
        let (low, high) = self.support;
        if !(low.is_finite() && low < 0.0) {
            return parameter("the least possible difference", low, "below 0");
        }
        if self.margin >= -low {
            return parameter(
                "the margin",
                self.margin,
                "below the greatest possible drop, which is 1 for scores from 0 to 1, such as 0.05",
            );
        }
        if !(high.is_finite() && high > 0.0) {
            return parameter("the greatest possible difference", high, "above 0");
        }
        Ok(())
    }
}

/// What the cases say about one metric.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Of all differences.
    pub mean: f64,
    /// One-sided bounds of the mean, each wrong with probability alpha at most.
    pub lower: f64,
    pub upper: f64,
    pub n: usize,
    /// Independent cases.
    pub clusters: usize,
    /// That the truth is worse by the margin or more: below alpha it passes.
    pub p_inferior: f64,
    /// That the truth is no worse at all: below alpha (after Holm's correction, in a family) it fails, if it does not pass.
    pub p_worse: f64,
    /// The smallest true drop below the baseline that so many cases show with the power asked for. `None` for a single cluster, and
    /// where they would not even show the greatest drop that is possible.
    pub mde: Option<f64>,
    /// Further independent cases that would decide with the power asked for, should the mean stay what it is. `None` when decided,
    /// and when no sensible number would.
    pub more_cases: Option<u32>,
}

/// Asks whether the candidate is worse than the baseline by `margin` or more.
///
/// `differences` are candidate − baseline, oriented so that higher is better; repeats of a case and cases of a conversation share a cluster.
///
/// - **Pass** when the lower bound of the mean is above −margin.
/// - **Fail** when it does not pass and the upper bound is below 0: the candidate is shown to be worse, and not shown to be worse
///   by little. (An upper bound below −margin is among these.)
/// - **Inconclusive** else.
///
/// Errors: no difference; values that are not finite or outside the support; a margin or a rate out of range; `Student` with
/// differences that are all the same.
/// Source: Blackwelder (1982), "Proving the null hypothesis in clinical trials"; for the bounds [`bounded`].
pub fn non_inferiority(differences: &[Clustered], question: &NonInferiority) -> Result<Verdict, StatsError> {
    question.checked()?;
    let totals = checked_totals(differences, question)?;
    let (p_inferior, p_worse) = p_values(&totals, question)?;
    let (lower, upper) = bounds(&totals, question);
    let outcome = outcome(p_inferior < question.alpha, p_worse < question.alpha);
    Ok(Verdict {
        outcome,
        mean: totals.mean,
        lower,
        upper,
        n: totals.n,
        clusters: totals.clusters(),
        p_inferior,
        p_worse,
        mde: more::detectable(&totals, question),
        more_cases: match outcome {
            Outcome::Inconclusive => more::cases(&totals, question),
            Outcome::Pass | Outcome::Fail => None,
        },
    })
}

/// `p_inferior` and `p_worse` alone, without bounds, which cost ten times as much: for simulations.
pub(crate) fn p_values_of(
    differences: &[Clustered],
    question: &NonInferiority,
) -> Result<(f64, f64), StatsError> {
    question.checked()?;
    p_values(&checked_totals(differences, question)?, question)
}

/// `mde` alone.
pub(crate) fn detectable_of(
    differences: &[Clustered],
    question: &NonInferiority,
) -> Result<Option<f64>, StatsError> {
    question.checked()?;
    Ok(more::detectable(&checked_totals(differences, question)?, question))
}

pub(crate) fn outcome(is_shown_good: bool, is_shown_worse: bool) -> Outcome {
    match (is_shown_good, is_shown_worse) {
        (true, _) => Outcome::Pass,
        (false, true) => Outcome::Fail,
        (false, false) => Outcome::Inconclusive,
    }
}

/// Decides about several metrics that must all pass: the whole passes when all do, and fails when any does.
///
/// To pass needs no correction: a bad metric lets the whole through only when it passes itself, which has probability alpha, however
/// many others there are (an intersection–union test: Berger 1982). To fail does: each further metric is one more chance for a
/// false alarm, so `p_worse` of each is replaced by Holm's and its outcome made anew. Errors: a verdict whose p-values are no
/// probabilities; no verdict at all; alpha out of range.
pub fn decide_together(verdicts: &mut [Verdict], alpha: f64) -> Result<Outcome, StatsError> {
    check::open_share(alpha, "alpha")?;
    check::at_least(verdicts.len(), 1, "metrics", "a gate")?;
    let adjusted = holm(&verdicts.iter().map(|verdict| verdict.p_worse).collect::<Vec<_>>())?;
    for (verdict, p_worse) in verdicts.iter_mut().zip(adjusted) {
        verdict.p_worse = p_worse;
        verdict.outcome = outcome(verdict.p_inferior < alpha, p_worse < alpha);
    }
    let any = |outcome| verdicts.iter().any(|verdict| verdict.outcome == outcome);
    Ok(if any(Outcome::Fail) {
        Outcome::Fail
    } else if any(Outcome::Inconclusive) {
        Outcome::Inconclusive
    } else {
        Outcome::Pass
    })
}

/// Asks whether the mean of scores from 0 to 1 is above a floor: pass when its lower bound is, fail when its upper bound is below.
///
/// `mde` is how far below the floor a mean must be to fail with 80% power. Errors: as [`non_inferiority`]; a floor outside 0 to 1.
pub fn floor(scores: &[Clustered], floor: f64, alpha: f64) -> Result<Verdict, StatsError> {
    if !(floor > 0.0 && floor < 1.0) {
        return Err(StatsError::Parameter { name: "the floor", value: floor, range: "between 0 and 1" });
    }
    let plain: Vec<f64> = scores.iter().map(|score| score.value).collect();
    within(&plain, (0.0, 1.0), Column::Values)?;
    // The same question with the floor as 0 and next to no margin.
    let margin = f64::MIN_POSITIVE;
    let question =
        NonInferiority { alpha, support: (-floor, 1.0 - floor), ..NonInferiority::with_margin(margin) };
    let above: Vec<Clustered> =
        scores.iter().map(|score| Clustered { value: score.value - floor, ..*score }).collect();
    let verdict = non_inferiority(&above, &question)?;
    Ok(Verdict {
        mde: more::below_floor(&checked_totals(&above, &question)?, &question),
        mean: verdict.mean + floor,
        lower: verdict.lower + floor,
        upper: verdict.upper + floor,
        ..verdict
    })
}

fn checked_totals(differences: &[Clustered], question: &NonInferiority) -> Result<Totals, StatsError> {
    let totals = totals(differences, Column::Differences)?;
    let plain: Vec<f64> = differences.iter().map(|difference| difference.value).collect();
    within(&plain, question.support, Column::Differences)?;
    Ok(totals)
}

fn within(values: &[f64], support: (f64, f64), column: Column) -> Result<(), StatsError> {
    // Scores that were added up in doubles may miss an end by a last digit.
    let slack = 1e-9 * (support.1 - support.0);
    match values.iter().position(|value| *value < support.0 - slack || *value > support.1 + slack) {
        None => Ok(()),
        Some(at) => Err(StatsError::OutOfSupport {
            column,
            position: at + 1,
            value: values[at],
            low: support.0,
            high: support.1,
            cure: "scale the metric to 0..1, or state its range",
        }),
    }
}

/// That the mean is at most −margin, and that it is at least 0.
fn p_values(totals: &Totals, question: &NonInferiority) -> Result<(f64, f64), StatsError> {
    match question.bound {
        Bound::Bounded => Ok((
            bounded::p_at_most(totals, -question.margin, question.support.0),
            bounded::p_at_least(totals, 0.0, question.support.1),
        )),
        Bound::Student => {
            let clusters = totals.clusters() as f64;
            let se = match totals.sd() {
                Some(sd) if sd > 0.0 => sd / clusters.sqrt(),
                Some(_) => {
                    return Err(StatsError::Constant {
                        what: "Student's bound",
                        column: Column::Differences,
                        cure: "take the bounds that allow for cases that were not seen (`bounded`)",
                    });
                }
                None => {
                    return Err(StatsError::TooFew {
                        what: "Student's bound",
                        of: "independent cases",
                        needed: 2,
                        found: totals.clusters(),
                    });
                }
            };
            let df = clusters - 1.0;
            Ok((t_sf((totals.mean + question.margin) / se, df), t_sf(-totals.mean / se, df)))
        }
    }
}

fn bounds(totals: &Totals, question: &NonInferiority) -> (f64, f64) {
    match question.bound {
        Bound::Bounded => (
            bounded::lower(totals, question.alpha, question.support.0),
            bounded::upper(totals, question.alpha, question.support.1),
        ),
        Bound::Student => {
            let clusters = totals.clusters() as f64;
            let se = totals.sd().unwrap_or(f64::INFINITY) / clusters.sqrt();
            let half = t_quantile(1.0 - question.alpha, clusters - 1.0) * se;
            (totals.mean - half, totals.mean + half)
        }
    }
}

/// The answer of the rule `p > level passes`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SeedVerdict {
    pub n: usize,
    pub mean: f64,
    /// Two-sided.
    pub p_value: f64,
    /// By the rank sums that the p-value is of, which the mean may contradict: many small drops and a large gain.
    pub is_lower: bool,
    pub passes: bool,
}

/// Fails when the two-sided Wilcoxon test of the paired scores gives a p-value of at most `level` and the candidate is the worse one.
///
/// The founding document's rule, offered because people know it: it takes a lack of cases for a lack of harm (see "Operating
/// characteristics" in `docs/gates.md`). As it is written there it also stops a candidate that is clearly better; a gate that does
/// is of no use, so the direction counts here. Errors: as [`wilcoxon`].
pub fn seed_rule(baseline: &[f64], candidate: &[f64], level: f64) -> Result<SeedVerdict, StatsError> {
    check::open_share(level, "the level")?;
    let options = Options { alternative: Alternative::TwoSided, ..Options::default() };
    let found = wilcoxon(baseline, candidate, options)?;
    let n = found.n;
    let mean = baseline.iter().zip(candidate).map(|(old, new)| new - old).sum::<f64>() / n as f64;
    let (p_value, is_lower) = (found.p_value, found.plus < found.minus);
    Ok(SeedVerdict { n, mean, p_value, is_lower, passes: p_value > level || !is_lower })
}

#[cfg(test)]
mod tests;

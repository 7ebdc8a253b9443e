//! Whether a judge agrees with people well enough to decide about releases.

use crate::{
    Column, CorrelationMethod, StatsError, Weights, check,
    clusters::{totals, unclustered},
    cohen_kappa,
    gate::bounded,
    kappa::{agreement, categories},
    spearman,
};

/// The measure that a judge is held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// Cohen's kappa, for verdicts and rubrics of few steps.
    Kappa(Weights),
    /// Spearman's rho, for scores.
    Rho,
}

/// What a judge must show.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Requirement {
    pub measure: Agreement,
    /// What the measure's lower bound must be above.
    pub minimum: f64,
    /// Rated by people; fewer than 50 leave kappa open by a quarter either way.
    pub pairs_min: usize,
    /// Of the one-sided lower bound.
    pub confidence: f64,
}

impl Default for Requirement {
    /// Quadratic kappa surely above 0.4, the beginning of what Landis and Koch (1977) call moderate, on 50 ratings.
    fn default() -> Requirement {
        Requirement {
            measure: Agreement::Kappa(Weights::Quadratic),
            minimum: 0.4,
            pairs_min: 50,
            confidence: 0.95,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct JudgeVerdict {
    pub allowed: bool,
    pub n: usize,
    /// Kappa or rho.
    pub value: f64,
    pub lower: f64,
    /// Further ratings before there are enough to say anything.
    pub pairs_missing: usize,
}

/// Says whether a judge may gate: enough ratings by people, and a lower bound of the agreement above the minimum.
///
/// `human[i]` and `judge[i]` rate the same answer; for kappa equal numbers are one category. The bound of kappa is the lower of the
/// large-sample one and one that takes the weighted agreement's own bound for scores of any distribution, with chance agreement as
/// found: fifty agreements out of fifty have no large-sample error, and prove less than 1 all the same. Errors: fewer than
/// three pairs, values that are not finite, raters that used one value only, a minimum or a confidence out of range.
pub fn judge_allowed(
    human: &[f64],
    judge: &[f64],
    requirement: &Requirement,
) -> Result<JudgeVerdict, StatsError> {
    check::paired(human, judge)?;
    check::open_share(requirement.confidence, "the confidence")?;
    if requirement.confidence < 0.5 {
        let (name, value) = ("the confidence", requirement.confidence);
        return Err(StatsError::Parameter { name, value, range: "of at least one half, such as 0.95" });
    }
    if !(0.0..1.0).contains(&requirement.minimum) {
        let (name, value) = ("the minimum of agreement", requirement.minimum);
        return Err(StatsError::Parameter { name, value, range: "from 0 to below 1, such as 0.4" });
    }
    let n = human.len();
    check::at_least(n, 3, "ratings by people", "agreement of a judge")?;
    // A one-sided bound is the lower end of a two-sided interval with twice the error.
    let two_sided = 2.0 * requirement.confidence - 1.0;
    let (value, lower) = match requirement.measure {
        Agreement::Kappa(weights) => kappa_bound(human, judge, weights, two_sided.max(1e-9))?,
        Agreement::Rho => {
            let found = spearman(human, judge, CorrelationMethod::T, two_sided.max(1e-9))?;
            // At rho = 1 Fisher's z has no width. One pair that was not seen, as far off as can be, takes 6/(n + 1) from rho or less.
            (found.coefficient, found.interval.low.min(1.0 - 6.0 / (n as f64 + 1.0)))
        }
    };
    let pairs_missing = requirement.pairs_min.saturating_sub(n);
    Ok(JudgeVerdict {
        allowed: pairs_missing == 0 && lower > requirement.minimum,
        n,
        value,
        lower,
        pairs_missing,
    })
}

fn kappa_bound(
    human: &[f64],
    judge: &[f64],
    weights: Weights,
    two_sided: f64,
) -> Result<(f64, f64), StatsError> {
    let label = |value: &f64| Label(*value + 0.0);
    let (human, judge): (Vec<Label>, Vec<Label>) =
        (human.iter().map(label).collect(), judge.iter().map(label).collect());
    let kappa = cohen_kappa(&human, &judge, weights, two_sided)?;
    let (human, judge) = categories(&human, &judge);
    let agreements: Vec<f64> = human
        .iter()
        .zip(&judge)
        .map(|(human, judge)| agreement(*human, *judge, kappa.categories, weights))
        .collect();
    let totals = totals(&unclustered(&agreements), Column::Values)?;
    let agreed = bounded::lower(&totals, (1.0 - two_sided) / 2.0, 0.0);
    let lower = (agreed - kappa.expected) / (1.0 - kappa.expected);
    Ok((kappa.kappa, kappa.interval.map_or(lower, |interval| lower.min(interval.low))))
}

/// A number as a category: finite, and without a negative zero.
#[derive(Clone, Copy, PartialEq)]
struct Label(f64);

impl Eq for Label {}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Label) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Label) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(n: usize, wrong: usize) -> (Vec<f64>, Vec<f64>) {
        let human: Vec<f64> = (0..n).map(|at| (at % 2) as f64).collect();
        let judge = human.iter().enumerate().map(|(at, rated)| if at < wrong { 1.0 - rated } else { *rated });
        let judge = judge.collect();
        (human, judge)
    }

    fn ask(n: usize, wrong: usize) -> JudgeVerdict {
        let (human, judge) = verdicts(n, wrong);
        let measure = Agreement::Kappa(Weights::Unweighted);
        judge_allowed(&human, &judge, &Requirement { measure, ..Requirement::default() }).unwrap()
    }

    #[test]
    fn fewer_than_fifty_ratings_prove_nothing() {
        let found = ask(49, 0);
        assert!(!found.allowed, "{found:?}");
        assert_eq!(found.pairs_missing, 1);
        assert!(ask(50, 0).allowed);
    }

    #[test]
    fn a_judge_that_is_right_in_six_of_ten_may_not_gate() {
        assert!(!ask(50, 20).allowed);
        assert!(!ask(1_000, 400).allowed);
    }

    #[test]
    fn it_is_the_lower_bound_that_counts() {
        // 12 wrong of 50 is a kappa of 0.52, which may as well be 0.3.
        let few = ask(50, 12);
        assert!(few.value > 0.5 && !few.allowed, "{few:?}");
        let many = ask(500, 120);
        assert!((many.value - few.value).abs() < 1e-9 && many.allowed, "{many:?}");
    }

    #[test]
    fn full_agreement_on_fifty_is_not_taken_for_certainty() {
        let found = ask(50, 0);
        // The share of agreement is surely above 0.05^(1/50) = 0.942, so kappa above 0.884.
        assert!((found.value - 1.0).abs() < 1e-12 && (found.lower - 0.883_7).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn scores_are_held_to_rho() {
        let human: Vec<f64> = (0..60).map(f64::from).collect();
        let judge: Vec<f64> = human.iter().map(|score| score + 20.0 * (score * 7.3).sin()).collect();
        let requirement = Requirement { measure: Agreement::Rho, minimum: 0.6, ..Requirement::default() };
        let found = judge_allowed(&human, &judge, &requirement).unwrap();
        assert!(found.allowed && found.lower < found.value, "{found:?}");
        let reversed: Vec<f64> = human.iter().rev().copied().collect();
        assert!(!judge_allowed(&human, &reversed, &requirement).unwrap().allowed);
        let same = judge_allowed(&human, &human, &requirement).unwrap();
        assert!(same.allowed && same.lower < 0.91, "{same:?}");
    }

    #[test]
    fn a_judge_that_always_says_the_same_is_no_judge() {
        let (human, _) = verdicts(60, 0);
        let found = judge_allowed(&human, &[1.0; 60], &Requirement::default()).unwrap();
        assert!(!found.allowed && found.value == 0.0, "{found:?}");
        assert!(judge_allowed(&[1.0; 60], &[1.0; 60], &Requirement::default()).is_err());
        let rho = Requirement { measure: Agreement::Rho, ..Requirement::default() };
        assert!(judge_allowed(&human, &[1.0; 60], &rho).is_err());
        assert!(judge_allowed(&human, &[f64::NAN; 60], &rho).is_err());
        assert!(judge_allowed(&human, &human[1..], &rho).is_err());
    }
}

//! Which answers of two runs belong together, and what a metric says of each case.

use std::collections::{BTreeMap, BTreeSet};

use gauntlet_ports::{Direction, EvalResult, Score};
use gauntlet_types::Name;

use super::report::{Compared, Names};

/// All answers to one case, in the order of their repeats.
pub(crate) type Answers<'a> = Vec<&'a EvalResult>;

/// The answers of a run by their case.
pub(crate) fn by_case(results: &[EvalResult]) -> BTreeMap<&Name, Answers<'_>> {
    let mut cases: BTreeMap<&Name, Answers> = BTreeMap::new();
    for result in results {
        cases.entry(&result.case).or_default().push(result);
    }
    for answers in cases.values_mut() {
        answers.sort_by_key(|result| result.repeat);
    }
    cases
}

/// A case that both runs asked.
#[derive(Clone, Debug)]
pub(crate) struct Pair<'a> {
    pub case: &'a Name,
    pub candidate: Answers<'a>,
    pub baseline: Answers<'a>,
}

impl<'a> Pair<'a> {
    pub fn cluster(&self) -> &'a Name {
        cluster_of(&self.candidate)
    }
}

/// A case's cluster, or the case itself.
pub(crate) fn cluster_of<'a>(answers: &Answers<'a>) -> &'a Name {
    let first = answers[0];
    first.cluster.as_ref().unwrap_or(&first.case)
}

/// Pairs the cases of two runs by their ids.
///
/// Where the datasets differ, a case that asks or expects something else under the same id is left out: its scores measure
/// different things.
pub(crate) fn pair<'a>(
    candidate: &'a [EvalResult],
    baseline: &'a [EvalResult],
    is_same_dataset: bool,
) -> (Vec<Pair<'a>>, Compared) {
    let (candidate, mut baseline) = (by_case(candidate), by_case(baseline));
    let (mut pairs, mut only_candidate, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (case, answers) in candidate {
        match baseline.remove(case) {
            None => only_candidate.push(case),
            Some(before) if !is_same_dataset && is_other(answers[0], before[0]) => changed.push(case),
            Some(before) => pairs.push(Pair { case, candidate: answers, baseline: before }),
        }
    }
    let compared = Compared {
        both: pairs.len() as u32,
        only_candidate: Names::of(only_candidate),
        only_baseline: Names::of(baseline.into_keys()),
        changed: Names::of(changed),
    };
    (pairs, compared)
}

fn is_other(now: &EvalResult, before: &EvalResult) -> bool {
    now.input != before.input || now.expected != before.expected
}

/// There is no answer at all: refused, failed or out of time.
pub(crate) fn is_unanswered(result: &EvalResult) -> bool {
    result.error.is_some()
}

pub(crate) fn score_of<'a>(result: &'a EvalResult, metric: &str) -> Option<&'a Score> {
    result.scores.iter().find(|score| score.metric.as_str() == metric)
}

/// How a metric is read in the results at hand.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Scale {
    pub direction: Direction,
    pub implementations: BTreeSet<Name>,
    /// All scores lie in 0..=1, so that it is known what the worst one is.
    pub is_share: bool,
}

impl Scale {
    pub fn of<'a>(
        metric: &str,
        direction: Direction,
        results: impl IntoIterator<Item = &'a EvalResult>,
    ) -> Scale {
        let mut scale = Scale { direction, implementations: BTreeSet::new(), is_share: true };
        for score in results.into_iter().filter_map(|result| score_of(result, metric)) {
            scale.implementations.insert(score.implementation.clone());
            scale.is_share &= score.value.is_none_or(|value| (0.0..=1.0).contains(&value));
        }
        scale
    }

    /// What a case without an answer counts for, where that is known.
    pub fn worst(&self) -> Option<f64> {
        self.is_share.then_some(match self.direction {
            Direction::HigherIsBetter => 0.0,
            Direction::LowerIsBetter => 1.0,
        })
    }

    /// Turned so that more is better.
    pub fn turned(&self, difference: f64) -> f64 {
        match self.direction {
            Direction::HigherIsBetter => difference,
            Direction::LowerIsBetter => -difference,
        }
    }
}

/// The mean of a case's repeats; none where nothing was scored.
///
/// `unanswered` is what an answer that never came counts for: the worst there is on the candidate's side, and nothing on the
/// baseline's, so that neither side gains by silence.
pub(crate) fn case_value(answers: &Answers<'_>, metric: &str, unanswered: Option<f64>) -> Option<f64> {
    let values: Vec<f64> = answers
        .iter()
        .filter_map(|result| match score_of(result, metric).and_then(|score| score.value) {
            Some(value) if value.is_finite() => Some(value),
            _ if is_unanswered(result) => unanswered,
            _ => None,
        })
        .collect();
    (!values.is_empty()).then(|| mean(&values))
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The middle value; of an even number the mean of the middle two. 0 of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (n, middle) if n % 2 == 1 => values[middle],
        (_, middle) => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::made;

    #[test]
    fn repeats_of_a_case_count_once() {
        let results = [made::repeat("a", 0, "exact", 1.0), made::repeat("a", 1, "exact", 0.0)];
        let cases = by_case(&results);
        assert_eq!(cases.len(), 1);
        assert_eq!(case_value(&cases[&Name::from("a")], "exact", None), Some(0.5));
    }

    #[test]
    fn a_case_that_asks_something_else_is_not_compared() {
        let now = [made::scored("a", "exact", 1.0), made::scored("b", "exact", 1.0)];
        let mut before = now.clone();
        before[1].input = Some("another question".into());
        let (pairs, compared) = pair(&now, &before, false);
        assert_eq!((pairs.len(), compared.changed.count), (1, 1));
        // Datasets of one hash are the same, whatever the runner shows of a question.
        assert_eq!(pair(&now, &before, true).0.len(), 2);
    }

    #[test]
    fn silence_counts_against_the_candidate_alone() {
        let silent = made::unanswered("a");
        assert_eq!(case_value(&vec![&silent], "exact", Some(0.0)), Some(0.0));
        assert_eq!(case_value(&vec![&silent], "exact", None), None);
    }

    #[test]
    fn the_worst_of_an_unbounded_metric_is_not_known() {
        let check = |value: f64, direction, worst: Option<f64>| {
            let results = [made::scored("a", "m", value)];
            assert_eq!(Scale::of("m", direction, &results).worst(), worst, "{value}");
        };
        check(0.4, Direction::HigherIsBetter, Some(0.0));
        check(0.4, Direction::LowerIsBetter, Some(1.0));
        check(250.0, Direction::LowerIsBetter, None);
    }
}

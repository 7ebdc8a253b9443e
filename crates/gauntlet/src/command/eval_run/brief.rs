//! What is told of a run's answers when it ends, gathered as they are kept: reading ten thousand results back for half a line of
//! figures and ten rows takes a third of a second.

use std::collections::{BTreeMap, HashMap, HashSet};

use gauntlet_ports::EvalResult;
use gauntlet_types::Name;

/// Of cases that failed: more are in `eval cases RUN --failed`.
pub(super) const FAILING_MAX: usize = 10;

/// A case, and which of its answers.
type Answer = (Name, u32);

#[derive(Default)]
pub(super) struct Brief {
    /// How long each answer took; none where none came. One that is kept again is counted once.
    latencies: HashMap<Answer, Option<u64>>,
    failing: BTreeMap<Answer, Failing>,
    /// Metrics without a score, and why.
    unscored: BTreeMap<Answer, Vec<(Name, String)>>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Failing {
    pub(super) why: String,
    pub(super) call: Option<String>,
}

impl Brief {
    /// Takes note of a result, in place of an earlier one of the same answer.
    pub(super) fn add(&mut self, result: &EvalResult) {
        let answer = (result.case.clone(), result.repeat);
        match failing(result) {
            Some(failing) => drop(self.failing.insert(answer.clone(), failing)),
            None => drop(self.failing.remove(&answer)),
        }
        let unscored = unscored(result);
        if unscored.is_empty() {
            self.unscored.remove(&answer);
        } else {
            self.unscored.insert(answer.clone(), unscored);
        }
        self.latencies.insert(answer, result.error.is_none().then_some(result.latency_us));
    }

    pub(super) fn answers(&self) -> usize {
        self.latencies.len()
    }

    /// Whether any answer came at all.
    pub(super) fn has_answers(&self) -> bool {
        self.latencies.values().any(Option::is_some)
    }

    /// Cases that have an answer, or an error in its stead.
    pub(super) fn cases(&self) -> usize {
        self.latencies.keys().map(|(case, _)| case).collect::<HashSet<_>>().len()
    }

    /// Scores that are missing, by metric and reason, those of most answers first: metric, answers, reason, first case.
    pub(super) fn unscored(&self) -> Vec<Vec<String>> {
        let mut found: BTreeMap<(&Name, &str), (usize, &Name)> = BTreeMap::new();
        for ((case, _), missing) in &self.unscored {
            for (metric, why) in missing {
                found.entry((metric, why)).or_insert((0, case)).0 += 1;
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let row = |((metric, why), (count, case)): ((&Name, &str), (usize, &Name))| {
            vec![metric.to_string(), count.to_string(), why.to_owned(), case.to_string()]
        };
        found.into_iter().map(row).collect()
    }

    /// Half of the answers came sooner than the first, 95% than the second.
    pub(super) fn latency(&self) -> (u64, u64) {
        let mut all: Vec<u64> = self.latencies.values().copied().flatten().collect();
        all.sort_unstable();
        let at = |share: f64| {
            all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1))).copied()
        };
        (at(0.5).unwrap_or(0), at(0.95).unwrap_or(0))
    }

    /// The first of them by case, and how many more there are.
    pub(super) fn failing(&self) -> (Vec<(&Name, &Failing)>, usize) {
        let first = self.failing.iter().take(FAILING_MAX).map(|((case, _), failing)| (case, failing));
        (first.collect(), self.failing.len().saturating_sub(FAILING_MAX))
    }
}

fn unscored(result: &EvalResult) -> Vec<(Name, String)> {
    let missing = result.scores.iter().filter(|score| result.error.is_none() && score.value.is_none());
    let why = |reason: &Option<String>| reason.clone().unwrap_or_else(|| "no reason is given".to_owned());
    missing.map(|score| (score.metric.clone(), why(&score.reason))).collect()
}

/// Why an answer failed, if it did.
fn failing(result: &EvalResult) -> Option<Failing> {
    if result.error.is_none() && result.passed != Some(false) {
        return None;
    }
    let score = result.scores.iter().find(|score| score.passed == Some(false));
    let why = match (&result.error, score) {
        (Some(error), _) => error.clone(),
        (None, Some(score)) => {
            let value = score.value.map_or_else(String::new, |value| format!(" {value:.3}"));
            let reason = score.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            format!("{}{value}{reason}", score.metric)
        }
        (None, None) => String::new(),
    };
    Some(Failing { why, call: result.call.map(|call| call.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(case: &str, latency_us: u64, error: Option<&str>) -> EvalResult {
        EvalResult {
            case: case.into(),
            latency_us,
            error: error.map(str::to_owned),
            passed: Some(error.is_none()),
            ..EvalResult::default()
        }
    }

    #[test]
    fn an_answer_that_is_kept_again_takes_the_place_of_the_first() {
        let mut brief = Brief::default();
        brief.add(&result("a", 0, Some("upstream_failed: gone")));
        brief.add(&result("b", 20, None));
        assert_eq!(brief.latency(), (20, 20), "what never came took no time");
        assert_eq!(brief.failing().0[0].1.why, "upstream_failed: gone");
        brief.add(&result("a", 10, None));
        brief.add(&result("a", 10, None));
        assert_eq!(brief.latency(), (20, 20));
        assert_eq!(brief.failing(), (Vec::new(), 0));
        assert_eq!(brief.latencies.len(), 2);
    }

    #[test]
    fn of_many_that_failed_the_first_are_told_and_the_rest_counted() {
        let mut brief = Brief::default();
        for case in (0..25).rev() {
            brief.add(&result(&format!("c{case:02}"), 1, Some("no")));
        }
        let (first, more) = brief.failing();
        assert_eq!((first.len(), more), (FAILING_MAX, 25 - FAILING_MAX));
        assert_eq!(&**first[0].0, "c00");
    }
}

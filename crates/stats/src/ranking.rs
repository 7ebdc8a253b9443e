//! How well a ranking puts the relevant first.
//!
//! A ranking is ids from the best down. An id that comes twice counts at its first place only: the second time it keeps its
//! place, so that nothing below moves up, and adds nothing. Ids without an entry in the relevance map are not relevant, and neither
//! is a grade of 0, below 0 or not finite.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hash},
};

/// Grades of relevant ids: 1 for relevant, or higher for more so.
pub type Relevance<Id> = HashMap<Id, f64>;

fn grade<Id: Eq + Hash, S: BuildHasher>(relevance: &HashMap<Id, f64, S>, id: &Id) -> f64 {
    relevance.get(id).copied().filter(|grade| grade.is_finite() && *grade > 0.0).unwrap_or(0.0)
}

/// The grade at each place of the first `k`.
fn grades<Id: Eq + Hash, S: BuildHasher>(
    ranking: &[Id],
    relevance: &HashMap<Id, f64, S>,
    k: usize,
) -> Vec<f64> {
    let mut seen = HashSet::new();
    ranking.iter().take(k).map(|id| if seen.insert(id) { grade(relevance, id) } else { 0.0 }).collect()
}

fn relevant_count<Id: Eq + Hash, S: BuildHasher>(relevance: &HashMap<Id, f64, S>) -> usize {
    relevance.keys().filter(|id| grade(relevance, id) > 0.0).count()
}

fn found<Id: Eq + Hash, S: BuildHasher>(ranking: &[Id], relevance: &HashMap<Id, f64, S>, k: usize) -> f64 {
    grades(ranking, relevance, k).iter().filter(|grade| **grade > 0.0).count() as f64
}

/// 1 when any of the first `k` is relevant, else 0. `None` when nothing is relevant at all.
pub fn hit_at<Id: Eq + Hash, S: BuildHasher>(
    ranking: &[Id],
    relevance: &HashMap<Id, f64, S>,
    k: usize,
) -> Option<f64> {
    (relevant_count(relevance) > 0).then(|| found(ranking, relevance, k).min(1.0))
}

/// The share of the relevant that is among the first `k`. `None` when nothing is relevant at all.
///
/// Source: Manning, Raghavan, Schütze, "Introduction to Information Retrieval", ch. 8, as the next four.
pub fn recall_at<Id: Eq + Hash, S: BuildHasher>(
    ranking: &[Id],
    relevance: &HashMap<Id, f64, S>,
    k: usize,
) -> Option<f64> {
    let all = relevant_count(relevance);
    (all > 0).then(|| found(ranking, relevance, k) / all as f64)
}

/// The share of the first `k` that is relevant. A ranking shorter than `k` is not helped by that: the divisor is `k`.
///
/// `None` for `k` = 0.
pub fn precision_at<Id: Eq + Hash, S: BuildHasher>(
    ranking: &[Id],
    relevance: &HashMap<Id, f64, S>,
    k: usize,
) -> Option<f64> {
    (k > 0).then(|| found(ranking, relevance, k) / k as f64)
}

/// One over the place of the first relevant id, 0 when none is there. `None` when nothing is relevant at all.
pub fn reciprocal_rank<Id: Eq + Hash, S: BuildHasher>(
    ranking: &[Id],
    relevance: &HashMap<Id, f64, S>,
) -> Option<f64> {
    let first = grades(ranking, relevance, ranking.len()).iter().position(|grade| *grade > 0.0);
    (relevant_count(relevance) > 0).then(|| first.map_or(0.0, |at| 1.0 / (at + 1) as f64))
}

/// The mean of [`reciprocal_rank`] over queries that have one. `None` without such a query.
pub fn mrr<Id: Eq + Hash>(queries: &[(Vec<Id>, Relevance<Id>)]) -> Option<f64> {
    let ranks: Vec<f64> =
        queries.iter().filter_map(|(ranking, relevance)| reciprocal_rank(ranking, relevance)).collect();
    (!ranks.is_empty()).then(|| ranks.iter().sum::<f64>() / ranks.len() as f64)
}

/// Normalized discounted cumulative gain of the first `k`, with the grade itself as gain: scikit-learn's `ndcg_score`.
///
/// Σ grade/log₂(place + 1) over that of the best order. `None` when nothing is relevant at all or `k` = 0.
/// Source: Järvelin & Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques".
pub fn ndcg_at<Id: Eq + Hash, S: BuildHasher>(
    ranking: &[Id],
    relevance: &HashMap<Id, f64, S>,
    k: usize,
) -> Option<f64> {
    let mut best: Vec<f64> = relevance.keys().map(|id| grade(relevance, id)).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    best.truncate(k);
    let ideal = discounted(&best);
    (ideal > 0.0).then(|| discounted(&grades(ranking, relevance, k)) / ideal)
}

fn discounted(grades: &[f64]) -> f64 {
    grades.iter().zip(2u32..).map(|(grade, place)| grade / f64::from(place).log2()).sum()
}

/// The mean of the precision at each relevant id that was found, over all that are relevant. `None` when nothing is.
pub fn average_precision<Id: Eq + Hash, S: BuildHasher>(
    ranking: &[Id],
    relevance: &HashMap<Id, f64, S>,
) -> Option<f64> {
    let all = relevant_count(relevance);
    let verdicts: Vec<bool> =
        grades(ranking, relevance, ranking.len()).iter().map(|grade| *grade > 0.0).collect();
    (all > 0).then(|| precision_sum(&verdicts) / all as f64)
}

/// RAGAS's context precision: Σₖ(precision at k · vₖ) / (Σv + 1e-10), where `v` says of each context whether it was useful.
///
/// Unlike [`average_precision`] it divides by what was found and not by what there is, and is 0 where nothing was useful.
/// Source: RAGAS 0.4, `metrics/_context_precision.py`.
pub fn context_precision(verdicts: &[bool]) -> f64 {
    let useful = verdicts.iter().filter(|verdict| **verdict).count() as f64;
    precision_sum(verdicts) / (useful + 1e-10)
}

fn precision_sum(verdicts: &[bool]) -> f64 {
    let (mut found, mut sum) = (0.0, 0.0);
    for (verdict, place) in verdicts.iter().zip(1u32..) {
        if *verdict {
            found += 1.0;
            sum += found / f64::from(place);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relevant(ids: &[(&'static str, f64)]) -> Relevance<&'static str> {
        ids.iter().copied().collect()
    }

    fn close(found: Option<f64>, wanted: f64) {
        let found = found.unwrap();
        assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
    }

    #[test]
    fn the_measures_are_those_of_the_textbook() {
        let relevance = relevant(&[("b", 1.0), ("d", 1.0), ("x", 1.0)]);
        let ranking = ["a", "b", "c", "d", "e"];
        close(hit_at(&ranking, &relevance, 1), 0.0);
        close(hit_at(&ranking, &relevance, 2), 1.0);
        close(recall_at(&ranking, &relevance, 5), 2.0 / 3.0);
        close(precision_at(&ranking, &relevance, 4), 0.5);
        close(precision_at(&ranking, &relevance, 10), 0.2);
        close(reciprocal_rank(&ranking, &relevance), 0.5);
        close(average_precision(&ranking, &relevance), (0.5 + 0.5) / 3.0);
        let queries = [(ranking.to_vec(), relevance.clone()), (vec!["x"], relevance)];
        close(mrr(&queries), 0.75);
    }

    #[test]
    fn graded_gain_is_that_of_jarvelin_and_kekalainen() {
        // Grades in the order found 3, 2, 3, 0, 1, 2: DCG 6.861, ideal of 3, 3, 2, 2, 1, 0 is 7.141.
        let grades = [("1", 3.0), ("2", 2.0), ("3", 3.0), ("4", 0.0), ("5", 1.0), ("6", 2.0)];
        let found = ndcg_at(&["1", "2", "3", "4", "5", "6"], &relevant(&grades), 6).unwrap();
        assert!((found - 0.960_8).abs() < 5e-5, "{found}");
        close(ndcg_at(&["a", "b"], &relevant(&[("a", 1.0)]), 2), 1.0);
        close(ndcg_at(&["b", "a"], &relevant(&[("a", 1.0)]), 2), 1.0 / 3f64.log2());
    }

    #[test]
    fn an_id_that_comes_twice_counts_once_and_keeps_its_place() {
        let relevance = relevant(&[("a", 1.0), ("b", 1.0)]);
        close(recall_at(&["a", "a", "a"], &relevance, 3), 0.5);
        close(precision_at(&["a", "a"], &relevance, 2), 0.5);
        close(average_precision(&["a", "a", "b"], &relevance), (1.0 + 2.0 / 3.0) / 2.0);
        assert!(ndcg_at(&["a", "a", "b"], &relevance, 3).unwrap() < 1.0);
    }

    #[test]
    fn context_precision_is_that_of_ragas() {
        let check = |verdicts: &[bool], wanted: f64| {
            assert!((context_precision(verdicts) - wanted).abs() < 1e-15, "{verdicts:?}");
        };
        check(&[true, false, true], (1.0 + 2.0 / 3.0) / (2.0 + 1e-10));
        check(&[false, true], 0.5 / (1.0 + 1e-10));
        check(&[false, false], 0.0);
        check(&[], 0.0);
    }

    #[test]
    fn where_nothing_is_relevant_there_is_no_score() {
        let check = |relevance: &Relevance<&str>| {
            let ranking = ["a"];
            assert_eq!(hit_at(&ranking, relevance, 1), None);
            assert_eq!(recall_at(&ranking, relevance, 1), None);
            assert_eq!(reciprocal_rank(&ranking, relevance), None);
            assert_eq!(ndcg_at(&ranking, relevance, 1), None);
            assert_eq!(average_precision(&ranking, relevance), None);
        };
        check(&relevant(&[]));
        check(&relevant(&[("a", 0.0)]));
        check(&relevant(&[("a", -1.0)]));
        check(&relevant(&[("a", f64::NAN)]));
        assert_eq!(precision_at(&["a"], &relevant(&[]), 0), None);
        assert_eq!(mrr::<&str>(&[]), None);
    }
}

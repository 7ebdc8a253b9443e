//! Retrieval: how well rankings put the relevant first, as metrics of a suite and over a dataset of queries.
//!
//! No judge is asked: a line of the dataset says which ids are relevant (`relevant`, with grades where there are any), and a
//! ranking comes from the line itself (`retrieved`), from traces, or from a retriever that is asked now. Formulas are in
//! `gauntlet_stats`, checked against scikit-learn.

mod report;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use gauntlet_ports::Direction::HigherIsBetter;
use gauntlet_stats::{
    average_precision, context_precision, hit_at, ndcg_at, precision_at, recall_at, reciprocal_rank,
};
use serde_json::json;

pub use report::{Compared, Comparison, Figure, QUERIES_MAX, Query, Ranked, Report, Stand, compare, report};

use crate::{
    Case, Mistake, Scorer, Seen,
    score::{self, Measured, Options, Plain, Range, Sheet},
};

/// Kinds of metrics that rank without a judge.
pub const KINDS: &[&str] = &["hit_at_k", "recall_at_k", "precision_at_k", "mrr", "ndcg", "average_precision"];
/// Where nobody says how many places count.
const K: usize = 5;
/// No retriever hands more to a model.
pub const K_MAX: usize = 1_000;

/// A measure of one ranking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Measure {
    /// 1 where any of the first `k` is relevant: the hit rate, over queries.
    Hit(usize),
    Recall(usize),
    Precision(usize),
    /// One over the place of the first that is relevant.
    ReciprocalRank,
    Ndcg(usize),
    /// Over everything that is relevant, found or not.
    AveragePrecision,
    /// Over what was found: RAGAS's formula of context precision, by ids instead of a judge.
    ContextPrecision,
}

impl Measure {
    /// Those that are reported for some numbers of places, in the order of the report.
    pub fn all(ks: &[usize]) -> Vec<Measure> {
        let mut all = Vec::with_capacity(ks.len() * 4 + 3);
        for of in [Measure::Hit, Measure::Recall, Measure::Precision, Measure::Ndcg] {
            all.extend(ks.iter().map(|k| of(*k)));
        }
        all.extend([Measure::ReciprocalRank, Measure::AveragePrecision, Measure::ContextPrecision]);
        all
    }

    pub fn name(self) -> String {
        match self {
            Measure::Hit(k) => format!("hit@{k}"),
            Measure::Recall(k) => format!("recall@{k}"),
            Measure::Precision(k) => format!("precision@{k}"),
            Measure::ReciprocalRank => "mrr".to_owned(),
            Measure::Ndcg(k) => format!("ndcg@{k}"),
            Measure::AveragePrecision => "average_precision".to_owned(),
            Measure::ContextPrecision => "context_precision".to_owned(),
        }
    }

    /// The value for one query; none where nothing is relevant.
    pub fn of(self, ranking: &[String], relevant: &[(String, f64)]) -> Option<f64> {
        let grades: HashMap<String, f64> = relevant.iter().cloned().collect();
        let ranking = ranking.to_vec();
        match self {
            Measure::Hit(k) => hit_at(&ranking, &grades, k),
            Measure::Recall(k) => recall_at(&ranking, &grades, k),
            Measure::Precision(k) => {
                has_relevant(relevant).then(|| precision_at(&ranking, &grades, k)).flatten()
            }
            Measure::ReciprocalRank => reciprocal_rank(&ranking, &grades),
            Measure::Ndcg(k) => ndcg_at(&ranking, &grades, k),
            Measure::AveragePrecision => average_precision(&ranking, &grades),
            Measure::ContextPrecision => has_relevant(relevant).then(|| {
                let is_good = |id: &String| grades.get(id).is_some_and(|grade| *grade > 0.0);
                context_precision(&ranking.iter().map(is_good).collect::<Vec<_>>())
            }),
        }
    }
}

/// Whether anything could be found at all.
pub fn has_relevant(relevant: &[(String, f64)]) -> bool {
    relevant.iter().any(|(_, grade)| *grade > 0.0)
}

/// A scorer of rankings. `options.kind()` must be one of [`KINDS`].
pub(crate) fn make(mut options: Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let kind = options.kind().to_owned();
    let options = &mut options;
    let k = match options.take("k") {
        None => None,
        Some(value) => {
            match value.as_u64().and_then(|k| usize::try_from(k).ok()).filter(|k| (1..=K_MAX).contains(k)) {
                Some(k) => Some(k),
                None => {
                    let message = format!("`k` is {value}");
                    return Err(
                        options.mistake(message, format!("write a number of places from 1 to {K_MAX}"))
                    );
                }
            }
        }
    };
    let at = k.unwrap_or(K);
    let measure = match kind.as_str() {
        "hit_at_k" => Measure::Hit(at),
        "recall_at_k" => Measure::Recall(at),
        "precision_at_k" => Measure::Precision(at),
        "ndcg" => Measure::Ndcg(k.unwrap_or(K_MAX)),
        "mrr" => Measure::ReciprocalRank,
        "average_precision" => Measure::AveragePrecision,
        other => unreachable!("`{other}` stands in KINDS and is made by nobody"),
    };
    let takes_k = !matches!(measure, Measure::ReciprocalRank | Measure::AveragePrecision);
    if k.is_some() && !takes_k {
        return Err(
            options.mistake(format!("`{kind}` has no option `k`"), "leave it out: the whole ranking counts")
        );
    }
    let implementation = match (measure, k) {
        (Measure::Ndcg(_), None) => "gauntlet/1:ndcg".to_owned(),
        (measure, _) => format!("gauntlet/1:{}", measure.name()),
    };
    let sheet = Sheet::new(options, implementation, HigherIsBetter, Range::Share)?;
    Plain::boxed(options, sheet, Ranking { measure })
}

struct Ranking {
    measure: Measure,
}

impl score::Measure for Ranking {
    fn lacks(&self, case: &Case) -> Option<String> {
        if !has_relevant(&case.relevant) {
            return Some("`relevant`: the ids that should be found".to_owned());
        }
        case.retrieved
            .is_none()
            .then(|| "`retrieved`: the ids that were found, best first (`[]` where nothing was)".to_owned())
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let case = seen.case;
        let Some(retrieved) = &case.retrieved else {
            return Measured::none("nothing says what was found");
        };
        match self.measure.of(retrieved, &case.relevant) {
            Some(value) => {
                let place = |(id, grade): &(String, f64)| {
                    let place = retrieved.iter().position(|found| found == id).map(|at| at + 1);
                    json!({"id": id, "grade": grade, "place": place})
                };
                let places: Vec<_> = case.relevant.iter().map(place).collect();
                Measured::value(value).with(json!({"relevant": places}))
            }
            None => Measured::none("nothing is relevant to this query"),
        }
    }
}

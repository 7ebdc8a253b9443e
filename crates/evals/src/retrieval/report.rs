//! Measures of a retriever over queries, and two retrievers compared query by query.

use gauntlet_stats::{Bootstrap, BootstrapMethod, Clustered, bootstrap, cluster_by};
use serde::Serialize;

use super::{Measure, has_relevant};

/// Queries of one dataset: more than people label, and little enough to compare in seconds.
pub const QUERIES_MAX: usize = 100_000;
/// Of intervals.
const CONFIDENCE: f64 = 0.95;
/// The same numbers give the same interval.
const SEED: u64 = 7;
/// Queries beyond which the resamples are fewer, so that a report takes seconds.
const MANY: usize = 5_000;

/// A query, with what should be found for it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Query {
    pub id: String,
    pub text: String,
    pub relevant: Vec<(String, f64)>,
    /// Queries that are not independent share one; none for the query itself.
    pub cluster: Option<String>,
}

/// What one retriever found for one query, or why it found nothing.
pub type Ranked = Result<Vec<String>, String>;

/// A mean over queries, with its interval of 95 % (BCa bootstrap, clusters whole).
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    pub measure: String,
    pub mean: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    pub n: usize,
}

/// One retriever over a dataset.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    pub queries: usize,
    /// Counted in the figures.
    pub scored: usize,
    /// Queries that name nothing relevant: no measure is defined for them.
    pub without_relevant: usize,
    /// Queries that the retriever did not answer; they are in no figure.
    pub errors: usize,
    /// The first few of them: query and reason.
    pub error_examples: Vec<(String, String)>,
    pub figures: Vec<Figure>,
    /// Relevant to a query, and not found for it at all: the first few (query, id).
    pub never_found: Vec<(String, String)>,
}

/// Examples in a report: enough to look at.
const EXAMPLES_MAX: usize = 10;

/// Measures rankings. `rankings[i]` is of `queries[i]`.
pub fn report(queries: &[Query], rankings: &[Ranked], ks: &[usize]) -> Report {
    let pairs: Vec<(&Query, &Ranked)> = queries.iter().zip(rankings).collect();
    let has = |query: &Query| has_relevant(&query.relevant);
    let scored: Vec<(&Query, &Vec<String>)> = pairs
        .iter()
        .filter(|(query, _)| has(query))
        .filter_map(|(query, ranked)| Some((*query, ranked.as_ref().ok()?)))
        .collect();
    let figure = |measure: Measure| {
        let value = |(query, ranking): &(&Query, &Vec<String>)| {
            Some((cluster(query), measure.of(ranking, &query.relevant)?))
        };
        figure(measure.name(), &cluster_by(scored.iter().filter_map(value)))
    };
    let failed =
        pairs.iter().filter_map(|(query, ranked)| Some((query.id.clone(), ranked.as_ref().err()?.clone())));
    let missed = scored.iter().flat_map(|(query, ranking)| {
        let is_missed = |(id, grade): &&(String, f64)| *grade > 0.0 && !ranking.contains(id);
        query.relevant.iter().filter(is_missed).map(|(id, _)| (query.id.clone(), id.clone()))
    });
    Report {
        queries: queries.len(),
        scored: scored.len(),
        without_relevant: queries.iter().filter(|query| !has(query)).count(),
        errors: rankings.iter().filter(|ranked| ranked.is_err()).count(),
        error_examples: failed.take(EXAMPLES_MAX).collect(),
        figures: Measure::all(ks).into_iter().map(figure).collect(),
        never_found: missed.take(EXAMPLES_MAX).collect(),
    }
}

fn cluster(query: &Query) -> String {
    query.cluster.clone().unwrap_or_else(|| query.id.clone())
}

fn figure(measure: String, values: &[Clustered]) -> Figure {
    let n = values.len();
    let mean = (n > 0).then(|| values.iter().map(|one| one.value).sum::<f64>() / n as f64);
    let (ci_low, ci_high) = interval(values).map_or((None, None), |(low, high)| (Some(low), Some(high)));
    Figure { measure, mean, ci_low, ci_high, n }
}

/// None with fewer than two independent queries, and where all values are the same: an interval without width says too much.
fn interval(values: &[Clustered]) -> Option<(f64, f64)> {
    let resamples = if values.len() > MANY { 1_000 } else { 9_999 };
    let options = Bootstrap { method: BootstrapMethod::Bca, resamples, confidence: CONFIDENCE, seed: SEED };
    let found = bootstrap(values, &options).ok()?;
    (found.low.is_finite() && found.high.is_finite()).then_some((found.low, found.high))
}

/// How the second retriever stands to the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// The whole interval is above 0.
    Better,
    /// The whole interval is below 0.
    Worse,
    /// Every query has the same value by both.
    Same,
    /// The interval holds 0: these queries do not tell them apart.
    NotToldApart,
}

impl Stand {
    pub const fn as_str(self) -> &'static str {
        match self {
            Stand::Better => "better",
            Stand::Worse => "worse",
            Stand::Same => "same",
            Stand::NotToldApart => "not told apart",
        }
    }
}

/// One measure of two retrievers, over the queries that both answered.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Compared {
    pub measure: String,
    pub first: f64,
    pub second: f64,
    /// Second minus first, with its interval of 95 % (paired BCa bootstrap, clusters whole).
    pub difference: f64,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    pub n: usize,
    pub stand: Stand,
}

/// Two retrievers, query by query.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// Queries that both answered and for which something is relevant.
    pub queries: usize,
    pub measures: Vec<Compared>,
    /// Where the second is furthest behind by the first `ndcg`, worst first: query, first, second.
    pub lost: Vec<(String, f64, f64)>,
}

/// Compares `second` with `first`; both are rankings of `queries`.
pub fn compare(queries: &[Query], first: &[Ranked], second: &[Ranked], ks: &[usize]) -> Comparison {
    let both: Vec<(&Query, &Vec<String>, &Vec<String>)> = queries
        .iter()
        .zip(first.iter().zip(second))
        .filter(|(query, _)| has_relevant(&query.relevant))
        .filter_map(|(query, (first, second))| Some((query, first.as_ref().ok()?, second.as_ref().ok()?)))
        .collect();
    let values = |measure: Measure| -> Vec<(&Query, f64, f64)> {
        let of = |(query, first, second): &(&'_ Query, &Vec<String>, &Vec<String>)| {
            (measure.of(first, &query.relevant), measure.of(second, &query.relevant))
        };
        both.iter()
            .filter_map(|one| {
                let (first, second) = of(one);
                Some((one.0, first?, second?))
            })
            .collect()
    };
    let mut lost: Vec<(String, f64, f64)> = ks
        .iter()
        .max()
        .map(|k| values(Measure::Ndcg(*k)))
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, first, second)| second < first)
        .map(|(query, first, second)| (query.id.clone(), first, second))
        .collect();
    lost.sort_by(|a, b| (a.2 - a.1).total_cmp(&(b.2 - b.1)).then_with(|| a.0.cmp(&b.0)));
    lost.truncate(EXAMPLES_MAX);
    let measures = Measure::all(ks).into_iter().filter_map(|measure| compared(measure, &values(measure)));
    Comparison { queries: both.len(), measures: measures.collect(), lost }
}

fn compared(measure: Measure, values: &[(&Query, f64, f64)]) -> Option<Compared> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = |of: &dyn Fn(&(&Query, f64, f64)) -> f64| values.iter().map(of).sum::<f64>() / n as f64;
    let (first, second) = (mean(&|one| one.1), mean(&|one| one.2));
    let differences =
        cluster_by(values.iter().map(|(query, first, second)| (cluster(query), second - first)));
    let found = interval(&differences);
    let stand = match found {
        Some((low, _)) if low > 0.0 => Stand::Better,
        Some((_, high)) if high < 0.0 => Stand::Worse,
        _ if values.iter().all(|(_, first, second)| first == second) => Stand::Same,
        _ => Stand::NotToldApart,
    };
    let (ci_low, ci_high) = found.map_or((None, None), |(low, high)| (Some(low), Some(high)));
    Some(Compared {
        measure: measure.name(),
        first,
        second,
        difference: second - first,
        ci_low,
        ci_high,
        n,
        stand,
    })
}

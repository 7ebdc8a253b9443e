//! Statistics of evaluations: tests of paired scores, intervals, agreement of judges, ranking measures, and what a release gate
//! decides.
//!
//! Functions of plain values: no clock, no store, no network, and chance only from a seed that is handed in, so that the same
//! numbers give the same answer everywhere. No input makes them panic: what cannot be computed is a [`StatsError`].
//!
//! A difference is **second minus first**, candidate minus baseline, and higher is better; the caller turns a measure round where
//! lower is better. Cases that belong together (repeats of one case, turns of one conversation) share a `cluster`, and whatever
//! takes [`Clustered`] values treats a cluster as one observation. What a gate makes of it: [`gate`], and
//! `docs/adr/0015-what-a-gate-decides.md`.

mod bootstrap;
mod check;
mod clusters;
mod correlation;
mod distributions;
mod error;
pub mod gate;
mod intervals;
mod judge;
mod kappa;
mod mcnemar;
mod multiplicity;
pub mod operating;
mod power;
mod ranking;
mod ranks;
mod rng;
mod trend;
mod wilcoxon;

#[cfg(test)]
mod any_input;

pub use bootstrap::{Bootstrap, BootstrapMethod, bootstrap};
pub use clusters::{Clustered, cluster_by, paired_differences, unclustered};
pub use correlation::{Correlation, CorrelationMethod, kendall, pearson, spearman};
pub use error::{Column, StatsError};
pub use gate::{
    Bound, NonInferiority, Outcome, SeedVerdict, Sequential, SequentialLook, Verdict, decide_together, floor,
    non_inferiority, seed_rule,
};
pub use intervals::{Interval, MeanDifference, clopper_pearson, mean_difference, paired_sd, wilson};
pub use judge::{Agreement, JudgeVerdict, Requirement, judge_allowed};
pub use kappa::{Kappa, Weights, categories, cohen_kappa, kappa_bootstrap};
pub use mcnemar::{Mcnemar, McnemarMethod, mcnemar, mcnemar_counts};
pub use multiplicity::{benjamini_hochberg, holm};
pub use power::{cases_needed, minimum_detectable_effect};
pub use ranking::{
    Relevance, average_precision, context_precision, hit_at, mrr, ndcg_at, precision_at, recall_at,
    reciprocal_rank,
};
pub use rng::Rng;
pub use trend::{Trend, TrendPoint, trend_drop};
pub use wilcoxon::{Alternative, Method, Options, Wilcoxon, Zeros, wilcoxon};

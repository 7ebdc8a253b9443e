//! Evals: suites and their cases, scorers, judges, the runner, gates, and what is told of all of it.
//!
//! Nothing here talks to a model by itself: every call goes through a [`Runner`](gauntlet_ports::Runner), which is the
//! gateway, and every row that is kept through an [`EvalStore`](gauntlet_ports::EvalStore).

pub mod calibrate;
pub mod case;
pub mod dataset;
pub mod embed;
pub mod gate;
pub mod golden;
pub mod hash;
pub mod judge;
pub mod metrics;
pub mod mistake;
pub mod retrieval;
pub mod rotate;
pub mod run;
pub mod score;
pub mod scorer;
pub mod select;
pub mod suite;
pub mod template;
pub mod when;

mod report;
mod tree;

pub use case::Case;
pub use mistake::Mistake;
pub use report::MISTAKES_MAX;
pub use scorer::{Asker, JudgeCache, Scored, Scorer, Seen, Waits};
pub use suite::{BaselineSpec, GateSpec, JudgeSpec, MetricSpec, Suite, TrendSpec};

//! Evals: suites and their cases, scorers, judges, the runner, gates, and what is told of all of it.
//!
//! Nothing here talks to a model by itself: every call goes through a [`Runner`](gauntlet_ports::Runner), which is the
//! gateway, and every row that is kept through an [`EvalStore`](gauntlet_ports::EvalStore).

pub mod case;
pub mod delta;
pub mod mistake;
pub mod scorer;
pub mod suite;

pub use case::Case;
pub use mistake::Mistake;
pub use scorer::{Asker, JudgeCache, Scored, Scorer, Seen};
pub use suite::{BaselineSpec, GateSpec, JudgeSpec, MetricSpec, Suite, TrendSpec};

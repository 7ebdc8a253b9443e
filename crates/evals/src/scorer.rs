//! What every scorer is, deterministic or a judge.

use futures_util::future::BoxFuture;
use gauntlet_ports::{Direction, JudgeKey, Judged, Runner, Score, Told};
use gauntlet_types::{Name, NanoUsd};

use crate::Case;

/// An answer to be scored.
#[derive(Debug)]
pub struct Seen<'a> {
    pub case: &'a Case,
    /// The words of the answer.
    pub text: &'a str,
    /// The whole of it: tools called, finish reason, cost, latency, the guards' decision.
    pub told: &'a Told,
    /// SHA-256 of the output, hexadecimal: part of the key of a judge's answer.
    pub output_hash: &'a str,
}

/// A score, with what finding it took.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scored {
    pub score: Score,
    /// Of judges' and embeddings' calls that were made.
    pub cost: NanoUsd,
    pub calls: u32,
    /// Answers that were known already.
    pub cached: u32,
}

/// Asks judges and embeddings for a scorer, through the cache of what they answered before.
pub struct Asker<'a> {
    pub runner: &'a dyn Runner,
    pub cache: &'a dyn JudgeCache,
    pub eval_id: Name,
    pub app_sha: Option<Name>,
}

/// Judges' answers that are known. Both fail open: an answer that cannot be looked up is asked for.
pub trait JudgeCache: Send + Sync {
    fn get<'a>(&'a self, key: &'a JudgeKey) -> BoxFuture<'a, Option<Judged>>;
    fn put(&self, judged: Judged) -> BoxFuture<'_, ()>;
}

/// One metric of a suite, ready to score. A scorer never fails a run: what it cannot score is unscored, and says why.
pub trait Scorer: Send + Sync {
    /// The metric's name in the suite.
    fn metric(&self) -> &Name;
    /// Which formula: `ragas/0.4:faithfulness`.
    fn implementation(&self) -> &str;
    fn direction(&self) -> Direction;
    /// Judge and embedding calls that one answer takes at most: for the estimate before a run.
    fn calls_max(&self) -> u32 {
        0
    }
    /// Whether this metric is asked of the case at all; where it is not, there is no score, and none is missed.
    fn applies(&self, _case: &Case) -> bool {
        true
    }
    /// What a case lacks to be scored by this: told with its line before anything is asked.
    fn lacks(&self, case: &Case) -> Option<String>;
    fn score<'a>(&'a self, seen: &'a Seen<'a>, asker: &'a Asker<'a>) -> BoxFuture<'a, Scored>;
}

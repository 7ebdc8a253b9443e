//! What every scorer is, deterministic or a judge.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures_util::future::BoxFuture;
use gauntlet_ports::{Direction, JudgeKey, Judged, Runner, Score, Told};
use gauntlet_types::{Name, NanoUsd};

use crate::{Case, judge::Forms};

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
    /// In which form each judge is asked; learnt by the first question of a run, and known to all metrics.
    pub forms: Arc<Forms>,
    pub waits: Arc<Waits>,
}

/// Whether a scorer waits for its turn behind others: time that is not its own, and that no limit of its own counts.
#[derive(Default, Debug)]
pub struct Waits(AtomicUsize);

impl Waits {
    /// Waits for `turn`, and says so meanwhile.
    pub async fn during<T>(&self, turn: impl Future<Output = T>) -> T {
        /// Also where the wait is given up.
        struct Waiting<'a>(&'a Waits);

        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.0.fetch_sub(1, Relaxed);
            }
        }

        self.0.fetch_add(1, Relaxed);
        let _waiting = Waiting(self);
        turn.await
    }

    pub fn is_waiting(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
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

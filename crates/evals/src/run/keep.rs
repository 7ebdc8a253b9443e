//! Keeps results while others are made: in batches, one under way at a time, with bounded patience.

use std::{mem, time::Duration};

use futures_util::future::BoxFuture;
use gauntlet_ports::{EvalResult, EvalRun};

use super::RunError;

/// Where a run and its results go. Both replace what is known of the same run, case and repeat.
pub trait Sink: Send + Sync {
    fn run<'a>(&'a self, run: &'a EvalRun) -> BoxFuture<'a, Result<(), String>>;
    /// At most [`gauntlet_ports::EVAL_BATCH_MAX`].
    fn results<'a>(&'a self, results: &'a [EvalResult]) -> BoxFuture<'a, Result<(), String>>;
}

/// A batch: a few hundred kilobytes of answers, and what a crash loses at most besides the last two seconds.
const BATCH: usize = 50;
/// Results that wait while the sink is slow; at more no case begins.
const WAITING_MAX: usize = 500;
/// A store that is busy for a moment is waited for; one that is gone is not.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Keeper<'a> {
    sink: &'a dyn Sink,
    waiting: Vec<EvalResult>,
    under_way: Option<BoxFuture<'a, Result<Vec<EvalResult>, String>>>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(sink: &'a dyn Sink) -> Keeper<'a> {
        Keeper { sink, waiting: Vec::new(), under_way: None }
    }

    pub(super) fn add(&mut self, result: EvalResult) {
        self.waiting.push(result);
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= BATCH
    }

    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins to keep what waits, with the run's row as it is now; nothing while a batch is under way.
    pub(super) fn push(&mut self, row: EvalRun) {
        if self.under_way.is_none() && !self.waiting.is_empty() {
            self.under_way = Some(Box::pin(keep(self.sink, mem::take(&mut self.waiting), row)));
        }
    }

    /// Drives the batch under way to its end, and gives it back. It may be dropped and called again.
    pub(super) async fn progress(&mut self) -> Result<Vec<EvalResult>, RunError> {
        let Some(batch) = &mut self.under_way else { return Ok(Vec::new()) };
        let kept = batch.await;
        self.under_way = None;
        kept.map_err(RunError::NotKept)
    }

    pub(super) async fn row(&self, row: &EvalRun) -> Result<(), RunError> {
        keep(self.sink, Vec::new(), row.clone()).await.map(drop).map_err(RunError::NotKept)
    }

    /// Keeps all that waits and the row, to the end.
    pub(super) async fn finish(&mut self, row: &EvalRun) -> Result<(), RunError> {
        self.progress().await?;
        let waiting = mem::take(&mut self.waiting);
        keep(self.sink, waiting, row.clone()).await.map(drop).map_err(RunError::NotKept)
    }
}

/// Results first: a row that says more than there is would be believed.
async fn keep(sink: &dyn Sink, results: Vec<EvalResult>, row: EvalRun) -> Result<Vec<EvalResult>, String> {
    let mut left = TRIES;
    loop {
        let kept = async {
            for batch in results.chunks(gauntlet_ports::EVAL_BATCH_MAX) {
                sink.results(batch).await?;
            }
            sink.run(&row).await
        };
        left -= 1;
        match kept.await {
            Ok(()) => return Ok(results),
            Err(why) if left == 0 => return Err(why),
            Err(_) => tokio::time::sleep(PAUSE * (TRIES - left)).await,
        }
    }
}

//! The face of the running drainer: what may be asked of it, and what it says of itself.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{JoinHandle, Thread},
    time::Duration,
};

use gauntlet_types::CallRecord;

use crate::{
    error::TraceError,
    prometheus::Gauge,
    spool::{FileSpool, Tail},
};

const SUBSCRIBERS_MAX: usize = 64;

/// The running drainer. Dropped without [`DrainerHandle::stop`], the thread ends and leaves the rest in the spool.
pub struct DrainerHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) subscriber_records: usize,
    pub(super) thread: Thread,
    pub(super) join: Option<JoinHandle<()>>,
}

impl DrainerHandle {
    /// Registers a spool of this process, so that it is read without looking at the file system.
    pub fn follow(&self, spool: &FileSpool) {
        lock(&self.shared.wishes).tails.push(spool.tail());
        self.thread.unpark();
    }

    /// Waits until everything written before this call is in the store.
    pub fn flush(&self, timeout: Duration) -> Result<(), TraceError> {
        let mut wishes = lock(&self.shared.wishes);
        wishes.flush_asked += 1;
        let mine = wishes.flush_asked;
        self.thread.unpark();
        let (wishes, _) = self
            .shared
            .flushed
            .wait_timeout_while(wishes, timeout, |wishes| wishes.flush_done < mine)
            .unwrap_or_else(PoisonError::into_inner);
        if wishes.flush_done >= mine {
            return Ok(());
        }
        Err(TraceError::NotDrained { waiting_bytes: self.shared.bytes_waiting.load(Ordering::Relaxed) })
    }

    /// Stores what is there, once, and ends the thread. What the store does not take stays in the spool.
    pub fn stop(mut self) -> Result<(), TraceError> {
        lock(&self.shared.wishes).is_stopping = true;
        self.thread.unpark();
        let ended = self.join.take().is_none_or(|join| join.join().is_ok());
        let stats = self.stats();
        if ended && !stats.store_failing {
            return Ok(());
        }
        Err(TraceError::NotDrained { waiting_bytes: stats.spool_bytes_waiting })
    }

    pub fn stats(&self) -> DrainerStats {
        let mut stats = lock(&self.shared.stats).clone();
        stats.tail_dropped = self.shared.tail_dropped.load(Ordering::Relaxed);
        if self.join.as_ref().is_some_and(JoinHandle::is_finished) {
            // Only a panic within the store ends it early. Records wait in the spool for the next start.
            stats.store_failing = true;
            stats.last_error = Some("the drainer's thread has died".to_owned());
        }
        stats
    }

    /// Every record from now on, as it is stored; one that does not keep up misses some. None when too many listen.
    pub fn subscribe(&self) -> Option<Receiver<Arc<CallRecord>>> {
        let mut subscribers = lock(&self.shared.subscribers);
        if subscribers.len() >= SUBSCRIBERS_MAX {
            return None;
        }
        let (sender, receiver) = sync_channel(self.subscriber_records);
        subscribers.push(sender);
        Some(receiver)
    }
}

impl Drop for DrainerHandle {
    fn drop(&mut self) {
        self.shared.is_abandoned.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Figures since the start, for metrics and `doctor`.
#[derive(Clone, Default, Debug)]
pub struct DrainerStats {
    /// Records that were new to the store.
    pub records_stored: u64,
    pub batches: u64,
    /// In the spool, not in the store.
    pub spool_bytes_waiting: u64,
    pub segments: u64,
    pub store_failing: bool,
    pub store_failures: u64,
    pub last_error: Option<String>,
    pub damaged_bytes: u64,
    pub torn: u64,
    pub unreadable: u64,
    /// Records that subscribers were too slow for.
    pub tail_dropped: u64,
}

impl DrainerStats {
    pub fn gauges(&self) -> Vec<Gauge<'static>> {
        let gauge = |name, value: u64| Gauge { name, labels: &[], value: value as f64 };
        vec![
            gauge("gauntlet_spool_bytes_waiting", self.spool_bytes_waiting),
            gauge("gauntlet_spool_segments", self.segments),
            gauge("gauntlet_spool_damaged_bytes", self.damaged_bytes),
            gauge("gauntlet_store_failing", u64::from(self.store_failing)),
            gauge("gauntlet_store_failures", self.store_failures),
            gauge("gauntlet_records_stored", self.records_stored),
            gauge("gauntlet_tail_records_dropped", self.tail_dropped),
        ]
    }
}

/// Between the thread and its handle.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) wishes: Mutex<Wishes>,
    pub(super) flushed: Condvar,
    pub(super) is_abandoned: AtomicBool,
    pub(super) bytes_waiting: AtomicU64,
    pub(super) stats: Mutex<DrainerStats>,
    pub(super) subscribers: Mutex<Vec<SyncSender<Arc<CallRecord>>>>,
    pub(super) tail_dropped: AtomicU64,
}

#[derive(Default)]
pub(super) struct Wishes {
    pub(super) tails: Vec<Arc<Tail>>,
    pub(super) flush_asked: u64,
    pub(super) flush_done: u64,
    pub(super) is_stopping: bool,
}

/// Nothing here is left half done by a panic: plain values, replaced whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

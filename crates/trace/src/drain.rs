//! Moves records from the spool into the trace store, in batches, on a thread of its own.
//!
//! It may lag, it may not lose: a segment is removed only when it grows no more, all of it is in the store, and every
//! call opened in it has been closed. While the store fails, one batch is held in memory and everything else stays in
//! the segments. The store ignores records that it knows, so a repeat after a crash changes nothing.
//!
//! Segments may be removed out of order (a long call keeps the one it was opened in). If the process then dies, recovery
//! finds that call's `open`, perhaps without the `close` that was stored and removed; here too the store knows its id.

mod handle;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering, mpsc::TrySendError},
    thread,
    time::Duration,
};

use gauntlet_ports::{SpoolPosition, StoreError, TraceStore};

use crate::{
    error::TraceError,
    export::Exporters,
    follow::{Batch, Damage, Follower},
    segment,
};

pub use handle::{DrainerHandle, DrainerStats};
use handle::{Shared, lock};

#[derive(Clone, Copy, Debug)]
pub struct DrainerConfig {
    /// SQLite's cost a row stops falling here (research: batches of 500).
    pub batch_records: usize,
    /// Bounds memory when bodies are large.
    pub batch_bytes: usize,
    /// How long a record may wait for company.
    pub linger: Duration,
    /// How often an idle drainer looks: a look is a few loads of memory, so fifty a second are nothing.
    pub poll: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// Records that a slow subscriber may fall behind before it misses some.
    pub subscriber_records: usize,
}

impl Default for DrainerConfig {
    fn default() -> Self {
        DrainerConfig {
            batch_records: 500,
            batch_bytes: 4 << 20,
            linger: Duration::from_millis(50),
            poll: Duration::from_millis(20),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            subscriber_records: 1024,
        }
    }
}

/// Unregistered spools (none in a normal process) are looked for this many polls apart: about once a second.
const POLLS_PER_SCAN: u32 = 50;

/// Moves records into a store; see the module.
pub struct Drainer {
    dir: PathBuf,
    store: Arc<dyn TraceStore>,
    config: DrainerConfig,
    shared: Arc<Shared>,
    followers: BTreeMap<String, Follower>,
    /// Where the store stood when this began.
    starts: HashMap<String, (u64, u64)>,
    /// How many of the registered spools are followed already.
    tails_seen: usize,
    batch: Batch,
    exporters: Option<Arc<Exporters>>,
    /// Records of the batch that the exporters have.
    exported: usize,
    /// How long the oldest record of the batch has waited, in time slept.
    waited: Duration,
    polls: u32,
    /// The last look met a segment that could not be read.
    is_blocked: bool,
    backoff: Duration,
    damage: Damage,
}

impl Drainer {
    /// Starts following the segments of `dir`. Spools of this process are registered with [`DrainerHandle::follow`].
    pub fn start(
        dir: &Path,
        store: Arc<dyn TraceStore>,
        config: DrainerConfig,
    ) -> Result<DrainerHandle, TraceError> {
        Drainer::start_with(dir, store, config, None)
    }

    /// The same, handing each record to `exporters` before it goes into the store.
    pub fn start_with(
        dir: &Path,
        store: Arc<dyn TraceStore>,
        config: DrainerConfig,
        exporters: Option<Arc<Exporters>>,
    ) -> Result<DrainerHandle, TraceError> {
        let shared = Arc::new(Shared::default());
        let drainer = Drainer {
            dir: dir.to_owned(),
            store,
            config,
            shared: Arc::clone(&shared),
            followers: BTreeMap::new(),
            starts: HashMap::new(),
            tails_seen: 0,
            batch: Batch {
                records_max: config.batch_records,
                bytes_max: config.batch_bytes,
                ..Batch::default()
            },
            exporters,
            exported: 0,
            waited: Duration::ZERO,
            polls: 0,
            is_blocked: false,
            backoff: config.backoff_min,
            damage: Damage::default(),
        };
        let join = thread::Builder::new()
            .name("drainer".into())
            .spawn(move || drainer.run())
            .map_err(|source| TraceError::io("start the drainer of", dir, source))?;
        let subscriber_records = config.subscriber_records;
        Ok(DrainerHandle { shared, subscriber_records, thread: join.thread().clone(), join: Some(join) })
    }

    fn run(mut self) {
        let mut flush: Option<Flush> = None;
        let mut is_started = false;
        while !self.shared.is_abandoned.load(Ordering::Acquire) {
            let is_stopping = self.hear_wishes(&mut flush);
            if !is_started {
                is_started = self.learn_positions();
                if !is_started {
                    if is_stopping {
                        return;
                    }
                    self.back_off();
                    continue;
                }
            }
            let is_pressed = is_stopping || flush.is_some();
            let is_more = self.gather(is_pressed);
            let is_due = is_more || is_pressed || self.waited >= self.config.linger || self.batch.is_full();
            if self.batch.is_empty() {
                self.let_go();
            } else if is_due {
                match self.hand_over() {
                    Ok(()) => self.backoff = self.config.backoff_min,
                    // Everything stays in the spool for the next start.
                    Err(_) if is_stopping => return,
                    Err(_) => {
                        self.back_off();
                        continue;
                    }
                }
            }
            if let Some(asked) =
                flush.take_if(|flush| (!is_more && !self.is_blocked) || flush.is_reached(&self.followers))
            {
                self.report();
                let mut wishes = lock(&self.shared.wishes);
                wishes.flush_done = wishes.flush_done.max(asked.number);
                self.shared.flushed.notify_all();
            }
            if is_stopping && !is_more {
                self.report();
                return;
            }
            if !is_more && (!is_pressed || self.is_blocked) {
                self.report();
                thread::park_timeout(self.config.poll);
                self.waited += if self.batch.is_empty() { Duration::ZERO } else { self.config.poll };
            }
        }
    }

    /// Picks up new spools, a flush that was asked for, and whether to stop.
    fn hear_wishes(&mut self, flush: &mut Option<Flush>) -> bool {
        let wishes = lock(&self.shared.wishes);
        for tail in &wishes.tails[self.tails_seen..] {
            let start = self.starts.get(&tail.worker).copied();
            let follower = self
                .followers
                .entry(tail.worker.clone())
                .or_insert_with(|| Follower::new(&tail.worker, start));
            follower.tail = Some(Arc::clone(tail));
        }
        self.tails_seen = wishes.tails.len();
        if flush.is_none() && wishes.flush_asked > wishes.flush_done {
            let ends = wishes.tails.iter().map(|tail| (tail.worker.clone(), tail.read())).collect();
            *flush = Some(Flush { number: wishes.flush_asked, ends });
        }
        wishes.is_stopping
    }

    fn learn_positions(&mut self) -> bool {
        match self.store.spool_positions() {
            Ok(positions) => {
                self.starts = positions
                    .into_iter()
                    .map(|place| (place.worker, (place.segment, place.offset)))
                    .collect();
                for follower in self.followers.values_mut() {
                    follower.start_at(self.starts.get(&follower.worker).copied());
                }
                true
            }
            Err(error) => {
                self.note_failure(&error);
                false
            }
        }
    }

    /// Reads what is there; true if the batch is full before all was read.
    fn gather(&mut self, is_pressed: bool) -> bool {
        let is_stale = self.followers.values().any(Follower::is_folder_stale);
        if is_stale || is_pressed || self.polls == 0 {
            if let Err(error) = self.scan() {
                tracing::warn!(path = %self.dir.display(), %error, "cannot read the spool's folder");
            }
            self.polls = POLLS_PER_SCAN;
        }
        self.polls -= 1;
        let before = self.damage;
        let mut is_more = false;
        let was_blocked = std::mem::take(&mut self.is_blocked);
        for follower in self.followers.values_mut() {
            follower.look();
            match follower.read(&mut self.batch, &mut self.damage) {
                Ok(is_cut) => is_more |= is_cut,
                Err(error) => {
                    self.is_blocked = true;
                    // Said once, not with every look.
                    if !was_blocked {
                        tracing::error!(worker = follower.worker, %error, "cannot read a spool segment; trying on");
                    }
                }
            }
        }
        let damaged = self.damage.bytes - before.bytes;
        if damaged > 0 {
            tracing::error!(path = %self.dir.display(), bytes = damaged, "the spool is damaged; its segment is put aside");
        }
        is_more
    }

    fn scan(&mut self) -> io::Result<()> {
        for name in segment::list(&self.dir)? {
            let start = self.starts.get(&name.worker).copied();
            let follower = self
                .followers
                .entry(name.worker.clone())
                .or_insert_with(|| Follower::new(&name.worker, start));
            follower.add(&self.dir, &name);
        }
        self.followers.retain(|_, follower| !follower.is_empty());
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), StoreError> {
        let positions: Vec<SpoolPosition> = self.followers.values().filter_map(Follower::position).collect();
        gauntlet_ports::crash_point!("drain.read");
        // Workers' spools are read one after the other; lists go by the order in which calls ended.
        self.batch.calls[self.exported..]
            .sort_by_key(|call| call.record.started.plus(Duration::from_micros(call.record.latency_us)));
        if let Some(exporters) = &self.exporters {
            // A batch that the store refuses comes again, perhaps longer.
            exporters.put(&self.batch.calls[self.exported..]);
            self.exported = self.batch.calls.len();
        }
        let new = match self.store.append(self.batch.arrived(), &positions) {
            Ok(new) => new,
            Err(error) => {
                self.note_failure(&error);
                return Err(error);
            }
        };
        gauntlet_ports::crash_point!("drain.stored");
        {
            let mut stats = lock(&self.shared.stats);
            if std::mem::take(&mut stats.store_failing) {
                tracing::info!("the trace store takes records again");
            }
            stats.records_stored += new as u64;
            stats.batches += 1;
            stats.last_error = None;
        }
        self.publish();
        self.batch.clear();
        self.exported = 0;
        self.waited = Duration::ZERO;
        self.let_go();
        Ok(())
    }

    /// Shows the batch to live tails: only now, so that whatever they show can be looked up.
    fn publish(&mut self) {
        let mut subscribers = lock(&self.shared.subscribers);
        if subscribers.is_empty() {
            return;
        }
        for call in self.batch.calls.drain(..) {
            let record = Arc::new(call.record);
            subscribers.retain(|subscriber| match subscriber.try_send(Arc::clone(&record)) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    self.shared.tail_dropped.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            });
        }
    }

    fn let_go(&mut self) {
        for follower in self.followers.values_mut() {
            follower.stored();
        }
    }

    fn note_failure(&self, error: &StoreError) {
        let mut stats = lock(&self.shared.stats);
        if !std::mem::replace(&mut stats.store_failing, true) {
            tracing::error!(error = chain(error), "the trace store fails; records wait in the spool");
        }
        stats.store_failures += 1;
        stats.last_error = Some(chain(error));
    }

    fn back_off(&mut self) {
        self.report();
        thread::park_timeout(self.backoff);
        self.backoff = (self.backoff * 2).min(self.config.backoff_max);
        for follower in self.followers.values_mut() {
            follower.look();
        }
    }

    fn report(&self) {
        let waiting = self.followers.values().map(Follower::bytes_waiting).sum();
        self.shared.bytes_waiting.store(waiting, Ordering::Relaxed);
        let mut stats = lock(&self.shared.stats);
        stats.spool_bytes_waiting = waiting;
        stats.segments = self.followers.values().map(|follower| follower.segments() as u64).sum();
        stats.damaged_bytes = self.damage.bytes;
        stats.torn = self.damage.torn;
        stats.unreadable = self.damage.unreadable;
    }
}

/// A flush under way, and where each spool ended when it was asked for: under steady load "all read" may never come.
struct Flush {
    number: u64,
    ends: Vec<(String, (u64, u64))>,
}

impl Flush {
    fn is_reached(&self, followers: &BTreeMap<String, Follower>) -> bool {
        self.ends
            .iter()
            .all(|(worker, end)| followers.get(worker).is_none_or(|follower| follower.read_to() >= *end))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

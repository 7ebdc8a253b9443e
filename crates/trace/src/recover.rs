//! Before serving: brings what a dead process left in the spool into the store, and settles its calls in flight.
//!
//! Everything here may be cut off at any point and done again: positions spare what the store has, the store ignores
//! records that it knows, and segments go last. So a call is charged once, however often recovery runs.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use bytes::Bytes;
use gauntlet_ports::{Arrived, SpoolPosition, StoredCall, TraceStore};
use gauntlet_types::{CallId, CallRecord, Code, Outcome, Timestamp};

use crate::{
    drain::DrainerConfig,
    error::TraceError,
    export::Exporters,
    follow::Batch,
    segment::{self, Entry, HEADER_BYTES, Kind, Reach, SegmentName, Step, Walk},
};

/// An interrupted call is given the time until now, but a machine that was off for a week did not make it a week long.
pub const INTERRUPTED_LATENCY_MAX: Duration = Duration::from_secs(600);

/// What recovery found and did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Recovered {
    /// Final records and spans that were new to the store.
    pub replayed: usize,
    /// Calls in flight that were new to the store, now recorded as interrupted.
    pub interrupted: usize,
    /// Segments that end within an entry: the write that the process died in.
    pub torn: usize,
    /// Bytes that could not be read; their segments are put aside as `*.seg.damaged`.
    pub damaged_bytes: u64,
    /// Bytes of all segments.
    pub bytes: u64,
}

/// Brings the segments of `dir` into the store and removes them. To be called before any spool of `dir` is opened.
///
/// Errors leave everything in place for the next try.
pub fn recover(dir: &Path, store: &dyn TraceStore, now: Timestamp) -> Result<Recovered, TraceError> {
    recover_with(dir, store, now, None)
}

/// The same, handing each record to `exporters` before it goes into the store.
pub fn recover_with(
    dir: &Path,
    store: &dyn TraceStore,
    now: Timestamp,
    exporters: Option<&Exporters>,
) -> Result<Recovered, TraceError> {
    let found = if dir.exists() { replay_all(dir, store, now, exporters)? } else { Recovered::default() };
    // The positions belong to files that are gone. New files are numbered by the clock: had it been set back, they would
    // pass for stored already.
    let stale: Vec<SpoolPosition> = store
        .spool_positions()
        .map_err(|source| store_error(dir, source))?
        .into_iter()
        .filter(|place| place.segment > 0)
        .map(|place| SpoolPosition { segment: 0, offset: 0, ..place })
        .collect();
    gauntlet_ports::crash_point!("recover.positions");
    if !stale.is_empty() {
        store.append(Arrived::default(), &stale).map_err(|source| store_error(dir, source))?;
    }
    Ok(found)
}

fn replay_all(
    dir: &Path,
    store: &dyn TraceStore,
    now: Timestamp,
    exporters: Option<&Exporters>,
) -> Result<Recovered, TraceError> {
    let names =
        segment::list(dir).map_err(|source| TraceError::io("read the spool's folder", dir, source))?;
    if names.is_empty() {
        return Ok(Recovered::default());
    }
    let positions = store.spool_positions().map_err(|source| store_error(dir, source))?;
    let limits = DrainerConfig::default();
    let mut recovery = Recovery {
        dir,
        store,
        exporters,
        stored: positions.into_iter().map(|place| (place.worker, (place.segment, place.offset))).collect(),
        in_flight: HashMap::new(),
        damaged: vec![false; names.len()],
        batch: Batch { records_max: limits.batch_records, bytes_max: limits.batch_bytes, ..Batch::default() },
        found: Recovered::default(),
    };
    for (at, name) in names.iter().enumerate() {
        recovery.replay(at, name)?;
    }
    recovery.interrupt(now)?;
    for (name, is_damaged) in names.iter().zip(recovery.damaged) {
        let path = name.path(dir);
        gauntlet_ports::crash_point!("recover.removing");
        segment::retire(&path, is_damaged).map_err(|source| TraceError::io("remove", &path, source))?;
    }
    Ok(recovery.found)
}

struct Recovery<'a> {
    dir: &'a Path,
    store: &'a dyn TraceStore,
    exporters: Option<&'a Exporters>,
    stored: HashMap<String, (u64, u64)>,
    /// Each call opened and not closed: which of the segments, and the record as it was written.
    in_flight: HashMap<CallId, (usize, Vec<u8>)>,
    /// By segment: whether it holds something that could not be read.
    damaged: Vec<bool>,
    batch: Batch,
    found: Recovered,
}

impl Recovery<'_> {
    fn replay(&mut self, at: usize, name: &SegmentName) -> Result<(), TraceError> {
        let path = name.path(self.dir);
        let bytes = fs::read(&path).map_err(|source| TraceError::io("read", &path, source))?;
        self.found.bytes += bytes.len() as u64;
        let stored = self.stored.get(&name.worker).copied().unwrap_or((0, 0));
        let mut walk = Walk::new(Bytes::from(bytes), Reach::WholeSegment);
        loop {
            match walk.step() {
                Step::Entry(entry) => {
                    let place = (name.number, walk.at() as u64);
                    self.take(at, entry, place <= stored);
                    if self.batch.is_full() {
                        self.hand_over(name, place.1)?;
                    }
                }
                Step::Damaged(count) => {
                    self.found.damaged_bytes += count as u64;
                    self.damaged[at] = true;
                }
                Step::Torn(_) => self.found.torn += 1,
                Step::Short(_) | Step::End => break,
            }
        }
        self.hand_over(name, walk.at() as u64)
    }

    fn take(&mut self, at: usize, entry: Entry, is_stored: bool) {
        match entry.kind {
            Kind::Open => {
                self.in_flight.insert(entry.id, (at, entry.record.to_vec()));
            }
            Kind::Close => {
                self.in_flight.remove(&entry.id);
                if is_stored {
                    return;
                }
                let Some(record) = read_record(&entry.record) else {
                    self.damaged[at] = true;
                    return;
                };
                self.batch.bytes += entry.len() - HEADER_BYTES;
                self.batch.calls.push(StoredCall { record, input: entry.input, output: entry.output });
            }
            Kind::Spans if is_stored => {}
            Kind::Spans => match segment::read_spans(&entry.record) {
                Ok(mut spans) => {
                    self.batch.bytes += entry.len() - HEADER_BYTES;
                    self.batch.spans.append(&mut spans);
                }
                Err(error) => {
                    tracing::error!(%error, "spans in the spool cannot be read; their segment is kept");
                    self.damaged[at] = true;
                }
            },
        }
    }

    fn hand_over(&mut self, name: &SegmentName, offset: u64) -> Result<(), TraceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        // A position behind the one that the store has would make it forget what it has.
        let is_further = self.stored.get(&name.worker).is_none_or(|stored| (name.number, offset) > *stored);
        let position =
            is_further.then(|| SpoolPosition { worker: name.worker.clone(), segment: name.number, offset });
        let new = self.append(position.as_slice())?;
        gauntlet_ports::crash_point!("recover.replayed");
        self.found.replayed += new;
        Ok(())
    }

    fn append(&mut self, positions: &[SpoolPosition]) -> Result<usize, TraceError> {
        if let Some(exporters) = self.exporters {
            exporters.put(&self.batch.calls);
        }
        let new = self
            .store
            .append(self.batch.arrived(), positions)
            .map_err(|source| store_error(self.dir, source))?;
        self.batch.clear();
        Ok(new)
    }

    /// Records every call that was opened and never closed, at the price of what it held.
    fn interrupt(&mut self, now: Timestamp) -> Result<(), TraceError> {
        let mut left: Vec<_> = self.in_flight.drain().collect();
        left.sort();
        for (_, (at, record)) in left {
            if let Some(record) = read_record(&record) {
                let call = StoredCall {
                    record: interrupted(record, now),
                    input: Bytes::new(),
                    output: Bytes::new(),
                };
                self.batch.calls.push(call);
            } else {
                self.damaged[at] = true;
            }
            if self.batch.is_full() {
                self.found.interrupted += self.append(&[])?;
            }
        }
        if !self.batch.is_empty() {
            self.found.interrupted += self.append(&[])?;
        }
        gauntlet_ports::crash_point!("recover.interrupted");
        Ok(())
    }
}

fn interrupted(record: CallRecord, now: Timestamp) -> CallRecord {
    let elapsed = u64::try_from(now.0.saturating_sub(record.started.0)).unwrap_or(0);
    CallRecord {
        outcome: Outcome::Interrupted,
        error: Some(Code::Interrupted),
        error_message: Some(
            "the gateway ended while this call was in flight; charged what it held".to_owned(),
        ),
        cost: record.held,
        latency_us: elapsed.min(INTERRUPTED_LATENCY_MAX.as_micros() as u64),
        ..record
    }
}

fn read_record(bytes: &[u8]) -> Option<CallRecord> {
    segment::read_record(bytes)
        .inspect_err(
            |error| tracing::error!(%error, "a record in the spool cannot be read; its segment is kept"),
        )
        .ok()
}

fn store_error(dir: &Path, source: gauntlet_ports::StoreError) -> TraceError {
    TraceError::Store { path: dir.display().to_string(), source }
}

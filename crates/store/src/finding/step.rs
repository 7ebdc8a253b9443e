//! What one step adds to the index, worked out before anything is locked.

use gauntlet_ports::StoredCall;
use gauntlet_types::Timestamp;

use super::{terms, words};
use crate::traces::block::{self, BlockError};

pub(crate) struct Step {
    /// Up to where the index reached when this was read.
    pub from: i64,
    /// How often something was cut out of the store before this was read.
    pub cuts: i64,
    pub calls: Vec<Entry>,
    /// Everything up to here is in the index with it.
    pub last: i64,
}

pub(crate) struct Entry {
    pub rid: i64,
    pub started: Timestamp,
    /// As [`words::of_call`] gives them.
    pub words: String,
    pub terms: Vec<String>,
}

impl Step {
    /// `cuts` is asked for before anything is read.
    pub(crate) fn new(from: i64, cuts: i64) -> Step {
        Step { from, cuts, calls: Vec::new(), last: from }
    }

    pub(crate) fn has_room(&self, limit: u32) -> bool {
        self.calls.len() < limit.max(1) as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last <= self.from
    }

    /// Takes the block that follows.
    pub(crate) fn add(&mut self, first: i64, enc: &str, body: &[u8]) {
        match block::unpack_all::<StoredCall>(enc, body, false) {
            Ok(calls) => {
                self.last = first + calls.len() as i64 - 1;
                let kept = (first..).zip(&calls).filter_map(|(rid, call)| Some((rid, call.as_ref()?)));
                self.calls.extend(kept.map(|(rid, call)| Entry::of(rid, call)));
            }
            // What cannot be read cannot be found by its words; the calls behind it can.
            Err(error) => {
                tracing::warn!(
                    rid = first,
                    error = &error as &dyn std::error::Error,
                    "a block is not indexed"
                );
                self.last = first;
            }
        }
    }

    /// The calls by tables of `size` rids each.
    pub(crate) fn shards(&self, size: i64) -> impl Iterator<Item = (i64, &[Entry])> {
        let shard_of = move |call: &Entry| call.rid.div_euclid(size);
        self.calls
            .chunk_by(move |one, other| shard_of(one) == shard_of(other))
            .filter_map(move |calls| calls.first().map(|first| (shard_of(first), calls)))
    }

    /// Rows of `find_span`: rids, and when the first and the last of them began.
    pub(crate) fn spans(&self) -> Vec<[i64; 4]> {
        let mut spans = Vec::new();
        if let (Some(first), Some(last)) = (self.calls.first(), self.calls.last()) {
            let began = || self.calls.iter().map(|call| call.started.0);
            let (from, to) = (began().min().unwrap_or(i64::MIN), began().max().unwrap_or(i64::MAX));
            spans.push([first.rid, last.rid, from, to]);
        }
        if self.calls.last().is_none_or(|call| call.rid < self.last) {
            // Of calls that cannot be read nobody knows when they were.
            spans.push([self.last, self.last, i64::MIN, i64::MAX]);
        }
        spans
    }
}

impl Entry {
    fn of(rid: i64, call: &StoredCall) -> Entry {
        Entry {
            rid,
            started: call.record.started,
            words: words::of_call(call),
            terms: terms::of_record(&call.record),
        }
    }
}

/// Calls of some rids from their blocks: `block` gives the one that begins at or before a rid.
pub(crate) fn calls_of<E>(
    rids: &[i64],
    mut block: impl FnMut(i64) -> Result<Option<(i64, String, Vec<u8>)>, E>,
    unreadable: impl Fn(BlockError) -> E,
) -> Result<Vec<(i64, StoredCall)>, E> {
    let mut sorted = rids.to_vec();
    sorted.sort_unstable();
    let mut found = Vec::with_capacity(sorted.len());
    let mut kept: (i64, Vec<Option<StoredCall>>) = (0, Vec::new());
    for rid in sorted {
        let is_in = |(first, calls): &(i64, Vec<_>)| rid - first < calls.len() as i64;
        if !is_in(&kept) {
            let Some((first, enc, body)) = block(rid)? else { continue };
            kept = (first, block::unpack_all(&enc, &body, false).map_err(&unreadable)?);
        }
        if let Some(Some(call)) = usize::try_from(rid - kept.0).ok().and_then(|at| kept.1.get(at)) {
            found.push((rid, call.clone()));
        }
    }
    Ok(found)
}

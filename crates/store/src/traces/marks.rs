//! Finding the spans of a user, a session or a trace without an index on each.
//!
//! Such values come in no order, so an index on them dirties a page for nearly every span, which costs more than the
//! rest of the insert. Instead each batch appends one row of marks: for each span its time and a 32-bit hash of each
//! value. A search reads all marks in the order of arrival (20 bytes a span: a million spans in some 10 ms), and then only
//! the rows whose hash agrees; the row itself decides, so a collision costs a look and never a wrong answer.

use gauntlet_types::{SpanRecord, Timestamp};

const SIZE: usize = 20;

/// Which mark to look for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    User = 8,
    Session = 12,
    Trace = 16,
}

/// Appends the marks of a span.
pub(crate) fn push(marks: &mut Vec<u8>, record: &SpanRecord) {
    let caller = &record.caller;
    marks.extend_from_slice(&record.started.0.to_le_bytes());
    marks.extend_from_slice(&caller.user.as_deref().map_or(0, hash).to_le_bytes());
    marks.extend_from_slice(&caller.session.as_deref().map_or(0, hash).to_le_bytes());
    marks.extend_from_slice(&hash_trace(record.trace_id.0).to_le_bytes());
}

/// Calls fn `found(index, started)` for each span in `marks` whose `mark` is `wanted`.
pub(crate) fn search(marks: &[u8], mark: Mark, wanted: u32, mut found: impl FnMut(usize, Timestamp)) {
    let (wanted, at) = (wanted.to_le_bytes(), mark as usize);
    for (index, entry) in marks.chunks_exact(SIZE).enumerate() {
        if entry[at..at + 4] == wanted {
            let started = entry[..8].try_into().map_or(0, i64::from_le_bytes);
            found(index, Timestamp(started));
        }
    }
}

/// FNV-1a. Written to disk, so it never changes; not keyed, since the worst a collision does is a wasted look.
pub(crate) fn hash(text: &str) -> u32 {
    text.bytes()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
        .max(1)
}

/// Trace ids are random where anyone follows the standard; folding them is enough.
pub(crate) fn hash_trace(id: u128) -> u32 {
    (id ^ (id >> 32) ^ (id >> 64) ^ (id >> 96)) as u32
}

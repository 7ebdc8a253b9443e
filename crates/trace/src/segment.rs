//! The form of a spool segment: entries one after another, each with its own checks.
//!
//! ```text
//! header, 44 bytes, integers little-endian
//!    0  magic and version   4   FF 'G' 'S' 01
//!    4  kind                1   1 open, 2 close, 3 spans
//!    5  zero                3
//!    8  call id            16
//!   24  length of record    4
//!   28  length of input     4
//!   32  length of output    4
//!   36  CRC-32 of the body  4
//!   40  CRC-32 of the 40 bytes above
//! body: record (MessagePack with field names), input, output; of spans, a MessagePack sequence of them alone
//! ```
//!
//! The record is MessagePack rather than JSON, since it is written twice and read once for every call: that takes 0.4 of
//! JSON's time to write and 0.75 to read, in three quarters of the bytes. Field names are kept, so that a version that
//! knows more or fewer fields reads it all the same. The texts are the caller's JSON as it is.
//!
//! The header has a check of its own, so that its lengths can be trusted when the body is bad, and so that a search for
//! the next entry after a bad stretch costs one look at 44 bytes for each magic, however long the garbage. The call id
//! stands in the header because whoever follows a segment needs only that of an `open`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use gauntlet_ports::StoredSpan;
use gauntlet_types::{CallId, CallRecord};
use memchr::memmem;
use uuid::Uuid;

/// `FF` never occurs in UTF-8, so no text of a caller's can pass for the head of an entry.
pub const MAGIC: [u8; 4] = [0xFF, b'G', b'S', 1];
pub const HEADER_BYTES: usize = 44;
/// Room for a request with several images and its answer. Also what a reader must be able to hold at once.
pub const ENTRY_BYTES_MAX: usize = 32 << 20;

const SUFFIX: &str = ".seg";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A call is about to ask a model.
    Open = 1,
    /// The final record.
    Close = 2,
    /// Spans that an application sent together.
    Spans = 3,
}

/// One entry, its parts sharing the memory it was read into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub kind: Kind,
    pub id: CallId,
    pub record: Bytes,
    pub input: Bytes,
    pub output: Bytes,
}

impl Entry {
    /// Reads the record. Fails only for one that another version wrote in a way this one does not know.
    pub fn read_record(&self) -> Result<CallRecord, rmp_serde::decode::Error> {
        read_record(&self.record)
    }

    pub fn len(&self) -> usize {
        HEADER_BYTES + self.record.len() + self.input.len() + self.output.len()
    }

    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Appends a record in the form that entries hold.
pub fn push_record(record: &CallRecord, out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
    rmp_serde::encode::write_named(out, record)
}

/// Appends spans in the form that entries hold.
pub fn push_spans(spans: &[StoredSpan], out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
    rmp_serde::encode::write_named(out, spans)
}

pub fn read_spans(bytes: &[u8]) -> Result<Vec<StoredSpan>, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

pub fn read_record(bytes: &[u8]) -> Result<CallRecord, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

/// Fills in the header at the front of `head`, which holds [`HEADER_BYTES`] of room and then the record.
pub fn seal(head: &mut [u8], kind: Kind, id: CallId, input: &[u8], output: &[u8]) {
    let (header, record) = head.split_at_mut(HEADER_BYTES);
    let mut body = crc32fast::Hasher::new();
    body.update(record);
    body.update(input);
    body.update(output);
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&[kind as u8, 0, 0, 0]);
    header[8..24].copy_from_slice(id.0.as_bytes());
    // Callers keep to ENTRY_BYTES_MAX, so lengths fit.
    header[24..28].copy_from_slice(&(record.len() as u32).to_le_bytes());
    header[28..32].copy_from_slice(&(input.len() as u32).to_le_bytes());
    header[32..36].copy_from_slice(&(output.len() as u32).to_le_bytes());
    header[36..40].copy_from_slice(&body.finalize().to_le_bytes());
    let check = crc32fast::hash(&header[..40]);
    header[40..44].copy_from_slice(&check.to_le_bytes());
}

/// A header whose own check holds.
struct Header {
    kind: Kind,
    id: CallId,
    record: usize,
    input: usize,
    output: usize,
    body_crc: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.get(..HEADER_BYTES)?;
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if header[..4] != MAGIC || crc32fast::hash(&header[..40]) != number(40) {
            return None;
        }
        let kind = match header[4] {
            1 => Kind::Open,
            2 => Kind::Close,
            3 => Kind::Spans,
            _ => return None,
        };
        let mut id = [0; 16];
        id.copy_from_slice(&header[8..24]);
        let header = Header {
            kind,
            id: CallId(Uuid::from_bytes(id)),
            record: number(24) as usize,
            input: number(28) as usize,
            output: number(32) as usize,
            body_crc: number(36),
        };
        (header.total() <= ENTRY_BYTES_MAX).then_some(header)
    }

    fn total(&self) -> usize {
        HEADER_BYTES + self.record + self.input + self.output
    }
}

/// What stands next in a stretch of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Entry(Entry),
    /// This many bytes are not an entry and were passed over.
    Damaged(usize),
    /// An entry begins here and is not all there: at least this many bytes from [`Walk::at`] are needed.
    Short(usize),
    /// The segment ends within an entry: this many bytes are the beginning of a write that was never finished.
    Torn(usize),
    End,
}

/// Steps through a stretch of a segment that begins where an entry does. Whatever the bytes are, it ends and never panics.
pub struct Walk {
    bytes: Bytes,
    at: usize,
    reach: Reach,
}

/// What follows the bytes at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Nothing, ever.
    WholeSegment,
    /// More of the segment, now or later.
    Part,
}

impl Walk {
    pub fn new(bytes: Bytes, reach: Reach) -> Walk {
        Walk { bytes, at: 0, reach }
    }

    /// How many bytes have been stepped over.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn step(&mut self) -> Step {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Step::End;
        }
        let Some(header) = Header::read(rest) else {
            return self.step_without_header();
        };
        let total = header.total();
        if rest.len() < total {
            return self.cut(total);
        }
        let body = self.bytes.slice(self.at + HEADER_BYTES..self.at + total);
        self.at += total;
        if crc32fast::hash(&body) != header.body_crc {
            return Step::Damaged(total);
        }
        Step::Entry(Entry {
            kind: header.kind,
            id: header.id,
            record: body.slice(..header.record),
            input: body.slice(header.record..header.record + header.input),
            output: body.slice(header.record + header.input..),
        })
    }

    fn cut(&mut self, needed: usize) -> Step {
        match self.reach {
            Reach::Part => Step::Short(needed),
            Reach::WholeSegment => {
                let torn = self.bytes.len() - self.at;
                self.at = self.bytes.len();
                Step::Torn(torn)
            }
        }
    }

    fn step_without_header(&mut self) -> Step {
        let rest = &self.bytes[self.at..];
        let beginning = &MAGIC[..rest.len().min(MAGIC.len())];
        if rest.len() < HEADER_BYTES && rest.starts_with(beginning) {
            return self.cut(HEADER_BYTES);
        }
        let next = memmem::find_iter(&rest[1..], &MAGIC)
            .map(|at| at + 1)
            .find(|at| Header::read(&rest[*at..]).is_some());
        // Without another entry in sight, the last bytes may still be the first part of a header.
        let skipped = match (next, self.reach) {
            (Some(at), _) => at,
            (None, Reach::WholeSegment) => rest.len(),
            (None, Reach::Part) if rest.len() < HEADER_BYTES => return Step::Short(HEADER_BYTES),
            (None, Reach::Part) => rest.len() - (HEADER_BYTES - 1),
        };
        self.at += skipped;
        Step::Damaged(skipped)
    }
}

/// A segment's place on disk: `<worker>-<number>.seg`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SegmentName {
    pub worker: String,
    pub number: u64,
}

impl SegmentName {
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-{}{SUFFIX}", self.worker, self.number))
    }

    fn parse(file: &str) -> Option<SegmentName> {
        let (worker, number) = file.strip_suffix(SUFFIX)?.rsplit_once('-')?;
        Some(SegmentName { worker: worker.to_owned(), number: number.parse().ok()? })
    }
}

/// The segments of a folder by worker, then oldest first. Other files are left alone.
pub fn list(dir: &Path) -> io::Result<Vec<SegmentName>> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir)? {
        if let Some(name) = item?.file_name().to_str().and_then(SegmentName::parse) {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a segment; one with damage is put aside under another name, since a person may still read something from it.
pub(crate) fn retire(path: &Path, is_damaged: bool) -> io::Result<()> {
    let done = match is_damaged {
        true => fs::rename(path, path.with_extension("seg.damaged")),
        false => fs::remove_file(path),
    };
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;

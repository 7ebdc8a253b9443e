//! Payloads in blocks: the records and texts of a few dozen calls, or spans, in one compressed frame.
//!
//! Before compression a block is, for each entry in turn, the lengths of its parts (u32, little end first) and then the
//! record, the input and the output, and of a span the rest. Nothing else is in it, so that a frame and an index are enough
//! to read an entry. An entry that was removed leaves lengths of nothing. Records are MessagePack with the fields' names: as open to new fields as JSON, at half the time and
//! three quarters of the bytes.

use bytes::Bytes;
use gauntlet_ports::{StoredCall, StoredSpan};
use gauntlet_types::{CallRecord, SpanRecord, TextsGone};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::finding::terms;

/// Entries in a block at most: beyond this the ratio hardly improves and reading one entry costs more.
pub(crate) const ENTRIES_MAX: usize = 32;
/// Bytes in a block after which it is closed; one larger entry has a block to itself.
const BYTES_MAX: usize = 256 * 1024;
/// A block larger than this was not written by us; the spool refuses calls long before.
const READ_MAX: usize = 1 << 30;
/// Level 1 takes the time of -3 and a sixth less room; only far below (-20 and a half more room) is time saved.
const LEVEL: i32 = 1;
/// Texts beside a record at most.
const TEXTS_MAX: usize = 3;
/// What `payload.enc` says of blocks of this form.
pub(crate) const ENCODING: &str = "zstd msgpack";

#[derive(Debug, Error)]
pub(crate) enum BlockError {
    #[error("payload block is cut short")]
    Short,
    #[error("the entry was removed from its payload block")]
    Gone,
    #[error("payload is encoded as `{0}`, which this version cannot read")]
    Encoding(String),
    #[error("payload cannot be decompressed")]
    Decompress(#[source] std::io::Error),
    #[error("payload cannot be compressed")]
    Compress(#[source] std::io::Error),
    #[error("the record has no stored form")]
    Write(#[source] rmp_serde::encode::Error),
    #[error("payload holds a record that cannot be read")]
    Read(#[source] rmp_serde::decode::Error),
}

/// What is kept in blocks: a record, and the texts beside it.
pub(crate) trait Kept: Sized {
    type Record: Serialize + DeserializeOwned;
    /// How many texts there are; part of the stored form.
    const TEXTS: usize;

    /// Takes the words out; false if they are gone already.
    fn cut_texts(&mut self, why: TextsGone) -> bool;
    /// What stays in an index without the words; nothing of what is in none.
    fn terms(&self) -> Vec<String>;
    /// Texts beyond [`Kept::TEXTS`] are not kept.
    fn parts(&self) -> (&Self::Record, [&[u8]; TEXTS_MAX]);
    fn of(record: Self::Record, texts: [Bytes; TEXTS_MAX]) -> Self;
}

impl Kept for StoredCall {
    type Record = CallRecord;
    const TEXTS: usize = 2;

    fn parts(&self) -> (&CallRecord, [&[u8]; TEXTS_MAX]) {
        (&self.record, [&self.input, &self.output, &[]])
    }

    fn cut_texts(&mut self, why: TextsGone) -> bool {
        for tool in &mut self.record.tool_calls {
            tool.arguments.clear();
        }
        for tool in &mut self.record.tool_results {
            (tool.arguments, tool.output) = (String::new(), String::new());
        }
        (self.input, self.output) = (Bytes::new(), Bytes::new());
        self.record.texts_gone.replace(why).is_none()
    }

    fn terms(&self) -> Vec<String> {
        terms::of_record(&self.record)
    }

    fn of(record: CallRecord, [input, output, _]: [Bytes; TEXTS_MAX]) -> StoredCall {
        StoredCall { record, input, output }
    }
}

impl Kept for StoredSpan {
    type Record = SpanRecord;
    const TEXTS: usize = 3;

    fn parts(&self) -> (&SpanRecord, [&[u8]; TEXTS_MAX]) {
        (&self.record, [&self.input, &self.output, &self.rest])
    }

    fn cut_texts(&mut self, why: TextsGone) -> bool {
        self.record.error_message = None;
        (self.input, self.output, self.rest) = Default::default();
        self.record.texts_gone.replace(why).is_none()
    }

    fn terms(&self) -> Vec<String> {
        Vec::new()
    }

    fn of(record: SpanRecord, [input, output, rest]: [Bytes; TEXTS_MAX]) -> StoredSpan {
        StoredSpan { record, input, output, rest }
    }
}

const fn lengths<T: Kept>() -> usize {
    4 * (1 + T::TEXTS)
}

/// Gathers entries and compresses them; buffers and the compressor are kept from block to block.
pub(crate) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    packed: Vec<u8>,
    entries: usize,
}

impl Packer {
    pub(crate) fn new() -> std::io::Result<Packer> {
        Ok(Packer {
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            raw: Vec::new(),
            packed: Vec::new(),
            entries: 0,
        })
    }

    /// All entries of a block are of one sort.
    pub(crate) fn add<T: Kept>(&mut self, entry: &T) -> Result<(), BlockError> {
        let (record, texts) = entry.parts();
        let texts = &texts[..T::TEXTS];
        let at = self.raw.len();
        self.raw.resize(at + lengths::<T>(), 0);
        rmp_serde::encode::write_named(&mut self.raw, record).map_err(BlockError::Write)?;
        let record = self.raw.len() - at - lengths::<T>();
        for (place, length) in std::iter::once(record).chain(texts.iter().map(|text| text.len())).enumerate()
        {
            let length = u32::try_from(length).map_err(|_| BlockError::Short)?;
            self.raw[at + place * 4..][..4].copy_from_slice(&length.to_le_bytes());
        }
        for text in texts {
            self.raw.extend_from_slice(text);
        }
        self.entries += 1;
        Ok(())
    }

    /// Holds the place of an entry that was removed.
    pub(crate) fn add_gone<T: Kept>(&mut self) {
        self.raw.resize(self.raw.len() + lengths::<T>(), 0);
        self.entries += 1;
    }

    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries >= ENTRIES_MAX || self.raw.len() >= BYTES_MAX
    }

    /// The compressed block.
    pub(crate) fn pack(&mut self) -> Result<&[u8], BlockError> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.raw.len()));
        self.compressor.compress_to_buffer(&self.raw, &mut self.packed).map_err(BlockError::Compress)?;
        Ok(&self.packed)
    }

    /// Forgets what was gathered. A block that held a huge entry gives its memory back.
    pub(crate) fn clear(&mut self) {
        self.raw.clear();
        self.packed.clear();
        self.entries = 0;
        self.raw.shrink_to(2 * BYTES_MAX);
        self.packed.shrink_to(2 * BYTES_MAX);
    }
}

/// Reads entry number `index` of a block.
pub(crate) fn unpack<T: Kept>(enc: &str, body: &[u8], index: usize) -> Result<T, BlockError> {
    let raw = decompress(enc, body)?;
    let part = Parts { raw: &raw, at: 0, texts: T::TEXTS }.nth(index).ok_or(BlockError::Short)??;
    part.read()?.ok_or(BlockError::Gone)
}

/// Reads every entry of a block, in order; none where one was removed.
pub(crate) fn unpack_all<T: Kept>(
    enc: &str,
    body: &[u8],
    without_texts: bool,
) -> Result<Vec<Option<T>>, BlockError> {
    let raw = decompress(enc, body)?;
    let parts = Parts { raw: &raw, at: 0, texts: T::TEXTS }.map(|part| {
        let Part { record, texts } = part?;
        Part { record, texts: if without_texts { [&[]; TEXTS_MAX] } else { texts } }.read()
    });
    parts.collect()
}

fn decompress(enc: &str, body: &[u8]) -> Result<Vec<u8>, BlockError> {
    if enc != ENCODING {
        return Err(BlockError::Encoding(enc.to_owned()));
    }
    // Frames that we write say how large they are inside.
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= READ_MAX);
    zstd::bulk::decompress(body, size.ok_or(BlockError::Short)?).map_err(BlockError::Decompress)
}

/// Walks the entries of a block; ends at its end, or after the first entry that is cut short.
struct Parts<'a> {
    raw: &'a [u8],
    at: usize,
    texts: usize,
}

/// One entry.
struct Part<'a> {
    record: &'a [u8],
    texts: [&'a [u8]; TEXTS_MAX],
}

impl Part<'_> {
    fn read<T: Kept>(&self) -> Result<Option<T>, BlockError> {
        if self.record.is_empty() {
            return Ok(None);
        }
        let record = rmp_serde::from_slice(self.record).map_err(BlockError::Read)?;
        // Copied out, so that a kept entry does not keep its whole block.
        Ok(Some(T::of(record, self.texts.map(Bytes::copy_from_slice))))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, BlockError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.raw.len() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.at = self.raw.len();
        }
        Some(part.ok_or(BlockError::Short))
    }
}

impl<'a> Parts<'a> {
    fn part(&mut self) -> Option<Part<'a>> {
        let head = 4 * (1 + self.texts);
        let lengths = self.raw.get(self.at..self.at + head)?;
        let mut from = self.at + head;
        let mut parts = [&self.raw[..0]; 1 + TEXTS_MAX];
        for (part, length) in parts.iter_mut().zip(lengths.chunks_exact(4)) {
            let length = length.try_into().map_or(0, |bytes| u32::from_le_bytes(bytes) as usize);
            *part = self.raw.get(from..from.checked_add(length)?)?;
            from += length;
        }
        self.at = from;
        let [record, texts @ ..] = parts;
        Some(Part { record, texts })
    }
}

//! Payloads in blocks: the records and texts of a few dozen calls in one compressed frame.
//!
//! Before compression a block is, for each call in turn, three lengths (u32, little end first) and then the record, the
//! input and the output. Nothing else is in it, so that a frame and an index are enough to read a call. Records are
//! MessagePack with the fields' names: as open to new fields as JSON, at half the time and three quarters of the bytes.

use bytes::Bytes;
use gauntlet_ports::StoredCall;
use gauntlet_types::CallRecord;
use thiserror::Error;

/// Calls in a block at most: beyond this the ratio hardly improves and reading one call costs more.
pub(crate) const CALLS_MAX: usize = 32;
/// Bytes in a block after which it is closed; one larger call has a block to itself.
const BYTES_MAX: usize = 256 * 1024;
/// A block larger than this was not written by us; the spool refuses calls long before.
const READ_MAX: usize = 1 << 30;
/// Level 1 takes the time of -3 and a sixth less room; only far below (-20 and a half more room) is time saved.
const LEVEL: i32 = 1;
const LENGTHS: usize = 12;
/// What `payload.enc` says of blocks of this form.
pub(crate) const ENCODING: &str = "zstd msgpack";

#[derive(Debug, Error)]
pub(crate) enum BlockError {
    #[error("payload block is cut short")]
    Short,
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

/// Gathers calls and compresses them; buffers and the compressor are kept from block to block.
pub(crate) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    packed: Vec<u8>,
    calls: usize,
}

impl Packer {
    pub(crate) fn new() -> std::io::Result<Packer> {
        Ok(Packer {
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            raw: Vec::new(),
            packed: Vec::new(),
            calls: 0,
        })
    }

    pub(crate) fn add(&mut self, call: &StoredCall) -> Result<(), BlockError> {
        let at = self.raw.len();
        self.raw.extend_from_slice(&[0; LENGTHS]);
        rmp_serde::encode::write_named(&mut self.raw, &call.record).map_err(BlockError::Write)?;
        let record = self.raw.len() - at - LENGTHS;
        for (place, length) in [record, call.input.len(), call.output.len()].into_iter().enumerate() {
            let length = u32::try_from(length).map_err(|_| BlockError::Short)?;
            self.raw[at + place * 4..][..4].copy_from_slice(&length.to_le_bytes());
        }
        self.raw.extend_from_slice(&call.input);
        self.raw.extend_from_slice(&call.output);
        self.calls += 1;
        Ok(())
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    pub(crate) fn is_full(&self) -> bool {
        self.calls >= CALLS_MAX || self.raw.len() >= BYTES_MAX
    }

    /// The compressed block.
    pub(crate) fn pack(&mut self) -> Result<&[u8], BlockError> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.raw.len()));
        self.compressor.compress_to_buffer(&self.raw, &mut self.packed).map_err(BlockError::Compress)?;
        Ok(&self.packed)
    }

    /// Forgets what was gathered. A block that held a huge call gives its memory back.
    pub(crate) fn clear(&mut self) {
        self.raw.clear();
        self.packed.clear();
        self.calls = 0;
        self.raw.shrink_to(2 * BYTES_MAX);
        self.packed.shrink_to(2 * BYTES_MAX);
    }
}

/// Reads call number `index` of a block.
pub(crate) fn unpack(enc: &str, body: &[u8], index: usize) -> Result<StoredCall, BlockError> {
    let raw = decompress(enc, body)?;
    let parts = Parts { raw: &raw, at: 0 }.nth(index).ok_or(BlockError::Short)??;
    parts.read()
}

/// Reads every call of a block, in order.
pub(crate) fn unpack_all(enc: &str, body: &[u8], without_texts: bool) -> Result<Vec<StoredCall>, BlockError> {
    let raw = decompress(enc, body)?;
    let parts = Parts { raw: &raw, at: 0 }.map(|part| {
        let Part([record, input, output]) = part?;
        Part(if without_texts { [record, &[], &[]] } else { [record, input, output] }).read()
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

/// Walks the calls of a block; ends at its end, or after the first call that is cut short.
struct Parts<'a> {
    raw: &'a [u8],
    at: usize,
}

/// Record, input and output of one call.
struct Part<'a>([&'a [u8]; 3]);

impl Part<'_> {
    fn read(&self) -> Result<StoredCall, BlockError> {
        let [record, input, output] = self.0;
        let record: CallRecord = rmp_serde::from_slice(record).map_err(BlockError::Read)?;
        // Copied out, so that a kept call does not keep its whole block.
        Ok(StoredCall {
            record,
            input: Bytes::copy_from_slice(input),
            output: Bytes::copy_from_slice(output),
        })
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
        let lengths = self.raw.get(self.at..self.at + LENGTHS)?;
        let mut from = self.at + LENGTHS;
        let mut parts = [&self.raw[..0]; 3];
        for (part, length) in parts.iter_mut().zip(lengths.chunks_exact(4)) {
            let length = length.try_into().map_or(0, |bytes| u32::from_le_bytes(bytes) as usize);
            *part = self.raw.get(from..from.checked_add(length)?)?;
            from += length;
        }
        self.at = from;
        Some(Part(parts))
    }
}

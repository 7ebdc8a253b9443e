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
    if enc != ENCODING {
        return Err(BlockError::Encoding(enc.to_owned()));
    }
    // Frames that we write say how large they are inside.
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= READ_MAX);
    let raw = zstd::bulk::decompress(body, size.ok_or(BlockError::Short)?).map_err(BlockError::Decompress)?;
    let raw = Bytes::from(raw);
    let mut at = 0;
    for place in 0..=index {
        let lengths = raw.get(at..at + LENGTHS).ok_or(BlockError::Short)?;
        let length =
            |n: usize| lengths[n * 4..][..4].try_into().map_or(0, |bytes| u32::from_le_bytes(bytes) as usize);
        let record_end = at + LENGTHS + length(0);
        let input_end = record_end + length(1);
        let output_end = input_end + length(2);
        if output_end > raw.len() {
            return Err(BlockError::Short);
        }
        if place == index {
            let record: CallRecord =
                rmp_serde::from_slice(&raw[at + LENGTHS..record_end]).map_err(BlockError::Read)?;
            // Copied out, so that a kept call does not keep its whole block.
            let part = |from: usize, to: usize| Bytes::copy_from_slice(&raw[from..to]);
            return Ok(StoredCall {
                record,
                input: part(record_end, input_end),
                output: part(input_end, output_end),
            });
        }
        at = output_end;
    }
    Err(BlockError::Short)
}

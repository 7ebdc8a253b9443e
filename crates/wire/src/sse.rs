//! Server-sent events: splits a byte stream into events, whatever the chunking.
//!
//! Follows the WHATWG HTML standard, section 9.2.6, with one difference: nothing is thrown away. Each frame keeps its
//! exact bytes, comments and blank lines included, so that forwarding every `raw` reproduces the stream.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::splice::{Edit, splice};

/// The bytes that one event may have. Providers stream an image as one event of base64, up to some 6 MB; an event beyond
/// this is a stream without line ends, which would otherwise fill the memory.
pub const FRAME_MAX: usize = 8 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("a stream event is longer than {FRAME_MAX} bytes")]
pub struct TooLong;

/// What an event's `data` lines say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// A comment, a blank line, or an event without data.
    None,
    /// One line: its place in `raw`.
    One(Range<usize>),
    /// Several lines, joined by line feeds.
    Many(Bytes),
}

/// One event, or comments and blank lines between events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The exact bytes, with the blank line that ends the event.
    pub raw: Bytes,
    pub data: Data,
    /// The value of the last `event` line: its place in `raw`.
    pub event: Option<Range<usize>>,
    /// The value of the last `id` line: its place in `raw`.
    pub id: Option<Range<usize>>,
}

impl Frame {
    /// Reads the bytes of one event. Serves also for the tail of a stream that was closed without a blank line.
    pub fn parse(raw: Bytes) -> Frame {
        let mut frame = Frame { raw: Bytes::new(), data: Data::None, event: None, id: None };
        let mut joined = BytesMut::new();
        let mut start = if raw.starts_with(BOM) { BOM.len() } else { 0 };
        while start < raw.len() {
            let end = memchr::memchr2(b'\n', b'\r', &raw[start..]).map_or(raw.len(), |length| start + length);
            let (name, value) = field(&raw, start..end);
            match name {
                b"data" => match &frame.data {
                    Data::None => frame.data = Data::One(value),
                    Data::One(first) => {
                        joined.extend_from_slice(&raw[first.clone()]);
                        joined.extend_from_slice(b"\n");
                        joined.extend_from_slice(&raw[value]);
                        frame.data = Data::Many(Bytes::new());
                    }
                    Data::Many(_) => {
                        joined.extend_from_slice(b"\n");
                        joined.extend_from_slice(&raw[value]);
                    }
                },
                b"event" => frame.event = Some(value),
                b"id" => frame.id = Some(value),
                // Comments (an empty name), `retry`, and names that the standard tells to ignore.
                _ => {}
            }
            // A line feed after a carriage return makes an empty line here, which says nothing.
            start = end + 1;
        }
        if let Data::Many(data) = &mut frame.data {
            *data = joined.freeze();
        }
        frame.raw = raw;
        frame
    }

    pub fn data(&self) -> Option<&[u8]> {
        match &self.data {
            Data::None => None,
            Data::One(range) => Some(&self.raw[range.clone()]),
            Data::Many(joined) => Some(joined),
        }
    }

    /// The data as bytes of their own that share the frame's memory.
    pub fn data_bytes(&self) -> Option<Bytes> {
        match &self.data {
            Data::None => None,
            Data::One(range) => Some(self.raw.slice(range.clone())),
            Data::Many(joined) => Some(joined.clone()),
        }
    }

    pub fn event(&self) -> Option<&[u8]> {
        self.event.clone().map(|range| &self.raw[range])
    }

    /// The frame's bytes after edits whose ranges count from the start of the data.
    pub fn edited(&self, edits: Vec<Edit>) -> Bytes {
        if edits.is_empty() {
            return self.raw.clone();
        }
        match &self.data {
            Data::None => self.raw.clone(),
            Data::One(range) => {
                let shift = |edit: Edit| Edit {
                    range: edit.range.start + range.start..edit.range.end + range.start,
                    with: edit.with,
                };
                splice(&self.raw, edits.into_iter().map(shift).collect())
            }
            Data::Many(joined) => {
                let mut bytes = BytesMut::with_capacity(self.raw.len());
                for (name, value) in [("event", &self.event), ("id", &self.id)] {
                    if let Some(range) = value {
                        bytes.extend_from_slice(name.as_bytes());
                        bytes.extend_from_slice(b": ");
                        bytes.extend_from_slice(&self.raw[range.clone()]);
                        bytes.extend_from_slice(b"\n");
                    }
                }
                for line in splice(joined, edits).split(|byte| *byte == b'\n') {
                    bytes.extend_from_slice(b"data: ");
                    bytes.extend_from_slice(line);
                    bytes.extend_from_slice(b"\n");
                }
                bytes.extend_from_slice(b"\n");
                bytes.freeze()
            }
        }
    }
}

/// The name of a line's field and where its value stands.
fn field(raw: &[u8], line: Range<usize>) -> (&[u8], Range<usize>) {
    let bytes = &raw[line.clone()];
    let colon = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
    let value = (line.start + colon + 1).min(line.end);
    let space = usize::from(raw[value..line.end].first() == Some(&b' '));
    (&bytes[..colon], value + space..line.end)
}

/// Splits a byte stream into frames.
///
/// A frame that lies within one pushed chunk shares its memory. One that crosses chunks is copied together, each byte
/// once and looked at once, however small the chunks are.
#[derive(Default)]
pub struct Decoder {
    /// What came last, while nothing is carried over.
    chunk: Bytes,
    /// The beginning of a frame that an earlier chunk left unfinished, and all that came since.
    carry: BytesMut,
    /// Up to here, counted from the start of the present frame, no line end is left to be found.
    scanned: usize,
    /// Where the present line begins, counted likewise.
    line: usize,
    lines: usize,
    is_started: bool,
    is_closed: bool,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder::default()
    }

    pub fn push(&mut self, bytes: Bytes) {
        if self.carry.is_empty() && self.chunk.is_empty() {
            self.chunk = bytes;
            return;
        }
        if !self.chunk.is_empty() {
            self.carry.extend_from_slice(&self.chunk);
            self.chunk.clear();
        }
        self.carry.extend_from_slice(&bytes);
    }

    /// Says that no more will come, so that a carriage return at the very end need not wait for its line feed. What
    /// `next` gives after that and `rest` are the remains.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// The next frame; none until more is pushed.
    #[allow(clippy::should_implement_trait)] // Not an iterator: none does not mean the end.
    pub fn next(&mut self) -> Result<Option<Frame>, TooLong> {
        let is_carried = !self.carry.is_empty();
        let window: &[u8] = if is_carried { &self.carry } else { &self.chunk };
        let mut found = None;
        while let Some(offset) = memchr::memchr2(b'\n', b'\r', &window[self.scanned..]) {
            let end = self.scanned + offset;
            let next = match (window[end], window.get(end + 1)) {
                (b'\r', Some(b'\n')) => end + 2,
                // Whether the line feed of this line end is still to come is not known yet.
                (b'\r', None) if !self.is_closed => {
                    self.scanned = end;
                    break;
                }
                _ => end + 1,
            };
            let content = &window[self.line..end];
            let is_blank = content.is_empty() || (!self.is_started && self.line == 0 && content == BOM);
            self.scanned = next;
            self.line = next;
            if is_blank {
                found = Some(next);
                break;
            }
            self.lines += 1;
        }
        let Some(length) = found else {
            if !matches!(window.get(self.scanned), Some(b'\r')) {
                self.scanned = window.len();
            }
            return if window.len() > FRAME_MAX { Err(TooLong) } else { Ok(None) };
        };
        if length > FRAME_MAX {
            return Err(TooLong);
        }
        let raw = if is_carried { self.carry.split_to(length).freeze() } else { self.chunk.split_to(length) };
        let is_simple = self.lines == 1
            && raw.starts_with(b"data: {")
            && raw.ends_with(b"\n\n")
            && raw[raw.len() - 3] != b'\r';
        (self.scanned, self.line, self.lines, self.is_started) = (0, 0, 0, true);
        if is_simple {
            let data = Data::One(6..raw.len() - 2);
            return Ok(Some(Frame { raw, data, event: None, id: None }));
        }
        Ok(Some(Frame::parse(raw)))
    }

    /// Takes what is left at the end of the stream: the bytes of an event that no blank line has ended.
    pub fn rest(&mut self) -> Bytes {
        let mut rest = std::mem::take(&mut self.carry);
        (self.scanned, self.line, self.lines) = (0, 0, 0);
        if rest.is_empty() {
            return std::mem::take(&mut self.chunk);
        }
        rest.extend_from_slice(&self.chunk);
        self.chunk.advance(self.chunk.len());
        rest.freeze()
    }
}

#[cfg(test)]
mod tests;

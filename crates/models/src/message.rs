//! Walks through an ONNX file's protobuf before the runtime reads it.
//!
//! The runtime's own reader checks most of it, but a number that never ends (ten bytes that all say "more") keeps it in a
//! loop for good, and lengths that lie reach far. So every number and length that it will read is read here first; tensors
//! are stepped over. Linear in the file, bounded by its length.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

/// What a message is, as far as its fields that hold messages or packed numbers go (`onnx.proto3`).
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    /// Numbers and texts only.
    Flat,
    /// Numbers one after another, without names of fields.
    Packed,
}

impl Kind {
    fn of_field(self, field: u64) -> Option<Kind> {
        match (self, field) {
            (Kind::Model, 7) | (Kind::Attribute, 6 | 11) => Some(Kind::Graph),
            (Kind::Model, 8 | 14) | (Kind::Tensor, 13) | (Kind::Shape, 1) => Some(Kind::Flat),
            (Kind::Graph, 1) => Some(Kind::Node),
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) => Some(Kind::Tensor),
            (Kind::Graph, 11..=13) => Some(Kind::ValueInfo),
            (Kind::Node, 5) => Some(Kind::Attribute),
            (Kind::Attribute, 8) | (Kind::Tensor, 1 | 5 | 7) => Some(Kind::Packed),
            (Kind::ValueInfo, 2) => Some(Kind::Type),
            (Kind::Type, 1) => Some(Kind::TensorType),
            (Kind::TensorType, 2) => Some(Kind::Shape),
            _ => None,
        }
    }
}

/// A number of 64 bits takes ten bytes at most, of which the last says 0 or 1.
const NUMBER_BYTES_MAX: u32 = 10;
/// Graphs within attributes of nodes of graphs: real exports of encoders have none.
const DEPTH_MAX: usize = 32;

pub(crate) fn check(path: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Walk { file: BufReader::new(file), at: 0 }.message(Kind::Model, length, 0)
}

struct Walk {
    file: BufReader<File>,
    at: u64,
}

impl Walk {
    /// Walks up to the place `end`.
    fn message(&mut self, kind: Kind, end: u64, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("its messages are more than {DEPTH_MAX} deep"));
        }
        while self.at < end {
            let key = self.number(end)?;
            if matches!(kind, Kind::Packed) {
                continue;
            }
            match key & 7 {
                0 => drop(self.number(end)?),
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.number(end)?;
                    match kind.of_field(key >> 3) {
                        None => self.skip(length, end)?,
                        Some(kind) => {
                            let inner = self.at.checked_add(length).filter(|inner| *inner <= end);
                            self.message(kind, inner.ok_or_else(|| self.cut())?, depth + 1)?;
                        }
                    }
                }
                other => return Err(format!("byte {} begins a field of the unknown form {other}", self.at)),
            }
        }
        Ok(())
    }

    fn number(&mut self, end: u64) -> Result<u64, String> {
        let mut number = 0;
        for index in 0..NUMBER_BYTES_MAX {
            let mut byte = [0];
            if self.at >= end || self.file.read_exact(&mut byte).is_err() {
                return Err(self.cut());
            }
            self.at += 1;
            number |= u64::from(byte[0] & 0x7F) << (7 * index);
            if byte[0] < 0x80 && (index < NUMBER_BYTES_MAX - 1 || byte[0] < 2) {
                return Ok(number);
            }
        }
        Err(format!("the number before byte {} does not end", self.at))
    }

    fn skip(&mut self, length: u64, end: u64) -> Result<(), String> {
        let to = self.at.checked_add(length).filter(|to| *to <= end).ok_or_else(|| self.cut())?;
        let distance = i64::try_from(length).map_err(|_| self.cut())?;
        self.file.seek_relative(distance).map_err(|error| error.to_string())?;
        self.at = to;
        Ok(())
    }

    fn cut(&self) -> String {
        format!("it breaks off at byte {}", self.at)
    }
}

//! `model.safetensors`: named tensors, read one at a time.
//!
//! The format is a length, a JSON header with type, shape and place of each tensor, and the bytes. Every number of the
//! header is checked against the file before anything is read by it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    directory::{WEIGHTS_BYTES_MAX, check_size},
    error::ModelError,
};

/// A header names some hundred tensors in some tens of kilobytes.
const HEADER_BYTES_MAX: u64 = 16 << 20;
const DIMENSIONS_MAX: usize = 8;

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

pub(crate) struct SafeTensors {
    path: PathBuf,
    file: File,
    /// Where tensors begin in the file, and how many bytes of them there are.
    begin: u64,
    bytes: u64,
    entries: BTreeMap<String, Entry>,
}

/// A tensor as numbers, row by row.
pub(crate) struct Numbers {
    pub shape: Vec<usize>,
    pub numbers: Vec<f32>,
}

impl SafeTensors {
    pub(crate) fn open(path: &Path) -> Result<SafeTensors, ModelError> {
        check_size(path, WEIGHTS_BYTES_MAX)?;
        let failed = |source| ModelError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| ModelError::broken(path, "it ends before its header"))?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_BYTES_MAX || length > size - 8 {
            return Err(ModelError::broken(path, format!("its header of {length} bytes does not fit")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(failed)?;
        let mut header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
            .map_err(|error| ModelError::broken(path, format!("header: {error}")))?;
        header.remove("__metadata__");
        let entries = header.into_iter().map(|(name, entry)| match serde_json::from_value(entry) {
            Ok(entry) => Ok((name, entry)),
            Err(error) => Err(ModelError::broken(path, format!("tensor `{name}`: {error}"))),
        });
        let entries = entries.collect::<Result<BTreeMap<String, Entry>, ModelError>>()?;
        Ok(SafeTensors { path: path.to_owned(), file, begin: 8 + length, bytes: size - 8 - length, entries })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// What stands before `ending` in the first name that ends so; models put their own name there, or nothing.
    pub(crate) fn prefix_of(&self, ending: &str) -> Option<&str> {
        self.entries.keys().find_map(|name| name.strip_suffix(ending))
    }

    /// Reads a tensor, whose shape must be `shape`; a zero there stands for any length.
    pub(crate) fn read(&mut self, name: &str, shape: &[usize]) -> Result<Numbers, ModelError> {
        let broken = |what: &str| ModelError::broken(&self.path, format!("tensor `{name}` {what}"));
        let Some(entry) = self.entries.get(name) else { return Err(broken("is missing")) };
        let fits = entry.shape.len() == shape.len()
            && entry.shape.iter().zip(shape).all(|(is, wanted)| *wanted == 0 || is == wanted);
        if !fits || entry.shape.len() > DIMENSIONS_MAX {
            let zero = if shape.contains(&0) { " (0: any)" } else { "" };
            return Err(broken(&format!("has the shape {:?}, not {shape:?}{zero}", entry.shape)));
        }
        let kind = match entry.dtype.as_str() {
            "F32" => Kind::F32,
            "F16" => Kind::F16,
            "BF16" => Kind::BF16,
            other => {
                return Err(ModelError::unsupported(
                    &self.path,
                    format!("tensor `{name}` of the type {other}"),
                    "save the model in float32, float16 or bfloat16, or export it to ONNX",
                ));
            }
        };
        let count = entry.shape.iter().try_fold(1usize, |all, one| all.checked_mul(*one));
        let bytes = count.and_then(|count| count.checked_mul(kind.bytes()));
        let (start, end) = entry.data_offsets;
        if end > self.bytes || start > end || bytes.map(|bytes| bytes as u64) != Some(end - start) {
            return Err(broken("does not lie within the file as its shape says"));
        }
        let mut bytes = vec![0; (end - start) as usize];
        let shape = entry.shape.clone();
        let failed = |source| ModelError::Read { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(self.begin + start)).map_err(failed)?;
        self.file.read_exact(&mut bytes).map_err(failed)?;
        Ok(Numbers { shape, numbers: kind.decode(&bytes) })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    F32,
    F16,
    BF16,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Kind::F32 => 4,
            Kind::F16 | Kind::BF16 => 2,
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let halves = bytes.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half));
        match self {
            Kind::F32 => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Kind::BF16 => halves.map(|half| f32::from_bits(u32::from(half) << 16)).collect(),
            Kind::F16 => halves.map(from_half).collect(),
        }
    }
}

/// IEEE 754 binary16: a sign, five bits of exponent, ten of fraction.
fn from_half(half: u16) -> f32 {
    let sign = if half >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(half >> 10 & 0x1F), f32::from(half & 0x3FF));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_reads_as_ieee_754_says() {
        // Examples of the standard: one, its neighbour, the largest, the smallest normal and subnormal numbers.
        let cases = [
            (0x3C00, 1.0),
            (0x3C01, 1.000_976_6),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x7C00, f32::INFINITY),
        ];
        for (bits, number) in cases {
            assert_eq!(from_half(bits), number, "{bits:#x}");
        }
        assert!(from_half(0x7C01).is_nan());
    }
}

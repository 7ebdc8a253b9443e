//! Thrift's compact protocol, as much of it as Parquet's headers take: numbers, texts, lists and structs.

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct being written; its fields come in the order of their numbers.
#[derive(Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: i16,
}

impl Struct {
    pub(super) fn i32(self, field: i16, value: i32) -> Struct {
        let mut out = self.field(field, I32);
        varint(&mut out.bytes, zigzag(value.into()));
        out
    }

    pub(super) fn i64(self, field: i16, value: i64) -> Struct {
        let mut out = self.field(field, I64);
        varint(&mut out.bytes, zigzag(value));
        out
    }

    pub(super) fn bool(self, field: i16, value: bool) -> Struct {
        self.field(field, if value { TRUE } else { FALSE })
    }

    pub(super) fn text(self, field: i16, value: &str) -> Struct {
        let mut out = self.field(field, BINARY);
        text(&mut out.bytes, value);
        out
    }

    pub(super) fn nested(self, field: i16, value: Struct) -> Struct {
        let mut out = self.field(field, STRUCT);
        out.bytes.extend(value.finish());
        out
    }

    pub(super) fn structs(self, field: i16, values: impl ExactSizeIterator<Item = Struct>) -> Struct {
        let mut out = self.list(field, STRUCT, values.len());
        values.for_each(|value| out.bytes.extend(value.finish()));
        out
    }

    pub(super) fn numbers(self, field: i16, values: &[i32]) -> Struct {
        let mut out = self.list(field, I32, values.len());
        values.iter().for_each(|value| varint(&mut out.bytes, zigzag((*value).into())));
        out
    }

    pub(super) fn texts(self, field: i16, values: &[&str]) -> Struct {
        let mut out = self.list(field, BINARY, values.len());
        values.iter().for_each(|value| text(&mut out.bytes, value));
        out
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn list(self, field: i16, of: u8, length: usize) -> Struct {
        let mut out = self.field(field, LIST);
        match u8::try_from(length) {
            Ok(short) if short < 15 => out.bytes.push(short << 4 | of),
            _ => {
                out.bytes.push(0xf0 | of);
                varint(&mut out.bytes, length as u64);
            }
        }
        out
    }

    fn field(mut self, field: i16, kind: u8) -> Struct {
        let delta = field - self.last;
        debug_assert!((1..16).contains(&delta), "fields come in order, and none is far from the one before");
        self.bytes.push((delta as u8) << 4 | kind);
        self.last = field;
        self
    }
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn text(out: &mut Vec<u8>, value: &str) {
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_are_written_as_the_protocol_says() {
        // Worked out by hand from "Thrift compact protocol encoding".
        let inner = Struct::default().bool(1, true);
        let written = Struct::default()
            .i32(1, -1)
            .text(3, "ab")
            .numbers(4, &[1, 150])
            .nested(5, inner)
            .i64(8, 64)
            .finish();
        assert_eq!(
            written,
            [
                0x15, 0x01, 0x28, 0x02, b'a', b'b', 0x19, 0x25, 0x02, 0xac, 0x02, 0x1c, 0x11, 0x00, 0x36,
                0x80, 0x01, 0x00
            ]
        );
        let many = Struct::default().numbers(1, &[0; 16]).finish();
        assert_eq!(many[..3], [0x19, 0xf5, 0x10]);
    }
}

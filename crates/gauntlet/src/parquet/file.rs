//! A Parquet file of flat columns: plain values in one zstd page for each column of a row group.

use std::{
    borrow::Cow,
    io::{Error, Result, Write},
};

use super::thrift::{Struct, varint};

const MAGIC: &[u8; 4] = b"PAR1";
const ZSTD_LEVEL: i32 = 3;
// Numbers of the format's enums.
const BOOLEAN: i32 = 0;
const INT64: i32 = 2;
const BYTE_ARRAY: i32 = 6;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const ZSTD: i32 = 6;
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
const UTF8: i32 = 0;
const DECIMAL: i32 = 5;
const TIMESTAMP_MICROS: i32 = 10;
/// Nano-dollars: nine places of at most 18 digits, which is what 64 bits hold.
const USD_SCALE: i32 = 9;
const USD_PRECISION: i32 = 18;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Text,
    Whole,
    Flag,
    /// An instant in microseconds, UTC.
    Micros,
    /// A decimal of dollars, from nano-dollars.
    NanoUsd,
}

impl Kind {
    const fn physical(self) -> i32 {
        match self {
            Kind::Text => BYTE_ARRAY,
            Kind::Whole | Kind::Micros | Kind::NanoUsd => INT64,
            Kind::Flag => BOOLEAN,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    Always,
    Maybe,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
}

pub(super) enum Value<'a> {
    None,
    Text(Cow<'a, str>),
    Number(i64),
    Flag(bool),
}

/// A column of the row group at hand.
#[derive(Default)]
struct Gathered {
    /// Plain values of those that are there.
    values: Vec<u8>,
    flags: Vec<bool>,
    /// How many in a row are there, or are not; begins with those that are.
    runs: Vec<u64>,
}

pub(super) struct Writer<W: Write> {
    out: W,
    columns: &'static [Column],
    gathered: Vec<Gathered>,
    compressor: zstd::bulk::Compressor<'static>,
    at: i64,
    rows: usize,
    groups: Vec<Group>,
}

struct Group {
    rows: i64,
    chunks: Vec<Chunk>,
}

struct Chunk {
    at: i64,
    plain: i64,
    compressed: i64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut out: W, columns: &'static [Column]) -> Result<Writer<W>> {
        out.write_all(MAGIC)?;
        Ok(Writer {
            out,
            columns,
            gathered: columns.iter().map(|_| Gathered::default()).collect(),
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
            at: MAGIC.len() as i64,
            rows: 0,
            groups: Vec::new(),
        })
    }

    /// A row is a value for each column, the last one last.
    pub(super) fn push(&mut self, place: usize, value: Value<'_>) {
        let gathered = &mut self.gathered[place];
        let is_there = match value {
            Value::None => false,
            Value::Text(text) => {
                gathered.values.extend_from_slice(&(text.len() as u32).to_le_bytes());
                gathered.values.extend_from_slice(text.as_bytes());
                true
            }
            Value::Number(number) => {
                gathered.values.extend_from_slice(&number.to_le_bytes());
                true
            }
            Value::Flag(flag) => {
                gathered.flags.push(flag);
                true
            }
        };
        debug_assert!(is_there || self.columns[place].need == Need::Maybe, "a value that must be there");
        // Runs take turns: an even place is of those that are there.
        if gathered.runs.is_empty() || (gathered.runs.len() % 2 == 1) != is_there {
            if gathered.runs.is_empty() && !is_there {
                gathered.runs.push(0);
            }
            gathered.runs.push(0);
        }
        if let Some(run) = gathered.runs.last_mut() {
            *run += 1;
        }
        if place + 1 == self.columns.len() {
            self.rows += 1;
        }
    }

    pub(super) fn rows_in_group(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes_in_group(&self) -> usize {
        self.gathered.iter().map(|gathered| gathered.values.len()).sum()
    }

    pub(super) fn close_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut chunks = Vec::with_capacity(self.columns.len());
        for (column, gathered) in self.columns.iter().zip(&mut self.gathered) {
            let gathered = std::mem::take(gathered);
            let page = page(column, &gathered);
            let packed = self.compressor.compress(&page)?;
            let size = |length: usize| {
                i32::try_from(length).map_err(|_| Error::other("a column of a row group is beyond 2 GiB"))
            };
            let header = Struct::default()
                .i32(1, 0)
                .i32(2, size(page.len())?)
                .i32(3, size(packed.len())?)
                .nested(5, Struct::default().i32(1, size(self.rows)?).i32(2, PLAIN).i32(3, RLE).i32(4, RLE))
                .finish();
            self.out.write_all(&header)?;
            self.out.write_all(&packed)?;
            let (at, compressed) = (self.at, (header.len() + packed.len()) as i64);
            chunks.push(Chunk { at, plain: (header.len() + page.len()) as i64, compressed });
            self.at += compressed;
        }
        self.groups.push(Group { rows: self.rows as i64, chunks });
        self.rows = 0;
        Ok(())
    }

    /// After the last row group is closed.
    pub(super) fn finish(mut self) -> Result<W> {
        let footer = self.footer();
        let length = u32::try_from(footer.len()).map_err(|_| Error::other("too many row groups"))?;
        self.out.write_all(&footer)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn footer(&self) -> Vec<u8> {
        let root = Struct::default().text(4, "calls").i32(5, self.columns.len() as i32);
        let schema: Vec<Struct> = std::iter::once(root).chain(self.columns.iter().map(element)).collect();
        let groups = self.groups.iter().map(|group| {
            let chunks = group.chunks.iter().zip(self.columns).map(|(chunk, column)| {
                let meta = Struct::default()
                    .i32(1, column.kind.physical())
                    .numbers(2, &[PLAIN, RLE])
                    .texts(3, &[column.name])
                    .i32(4, ZSTD)
                    .i64(5, group.rows)
                    .i64(6, chunk.plain)
                    .i64(7, chunk.compressed)
                    .i64(9, chunk.at);
                Struct::default().i64(2, chunk.at).nested(3, meta)
            });
            let plain = group.chunks.iter().map(|chunk| chunk.plain).sum();
            Struct::default().structs(1, chunks).i64(2, plain).i64(3, group.rows)
        });
        Struct::default()
            .i32(1, 1)
            .structs(2, schema.into_iter())
            .i64(3, self.groups.iter().map(|group| group.rows).sum())
            .structs(4, groups)
            .text(6, "gauntlet")
            .finish()
    }
}

/// A column in the schema. What it means is told twice: older readers know the first way alone.
fn element(column: &Column) -> Struct {
    let repetition = if column.need == Need::Always { REQUIRED } else { OPTIONAL };
    let plain = Struct::default().i32(1, column.kind.physical()).i32(3, repetition).text(4, column.name);
    match column.kind {
        Kind::Text => plain.i32(6, UTF8).nested(10, Struct::default().nested(1, Struct::default())),
        Kind::Micros => {
            let unit = Struct::default().nested(2, Struct::default());
            let timestamp = Struct::default().bool(1, true).nested(2, unit);
            plain.i32(6, TIMESTAMP_MICROS).nested(10, Struct::default().nested(8, timestamp))
        }
        Kind::NanoUsd => {
            let decimal = Struct::default().i32(1, USD_SCALE).i32(2, USD_PRECISION);
            plain
                .i32(6, DECIMAL)
                .i32(7, USD_SCALE)
                .i32(8, USD_PRECISION)
                .nested(10, Struct::default().nested(5, decimal))
        }
        Kind::Whole | Kind::Flag => plain,
    }
}

/// Which values are there, where some may not be, and the values.
fn page(column: &Column, gathered: &Gathered) -> Vec<u8> {
    let mut page = Vec::with_capacity(gathered.values.len() + 64);
    if column.need == Need::Maybe {
        let mut levels = Vec::new();
        for (place, run) in gathered.runs.iter().enumerate().filter(|(_, run)| **run > 0) {
            // A run of one level: its length without the lowest bit, and the level in a byte.
            varint(&mut levels, run << 1);
            levels.push(u8::from(place % 2 == 0));
        }
        page.extend_from_slice(&(levels.len() as u32).to_le_bytes());
        page.append(&mut levels);
    }
    page.extend_from_slice(&gathered.values);
    for flags in gathered.flags.chunks(8) {
        page.push(flags.iter().enumerate().fold(0, |byte, (bit, flag)| byte | u8::from(*flag) << bit));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_which_values_are_there() {
        const MAYBE: [Column; 1] = [Column { name: "n", kind: Kind::Whole, need: Need::Maybe }];
        let check = |values: &[Option<i64>], levels: &[u8]| {
            let mut writer = Writer::new(Vec::new(), &MAYBE).unwrap();
            for value in values {
                writer.push(0, value.map_or(Value::None, Value::Number));
            }
            let page = page(&MAYBE[0], &writer.gathered[0]);
            let there: Vec<u8> = values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(page, [&(levels.len() as u32).to_le_bytes(), levels, &there].concat());
        };
        check(&[Some(1), Some(2)], &[4, 1]);
        check(&[None, Some(-1), None, None], &[2, 0, 2, 1, 4, 0]);
        check(&[None; 100], &[0xc8, 1, 0]);
    }

    #[test]
    fn flags_are_bits_from_the_lowest() {
        const FLAGS: [Column; 1] = [Column { name: "is", kind: Kind::Flag, need: Need::Always }];
        let mut writer = Writer::new(Vec::new(), &FLAGS).unwrap();
        for place in 0..10 {
            writer.push(0, Value::Flag(place == 0 || place == 9));
        }
        assert_eq!(page(&FLAGS[0], &writer.gathered[0]), [1, 2]);
    }
}

//! Copying one store into another: SQLite files to Postgres and back, whole, while a gateway still writes to the source.
//!
//! Calls and spans are appended as if they had just arrived, in the order in which they did; sums, and what else is no
//! call, are copied row by row ([`tables`]) from one moment of the source and stand in the target in one transaction.
//! Nothing is kept of how far a copy came: the target's last call says it. `docs/adr/0011` says why.

mod sqlite;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
mod verify;

use std::{error::Error, ops::Range, path::Path};

use gauntlet_ports::{Arrived, StoreError, StoredCall, StoredSpan, TraceStore, crash_point};
use thiserror::Error;

use crate::{OpenError, postgres, traces::block};
use tables::{CALLS, CONTROL, SPANS, SUMS, Table, Value};

pub use sqlite::replica_of;
pub use verify::{Check, DaySums, Report};

/// Entries of a transaction in the target: what a drainer's batch has.
const BATCH: usize = 500;
/// Compressed bytes in memory at once, unless one block alone is larger.
pub(crate) const PAGE_BYTES: usize = 2 << 20;
/// Blocks read at once.
pub(crate) const PAGE_BLOCKS: usize = 64;
/// Rows of a table in memory at once.
pub(crate) const PAGE_ROWS: usize = 2_000;
/// Entries copied from one view of the source. A view keeps the source from tidying up: SQLite's log grows meanwhile.
const ROUND: i64 = 50_000;
/// With so few entries left the next view is the last one, from which the sums are taken too.
const LAST_ROUND: i64 = 5_000;
/// Rounds until the last one is made whatever is left: a gateway may write faster than we copy.
const ROUNDS_MAX: usize = 100_000;

type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, Error)]
pub enum MoveError {
    #[error("{which} cannot be opened")]
    Open { which: Which, source: OpenError },
    #[error("source and target are the same store: {place}")]
    Same { place: String },
    #[error("{place} is the source as well, or another copy is being made into it")]
    Taken { place: String },
    #[error("a gateway uses {place}; stop it first: a store is copied into one that nobody uses")]
    InUse { place: String },
    #[error(
        "{place} has data of its own: {what}. Copy into an empty store, or into one that such a copy was made into \
         and that nobody used since"
    )]
    HasOther { place: String, what: String },
    #[error("there is no store in {place}")]
    Nothing { place: String },
    #[error("{which} failed at {what}")]
    Failed { which: Which, what: &'static str, source: Cause },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    Source,
    Target,
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Which::Source => "the source",
            Which::Target => "the target",
        })
    }
}

/// A failure at a side; whose it is, is said by who asked.
#[derive(Debug)]
pub(crate) struct SideError {
    what: &'static str,
    source: Cause,
}

pub(crate) type Result<T> = std::result::Result<T, SideError>;

pub(crate) trait At<T> {
    fn at(self, what: &'static str) -> Result<T>;
}

impl<T, E: Into<Cause>> At<T> for std::result::Result<T, E> {
    fn at(self, what: &'static str) -> Result<T> {
        self.map_err(|error| SideError { what, source: error.into() })
    }
}

pub(crate) trait Of<T> {
    fn of(self, which: Which) -> std::result::Result<T, MoveError>;
}

impl<T> Of<T> for Result<T> {
    fn of(self, which: Which) -> std::result::Result<T, MoveError> {
        self.map_err(|SideError { what, source }| MoveError::Failed { which, what, source })
    }
}

impl From<StoreError> for SideError {
    fn from(error: StoreError) -> SideError {
        SideError { what: "reading or writing records", source: error.into() }
    }
}

/// What is copied by arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    Calls,
    Spans,
}

impl Sort {
    pub const ALL: [Sort; 2] = [Sort::Calls, Sort::Spans];

    pub const fn as_str(self) -> &'static str {
        match self {
            Sort::Calls => "calls",
            Sort::Spans => "spans",
        }
    }

    pub(crate) fn table(self) -> &'static Table {
        match self {
            Sort::Calls => &CALLS,
            Sort::Spans => &SPANS,
        }
    }

    pub(crate) const fn payload(self) -> &'static str {
        match self {
            Sort::Calls => "payload",
            Sort::Spans => "span_payload",
        }
    }

    /// What tells an entry from all others, in columns of both stores.
    pub(crate) const fn key(self) -> &'static [&'static str] {
        match self {
            Sort::Calls => &["id"],
            Sort::Spans => &["ts", "span_id", "trace_id"],
        }
    }
}

/// How rows of gateways are told; the same on both sides of a copy.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub which: Which,
    /// The gateway whose data folder takes part.
    pub replica: String,
    /// Rows that belong to a gateway are told with its name, since the target has a place for it.
    pub by_replica: bool,
    /// The spool stays where it is, so that how far it was taken over goes along.
    pub positions: bool,
}

/// A block of payloads.
pub(crate) struct Block {
    pub rid_first: i64,
    pub enc: String,
    pub body: Vec<u8>,
}

/// A row, in the order of its table's columns.
pub(crate) type Row = Vec<Value>;
/// Takes rows by the page.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[Row]) -> std::result::Result<(), MoveError>;

/// One moment of a store.
pub(crate) trait Look {
    /// Number of the entry that arrived last; 0 without any.
    fn last(&mut self, sort: Sort) -> Result<i64>;
    fn count(&mut self, sort: Sort, until: i64) -> Result<u64>;
    /// What tells the entry with a number from others, in the shown form of both stores; none where there is none.
    fn key(&mut self, sort: Sort, rid: i64) -> Result<Option<Vec<String>>>;
    fn find(&mut self, sort: Sort, key: &[String]) -> Result<Option<i64>>;
    /// The first number of the block that holds an entry, or of the next one.
    fn block_of(&mut self, sort: Sort, rid: i64) -> Result<i64>;
    /// Blocks whose first number is `from` or more, and less than `end`; as many as fit.
    fn blocks(&mut self, sort: Sort, from: i64, end: i64) -> Result<Vec<Block>>;
    /// Rows in the table's order; of one that grows those after `after` and up to `until`.
    fn rows(
        &mut self,
        table: &'static Table,
        after: i64,
        until: i64,
        each: Each<'_>,
    ) -> std::result::Result<(), MoveError>;
    /// The highest number in the table's counter.
    fn counter(&mut self, table: &'static Table) -> Result<i64>;
}

/// One transaction that replaces rows.
pub(crate) trait Change {
    /// Takes all rows out of a table, but those that are the place's own.
    fn clear(&mut self, table: &'static Table) -> Result<()>;
    fn insert(&mut self, table: &'static Table, rows: &[Row]) -> Result<()>;
    fn commit(self: Box<Self>) -> Result<()>;
}

pub(crate) trait Side {
    fn traces(&self) -> &dyn TraceStore;
    fn look(&self, view: &View) -> Result<Box<dyn Look + '_>>;
    fn change(&self, view: &View) -> Result<Box<dyn Change + '_>>;
}

/// A store that is copied from or into.
pub struct Place {
    side: Box<dyn Side>,
    /// For messages: no password.
    pub place: String,
    is_postgres: bool,
    /// Whether a gateway had a connection when it was opened; known of Postgres alone.
    pub is_in_use: bool,
}

impl Place {
    /// The files in a data folder. The caller keeps gateways from the target's folder.
    pub fn sqlite(folder: &Path, which: Which) -> std::result::Result<Place, MoveError> {
        let place = folder.display().to_string();
        if which == Which::Source && !folder.join(sqlite::TRACES).exists() {
            return Err(MoveError::Nothing { place });
        }
        let side = sqlite::Files::open(folder).map_err(|source| MoveError::Open { which, source })?;
        Ok(Place { side: Box::new(side), place, is_postgres: false, is_in_use: false })
    }

    /// The database at this address; as a target it is kept from other copies, and refused where a gateway uses it.
    pub fn postgres(url: &str, replica: &str, which: Which) -> std::result::Result<Place, MoveError> {
        let side = postgres::moving::Schema::open(url, replica)
            .map_err(|source| MoveError::Open { which, source })?;
        let place = side.place().to_owned();
        let is_in_use = side.is_in_use().of(which)?;
        if which == Which::Target && is_in_use {
            return Err(MoveError::InUse { place });
        }
        if !side.reserve(which).of(which)? {
            return Err(MoveError::Taken { place });
        }
        Ok(Place { side: Box::new(side), place, is_postgres: true, is_in_use })
    }

    pub fn is_postgres(&self) -> bool {
        self.is_postgres
    }
}

/// How far a copy is.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// So many entries of so many were looked at.
    Copying {
        sort: Sort,
        done: u64,
        of: u64,
    },
    Sums,
    Comparing,
}

/// Copies everything, or the rest of it, and compares both sides.
///
/// `replica` names the gateway whose data folder takes part; empty where there is none.
pub fn copy(
    from: &Place,
    to: &Place,
    replica: &str,
    tell: &mut dyn FnMut(Progress),
) -> std::result::Result<Report, MoveError> {
    let source = View {
        which: Which::Source,
        replica: replica.to_owned(),
        by_replica: to.is_postgres,
        positions: from.is_postgres || to.is_postgres,
    };
    let target = View { which: Which::Target, ..source.clone() };
    let mut copy = Copy { from, to, source: &source, target: &target, copied: [0; 2], next: [1; 2], tell };
    copy.begin()?;
    for _ in 0..ROUNDS_MAX {
        let mut look = from.side.look(&source).of(Which::Source)?;
        if copy.left(&mut *look)? <= LAST_ROUND {
            break;
        }
        copy.entries(&mut *look, ROUND)?;
    }
    // From here on one moment of the source counts, whatever arrives meanwhile.
    let mut look = from.side.look(&source).of(Which::Source)?;
    copy.entries(&mut *look, i64::MAX)?;
    (copy.tell)(Progress::Sums);
    copy.rows(&mut *look)?;
    (copy.tell)(Progress::Comparing);
    let mut there = to.side.look(&target).of(Which::Target)?;
    let mut report = verify::compare(&mut *look, &mut *there)?;
    drop((look, there));
    verify::sample(from, to, &mut report)?;
    report.copied = Sort::ALL.map(|sort| (sort, copy.copied[sort as usize])).to_vec();
    Ok(report)
}

struct Copy<'a> {
    from: &'a Place,
    to: &'a Place,
    source: &'a View,
    target: &'a View,
    copied: [u64; 2],
    /// The source's number to go on from.
    next: [i64; 2],
    tell: &'a mut dyn FnMut(Progress),
}

impl Copy<'_> {
    /// Finds out how far an earlier copy came. Whatever is in the target must be a beginning of the source.
    fn begin(&mut self) -> std::result::Result<(), MoveError> {
        let mut source = self.from.side.look(self.source).of(Which::Source)?;
        let mut target = self.to.side.look(self.target).of(Which::Target)?;
        let other = |what: String| MoveError::HasOther { place: self.to.place.clone(), what };
        for sort in Sort::ALL {
            let last = target.last(sort).of(Which::Target)?;
            let Some(key) = target.key(sort, last).of(Which::Target)? else { continue };
            let name = sort.as_str();
            let Some(found) = source.find(sort, &key).of(Which::Source)? else {
                return Err(other(format!("{name} that the source does not have")));
            };
            // The order counts as well: what both have in common may lie between what only one has.
            let table = sort.table();
            let (there, there_sum) = verify::digest(&mut *target, table, 0, last)?;
            let (here, here_sum) = verify::digest(&mut *source, table, 0, found)?;
            if there != here {
                return Err(other(format!("{there} {name} where the source has {here}")));
            }
            if there_sum != here_sum {
                return Err(other(format!("{name} that are not those of the source")));
            }
            self.next[sort as usize] = found + 1;
        }
        for table in CONTROL.iter().filter(|table| table.grows_by.is_some()) {
            let last = target.counter(table).of(Which::Target)?;
            let there = verify::digest(&mut *target, table, 0, last)?;
            let here = verify::digest(&mut *source, table, 0, last)?;
            if there != here {
                return Err(other("keys, prompts or settings that were changed there".to_owned()));
            }
        }
        Ok(())
    }

    fn left(&self, look: &mut dyn Look) -> std::result::Result<i64, MoveError> {
        let mut left = 0;
        for sort in Sort::ALL {
            left += (look.last(sort).of(Which::Source)? + 1 - self.next[sort as usize]).max(0);
        }
        Ok(left)
    }

    /// Appends entries that arrived up to this moment, `most` of a sort.
    fn entries(&mut self, look: &mut dyn Look, most: i64) -> std::result::Result<(), MoveError> {
        for sort in Sort::ALL {
            let last = look.last(sort).of(Which::Source)?;
            let first = self.next[sort as usize];
            let end = first.saturating_add(most).min(last + 1);
            let mut from = look.block_of(sort, first).of(Which::Source)?;
            while self.next[sort as usize] < end {
                let mut blocks = look.blocks(sort, from, end).of(Which::Source)?;
                let Some(block) = blocks.last() else { break };
                from = block.rid_first + 1;
                let wanted = self.next[sort as usize]..end;
                self.next[sort as usize] = self.page(sort, &mut blocks, wanted)?;
                let done = self.next[sort as usize] - 1;
                (self.tell)(Progress::Copying {
                    sort,
                    done: done.max(0).unsigned_abs(),
                    of: last.max(0).unsigned_abs(),
                });
            }
            // Rows without texts, if there are any, are told by the comparison.
            self.next[sort as usize] = end.max(first);
        }
        Ok(())
    }

    /// Says which number comes next.
    fn page(
        &mut self,
        sort: Sort,
        blocks: &mut [Block],
        wanted: Range<i64>,
    ) -> std::result::Result<i64, MoveError> {
        let (copied, next) = match sort {
            Sort::Calls => {
                let (calls, next) = unpacked::<StoredCall>(blocks, wanted)?;
                (self.append(calls.chunks(BATCH).map(Arrived::calls))?, next)
            }
            Sort::Spans => {
                let (spans, next) = unpacked::<StoredSpan>(blocks, wanted)?;
                (self.append(spans.chunks(BATCH).map(|spans| Arrived { calls: &[], spans }))?, next)
            }
        };
        self.copied[sort as usize] += copied;
        Ok(next)
    }

    fn append<'b>(&self, batches: impl Iterator<Item = Arrived<'b>>) -> std::result::Result<u64, MoveError> {
        let mut added = 0;
        for batch in batches {
            added += self.to.side.traces().append(batch, &[]).at("adding records").of(Which::Target)? as u64;
            crash_point!("move.appended");
        }
        Ok(added)
    }

    /// Everything that is no call and no span, in one transaction.
    fn rows(&self, look: &mut dyn Look) -> std::result::Result<(), MoveError> {
        let mut change = self.to.side.change(self.target).of(Which::Target)?;
        // What points at a row goes before it.
        for table in SUMS.iter().chain(&CONTROL).rev().filter(|table| table.grows_by.is_none()) {
            change.clear(table).of(Which::Target)?;
        }
        for table in SUMS.iter().chain(&CONTROL) {
            let after = match table.grows_by {
                Some(_) => {
                    let mut target = self.to.side.look(self.target).of(Which::Target)?;
                    target.counter(table).of(Which::Target)?
                }
                None => 0,
            };
            look.rows(table, after, i64::MAX, &mut |rows| {
                crash_point!("move.row");
                change.insert(table, rows).of(Which::Target)
            })?;
        }
        crash_point!("move.uncommitted");
        change.commit().of(Which::Target)?;
        crash_point!("move.committed");
        Ok(())
    }
}

/// The entries that are wanted, and the number after the last one looked at.
fn unpacked<T: block::Kept>(
    blocks: &mut [Block],
    wanted: Range<i64>,
) -> std::result::Result<(Vec<T>, i64), MoveError> {
    let (mut entries, mut next) = (Vec::new(), wanted.start);
    for block in blocks {
        let body = std::mem::take(&mut block.body);
        let held =
            block::unpack_all::<T>(&block.enc, &body, false).at("reading a block").of(Which::Source)?;
        next = next.max(block.rid_first + held.len() as i64);
        let numbered = (block.rid_first..).zip(held);
        // What was removed has left its place.
        entries.extend(numbered.filter(|(rid, _)| wanted.contains(rid)).filter_map(|(_, entry)| entry));
    }
    Ok((entries, next.min(wanted.end)))
}

//! Taking texts, or the whole, of calls and spans away: what retention, sampling and erasure ask for.
//!
//! A block is written anew without what goes, at its own place, so that every other entry is found as before. SQLite
//! overwrites what it frees (`secure_delete`), and gives free pages back a few at a time.

use std::collections::BTreeMap;

use gauntlet_ports::Cut;
use gauntlet_types::CallId;
use rusqlite::{Connection, OptionalExtension, Result, Transaction, TransactionBehavior, params};

use super::{
    block::{BlockError, Kept, Packer},
    index,
};

/// Pages given back at once: 16 MiB, a few milliseconds.
const PAGES_AT_ONCE: i64 = 1024;

/// The tables of calls, or of spans.
pub(crate) struct Tables {
    find_block: &'static str,
    put_block: &'static str,
    drop_block: &'static str,
    clear_row: &'static str,
    drop_row: &'static str,
}

static CALLS: Tables = Tables {
    find_block: "select rid_first, enc, body, coalesce((select min(rid_first) from payload where rid_first > ?1), 9223372036854775807) \
         from payload where rid_first <= ?1 order by rid_first desc limit 1",
    put_block: "update payload set body = ?2 where rid_first = ?1",
    drop_block: "delete from payload where rid_first = ?1",
    clear_row: "update llm_traces set input_redacted = null, output = null where rid = ?1",
    drop_row: "delete from llm_traces where rid = ?1",
};

static SPANS: Tables = Tables {
    find_block: "select rid_first, enc, body, coalesce((select min(rid_first) from span_payload where rid_first > ?1), 9223372036854775807) \
         from span_payload where rid_first <= ?1 order by rid_first desc limit 1",
    put_block: "update span_payload set body = ?2 where rid_first = ?1",
    drop_block: "delete from span_payload where rid_first = ?1",
    clear_row: "update spans set error = null, input_preview = null, output_preview = null where rid = ?1",
    drop_row: "delete from spans where rid = ?1",
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum CutError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// Takes away what is named of calls; says how many it changed.
pub(crate) fn calls(
    connection: &mut Connection,
    packer: &mut Packer,
    cuts: &[(CallId, Cut)],
) -> std::result::Result<u64, CutError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut by_rid = BTreeMap::new();
    {
        let mut find = tx.prepare_cached("select rid from llm_traces where id = ?1")?;
        let mut uncorrect = tx.prepare_cached("delete from repriced where id = ?1")?;
        for (id, cut) in cuts {
            let id = id.0.to_string();
            let Some(rid) = find.query_row([&id], |row| row.get::<_, i64>(0)).optional()? else { continue };
            insert(&mut by_rid, rid, *cut);
            if *cut == Cut::Whole {
                uncorrect.execute([&id])?;
            }
        }
    }
    let done = apply::<gauntlet_ports::StoredCall>(&tx, packer, &CALLS, &by_rid)?;
    index::cut(&tx, &done.cleared, &done.removed)?;
    tx.commit()?;
    Ok(done.count())
}

/// The same of spans, by rid.
pub(crate) fn spans(
    connection: &mut Connection,
    packer: &mut Packer,
    cuts: &[(i64, Cut)],
) -> std::result::Result<u64, CutError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut by_rid = BTreeMap::new();
    {
        let mut find = tx.prepare_cached("select 1 from spans where rid = ?1")?;
        for (rid, cut) in cuts {
            if find.exists([rid])? {
                insert(&mut by_rid, *rid, *cut);
            }
        }
    }
    let done = apply::<gauntlet_ports::StoredSpan>(&tx, packer, &SPANS, &by_rid)?;
    // Marks go with the batch that they cover.
    tx.execute(
        "delete from span_marks where rid_first + length(marks) / 20 <= coalesce((select min(rid) from spans), 0)",
        [],
    )?;
    tx.commit()?;
    Ok(done.count())
}

/// Of two wishes for one call, the one that takes more.
fn insert(by_rid: &mut BTreeMap<i64, Cut>, rid: i64, cut: Cut) {
    let kept = by_rid.entry(rid).or_insert(cut);
    if cut == Cut::Whole {
        *kept = cut;
    }
}

/// What a cut changed, by rid.
#[derive(Default)]
struct Done {
    cleared: Vec<(i64, Vec<String>)>,
    removed: Vec<i64>,
}

impl Done {
    fn count(&self) -> u64 {
        (self.cleared.len() + self.removed.len()) as u64
    }
}

fn apply<T: Kept>(
    tx: &Transaction<'_>,
    packer: &mut Packer,
    tables: &Tables,
    by_rid: &BTreeMap<i64, Cut>,
) -> std::result::Result<Done, CutError> {
    let mut done = Done::default();
    let mut find = tx.prepare_cached(tables.find_block)?;
    let mut clear = tx.prepare_cached(tables.clear_row)?;
    let mut rest = by_rid.iter().peekable();
    while let Some(first) = rest.peek().map(|(rid, _)| **rid) {
        let found = find.query_row([first], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
                row.get::<_, i64>(3)?,
            ))
        });
        let Some((rid_first, enc, body, next)) = found.optional()? else {
            rest.next();
            continue;
        };
        let mut wanted = Vec::new();
        while let Some((rid, cut)) = rest.next_if(|(rid, _)| **rid < next) {
            wanted.push((usize::try_from(rid - rid_first).unwrap_or(usize::MAX), *cut));
        }
        match rewrite::<T>(packer, &enc, &body, &wanted)? {
            Rewritten::Same => {}
            Rewritten::Other { body, cleared } => {
                tx.prepare_cached(tables.put_block)?.execute(params![rid_first, body])?;
                for (index, terms) in cleared {
                    let rid = rid_first + index as i64;
                    clear.execute([rid])?;
                    done.cleared.push((rid, terms));
                }
            }
            Rewritten::Nothing => {
                tx.prepare_cached(tables.drop_block)?.execute([rid_first])?;
            }
        }
    }
    let mut drop_row = tx.prepare_cached(tables.drop_row)?;
    for (rid, _) in by_rid.iter().filter(|(_, cut)| **cut == Cut::Whole) {
        if drop_row.execute([rid])? > 0 {
            done.removed.push(*rid);
        }
    }
    Ok(done)
}

/// A block after a cut.
pub(crate) enum Rewritten {
    /// What should go is gone already.
    Same,
    Other {
        body: Vec<u8>,
        /// Which entries lost their texts, and what an index keeps of them.
        cleared: Vec<(usize, Vec<String>)>,
    },
    Nothing,
}

/// Writes a block anew without what is cut.
pub(crate) fn rewrite<T: Kept>(
    packer: &mut Packer,
    enc: &str,
    body: &[u8],
    cuts: &[(usize, Cut)],
) -> std::result::Result<Rewritten, BlockError> {
    let mut entries = super::block::unpack_all::<T>(enc, body, false)?;
    let (mut cleared, mut is_other) = (Vec::new(), false);
    for (index, cut) in cuts {
        // A place beyond the block is of no entry.
        let Some(slot) = entries.get_mut(*index) else { continue };
        let Some(entry) = slot else { continue };
        match cut {
            Cut::Texts(why) if entry.cut_texts(*why) => cleared.push((*index, entry.terms())),
            Cut::Texts(_) => {}
            Cut::Whole => {
                *slot = None;
                is_other = true;
            }
        }
    }
    if !is_other && cleared.is_empty() {
        return Ok(Rewritten::Same);
    }
    if entries.iter().all(Option::is_none) {
        return Ok(Rewritten::Nothing);
    }
    packer.clear();
    for entry in &entries {
        match entry {
            Some(entry) => packer.add(entry)?,
            None => packer.add_gone::<T>(),
        }
    }
    let body = packer.pack()?.to_vec();
    packer.clear();
    Ok(Rewritten::Other { body, cleared })
}

/// Gives free pages back to the file system. A file from before this was asked for is made over once, which takes as long
/// as copying it.
pub(crate) fn shrink(connection: &Connection) -> Result<()> {
    const INCREMENTAL: i64 = 2;
    if connection.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0))? != INCREMENTAL {
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        return connection.execute_batch("vacuum");
    }
    // Each row of the answer is a page given back.
    let mut statement = connection.prepare(&format!("pragma incremental_vacuum({PAGES_AT_ONCE})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

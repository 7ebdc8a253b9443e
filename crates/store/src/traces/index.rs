//! The index by which calls are found: FTS5 tables of 65,536 calls each, filled in the background in the order of arrival.
//!
//! Small tables keep every question bounded: what is looked for in one of them costs milliseconds even where it stands
//! everywhere, merging never moves more than one of them, and what is old can go by dropping a table. A call is in the index
//! once its rid is within a row of `find_span`, which is written in the same transaction; a crash loses steps, never a call.

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::finding::{
    step::Step,
    terms::Wanted,
    text::Phrase,
    walk::{Order, Span},
};

/// Calls of one table. On disk: the table of a call follows from its rid.
pub(crate) const SHARD: i64 = 64 * 1024;

/// Up to where calls are in the index.
pub(crate) fn reached(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached(
            "select coalesce((select rid_last from find_span order by rid_first desc limit 1), 0)",
        )?
        .query_row([], |row| row.get(0))
}

/// Reads the blocks that follow what is indexed, until they hold `limit` calls; none where all is indexed.
pub(crate) fn read(connection: &Connection, limit: u32) -> Result<Option<Step>> {
    let mut step = Step::new(reached(connection)?, cuts(connection)?);
    let mut statement = connection
        .prepare_cached("select rid_first, enc, body from payload where rid_first > ?1 order by rid_first")?;
    let mut rows = statement.query([step.from])?;
    while step.has_room(limit)
        && let Some(row) = rows.next()?
    {
        step.add(row.get(0)?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_blob()?);
    }
    Ok((!step.is_empty()).then_some(step))
}

/// Adds a step, unless another process was faster, or something was cut since it was read.
pub(crate) fn write(tx: &Connection, step: &Step) -> Result<()> {
    if reached(tx)? != step.from || cuts(tx)? != step.cuts {
        return Ok(());
    }
    for (shard, calls) in step.shards(SHARD) {
        if !has_table(tx, shard)? {
            tx.execute_batch(&create(shard))?;
        }
        let mut insert = tx
            .prepare_cached(&format!("insert into find_{shard} (rowid, words, terms) values (?1, ?2, ?3)"))?;
        for call in calls {
            insert.execute(params![call.rid, call.words, call.terms.join(" ")])?;
        }
    }
    let mut note = tx.prepare_cached(
        "insert into find_span (rid_first, rid_last, ts_min, ts_max) values (?1, ?2, ?3, ?4)",
    )?;
    for span in step.spans() {
        note.execute(span)?;
    }
    Ok(())
}

/// Takes the words of calls, or all of them, out of the index. What was read before this is not written after it.
pub(crate) fn cut(tx: &Connection, cleared: &[(i64, Vec<String>)], removed: &[i64]) -> Result<()> {
    if cleared.is_empty() && removed.is_empty() {
        return Ok(());
    }
    tx.prepare_cached(
        "insert into progress (job, at) values ('cuts', 1) on conflict (job) do update set at = at + 1",
    )?
    .execute([])?;
    let reached = reached(tx)?;
    let mut count = tx.prepare_cached("update find_table set cuts = cuts + 1 where shard = ?1")?;
    for (rid, terms) in cleared.iter().filter(|(rid, _)| *rid <= reached) {
        let shard = rid.div_euclid(SHARD);
        if count.execute([shard])? > 0 {
            tx.prepare_cached(&format!(
                "insert or replace into find_{shard} (rowid, words, terms) values (?1, '', ?2)"
            ))?
            .execute(params![rid, terms.join(" ")])?;
        }
    }
    for rid in removed.iter().filter(|rid| **rid <= reached) {
        let shard = rid.div_euclid(SHARD);
        if count.execute([shard])? > 0 {
            tx.prepare_cached(&format!("delete from find_{shard} where rowid = ?1"))?.execute([rid])?;
        }
    }
    if removed.is_empty() { Ok(()) } else { drop_old(tx) }
}

/// Drops tables whose calls are all gone. The last row of `find_span` stays: it says how far the index has come.
fn drop_old(tx: &Connection) -> Result<()> {
    let first: Option<i64> = tx.query_row("select min(rid) from llm_traces", [], |row| row.get(0))?;
    let Some(first) = first else { return Ok(()) };
    let mut old = tx.prepare_cached("delete from find_table where shard < ?1 returning shard")?;
    let shards: Vec<i64> =
        old.query_map([first.div_euclid(SHARD)], |row| row.get(0))?.collect::<Result<_>>()?;
    for shard in shards {
        tx.execute_batch(&format!("drop table find_{shard}"))?;
    }
    tx.prepare_cached(
        "delete from find_span where rid_last < ?1 and rid_first < (select max(rid_first) from find_span)",
    )?
    .execute([first])
    .map(drop)
}

/// Writes one table anew whose words were cut: FTS5 only marks them as gone at first. False where no table needs it.
pub(crate) fn purge(tx: &Connection) -> Result<bool> {
    let shard: Option<i64> = tx
        .prepare_cached("select shard from find_table where cuts > 0 limit 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(shard) = shard else { return Ok(false) };
    tx.execute_batch(&format!(
        "insert into find_{shard} (find_{shard}) values ('optimize'); \
         update find_table set cuts = 0 where shard = {shard}"
    ))?;
    Ok(true)
}

fn cuts(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached("select coalesce((select at from progress where job = 'cuts'), 0)")?
        .query_row([], |row| row.get(0))
}

fn has_table(connection: &Connection, shard: i64) -> Result<bool> {
    connection
        .prepare_cached("select exists (select 1 from find_table where shard = ?1)")?
        .query_row([shard], |row| row.get(0))
}

/// Words come folded and apart, so that the plainest tokenizer will do: it leaves everything beyond ASCII alone.
fn create(shard: i64) -> String {
    format!(
        "insert into find_table (shard) values ({shard}); \
         create virtual table find_{shard} \
         using fts5(words, terms, content='', contentless_delete=1, tokenize='ascii')"
    )
}

/// Calls of a span, within one table, that have all that is wanted.
pub(crate) fn candidates(
    connection: &Connection,
    wanted: &Wanted,
    span: Span,
    order: Order,
    most: usize,
) -> Result<Vec<(i64, bool)>> {
    let shard = span.first.div_euclid(SHARD);
    // Rids may leave a gap as large as a table.
    if !has_table(connection, shard)? {
        return Ok(Vec::new());
    }
    let way = match order {
        Order::NewestFirst => "desc",
        Order::OldestFirst => "asc",
    };
    let sql = format!(
        "select rowid from find_{shard} where find_{shard} match ?1 and rowid between ?2 and ?3 \
         order by rowid {way} limit ?4"
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement
        .query_map(params![question(wanted), span.first, span.last, most], |row| Ok((row.get(0)?, true)))?;
    rows.collect()
}

/// In FTS5's own language. Everything in quotes is letters and digits, whatever was typed.
fn question(wanted: &Wanted) -> String {
    let groups = wanted.groups.iter().map(|terms| {
        let any: Vec<String> = terms.iter().map(|term| format!("\"{term}\"")).collect();
        format!("terms : ({})", any.join(" OR "))
    });
    let said = |phrase: &Phrase| {
        let star = if phrase.is_beginning { " *" } else { "" };
        format!("words : \"{}\"{star}", phrase.words.join(" "))
    };
    let all: Vec<String> = groups.chain(wanted.text.wanted.iter().map(said)).collect();
    let not: Vec<String> = wanted.text.unwanted.iter().map(said).collect();
    let all = all.join(" AND ");
    if not.is_empty() { all } else { format!("({all}) NOT ({})", not.join(" OR ")) }
}

//! Reading whole records through, and keeping what they cost by other prices beside what they cost.

use gauntlet_ports::{
    Correction, Reconciliation, RecordCursor, RecordPage, RecordQuery, Repricing, StoreError,
};
use gauntlet_types::{Day, Name, NanoUsd, Timestamp};
use rusqlite::{Connection, OptionalExtension, Result, Row, Transaction, params};

use super::{
    block,
    names::{NameCounts, NameDeltas, NameSums},
    rollup,
};
use crate::{error::During, time};

/// Compressed bytes of a page, unless its first block alone is larger: calls with long texts make shorter pages.
pub(crate) const PAGE_BYTES: usize = 2 << 20;

/// Blocks of a page and where the next page begins.
pub(crate) struct Blocks {
    pub cursor: RecordCursor,
    pub next: Option<RecordCursor>,
    pub blocks: Vec<(i64, String, Vec<u8>)>,
}

/// The compressed blocks that hold a page; unpacked when the connection is free again.
pub(crate) fn blocks(
    connection: &Connection,
    query: &RecordQuery,
    cursor: Option<RecordCursor>,
    limit: u32,
) -> Result<Blocks> {
    let none = RecordCursor { next: 1, last: 0 };
    let cursor = match cursor {
        Some(cursor) => cursor,
        None => span(connection, query)?.unwrap_or(none),
    };
    let mut found = Blocks { cursor, next: None, blocks: Vec::new() };
    if cursor.next > cursor.last {
        return Ok(found);
    }
    let until = cursor.next.saturating_add(i64::from(limit.max(1))).min(cursor.last.saturating_add(1));
    let sql = "select rid_first, enc, body from payload \
         where rid_first >= coalesce((select max(rid_first) from payload where rid_first <= ?1), ?1) \
           and rid_first < ?2 order by rid_first";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([cursor.next, until])?;
    let (mut until, mut bytes) = (until, 0);
    while let Some(row) = rows.next()? {
        let (rid_first, enc, body): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        bytes += body.len();
        if bytes > PAGE_BYTES && !found.blocks.is_empty() {
            until = rid_first;
            break;
        }
        found.blocks.push((rid_first, enc, body));
    }
    found.cursor.last = until - 1;
    found.next = (until <= cursor.last).then_some(RecordCursor { next: until, last: cursor.last });
    Ok(found)
}

/// Rids go by arrival, which is nearly the order of time: the span of a time's rids holds few others.
fn span(connection: &Connection, query: &RecordQuery) -> Result<Option<RecordCursor>> {
    let (from, to) = (time::instant(query.from), time::instant(query.to));
    let sql = "select min(rid), max(rid) from llm_traces where ts >= ?1 and ts < ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let ends: (Option<i64>, Option<i64>) =
        statement.query_row([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = ends else { return Ok(None) };
    let newest = match query.newest {
        0 => first,
        newest => last - i64::from(newest) + 1,
    };
    Ok(Some(RecordCursor { next: first.max(newest), last }))
}

pub(crate) fn page(query: &RecordQuery, found: Blocks) -> std::result::Result<RecordPage, StoreError> {
    let mut calls = Vec::new();
    for (rid_first, enc, body) in &found.blocks {
        let block = block::unpack_all::<gauntlet_ports::StoredCall>(enc, body, query.without_texts)
            .during("reading records")?;
        for (rid, call) in (*rid_first..).zip(block) {
            let is_in_span = call.record.started >= query.from && call.record.started < query.to;
            if rid >= found.cursor.next && rid <= found.cursor.last && is_in_span {
                calls.push(call);
            }
        }
    }
    Ok(RecordPage { calls, next: found.next })
}

pub(crate) fn apply(
    tx: &Transaction<'_>,
    names: &mut NameCounts,
    run: &Repricing,
    corrections: &[Correction<'_>],
) -> Result<u64> {
    let (mut changed, mut before, mut after) = (0, NanoUsd::ZERO, NanoUsd::ZERO);
    let mut deltas = NameDeltas::default();
    let mut standing = tx.prepare_cached("select cost_nano from repriced where id = ?1")?;
    let mut keep = tx.prepare_cached(
        "insert into repriced (id, price_version, cost_nano, at) values (?1, ?2, ?3, ?4) \
         on conflict do update set price_version = excluded.price_version, cost_nano = excluded.cost_nano, \
             at = excluded.at",
    )?;
    let mut forget = tx.prepare_cached("delete from repriced where id = ?1")?;
    let mut correct = tx.prepare_cached(include_str!("sql/correct_rollup.sql"))?;
    for Correction { record, cost } in corrections {
        let id = record.id.0.to_string();
        let known: Option<i64> = standing.query_row([&id], |row| row.get(0)).optional()?;
        let was = known.map_or(record.cost, NanoUsd);
        if was == *cost {
            continue;
        }
        let key = rollup::Key::day_of(record);
        let delta = cost.minus(was);
        let day = time::day(record.started.day());
        let found = correct.execute(params![
            delta.0,
            day,
            key.tenant,
            key.route,
            key.model,
            key.provider,
            key.environment,
            key.team,
            key.prompt_name,
            key.prompt_version,
        ])?;
        if found == 0 {
            // Its sums are gone (an old file, or erased): there is nothing to correct.
            continue;
        }
        if *cost == record.cost {
            forget.execute([&id])?;
        } else {
            keep.execute(params![id, &*run.price_version, cost.0, run.at.0])?;
        }
        deltas.add_sums(record, &NameSums { correction: delta, ..NameSums::default() });
        (changed, before, after) = (changed + 1, before.plus(was), after.plus(*cost));
    }
    if changed > 0 {
        names.write(tx, &deltas)?;
        tx.prepare_cached(
            "insert into repricings (at, price_version, day_from, day_to, model, calls, before_nano, after_nano) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             on conflict do update set calls = calls + excluded.calls, \
                 before_nano = before_nano + excluded.before_nano, after_nano = after_nano + excluded.after_nano",
        )?
        .execute(params![
            run.at.0,
            &*run.price_version,
            time::day(run.from),
            time::day(run.to),
            run.model.as_deref(),
            changed as i64,
            before.0,
            after.0,
        ])?;
    }
    Ok(changed)
}

pub(crate) fn repricings(connection: &Connection, limit: u32) -> Result<Vec<Repricing>> {
    let sql = "select at, price_version, day_from, day_to, model, calls, before_nano, after_nano from repricings \
         order by at desc limit ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([limit], |row| {
        Ok(Repricing {
            at: Timestamp(row.get(0)?),
            price_version: name(row, 1)?,
            from: day(row, 2)?,
            to: day(row, 3)?,
            model: row.get_ref(4)?.as_str_or_null()?.map(Name::from),
            calls: row.get::<_, i64>(5)?.max(0).unsigned_abs(),
            before: NanoUsd(row.get(6)?),
            after: NanoUsd(row.get(7)?),
        })
    })?;
    rows.collect()
}

pub(crate) fn add_reconciliation(tx: &Transaction<'_>, one: &Reconciliation) -> Result<()> {
    tx.prepare_cached(
        "insert into reconciliations (at, provider, day_from, day_to, threshold, is_drift, report) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        one.at.0,
        &*one.provider,
        time::day(one.from),
        time::day(one.to),
        one.threshold_percent,
        one.is_drift,
        one.report.to_string(),
    ])
    .map(drop)
}

pub(crate) fn reconciliations(connection: &Connection, limit: u32) -> Result<Vec<Reconciliation>> {
    let sql = "select at, provider, day_from, day_to, threshold, is_drift, report from reconciliations \
         order by seq desc limit ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([limit], |row| {
        Ok(Reconciliation {
            at: Timestamp(row.get(0)?),
            provider: name(row, 1)?,
            from: day(row, 2)?,
            to: day(row, 3)?,
            threshold_percent: row.get(4)?,
            is_drift: row.get(5)?,
            report: serde_json::from_str(row.get_ref(6)?.as_str()?).unwrap_or_default(),
        })
    })?;
    rows.collect()
}

fn name(row: &Row<'_>, column: usize) -> Result<Name> {
    Ok(Name::from(row.get_ref(column)?.as_str()?))
}

fn day(row: &Row<'_>, column: usize) -> Result<Day> {
    Ok(Day::parse(row.get_ref(column)?.as_str()?).unwrap_or_default())
}

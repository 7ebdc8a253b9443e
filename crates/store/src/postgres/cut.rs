//! Taking texts, or the whole, of calls and spans away. Freed room is used again after the next vacuum; Postgres gives
//! only what is free at the end of a table back to the file system.

use std::collections::BTreeMap;

use gauntlet_ports::{Cut, StoreError, StoredCall, StoredSpan};
use gauntlet_types::CallId;
use tokio_postgres::types::Type;

use super::{
    append::BEGIN_APPEND,
    database::{Connection, Result},
    index,
    values::{Columns, Id},
};
use crate::{
    error::During,
    traces::{
        block::{Kept, Packer},
        cut::{Rewritten, rewrite},
    },
};

/// The tables of calls, or of spans.
struct Tables {
    payload: &'static str,
    clear_rows: &'static str,
    drop_rows: &'static str,
    is_indexed: bool,
}

static CALLS: Tables = Tables {
    payload: "payload",
    clear_rows: "update llm_traces set input_redacted = null, output = null where rid = any($1)",
    drop_rows: "delete from llm_traces where rid = any($1)",
    is_indexed: true,
};

static SPANS: Tables = Tables {
    payload: "span_payload",
    clear_rows: "update spans set error = null, input_preview = null, output_preview = null where rid = any($1)",
    drop_rows: "delete from spans where rid = any($1)",
    is_indexed: false,
};

pub(super) fn calls(connection: &Connection, cuts: &[(CallId, Cut)]) -> std::result::Result<u64, StoreError> {
    const WHAT: &str = "cutting calls";
    connection.batch(BEGIN_APPEND).during(WHAT)?;
    let ids: Vec<Id> = cuts.iter().map(|(id, _)| Id(id.0)).collect();
    let by_id: BTreeMap<uuid::Uuid, Cut> = cuts.iter().fold(BTreeMap::new(), |mut by_id, (id, cut)| {
        let kept = by_id.entry(id.0).or_insert(*cut);
        if *cut == Cut::Whole {
            *kept = *cut;
        }
        by_id
    });
    let find = || -> Result<BTreeMap<i64, Cut>> {
        let rows = connection
            .query("select rid, id from llm_traces where id = any($1)", &[(&ids, Type::UUID_ARRAY)])?;
        let mut by_rid = BTreeMap::new();
        for row in &rows {
            let row = Columns(row);
            if let Some(cut) = by_id.get(&row.get::<Id>(1)?.0) {
                by_rid.insert(row.get(0)?, *cut);
            }
        }
        let gone: Vec<Id> =
            by_id.iter().filter(|(_, cut)| **cut == Cut::Whole).map(|(id, _)| Id(*id)).collect();
        connection.execute("delete from repriced where id = any($1)", &[(&gone, Type::UUID_ARRAY)])?;
        Ok(by_rid)
    };
    let by_rid = find().during(WHAT)?;
    let changed = apply::<StoredCall>(connection, &CALLS, &by_rid)?;
    connection.batch("commit").during(WHAT)?;
    Ok(changed)
}

pub(super) fn spans(connection: &Connection, cuts: &[(i64, Cut)]) -> std::result::Result<u64, StoreError> {
    const WHAT: &str = "cutting spans";
    connection.batch(BEGIN_APPEND).during(WHAT)?;
    let mut by_rid = BTreeMap::new();
    for (rid, cut) in cuts {
        let kept = by_rid.entry(*rid).or_insert(*cut);
        if *cut == Cut::Whole {
            *kept = *cut;
        }
    }
    let changed = apply::<StoredSpan>(connection, &SPANS, &by_rid)?;
    connection.batch("commit").during(WHAT)?;
    Ok(changed)
}

fn apply<T: Kept>(
    connection: &Connection,
    tables: &Tables,
    by_rid: &BTreeMap<i64, Cut>,
) -> std::result::Result<u64, StoreError> {
    const WHAT: &str = "writing blocks anew";
    let mut packer = Packer::new().during(WHAT)?;
    let mut cleared: Vec<(i64, Vec<String>)> = Vec::new();
    let table = tables.payload;
    let find = format!(
        "select rid_first, enc, body, coalesce((select min(rid_first) from {table} where rid_first > $1), $2) \
         from {table} where rid_first <= $1 order by rid_first desc limit 1"
    );
    let mut rest = by_rid.iter().peekable();
    while let Some(first) = rest.peek().map(|(rid, _)| **rid) {
        let rows = connection
            .query(&find, &[(&first, Type::INT8), (&i64::MAX, Type::INT8)])
            .during("reading a block")?;
        let Some(row) = rows.first().map(Columns) else {
            rest.next();
            continue;
        };
        let read = || -> Result<(i64, String, Vec<u8>, i64)> {
            Ok((row.get(0)?, row.text(1)?, row.get(2)?, row.get(3)?))
        };
        let (rid_first, enc, body, next) = read().during("reading a block")?;
        let mut wanted = Vec::new();
        while let Some((rid, cut)) = rest.next_if(|(rid, _)| **rid < next) {
            wanted.push((usize::try_from(rid - rid_first).unwrap_or(usize::MAX), *cut));
        }
        match rewrite::<T>(&mut packer, &enc, &body, &wanted).during(WHAT)? {
            Rewritten::Same => {}
            Rewritten::Other { body, cleared: indexes } => {
                let put = format!("update {table} set body = $2 where rid_first = $1");
                connection.execute(&put, &[(&rid_first, Type::INT8), (&body, Type::BYTEA)]).during(WHAT)?;
                cleared.extend(indexes.into_iter().map(|(index, terms)| (rid_first + index as i64, terms)));
            }
            Rewritten::Nothing => {
                let put = format!("delete from {table} where rid_first = $1");
                connection.execute(&put, &[(&rid_first, Type::INT8)]).during(WHAT)?;
            }
        }
    }
    let removed: Vec<i64> =
        by_rid.iter().filter(|(_, cut)| **cut == Cut::Whole).map(|(rid, _)| *rid).collect();
    let rids: Vec<i64> = cleared.iter().map(|(rid, _)| *rid).collect();
    connection.execute(tables.clear_rows, &[(&rids, Type::INT8_ARRAY)]).during(WHAT)?;
    let count = connection.execute(tables.drop_rows, &[(&removed, Type::INT8_ARRAY)]).during(WHAT)?;
    if tables.is_indexed {
        index::cut(connection, &cleared, &removed).during("taking words out of the index")?;
    }
    Ok(cleared.len() as u64 + count)
}

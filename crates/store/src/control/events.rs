//! Events: noted once by their key, the oldest let go.

use gauntlet_ports::{Event, EventFilter, EventKind, Severity};
use gauntlet_types::Timestamp;
use rusqlite::{Connection, Result, TransactionBehavior, params};

use super::readable;

/// Events kept: years of a calm gateway, and no more than a few megabytes of a wild one.
pub(crate) const EVENTS_MAX: i64 = 10_000;
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 1000;

pub(super) fn add(connection: &mut Connection, event: &Event) -> Result<bool> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let added = tx
        .prepare_cached(
            "insert or ignore into events (at, kind, key, severity, message, detail) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            event.at.0,
            event.kind.as_str(),
            event.key,
            event.severity.as_str(),
            event.message,
            event.detail.to_string(),
        ])?;
    if added > 0 {
        let last = tx.last_insert_rowid();
        tx.prepare_cached("delete from events where seq <= ?1")?.execute([last - EVENTS_MAX])?;
    }
    tx.commit()?;
    Ok(added > 0)
}

pub(super) fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<Event>> {
    let limit = limit_of(filter);
    let mut statement = connection.prepare_cached(
        "select seq, at, kind, key, severity, message, detail from events \
         where (?1 is null or kind = ?1) and seq > ?2 order by seq desc limit ?3",
    )?;
    let after = filter.after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX));
    let rows = statement.query_map(params![filter.kind.map(EventKind::as_str), after, limit], |row| {
        Ok(Event {
            seq: row.get::<_, i64>(0)?.max(0).unsigned_abs(),
            at: Timestamp(row.get(1)?),
            kind: readable(2, EventKind::parse(row.get_ref(2)?.as_str()?))?,
            key: row.get(3)?,
            severity: readable(4, Severity::parse(row.get_ref(4)?.as_str()?))?,
            message: row.get(5)?,
            detail: readable(6, serde_json::from_str(row.get_ref(6)?.as_str()?).ok())?,
        })
    })?;
    rows.collect()
}

pub(crate) fn limit_of(filter: &EventFilter) -> u32 {
    match filter.limit {
        0 => LIMIT_DEFAULT,
        limit => limit.min(LIMIT_MAX),
    }
}

//! Reading whole records through, and keeping what they cost by other prices beside what they cost.

use std::collections::{BTreeMap, HashMap, HashSet};

use gauntlet_ports::{Correction, Reconciliation, RecordCursor, RecordQuery, Repricing};
use gauntlet_types::NanoUsd;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    append::{BEGIN_APPEND, NameRows},
    database::{Connection, Result},
    values::{At, Columns, Id, On, stored},
};
use crate::traces::{
    names::{NameDeltas, NameSums},
    reprice::{Blocks, PAGE_BYTES},
    rollup::Key,
};

/// The compressed blocks that hold a page; unpacked when the connection is free again.
pub(super) fn blocks(
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
    let mut until = cursor.next.saturating_add(i64::from(limit.max(1))).min(cursor.last.saturating_add(1));
    // What stands before a block is added up by the database, so that no more than a page is sent.
    let sql = "with block as (select rid_first, enc, body from payload \
             where rid_first >= coalesce((select max(rid_first) from payload where rid_first <= $1), $1) \
               and rid_first < $2), \
         measured as (select rid_first, coalesce(sum(length(body)) over (order by rid_first), 0) as bytes, \
             row_number() over (order by rid_first) as place from block) \
         select m.rid_first, m.bytes <= $3 or m.place = 1, b.enc, b.body \
         from measured m left join block b on b.rid_first = m.rid_first and (m.bytes <= $3 or m.place = 1) \
         order by m.rid_first";
    let bytes = PAGE_BYTES as i64;
    let rows =
        connection.query(sql, &[(&cursor.next, Type::INT8), (&until, Type::INT8), (&bytes, Type::INT8)])?;
    for row in &rows {
        let row = Columns(row);
        if !row.get::<bool>(1)? {
            until = row.get(0)?;
            break;
        }
        found.blocks.push((row.get(0)?, row.text(2)?, row.get(3)?));
    }
    found.cursor.last = until - 1;
    found.next = (until <= cursor.last).then_some(RecordCursor { next: until, last: cursor.last });
    Ok(found)
}

/// Rids go by arrival, which is nearly the order of time: the span of a time's rids holds few others.
fn span(connection: &Connection, query: &RecordQuery) -> Result<Option<RecordCursor>> {
    let rows = connection.query(
        "select min(rid), max(rid) from llm_traces where ts >= $1 and ts < $2",
        &[(&At(query.from), Type::TIMESTAMPTZ), (&At(query.to), Type::TIMESTAMPTZ)],
    )?;
    let Some(row) = rows.first().map(Columns) else { return Ok(None) };
    let (Some(first), Some(last)) = (row.get::<Option<i64>>(0)?, row.get::<Option<i64>>(1)?) else {
        return Ok(None);
    };
    let newest = match query.newest {
        0 => first,
        newest => {
            // Batches that failed leave gaps, so the newest are counted.
            let count = i64::from(newest) - 1;
            let rows = connection.query(
                "select rid from llm_traces where rid <= $1 order by rid desc offset $2 limit 1",
                &[(&last, Type::INT8), (&count, Type::INT8)],
            )?;
            rows.first().map_or(Ok(first), |row| Columns(row).get(0))?
        }
    };
    Ok(Some(RecordCursor { next: first.max(newest), last }))
}

/// Keeps corrections, in one transaction; see the port.
pub(super) fn apply(connection: &Connection, run: &Repricing, corrections: &[Correction<'_>]) -> Result<u64> {
    if corrections.is_empty() {
        return Ok(0);
    }
    connection.batch(BEGIN_APPEND)?;
    let mut standing = standing(connection, corrections)?;
    let is_known = with_sums(connection, corrections)?;
    let (mut changed, mut before, mut after) = (0u64, NanoUsd::ZERO, NanoUsd::ZERO);
    let mut names = NameDeltas::default();
    let mut days: BTreeMap<Key<'_>, NanoUsd> = BTreeMap::new();
    let mut kept: BTreeMap<Uuid, Option<NanoUsd>> = BTreeMap::new();
    for Correction { record, cost } in corrections {
        let was = standing.get(&record.id.0).copied().unwrap_or(record.cost);
        let key = Key::day_of(record);
        // Without its sums (an old file, or erased) there is nothing to correct.
        if was == *cost || !is_known.contains(&key) {
            continue;
        }
        let delta = cost.minus(was);
        let sum = days.entry(key).or_default();
        *sum = sum.plus(delta);
        kept.insert(record.id.0, (*cost != record.cost).then_some(*cost));
        standing.insert(record.id.0, *cost);
        names.add_sums(record, &NameSums { correction: delta, ..NameSums::default() });
        (changed, before, after) = (changed + 1, before.plus(was), after.plus(*cost));
    }
    if changed > 0 {
        correct_days(connection, &days)?;
        keep(connection, run, &kept)?;
        let names = NameRows::of(&names);
        if !names.days.is_empty() {
            names.write_corrections(connection)?;
        }
        note(connection, run, changed, before, after)?;
    }
    connection.batch("commit")?;
    Ok(changed)
}

fn standing(connection: &Connection, corrections: &[Correction<'_>]) -> Result<HashMap<Uuid, NanoUsd>> {
    let ids: Vec<Id> = corrections.iter().map(|correction| Id(correction.record.id.0)).collect();
    let rows = connection
        .query("select id, cost_nano from repriced where id = any($1)", &[(&ids, Type::UUID_ARRAY)])?;
    rows.iter().map(|row| Ok((Columns(row).get::<Id>(0)?.0, Columns(row).usd(1)?))).collect()
}

/// Columns of the key of `rollup_day`, for `unnest`.
struct DayKeys {
    days: Vec<On>,
    texts: [Vec<String>; 8],
}

const DAY_KEY: &str = "day, tenant, route, model, provider, environment, team, prompt_name, prompt_version";

impl DayKeys {
    fn of<'a>(keys: impl Iterator<Item = &'a Key<'a>>) -> DayKeys {
        let mut out = DayKeys { days: Vec::new(), texts: Default::default() };
        for key in keys {
            out.days.push(On::day(key.start.day()));
            let texts = [
                key.tenant,
                key.route,
                key.model,
                key.provider,
                key.environment,
                key.team,
                key.prompt_name,
                key.prompt_version,
            ];
            for (column, value) in out.texts.iter_mut().zip(texts) {
                column.push(stored(value).into_owned());
            }
        }
        out
    }

    fn params(&self) -> Vec<super::database::Param<'_>> {
        let mut params: Vec<super::database::Param<'_>> = vec![(&self.days, Type::DATE_ARRAY)];
        for texts in &self.texts {
            params.push((texts, Type::TEXT_ARRAY));
        }
        params
    }
}

/// The days and groups of these calls that have sums.
fn with_sums<'a>(connection: &Connection, corrections: &[Correction<'a>]) -> Result<HashSet<Key<'a>>> {
    let keys: HashSet<Key<'a>> =
        corrections.iter().map(|correction| Key::day_of(correction.record)).collect();
    let keys: Vec<Key<'a>> = keys.into_iter().collect();
    let sql = format!(
        "select k.place - 1 from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) with ordinality \
             as k ({DAY_KEY}, place) join rollup_day using ({DAY_KEY})"
    );
    let columns = DayKeys::of(keys.iter());
    let rows = connection.query(&sql, &columns.params())?;
    let places: Vec<u64> = rows.iter().map(|row| Columns(row).whole(0)).collect::<Result<_>>()?;
    Ok(places.into_iter().filter_map(|place| keys.get(place as usize).copied()).collect())
}

fn correct_days(connection: &Connection, days: &BTreeMap<Key<'_>, NanoUsd>) -> Result<()> {
    let columns = DayKeys::of(days.keys());
    let deltas: Vec<i64> = days.values().map(|delta| delta.0).collect();
    let mut params = columns.params();
    params.push((&deltas, Type::INT8_ARRAY));
    let same: Vec<String> = DAY_KEY.split(", ").map(|column| format!("r.{column} = d.{column}")).collect();
    let sql = format!(
        "update rollup_day r set correction_nano = plus(r.correction_nano, d.delta) \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as d ({DAY_KEY}, delta) where {}",
        same.join(" and ")
    );
    connection.execute(&sql, &params).map(drop)
}

fn keep(connection: &Connection, run: &Repricing, kept: &BTreeMap<Uuid, Option<NanoUsd>>) -> Result<()> {
    let gone: Vec<Id> = kept.iter().filter(|(_, cost)| cost.is_none()).map(|(id, _)| Id(*id)).collect();
    let (ids, costs): (Vec<Id>, Vec<i64>) =
        kept.iter().filter_map(|(id, cost)| cost.map(|NanoUsd(cost)| (Id(*id), cost))).unzip();
    let version = stored(&run.price_version);
    connection.execute("delete from repriced where id = any($1)", &[(&gone, Type::UUID_ARRAY)])?;
    connection
        .execute(
            "insert into repriced (id, cost_nano, price_version, at) \
             select k.*, $3, $4 from unnest($1, $2) as k \
             on conflict (id) do update set price_version = excluded.price_version, \
                 cost_nano = excluded.cost_nano, at = excluded.at",
            &[
                (&ids, Type::UUID_ARRAY),
                (&costs, Type::INT8_ARRAY),
                (&version, Type::TEXT),
                (&run.at.0, Type::INT8),
            ],
        )
        .map(drop)
}

fn note(
    connection: &Connection,
    run: &Repricing,
    changed: u64,
    before: NanoUsd,
    after: NanoUsd,
) -> Result<()> {
    let version = stored(&run.price_version);
    let model = run.model.as_deref().map(stored);
    let changed = changed as i64;
    connection
        .execute(
            "insert into repricings as r (at, price_version, day_from, day_to, model, calls, before_nano, after_nano) \
             values ($1, $2, $3, $4, $5, $6, $7, $8) \
             on conflict (at) do update set calls = r.calls + excluded.calls, \
                 before_nano = plus(r.before_nano, excluded.before_nano), \
                 after_nano = plus(r.after_nano, excluded.after_nano)",
            &[
                (&run.at.0, Type::INT8),
                (&version, Type::TEXT),
                (&On::day(run.from), Type::DATE),
                (&On::day(run.to), Type::DATE),
                (&model, Type::TEXT),
                (&changed, Type::INT8),
                (&before.0, Type::INT8),
                (&after.0, Type::INT8),
            ],
        )
        .map(drop)
}

pub(super) fn repricings(connection: &Connection, limit: u32) -> Result<Vec<Repricing>> {
    let sql = "select at, price_version, day_from, day_to, model, calls, before_nano, after_nano from repricings \
         order by at desc limit $1";
    let read = |row: &Row| {
        let row = Columns(row);
        Ok(Repricing {
            at: gauntlet_types::Timestamp(row.get(0)?),
            price_version: row.name(1)?,
            from: row.day(2)?,
            to: row.day(3)?,
            model: row.name_or_none(4)?,
            calls: row.whole(5)?,
            before: row.usd(6)?,
            after: row.usd(7)?,
        })
    };
    connection.query(sql, &[(&i64::from(limit), Type::INT8)])?.iter().map(read).collect()
}

pub(super) fn add_reconciliation(connection: &Connection, one: &Reconciliation) -> Result<()> {
    let (provider, report) = (stored(&one.provider), one.report.to_string());
    connection
        .execute(
            "insert into reconciliations (at, provider, day_from, day_to, threshold, is_drift, report) \
             values ($1, $2, $3, $4, $5, $6, $7)",
            &[
                (&one.at.0, Type::INT8),
                (&provider, Type::TEXT),
                (&On::day(one.from), Type::DATE),
                (&On::day(one.to), Type::DATE),
                (&one.threshold_percent, Type::FLOAT8),
                (&one.is_drift, Type::BOOL),
                (&report, Type::TEXT),
            ],
        )
        .map(drop)
}

pub(super) fn reconciliations(connection: &Connection, limit: u32) -> Result<Vec<Reconciliation>> {
    let sql = "select at, provider, day_from, day_to, threshold, is_drift, report from reconciliations \
         order by seq desc limit $1";
    let read = |row: &Row| {
        let row = Columns(row);
        Ok(Reconciliation {
            at: gauntlet_types::Timestamp(row.get(0)?),
            provider: row.name(1)?,
            from: row.day(2)?,
            to: row.day(3)?,
            threshold_percent: row.get(4)?,
            is_drift: row.get(5)?,
            report: row.read(6, |text| serde_json::from_str(text).ok())?,
        })
    };
    connection.query(sql, &[(&i64::from(limit), Type::INT8)])?.iter().map(read).collect()
}

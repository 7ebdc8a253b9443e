//! Spans of applications: added in the transaction of their batch, found by filter, read whole.

use std::collections::HashSet;

use gauntlet_ports::{SpanFilter, SpanRow, StoreError, StoredSpan};
use gauntlet_types::{Environment, NanoUsd, SpanId, SpanKind, Timestamp, TraceId};
use tokio_postgres::{Row, types::Type};

use super::{
    append::{column, count, text},
    database::{Connection, Param, Result, Trouble},
    find::{Conditions, Payload},
    values::{At, Columns, shown},
};
use crate::{
    error::During,
    time,
    traces::{
        block::{ENCODING, Packer},
        spans::{COLUMNS, Previews, RowParts, limit_of},
    },
};

/// Rows and blocks in one statement; a batch may hold any number, and a statement's values stand in memory twice.
const SPANS_AT_ONCE: usize = 5_000;

/// Which of the spans are there already, by their number in the arrays.
const KNOWN: &str = "select d.number from unnest($1, $2, $3) with ordinality as d (ts, span_id, trace_id, number) \
     join spans s on s.ts = d.ts and s.span_id = d.span_id and s.trace_id = d.trace_id";

/// What makes a span itself. The time as it is stored, since that is what is compared.
fn key(span: &StoredSpan) -> (Timestamp, SpanId, TraceId) {
    let record = &span.record;
    (time::within_calendar(record.started), record.span_id, record.trace_id)
}

/// The spans of a batch, each the first time it comes.
pub(super) fn once(spans: &[StoredSpan]) -> Vec<&StoredSpan> {
    let mut seen = HashSet::new();
    spans.iter().filter(|span| seen.insert(key(span))).collect()
}

/// Adds those that are not there yet, under the lock of appends, and says how many those were.
pub(super) fn append(
    connection: &Connection,
    spans: &[&StoredSpan],
) -> std::result::Result<usize, StoreError> {
    let mut added = 0;
    for some in spans.chunks(SPANS_AT_ONCE) {
        let known = known(connection, some).during("looking for known spans")?;
        let new: Vec<&StoredSpan> =
            some.iter().enumerate().filter(|(at, _)| !known.contains(at)).map(|(_, span)| *span).collect();
        if new.is_empty() {
            continue;
        }
        let blocks = blocks(&new)?;
        let write = || -> Result<()> {
            let rid_first = reserve(connection, new.len())?;
            Rows::of(&new, rid_first).insert(connection)?;
            insert_blocks(connection, &blocks, rid_first)
        };
        write().during("adding spans")?;
        added += new.len();
    }
    Ok(added)
}

fn known(connection: &Connection, spans: &[&StoredSpan]) -> Result<HashSet<usize>> {
    let times: Vec<At> = spans.iter().map(|span| At(span.record.started)).collect();
    let ids: Vec<String> = spans.iter().map(|span| span.record.span_id.to_string()).collect();
    let traces: Vec<String> = spans.iter().map(|span| span.record.trace_id.to_string()).collect();
    let params = [
        column(&times, Type::TIMESTAMPTZ_ARRAY),
        column(&ids, Type::TEXT_ARRAY),
        column(&traces, Type::TEXT_ARRAY),
    ];
    let rows = connection.query(KNOWN, &params)?;
    rows.iter().map(|row| Ok((Columns(row).whole(0)? as usize).saturating_sub(1))).collect()
}

/// The first of as many numbers in a row.
fn reserve(connection: &Connection, count: usize) -> Result<i64> {
    let count = count as i64;
    let sql = "select setval('span_rid', nextval('span_rid') + $1 - 1)";
    let rows = connection.query(sql, &[(&count, Type::INT8)])?;
    let last: i64 = Columns(rows.first().ok_or(Trouble::Unreadable(0))?).get(0)?;
    Ok(last - count + 1)
}

/// Blocks, each with the place of its first span.
fn blocks(spans: &[&StoredSpan]) -> std::result::Result<Vec<(i64, Vec<u8>)>, StoreError> {
    const WHAT: &str = "packing a payload";
    let mut packer = Packer::new().during(WHAT)?;
    let (mut blocks, mut first) = (Vec::new(), 0);
    for (number, span) in spans.iter().enumerate() {
        packer.add(*span).during(WHAT)?;
        if packer.is_full() || number + 1 == spans.len() {
            blocks.push((first, packer.pack().during(WHAT)?.to_vec()));
            packer.clear();
            first = number as i64 + 1;
        }
    }
    Ok(blocks)
}

fn insert_blocks(connection: &Connection, blocks: &[(i64, Vec<u8>)], rid_first: i64) -> Result<()> {
    let rids: Vec<i64> = blocks.iter().map(|(first, _)| rid_first + first).collect();
    let bodies: Vec<&[u8]> = blocks.iter().map(|(_, body)| &body[..]).collect();
    let sql = "insert into span_payload (rid_first, enc, body) \
         select b.rid, $3, b.body from unnest($1, $2) as b (rid, body)";
    let params = [
        column(&rids, Type::INT8_ARRAY),
        column(&bodies, Type::BYTEA_ARRAY),
        (&ENCODING as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
    ];
    connection.execute(sql, &params).map(drop)
}

/// The columns of `spans`, in the order of `insert_spans.sql`.
#[derive(Default)]
struct Rows {
    rids: Vec<i64>,
    ts: Vec<At>,
    /// Those that are never null, and those that may be.
    texts: [Vec<String>; 7],
    maybe: [Vec<Option<String>>; 9],
    is_error: Vec<bool>,
    took_us: Vec<i64>,
    tokens: [Vec<i32>; 2],
    cost_nano: Vec<Option<i64>>,
}

impl Rows {
    fn of(spans: &[&StoredSpan], rid_first: i64) -> Rows {
        let mut rows = Rows { rids: (rid_first..).take(spans.len()).collect(), ..Rows::default() };
        spans.iter().for_each(|span| rows.push(span));
        rows
    }

    fn push(&mut self, span: &StoredSpan) {
        let record = &span.record;
        let caller = &record.caller;
        let (trace_id, span_id) = (record.trace_id.to_string(), record.span_id.to_string());
        let parent_id = record.parent_span_id.map(|id| id.to_string());
        let previews = Previews::of(span);
        self.ts.push(At(record.started));
        let texts = [
            &*trace_id,
            &*span_id,
            &*record.name,
            record.kind.as_str(),
            &*record.service,
            &*caller.tenant,
            caller.environment.as_str(),
        ];
        for (column, value) in self.texts.iter_mut().zip(texts) {
            column.push(text(value));
        }
        let maybe = [
            parent_id.as_deref(),
            caller.user.as_deref(),
            caller.session.as_deref(),
            record.provider.as_deref(),
            record.model.as_deref(),
            record.tool.as_deref(),
            previews.error,
            previews.input.as_deref(),
            previews.output.as_deref(),
        ];
        for (column, value) in self.maybe.iter_mut().zip(maybe) {
            column.push(value.map(text));
        }
        self.is_error.push(record.is_error);
        self.took_us.push(i64::try_from(record.took_us).unwrap_or(i64::MAX));
        self.tokens[0].push(count(record.usage.input_total()));
        self.tokens[1].push(count(record.usage.output_total()));
        self.cost_nano.push(record.cost.map(|cost| cost.0));
    }

    fn insert(&self, connection: &Connection) -> Result<()> {
        let text = |at: usize| column(&self.texts[at], Type::TEXT_ARRAY);
        let maybe = |at: usize| column(&self.maybe[at], Type::TEXT_ARRAY);
        let params: [Param<'_>; 23] = [
            column(&self.rids, Type::INT8_ARRAY),
            column(&self.ts, Type::TIMESTAMPTZ_ARRAY),
            text(0),
            text(1),
            maybe(0),
            text(2),
            text(3),
            text(4),
            text(5),
            maybe(1),
            maybe(2),
            text(6),
            maybe(3),
            maybe(4),
            maybe(5),
            column(&self.is_error, Type::BOOL_ARRAY),
            column(&self.took_us, Type::INT8_ARRAY),
            column(&self.tokens[0], Type::INT4_ARRAY),
            column(&self.tokens[1], Type::INT4_ARRAY),
            column(&self.cost_nano, Type::INT8_ARRAY),
            maybe(6),
            maybe(7),
            maybe(8),
        ];
        connection.execute(include_str!("sql/insert_spans.sql"), &params).map(drop)
    }
}

pub(super) fn find(connection: &Connection, filter: &SpanFilter) -> Result<Vec<SpanRow>> {
    let mut conditions = Conditions::default();
    let texts = [
        ("tenant = ?", &filter.tenant),
        ("user_id = ?", &filter.user),
        ("session_id = ?", &filter.session),
        ("service = ?", &filter.service),
        ("name = ?", &filter.name),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            conditions.text(condition, value);
        }
    }
    if let Some(id) = filter.trace_id {
        conditions.text("trace_id = ?", &id.to_string());
    }
    if let Some(kind) = filter.kind {
        conditions.text("kind = ?", kind.as_str());
    }
    if filter.roots {
        conditions.texts.push("parent_id is null".to_owned());
    }
    if filter.errors {
        conditions.texts.push("is_error".to_owned());
    }
    if let Some(at) = filter.since {
        conditions.add("ts >= ?", At(at), Type::TIMESTAMPTZ);
    }
    if let Some(at) = filter.until {
        conditions.add("ts < ?", At(at), Type::TIMESTAMPTZ);
    }
    if let Some(cursor) = filter.before {
        let ts = conditions.bind(At(cursor.started), Type::TIMESTAMPTZ);
        let rid = conditions.bind(cursor.seq, Type::INT8);
        conditions.texts.push(format!("(ts, rid) < (${ts}, ${rid})"));
    }
    let limit = conditions.bind(i64::from(limit_of(filter)), Type::INT8);
    let sql = format!(
        "select {COLUMNS} from spans where {} order by ts desc, rid desc limit ${limit}",
        conditions.sql()
    );
    connection.query(&sql, &conditions.params())?.iter().map(span_row).collect()
}

fn span_row(row: &Row) -> Result<SpanRow> {
    let row = Columns(row);
    let tokens = |column: usize| row.get::<i32>(column).map(|tokens| tokens.max(0).unsigned_abs());
    let name = |column: usize| row.name_or_none(column);
    let preview = |column: usize| -> Result<String> { Ok(row.text_or_none(column)?.unwrap_or_default()) };
    let parent = row.get::<Option<&str>>(4)?.map(|id| shown(id).parse().map_err(|_| Trouble::Unreadable(4)));
    let parts = RowParts {
        started: row.at(1)?,
        trace_id: row.read(2, |text| text.parse().ok())?,
        span_id: row.read(3, |text| text.parse().ok())?,
        parent: parent.transpose()?,
        kind: row.read(6, SpanKind::parse)?,
        names: [name(5)?, name(7)?, name(8)?, name(9)?, name(10)?, name(12)?, name(13)?, name(14)?],
        environment: row.read(11, Environment::parse)?,
        is_error: row.get(15)?,
        took_us: row.whole(16)?,
        tokens: [tokens(17)?, tokens(18)?],
        cost: row.get::<Option<i64>>(19)?.map(NanoUsd),
        error_message: row.text_or_none(20)?,
    };
    Ok(SpanRow {
        seq: row.get(0)?,
        record: parts.record(),
        input_preview: preview(21)?,
        output_preview: preview(22)?,
    })
}

/// The block of a span, of the first to arrive where ids were used twice.
pub(super) fn payload(connection: &Connection, trace: TraceId, span: SpanId) -> Result<Option<Payload>> {
    let sql = "select s.rid - p.rid_first, p.enc, p.body \
         from (select min(rid) as rid from spans where trace_id = $1 and span_id = $2) s \
         join span_payload p on p.rid_first = (select max(rid_first) from span_payload where rid_first <= s.rid)";
    let (trace, span) = (trace.to_string(), span.to_string());
    let rows = connection.query(sql, &[(&trace, Type::TEXT), (&span, Type::TEXT)])?;
    let read = |row: &Row| {
        let row = Columns(row);
        Ok(Payload { index: row.whole(0)? as usize, enc: row.text(1)?, body: row.get(2)? })
    };
    rows.first().map(read).transpose()
}

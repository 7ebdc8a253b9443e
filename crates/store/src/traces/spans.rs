//! Spans of applications: added in the transaction of their batch, found by filter, read whole.
//!
//! A row keeps what a list and a waterfall show; record and texts are in blocks, as those of calls. Nothing is added up:
//! what a sender says of tokens and cost is told with the span and counts nowhere else.

use std::fmt::Write as _;

use gauntlet_ports::{SpanFilter, SpanRow, StoreError, StoredSpan};
use gauntlet_types::{
    Caller, Environment, Name, NanoUsd, SpanId, SpanKind, SpanRecord, Timestamp, TokenCount, TraceId, Usage,
};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, Result, Row, Transaction, params, params_from_iter,
    types::{Type, Value},
};

use super::{
    append::Payloads,
    block::Packer,
    find::Payload,
    marks::{self, Mark},
    preview,
};
use crate::{
    error::During,
    time::{self, TimeWriter},
};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 1000;
/// A whole trace is read in pages; larger ones spare looking for its spans again.
const LIMIT_OF_TRACE_MAX: u32 = 10_000;
/// Places in memory at once (16 bytes each) while the spans of a trace, a session or a user are looked up. Beyond this the
/// newest are looked at first, and the marks read again for the rest.
const CANDIDATES_MAX: usize = 100_000;
const CANDIDATES_AT_ONCE: usize = 512;

pub(crate) const COLUMNS: &str = "rid, ts, trace_id, span_id, parent_id, name, kind, service, tenant, user_id, \
     session_id, environment, provider, model, tool, is_error, took_us, tokens_in, tokens_out, cost_nano, error, \
     input_preview, output_preview";

const INSERT_PAYLOAD: &str = "insert into span_payload (rid_first, enc, body) values (?1, ?2, ?3)";
const INSERT_MARKS: &str = "insert into span_marks (rid_first, seen, marks) values (?1, ?2, ?3)";

/// Texts made for a row; kept, so that a row allocates nothing but its previews.
#[derive(Default)]
pub(crate) struct RowTexts {
    time: TimeWriter,
    started: String,
    trace_id: String,
    span_id: String,
    parent_id: String,
}

impl RowTexts {
    /// Adds spans that are not there yet, and says how many those were.
    pub(super) fn append(
        &mut self,
        tx: &Transaction<'_>,
        packer: &mut Packer,
        spans: &[StoredSpan],
    ) -> std::result::Result<usize, StoreError> {
        if spans.is_empty() {
            return Ok(0);
        }
        let mut payloads = Payloads::new(tx, packer, INSERT_PAYLOAD);
        // Of rids in a row each.
        let mut marks: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut next = None;
        let mut insert =
            tx.prepare_cached(include_str!("sql/insert_span.sql")).during("preparing a batch")?;
        let mut added = 0;
        for span in spans {
            if self.insert(&mut insert, span).during("adding a span")? {
                added += 1;
                let rid = tx.last_insert_rowid();
                payloads.add(rid, span)?;
                if next != Some(rid) {
                    marks.push((rid, Vec::new()));
                }
                if let Some((_, marks)) = marks.last_mut() {
                    marks::push(marks, &span.record);
                }
                next = Some(rid + 1);
            }
        }
        payloads.finish()?;
        let mut insert = tx.prepare_cached(INSERT_MARKS).during("preparing a batch")?;
        // Never less than before, so that whoever looks for what began later can stop here.
        let seen =
            spans.iter().map(|span| span.record.started.0).max().max(seen(tx).during("reading marks")?);
        for (rid_first, marks) in &marks {
            insert.execute(params![rid_first, seen, marks]).during("adding marks")?;
        }
        Ok(added)
    }

    /// Says whether the row was new.
    fn insert(&mut self, insert: &mut CachedStatement<'_>, span: &StoredSpan) -> Result<bool> {
        let record = &span.record;
        let caller = &record.caller;
        self.time.instant(record.started, &mut self.started);
        let ids: [(&mut String, &dyn std::fmt::Display); 3] = [
            (&mut self.trace_id, &record.trace_id),
            (&mut self.span_id, &record.span_id),
            (&mut self.parent_id, &record.parent_span_id.unwrap_or_default()),
        ];
        for (text, id) in ids {
            text.clear();
            // Writing to a string cannot fail.
            let _ = write!(text, "{id}");
        }
        let shown = Previews::of(span);
        let changed = insert.execute(params![
            self.started,
            self.trace_id,
            self.span_id,
            record.parent_span_id.map(|_| &*self.parent_id),
            &*record.name,
            record.kind.as_str(),
            &*record.service,
            &*caller.tenant,
            caller.user.as_deref(),
            caller.session.as_deref(),
            caller.environment.as_str(),
            record.provider.as_deref(),
            record.model.as_deref(),
            record.tool.as_deref(),
            record.is_error,
            i64::try_from(record.took_us).unwrap_or(i64::MAX),
            record.usage.input_total().0,
            record.usage.output_total().0,
            record.cost.map(|cost| cost.0),
            shown.error,
            shown.input,
            shown.output,
        ])?;
        Ok(changed == 1)
    }
}

/// The beginnings of its texts, as a row keeps them; none where there is nothing.
pub(crate) struct Previews<'a> {
    pub error: Option<&'a str>,
    pub input: Option<String>,
    pub output: Option<String>,
}

impl Previews<'_> {
    pub(crate) fn of(span: &StoredSpan) -> Previews<'_> {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Previews {
            error: span.record.error_message.as_deref().map(preview::cut),
            input: some(preview::of_span_input(&span.input)),
            output: some(preview::of_span_output(&span.output)),
        }
    }
}

pub(crate) fn limit_of(filter: &SpanFilter) -> u32 {
    let most = if filter.trace_id.is_some() { LIMIT_OF_TRACE_MAX } else { LIMIT_MAX };
    match filter.limit {
        0 => LIMIT_DEFAULT,
        limit => limit.min(most),
    }
}

pub(crate) fn find(connection: &Connection, filter: &SpanFilter) -> Result<Vec<SpanRow>> {
    let mut query = Query::of(filter);
    let limit = limit_of(filter);
    match mark_of(filter) {
        Some(wanted) => by_marks(connection, query, wanted, filter, limit as usize),
        None => {
            let limit = query.bind(limit);
            let conditions = query.conditions();
            let sql = format!(
                "select {COLUMNS} from spans where {conditions} order by ts desc, rid desc limit ?{limit}"
            );
            rows(connection, &sql, &query.params)
        }
    }
}

/// Conditions and their bound values. Conditions are fixed texts with `?` for the next value.
#[derive(Default)]
struct Query {
    conditions: Vec<String>,
    params: Vec<Value>,
}

impl Query {
    fn of(filter: &SpanFilter) -> Query {
        let mut query = Query::default();
        let texts = [
            ("tenant = ?", &filter.tenant),
            ("user_id = ?", &filter.user),
            ("session_id = ?", &filter.session),
            ("service = ?", &filter.service),
            ("name = ?", &filter.name),
        ];
        for (condition, value) in texts {
            if let Some(value) = value {
                query.add(condition, value.clone());
            }
        }
        if let Some(id) = filter.trace_id {
            query.add("trace_id = ?", id.to_string());
        }
        if let Some(kind) = filter.kind {
            query.add("kind = ?", kind.as_str().to_owned());
        }
        if filter.roots {
            query.conditions.push("parent_id is null".to_owned());
        }
        if filter.errors {
            query.conditions.push("is_error".to_owned());
        }
        // Where marks lead, `+` keeps the planner from walking the index by time instead.
        let (since, until) = match mark_of(filter) {
            Some(_) => ("+ts >= ?", "+ts < ?"),
            None => ("ts >= ?", "ts < ?"),
        };
        if let Some(at) = filter.since {
            query.add(since, time::instant(at));
        }
        if let Some(at) = filter.until {
            query.add(until, time::instant(at));
        }
        if let Some(cursor) = filter.before {
            let (ts, rid) = (query.bind(time::instant(cursor.started)), query.bind(cursor.seq));
            query.conditions.push(format!("(ts, rid) < (?{ts}, ?{rid})"));
        }
        query
    }

    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        let place = self.bind(value);
        self.conditions.push(condition.replace('?', &format!("?{place}")));
    }

    fn bind(&mut self, value: impl Into<Value>) -> usize {
        self.params.push(value.into());
        self.params.len()
    }

    fn conditions(&self) -> String {
        if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" and ") }
    }
}

/// What is marked of what the filter names: the rarest first.
fn mark_of(filter: &SpanFilter) -> Option<(Mark, u32)> {
    let trace = filter.trace_id.map(|id| (Mark::Trace, marks::hash_trace(id.0)));
    let session = filter.session.as_deref().map(|session| (Mark::Session, marks::hash(session)));
    let user = filter.user.as_deref().map(|user| (Mark::User, marks::hash(user)));
    trace.or(session).or(user)
}

/// Time and rid of a span, as pages go by them.
type Place = (Timestamp, i64);

/// The latest start of all spans.
fn seen(connection: &Connection) -> Result<Option<i64>> {
    connection
        .prepare_cached("select seen from span_marks order by rid_first desc limit 1")?
        .query_row([], |row| row.get(0))
        .optional()
}

/// The newest spans with a mark that lie before `end`, newest first, and whether there are more. All that began at `since` or
/// later are among them.
fn candidates(
    connection: &Connection,
    (mark, wanted): (Mark, u32),
    since: Option<Timestamp>,
    end: Place,
) -> Result<(Vec<Place>, bool)> {
    let mut found: Vec<Place> = Vec::new();
    let mut is_cut = false;
    let mut statement =
        connection.prepare_cached("select rid_first, seen, marks from span_marks order by rid_first desc")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (rid_first, seen): (i64, i64) = (row.get(0)?, row.get(1)?);
        if since.is_some_and(|since| seen < since.0) {
            break;
        }
        marks::search(row.get_ref(2)?.as_blob()?, mark, wanted, |index, at| {
            let place = (time::within_calendar(at), rid_first + index as i64);
            if place < end {
                found.push(place);
            }
        });
        // A row of marks is a batch, so that this is passed by that much at most.
        if found.len() > 2 * CANDIDATES_MAX {
            found.select_nth_unstable_by(CANDIDATES_MAX, |one, other| other.cmp(one));
            found.truncate(CANDIDATES_MAX);
            is_cut = true;
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok((found, is_cut))
}

fn by_marks(
    connection: &Connection,
    mut query: Query,
    wanted: (Mark, u32),
    filter: &SpanFilter,
    limit: usize,
) -> Result<Vec<SpanRow>> {
    let place = query.bind(Value::Null);
    let sql = format!(
        "select {COLUMNS} from spans where rid in (select value from json_each(?{place})) and {} \
         order by +ts desc, +rid desc",
        query.conditions(),
    );
    let mut end = filter.before.map_or((Timestamp(i64::MAX), i64::MAX), |cursor| {
        (time::within_calendar(cursor.started), cursor.seq)
    });
    let mut page = Vec::new();
    // Each round ends before the one ahead of it, so this ends with the marks.
    loop {
        let (found, is_cut) = candidates(connection, wanted, filter.since, end)?;
        for chunk in found.chunks(CANDIDATES_AT_ONCE) {
            let rids: Vec<i64> = chunk.iter().map(|(_, rid)| *rid).collect();
            query.params[place - 1] = Value::Text(serde_json::Value::from(rids).to_string());
            page.append(&mut rows(connection, &sql, &query.params)?);
            if page.len() >= limit {
                page.truncate(limit);
                return Ok(page);
            }
        }
        match found.last() {
            Some(last) if is_cut => end = *last,
            _ => return Ok(page),
        }
    }
}

fn rows(connection: &Connection, sql: &str, params: &[Value]) -> Result<Vec<SpanRow>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params_from_iter(params), span_row)?;
    rows.collect()
}

fn span_row(row: &Row<'_>) -> Result<SpanRow> {
    let name = |column: usize| -> Result<Option<Name>> {
        Ok(row.get_ref(column)?.as_str_or_null()?.map(Name::from))
    };
    let text =
        |column: usize| -> Result<String> { Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default()) };
    fn read<T>(column: usize, value: Option<T>) -> Result<T> {
        let unreadable = "not written by this program".into();
        value.ok_or(rusqlite::Error::FromSqlConversionFailure(column, Type::Text, unreadable))
    }
    let parent = row.get_ref(4)?.as_str_or_null()?.map(|id| read(4, id.parse().ok())).transpose()?;
    let parts = RowParts {
        started: read(1, time::parse(row.get_ref(1)?.as_str()?))?,
        trace_id: read(2, row.get_ref(2)?.as_str()?.parse().ok())?,
        span_id: read(3, row.get_ref(3)?.as_str()?.parse().ok())?,
        parent,
        kind: read(6, SpanKind::parse(row.get_ref(6)?.as_str()?))?,
        names: [name(5)?, name(7)?, name(8)?, name(9)?, name(10)?, name(12)?, name(13)?, name(14)?],
        environment: read(11, Environment::parse(row.get_ref(11)?.as_str()?))?,
        is_error: row.get(15)?,
        took_us: row.get::<_, i64>(16)?.max(0).unsigned_abs(),
        tokens: [row.get(17)?, row.get(18)?],
        cost: row.get::<_, Option<i64>>(19)?.map(NanoUsd),
        error_message: row.get(20)?,
    };
    Ok(SpanRow {
        seq: row.get(0)?,
        record: parts.record(),
        input_preview: text(21)?,
        output_preview: text(22)?,
    })
}

/// What a row keeps of a record.
pub(crate) struct RowParts {
    pub started: Timestamp,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent: Option<SpanId>,
    pub kind: SpanKind,
    /// Name, service, tenant, user, session, provider, model, tool.
    pub names: [Option<Name>; 8],
    pub environment: Environment,
    pub is_error: bool,
    pub took_us: u64,
    pub tokens: [u32; 2],
    pub cost: Option<NanoUsd>,
    pub error_message: Option<String>,
}

impl RowParts {
    pub(crate) fn record(self) -> SpanRecord {
        let [name, service, tenant, user, session, provider, model, tool] = self.names;
        let [input, output] = self.tokens.map(TokenCount);
        SpanRecord {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: self.parent,
            name: name.unwrap_or_default(),
            kind: self.kind,
            started: self.started,
            took_us: self.took_us,
            is_error: self.is_error,
            error_message: self.error_message,
            service: service.unwrap_or_default(),
            scope: None,
            caller: Caller {
                tenant: tenant.unwrap_or_default(),
                user,
                session,
                environment: self.environment,
                ..Caller::default()
            },
            provider,
            model,
            tool,
            documents: Vec::new(),
            usage: Usage { input_fresh: input, output, ..Usage::default() },
            cost: self.cost,
            texts_gone: None,
        }
    }
}

/// Spans in the order of arrival.
pub(crate) fn page(connection: &Connection, after: i64, limit: u32) -> Result<Vec<SpanRow>> {
    let sql = format!("select {COLUMNS} from spans where rid > ?1 order by rid limit ?2");
    rows(connection, &sql, &[Value::from(after), Value::from(limit)])
}

/// The block of a span, of the first to arrive where ids were used twice.
pub(crate) fn payload(connection: &Connection, trace: TraceId, span: SpanId) -> Result<Option<Payload>> {
    let (trace_text, span_text) = (trace.to_string(), span.to_string());
    let wanted = marks::hash_trace(trace.0);
    let mut is_it =
        connection.prepare_cached("select trace_id = ?2 and span_id = ?3 from spans where rid = ?1")?;
    let mut statement =
        connection.prepare_cached("select rid_first, marks from span_marks order by rid_first")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let rid_first: i64 = row.get(0)?;
        let mut rids = Vec::new();
        marks::search(row.get_ref(1)?.as_blob()?, Mark::Trace, wanted, |index, _| {
            rids.push(rid_first + index as i64);
        });
        for rid in rids {
            let found = is_it.query_row(params![rid, trace_text, span_text], |row| row.get(0)).optional()?;
            if found == Some(true) {
                return block_of(connection, rid);
            }
        }
    }
    Ok(None)
}

fn block_of(connection: &Connection, rid: i64) -> Result<Option<Payload>> {
    let sql = "select ?1 - rid_first, enc, body from span_payload where rid_first <= ?1 \
         order by rid_first desc limit 1";
    connection
        .prepare_cached(sql)?
        .query_row([rid], |row| {
            Ok(Payload { index: row.get::<_, i64>(0)?.max(0) as usize, enc: row.get(1)?, body: row.get(2)? })
        })
        .optional()
}

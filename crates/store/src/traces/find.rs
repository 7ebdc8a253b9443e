//! Finding traces: filters, keyset pages, one whole call.
//!
//! Pages go by (time of the call, rid), newest first. Following goes by rid, the order of arrival: a long call that began
//! before the last one seen and ended after it would otherwise never be shown.

use gauntlet_ports::{TraceFilter, TraceRow};
use gauntlet_types::{CallId, Name, NanoUsd, Outcome, Timestamp};
use rusqlite::{
    Connection, OptionalExtension, Result, Row, params_from_iter,
    types::{Type, Value},
};

use super::marks::{self, Mark};
use crate::time;

/// What `input_redacted` begins with; the message follows as a JSON string.
pub(crate) const INPUT_PREFIX: &str = r#"{"role":"user","content":"#;

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 1000;
/// With more marks than this the calls are so many that walking the newest ones finds a page sooner.
const CANDIDATES_MAX: usize = 50_000;
const CANDIDATES_AT_ONCE: usize = 256;

const COLUMNS: &str = "id, trace_id, ts, tenant, user_id, session_id, route, model, provider, environment, \
     prompt_name, prompt_version, outcome, error, decision, cache, is_streaming, tokens_in, tokens_out, \
     usage_estimated, cost_nano, latency_us, first_token_us, input_redacted, output";

/// Where a page begins: what the row named in the filter says of itself.
struct Cursor {
    ts: String,
    rid: i64,
}

pub(crate) fn find(connection: &Connection, filter: &TraceFilter) -> Result<Vec<TraceRow>> {
    let limit = limit_of(filter);
    let mut query = Query::default();
    query.filter(filter);
    let before = query.before(connection, filter.before)?;
    query.after(connection, filter.after)?;
    let is_following = filter.after.is_some();
    match candidates(connection, filter, before.as_ref())? {
        Some(found) => by_candidates(connection, query, found, is_following, limit),
        None => {
            query.params.push(Value::from(limit));
            let sql = format!(
                "select {COLUMNS} from llm_traces where {} order by {} limit ?{}",
                query.conditions(),
                order(is_following),
                query.params.len()
            );
            rows(connection, &sql, query.params)
        }
    }
}

pub(crate) fn limit_of(filter: &TraceFilter) -> u32 {
    match filter.limit {
        0 => LIMIT_DEFAULT,
        limit => limit.min(LIMIT_MAX),
    }
}

const fn order(is_following: bool) -> &'static str {
    if is_following { "rid" } else { "ts desc, rid desc" }
}

/// Conditions and their bound values. Conditions are fixed texts with `?` for the next value.
#[derive(Default)]
struct Query {
    conditions: Vec<String>,
    params: Vec<Value>,
}

impl Query {
    /// Adds a condition; every `?` in it stands for the same value.
    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        self.params.push(value.into());
        self.conditions.push(condition.replace('?', &format!("?{}", self.params.len())));
    }

    fn conditions(&self) -> String {
        if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" and ") }
    }

    fn filter(&mut self, filter: &TraceFilter) {
        let texts = [
            ("tenant = ?", &filter.tenant),
            ("team = ?", &filter.team),
            ("user_id = ?", &filter.user),
            ("session_id = ?", &filter.session),
            ("route = ?", &filter.route),
            ("(model = ? or model_asked = ?)", &filter.model),
            ("key_name = ?", &filter.key),
            ("environment = ?", &filter.environment),
            ("error = ?", &filter.error),
            ("decision = ?", &filter.decision),
            ("prompt_name = ?", &filter.prompt_name),
            ("prompt_version = ?", &filter.prompt_version),
            ("eval_id = ?", &filter.eval_id),
            ("app_sha = ?", &filter.app_sha),
        ];
        for (condition, value) in texts {
            if let Some(value) = value {
                self.add(condition, value.clone());
            }
        }
        if let Some(outcome) = filter.outcome {
            self.add("outcome = ?", outcome.as_str().to_owned());
            if outcome != Outcome::Ok {
                // Lets the planner see that the index of calls that went wrong will do.
                self.conditions.push("outcome <> 'ok'".to_owned());
            }
        }
        if let Some(id) = filter.trace_id {
            self.add("trace_id = ?", id.to_string());
        }
        // Following walks by rid whatever the times say; `+` keeps the planner from the time's index.
        let (since, until) =
            if filter.after.is_some() { ("+ts >= ?", "+ts < ?") } else { ("ts >= ?", "ts < ?") };
        if let Some(at) = filter.since {
            self.add(since, time::instant(at));
        }
        if let Some(at) = filter.until {
            self.add(until, time::instant(at));
        }
        if let Some(NanoUsd(cost)) = filter.cost_min {
            self.add("cost_nano >= ?", cost);
        }
        if let Some(ms) = filter.latency_ms_min {
            self.add("latency_us >= ?", i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX));
        }
        if let Some(text) = &filter.text {
            self.text(text);
        }
    }

    /// Looks for the text as JSON writes it, which costs no decoding, and decodes only where that is found: `n` also
    /// stands in `\n`.
    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = text.to_ascii_lowercase();
        let quoted = Value::Text(serde_json::Value::from(text.as_str()).to_string());
        let inner = match quoted {
            Value::Text(quoted) => quoted[1..quoted.len() - 1].to_owned(),
            _ => return,
        };
        let written = self.bind(inner);
        let plain = self.bind(text);
        let begin = INPUT_PREFIX.len() + 1;
        self.conditions.push(format!(
            "((instr(lower(substr(input_redacted, {begin})), ?{written}) > 0 \
               and instr(lower(json_extract(input_redacted, '$.content')), ?{plain}) > 0) \
              or (instr(lower(output), ?{written}) > 0 and instr(lower(json_extract(output, '$')), ?{plain}) > 0))"
        ));
    }

    fn bind(&mut self, value: impl Into<Value>) -> usize {
        self.params.push(value.into());
        self.params.len()
    }

    fn before(&mut self, connection: &Connection, id: Option<CallId>) -> Result<Option<Cursor>> {
        let Some(id) = id else { return Ok(None) };
        let cursor = cursor(connection, id)?;
        match &cursor {
            Some(Cursor { ts, rid }) => {
                let (ts, rid) = (self.bind(ts.clone()), self.bind(*rid));
                self.conditions.push(format!("(ts, rid) < (?{ts}, ?{rid})"));
            }
            // Erased meanwhile, or never there: ids of version 7 sort by time.
            None => self.add("id < ?", id.0.to_string()),
        }
        Ok(cursor)
    }

    fn after(&mut self, connection: &Connection, id: Option<CallId>) -> Result<()> {
        let Some(id) = id else { return Ok(()) };
        match cursor(connection, id)? {
            Some(Cursor { rid, .. }) => self.add("rid > ?", rid),
            None => self.add("+id > ?", id.0.to_string()),
        }
        Ok(())
    }
}

fn cursor(connection: &Connection, id: CallId) -> Result<Option<Cursor>> {
    connection
        .prepare_cached("select ts, rid from llm_traces where id = ?1")?
        .query_row([id.0.to_string()], |row| Ok(Cursor { ts: row.get(0)?, rid: row.get(1)? }))
        .optional()
}

/// Calls that may fit by their marks, as (time, rid); none if the filter names nothing that is marked, or too common.
fn candidates(
    connection: &Connection,
    filter: &TraceFilter,
    before: Option<&Cursor>,
) -> Result<Option<Vec<(Timestamp, i64)>>> {
    let wanted = if let Some(id) = filter.trace_id {
        (Mark::Trace, marks::hash_trace(id.0))
    } else if let Some(session) = &filter.session {
        (Mark::Session, marks::hash(session))
    } else if let Some(user) = &filter.user {
        (Mark::User, marks::hash(user))
    } else {
        return Ok(None);
    };
    let end = before.and_then(|cursor| time::parse(&cursor.ts)).unwrap_or(Timestamp(i64::MAX));
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached("select rid_first, marks from trace_marks")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let rid_first: i64 = row.get(0)?;
        let marks = row.get_ref(1)?.as_blob()?;
        marks::search(marks, wanted.0, wanted.1, |index, at| {
            if at <= end {
                found.push((at, rid_first + index as i64));
            }
        });
        if found.len() > CANDIDATES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

fn by_candidates(
    connection: &Connection,
    mut query: Query,
    mut found: Vec<(Timestamp, i64)>,
    is_following: bool,
    limit: u32,
) -> Result<Vec<TraceRow>> {
    if is_following {
        found.sort_unstable_by_key(|(_, rid)| *rid);
    } else {
        found.sort_unstable_by(|one, other| other.cmp(one));
    }
    let limit = limit as usize;
    let place = query.bind(Value::Null);
    let sql = format!(
        "select {COLUMNS} from llm_traces where rid in (select value from json_each(?{place})) and {} order by {}",
        query.conditions(),
        // The rids lead; `+` keeps the planner from walking an index instead.
        if is_following { "+rid" } else { "+ts desc, +rid desc" },
    );
    let mut page = Vec::new();
    for chunk in found.chunks(CANDIDATES_AT_ONCE) {
        let rids: Vec<i64> = chunk.iter().map(|(_, rid)| *rid).collect();
        query.params[place - 1] = Value::Text(serde_json::Value::from(rids).to_string());
        page.append(&mut rows(connection, &sql, query.params.clone())?);
        if page.len() >= limit {
            break;
        }
    }
    page.truncate(limit);
    Ok(page)
}

fn rows(connection: &Connection, sql: &str, params: Vec<Value>) -> Result<Vec<TraceRow>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params_from_iter(params), trace_row)?;
    rows.collect()
}

fn trace_row(row: &Row<'_>) -> Result<TraceRow> {
    fn name(row: &Row<'_>, column: usize) -> Result<Option<Name>> {
        Ok(row.get_ref(column)?.as_str_or_null()?.map(Name::from))
    }
    fn text(row: &Row<'_>, column: usize) -> Result<String> {
        row.get(column)
    }
    fn whole(row: &Row<'_>, column: usize) -> Result<u64> {
        row.get::<_, i64>(column).map(|number| number.max(0) as u64)
    }
    fn read<T>(column: usize, value: Option<T>) -> Result<T> {
        let unreadable = "not written by this program".into();
        value.ok_or(rusqlite::Error::FromSqlConversionFailure(column, Type::Text, unreadable))
    }
    Ok(TraceRow {
        id: read(0, row.get_ref(0)?.as_str()?.parse().ok())?,
        trace_id: read(1, row.get_ref(1)?.as_str()?.parse().ok())?,
        started: read(2, time::parse(row.get_ref(2)?.as_str()?))?,
        tenant: name(row, 3)?.unwrap_or_default(),
        user: name(row, 4)?,
        session: name(row, 5)?,
        route: name(row, 6)?.unwrap_or_default(),
        model: name(row, 7)?.unwrap_or_default(),
        provider: name(row, 8)?,
        environment: text(row, 9)?,
        prompt_name: name(row, 10)?,
        prompt_version: name(row, 11)?,
        outcome: read(12, Outcome::parse(row.get_ref(12)?.as_str()?))?,
        error: row.get(13)?,
        decision: text(row, 14)?,
        cache: text(row, 15)?,
        is_streaming: row.get(16)?,
        tokens_in: row.get(17)?,
        tokens_out: row.get(18)?,
        usage_estimated: row.get(19)?,
        cost: NanoUsd(row.get(20)?),
        latency_us: whole(row, 21)?,
        first_token_us: row.get::<_, Option<i64>>(22)?.map(|us| us.max(0) as u64),
        input_preview: shown(
            row.get_ref(23)?
                .as_str_or_null()?
                .and_then(|text| text.strip_prefix(INPUT_PREFIX)?.strip_suffix('}')),
        ),
        output_preview: shown(row.get_ref(24)?.as_str_or_null()?),
    })
}

fn shown(json: Option<&str>) -> String {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// A block and the place of a call in it.
pub(crate) struct Payload {
    pub index: usize,
    pub enc: String,
    pub body: Vec<u8>,
}

pub(crate) fn payload(connection: &Connection, id: CallId) -> Result<Option<Payload>> {
    connection
        .prepare_cached(include_str!("sql/find_payload.sql"))?
        .query_row([id.0.to_string()], |row| {
            Ok(Payload { index: row.get::<_, i64>(0)?.max(0) as usize, enc: row.get(1)?, body: row.get(2)? })
        })
        .optional()
}

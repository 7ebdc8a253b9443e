//! Finding traces: the conditions on rows, the index, one whole call. How a page is put together is `finding::walk`'s.

use gauntlet_ports::{StoredCall, TraceFilter, TraceRow};
use gauntlet_types::{CallId, Name, NanoUsd, Outcome, Timestamp};
use rusqlite::{
    Connection, OptionalExtension, Result, Row, params, params_from_iter,
    types::{Type, Value},
};

use super::index;
use crate::{
    finding::{
        step::calls_of,
        terms::Wanted,
        walk::{Order, Source, Span},
    },
    time,
};

/// What `input_redacted` begins with; the message follows as a JSON string.
pub(crate) const INPUT_PREFIX: &str = r#"{"role":"user","content":"#;

const COLUMNS: &str = "id, trace_id, ts, tenant, user_id, session_id, route, model, provider, environment, \
     prompt_name, prompt_version, outcome, error, decision, cache, is_streaming, tokens_in, tokens_out, \
     usage_estimated, cost_nano, latency_us, first_token_us, input_redacted, output, rid";

/// One connection, and what a filter says of rows.
pub(crate) struct Tables<'a> {
    connection: &'a Connection,
    conditions: String,
    params: Vec<Value>,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(connection: &'a Connection, filter: &TraceFilter) -> Tables<'a> {
        let mut query = Query::default();
        query.filter(filter);
        Tables { connection, conditions: query.conditions(), params: query.params }
    }

    fn select(&self, narrow: &str, mut more: Vec<Value>) -> Result<Vec<TraceRow>> {
        let sql = format!("select {COLUMNS} from llm_traces where {narrow} and {}", self.conditions);
        let mut statement = self.connection.prepare_cached(&sql)?;
        // The places of `narrow` come first, and the conditions' behind them.
        more.extend(self.params.iter().cloned());
        statement.query_map(params_from_iter(more), trace_row)?.collect()
    }
}

/// Conditions and their bound values. Conditions are fixed texts with `?` for the next value.
#[derive(Default)]
struct Query {
    conditions: Vec<&'static str>,
    params: Vec<Value>,
}

impl Query {
    fn add(&mut self, condition: &'static str, value: impl Into<Value>) {
        self.params.push(value.into());
        self.conditions.push(condition);
    }

    fn conditions(&self) -> String {
        if self.conditions.is_empty() { "true".to_owned() } else { self.conditions.join(" and ") }
    }

    /// Rids lead everywhere; `+` keeps the planner from walking an index instead.
    fn filter(&mut self, filter: &TraceFilter) {
        let texts = [
            ("tenant = ?", &filter.tenant),
            ("team = ?", &filter.team),
            ("user_id = ?", &filter.user),
            ("session_id = ?", &filter.session),
            ("route = ?", &filter.route),
            ("provider = ?", &filter.provider),
            ("key_name = ?", &filter.key),
            ("environment = ?", &filter.environment),
            ("error = ?", &filter.error),
            ("decision = ?", &filter.decision),
            ("cache = ?", &filter.cache),
            ("prompt_name = ?", &filter.prompt_name),
            ("prompt_version = ?", &filter.prompt_version),
            ("+eval_id = ?", &filter.eval_id),
            ("app_sha = ?", &filter.app_sha),
        ];
        for (condition, value) in texts {
            if let Some(value) = value {
                self.add(condition, value.clone());
            }
        }
        if let Some(model) = &filter.model {
            self.add("? in (model, model_asked)", model.clone());
        }
        if let Some(outcome) = filter.outcome {
            self.add("+outcome = ?", outcome.as_str().to_owned());
        }
        if let Some(status) = filter.status {
            self.add("status = ?", i64::from(status));
        }
        if let Some(id) = filter.trace_id {
            self.add("trace_id = ?", id.to_string());
        }
        if let Some(at) = filter.since {
            self.add("+ts >= ?", time::instant(at));
        }
        if let Some(at) = filter.until {
            self.add("+ts < ?", time::instant(at));
        }
        if let Some(NanoUsd(cost)) = filter.cost_min {
            self.add("cost_nano >= ?", cost);
        }
        if let Some(NanoUsd(cost)) = filter.cost_max {
            self.add("cost_nano <= ?", cost);
        }
        let us = |ms: u64| i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        if let Some(ms) = filter.latency_ms_min {
            self.add("latency_us >= ?", us(ms));
        }
        if let Some(ms) = filter.latency_ms_max {
            self.add("latency_us <= ?", us(ms));
        }
    }
}

impl Source for Tables<'_> {
    type Error = rusqlite::Error;
    const SPLIT: i64 = index::SHARD;
    // FTS5 looks for the next match to the end of its table, whatever rowids are asked for.
    const WINDOW_FIRST: i64 = index::SHARD;
    const WINDOW_MAX: i64 = index::SHARD;
    const CANDIDATES_MAX: usize = 1024;

    fn ends(&mut self) -> Result<(i64, i64)> {
        let newest = self.connection.prepare_cached("select coalesce(max(rid), 0) from llm_traces")?;
        Ok((one(newest)?, index::reached(self.connection)?))
    }

    fn place(&mut self, id: CallId) -> Result<Option<i64>> {
        self.connection
            .prepare_cached("select rid from llm_traces where id = ?1")?
            .query_row([id.0.to_string()], |row| row.get(0))
            .optional()
    }

    fn place_at(&mut self, at: Timestamp) -> Result<i64> {
        let found: Option<i64> = self
            .connection
            .prepare_cached("select rid from llm_traces where ts <= ?1 order by ts desc, rid desc limit 1")?
            .query_row([time::instant(at)], |row| row.get(0))
            .optional()?;
        Ok(found.unwrap_or(0))
    }

    fn reach(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Span> {
        self.connection
            .prepare_cached(
                "select coalesce(min(rid_first) filter (where ts_max >= ?1), 1), \
                        coalesce(max(rid_last) filter (where ts_min < ?2), 0) from find_span",
            )?
            .query_row(params![since.map_or(i64::MIN, |at| at.0), until.map_or(i64::MAX, |at| at.0)], |row| {
                Ok(Span { first: row.get(0)?, last: row.get(1)? })
            })
    }

    fn candidates(
        &mut self,
        wanted: &Wanted,
        span: Span,
        order: Order,
        most: usize,
    ) -> Result<Vec<(i64, bool)>> {
        index::candidates(self.connection, wanted, span, order, most)
    }

    fn rows(&mut self, rids: &[i64]) -> Result<Vec<TraceRow>> {
        let list = serde_json::Value::from(rids).to_string();
        self.select("rid in (select value from json_each(?))", vec![Value::Text(list)])
    }

    fn walk(&mut self, span: Span, order: Order, most: usize) -> Result<Vec<TraceRow>> {
        let way = match order {
            Order::NewestFirst => "desc",
            Order::OldestFirst => "asc",
        };
        let sql = format!(
            "select {COLUMNS} from llm_traces where rid between ? and ? and {} order by rid {way} limit ?",
            self.conditions
        );
        let mut params = vec![Value::from(span.first), Value::from(span.last)];
        params.extend(self.params.iter().cloned());
        params.push(Value::from(i64::try_from(most).unwrap_or(i64::MAX)));
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_map(params_from_iter(params), trace_row)?.collect()
    }

    fn calls(&mut self, rids: &[i64]) -> Result<Vec<(i64, StoredCall)>> {
        let mut statement = self.connection.prepare_cached(
            "select rid_first, enc, body from payload where rid_first <= ?1 order by rid_first desc limit 1",
        )?;
        let block = |rid: i64| {
            statement.query_row([rid], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        };
        calls_of(rids, block, |error| rusqlite::Error::FromSqlConversionFailure(2, Type::Blob, error.into()))
    }

    fn began(&mut self, rid: i64) -> Result<Option<Timestamp>> {
        let found: Option<String> = self
            .connection
            .prepare_cached("select ts from llm_traces where rid >= ?1 order by rid limit 1")?
            .query_row([rid], |row| row.get(0))
            .optional()?;
        Ok(found.as_deref().and_then(time::parse))
    }
}

fn one(mut statement: rusqlite::CachedStatement<'_>) -> Result<i64> {
    statement.query_row([], |row| row.get(0))
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
        seq: row.get(25)?,
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

//! Finding traces: the conditions on rows, one whole call. How a page is put together is `finding::walk`'s.

use gauntlet_ports::{StoredCall, TraceFilter, TraceRow};
use gauntlet_types::{CallId, NanoUsd, Outcome, Timestamp};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    database::{Connection, Param, Result, Trouble},
    index,
    values::{At, Columns, Id, shown, stored},
};
use crate::finding::{
    step::calls_of,
    terms::Wanted,
    walk::{Order, Source, Span},
};

const COLUMNS: &str = "id, trace_id, ts, tenant, user_id, session_id, route, model, provider, environment, \
     prompt_name, prompt_version, outcome, error, decision, cache, is_streaming, tokens_in, tokens_out, \
     usage_estimated, cost_nano, latency_us, first_token_us, input_redacted ->> 'content', output #>> '{}', rid";

/// Conditions and their values. Conditions are fixed texts with `?` for the next value.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) texts: Vec<String>,
    values: Vec<(Box<dyn ToSql + Sync>, Type)>,
}

impl Conditions {
    /// Adds a condition; every `?` in it stands for the same value.
    pub(super) fn add(&mut self, condition: &str, value: impl ToSql + Sync + 'static, ty: Type) {
        let place = self.bind(value, ty);
        self.texts.push(condition.replace('?', &format!("${place}")));
    }

    pub(super) fn text(&mut self, condition: &str, value: &str) {
        self.add(condition, stored(value).into_owned(), Type::TEXT);
    }

    pub(super) fn bind(&mut self, value: impl ToSql + Sync + 'static, ty: Type) -> usize {
        self.values.push((Box::new(value), ty));
        self.values.len()
    }

    pub(super) fn sql(&self) -> String {
        if self.texts.is_empty() { "true".to_owned() } else { self.texts.join(" and ") }
    }

    pub(super) fn params(&self) -> Vec<Param<'_>> {
        self.values.iter().map(|(value, ty)| (&**value, ty.clone())).collect()
    }
}

/// One connection, and a filter on its rows.
pub(super) struct Tables<'a> {
    pub connection: &'a Connection,
    pub filter: &'a TraceFilter,
}

impl Tables<'_> {
    fn select(&self, mut conditions: Conditions, rest: &str) -> Result<Vec<TraceRow>> {
        narrow(&mut conditions, self.filter);
        let sql = format!("select {COLUMNS} from llm_traces where {} {rest}", conditions.sql());
        self.connection.query(&sql, &conditions.params())?.iter().map(trace_row).collect()
    }

    fn number(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<i64>> {
        self.connection.query(sql, params)?.first().map(|row| Columns(row).get(0)).transpose()
    }
}

impl Source for Tables<'_> {
    type Error = Trouble;
    const SPLIT: i64 = index::LONG;
    const WINDOW_FIRST: i64 = index::SHORT;
    const WINDOW_MAX: i64 = index::LONG;
    // Each question meets the whole window anew.
    const CANDIDATES_MAX: usize = 4096;

    fn ends(&mut self) -> Result<(i64, i64)> {
        let newest = self.number("select coalesce(max(rid), 0) from llm_traces", &[])?;
        Ok((newest.unwrap_or(0), index::reached(self.connection)?))
    }

    fn place(&mut self, id: CallId) -> Result<Option<i64>> {
        self.number("select rid from llm_traces where id = $1", &[(&Id(id.0), Type::UUID)])
    }

    fn place_at(&mut self, at: Timestamp) -> Result<i64> {
        let sql = "select rid from llm_traces where ts <= $1 order by ts desc, rid desc limit 1";
        Ok(self.number(sql, &[(&At(at), Type::TIMESTAMPTZ)])?.unwrap_or(0))
    }

    fn reach(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Span> {
        let sql = "select coalesce(min(rid_first) filter (where ts_max >= $1), 1), \
                          coalesce(max(rid_last) filter (where ts_min < $2), 0) from find_span";
        let since = since.map_or(i64::MIN, |at| at.0);
        let until = until.map_or(i64::MAX, |at| at.0);
        let rows = self.connection.query(sql, &[(&since, Type::INT8), (&until, Type::INT8)])?;
        let row = Columns(rows.first().ok_or(Trouble::Unreadable(0))?);
        Ok(Span { first: row.get(0)?, last: row.get(1)? })
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
        let mut conditions = Conditions::default();
        conditions.add("rid = any(?)", rids.to_vec(), Type::INT8_ARRAY);
        self.select(conditions, "")
    }

    fn walk(&mut self, span: Span, order: Order, most: usize) -> Result<Vec<TraceRow>> {
        let way = match order {
            Order::NewestFirst => "desc",
            Order::OldestFirst => "asc",
        };
        let mut conditions = Conditions::default();
        conditions.add("rid >= ?", span.first, Type::INT8);
        conditions.add("rid <= ?", span.last, Type::INT8);
        let most = conditions.bind(i64::try_from(most).unwrap_or(i64::MAX), Type::INT8);
        self.select(conditions, &format!("order by rid {way} limit ${most}"))
    }

    fn calls(&mut self, rids: &[i64]) -> Result<Vec<(i64, StoredCall)>> {
        let sql =
            "select rid_first, enc, body from payload where rid_first <= $1 order by rid_first desc limit 1";
        let block = |rid: i64| {
            let rows = self.connection.query(sql, &[(&rid, Type::INT8)])?;
            let read = |row: &Row| {
                let row = Columns(row);
                Ok((row.get(0)?, row.text(1)?, row.get(2)?))
            };
            rows.first().map(read).transpose()
        };
        calls_of(rids, block, |_| Trouble::Unreadable(2))
    }

    fn began(&mut self, rid: i64) -> Result<Option<Timestamp>> {
        let sql = "select ts from llm_traces where rid >= $1 order by rid limit 1";
        let rows = self.connection.query(sql, &[(&rid, Type::INT8)])?;
        rows.first().map(|row| Columns(row).at(0)).transpose()
    }
}

fn narrow(conditions: &mut Conditions, filter: &TraceFilter) {
    let texts = [
        ("tenant = ?", &filter.tenant),
        ("team = ?", &filter.team),
        ("user_id = ?", &filter.user),
        ("session_id = ?", &filter.session),
        ("route = ?", &filter.route),
        ("(model = ? or model_asked = ?)", &filter.model),
        ("provider = ?", &filter.provider),
        ("key_name = ?", &filter.key),
        ("environment = ?", &filter.environment),
        ("error = ?", &filter.error),
        ("decision = ?", &filter.decision),
        ("cache = ?", &filter.cache),
        ("prompt_name = ?", &filter.prompt_name),
        ("prompt_version = ?", &filter.prompt_version),
        ("eval_id = ?", &filter.eval_id),
        ("app_sha = ?", &filter.app_sha),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            conditions.text(condition, value);
        }
    }
    if let Some(outcome) = filter.outcome {
        conditions.text("outcome = ?", outcome.as_str());
    }
    if let Some(status) = filter.status {
        conditions.add("status = ?", i32::from(status), Type::INT4);
    }
    if let Some(id) = filter.trace_id {
        conditions.text("trace_id = ?", &id.to_string());
    }
    if let Some(at) = filter.since {
        conditions.add("ts >= ?", At(at), Type::TIMESTAMPTZ);
    }
    if let Some(at) = filter.until {
        conditions.add("ts < ?", At(at), Type::TIMESTAMPTZ);
    }
    if let Some(NanoUsd(cost)) = filter.cost_min {
        conditions.add("cost_nano >= ?", cost, Type::INT8);
    }
    if let Some(NanoUsd(cost)) = filter.cost_max {
        conditions.add("cost_nano <= ?", cost, Type::INT8);
    }
    let us = |ms: u64| i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
    if let Some(ms) = filter.latency_ms_min {
        conditions.add("latency_us >= ?", us(ms), Type::INT8);
    }
    if let Some(ms) = filter.latency_ms_max {
        conditions.add("latency_us <= ?", us(ms), Type::INT8);
    }
}

fn trace_row(row: &Row) -> Result<TraceRow> {
    let row = Columns(row);
    let tokens = |column: usize| row.get::<i32>(column).map(|tokens| tokens.max(0).unsigned_abs());
    let preview = |column: usize| -> Result<String> {
        Ok(shown(row.get::<Option<&str>>(column)?.unwrap_or_default()).into_owned())
    };
    Ok(TraceRow {
        id: CallId(row.get::<Id>(0)?.0),
        seq: row.get(25)?,
        trace_id: row.read(1, |text| text.parse().ok())?,
        started: row.at(2)?,
        tenant: row.name(3)?,
        user: row.name_or_none(4)?,
        session: row.name_or_none(5)?,
        route: row.name(6)?,
        model: row.name(7)?,
        provider: row.name_or_none(8)?,
        environment: row.text(9)?,
        prompt_name: row.name_or_none(10)?,
        prompt_version: row.name_or_none(11)?,
        outcome: row.read(12, Outcome::parse)?,
        error: row.text_or_none(13)?,
        decision: row.text(14)?,
        cache: row.text(15)?,
        is_streaming: row.get(16)?,
        tokens_in: tokens(17)?,
        tokens_out: tokens(18)?,
        usage_estimated: row.get(19)?,
        cost: row.usd(20)?,
        latency_us: row.whole(21)?,
        first_token_us: row.get::<Option<i64>>(22)?.map(|us| us.max(0).unsigned_abs()),
        input_preview: preview(23)?,
        output_preview: preview(24)?,
    })
}

/// A block and the place of a call in it.
pub(super) struct Payload {
    pub index: usize,
    pub enc: String,
    pub body: Vec<u8>,
}

pub(super) fn payload(connection: &Connection, id: CallId) -> Result<Option<Payload>> {
    let sql = "select t.rid - p.rid_first, p.enc, p.body from llm_traces t \
         join payload p on p.rid_first = (select max(rid_first) from payload where rid_first <= t.rid) \
         where t.id = $1";
    let rows = connection.query(sql, &[(&Id(id.0), Type::UUID)])?;
    let read = |row: &Row| {
        let row = Columns(row);
        Ok(Payload { index: row.whole(0)? as usize, enc: row.text(1)?, body: row.get(2)? })
    };
    rows.first().map(read).transpose()
}

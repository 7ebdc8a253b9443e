//! Finding traces: filters, keyset pages, one whole call. Pages go by (ts, rid), newest first; following goes by rid, the
//! order of arrival.

use gauntlet_ports::{TraceFilter, TraceRow};
use gauntlet_types::{CallId, NanoUsd, Outcome, Timestamp};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    database::{Connection, Param, Result},
    values::{At, Columns, Id, shown, stored},
};
use crate::traces::find::limit_of;

const COLUMNS: &str = "id, trace_id, ts, tenant, user_id, session_id, route, model, provider, environment, \
     prompt_name, prompt_version, outcome, error, decision, cache, is_streaming, tokens_in, tokens_out, \
     usage_estimated, cost_nano, latency_us, first_token_us, input_redacted ->> 'content', output #>> '{}'";

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

pub(super) fn find(connection: &Connection, filter: &TraceFilter) -> Result<Vec<TraceRow>> {
    let mut conditions = Conditions::default();
    narrow(&mut conditions, filter);
    if let Some(id) = filter.before {
        match cursor(connection, id)? {
            Some((ts, rid)) => {
                let ts = conditions.bind(At(ts), Type::TIMESTAMPTZ);
                let rid = conditions.bind(rid, Type::INT8);
                conditions.texts.push(format!("(ts, rid) < (${ts}, ${rid})"));
            }
            // Erased meanwhile, or never there: ids of version 7 sort by time.
            None => conditions.add("id < ?", Id(id.0), Type::UUID),
        }
    }
    if let Some(id) = filter.after {
        match cursor(connection, id)? {
            Some((_, rid)) => conditions.add("rid > ?", rid, Type::INT8),
            None => conditions.add("id > ?", Id(id.0), Type::UUID),
        }
    }
    let order = if filter.after.is_some() { "rid" } else { "ts desc, rid desc" };
    let limit = conditions.bind(i64::from(limit_of(filter)), Type::INT8);
    let sql = format!(
        "select {COLUMNS} from llm_traces where {} order by {order} limit ${limit}",
        conditions.sql()
    );
    connection.query(&sql, &conditions.params())?.iter().map(trace_row).collect()
}

fn narrow(conditions: &mut Conditions, filter: &TraceFilter) {
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
            conditions.text(condition, value);
        }
    }
    if let Some(outcome) = filter.outcome {
        conditions.text("outcome = ?", outcome.as_str());
        if outcome != Outcome::Ok {
            // Lets the planner see that the index of calls that went wrong will do.
            conditions.texts.push("outcome <> 'ok'".to_owned());
        }
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
    if let Some(ms) = filter.latency_ms_min {
        let us = i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        conditions.add("latency_us >= ?", us, Type::INT8);
    }
    if let Some(text) = filter.text.as_ref().filter(|text| !text.is_empty()) {
        // By "C", `lower` knows ASCII alone, as the port says.
        conditions.text(
            "(strpos(lower((input_redacted ->> 'content') collate \"C\"), ?) > 0 \
              or strpos(lower((output #>> '{}') collate \"C\"), ?) > 0)",
            &text.to_ascii_lowercase(),
        );
    }
}

/// What the row named in a filter says of itself.
fn cursor(connection: &Connection, id: CallId) -> Result<Option<(Timestamp, i64)>> {
    let rows =
        connection.query("select ts, rid from llm_traces where id = $1", &[(&Id(id.0), Type::UUID)])?;
    rows.first().map(|row| Ok((Columns(row).at(0)?, Columns(row).get(1)?))).transpose()
}

fn trace_row(row: &Row) -> Result<TraceRow> {
    let row = Columns(row);
    let tokens = |column: usize| row.get::<i32>(column).map(|tokens| tokens.max(0).unsigned_abs());
    let preview = |column: usize| -> Result<String> {
        Ok(shown(row.get::<Option<&str>>(column)?.unwrap_or_default()).into_owned())
    };
    Ok(TraceRow {
        id: CallId(row.get::<Id>(0)?.0),
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

//! Sums for bills: from the sums of each day, whatever the number of calls; by user from the index of calls by time.

use gauntlet_ports::{NameKind, SpendBy, SpendQuery, SpendRow, StoreError};
use gauntlet_types::NanoUsd;
use rusqlite::{Connection, Result, Row, params_from_iter, types::Value};

use crate::{error::During, time};

/// Columns of `rollup_day` in the order of [`read`].
const SUMS: &str = "sum(calls), sum(errors), sum(refused), sum(cache_hits), sum(cut_short), sum(estimated), \
     sum(tokens_in), sum(tokens_cached), sum(tokens_written), sum(tokens_out), sum(tokens_reasoning), \
     sum(spared_in), sum(spared_cached), sum(spared_out), sum(cost_nano) as cost, sum(correction_nano), \
     sum(wasted_nano)";
/// The same of `spend_name`, which has fewer.
const NAME_SUMS: &str = "sum(calls), sum(errors), 0, 0, 0, 0, sum(tokens_in), sum(tokens_cached), 0, \
     sum(tokens_out), 0, 0, 0, 0, sum(cost_nano) as cost, sum(correction_nano), 0";

/// The same from calls; all of it stands in the index by time. Corrections are added by [`corrections`].
const CALL_SUMS: &str = "count(*), sum(outcome in ('failed', 'interrupted', 'canned')), 0, 0, 0, 0, sum(tokens_in), \
     sum(tokens_cached), 0, sum(tokens_out), 0, 0, 0, 0, sum(cost_nano) as cost, 0, 0";

/// The statement and its values.
pub(crate) struct Question {
    sql: String,
    values: Vec<Value>,
    /// Of a question about users: what their calls were corrected by.
    corrections: Option<(String, Vec<Value>)>,
}

pub(crate) fn question(query: &SpendQuery) -> Result<Question, StoreError> {
    let kind = query.named().during("adding up spend")?;
    if kind == Some(NameKind::User) {
        return Ok(by_user(query));
    }
    let (table, sums) = match kind {
        None => ("rollup_day", SUMS),
        Some(_) => ("spend_name", NAME_SUMS),
    };
    let mut sql = String::from("select ");
    for by in &query.by {
        sql.push_str(column(*by));
        sql.push_str(", ");
    }
    sql.push_str(&format!("{sums} from {table} where day >= ?1 and day <= ?2"));
    let mut values = vec![Value::Text(time::day(query.from)), Value::Text(time::day(query.to))];
    let mut narrow = |condition: &str, value: &str| {
        values.push(Value::Text(value.to_owned()));
        sql.push_str(&condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(kind) = kind {
        narrow(" and kind = ?", kind.as_str());
        let name = match kind {
            NameKind::Key => &query.key,
            NameKind::Tag => &query.tag,
            NameKind::User => &query.user,
        };
        if let Some(name) = name {
            narrow(" and name = ?", name);
        }
    }
    let filters = [
        (" and tenant = ?", &query.tenant),
        (" and team = ?", &query.team),
        (" and route = ?", &query.route),
        (" and model = ?", &query.model),
        (" and provider = ?", &query.provider),
        (" and environment = ?", &query.environment),
    ];
    for (condition, value) in filters {
        if let Some(value) = value {
            narrow(condition, value);
        }
    }
    if let Some(prompt) = &query.prompt {
        let (name, version) =
            prompt.split_once('@').map_or((prompt.as_str(), None), |(name, version)| (name, Some(version)));
        narrow(" and prompt_name = ?", name);
        if let Some(version) = version {
            narrow(" and prompt_version = ?", version);
        }
    }
    sql.push_str(&grouping(query, "having sum(calls) > 0"));
    Ok(Question { sql, values, corrections: None })
}

/// Groups and their order. Columns are named by place, so that the grouping is by what is shown.
fn grouping(query: &SpendQuery, having: &str) -> String {
    let mut sql = String::new();
    let places: Vec<String> = (1..=query.by.len()).map(|place| place.to_string()).collect();
    if !places.is_empty() {
        sql.push_str(&format!(" group by {}", places.join(", ")));
    }
    sql.push_str(&format!(" {having} order by "));
    for (by, place) in query.by.iter().zip(&places) {
        if matches!(by, SpendBy::Day | SpendBy::Month) {
            sql.push_str(&format!("{place}, "));
        }
    }
    sql.push_str("cost desc");
    places.iter().for_each(|place| {
        sql.push_str(", ");
        sql.push_str(place);
    });
    sql
}

/// Calls of a span with a user, from the index by time alone.
fn by_user(query: &SpendQuery) -> Question {
    let mut values = vec![
        Value::Text(time::day(query.from)),
        // Times of a day begin with it and a `T`, which stands before `U`.
        Value::Text(format!("{}U", time::day(query.to))),
    ];
    let mut conditions = String::from("ts >= ?1 and ts < ?2 and user_id is not null");
    for (condition, value) in [(" and tenant = ?", &query.tenant), (" and user_id = ?", &query.user)] {
        if let Some(value) = value {
            values.push(Value::Text(value.clone()));
            conditions.push_str(&format!("{condition}{}", values.len()));
        }
    }
    let columns: String = query
        .by
        .iter()
        .map(|by| match by {
            SpendBy::Day => "substr(ts, 1, 10), ",
            SpendBy::Month => "substr(ts, 1, 7), ",
            SpendBy::Tenant => "tenant, ",
            _ => "user_id, ",
        })
        .collect();
    let grouping = grouping(query, "having count(*) > 0");
    let sql = format!("select {columns}{CALL_SUMS} from llm_traces where {conditions}{grouping}");
    // Few calls are ever corrected: they are looked up one by one.
    let corrections = format!(
        "select {columns}sum(r.cost_nano - t.cost_nano) as cost from repriced r cross join llm_traces t on t.id = r.id \
         where {}{grouping}",
        conditions.replacen("ts >=", "+ts >=", 1).replacen("ts <", "+ts <", 1),
    );
    Question { sql, corrections: Some((corrections, values.clone())), values }
}

pub(crate) fn spend(
    connection: &Connection,
    query: &SpendQuery,
    question: &Question,
) -> Result<Vec<SpendRow>> {
    let count = query.by.len();
    let mut statement = connection.prepare_cached(&question.sql)?;
    let rows = statement.query_map(params_from_iter(&question.values), |row| read(row, count))?;
    let mut rows: Vec<SpendRow> = rows.collect::<Result<_>>()?;
    if let Some((sql, values)) = &question.corrections {
        let mut statement = connection.prepare_cached(sql)?;
        let mut found = statement.query(params_from_iter(values))?;
        while let Some(row) = found.next()? {
            let keys = keys(row, count)?;
            let correction = NanoUsd(row.get(count)?);
            rows.iter_mut()
                .filter(|row| row.keys == keys)
                .for_each(|row| row.corrected = row.corrected.plus(correction));
        }
    }
    Ok(rows)
}

fn keys(row: &Row<'_>, count: usize) -> Result<Vec<String>> {
    (0..count).map(|place| row.get(place)).collect()
}

fn read(row: &Row<'_>, keys: usize) -> Result<SpendRow> {
    let whole = |place: usize| row.get::<_, i64>(keys + place).map(|number| number.max(0).unsigned_abs());
    let cost = NanoUsd(row.get(keys + 14)?);
    Ok(SpendRow {
        keys: self::keys(row, keys)?,
        calls: whole(0)?,
        errors: whole(1)?,
        refused: whole(2)?,
        cache_hits: whole(3)?,
        cut_short: whole(4)?,
        estimated: whole(5)?,
        tokens_in: whole(6)?,
        tokens_cached: whole(7)?,
        tokens_written: whole(8)?,
        tokens_out: whole(9)?,
        tokens_reasoning: whole(10)?,
        spared_in: whole(11)?,
        spared_cached: whole(12)?,
        spared_out: whole(13)?,
        cost,
        corrected: cost.plus(NanoUsd(row.get(keys + 15)?)),
        wasted: NanoUsd(row.get(keys + 16)?),
    })
}

const fn column(by: SpendBy) -> &'static str {
    match by {
        SpendBy::Tenant => "tenant",
        SpendBy::Team => "team",
        SpendBy::Route => "route",
        SpendBy::Model => "model",
        SpendBy::Provider => "provider",
        SpendBy::Environment => "environment",
        // Versions of a prompt differ in cost; a prompt's own sum is theirs.
        SpendBy::Prompt => "iif(prompt_version = '', prompt_name, prompt_name || '@' || prompt_version)",
        SpendBy::Day => "day",
        SpendBy::Month => "substr(day, 1, 7)",
        SpendBy::User | SpendBy::Key | SpendBy::Tag => "name",
    }
}

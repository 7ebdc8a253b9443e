//! Sums for bills, from the sums of each day alone.

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

/// The statement and its values.
pub(crate) fn question(query: &SpendQuery) -> Result<(String, Vec<Value>), StoreError> {
    let kind = query.named().during("adding up spend")?;
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
    // Columns are named by place, so that the grouping is by what is shown.
    let places: Vec<String> = (1..=query.by.len()).map(|place| place.to_string()).collect();
    if !places.is_empty() {
        sql.push_str(&format!(" group by {}", places.join(", ")));
    }
    sql.push_str(" having sum(calls) > 0 order by ");
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
    Ok((sql, values))
}

pub(crate) fn spend(
    connection: &Connection,
    query: &SpendQuery,
    (sql, values): &(String, Vec<Value>),
) -> Result<Vec<SpendRow>> {
    let count = query.by.len();
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| read(row, count))?;
    rows.collect()
}

fn read(row: &Row<'_>, keys: usize) -> Result<SpendRow> {
    let whole = |place: usize| row.get::<_, i64>(keys + place).map(|number| number.max(0).unsigned_abs());
    let cost = NanoUsd(row.get(keys + 14)?);
    Ok(SpendRow {
        keys: (0..keys).map(|place| row.get(place)).collect::<Result<_>>()?,
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

//! Sums for pages and bills, from roll-ups alone, and what is spent against budgets.

use std::ops::Range;

use gauntlet_ports::{BudgetSpent, Grain, NameKind, OverviewRow, SpendBy, SpendQuery, SpendRow};
use gauntlet_types::{Charge, Day, Measure, Timestamp};
use tokio_postgres::{Row, types::Type};

use super::{
    database::{Connection, Param, Result},
    find::Conditions,
    values::{At, Columns, On, shown, stored},
};
use crate::traces::groups::{Place, Rollups};

/// Spend of one gateway, or of all.
pub(super) fn budget_spent(
    connection: &Connection,
    day: Day,
    replica: Option<&str>,
) -> Result<Vec<BudgetSpent>> {
    // A period is named by its last day, so that those of longer windows lie ahead.
    let mut conditions = Conditions::default();
    let day = conditions.bind(On::day(day), Type::DATE);
    let never = conditions.bind(On::period(None), Type::DATE);
    let mine = match replica {
        Some(replica) => {
            let place = conditions.bind(stored(replica).into_owned(), Type::TEXT);
            format!("and replica = ${place}")
        }
        None => String::new(),
    };
    let sql = format!(
        "select scope, key, period, part, measure, \
             least(sum(case when measure = 'usd' then spent_nano else spent_count end), 9223372036854775807)::bigint \
         from budgets where (period >= ${day} or period = ${never}) {mine} \
         group by scope, key, period, part, measure order by scope, key, period, part"
    );
    let read = |row: &Row| {
        let row = Columns(row);
        let charge = Charge {
            scope: row.name(0)?,
            key: row.name(1)?,
            period: row.get::<On>(2)?.as_period(),
            part: u16::try_from(row.get::<i32>(3)?).unwrap_or_default(),
            measure: row.read(4, |text| Some(Measure::parse(text).unwrap_or_default()))?,
        };
        Ok(BudgetSpent { charge, spent: row.get(5)? })
    };
    connection.query(&sql, &conditions.params())?.iter().map(read).collect()
}

/// The roll-ups of a connection.
pub(super) struct Tables<'a>(pub &'a Connection);

const SUMS: &str = "sum(calls)::bigint, sum(errors)::bigint, sum(refused)::bigint, sum(cache_hits)::bigint, \
     sum(tokens_in)::bigint, sum(tokens_out)::bigint, least(sum(cost_nano), 9223372036854775807)::bigint, \
     sum(cut_short)::bigint";

const fn name(grain: Grain) -> &'static str {
    match grain {
        Grain::Minute => "minute",
        Grain::Hour => "hour",
        Grain::Day => "day",
    }
}

impl Tables<'_> {
    fn rows(&self, sql: &str, grain: Grain, span: &Range<Timestamp>) -> Result<Vec<Row>> {
        let (from, to) = (At(span.start), At(span.end));
        let (first, end) = (On::day(span.start.day()), On::day(span.end.day()));
        let params: [Param<'_>; 2] = match grain {
            Grain::Minute | Grain::Hour => [(&from, Type::TIMESTAMPTZ), (&to, Type::TIMESTAMPTZ)],
            Grain::Day => [(&first, Type::DATE), (&end, Type::DATE)],
        };
        let start = name(grain);
        self.0.query(&format!("{} where {start} >= $1 and {start} < $2 {}", sql, group(sql, start)), &params)
    }
}

/// Sums are grouped by what stands before them; rows as they are need no grouping.
fn group(sql: &str, start: &str) -> String {
    let keys = ["tenant", "route", "model", "bucket"];
    let named = keys.into_iter().filter(|key| sql.contains(&format!(", {key},")));
    let grouped: String = named.map(|key| format!(", {key}")).collect();
    format!("group by {start}{grouped}")
}

fn start(row: &Columns<'_>, grain: Grain) -> Result<Timestamp> {
    match grain {
        Grain::Minute | Grain::Hour => row.at(0),
        Grain::Day => row.day(0).map(Day::start),
    }
}

impl Rollups for Tables<'_> {
    type Error = super::database::Trouble;

    fn sums(
        &mut self,
        grain: Grain,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(&Place<'_>, &OverviewRow),
    ) -> Result<()> {
        let of = name(grain);
        let sql = format!("select {of}, tenant, route, model, {SUMS} from rollup_{of}");
        for row in self.rows(&sql, grain, span)? {
            with_place(&Columns(&row), grain, |row, place| {
                each(place, &read_sums(row, 4)?);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn latencies(
        &mut self,
        grain: Grain,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(&Place<'_>, u16, u64),
    ) -> Result<()> {
        let of = name(grain);
        let sql = format!("select {of}, tenant, route, model, bucket, sum(calls)::bigint from latency_{of}");
        for row in self.rows(&sql, grain, span)? {
            with_place(&Columns(&row), grain, |row, place| {
                each(place, bucket(row, 4)?, row.whole(5)?);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn hours(
        &mut self,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(Timestamp, &OverviewRow),
    ) -> Result<()> {
        let sql = format!("select hour, {SUMS} from rollup_hour");
        for row in self.rows(&sql, Grain::Hour, span)? {
            each(Columns(&row).at(0)?, &read_sums(&Columns(&row), 1)?);
        }
        Ok(())
    }

    fn hours_latencies(
        &mut self,
        span: &Range<Timestamp>,
        each: &mut dyn FnMut(Timestamp, u16, u64),
    ) -> Result<()> {
        let sql = "select hour, bucket, sum(calls)::bigint from latency_hour";
        for row in self.rows(sql, Grain::Hour, span)? {
            let row = Columns(&row);
            each(row.at(0)?, bucket(&row, 1)?, row.whole(2)?);
        }
        Ok(())
    }
}

fn with_place(
    row: &Columns<'_>,
    grain: Grain,
    each: impl FnOnce(&Columns<'_>, &Place<'_>) -> Result<()>,
) -> Result<()> {
    let (tenant, route, model) = (shown(row.get(1)?), shown(row.get(2)?), shown(row.get(3)?));
    each(row, &Place { start: start(row, grain)?, tenant: &tenant, route: &route, model: &model })
}

fn bucket(row: &Columns<'_>, column: usize) -> Result<u16> {
    row.get::<i32>(column).map(|bucket| u16::try_from(bucket).unwrap_or_default())
}

fn read_sums(row: &Columns<'_>, first: usize) -> Result<OverviewRow> {
    Ok(OverviewRow {
        calls: row.whole(first)?,
        errors: row.whole(first + 1)?,
        refused: row.whole(first + 2)?,
        cache_hits: row.whole(first + 3)?,
        tokens_in: row.whole(first + 4)?,
        tokens_out: row.whole(first + 5)?,
        cost: row.usd(first + 6)?,
        cut_short: row.whole(first + 7)?,
        ..OverviewRow::default()
    })
}

/// Columns of a question for spend, in the order of [`spend_row`].
fn spend_sums(kind: Option<NameKind>) -> String {
    let sum = |column: &str| format!("sum({column})::bigint");
    let money = |column: &str| {
        format!("greatest(least(sum({column}), 9223372036854775807), -9223372036854775808)::bigint")
    };
    let none = || "0::bigint".to_owned();
    let of = |column: &str| if kind.is_none() { sum(column) } else { none() };
    let is_user = kind == Some(NameKind::User);
    let calls = if is_user { "count(*)".to_owned() } else { sum("calls") };
    let errors = if is_user {
        "count(*) filter (where outcome in ('failed', 'interrupted', 'canned'))".to_owned()
    } else {
        sum("errors")
    };
    let correction = if is_user { "0::bigint".to_owned() } else { money("correction_nano") };
    let wasted = if kind.is_none() { money("wasted_nano") } else { none() };
    [
        calls,
        errors,
        of("refused"),
        of("cache_hits"),
        of("cut_short"),
        of("estimated"),
        sum("tokens_in"),
        sum("tokens_cached"),
        of("tokens_written"),
        sum("tokens_out"),
        of("tokens_reasoning"),
        of("spared_in"),
        of("spared_cached"),
        of("spared_out"),
        format!("{} as cost", money("cost_nano")),
        correction,
        wasted,
    ]
    .join(", ")
}

fn key_column(by: SpendBy, is_user: bool) -> &'static str {
    match by {
        SpendBy::Tenant => "tenant",
        SpendBy::Team => "team",
        SpendBy::Route => "route",
        SpendBy::Model => "model",
        SpendBy::Provider => "provider",
        SpendBy::Environment => "environment",
        // Versions of a prompt differ in cost; a prompt's own sum is theirs.
        SpendBy::Prompt => {
            "case when prompt_version = '' then prompt_name else prompt_name || '@' || prompt_version end"
        }
        SpendBy::Day if is_user => "to_char(ts at time zone 'UTC', 'YYYY-MM-DD')",
        SpendBy::Day => "to_char(day, 'YYYY-MM-DD')",
        SpendBy::Month if is_user => "to_char(ts at time zone 'UTC', 'YYYY-MM')",
        SpendBy::Month => "to_char(day, 'YYYY-MM')",
        SpendBy::User => "user_id",
        SpendBy::Key | SpendBy::Tag => "name",
    }
}

pub(super) fn spend(connection: &Connection, query: &SpendQuery) -> Result<Vec<SpendRow>> {
    let kind = query.named()?;
    let is_user = kind == Some(NameKind::User);
    let conditions = spend_conditions(query, kind);
    let columns: String = query.by.iter().map(|by| format!("{}, ", key_column(*by, is_user))).collect();
    let table = match kind {
        None => "rollup_day",
        Some(NameKind::User) => "llm_traces",
        Some(NameKind::Key | NameKind::Tag) => "spend_name",
    };
    let having = if is_user { "count(*) > 0" } else { "sum(calls) > 0" };
    let grouping = grouping(query, having);
    let sums = spend_sums(kind);
    let sql = format!("select {columns}{sums} from {table} where {}{grouping}", conditions.sql());
    let count = query.by.len();
    let rows = connection.query(&sql, &conditions.params())?;
    let mut rows: Vec<SpendRow> =
        rows.iter().map(|row| spend_row(&Columns(row), count)).collect::<Result<_>>()?;
    if is_user {
        // Few calls are ever corrected: they are added up apart.
        let sql = format!(
            "select {columns}sum(r.cost_nano - t.cost_nano)::bigint as cost \
             from repriced r join llm_traces t on t.id = r.id where {}{grouping}",
            conditions.sql()
        );
        for found in connection.query(&sql, &conditions.params())? {
            let found = Columns(&found);
            let (keys, correction) = (keys(&found, count)?, found.usd(count)?);
            rows.iter_mut()
                .filter(|row| row.keys == keys)
                .for_each(|row| row.corrected = row.corrected.plus(correction));
        }
    }
    Ok(rows)
}

fn spend_conditions(query: &SpendQuery, kind: Option<NameKind>) -> Conditions {
    let mut conditions = Conditions::default();
    if kind == Some(NameKind::User) {
        conditions.add("ts >= ?", At(crate::time::within(query.from).start()), Type::TIMESTAMPTZ);
        conditions.add("ts < ?", At(crate::time::within(query.to).next().start()), Type::TIMESTAMPTZ);
        conditions.add("user_id is not null and ?", true, Type::BOOL);
    } else {
        conditions.add("day >= ?", On::day(query.from), Type::DATE);
        conditions.add("day <= ?", On::day(query.to), Type::DATE);
    }
    match kind {
        Some(kind @ (NameKind::Key | NameKind::Tag)) => {
            conditions.text("kind = ?", kind.as_str());
            let name = if kind == NameKind::Key { &query.key } else { &query.tag };
            if let Some(name) = name {
                conditions.text("name = ?", name);
            }
        }
        Some(NameKind::User) => {
            if let Some(user) = &query.user {
                conditions.text("user_id = ?", user);
            }
        }
        None => {}
    }
    let filters = [
        ("tenant = ?", &query.tenant),
        ("team = ?", &query.team),
        ("route = ?", &query.route),
        ("model = ?", &query.model),
        ("provider = ?", &query.provider),
        ("environment = ?", &query.environment),
    ];
    for (condition, value) in filters {
        if let Some(value) = value {
            conditions.text(condition, value);
        }
    }
    if let Some(prompt) = &query.prompt {
        let (name, version) =
            prompt.split_once('@').map_or((prompt.as_str(), None), |(name, version)| (name, Some(version)));
        conditions.text("prompt_name = ?", name);
        if let Some(version) = version {
            conditions.text("prompt_version = ?", version);
        }
    }
    conditions
}

/// Groups and their order: days first, then the dearest. Columns are named by place, so that the grouping is by what is
/// shown.
fn grouping(query: &SpendQuery, having: &str) -> String {
    let places: Vec<String> = (1..=query.by.len()).map(|place| place.to_string()).collect();
    let group = if places.is_empty() { String::new() } else { format!(" group by {}", places.join(", ")) };
    let of_time = query.by.iter().zip(&places).filter(|(by, _)| matches!(by, SpendBy::Day | SpendBy::Month));
    let mut order: Vec<&str> = of_time.map(|(_, place)| &**place).collect();
    order.push("cost desc");
    order.extend(places.iter().map(|place| &**place));
    format!("{group} having {having} order by {}", order.join(", "))
}

fn keys(row: &Columns<'_>, count: usize) -> Result<Vec<String>> {
    (0..count).map(|place| row.text(place)).collect()
}

fn spend_row(row: &Columns<'_>, count: usize) -> Result<SpendRow> {
    let whole = |place: usize| row.whole(count + place);
    let cost = row.usd(count + 14)?;
    Ok(SpendRow {
        keys: keys(row, count)?,
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
        corrected: cost.plus(row.usd(count + 15)?),
        wasted: row.usd(count + 16)?,
    })
}

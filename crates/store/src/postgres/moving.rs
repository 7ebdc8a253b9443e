//! A Postgres database as a side of a copy.
//!
//! A moment is a transaction that reads, on a connection of its own; rows come through a cursor, so that a page of them is
//! in memory at once.

use std::sync::Arc;

use gauntlet_ports::TraceStore;
use gauntlet_types::{Day, Timestamp};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::{
    PostgresTraces, SpentBy,
    append::BEGIN_APPEND,
    database::{Connection, Database, Param, SESSIONS, Trouble},
    values::{At as Moment, Columns, Id, On, stored},
};
use crate::{
    OpenError,
    moving::{
        At, Block, Change, Each, Look, MoveError, Of, PAGE_BLOCKS, PAGE_BYTES, PAGE_ROWS, Result, Row, Side,
        Sort, View, Which,
        tables::{Column, Kind, Owner, Table, Value},
    },
};

const SESSION: &str = "gauntlet store migrate";
/// Held by a connection for as long as the copy lasts: alone on a target, together on a source.
const RESERVE_TARGET: &str = "select pg_try_advisory_lock(1196314740, 4)";
const RESERVE_SOURCE: &str = "select pg_try_advisory_lock_shared(1196314740, 4)";

pub(crate) struct Schema {
    database: Arc<Database>,
    traces: PostgresTraces,
    lock: Connection,
}

impl Schema {
    /// Makes the tables where they are missing. Records are added as this gateway's.
    pub(crate) fn open(url: &str, replica: &str) -> std::result::Result<Schema, OpenError> {
        let database = Database::open_as(url, SESSION)?;
        let traces = PostgresTraces::new(database.clone(), replica, SpentBy::All);
        let lock = database.connect().map_err(OpenError::of_postgres)?;
        Ok(Schema { database, traces, lock })
    }

    pub(crate) fn place(&self) -> &str {
        self.database.place()
    }

    /// Whether the database could be reserved; not if it is at the other end, or somebody else copies into it.
    pub(crate) fn reserve(&self, which: Which) -> Result<bool> {
        let sql = if which == Which::Target { RESERVE_TARGET } else { RESERVE_SOURCE };
        let rows = self.lock.query(sql, &[]).at("reserving the database")?;
        rows.first().map_or(Ok(false), |row| Columns(row).get(0)).at("reserving the database")
    }

    /// Whether a gateway, or a command of one, has a connection.
    pub(crate) fn is_in_use(&self) -> Result<bool> {
        let sql =
            "select 1 from pg_stat_activity where datname = current_database() and application_name = $1";
        let rows = self.lock.query(sql, &[(&SESSIONS, Type::TEXT)]).at("looking for gateways that use it")?;
        Ok(!rows.is_empty())
    }
}

impl Side for Schema {
    fn traces(&self) -> &dyn TraceStore {
        &self.traces
    }

    fn look(&self, view: &View) -> Result<Box<dyn Look + '_>> {
        let connection = self.database.connect().at("connecting")?;
        let begin = "set idle_in_transaction_session_timeout = 0; begin isolation level repeatable read read only; \
             select 1 from schema_version";
        connection.batch(begin).at("beginning to read")?;
        Ok(Box::new(Looking { connection, view: view.clone() }))
    }

    fn change(&self, view: &View) -> Result<Box<dyn Change + '_>> {
        let connection = self.database.connect().at("connecting")?;
        let begin = format!(
            "set idle_in_transaction_session_timeout = 0; {BEGIN_APPEND}; select pg_advisory_xact_lock(1196314740, 3)"
        );
        connection.batch(&begin).at("beginning to write")?;
        Ok(Box::new(Changing { connection, view: view.clone(), counted: Vec::new() }))
    }
}

struct Looking {
    connection: Connection,
    view: View,
}

impl Looking {
    fn number(&self, sql: &str, bound: &[i64], what: &'static str) -> Result<i64> {
        let bound: Vec<Param<'_>> =
            bound.iter().map(|number| -> Param<'_> { (number, Type::INT8) }).collect();
        let rows = self.connection.query(sql, &bound).at(what)?;
        rows.first().map_or(Ok(0), |row| Columns(row).get(0)).at(what)
    }

    fn question(&self, table: &Table, after: i64, until: i64) -> String {
        let mut names: Vec<String> = table.columns.iter().map(selected).collect();
        let mut conditions = vec!["true".to_owned()];
        let mut groups = String::new();
        match table.owner {
            Owner::Store => {}
            Owner::Replica | Owner::ThisReplica if self.view.by_replica => {
                names.insert(0, "replica".to_owned());
            }
            Owner::ThisReplica => conditions.push("replica = $1".to_owned()),
            // Rows of several gateways as one: numbers that are spent are added up, and the rest is the key.
            Owner::Replica => {
                for (name, column) in names.iter_mut().zip(table.columns) {
                    if column.kind == Kind::Int {
                        *name = format!("least(sum({name}), 9223372036854775807)::bigint");
                    }
                }
                let keys = table.columns.iter().enumerate().filter(|(_, column)| column.kind != Kind::Int);
                let keys: Vec<String> = keys.map(|(place, _)| (place + 1).to_string()).collect();
                groups = format!("group by {}", keys.join(", "));
            }
        }
        conditions.extend(table.without.map(|without| format!("not ({without})")));
        conditions.extend(table.grows_by.map(|column| format!("{column} > {after} and {column} <= {until}")));
        format!(
            "select {} from {} where {} {groups} order by {}",
            names.join(", "),
            table.name,
            conditions.join(" and "),
            table.order,
        )
    }
}

/// A column as one of the few types that [`read`] takes.
fn selected(column: &Column) -> String {
    let name = column.postgres;
    match column.kind {
        Kind::Small => format!("{name}::bigint"),
        Kind::Rough | Kind::Usd => format!("{name}::float8"),
        _ => name.to_owned(),
    }
}

impl Look for Looking {
    fn last(&mut self, sort: Sort) -> Result<i64> {
        let sql = format!("select coalesce(max(rid), 0) from {}", sort.table().name);
        self.number(&sql, &[], "looking for the last entry")
    }

    fn count(&mut self, sort: Sort, until: i64) -> Result<u64> {
        let sql = format!("select count(*) from {} where rid <= $1", sort.table().name);
        Ok(self.number(&sql, &[until], "counting")?.max(0).unsigned_abs())
    }

    fn key(&mut self, sort: Sort, rid: i64) -> Result<Option<Vec<String>>> {
        const WHAT: &str = "looking for the last entry";
        let sql = match sort {
            Sort::Calls => "select id from llm_traces where rid = $1",
            Sort::Spans => "select ts, span_id, trace_id from spans where rid = $1",
        };
        let rows = self.connection.query(sql, &[(&rid, Type::INT8)]).at(WHAT)?;
        let Some(row) = rows.first().map(Columns) else { return Ok(None) };
        let key = match sort {
            Sort::Calls => vec![row.get::<Id>(0).at(WHAT)?.0.to_string()],
            Sort::Spans => {
                vec![crate::time::instant(row.at(0).at(WHAT)?), row.text(1).at(WHAT)?, row.text(2).at(WHAT)?]
            }
        };
        Ok(Some(key))
    }

    fn find(&mut self, sort: Sort, key: &[String]) -> Result<Option<i64>> {
        const WHAT: &str = "looking for an entry";
        let rows = match (sort, key) {
            (Sort::Calls, [id]) => {
                let id = Id(id.parse::<Uuid>().at(WHAT)?);
                let sql = "select rid from llm_traces where id = $1";
                self.connection.query(sql, &[(&id, Type::UUID)])
            }
            (Sort::Spans, [at, span, trace]) => {
                let at = Moment(crate::time::parse(at).ok_or("a time that cannot be read").at(WHAT)?);
                let sql = "select rid from spans where ts = $1 and span_id = $2 and trace_id = $3";
                let params: [Param<'_>; 3] =
                    [(&at, Type::TIMESTAMPTZ), (span, Type::TEXT), (trace, Type::TEXT)];
                self.connection.query(sql, &params)
            }
            _ => return Ok(None),
        };
        rows.at(WHAT)?.first().map(|row| Columns(row).get(0)).transpose().at(WHAT)
    }

    fn block_of(&mut self, sort: Sort, rid: i64) -> Result<i64> {
        let sql =
            format!("select coalesce(max(rid_first), $1) from {} where rid_first <= $1", sort.payload());
        self.number(&sql, &[rid], "looking for a block")
    }

    fn blocks(&mut self, sort: Sort, from: i64, end: i64) -> Result<Vec<Block>> {
        const WHAT: &str = "reading blocks";
        // Sizes first: a page of the largest blocks would be more than fits.
        let sql = format!(
            "select rid_first, enc, body from ( \
                 select *, sum(octet_length(body)) over (order by rid_first) - octet_length(body) as before from ( \
                     select * from {} where rid_first >= $1 and rid_first < $2 order by rid_first limit {PAGE_BLOCKS} \
                 ) b \
             ) s where before < {PAGE_BYTES} order by rid_first",
            sort.payload()
        );
        let rows = self.connection.query(&sql, &[(&from, Type::INT8), (&end, Type::INT8)]).at(WHAT)?;
        let read = |row: &tokio_postgres::Row| {
            let row = Columns(row);
            Ok(Block { rid_first: row.get(0)?, enc: row.text(1)?, body: row.get(2)? })
        };
        rows.iter().map(read).collect::<super::database::Result<_>>().at(WHAT)
    }

    fn rows(
        &mut self,
        table: &'static Table,
        after: i64,
        until: i64,
        each: Each<'_>,
    ) -> std::result::Result<(), MoveError> {
        const WHAT: &str = "reading rows";
        let which = self.view.which;
        let question = self.question(table, after, until);
        let declare = format!("declare page no scroll cursor for {question}");
        let replica = stored(&self.view.replica);
        let params: &[Param<'_>] = if question.contains("$1") { &[(&replica, Type::TEXT)] } else { &[] };
        self.connection.execute(&declare, params).at(WHAT).of(which)?;
        let leads = usize::from(table.owner != Owner::Store && self.view.by_replica);
        loop {
            let fetch = format!("fetch {PAGE_ROWS} from page");
            let rows = self.connection.query(&fetch, &[]).at(WHAT).of(which)?;
            if rows.is_empty() {
                break;
            }
            let read_row = |row: &tokio_postgres::Row| -> super::database::Result<Row> {
                let row = Columns(row);
                let mut values = Vec::with_capacity(table.columns.len() + leads);
                if leads == 1 {
                    values.push(Value::Text(row.text(0)?));
                }
                for (place, column) in table.columns.iter().enumerate() {
                    values.push(read(column, &row, place + leads)?);
                }
                Ok(values)
            };
            let page: super::database::Result<Vec<Row>> = rows.iter().map(read_row).collect();
            each(&page.at(WHAT).of(which)?)?;
        }
        self.connection.batch("close page").at(WHAT).of(which)
    }

    fn counter(&mut self, table: &'static Table) -> Result<i64> {
        let Some(counter) = table.counter else { return Ok(0) };
        self.number(&format!("select coalesce(max({counter}), 0) from {}", table.name), &[], "counting")
    }
}

fn read(column: &Column, row: &Columns<'_>, place: usize) -> std::result::Result<Value, Trouble> {
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Int);
    Ok(match column.kind {
        Kind::Text => row.text_or_none(place)?.map_or(Value::Null, Value::Text),
        Kind::Int | Kind::Small => number(row.get(place)?),
        Kind::Flag => number(row.get::<Option<bool>>(place)?.map(i64::from)),
        Kind::Real | Kind::Rough | Kind::Usd => {
            row.get::<Option<f64>>(place)?.map_or(Value::Null, Value::Real)
        }
        Kind::Day => number(row.get::<Option<On>>(place)?.map(|day| day.as_day().0.into())),
        Kind::Minute | Kind::Instant => number(row.get::<Option<Moment>>(place)?.map(|at| at.0.0)),
        Kind::Id => row.get::<Option<Id>>(place)?.map_or(Value::Null, |id| Value::Text(id.0.to_string())),
    })
}

struct Changing {
    connection: Connection,
    view: View,
    /// Tables whose counters must go on after what was written.
    counted: Vec<&'static Table>,
}

impl Change for Changing {
    fn clear(&mut self, table: &'static Table) -> Result<()> {
        let kept = table.without.unwrap_or("false");
        let sql = format!("delete from {} where not ({kept})", table.name);
        self.connection.execute(&sql, &[]).at("clearing a table").map(drop)
    }

    fn insert(&mut self, table: &'static Table, rows: &[Row]) -> Result<()> {
        const WHAT: &str = "writing rows";
        let leads = usize::from(table.owner != Owner::Store && self.view.by_replica);
        let mut columns: Vec<(&str, Kind)> =
            table.columns.iter().map(|column| (column.postgres, column.kind)).collect();
        if leads == 1 {
            columns.insert(0, ("replica", Kind::Text));
        }
        let values: Vec<Values> =
            columns.iter().enumerate().map(|(place, (_, kind))| Values::of(*kind, rows, place)).collect();
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let cast = |(name, kind): &(&str, Kind)| match kind {
            Kind::Small => format!("d.{name}::int"),
            Kind::Rough => format!("d.{name}::real"),
            Kind::Usd => format!("d.{name}::numeric(20, 9)"),
            _ => format!("d.{name}"),
        };
        let shown: Vec<String> = columns.iter().map(cast).collect();
        let (names, shown, places) = (names.join(", "), shown.join(", "), places.join(", "));
        let sql = format!(
            "insert into {} ({names}) select {shown} from unnest({places}) as d ({names})",
            table.name
        );
        let params: Vec<Param<'_>> = values.iter().map(Values::param).collect();
        self.connection.execute(&sql, &params).at(WHAT)?;
        if table.counter.is_some() && !self.counted.iter().any(|counted| counted.name == table.name) {
            self.counted.push(table);
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        for table in &self.counted {
            let Some(counter) = table.counter else { continue };
            let sql = format!(
                "select setval(pg_get_serial_sequence('gauntlet.{0}', '{counter}'), max({counter})) from {0}",
                table.name
            );
            self.connection.query(&sql, &[]).at("going on counting")?;
        }
        self.connection.batch("commit").at("writing rows")
    }
}

/// A column of rows, for `unnest`.
enum Values {
    Texts(Vec<Option<String>>),
    Numbers(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
    Fractions(Vec<Option<f64>>),
    Days(Vec<Option<On>>),
    Moments(Vec<Option<Moment>>),
    Ids(Vec<Option<Id>>),
}

impl Values {
    fn of(kind: Kind, rows: &[Row], place: usize) -> Values {
        let values = || rows.iter().map(move |row| row.get(place).unwrap_or(&Value::Null));
        let number = |value: &Value| if let Value::Int(number) = value { Some(*number) } else { None };
        let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
        let fraction = |value: &Value| if let Value::Real(number) = value { Some(*number) } else { None };
        let day = |number: i64| On::of(Day(i32::try_from(number).unwrap_or(i32::MAX)));
        match kind {
            Kind::Text => Values::Texts(
                values().map(|value| text(value).map(|text| stored(&text).into_owned())).collect(),
            ),
            Kind::Int | Kind::Small => Values::Numbers(values().map(number).collect()),
            Kind::Flag => {
                Values::Flags(values().map(|value| number(value).map(|number| number != 0)).collect())
            }
            Kind::Real | Kind::Rough | Kind::Usd => Values::Fractions(values().map(fraction).collect()),
            Kind::Day => Values::Days(values().map(|value| number(value).map(day)).collect()),
            Kind::Minute | Kind::Instant => {
                Values::Moments(values().map(|value| number(value).map(|at| Moment(Timestamp(at)))).collect())
            }
            // An id that is none is taken as none, and refused by the table.
            Kind::Id => Values::Ids(values().map(|value| text(value)?.parse().ok().map(Id)).collect()),
        }
    }

    fn param(&self) -> Param<'_> {
        let pair: (&(dyn ToSql + Sync), Type) = match self {
            Values::Texts(values) => (values, Type::TEXT_ARRAY),
            Values::Numbers(values) => (values, Type::INT8_ARRAY),
            Values::Flags(values) => (values, Type::BOOL_ARRAY),
            Values::Fractions(values) => (values, Type::FLOAT8_ARRAY),
            Values::Days(values) => (values, Type::DATE_ARRAY),
            Values::Moments(values) => (values, Type::TIMESTAMPTZ_ARRAY),
            Values::Ids(values) => (values, Type::UUID_ARRAY),
        };
        pair
    }
}

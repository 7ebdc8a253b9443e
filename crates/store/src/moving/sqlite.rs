//! A data folder as a side of a copy. Both files are on one connection, so that one question sees both.

use std::path::{Path, PathBuf};

use gauntlet_ports::TraceStore;
use gauntlet_types::{Day, Timestamp};
use rusqlite::{
    Connection, OptionalExtension, params_from_iter,
    types::{Value as Sql, ValueRef},
};

use super::{
    At, Block, Change, Each, Look, MoveError, Of, PAGE_BLOCKS, PAGE_BYTES, PAGE_ROWS, Result, Row, Side,
    SideError, Sort, View,
    tables::{Column, Kind, Owner, Table, Value},
};
use crate::{
    OpenError, SqliteControl, SqliteTraces, control, file,
    time::{self, NEVER_TURNS},
    traces,
};

pub(super) const TRACES: &str = "gauntlet.db";
const CONTROL: &str = "control.db";
/// Days before 1970 of [`NEVER_TURNS`], as Postgres counts them.
const NEVER: i64 = -719_162;

/// The name of the gateway whose data folder this is, as far as the files there say it.
pub fn replica_of(folder: &Path) -> std::result::Result<Option<String>, rusqlite::Error> {
    let path = folder.join(CONTROL);
    if !path.exists() {
        return Ok(None);
    }
    let connection = file::open_reader(&path, &control::KIND)?;
    let sql = "select value from settings where name = 'replica_id'";
    connection.query_row(sql, [], |row| row.get(0)).optional()
}

pub(super) struct Files {
    folder: PathBuf,
    traces: SqliteTraces,
}

impl Files {
    /// Makes the files where they are missing, and brings their tables up to date.
    pub(super) fn open(folder: &Path) -> std::result::Result<Files, OpenError> {
        let traces = SqliteTraces::open(folder.join(TRACES))?;
        SqliteControl::open(folder.join(CONTROL))?;
        Ok(Files { folder: folder.to_owned(), traces })
    }

    fn attach(&self, connection: &Connection) -> rusqlite::Result<()> {
        let control = self.folder.join(CONTROL);
        connection.execute("attach database ?1 as control", [control.to_string_lossy()]).map(drop)
    }
}

impl Side for Files {
    fn traces(&self) -> &dyn TraceStore {
        &self.traces
    }

    fn look(&self, view: &View) -> Result<Box<dyn Look + '_>> {
        let begin = || -> rusqlite::Result<Connection> {
            let connection = file::open_reader(&self.folder.join(TRACES), &traces::KIND)?;
            self.attach(&connection)?;
            // The moment of each file is that of its first question.
            connection.execute_batch(
                "begin; select count(*) from main.spool_position; select count(*) from control.kills",
            )?;
            Ok(connection)
        };
        Ok(Box::new(Looking { connection: begin().at("opening the files")?, view: view.clone() }))
    }

    fn change(&self, view: &View) -> Result<Box<dyn Change + '_>> {
        let connection =
            file::open_writer(&self.folder.join(TRACES), &traces::KIND).at("opening the files")?;
        let begin = || -> rusqlite::Result<()> {
            self.attach(&connection)?;
            let synchronous = control::KIND.synchronous;
            connection.execute_batch(&format!("pragma control.synchronous = {synchronous}; begin immediate"))
        };
        begin().at("beginning to write")?;
        Ok(Box::new(Changing { connection, view: view.clone() }))
    }
}

struct Looking {
    connection: Connection,
    view: View,
}

impl Looking {
    fn number(&self, sql: &str, bound: &[i64], what: &'static str) -> Result<i64> {
        self.connection.query_row(sql, params_from_iter(bound), |row| row.get(0)).at(what)
    }
}

impl Look for Looking {
    fn last(&mut self, sort: Sort) -> Result<i64> {
        let sql = format!("select coalesce(max(rid), 0) from {}", sort.table().name);
        self.number(&sql, &[], "looking for the last entry")
    }

    fn count(&mut self, sort: Sort, until: i64) -> Result<u64> {
        let sql = format!("select count(*) from {} where rid <= ?1", sort.table().name);
        Ok(self.number(&sql, &[until], "counting")?.max(0).unsigned_abs())
    }

    fn key(&mut self, sort: Sort, rid: i64) -> Result<Option<Vec<String>>> {
        let columns = sort.key();
        let sql = format!("select {} from {} where rid = ?1", columns.join(", "), sort.table().name);
        let read = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|place| row.get(place)).collect();
        self.connection.query_row(&sql, [rid], read).optional().at("looking for the last entry")
    }

    fn find(&mut self, sort: Sort, key: &[String]) -> Result<Option<i64>> {
        let conditions: Vec<String> = sort.key().iter().map(|column| format!("{column} = ?")).collect();
        let sql = format!("select rid from {} where {}", sort.table().name, conditions.join(" and "));
        let found = || self.connection.query_row(&sql, params_from_iter(key), |row| row.get(0)).optional();
        found().at("looking for an entry")
    }

    fn block_of(&mut self, sort: Sort, rid: i64) -> Result<i64> {
        let sql =
            format!("select coalesce(max(rid_first), ?1) from {} where rid_first <= ?1", sort.payload());
        self.number(&sql, &[rid], "looking for a block")
    }

    fn blocks(&mut self, sort: Sort, from: i64, end: i64) -> Result<Vec<Block>> {
        let sql = format!(
            "select rid_first, enc, body from {} where rid_first >= ?1 and rid_first < ?2 \
             order by rid_first limit {PAGE_BLOCKS}",
            sort.payload()
        );
        let read = || -> rusqlite::Result<Vec<Block>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([from, end])?;
            let (mut blocks, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let body: Vec<u8> = row.get(2)?;
                bytes += body.len();
                blocks.push(Block { rid_first: row.get(0)?, enc: row.get(1)?, body });
                if bytes > PAGE_BYTES {
                    break;
                }
            }
            Ok(blocks)
        };
        read().at("reading blocks")
    }

    fn rows(
        &mut self,
        table: &'static Table,
        after: i64,
        until: i64,
        each: Each<'_>,
    ) -> std::result::Result<(), MoveError> {
        if table.owner == Owner::ThisReplica && !self.view.positions {
            return Ok(());
        }
        let leads = table.owner != Owner::Store && self.view.by_replica;
        let columns: Vec<&str> = table.columns.iter().map(|column| column.sqlite).collect();
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(table.without.map(|without| format!("not ({without})")));
        conditions.extend(table.grows_by.map(|column| format!("{column} > {after} and {column} <= {until}")));
        let sql = format!(
            "select {} from {} where {} order by {}",
            columns.join(", "),
            table.name,
            conditions.join(" and "),
            table.order
        );
        const WHAT: &str = "reading rows";
        let which = self.view.which;
        let mut page: Vec<Row> = Vec::new();
        let mut statement = self.connection.prepare(&sql).at(WHAT).of(which)?;
        let mut rows = statement.query([]).at(WHAT).of(which)?;
        loop {
            let next = rows.next().at(WHAT).of(which)?;
            if let Some(row) = next {
                let mut values = Vec::with_capacity(columns.len() + 1);
                if leads {
                    values.push(Value::Text(self.view.replica.clone()));
                }
                for (place, column) in table.columns.iter().enumerate() {
                    let value = row.get_ref(place).at(WHAT).of(which)?;
                    values.push(read(column, value).of(which)?);
                }
                page.push(values);
                if page.len() < PAGE_ROWS {
                    continue;
                }
            }
            if page.is_empty() {
                return Ok(());
            }
            each(&page)?;
            page.clear();
        }
    }

    fn counter(&mut self, table: &'static Table) -> Result<i64> {
        let Some(counter) = table.counter else { return Ok(0) };
        self.number(&format!("select coalesce(max({counter}), 0) from {}", table.name), &[], "counting")
    }
}

struct Changing {
    connection: Connection,
    view: View,
}

impl Change for Changing {
    fn clear(&mut self, table: &'static Table) -> Result<()> {
        let kept = table.without.unwrap_or("false");
        let sql = format!("delete from {} where not ({kept})", table.name);
        self.connection.execute(&sql, []).at("clearing a table").map(drop)
    }

    fn insert(&mut self, table: &'static Table, rows: &[Row]) -> Result<()> {
        let mut columns: Vec<&str> = table.columns.iter().map(|column| column.sqlite).collect();
        let mut places: Vec<String> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
        if let Some((column, of)) = table.shown {
            // The columns that it is worked out of, by the places of their values.
            let named = columns.iter().zip(&places).fold(of.to_owned(), |of, (name, place)| {
                of.split(' ')
                    .map(|word| if word == *name { place } else { word })
                    .collect::<Vec<_>>()
                    .join(" ")
            });
            columns.push(column);
            places.push(named);
        }
        let sql =
            format!("insert into {} ({}) values ({})", table.name, columns.join(", "), places.join(", "));
        let write = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            for row in rows {
                let values = table.columns.iter().zip(row).map(|(column, value)| written(column, value));
                statement.execute(params_from_iter(values))?;
            }
            Ok(())
        };
        write().at("writing rows")
    }

    fn commit(self: Box<Self>) -> Result<()> {
        if !self.view.replica.is_empty() {
            let sql = "insert or ignore into settings (name, value) values ('replica_id', ?1)";
            self.connection.execute(sql, [&self.view.replica]).at("keeping the gateway's name")?;
        }
        self.connection.execute_batch("commit").at("writing rows")
    }
}

fn read(column: &Column, value: ValueRef<'_>) -> Result<Value> {
    let text = || value.as_str().at("reading a text");
    let unreadable =
        || SideError { what: "reading rows", source: format!("`{}` is not a time", column.sqlite).into() };
    Ok(match (column.kind, value) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Text | Kind::Id, _) => Value::Text(text()?.to_owned()),
        (Kind::Int | Kind::Small | Kind::Flag, _) => Value::Int(value.as_i64().at("reading a number")?),
        (Kind::Real | Kind::Rough | Kind::Usd, ValueRef::Integer(number)) => Value::Real(number as f64),
        (Kind::Real | Kind::Rough | Kind::Usd, _) => Value::Real(value.as_f64().at("reading a number")?),
        (Kind::Day, _) if text()? == NEVER_TURNS => Value::Int(NEVER),
        (Kind::Day, _) => Value::Int(Day::parse(text()?).ok_or_else(unreadable)?.0.into()),
        (Kind::Minute, _) => Value::Int(time::parse(text()?).ok_or_else(unreadable)?.0),
        (Kind::Instant, _) => Value::Int(instant(text()?).ok_or_else(unreadable)?),
    })
}

/// The audit log's own clock writes three places, others six.
fn instant(text: &str) -> Option<i64> {
    let whole = time::parse(text.get(..19)?)?;
    let places = text.get(19..)?.trim_end_matches('Z').trim_start_matches('.');
    let micros = format!("{places:0<6}").get(..6)?.parse::<i64>().ok()?;
    Some(whole.0 + micros)
}

fn written(column: &Column, value: &Value) -> Sql {
    match (column.kind, value) {
        (_, Value::Null) => Sql::Null,
        (_, Value::Text(text)) => Sql::Text(text.clone()),
        (_, Value::Real(number)) => Sql::Real(*number),
        (Kind::Day, Value::Int(NEVER)) => Sql::Text(NEVER_TURNS.to_owned()),
        (Kind::Day, Value::Int(day)) => Sql::Text(time::day(Day(i32::try_from(*day).unwrap_or(i32::MAX)))),
        (Kind::Minute, Value::Int(at)) => Sql::Text(time::minute(Timestamp(*at))),
        (Kind::Instant, Value::Int(at)) => Sql::Text(time::instant(Timestamp(*at))),
        (_, Value::Int(number)) => Sql::Integer(*number),
    }
}

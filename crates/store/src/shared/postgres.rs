//! The shared state in Postgres 13 or later: one function call a round trip, in a schema of its own, made at first use.

use std::{str::FromStr, sync::Arc};

use futures_util::future::BoxFuture;
use gauntlet_ports::{
    BudgetGrant, Exchange, Exchanged, RateGrant, ReplicaLine, SharedError, SharedState, SlotGrant,
};
use tokio::task::AbortHandle;
use tokio_postgres::{
    Client, Config, NoTls, Row,
    config::SslMode,
    types::{ToSql, Type},
};

use super::{
    Figures, Limits, check,
    link::{Failure, Link},
    millis, wait_of,
};
use crate::{postgres::place, tls::Tls};

const MIGRATIONS: &[&str] = &[include_str!("../../migrations/shared_001.sql")];

const EXCHANGE: &str = "select verdict, epoch, is_settling, alive, budget_answers, rate_answers, slot_answers \
    from gauntlet_shared.exchange($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// Postgres 13 and 14 would let every user make tables in `public`; ours are in a schema of their own, so that dropping it
/// takes everything away.
const VERSION_TABLE: &str = "create schema if not exists gauntlet_shared; \
    create table if not exists gauntlet_shared.version (version integer not null)";

pub struct PostgresShared {
    config: Config,
    tls: Option<Tls>,
    link: Link<Arc<Connection>>,
}

/// A client and the task that moves its bytes, which ends with it: left alone, it would wait for a store that stopped.
struct Connection {
    client: Client,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[error(
    "its schema gauntlet_shared is version {found}, and this program knows {known}: run the newer program"
)]
struct Newer {
    found: i32,
    known: usize,
}

impl PostgresShared {
    /// Reads the address; connects at the first exchange.
    ///
    /// `sslmode=require` is TLS with the certificate and its name checked (as `verify-full`); without it there is no TLS.
    pub fn new(url: &str, limits: Limits) -> Result<PostgresShared, SharedError> {
        let malformed = |what: &str| SharedError::Malformed { what: what.to_owned() };
        // We always check as much as these ask for, and the driver does not know their names.
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        // The cause would repeat parts of the address, and with it the password.
        let mut config =
            Config::from_str(&url).map_err(|_| malformed("its address is no valid postgres:// address"))?;
        if config.get_application_name().is_none() {
            config.application_name("gauntlet");
        }
        config.connect_timeout(limits.connect);
        let tls = match config.get_ssl_mode() {
            SslMode::Require => Some(
                Tls::new().map_err(|_| malformed("TLS cannot be set up with this machine's certificates"))?,
            ),
            _ => None,
        };
        let link = Link::new(place(&config), limits);
        Ok(PostgresShared { config, tls, link })
    }

    async fn ask<T>(
        &self,
        statement: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        read: impl FnOnce(Vec<Row>) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, SharedError> {
        let ask = |connection: Arc<Connection>| async move {
            let rows = connection.client.query_typed(statement, parameters).await;
            rows.and_then(read).map_err(failure)
        };
        self.link.ask(|| self.connect(), ask).await
    }

    async fn connect(&self) -> Result<Arc<Connection>, Source> {
        let (client, task) = match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                (client, tokio::spawn(connection).abort_handle())
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                (client, tokio::spawn(connection).abort_handle())
            }
        };
        let mut connection = Connection { client, task };
        migrate(&mut connection.client).await?;
        // An exchange that we have given up must not wait for locks, and hold some, for long.
        connection.client.batch_execute("set statement_timeout = 2000").await?;
        Ok(Arc::new(connection))
    }

    async fn exchanged(&self, ask: &Exchange, is_leaving: bool) -> Result<Exchanged, SharedError> {
        check(ask)?;
        let names = |names: &mut dyn Iterator<Item = &String>| -> Vec<Vec<u8>> {
            names.map(|name| name.as_bytes().to_vec()).collect()
        };
        let unsigned = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let accounts = names(&mut ask.budgets.iter().map(|one| &one.account));
        let rates = names(&mut ask.rates.iter().map(|one| &one.key));
        let slots = names(&mut ask.slots.iter().map(|one| &one.key));
        let budget_figures: Vec<i64> = ask
            .budgets
            .iter()
            .flat_map(|one| {
                let asked = Figures::of(one);
                let forget = millis(one.forget_after);
                [
                    one.cap,
                    asked.spent,
                    asked.held,
                    asked.keep,
                    asked.need,
                    asked.want,
                    asked.elsewhere,
                    forget,
                ]
            })
            .collect();
        let rate_figures: Vec<i64> = ask
            .rates
            .iter()
            .flat_map(|one| [unsigned(one.per_minute), unsigned(one.burst), one.take, one.need.max(0)])
            .collect();
        let slot_figures: Vec<i64> = ask
            .slots
            .iter()
            .flat_map(|one| [one.max, one.used, one.keep.max(one.used), one.want].map(i64::from))
            .collect();
        let replica = ask.replica.as_bytes();
        // Checked to be small enough.
        let session = ask.session as i64;
        let (seq, acked, lease) = (ask.seq as i64, ask.acked as i64, millis(ask.lease));
        let parameters: [(&(dyn ToSql + Sync), Type); 12] = [
            (&is_leaving, Type::BOOL),
            (&replica, Type::BYTEA),
            (&session, Type::INT8),
            (&seq, Type::INT8),
            (&acked, Type::INT8),
            (&lease, Type::INT8),
            (&accounts, Type::BYTEA_ARRAY),
            (&budget_figures, Type::INT8_ARRAY),
            (&rates, Type::BYTEA_ARRAY),
            (&rate_figures, Type::INT8_ARRAY),
            (&slots, Type::BYTEA_ARRAY),
            (&slot_figures, Type::INT8_ARRAY),
        ];
        let row = self.ask(EXCHANGE, &parameters, |rows| Answer::of(&rows)).await?;
        let replica = || ask.replica.clone();
        match row.verdict.as_str() {
            "ok" => Ok(row.exchanged()),
            "in_use" => Err(SharedError::InUse { replica: replica(), wait: wait_of(row.alive) }),
            "superseded" => Err(SharedError::Superseded { replica: replica() }),
            _ => Err(SharedError::Stale { replica: replica(), seq: ask.seq }),
        }
    }
}

impl SharedState for PostgresShared {
    fn exchange<'a>(&'a self, ask: &'a Exchange) -> BoxFuture<'a, Result<Exchanged, SharedError>> {
        Box::pin(self.exchanged(ask, false))
    }

    fn leave<'a>(&'a self, last: &'a Exchange) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(async move { self.exchanged(last, true).await.map(|_| ()) })
    }

    fn forget<'a>(&'a self, replica: &'a str) -> BoxFuture<'a, Result<bool, SharedError>> {
        Box::pin(async move {
            let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&replica.as_bytes(), Type::BYTEA)];
            let read = |rows: Vec<Row>| match rows.first() {
                Some(row) => Ok((row.try_get::<_, String>(0)?, row.try_get::<_, i64>(1)?)),
                None => Ok((String::new(), 0)),
            };
            let (verdict, wait) =
                self.ask("select verdict, wait from gauntlet_shared.forget($1)", &parameters, read).await?;
            match verdict.as_str() {
                "ok" => Ok(true),
                "in_use" => Err(SharedError::InUse { replica: replica.to_owned(), wait: wait_of(wait) }),
                _ => Ok(false),
            }
        })
    }

    fn replicas(&self) -> BoxFuture<'_, Result<Vec<ReplicaLine>, SharedError>> {
        Box::pin(async move {
            let line = |row: &Row| -> Result<ReplicaLine, tokio_postgres::Error> {
                let id: Vec<u8> = row.try_get(0)?;
                Ok(ReplicaLine {
                    id: String::from_utf8_lossy(&id).into_owned(),
                    seen_ago: wait_of(row.try_get(1)?),
                    is_alive: row.try_get(2)?,
                    accounts: row.try_get::<_, i64>(3)? as u32,
                    slices: row.try_get(4)?,
                })
            };
            let statement =
                "select replica, seen_ago, is_alive, accounts, slices from gauntlet_shared.list()";
            self.ask(statement, &[], |rows| rows.iter().map(line).collect()).await
        })
    }
}

#[derive(Default)]
struct Answer {
    verdict: String,
    epoch: Option<String>,
    is_settling: bool,
    /// Replicas, or with `in_use` milliseconds.
    alive: i64,
    budgets: Vec<i64>,
    rates: Vec<i64>,
    slots: Vec<i64>,
}

impl Answer {
    fn of(rows: &[Row]) -> Result<Answer, tokio_postgres::Error> {
        // A function with `out` parameters has always one row.
        let Some(row) = rows.first() else { return Ok(Answer::default()) };
        let figures = |at: usize| row.try_get::<_, Option<Vec<i64>>>(at).map(Option::unwrap_or_default);
        Ok(Answer {
            verdict: row.try_get(0)?,
            epoch: row.try_get(1)?,
            is_settling: row.try_get::<_, Option<bool>>(2)?.unwrap_or_default(),
            alive: row.try_get::<_, Option<i64>>(3)?.unwrap_or_default(),
            budgets: figures(4)?,
            rates: figures(5)?,
            slots: figures(6)?,
        })
    }

    fn exchanged(self) -> Exchanged {
        let budget = |of: &[i64; 4]| BudgetGrant {
            slice: of[0],
            elsewhere_spent: of[1],
            elsewhere_slices: of[2],
            is_settling: of[3] != 0,
        };
        let rate = |of: &[i64; 2]| RateGrant { taken: of[0], wait: wait_of(of[1]) };
        Exchanged {
            budgets: self.budgets.as_chunks().0.iter().map(budget).collect(),
            rates: self.rates.as_chunks().0.iter().map(rate).collect(),
            slots: self.slots.iter().map(|slots| SlotGrant { slots: *slots as u32 }).collect(),
            replicas_alive: self.alive as u32,
            is_settling: self.is_settling,
            epoch: self.epoch.unwrap_or_default(),
        }
    }
}

/// Brings the schema up to date; any number of processes may try at once.
async fn migrate(client: &mut Client) -> Result<(), Source> {
    // What the function needs, whatever the database's own setting.
    client.batch_execute("set default_transaction_isolation = 'read committed'").await?;
    if version(client).await? == Some(MIGRATIONS.len() as i32) {
        return Ok(());
    }
    let tx = client.transaction().await?;
    tx.batch_execute("select pg_advisory_xact_lock(1196314740, -1)").await?;
    tx.batch_execute(VERSION_TABLE).await?;
    let found = version(tx.client()).await?.unwrap_or(0);
    let missing = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    for migration in missing.ok_or(Newer { found, known: MIGRATIONS.len() })? {
        tx.batch_execute(migration).await?;
    }
    tx.batch_execute("delete from gauntlet_shared.version").await?;
    let known = MIGRATIONS.len() as i32;
    tx.execute("insert into gauntlet_shared.version values ($1)", &[&known]).await?;
    Ok(tx.commit().await?)
}

/// None without the schema. A user who may only use it need not have the right to make it.
async fn version(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    let there = client.query_one("select to_regclass('gauntlet_shared.version') is not null", &[]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    match client.query_opt("select version from gauntlet_shared.version", &[]).await? {
        Some(row) => row.try_get(0).map(Some),
        None => Ok(None),
    }
}

fn failure(error: tokio_postgres::Error) -> Failure {
    // Classes of SQLSTATE: 08 connection, 57P shutting down, 25006 read-only after a fail-over.
    let is_refused = error.code().is_some_and(|code| {
        let code = code.code();
        !(code.starts_with("08") || code.starts_with("57P") || code == "25006")
    });
    if is_refused { Failure::Refused(error.into()) } else { Failure::Broken(error.into()) }
}

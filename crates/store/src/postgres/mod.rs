//! Traces and control data in Postgres 13 or later, for teams: one database that several gateways write to.
//!
//! The tables are those of the SQLite files, with the types that Postgres has for them, in one schema `gauntlet`. What a
//! batch adds is worked out by the same code; `docs/adr/0008` says how several gateways share them.

mod append;
mod control;
mod cut;
mod database;
mod evals;
mod figures;
mod find;
mod index;
mod migrate;
mod minutes;
pub(crate) mod moving;
mod reprice;
mod spans;
#[cfg(test)]
mod tests;
mod values;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gauntlet_ports::{
    Arrived, BudgetSpent, Correction, Cut, Grain, Overview, Reconciliation, RecordCursor, RecordPage,
    RecordQuery, Repricing, SpanFilter, SpanRow, SpendQuery, SpendRow, SpoolPosition, StoreError, StoredCall,
    StoredSpan, TraceFilter, TracePage, TraceStore,
};
use gauntlet_types::{CallId, Day, SpanId, Timestamp, TraceId};
use tokio_postgres::types::Type;

use crate::{
    error::During,
    finding::walk::{self, Patience},
    traces::{append::Charged, block, groups, minutes::Minutes, reprice as pages},
};
use database::{Connection, Held};
use values::{Columns, stored};

pub use control::PostgresControl;
pub use database::Database;
pub(crate) use database::{Trouble, place};

/// Whose spend [`TraceStore::budget_spent`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpentBy {
    /// All gateways': of one that has its caps for itself, and for pages.
    All,
    /// This gateway's alone, which it reports to the shared state, where the others report theirs.
    ThisReplica,
}

/// Traces in a Postgres database.
pub struct PostgresTraces {
    database: Arc<Database>,
    writer: Mutex<Held>,
    minutes: Mutex<Minutes>,
    indexer: Mutex<Held>,
    evals: Mutex<Held>,
    patience: Patience,
    /// Whose spool and spend are meant. Another gateway's workers bear the same names.
    replica: String,
    spent_by: SpentBy,
}

impl PostgresTraces {
    pub fn new(database: Arc<Database>, replica: &str, spent_by: SpentBy) -> PostgresTraces {
        let replica = stored(replica).into_owned();
        PostgresTraces {
            database,
            writer: Mutex::default(),
            minutes: Mutex::default(),
            indexer: Mutex::default(),
            evals: Mutex::default(),
            patience: Patience::default(),
            replica,
            spent_by,
        }
    }

    /// With another bound for how long a question may look.
    pub fn with_patience(self, patience: Patience) -> PostgresTraces {
        PostgresTraces { patience, ..self }
    }

    /// Other gateways that were heard of within the last hour.
    pub fn other_replicas(&self) -> Result<Vec<String>, StoreError> {
        self.read("looking for other gateways", |connection| {
            let sql = "select replica from replicas where replica <> $1 and seen > now() - interval '1 hour' \
                 order by seen desc limit 10";
            let rows = connection.query(sql, &[(&self.replica, Type::TEXT)])?;
            rows.iter().map(|row| Columns(row).text(0)).collect()
        })
    }

    /// Lets the others know of this gateway.
    pub fn announce(&self) -> Result<(), StoreError> {
        self.append(Arrived::default(), &[]).map(drop)
    }

    /// Asked for by whoever has the writer, so that nobody waits for it.
    fn minutes(&self) -> MutexGuard<'_, Minutes> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        what: &'static str,
        read: impl Fn(&Connection) -> database::Result<T>,
    ) -> Result<T, StoreError> {
        self.database.read(read).during(what)
    }

    fn write<T>(
        &self,
        what: &'static str,
        write: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = writer.take(&self.database).during(what)?;
        let answer = write(&connection)?;
        writer.keep(connection);
        Ok(answer)
    }
}

impl TraceStore for PostgresTraces {
    fn append(&self, batch: Arrived<'_>, positions: &[SpoolPosition]) -> Result<usize, StoreError> {
        self.write("beginning a batch", |connection| {
            let from = append::From { replica: &self.replica, positions, charged: Charged::Yes };
            append::append(connection, batch, &from, &mut self.minutes())
        })
    }

    fn import(&self, batch: Arrived<'_>) -> Result<usize, StoreError> {
        self.write("beginning a batch", |connection| {
            let from = append::From { replica: &self.replica, positions: &[], charged: Charged::No };
            append::append(connection, batch, &from, &mut self.minutes())
        })
    }

    fn span_find(&self, filter: &SpanFilter) -> Result<Vec<SpanRow>, StoreError> {
        self.read("finding spans", |connection| spans::find(connection, filter))
    }

    fn span_get(&self, trace: TraceId, span: SpanId) -> Result<Option<StoredSpan>, StoreError> {
        let found = self.read("reading a span", |connection| spans::payload(connection, trace, span))?;
        found
            .map(|payload| block::unpack(&payload.enc, &payload.body, payload.index))
            .transpose()
            .during("reading a span's payload")
    }

    /// Of this gateway's spool.
    fn spool_positions(&self) -> Result<Vec<SpoolPosition>, StoreError> {
        self.read("reading spool positions", |connection| {
            let sql =
                "select worker, segment, byte_offset from spool_position where replica = $1 order by worker";
            let rows = connection.query(sql, &[(&self.replica, Type::TEXT)])?;
            let read = |row: &tokio_postgres::Row| {
                let row = Columns(row);
                let bits = |column: usize| row.get::<i64>(column).map(|number| number as u64);
                Ok(SpoolPosition { worker: row.text(0)?, segment: bits(1)?, offset: bits(2)? })
            };
            rows.iter().map(read).collect()
        })
    }

    fn trace_find(&self, filter: &TraceFilter) -> Result<TracePage, StoreError> {
        self.read("finding traces", |connection| {
            // To read every `tsvector` costs far more than the planner thinks: they lie apart from their rows.
            connection.batch("set local enable_seqscan = off")?;
            walk::find(&mut find::Tables { connection, filter }, filter, self.patience)
        })
    }

    fn index_step(&self, limit: u32) -> Result<usize, StoreError> {
        const WHAT: &str = "indexing";
        let Some(step) = self.read(WHAT, |connection| index::read(connection, limit))? else { return Ok(0) };
        // A connection of its own: batches do not wait for the index.
        let mut held = self.indexer.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = held.take(&self.database).during(WHAT)?;
        index::write(&connection, &step).during(WHAT)?;
        held.keep(connection);
        Ok(step.calls.len().max(1))
    }

    fn trace_get(&self, id: CallId) -> Result<Option<StoredCall>, StoreError> {
        let found = self.read("reading a trace", |connection| find::payload(connection, id))?;
        found
            .map(|payload| block::unpack(&payload.enc, &payload.body, payload.index))
            .transpose()
            .during("reading a trace's payload")
    }

    fn spend(&self, query: &SpendQuery) -> Result<Vec<SpendRow>, StoreError> {
        self.read("adding up spend", |connection| figures::spend(connection, query))
    }

    fn overview(&self, from: Timestamp, to: Timestamp, series: Grain) -> Result<Overview, StoreError> {
        self.read("adding up figures", |connection| {
            groups::overview(&mut figures::Tables(connection), from, to, series)
        })
    }

    fn budget_spent(&self, day: Day) -> Result<Vec<BudgetSpent>, StoreError> {
        let replica = (self.spent_by == SpentBy::ThisReplica).then_some(&*self.replica);
        self.read("reading budgets", |connection| figures::budget_spent(connection, day, replica))
    }

    fn record_page(
        &self,
        query: &RecordQuery,
        cursor: Option<RecordCursor>,
        limit: u32,
    ) -> Result<RecordPage, StoreError> {
        let found =
            self.read("reading records", |connection| reprice::blocks(connection, query, cursor, limit))?;
        pages::page(query, found)
    }

    fn reprice(&self, run: &Repricing, corrections: &[Correction<'_>]) -> Result<u64, StoreError> {
        const WHAT: &str = "keeping corrections";
        self.write(WHAT, |connection| reprice::apply(connection, run, corrections).during(WHAT))
    }

    fn repricing_list(&self, limit: u32) -> Result<Vec<Repricing>, StoreError> {
        self.read("listing corrections", |connection| reprice::repricings(connection, limit))
    }

    fn reconciliation_add(&self, reconciliation: &Reconciliation) -> Result<(), StoreError> {
        const WHAT: &str = "keeping a reconciliation";
        self.write(WHAT, |connection| reprice::add_reconciliation(connection, reconciliation).during(WHAT))
    }

    fn reconciliation_list(&self, limit: u32) -> Result<Vec<Reconciliation>, StoreError> {
        self.read("listing reconciliations", |connection| reprice::reconciliations(connection, limit))
    }

    fn record_newest(&self) -> Result<i64, StoreError> {
        self.read("looking for the newest call", |connection| {
            let rows = connection.query("select coalesce(max(rid), 0) from llm_traces", &[])?;
            rows.first().map_or(Ok(0), |row| Columns(row).get(0))
        })
    }

    fn span_page(&self, after: i64, limit: u32) -> Result<Vec<SpanRow>, StoreError> {
        self.read("reading spans", |connection| spans::page(connection, after, limit))
    }

    fn cut(&self, calls: &[(CallId, Cut)]) -> Result<u64, StoreError> {
        self.write("cutting calls", |connection| cut::calls(connection, calls))
    }

    fn span_cut(&self, spans: &[(i64, Cut)]) -> Result<u64, StoreError> {
        self.write("cutting spans", |connection| cut::spans(connection, spans))
    }

    /// Postgres's own vacuum does it; asked for, it does so at once.
    fn shrink(&self, thoroughly: bool) -> Result<(), StoreError> {
        if !thoroughly {
            return Ok(());
        }
        const WHAT: &str = "vacuuming";
        self.write(WHAT, |connection| {
            for table in ["llm_traces", "payload", "find_terms", "spans", "span_payload"] {
                connection.batch(&format!("vacuum {table}")).during(WHAT)?;
            }
            Ok(())
        })
    }

    fn progress(&self, job: &str) -> Result<i64, StoreError> {
        self.read("reading progress", |connection| {
            let rows = connection.query("select at from progress where job = $1", &[(&job, Type::TEXT)])?;
            rows.first().map_or(Ok(0), |row| Columns(row).get(0))
        })
    }

    fn progress_set(&self, job: &str, at: i64) -> Result<(), StoreError> {
        const WHAT: &str = "noting progress";
        self.write(WHAT, |connection| {
            let sql = "insert into progress values ($1, $2) on conflict (job) do update set at = excluded.at";
            connection.execute(sql, &[(&job, Type::TEXT), (&at, Type::INT8)]).map(drop).during(WHAT)
        })
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.read("a ping", |connection| connection.query("select 1 from schema_version", &[]).map(drop))
    }
}

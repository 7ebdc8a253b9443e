//! The trace store: calls, spans, their texts, roll-ups and spend in one file, `gauntlet.db`.
//!
//! One connection writes, several read. A batch is one transaction, in which everything that follows from its calls is
//! added up in memory first, so that 500 calls cost one insert each and few statements besides.

pub(crate) mod append;
pub(crate) mod block;
pub(crate) mod cut;
mod evals;
mod figures;
pub(crate) mod find;
pub(crate) mod groups;
pub(crate) mod index;
mod marks;
pub(crate) mod minutes;
pub(crate) mod names;
pub(crate) mod preview;
pub(crate) mod reprice;
pub(crate) mod rollup;
pub(crate) mod spans;
mod spend;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use gauntlet_ports::{
    Arrived, BudgetSpent, Correction, Cut, Grain, Overview, Reconciliation, RecordCursor, RecordPage,
    RecordQuery, Repricing, SpanFilter, SpanRow, SpendQuery, SpendRow, SpoolPosition, StoreError, StoredCall,
    StoredSpan, TraceFilter, TracePage, TraceStore,
};
use gauntlet_types::{CallId, Day, SpanId, Timestamp, TraceId};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    error::{During, OpenError},
    file::{self, Kind},
    finding::walk::{self, Patience},
    pool::Readers,
};
use append::{Charged, Writer};

pub(crate) static KIND: Kind = Kind {
    application_id: 0x476e_7431,
    migrations: &[
        include_str!("../../migrations/traces_001.sql"),
        include_str!("../../migrations/traces_002.sql"),
        include_str!("../../migrations/traces_003.sql"),
        include_str!("../../migrations/traces_004.sql"),
        include_str!("../../migrations/traces_005.sql"),
        include_str!("../../migrations/traces_006.sql"),
        include_str!("../../migrations/traces_007.sql"),
        include_str!("../../migrations/traces_008.sql"),
        include_str!("../../migrations/traces_009.sql"),
    ],
    // A power cut may lose the last commits, never tear one; the spool keeps what is not yet certain.
    synchronous: "normal",
    // Most of a batch is written front to back: four times fewer and larger writes than with 4 KiB, a sixth less time.
    page_size: 16 * 1024,
    cache_kib_writer: 8 * 1024,
    cache_kib_reader: 4 * 1024,
    // `checkpoint` is called off the write path; this is the stop where nobody calls it (64 MiB of log).
    autocheckpoint: 4 * 1024,
};

/// Beyond this the write-ahead log is cut back to nothing, which must wait for readers.
const WAL_LARGE: u64 = 64 * 1024 * 1024;
/// How long cutting back may hold up a batch.
const TRUNCATE_WAIT: Duration = Duration::from_millis(250);

/// Traces in an SQLite file.
pub struct SqliteTraces {
    path: PathBuf,
    writer: Mutex<Writer>,
    readers: Readers,
    checkpointer: Mutex<Connection>,
    patience: Patience,
}

impl SqliteTraces {
    /// Opens the file, making it and its folder (readable by their owner alone) where they are missing.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteTraces, OpenError> {
        let path = path.as_ref();
        let connection = file::open_writer(path, &KIND)?;
        let checkpointer = file::open_checkpointer(path, TRUNCATE_WAIT)?;
        let writer = Writer::new(connection)
            .map_err(|error| OpenError::Failed { path: path.to_owned(), source: error.into() })?;
        Ok(SqliteTraces {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Readers::new(path.to_owned(), &KIND),
            checkpointer: Mutex::new(checkpointer),
            patience: Patience::default(),
        })
    }

    /// With another bound for how long a question may look.
    pub fn with_patience(self, patience: Patience) -> SqliteTraces {
        SqliteTraces { patience, ..self }
    }

    /// Moves the write-ahead log into the file. Batches and readers go on meanwhile; only a log that has grown large is
    /// also cut back, which waits briefly for readers. Called every few seconds, off the write path.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let connection = self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner);
        let run =
            |mode: &str| connection.query_row(&format!("pragma wal_checkpoint({mode})"), [], |_| Ok(()));
        run("passive").during("checkpoint")?;
        let log = std::fs::metadata(file::wal_of(&self.path)).map_or(0, |meta| meta.len());
        if log > WAL_LARGE {
            // A reader in its way is reported in the answer, not as an error; the next call tries again.
            run("truncate").during("cutting back the write-ahead log")?;
        }
        Ok(())
    }

    fn read<T>(
        &self,
        what: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.readers.read(read).during(what)
    }
}

impl TraceStore for SqliteTraces {
    fn append(&self, batch: Arrived<'_>, positions: &[SpoolPosition]) -> Result<usize, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.append(batch, positions, Charged::Yes)
    }

    fn import(&self, batch: Arrived<'_>) -> Result<usize, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.append(batch, &[], Charged::No)
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

    fn spool_positions(&self) -> Result<Vec<SpoolPosition>, StoreError> {
        self.read("reading spool positions", |connection| {
            let mut statement = connection
                .prepare_cached("select worker, segment, offset from spool_position order by worker")?;
            let rows = statement.query_map([], |row| {
                Ok(SpoolPosition {
                    worker: row.get(0)?,
                    segment: row.get::<_, i64>(1)? as u64,
                    offset: row.get::<_, i64>(2)? as u64,
                })
            })?;
            rows.collect()
        })
    }

    fn trace_find(&self, filter: &TraceFilter) -> Result<TracePage, StoreError> {
        self.read("finding traces", |connection| {
            walk::find(&mut find::Tables::new(connection, filter), filter, self.patience)
        })
    }

    /// What is read and worked out beforehand holds no batch up.
    fn index_step(&self, limit: u32) -> Result<usize, StoreError> {
        const WHAT: &str = "indexing";
        let Some(step) = self.read(WHAT, |connection| index::read(connection, limit))? else {
            return Ok(0);
        };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.index(&step).during(WHAT)?;
        // Not nothing, though all of it was unreadable: there may be more.
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
        let question = spend::question(query)?;
        self.read("adding up spend", |connection| spend::spend(connection, query, &question))
    }

    /// The hours (or minutes) that `from` and the last instant before `to` fall in are taken whole.
    fn overview(&self, from: Timestamp, to: Timestamp, series: Grain) -> Result<Overview, StoreError> {
        self.read("adding up figures", |connection| {
            groups::overview(&mut figures::Tables(connection), from, to, series)
        })
    }

    fn budget_spent(&self, day: Day) -> Result<Vec<BudgetSpent>, StoreError> {
        self.read("reading budgets", |connection| figures::budget_spent(connection, day))
    }

    fn record_page(
        &self,
        query: &RecordQuery,
        cursor: Option<RecordCursor>,
        limit: u32,
    ) -> Result<RecordPage, StoreError> {
        let found =
            self.read("reading records", |connection| reprice::blocks(connection, query, cursor, limit))?;
        reprice::page(query, found)
    }

    fn reprice(&self, run: &Repricing, corrections: &[Correction<'_>]) -> Result<u64, StoreError> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).reprice(run, corrections)
    }

    fn repricing_list(&self, limit: u32) -> Result<Vec<Repricing>, StoreError> {
        self.read("listing corrections", |connection| reprice::repricings(connection, limit))
    }

    fn reconciliation_add(&self, reconciliation: &Reconciliation) -> Result<(), StoreError> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).add_reconciliation(reconciliation)
    }

    fn reconciliation_list(&self, limit: u32) -> Result<Vec<Reconciliation>, StoreError> {
        self.read("listing reconciliations", |connection| reprice::reconciliations(connection, limit))
    }

    fn record_newest(&self) -> Result<i64, StoreError> {
        self.read("looking for the newest call", |connection| {
            connection.query_row("select coalesce(max(rid), 0) from llm_traces", [], |row| row.get(0))
        })
    }

    fn span_page(&self, after: i64, limit: u32) -> Result<Vec<SpanRow>, StoreError> {
        self.read("reading spans", |connection| spans::page(connection, after, limit))
    }

    fn cut(&self, calls: &[(CallId, Cut)]) -> Result<u64, StoreError> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).cut(calls)
    }

    fn span_cut(&self, spans: &[(i64, Cut)]) -> Result<u64, StoreError> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).cut_spans(spans)
    }

    fn shrink(&self, thoroughly: bool) -> Result<(), StoreError> {
        // The writer is let go after each table, so that batches come between.
        while thoroughly && self.writer.lock().unwrap_or_else(PoisonError::into_inner).purge_index()? {}
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).shrink()?;
        if thoroughly {
            let connection = self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner);
            let run = connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
            run.during("emptying the write-ahead log")?;
        }
        Ok(())
    }

    fn progress(&self, job: &str) -> Result<i64, StoreError> {
        self.read("reading progress", |connection| {
            let mut statement = connection.prepare_cached("select at from progress where job = ?1")?;
            statement.query_row([job], |row| row.get(0)).optional().map(Option::unwrap_or_default)
        })
    }

    fn progress_set(&self, job: &str, at: i64) -> Result<(), StoreError> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).set_progress(job, at)
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.read("a ping", |connection| {
            connection
                .query_row("select count(*) from spool_position", [], |row| row.get::<_, i64>(0))
                .map(drop)
        })
    }
}

//! Adding a batch: rows, payload blocks, roll-ups, spend and spool positions in one transaction.

use std::fmt::Write as _;

use gauntlet_ports::{
    Arrived, Correction, Cut, Reconciliation, Repricing, SpoolPosition, StoreError, StoredCall,
};
use gauntlet_types::{CallId, CallRecord};
use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior, params};

use super::{
    block::{ENCODING, Kept, Packer},
    cut, index,
    minutes::{self, Minutes},
    names::NameCounts,
    preview, reprice,
    rollup::{Deltas, model_of},
    spans,
};
use crate::{error::During, finding::step::Step, time::TimeWriter};

/// Whether calls are added to what is spent against budgets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Charged {
    Yes,
    /// Calls from elsewhere, whose charges are another ledger's.
    No,
}

/// The one connection that writes, with the buffers it uses again from batch to batch.
pub(crate) struct Writer {
    connection: Connection,
    packer: Packer,
    row: RowTexts,
    span_row: spans::RowTexts,
    names: NameCounts,
    minutes: Minutes,
}

impl Writer {
    pub(crate) fn new(connection: Connection) -> std::io::Result<Writer> {
        Ok(Writer {
            connection,
            packer: Packer::new()?,
            row: RowTexts::default(),
            span_row: spans::RowTexts::default(),
            names: NameCounts::default(),
            minutes: Minutes::default(),
        })
    }

    pub(crate) fn append(
        &mut self,
        batch: Arrived<'_>,
        positions: &[SpoolPosition],
        charged: Charged,
    ) -> Result<usize, StoreError> {
        let added = self.append_batch(batch, positions, charged);
        if added.is_err() {
            self.names.forget();
        }
        added
    }

    pub(crate) fn cut(&mut self, calls: &[(CallId, Cut)]) -> Result<u64, StoreError> {
        cut::calls(&mut self.connection, &mut self.packer, calls).during("cutting calls")
    }

    pub(crate) fn cut_spans(&mut self, spans: &[(i64, Cut)]) -> Result<u64, StoreError> {
        cut::spans(&mut self.connection, &mut self.packer, spans).during("cutting spans")
    }

    /// Runs `write` in a transaction. Batches wait meanwhile, so it must be short.
    pub(crate) fn write<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answer = write(&tx)?;
        tx.commit()?;
        Ok(answer)
    }

    /// Says whether there may be more to do.
    pub(crate) fn purge_index(&mut self) -> Result<bool, StoreError> {
        const WHAT: &str = "writing the index anew";
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).during(WHAT)?;
        let more = index::purge(&tx).during(WHAT)?;
        tx.commit().during(WHAT)?;
        Ok(more)
    }

    pub(crate) fn shrink(&self) -> Result<(), StoreError> {
        cut::shrink(&self.connection).during("giving room back")
    }

    pub(crate) fn set_progress(&self, job: &str, at: i64) -> Result<(), StoreError> {
        let sql = "insert into progress (job, at) values (?1, ?2) on conflict do update set at = excluded.at";
        self.connection.execute(sql, params![job, at]).map(drop).during("noting progress")
    }

    pub(crate) fn reprice(
        &mut self,
        run: &Repricing,
        corrections: &[Correction<'_>],
    ) -> Result<u64, StoreError> {
        const WHAT: &str = "keeping corrections";
        let tx =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).during("beginning")?;
        let changed = reprice::apply(&tx, &mut self.names, run, corrections);
        let changed = changed.during(WHAT).and_then(|changed| tx.commit().during(WHAT).map(|()| changed));
        if changed.is_err() {
            self.names.forget();
        }
        changed
    }

    pub(crate) fn add_reconciliation(&mut self, one: &Reconciliation) -> Result<(), StoreError> {
        let mut add = || {
            let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            reprice::add_reconciliation(&tx, one)?;
            tx.commit()
        };
        add().during("keeping a reconciliation")
    }

    /// Adds a step of the index, which may be done already.
    pub(crate) fn index(&mut self, step: &Step) -> rusqlite::Result<()> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        index::write(&tx, step)?;
        tx.commit()
    }

    fn append_batch(
        &mut self,
        batch: Arrived<'_>,
        positions: &[SpoolPosition],
        charged: Charged,
    ) -> Result<usize, StoreError> {
        // An earlier batch may have stopped half-way.
        self.packer.clear();
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .during("beginning a batch")?;
        let mut payloads = Payloads::new(&tx, &mut self.packer, INSERT_PAYLOAD);
        let kept =
            self.minutes.span(batch, charged, || minutes::newest_kept(&tx)).during("reading minutes")?;
        let mut deltas = Deltas::new(kept);
        let mut added = 0;
        {
            let mut insert =
                tx.prepare_cached(include_str!("sql/insert_trace.sql")).during("preparing a batch")?;
            for call in batch.calls {
                // A call that is there already changes nothing else either.
                if self.row.insert(&mut insert, call).during("adding a trace")? {
                    added += 1;
                    payloads.add(tx.last_insert_rowid(), call)?;
                    deltas.add(&call.record);
                }
            }
        }
        if charged == Charged::No {
            deltas.spent.clear();
        }
        payloads.finish()?;
        added += self.span_row.append(&tx, &mut self.packer, batch.spans)?;
        deltas.write(&tx, &mut self.names).during("adding to the roll-ups")?;
        let removed = self.minutes.due().map(|end| minutes::remove(&tx, end));
        let removed = removed.transpose().during("removing old minutes")?;
        write_positions(&tx, positions).during("noting spool positions")?;
        gauntlet_ports::crash_point!("store.uncommitted");
        tx.commit().during("committing a batch")?;
        if let Some(left) = removed {
            self.minutes.removed(left);
        }
        Ok(added)
    }
}

fn write_positions(tx: &Transaction<'_>, positions: &[SpoolPosition]) -> rusqlite::Result<()> {
    let mut set = tx.prepare_cached(include_str!("sql/set_position.sql"))?;
    for position in positions {
        // SQLite's integers are signed; the bits survive the round trip.
        set.execute(params![position.worker, position.segment as i64, position.offset as i64])?;
    }
    Ok(())
}

const INSERT_PAYLOAD: &str = "insert into payload (rid_first, enc, body) values (?1, ?2, ?3)";

/// Blocks of a batch. They cover rids in a row, so the first rid and an index find an entry.
pub(crate) struct Payloads<'a> {
    tx: &'a Transaction<'a>,
    packer: &'a mut Packer,
    /// Of the table that these entries' blocks go to.
    insert: &'static str,
    rid_first: i64,
}

impl<'a> Payloads<'a> {
    /// `packer` is empty.
    pub(crate) fn new(tx: &'a Transaction<'a>, packer: &'a mut Packer, insert: &'static str) -> Payloads<'a> {
        Payloads { tx, packer, insert, rid_first: 0 }
    }

    pub(crate) fn add<T: Kept>(&mut self, rid: i64, entry: &T) -> Result<(), StoreError> {
        let is_next = rid == self.rid_first + self.packer.entries() as i64;
        if self.packer.entries() > 0 && (self.packer.is_full() || !is_next) {
            self.close_block()?;
        }
        if self.packer.entries() == 0 {
            self.rid_first = rid;
        }
        self.packer.add(entry).during("packing a payload")
    }

    fn close_block(&mut self) -> Result<(), StoreError> {
        let count = self.packer.entries() as i64;
        let body = self.packer.pack().during("packing a payload")?;
        let mut insert = self.tx.prepare_cached(self.insert).during("preparing a batch")?;
        insert.execute(params![self.rid_first, ENCODING, body]).during("adding a payload")?;
        self.packer.clear();
        self.rid_first += count;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        if self.packer.entries() > 0 {
            self.close_block()?;
        }
        Ok(())
    }
}

/// Texts made for a row; kept, so that a row allocates nothing.
#[derive(Default)]
struct RowTexts {
    time: TimeWriter,
    started: String,
    trace_id: String,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl RowTexts {
    /// Says whether the row was new.
    fn insert(&mut self, insert: &mut CachedStatement<'_>, call: &StoredCall) -> rusqlite::Result<bool> {
        let record = &call.record;
        let caller = &record.caller;
        let target = record.target.as_ref();
        let prompt = record.prompt.as_ref();
        let model = model_of(record);
        let mut id = uuid::Uuid::encode_buffer();
        self.time.instant(record.started, &mut self.started);
        self.trace_id.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.trace_id, "{}", record.trace_id);
        self.previews(call);
        let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty());
        let latency_us = i64::try_from(record.latency_us).unwrap_or(i64::MAX);
        let changed = insert.execute(params![
            &*record.id.0.hyphenated().encode_lower(&mut id),
            self.started,
            &*record.route,
            model,
            caller.app_sha.as_deref(),
            caller.user.as_deref(),
            prompt.map(|prompt| &*prompt.name),
            record.usage.input_total().0,
            record.usage.output_total().0,
            latency_us.saturating_add(500) / 1000,
            record.cost.as_usd(),
            text(&self.input),
            text(&self.output),
            caller.eval_id.as_deref(),
            &*caller.tenant,
            caller.team.as_deref(),
            caller.session.as_deref(),
            caller.key.as_deref(),
            caller.environment.as_str(),
            target.map(|target| &*target.provider),
            Some(&*record.model_asked).filter(|asked| *asked != model),
            prompt.map(|prompt| &*prompt.version),
            record.outcome.as_str(),
            record.error.map(|code| code.as_str()),
            record.decision.as_str(),
            record.cache.as_str(),
            record.is_streaming,
            record.status,
            self.trace_id,
            record.usage.cache_read_total().0,
            record.usage.estimated,
            record.cost.0,
            latency_us,
            record.first_token_us.map(|us| i64::try_from(us).unwrap_or(i64::MAX)),
        ])?;
        Ok(changed == 1)
    }

    fn previews(&mut self, call: &StoredCall) {
        self.input.clear();
        self.output.clear();
        if !call.input.is_empty() {
            self.input.extend_from_slice(super::find::INPUT_PREFIX.as_bytes());
            push_json(&mut self.input, &preview::of_input(&call.input));
            self.input.push(b'}');
        }
        if !call.output.is_empty() {
            push_json(&mut self.output, &shown_output(call));
        }
    }
}

/// The answer's text, or the tools that it asks for.
pub(crate) fn shown_output(call: &StoredCall) -> String {
    let shown = preview::of_output(&call.output);
    if shown.is_empty() { tools_asked(&call.record) } else { shown }
}

fn push_json(out: &mut Vec<u8>, text: &str) {
    let before = out.len();
    // A string always has a JSON form and a vector always takes it; an empty string is the honest answer otherwise.
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"\"\"");
    }
}

/// Of an answer without text: the tools the model asks for.
fn tools_asked(record: &CallRecord) -> String {
    let calls: Vec<String> =
        record.tool_calls.iter().map(|call| format!("{}({})", call.name, call.arguments)).collect();
    preview::cut(&calls.join(" ")).to_owned()
}

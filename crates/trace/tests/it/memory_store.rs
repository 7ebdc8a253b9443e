//! A store in memory that can be told to fail.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use gauntlet_ports::{
    Arrived, BudgetSpent, Cut, Grain, Overview, SpanFilter, SpanRow, SpendQuery, SpendRow, SpoolPosition,
    StoreError, StoredCall, StoredSpan, TraceFilter, TracePage, TraceStore,
};
use gauntlet_types::{CallId, Day, NanoUsd, SpanId, Timestamp, TraceId};

use crate::support::id;

/// The part of a trace store that the drainer has nothing to do with.
macro_rules! keeps_no_bills {
    () => {
        fn record_page(
            &self,
            _: &gauntlet_ports::RecordQuery,
            _: Option<gauntlet_ports::RecordCursor>,
            _: u32,
        ) -> Result<gauntlet_ports::RecordPage, StoreError> {
            Ok(gauntlet_ports::RecordPage { calls: vec![], next: None })
        }

        fn reprice(
            &self,
            _: &gauntlet_ports::Repricing,
            _: &[gauntlet_ports::Correction<'_>],
        ) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn repricing_list(&self, _: u32) -> Result<Vec<gauntlet_ports::Repricing>, StoreError> {
            Ok(vec![])
        }

        fn reconciliation_add(&self, _: &gauntlet_ports::Reconciliation) -> Result<(), StoreError> {
            Ok(())
        }

        fn reconciliation_list(&self, _: u32) -> Result<Vec<gauntlet_ports::Reconciliation>, StoreError> {
            Ok(vec![])
        }
    };
}
pub(crate) use keeps_no_bills;

/// Keeps records by id, as the port asks; books are sums over `charges`.
#[derive(Default)]
pub struct MemoryStore {
    pub is_failing: AtomicBool,
    /// Appends that will still work before one fails; then all fail. For dying in the middle.
    pub appends_left: Mutex<Option<usize>>,
    pub appends: AtomicUsize,
    calls: Mutex<Vec<StoredCall>>,
    ids: Mutex<HashSet<CallId>>,
    spans: Mutex<Vec<StoredSpan>>,
    positions: Mutex<HashMap<String, (u64, u64)>>,
}

impl MemoryStore {
    pub fn ids(&self) -> Vec<CallId> {
        self.calls.lock().unwrap().iter().map(|call| call.record.id).collect()
    }

    pub fn get(&self, number: u64) -> Option<StoredCall> {
        self.calls.lock().unwrap().iter().find(|call| call.record.id == id(number)).cloned()
    }

    /// In the order of their arrival.
    pub fn span_ids(&self) -> Vec<u64> {
        self.spans.lock().unwrap().iter().map(|span| span.record.span_id.0).collect()
    }

    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub fn spent(&self) -> NanoUsd {
        self.calls.lock().unwrap().iter().map(|call| call.record.cost).sum()
    }

    pub fn fail(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(StoreError::Failed { what: "append", source: "told to".into() });
        }
        Ok(())
    }
}

impl TraceStore for MemoryStore {
    fn import(&self, batch: Arrived<'_>) -> Result<usize, StoreError> {
        self.append(batch, &[])
    }
    fn append(&self, batch: Arrived<'_>, positions: &[SpoolPosition]) -> Result<usize, StoreError> {
        self.check()?;
        if let Some(left) = &mut *self.appends_left.lock().unwrap() {
            let Some(fewer) = left.checked_sub(1) else {
                return Err(StoreError::Failed { what: "append", source: "died".into() });
            };
            *left = fewer;
        }
        self.appends.fetch_add(1, Ordering::SeqCst);
        let mut ids = self.ids.lock().unwrap();
        let new: Vec<StoredCall> =
            batch.calls.iter().filter(|call| ids.insert(call.record.id)).cloned().collect();
        let mut count = new.len();
        self.calls.lock().unwrap().extend(new);
        let mut spans = self.spans.lock().unwrap();
        for span in batch.spans {
            let key = |span: &StoredSpan| (span.record.started, span.record.span_id, span.record.trace_id);
            if !spans.iter().any(|known| key(known) == key(span)) {
                spans.push(span.clone());
                count += 1;
            }
        }
        let mut known = self.positions.lock().unwrap();
        for place in positions {
            let old = known.insert(place.worker.clone(), (place.segment, place.offset));
            // Recovery begins anew at zero.
            let is_reset = place.segment == 0;
            assert!(
                is_reset || old.is_none_or(|old| old <= (place.segment, place.offset)),
                "a position went back"
            );
        }
        Ok(count)
    }

    fn span_find(&self, _filter: &SpanFilter) -> Result<Vec<SpanRow>, StoreError> {
        Ok(Vec::new())
    }

    fn span_get(&self, trace: TraceId, span: SpanId) -> Result<Option<StoredSpan>, StoreError> {
        let spans = self.spans.lock().unwrap();
        let is_it = |known: &&StoredSpan| (known.record.trace_id, known.record.span_id) == (trace, span);
        Ok(spans.iter().find(is_it).cloned())
    }

    fn record_newest(&self) -> Result<i64, StoreError> {
        Ok(0)
    }

    fn span_page(&self, _after: i64, _limit: u32) -> Result<Vec<SpanRow>, StoreError> {
        Ok(Vec::new())
    }

    fn cut(&self, _calls: &[(CallId, Cut)]) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn span_cut(&self, _spans: &[(i64, Cut)]) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn shrink(&self, _thoroughly: bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn progress(&self, _job: &str) -> Result<i64, StoreError> {
        Ok(0)
    }

    fn progress_set(&self, _job: &str, _at: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn spool_positions(&self) -> Result<Vec<SpoolPosition>, StoreError> {
        self.check()?;
        let known = self.positions.lock().unwrap();
        let place = |(worker, (segment, offset)): (&String, &(u64, u64))| SpoolPosition {
            worker: worker.clone(),
            segment: *segment,
            offset: *offset,
        };
        Ok(known.iter().map(place).collect())
    }

    fn trace_find(&self, _: &TraceFilter) -> Result<TracePage, StoreError> {
        Ok(TracePage::default())
    }

    fn index_step(&self, _: u32) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn trace_get(&self, id: CallId) -> Result<Option<StoredCall>, StoreError> {
        Ok(self.calls.lock().unwrap().iter().find(|call| call.record.id == id).cloned())
    }

    fn spend(&self, _: &SpendQuery) -> Result<Vec<SpendRow>, StoreError> {
        Ok(vec![])
    }

    fn overview(&self, _: Timestamp, _: Timestamp, _: Grain) -> Result<Overview, StoreError> {
        Ok(Overview::default())
    }

    fn budget_spent(&self, _: Day) -> Result<Vec<BudgetSpent>, StoreError> {
        Ok(vec![])
    }

    keeps_no_bills!();

    fn ping(&self) -> Result<(), StoreError> {
        self.check()
    }
}

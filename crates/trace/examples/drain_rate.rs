//! CPU time of a record's way, without what the store takes: `cargo run --release --example drain_rate -- 200000`.
//!
//! Prints microseconds of CPU a call for writing (`open` and `close` with 3.5 KB of texts) and for draining into a store
//! that keeps nothing, and what an idle drainer uses. With a profile behind the number, each record is exported as well, and
//! with `gzip` behind that the requests are compressed as the gateway does. Linux only: reads the scheduler's figures of
//! each thread.

#[path = "../tests/it/support.rs"]
#[allow(dead_code)]
mod support;

use std::{fs, io::Write, sync::Arc, thread, time::Duration};

use flate2::{Compression, write::GzEncoder};

use gauntlet_ports::{
    Arrived, BudgetSpent, Correction, Cut, Grain, Overview, Reconciliation, RecordCursor, RecordPage,
    RecordQuery, Repricing, SpanFilter, SpanRow, SpendQuery, SpendRow, Spool, SpoolPosition, StoreError,
    StoredCall, StoredSpan, TraceFilter, TracePage, TraceStore,
};
use gauntlet_trace::{Drainer, DrainerConfig, Exporter, Exporters, FileSpool, Posted, SpoolLimits};
use gauntlet_types::{CallId, Day, ExportProfile, SpanId, Timestamp, TraceId};

struct Nowhere;

impl TraceStore for Nowhere {
    fn import(&self, batch: Arrived<'_>) -> Result<usize, StoreError> {
        self.append(batch, &[])
    }
    fn append(&self, batch: Arrived<'_>, _: &[SpoolPosition]) -> Result<usize, StoreError> {
        Ok(batch.calls.len() + batch.spans.len())
    }

    fn span_find(&self, _filter: &SpanFilter) -> Result<Vec<SpanRow>, StoreError> {
        Ok(Vec::new())
    }

    fn span_get(&self, _trace: TraceId, _span: SpanId) -> Result<Option<StoredSpan>, StoreError> {
        Ok(None)
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
        Ok(vec![])
    }
    fn trace_find(&self, _: &TraceFilter) -> Result<TracePage, StoreError> {
        Ok(TracePage::default())
    }

    fn index_step(&self, _: u32) -> Result<usize, StoreError> {
        Ok(0)
    }
    fn trace_get(&self, _: CallId) -> Result<Option<StoredCall>, StoreError> {
        Ok(None)
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
    fn record_page(
        &self,
        _: &RecordQuery,
        _: Option<RecordCursor>,
        _: u32,
    ) -> Result<RecordPage, StoreError> {
        Ok(RecordPage { calls: vec![], next: None })
    }
    fn reprice(&self, _: &Repricing, _: &[Correction<'_>]) -> Result<u64, StoreError> {
        Ok(0)
    }
    fn repricing_list(&self, _: u32) -> Result<Vec<Repricing>, StoreError> {
        Ok(vec![])
    }
    fn reconciliation_add(&self, _: &Reconciliation) -> Result<(), StoreError> {
        Ok(())
    }
    fn reconciliation_list(&self, _: u32) -> Result<Vec<Reconciliation>, StoreError> {
        Ok(vec![])
    }
    fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// CPU time of this process' threads of that name, in microseconds.
fn cpu_us(name: &str) -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux").flatten().map(|task| task.path());
    let named =
        tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    let nanos = named.filter_map(|task| {
        fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1000.0
}

fn main() {
    let calls: u64 =
        std::env::args().nth(1).map_or(100_000, |count| count.parse().expect("a number of calls"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).expect("a spool");
    let texts = support::texts();
    let records: Vec<_> = (0..1000).map(|n| (support::opening(n), support::record(n))).collect();

    let before = cpu_us("drain_rate");
    for n in 0..calls {
        let (opening, record) = &records[(n % 1000) as usize];
        spool.open(opening).expect("room on the disk");
        spool.close(record, &texts).expect("room on the disk");
    }
    println!("write: {:.2} µs of CPU a call", (cpu_us("drain_rate") - before) / calls as f64);

    let exporters = Arc::new(Exporters::new(&dir.path().join("export")));
    if let Some(name) = std::env::args().nth(2) {
        exporters.start(vec![exporter(&name)]).expect("a queue");
    }
    let exporters_too = Some(Arc::clone(&exporters));
    let drainer = Drainer::start_with(dir.path(), Arc::new(Nowhere), DrainerConfig::default(), exporters_too)
        .expect("a drainer");
    drainer.follow(&spool);
    drainer.flush(Duration::from_secs(600)).expect("everything drained");
    println!("drain: {:.2} µs of CPU a call", cpu_us("drainer") / calls as f64);
    while exporters.stats().iter().any(|(_, stats)| stats.queue_spans > 0) {
        thread::sleep(Duration::from_millis(10));
    }
    println!("send:  {:.2} µs of CPU a call", cpu_us("export-sink") / calls as f64);
    for (_, stats) in exporters.stats() {
        println!("       {} spans sent, {} dropped", stats.sent, stats.dropped);
    }

    let before = cpu_us("drainer");
    thread::sleep(Duration::from_secs(5));
    println!("idle:  {:.4} % of a core", (cpu_us("drainer") - before) / 5e6 * 100.0);
    drainer.stop().expect("a store that takes everything");
}

/// A receiver that takes everything at once.
fn exporter(profile: &str) -> Exporter {
    let is_packing = std::env::args().nth(3).is_some_and(|word| word == "gzip");
    Exporter {
        name: "sink".into(),
        profile: ExportProfile::ALL.into_iter().find(|one| one.as_str() == profile).expect("a profile"),
        queue_bytes: 4 << 30,
        with_texts: true,
        resource: vec![],
        version: "1".to_owned(),
        servers: Arc::default(),
        post: Arc::new(move |body| {
            if is_packing {
                let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                packed.write_all(body).expect("a vector takes everything");
            }
            Posted::Taken
        }),
    }
}

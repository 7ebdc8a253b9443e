//! What recording costs the call: `cargo bench -p gauntlet-trace`. Wall time on a quiet machine; see also the example
//! `drain_rate` for CPU time and the drainer's side.

#[path = "../tests/it/support.rs"]
#[allow(dead_code)]
mod support;

use divan::{Bencher, black_box};
use gauntlet_ports::{Spool, Texts};
use gauntlet_trace::{FileSpool, LineSink, LineTarget, Metrics, Rotation, SpoolLimits, line, segment};

fn main() {
    divan::main();
}

fn spool() -> (tempfile::TempDir, FileSpool) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).expect("a spool");
    (dir, spool)
}

#[divan::bench(sample_count = 200, sample_size = 200)]
fn open(bencher: Bencher) {
    let (_dir, spool) = spool();
    let record = support::opening(1);
    bencher.bench_local(|| spool.open(black_box(&record)));
}

#[divan::bench(sample_count = 200, sample_size = 200)]
fn close_3500_bytes(bencher: Bencher) {
    let (_dir, spool) = spool();
    let (record, texts) = (support::record(1), support::texts());
    bencher.bench_local(|| spool.close(black_box(&record), &texts));
}

#[divan::bench(sample_count = 200, sample_size = 200)]
fn close_without_texts(bencher: Bencher) {
    let (_dir, spool) = spool();
    let (record, texts) = (support::record(1), Texts::default());
    bencher.bench_local(|| spool.close(black_box(&record), &texts));
}

#[divan::bench(sample_count = 100, sample_size = 50)]
fn close_35000_bytes(bencher: Bencher) {
    let (_dir, spool) = spool();
    let record = support::record(1);
    let texts = support::texts();
    let texts = Texts { input: texts.input.repeat(10).into(), output: texts.output.repeat(10).into() };
    bencher.bench_local(|| spool.close(black_box(&record), &texts));
}

#[divan::bench]
fn record_alone(bencher: Bencher) {
    let record = support::record(1);
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        segment::push_record(black_box(&record), &mut out).expect("a vector takes everything");
        out.len()
    });
}

#[divan::bench]
fn record_read_back(bencher: Bencher) {
    let mut bytes = Vec::new();
    segment::push_record(&support::record(1), &mut bytes).expect("a vector takes everything");
    bencher.bench_local(|| segment::read_record(black_box(&bytes)));
}

#[divan::bench]
fn observe(bencher: Bencher) {
    let metrics = Metrics::new();
    let record = support::record(1);
    bencher.bench_local(|| metrics.observe(black_box(&record)));
}

#[divan::bench(threads = [1, 2])]
fn observe_shared(bencher: Bencher) {
    let metrics = Metrics::new();
    let record = support::record(1);
    bencher.bench(|| metrics.observe(black_box(&record)));
}

#[divan::bench]
fn log_line(bencher: Bencher) {
    let record = support::record(1);
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        line(black_box(&record), &mut out);
        out.len()
    });
}

#[divan::bench(sample_count = 100, sample_size = 100)]
fn log_line_queued(bencher: Bencher) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sink = LineSink::start(LineTarget::File {
        path: dir.path().join("log"),
        rotation: Rotation { bytes: u64::MAX, keep: 1 },
    })
    .expect("a sink");
    let record = support::record(1);
    bencher.bench_local(|| sink.write(black_box(&record)));
}

#[divan::bench]
fn scrape(bencher: Bencher) {
    let metrics = Metrics::new();
    for number in 0..20 {
        let route = format!("route_{number}").into();
        metrics.observe(&gauntlet_types::CallRecord { route, ..support::record(number) });
    }
    bencher.bench_local(|| metrics.render(&[]).len());
}

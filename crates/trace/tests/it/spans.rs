//! Spans of applications on their way into the store, beside the calls.

use std::{fs, path::Path, sync::Arc, thread, time::Duration};

use gauntlet_ports::{Spool, SpoolError, StoredSpan, TraceStore};
use gauntlet_trace::{Drainer, DrainerConfig, DrainerHandle, FileSpool, SpoolLimits, recover, segment};
use gauntlet_types::{SpanId, TraceId};

use crate::{memory_store::MemoryStore, support};

const PATIENCE: Duration = Duration::from_secs(20);
const SMALL: SpoolLimits =
    SpoolLimits { segment_bytes: 20_000, entry_bytes: 1 << 20, backlog_bytes: 1 << 20 };

fn spans(numbers: std::ops::Range<u64>) -> Vec<StoredSpan> {
    numbers.map(support::span).collect()
}

fn start(dir: &Path, store: &Arc<MemoryStore>) -> DrainerHandle {
    let ms = Duration::from_millis;
    let config = DrainerConfig {
        linger: ms(10),
        poll: ms(5),
        backoff_min: ms(5),
        backoff_max: ms(40),
        ..DrainerConfig::default()
    };
    Drainer::start(dir, Arc::clone(store) as _, config).unwrap()
}

#[test]
fn calls_and_spans_mixed_reach_the_store_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    for n in 0..100 {
        spool.open(&support::opening(n)).unwrap();
        spool.spans(&spans(n * 3..n * 3 + 3)).unwrap();
        spool.close(&support::record(n), &support::texts()).unwrap();
    }
    spool.spans(&[]).unwrap();
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.ids(), (0..100).map(support::id).collect::<Vec<_>>());
    assert_eq!(store.span_ids(), (0..300).collect::<Vec<_>>());
    let wanted = support::span(7);
    let found = store.span_get(wanted.record.trace_id, SpanId(7)).unwrap().unwrap();
    assert_eq!((&found.input, &found.output, &found.rest), (&wanted.input, &wanted.output, &wanted.rest));
    assert_eq!(format!("{:?}", found.record), format!("{:?}", wanted.record));
    assert_eq!(store.span_get(TraceId(1), SpanId(7)).unwrap().map(|span| span.record.name), None);
    assert_eq!(segment::list(dir.path()).unwrap().len(), 1, "only the one being written is left");
    assert_eq!((drainer.stats().records_stored, drainer.stats().spool_bytes_waiting), (400, 0));
}

#[test]
fn a_store_that_fails_for_a_while_loses_no_span() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    store.fail(true);
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    (0..50).for_each(|n| spool.spans(&spans(n * 10..n * 10 + 10)).unwrap());
    assert!(drainer.flush(Duration::from_millis(50)).is_err());
    assert!(segment::list(dir.path()).unwrap().len() > 10, "segments wait on disk");
    store.fail(false);
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.span_ids(), (0..500).collect::<Vec<_>>());
}

/// Death is a handle dropped without `stop`.
#[test]
fn death_at_any_time_and_recovery_keep_every_span_once() {
    for round in 0..10u64 {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        let drainer = start(dir.path(), &store);
        let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
        drainer.follow(&spool);
        for n in 0..60 {
            spool.spans(&spans(n * 5..n * 5 + 5)).unwrap();
            spool.open(&support::opening(n)).unwrap();
            if n % 10 != 0 {
                spool.close(&support::record(n), &support::texts()).unwrap();
            }
        }
        thread::sleep(Duration::from_millis(round * 3));
        drop(drainer);
        let until = std::time::Instant::now() + PATIENCE;
        while Arc::strong_count(&store) > 1 {
            assert!(std::time::Instant::now() < until, "the drainer ended");
            thread::sleep(Duration::from_millis(2));
        }
        drop(spool);
        recover(dir.path(), &*store, support::NOW).unwrap();
        assert_eq!((store.span_ids(), store.count()), ((0..300).collect(), 60), "round {round}");
        assert!(segment::list(dir.path()).unwrap().is_empty());
        assert_eq!(recover(dir.path(), &*store, support::NOW).unwrap().replayed, 0);
    }
}

#[test]
fn recovery_cut_off_anywhere_and_done_again_keeps_each_once() {
    for survives in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let store = MemoryStore::default();
        let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
        for n in 0..10 {
            spool.spans(&spans(n * 5..n * 5 + 5)).unwrap();
            spool.close(&support::record(n), &support::texts()).unwrap();
        }
        *store.appends_left.lock().unwrap() = Some(survives);
        let first = recover(dir.path(), &store, support::NOW);
        *store.appends_left.lock().unwrap() = None;
        recover(dir.path(), &store, support::NOW).unwrap();
        assert_eq!((store.span_ids(), store.count()), ((0..50).collect(), 10), "died at append {survives}");
        if first.is_ok() {
            assert!(survives > 2);
            break;
        }
    }
}

#[test]
fn spans_cut_in_half_at_any_byte_are_left_out_whole() {
    let dir = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
    spool.spans(&spans(0..2)).unwrap();
    let path = segment::list(dir.path()).unwrap()[0].path(dir.path());
    let before = fs::metadata(&path).unwrap().len() as usize;
    spool.spans(&spans(2..4)).unwrap();
    let bytes = fs::read(&path).unwrap();
    for cut in before..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let store = MemoryStore::default();
        let found = recover(dir.path(), &store, support::NOW).unwrap();
        let whole = if cut == bytes.len() { 4 } else { 2 };
        assert_eq!(
            (store.span_ids(), found.replayed),
            ((0..whole).collect(), whole as usize),
            "cut at {cut}"
        );
        assert_eq!(found.torn, usize::from(cut > before && cut < bytes.len()));
    }
}

#[test]
fn spans_that_cannot_be_read_stop_nothing_and_are_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
    (0..3).for_each(|n| spool.spans(&spans(n * 2..n * 2 + 2)).unwrap());
    let path = segment::list(dir.path()).unwrap()[0].path(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // And a whole entry of a version that says it in another way.
    let mut entry = vec![0; segment::HEADER_BYTES];
    entry.extend_from_slice(b"\x81\xa4from\xa6future");
    segment::seal(&mut entry, segment::Kind::Spans, support::id(1), b"", b"");
    bytes.extend_from_slice(&entry);
    fs::write(&path, &bytes).unwrap();
    let store = MemoryStore::default();
    let found = recover(dir.path(), &store, support::NOW).unwrap();
    assert_eq!((store.span_ids(), found.replayed), (vec![0, 1, 4, 5], 4));
    assert!(path.with_extension("seg.damaged").exists());
}

#[test]
fn a_batch_that_is_too_large_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { entry_bytes: 8_000, ..SpoolLimits::default() };
    let spool = FileSpool::open(dir.path(), "w0", limits).unwrap();
    let refused = spool.spans(&spans(0..20));
    assert!(matches!(refused, Err(SpoolError::TooLarge { limit: 8_000, .. })), "{refused:?}");
    spool.spans(&spans(20..22)).unwrap();
    let store = MemoryStore::default();
    recover(dir.path(), &store, support::NOW).unwrap();
    assert_eq!(store.span_ids(), [20, 21]);
}

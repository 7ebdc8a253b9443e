use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use gauntlet_ports::{Spool, Texts};
use gauntlet_trace::{
    Drainer, DrainerConfig, DrainerHandle, FileSpool, SpoolLimits, TraceError, recover, segment,
};
use gauntlet_types::Outcome;

use crate::{memory_store::MemoryStore, support};

const PATIENCE: Duration = Duration::from_secs(20);
const SMALL: SpoolLimits =
    SpoolLimits { segment_bytes: 20_000, entry_bytes: 4 << 20, backlog_bytes: 1 << 20 };

fn config() -> DrainerConfig {
    let ms = Duration::from_millis;
    DrainerConfig {
        linger: ms(10),
        poll: ms(5),
        backoff_min: ms(5),
        backoff_max: ms(40),
        ..DrainerConfig::default()
    }
}

fn start(dir: &Path, store: &Arc<MemoryStore>) -> DrainerHandle {
    Drainer::start(dir, Arc::clone(store) as _, config()).unwrap()
}

/// The drainer has its own thread and its own time; a claim about it must come true soon.
fn soon(what: &str, claim: impl Fn() -> bool) {
    let start = Instant::now();
    while !claim() {
        assert!(start.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn records_reach_the_store_in_order_and_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    for n in 0..200 {
        spool.open(&support::opening(n)).unwrap();
        spool.close(&support::record(n), &support::texts()).unwrap();
    }
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.ids(), (0..200).map(support::id).collect::<Vec<_>>());
    assert_eq!(store.get(7).unwrap().output, support::texts().output);
    assert_eq!(segment::list(dir.path()).unwrap().len(), 1, "only the one being written is left");
    let stats = drainer.stats();
    assert_eq!((stats.records_stored, stats.spool_bytes_waiting, stats.segments), (200, 0, 1));
    assert!(stats.batches < 200 && !stats.store_failing);
    drainer.stop().unwrap();
}

#[test]
fn a_record_needs_no_flush() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    spool.close(&support::record(1), &Texts::default()).unwrap();
    soon("stored", || store.count() == 1);
    thread::sleep(Duration::from_millis(30));
    spool.close(&support::record(2), &Texts::default()).unwrap();
    soon("stored", || store.count() == 2);
}

#[test]
fn four_workers_under_load_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let drainer = start(dir.path(), &store);
    thread::scope(|scope| {
        for worker in 0..4u64 {
            let spool = FileSpool::open(dir.path(), &format!("w{worker}"), SMALL).unwrap();
            drainer.follow(&spool);
            scope.spawn(move || {
                for n in 0..500 {
                    spool.open(&support::opening(worker * 1000 + n)).unwrap();
                    spool.close(&support::record(worker * 1000 + n), &support::texts()).unwrap();
                }
            });
        }
    });
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.count(), 2000);
    assert_eq!(segment::list(dir.path()).unwrap().len(), 4);
}

#[test]
fn a_store_that_fails_for_a_while_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    store.fail(true);
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    let write = |range: std::ops::Range<u64>| {
        range.for_each(|n| spool.close(&support::record(n), &support::texts()).unwrap());
    };
    write(0..20);
    soon("said to fail at the start", || drainer.stats().store_failing);
    store.fail(false);
    drainer.flush(PATIENCE).unwrap();
    assert!(!drainer.stats().store_failing);
    store.fail(true);
    write(20..120);
    soon("said to fail", || {
        drainer.stats().store_failing && drainer.stats().spool_bytes_waiting > 100 * 3_500
    });
    assert!(drainer.stats().last_error.unwrap().contains("told to"));
    assert!(matches!(drainer.flush(Duration::from_millis(50)), Err(TraceError::NotDrained { .. })));
    assert!(segment::list(dir.path()).unwrap().len() > 10, "segments wait on disk");
    store.fail(false);
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.ids(), (0..120).map(support::id).collect::<Vec<_>>());
    assert_eq!(drainer.stats().spool_bytes_waiting, 0);
    assert!(drainer.stats().store_failures > 1);
}

#[test]
fn a_call_in_flight_keeps_the_segment_it_was_opened_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    spool.open(&support::opening(1000)).unwrap();
    let first = segment::list(dir.path()).unwrap()[0].clone();
    (0..100).for_each(|n| spool.close(&support::record(n), &support::texts()).unwrap());
    drainer.flush(PATIENCE).unwrap();
    let left = segment::list(dir.path()).unwrap();
    assert_eq!((left.len(), &left[0]), (2, &first), "the first and the one being written");
    spool.close(&support::record(1000), &support::texts()).unwrap();
    drainer.flush(PATIENCE).unwrap();
    assert!(!first.path(dir.path()).exists());
    assert_eq!(store.get(1000).unwrap().record.outcome, Outcome::Ok);
}

/// Death is a handle dropped without `stop`: the thread ends where it is, as far as the spool and the store can tell.
#[test]
fn death_at_any_time_and_recovery_leave_the_books_right() {
    for round in 0..12u64 {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        let drainer = start(dir.path(), &store);
        let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
        drainer.follow(&spool);
        for n in 0..100 {
            spool.open(&support::opening(n)).unwrap();
            // Every tenth call never ends.
            if n % 10 != 0 {
                spool.close(&support::record(n), &support::texts()).unwrap();
            }
        }
        thread::sleep(Duration::from_millis(round * 3));
        drop(drainer);
        // The thread of the dead process must be gone, as it would be.
        soon("the drainer ended", || Arc::strong_count(&store) == 1);
        drop(spool);
        recover(dir.path(), &*store, support::NOW).unwrap();
        assert_eq!(store.count(), 100, "round {round}");
        let cost =
            |n: u64| if n.is_multiple_of(10) { support::record(n).held } else { support::record(n).cost };
        assert_eq!(store.spent(), (0..100).map(cost).sum());
        assert!(segment::list(dir.path()).unwrap().is_empty());
    }
}

#[test]
fn a_restart_without_recovery_goes_on_where_the_store_stands() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let write = |range: std::ops::Range<u64>| {
        let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
        range.for_each(|n| spool.close(&support::record(n), &support::texts()).unwrap());
        spool
    };
    let spool = write(0..10);
    let drainer = start(dir.path(), &store);
    drainer.follow(&spool);
    drainer.stop().unwrap();
    assert_eq!(store.count(), 10);
    drop(spool);
    let appends = store.appends.load(Ordering::SeqCst);
    let spool = write(10..20);
    let drainer = start(dir.path(), &store);
    drainer.follow(&spool);
    drainer.flush(PATIENCE).unwrap();
    assert_eq!((store.count(), drainer.stats().records_stored), (20, 10));
    assert_eq!(store.appends.load(Ordering::SeqCst), appends + 1, "the first ten were not sent again");
    assert_eq!(segment::list(dir.path()).unwrap().len(), 1);
}

#[test]
fn another_processes_spool_is_followed_by_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let spool = FileSpool::open(dir.path(), "w9", SMALL).unwrap();
    (0..49).for_each(|n| spool.close(&support::record(n), &support::texts()).unwrap());
    let drainer = start(dir.path(), &store);
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.count(), 49);
    // Half an entry is waited for, and read once it is whole.
    let last = segment::list(dir.path()).unwrap().pop().unwrap().path(dir.path());
    let before = fs::read(&last).unwrap();
    spool.close(&support::record(49), &support::texts()).unwrap();
    let after = fs::read(&last).unwrap();
    fs::write(&last, &after[..before.len() + 100]).unwrap();
    drainer.flush(PATIENCE).unwrap();
    assert_eq!((store.count(), drainer.stats().damaged_bytes), (49, 0));
    fs::write(&last, &after).unwrap();
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.count(), 50);
}

#[test]
fn a_damaged_segment_does_not_stop_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    (0..30).for_each(|n| spool.close(&support::record(n), &support::texts()).unwrap());
    let first = segment::list(dir.path()).unwrap()[0].path(dir.path());
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 10].fill(0);
    fs::write(&first, bytes).unwrap();
    let drainer = start(dir.path(), &store);
    drainer.follow(&spool);
    drainer.flush(PATIENCE).unwrap();
    assert!((28..30).contains(&store.count()), "{}", store.count());
    assert!(drainer.stats().damaged_bytes > 0);
    assert!(first.with_extension("seg.damaged").exists());
}

#[test]
fn entries_larger_than_a_chunk_pass() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    let large = |n: u8| Texts { input: vec![n; 3 << 20].into(), output: vec![n; 100].into() };
    for n in 0..5 {
        spool.close(&support::record(n), &large(n as u8)).unwrap();
        spool.close(&support::record(100 + n), &Texts::default()).unwrap();
    }
    drainer.flush(PATIENCE).unwrap();
    assert_eq!(store.count(), 10);
    assert_eq!(store.get(4).unwrap().input, large(4).input);
}

#[test]
fn a_slow_listener_misses_records_and_a_quick_one_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let config = DrainerConfig { subscriber_records: 50, ..config() };
    let drainer = Drainer::start(dir.path(), Arc::clone(&store) as _, config).unwrap();
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    let (slow, quick) = (drainer.subscribe().unwrap(), drainer.subscribe().unwrap());
    drop(drainer.subscribe());
    for n in 0..80 {
        spool.close(&support::record(n), &Texts::default()).unwrap();
        drainer.flush(PATIENCE).unwrap();
        assert_eq!(quick.recv_timeout(PATIENCE).unwrap().id, support::id(n));
    }
    assert_eq!(slow.try_iter().count(), 50);
    assert_eq!(drainer.stats().tail_dropped, 30);
    drainer.stop().unwrap();
    assert!(quick.recv_timeout(PATIENCE).is_err(), "a tail ends with the drainer");
}

#[test]
fn stopping_stores_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let drainer = start(dir.path(), &store);
    let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
    drainer.follow(&spool);
    (0..700).for_each(|n| spool.close(&support::record(n), &Texts::default()).unwrap());
    drainer.stop().unwrap();
    assert_eq!(store.count(), 700);
    store.fail(true);
    let drainer = start(dir.path(), &store);
    drainer.follow(&spool);
    spool.close(&support::record(700), &Texts::default()).unwrap();
    assert!(drainer.stop().is_err(), "a store that fails is said");
}

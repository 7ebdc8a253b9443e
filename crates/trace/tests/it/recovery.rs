use std::{fs, path::Path, sync::Arc, time::Duration};

use gauntlet_ports::{Spool, Texts, TraceStore};
use gauntlet_trace::{
    Drainer, FileSpool, Recovered, SpoolLimits, recover, recover::INTERRUPTED_LATENCY_MAX, segment,
};
use gauntlet_types::{CallRecord, Code, Outcome, Timestamp};

use crate::{memory_store::MemoryStore, support};

const LATER: Timestamp = Timestamp(support::NOW.0 + 5_000_000);
const SMALL: SpoolLimits =
    SpoolLimits { segment_bytes: 20_000, entry_bytes: 1 << 20, backlog_bytes: 1 << 20 };

/// Twenty calls by two workers, of which calls 18 and 19 are still in flight. Nothing is stopped in order.
fn die_with_calls_in_flight(dir: &Path) {
    let spools = ["w0", "w1"].map(|worker| FileSpool::open(dir, worker, SMALL).unwrap());
    for n in 0..20 {
        spools[n as usize % 2].open(&support::opening(n)).unwrap();
    }
    for n in 0..18 {
        spools[n as usize % 2].close(&support::record(n), &support::texts()).unwrap();
    }
}

#[test]
fn calls_are_found_again_and_those_in_flight_cost_what_they_held() {
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    die_with_calls_in_flight(dir.path());
    let found = recover(dir.path(), &store, LATER).unwrap();
    assert_eq!((found.replayed, found.interrupted, found.torn, found.damaged_bytes), (18, 2, 0, 0));
    assert!(found.bytes > 18 * 3_500);
    let call = store.get(19).unwrap();
    let interrupted = &call.record;
    assert_eq!((interrupted.outcome, interrupted.error), (Outcome::Interrupted, Some(Code::Interrupted)));
    assert_eq!((interrupted.cost, interrupted.latency_us), (interrupted.held, 5_000_000));
    assert_eq!(store.get(3).unwrap().input, support::texts().input);
    assert!(segment::list(dir.path()).unwrap().is_empty());
    assert_eq!(recover(dir.path(), &store, LATER).unwrap(), Recovered::default());
}

#[test]
fn recovery_cut_off_anywhere_and_done_again_charges_once() {
    let expected = {
        let dir = tempfile::tempdir().unwrap();
        let store = MemoryStore::default();
        die_with_calls_in_flight(dir.path());
        recover(dir.path(), &store, LATER).unwrap();
        store.spent()
    };
    for survives in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let store = MemoryStore::default();
        die_with_calls_in_flight(dir.path());
        *store.appends_left.lock().unwrap() = Some(survives);
        let first = recover(dir.path(), &store, LATER);
        *store.appends_left.lock().unwrap() = None;
        recover(dir.path(), &store, LATER).unwrap();
        assert_eq!((store.count(), store.spent()), (20, expected), "died at append {survives}");
        if first.is_ok() {
            assert!(survives > 3);
            break;
        }
    }
}

#[test]
fn a_clock_set_back_between_two_runs_hides_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let run = |numbers: std::ops::Range<u64>, at: Timestamp| {
        recover(dir.path(), &*store, at).unwrap();
        let spool = FileSpool::open(dir.path(), "w0", SMALL).unwrap();
        let drainer = Drainer::start(dir.path(), store.clone(), Default::default()).unwrap();
        drainer.follow(&spool);
        for n in numbers {
            spool.close(&CallRecord { started: at, ..support::record(n) }, &support::texts()).unwrap();
        }
        drainer.flush(Duration::from_secs(5)).unwrap();
    };
    run(0..3, LATER);
    run(3..6, support::NOW);
    assert_eq!(store.count(), 6);
}

#[test]
fn segments_that_come_back_change_nothing() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = MemoryStore::default();
    die_with_calls_in_flight(dir.path());
    for name in segment::list(dir.path()).unwrap() {
        fs::copy(name.path(dir.path()), name.path(copy.path())).unwrap();
    }
    recover(dir.path(), &store, LATER).unwrap();
    let spent = store.spent();
    // As if the process had died after the last append and before the first removal.
    let again = recover(copy.path(), &store, LATER).unwrap();
    assert_eq!((again.replayed, again.interrupted, store.spent()), (0, 0, spent));
    // And as if only some had been removed: the `open`s of settled calls remain without their `close`.
    let dir = tempfile::tempdir().unwrap();
    die_with_calls_in_flight(dir.path());
    let names = segment::list(dir.path()).unwrap();
    fs::remove_file(names[names.len() - 1].path(dir.path())).unwrap();
    let again = recover(dir.path(), &store, LATER).unwrap();
    assert_eq!((again.replayed, again.interrupted, store.spent()), (0, 0, spent));
}

#[test]
fn a_write_that_the_process_died_in_is_left_out_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
    spool.open(&support::opening(1)).unwrap();
    let path = segment::list(dir.path()).unwrap()[0].path(dir.path());
    let before = fs::metadata(&path).unwrap().len() as usize;
    spool.close(&support::record(1), &support::texts()).unwrap();
    let bytes = fs::read(&path).unwrap();
    for cut in before..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let store = MemoryStore::default();
        let found = recover(dir.path(), &store, LATER).unwrap();
        let outcome = store.get(1).unwrap().record.outcome;
        let expected = if cut == bytes.len() { Outcome::Ok } else { Outcome::Interrupted };
        assert_eq!((outcome, store.count()), (expected, 1), "cut at {cut}");
        assert_eq!(found.torn, usize::from(cut > before && cut < bytes.len()));
    }
}

#[test]
fn a_damaged_segment_gives_what_it_can_and_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
    (0..3).for_each(|n| spool.close(&support::record(n), &support::texts()).unwrap());
    let path = segment::list(dir.path()).unwrap()[0].path(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let store = MemoryStore::default();
    let found = recover(dir.path(), &store, LATER).unwrap();
    assert_eq!((found.replayed, found.damaged_bytes), (2, bytes.len() as u64 / 3));
    assert_eq!(store.ids(), [support::id(0), support::id(2)]);
    assert!(!path.exists() && path.with_extension("seg.damaged").exists());
}

#[test]
fn a_record_of_another_version_is_put_aside_not_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; segment::HEADER_BYTES];
    bytes.extend_from_slice(b"\x81\xa4from\xa6future");
    segment::seal(&mut bytes, segment::Kind::Open, support::id(1), b"", b"");
    let path = dir.path().join("w0-1.seg");
    fs::write(&path, &bytes).unwrap();
    let found = recover(dir.path(), &MemoryStore::default(), LATER).unwrap();
    assert_eq!((found.interrupted, found.damaged_bytes), (0, 0));
    assert!(path.with_extension("seg.damaged").exists());
}

#[test]
fn a_week_of_darkness_does_not_make_a_week_long_call() {
    let dir = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
    spool.open(&support::opening(1)).unwrap();
    // A clock that was set back gives no negative latency.
    let ahead = CallRecord { started: Timestamp(LATER.0 + 1_000_000_000_000), ..support::opening(2) };
    spool.open(&ahead).unwrap();
    let store = MemoryStore::default();
    recover(dir.path(), &store, Timestamp(LATER.0 + 604_800_000_000)).unwrap();
    assert_eq!(store.get(1).unwrap().record.latency_us, INTERRUPTED_LATENCY_MAX.as_micros() as u64);
    assert_eq!(store.get(2).unwrap().record.latency_us, 0);
}

#[test]
fn a_failing_store_leaves_everything_for_the_next_try() {
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    die_with_calls_in_flight(dir.path());
    let before = segment::list(dir.path()).unwrap();
    store.fail(true);
    assert!(recover(dir.path(), &store, LATER).is_err());
    assert_eq!(segment::list(dir.path()).unwrap(), before);
    store.fail(false);
    assert_eq!(recover(dir.path(), &store, LATER).unwrap().replayed, 18);
}

#[test]
fn no_folder_means_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    assert_eq!(recover(&dir.path().join("none"), &store, LATER).unwrap(), Recovered::default());
    assert!(store.spool_positions().unwrap().is_empty());
    let spool = FileSpool::open(&dir.path().join("deep/er"), "w0", SpoolLimits::default()).unwrap();
    spool.close(&support::record(1), &Texts::default()).unwrap();
}

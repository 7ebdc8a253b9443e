use std::{fs, path::Path};

use bytes::Bytes;
use gauntlet_ports::{Spool, SpoolError, Texts};
use gauntlet_trace::{
    FileSpool, SpoolLimits, TraceError,
    segment::{self, Entry, Kind, Reach, Step, Walk},
};
use gauntlet_types::{CallRecord, Timestamp};
use proptest::prelude::*;

use crate::support;

/// Every whole entry of a folder, in order; fails on damage.
pub fn entries(dir: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    for name in segment::list(dir).unwrap() {
        let bytes = fs::read(name.path(dir)).unwrap();
        let mut walk = Walk::new(Bytes::from(bytes), Reach::WholeSegment);
        loop {
            match walk.step() {
                Step::Entry(entry) => found.push(entry),
                Step::End => break,
                other => panic!("{} at {}: {other:?}", name.number, walk.at()),
            }
        }
    }
    found
}

#[test]
fn a_call_reads_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
    let (opening, record, texts) = (support::opening(1), support::record(1), support::texts());
    spool.open(&opening).unwrap();
    spool.close(&record, &texts).unwrap();
    spool.sync().unwrap();
    let [open, close] = &entries(dir.path())[..] else { panic!("two entries") };
    assert_eq!((open.kind, open.id, close.kind, close.id), (Kind::Open, record.id, Kind::Close, record.id));
    let same = |entry: &Entry, record: &CallRecord| {
        let read: CallRecord = entry.read_record().unwrap();
        assert_eq!(format!("{read:?}"), format!("{record:?}"));
    };
    same(open, &opening);
    same(close, &record);
    assert_eq!((&close.input, &close.output), (&texts.input, &texts.output));
}

#[test]
fn a_version_with_other_fields_reads_the_record_all_the_same() {
    let mut bytes = Vec::new();
    segment::push_record(&support::record(1), &mut bytes).unwrap();
    // One field under a name not known here, one more at the end: the map's count stands in bytes 1 and 2.
    let sdk = bytes.windows(4).position(|at| at == b"\xa3sdk").unwrap();
    bytes[sdk + 3] = b'l';
    assert_eq!(bytes[..2], [0xde, 0]);
    bytes[2] += 1;
    bytes.extend_from_slice(b"\xa4mood\x82\xa2of\x92\xa3the\xa5model\xa5score\x01");
    let read = segment::read_record(&bytes).unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", CallRecord { sdk: None, ..support::record(1) }));
}

#[test]
fn segments_turn_over_and_their_numbers_never_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { segment_bytes: 8_000, ..SpoolLimits::default() };
    let write = |count: u64| {
        let spool = FileSpool::open(dir.path(), "w0", limits).unwrap();
        (0..count).for_each(|n| spool.close(&support::record(n), &support::texts()).unwrap());
        spool.sync().unwrap();
    };
    write(10);
    let first = segment::list(dir.path()).unwrap();
    assert!(first.len() >= 5, "{}", first.len());
    assert_eq!(first[0].number, support::NOW.0 as u64);
    assert_eq!(entries(dir.path()).len(), 10);
    write(1);
    let again = segment::list(dir.path()).unwrap();
    assert_eq!(again.len(), first.len() + 1);
    // An emptied folder starts where the time of the records stands, not at a number that the store has seen.
    again.iter().for_each(|name| fs::remove_file(name.path(dir.path())).unwrap());
    let spool = FileSpool::open(dir.path(), "w0", limits).unwrap();
    let later = CallRecord { started: Timestamp(support::NOW.0 + 60_000_000), ..support::record(1) };
    spool.close(&later, &Texts::default()).unwrap();
    assert!(segment::list(dir.path()).unwrap()[0].number > again[again.len() - 1].number);
}

#[test]
fn a_record_that_is_too_large_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { entry_bytes: 8_000, ..SpoolLimits::default() };
    let spool = FileSpool::open(dir.path(), "w0", limits).unwrap();
    let texts = Texts { input: vec![b'x'; 8_000].into(), output: Bytes::new() };
    let refused = spool.close(&support::record(1), &texts);
    assert!(matches!(refused, Err(SpoolError::TooLarge { limit: 8_000, .. })), "{refused:?}");
    assert_eq!(spool.waiting_bytes(), 0);
    spool.close(&support::record(1), &Texts::default()).unwrap();
    assert_eq!(entries(dir.path()).len(), 1);
}

#[test]
fn a_worker_is_named_plainly() {
    let dir = tempfile::tempdir().unwrap();
    for bad in ["", "a/b", "a-b", "..\0", &"x".repeat(65)] {
        let refused = FileSpool::open(dir.path(), bad, SpoolLimits::default());
        assert!(matches!(refused, Err(TraceError::WorkerName(_))), "{bad}");
    }
}

#[test]
fn workers_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4u64 {
            let dir = dir.path();
            scope.spawn(move || {
                let spool = FileSpool::open(dir, &format!("w{worker}"), SpoolLimits::default()).unwrap();
                for n in 0..200 {
                    spool.close(&support::record(worker * 1000 + n), &support::texts()).unwrap();
                }
            });
        }
    });
    let ids: Vec<_> = entries(dir.path()).iter().map(|entry| entry.id).collect();
    let expected: Vec<_> = (0..4).flat_map(|w| (0..200).map(move |n| support::id(w * 1000 + n))).collect();
    assert_eq!(ids, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_texts_survive(texts in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let limits = SpoolLimits { segment_bytes: 4_000, ..SpoolLimits::default() };
        let spool = FileSpool::open(dir.path(), "w0", limits).unwrap();
        for (n, (input, output)) in texts.iter().enumerate() {
            let texts = Texts { input: input.clone().into(), output: output.clone().into() };
            spool.close(&support::record(n as u64), &texts).unwrap();
        }
        let found: Vec<_> = entries(dir.path()).into_iter().map(|e| (e.input.to_vec(), e.output.to_vec())).collect();
        prop_assert_eq!(found, texts);
    }
}

//! A full disk, two ways: an injected disk that takes so many bytes and no more (short writes included), and the real
//! kernel's file size limit in a child process. Neither is a file system that really is full.

use std::{
    io::{self, IoSlice},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gauntlet_ports::{Spool, SpoolError, Texts};
use gauntlet_trace::{Disk, FileSpool, RealDisk, SegmentFile, SpoolLimits, segment};
use gauntlet_types::{CallRecord, Code};
use proptest::prelude::*;

use crate::{spool::entries, support};

/// Takes `room` bytes; then writes fall short and fail.
#[derive(Clone)]
struct FullDisk(Arc<State>);

struct State {
    room: AtomicU64,
    /// Cutting off fails too, as it may on a broken disk.
    is_stuck: AtomicBool,
}

struct FullFile(Arc<dyn SegmentFile>, Arc<State>);

impl FullDisk {
    fn with_room(room: u64) -> FullDisk {
        FullDisk(Arc::new(State { room: AtomicU64::new(room), is_stuck: AtomicBool::new(false) }))
    }

    fn make_room(&self, room: u64) {
        self.0.room.store(room, Ordering::SeqCst);
    }
}

impl Disk for FullDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(FullFile(RealDisk.create(path)?, Arc::clone(&self.0))))
    }
}

impl SegmentFile for FullFile {
    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        let taken = all.len().min(self.1.room.load(Ordering::SeqCst) as usize);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.room.fetch_sub(taken as u64, Ordering::SeqCst);
        self.0.append(&[IoSlice::new(&all[..taken])])
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        match self.1.is_stuck.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::Other.into()),
            false => self.0.truncate(bytes),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn a_full_disk_keeps_final_records_and_refuses_new_calls() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::with_room(u64::MAX);
    let spool = FileSpool::open_on(Box::new(disk.clone()), dir.path(), "w0", SpoolLimits::default()).unwrap();
    spool.open(&support::opening(1)).unwrap();
    spool.open(&support::opening(2)).unwrap();
    disk.make_room(100);
    for n in [1, 2] {
        let kept = spool.close(&support::record(n), &support::texts());
        assert!(
            matches!(kept, Err(SpoolError::Behind { waiting_bytes, .. }) if waiting_bytes > 3_500),
            "{kept:?}"
        );
    }
    assert_eq!(entries(dir.path()).len(), 2, "the short write was undone");
    let refused = spool.open(&support::opening(3));
    assert!(matches!(refused, Err(SpoolError::Behind { .. })), "{refused:?}");
    assert!(spool.flush_backlog().is_err());
    assert!(spool.waiting_bytes() > 7_000);

    disk.make_room(u64::MAX);
    spool.open(&support::opening(3)).unwrap();
    assert_eq!((spool.waiting_bytes(), spool.records_lost()), (0, 0));
    let order: Vec<_> = entries(dir.path()).iter().map(|entry| entry.id).collect();
    assert_eq!(order, [1, 2, 1, 2, 3].map(support::id));
}

#[test]
fn an_open_that_cannot_be_written_is_a_refusal_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::with_room(50);
    let spool = FileSpool::open_on(Box::new(disk.clone()), dir.path(), "w0", SpoolLimits::default()).unwrap();
    assert!(matches!(spool.open(&support::opening(1)), Err(SpoolError::Write { .. })));
    assert_eq!((entries(dir.path()).len(), spool.waiting_bytes()), (0, 0));
    disk.make_room(u64::MAX);
    spool.open(&support::opening(2)).unwrap();
    assert_eq!(entries(dir.path()).len(), 1);
}

#[test]
fn half_an_entry_that_cannot_be_cut_off_yet_blocks_the_segment() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::with_room(100);
    disk.0.is_stuck.store(true, Ordering::SeqCst);
    let spool = FileSpool::open_on(Box::new(disk.clone()), dir.path(), "w0", SpoolLimits::default()).unwrap();
    assert!(spool.close(&support::record(1), &Texts::default()).is_err());
    disk.make_room(u64::MAX);
    assert!(spool.flush_backlog().is_err(), "writing behind half an entry would bury it");
    disk.0.is_stuck.store(false, Ordering::SeqCst);
    spool.flush_backlog().unwrap();
    assert_eq!(entries(dir.path()).len(), 1);
}

#[test]
fn a_full_backlog_says_that_the_record_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { backlog_bytes: 12_000, ..SpoolLimits::default() };
    let spool = FileSpool::open_on(Box::new(FullDisk::with_room(0)), dir.path(), "w0", limits).unwrap();
    let ends: Vec<_> = (0..3).map(|n| spool.close(&support::record(n), &support::texts())).collect();
    assert!(
        matches!(
            ends[..],
            [Err(SpoolError::Behind { .. }), Err(SpoolError::Behind { .. }), Err(SpoolError::Write { .. })]
        ),
        "{ends:?}"
    );
    assert_eq!(spool.records_lost(), 1);
}

#[test]
fn calls_turned_away_leave_memory_for_those_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { backlog_bytes: 40_000, ..SpoolLimits::default() };
    let spool = FileSpool::open_on(Box::new(FullDisk::with_room(0)), dir.path(), "w0", limits).unwrap();
    for n in 0..100 {
        let turned_away = CallRecord { error: Some(Code::Unavailable), ..support::record(n) };
        assert!(spool.close(&turned_away, &support::texts()).is_err());
    }
    let lost = spool.records_lost();
    assert!(lost > 0);
    for n in 100..104 {
        let kept = spool.close(&support::record(n), &support::texts());
        assert!(matches!(kept, Err(SpoolError::Behind { .. })), "{kept:?}");
    }
    assert_eq!(spool.records_lost(), lost);
}

/// The child of the next test: runs under a file size limit of 16 KiB, with SIGXFSZ ignored, so that the kernel answers
/// a write with a short one and then EFBIG.
#[test]
fn child_under_a_file_size_limit() {
    let Ok(dir) = std::env::var("GAUNTLET_TEST_LIMITED_DIR") else { return };
    let spool = FileSpool::open(Path::new(&dir), "w0", SpoolLimits::default()).unwrap();
    let mut kept = 0;
    for n in 0..20 {
        match spool.close(&support::record(n), &support::texts()) {
            Ok(()) => assert_eq!(kept, 0, "nothing overtakes the backlog"),
            Err(SpoolError::Behind { .. }) => kept += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(kept > 0 && spool.waiting_bytes() > 0);
    println!("kept {kept}");
}

#[test]
fn the_kernels_short_write_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    // `ulimit -f` counts 512 bytes in POSIX shells and 1024 in others: 16 is 8 or 16 KiB.
    let run = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact disk_full::child_under_a_file_size_limit --nocapture"])
        .arg(&this)
        .env("GAUNTLET_TEST_LIMITED_DIR", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("kept "), "{said}{}", String::from_utf8_lossy(&run.stderr));
    let kept: usize = said.split("kept ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let names = segment::list(dir.path()).unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(entries(dir.path()).len(), 20 - kept, "only whole entries are left in the file");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// However the disk fills up and empties, what is acknowledged or kept comes out once and in order.
    #[test]
    fn whatever_the_disk_does_nothing_is_lost_or_doubled(rooms in prop::collection::vec(0..9_000u64, 1..12)) {
        let dir = tempfile::tempdir().unwrap();
        let disk = FullDisk::with_room(0);
        let limits = SpoolLimits { segment_bytes: 9_000, ..SpoolLimits::default() };
        let spool = FileSpool::open_on(Box::new(disk.clone()), dir.path(), "w0", limits).unwrap();
        for (n, room) in rooms.iter().enumerate() {
            disk.make_room(*room);
            let _ = spool.close(&support::record(n as u64), &support::texts());
        }
        disk.make_room(u64::MAX);
        spool.flush_backlog().unwrap();
        let ids: Vec<_> = entries(dir.path()).iter().map(|entry| entry.id).collect();
        let expected: Vec<_> = (0..rooms.len() as u64).map(support::id).collect();
        prop_assert_eq!(ids, expected);
    }
}

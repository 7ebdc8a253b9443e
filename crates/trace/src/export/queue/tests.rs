//! What waits is sent once, in order, whatever happens to the process; what has no room is the oldest.

use super::*;

const LIMIT: u64 = 1 << 20;

fn entry(number: u32, bytes: usize) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(bytes.max(4), 7);
    let mut out = Vec::new();
    push_entry(2, &body, &mut out);
    out
}

/// Takes everything out in chunks; the numbers of the entries, in order.
fn drain(queue: &mut Queue, spans_max: u64) -> Vec<u32> {
    let mut seen = Vec::new();
    while let Some(chunk) = queue.peek(spans_max, 1 << 20).unwrap() {
        let size = chunk.spans.len() / chunk.entries;
        seen.extend(
            chunk.spans.chunks(size).map(|body| u32::from_le_bytes([body[0], body[1], body[2], body[3]])),
        );
        queue.taken(&chunk).unwrap();
    }
    seen
}

#[test]
fn what_waits_survives_the_process_from_where_it_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = Queue::open(dir.path(), LIMIT).unwrap();
    for number in 0..100 {
        assert_eq!(queue.push(&entry(number, 5_000), 2).unwrap(), 0);
    }
    assert_eq!(queue.spans(), 200);
    let first = queue.peek(10, 1 << 20).unwrap().unwrap();
    assert_eq!((first.count, first.entries), (10, 5));
    queue.taken(&first).unwrap();
    let waiting = queue.bytes();
    drop(queue);
    assert_eq!(super::waiting(dir.path()), waiting);
    let mut queue = Queue::open(dir.path(), LIMIT).unwrap();
    assert_eq!((queue.spans(), queue.bytes()), (190, waiting));
    queue.push(&entry(100, 5_000), 2).unwrap();
    assert_eq!(drain(&mut queue, 7), (5..=100).collect::<Vec<_>>());
    assert!(queue.is_empty() && queue.bytes() == 0);
    // What was sent is not sent again, and numbers go on.
    queue.push(&entry(101, 10), 2).unwrap();
    drop(queue);
    assert_eq!(drain(&mut Queue::open(dir.path(), LIMIT).unwrap(), 7), [101]);
}

#[test]
fn a_full_queue_lets_the_oldest_go_and_counts_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = Queue::open(dir.path(), LIMIT).unwrap();
    let mut dropped = 0;
    for number in 0..1_000 {
        dropped += queue.push(&entry(number, 5_000), 2).unwrap();
        assert!(queue.bytes() <= LIMIT);
    }
    assert_eq!(dropped + queue.spans(), 2_000);
    assert!(queue.bytes() > LIMIT * 3 / 4, "only an eighth goes at once");
    let seen = drain(&mut queue, 512);
    assert_eq!(seen, ((dropped / 2) as u32..1_000).collect::<Vec<_>>());
}

#[test]
fn a_chunk_dropped_while_it_was_sent_takes_nothing_else_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = Queue::open(dir.path(), LIMIT).unwrap();
    queue.push(&entry(0, 5_000), 2).unwrap();
    let chunk = queue.peek(512, 1 << 20).unwrap().unwrap();
    for number in 1..1_000 {
        queue.push(&entry(number, 5_000), 2).unwrap();
    }
    let before = queue.spans();
    queue.taken(&chunk).unwrap();
    assert_eq!(queue.spans(), before);
}

#[test]
fn a_torn_write_costs_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = Queue::open(dir.path(), LIMIT).unwrap();
    for number in 0..3 {
        queue.push(&entry(number, 100), 2).unwrap();
    }
    drop(queue);
    let path = dir.path().join(format!("{:016x}.spans", 1));
    let bytes = fs::read(&path).unwrap();
    for (cut, left) in [(bytes.len() - 1, 2), (bytes.len() - 110, 2), (5, 0)] {
        fs::write(&path, &bytes[..cut]).unwrap();
        let mut queue = Queue::open(dir.path(), LIMIT).unwrap();
        assert_eq!(queue.spans(), left * 2, "{cut}");
        queue.push(&entry(9, 100), 2).unwrap();
        let seen = drain(&mut queue, 512);
        assert_eq!(seen.len() as u64, left + 1, "{cut}: {seen:?}");
    }
}

#[test]
fn a_folder_that_somebody_removed_costs_what_was_in_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sink");
    let mut queue = Queue::open(&dir, LIMIT).unwrap();
    queue.push(&entry(0, 100), 2).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(drain(&mut queue, 512), [0; 0]);
    queue.push(&entry(1, 100), 2).unwrap();
    assert_eq!(drain(&mut queue, 512), [1]);
}

//! The index of SQLite: crashes between its steps, and what is cut out of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use gauntlet_ports::{Arrived, Cut, TraceFilter, TraceStore};
use gauntlet_types::TextsGone;
use rusqlite::Connection;

use super::Folders;
use crate::{SqliteTraces, conformance::sample};

const CRASH_INDEX: &str = "GAUNTLET_STORE_CRASH_INDEX";

/// Indexes until it is killed; does nothing when the suite runs it as a test.
#[test]
fn index_child() {
    let Some(path) = std::env::var_os(CRASH_INDEX) else { return };
    let store = SqliteTraces::open(path).unwrap();
    let mut steps = 0;
    while store.index_step(3).unwrap() > 0 {
        steps += 1;
        println!("\nstep {steps}");
    }
}

#[test]
fn an_index_killed_between_steps_is_finished_afterwards() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    let calls = sample::spread(2000);
    let store = SqliteTraces::open(&path).unwrap();
    // Small blocks make many steps.
    calls
        .chunks(3)
        .for_each(|batch| assert_eq!(store.append(Arrived::calls(batch), &[]).unwrap(), batch.len()));
    drop(store);
    let reached = || -> i64 {
        let sql = "select coalesce(max(rid_last), 0) from find_span";
        Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::indexing::index_child", "--nocapture", "--test-threads", "1"])
            .env(CRASH_INDEX, path.as_os_str())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let before = reached();
        let wanted = format!("step {}", round * 5);
        assert!(lines.map_while(Result::ok).any(|line| line == wanted), "the child came so far");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached() >= before + round * 15, "what was reported is there");
    }
    let store = SqliteTraces::open(&path).unwrap();
    let find = || {
        let red = TraceFilter { team: Some("red".to_owned()), limit: 1000, ..TraceFilter::default() };
        store.trace_find(&red).unwrap().rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let half = find();
    while store.index_step(256).unwrap() > 0 {}
    assert_eq!(find(), half, "an index half done and one that is whole find the same");
    let wanted = calls
        .iter()
        .rev()
        .map(|call| &call.record)
        .filter(|record| record.caller.team.as_deref() == Some("red"));
    assert_eq!(half, wanted.map(|record| record.id).collect::<Vec<_>>());
    assert_eq!(reached(), 2000);
}

#[test]
fn words_that_were_cut_are_not_left_in_the_index() {
    let folders = Folders::default();
    let path = folders.file("gauntlet.db");
    let store = SqliteTraces::open(&path).unwrap();
    let calls: Vec<_> = (0..300)
        .map(|number| {
            let mut call = sample::call(number, 0);
            let word = if number == 150 { "zaphodbeeblebrox" } else { "someone" };
            call.input = format!(r#"{{"messages":[{{"role":"user","content":"{word} asks"}}]}}"#).into();
            call
        })
        .collect();
    store.append(Arrived::calls(&calls), &[]).unwrap();
    // Read before the cut, this must not be written after it.
    let late = crate::traces::index::read(&Connection::open(&path).unwrap(), 1000).unwrap().unwrap();
    while store.index_step(100).unwrap() > 0 {}
    let is_in_file = || {
        store.checkpoint().unwrap();
        let bytes = fs::read(&path).unwrap();
        bytes.windows(10).any(|part| part == b"beeblebrox")
    };
    assert!(is_in_file());
    store.cut(&[(calls[150].record.id, Cut::Texts(TextsGone::Expired))]).unwrap();
    store.shrink(true).unwrap();
    assert!(!is_in_file());
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("delete from find_span; delete from find_0").unwrap();
    crate::traces::index::write(&writer, &late).unwrap();
    let indexed: i64 = writer.query_row("select count(*) from find_span", [], |row| row.get(0)).unwrap();
    assert_eq!(indexed, 0, "a step from before the cut is not taken");
    while store.index_step(100).unwrap() > 0 {}
    assert!(!is_in_file());
}

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gauntlet_trace::{LineSink, LineTarget, Rotation, line, sink::QUEUE_BYTES};
use gauntlet_types::{CallRecord, Caller, Code, NanoUsd, Outcome};
use serde_json::{Value, json};

use crate::support;

const PATIENCE: Duration = Duration::from_secs(20);

fn shown(record: &CallRecord) -> String {
    let mut out = Vec::new();
    line(record, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_has_the_founding_names_in_their_order_and_then_ours() {
    let text = shown(&CallRecord { judge_score: Some(0.91), ..support::record(1) });
    assert!(text.ends_with("}\n") && text.matches('\n').count() == 1);
    let line: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    let names: Vec<&str> = line.keys().map(String::as_str).collect();
    let expected = "ts request_id tenant_id model prompt_name prompt_version input_tokens cached_tokens output_tokens \
        cost_usd latency_ms_total guardrail_decision judge_score trace_id route user_id session_id environment outcome \
        status error provider finish_reason cache app_sha eval_id first_token_ms usage_estimated key prompt_hash attempts prompt_label";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    let check = |name: &str, expected: Value| assert_eq!(line[name], expected, "{name}");
    check("ts", json!("2026-04-25T18:42:11.482Z"));
    check("request_id", json!(support::id(1).to_string()));
    check("tenant_id", json!("acme"));
    check("model", json!("gpt-4o-mini"));
    check("input_tokens", json!(4123));
    check("cached_tokens", json!(3800));
    check("output_tokens", json!(487));
    check("cost_usd", json!(0.0084));
    check("latency_ms_total", json!(812.345));
    check("guardrail_decision", json!("redact"));
    check("judge_score", json!(0.91));
    check("trace_id", json!("4bf92f3577b34da6a3ce929d0e0e4736"));
    check("finish_reason", json!("stop"));
    check("error", Value::Null);
    check("eval_id", Value::Null);
    check("usage_estimated", json!(false));
    check("attempts", json!(1));
}

#[test]
fn a_refusal_has_a_line_too_and_names_cannot_break_it() {
    let record = CallRecord {
        outcome: Outcome::Refused,
        status: 429,
        error: Some(Code::BudgetExceeded),
        target: None,
        prompt: None,
        finish: None,
        first_token_us: None,
        cost: NanoUsd::ZERO,
        model_asked: "gpt\"},{\"x\":1\n\u{1b}[2J".into(),
        caller: Caller::default(),
        ..support::record(1)
    };
    let text = shown(&record);
    assert_eq!(text.matches('\n').count(), 1);
    assert!(!text.contains('\u{1b}'), "a name must not steer a terminal");
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["model"], json!(&*record.model_asked));
    assert_eq!(
        (&line["error"], &line["status"], &line["cost_usd"]),
        (&json!("budget_exceeded"), &json!(429), &json!(0))
    );
    assert!(line["provider"].is_null() && line["user_id"].is_null() && line["prompt_hash"].is_null());
}

#[test]
fn lines_reach_the_file_and_go_on_after_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("calls.log"), dir.path().join("calls.log.1"));
    let sink = LineSink::start(file(&path, u64::MAX)).unwrap();
    (0..100).for_each(|n| sink.write(&support::record(n)));
    sink.flush(PATIENCE).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100);
    fs::rename(&path, &old).unwrap();
    sink.reopen();
    sink.flush(PATIENCE).unwrap();
    sink.write(&support::record(100));
    sink.stop();
    assert_eq!(fs::read_to_string(&old).unwrap().lines().count(), 100);
    assert_eq!(fs::read_to_string(&path).unwrap(), shown(&support::record(100)));
}

/// A reader that takes nothing until it is let go.
#[derive(Clone, Default)]
struct Stalled(Arc<Gate>);

#[derive(Default)]
struct Gate {
    state: Mutex<(bool, Vec<u8>)>,
    changed: Condvar,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gate = &self.0;
        let mut state = gate.changed.wait_while(gate.state.lock().unwrap(), |state| !state.0).unwrap();
        state.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stalls_costs_lines_and_never_a_call() {
    let stalled = Stalled::default();
    let sink = LineSink::start(LineTarget::Writer(Box::new(stalled.clone()))).unwrap();
    let count = 4 * QUEUE_BYTES / shown(&support::record(1)).len();
    (0..count).for_each(|_| sink.write(&support::record(1)));
    let dropped = sink.dropped();
    assert!(dropped > 0);
    stalled.0.state.lock().unwrap().0 = true;
    stalled.0.changed.notify_all();
    sink.flush(PATIENCE).unwrap();
    sink.stop();
    let text = String::from_utf8(stalled.0.state.lock().unwrap().1.clone()).unwrap();
    let (said, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains("lines_dropped"));
    assert_eq!(lines.len() as u64 + dropped, count as u64);
    assert_eq!(said, [format!("{{\"event\":\"lines_dropped\",\"lines\":{dropped}}}")]);
}

#[derive(Clone, Default)]
struct Broken(Arc<AtomicBool>, Arc<Mutex<Vec<u8>>>);

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_cannot_be_written_is_counted_and_comes_back() {
    let broken = Broken::default();
    broken.0.store(true, Ordering::SeqCst);
    let sink = LineSink::start(LineTarget::Writer(Box::new(broken.clone()))).unwrap();
    (0..3).for_each(|n| sink.write(&support::record(n)));
    sink.flush(PATIENCE).unwrap();
    assert_eq!(sink.dropped(), 3);
    broken.0.store(false, Ordering::SeqCst);
    sink.write(&support::record(3));
    sink.stop();
    let text = String::from_utf8(broken.1.lock().unwrap().clone()).unwrap();
    assert_eq!(text.trim_start(), shown(&support::record(3)));
}

fn file(path: &Path, bytes: u64) -> LineTarget {
    LineTarget::File { path: path.to_owned(), rotation: Rotation { bytes, keep: 2 } }
}

#[test]
fn a_log_file_is_put_aside_when_it_is_large_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("calls.jsonl");
    let line = shown(&support::record(0)).len() as u64;
    let sink = LineSink::start(file(&path, 3 * line)).unwrap();
    for n in 0..10 {
        sink.write(&support::record(n));
        sink.flush(PATIENCE).unwrap();
    }
    sink.stop();
    let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    let lines = |from: u64, to: u64| (from..to).map(|n| shown(&support::record(n))).collect::<String>();
    assert_eq!(text("calls.jsonl"), lines(9, 10));
    assert_eq!((text("calls.jsonl.1"), text("calls.jsonl.2")), (lines(6, 9), lines(3, 6)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "the oldest is gone");

    // What an earlier process wrote counts.
    let sink = LineSink::start(file(&path, line)).unwrap();
    sink.write(&support::record(10));
    sink.stop();
    assert_eq!((text("calls.jsonl"), text("calls.jsonl.1")), (String::new(), lines(9, 11)));
}

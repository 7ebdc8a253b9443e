//! What a receiver of spans gets, whatever it answers, the store does, or the process comes to.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use gauntlet_ports::{Spool, StoredCall};
use gauntlet_trace::{
    Drainer, DrainerConfig, Exporter, Exporters, FileSpool, Posted, SpoolLimits, recover_with,
};
use gauntlet_types::{ExportProfile, Timestamp};
use gauntlet_wire::otlp::proto::{ExportTraceServiceRequest, Value};
use prost::Message;

use crate::{memory_store::MemoryStore, support};

const SOON: Duration = Duration::from_secs(20);

/// Answers as it is told, then takes everything; keeps the ids of calls by request.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Posted>>,
    seen: Mutex<Vec<Vec<String>>>,
    changed: Condvar,
}

impl Receiver {
    fn answering(answers: impl IntoIterator<Item = Posted>) -> Arc<Receiver> {
        Arc::new(Receiver { answers: Mutex::new(answers.into_iter().collect()), ..Receiver::default() })
    }

    fn post(&self, body: &[u8]) -> Posted {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let spans =
            request.resource_spans.into_iter().flat_map(|one| one.scope_spans).flat_map(|one| one.spans);
        let ids = spans.flat_map(|span| span.attributes).filter(|one| one.key == "gauntlet.call.id");
        let ids = ids.map(|one| match one.value.unwrap().value.unwrap() {
            Value::Text(id) => id,
            other => panic!("{other:?}"),
        });
        self.seen.lock().unwrap().push(ids.collect());
        self.changed.notify_all();
        self.answers.lock().unwrap().pop_front().unwrap_or(Posted::Taken)
    }

    /// The requests, once there are so many.
    fn wait(&self, count: usize) -> Vec<Vec<String>> {
        let few = |seen: &mut Vec<Vec<String>>| seen.len() < count;
        let (seen, late) = self.changed.wait_timeout_while(self.seen.lock().unwrap(), SOON, few).unwrap();
        assert!(!late.timed_out(), "{} of {count} requests", seen.len());
        seen.clone()
    }
}

fn exporter(receiver: &Arc<Receiver>) -> Exporter {
    let receiver = Arc::clone(receiver);
    Exporter {
        name: "sink".into(),
        profile: ExportProfile::Semconv,
        queue_bytes: 64 << 20,
        with_texts: true,
        resource: vec![],
        version: "1".to_owned(),
        servers: Arc::default(),
        post: Arc::new(move |body| receiver.post(body)),
    }
}

fn exporters(dir: &Path, receiver: &Arc<Receiver>) -> Exporters {
    let exporters = Exporters::new(dir);
    exporters.start(vec![exporter(receiver)]).unwrap();
    exporters
}

fn calls(numbers: std::ops::Range<u64>) -> Vec<StoredCall> {
    let texts = support::texts();
    let call = |number| StoredCall {
        record: support::record(number),
        input: texts.input.clone(),
        output: texts.output.clone(),
    };
    numbers.map(call).collect()
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| support::id(number).to_string()).collect()
}

#[test]
fn spans_go_in_batches_that_no_receiver_finds_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::answering([]);
    let exporters = exporters(dir.path(), &receiver);
    exporters.put(&calls(0..1_000));
    receiver.wait(4);
    exporters.stop(SOON);
    let seen = receiver.seen.lock().unwrap().clone();
    assert_eq!(seen.concat(), ids(0..1_000));
    assert!(seen.iter().all(|calls| calls.len() <= 256), "two spans a call, 512 a request");
}

#[test]
fn a_failed_request_is_repeated_a_refused_one_is_not_and_one_too_large_is_halved() {
    let dir = tempfile::tempdir().unwrap();
    let later = Posted::Later { after: Some(Duration::from_millis(1)), why: "busy".to_owned() };
    let refused = Posted::Refused("status 400".to_owned());
    let receiver = Receiver::answering([later.clone(), later, Posted::TooLarge, refused]);
    let exporters = exporters(dir.path(), &receiver);
    exporters.put(&calls(0..100));
    let seen = receiver.wait(5);
    assert_eq!([&seen[0], &seen[1], &seen[2]], [&ids(0..100); 3]);
    let half = seen[3].len() as u64;
    assert!((30..60).contains(&half), "{half}");
    assert_eq!(seen[3], ids(0..half));
    assert_eq!(seen[4], ids(half..100));
    exporters.stop(SOON);
}

#[test]
fn what_a_receiver_did_not_take_is_sent_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let later = Posted::Later { after: Some(Duration::from_secs(60)), why: "down".to_owned() };
    let receiver = Receiver::answering([later]);
    let first = exporters(dir.path(), &receiver);
    first.put(&calls(0..10));
    receiver.wait(1);
    let (_, stats) = loop {
        let stats = first.stats().remove(0);
        if stats.1.failed > 0 {
            break stats;
        }
        std::thread::yield_now();
    };
    assert_eq!((stats.queue_spans, stats.sent, stats.error.as_deref()), (20, 0, Some("down")));
    let (name, noted) = gauntlet_trace::export::look(dir.path()).remove(0);
    assert_eq!(
        (name.as_str(), noted.waiting_bytes, noted.error.as_deref()),
        ("sink", stats.queue_bytes, Some("down"))
    );
    first.stop(SOON);
    let second = exporters(dir.path(), &receiver);
    assert_eq!(receiver.wait(2)[1], ids(0..10));
    second.stop(SOON);
    assert_eq!(gauntlet_trace::export::look(dir.path()).remove(0).1.waiting_bytes, 0);
}

#[test]
fn a_store_that_fails_sends_nothing_twice_and_recovery_sends_what_the_dead_left() {
    let (dir, queues) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let receiver = Receiver::answering([]);
    let exporters = Arc::new(exporters(queues.path(), &receiver));
    let store = Arc::new(MemoryStore::default());
    let spool = FileSpool::open(dir.path(), "w0", SpoolLimits::default()).unwrap();
    let config = DrainerConfig { backoff_min: Duration::from_millis(5), ..DrainerConfig::default() };
    let drainer =
        Drainer::start_with(dir.path(), store.clone(), config, Some(Arc::clone(&exporters))).unwrap();
    drainer.follow(&spool);
    drainer.flush(SOON).unwrap();
    store.fail(true);
    for number in 0..5 {
        spool.open(&support::opening(number)).unwrap();
    }
    for number in 0..3 {
        spool.close(&support::record(number), &support::texts()).unwrap();
    }
    assert_eq!(receiver.wait(1).concat(), ids(0..3), "before the store has them");
    while drainer.stats().store_failures < 3 {
        std::thread::yield_now();
    }
    store.fail(false);
    drainer.flush(SOON).unwrap();
    drop(drainer);
    drop(spool);
    let later = Timestamp(support::NOW.0 + 5_000_000);
    let found = recover_with(dir.path(), &*store, later, Some(&exporters)).unwrap();
    assert_eq!((found.replayed, found.interrupted), (0, 2));
    let seen = receiver.wait(2).concat();
    exporters.stop(SOON);
    let mut sent = seen;
    sent.sort();
    assert_eq!(sent, ids(0..5));
}

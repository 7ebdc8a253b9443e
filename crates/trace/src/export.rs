//! Sends every finished call as spans to receivers elsewhere, from a queue on disk, without any call waiting for it.
//!
//! The drainer hands each batch over before it goes into the store, so that a kill between the two sends it twice (with
//! the same ids) rather than never. A thread for each receiver sends what waits: spans are gathered for up to a second,
//! tried again with growing pauses for as long as it takes, and given up only when the receiver says that it will never
//! take them, or when newer ones need their room. Both are counted and said.
//!
//! How bytes get to a receiver is handed in, so that this room needs no HTTP.

mod queue;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use gauntlet_ports::StoredCall;
use gauntlet_types::{ExportProfile, Name};
use gauntlet_wire::otlp::{self, Finished, Servers};

use crate::{error::TraceError, prometheus::Gauge};
use queue::{Queue, push_entry};

/// Spans of one request, unless one call has more.
const SPANS_MAX: u64 = 512;
/// Bytes of one request before compression; receivers are known to refuse from 4 MB on.
const BYTES_MAX: usize = 2 << 20;
/// Bytes that go to the queue in one write; far below the smallest queue, so that a batch cannot push all else out.
const WRITE_BYTES: usize = 64 << 10;
/// How long spans wait for company.
const LINGER: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A receiver may ask for a longer pause, but not for one that nobody would understand.
const PAUSE_MAX: Duration = Duration::from_secs(300);
const STATUS: &str = "status";

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Posted {
    Taken,
    /// Taken but for some spans.
    Partly {
        rejected: u64,
        why: String,
    },
    /// Worth another try, after so long if the receiver says.
    Later {
        after: Option<Duration>,
        why: String,
    },
    /// Fewer at once may do.
    TooLarge,
    /// Will never be taken.
    Refused(String),
}

/// Takes a request's bytes to a receiver; returns within some seconds whatever happens.
pub type Post = Arc<dyn Fn(&[u8]) -> Posted + Send + Sync>;

/// One receiver.
#[derive(Clone)]
pub struct Exporter {
    /// Names its folder, too.
    pub name: Name,
    pub profile: ExportProfile,
    pub queue_bytes: u64,
    /// Whether the redacted words of calls leave as well.
    pub with_texts: bool,
    /// `service.name` and the like.
    pub resource: Vec<(String, String)>,
    pub version: String,
    pub servers: Arc<Servers>,
    pub post: Post,
}

/// Figures of one receiver since the start.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ExporterStats {
    pub queue_bytes: u64,
    pub queue_spans: u64,
    /// Spans that were taken.
    pub sent: u64,
    /// Requests that came to nothing and are tried again.
    pub failed: u64,
    /// Spans that the receiver refused for good.
    pub refused: u64,
    /// Spans that a full queue or a full disk had no room for.
    pub dropped: u64,
    /// Why the last request came to nothing; none when it did not.
    pub error: Option<String>,
}

/// All receivers of a gateway. Those that a new configuration no longer names keep their queue and rest.
pub struct Exporters {
    dir: PathBuf,
    lines: Mutex<Vec<Line>>,
}

struct Line {
    name: Name,
    shared: Arc<Shared>,
    join: Option<JoinHandle<()>>,
}

struct Shared {
    dir: PathBuf,
    name: Name,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    queue: Queue,
    /// None while the configuration does not name it.
    exporter: Option<Arc<Exporter>>,
    stats: ExporterStats,
    /// The last refusal that was logged.
    refusal: Option<String>,
    /// The count of dropped spans that was logged.
    dropped_said: u64,
    is_stopping: bool,
}

impl Exporters {
    /// Queues are folders of `dir`.
    pub fn new(dir: &Path) -> Exporters {
        Exporters { dir: dir.to_owned(), lines: Mutex::default() }
    }

    /// Sends to these from now on; what waits for a receiver goes on waiting, or goes out by its new settings.
    pub fn start(&self, exporters: Vec<Exporter>) -> Result<(), TraceError> {
        self.apply(exporters, true)
    }

    /// Only puts spans aside: for commands that take over a dead gateway's records.
    pub fn gather(&self, exporters: Vec<Exporter>) -> Result<(), TraceError> {
        self.apply(exporters, false)
    }

    fn apply(&self, exporters: Vec<Exporter>, is_sending: bool) -> Result<(), TraceError> {
        let mut lines = lock(&self.lines);
        for line in lines.iter().filter(|line| exporters.iter().all(|other| other.name != line.name)) {
            let mut state = line.shared.lock();
            if state.exporter.take().is_some() && !state.queue.is_empty() {
                tracing::warn!(
                    exporter = line.name.as_str(),
                    spans = state.queue.spans(),
                    "the exporter is gone from the configuration; what waited for it stays on disk"
                );
            }
        }
        for exporter in exporters {
            if let Some(line) = lines.iter().find(|line| line.name == exporter.name) {
                let mut state = line.shared.lock();
                state.queue.set_limit(exporter.queue_bytes);
                state.exporter = Some(Arc::new(exporter));
                drop(state);
                line.shared.wake.notify_all();
                continue;
            }
            lines.push(Line::open(&self.dir, exporter, is_sending)?);
        }
        Ok(())
    }

    /// Puts the spans of these calls aside for every receiver. Takes a few ten microseconds a call and receiver.
    pub fn put(&self, calls: &[StoredCall]) {
        let lines = lock(&self.lines);
        for line in lines.iter() {
            let Some(exporter) = line.shared.lock().exporter.clone() else { continue };
            line.shared.put(&exporter, calls);
        }
    }

    pub fn stats(&self) -> Vec<(Name, ExporterStats)> {
        lock(&self.lines).iter().map(|line| (line.name.clone(), line.shared.stats())).collect()
    }

    /// Sends what waits, once, and ends the threads, waiting for them so long at most. What is not sent stays.
    pub fn stop(&self, patience: Duration) {
        let mut lines = lock(&self.lines);
        for line in lines.iter() {
            line.shared.lock().is_stopping = true;
            line.shared.wake.notify_all();
        }
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while waited < patience && lines.iter().any(Line::is_running) {
            thread::sleep(step);
            waited += step;
        }
        lines.clear();
    }
}

impl Line {
    fn open(dir: &Path, exporter: Exporter, is_sending: bool) -> Result<Line, TraceError> {
        let name = exporter.name.clone();
        let dir = dir.join(name.as_str());
        let queue = Queue::open(&dir, exporter.queue_bytes)
            .map_err(|source| TraceError::io("open the queue of spans", &dir, source))?;
        let shared = Arc::new(Shared {
            name: name.clone(),
            wake: Condvar::new(),
            state: Mutex::new(State {
                queue,
                exporter: Some(Arc::new(exporter)),
                stats: ExporterStats::default(),
                refusal: None,
                dropped_said: 0,
                is_stopping: false,
            }),
            dir: dir.clone(),
        });
        let join = if is_sending {
            let sender = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("export-{name}"));
            let spawned = thread.spawn(move || Sender::new(sender).run());
            Some(spawned.map_err(|source| TraceError::io("start the exporter of", &dir, source))?)
        } else {
            None
        };
        Ok(Line { name, shared, join })
    }

    fn is_running(&self) -> bool {
        self.join.as_ref().is_some_and(|join| !join.is_finished())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn put(&self, exporter: &Exporter, calls: &[StoredCall]) {
        // Converted outside the lock: the sender must not wait for it.
        let (mut entries, mut spans, mut all) = (Vec::new(), Vec::new(), 0);
        for call in calls {
            let (input, output): (&[u8], &[u8]) =
                if exporter.with_texts { (&call.input, &call.output) } else { (&[], &[]) };
            spans.clear();
            let finished = Finished { record: &call.record, input, output };
            let count = otlp::push_spans(&finished, exporter.profile, &exporter.servers, &mut spans) as u64;
            push_entry(count as u32, &spans, &mut entries);
            all += count;
            if entries.len() >= WRITE_BYTES {
                self.push(&mut entries, std::mem::take(&mut all));
            }
        }
        self.push(&mut entries, all);
    }

    fn push(&self, entries: &mut Vec<u8>, spans: u64) {
        if entries.is_empty() {
            return;
        }
        let mut state = self.lock();
        let was_full = state.stats.dropped > 0;
        match state.queue.push(entries, spans) {
            Ok(0) => {}
            Ok(dropped) => {
                state.stats.dropped += dropped;
                // A queue that is full stays so for hours: said when the loss has doubled, not with every call.
                if state.stats.dropped >= 2 * state.dropped_said {
                    state.dropped_said = state.stats.dropped;
                    tracing::error!(
                        exporter = self.name.as_str(),
                        dropped = state.stats.dropped,
                        "the queue of spans is full: the oldest are dropped"
                    );
                }
                self.note(&state.stats);
            }
            Err(error) => {
                state.stats.dropped += spans;
                if !was_full {
                    tracing::error!(exporter = self.name.as_str(), %error, "cannot write spans to their queue: they are dropped");
                }
                self.note(&state.stats);
            }
        }
        drop(state);
        self.wake.notify_all();
        entries.clear();
    }

    fn stats(&self) -> ExporterStats {
        let state = self.lock();
        ExporterStats {
            queue_bytes: state.queue.bytes(),
            queue_spans: state.queue.spans(),
            ..state.stats.clone()
        }
    }

    /// Leaves the figures where `doctor` finds them.
    fn note(&self, stats: &ExporterStats) {
        let mut text = format!("dropped {}\nrefused {}\n", stats.dropped, stats.refused);
        if let Some(error) = &stats.error {
            let _ = writeln!(text, "error {}", error.replace(['\n', '\r'], " "));
        }
        if let Err(error) = fs::write(self.dir.join(STATUS), text) {
            tracing::warn!(exporter = self.name.as_str(), %error, "cannot note how the exporter fares");
        }
    }
}

/// The thread of one receiver.
struct Sender {
    shared: Arc<Shared>,
    backoff: Duration,
    bytes_max: usize,
}

impl Sender {
    fn new(shared: Arc<Shared>) -> Sender {
        shared.note(&shared.lock().stats);
        Sender { shared, backoff: BACKOFF_MIN, bytes_max: BYTES_MAX }
    }

    fn run(mut self) {
        while let Some(exporter) = self.wait() {
            let chunk = self.shared.lock().queue.peek(SPANS_MAX, self.bytes_max);
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => continue,
                Err(error) => {
                    self.fail(&format!("cannot read the queue: {error}"), None);
                    continue;
                }
            };
            let request = otlp::request(&exporter.resource, &exporter.version, &chunk.spans);
            let (sent, refused, why) = match (exporter.post)(&request) {
                Posted::Taken => (chunk.count, 0, None),
                Posted::Partly { rejected, why } => {
                    let rejected = rejected.min(chunk.count);
                    (chunk.count - rejected, rejected, Some(why))
                }
                Posted::Later { after, why } => {
                    self.fail(&why, after);
                    continue;
                }
                Posted::TooLarge if chunk.entries > 1 => {
                    self.bytes_max = chunk.spans.len() / 2;
                    continue;
                }
                Posted::TooLarge => (0, chunk.count, Some("one call alone is too large for it".to_owned())),
                Posted::Refused(why) => (0, chunk.count, Some(why)),
            };
            self.bytes_max = (self.bytes_max * 2).min(BYTES_MAX);
            self.backoff = BACKOFF_MIN;
            let mut state = self.shared.lock();
            let is_news = refused > 0 || state.stats.error.is_some();
            if state.stats.error.take().is_some() && why.is_none() {
                tracing::info!(exporter = self.shared.name.as_str(), "the receiver takes spans again");
            }
            state.stats.sent += sent;
            state.stats.refused += refused;
            if let Some(why) = why {
                // Once for each reason, not with every batch.
                if state.refusal.as_ref() != Some(&why) {
                    tracing::error!(
                        exporter = self.shared.name.as_str(),
                        why,
                        "the receiver refuses spans: they are dropped"
                    );
                    state.refusal = Some(why.clone());
                }
                state.stats.error = Some(why);
            } else {
                state.refusal = None;
            }
            if is_news {
                self.shared.note(&state.stats);
            }
            if let Err(error) = state.queue.taken(&chunk) {
                tracing::warn!(exporter = self.shared.name.as_str(), %error, "cannot note what was sent: a restart sends it again");
            }
        }
    }

    /// Until there is enough to send, or little that has waited long enough. None when the thread shall end.
    fn wait(&self) -> Option<Arc<Exporter>> {
        let has_work = |state: &State| state.exporter.is_some() && !state.queue.is_empty();
        let idle = |state: &mut State| !has_work(state) && !state.is_stopping;
        let few = |state: &mut State| state.queue.spans() < SPANS_MAX && !state.is_stopping;
        let wake = &self.shared.wake;
        let mut state = self.shared.lock();
        loop {
            state = wake.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            (state, _) = wake.wait_timeout_while(state, LINGER, few).unwrap_or_else(PoisonError::into_inner);
            // Once told to stop, what fails is left for the next start.
            if state.is_stopping && (!has_work(&state) || state.stats.error.is_some()) {
                return None;
            }
            if has_work(&state) {
                return state.exporter.clone();
            }
        }
    }

    /// Says that a request came to nothing, once, and pauses.
    fn fail(&mut self, why: &str, after: Option<Duration>) {
        let mut state = self.shared.lock();
        state.stats.failed += 1;
        if state.stats.error.is_none() {
            tracing::warn!(
                exporter = self.shared.name.as_str(),
                why,
                "spans cannot be sent; they wait on disk"
            );
        }
        if state.stats.error.as_deref() != Some(why) {
            state.stats.error = Some(why.to_owned());
            self.shared.note(&state.stats);
        }
        let pause = after.unwrap_or(self.backoff).min(PAUSE_MAX);
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        let patient = |state: &mut State| !state.is_stopping;
        drop(
            self.shared
                .wake
                .wait_timeout_while(state, pause, patient)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// Figures of all receivers for `/metrics`.
pub fn gauges<'a>(
    stats: &'a [(Name, ExporterStats)],
    labels: &'a [[(&'a str, &'a str); 1]],
) -> Vec<Gauge<'a>> {
    let mut gauges = Vec::new();
    for ((_, stats), labels) in stats.iter().zip(labels) {
        let mut add = |name, value: u64| gauges.push(Gauge { name, labels, value: value as f64 });
        add("gauntlet_export_queue_bytes", stats.queue_bytes);
        add("gauntlet_export_queue_spans", stats.queue_spans);
        add("gauntlet_export_sent_total", stats.sent);
        add("gauntlet_export_failed_total", stats.failed);
        add("gauntlet_export_refused_total", stats.refused);
        add("gauntlet_export_dropped_total", stats.dropped);
    }
    gauges
}

/// How a receiver fares, as its gateway has left it on disk.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Noted {
    pub waiting_bytes: u64,
    pub dropped: u64,
    pub refused: u64,
    pub error: Option<String>,
}

/// Reads every queue of `dir`, those of receivers that are no longer configured included.
pub fn look(dir: &Path) -> Vec<(String, Noted)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let mut noted = Noted { waiting_bytes: queue::waiting(&entry.path()), ..Noted::default() };
        for line in fs::read_to_string(entry.path().join(STATUS)).unwrap_or_default().lines() {
            match line.split_once(' ') {
                Some(("dropped", count)) => noted.dropped = count.parse().unwrap_or(0),
                Some(("refused", count)) => noted.refused = count.parse().unwrap_or(0),
                Some(("error", why)) => noted.error = Some(why.to_owned()),
                _ => {}
            }
        }
        found.push((name, noted));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Nothing here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

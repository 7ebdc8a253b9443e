//! Where log lines go: standard output, standard error or a file, by a thread of its own.
//!
//! Independent of spool and store, so that it is there when they are not. A call never waits for it: lines beyond the
//! bound are dropped, counted, and the next line that gets through says how many.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use gauntlet_types::CallRecord;

use crate::{error::TraceError, line::line};

/// About 10,000 lines: what a reader that stalls for some seconds may miss nothing of.
pub const QUEUE_BYTES: usize = 8 << 20;
/// Lines gathered before the thread is woken early.
const WRITE_BYTES: usize = 64 << 10;
/// How long a line may wait for company.
const LINGER: Duration = Duration::from_millis(25);

pub enum LineTarget {
    Stdout,
    Stderr,
    /// Appended to; created if need be. Put aside as `path.1` and begun anew when it has reached a size.
    File {
        path: PathBuf,
        rotation: Rotation,
    },
    Writer(Box<dyn Write + Send>),
}

/// How large a log file grows, and how many older ones stay beside it.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Checked between writes, so that no line is cut in two: a file may be one write longer.
    pub bytes: u64,
    pub keep: u32,
}

/// Takes records and writes their lines.
pub struct LineSink {
    shared: Arc<Shared>,
    shown: String,
    join: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something for the thread to do.
    wake: Condvar,
    /// The thread has done something.
    done: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    dropped: u64,
    is_writing: bool,
    is_pressed: bool,
    is_reopening: bool,
    is_stopping: bool,
}

impl Queue {
    fn has_work(&self) -> bool {
        !self.lines.is_empty() || self.dropped > 0 || self.is_reopening
    }
}

impl LineSink {
    pub fn start(target: LineTarget) -> Result<LineSink, TraceError> {
        let mut bytes = 0;
        let (out, shown): (Box<dyn Write + Send>, String) = match &target {
            LineTarget::Stdout => (Box::new(io::stdout()), "standard output".into()),
            LineTarget::Stderr => (Box::new(io::stderr()), "standard error".into()),
            LineTarget::File { path, .. } => {
                let file = open(path).map_err(|source| TraceError::io("open the log file", path, source))?;
                bytes = file.metadata().map_or(0, |meta| meta.len());
                (Box::new(file), path.display().to_string())
            }
            LineTarget::Writer(_) => (Box::new(io::sink()), "a writer".into()),
        };
        let (out, file) = match target {
            LineTarget::Writer(out) => (out, None),
            LineTarget::File { path, rotation } => (out, Some((path, rotation))),
            LineTarget::Stdout | LineTarget::Stderr => (out, None),
        };
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let writer = LineWriter {
            shared: Arc::clone(&shared),
            out,
            file,
            bytes,
            shown: shown.clone(),
            is_failing: false,
        };
        let join = thread::Builder::new().name("log-lines".into()).spawn(move || writer.run()).map_err(
            |source| TraceError::Io {
                what: "start the thread that writes log lines to",
                path: shown.clone(),
                source,
            },
        )?;
        Ok(LineSink { shared, shown, join: Some(join) })
    }

    /// Queues the line of a record, or counts it as dropped when the queue is full.
    pub fn write(&self, record: &CallRecord) {
        let mut queue = self.shared.lock();
        let before = queue.lines.len();
        if before < QUEUE_BYTES {
            // Formatted under the lock: two microseconds, and no copy. The thread takes the whole buffer by a swap.
            line(record, &mut queue.lines);
        } else {
            queue.dropped += 1;
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        let after = queue.lines.len();
        drop(queue);
        if before == 0 || (before < WRITE_BYTES && after >= WRITE_BYTES) {
            self.shared.wake.notify_one();
        }
    }

    /// Opens the file anew, for log rotation (SIGHUP). Where that fails, the old one stays and the failure is said.
    pub fn reopen(&self) {
        self.shared.lock().is_reopening = true;
        self.shared.wake.notify_one();
    }

    /// Waits until every line so far has been handed to the operating system.
    pub fn flush(&self, timeout: Duration) -> Result<(), TraceError> {
        let mut queue = self.shared.lock();
        queue.is_pressed = true;
        self.shared.wake.notify_one();
        let (queue, _) = self
            .shared
            .done
            .wait_timeout_while(queue, timeout, |queue| queue.has_work() || queue.is_writing)
            .unwrap_or_else(PoisonError::into_inner);
        match queue.has_work() || queue.is_writing {
            true => Err(TraceError::LinesWaiting(self.shown.clone())),
            false => Ok(()),
        }
    }

    /// Writes what is queued and ends the thread.
    pub fn stop(mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.wake.notify_one();
        if let Some(join) = self.join.take() {
            // A thread that panicked has nothing left to say.
            let _ = join.join();
        }
    }

    /// Lines that were never written, since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for LineSink {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct LineWriter {
    shared: Arc<Shared>,
    out: Box<dyn Write + Send>,
    file: Option<(PathBuf, Rotation)>,
    /// In the file so far.
    bytes: u64,
    shown: String,
    is_failing: bool,
}

impl LineWriter {
    fn run(mut self) {
        let mut lines = Vec::new();
        loop {
            let shared = Arc::clone(&self.shared);
            let queue = shared.lock();
            let idle = |queue: &mut Queue| !queue.has_work() && !queue.is_stopping;
            let queue = shared.wake.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
            let few = |queue: &mut Queue| {
                queue.lines.len() < WRITE_BYTES && !queue.is_pressed && !queue.is_stopping
            };
            let (mut queue, _) =
                shared.wake.wait_timeout_while(queue, LINGER, few).unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut queue.lines, &mut lines);
            let dropped = std::mem::take(&mut queue.dropped);
            let is_reopening = std::mem::take(&mut queue.is_reopening);
            let is_stopping = queue.is_stopping;
            queue.is_pressed = false;
            queue.is_writing = true;
            drop(queue);
            if is_reopening {
                self.reopen();
            }
            self.write(&mut lines, dropped);
            let mut queue = shared.lock();
            queue.is_writing = false;
            shared.done.notify_all();
            if is_stopping && !queue.has_work() {
                return;
            }
        }
    }

    fn reopen(&mut self) {
        let Some((path, _)) = &self.file else { return };
        match open(path) {
            Ok(file) => {
                self.bytes = file.metadata().map_or(0, |meta| meta.len());
                self.out = Box::new(file);
            }
            Err(error) => {
                tracing::error!(path = self.shown, %error, "cannot reopen the log file; the old one stays")
            }
        }
    }

    /// Puts a file that is large enough aside. Where that fails it grows on, and the next write tries again.
    fn rotate(&mut self) {
        let Some((path, rotation)) = self.file.clone() else { return };
        if self.bytes < rotation.bytes {
            return;
        }
        match put_aside(&path, rotation.keep) {
            Ok(()) => self.reopen(),
            Err(error) => {
                tracing::error!(path = self.shown, %error, "cannot put the log file aside; it grows on")
            }
        }
    }

    fn write(&mut self, lines: &mut Vec<u8>, dropped: u64) {
        if dropped > 0 {
            tracing::warn!(
                to = self.shown,
                dropped,
                "log lines were dropped: whoever reads them is too slow"
            );
            lines.extend_from_slice(
                format!("{{\"event\":\"lines_dropped\",\"lines\":{dropped}}}\n").as_bytes(),
            );
        }
        // After a failure the last line may be half there; the empty line ends it.
        let start: &[u8] = if self.is_failing { b"\n" } else { b"" };
        let written = self
            .out
            .write_all(start)
            .and_then(|()| self.out.write_all(lines))
            .and_then(|()| self.out.flush());
        match written {
            Ok(()) => {
                self.is_failing = false;
                self.bytes += (start.len() + lines.len()) as u64;
                self.rotate();
            }
            Err(error) => {
                // Which of these lines got out cannot be told; all are counted rather than written twice.
                let lost = memchr::memchr_iter(b'\n', lines).count() as u64;
                self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(to = self.shown, %error, "cannot write log lines; they are dropped until it works again");
                }
            }
        }
        lines.clear();
        lines.shrink_to(4 * WRITE_BYTES);
    }
}

/// Renames `path` to `path.1`, that to `path.2` and so on; the oldest is overwritten.
fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..keep).rev() {
        match std::fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(path, numbered(1))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

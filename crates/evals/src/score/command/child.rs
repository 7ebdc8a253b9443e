//! Programs that are kept running, asked one line at a time.
//!
//! idle ─asked→ busy ─a good line→ idle │ ─ended, silent, nonsense→ gone; the next question starts another.
//!
//! Whatever a program writes unasked would be taken for the answer to the next question, so one that does is not kept.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

/// Programs that may fail in one run before none is started any more: one that fails always would cost its time limit
/// for every case.
const FAILURES_MAX: u32 = 5;
/// Of one answer: a score with its evidence.
const LINE_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Program {
    pub(super) argv: Vec<String>,
    /// Variables that it may see, `PATH` aside.
    pub(super) environment: Vec<String>,
    pub(super) folder: Option<PathBuf>,
    /// For one answer, the start included.
    pub(super) timeout: Duration,
}

/// Killed when it is dropped, with all that it has started.
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// Nobody else holds it, and a program that hangs would outlive the run.
impl Drop for Running {
    fn drop(&mut self) {
        // None once it has ended and was waited for: its number may be another's by then.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may just have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Why there is no answer.
enum Broken {
    /// It is gone, or was before it was asked.
    Ended(String),
    Nonsense(String),
}

impl Broken {
    fn into_words(self) -> String {
        match self {
            Broken::Ended(why) | Broken::Nonsense(why) => why,
        }
    }
}

pub(super) struct Pool {
    program: Program,
    idle: Mutex<Vec<Running>>,
    places: Semaphore,
    failures: AtomicU32,
    /// Of the last one, for those that are not asked any more.
    last_failure: Mutex<String>,
}

impl Pool {
    pub(super) fn new(program: Program, processes: usize) -> Pool {
        Pool {
            program,
            idle: Mutex::default(),
            places: Semaphore::new(processes),
            failures: AtomicU32::new(0),
            last_failure: Mutex::default(),
        }
    }

    /// Asks a program, and reads its line by `read`. Errors: why there is no answer.
    pub(super) async fn ask<T>(
        &self,
        question: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        let _place = self.places.acquire().await.map_err(|_| "the scorer is closed".to_owned())?;
        let kept = self.kept().await;
        if self.failures.load(Ordering::Relaxed) >= FAILURES_MAX {
            let last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(format!(
                "the scorer's program failed {FAILURES_MAX} times and is not started again in this run; the last time {last}"
            ));
        }
        // Whoever gives up on this future drops the program with it: it is in the middle of an answer.
        let asked = timeout(self.program.timeout, self.answer(kept, question)).await;
        let why = match asked {
            Err(_) => format!("it did not answer within {:?}", self.program.timeout),
            Ok(Err(why)) => why,
            Ok(Ok((running, line))) => match read(&line) {
                Ok(answer) => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(running);
                    return Ok(answer);
                }
                // What it writes next may belong to this question, so it is not kept.
                Err(why) => why,
            },
        };
        self.failed(&why);
        Err(format!("the scorer's program failed: {why}"))
    }

    fn failed(&self, why: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        why.clone_into(&mut self.last_failure.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A program that waits for a question. One that has written since its last answer is let go.
    async fn kept(&self) -> Option<Running> {
        let mut running = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        // What lies in the pipe is only seen when the runtime has looked.
        tokio::task::yield_now().await;
        let is_quiet = match running.stdout.fill_buf().now_or_never() {
            // Nothing, or its end, which is found when it is asked.
            None => true,
            Some(read) => !read.is_ok_and(|unread| !unread.is_empty()),
        };
        if is_quiet {
            return Some(running);
        }
        self.failed("it wrote more than one line for an answer");
        None
    }

    /// One that was kept may have ended since, or belong to a run that is over: then another is asked, once.
    async fn answer(&self, kept: Option<Running>, question: &str) -> Result<(Running, String), String> {
        if let Some(kept) = kept {
            match converse(kept, question).await {
                Err(Broken::Ended(_)) => {}
                asked => return asked.map_err(Broken::into_words),
            }
        }
        converse(self.program.start()?, question).await.map_err(Broken::into_words)
    }
}

async fn converse(mut running: Running, question: &str) -> Result<(Running, String), Broken> {
    let ended =
        |error: std::io::Error| Broken::Ended(format!("it ended or closed its input ({})", error.kind()));
    running.stdin.write_all(question.as_bytes()).await.map_err(ended)?;
    running.stdin.write_all(b"\n").await.map_err(ended)?;
    running.stdin.flush().await.map_err(ended)?;
    let mut line = Vec::new();
    let read = (&mut running.stdout).take(LINE_MAX).read_until(b'\n', &mut line).await;
    read.map_err(|error| Broken::Ended(format!("its answer cannot be read ({})", error.kind())))?;
    if line.is_empty() {
        return Err(Broken::Ended("it ended without an answer".to_owned()));
    }
    if line.len() as u64 == LINE_MAX && !line.ends_with(b"\n") {
        return Err(Broken::Nonsense(format!("its answer is longer than {LINE_MAX} bytes")));
    }
    let line = String::from_utf8(line).map_err(|_| Broken::Nonsense("its answer is not UTF-8".to_owned()))?;
    Ok((running, line))
}

impl Program {
    fn start(&self) -> Result<Running, String> {
        let (program, arguments) = self.argv.split_first().ok_or("no program is named")?;
        let mut command = Command::new(self.found(program));
        // A group of its own: it ends with us and not by the Ctrl-C that lets answers under way arrive.
        command.args(arguments).env_clear().kill_on_drop(true).process_group(0);
        for name in ["PATH"].into_iter().chain(self.environment.iter().map(String::as_str)) {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(folder) = &self.folder {
            if !folder.is_dir() {
                return Err(format!("the suite's folder `{}` is not there", folder.display()));
            }
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child =
            command.spawn().map_err(|error| format!("`{program}` cannot be started ({})", error.kind()))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Running { child, stdin, stdout: BufReader::new(stdout) }),
            _ => Err("it has no input or output".to_owned()),
        }
    }

    /// A path is one from the suite's folder, whatever folder we were started in.
    fn found(&self, program: &str) -> PathBuf {
        match &self.folder {
            Some(folder) if program.contains('/') && !program.starts_with('/') => {
                let path = folder.join(program);
                std::path::absolute(&path).unwrap_or(path)
            }
            _ => Path::new(program).to_owned(),
        }
    }
}

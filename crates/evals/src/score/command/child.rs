//! Programs that are kept running, asked one line at a time.
//!
//! idle ─asked→ busy ─a good line→ idle │ ─ended, silent, nonsense→ gone; the next question starts another.

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

/// Killed when it is dropped.
struct Running {
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

pub(super) struct Pool {
    program: Program,
    idle: Mutex<Vec<Running>>,
    places: Semaphore,
    failures: AtomicU32,
}

impl Pool {
    pub(super) fn new(program: Program, processes: usize) -> Pool {
        let places = Semaphore::new(processes);
        Pool { program, idle: Mutex::new(Vec::new()), places, failures: AtomicU32::new(0) }
    }

    /// Asks a program, and reads its line by `read`. Errors: why there is no answer.
    pub(super) async fn ask<T>(
        &self,
        question: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        let _place = self.places.acquire().await.map_err(|_| "the scorer is closed".to_owned())?;
        if self.failures.load(Ordering::Relaxed) >= FAILURES_MAX {
            return Err(format!(
                "the scorer's program failed {FAILURES_MAX} times and is not started again in this run"
            ));
        }
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // Whoever gives up on this future drops the program with it: it is in the middle of an answer.
        let asked = timeout(self.program.timeout, self.converse(kept, question)).await;
        let answered = match asked {
            Err(_) => Err(format!("the scorer's program did not answer within {:?}", self.program.timeout)),
            Ok(Err(why)) => Err(format!("the scorer's program failed: {why}")),
            Ok(Ok((running, line))) => match read(&line) {
                Ok(answer) => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(running);
                    return Ok(answer);
                }
                // What it writes next may belong to this question, so it is not kept.
                Err(why) => Err(format!("the scorer's program failed: {why}")),
            },
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        answered
    }

    async fn converse(&self, kept: Option<Running>, question: &str) -> Result<(Running, String), String> {
        let mut running = match kept {
            Some(running) => running,
            None => self.program.start()?,
        };
        let ended = |error: std::io::Error| format!("it ended or closed its input ({})", error.kind());
        running.stdin.write_all(question.as_bytes()).await.map_err(ended)?;
        running.stdin.write_all(b"\n").await.map_err(ended)?;
        running.stdin.flush().await.map_err(ended)?;
        let mut line = Vec::new();
        let read = (&mut running.stdout).take(LINE_MAX).read_until(b'\n', &mut line).await;
        read.map_err(|error| format!("its answer cannot be read ({})", error.kind()))?;
        if line.is_empty() {
            return Err("it ended without an answer".to_owned());
        }
        if line.len() as u64 == LINE_MAX && !line.ends_with(b"\n") {
            return Err(format!("its answer is longer than {LINE_MAX} bytes"));
        }
        let line = String::from_utf8(line).map_err(|_| "its answer is not UTF-8".to_owned())?;
        Ok((running, line))
    }
}

impl Program {
    fn start(&self) -> Result<Running, String> {
        let (program, arguments) = self.argv.split_first().ok_or("no program is named")?;
        let mut command = Command::new(self.found(program));
        command.args(arguments).env_clear().kill_on_drop(true);
        for name in ["PATH"].into_iter().chain(self.environment.iter().map(String::as_str)) {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child =
            command.spawn().map_err(|error| format!("`{program}` cannot be started ({})", error.kind()))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => {
                Ok(Running { _child: child, stdin, stdout: BufReader::new(stdout) })
            }
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

//! Child processes: their output as lines while they run, and an end that does not wait for ever.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(5);

/// The lines of a stream so far; filled by a thread of its own, so that a full pipe never stops the child.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    shared: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Lines {
    pub(crate) fn follow(stream: impl Read + Send + 'static) -> (Lines, JoinHandle<()>) {
        let lines = Lines::default();
        let filled = lines.clone();
        let thread = thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                filled.lock().push(text);
                filled.shared.1.notify_all();
            }
        });
        (lines, thread)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.shared.0.lock().expect("nothing panics while it holds the lines")
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lock().join("\n")
    }

    /// The first line that contains `part`, those that came already included.
    pub(crate) fn wait_for(&self, part: &str, limit: Duration) -> Option<String> {
        let until = Instant::now() + limit;
        let mut lines = self.lock();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(part)) {
                return Some(line.clone());
            }
            let left = until.checked_duration_since(Instant::now())?;
            lines =
                self.shared.1.wait_timeout(lines, left).expect("nothing panics while it holds the lines").0;
        }
    }
}

/// Sends a signal by its name without `SIG`. `kill` of the shell: the standard library can only send SIGKILL.
pub(crate) fn signal(pid: u32, name: &str) {
    assert!(send(pid, name), "`kill -{name} {pid}` failed");
}

/// To a process that may have ended by itself.
pub(crate) fn signal_if_there(pid: u32, name: &str) {
    send(pid, name);
}

fn send(pid: u32, name: &str) -> bool {
    let script = format!("kill -{name} {pid} 2>/dev/null");
    Command::new("sh").args(["-c", &script]).status().expect("there is a shell").success()
}

/// Waits for the end; none if the child still runs after `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours can be waited for") {
            return Some(status);
        }
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(POLL);
    }
}

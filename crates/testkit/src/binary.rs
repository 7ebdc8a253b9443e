//! The built binary as a child process: started, read along, killed without mercy.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    http,
    port::free_port,
    process::{self, Lines},
};

const READY_LIMIT: Duration = Duration::from_secs(20);
/// Longer than any drain of open calls that a test sets up.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const RUN_LIMIT: Duration = Duration::from_secs(120);
/// How often another program may snatch the port between our asking and the binary's binding.
const PORT_TRIES: usize = 3;
/// Where the binary takes spans over gRPC.
const OTLP_LISTEN: &str = "GAUNTLET_OTLP_LISTEN";

/// What to start. The environment is empty but for `PATH`, the language and what is set here, so that no key or proxy of
/// the developer's shell reaches a test.
#[derive(Clone, Debug)]
pub struct Launch {
    path: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    folder: Option<PathBuf>,
    ready_limit: Duration,
}

/// A process that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\n-- stdout\n{}\n-- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Ended {
    /// Panics with everything it printed unless it ended with 0.
    pub fn expect_ok(self) -> Ended {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// What it printed, as JSON; panics with everything it printed if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON on stdout ({error}): {self}"))
    }
}

impl Launch {
    pub fn new(path: impl AsRef<Path>) -> Launch {
        Launch {
            path: path.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            ready_limit: READY_LIMIT,
        }
    }

    pub fn args<T: AsRef<str>>(mut self, args: impl IntoIterator<Item = T>) -> Launch {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder it runs in.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Launch {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    pub fn ready_within(mut self, limit: Duration) -> Launch {
        self.ready_limit = limit;
        self
    }

    /// Runs to its end: for commands. Panics if it does not end by itself.
    pub fn run(&self) -> Ended {
        let mut running = self.spawn(&self.args);
        let status = process::wait(&mut running.child, RUN_LIMIT);
        if status.is_none() {
            let _ = running.child.kill();
            panic!("{:?} {:?} did not end within {RUN_LIMIT:?}: {}", self.path, self.args, running.ended());
        }
        running.ended()
    }

    /// Takes spans over gRPC on this port of 127.0.0.1; without it nothing does, so that tests never fight over 4317.
    pub fn otlp_port(self, port: u16) -> Launch {
        self.env(OTLP_LISTEN, &format!("127.0.0.1:{port}"))
    }

    /// Starts a server and waits until `GET /readyz` says 200. Adds `--listen 127.0.0.1:<free port>` unless the arguments
    /// have a `--listen`. Panics with everything it printed when it does not get ready.
    pub fn serve(&self) -> Binary {
        self.try_serve()
            .unwrap_or_else(|ended| panic!("{:?} {:?} does not serve: {ended}", self.path, self.args))
    }

    /// As `serve`; when the process ends instead, says how.
    pub fn try_serve(&self) -> Result<Binary, Ended> {
        let given =
            self.args.iter().position(|arg| arg == "--listen").and_then(|at| self.args.get(at + 1)).cloned();
        let mut tries = 0;
        loop {
            tries += 1;
            let address = given.clone().unwrap_or_else(|| format!("127.0.0.1:{}", free_port()));
            let mut args = self.args.clone();
            if given.is_none() {
                args.extend(["--listen".to_owned(), address.clone()]);
            }
            match self.wait_until_ready(self.spawn(&args), &address) {
                Ok(running) => return Ok(Binary { running, base_url: format!("http://{address}") }),
                Err(ended) if given.is_none() && tries < PORT_TRIES && ended.stderr.contains("in use") => {}
                Err(ended) => return Err(ended),
            }
        }
    }

    fn wait_until_ready(&self, mut running: Running, address: &str) -> Result<Running, Ended> {
        let until = Instant::now() + self.ready_limit;
        let url = format!("http://{address}/readyz");
        loop {
            if http::get(&url, &[]).is_ok_and(|reply| reply.status == 200) {
                return Ok(running);
            }
            if process::wait(&mut running.child, Duration::ZERO).is_some() {
                return Err(running.ended());
            }
            if Instant::now() >= until {
                let _ = running.child.kill();
                let mut ended = running.ended();
                ended.stderr.push_str(&format!("\n(not ready within {:?}, killed)", self.ready_limit));
                return Err(ended);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn spawn(&self, args: &[String]) -> Running {
        let mut command = Command::new(&self.path);
        command.args(args).env_clear().env("LANG", "C.UTF-8").env(OTLP_LISTEN, "off");
        for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        Running::spawn(&mut command)
    }
}

/// A child whose output is read along.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn spawn(command: &mut Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (stdout, first) = Lines::follow(child.stdout.take().expect("stdout is piped"));
        let (stderr, second) = Lines::follow(child.stderr.take().expect("stderr is piped"));
        Running { child, stdout, stderr, readers: vec![first, second] }
    }

    /// Waits for a process that has ended or been killed, and for the rest of its output.
    pub(crate) fn ended(&mut self) -> Ended {
        let status = self.child.wait().expect("a child of ours can be waited for");
        for reader in self.readers.drain(..) {
            // A reader cannot panic; and its lines count either way.
            let _ = reader.join();
        }
        Ended { code: status.code(), stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A serving binary. Dropped, it is killed; when a test fails meanwhile, what it printed is shown.
pub struct Binary {
    running: Running,
    base_url: String,
}

impl Binary {
    /// `http://127.0.0.1:port`, without a path.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address of a path: `url("/v1/models")`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        process::wait(&mut self.running.child, Duration::ZERO).is_none()
    }

    /// Lines of standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.running.stdout.all()
    }

    pub fn stderr(&self) -> Vec<String> {
        self.running.stderr.all()
    }

    /// The first line of standard output with `part` in it, waiting for it up to `limit`.
    pub fn wait_for_stdout(&self, part: &str, limit: Duration) -> Option<String> {
        self.running.stdout.wait_for(part, limit)
    }

    pub fn wait_for_stderr(&self, part: &str, limit: Duration) -> Option<String> {
        self.running.stderr.wait_for(part, limit)
    }

    /// Sends a signal by its name without `SIG`: `HUP`, `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        process::signal(self.pid(), name);
    }

    /// SIGKILL, at once; returns when the process is gone.
    pub fn kill9(mut self) -> Ended {
        self.running.child.kill().expect("a child of ours can be killed");
        self.running.ended()
    }

    /// SIGTERM, and waits for a graceful end. Panics when it does not come.
    pub fn stop(mut self) -> Ended {
        self.signal("TERM");
        if process::wait(&mut self.running.child, STOP_LIMIT).is_none() {
            panic!("SIGTERM did not end the process within {STOP_LIMIT:?}");
        }
        self.running.ended()
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.running.child.kill();
            eprintln!("-- the binary at {}: {}", self.base_url, self.running.ended());
        }
    }
}

//! A private Redis (or Valkey) server, to be stopped at the worst moment.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{binary::Running, parts, port::free_port, process};

const READY_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// In the address, so that tests can look for it where it must not be.
const PASSWORD: &str = "redis-secret-4711";

/// Listens on 127.0.0.1 with a password, keeps its files in a folder of its own, and ends with this value.
pub struct RedisServer {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    is_durable: bool,
    running: Option<Running>,
}

impl RedisServer {
    /// Forgets everything at its end. None if the part was left out on request (said on standard error).
    pub fn start() -> Option<RedisServer> {
        RedisServer::launch(false)
    }

    /// Keeps an append-only file, and so its data over `kill_9` and `start_again`.
    pub fn start_durable() -> Option<RedisServer> {
        RedisServer::launch(true)
    }

    fn launch(is_durable: bool) -> Option<RedisServer> {
        let program = parts::redis_server()?;
        let folder = TempDir::new().expect("a folder for Redis");
        let mut server = RedisServer { program, folder, port: free_port(), is_durable, running: None };
        server.start_again();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// After `kill_9` or `stop`: at the same address.
    pub fn start_again(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]);
        command.args(["--appendonly", if self.is_durable { "yes" } else { "no" }]);
        command.args(["--port", &self.port.to_string(), "--dir"]).arg(self.folder.path());
        let running = self.running.insert(Running::spawn(&mut command));
        let until = Instant::now() + READY_LIMIT;
        while !is_ready(self.port) {
            let has_ended = process::wait(&mut running.child, Duration::from_millis(5)).is_some();
            if has_ended || Instant::now() >= until {
                let _ = running.child.kill();
                panic!("Redis does not serve: {}", running.ended());
            }
        }
    }

    fn pid(&self) -> u32 {
        self.running.as_ref().expect("Redis runs").child.id()
    }

    pub fn kill_9(&mut self) {
        // Dropped, it is killed and waited for.
        drop(self.running.take());
    }

    /// In good order.
    pub fn stop(&mut self) {
        process::signal(self.pid(), "TERM");
        let mut running = self.running.take().expect("Redis runs");
        assert!(process::wait(&mut running.child, STOP_LIMIT).is_some(), "SIGTERM did not end Redis");
    }

    /// Stands still, with its connections open.
    pub fn pause(&self) {
        process::signal(self.pid(), "STOP");
    }

    pub fn resume(&self) {
        process::signal(self.pid(), "CONT");
    }

    /// One command, its words without spaces; the answer as it came.
    pub fn command(&self, line: &str) -> String {
        ask(self.port, line).unwrap_or_else(|error| panic!("Redis does not answer `{line}`: {error}"))
    }
}

fn is_ready(port: u16) -> bool {
    ask(port, "PING").is_ok_and(|answer| answer.contains("PONG"))
}

fn ask(port: u16, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "AUTH {PASSWORD}\r\n{line}\r\nQUIT\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

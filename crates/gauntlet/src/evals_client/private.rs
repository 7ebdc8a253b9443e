//! A gateway as a child of this process, on a port of its own, that ends with it.
//!
//! The child holds the other end of a pipe as its standard input, and stops when that closes: the operating system closes it
//! with this process, whether it returns, panics or is killed. Other commands may find the gateway meanwhile and use it: each says
//! so by a lock (see [`Guest`]), and the child stops when the last of them has gone. A process group of its own keeps a Ctrl-C at the terminal from
//! stopping it before its parent has kept what it has.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    cli::Place,
    runfile::{Guest, RunFile},
};

/// A start takes less than a second, unless a crash left much to recover.
const START_MAX: Duration = Duration::from_secs(60);
/// Calls under way have 30 seconds to end, and records ten to reach the store; see `up`.
const END_MAX: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_millis(5);
/// Lines of what it said that are told where it failed.
const SAID_MAX: usize = 20;

pub struct Private {
    child: Child,
    data: PathBuf,
    /// Closed to stop the child.
    pipe: Option<ChildStdin>,
    said: Option<JoinHandle<VecDeque<String>>>,
}

impl Private {
    pub fn start(place: &Place) -> Result<(Private, RunFile)> {
        let program = std::env::current_exe().context("cannot find this program, to start a gateway with")?;
        let mut command = Command::new(program);
        command.args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--otlp-listen",
            "off",
            "--json",
            "--until-stdin-closes",
        ]);
        command.arg("--data").arg(&place.data);
        if let Some(config) = &place.config {
            command.arg("--config").arg(config);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("cannot start a gateway for the evals")?;
        let pipe = child.stdin.take();
        let said = child.stderr.take().map(last_lines).transpose()?;
        let stdout = child.stdout.take();
        let private = Private { child, data: place.data.clone(), pipe, said };
        match private.up(stdout) {
            Ok(()) => match RunFile::find(&place.data) {
                Some(run) => Ok((private, run)),
                None => Err(private.failed("the gateway for the evals cannot be found")),
            },
            Err(error) => Err(private.failed(&error.to_string())),
        }
    }

    /// Waits for the line that it prints when it serves.
    fn up(&self, stdout: Option<impl Read + Send + 'static>) -> Result<()> {
        let Some(stdout) = stdout else { bail!("the gateway for the evals has no output") };
        let (tx, rx) = mpsc::channel();
        let read = move || {
            let mut line = String::new();
            let mut reader = BufReader::new(stdout);
            let _ = tx.send(reader.read_line(&mut line).unwrap_or(0));
            // To its end, so that a full pipe never stops it.
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
        };
        std::thread::Builder::new().name("private-gateway".into()).spawn(read)?;
        match rx.recv_timeout(START_MAX) {
            Ok(length) if length > 0 => Ok(()),
            Ok(_) => bail!("the gateway for the evals did not start"),
            Err(_) => bail!("the gateway for the evals did not start within {} s", START_MAX.as_secs()),
        }
    }

    /// Ends it, and tells what it said.
    fn failed(mut self, why: &str) -> anyhow::Error {
        drop(self.pipe.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        let said: Vec<&str> = said.iter().map(|line| line.strip_prefix("error: ").unwrap_or(line)).collect();
        if said.is_empty() { anyhow::anyhow!("{why}") } else { anyhow::anyhow!("{why}: {}", said.join("\n")) }
    }

    /// Waits for other commands that use it too: each is a process that ends, and a Ctrl-C here leaves the gateway to them.
    ///
    /// Errors: it did not end, or not well; it is killed then, and the next start finds what it had not settled.
    pub fn end(mut self) -> Result<()> {
        drop(self.pipe.take());
        let mut until = Instant::now() + END_MAX;
        let mut is_told = false;
        while Instant::now() < until {
            if Guest::is_there(&self.data) {
                until = Instant::now() + END_MAX;
                if !is_told {
                    eprintln!("another command uses the gateway of this one; it is waited for");
                    is_told = true;
                }
            }
            match self.child.try_wait().context("cannot wait for the gateway of the evals")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(self.failed(&format!("the gateway for the evals ended with {status}")));
                }
                None => std::thread::sleep(LOOK),
            }
        }
        Err(self.failed(&format!("the gateway for the evals did not end within {} s", END_MAX.as_secs())))
    }
}

/// Reads lines to their end and keeps the last ones.
fn last_lines(stream: impl Read + Send + 'static) -> Result<JoinHandle<VecDeque<String>>> {
    let read = move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if last.len() == SAID_MAX {
                last.pop_front();
            }
            last.push_back(line);
        }
        last
    };
    Ok(std::thread::Builder::new().name("private-gateway-said".into()).spawn(read)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let last = last_lines(std::io::Cursor::new(text)).unwrap().join().unwrap();
        assert_eq!(last.len(), SAID_MAX);
        assert_eq!(last.back().map(String::as_str), Some("line 99"));
    }
}

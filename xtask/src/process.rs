//! Running other programs, with their time.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Lines of a log that are shown when a step fails: enough for a compiler's error, not for a whole build.
const LOG_LINES_SHOWN: usize = 40;
/// A quiet step says every so often that it is alive, so that nobody ends it for being stuck.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The steps of a command and how long each took.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    pub fn time<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let started = Instant::now();
        let result = step();
        let took = started.elapsed();
        println!("    {} in {}", if result.is_ok() { "done" } else { "FAILED" }, seconds(took));
        self.done.push((name.to_owned(), took));
        result
    }

    pub fn print(&self) {
        println!("\ntime by step:");
        for (name, took) in &self.done {
            println!("  {:>9}  {name}", seconds(*took));
        }
    }
}

pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

pub fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs with our own output.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", show(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", show(command));
    }
    Ok(())
}

/// Runs with its output in a log file, whose end is shown on failure.
pub fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = file.try_clone().context("cannot share the log file")?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    let mut said = started;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if said.elapsed() >= HEARTBEAT {
            said = Instant::now();
            println!("    … {} so far; log: {}", seconds(started.elapsed()), log.display());
        }
        sleep(Duration::from_millis(100));
    };
    if !status.success() {
        bail!("`{}` failed ({status}); the end of {}:\n{}", show(command), log.display(), tail(log));
    }
    Ok(())
}

/// What a program prints, if it runs and succeeds.
pub fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn tail(log: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(log) {
        // Whatever could be read is still worth showing.
        let _ = file.read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

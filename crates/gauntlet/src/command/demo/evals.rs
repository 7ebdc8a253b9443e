//! Evals of the demonstration: its suite over two versions of its prompt, each with a gate, so that the pages of evals and
//! prompts have something to show. The same commands as anybody's, beside the gateway.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{cli::Place, reach::Reach};

const SUITE: &str = "support";
/// What is run one after another: the first is what a gate compares the others with. Simulated answers of one question are the
/// same each time, so that the second shows no difference; `echo` repeats the question, and fails.
const RUNS: [&str; 4] =
    ["support-agent@1.0.0", "support-agent@1.0.0", "support-agent@1.1.0", "support-agent@1.1.0 on sim/echo"];
/// A run of two dozen simulated answers takes two seconds; a machine that is busy may take longer.
const RUN_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Runs them once in the life of a data folder: another start shows what is there.
pub(super) fn run_once(place: &Place) -> Result<()> {
    let known = Reach::new(place)?.get("/api/v1/evals/suites?suites=1&runs=1")?;
    if known["suites"].as_array().is_some_and(|suites| !suites.is_empty()) {
        return Ok(());
    }
    let mut first: Option<String> = None;
    for (number, candidate) in RUNS.iter().enumerate() {
        let app_sha = format!("demo-{}", number + 1);
        command(place, &["eval", "run", SUITE, "--candidate", candidate, "--app-sha", &app_sha, "--yes"])?;
        let run = newest(place)?;
        match &first {
            None => first = Some(run),
            Some(first) => {
                let baseline = format!("run:{first}");
                command(place, &["gate", SUITE, "--run", &run, "--baseline", &baseline])?;
            }
        }
    }
    Ok(())
}

/// The run that has just been made.
fn newest(place: &Place) -> Result<String> {
    let known = Reach::new(place)?.get("/api/v1/evals/runs?limit=1")?;
    let id = known["runs"][0]["id"].as_str().map(str::to_owned);
    id.context("the demonstration's run is not there")
}

/// Runs this program beside its gateway. A gate that says no is no failure.
fn command(place: &Place, args: &[&str]) -> Result<Option<i32>> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(args).arg("--data").arg(&place.data);
    if let Some(config) = &place.config {
        command.arg("--config").arg(config);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let ended = wait(&mut child);
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}

fn wait(child: &mut Child) -> Result<Option<i32>> {
    let until = Instant::now() + RUN_MAX;
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        thread::sleep(LOOK);
    }
    bail!("a command of the demonstration took longer than {} s", RUN_MAX.as_secs())
}

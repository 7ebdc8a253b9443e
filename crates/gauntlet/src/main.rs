//! The `gauntlet` binary: reads the command line, wires the rooms together, runs one command.

mod alerts;
mod cli;
mod clock;
mod command;
mod config_dir;
mod evals_client;
mod export;
mod import;
mod indexing;
mod keeping;
mod owners;
mod parquet;
mod reach;
mod reload;
mod runfile;
mod sharing;
mod show;
mod stores;
mod suites;
mod tagging;
mod up;
mod wiring;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    diagnostics();
    if let Err(error) = crash_point() {
        eprintln!("error: GAUNTLET_CRASH_AT: {error}");
        return ExitCode::from(2);
    }
    if !writes_to_pipes(&cli.command) {
        end_with_the_reader();
        end_where_nothing_can_be_written();
    }
    let is_for_programs = cli.place.json && matches!(cli.command, Command::Eval(_));
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if is_for_programs {
                end_with_the_reader();
                show::json(&serde_json::json!({"error": {"message": format!("{error:#}")}}));
            }
            ExitCode::from(2)
        }
    }
}

/// Whether others than the reader of our output may close what is written to: callers of the gateway, whose connections break
/// all the time, and scorers of one's own, which may end before they have read.
fn writes_to_pipes(command: &Command) -> bool {
    matches!(command, Command::Up { .. } | Command::Demo { .. } | Command::Eval(cli::Eval::Run(_)))
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let place = cli.place;
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    match cli.command {
        Command::Up { listen, otlp_listen: otlp, workers, until_stdin_closes } => {
            done(up::run(&place, up::Listen { address: listen, otlp, workers, until_stdin_closes }))
        }
        Command::Demo { listen, otlp_listen: otlp } => {
            done(command::demo::run(&place, up::Listen { address: listen, otlp, ..up::Listen::default() }))
        }
        Command::Check { dir } => command::check::run(&place, dir),
        Command::Import(import) => command::import::run(&place, &import),
        Command::Doctor => command::doctor::run(&place),
        Command::Key(key) => done(command::manage::key(&place, key)),
        Command::Kill(kill) => done(command::manage::kill(&place, kill)),
        Command::Trace(trace) => command::trace::run(&place, trace),
        Command::Spend(spend) => done(command::spend::run(&place, spend)),
        Command::Budget => done(command::spend::budget(&place)),
        Command::Replica(replica) => done(command::replica::run(&place, replica)),
        Command::Erase(erase) => done(command::keep::erase(&place, &erase)),
        Command::Retention { command } => done(command::keep::retention(&place, command.as_ref())),
        Command::Prices(prices) => command::prices::run(&place, prices),
        Command::Events(events) => done(command::events::run(&place, &events)),
        Command::Reprice(reprice) => done(command::reprice::run(&place, &reprice)),
        Command::Reconcile(reconcile) => command::reconcile::run(&place, &reconcile),
        Command::Advice(advice) => done(command::advice::run(&place, &advice)),
        Command::Metrics(metrics) => done(command::metrics::run(&metrics, place.json)),
        Command::Prompt(prompt) => command::prompt::run(&place, prompt),
        Command::Eval(eval) => command::eval::run(&place, eval),
        Command::Gate(gate) => {
            gate.outputs_are_apart(place.json)?;
            command::gate::run(&place, &gate)
        }
        Command::Cache(cache) => done(command::cache::run(&place, cache)),
        Command::Route(route) => done(command::route::run(&place, route)),
        Command::Guard(guard) => command::guard::run(&place, guard),
        Command::Stats(stats) => command::stats::run(&place, &stats),
        Command::Store(store) => command::store::run(&place, store),
    }
}

/// A command whose output is piped into `head` ends with it, quietly, as every tool of the shell does. One that
/// [`writes_to_pipes`] says so when it begins to print.
pub(crate) fn end_with_the_reader() {
    let always = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    if let Err(error) = signal_hook::flag::register_conditional_default(signal_hook::consts::SIGPIPE, always)
    {
        tracing::debug!(%error, "SIGPIPE stays ignored");
    }
}

/// `println!` panics where its output cannot be written, such as on a full disk: for whoever asked, an error as any other.
fn end_where_nothing_can_be_written() {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panicked| {
        let message = panicked.payload().downcast_ref::<String>();
        // The standard library's own words; another message keeps its backtrace.
        match message.and_then(|message| message.strip_prefix("failed printing to stdout: ")) {
            Some(why) => {
                let _ = writeln!(std::io::stderr(), "error: cannot write to standard output: {why}");
                std::process::exit(2);
            }
            None => otherwise(panicked),
        }
    }));
}

/// `GAUNTLET_CRASH_AT=NAME[:nth]` lets a debug build die at a named place, for tests. Nothing in a release build.
fn crash_point() -> Result<(), String> {
    match std::env::var("GAUNTLET_CRASH_AT") {
        Ok(place) if cfg!(debug_assertions) => gauntlet_ports::crash::arm(&place),
        _ => Ok(()),
    }
}

/// What the program says of itself, on standard error; `GAUNTLET_LOG=debug` says more. Calls have their own log line.
fn diagnostics() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GAUNTLET_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}

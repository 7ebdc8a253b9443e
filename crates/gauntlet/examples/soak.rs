//! Money under load and kills, at full size: see docs/benchmarks.md.
//!
//! ```console
//! cargo build --release -p gauntlet --bin gauntlet --example soak
//! target/release/examples/soak --calls 1000000 --concurrency 1000 --kill-every 10 --seed 1
//! ```
//!
//! Prints a table and one line of JSON. Exit code 1 if something that must be nothing is not.

#[path = "../tests/it/soak/mod.rs"]
mod soak;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Callers at once, each with a connection of its own.
    #[arg(long, default_value_t = 1_000)]
    concurrency: usize,
    /// Seconds between two SIGKILLs.
    #[arg(long, default_value_t = 10.0)]
    kill_every: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The gateway's binary [default: beside this program]
    #[arg(long)]
    gateway: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let beside = || {
        let own = std::env::current_exe().ok()?;
        Some(own.parent()?.parent()?.join("gauntlet"))
    };
    let gateway = args.gateway.or_else(beside).expect("a program has a path");
    let report = soak::run(&soak::Options {
        gateway,
        calls: args.calls,
        concurrency: args.concurrency,
        kill_every: Duration::from_secs_f64(args.kill_every),
        seed: args.seed,
    });
    println!("{}", report.table());
    println!("{}", serde_json::to_string(&report).expect("figures have a JSON form"));
    let wrongs = report.wrongs();
    for wrong in &wrongs {
        eprintln!("must be nothing: {wrong}");
    }
    ExitCode::from(u8::from(!wrongs.is_empty()))
}

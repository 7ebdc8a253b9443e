//! `gauntlet guard …`: the guards from the shell, on texts, on the configuration and on recorded calls.

mod allow;
mod backtest;
mod cases;
mod diff;
mod explain;
mod quality;
mod scan;

use std::{path::Path, process::ExitCode};

use anyhow::{Result, bail};
use gauntlet_types::Direction;

use crate::{
    cli::{Guard, Place},
    config_dir::{self, ConfigDir},
    wiring::{self, Loaded},
};

pub fn run(place: &Place, command: Guard) -> Result<ExitCode> {
    match command {
        Guard::Scan { policy, direction, jsonl: _ } => scan::run(place, policy.as_deref(), &direction)?,
        Guard::Explain(asked) => explain::run(place, &asked)?,
        Guard::Diff { before, after } => return diff::run(place, &before, &after),
        Guard::Backtest(asked) => backtest::run(place, &asked)?,
        Guard::Allow(asked) => allow::run(place, &asked)?,
        Guard::List => cases::list(place)?,
        Guard::Test { file } => return cases::test(place, file.as_deref()),
        Guard::Quality(asked) => return quality::run(place, &asked),
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration folder, read and found good.
fn configuration(place: &Place) -> Result<(ConfigDir, Loaded)> {
    of_folder(config_dir::find(place.config.as_deref())?.as_deref())
}

fn of_folder(folder: Option<&Path>) -> Result<(ConfigDir, Loaded)> {
    let dir = config_dir::read(folder)?;
    match wiring::load(&dir, true) {
        Ok(loaded) => Ok((dir, loaded)),
        Err(_) => bail!("the configuration has mistakes; `gauntlet check` shows them"),
    }
}

/// Whether a policy is meant by its file, and not by its name.
fn is_file(reference: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| reference.ends_with(ending))
}

/// How a direction is said.
fn said(direction: Direction) -> &'static str {
    match direction {
        Direction::Input => "input",
        Direction::Output => "output",
    }
}

//! `gauntlet guard …`: the guards from the shell, on texts, on the configuration and on recorded calls.

mod explain;
mod scan;

use std::{path::Path, process::ExitCode};

use anyhow::{Result, bail};

use crate::{
    cli::{Guard, Place},
    config_dir::{self, ConfigDir},
    wiring::{self, Loaded},
};

pub fn run(place: &Place, command: Guard) -> Result<ExitCode> {
    match command {
        Guard::Scan { policy, direction, jsonl: _ } => scan::run(place, policy.as_deref(), &direction)?,
        Guard::Explain(asked) => explain::run(place, &asked)?,
        _ => bail!("not yet"),
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

//! `gauntlet eval …`: which command does what.

use std::process::ExitCode;

use anyhow::Result;

use super::eval_compare;
use crate::cli::{Eval, Place};

pub fn run(place: &Place, command: Eval) -> Result<ExitCode> {
    match command {
        Eval::Compare(asked) => eval_compare::run(place, &asked)?,
    }
    Ok(ExitCode::SUCCESS)
}

//! `gauntlet eval …`: which command does what.

use std::process::ExitCode;

use anyhow::Result;

use super::{eval_calibrate, eval_retrieval, eval_show};
use crate::cli::{Eval, Place};

pub fn run(place: &Place, command: Eval) -> Result<ExitCode> {
    match command {
        Eval::List(asked) => eval_show::list(place, &asked)?,
        Eval::Show { run } => eval_show::show(place, &run)?,
        Eval::Cases(asked) => eval_show::cases(place, &asked)?,
        Eval::Calibrate(asked) => return eval_calibrate::run(place, &asked),
        Eval::Retrieval(asked) => return eval_retrieval::run(place, &asked),
    }
    Ok(ExitCode::SUCCESS)
}

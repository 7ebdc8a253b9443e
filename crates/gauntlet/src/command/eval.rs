//! `gauntlet eval …`: which command does what.

use std::process::ExitCode;

use anyhow::Result;

use super::{eval_calibrate, eval_compare, eval_freeze, eval_retrieval, eval_run, eval_show, import};
use crate::cli::{Eval, Place};

pub fn run(place: &Place, command: Eval) -> Result<ExitCode> {
    match command {
        Eval::Run(asked) => return eval_run::run(place, &asked),
        Eval::Freeze(asked) => eval_freeze::freeze(place, &asked)?,
        Eval::Rotate(asked) => eval_freeze::rotate(place, &asked)?,
        Eval::Compare(asked) => eval_compare::run(place, &asked)?,
        Eval::List(asked) => eval_show::list(place, &asked)?,
        Eval::Show { run } => eval_show::show(place, &run)?,
        Eval::Cases(asked) => eval_show::cases(place, &asked)?,
        Eval::Import(asked) => return import::suite(place, &asked),
        Eval::Calibrate(asked) => return eval_calibrate::run(place, &asked),
        Eval::Retrieval(asked) => return eval_retrieval::run(place, &asked),
    }
    Ok(ExitCode::SUCCESS)
}

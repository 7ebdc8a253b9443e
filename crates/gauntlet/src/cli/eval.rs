//! `gauntlet eval …`

use clap::Subcommand;

use super::EvalCompare;

#[derive(Subcommand)]
pub enum Eval {
    Compare(EvalCompare),
}

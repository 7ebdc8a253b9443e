//! `gauntlet eval …`

use clap::{Args, Subcommand};

use super::{EvalCompare, EvalFreeze, EvalRotate, EvalRunArgs};

#[derive(Subcommand)]
pub enum Eval {
    Run(Box<EvalRunArgs>),
    Freeze(EvalFreeze),
    Rotate(EvalRotate),
    Compare(EvalCompare),
    /// Runs of evals, newest first
    List(EvalList),
    /// A run with its metrics, and what gates said of it
    Show {
        /// As `eval list` shows it
        run: String,
    },
    /// The cases of a run, with their scores and the traces of their answers
    Cases(EvalCases),
}

#[derive(Args)]
pub struct EvalList {
    #[arg(long)]
    pub suite: Option<String>,
    /// The application's version that was tested
    #[arg(long, value_name = "SHA")]
    pub app_sha: Option<String>,
    /// A prompt's name
    #[arg(long)]
    pub prompt: Option<String>,
    /// running, done or stopped
    #[arg(long)]
    pub state: Option<String>,
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: u32,
}

#[derive(Args)]
pub struct EvalCases {
    /// As `eval list` shows it
    pub run: String,
    /// Those alone that failed or could not be answered
    #[arg(long)]
    pub failed: bool,
}

//! `gauntlet eval …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    eval_calibrate::EvalCalibrate,
    eval_compare::EvalCompare,
    eval_retrieval::EvalRetrieval,
    eval_run::{EvalFreeze, EvalRotate, EvalRunArgs},
};

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
    /// Make a suite, its dataset and prompts of a promptfooconfig.yaml, and tell what has no like here
    Import(EvalImport),
    Calibrate(EvalCalibrate),
    Retrieval(EvalRetrieval),
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

#[derive(Args)]
pub struct EvalImport {
    /// promptfoo's configuration, with the files that it names beside it
    pub file: PathBuf,
    /// Folder to write
    #[arg(long, value_name = "DIR", default_value = "gauntlet-imported")]
    pub out: PathBuf,
    /// Write into a folder that has files in it; those of the same name are replaced, others stay
    #[arg(long)]
    pub force: bool,
}

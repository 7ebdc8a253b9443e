//! `gauntlet eval …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Eval {
    /// Make a suite, its dataset and prompts of a promptfooconfig.yaml, and tell what has no like here
    Import(EvalImport),
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

//! `gauntlet import`, as clap reads it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args)]
pub struct Import {
    /// Whose configuration it is
    pub from: ImportFrom,
    /// LiteLLM's config.yaml, tensorzero.toml with its templates beside it, or a config of Portkey as JSON
    pub file: PathBuf,
    /// Folder to write
    #[arg(long, value_name = "DIR", default_value = "gauntlet-imported")]
    pub out: PathBuf,
    /// Write into a folder that has files in it; those of the same name are replaced, others stay
    #[arg(long)]
    pub force: bool,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportFrom {
    Litellm,
    Tensorzero,
    Portkey,
}

//! `gauntlet eval compare`

use clap::Args;

/// Two runs side by side, case by case: what became worse stands first
#[derive(Args)]
pub struct EvalCompare {
    /// A run, `SUITE@APP_SHA` or `SUITE@latest`
    #[arg(value_name = "A")]
    pub a: String,
    /// The same; differences are B − A
    #[arg(value_name = "B")]
    pub b: String,
    /// Changes that are listed
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Both answers to one case, whole
    #[arg(long, value_name = "CASE")]
    pub case: Option<String>,
}

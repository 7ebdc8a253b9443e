//! `gauntlet gate`

use std::path::PathBuf;

use clap::Args;

/// Decides whether a run of evals may be released: against a baseline, floors, cost, latency and violations.
///
/// Exit codes: 0 pass, 1 fail, 2 it could not be decided, 3 inconclusive: too few cases to tell.
#[derive(Args)]
pub struct Gate {
    /// A suite (evals/NAME.yaml), whose newest run of this application is looked at; or a run
    #[arg(value_name = "SUITE|RUN")]
    pub what: Option<String>,
    /// The run; its suite is read from the folder `evals` unless it is named as well
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// What it is compared with: a label, `PROMPT@VERSION`, `sha:SHA`, `run:RUN`, `last`, `none` [default: the suite's]
    #[arg(long, value_name = "BASELINE")]
    pub baseline: Option<String>,
    /// How much worse is still as good, for every metric; one wider than the suite's is not kept for promotions
    #[arg(long, value_name = "POINTS")]
    pub margin: Option<f64>,
    /// The application's version [default: GITHUB_SHA, else that of git here]
    #[arg(long, value_name = "SHA", env = "GAUNTLET_APP_SHA")]
    pub app_sha: Option<String>,
    /// End with 0 where the cases do not tell; the verdict stays what it is
    #[arg(long)]
    pub allow_inconclusive: bool,
    /// Write a report for CI; without a file, or with `-`, to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub junit: Option<PathBuf>,
    /// Write a report for a comment; without a file, or with `-`, to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub markdown: Option<PathBuf>,
}

//! `gauntlet eval run`, `freeze` and `rotate`.

use std::path::PathBuf;

use clap::Args;

/// Run a suite against a candidate, through the same pipeline as production.
///
/// Exit codes: 0 the run is done, 1 it was stopped before its end, 2 it could not be done; with --baseline those of
/// `gauntlet gate`: 0 pass, 1 fail, 2 error, 3 inconclusive.
#[derive(Args)]
pub struct EvalRunArgs {
    /// A suite's name (evals/NAME.yaml), or its file
    pub suite: String,
    /// What is tested: prompt@version, @label, a prompt's file, a model, or `PROMPT on MODEL` [default: what the suite says]
    #[arg(long, value_name = "CANDIDATE")]
    pub candidate: Option<String>,
    /// What it is compared with: as --candidate (run now unless there is a run of it), or `last`, `sha:SHA`, `run:RUN`, `none`
    #[arg(long, value_name = "BASELINE")]
    pub baseline: Option<String>,
    /// The cases tagged `fast`, or a few that are always the same
    #[arg(long)]
    pub fast: bool,
    /// Answers to each case [default: the suite's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: Option<u32>,
    /// A case by its id; repeat for more
    #[arg(long = "case", value_name = "ID")]
    pub cases: Vec<String>,
    /// Cases with a tag; repeat for more
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// The model, whatever suite or prompt say
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// The application's version [default: GITHUB_SHA, else that of git here]
    #[arg(long, value_name = "SHA", env = "GAUNTLET_APP_SHA")]
    pub app_sha: Option<String>,
    /// Go on with a run that was stopped or broken off: only what is missing is asked
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Score the answers that the cases bring along (`output`), and ask nobody but judges
    #[arg(long)]
    pub recorded: bool,
    /// Calls at once [default: the suite's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: Option<u32>,
    /// The run stops before it spends more [default: the suite's]
    #[arg(long, value_name = "USD")]
    pub budget: Option<String>,
    /// Ask judges again, whatever they answered before
    #[arg(long)]
    pub no_judge_cache: bool,
    /// Say what would be asked, and ask nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask, however much it will cost
    #[arg(long)]
    pub yes: bool,
    /// Write a report for CI; without a file, or with `-`, to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub junit: Option<PathBuf>,
    /// Write a report for a comment; without a file, or with `-`, to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub markdown: Option<PathBuf>,
}

/// Declare the golden cases as they are now: their hash goes into the suite's file, and who changes one later must say so.
#[derive(Args)]
pub struct EvalFreeze {
    /// A suite's name (evals/NAME.yaml), or its file
    pub suite: String,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// Retire a share of the cases and bring fresh ones in; golden cases stay.
#[derive(Args)]
pub struct EvalRotate {
    /// A suite's name (evals/NAME.yaml), or its file
    pub suite: String,
    /// Of the cases that are not golden; a tenth to a fifth each quarter keeps a suite honest
    #[arg(long, default_value_t = 0.15)]
    pub share: f64,
    /// Fresh cases [default: DATASET.pool.jsonl, which `trace promote --dataset NAME.pool` fills]
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Which cases go: the same seed names the same [default: the quarter]
    #[arg(long)]
    pub seed: Option<String>,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

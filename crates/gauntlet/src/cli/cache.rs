//! `gauntlet cache …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Cache {
    /// What the running gateway keeps, and what that has saved
    Stats(CacheScope),
    /// Let go of kept answers
    Clear(CacheScope),
    /// How often an embedder takes other questions for the same, and the threshold that follows
    ///
    /// Reads pairs of questions, a line of JSON each: {"a", "b", "same": true|false, "kind": "number"}. Says for each threshold
    /// how many that mean the same would be hits, and how many that do not would be false hits, with Wilson's intervals of 95 %.
    /// Advised is the threshold with the most hits whose false hits are at most 1 % by the upper end of their interval.
    Quality(CacheQuality),
}

#[derive(Args)]
pub struct CacheScope {
    /// [default: all]
    #[arg(long)]
    pub tenant: Option<String>,
    /// [default: all]
    #[arg(long)]
    pub route: Option<String>,
}

#[derive(Args)]
pub struct CacheQuality {
    /// Labelled pairs, such as docs/cache-pairs.jsonl
    #[arg(long, value_name = "FILE")]
    pub pairs: PathBuf,
    /// A folder with a model [default: the one that a route of the configuration names]
    #[arg(long, value_name = "DIR")]
    pub embedder: Option<PathBuf>,
}

//! `gauntlet stats …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Two columns on standard input, a line a case, between them spaces, tabs, commas or semicolons. Empty lines and lines that
/// begin with `#` are passed over, and so is a first line of names. A difference is second minus first.
#[derive(Subcommand)]
pub enum Stats {
    /// Wilcoxon's signed-rank test of paired scores
    Wilcoxon(WilcoxonOptions),
    /// McNemar's test of paired outcomes, 0 or 1
    Mcnemar {
        #[command(flatten)]
        input: Input,
        #[arg(long, default_value = "exact", value_parser = ["exact", "chi-square"])]
        method: String,
    },
    /// The interval of the mean difference by drawing cases again
    Bootstrap {
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        clusters: Clusters,
        #[arg(long, default_value = "bca", value_parser = ["bca", "percentile", "t"])]
        method: String,
        #[command(flatten)]
        resampling: Resampling,
        #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
        confidence: f64,
    },
    /// Cohen's kappa of two raters; labels may be words
    Kappa(KappaOptions),
    /// Spearman's rank correlation
    Spearman {
        #[command(flatten)]
        input: Input,
        /// `exact` goes through all orders, for up to nine cases
        #[arg(long, default_value = "t", value_parser = ["t", "exact"])]
        method: String,
        #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
        confidence: f64,
    },
    /// Pearson's correlation
    Pearson {
        #[command(flatten)]
        input: Input,
        #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
        confidence: f64,
    },
    /// Kendall's tau-b
    Kendall {
        #[command(flatten)]
        input: Input,
        #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
        confidence: f64,
    },
    /// Whether the second column is worse than the first by a margin; exit code 0 pass, 1 fail, 3 inconclusive
    Gate(GateQuestion),
    /// The smallest drop that so many cases can show, or the cases that a drop needs
    Mde(MdeQuestion),
}

#[derive(Args)]
pub struct Input {
    /// A file in the place of standard input
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The first line has names; needed only where labels are words
    #[arg(long)]
    pub header: bool,
}

#[derive(Args)]
pub struct Clusters {
    /// A third column names what belongs together: a case with repeats, a conversation
    #[arg(long)]
    pub clusters: bool,
}

#[derive(Args)]
pub struct Resampling {
    #[arg(long, default_value_t = 9_999, value_name = "N")]
    pub resamples: u32,
    /// The same seed gives the same interval
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
}

#[derive(Args)]
pub struct WilcoxonOptions {
    #[command(flatten)]
    pub input: Input,
    /// What the second column is held to be
    #[arg(long, default_value = "two-sided", value_parser = ["two-sided", "less", "greater"])]
    pub alternative: String,
    /// What becomes of pairs that do not differ
    #[arg(long, default_value = "wilcox", value_parser = ["wilcox", "pratt", "zsplit"])]
    pub zeros: String,
    #[arg(long, default_value = "auto", value_parser = ["auto", "exact", "approx"])]
    pub method: String,
    /// Correct the approximation for continuity
    #[arg(long)]
    pub continuity: bool,
}

#[derive(Args)]
pub struct KappaOptions {
    #[command(flatten)]
    pub input: Input,
    #[arg(long, default_value = "none", value_parser = ["none", "linear", "quadratic"])]
    pub weights: String,
    /// Where the interval comes from
    #[arg(long, default_value = "asymptotic", value_parser = ["asymptotic", "bootstrap"])]
    pub method: String,
    #[command(flatten)]
    pub resampling: Resampling,
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    pub confidence: f64,
}

#[derive(Args)]
pub struct GateQuestion {
    #[command(flatten)]
    pub input: Input,
    #[command(flatten)]
    pub clusters: Clusters,
    /// The drop that is not accepted any more
    #[arg(long, default_value_t = 0.05, value_name = "DROP")]
    pub margin: f64,
    /// The chance of a wrong pass, and that of a wrong fail
    #[arg(long, default_value_t = 0.05)]
    pub alpha: f64,
    #[arg(long, default_value = "bounded", value_parser = ["bounded", "student"])]
    pub bound: String,
}

#[derive(Args)]
pub struct MdeQuestion {
    /// Independent cases
    #[arg(long, required_unless_present = "effect", conflicts_with = "effect")]
    pub n: Option<usize>,
    /// A drop, to be told the cases it needs
    #[arg(long)]
    pub effect: Option<f64>,
    /// The standard deviation of the paired differences
    #[arg(long)]
    pub sd: f64,
    /// One-sided
    #[arg(long, default_value_t = 0.05)]
    pub alpha: f64,
    #[arg(long, default_value_t = 0.8)]
    pub power: f64,
}

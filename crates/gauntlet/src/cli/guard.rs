//! `gauntlet guard …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Guard {
    /// Scan JSON lines {"id","text"} from standard input
    Scan {
        /// A route's rules [default: everything found is redacted, secrets are blocked, injection is flagged]
        #[arg(long, value_name = "ROUTE")]
        policy: Option<String>,
        #[arg(long, default_value = "input", value_parser = ["input", "output"])]
        direction: String,
        /// Read and write JSON lines (the only form)
        #[arg(long)]
        jsonl: bool,
    },
    /// What holds for a call, and which level says so
    ///
    /// Levels are asked from the floor down: floor, tenant, route, key, request. Of what they ask the most severe is done, so a
    /// lower level can tighten and never loosen.
    Explain(Explain),
    /// What two versions of a policy differ in, and whether that is tighter or looser
    ///
    /// A version is raised by what its change does: looser (something passes that did not) is major, tighter or otherwise is
    /// minor, words alone are patch. What was not raised enough is warned of, with exit code 1.
    Diff {
        /// name@version, a name for its newest version, or a file
        before: String,
        after: String,
    },
    /// What a policy would have decided about recorded calls
    ///
    /// Decides twice about each recorded call, on the same evidence: by the levels of today's configuration, and with
    /// POLICY in the place of the policy of its name (or as one more level, where no level names it). Placeholders in the
    /// kept texts count as findings, and the texts are scanned again. Calls without texts are counted and not decided.
    Backtest(Backtest),
    /// Let findings of a recorded call pass from now on, for a time
    ///
    /// Writes to exceptions.yml and evals/guard-exceptions.jsonl in the configuration folder. A value is named by its
    /// hash, which is the tenant's own: for other tenants give the value itself by --value.
    Allow(Allow),
    /// Exceptions with the days they have left
    List,
    /// Run the cases that `guard allow` has kept; exit code 1 when a guard acts on one that nothing lets pass
    Test {
        /// [default: evals/guard-exceptions.jsonl in the configuration folder]
        file: Option<PathBuf>,
    },
    /// Measure the detectors on labelled sets, and print the quality card
    ///
    /// The sets are files of the folder --data that end in .jsonl or .jsonl.gz; a row has `text`, and `spans` or `label` 0 or 1. A found span is right when it covers
    /// a labelled one with an intersection over union of at least one half.
    Quality(Quality),
}

#[derive(Args)]
pub struct Explain {
    /// [default: the key's, else `default`]
    #[arg(long)]
    pub tenant: Option<String>,
    /// [default: `default`, as calls that name none]
    #[arg(long)]
    pub route: Option<String>,
    /// A key's name
    #[arg(long)]
    pub key: Option<String>,
    /// A policy that the call asks for on top; repeat for more
    #[arg(long = "policy", value_name = "POLICY")]
    pub policies: Vec<String>,
}

#[derive(Args)]
pub struct Backtest {
    /// name@version, a name for its newest version, or a file that ends in .yaml or .yml
    pub policy: String,
    /// Calls that began since: 7d, 12h, or a day, such as 2026-11-14
    #[arg(long, default_value = "7d")]
    pub since: String,
    /// Calls that began before this day [default: now]
    #[arg(long)]
    pub until: Option<String>,
    #[arg(long)]
    pub route: Option<String>,
    #[arg(long)]
    pub tenant: Option<String>,
    /// Calls to list that would be decided otherwise; all are counted
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

#[derive(Args)]
pub struct Allow {
    /// The request id (header x-gauntlet-request-id)
    pub call: String,
    /// Only findings of this kind: pii, secrets, injection …
    #[arg(long)]
    pub kind: Option<String>,
    /// Only findings of this type: PHONE_NUMBER, jwt …
    #[arg(long = "type", value_name = "TYPE")]
    pub label: Option<String>,
    /// How long it holds: 30d, 4w
    #[arg(long = "for", value_name = "SPAN", default_value = "30d", conflicts_with = "until")]
    pub span: String,
    /// The day it ends, at its first moment, UTC
    #[arg(long, value_name = "DAY")]
    pub until: Option<String>,
    /// For all tenants and routes [default: the call's tenant and route]
    #[arg(long, conflicts_with_all = ["route", "tenant"])]
    pub everywhere: bool,
    /// For this route, whatever the tenant
    #[arg(long)]
    pub route: Option<String>,
    /// For this tenant, whatever the route
    #[arg(long)]
    pub tenant: Option<String>,
    /// Why it is no finding; kept beside the exception
    #[arg(long)]
    pub why: String,
    /// The value that was found, or the whole text of an injection; checked against the hash, and kept in the case
    #[arg(long, value_name = "TEXT")]
    pub value: Option<String>,
}

#[derive(Args)]
pub struct Quality {
    /// Of the small set in the binary, made from a seed, instead of a folder's
    #[arg(long)]
    pub made: bool,
    /// A card to compare with; exit code 1 when a figure is worse by more than --margin
    #[arg(long, value_name = "CARD")]
    pub against: Option<PathBuf>,
    /// What a share may lose before it is a drop
    #[arg(long, default_value_t = 0.005)]
    pub margin: f64,
    /// Leave the speeds out, which differ from run to run
    #[arg(long)]
    pub no_speed: bool,
}

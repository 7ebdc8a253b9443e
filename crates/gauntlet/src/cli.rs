//! The command line, as clap reads it. What each command does is in `command/`.

mod cache;
mod eval;
mod eval_compare;
mod eval_run;
mod filter;
mod gate;
mod guard;
mod import;
mod route;
mod stats;

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand};

pub use cache::{Cache, CacheQuality, CacheScope};
pub use eval::{Eval, EvalCases, EvalList};
pub use eval_compare::EvalCompare;
pub use eval_run::{EvalFreeze, EvalRotate, EvalRunArgs};
pub use filter::{Filter, SpanFilter};
pub use gate::Gate;
pub use guard::{Allow, Backtest, Explain, Guard, Quality};
pub use import::{Import, ImportFrom};
pub use route::{Route, RouteExplain};
pub use stats::{
    Clusters, GateQuestion, Input, KappaOptions, MdeQuestion, Resampling, Stats, WilcoxonOptions,
};

/// One binary between your applications and their language models.
///
/// Exit codes: 0 done, 1 the answer is no (a mistake in the configuration, a problem found), 2 could not be done.
#[derive(Parser)]
#[command(name = "gauntlet", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub place: Place,
}

/// The folder of records where nobody says another.
pub const DATA: &str = "gauntlet-data";

/// Where configuration and data are.
#[derive(Args, Clone)]
pub struct Place {
    /// Folder with gauntlet.yml, budgets.yml, prices.yml and prompts/ (default: here, if gauntlet.yml is here)
    #[arg(long, global = true, value_name = "DIR", env = "GAUNTLET_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder for records, keys and the spool
    #[arg(long, global = true, value_name = "DIR", env = "GAUNTLET_DATA", default_value = DATA)]
    pub data: PathBuf,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

/// Where spans are taken over gRPC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OtlpListen {
    At(SocketAddr),
    Off,
}

impl FromStr for OtlpListen {
    type Err = String;

    fn from_str(text: &str) -> Result<OtlpListen, String> {
        match text {
            "off" => Ok(OtlpListen::Off),
            address => match address.parse() {
                Ok(address) => Ok(OtlpListen::At(address)),
                Err(_) => Err(format!("`{text}` is neither an address, such as 127.0.0.1:4317, nor `off`")),
            },
        }
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Start the gateway, its API and the console
    Up {
        /// Address to listen on; any but loopback asks for keys and a login [default: 127.0.0.1:8787]
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Address to take spans over gRPC on, or `off` [default: port 4317 beside --listen]
        #[arg(long, value_name = "ADDR", env = "GAUNTLET_OTLP_LISTEN")]
        otlp_listen: Option<OtlpListen>,
        /// Worker threads [default: one for each core]
        #[arg(long, value_name = "N")]
        workers: Option<usize>,
        /// Stop when standard input ends: of a gateway that another command starts for itself
        #[arg(long, hide = true)]
        until_stdin_closes: bool,
    },
    /// Start it with sample configuration and simulated traffic, to look around
    Demo {
        /// Address to listen on [default: 127.0.0.1:8787]
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Address to take spans over gRPC on, or `off` [default: port 4317 beside --listen]
        #[arg(long, value_name = "ADDR", env = "GAUNTLET_OTLP_LISTEN")]
        otlp_listen: Option<OtlpListen>,
    },
    /// Check a configuration and name file, line and cure of each mistake
    Check {
        /// Folder to check [default: the one of --config]
        dir: Option<PathBuf>,
    },
    /// Make a configuration of another gateway's, and tell what has no like here
    Import(Import),
    /// Look for what would keep the gateway from working
    Doctor,
    /// Virtual keys: create, list, revoke
    #[command(subcommand)]
    Key(Key),
    /// Stop a tenant, route, model or key at once
    Kill(Kill),
    /// Find, show and follow traces
    #[command(subcommand)]
    Trace(Trace),
    /// What was spent, by whom, on what
    Spend(Spend),
    /// Budgets and their use
    Budget,
    /// Gateways that share budgets and limits
    #[command(subcommand)]
    Replica(Replica),
    /// Erase what is kept of a user, a session or a tenant, for good
    Erase(Erase),
    /// How long texts and records are kept
    Retention {
        #[command(subcommand)]
        command: Option<Retention>,
    },
    /// What models cost, and who says so
    #[command(subcommand)]
    Prices(Prices),
    /// What needed attention: budgets, unusual spend, drift
    Events(Events),
    /// What stored calls cost by the prices of now
    Reprice(Reprice),
    /// Compare a provider's usage export with what was recorded; exit code 1 when they drift
    Reconcile(Reconcile),
    /// What would be saved, from real traffic
    Advice(Advice),
    /// What `/metrics` offers, and a Grafana dashboard of it
    #[command(subcommand)]
    Metrics(Metrics),
    /// Prompt versions and their labels
    #[command(subcommand)]
    Prompt(Prompt),
    Gate(Gate),
    /// Kept answers: what there is, letting go of it, and how far meaning can be trusted
    #[command(subcommand)]
    Cache(Cache),
    /// Where calls go, and why
    #[command(subcommand)]
    Route(Route),
    /// Evals: runs, their cases and what they showed
    #[command(subcommand)]
    Eval(Eval),
    /// The guards, from the shell
    #[command(subcommand)]
    Guard(Guard),
    /// Statistics of two columns: tests, intervals, agreement, numbers of cases
    #[command(subcommand)]
    Stats(Stats),
    /// Where records, keys and prompts rest
    #[command(subcommand)]
    Store(Store),
}

#[derive(Subcommand)]
pub enum Store {
    /// Copy everything into another store, or what came since; exit code 1 when both differ at the end
    Migrate {
        /// `postgres://…`, or a data folder [else of the variable GAUNTLET_STORE_TO, which `ps` does not show]
        #[arg(long, value_name = "URL|DIR", env = "GAUNTLET_STORE_TO", hide_env = true)]
        to: String,
        /// The same [default: the store of --config and --data, with what waits in its spool]
        #[arg(long, value_name = "URL|DIR", env = "GAUNTLET_STORE_FROM", hide_env = true)]
        from: Option<String>,
    },
}

#[derive(Args)]
pub struct Erase {
    /// Whose calls and spans
    #[arg(long)]
    pub user: Option<String>,
    #[arg(long)]
    pub session: Option<String>,
    /// All of a tenant; with --user or --session, only theirs within it
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only say how many there are
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Why, kept with the proof; name no person here
    #[arg(long, default_value = "")]
    pub reason: String,
}

#[derive(Subcommand)]
pub enum Retention {
    /// Do now what is done in the background anyway
    Run,
}

#[derive(Subcommand)]
pub enum Metrics {
    /// Every metric with its kind, labels and meaning
    List,
    /// A dashboard to import into Grafana (Dashboards, New, Import)
    Dashboard,
}

#[derive(Subcommand)]
pub enum Key {
    /// Make a key; its secret is shown this once
    Create {
        name: String,
        #[arg(long, default_value = "default")]
        tenant: String,
        #[arg(long)]
        team: Option<String>,
        #[arg(long)]
        user: Option<String>,
        /// prod, staging, dev or eval
        #[arg(long, value_name = "ENV")]
        env: Option<String>,
        /// A route it may use; repeat for more [default: all]
        #[arg(long = "route", value_name = "ROUTE")]
        routes: Vec<String>,
        /// A model it may use; repeat for more [default: all]
        #[arg(long = "model", value_name = "MODEL")]
        models: Vec<String>,
        /// Days until it expires [default: never]
        #[arg(long, value_name = "DAYS")]
        expires: Option<u64>,
    },
    /// All keys, revoked ones too
    List,
    /// Make a key useless from the next call on
    Revoke { name: String },
}

#[derive(Args)]
pub struct Kill {
    /// tenant, route, model or key
    #[arg(required_unless_present = "list", value_parser = ["tenant", "route", "model", "key"])]
    pub kind: Option<String>,
    /// Its name; a model as `provider/model` or as callers ask for it
    #[arg(required_unless_present = "list")]
    pub name: Option<String>,
    /// Why, for whoever finds it
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Let it live again
    #[arg(long)]
    pub undo: bool,
    /// Show what is killed
    #[arg(long, conflicts_with_all = ["undo", "kind"])]
    pub list: bool,
}

#[derive(Args)]
pub struct Promote {
    /// The request id (header x-gauntlet-request-id)
    pub id: String,
    /// A dataset's name (evals/NAME.jsonl in --config), or a file that ends in .jsonl
    #[arg(long, value_name = "NAME|FILE")]
    pub dataset: String,
    /// What a right answer would be
    #[arg(long, value_name = "TEXT", conflicts_with = "as_answered")]
    pub expected: Option<String>,
    /// The answer that was given is right
    #[arg(long)]
    pub as_answered: bool,
    /// A tag of the case, such as fast or golden; may stand several times
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Jsonl,
    Parquet,
}

#[derive(Subcommand)]
pub enum Trace {
    /// Newest first
    List {
        #[command(flatten)]
        filter: Filter,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Conversations, newest activity first
    Sessions {
        #[command(flatten)]
        filter: Filter,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Users of applications, newest activity first
    Users {
        #[command(flatten)]
        filter: Filter,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// One call whole, or the tree of a whole trace
    Show {
        /// The request id (header x-gauntlet-request-id), or a trace id (32 hexadecimal digits)
        id: String,
    },
    /// Spans that applications sent, newest first
    Spans {
        #[command(flatten)]
        filter: SpanFilter,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Make a past call again, as it was or otherwise, under the eval budget; shows what came out differently
    Replay {
        /// The request id (header x-gauntlet-request-id)
        id: String,
        /// Ask this model instead
        #[arg(long)]
        model: Option<String>,
        /// Render this prompt instead (name@label or name@version)
        #[arg(long)]
        prompt: Option<String>,
    },
    /// Make a call a case of a dataset, to test what comes next by it
    Promote(Promote),
    /// The newest, and with -f each call as it ends
    Tail {
        #[command(flatten)]
        filter: Filter,
        #[arg(long, short)]
        follow: bool,
        #[arg(long, short = 'n', default_value_t = 10)]
        lines: u32,
    },
    /// Write calls with their texts to a file; all that fit the filters
    Export {
        #[command(flatten)]
        filter: Filter,
        /// jsonl (one JSON object a line, which `import` reads) or parquet [default: by the file's ending, else jsonl]
        #[arg(long)]
        format: Option<Format>,
        /// The file; `-` for standard output
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Spans of applications as well, of the same time, tenant, user, session and trace
        #[arg(long)]
        spans: bool,
    },
    /// Take calls and spans of an export in; each once, by its id
    Import {
        /// Files of `trace export`; `-` for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Leave lines out that cannot be read, and name them, instead of stopping at the first
        #[arg(long)]
        skip_bad: bool,
        /// Add what the calls drew to the budgets of their days; no gateway may run meanwhile
        #[arg(long)]
        charge: bool,
    },
}

#[derive(Args)]
pub struct Spend {
    /// tenant, team, route, model, provider, environment, prompt, day, month; or user, key, tag with tenant, day, month
    #[arg(long, default_value = "route,model")]
    pub by: String,
    /// A whole month, such as 2026-11; also `this` and `last`
    #[arg(long, conflicts_with_all = ["from", "to", "day", "last"])]
    pub month: Option<String>,
    /// One day, UTC
    #[arg(long, conflicts_with_all = ["from", "to", "last"])]
    pub day: Option<String>,
    /// Up to today: 7d, 4w
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub last: Option<String>,
    /// First day [default: today, UTC]
    #[arg(long)]
    pub from: Option<String>,
    /// Last day [default: today, UTC]
    #[arg(long)]
    pub to: Option<String>,
    #[arg(long)]
    pub tenant: Option<String>,
    #[arg(long)]
    pub team: Option<String>,
    #[arg(long, visible_alias = "feature")]
    pub route: Option<String>,
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long)]
    pub provider: Option<String>,
    #[arg(long, visible_alias = "env")]
    pub environment: Option<String>,
    /// name, or name@version
    #[arg(long)]
    pub prompt: Option<String>,
    #[arg(long)]
    pub user: Option<String>,
    #[arg(long)]
    pub key: Option<String>,
    #[arg(long)]
    pub tag: Option<String>,
    /// Every figure: refusals, cache hits, cut answers, reasoning, waste, cost a call
    #[arg(long)]
    pub full: bool,
    /// Print CSV, exact and with every figure
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

#[derive(Args)]
pub struct Events {
    /// budget_warned, budget_full, spend_baseline, price_missing or reconcile_drift
    #[arg(long)]
    pub kind: Option<String>,
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// Look for tenants above their usual spend first, as the gateway does every hour
    #[arg(long)]
    pub check: bool,
}

#[derive(Args)]
pub struct Reprice {
    /// First day, UTC
    #[arg(long, required_unless_present = "history")]
    pub from: Option<String>,
    /// Last day [default: today, UTC]
    #[arg(long)]
    pub to: Option<String>,
    /// A model, or provider/model [default: all]
    #[arg(long)]
    pub model: Option<String>,
    /// Keep the corrections beside the costs; without it they are only shown
    #[arg(long)]
    pub apply: bool,
    /// Show what was corrected when, and by which prices
    #[arg(long, conflicts_with_all = ["from", "to", "model", "apply"])]
    pub history: bool,
}

#[derive(Args)]
pub struct Reconcile {
    /// The provider's export; `-` for standard input
    pub file: PathBuf,
    /// The provider, as gauntlet.yml names it
    #[arg(long)]
    pub provider: String,
    /// What the export is
    #[arg(long = "from", default_value = "auto", value_parser = ["auto", "openai", "anthropic", "csv"])]
    pub format: String,
    /// Percent beyond which a figure drifts
    #[arg(long, default_value_t = 0.5)]
    pub threshold: f64,
    /// Every day, not only those that drift
    #[arg(long)]
    pub all: bool,
}

#[derive(Args)]
pub struct Advice {
    /// Up to today: 7d, 4w
    #[arg(long, default_value = "7d")]
    pub last: String,
}

#[derive(Subcommand)]
pub enum Replica {
    /// Who is alive, and who still holds slices of budgets
    List,
    /// A replica is gone for good: what its slices hold returns
    Forget {
        /// As `replica list` shows it
        id: String,
    },
}

#[derive(Subcommand)]
pub enum Prices {
    /// Prices of prices.yml and of the built-in table
    List {
        /// A configured provider, or a vendor of the table
        #[arg(long)]
        provider: Option<String>,
        /// Part of a model's name
        #[arg(long)]
        model: Option<String>,
    },
    /// What one model costs, who says so, and when that changes
    Show {
        /// provider/model, a name of `models:`, or a vendor's model
        model: String,
        /// A day, such as 2026-10-01 [default: today]
        #[arg(long, value_name = "DATE")]
        at: Option<String>,
    },
    /// Look for configured models without a price, and tell the age of the built-in table
    Check,
    /// Read another project's price list into prices.yml
    Import(PricesImport),
}

#[derive(Args)]
pub struct PricesImport {
    /// model_prices_and_context_window.json of LiteLLM, or data.json or a provider's YAML of genai-prices
    pub file: PathBuf,
    /// Whose format it has
    #[arg(long, value_parser = ["litellm", "genai-prices"])]
    pub from: String,
    /// A provider as the list calls it; repeat for more [default: all]
    #[arg(long = "provider", value_name = "PROVIDER")]
    pub providers: Vec<String>,
    /// A model as the list calls it, or the beginning of a name with `*`; repeat for more [default: all]
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    /// Write `NAME/model`, for a provider that your configuration calls otherwise than the list
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Write the models' names alone, so that the prices hold at any provider
    #[arg(long, conflicts_with = "name")]
    pub bare: bool,
    /// Put them into this file, keeping what it has [default: print them]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Change entries that were written by hand too
    #[arg(long)]
    pub replace: bool,
}

#[derive(Subcommand)]
pub enum Prompt {
    /// Versions and labels that the gateway knows
    List,
    /// One version as it is kept
    Show {
        /// name@version or name@label
        reference: String,
    },
    /// Point a label at a version, from the next call on
    Promote {
        /// name@version
        reference: String,
        #[arg(long, default_value = "production")]
        to: String,
    },
}

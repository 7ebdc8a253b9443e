//! `gauntlet prompt …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Subcommand)]
pub enum Prompt {
    /// Keep the versions of a folder of prompt files; all or none, as often as you like
    ///
    /// Moves no label. Exit code 1 where a file is refused: it has mistakes, changes a version, or rises too little for what
    /// changed.
    Push(Push),
    /// Versions and labels that the gateway knows
    List {
        /// Of this prompt alone
        name: Option<String>,
    },
    /// One version: texts, variables, labels, history, how to call it
    Show {
        /// name, name@version or name@label
        #[arg(value_name = "PROMPT")]
        reference: String,
    },
    /// What two versions differ in
    Diff {
        /// name@version or name@label
        a: String,
        /// The same; a version or label alone is of the same prompt
        b: String,
    },
    /// Fill the variables in and show what would be sent, calling nobody
    Render {
        /// name, name@version or name@label
        #[arg(value_name = "PROMPT")]
        reference: String,
        /// `name=text`, or `name:=JSON` for numbers, lists and objects; repeat for more
        #[arg(long = "var", value_name = "NAME=VALUE")]
        variables: Vec<String>,
        /// A file with an object of variables, JSON or YAML; `-` for standard input
        #[arg(long, value_name = "FILE")]
        vars: Option<PathBuf>,
    },
    /// Point a label at a version, from the next call on
    ///
    /// Exit code 1 where the label asks for more than is there (see `promotion` in gauntlet.yml).
    Promote(Promote),
    /// Point a label back at the version before; a second rollback goes further back
    Rollback {
        name: String,
        #[arg(long, visible_alias = "to", default_value = "production")]
        label: String,
        /// For the history
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        actor: Actor,
    },
    /// Give your word that a version of somebody else may go under a label
    Approve {
        /// name@version
        #[arg(value_name = "PROMPT")]
        reference: String,
        #[arg(long, visible_alias = "label", default_value = "production")]
        to: String,
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        actor: Actor,
    },
    /// Write typed wrappers of prompts' variables: Python (Pydantic), TypeScript (zod) or Rust (serde)
    Codegen(CodegenPrompt),
    /// Who moved the labels of a prompt, when, from where to where, and why
    History {
        name: String,
        /// This label alone
        #[arg(long, visible_alias = "to")]
        label: Option<String>,
    },
}

/// Typed wrappers of prompts' variables for an application.
///
/// Exit code 1 where --check finds a file that is not current.
#[derive(Args)]
pub struct CodegenPrompt {
    /// name, name@version or name@label [default: every prompt that has the label]
    #[arg(value_name = "PROMPT")]
    pub prompts: Vec<String>,
    /// Pydantic's classes, zod's schemas, or serde's structs
    #[arg(long = "lang", value_enum)]
    pub language: CodegenLanguage,
    /// The label that calls go by
    #[arg(long, visible_alias = "to", default_value = "production")]
    pub label: String,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only say whether the file of --out is current, whatever wording changed: for CI
    #[arg(long, requires = "out")]
    pub check: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum CodegenLanguage {
    Python,
    Typescript,
    Rust,
}

/// Who acts. One token opens management, so that a name is what its holder says it is.
#[derive(Args)]
pub struct Actor {
    /// Who acts, for the audit log [else of GITHUB_ACTOR or GITLAB_USER_LOGIN]
    #[arg(long, value_name = "NAME", env = "GAUNTLET_ACTOR")]
    pub by: Option<String>,
}

#[derive(Args)]
pub struct Push {
    /// A folder of prompt files, or one file
    #[arg(value_name = "DIR|FILE", default_value = "prompts")]
    pub from: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// The commit that they come with [else of GITHUB_SHA or CI_COMMIT_SHA]
    #[arg(long, value_name = "SHA", env = "GAUNTLET_APP_SHA")]
    pub app_sha: Option<String>,
    #[command(flatten)]
    pub actor: Actor,
}

#[derive(Args)]
pub struct Promote {
    /// name@version, or name@label for where another label points
    #[arg(value_name = "PROMPT")]
    pub reference: String,
    /// The label that moves
    #[arg(long, visible_alias = "label", default_value = "production")]
    pub to: String,
    /// Show what would change and what is missing, and move nothing; exit code 1 if something is missing
    #[arg(long, conflicts_with_all = ["force", "reason"])]
    pub plan: bool,
    /// Against what the label asks for; the history and the audit log show it
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// For the history
    #[arg(long)]
    pub reason: Option<String>,
    #[command(flatten)]
    pub actor: Actor,
}

//! The configuration: files as typed, with the place of every value → checked → an immutable [`Policy`].
//!
//! Takes texts, not paths: which folder they come from, and when they are read again, is the binary's work. Every
//! mistake is found in one go where that is possible, each with file, line, column and cure. Deliberately not checked
//! here: whether a prompt exists (prompts live in a registry), whether a provider answers (`gauntlet doctor`).

mod alerts;
mod budgets;
mod cache;
mod checks;
mod exceptions;
mod exporters;
mod flat;
mod gauntlet;
mod guards;
mod keep;
mod keys;
mod kill;
mod limits;
mod models;
mod node;
mod policy;
mod prices;
mod promotion;
mod providers;
mod read;
mod routes;
mod routing;
mod rules;
mod scalar;
mod shape;
mod verify;

use std::{fmt, sync::Arc};

use crate::price::import::Tree;
pub use crate::retry::RetryPolicy;

pub use self::{
    alerts::Alert,
    budgets::{AtLimit, BudgetRule, BudgetScope, Calendar, CallFacts, Per, Window, rolling_of},
    cache::{CacheBounds, CachePolicy, CacheShare, EmbedBy, SemanticCache},
    exporters::Exporter,
    guards::{GuardPolicies, Guards},
    kill::{KillEntry, KillScope, Kills},
    limits::{LimitRule, LimitScope, Limits},
    models::{Choice, Model, Models, Sticky, Strategy},
    policy::{Config, Policy, PriceFrom},
    prices::OwnPrice,
    providers::{Credentials, Dialect, KeyHeader, Priced, Provider, Row, SimSettings, Style, Variable, rows},
    routing::{Hours, Residence, Residency, RouteRule, When, is_within},
    shape::{
        LogSink, OnDisconnect, OnStoreDown, PromptPin, Route, Sampling, Schema, Secret, Server, SharedStore,
        Timeouts, Unpriced,
    },
};

/// One file of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// As shown to the user, relative to the configuration folder.
    pub file: String,
    pub text: String,
}

/// Everything that makes up a configuration; a missing file is an empty one.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub gauntlet: Option<Source>,
    pub budgets: Option<Source>,
    pub prices: Option<Source>,
    /// JSON schemas: the path as routes name it, and the text.
    pub schemas: Vec<(String, String)>,
    /// The policies of the folder `guardrails/`.
    pub guardrails: Vec<Source>,
    pub exceptions: Option<Source>,
}

/// What the texts cannot say.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The listener is on loopback, so that calls without a key may be taken while no key exists.
    pub loopback: bool,
    /// Providers whose usual variable (`OPENAI_API_KEY` …) is set are added, unless `providers:` is written.
    pub find_provider_keys: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { loopback: true, find_provider_keys: true }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// Loaded, but probably not what was meant.
    Warning,
}

/// Something wrong in the configuration. Keys and headers are never shown in it, and an address as it was typed, with
/// its `${…}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    pub file: String,
    /// From 1; 0 when it concerns no line of the file.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    /// What to write instead; empty when the message says it all.
    pub cure: String,
    pub severity: Severity,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.cure.is_empty() {
            write!(f, "; {}", self.cure)?;
        }
        Ok(())
    }
}

/// A configuration that may be used, and what looks odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub policy: Policy,
    pub warnings: Vec<Mistake>,
}

/// Reads and checks a configuration.
///
/// `env` answers for `${NAME}`. Errors: every mistake found, warnings included, in the order of the files.
pub fn load(
    sources: &Sources,
    env: &dyn Fn(&str) -> Option<String>,
    options: &LoadOptions,
) -> Result<Loaded, Vec<Mistake>> {
    let (config, mistakes) = gauntlet::assemble(sources, env, options);
    if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(mistakes);
    }
    let policy = Policy::new(Arc::new(config));
    Ok(Loaded { policy, warnings: mistakes })
}

/// The prices of a `prices.yml` alone. `${…}` is not replaced in it.
///
/// Errors: its first mistake.
pub fn own_prices(source: &Source) -> Result<Vec<OwnPrice>, Mistake> {
    let mut report = read::Report::new(&source.file);
    let prices = node::parse(source, &|_| None, &mut report).map(|root| prices::read(&root, &mut report));
    match report.mistakes.into_iter().next() {
        Some(mistake) => Err(mistake),
        None => Ok(prices.unwrap_or_default()),
    }
}

/// A file of YAML that is no configuration, with its values as typed.
pub(crate) fn tree(source: &Source) -> Result<Tree, Mistake> {
    let mut report = read::Report::new(&source.file);
    let root = node::parse(source, &|_| None, &mut report);
    match report.mistakes.into_iter().next() {
        Some(mistake) => Err(mistake),
        None => Ok(root.map_or(Tree::Null, node::Node::into_tree)),
    }
}

#[cfg(test)]
mod tests;

//! `gauntlet route …`

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Route {
    /// Where a call would go now, and why
    ///
    /// Asks the running gateway, which knows load, latency and failures; without one, the configuration alone.
    Explain(RouteExplain),
    /// How each target is that was asked since the start: breaker, calls under way, latency
    Targets,
}

#[derive(Args)]
pub struct RouteExplain {
    /// A route, or a model as callers name it
    #[arg(value_name = "ROUTE|MODEL")]
    pub name: String,
    /// What the caller asks for, of a route that leaves the model to the caller
    #[arg(long)]
    pub model: Option<String>,
    /// [default: the key's, else `default`]
    #[arg(long)]
    pub tenant: Option<String>,
    /// A key's name
    #[arg(long)]
    pub key: Option<String>,
    /// Tags of the call, with commas between
    #[arg(long)]
    pub tags: Option<String>,
    /// The kind of work, as header x-gauntlet-task names it
    #[arg(long)]
    pub task: Option<String>,
    /// Tokens of the request [default: 1000]
    #[arg(long, value_name = "N")]
    pub tokens: Option<u32>,
    /// The answer is to be streamed
    #[arg(long)]
    pub stream: bool,
    /// The request offers tools
    #[arg(long)]
    pub tools: bool,
    /// The request holds images
    #[arg(long)]
    pub images: bool,
}

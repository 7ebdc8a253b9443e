//! What narrows the lists of the command line.

use clap::Args;

/// Narrows a list of traces; all that are given must hold.
#[derive(Args, Default)]
pub struct Filter {
    #[arg(long)]
    pub tenant: Option<String>,
    #[arg(long)]
    pub team: Option<String>,
    #[arg(long)]
    pub user: Option<String>,
    #[arg(long)]
    pub session: Option<String>,
    #[arg(long)]
    pub route: Option<String>,
    /// The model asked for, or the one that answered
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long)]
    pub provider: Option<String>,
    #[arg(long)]
    pub key: Option<String>,
    #[arg(long)]
    pub tag: Option<String>,
    #[arg(long)]
    pub env: Option<String>,
    /// HTTP status of the answer
    #[arg(long)]
    pub status: Option<u16>,
    /// off, miss or exact
    #[arg(long)]
    pub cache: Option<String>,
    /// One call, by its request id
    #[arg(long)]
    pub id: Option<String>,
    /// ok, canned, refused, blocked, failed, cancelled or interrupted
    #[arg(long)]
    pub outcome: Option<String>,
    /// Stable error code, such as budget_exceeded
    #[arg(long)]
    pub error: Option<String>,
    /// allow, flag, redact or block
    #[arg(long)]
    pub decision: Option<String>,
    #[arg(long)]
    pub prompt: Option<String>,
    #[arg(long)]
    pub prompt_version: Option<String>,
    #[arg(long)]
    pub eval_id: Option<String>,
    #[arg(long)]
    pub app_sha: Option<String>,
    #[arg(long)]
    pub trace_id: Option<String>,
    /// From then on: 2026-11-21, 2026-11-21T08:00:00Z, or 15m, 2h, 7d ago
    #[arg(long)]
    pub since: Option<String>,
    #[arg(long)]
    pub until: Option<String>,
    /// Cost in USD at least
    #[arg(long)]
    pub min_cost: Option<String>,
    /// Cost in USD at most
    #[arg(long)]
    pub max_cost: Option<String>,
    /// Latency in milliseconds at least
    #[arg(long)]
    pub min_latency: Option<u64>,
    /// Latency in milliseconds at most
    #[arg(long)]
    pub max_latency: Option<u64>,
    /// Words of the input or answer, redacted as they are stored: word "a phrase" begin* -without
    #[arg(long, allow_hyphen_values = true)]
    pub text: Option<String>,
}

/// Narrows a list of spans; all that are given must hold.
#[derive(Args, Default)]
pub struct SpanFilter {
    #[arg(long)]
    pub trace_id: Option<String>,
    #[arg(long)]
    pub tenant: Option<String>,
    #[arg(long)]
    pub user: Option<String>,
    #[arg(long)]
    pub session: Option<String>,
    /// The application's `service.name`
    #[arg(long)]
    pub service: Option<String>,
    /// llm, embedding, chain, retriever, reranker, tool, agent, guardrail, evaluator, prompt or other
    #[arg(long)]
    pub kind: Option<String>,
    #[arg(long)]
    pub name: Option<String>,
    /// Only those that name no parent
    #[arg(long)]
    pub roots: bool,
    /// Only those that failed
    #[arg(long)]
    pub errors: bool,
    /// From then on: 2026-11-21, 2026-11-21T08:00:00Z, or 15m, 2h, 7d ago
    #[arg(long)]
    pub since: Option<String>,
    #[arg(long)]
    pub until: Option<String>,
}

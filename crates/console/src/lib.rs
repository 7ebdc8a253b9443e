//! The console's pages: plain view structs in, HTML out.
//!
//! No IO, no framework, no clock: the server fetches what a page shows, calls one function, and sends the string.
//! Everything a caller or a model wrote is data here. maud escapes it, `text` makes invisible and reordering
//! characters visible and cuts what is too long. Nothing is ever marked as already escaped.
//!
//! Pages fit the policy `default-src 'self'`: no inline script, no style attribute, no outside resource. All of them
//! work without the script, which only adds comfort.

mod advice;
mod assets;
mod charts;
mod chat;
mod conversation;
mod eval_compare;
mod eval_run;
mod evals;
mod evals_glance;
mod events;
mod facts;
mod figures;
mod groups;
mod last_hour;
mod overview;
mod prompts;
mod query;
mod shell;
mod span_query;
mod spans;
mod spend;
mod steps;
mod text;
mod trace;
mod traces;
mod waterfall;
mod whole;

pub mod paths;
pub mod tree;

pub use advice::{AdviceLine, AdviceView, advice};
pub use assets::{ICON, SCRIPT, STYLE, icon_path, script_path, style_path};
pub use eval_compare::{CasePair, EvalCompareView, MetricPair, eval_compare};
pub use eval_run::{EvalRunView, eval_run};
pub use evals::{EvalsView, evals};
pub use evals_glance::{EvalsGlance, FailingCase, TREND_RUNS, TREND_SUITES, failing};
pub use events::events;
pub use groups::{GroupsView, groups};
pub use overview::{BudgetLine, OverviewView, overview};
pub use prompts::{
    Change, DiffView, MoveLine, PlanView, PromptLine, PromptView, ShownVersion, VariableRow, VersionLine,
    prompt, prompts,
};
pub use query::{ListQuery, Range, filter_from_query, query_of};
pub use shell::{Shell, login, message};
pub use span_query::{SpanQuery, next_of, shown_cursor, spans_from_query};
pub use spans::{SpansView, spans};
pub use spend::{SpendView, spend};
pub use trace::{TraceView, trace};
pub use traces::{Facets, TracesView, traces};
pub use whole::{Opened, WholeView, whole_trace};

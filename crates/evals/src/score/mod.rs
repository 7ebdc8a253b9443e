//! Scorers that need no judge: texts, numbers, JSON, tools, guards, cost, and programs of one's own.
//!
//! Most are a [`Measure`]: a pure function of the answer. What all of them share (name, direction, threshold, `not`) is a
//! [`Sheet`]. docs/scorers.md has the table of kinds.

mod bleu;
mod command;
mod distance;
mod fields;
mod json;
mod measured;
mod numeric;
mod options;
mod policy;
mod rouge;
mod sheet;
mod similar;
mod tools;
mod wanted;
mod weighted;
mod words;

#[cfg(test)]
mod tests;

pub use bleu::{Bleu, Smoothing, gleu};
pub use distance::{edit_distance, similarity};
pub use rouge::{Rouge, rouge};
pub use similar::cosine;

pub(crate) use options::Options;
pub(crate) use sheet::{Measure, Measured, Plain, Range, Sheet};
pub(crate) use weighted::parts;

use crate::{MetricSpec, Mistake, Scorer, Suite, when};

/// Kinds of metrics that [`make`] makes.
pub const KINDS: &[&str] = &[
    "exact",
    "contains",
    "starts_with",
    "ends_with",
    "regex",
    "numeric",
    "json_fields",
    "json_schema",
    "is_json",
    "similar",
    "bleu",
    "gleu",
    "rouge",
    "rouge_1",
    "rouge_2",
    "rouge_l",
    "levenshtein",
    "edit_distance",
    "word_count",
    "refusal",
    "toxicity",
    "policy",
    "latency",
    "cost",
    "tokens",
    "perplexity",
    "tool_call",
    "tools_valid",
    "finish_reason",
    "weighted",
    "command",
];

/// A scorer for a metric of a suite; none where its kind is not one of [`KINDS`].
///
/// Errors: an option that is unknown, missing or wrong, with the line of the metric and the cure.
pub fn make(spec: &MetricSpec, suite: &Suite) -> Result<Option<Box<dyn Scorer>>, Mistake> {
    if !KINDS.contains(&spec.kind.as_str()) {
        return Ok(None);
    }
    when::with(spec, suite, |spec| bare(Options::new(spec, suite)).map(Some))
}

fn bare(mut options: Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let kind = options.kind().to_owned();
    let options = &mut options;
    match kind.as_str() {
        "exact" => words::exact(options),
        "contains" => words::contains(options),
        "starts_with" => words::edge(options, words::Edge::Start),
        "ends_with" => words::edge(options, words::Edge::End),
        "regex" => words::regex(options),
        "numeric" => numeric::numeric(options),
        "json_fields" => fields::json_fields(options),
        "json_schema" => json::json_schema(options),
        "is_json" => json::is_json(options),
        "similar" => similar::similar(options),
        "bleu" => bleu::bleu(options),
        "gleu" => bleu::gleu_metric(options),
        "rouge" => rouge::rouge_metric(options, None),
        "rouge_1" => rouge::rouge_metric(options, Some(Rouge::One)),
        "rouge_2" => rouge::rouge_metric(options, Some(Rouge::Two)),
        "rouge_l" => rouge::rouge_metric(options, Some(Rouge::L)),
        "levenshtein" => distance::levenshtein(options),
        "edit_distance" => distance::edits(options),
        "word_count" => measured::word_count(options),
        "refusal" => policy::refusal(options),
        "toxicity" => policy::toxicity(options),
        "policy" => policy::policy(options),
        "latency" => measured::latency(options),
        "cost" => measured::cost(options),
        "tokens" => measured::tokens(options),
        "perplexity" => measured::perplexity(options),
        "tool_call" => tools::tool_call(options),
        "tools_valid" => tools::tools_valid(options),
        "finish_reason" => measured::finish_reason(options),
        "weighted" => weighted::weighted(options),
        "command" => command::command(options),
        other => unreachable!("`{other}` stands in KINDS and is made by nobody"),
    }
}

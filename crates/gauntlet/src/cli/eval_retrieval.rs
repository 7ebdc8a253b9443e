//! `gauntlet eval retrieval`

use clap::Args;

/// Measure a retriever on queries whose relevant ids are known, and compare two.
///
/// The dataset has a line for each query: {"id", "query", "relevant": ["doc-1"] or {"doc-1": 3}}, and where rankings were recorded
/// `"retrieved": ["doc-9", "doc-1"]`, best first.
///
/// Exit codes: 0 measured (with --compare: the second is not worse by the first k's nDCG), 1 it is worse, 2 it could not be measured.
#[derive(Args)]
pub struct EvalRetrieval {
    /// Queries with their relevant ids: a file that ends in .jsonl
    pub dataset: String,
    /// Whence rankings come: `dataset`, another file of rows, `traces` or `traces:FILTERS` (route=support&last=7d), `spans`, or a URL
    #[arg(long, value_name = "SOURCE", default_value = "dataset")]
    pub retriever: String,
    /// A second one, which the first is compared with: the first is the baseline
    #[arg(long, value_name = "SOURCE")]
    pub compare: Option<String>,
    /// Places that count
    #[arg(long, value_delimiter = ',', default_value = "3,5,10")]
    pub k: Vec<usize>,
    /// Where the ids stand in a retriever's answer, such as results.*.id [default: the usual places]
    #[arg(long, value_name = "PATH")]
    pub ids: Option<String>,
    /// Where scores stand, if the answer is not sorted by them
    #[arg(long, value_name = "PATH")]
    pub scores: Option<String>,
    /// The field of the query in what is sent to a retriever
    #[arg(long, value_name = "NAME", default_value = "query")]
    pub query_field: String,
    /// The field of the number of documents
    #[arg(long, value_name = "NAME", default_value = "k")]
    pub k_field: String,
    /// A header of that request, such as 'authorization: Bearer ${TOKEN}'; `${NAME}` is taken from the environment
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Seconds that a retriever may take for one query
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Queries at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub concurrency: u64,
}

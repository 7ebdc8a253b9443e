//! `gauntlet eval retrieval`: rankings from a dataset, from traces or from a live retriever, measured and compared.

mod found;
mod live;
mod show;

use std::{path::Path, process::ExitCode};

use anyhow::{Result, bail, ensure};
use gauntlet_evals::{
    Case,
    retrieval::{self, K_MAX, QUERIES_MAX, Query, Ranked, Stand, has_relevant},
};

use super::eval_rows;
use crate::cli::{EvalRetrieval, Place};

/// Numbers of places in one report.
const KS_MAX: usize = 10;

/// Whence rankings come.
enum Source<'a> {
    Dataset,
    File(&'a Path),
    /// Filters of the list, as in the console's address.
    Traces(&'a str),
    Spans(&'a str),
    Live(&'a str),
}

impl Source<'_> {
    fn parse(text: &str) -> Result<Source<'_>> {
        let (kind, filters) = text.split_once(':').unwrap_or((text, ""));
        Ok(match kind {
            "dataset" => Source::Dataset,
            "traces" => Source::Traces(filters),
            "spans" => Source::Spans(filters),
            "http" | "https" => Source::Live(text),
            _ if text.ends_with(".jsonl") => Source::File(Path::new(text)),
            _ => bail!(
                "`{}` is no source of rankings; name `dataset`, a file that ends in .jsonl, `traces`, `spans` or a URL",
                text.escape_debug()
            ),
        })
    }
}

pub fn run(place: &Place, args: &EvalRetrieval) -> Result<ExitCode> {
    let ks = places(&args.k)?;
    let first = Source::parse(&args.retriever)?;
    let second = args.compare.as_deref().map(Source::parse).transpose()?;
    let cases = eval_rows::read(Path::new(&args.dataset))?;
    ensure!(
        cases.len() <= QUERIES_MAX,
        "{} has more than {QUERIES_MAX} queries; take a part of it",
        args.dataset
    );
    if !cases.iter().any(|case| has_relevant(&case.relevant)) {
        bail!(
            "{}: no line says what is relevant; add `\"relevant\": [\"doc-1\"]`, or {{\"doc-1\": 3}} with grades",
            args.dataset
        );
    }
    let queries: Vec<Query> = cases.iter().map(query).collect();
    let rank = |source: &Source<'_>| rankings(place, args, source, &cases, &queries, &ks);
    let one = rank(&first)?;
    let report = retrieval::report(&queries, &one, &ks);
    let Some(second) = second else {
        ensure!(report.scored > 0, "no query could be measured: {}", why_none(&one));
        show::one(place, &args.retriever, &report);
        return Ok(ExitCode::SUCCESS);
    };
    let two = rank(&second)?;
    let other = retrieval::report(&queries, &two, &ks);
    let compared = retrieval::compare(&queries, &one, &two, &ks);
    ensure!(compared.queries > 0, "no query was answered by both: {}; {}", why_none(&one), why_none(&two));
    let names = [args.retriever.as_str(), args.compare.as_deref().unwrap_or_default()];
    show::two(place, names, [&report, &other], &compared);
    let decisive = format!("ndcg@{}", ks.first().copied().unwrap_or(1));
    let is_worse = compared.measures.iter().any(|one| one.measure == decisive && one.stand == Stand::Worse);
    Ok(if is_worse { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn places(said: &[usize]) -> Result<Vec<usize>> {
    let mut ks = Vec::new();
    for k in said {
        ensure!(
            (1..=K_MAX).contains(k),
            "--k {k}: write numbers of places from 1 to {K_MAX}, such as 3,5,10"
        );
        if !ks.contains(k) {
            ks.push(*k);
        }
    }
    ensure!((1..=KS_MAX).contains(&ks.len()), "--k: write 1 to {KS_MAX} numbers, such as 3,5,10");
    Ok(ks)
}

fn query(case: &Case) -> Query {
    Query {
        id: case.id.to_string(),
        text: case.question(),
        relevant: case.relevant.clone(),
        cluster: case.cluster.as_ref().map(ToString::to_string),
    }
}

fn rankings(
    place: &Place,
    args: &EvalRetrieval,
    source: &Source<'_>,
    cases: &[Case],
    queries: &[Query],
    ks: &[usize],
) -> Result<Vec<Ranked>> {
    // An empty one is a ranking: nothing was found.
    let recorded =
        |case: &Case| case.retrieved.clone().ok_or_else(|| "the row has no `retrieved`".to_owned());
    Ok(match source {
        Source::Dataset => cases.iter().map(recorded).collect(),
        Source::File(path) => {
            let rows = eval_rows::read(path)?;
            let of = |query: &Query| {
                let row = rows.iter().find(|row| *row.id == *query.id);
                row.map_or_else(|| Err(format!("{} has no row `{}`", path.display(), query.id)), recorded)
            };
            queries.iter().map(of).collect()
        }
        Source::Traces(filters) => found::traces(place, filters, queries)?,
        Source::Spans(filters) => found::spans(place, filters, queries)?,
        Source::Live(url) => live::ask(args, url, queries, ks.iter().copied().max().unwrap_or(1))?,
    })
}

fn why_none(rankings: &[Ranked]) -> String {
    let first = rankings.iter().find_map(|ranked| ranked.as_ref().err());
    first.cloned().unwrap_or_else(|| "nothing relevant is said of those that were answered".to_owned())
}

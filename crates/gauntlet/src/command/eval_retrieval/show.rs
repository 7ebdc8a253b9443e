//! What was measured of retrievers, as people read it.

use gauntlet_evals::retrieval::{Comparison, Figure, Report};
use serde_json::json;

use crate::{
    cli::Place,
    show::{self, Column},
};

pub(super) fn one(place: &Place, name: &str, report: &Report) {
    if place.json {
        show::json(&json!({"retriever": name, "report": report}));
        return;
    }
    let columns =
        [Column::Left("measure"), Column::Right("mean"), Column::Left("95 %"), Column::Right("queries")];
    let line = |figure: &Figure| {
        let mean = figure.mean.map_or_else(|| "–".to_owned(), |mean| format!("{mean:.4}"));
        vec![figure.measure.clone(), mean, ends(figure.ci_low, figure.ci_high), figure.n.to_string()]
    };
    show::table(&columns, report.figures.iter().map(line).collect(), "Nothing was measured.");
    counts(name, report);
    for (query, id) in &report.never_found {
        println!("not found at all: {} for query {}", show::printable(id), show::printable(query));
    }
}

pub(super) fn two(place: &Place, names: [&str; 2], reports: [&Report; 2], compared: &Comparison) {
    if place.json {
        show::json(&json!({
            "first": {"retriever": names[0], "report": reports[0]},
            "second": {"retriever": names[1], "report": reports[1]},
            "compared": compared,
        }));
        return;
    }
    println!("first: {}\nsecond: {}\n", show::printable(names[0]), show::printable(names[1]));
    let columns = [
        Column::Left("measure"),
        Column::Right("first"),
        Column::Right("second"),
        Column::Right("difference"),
        Column::Left("95 %"),
        Column::Left("the second is"),
    ];
    let lines = compared.measures.iter().map(|one| {
        vec![
            one.measure.clone(),
            format!("{:.4}", one.first),
            format!("{:.4}", one.second),
            format!("{:+.4}", one.difference),
            ends(one.ci_low, one.ci_high),
            one.stand.as_str().to_owned(),
        ]
    });
    show::table(&columns, lines.collect(), "Nothing could be compared.");
    println!(
        "\n{} queries answered by both; each interval stands for itself, not for all together.",
        compared.queries
    );
    for (name, report) in names.into_iter().zip(reports) {
        counts(name, report);
    }
    for (query, first, second) in &compared.lost {
        println!("the second is behind at query {}: {first:.3} → {second:.3}", show::printable(query));
    }
}

fn counts(name: &str, report: &Report) {
    if report.without_relevant > 0 {
        println!("{} queries name nothing relevant and are in no figure.", report.without_relevant);
    }
    if report.errors > 0 {
        println!(
            "{}: {} of {} queries without an answer, in no figure:",
            show::printable(name),
            report.errors,
            report.queries
        );
    }
    for (query, why) in &report.error_examples {
        println!("  {}: {}", show::printable(query), show::printable(why));
    }
}

fn ends(low: Option<f64>, high: Option<f64>) -> String {
    low.zip(high).map_or_else(|| "–".to_owned(), |(low, high)| format!("{low:.4} to {high:.4}"))
}

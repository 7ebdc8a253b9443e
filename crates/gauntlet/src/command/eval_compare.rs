//! `gauntlet eval compare`: two runs side by side.

use anyhow::{Result, bail};
use gauntlet_evals::gate::{
    Look, compare,
    compare::answers_of,
    find::{self, Runs},
    report,
};
use gauntlet_ports::EvalResult;
use serde_json::json;

use super::gate::{OverApi, look};
use crate::{
    cli::{EvalCompare, Place},
    reach::Reach,
    show::{self, printable},
};

pub fn run(place: &Place, asked: &EvalCompare) -> Result<()> {
    let reach = Reach::new(place)?;
    let store = OverApi(&reach);
    let (a, b) = (find::named(&store, &asked.a)?, find::named(&store, &asked.b)?);
    let (results_a, results_b) = (store.results(&a.id)?, store.results(&b.id)?);
    if let Some(case) = &asked.case {
        let (a, b) = answers_of(case, &results_a, &results_b);
        if a.is_empty() && b.is_empty() {
            bail!(
                "neither run has a case `{}`; without --case all that changed are listed",
                case.escape_debug()
            );
        }
        if place.json {
            show::json(&json!({"case": case, "a": a, "b": b}));
        } else {
            both(&a, &b);
        }
        return Ok(());
    }
    let found = compare((&a, &results_a), (&b, &results_b), asked.limit)?;
    if place.json {
        show::json(&serde_json::to_value(&found)?);
        return Ok(());
    }
    let look = Look { color: false, ..look() };
    println!("{}", report::compared(&found, look, asked.limit));
    Ok(())
}

fn both(a: &[&EvalResult], b: &[&EvalResult]) {
    let first = a.first().or_else(|| b.first());
    for (name, text) in [
        ("asked", first.and_then(|result| result.input.as_deref())),
        ("expected", first.and_then(|result| result.expected.as_deref())),
    ] {
        if let Some(text) = text {
            println!("{name}: {}", printable(text));
        }
    }
    for (side, results) in [("A", a), ("B", b)] {
        for result in results {
            let trace = result.call.map(|call| format!("  {call}")).unwrap_or_default();
            println!("\n{side}, repeat {}{trace}", result.repeat);
            let said = result.output.as_deref().or(result.error.as_deref()).unwrap_or("no answer");
            for line in said.lines() {
                println!("  {}", printable(line));
            }
            for score in &result.scores {
                let value = score.value.map_or("unscored".to_owned(), |value| format!("{value:.3}"));
                let why = score.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                println!("  {} {value}{}", printable(&score.metric), printable(&why));
            }
        }
    }
}

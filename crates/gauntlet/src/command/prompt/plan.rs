//! `gauntlet prompt promote … --plan`: what would change, what evals say, what is missing, and the way back.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::show::{changes, lines};
use crate::{
    cli::{Place, PromotePrompt},
    reach::{Reach, escape},
    show::{self, Column, printable, text},
};

pub(super) fn run(place: &Place, reach: &Reach, asked: &PromotePrompt) -> Result<ExitCode> {
    let path =
        format!("/api/v1/prompts/plan?prompt={}&label={}", escape(&asked.reference), escape(&asked.to));
    let plan = reach.get(&path)?;
    let lacks = plan["lacks"].as_array().map_or(0, Vec::len);
    if place.json {
        show::json(&plan);
    } else {
        print(&plan);
    }
    Ok(if lacks == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(plan: &Value) {
    let from = plan["from"].as_str().unwrap_or("nothing");
    println!("{} → label `{}` (now {from})\n", text(&plan["prompt"]), text(&plan["label"]));
    if plan["from"] == plan["to"] {
        println!("It is there already.");
        return;
    }
    if plan["from"].is_string() {
        changes(&plan["changes"]);
        println!();
        lines(&text(&plan["diff"]));
        println!();
    }
    let suites: Vec<&Value> = plan["evals"].as_array().into_iter().flatten().collect();
    if suites.is_empty() {
        println!("No finished run of evals has tested exactly this content.");
    }
    for suite in suites {
        evals(suite);
    }
    for gate in plan["gates"].as_array().into_iter().flatten() {
        let (suite, verdict) = (text(&gate["suite"]), text(&gate["verdict"]));
        println!(
            "Gate {suite}: {verdict}, {} ({})",
            printable(&text(&gate["summary"])),
            show::time(&gate["at"])
        );
    }
    for approval in plan["approvals"].as_array().into_iter().flatten() {
        println!("Approved by {} ({})", printable(&text(&approval["by"])), show::time(&approval["at"]));
    }
    println!();
    let lacks: Vec<&Value> = plan["lacks"].as_array().into_iter().flatten().collect();
    if lacks.is_empty() {
        println!(
            "Nothing is missing: gauntlet prompt promote {} --to {}",
            text(&plan["prompt"]),
            text(&plan["label"])
        );
    }
    for lack in lacks {
        println!("Missing: {}", printable(&text(&lack["what"])));
        println!("         {}", printable(&text(&lack["cure"])));
    }
    if let Some(rollback) = plan["rollback"].as_str() {
        println!("Back afterwards: {rollback}");
    }
}

fn evals(suite: &Value) {
    let name = text(&suite["suite"]);
    if suite["from_run"].is_null() {
        println!("Suite {name}: run {}; what is under the label now was not run", text(&suite["to_run"]));
        return;
    }
    println!("Suite {name}: {} → {}", text(&suite["from_run"]), text(&suite["to_run"]));
    if suite["is_same_dataset"] == false {
        println!("The cases changed between them; only those that both have are compared.");
    }
    let columns = [
        Column::Left("metric"),
        Column::Right("now"),
        Column::Right("then"),
        Column::Right("difference"),
        Column::Left("95% interval"),
        Column::Right("cases"),
    ];
    let rows = suite["deltas"].as_array().into_iter().flatten().map(|delta| {
        let figure = |value: &Value| value.as_f64().map_or("–".to_owned(), |number| format!("{number:.4}"));
        let signed =
            |value: &Value| value.as_f64().map_or("–".to_owned(), |number| format!("{number:+.4}"));
        let interval = match (delta["ci_low"].as_f64(), delta["ci_high"].as_f64()) {
            (Some(low), Some(high)) => format!("{low:+.4} … {high:+.4}"),
            _ => text(&delta["why"]),
        };
        vec![
            text(&delta["metric"]),
            figure(&delta["from"]),
            figure(&delta["to"]),
            signed(&delta["difference"]),
            interval,
            text(&delta["cases"]),
        ]
    });
    show::table(&columns, rows.collect(), "The runs have no case in common.");
    if let Some(ratio) = suite["cost_ratio"].as_f64() {
        println!("An answer costs {ratio:.2} times as much.");
    }
    println!();
}

//! `gauntlet prompt promote … --plan`: what would change, what evals say, what is missing, and the way back.

use std::process::ExitCode;

use anyhow::{Context, Result};
use gauntlet_evals::gate::{Comparison, Look, report};
use serde_json::Value;

use super::show::{changes, lines};
use crate::{
    cli::{Place, PromotePrompt},
    command::gate::look,
    reach::{Reach, escape},
    show::{self, printable, text},
};

pub(super) fn run(place: &Place, reach: &Reach, asked: &PromotePrompt) -> Result<ExitCode> {
    let path =
        format!("/api/v1/prompts/plan?prompt={}&label={}", escape(&asked.reference), escape(&asked.to));
    let plan = reach.get(&path)?;
    let lacks = plan["lacks"].as_array().map_or(0, Vec::len);
    if place.json {
        show::json(&plan);
    } else {
        print(&plan)?;
    }
    Ok(if lacks == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(plan: &Value) -> Result<()> {
    let from = plan["from"].as_str().unwrap_or("nothing");
    println!("{} → label `{}` (now {from})\n", text(&plan["prompt"]), text(&plan["label"]));
    if plan["from"] == plan["to"] {
        println!("It is there already.");
        return Ok(());
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
        evals(suite)?;
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
    Ok(())
}

fn evals(suite: &Value) -> Result<()> {
    let name = printable(&text(&suite["suite"]));
    let (from, to) = (text(&suite["from_run"]), text(&suite["to_run"]));
    if suite["from_run"].is_null() {
        println!("Suite {name}: run {to}; what is under the label now was not run\n");
        return Ok(());
    }
    println!("Suite {name}: A is run {from}, of what is under the label now; B is run {to}");
    match suite["why"].as_str() {
        Some(why) => println!("They cannot be compared: {}", printable(why)),
        None => {
            let found: Comparison = serde_json::from_value(suite["compared"].clone())
                .context("the gateway compares runs in another form; is it of this version?")?;
            println!("{}", report::moved(&found, Look { color: false, ..look() }));
            if let Some(ratio) = found.cost_ratio {
                println!("An answer costs {ratio:.2} times as much.");
            }
            println!("Case by case: gauntlet eval compare {from} {to}");
        }
    }
    println!();
    Ok(())
}

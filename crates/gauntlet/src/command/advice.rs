//! `gauntlet advice`: what would be saved.

use anyhow::Result;
use serde_json::Value;

use crate::{
    cli::{Advice, Place},
    reach::{Reach, escape},
    show::{self, printable, text, usd},
};

pub fn run(place: &Place, asked: &Advice) -> Result<()> {
    let report = Reach::new(place)?.get(&format!("/api/v1/advice?last={}", escape(&asked.last)))?;
    if place.json {
        show::json(&report);
        return Ok(());
    }
    let advice = report["advice"].as_array().map_or(&[][..], Vec::as_slice);
    for one in advice {
        println!(
            "{} a month  {} on {}",
            usd(one["saved_usd_per_month"].as_f64().unwrap_or(0.0)),
            printable(&text(&one["route"])),
            printable(&text(&one["model"])),
        );
        println!("  {}", printable(&text(&one["what"])));
        println!("  mind: {}\n", printable(&text(&one["mind"])));
    }
    if advice.is_empty() {
        println!("Nothing found that would save money.\n");
    }
    println!("{}", basis(&report));
    Ok(())
}

fn basis(report: &Value) -> String {
    let calls = report["calls"].as_u64().unwrap_or(0);
    if calls == 0 {
        return "There were no calls to look at.".to_owned();
    }
    let sample = if report["is_whole"] == true { "all" } else { "a sample: the newest" };
    format!(
        "Looked at {sample} {calls} calls, {} to {}, which cost {}; the traffic costs {} a month at that rate. \
         Estimates, on the low side; they do not add up where two concern the same calls.",
        show::time(&report["first"]),
        show::time(&report["last"]),
        usd(report["sample_cost_usd"].as_f64().unwrap_or(0.0)),
        usd(report["cost_usd_per_month"].as_f64().unwrap_or(0.0)),
    )
}

//! `gauntlet reprice`: what stored calls cost by the prices of now. Goes through them page by page, so that the gateway
//! goes on meanwhile.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
};

use anyhow::{Result, bail};
use gauntlet_bills::reprice::Change;
use gauntlet_types::NanoUsd;
use serde_json::{Value, json};

use crate::{
    cli::{Place, Reprice},
    reach::Reach,
    show::{self, Column, text, usd},
};

pub fn run(place: &Place, asked: &Reprice) -> Result<()> {
    let reach = Reach::new(place)?;
    if asked.history {
        return history(place, &reach);
    }
    let Some(from) = &asked.from else { bail!("name the first day: --from 2026-11-01") };
    let pass = whole(&reach, from, asked)?;
    if place.json {
        show::json(&pass.json());
    } else {
        pass.show(asked.apply);
    }
    Ok(())
}

/// All pages of a pass.
#[derive(Default)]
struct Pass {
    from: String,
    to: String,
    price_version: String,
    looked_at: u64,
    applied: u64,
    changes: BTreeMap<(String, String), Change>,
}

fn whole(reach: &Reach, from: &str, asked: &Reprice) -> Result<Pass> {
    let mut pass = Pass::default();
    let (mut next, mut at) = (Value::Null, Value::Null);
    let progress = std::io::stderr().is_terminal();
    loop {
        let body = json!({
            "from": from, "to": asked.to, "model": asked.model, "apply": asked.apply, "next": next, "at": at,
        });
        let page = reach.post("/api/v1/reprice", &body)?;
        pass.add(&page)?;
        if progress {
            let left = page["left"].as_u64().unwrap_or(0);
            eprint!("\r{} calls priced, {left} to go … ", pass.looked_at);
            std::io::stderr().flush()?;
        }
        (next, at) = (page["next"].clone(), page["at"].clone());
        if next.is_null() {
            break;
        }
    }
    if progress {
        eprintln!();
    }
    Ok(pass)
}

impl Pass {
    fn add(&mut self, page: &Value) -> Result<()> {
        (self.from, self.to) = (text(&page["from"]), text(&page["to"]));
        self.price_version = text(&page["price_version"]);
        self.looked_at += page["looked_at"].as_u64().unwrap_or(0);
        self.applied += page["applied"].as_u64().unwrap_or(0);
        for change in page["changes"].as_array().into_iter().flatten() {
            let change: Change = serde_json::from_value(change.clone())?;
            let key = (change.day.clone(), change.model.clone());
            let sum = self.changes.entry(key).or_insert_with(|| Change {
                day: change.day.clone(),
                model: change.model.clone(),
                ..Change::default()
            });
            sum.calls += change.calls;
            sum.changed += change.changed;
            sum.unpriced += change.unpriced;
            sum.before = sum.before.plus(change.before);
            sum.after = sum.after.plus(change.after);
        }
        Ok(())
    }

    fn sums(&self) -> (NanoUsd, NanoUsd) {
        let changes = || self.changes.values();
        (changes().map(|change| change.before).sum(), changes().map(|change| change.after).sum())
    }

    fn json(&self) -> Value {
        let (before, after) = self.sums();
        let changes: Vec<Value> = self
            .changes
            .values()
            .map(|change| {
                json!({
                    "day": change.day, "model": change.model, "calls": change.calls, "changed": change.changed,
                    "unpriced": change.unpriced, "before_usd": change.before.as_usd(),
                    "after_usd": change.after.as_usd(),
                    "difference_usd": change.after.minus(change.before).as_usd(),
                })
            })
            .collect();
        json!({
            "from": self.from, "to": self.to, "price_version": self.price_version, "looked_at": self.looked_at,
            "applied": self.applied, "changes": changes, "before_usd": before.as_usd(), "after_usd": after.as_usd(),
            "difference_usd": after.minus(before).as_usd(),
        })
    }

    fn show(&self, apply: bool) {
        let columns = [
            Column::Left("day"),
            Column::Left("model"),
            Column::Right("calls"),
            Column::Right("changed"),
            Column::Right("no price"),
            Column::Right("cost"),
            Column::Right("by prices of now"),
            Column::Right("difference"),
        ];
        let line = |day: &str, model: &str, counts: [u64; 3], before: NanoUsd, after: NanoUsd| {
            let mut cells = vec![day.to_owned(), model.to_owned()];
            cells.extend(counts.map(|count| count.to_string()));
            cells.extend([before, after].map(|amount| usd(amount.as_usd())));
            cells.push(difference(after.minus(before)));
            cells
        };
        let mut rows: Vec<_> = self
            .changes
            .values()
            .map(|change| {
                let counts = [change.calls, change.changed, change.unpriced];
                line(&change.day, &change.model, counts, change.before, change.after)
            })
            .collect();
        if rows.len() > 1 {
            let sum = |count: fn(&Change) -> u64| self.changes.values().map(count).sum();
            let counts =
                [sum(|change| change.calls), sum(|change| change.changed), sum(|change| change.unpriced)];
            let (before, after) = self.sums();
            rows.push(line("total", "", counts, before, after));
        }
        println!("Calls of {} to {} (UTC) at prices {}", self.from, self.to, self.price_version);
        show::table(&columns, rows, "No call asked a model.");
        let changed: u64 = self.changes.values().map(|change| change.changed).sum();
        match (apply, changed) {
            (false, 0) => println!("Nothing would change."),
            (false, _) => println!("Nothing is kept yet: `--apply` puts the corrections beside the costs."),
            (true, _) if self.applied == 0 => println!("Nothing had to be changed."),
            (true, _) => println!(
                "{} calls are corrected. Their costs and the budgets stay as they are; `gauntlet spend` shows both.",
                self.applied
            ),
        }
    }
}

fn difference(amount: NanoUsd) -> String {
    match amount.0 {
        0 => "–".to_owned(),
        1.. => format!("+{}", usd(amount.as_usd())),
        _ => format!("-{}", usd(-amount.as_usd())),
    }
}

fn history(place: &Place, reach: &Reach) -> Result<()> {
    let answer = reach.get("/api/v1/reprice")?;
    if place.json {
        show::json(&answer["passes"]);
        return Ok(());
    }
    let columns = [
        Column::Left("when"),
        Column::Left("prices"),
        Column::Left("days"),
        Column::Left("model"),
        Column::Right("calls"),
        Column::Right("before"),
        Column::Right("after"),
    ];
    let rows = answer["passes"].as_array().into_iter().flatten().map(|pass| {
        vec![
            show::time(&pass["at"]),
            text(&pass["price_version"]),
            format!("{} to {}", text(&pass["from"]), text(&pass["to"])),
            pass["model"].as_str().unwrap_or("all").to_owned(),
            pass["calls"].to_string(),
            usd(pass["before_usd"].as_f64().unwrap_or(0.0)),
            usd(pass["after_usd"].as_f64().unwrap_or(0.0)),
        ]
    });
    show::table(&columns, rows.collect(), "Nothing was ever corrected.");
    Ok(())
}

//! `gauntlet erase` and `gauntlet retention`: what of the stored is taken away, by wish and by age.

use std::{
    io::{BufRead, IsTerminal, Write},
    time::Duration,
};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    cli::{Erase, Place, Retention},
    reach::Reach,
    show::{self, Column, text},
};

pub fn erase(place: &Place, wanted: &Erase) -> Result<()> {
    let reach = Reach::new(place)?;
    let ask = |is_dry: bool| {
        reach.post(
            "/api/v1/erase",
            &json!({
                "tenant": wanted.tenant, "user": wanted.user, "session": wanted.session, "dry_run": is_dry,
                "reason": wanted.reason,
            }),
        )
    };
    let found = ask(true)?;
    let is_nothing = found["calls"] == 0 && found["spans"] == 0;
    if wanted.dry_run || is_nothing {
        return tell(place, &found);
    }
    if !wanted.yes {
        confirm(&found)?;
    }
    tell(place, &ask(false)?)
}

/// What is gone is gone, so that a person says it twice.
fn confirm(found: &Value) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("{} calls and {} spans would go for good; say --yes", found["calls"], found["spans"]);
    }
    print!("{} calls and {} spans go for good. Erase them? [y/N] ", found["calls"], found["spans"]);
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "yes") {
        bail!("nothing was erased");
    }
    Ok(())
}

fn tell(place: &Place, erased: &Value) -> Result<()> {
    if place.json {
        show::json(erased);
        return Ok(());
    }
    let verb = if erased["dry_run"] == true { "would be erased" } else { "were erased" };
    println!("{} calls and {} spans {verb}.", erased["calls"], erased["spans"]);
    if erased["dry_run"] == false {
        if erased["evals"] != 0 {
            println!("{} results, judgements and reports of evals lost their words.", erased["evals"]);
        }
        if erased["eval_calls"] != 0 {
            println!("{} calls of runs over cases made from them lost their texts.", erased["eval_calls"]);
        }
        let cases: Vec<String> = erased["cases"].as_array().into_iter().flatten().map(text).collect();
        if !cases.is_empty() {
            println!("Remove these cases from their datasets by hand: {}", cases.join(", "));
        }
        println!("Found by the same question afterwards: {}.", erased["left"]);
        println!("The proof is in `gauntlet events --kind erased`, under:");
        for subject in erased["subject"].as_array().into_iter().flatten() {
            println!("  {}", text(subject));
        }
    }
    println!("Not covered:");
    for what in erased["not_covered"].as_array().into_iter().flatten() {
        println!("  {}", text(what));
    }
    Ok(())
}

pub fn retention(place: &Place, command: Option<&Retention>) -> Result<()> {
    let reach = Reach::new(place)?;
    if let Some(Retention::Run) = command {
        let (mut cut, mut removed) = (0, 0);
        loop {
            let done = reach.post("/api/v1/retention", &json!({}))?;
            cut += done["cut"].as_u64().unwrap_or(0);
            removed += done["removed"].as_u64().unwrap_or(0);
            if done["is_more"] != true {
                break;
            }
            eprintln!("{cut} lost their texts, {removed} are gone, and there are more …");
        }
        if place.json {
            show::json(&json!({"cut": cut, "removed": removed}));
        } else {
            println!("{cut} calls and spans lost their texts, {removed} are gone whole.");
        }
        return Ok(());
    }
    let answer = reach.get("/api/v1/retention")?;
    if place.json {
        show::json(&answer);
        return Ok(());
    }
    let age = |value: &Value| match value.as_u64() {
        Some(seconds) => days(Duration::from_secs(seconds)),
        None => "for good".to_owned(),
    };
    let rows = answer["retention"].as_array().into_iter().flatten();
    let rows =
        rows.map(|row| vec![text(&row["environment"]), age(&row["messages_s"]), age(&row["records_s"])]);
    let columns =
        [Column::Left("environment"), Column::Left("texts are kept"), Column::Left("records are kept")];
    show::table(&columns, rows.collect(), "");
    match answer["sampling"]["keep_percent"].as_u64() {
        Some(percent) => println!(
            "\nSampling: {percent} % of ordinary traces keep their texts; errors, blocked, flagged, slow ones and evals always do."
        ),
        None => println!("\nSampling: off; all texts are kept."),
    }
    Ok(())
}

fn days(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    if hours.is_multiple_of(24) { format!("{} days", hours / 24) } else { format!("{hours} hours") }
}

//! `gauntlet replica`: the gateways that share budgets and limits.

use anyhow::Result;

use crate::{
    cli::{Place, Replica},
    reach::{Reach, escape},
    show::{self, Column, text},
};

pub fn run(place: &Place, command: Replica) -> Result<()> {
    let reach = Reach::new(place)?;
    match command {
        Replica::List => {
            let answer = reach.get("/api/v1/replicas")?;
            if place.json {
                show::json(&answer);
                return Ok(());
            }
            if answer["is_shared"] == false {
                println!(
                    "This gateway has its budgets to itself. Name a store where several meet in gauntlet.yml:\n\n  shared: redis://HOST:6379\n"
                );
                return Ok(());
            }
            let columns = [
                Column::Left("replica"),
                Column::Left("state"),
                Column::Right("seen, s ago"),
                Column::Right("slices held"),
            ];
            let rows = answer["replicas"].as_array().into_iter().flatten().map(|line| {
                let state = if line["is_alive"] == true { "alive" } else { "gone; its slices are in doubt" };
                let seen = line["seen_ago_s"].as_f64().unwrap_or(0.0);
                vec![text(&line["id"]), state.to_owned(), format!("{seen:.1}"), text(&line["accounts"])]
            });
            show::table(&columns, rows.collect(), "No replica has reported yet.");
        }
        Replica::Forget { id } => {
            let answer = reach.delete(&format!("/api/v1/replicas/{}", escape(&id)))?;
            if place.json {
                show::json(&answer);
            } else {
                println!("Forgotten. What its slices held can be spent again; what it spent stays counted.");
            }
        }
    }
    Ok(())
}

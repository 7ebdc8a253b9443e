//! `gauntlet cache`: kept answers, and how far an embedder can be trusted with them.

mod quality;

use anyhow::Result;

use crate::{
    cli::{Cache, CacheScope, Place},
    reach::{Reach, escape},
    show::{self, Column, text, usd},
};

pub fn run(place: &Place, command: Cache) -> Result<()> {
    match command {
        Cache::Stats(scope) => stats(place, &scope),
        Cache::Clear(scope) => clear(place, &scope),
        Cache::Quality(asked) => quality::run(place, &asked),
    }
}

fn path(scope: &CacheScope) -> String {
    let named = [("tenant", &scope.tenant), ("route", &scope.route)];
    let pairs: Vec<String> = named
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_deref()?))))
        .collect();
    format!("/api/v1/cache?{}", pairs.join("&"))
}

fn stats(place: &Place, scope: &CacheScope) -> Result<()> {
    let answer = Reach::new(place)?.get(&path(scope))?;
    if place.json {
        show::json(&answer);
        return Ok(());
    }
    let columns = [
        Column::Left("tenant"),
        Column::Left("route"),
        Column::Right("entries"),
        Column::Right("kB"),
        Column::Right("exact hits"),
        Column::Right("semantic hits"),
        Column::Right("saved"),
    ];
    let rows = answer["lines"].as_array().into_iter().flatten().map(|line| {
        let mut row: Vec<String> = ["tenant", "route", "entries"].map(|name| text(&line[name])).into();
        row.push((line["bytes"].as_u64().unwrap_or(0) / 1000).to_string());
        row.extend(["exact_hits", "semantic_hits"].map(|name| text(&line[name])));
        row.push(usd(line["saved_usd"].as_f64().unwrap_or(0.0)));
        row
    });
    show::table(&columns, rows.collect(), "No answer is kept.");
    println!(
        "\nSince the start: {} let go for want of room, {} too old, {} near questions refused by their words, {} not embedded; {} saved.",
        text(&answer["evicted"]),
        text(&answer["expired"]),
        text(&answer["near_misses"]),
        text(&answer["embed_failures"]),
        usd(answer["saved_usd"].as_f64().unwrap_or(0.0)),
    );
    Ok(())
}

fn clear(place: &Place, scope: &CacheScope) -> Result<()> {
    let answer = Reach::new(place)?.delete(&path(scope))?;
    if place.json {
        show::json(&answer);
    } else {
        println!("{} kept answers are gone.", text(&answer["cleared"]));
    }
    Ok(())
}

//! `gauntlet route explain` and `route targets`: where calls go, and why.

use anyhow::Result;
use serde_json::Value;

use crate::{
    cli::{Place, Route, RouteExplain},
    reach::{Reach, escape},
    show::{self, Column, printable, text},
};

pub fn run(place: &Place, command: Route) -> Result<()> {
    match command {
        Route::Explain(asked) => explain(place, &asked),
        Route::Targets => targets(place),
    }
}

fn explain(place: &Place, asked: &RouteExplain) -> Result<()> {
    let tokens = asked.tokens.map(|tokens| tokens.to_string());
    let flag = |is_set: bool| is_set.then(|| "true".to_owned());
    let pairs = [
        ("name", Some(asked.name.clone())),
        ("model", asked.model.clone()),
        ("tenant", asked.tenant.clone()),
        ("key", asked.key.clone()),
        ("tags", asked.tags.clone()),
        ("task", asked.task.clone()),
        ("tokens", tokens),
        ("stream", flag(asked.stream)),
        ("tools", flag(asked.tools)),
        ("images", flag(asked.images)),
    ];
    let query: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_deref()?))))
        .collect();
    let explained = Reach::new(place)?.get(&format!("/api/v1/route/explain?{}", query.join("&")))?;
    if place.json {
        show::json(&explained);
    } else {
        print(&explained);
    }
    Ok(())
}

fn print(explained: &Value) {
    let model = printable(&text(&explained["model"]));
    println!("Model {model}: {}", printable(&text(&explained["by"])));
    let kind = match (explained["is_pin"] == true, explained["sticky"].as_str()) {
        (true, _) => "a pin".to_owned(),
        (false, None | Some("off")) => text(&explained["strategy"]),
        (false, Some(sticky)) => format!("{}, sticky by {sticky}", text(&explained["strategy"])),
    };
    let is_live = explained["is_live"] == true;
    let source = if is_live { "as the gateway sees it now" } else { "by the configuration; no gateway runs" };
    let hedge = match explained["hedge_ms"].as_u64() {
        Some(ms) => format!(", the next asked as well after {ms} ms without an answer"),
        None => String::new(),
    };
    println!("Chosen by {kind}{hedge}, for {} tokens, {source}\n", explained["tokens"]);
    let columns = [
        Column::Right("#"),
        Column::Left("target"),
        Column::Right("weight"),
        Column::Right("share"),
        Column::Left("region"),
        Column::Right("room"),
        Column::Right("at most"),
        Column::Right("latency"),
        Column::Right("under way"),
        Column::Left("state"),
    ];
    let targets = explained["targets"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = targets.iter().enumerate().map(|(at, target)| {
        let share = target["share"].as_f64().map(|share| format!("{:.0} %", share * 100.0));
        let state = match (target["left_alone"].as_str(), target["left_alone_s"].as_f64()) {
            (Some(why), Some(left)) => format!("{why}, {left:.0} s more"),
            _ => "free".to_owned(),
        };
        vec![
            (at + 1).to_string(),
            text(&target["target"]),
            text(&target["weight"]),
            share.unwrap_or_else(|| "–".to_owned()),
            text(&target["region"]),
            text(&target["room"]),
            target["worst_case_usd"].as_f64().map_or_else(|| "–".to_owned(), show::usd),
            milliseconds(&target["latency_ms"]),
            text(&target["in_flight"]),
            state,
        ]
    });
    show::table(&columns, rows.collect(), "No target.");
    for out in explained["left_out"].as_array().into_iter().flatten() {
        println!("left out: {} ({})", printable(&text(&out["target"])), printable(&text(&out["why"])));
    }
    for warning in explained["warnings"].as_array().into_iter().flatten() {
        println!("warning: {}", printable(&text(warning)));
    }
}

fn targets(place: &Place) -> Result<()> {
    let answer = Reach::new(place)?.get("/api/v1/targets")?;
    if place.json {
        show::json(&answer["targets"]);
        return Ok(());
    }
    let columns = [
        Column::Left("target"),
        Column::Left("breaker"),
        Column::Left("left alone"),
        Column::Right("under way"),
        Column::Right("first token"),
        Column::Right("whole"),
    ];
    let rows = answer["targets"].as_array().into_iter().flatten().map(|line| {
        let alone = match (line["left_alone"].as_str(), line["left_alone_s"].as_f64()) {
            (Some(why), Some(left)) => format!("{}, {left:.0} s more", why.replace('_', " ")),
            _ => "–".to_owned(),
        };
        vec![
            text(&line["target"]),
            text(&line["breaker"]).replace('_', " "),
            alone,
            text(&line["in_flight"]),
            milliseconds(&line["first_token_ms"]),
            milliseconds(&line["whole_ms"]),
        ]
    });
    let none = match answer["is_live"] == true {
        true => "No target was asked since the start.",
        false => "No gateway runs on this data folder, so nothing is known of its targets.",
    };
    show::table(&columns, rows.collect(), none);
    Ok(())
}

fn milliseconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0} ms"))
}

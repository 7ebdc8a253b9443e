//! `gauntlet events`: what needed attention.

use anyhow::Result;
use serde_json::json;

use crate::{
    cli::{Events, Place},
    reach::{Reach, escape},
    show::{self, Column, text},
};

pub fn run(place: &Place, asked: &Events) -> Result<()> {
    let reach = Reach::new(place)?;
    if asked.check {
        reach.post("/api/v1/events/check", &json!({}))?;
    }
    let kind = asked.kind.as_ref().map_or_else(String::new, |kind| format!("&kind={}", escape(kind)));
    let answer = reach.get(&format!("/api/v1/events?limit={}{kind}", asked.limit))?;
    if place.json {
        show::json(&answer["events"]);
        return Ok(());
    }
    let columns = ["time", "severity", "kind", "what"].map(Column::Left);
    let rows = answer["events"].as_array().into_iter().flatten().map(|event| {
        vec![
            show::time(&event["at"]),
            text(&event["severity"]),
            text(&event["kind"]),
            text(&event["message"]),
        ]
    });
    show::table(&columns, rows.collect(), "Nothing needed attention.");
    Ok(())
}

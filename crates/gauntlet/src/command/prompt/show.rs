//! Lists, one version, two beside each other, and a render.

use anyhow::{Result, bail};
use gauntlet_places::near;
use serde_json::Value;

use crate::{
    cli::Place,
    reach::{Reach, escape},
    show::{self, Column, printable, text},
};

pub(super) fn list(place: &Place, reach: &Reach, name: Option<&str>) -> Result<()> {
    let mut known = reach.get("/api/v1/prompts")?;
    if let Some(name) = name {
        let names: Vec<String> =
            known["versions"].as_array().into_iter().flatten().map(|row| text(&row["name"])).collect();
        if !names.iter().any(|known| known == name) {
            let other = "`gauntlet prompt list` shows those there are";
            bail!(
                "there is no prompt `{name}`: {}",
                near::cure(name, names.iter().map(String::as_str), other)
            );
        }
        for list in ["versions", "labels"] {
            if let Some(rows) = known[list].as_array_mut() {
                rows.retain(|row| row["name"] == name);
            }
        }
    }
    if place.json {
        show::json(&known);
        return Ok(());
    }
    let columns = ["prompt", "version", "labels", "risk", "hash", "author", "since"].map(Column::Left);
    let rows = known["versions"].as_array().into_iter().flatten().map(|row| {
        let labels: Vec<String> = row["labels"].as_array().into_iter().flatten().map(text).collect();
        vec![
            text(&row["name"]),
            text(&row["version"]),
            labels.join(", "),
            text(&row["risk"]),
            text(&row["hash"]).chars().take(12).collect(),
            text(&row["author"]),
            show::time(&row["created"]),
        ]
    });
    // What `show` tells as well goes first where the terminal is narrow.
    show::table_dropping(
        &columns,
        rows.collect(),
        &["hash", "since", "author", "risk"],
        "No prompts yet: `gauntlet prompt push DIR`, or put files into prompts/ of the configuration folder.",
    );
    Ok(())
}

pub(super) fn show(place: &Place, reach: &Reach, reference: &str) -> Result<()> {
    let found = reach.get(&format!("/api/v1/prompts/show?prompt={}", escape(reference)))?;
    if place.json {
        show::json(&found);
        return Ok(());
    }
    println!("{}@{}  {}", text(&found["name"]), text(&found["version"]), text(&found["hash"]));
    let labels: Vec<String> = found["labels"].as_array().into_iter().flatten().map(text).collect();
    let facts = [
        ("description", text(&found["description"])),
        ("owner", text(&found["owner"])),
        ("labels", if labels.is_empty() { "–".to_owned() } else { labels.join(", ") }),
        ("author", text(&found["author"])),
        ("app sha", text(&found["app_sha"])),
        ("risk", text(&found["risk"])),
        ("model", text(&found["model"])),
        ("model hint", text(&found["model_hint"])),
        ("engine", text(&found["engine"])),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| value != "–") {
        println!("{name:<12}{}", printable(value));
    }
    let variables = found["variables"].as_array().into_iter().flatten().map(|variable| {
        let need = if variable["required"] == true { "required" } else { "optional" };
        vec![
            text(&variable["name"]),
            text(&variable["type"]),
            need.to_owned(),
            text(&variable["default"]),
            text(&variable["description"]),
        ]
    });
    println!();
    let columns = ["variable", "type", "need", "default", "description"].map(Column::Left);
    show::table(&columns, variables.collect(), "No variables.");
    messages(&found["messages"]);
    fields(&found["fields"]);
    if found["history"].as_array().is_some_and(|moves| !moves.is_empty()) {
        println!();
        super::moves(&found["history"], "");
    }
    for gate in found["gates"].as_array().into_iter().flatten() {
        let (suite, verdict) = (text(&gate["suite"]), text(&gate["verdict"]));
        println!(
            "gate {suite}: {verdict}, {}  {}",
            printable(&text(&gate["summary"])),
            show::time(&gate["at"])
        );
    }
    for approval in found["approvals"].as_array().into_iter().flatten() {
        let by = printable(&text(&approval["by"]));
        println!("approved for `{}` by {by}  {}", text(&approval["label"]), show::time(&approval["at"]));
    }
    println!("\nUse: POST /v1/chat/completions {}", found["example"]);
    Ok(())
}

pub(super) fn diff(place: &Place, reach: &Reach, a: &str, b: &str) -> Result<()> {
    let told = reach.get(&format!("/api/v1/prompts/diff?a={}&b={}", escape(a), escape(b)))?;
    if place.json {
        show::json(&told);
    } else {
        changes(&told["changes"]);
        lines(&text(&told["diff"]));
    }
    Ok(())
}

pub(super) fn render(place: &Place, told: &Value) -> Result<()> {
    if place.json {
        show::json(told);
        return Ok(());
    }
    println!("{}  {}", text(&told["prompt"]), text(&told["hash"]));
    messages(&told["messages"]);
    fields(&told["fields"]);
    Ok(())
}

/// What changed, in words.
pub(super) fn changes(changes: &Value) {
    let rows = changes.as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> =
        rows.map(|change| vec![text(&change["bump"]), text(&change["what"])]).collect();
    show::table(&[Column::Left("bump"), Column::Left("what changed")], rows, "Nothing that counts differs.");
}

/// A text of several lines, which a terminal must not obey.
pub(super) fn lines(page: &str) {
    for line in page.lines() {
        println!("{}", printable(line));
    }
}

fn messages(messages: &Value) {
    for message in messages.as_array().into_iter().flatten() {
        println!("\n[{}]", text(&message["role"]));
        lines(&text(&message["content"]));
    }
}

fn fields(fields: &Value) {
    for (name, value) in fields.as_object().into_iter().flatten() {
        println!("\n{}: {}", printable(name), printable(&value.to_string()));
    }
}

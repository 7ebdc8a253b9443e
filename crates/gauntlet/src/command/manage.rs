//! `gauntlet key` and `kill`: changes that take effect on the next call.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    cli::{Key, Kill, Place},
    reach::{Reach, escape},
    show::{self, Column, text},
};

pub fn key(place: &Place, command: Key) -> Result<()> {
    let reach = Reach::new(place)?;
    match command {
        Key::Create { name, tenant, team, user, env, routes, models, expires } => {
            let new = json!({
                "name": name, "tenant": tenant, "team": team, "user": user, "environment": env,
                "routes": routes, "models": models, "expires_in_s": expires.map(|days| days * 86_400),
            });
            let made = reach.post("/api/v1/keys", &new)?;
            if place.json {
                show::json(&made);
            } else {
                println!("{}\n", text(&made["secret"]));
                println!("This is key `{name}` of tenant `{tenant}`. It is shown this once: keep it now.");
            }
        }
        Key::List => {
            let answer = reach.get("/api/v1/keys")?;
            if place.json {
                show::json(&answer["keys"]);
                return Ok(());
            }
            let columns = ["name", "secret", "tenant", "team", "env", "routes", "models", "created", "state"]
                .map(Column::Left);
            let rows = answer["keys"].as_array().into_iter().flatten().map(|key| {
                let state = match (key["revoked"].as_i64(), key["expires"].as_i64()) {
                    (Some(_), _) => format!("revoked {}", show::time(&key["revoked"])),
                    (None, Some(_)) => format!("expires {}", show::time(&key["expires"])),
                    (None, None) => "valid".to_owned(),
                };
                vec![
                    text(&key["name"]),
                    format!("gk_…{}", text(&key["hint"])),
                    text(&key["tenant"]),
                    text(&key["team"]),
                    text(&key["environment"]),
                    names(&key["routes"]),
                    names(&key["models"]),
                    show::time(&key["created"]),
                    state,
                ]
            });
            show::table(
                &columns,
                rows.collect(),
                "No keys yet: `gauntlet key create NAME --tenant TENANT`. Keys of gauntlet.yml are listed there.",
            );
        }
        Key::Revoke { name } => {
            let answer = reach.delete(&format!("/api/v1/keys/{}", escape(&name)))?;
            if place.json { show::json(&answer) } else { println!("Key `{name}` opens nothing any more.") }
        }
    }
    Ok(())
}

fn names(value: &Value) -> String {
    let names: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
    if names.is_empty() { "all".to_owned() } else { names.join(", ") }
}

pub fn kill(place: &Place, asked: Kill) -> Result<()> {
    let reach = Reach::new(place)?;
    let (Some(kind), Some(name)) = (&asked.kind, &asked.name) else {
        let answer = reach.get("/api/v1/kills")?;
        if place.json {
            show::json(&answer["kills"]);
            return Ok(());
        }
        let columns = ["what", "name", "since", "reason"].map(Column::Left);
        let rows = answer["kills"].as_array().into_iter().flatten().map(|kill| {
            vec![text(&kill["kind"]), text(&kill["name"]), show::time(&kill["since"]), text(&kill["reason"])]
        });
        show::table(&columns, rows.collect(), "Nothing is killed.");
        return Ok(());
    };
    let answer = if asked.undo {
        reach.delete(&format!("/api/v1/kills/{kind}/{}", escape(name)))?
    } else {
        reach.post("/api/v1/kills", &json!({"kind": kind, "name": name, "reason": asked.reason}))?
    };
    match (place.json, asked.undo) {
        (true, _) => show::json(&answer),
        (false, true) => println!("{kind} `{name}` lives again."),
        (false, false) => println!(
            "{kind} `{name}` is killed from the next call on. Undo: gauntlet kill {kind} {name} --undo"
        ),
    }
    Ok(())
}

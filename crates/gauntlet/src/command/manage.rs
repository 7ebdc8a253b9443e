//! `gauntlet key`, `kill` and `prompt`: changes that take effect on the next call.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    cli::{Key, Kill, Place, Prompt},
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

pub fn prompt(place: &Place, command: Prompt) -> Result<()> {
    let reach = Reach::new(place)?;
    let known = reach.get("/api/v1/prompts")?;
    let versions = known["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let labels = known["labels"].as_array().map_or(&[][..], Vec::as_slice);
    let label_of = |name: &str, label: &str| {
        labels
            .iter()
            .find(|row| row["name"] == name && row["label"] == label)
            .map(|row| text(&row["version"]))
    };
    match command {
        Prompt::List => {
            if place.json {
                show::json(&known);
                return Ok(());
            }
            let columns = ["prompt", "version", "labels", "hash", "since"].map(Column::Left);
            let rows = versions.iter().map(|row| {
                let here: Vec<String> = labels
                    .iter()
                    .filter(|label| label["name"] == row["name"] && label["version"] == row["version"])
                    .map(|label| text(&label["label"]))
                    .collect();
                let hash = text(&row["hash"]);
                vec![
                    text(&row["name"]),
                    text(&row["version"]),
                    here.join(", "),
                    hash.get(..12).unwrap_or(&hash).to_owned(),
                    show::time(&row["created"]),
                ]
            });
            show::table(
                &columns,
                rows.collect(),
                "No prompts yet: put files into prompts/ of the configuration folder.",
            );
        }
        Prompt::Show { reference } => {
            let (name, asked) = split(&reference)?;
            let version = label_of(name, asked).unwrap_or_else(|| asked.to_owned());
            let Some(found) = versions.iter().find(|row| row["name"] == name && row["version"] == *version)
            else {
                bail!("there is no prompt `{reference}`; `gauntlet prompt list` shows what there is");
            };
            if place.json {
                show::json(found);
            } else {
                let source: Value = serde_json::from_str(&text(&found["source"]))?;
                println!("{}@{}  {}\n", text(&found["name"]), text(&found["version"]), text(&found["hash"]));
                println!("{source:#}");
            }
        }
        Prompt::Promote { reference, to } => {
            let (name, version) = split(&reference)?;
            let before = label_of(name, &to);
            let answer = reach
                .post("/api/v1/prompts/label", &json!({"name": name, "version": version, "label": to}))?;
            if place.json {
                show::json(&answer);
            } else {
                println!("{name}@{to} is now {version}, from the next call on.");
                if let Some(before) = before.filter(|before| before != version) {
                    println!("Back: gauntlet prompt promote {name}@{before} --to {to}");
                }
            }
        }
    }
    Ok(())
}

fn split(reference: &str) -> Result<(&str, &str)> {
    match reference.split_once('@') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => Ok((name, version)),
        _ => bail!("`{reference}` names no version; write it as name@1.2.0"),
    }
}

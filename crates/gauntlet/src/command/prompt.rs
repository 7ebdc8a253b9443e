//! `gauntlet prompt`: versions from files, labels that move by rule and back at once.

mod codegen;
mod plan;
mod push;
mod show;

use std::{fs, io::Read, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::{
    cli::{Actor, Place, PromotePrompt, Prompt},
    reach::{Reach, Refused, escape},
    show::{self as shown, Column, printable, text},
};

/// As every command that could not do its work.
const FAILED: u8 = 2;
/// A file of variables is no longer than what a prompt may be rendered to, and some room for its layout.
const VARIABLES_MAX: u64 = 4 << 20;

/// With `--json`, whoever reads the answer reads what went wrong in it too.
pub fn run(place: &Place, command: Prompt) -> Result<ExitCode> {
    let error = match asked(place, command) {
        Err(error) if place.json => error,
        done => return done,
    };
    let told = match error.downcast_ref::<Refused>() {
        Some(Refused(told)) => told.clone(),
        None => json!({"message": format!("{error:#}")}),
    };
    shown::json(&json!({"error": told}));
    Ok(ExitCode::from(FAILED))
}

fn asked(place: &Place, command: Prompt) -> Result<ExitCode> {
    let reach = Reach::new(place)?;
    let done = |result: Result<()>| result.map(|()| ExitCode::SUCCESS);
    match command {
        Prompt::Push(push) => push::run(place, &reach, &push),
        Prompt::List { name } => done(show::list(place, &reach, name.as_deref())),
        Prompt::Show { reference } => done(show::show(place, &reach, &reference)),
        Prompt::Diff { a, b } => done(show::diff(place, &reach, &a, &b)),
        Prompt::Render { reference, variables, vars } => {
            let variables = read_variables(vars.as_deref(), &variables)?;
            let asked = json!({"prompt": reference, "variables": variables});
            done(show::render(place, &reach.post("/api/v1/prompts/render", &asked)?))
        }
        Prompt::Promote(promote) if promote.plan => plan::run(place, &reach, &promote),
        Prompt::Promote(promote) => promote_to(place, &reach, &promote),
        Prompt::Rollback { name, label, reason, actor } => {
            let asked = json!({"name": name, "label": label, "reason": reason, "by": by(&actor)});
            done(moved(place, &reach.post("/api/v1/prompts/rollback", &asked)?))
        }
        Prompt::Approve { reference, to, note, actor } => {
            let asked = json!({"prompt": reference, "label": to, "note": note, "by": by(&actor)});
            let told = reach.post("/api/v1/prompts/approve", &asked)?;
            if place.json {
                shown::json(&told);
            } else {
                let by = printable(&text(&told["by"]));
                println!("`{by}` approves {}@{} for `{to}`.", text(&told["name"]), text(&told["version"]));
            }
            Ok(ExitCode::SUCCESS)
        }
        Prompt::Codegen(asked) => codegen::run(place, &reach, &asked),
        Prompt::History { name, label } => done(history(place, &reach, &name, label.as_deref())),
    }
}

/// Who acts: as said, else as the CI says; none is the operator.
fn by(actor: &Actor) -> Option<String> {
    let of_ci = || of_env(&["GITHUB_ACTOR", "GITLAB_USER_LOGIN"]);
    actor.by.clone().filter(|name| !name.is_empty()).or_else(of_ci)
}

fn of_env(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn promote_to(place: &Place, reach: &Reach, asked: &PromotePrompt) -> Result<ExitCode> {
    let body = json!({
        "prompt": asked.reference, "label": asked.to, "by": by(&asked.actor), "force": asked.force,
        "reason": asked.reason,
    });
    match reach.post_or_refused("/api/v1/prompts/promote", &body)? {
        Ok(told) => moved(place, &told).map(|()| ExitCode::SUCCESS),
        Err(error) if error["lacks"].is_array() => {
            if place.json {
                shown::json(&json!({"is_moved": false, "error": error}));
            } else {
                eprintln!("{}", printable(&text(&error["message"])));
                eprintln!("More: gauntlet prompt promote {} --to {} --plan", asked.reference, asked.to);
            }
            Ok(ExitCode::from(1))
        }
        Err(error) => Err(Refused(error).into()),
    }
}

fn moved(place: &Place, told: &Value) -> Result<()> {
    if place.json {
        shown::json(told);
        return Ok(());
    }
    let (name, label, version) = (text(&told["name"]), text(&told["label"]), text(&told["version"]));
    if told["is_moved"] == false {
        println!("{name}@{label} is {version} already.");
        return Ok(());
    }
    match told["from"].as_str() {
        Some(from) => println!("{name}@{label} is now {version} (was {from}), from the next call on."),
        None => println!("{name}@{label} is now {version}, from the next call on."),
    }
    for lacked in told["lacked"].as_array().into_iter().flatten() {
        println!("Forced: {}", printable(&text(lacked)));
    }
    if let Some(rollback) = told["rollback"].as_str() {
        println!("Back: {rollback}");
    }
    Ok(())
}

fn history(place: &Place, reach: &Reach, name: &str, label: Option<&str>) -> Result<()> {
    let label = label.map(|label| format!("&label={}", escape(label))).unwrap_or_default();
    let told = reach.get(&format!("/api/v1/prompts/history?name={}{label}", escape(name)))?;
    if place.json {
        shown::json(&told);
        return Ok(());
    }
    moves(&told["moves"], &format!("No label of `{name}` was moved yet."));
    Ok(())
}

fn moves(moves: &Value, none: &str) {
    let columns = ["when", "label", "from", "to", "how", "by", "why"].map(Column::Left);
    let rows = moves.as_array().into_iter().flatten().map(|step| {
        let mut row = vec![shown::time(&step["at"])];
        row.extend(["label", "from", "to", "kind", "by", "why"].map(|field| text(&step[field])));
        row
    });
    shown::table(&columns, rows.collect(), none);
}

/// Variables of a file and, before them, those of the command line.
fn read_variables(file: Option<&Path>, given: &[String]) -> Result<Map<String, Value>> {
    let mut variables = match file {
        Some(file) => read_file(file)?,
        None => Map::new(),
    };
    for pair in given {
        let Some((name, value)) = pair.split_once('=') else {
            bail!("`--var {pair}` has no value; write `--var name=text`, or `--var name:=JSON`");
        };
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                let read = serde_json::from_str(value);
                (name, read.with_context(|| format!("the value of `--var {name}:=…` is not JSON"))?)
            }
            None => (name, Value::from(value)),
        };
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

fn read_file(path: &Path) -> Result<Map<String, Value>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut content = String::new();
    let length = if path == Path::new("-") {
        std::io::stdin().take(VARIABLES_MAX + 1).read_to_string(&mut content)
    } else {
        fs::File::open(path).and_then(|file| file.take(VARIABLES_MAX + 1).read_to_string(&mut content))
    };
    let length = length.with_context(cannot)? as u64;
    anyhow::ensure!(
        length <= VARIABLES_MAX,
        "{} is longer than the {VARIABLES_MAX} bytes of variables",
        path.display()
    );
    // JSON is YAML.
    let read: Value = serde_saphyr::from_str(&content)
        .with_context(|| format!("{} is neither JSON nor YAML", path.display()))?;
    match read {
        Value::Object(variables) => Ok(variables),
        _ => bail!("{} is no object of variables: write `{{\"name\": \"value\"}}`", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_command_line_are_texts_or_json() {
        let given = |given: &[&str]| {
            read_variables(None, &given.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        let read = given(&["who=Ann=Bo", "count:=3", "docs:=[1]", "empty="]).unwrap();
        let wanted = json!({"who": "Ann=Bo", "count": 3, "docs": [1], "empty": ""});
        assert_eq!(Value::Object(read), wanted);
        assert!(given(&["who"]).unwrap_err().to_string().contains("has no value"));
        assert!(given(&["n:=x"]).unwrap_err().to_string().contains("is not JSON"));
    }
}

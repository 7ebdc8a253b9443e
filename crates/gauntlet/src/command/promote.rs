//! `gauntlet trace promote`: a call becomes a case of a dataset, a line of JSON beside the code that it tests.
//!
//! A case holds what was asked (`prompt` with `vars`, or `messages`) and where it came from; the answer that was given stands
//! beside it under `output`, and is what is `expected` only if a person says so: a call is promoted because it was right, or
//! because it was wrong.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::{
    cli::{Place, Promote},
    config_dir,
    reach::{Reach, escape},
    show,
};

/// Of a dataset that is read through for a case that is there already. Larger ones are no set of examples any more.
const DATASET_MAX: u64 = 256 << 20;

pub fn run(place: &Place, reach: &Reach, wanted: &Promote) -> Result<()> {
    let path = path_of(place, &wanted.dataset)?;
    let call = reach.get(&format!("/api/v1/traces/{}?as=chat", escape(&wanted.id)))?;
    let case = case_of(&call, wanted)?;
    add(&path, &case)?;
    let has_expected = case.get("expected").is_some();
    if place.json {
        show::json(&json!({"dataset": path.display().to_string(), "case": case}));
        return Ok(());
    }
    println!("{} is a case of {}", wanted.id, path.display());
    if !has_expected {
        println!(
            "It expects nothing yet: write `expected` into its line, or promote with --expected or --as-answered."
        );
    }
    Ok(())
}

/// A file, or the name of a dataset beside the suites.
fn path_of(place: &Place, dataset: &str) -> Result<PathBuf> {
    if dataset.ends_with(".jsonl") {
        return Ok(PathBuf::from(dataset));
    }
    let is_name = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.');
    if dataset.is_empty() || dataset.starts_with('.') || !dataset.chars().all(is_name) {
        bail!(
            "`{dataset}` is neither the name of a dataset (letters, digits, `-`, `_`) nor a file that ends in .jsonl"
        );
    }
    let Some(folder) = config_dir::find(place.config.as_deref())? else {
        bail!(
            "there is no configuration folder that `{dataset}` could be in; name it by --config, or name a file that ends in .jsonl"
        );
    };
    Ok(folder.join("evals").join(format!("{dataset}.jsonl")))
}

fn case_of(call: &Value, wanted: &Promote) -> Result<Value> {
    let record = &call["record"];
    let id = record["id"].as_str().unwrap_or(&wanted.id);
    if let Some(why) = record["texts_gone"].as_str() {
        bail!("the texts of {id} are not there any more ({why}), so it can be no case");
    }
    let Value::Object(mut input) = call["input"].clone() else {
        bail!("the texts of {id} were not kept (its route says so, or it was refused before it was read)");
    };
    let Some(Value::Array(mut messages)) = input.remove("messages") else {
        bail!("{id} has no messages; only conversations can be cases");
    };
    let mut case = Map::new();
    case.insert("id".to_owned(), id.into());
    if let Some(Value::Object(mut rendered)) = input.remove("gauntlet") {
        let count = rendered["rendered_messages"].as_u64().and_then(|count| usize::try_from(count).ok());
        messages.drain(..count.unwrap_or(0).min(messages.len()));
        if let Some(name) = record["prompt"]["name"].as_str() {
            // Without its version: a case tests the one that comes next.
            case.insert("prompt".to_owned(), name.into());
        }
        case.insert("vars".to_owned(), rendered.remove("variables").unwrap_or_else(|| json!({})));
    }
    if !messages.is_empty() || !case.contains_key("prompt") {
        case.insert("messages".to_owned(), messages.into());
    }
    for name in ["tools", "tool_choice", "response_format"] {
        if let Some(value) = input.remove(name) {
            case.insert(name.to_owned(), value);
        }
    }
    if let Some(documents) = record["documents"].as_array().filter(|documents| !documents.is_empty()) {
        case.insert("documents".to_owned(), documents.clone().into());
    }
    let output = answer(&call["output"]);
    match (&wanted.expected, wanted.as_answered) {
        (Some(expected), _) => drop(case.insert("expected".to_owned(), expected.as_str().into())),
        (None, true) if output.is_null() => bail!("{id} has no answer that could be expected"),
        (None, true) => drop(case.insert("expected".to_owned(), output.clone())),
        (None, false) => {}
    }
    if !output.is_null() {
        case.insert("output".to_owned(), output);
    }
    if !wanted.tags.is_empty() {
        case.insert("tags".to_owned(), wanted.tags.clone().into());
    }
    // By `call` an erasure finds what runs keep of the case, even when its id is changed.
    let call = [("call".to_owned(), id.into())];
    let source = ["trace_id", "started", "route", "model_asked", "target", "prompt", "outcome"]
        .into_iter()
        .filter(|name| !record[*name].is_null())
        .map(|name| (name.to_owned(), record[name].clone()));
    case.insert("source".to_owned(), Value::Object(call.into_iter().chain(source).collect()));
    Ok(case.into())
}

/// The text of an answer, or where it calls tools its whole message.
fn answer(output: &Value) -> Value {
    let message = &output["choices"][0]["message"];
    if message["tool_calls"].is_array() { message.clone() } else { message["content"].clone() }
}

/// Appends a line, unless the case is there.
fn add(path: &Path, case: &Value) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    let mut file = File::options().read(true).append(true).create(true).open(path).with_context(cannot)?;
    file.lock().with_context(cannot)?;
    let mut text = String::new();
    let read = (&file).take(DATASET_MAX + 1).read_to_string(&mut text);
    let read = read.with_context(|| format!("{} is no text", path.display()))?;
    if read as u64 > DATASET_MAX {
        bail!("{} is larger than {} MB; promote into a new dataset", path.display(), DATASET_MAX >> 20);
    }
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{}:{}", path.display(), number + 1);
        let known: Value = serde_json::from_str(line)
            .with_context(|| format!("{}: this line is no JSON; mend it first", place()))?;
        if known["id"] == case["id"] {
            bail!("{}: the case {} is there already", place(), known["id"]);
        }
    }
    // One write: a reader sees the whole line or nothing of it.
    let begin = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{begin}{case}\n").as_bytes()).with_context(cannot)
}

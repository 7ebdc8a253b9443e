//! Prompts beside what a store knows of them: versions that a file changes, and references that mean none.

use std::collections::BTreeSet;

use anyhow::Result;
use gauntlet_places::near;
use gauntlet_policy::{
    config::{Mistake, PromptPin, Severity},
    plan::{Resolved, resolve},
    promotion::GateNeed,
};
use gauntlet_prompts::LATEST;
use gauntlet_store::SqliteControl;
use serde_json::Value;

use crate::{
    cli::Place,
    reach::Reach,
    runfile::RunFile,
    stores::CONTROL_FILE,
    wiring::{Loaded, folder_prompts},
};

/// What a store has.
#[derive(Default)]
struct Kept {
    /// (name, version, hash)
    versions: Vec<(String, String, String)>,
    /// (name, label)
    labels: Vec<(String, String)>,
}

pub(super) fn mistakes(place: &Place, loaded: &Loaded) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let kept = kept(place, loaded).unwrap_or_else(|error| {
        let message = format!("the prompts that the store knows are not compared: {error:#}");
        mistakes.push(told(
            "gauntlet.yml",
            Severity::Warning,
            message,
            "mend that, or ask the gateway's host",
        ));
        None
    });
    if let Some(kept) = &kept {
        let versions = kept.versions.iter().map(|(name, version, hash)| (&**name, &**version, &**hash));
        mistakes.extend(folder_prompts::changed(&loaded.prompts, versions));
    }
    for route in loaded.policy.config().routes.values() {
        let wrong = route.prompt.as_ref().and_then(|pin| unknown(loaded, kept.as_ref(), pin));
        if let Some((severity, what, cure)) = wrong {
            mistakes.push(told("gauntlet.yml", severity, format!("route `{}` {what}", route.name), &cure));
        }
    }
    mistakes.extend(pins(loaded));
    mistakes
}

/// Suites that a label asks for and that nobody wrote.
pub(super) fn unknown_suites(loaded: &Loaded, names: &BTreeSet<String>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (label, rule) in &loaded.policy.config().promotion {
        let GateNeed::Suites(suites) = &rule.gate else { continue };
        for suite in suites.iter().filter(|suite| !names.contains(suite.as_str())) {
            let message = format!(
                "`promotion.{label}` asks for a gate of suite `{suite}`, which no file of evals/ is called"
            );
            let other = "write its file, or leave it if its suite is elsewhere";
            let cure = near::cure(suite, names.iter().map(String::as_str), other);
            mistakes.push(told("gauntlet.yml", Severity::Warning, message, &cure));
        }
    }
    mistakes
}

/// What the store under `--data` knows; none where there is none. Changes nothing there, also where the file is of another
/// version than this program.
fn kept(place: &Place, loaded: &Loaded) -> Result<Option<Kept>> {
    if RunFile::find(&place.data).is_some() {
        return Reach::new(place)?.get("/api/v1/prompts").map(|listed| Some(of_api(&listed)));
    }
    let file = place.data.join(CONTROL_FILE);
    // A store on another host is asked through its gateway alone.
    if loaded.policy.config().server.store.expose() != "sqlite" || !file.exists() {
        return Ok(None);
    }
    let (prompts, labels) = SqliteControl::prompts_in(file)?;
    Ok(Some(Kept {
        versions: folder_prompts::kept(&prompts)
            .map(|(name, version, hash)| (name.to_owned(), version.to_owned(), hash.to_owned()))
            .collect(),
        labels: labels.into_iter().map(|(name, label, _)| (name.to_string(), label.to_string())).collect(),
    }))
}

fn of_api(listed: &Value) -> Kept {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let rows = |list: &str| listed[list].as_array().cloned().unwrap_or_default();
    Kept {
        versions: rows("versions")
            .iter()
            .map(|row| (text(row, "name"), text(row, "version"), text(row, "hash")))
            .collect(),
        labels: rows("labels").iter().map(|row| (text(row, "name"), text(row, "label"))).collect(),
    }
}

/// What is wrong with a route's prompt, and the cure. Where no store was asked, a version may have been pushed: that is
/// warned of. A label may point nowhere until the first promotion.
fn unknown(loaded: &Loaded, kept: Option<&Kept>, pin: &PromptPin) -> Option<(Severity, String, String)> {
    let (name, at) = (pin.name.as_str(), pin.at.as_str());
    let of_files = || loaded.prompts.iter().filter(|prompt| prompt.name == pin.name);
    let of_store = || kept.iter().flat_map(|kept| &kept.versions).filter(|(known, _, _)| known == name);
    if of_files().next().is_none() && of_store().next().is_none() {
        let names = loaded.prompts.iter().map(|prompt| prompt.name.as_str());
        let other = "put its file into prompts/, push it and name its store with --data, or mend the name";
        let cure = near::cure(name, names, other);
        return Some((Severity::Error, format!("names prompt `{name}@{at}`, which is not there"), cure));
    }
    if at.contains('.') && at.starts_with(|first: char| first.is_ascii_digit()) {
        let is_known = of_files().any(|prompt| prompt.version.to_string() == at)
            || of_store().any(|(_, version, _)| version == at);
        let (severity, whose) = match kept {
            Some(_) => (Severity::Error, "neither a file nor the store has"),
            None => (Severity::Warning, "no file has"),
        };
        let cure = "mend the version, or push it: calls by this route are refused until it is there";
        return (!is_known)
            .then(|| (severity, format!("names prompt `{name}@{at}`, which {whose}"), cure.to_owned()));
    }
    if let Some(cure) = gauntlet_prompts::label_mistake(at) {
        let what = format!("names prompt `{name}@{at}`, and `{at}` is neither a version nor a label");
        return Some((Severity::Error, what, cure));
    }
    let is_guarded = loaded.policy.config().promotion.contains_key(at);
    let is_set = kept.iter().flat_map(|kept| &kept.labels).any(|(of, label)| of == name && label == at);
    let is_proposed = !is_guarded && of_files().any(|prompt| prompt.labels.iter().any(|label| *label == *at));
    if at == LATEST || is_set || is_proposed || (kept.is_none() && is_guarded) {
        return None;
    }
    let what =
        format!("names prompt `{name}@{at}`, and no version has that label yet: its calls are refused");
    Some((
        Severity::Warning,
        what,
        format!("`gauntlet prompt promote {name}@VERSION --to {at}`, or mend the label"),
    ))
}

/// Prompts that are pinned to a model which nobody sells here: every call with them is refused.
fn pins(loaded: &Loaded) -> Vec<Mistake> {
    let config = loaded.policy.config();
    let wrong = loaded.prompts.iter().filter_map(|prompt| {
        let model = prompt.model.as_ref()?;
        let why = match resolve(config, model) {
            Resolved::Targets(_) => return None,
            Resolved::Ambiguous(_) => "could come from several providers",
            Resolved::Unknown => "no provider here has",
        };
        let message =
            format!("prompt `{}@{}` is pinned to `{model}`, which {why}", prompt.name, prompt.version);
        let cure = "configure its provider, or name a model of `models`, or `provider/model`";
        Some(told(&prompt.file, Severity::Warning, message, cure))
    });
    wrong.collect()
}

fn told(file: &str, severity: Severity, message: String, cure: &str) -> Mistake {
    Mistake { file: file.to_owned(), line: 0, column: 0, message, cure: cure.to_owned(), severity }
}

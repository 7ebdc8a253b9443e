//! `gauntlet guard diff`: what two versions of a policy differ in.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, anyhow, bail};
use gauntlet_policy::{
    config::{self, LoadOptions, Source, Sources},
    guard::{
        GuardPolicy,
        diff::{self, Diff},
    },
};
use serde_json::json;

use super::{configuration, is_file};
use crate::{
    cli::Place,
    config_dir,
    show::{self, Column},
};

pub fn run(place: &Place, before: &str, after: &str) -> Result<ExitCode> {
    let found = diff::diff(&named(place, before)?, &named(place, after)?);
    if place.json {
        show::json(&json!(found));
    } else {
        print(&found);
    }
    Ok(if found.warnings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A policy of the folder, or of a file that is nowhere in force.
fn named(place: &Place, reference: &str) -> Result<GuardPolicy> {
    if !is_file(reference) {
        let (_, loaded) = configuration(place)?;
        let policies = &loaded.policy.config().guards.policies;
        return policies.find(reference).map(|found| found.as_ref().clone()).ok_or_else(|| {
            let known: Vec<String> =
                policies.iter().map(|known| format!("{}@{}", known.id.name, known.id.version)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            anyhow!("there is no guardrail policy `{reference}`; there are: {known}")
        });
    }
    let text = fs::read_to_string(reference).with_context(|| format!("cannot read {reference}"))?;
    let folder = config_dir::find(place.config.as_deref())?;
    let schemas = config_dir::read(folder.as_deref())?.sources.schemas;
    let source = Source { file: reference.to_owned(), text };
    let sources = Sources { guardrails: vec![source], schemas, ..Sources::default() };
    let env = |name: &str| std::env::var(name).ok();
    let options = LoadOptions { loopback: true, find_provider_keys: false };
    let loaded = match config::load(&sources, &env, &options) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            bail!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }
    };
    let found = loaded.policy.config().guards.policies.iter().next().map(|found| found.as_ref().clone());
    found.ok_or_else(|| anyhow!("{reference} has no policy"))
}

fn print(found: &Diff) {
    println!("{} → {}\n", found.before, found.after);
    let columns = [
        Column::Left("in"),
        Column::Left("kind"),
        Column::Left("what"),
        Column::Left("before"),
        Column::Left("after"),
        Column::Left("that is"),
    ];
    let rows = found.changes.iter().map(|change| {
        let direction = change.direction.map_or("both", super::said);
        let words = [direction, &change.kind, &change.what, &change.before, &change.after];
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain([change.effect.as_str().to_owned()]).collect()
    });
    show::table(&columns, rows.collect(), "No rule differs.");
    let effect = match found.effect {
        None => "The same guards",
        Some(diff::Effect::Tighter) => "Tighter: nothing passes that did not pass before",
        Some(diff::Effect::Looser) => "Looser: something passes that did not pass before",
        Some(diff::Effect::Both) => "Tighter here and looser there",
        Some(diff::Effect::Otherwise) => "Neither tighter nor looser",
    };
    let raised = found.raised.map_or_else(String::new, |raised| format!(", raised is {}", raised.as_str()));
    println!("\n{effect}; that asks for a {} version{raised}", found.raise_needed.as_str());
    for warning in &found.warnings {
        println!("warning: {warning}");
    }
}

//! `gauntlet prompt codegen`: typed wrappers of prompts' variables for an application.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use gauntlet_prompts::{
    Prompt,
    codegen::{Language, Wrapped, generate},
    parse,
};
use serde_json::{Value, json};

use crate::{
    cli::{CodegenLanguage, CodegenPrompt, Place},
    reach::{Reach, escape},
    show,
};

pub fn run(place: &Place, reach: &Reach, asked: &CodegenPrompt) -> Result<ExitCode> {
    let language = match asked.language {
        CodegenLanguage::Python => Language::Python,
        CodegenLanguage::Typescript => Language::TypeScript,
        CodegenLanguage::Rust => Language::Rust,
    };
    let references = references(reach, asked)?;
    let mut prompts: Vec<(Prompt, String)> = Vec::new();
    for reference in references {
        let shown = reach.get(&format!("/api/v1/prompts/show?prompt={}", escape(&reference)))?;
        let source = shown["source"].as_str().context("the gateway shows no source of the prompt")?;
        // The canonical form is itself a prompt file.
        let mut prompt = parse(&reference, source).map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
        describe(&mut prompt, &shown);
        if let Some((known, other)) = prompts.iter().find(|(known, _)| known.name == prompt.name) {
            bail!(
                "`{other}` and `{reference}` are both of `{}`; one file wraps one version of a prompt",
                known.name
            );
        }
        prompts.push((prompt, reference));
    }
    let wrapped: Vec<Wrapped> =
        prompts.iter().map(|(prompt, reference)| Wrapped { prompt, reference }).collect();
    let text = generate(language, &wrapped);
    match &asked.out {
        Some(path) if asked.check => check(place, path, &text),
        Some(path) => {
            fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
            if place.json {
                show::json(&json!({"file": path.display().to_string(), "prompts": names(&prompts)}));
            } else {
                println!("{} wraps {}", path.display(), names(&prompts).join(", "));
            }
            Ok(ExitCode::SUCCESS)
        }
        None => {
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What is said of a prompt and its variables is no part of the canonical form: it changes no call.
fn describe(prompt: &mut Prompt, shown: &Value) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    prompt.description = text(&shown["description"]);
    for told in shown["variables"].as_array().into_iter().flatten() {
        let variable = told["name"].as_str().and_then(|name| prompt.variables.get_mut(name));
        if let Some(variable) = variable {
            variable.description = text(&told["description"]);
        }
    }
}

fn names(prompts: &[(Prompt, String)]) -> Vec<String> {
    prompts.iter().map(|(prompt, _)| format!("{}@{}", prompt.name, prompt.version)).collect()
}

/// Those that were named, each with the label where it has none; else every prompt that has the label.
fn references(reach: &Reach, asked: &CodegenPrompt) -> Result<Vec<String>> {
    if !asked.prompts.is_empty() {
        let with_label = |prompt: &String| match prompt.contains('@') {
            true => prompt.clone(),
            false => format!("{prompt}@{}", asked.label),
        };
        return Ok(asked.prompts.iter().map(with_label).collect());
    }
    let listed = reach.get("/api/v1/prompts")?;
    let labels = listed["labels"].as_array().map_or(&[][..], Vec::as_slice);
    let of_label = |line: &&Value| line["label"] == asked.label.as_str();
    let found: Vec<String> = labels
        .iter()
        .filter(of_label)
        .filter_map(|line| Some(format!("{}@{}", line["name"].as_str()?, asked.label)))
        .collect();
    if found.is_empty() {
        bail!(
            "no prompt has the label `{}`; name prompts (`name@1.2.0`), or another --label (`gauntlet prompt list` shows them)",
            asked.label
        );
    }
    Ok(found)
}

/// Whether a file is what would be written now: for CI.
fn check(place: &Place, path: &Path, text: &str) -> Result<ExitCode> {
    let known = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The hash names wording too; wrappers are about shapes.
    let is_current = without_versions(&known) == without_versions(text);
    if place.json {
        show::json(&json!({"file": path.display().to_string(), "is_current": is_current}));
    } else if is_current {
        println!("{} is current", path.display());
    } else {
        println!(
            "{} is not what the prompts' variables are now; make it anew without --check",
            path.display()
        );
    }
    Ok(ExitCode::from(u8::from(!is_current)))
}

fn without_versions(text: &str) -> Vec<&str> {
    let is_version = |line: &&str| {
        let line = line.trim_start();
        ["VERSION:", "HASH:", "version:", "hash:", "pub const VERSION", "pub const HASH"]
            .iter()
            .any(|begin| line.starts_with(begin))
    };
    text.lines().filter(|line| !is_version(line)).collect()
}

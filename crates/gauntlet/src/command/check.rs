//! `gauntlet check`: file, line and cure of each mistake.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use gauntlet_policy::{check, config::Severity};
use serde_json::json;

use crate::{cli::Place, config_dir, show, wiring};

pub fn run(place: &Place, dir: Option<PathBuf>) -> Result<ExitCode> {
    let named = dir.or_else(|| place.config.clone());
    let Some(folder) = config_dir::find(named.as_deref())? else {
        bail!("there is no gauntlet.yml here; name the folder: gauntlet check DIR");
    };
    let read = config_dir::read(Some(&folder))?;
    let (mistakes, good) = match wiring::load(&read, true) {
        Ok(loaded) => {
            // What only shows when everything is put together: schemas, URLs, prompts that routes name.
            let mut mistakes = loaded.warnings.clone();
            let late = wiring::late_mistakes(&loaded);
            let good = late.is_empty();
            mistakes.extend(late);
            (mistakes, good.then_some(loaded))
        }
        Err(mistakes) => (mistakes, None),
    };
    if place.json {
        let rows: Vec<_> = mistakes
            .iter()
            .map(|mistake| {
                let severity = if mistake.severity == Severity::Error { "error" } else { "warning" };
                json!({
                    "file": mistake.file, "line": mistake.line, "column": mistake.column,
                    "message": mistake.message, "cure": mistake.cure, "severity": severity,
                })
            })
            .collect();
        show::json(&json!({"ok": good.is_some(), "mistakes": rows}));
    } else {
        if !mistakes.is_empty() {
            println!("{}", check::render(&mistakes, &read.sources));
        }
        if let Some(loaded) = &good {
            let policy = &loaded.policy;
            println!(
                "{} is good: {} providers, {} routes, {} budgets, {} prompts (version {})",
                folder.display(),
                policy.config().providers.len(),
                policy.config().routes.len(),
                policy.budget_rules().len(),
                loaded.prompts.len(),
                policy.version()
            );
        }
    }
    Ok(if good.is_some() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

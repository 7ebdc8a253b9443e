//! `gauntlet check`: file, line and cure of each mistake.

mod prompts;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use gauntlet_evals::{
    metrics,
    run::{
        Plan,
        candidate::{self, Wanted},
    },
};
use gauntlet_policy::{
    check,
    config::{Mistake, Severity},
};
use gauntlet_prompts::{Labels, Registry};
use serde_json::json;

use crate::{
    cli::Place,
    config_dir, show, suites,
    wiring::{self, Loaded},
};

pub fn run(place: &Place, dir: Option<PathBuf>) -> Result<ExitCode> {
    let named = dir.or_else(|| place.config.clone());
    let Some(folder) = config_dir::find(named.as_deref())? else {
        bail!("there is no gauntlet.yml here; name the folder: gauntlet check DIR");
    };
    let read = config_dir::read(Some(&folder))?;
    let (mut mistakes, good) = match wiring::load(&read, true) {
        Ok(loaded) => {
            // What only shows when everything is put together: schemas, URLs, prompts that routes name.
            let mut mistakes = loaded.warnings.clone();
            let mut late = wiring::late_mistakes(&loaded);
            late.extend(prompts::mistakes(place, &loaded));
            let good = late.iter().all(|mistake| mistake.severity == Severity::Warning);
            mistakes.extend(late);
            (mistakes, good.then_some(loaded))
        }
        Err(mistakes) => (mistakes, None),
    };
    let suites = suites::files(&folder.join(suites::FOLDER))?;
    let mut names = BTreeSet::new();
    let of_suites = of_suites(&suites, &folder, good.as_ref(), &mut names)?;
    if let Some(loaded) = &good {
        mistakes.extend(prompts::unknown_suites(loaded, &names));
    }
    let good = good.filter(|_| of_suites.iter().all(|mistake| mistake.severity == Severity::Warning));
    mistakes.extend(of_suites);
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
                "{} is good: {}, {}, {}, {}, {} (version {})",
                folder.display(),
                show::counted(policy.config().providers.len(), "provider"),
                show::counted(policy.config().routes.len(), "route"),
                show::counted(policy.budget_rules().len(), "budget"),
                show::counted(loaded.prompts.len(), "prompt"),
                show::counted(suites.len(), "suite"),
                policy.version()
            );
        }
    }
    Ok(if good.is_some() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What is wrong with the suites and their datasets: as `eval run` would find it, so far as no gateway need be asked.
/// `names` gets those of the suites.
fn of_suites(
    files: &[PathBuf],
    folder: &Path,
    loaded: Option<&Loaded>,
    names: &mut BTreeSet<String>,
) -> Result<Vec<Mistake>> {
    let registry = loaded.and_then(|loaded| {
        let guarded = loaded.policy.config().promotion.keys().cloned().collect();
        Registry::of(loaded.prompts.clone(), Labels { guarded, ..Labels::default() }).ok()
    });
    let find = |reference: &str| registry.as_ref()?.resolve(reference).ok().map(|(prompt, _)| prompt);
    let mut mistakes = Vec::new();
    for file in files {
        let reading = suites::read(file)?;
        let mut found = reading.mistakes;
        found.extend(reading.thawed);
        let suite = reading.suite;
        names.insert(suite.name.to_string());
        let made = metrics::make(&suite);
        let is_good = found.iter().all(|mistake| mistake.is_warning);
        match made {
            Ok(scorers) if is_good => found.extend(metrics::lacking(&suite, &scorers)),
            Ok(_) => {}
            Err(unmade) => found.extend(unmade),
        }
        if is_good {
            // Which prompt is tested may be said on the command line alone; then its variables are looked at there.
            if let Ok(wanted) = Wanted::parse(None, None, &suite, &|_| false) {
                let cases = suite.cases.iter().collect();
                let plan = Plan { cases, wanted, ..Plan::of(&suite) };
                let is_warning = suite.prompt.is_none();
                let of_cases = candidate::mistakes(&plan, &find);
                found.extend(
                    of_cases.into_iter().map(|mistake| gauntlet_evals::Mistake { is_warning, ..mistake }),
                );
            }
        }
        mistakes.extend(found.into_iter().map(|mistake| of_evals(mistake, folder)));
    }
    Ok(mistakes)
}

fn of_evals(mistake: gauntlet_evals::Mistake, folder: &Path) -> Mistake {
    // As the other files of the configuration: from its folder.
    let prefix = format!("{}/", folder.display());
    let prefix = prefix.strip_prefix("./").unwrap_or(&prefix);
    let file = mistake.file.strip_prefix(prefix).unwrap_or(&mistake.file);
    Mistake {
        file: file.into(),
        line: mistake.line,
        column: mistake.column.max(usize::from(mistake.line > 0)),
        message: mistake.message,
        cure: mistake.cure,
        severity: if mistake.is_warning { Severity::Warning } else { Severity::Error },
    }
}

//! `gauntlet prompt push`: what a pipeline runs.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{by, of_env};
use crate::{
    cli::{Place, Push},
    config_dir,
    reach::Reach,
    show::{self, Column, printable, text},
};

/// A longer file is no prompt; it is refused unread.
const FILE_MAX: u64 = 1 << 20;

pub(super) fn run(place: &Place, reach: &Reach, push: &Push) -> Result<ExitCode> {
    let files = files(&push.from)?;
    let app_sha = push.app_sha.clone().or_else(|| of_env(&["GITHUB_SHA", "CI_COMMIT_SHA"]));
    let body = json!({
        "files": files.iter().map(|(file, text)| json!({"file": file, "text": text})).collect::<Vec<_>>(),
        "by": by(&push.actor), "app_sha": app_sha, "dry_run": push.dry_run,
    });
    let (told, is_done) = match reach.post_or_refused("/api/v1/prompts", &body)? {
        Ok(told) => (told, true),
        Err(error) if error["prompts"].is_array() => (error, false),
        Err(error) => bail!(text(&error["message"])),
    };
    if place.json {
        show::json(&told);
    } else {
        print(&told, is_done, push.dry_run);
    }
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn files(from: &Path) -> Result<Vec<(String, String)>> {
    if from.is_dir() {
        let found = config_dir::prompts_in(from, &from.display().to_string())?;
        if found.is_empty() && from.join("prompts").is_dir() {
            bail!(
                "{} has no prompt files; push its folder {}",
                from.display(),
                from.join("prompts").display()
            );
        }
        ensure!(!found.is_empty(), "{} has no prompt files (NAME.yaml or NAME.yml)", from.display());
        return Ok(found);
    }
    let cannot = || format!("cannot read {}", from.display());
    let length = fs::metadata(from).with_context(cannot)?.len();
    ensure!(length <= FILE_MAX, "{} has {length} bytes; a prompt has at most {FILE_MAX}", from.display());
    Ok(vec![(from.display().to_string(), fs::read_to_string(from).with_context(cannot)?)])
}

fn print(told: &Value, is_done: bool, is_dry: bool) {
    let lines = || told["prompts"].as_array().into_iter().flatten();
    let columns = ["prompt", "version", "state", "since", "what changed", "file"].map(Column::Left);
    let rows = lines().map(|line| {
        let whats: Vec<String> = line["changes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|change| format!("{} ({})", text(&change["what"]), text(&change["bump"])))
            .collect();
        let mut row: Vec<String> =
            ["name", "version", "state", "since"].map(|field| text(&line[field])).into();
        row.extend([whats.join("; "), text(&line["file"])]);
        row
    });
    show::table(&columns, rows.collect(), "There was nothing to push.");
    for warning in lines().flat_map(|line| line["warnings"].as_array().into_iter().flatten()) {
        eprintln!("warning: {}", printable(&text(warning)));
    }
    for why in lines().filter_map(|line| line["why"].as_str()) {
        eprintln!("refused: {}", printable(why));
    }
    match (is_done, is_dry) {
        (false, _) => eprintln!("Nothing was pushed."),
        (true, true) => println!("{} would be new, {} are known.", told["new"], told["known"]),
        (true, false) => println!("{} are new, {} were known.", told["new"], told["known"]),
    }
}

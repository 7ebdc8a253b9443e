//! `gauntlet prompt push`: what a pipeline runs.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{by, of_env};
use crate::{
    cli::{Place, Push},
    config_dir,
    reach::{Reach, Refused},
    show::{self, Column, printable, text},
};

/// A longer file is no prompt; it is refused unread.
const FILE_MAX: u64 = 1 << 20;
/// Entries of a folder below that are looked at for a prompt file.
const ENTRIES_MAX: usize = 1_000;

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
        Err(error) => return Err(Refused(error).into()),
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
        for folder in passed_over(from)? {
            eprintln!("warning: the prompt files of {folder} are passed over; push that folder by itself");
        }
        return Ok(found);
    }
    let cannot = || format!("cannot read {}", from.display());
    let length = fs::metadata(from).with_context(cannot)?.len();
    ensure!(length <= FILE_MAX, "{} has {length} bytes; a prompt has at most {FILE_MAX}", from.display());
    Ok(vec![(from.display().to_string(), fs::read_to_string(from).with_context(cannot)?)])
}

/// Folders below the one that is pushed which have prompt files of their own.
fn passed_over(from: &Path) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let has_prompts = || {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            entries.take(ENTRIES_MAX).any(|entry| {
                let path = entry.path();
                path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
            })
        };
        if path.is_dir() && has_prompts() {
            folders.push(path.display().to_string());
        }
    }
    folders.sort();
    Ok(folders)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_below_that_have_prompts_are_told_of() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in
            [("a.yaml", "x"), ("sub/b.yml", "x"), ("notes/read.me", "x"), ("sub/deep/c.yaml", "x")]
        {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(passed_over(dir.path()).unwrap(), [dir.path().join("sub").display().to_string()]);
        assert_eq!(files(dir.path()).unwrap().len(), 1);
    }
}

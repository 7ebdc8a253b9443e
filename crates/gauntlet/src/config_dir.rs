//! Reads a configuration folder into texts; what they mean is `policy`'s and `prompts`' affair.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use gauntlet_policy::config::{Source, Sources};

/// A larger file is not configuration. Guards against `--config /` and its like.
const FILE_MAX: u64 = 4 << 20;
/// Editors empty a file before they write it: one that is empty is looked at again so much later.
const REWRITTEN: Duration = Duration::from_millis(50);
/// Prompt files in one folder; beyond it the folder is probably not what was meant.
const PROMPTS_MAX: usize = 10_000;

/// A configuration as files hold it.
#[derive(Default)]
pub struct ConfigDir {
    pub dir: Option<PathBuf>,
    pub sources: Sources,
    /// (file as shown, text)
    pub prompts: Vec<(String, String)>,
}

/// The folder that is meant: the one named, else here if gauntlet.yml or budgets.yml is here, else none.
pub fn find(named: Option<&Path>) -> Result<Option<PathBuf>> {
    match named {
        Some(dir) => {
            anyhow::ensure!(dir.is_dir(), "the configuration folder {} is not there", dir.display());
            Ok(Some(dir.to_owned()))
        }
        None => {
            let here = Path::new(".");
            let has_any = ["gauntlet.yml", "budgets.yml"].iter().any(|file| here.join(file).is_file());
            Ok(has_any.then(|| here.to_owned()))
        }
    }
}

/// Reads the folder; none is the built-in defaults.
pub fn read(dir: Option<&Path>) -> Result<ConfigDir> {
    let Some(dir) = dir else { return Ok(ConfigDir::default()) };
    let sources = Sources {
        gauntlet: file(dir, "gauntlet.yml")?,
        budgets: file(dir, "budgets.yml")?,
        prices: file(dir, "prices.yml")?,
        schemas: schemas(dir)?,
        guardrails: guardrails(dir)?,
        exceptions: file(dir, "exceptions.yml")?,
    };
    Ok(ConfigDir {
        dir: Some(dir.to_owned()),
        sources,
        prompts: prompts_in(&dir.join("prompts"), "prompts")?,
    })
}

fn file(dir: &Path, name: &str) -> Result<Option<Source>> {
    Ok(text(&dir.join(name))?.map(|text| Source { file: name.to_owned(), text }))
}

fn text(path: &Path) -> Result<Option<String>> {
    let cannot = || format!("cannot read {}", path.display());
    match fs::metadata(path) {
        Ok(meta) if meta.len() > FILE_MAX => {
            anyhow::bail!(
                "{} is {} bytes long; a configuration file has at most {FILE_MAX}",
                path.display(),
                meta.len()
            )
        }
        Ok(_) => match fs::read_to_string(path).with_context(cannot)? {
            text if text.is_empty() => {
                thread::sleep(REWRITTEN);
                fs::read_to_string(path).map(Some).with_context(cannot)
            }
            text => Ok(Some(text)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(cannot),
    }
}

/// Every .json file of the folder and its `schemas/`, under the path that a route names it by.
fn schemas(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for sub in ["", "schemas"] {
        for path in files(&dir.join(sub), &["json"])? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let shown = if sub.is_empty() { name.to_owned() } else { format!("{sub}/{name}") };
            if let Some(text) = text(&path)? {
                found.push((shown, text));
            }
        }
    }
    Ok(found)
}

/// The policies of the folder `guardrails/`.
fn guardrails(dir: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for path in files(&dir.join("guardrails"), &["yaml", "yml"])? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some(text) = text(&path)? {
            found.push(Source { file: format!("guardrails/{name}"), text });
        }
    }
    Ok(found)
}

/// The prompt files of a folder, each under `shown` and its name.
pub fn prompts_in(dir: &Path, shown: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for path in files(dir, &["yaml", "yml"])? {
        anyhow::ensure!(
            found.len() < PROMPTS_MAX,
            "there are more than {PROMPTS_MAX} prompt files in {}",
            dir.display()
        );
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some(text) = text(&path)? {
            found.push((format!("{shown}/{name}"), text));
        }
    }
    Ok(found)
}

/// The files of a folder with one of these endings, by name; none if there is no such folder.
fn files(dir: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read the folder {}", dir.display())),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
        if endings.contains(&ending) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

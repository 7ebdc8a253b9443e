//! Configurations of other gateways, read into ours: texts in, texts out.
//!
//! A file is read into a tree whose values know their line (`source`), walked by field (`walk`) by the importer of its
//! gateway, and becomes a `Draft`, which is written as YAML (`emit`). Nothing is left out in silence: what was not asked
//! for, or has no like here, is told with its place and a cure (`notes`). No secret is copied: each becomes a variable
//! (`variables`). What is made must pass our own loader before it is handed out.

mod draft;
mod emit;
mod litellm;
mod notes;
mod portkey;
mod promptfoo;
mod source;
mod tables;
mod tensorzero;
mod units;
mod variables;
mod walk;

use gauntlet_policy::config::{self, LoadOptions, Severity, Source, Sources};

use draft::Draft;

pub use self::{
    notes::{Mapped, NOTHING, Unmapped},
    source::Unreadable,
    tables::Gateway,
    tensorzero::Read,
    variables::Variable,
};

/// What an import makes.
#[derive(Debug)]
pub struct Imported {
    /// Path within the folder, and text.
    pub files: Vec<(String, String)>,
    pub mapped: Vec<Mapped>,
    pub unmapped: Vec<Unmapped>,
    /// What must be set before the gateway starts.
    pub variables: Vec<Variable>,
    /// What `gauntlet check` says of the files: nothing that keeps them from being used.
    pub warnings: Vec<String>,
}

/// Sections of gauntlet.yml in the order of the documentation.
const ORDER: [&str; 12] = [
    "listen",
    "max_body",
    "log",
    "shared",
    "providers",
    "models",
    "default",
    "routes",
    "keys",
    "limits",
    "exporters",
    "alerts",
];

/// Reads a configuration of another gateway.
///
/// `file` is the source's name, without folders; `read` answers for files that the source names.
/// Errors: it is not that gateway's configuration, or cannot be read at all.
pub fn convert(gateway: Gateway, file: &str, text: &str, read: Read<'_>) -> Result<Imported, Unreadable> {
    if text.trim().is_empty() {
        return Err(Unreadable::new(0, "the file is empty", "name the configuration of the other gateway"));
    }
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let mut draft = match gateway {
        Gateway::Litellm => litellm::read(&source::yaml(text)?)?,
        Gateway::Tensorzero => tensorzero::read(&source::toml(text)?, read)?,
        Gateway::Portkey => portkey::read(&source::json(text)?, stem)?,
    };
    finished(&mut draft, &format!("gauntlet import {}", gateway.as_str()), file)
}

/// Reads a configuration of promptfoo: a suite, its dataset and prompts, and the providers that it asks.
pub fn convert_suite(file: &str, text: &str, read: Read<'_>) -> Result<Imported, Unreadable> {
    if text.trim().is_empty() {
        return Err(Unreadable::new(0, "the file is empty", "name a promptfooconfig.yaml"));
    }
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let mut draft = promptfoo::read(&source::yaml(text)?, stem, read)?;
    finished(&mut draft, "gauntlet eval import", file)
}

fn finished(draft: &mut Draft, command: &str, file: &str) -> Result<Imported, Unreadable> {
    draft.notes.sort();
    let head =
        format!("Made by `{command}` from {file}. What became of each setting is told by that command.");
    let mut files = Vec::new();
    if !draft.main.is_empty() {
        files.push(("gauntlet.yml".to_owned(), draft.main.render(&head, &ORDER)));
    }
    for (path, block) in [("budgets.yml", &draft.budgets), ("prices.yml", &draft.prices)] {
        if !block.is_empty() {
            files.push((path.to_owned(), block.render(&head, &[])));
        }
    }
    files.append(&mut draft.files);
    let warnings = checked(&files)?;
    let (mapped, unmapped) =
        (std::mem::take(&mut draft.notes.mapped), std::mem::take(&mut draft.notes.unmapped));
    Ok(Imported { files, mapped, unmapped, variables: draft.variables.all(), warnings })
}

/// Loads what was made, as the gateway does; any variable counts as set.
fn checked(files: &[(String, String)]) -> Result<Vec<String>, Unreadable> {
    let find = |name: &str| {
        let (file, text) = files.iter().find(|(file, _)| file == name)?;
        Some(Source { file: file.clone(), text: text.clone() })
    };
    let schemas = files.iter().filter(|(path, _)| path.starts_with("schemas/")).cloned().collect();
    let sources = Sources {
        gauntlet: find("gauntlet.yml"),
        budgets: find("budgets.yml"),
        prices: find("prices.yml"),
        schemas,
        ..Sources::default()
    };
    // Good as a key and as an address, and another for each variable.
    let env = |name: &str| Some(format!("https://{}.gauntlet.invalid", name.to_ascii_lowercase()));
    let loaded = config::load(&sources, &env, &LoadOptions::default()).map_err(|mistakes| {
        let worst = mistakes.iter().find(|mistake| mistake.severity == Severity::Error);
        let why = worst.map_or_else(String::new, ToString::to_string);
        let cure = "this is a mistake of the importer: please report it with that part of the file";
        Unreadable::new(0, format!("what was made of it is not a good configuration: {why}"), cure)
    })?;
    Ok(loaded.warnings.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests;

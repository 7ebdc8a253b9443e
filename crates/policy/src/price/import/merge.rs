//! Imported prices beside those of a file: line by line, so that what people wrote there stays as they wrote it.

use std::collections::BTreeMap;

use super::{ImportError, entry, write::key};
use crate::{
    config::{OwnPrice, Source, own_prices},
    price::Sheet,
};

/// Ends the line of an imported entry; one without it was written by hand.
const MARK: &str = "  # imported from ";

/// A file with imported prices in it, and what became of each.
#[derive(Default, Debug)]
pub struct Merged {
    pub text: String,
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub same: Vec<String>,
    /// Written by hand, with another price; they stay.
    pub kept: Vec<String>,
}

/// Puts prices into the text of a `prices.yml`.
///
/// `source` is named on each line, so that a later import may change it. Entries written by hand stay as they are, unless
/// `replace`. Errors: the file cannot be read, or is written in a form of which no single entry can be changed.
pub fn merge(
    file: &str,
    prices: &[(String, Sheet)],
    source: &str,
    replace: bool,
) -> Result<Merged, ImportError> {
    let old = read(file)?;
    let ends = old.iter().skip(1).map(|price| price.line).chain([file.lines().count() + 1]);
    let places: BTreeMap<&str, (&OwnPrice, usize)> =
        old.iter().zip(ends).map(|(price, end)| (price.name.as_str(), (price, end))).collect();

    let mut merged = Merged::default();
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    let mut last = Vec::new();
    for (name, sheet) in prices {
        let line = format!("{}: {}{MARK}{source}", key(name), entry(sheet));
        let Some((own, end)) = places.get(name.as_str()) else {
            last.push(line);
            merged.added.push(name.clone());
            continue;
        };
        if own.sheet == *sheet {
            merged.same.push(name.clone());
        } else if replace || lines[own.line - 1].contains(MARK) {
            // Comments and blank lines in front of the next entry are not of this one.
            let is_apart = |line: &String| line.trim().is_empty() || line.starts_with('#');
            let end = (own.line..*end).rev().find(|end| !is_apart(&lines[end - 1])).unwrap_or(own.line);
            lines[own.line - 1] = line;
            // Lines stay where they are until the end: an emptied one is marked.
            lines[own.line..end].iter_mut().for_each(|line| *line = GONE.to_owned());
            merged.changed.push(name.clone());
        } else {
            merged.kept.push(name.clone());
        }
    }
    lines.retain(|line| line != GONE);
    lines.extend(last);
    merged.text = lines.join("\n");
    if !merged.text.is_empty() {
        merged.text.push('\n');
    }
    verify(&old, &merged, prices)?;
    Ok(merged)
}

/// No line of a file holds this.
const GONE: &str = "\u{0}";

fn read(file: &str) -> Result<Vec<OwnPrice>, ImportError> {
    let source = Source { file: "prices.yml".to_owned(), text: file.to_owned() };
    own_prices(&source)
        .map_err(|mistake| ImportError::Unmergeable { line: mistake.line, why: mistake.message })
}

/// Reads what was made: every entry that was to stay has stayed, every other says what the import says.
fn verify(old: &[OwnPrice], merged: &Merged, prices: &[(String, Sheet)]) -> Result<(), ImportError> {
    let why = || "write each entry on lines of its own, without braces around the file".to_owned();
    let new = read(&merged.text).map_err(|_| ImportError::Unmergeable { line: 1, why: why() })?;
    let find = |name: &str| new.iter().find(|price| *price.name == *name).map(|price| &price.sheet);
    for own in old {
        let is_changed = merged.changed.iter().any(|name| *name == *own.name);
        if !is_changed && find(&own.name) != Some(&own.sheet) {
            return Err(ImportError::Unmergeable { line: own.line, why: why() });
        }
    }
    for (name, sheet) in prices {
        if !merged.kept.contains(name) && find(name) != Some(sheet) {
            return Err(ImportError::Unmergeable { line: 1, why: why() });
        }
    }
    Ok(())
}

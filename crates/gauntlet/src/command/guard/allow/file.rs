//! Adds to `exceptions.yml`, and leaves what stands there as it is: comments, order, and the way it is written.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use gauntlet_policy::config::Source;
use gauntlet_types::{Day, ExceptedValue, Exception, Name};

use crate::wiring;

const FILE: &str = "exceptions.yml";
const HEAD: &str = "# Findings that a person has looked at and lets pass, each until its day. `gauntlet guard allow` adds to them,\n\
                    # `gauntlet guard list` shows how long they hold.\n";

pub struct Added {
    pub path: PathBuf,
}

/// Adds entries of a call. Errors: the folder has mistakes, an entry is there already, or the file is written in a way that
/// nothing can be added to by the line.
pub fn add(folder: &Path, entries: &[Exception], call: &str, today: Day) -> Result<Added> {
    let (mut dir, loaded) = super::super::of_folder(Some(folder))?;
    let known = &loaded.policy.config().guards.exceptions;
    for entry in entries {
        let same = |other: &&Exception| {
            other.kind == entry.kind
                && (other.label == entry.label || other.label.is_none())
                && other.value == entry.value
                && other.tenant == entry.tenant
                && other.route == entry.route
                && other.scope == entry.scope
                && other.until > today.start()
        };
        if let Some(other) = known.iter().find(same) {
            bail!(
                "{FILE} lets this pass already, until {}; change its `until` to have it longer",
                other.until.day()
            );
        }
    }
    let path = folder.join(FILE);
    let before = dir.sources.exceptions.take().map(|source| source.text);
    let text = with(before.as_deref(), entries, call, today);
    dir.sources.exceptions = Some(Source { file: FILE.to_owned(), text: text.clone() });
    let read = wiring::load(&dir, true).map(|loaded| loaded.policy.config().guards.exceptions.len());
    match read {
        Ok(count) if count == known.len() + entries.len() => {}
        // A list in brackets, or something stranger.
        _ => bail!(
            "nothing can be added to {}; write it as a list of lines that begin with `-`",
            path.display()
        ),
    }
    replace(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Added { path })
}

/// The file's text with the entries behind what it has.
fn with(before: Option<&str>, entries: &[Exception], call: &str, today: Day) -> String {
    let mut text = match before {
        None => HEAD.to_owned(),
        Some(before) => {
            // An empty list is a list in brackets, to which no line can be added.
            let kept = before.lines().filter(|line| line.trim() != "[]");
            kept.map(|line| format!("{line}\n")).collect()
        }
    };
    // As the items that are there stand.
    let item = text.lines().find(|line| line.trim_start().starts_with('-'));
    let indent = item.map_or(0, |line| line.len() - line.trim_start().len());
    let indent = " ".repeat(indent);
    for entry in entries {
        text.push_str(&format!("{indent}# {call}, marked {today}\n"));
        let mut begin = "- ";
        let mut field = |name: &str, value: String| {
            text.push_str(&format!("{indent}{begin}{name}: {value}\n"));
            begin = "  ";
        };
        field("kind", entry.kind.to_string());
        if let Some(label) = &entry.label {
            field("type", quoted(label));
        }
        match &entry.value {
            ExceptedValue::Hash(hash) => field("value", quoted(hash)),
            ExceptedValue::Text(value) => field("text", quoted(value)),
            ExceptedValue::Any => {}
        }
        let bounds: [(&str, &Option<Name>); 2] = [("tenant", &entry.tenant), ("route", &entry.route)];
        for (name, bound) in bounds {
            if let Some(bound) = bound {
                field(name, quoted(bound));
            }
        }
        field("until", entry.until.day().to_string());
        if let Some(why) = &entry.why {
            field("why", quoted(why));
        }
    }
    text
}

/// A JSON string is a double-quoted scalar of YAML; `$` would name a variable of the environment.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('$', "$$")
}

/// Whoever reads sees the old file or the new one.
fn replace(path: &Path, text: &str) -> Result<()> {
    // A link stays one, and the file behind it is replaced.
    let path = if path.exists() { path.canonicalize()? } else { path.to_owned() };
    let folder = path.parent().context("a file has a folder")?;
    let beside = folder.join(format!(".{FILE}.{}", std::process::id()));
    let written = (|| {
        let mut file = fs::File::options().write(true).create_new(true).open(&beside)?;
        file.write_all(text.as_bytes())?;
        if let Ok(meta) = fs::metadata(&path) {
            file.set_permissions(meta.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // What is half written is no use to anybody; the error that matters is the first.
        let _ = fs::remove_file(&beside);
    }
    ensure!(written.is_ok(), "{}", written.map_or_else(|error| error.to_string(), |()| String::new()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Exception {
        Exception {
            kind: "pii".into(),
            label: Some("PHONE_NUMBER".into()),
            value: ExceptedValue::Hash("0123456789012345".into()),
            tenant: Some("acme".into()),
            route: None,
            scope: None,
            until: Day::parse("2026-12-21").unwrap().start(),
            why: Some("our own: $5 \"hotline\"".into()),
        }
    }

    fn added(before: Option<&str>) -> String {
        with(before, &[entry()], "r_1", Day::parse("2026-11-21").unwrap())
    }

    const ENTRY: &str = "# r_1, marked 2026-11-21\n- kind: pii\n  type: \"PHONE_NUMBER\"\n  value: \"0123456789012345\"\n  tenant: \"acme\"\n  \
                         until: 2026-12-21\n  why: \"our own: $$5 \\\"hotline\\\"\"\n";

    #[test]
    fn what_stands_there_stays_as_it_is() {
        assert_eq!(added(None), format!("{HEAD}{ENTRY}"));
        let before = "# ours\n- {kind: pii, type: X, until: 2027-01-01} # old\n";
        assert_eq!(added(Some(before)), format!("{before}{ENTRY}"));
        assert_eq!(added(Some(before.trim_end())), format!("{before}{ENTRY}"));
        assert_eq!(added(Some("# none yet\n[]\n")), format!("# none yet\n{ENTRY}"));
        let indented = "  - kind: pii\n    type: X\n    until: 2027-01-01\n";
        let shown = added(Some(indented));
        assert!(
            shown.starts_with(indented) && shown.contains("\n  - kind: pii\n    type: \"PHONE"),
            "{shown}"
        );
    }
}

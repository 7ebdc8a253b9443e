//! Which files the rules are about.

use std::{fs, io, path::Path};

/// Built or fetched, not written here.
const SKIPPED: [&str; 6] = ["target", ".git", "node_modules", "__pycache__", ".venv", "fuzz-target"];

/// Every file below `root`, as sorted paths relative to it with `/` between their parts. Walks the folder rather than
/// asking git, so that it also works on an unpacked archive and sees files that are not committed yet.
pub fn list(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    walk(root, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

//! `tidy`: the rules of this repository that the compiler does not know. Each is a function of text, tested on text.

mod edges;
mod files;
mod rules;
mod source;

use std::path::Path;

use anyhow::{Context, Result, bail};

/// One broken rule, with where and the cure.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Violation {
    pub path: String,
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

pub fn tidy(root: &Path) -> Result<()> {
    let mut violations = Vec::new();
    for package in edges::read_packages(root)? {
        violations.extend(edges::check(&package));
    }
    let files = files::list(root).context("cannot list the files of the repository")?;
    let mut sizes = Vec::new();
    for path in &files {
        // What is not text (pictures, captured answers) has no rules here.
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        if path.ends_with(".rs") {
            sizes.push((path.clone(), text.lines().count()));
        }
        violations.extend(rules::check(path, &text));
    }
    violations.extend(rules::check_sizes(&sizes));
    violations.sort();
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => {
            println!("    {} files are tidy", files.len());
            Ok(())
        }
        count => bail!("tidy: {count} violations"),
    }
}

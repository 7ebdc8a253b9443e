//! What is wrong with a suite or a dataset, where, and what to do about it.

use std::fmt;

/// One mistake in a file. Lines and columns count from 1; 0 where none is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub cure: String,
    /// A warning does not keep a suite from running.
    pub is_warning: bool,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_warning { "warning: " } else { "" };
        match (self.line, self.column) {
            (0, _) => write!(out, "{}: {kind}{}; {}", self.file, self.message, self.cure),
            (line, 0) => write!(out, "{}:{line}: {kind}{}; {}", self.file, self.message, self.cure),
            (line, column) => {
                write!(out, "{}:{line}:{column}: {kind}{}; {}", self.file, self.message, self.cure)
            }
        }
    }
}

impl std::error::Error for Mistake {}

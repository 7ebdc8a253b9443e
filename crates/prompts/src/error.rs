//! A mistake in a prompt file: where it is and what to do about it.

use std::fmt;

/// Shown as `prompts/refund.yaml:7:3: unknown field …; did you mean …?`. Line and column count from 1; 0 where the file as
/// a whole is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromptError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub cure: String,
}

impl std::error::Error for PromptError {}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}; {}", self.message, self.cure)
    }
}

/// A file's own words in a message: as they stand, but for what a terminal would obey.
pub(crate) fn printed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            shown.extend(letter.escape_debug());
        } else {
            shown.push(letter);
        }
    }
    shown
}

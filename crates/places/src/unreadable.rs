//! A text that is not YAML.

use serde_saphyr::Error;

use crate::At;

/// Why a text is no tree, and where. Tells names of keys at most, never a value: it may be secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotYaml {
    pub at: At,
    pub problem: Problem,
    has_tabs: bool,
}

/// The kinds that readers may want to tell in words of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A key stands twice in one map. None where it is no single value.
    Twice(Option<String>),
    /// More values, levels or aliases than the parser follows, in its words.
    TooMuch(String),
    /// In the parser's words, without the place.
    Syntax(String),
}

impl NotYaml {
    pub(crate) fn new(error: &Error, text: &str) -> NotYaml {
        let error = error.without_snippet();
        let at = error
            .location()
            .map_or(At::default(), |at| At { line: at.line() as usize, column: at.column() as usize });
        NotYaml { at, problem: Problem::of(error), has_tabs: text.contains('\t') }
    }

    pub fn message(&self) -> String {
        match &self.problem {
            Problem::Twice(Some(key)) => format!("`{}` is given twice", key.escape_debug()),
            Problem::Twice(None) => "a key is given twice".to_owned(),
            Problem::TooMuch(said) | Problem::Syntax(said) => format!("not valid YAML: {said}"),
        }
    }

    pub const fn cure(&self) -> &'static str {
        match self.problem {
            Problem::Twice(_) => "keep one of them",
            Problem::TooMuch(_) | Problem::Syntax(_) if self.has_tabs => "indent with spaces, not tabs",
            Problem::TooMuch(_) | Problem::Syntax(_) => {
                "check indentation, colons and quotes on this line and the one before"
            }
        }
    }
}

impl Problem {
    fn of(error: &Error) -> Problem {
        if let Error::DuplicateMappingKey { key, .. } = error {
            return Problem::Twice(key.clone());
        }
        let said = error.to_string();
        // The place is told in front of the message.
        let words = said.rsplit_once(" at line ").map_or(said.as_str(), |(words, _)| words).to_owned();
        if said.contains("budget breached") || said.contains("limit exceeded") {
            return Problem::TooMuch(words);
        }
        Problem::Syntax(words)
    }
}

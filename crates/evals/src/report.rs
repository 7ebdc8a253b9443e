//! The mistakes of a file, gathered while it is read to its end.

use gauntlet_places::At;

use crate::Mistake;

/// Of one file. Whoever has more has one mistake that repeats, and mends that first.
pub const MISTAKES_MAX: usize = 50;

#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    mistakes: Vec<Mistake>,
    /// Those beyond [`MISTAKES_MAX`].
    more: usize,
    has_errors: bool,
}

impl Report {
    pub(crate) fn new(file: &str) -> Report {
        Report { file: file.to_owned(), mistakes: Vec::new(), more: 0, has_errors: false }
    }

    pub(crate) fn error(&mut self, at: At, message: impl Into<String>, cure: impl Into<String>) {
        self.has_errors = true;
        self.add(at, message.into(), cure.into(), false);
    }

    pub(crate) fn warn(&mut self, at: At, message: impl Into<String>, cure: impl Into<String>) {
        self.add(at, message.into(), cure.into(), true);
    }

    fn add(&mut self, at: At, message: String, cure: String, is_warning: bool) {
        if self.mistakes.len() >= MISTAKES_MAX {
            self.more += 1;
            return;
        }
        let At { line, column } = at;
        self.mistakes.push(Mistake { file: self.file.clone(), line, column, message, cure, is_warning });
    }

    pub(crate) const fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// In the order of the file, with a last line for those that are not told.
    pub(crate) fn finish(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        if self.more > 0 {
            self.mistakes.push(Mistake {
                file: self.file,
                line: 0,
                column: 0,
                message: format!("there are {} more mistakes", self.more),
                cure: "mend those above first: most of the rest will be the same one".to_owned(),
                is_warning: !self.has_errors,
            });
        }
        self.mistakes
    }
}

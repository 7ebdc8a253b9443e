//! What a check that asks for something misses: a promise not kept, where a [`Finding`] is something that stands there.

use std::{fmt, ops::Range};

use gauntlet_types::Finding;

/// One way in which a text or a call is not what was asked for.
///
/// The reason may quote the rules, which their author wrote, and never the text, which may be private.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// The name that a policy sets an action for: `contract`, `citations`, `tools`, `taint` …
    pub kind: &'static str,
    /// What was broken: `too_long`, `unknown_source`, `path_outside` …
    pub label: &'static str,
    pub reason: String,
    /// Where in the checked text it is, in bytes; `None` where something is missing or the whole is meant.
    pub span: Option<Range<usize>>,
}

impl Misfit {
    pub(crate) fn new(kind: &'static str, label: &'static str, reason: impl Into<String>) -> Misfit {
        Misfit { kind, label, reason: reason.into(), span: None }
    }

    pub(crate) fn at(self, span: Range<usize>) -> Misfit {
        Misfit { span: Some(span), ..self }
    }

    /// The same as a finding in a text of `len` bytes. These checks are exact, so that the score is 1.
    pub fn finding(&self, len: usize) -> Finding {
        let span = self.span.clone().unwrap_or(0..len);
        Finding { kind: self.kind, label: self.label, span, score: 1.0 }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.reason)
    }
}

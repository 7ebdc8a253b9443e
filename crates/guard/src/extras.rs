//! What a call brings along for its texts beside the detectors that are the same for all.

use std::{ops::Range, sync::Arc};

use gauntlet_types::Finding;

use crate::{
    output::{canary::Words, links::LinkRules, profanity::Profanity},
    view::View,
};

/// Detectors of one call. What they find may overlap what others find: a key in a link is a key and a link.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    pub links: Option<Arc<LinkRules>>,
    pub words: Option<Arc<Words>>,
    pub profanity: Option<Arc<Profanity>>,
}

/// How many there are.
pub(crate) const COUNT: usize = 3;

/// A part of a text, as the extras see it.
pub(crate) struct Part<'a> {
    pub(crate) text: &'a str,
    pub(crate) view: &'a View<'a>,
    /// No text follows.
    pub(crate) is_last: bool,
}

impl Extras {
    pub fn is_empty(&self) -> bool {
        self.links.is_none() && self.words.is_none() && self.profanity.is_none()
    }

    /// Runs the extra number `index` on what begins at or after `from`, in bytes of the text. Returns the position up
    /// to which the text is settled: nothing found or yet to be found reaches across it. `None` when there is none such.
    pub(crate) fn collect(
        &self,
        index: usize,
        part: &Part,
        from: usize,
        out: &mut Vec<Finding>,
    ) -> Option<usize> {
        let Part { text, view, is_last } = part;
        match index {
            0 => self.links.as_ref().map(|links| links.collect(text, *is_last, from, out)),
            1 => self.words.as_ref().map(|words| words.collect(view, text, *is_last, from, out)),
            _ => self.profanity.as_ref().map(|words| words.collect(view, text, *is_last, from, out)),
        }
    }

    /// Appends what all of them find in a whole text; each in order, one after the other.
    pub(crate) fn find(&self, whole: &Part, out: &mut Vec<Finding>) {
        for index in 0..COUNT {
            self.collect(index, whole, 0, out);
        }
    }
}

/// Spans to be replaced, put together where they overlap: the first names what stands there.
pub fn joined<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Vec<(&'f Finding, Range<usize>)> {
    let mut joined: Vec<(&Finding, Range<usize>)> = Vec::new();
    for finding in findings {
        match joined.last_mut() {
            Some((_, span)) if finding.span.start < span.end => span.end = span.end.max(finding.span.end),
            _ => joined.push((finding, finding.span.clone())),
        }
    }
    joined
}

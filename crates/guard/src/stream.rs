//! Redaction of text that arrives in pieces, equal to redaction of the whole.

use std::sync::Arc;

use gauntlet_types::Finding;

use crate::{
    candidate::{self, Candidate},
    redact::placeholder,
    scanner::{Kinds, Scanner, TRIGGER_LEFT},
    view::View,
    window::{LEFT_MAX, Window},
};

/// The most text, in bytes of the view, that is held back while no open-ended secret or encoded run is under way.
///
/// An e-mail address is the longest value whose start is held before its trigger is seen (64 bytes) and may go on for
/// 97 more; the label that decides a number may stand 48 bytes after it; and overlapping candidates are settled
/// together within 64 bytes. Ordinary prose holds back the current word. A token, key or password under way holds back
/// all of itself, at most [`crate::SECRET_MAX`]; what is longer is redacted up to there, as in the scan of the whole.
/// An encoded run (base64, hex, percent signs, …) is held back until it ends, at most `decode::ENCODED_MAX`.
pub const HOLD_MAX: usize = 256;

/// What takes the place of a finding's value; none leaves it.
pub type Replace = Box<dyn FnMut(&Finding, &str) -> Option<String> + Send>;

/// Takes text in pieces and gives redacted text out in pieces.
///
/// Joined together, what `push` and `finish` return equals `redact(whole, scan(whole))`, however the text was cut.
pub struct StreamRedactor {
    scanner: Arc<Scanner>,
    kinds: Kinds,
    /// Some text already given out (what detectors may look back at), then the text held back.
    buffer: String,
    /// Where the text held back begins in `buffer`.
    held: usize,
    /// Where `buffer` begins in the whole text.
    base: usize,
    /// Length of `buffer` at which the next scan is worth it, while something long is under way.
    patience: usize,
    findings: Vec<Finding>,
    candidates: Vec<Candidate>,
    /// What takes the place of a finding's value; none leaves it. A placeholder unless told otherwise.
    replace: Option<Replace>,
    /// The whole text; kept only to look for injection at the end.
    whole: String,
}

impl StreamRedactor {
    pub fn new(scanner: Arc<Scanner>, kinds: Kinds) -> StreamRedactor {
        StreamRedactor {
            scanner,
            kinds,
            buffer: String::new(),
            held: 0,
            base: 0,
            patience: 0,
            findings: Vec::new(),
            candidates: Vec::new(),
            whole: String::new(),
            replace: None,
        }
    }

    /// Replaces each finding by what `replace` says of it and its value, and leaves it where that says nothing.
    #[must_use]
    pub fn with(self, replace: Replace) -> StreamRedactor {
        StreamRedactor { replace: Some(replace), ..self }
    }

    /// Takes a piece and returns the text that may be shown now.
    pub fn push(&mut self, piece: &str) -> String {
        if self.kinds.injection {
            self.whole.push_str(piece);
        }
        if !self.kinds.has_spans() {
            self.base += piece.len();
            return piece.to_owned();
        }
        self.buffer.push_str(piece);
        if self.buffer.len() < self.patience {
            return String::new();
        }
        self.advance(false)
    }

    /// Ends the text and returns the rest of it. Injection is looked for here: it spans sentences and replaces nothing.
    pub fn finish(&mut self) -> String {
        let shown = if self.kinds.has_spans() { self.advance(true) } else { String::new() };
        if self.kinds.injection {
            let first = self.findings.len();
            self.scanner.scan_injection(&self.whole, &mut self.findings);
            if self.findings.len() > first {
                self.findings.sort_by_key(|finding| finding.span.start);
            }
            self.whole = String::new();
        }
        shown
    }

    /// What was found so far, with spans in the whole original text. After `finish` equal to a scan of the whole.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Nothing was found so far.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many bytes are held back now.
    pub fn held_len(&self) -> usize {
        self.buffer.len() - self.held
    }

    fn advance(&mut self, is_last: bool) -> String {
        let view = View::of_part(&self.buffer, is_last);
        let window = Window::new(view.text(), self.base == 0, is_last);
        self.candidates.clear();
        let held = view.position(self.held);
        let known = self.scanner.collect(
            &window,
            held.saturating_sub(TRIGGER_LEFT),
            self.kinds,
            &mut self.candidates,
        );
        self.candidates.retain(|candidate| candidate.start >= held);
        let (kept, settled) = candidate::settle(&mut self.candidates, known);
        let mut settled = settled.min(view.text().len());
        while !view.text().is_char_boundary(settled) {
            settled -= 1;
        }
        let settled = view.original_start(settled);
        let mut shown = String::with_capacity(settled.saturating_sub(self.held));
        let mut done = self.held;
        for candidate in kept {
            let span = view.original(candidate.start..candidate.end, &self.buffer);
            shown.push_str(&self.buffer[done..span.start]);
            done = span.end;
            let value = &self.buffer[span.clone()];
            // Within the value, since whoever decides about it sees no more than that.
            let finding = candidate.finding(0..value.len());
            match &mut self.replace {
                None => shown.push_str(&placeholder(&finding)),
                Some(replace) => shown.push_str(replace(&finding, value).as_deref().unwrap_or(value)),
            }
            let finding = Finding { span: self.base + span.start..self.base + span.end, ..finding };
            self.findings.push(finding);
        }
        let settled = settled.max(done);
        shown.push_str(&self.buffer[done..settled]);
        self.held = settled;
        // What no detector looks back at goes, now and then rather than at each piece.
        let cut = view.original_start(view.position(settled).saturating_sub(LEFT_MAX));
        // Folding costs more than scanning: then less is kept.
        if cut > if view.is_plain() { 7 * LEFT_MAX } else { LEFT_MAX } {
            self.forget(cut);
        }
        // Rescanning a long secret at every piece would be quadratic; wait for a quarter more.
        let held = self.held_len();
        self.patience = if held > HOLD_MAX { self.buffer.len() + held / 4 } else { 0 };
        shown
    }

    fn forget(&mut self, cut: usize) {
        let mut cut = cut;
        while !self.buffer.is_char_boundary(cut) {
            cut -= 1;
        }
        self.buffer.drain(..cut);
        self.base += cut;
        self.held -= cut;
    }
}

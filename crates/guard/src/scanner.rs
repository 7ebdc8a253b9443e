//! One scan for all detectors.

use std::ops::Range;

use gauntlet_types::Finding;

use crate::{
    candidate::{self, Candidate},
    decode::{self, DEPTH_MAX, Decoded, Reading},
    extras::{Extras, Part},
    injection::{self, Trust},
    pii, secret, trigger,
    view::View,
    window::{LABEL_LEFT, LABEL_RIGHT, Window},
};

/// Which families of detectors run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kinds {
    pub pii: bool,
    pub secrets: bool,
    pub injection: bool,
}

impl Kinds {
    pub const ALL: Kinds = Kinds { pii: true, secrets: true, injection: true };
    pub const NONE: Kinds = Kinds { pii: false, secrets: false, injection: false };

    /// Whether any family runs whose findings are replaced.
    pub(crate) const fn has_spans(self) -> bool {
        self.pii || self.secrets
    }
}

/// How far to the right of its trigger a value may begin, in bytes: the password of a URL, after the user's name.
pub(crate) const TRIGGER_LEFT: usize = 80;

/// All deterministic detectors. Immutable; share one by `Arc`.
pub struct Scanner {
    pii: pii::Detectors,
    secrets: secret::Detectors,
    injection: injection::Detectors,
    spelled: decode::spelled::Spelled,
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner::new()
    }
}

impl Scanner {
    /// Builds the tables; takes well under a millisecond.
    pub fn new() -> Scanner {
        Scanner {
            pii: pii::Detectors::new(),
            secrets: secret::Detectors::new(),
            injection: injection::Detectors::new(),
            spelled: decode::spelled::Spelled::new(),
        }
    }

    /// Appends what is found in `text` to `out`, in order of start.
    ///
    /// Findings of PII and secrets do not overlap one another: of overlapping ones the better proven is kept, then the
    /// longer. Injection findings may overlap anything. Time is linear in the length of the text.
    pub fn scan(&self, text: &str, kinds: Kinds, out: &mut Vec<Finding>) {
        self.scan_from(text, Trust::User, kinds, out);
    }

    /// The same for a text whose writer is known: whose orders to the model they would be decides how much is needed to
    /// call them an attempt.
    pub fn scan_from(&self, text: &str, trust: Trust, kinds: Kinds, out: &mut Vec<Finding>) {
        let view = kinds.has_spans().then(|| View::of(text));
        self.scan_view(text, view.as_ref(), trust, kinds, out);
    }

    /// `view` is that of the text, where kinds with spans are asked for.
    fn scan_view(&self, text: &str, view: Option<&View>, trust: Trust, kinds: Kinds, out: &mut Vec<Finding>) {
        let first = out.len();
        if let Some(view) = view.filter(|_| kinds.has_spans()) {
            let window = Window::new(view.text(), true, true);
            let mut candidates = Vec::new();
            self.collect(&window, 0, kinds, &mut candidates);
            if !candidates.is_empty() {
                let (kept, _) = candidate::settle(&mut candidates, usize::MAX);
                out.extend(kept.iter().map(|kept| kept.finding(view.original(kept.start..kept.end, text))));
            }
        }
        if kinds.injection {
            let before = out.len();
            self.injection.scan(text, trust, out);
            if before > first && out.len() > before {
                out[first..].sort_by_key(|finding| finding.span.start);
            }
        }
    }

    /// The same with what the call brings along. Findings of the extras may overlap all others.
    pub fn scan_with(&self, text: &str, trust: Trust, kinds: Kinds, extras: &Extras, out: &mut Vec<Finding>) {
        if extras.is_empty() {
            return self.scan_from(text, trust, kinds, out);
        }
        let first = out.len();
        let view = View::of(text);
        self.scan_view(text, Some(&view), trust, kinds, out);
        let before = out.len();
        extras.find(&Part { text, view: &view, is_last: true }, out);
        if out.len() > before {
            out[first..].sort_by_key(|finding| finding.span.start);
        }
    }

    /// Collects the candidates that triggers at or after `from` give. Returns the position before which every
    /// candidate is known, whatever text may follow.
    pub(crate) fn collect(
        &self,
        window: &Window,
        from: usize,
        kinds: Kinds,
        out: &mut Vec<Candidate>,
    ) -> usize {
        let mut known = frontier(window);
        window.take_touched();
        let mut settle = |i: usize| {
            if window.take_touched() {
                known = known.min(window.value_start(i));
                window.take_touched();
            }
        };
        let mut decoded = Vec::new();
        self.plain(window, from..window.len(), kinds, out, |i, out| {
            decode::at(window, i, &mut decoded);
            self.rescan(window, &mut decoded, kinds, 1, out);
            settle(i);
        });
        let mut decoded = Vec::new();
        self.spelled.each(window, from, |i, is_number| {
            decoded.extend(match is_number {
                true => decode::spelled::digits(window, i),
                false => decode::spelled::address(window, i),
            });
            self.rescan(window, &mut decoded, kinds, DEPTH_MAX, out);
            settle(i);
        });
        known
    }

    /// Runs the detectors at each trigger in `range`, and `then` after each.
    fn plain(
        &self,
        window: &Window,
        range: Range<usize>,
        kinds: Kinds,
        out: &mut Vec<Candidate>,
        mut then: impl FnMut(usize, &mut Vec<Candidate>),
    ) {
        let bytes = window.slice(0, range.end);
        let mut at = range.start;
        while let Some(i) = trigger::next(bytes, at) {
            at = i + 1;
            if kinds.pii {
                match bytes[i] {
                    b'0'..=b'9' if window.before(i).is_ascii_digit() => {}
                    b'0'..=b'9' => self.pii.at_digit(window, i, out),
                    b'@' => self.pii.at_sign(window, i, out),
                    b':' => self.pii.at_colon(window, i, out),
                    b'-' => self.pii.at_dash(window, i, out),
                    b'.' => self.pii.at_dot(window, i, out),
                    _ => {}
                }
            }
            if kinds.secrets {
                self.secrets.at(window, i, out);
            }
            then(i, out);
        }
    }

    /// Looks at what was decoded, with the labels on either side; `depth` levels deep so far.
    fn rescan(
        &self,
        window: &Window,
        runs: &mut Vec<Decoded>,
        kinds: Kinds,
        depth: u8,
        out: &mut Vec<Candidate>,
    ) {
        for run in runs.drain(..) {
            let left = window.slice(run.span.start.saturating_sub(LABEL_LEFT), run.span.start);
            // Ask for the last byte first, as for any label.
            window.at(run.span.end + LABEL_RIGHT);
            let right = window.slice(run.span.end, window.len().min(run.span.end + LABEL_RIGHT));
            let text = [left, run.text.as_bytes(), right].concat();
            let (start, end) = (left.len(), left.len() + run.text.len());
            let inner = Window::inner(&text);
            let mut found = Vec::new();
            let mut deeper = Vec::new();
            self.plain(&inner, start..end, kinds, &mut found, |i, found| {
                // Nobody spells out what is encoded, nor the other way round.
                if depth < DEPTH_MAX && run.reading == Reading::Sure {
                    decode::at(&inner, i, &mut deeper);
                    self.rescan(&inner, &mut deeper, kinds, depth + 1, found);
                }
            });
            // A finding that reaches out of the run was there before it was decoded.
            found.retain(|inside| {
                inside.start >= start && inside.end <= end && run.reading.admits(inside.proof)
            });
            out.extend(found.into_iter().map(|inside| {
                let span = run.said_by(inside.start - start..inside.end - start);
                Candidate { start: span.start, end: span.end, ..inside }
            }));
        }
    }

    /// Looks for injection alone, from a threshold of the caller's.
    pub fn scan_injection_at(&self, text: &str, trust: Trust, threshold: f32, out: &mut Vec<Finding>) {
        let first = out.len();
        self.injection.scan_at(text, trust, threshold, out);
        if out.len() > first {
            out.sort_by_key(|finding| finding.span.start);
        }
    }

    pub(crate) fn scan_injection(&self, text: &str, out: &mut Vec<Finding>) {
        self.injection.scan(text, Trust::User, out);
    }

    /// How much a text reads like an attempt at injection, from 0 to 1, whether or not it reaches a threshold.
    pub fn injection_score(&self, text: &str) -> f32 {
        self.injection.judge(text).score
    }

    /// The score from which a text of such a writer is an attempt.
    pub fn injection_threshold(&self, trust: Trust) -> f32 {
        self.injection.threshold(trust)
    }
}

/// The position before which no value can start whose trigger has not come yet.
fn frontier(window: &Window) -> usize {
    let len = window.len();
    if window.is_last() {
        return usize::MAX;
    }
    // What follows a final space is not known, so that it may be a joint.
    let end = if window.before(len) == b' ' { len - 1 } else { len };
    window.value_start(end)
}

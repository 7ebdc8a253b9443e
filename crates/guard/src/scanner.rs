//! One scan for all detectors.

use gauntlet_types::Finding;

use crate::{
    candidate::{self, Candidate},
    injection::{self, Trust},
    pii, secret, trigger,
    window::Window,
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
        let first = out.len();
        if kinds.has_spans() {
            let window = Window::new(text, true);
            let mut candidates = Vec::new();
            self.collect(&window, 0, kinds, &mut candidates);
            if !candidates.is_empty() {
                let (kept, _) = candidate::settle(&mut candidates, usize::MAX);
                out.extend(kept.iter().map(|candidate| candidate.finding(0)));
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

    /// Collects the candidates that triggers at or after `from` give. Returns the position before which every
    /// candidate is known, whatever text may follow.
    pub(crate) fn collect(
        &self,
        window: &Window,
        from: usize,
        kinds: Kinds,
        out: &mut Vec<Candidate>,
    ) -> usize {
        let bytes = window.bytes();
        let mut known = frontier(window);
        window.take_touched();
        let mut at = from;
        while let Some(i) = trigger::next(bytes, at) {
            at = i + 1;
            if kinds.pii {
                match bytes[i] {
                    b'0'..=b'9' if window.before(i).is_ascii_digit() => {}
                    b'0'..=b'9' => self.pii.at_digit(window, i, out),
                    b'@' => self.pii.at_sign(window, i, out),
                    b':' => self.pii.at_colon(window, i, out),
                    b'-' => self.pii.at_dash(window, i, out),
                    _ => {}
                }
            }
            if kinds.secrets {
                self.secrets.at(window, i, out);
            }
            if window.take_touched() {
                known = known.min(window.value_start(i));
                window.take_touched();
            }
        }
        known
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

//! Attempts to turn a model against its instructions.
//!
//! Every text gets a score from 0 to 1: a small linear model reads words, pieces of words, sequences of concepts and what the
//! phrase rules saw, in the text and in what is encoded in it. The score says how sure we are, the rules say what it was.
//! `examples/injection` teaches the model and validates it; `docs/guardrails.md` has the figures.

mod decode;
mod feature;
mod fold;
mod lexicon;
mod model;
mod rules;
mod table;
pub mod train;
mod view;
mod words;

use gauntlet_types::Finding;

use crate::candidate::INJECTION;
use fold::Folded;
use lexicon::Lexicon;
pub use model::Model;
use model::{DENSE, TOGETHER};
use rules::Rules;

/// Who wrote a text, as far as orders to the model go.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Trust {
    /// The application's author: orders are what such text is for, so it is not judged.
    Author,
    /// A user, who may ask for things.
    #[default]
    User,
    /// A tool, a document, another model: text that has no business giving orders. Less is needed to flag it.
    Untrusted,
}

/// What was thought of a text.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Calibrated on rows that were not learnt from, attacks and harmless texts counting the same in all.
    pub score: f32,
    /// Phrases that explain it, each with the score of the whole.
    reasons: Vec<Finding>,
}

/// The label of a text that no phrase explains.
const LEARNT: &str = "learned_pattern";

static WEIGHTS: &[u8] = include_bytes!("weights.bin");

/// The reader and what was learnt. Immutable.
pub(crate) struct Detectors {
    reader: Reader,
    model: Model,
}

impl Detectors {
    pub(crate) fn new() -> Detectors {
        let model = Model::from_bytes(WEIGHTS).expect("the weights in the binary are checked by a test");
        Detectors { reader: Reader::new(), model }
    }

    pub(crate) fn judge(&self, text: &str) -> Verdict {
        let mut sum = f32::NEG_INFINITY;
        let mut reasons: Vec<Finding> = Vec::new();
        for (i, mut reading) in self.reader.readings(text).into_iter().enumerate() {
            sum = sum.max(self.model.sum(&reading.folded, &mut reading.dense, &self.reader.lexicon));
            // What the rules have no words for, in another language.
            for (seen, label) in reading.dense[TOGETHER..].iter().zip(rules::LABELS) {
                if *seen > 0.0 && reading.reasons.iter().all(|reason| reason.label != *label) {
                    reading.reasons.push(Finding { kind: INJECTION, label, span: 0..text.len(), score: 0.0 });
                }
            }
            for reason in reading.reasons {
                // What was hidden has no place of its own in the text.
                let span = if i == 0 { reason.span } else { 0..text.len() };
                if i == 0 || reasons.iter().all(|other| other.label != reason.label) {
                    reasons.push(Finding { span, ..reason });
                }
            }
        }
        reasons.sort_by_key(|reason| reason.span.start);
        let score = self.model.probability(sum);
        reasons.iter_mut().for_each(|reason| reason.score = score);
        Verdict { score, reasons }
    }

    /// Appends what explains the score, if it reaches the threshold of such text.
    pub(crate) fn scan(&self, text: &str, trust: Trust, out: &mut Vec<Finding>) {
        if trust != Trust::Author {
            self.scan_at(text, trust, self.threshold(trust), out);
        }
    }

    /// The same from another threshold.
    pub(crate) fn scan_at(&self, text: &str, trust: Trust, threshold: f32, out: &mut Vec<Finding>) {
        if trust != Trust::Author {
            out.extend(findings(self.judge(text), text, threshold));
        }
    }

    pub(crate) fn threshold(&self, trust: Trust) -> f32 {
        match trust {
            Trust::Author => f32::INFINITY,
            Trust::User => self.model.thresholds.0,
            Trust::Untrusted => self.model.thresholds.1,
        }
    }
}

fn findings(verdict: Verdict, text: &str, threshold: f32) -> Vec<Finding> {
    let Verdict { score, reasons } = verdict;
    if score < threshold {
        return Vec::new();
    }
    if reasons.is_empty() {
        return vec![Finding { kind: INJECTION, label: LEARNT, span: 0..text.len(), score }];
    }
    reasons
}

/// Reads texts as the model is taught to.
pub struct Reader {
    rules: Rules,
    lexicon: Lexicon,
}

/// One way to read a text.
pub(crate) struct Reading {
    folded: Folded,
    dense: [f32; DENSE],
    reasons: Vec<Finding>,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl Reader {
    pub fn new() -> Reader {
        Reader { rules: Rules::new(), lexicon: Lexicon::new() }
    }

    /// The text with what is encoded in it put plainly, then what it may be under other letters.
    pub(crate) fn readings(&self, text: &str) -> Vec<Reading> {
        let decoded = decode::decode(text);
        let mut main = self.read(&decoded.main);
        if let std::borrow::Cow::Owned(_) = decoded.main {
            // What is found in decoded text has no place of its own in the original, unless it stands there too.
            for reason in &mut main.reasons {
                reason.span = 0..text.len();
            }
            let mut plain = Vec::new();
            self.rules.scan(text, &mut plain);
            main.reasons.retain(|reason| plain.iter().all(|other| other.label != reason.label));
            main.reasons.append(&mut plain);
        }
        let mut all = vec![main];
        // That a text was encoded says nothing: it is judged by what it says.
        all.extend(decoded.others.iter().map(|other| self.read(other)));
        all
    }

    fn read(&self, text: &str) -> Reading {
        let folded = fold::fold(text);
        let mut reasons = Vec::new();
        self.rules.scan(text, &mut reasons);
        let mut dense = [0.0; DENSE];
        for finding in &reasons {
            let at = match finding.label {
                "ignore_instructions" => 0,
                "extract_prompt" => 1,
                "jailbreak_persona" => 2,
                "unrestricted_model" => 3,
                "template_token" => 4,
                _ => 5,
            };
            dense[at] = f32::max(dense[at], finding.score);
        }
        let words = folded.words.max(1) as f32;
        // 11 is free: that something was encoded was not worth knowing.
        dense[6] = (folded.leet as f32 / words * 3.0).min(1.0);
        dense[7] = f32::from(folded.spaced > 0);
        dense[8] = f32::from(text.trim_end().ends_with('?'));
        dense[9] = f32::from(folded.words < 5);
        dense[10] = f32::from(folded.words > 150);
        Reading { folded, dense, reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures are those of the weights beside them: neither changes without the other.
    #[test]
    fn the_quality_card_names_the_weights_in_the_binary() {
        let card: serde_json::Value =
            serde_json::from_str(include_str!("../../../../docs/guard-quality.json")).unwrap();
        assert_eq!(card["weights"], *blake3::hash(WEIGHTS).to_hex());
        let taught: String = WEIGHTS[8..24].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(card["learnt_from"], taught.as_str());
    }

    #[test]
    fn the_weights_in_the_binary_can_be_read() {
        let model = Model::from_bytes(WEIGHTS).unwrap();
        assert_eq!(model.to_bytes(), WEIGHTS);
        let (user, untrusted) = model.thresholds;
        assert!(0.0 < untrusted && untrusted <= user && user < 1.0);
    }
}

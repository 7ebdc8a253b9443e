//! ROUGE-1, -2 and -L as Google's rouge-score has them (Lin 2004), without stemming: the F-measure of shared n-grams, or of
//! the longest common subsequence. Words are runs of the letters a to z and digits, in lower case: texts of other scripts have none.

use gauntlet_ports::Direction::HigherIsBetter;
use serde_json::json;

use super::{
    Measure, Measured, Sheet,
    bleu::grams,
    options::Options,
    sheet::{Plain, Range},
    wanted::Wanted,
};
use crate::{Case, Mistake, Scorer, Seen};

/// Longer texts are not compared for their longest common subsequence: the time goes by the product of both lengths.
const WORDS_MAX: usize = 5_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rouge {
    One,
    Two,
    /// The longest common subsequence.
    L,
}

/// Precision, recall and F-measure.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Shares {
    precision: f64,
    recall: f64,
    f: f64,
}

impl Shares {
    fn new(shared: usize, answer: usize, reference: usize) -> Shares {
        let share = |of: usize| shared as f64 / of.max(1) as f64;
        let (precision, recall) = (share(answer), share(reference));
        let sum = precision + recall;
        Shares { precision, recall, f: if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 } }
    }
}

/// The F-measure, from 0 to 1.
pub fn rouge(variant: Rouge, answer: &str, reference: &str) -> f64 {
    shares(variant, &words(answer), &words(reference)).f
}

fn words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let lower = text.to_lowercase();
    lower.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn shares(variant: Rouge, answer: &[String], reference: &[String]) -> Shares {
    let n = match variant {
        Rouge::One => 1,
        Rouge::Two => 2,
        Rouge::L => {
            if answer.is_empty() || reference.is_empty() {
                return Shares::default();
            }
            return Shares::new(common(answer, reference), answer.len(), reference.len());
        }
    };
    let wanted = grams(reference, n);
    let held = |(gram, count): (&[String], usize)| count.min(wanted.get(gram).copied().unwrap_or(0));
    let shared = grams(answer, n).into_iter().map(held).sum();
    let count = |words: &[String]| (words.len() + 1).saturating_sub(n);
    Shares::new(shared, count(answer), count(reference))
}

/// The length of the longest common subsequence.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if word == other { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Measures {
    F,
    Precision,
    Recall,
}

struct Metric {
    wanted: Wanted,
    variant: Rouge,
    measures: Measures,
}

/// `fixed` where the name of the kind says which.
pub(super) fn rouge_metric(
    options: &mut Options<'_>,
    fixed: Option<Rouge>,
) -> Result<Box<dyn Scorer>, Mistake> {
    let variant = match fixed {
        Some(variant) => variant,
        None => options.word("variant", &[("l", Rouge::L), ("1", Rouge::One), ("2", Rouge::Two)])?,
    };
    let known = [("f", Measures::F), ("precision", Measures::Precision), ("recall", Measures::Recall)];
    let measures = options.word("measure", &known)?;
    let name = match variant {
        Rouge::One => "rouge-score/0.1:rouge1",
        Rouge::Two => "rouge-score/0.1:rouge2",
        Rouge::L => "rouge-score/0.1:rougeL",
    };
    let measure = Metric { wanted: Wanted::take(options)?, variant, measures };
    let sheet = Sheet::new(options, name, HigherIsBetter, Range::Share)?;
    Plain::boxed(options, sheet, measure)
}

impl Measure for Metric {
    fn lacks(&self, case: &Case) -> Option<String> {
        match self.wanted.texts(case) {
            Err(lacks) => Some(lacks),
            Ok(texts) if texts.iter().all(|text| words(text).is_empty()) => Some(
                "a reference with letters a to z or digits, of which alone ROUGE's words are made".to_owned(),
            ),
            Ok(_) => None,
        }
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match (self.lacks(seen.case), self.wanted.texts(seen.case)) {
            (Some(lacks), _) | (None, Err(lacks)) => {
                return Measured::none(format!("the case lacks {lacks}"));
            }
            (None, Ok(wanted)) => wanted,
        };
        let answer = words(seen.text);
        let references: Vec<Vec<String>> = wanted.iter().map(|text| words(text)).collect();
        if answer.len() > WORDS_MAX || references.iter().any(|words| words.len() > WORDS_MAX) {
            return Measured::none(format!("a text has more than {WORDS_MAX} words"));
        }
        // As rouge-score's `score_multi`: the reference with the best F-measure.
        let all = references.iter().map(|words| shares(self.variant, &answer, words));
        let best = all.max_by(|a, b| a.f.total_cmp(&b.f)).unwrap_or_default();
        let value = match self.measures {
            Measures::F => best.f,
            Measures::Precision => best.precision,
            Measures::Recall => best.recall,
        };
        Measured::value(value).with(json!({"precision": best.precision, "recall": best.recall, "f": best.f}))
    }
}

//! BLEU of a sentence as sacreBLEU has it (`sentence_bleu`: tokenizer `13a`, n-grams up to 4, effective order), and GLEU as
//! NLTK has it.
//!
//! sacreBLEU counts from 0 to 100; here it is 0 to 1. Papineni et al. 2002; smoothing by Chen and Cherry 2014: `exp`
//! (theirs: method 3, and sacreBLEU's default), `floor` (method 1), `add-k` (method 2), `none`.

use std::collections::HashMap;

use gauntlet_ports::Direction::HigherIsBetter;
use regex::Regex;
use serde_json::json;

use super::{
    Measure, Measured, Sheet,
    options::Options,
    sheet::{Plain, Range},
    wanted::Wanted,
};
use crate::{Case, Mistake, Scorer, Seen};

const ORDER_MAX: usize = 4;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Smoothing {
    Exp,
    Floor(f64),
    AddK(f64),
    None,
}

/// Splits texts and counts; make one and keep it.
pub struct Bleu {
    rules: [(Regex, &'static str); 4],
    smoothing: Smoothing,
    is_lowercase: bool,
}

impl Bleu {
    pub fn new(smoothing: Smoothing, is_lowercase: bool) -> Bleu {
        let rule = |pattern: &str, put| (Regex::new(pattern).expect("the pattern is good"), put);
        let rules = [
            rule(r"([\{-\~\[-` -\&\(-\+\:-@/])", " ${1} "),
            rule(r"([^0-9])([\.,])", "${1} ${2} "),
            rule(r"([\.,])([^0-9])", " ${1} ${2}"),
            rule(r"([0-9])(-)", "${1} ${2} "),
        ];
        Bleu { rules, smoothing, is_lowercase }
    }

    /// The tokenizer `13a`, which is that of mteval-v13a.
    fn words(&self, text: &str) -> Vec<String> {
        let text = if self.is_lowercase { text.to_lowercase() } else { text.to_owned() };
        let text = text.trim_end_matches(is_space);
        let text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
        let text =
            text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
        let mut text = format!(" {text} ");
        for (pattern, put) in &self.rules {
            text = pattern.replace_all(&text, *put).into_owned();
        }
        text.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// From 0 to 1, of one answer against one or more references.
    pub fn score(&self, answer: &str, references: &[&str]) -> f64 {
        let answer = self.words(answer);
        let references: Vec<Vec<String>> = references.iter().map(|text| self.words(text)).collect();
        let mut correct = [0.0; ORDER_MAX];
        let mut total = [0.0; ORDER_MAX];
        for n in 1..=ORDER_MAX {
            let wanted: Vec<_> = references.iter().map(|words| grams(words, n)).collect();
            for (gram, count) in grams(&answer, n) {
                let most = wanted.iter().filter_map(|grams| grams.get(gram)).max().copied().unwrap_or(0);
                correct[n - 1] += count.min(most) as f64;
                total[n - 1] += count as f64;
            }
        }
        // The reference whose length is nearest; of two the shorter.
        let nearest = references.iter().map(|words| (words.len().abs_diff(answer.len()), words.len())).min();
        self.combine(correct, total, answer.len() as f64, nearest.map_or(0, |(_, length)| length) as f64)
    }

    fn combine(
        &self,
        mut correct: [f64; ORDER_MAX],
        mut total: [f64; ORDER_MAX],
        length: f64,
        wanted: f64,
    ) -> f64 {
        if correct.iter().all(|count| *count == 0.0) {
            return 0.0;
        }
        let brevity = if length < wanted { (1.0 - wanted / length).exp() } else { 1.0 };
        let (mut halves, mut order, mut sum) = (1.0, 0, 0.0);
        for n in 0..ORDER_MAX {
            if let (Smoothing::AddK(k), true) = (self.smoothing, n > 0) {
                correct[n] += k;
                total[n] += k;
            }
            if total[n] == 0.0 {
                break;
            }
            order = n + 1;
            let precision: f64 = match self.smoothing {
                _ if correct[n] > 0.0 => correct[n] / total[n],
                Smoothing::Exp => {
                    halves *= 2.0;
                    1.0 / (halves * total[n])
                }
                Smoothing::Floor(floor) => floor / total[n],
                Smoothing::AddK(_) | Smoothing::None => 0.0,
            };
            sum += precision.ln();
        }
        if order == 0 { 0.0 } else { brevity * (sum / order as f64).exp() }
    }
}

/// N-grams of some words with how often each stands there.
pub(super) fn grams(words: &[String], n: usize) -> HashMap<&[String], usize> {
    let mut counts = HashMap::new();
    for gram in words.windows(n) {
        *counts.entry(gram).or_insert(0) += 1;
    }
    counts
}

/// Python's idea of white space, which has four separators more.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// GLEU (Wu et al. 2016): the smaller of precision and recall over all n-grams of 1 to 4 words, words parted by spaces;
/// of several references the best counts.
pub fn gleu(answer: &str, references: &[&str]) -> f64 {
    let words = |text: &str| -> Vec<String> {
        text.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let all = |words: &[String]| (1..=ORDER_MAX).map(|n| (words.len() + 1).saturating_sub(n)).sum::<usize>();
    let answer = words(answer);
    let against = |reference: &&str| {
        let reference = words(reference);
        let of_order = |n| {
            let wanted = grams(&reference, n);
            let held = |(gram, count): (&[String], usize)| count.min(wanted.get(gram).copied().unwrap_or(0));
            grams(&answer, n).into_iter().map(held).sum::<usize>()
        };
        let most = all(&answer).max(all(&reference));
        if most == 0 { 0.0 } else { (1..=ORDER_MAX).map(of_order).sum::<usize>() as f64 / most as f64 }
    };
    references.iter().map(against).fold(0.0, f64::max)
}

struct Metric {
    wanted: Wanted,
    /// None is GLEU.
    bleu: Option<Bleu>,
    is_lowercase: bool,
}

pub(super) fn bleu(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let known = [
        ("exp", Smoothing::Exp),
        ("floor", Smoothing::Floor(0.1)),
        ("add-k", Smoothing::AddK(1.0)),
        ("none", Smoothing::None),
    ];
    let smoothing = options.word("smoothing", &known)?;
    let is_lowercase = options.flag("lowercase")?;
    let bleu = Some(Bleu::new(smoothing, is_lowercase));
    let measure = Metric { wanted: Wanted::take(options)?, bleu, is_lowercase };
    let sheet = Sheet::new(options, "sacrebleu/2:sentence_bleu", HigherIsBetter, Range::Share)?;
    Plain::boxed(options, sheet, measure)
}

pub(super) fn gleu_metric(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let is_lowercase = options.flag("lowercase")?;
    let measure = Metric { wanted: Wanted::take(options)?, bleu: None, is_lowercase };
    let sheet = Sheet::new(options, "nltk/3:sentence_gleu", HigherIsBetter, Range::Share)?;
    Plain::boxed(options, sheet, measure)
}

impl Measure for Metric {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted.lacks_texts(case)
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match self.wanted.texts(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        let fold = |text: &str| if self.is_lowercase { text.to_lowercase() } else { text.to_owned() };
        let value = match &self.bleu {
            Some(bleu) => bleu.score(seen.text, &wanted.iter().map(String::as_str).collect::<Vec<_>>()),
            None => {
                let wanted: Vec<String> = wanted.iter().map(|text| fold(text)).collect();
                gleu(&fold(seen.text), &wanted.iter().map(String::as_str).collect::<Vec<_>>())
            }
        };
        Measured::value(value).with(json!({"references": wanted.len()}))
    }
}

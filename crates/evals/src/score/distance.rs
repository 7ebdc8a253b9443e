//! Levenshtein's distance: letters (code points) to add, drop or change.

use gauntlet_ports::Direction::{self, HigherIsBetter, LowerIsBetter};
use serde_json::json;

use super::{
    Measure, Measured, Sheet,
    options::Options,
    sheet::{Plain, Range},
    wanted::Wanted,
};
use crate::{Case, Mistake, Scorer, Seen};

/// Longer texts are not compared letter by letter: the time goes by the product of both lengths.
const LETTERS_MAX: usize = 10_000;

pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    distance(&a, &b)
}

/// 1 − distance / length of the longer; two empty texts are equal. As rapidfuzz's `normalized_similarity`.
pub fn similarity(a: &str, b: &str) -> f64 {
    let longer = a.chars().count().max(b.chars().count());
    if longer == 0 { 1.0 } else { 1.0 - edit_distance(a, b) as f64 / longer as f64 }
}

fn distance(a: &[char], b: &[char]) -> usize {
    // What both begin and end with costs nothing.
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

struct Distance {
    wanted: Wanted,
    ignore_case: bool,
    direction: Direction,
}

/// How alike both texts are, from 0 to 1; of several references the nearest counts.
pub(super) fn levenshtein(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    make(options, "rapidfuzz/3:levenshtein-normalized-similarity", HigherIsBetter, Range::Share)
}

/// The distance itself.
pub(super) fn edits(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    make(options, "rapidfuzz/3:levenshtein-distance", LowerIsBetter, Range::Amount)
}

fn make(
    options: &mut Options<'_>,
    implementation: &str,
    direction: Direction,
    range: Range,
) -> Result<Box<dyn Scorer>, Mistake> {
    let measure =
        Distance { wanted: Wanted::take(options)?, ignore_case: options.flag("ignore_case")?, direction };
    let sheet = Sheet::new(options, implementation, direction, range)?;
    Plain::boxed(options, sheet, measure)
}

impl Measure for Distance {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted.lacks_texts(case)
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match self.wanted.texts(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        let fold = |text: &str| if self.ignore_case { text.to_lowercase() } else { text.to_owned() };
        let text = fold(seen.text);
        let is_long = |text: &str| text.chars().count() > LETTERS_MAX;
        if is_long(&text) || wanted.iter().any(|wanted| is_long(wanted)) {
            return Measured::none(format!("a text is longer than {LETTERS_MAX} letters"));
        }
        let wanted = wanted.iter().map(|wanted| fold(wanted));
        let value = match self.direction {
            HigherIsBetter => wanted.map(|wanted| similarity(&text, &wanted)).fold(0.0, f64::max),
            LowerIsBetter => {
                let nearest = wanted.map(|wanted| edit_distance(&text, &wanted)).min();
                nearest.unwrap_or_default() as f64
            }
        };
        Measured::value(value).with(json!({"letters": text.chars().count()}))
    }
}

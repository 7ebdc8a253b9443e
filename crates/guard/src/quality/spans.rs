//! Precision and recall of found spans, by type.

use std::{collections::BTreeMap, ops::Range};

use gauntlet_types::Finding;
use serde_json::{Value, json};

use super::{Gold, Row, overlap, ratio, rounded};
use crate::{Kinds, Scanner, code_points};

/// Found, wanted and right, of one type.
#[derive(Clone, Copy, Default, Debug)]
pub struct Count {
    pub gold: usize,
    pub recalled: usize,
    /// Under its own name.
    pub typed: usize,
    pub found: usize,
    pub right: usize,
}

impl Count {
    fn add(&mut self, other: &Count) {
        self.gold += other.gold;
        self.recalled += other.recalled;
        self.typed += other.typed;
        self.found += other.found;
        self.right += other.right;
    }

    /// What was found and is there, of what was found; 1 where nothing was found.
    pub fn precision(&self) -> f64 {
        if self.found == 0 { 1.0 } else { ratio(self.right, self.found) }
    }

    pub fn recall(&self) -> f64 {
        ratio(self.recalled, self.gold)
    }

    pub fn typed_recall(&self) -> f64 {
        ratio(self.typed, self.gold)
    }

    pub fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        2.0 * precision * recall / (precision + recall).max(1e-9)
    }

    fn json(&self) -> Value {
        json!({
            "spans": self.gold, "found": self.found, "precision": rounded(self.precision()),
            "recall": rounded(self.recall()), "f1": rounded(self.f1()),
            "typed_recall": rounded(self.typed_recall()),
        })
    }
}

/// A row that was not read as it is labelled.
#[derive(Debug)]
pub enum Mistake<'a> {
    TooMuch { finding: &'a Finding, value: &'a str },
    Missed(&'a Gold),
    Mistaken { gold: &'a Gold, for_: Vec<&'static str> },
}

#[derive(Clone, Default, Debug)]
pub struct Spans {
    pub rows: usize,
    pub by_type: BTreeMap<String, Count>,
    pub by_slice: BTreeMap<String, Count>,
}

impl Spans {
    pub fn score(
        scanner: &Scanner,
        rows: &[Row],
        kinds: Kinds,
        mut tell: impl FnMut(&Row, Mistake<'_>),
    ) -> Spans {
        let mut scored = Spans { rows: rows.len(), ..Spans::default() };
        let mut findings = Vec::new();
        for row in rows {
            findings.clear();
            scanner.scan(&row.text, kinds, &mut findings);
            scored.add(row, &findings, &mut tell);
        }
        scored
    }

    fn add(&mut self, row: &Row, findings: &[Finding], tell: &mut impl FnMut(&Row, Mistake<'_>)) {
        let spans: Vec<(Range<usize>, &Finding)> =
            findings.iter().map(|finding| (code_points(&row.text, finding.span.clone()), finding)).collect();
        let fits = |gold: &Gold, span: &Range<usize>| {
            overlap(&gold.span, span) >= 0.5
                || gold.wider.as_ref().is_some_and(|wider| overlap(wider, span) >= 0.5)
        };
        let mut all = Count::default();
        for (span, finding) in &spans {
            let is_right = row.gold.iter().any(|gold| gold.is_pattern && fits(gold, span));
            let is_other = row.gold.iter().any(|gold| !gold.is_pattern && overlap(&gold.span, span) > 0.0);
            if is_right || !is_other {
                let one = Count { found: 1, right: usize::from(is_right), ..Count::default() };
                self.by_type.entry(finding.label.to_owned()).or_default().add(&one);
                all.add(&one);
            }
            if !is_right && !is_other {
                let value = row.text.get(finding.span.clone()).unwrap_or_default();
                tell(row, Mistake::TooMuch { finding, value });
            }
        }
        for gold in row.gold.iter().filter(|gold| gold.is_pattern) {
            let fitting: Vec<_> =
                spans.iter().filter(|(span, _)| fits(gold, span)).map(|(_, found)| found.label).collect();
            // `?` stands where a set knows that something is there, and not what it is called.
            let is_untyped = gold.label == "?" && !fitting.is_empty();
            let is_typed = is_untyped || fitting.contains(&gold.label.as_str());
            let one = Count {
                gold: 1,
                recalled: usize::from(!fitting.is_empty()),
                typed: usize::from(is_typed),
                ..Count::default()
            };
            self.by_type.entry(gold.label.clone()).or_default().add(&one);
            all.add(&one);
            if fitting.is_empty() {
                tell(row, Mistake::Missed(gold));
            } else if !is_typed {
                tell(row, Mistake::Mistaken { gold, for_: fitting });
            }
        }
        self.by_slice.entry(row.slice.clone()).or_default().add(&all);
    }

    pub fn sum(&self) -> Count {
        self.by_type.values().fold(Count::default(), |mut sum, count| {
            sum.add(count);
            sum
        })
    }

    pub fn json(&self) -> Value {
        let table = |counts: &BTreeMap<String, Count>| {
            let wanted = counts.iter().filter(|(_, count)| count.gold > 0 || count.right < count.found);
            wanted.map(|(name, count)| (name.clone(), count.json())).collect::<serde_json::Map<_, _>>()
        };
        let mut shown = self.sum().json();
        shown["rows"] = self.rows.into();
        shown["by_type"] = table(&self.by_type).into();
        if self.by_slice.len() > 1 && self.by_slice.len() < self.by_type.len() {
            shown["by_slice"] = table(&self.by_slice).into();
        }
        shown
    }
}

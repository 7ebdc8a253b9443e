//! The one scorer of detectors: what `gauntlet guard quality`, the examples and the tests call good.
//!
//! Rows come as values and figures go as values; whoever calls reads files and clocks. A found span counts when it covers a
//! labelled one with an intersection over union of at least one half.

pub mod card;
pub mod disguise;
pub mod ranked;
pub mod spans;
pub mod speed;
pub mod synthetic;

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Value, json};

use crate::{Kinds, Scanner};

/// A labelled span, in code points.
#[derive(Clone, Debug)]
pub struct Gold {
    pub span: Range<usize>,
    pub label: String,
    pub value: String,
    /// A wider span that counts as well: the whole URL around a password.
    pub wider: Option<Range<usize>>,
    /// Of the class that patterns and checksums can find; names and places are not scored, and what overlaps them neither.
    pub is_pattern: bool,
}

/// A labelled text.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    pub text: String,
    pub gold: Vec<Gold>,
    pub has_spans: bool,
    /// 1: an attack, or something private in it.
    pub is_positive: bool,
    pub slice: String,
    pub category: String,
}

impl Row {
    /// Reads a row; unknown fields are passed over.
    pub fn of(value: &Value) -> Row {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let span = |value: &Value| {
            let at = |key: &str| value.get(key).and_then(Value::as_u64).map(|n| n as usize);
            Some(at("start")?..at("end")?)
        };
        let spans = value.get("spans").and_then(Value::as_array);
        let gold = spans.into_iter().flatten().filter_map(|gold| {
            Some(Gold {
                span: span(gold)?,
                label: ours(gold.get("type")?.as_str()?)?.to_owned(),
                value: gold.get("value").and_then(Value::as_str).unwrap_or_default().to_owned(),
                wider: gold.get("alt").and_then(span),
                is_pattern: gold.get("class").is_none_or(|class| class == "pattern"),
            })
        });
        let category = text("category");
        let slice = text("slice");
        Row {
            id: text("id"),
            text: text("text"),
            gold: gold.collect(),
            has_spans: spans.is_some(),
            is_positive: value.get("label").and_then(Value::as_i64) == Some(1),
            // Attacks have a category, of which the part before the colon says enough.
            slice: match slice.is_empty() {
                true => category.split(':').next().unwrap_or_default().to_owned(),
                false => slice,
            },
            category,
        }
    }
}

/// What a type is called in other projects' tests; `None` for types that are not of patterns.
fn ours(label: &str) -> Option<&str> {
    match label {
        "ABA_ROUTING_NUMBER" => Some("ABA_ROUTING"),
        "PH_MOBILE_NUMBER" | "TR_PHONE_NUMBER" => Some("PHONE_NUMBER"),
        "DATE_TIME" | "URL" => None,
        label => Some(label),
    }
}

pub(crate) fn overlap(a: &Range<usize>, b: &Range<usize>) -> f64 {
    let shared = a.end.min(b.end).saturating_sub(a.start.max(b.start));
    shared as f64 / (a.len() + b.len() - shared).max(1) as f64
}

pub(crate) fn ratio(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}

/// To four places: more would tell apart what a single row makes.
pub(crate) fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

/// How many rows anything is found in.
#[derive(Clone, Default, Debug)]
pub struct Flagged {
    pub rows: usize,
    pub flagged: usize,
    pub by_type: BTreeMap<&'static str, usize>,
    pub by_slice: BTreeMap<String, (usize, usize)>,
    /// Ids of the rows.
    pub which: Vec<String>,
}

impl Flagged {
    pub fn count(scanner: &Scanner, rows: &[Row], kinds: Kinds) -> Flagged {
        let mut counted = Flagged { rows: rows.len(), ..Flagged::default() };
        let mut findings = Vec::new();
        for row in rows {
            findings.clear();
            scanner.scan(&row.text, kinds, &mut findings);
            let slice = counted.by_slice.entry(row.slice.clone()).or_default();
            slice.1 += 1;
            if !findings.is_empty() {
                slice.0 += 1;
                counted.flagged += 1;
                counted.which.push(row.id.clone());
            }
            for finding in &findings {
                *counted.by_type.entry(finding.label).or_default() += 1;
            }
        }
        counted
    }

    pub fn json(&self) -> Value {
        json!({
            "rows": self.rows, "flagged_rows": self.flagged,
            "flagged": rounded(ratio(self.flagged, self.rows)), "by_type": self.by_type,
        })
    }
}

/// How often a scan of a text stops to look closer; reading through to these places is what every text costs.
pub fn trigger_count(text: &str) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(i) = crate::trigger::next(text.as_bytes(), at) {
        at = i + 1;
        count += 1;
    }
    count
}

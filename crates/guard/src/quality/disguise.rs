//! Ways to write a value so that a plain pattern misses it, each applied to labelled values of a set.
//!
//! The label in the set keeps its type; its span becomes that of the disguised value.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Gold, Row, overlap, ratio, rounded};
use crate::{Kinds, Scanner, code_points};

/// A disguise, or `None` where it does not suit the value.
pub type Disguise = fn(&str) -> Option<String>;

pub const ALL: [(&str, Disguise); 17] = [
    ("zero_width", |v| Some(join(v, "\u{200b}"))),
    ("soft_hyphen", |v| Some(join(v, "\u{ad}"))),
    ("full_width", |v| each(v, |c| char::from_u32(if c == ' ' { 0x3000 } else { u32::from(c) + 0xFEE0 }))),
    ("mathematical", |v| each(v, |c| c.to_digit(10).map_or(Some(c), |d| char::from_u32(0x1D7CE + d)))),
    ("arabic_digits", |v| {
        has_digits(v)?.then(|| each(v, |c| c.to_digit(10).map_or(Some(c), |d| char::from_u32(0x660 + d))))?
    }),
    ("look_alikes", |v| {
        let folded: String = v
            .chars()
            .map(|c| "aeopcxyAEOPCX".find(c).and_then(|i| "аеорсхуАЕОРСХ".chars().nth(i)).unwrap_or(c))
            .collect();
        (folded != v && folded.chars().any(|c| c.is_ascii_alphabetic())).then_some(folded)
    }),
    ("spaced", |v| Some(join(&bare(v), " "))),
    ("dotted", |v| has_digits(v)?.then(|| join(&bare(v), ".")).filter(|_| !v.contains('@'))),
    ("dashed", |v| has_digits(v)?.then(|| join(&bare(v), "-")).filter(|_| !v.contains('@'))),
    ("spelled_out", |v| {
        let names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
        let digits: Option<Vec<&str>> =
            bare(v).chars().map(|c| names.get(c.to_digit(10)? as usize).copied()).collect();
        digits.map(|names| names.join(" "))
    }),
    ("at_dot", |v| v.contains('@').then(|| v.replace('@', " at ").replace('.', " dot "))),
    ("at_brackets", |v| v.contains('@').then(|| v.replace('@', "[at]").replace('.', "[dot]"))),
    ("base64", |v| Some(base64(v.as_bytes()))),
    ("hex", |v| Some(v.bytes().map(|b| format!("{b:02x}")).collect())),
    ("percent", |v| Some(v.bytes().map(|b| format!("%{b:02X}")).collect())),
    ("entities", |v| Some(v.chars().map(|c| format!("&#{};", u32::from(c))).collect())),
    ("escapes", |v| Some(v.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect())),
];

/// The cases whose first labelled value can be disguised so, with it disguised and the others gone.
pub fn apply(cases: &[Row], disguise: Disguise) -> Vec<Row> {
    let disguised = |case: &Row| {
        let [gold] = case.gold.iter().filter(|gold| gold.is_pattern).collect::<Vec<_>>()[..] else {
            return None;
        };
        let value = disguise(&gold.value)?;
        let chars: Vec<char> = case.text.chars().collect();
        let before: String = chars[..gold.span.start].iter().collect();
        let after: String = chars[gold.span.end..].iter().collect();
        let span = gold.span.start..gold.span.start + value.chars().count();
        let gold =
            Gold { span, label: gold.label.clone(), value: value.clone(), wider: None, is_pattern: true };
        Some(Row { text: before + &value + &after, gold: vec![gold], ..case.clone() })
    };
    cases.iter().filter_map(disguised).collect()
}

/// How many disguised values are found, by disguise.
#[derive(Clone, Default, Debug)]
pub struct Disguised {
    pub by: BTreeMap<&'static str, (usize, usize)>,
}

impl Disguised {
    pub fn score(
        scanner: &Scanner,
        rows: &[Row],
        kinds: Kinds,
        mut missed: impl FnMut(&'static str, &Row),
    ) -> Disguised {
        let mut scored = Disguised::default();
        let mut findings = Vec::new();
        for (name, disguise) in ALL {
            let count = scored.by.entry(name).or_default();
            for row in apply(rows, disguise) {
                findings.clear();
                scanner.scan(&row.text, kinds, &mut findings);
                let is_found = findings.iter().any(|found| {
                    overlap(&row.gold[0].span, &code_points(&row.text, found.span.clone())) >= 0.5
                });
                count.0 += usize::from(is_found);
                count.1 += 1;
                if !is_found {
                    missed(name, &row);
                }
            }
        }
        scored
    }

    pub fn sum(&self) -> (usize, usize) {
        self.by.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    }

    pub fn json(&self) -> Value {
        let (hits, all) = self.sum();
        let one = |(name, (hits, all)): (&&'static str, &(usize, usize))| {
            ((*name).to_owned(), json!({"spans": all, "recall": rounded(ratio(*hits, *all))}))
        };
        let by = self.by.iter().map(one).collect::<serde_json::Map<_, _>>();
        json!({"spans": all, "recall": rounded(ratio(hits, all)), "by": by})
    }
}

fn join(value: &str, gap: &str) -> String {
    value.chars().map(String::from).collect::<Vec<_>>().join(gap)
}

fn bare(value: &str) -> String {
    if value.contains('@') {
        value.to_owned()
    } else {
        value.chars().filter(|c| c.is_ascii_alphanumeric()).collect()
    }
}

fn each(value: &str, to: impl Fn(char) -> Option<char>) -> Option<String> {
    value.is_ascii().then(|| value.chars().map(to).collect())?
}

fn has_digits(value: &str) -> Option<bool> {
    Some(value.bytes().filter(u8::is_ascii_digit).count() >= 6)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let symbol = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= group.len() { char::from(symbol) } else { '=' });
        }
    }
    text
}

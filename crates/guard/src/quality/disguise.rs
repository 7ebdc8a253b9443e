//! Ways to write a value so that a plain pattern misses it, each applied to labelled values of a set.
//!
//! The label in the set keeps its type; its span becomes that of the disguised value.

use super::{Case, Gold};

/// A disguise, or `None` where it does not suit the value.
type Disguise = fn(&str) -> Option<String>;

pub(super) const ALL: [(&str, Disguise); 17] = [
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
pub(super) fn apply(cases: &[Case], disguise: Disguise) -> Vec<Case> {
    let disguised = |case: &Case| {
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
        Some(Case { text: before + &value + &after, gold: vec![gold], slice: String::new() })
    };
    cases.iter().filter_map(disguised).collect()
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

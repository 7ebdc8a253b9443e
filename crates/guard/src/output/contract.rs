//! Promises about the form of an answer: its length, what it must and must not say, which values it may take.

use regex::Regex;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::{misfit::Misfit, pattern};

const CONTRACT: &str = "contract";

/// How many of the letters must be of the scripts that are asked for: names and terms may be of another.
const SCRIPT_SHARE: f32 = 0.8;
/// Fewer letters tell no script.
const SCRIPT_LETTERS_MIN: usize = 8;
/// Allowed values that a reason names.
const VALUES_NAMED: usize = 8;

/// What to ask of an answer. Whatever is empty or `None` is not asked.
#[derive(Clone, Debug, Default)]
pub struct ContractRules {
    /// The whole answer, but for white space around it, is one of these.
    pub one_of: Vec<String>,
    /// The answer is JSON.
    pub is_json: bool,
    /// Values inside an answer in JSON; they imply that it is.
    pub fields: Vec<FieldRules>,
    pub chars: Bounds,
    /// Runs of characters between white space.
    pub words: Bounds,
    pub lines: Bounds,
    pub must_match: Vec<String>,
    pub must_not_match: Vec<String>,
    /// Looked for without regard to case and to which form of a character is used.
    pub phrases: Vec<String>,
    pub banned_phrases: Vec<String>,
    /// Four letters in five are of one of these.
    pub scripts: Vec<Script>,
}

/// What to ask of the value at a JSON pointer. A value that is not there is not asked for: that is what a schema is for.
#[derive(Clone, Debug, Default)]
pub struct FieldRules {
    /// `/mood`, `/items/0/kind` (RFC 6901); the step `*` stands for each item of an array or member of an object.
    pub pointer: String,
    pub one_of: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    pub min: Option<usize>,
    pub max: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    Latin,
    Greek,
    Cyrillic,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Han,
    Kana,
    Hangul,
}

#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    #[error("pattern `{pattern}` cannot be used: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("`{0}` is not a JSON pointer: it begins with `/` or is empty")]
    Pointer(String),
    #[error("the least number of {what} is above the greatest")]
    Bounds { what: &'static str },
}

/// Compiled rules for an answer.
#[derive(Clone, Debug)]
pub struct Contract {
    rules: ContractRules,
    must_match: Vec<Regex>,
    must_not_match: Vec<Regex>,
    phrases: Vec<String>,
    banned_phrases: Vec<String>,
}

impl Contract {
    pub fn compile(rules: &ContractRules) -> Result<Contract, ContractError> {
        for (what, bounds) in rules.bounds() {
            if bounds.min.zip(bounds.max).is_some_and(|(min, max)| min > max) {
                return Err(ContractError::Bounds { what });
            }
        }
        if let Some(field) = rules.fields.iter().find(|field| !is_pointer(&field.pointer)) {
            return Err(ContractError::Pointer(field.pointer.clone()));
        }
        let compile = |patterns: &[String]| {
            let each = patterns.iter().map(|pattern| {
                let failed = |reason| ContractError::Pattern { pattern: pattern.clone(), reason };
                pattern::compile(pattern).map_err(failed)
            });
            each.collect::<Result<Vec<_>, _>>()
        };
        let fold_all = |phrases: &[String]| phrases.iter().map(|phrase| fold(phrase)).collect();
        Ok(Contract {
            must_match: compile(&rules.must_match)?,
            must_not_match: compile(&rules.must_not_match)?,
            phrases: fold_all(&rules.phrases),
            banned_phrases: fold_all(&rules.banned_phrases),
            rules: rules.clone(),
        })
    }

    /// What of the contract the answer breaks, in the order of the rules.
    pub fn check(&self, text: &str) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        let mut add = |label, reason: String| misfits.push(Misfit::new(CONTRACT, label, reason));
        let rules = &self.rules;
        if !rules.one_of.is_empty() && !rules.one_of.iter().any(|value| value.trim() == text.trim()) {
            add("not_one_of", format!("the answer is not one of {}", listed(rules.one_of.iter())));
        }
        if rules.is_json || !rules.fields.is_empty() {
            match serde_json::from_str::<Value>(text.trim()) {
                Ok(value) => rules.fields.iter().for_each(|field| field.check(&value, &mut add)),
                Err(error) => {
                    let (line, column) = (error.line(), error.column());
                    add("not_json", format!("the answer is not JSON (line {line}, column {column})"));
                }
            }
        }
        let counts = [text.chars().count(), text.split_whitespace().count(), text.lines().count()];
        for ((what, bounds), count) in rules.bounds().into_iter().zip(counts) {
            match (bounds.min, bounds.max) {
                (_, Some(max)) if count > max => {
                    add("too_long", format!("the answer has {count} {what}, at most {max} are allowed"));
                }
                (Some(min), _) if count < min => {
                    add("too_short", format!("the answer has {count} {what}, at least {min} are asked for"));
                }
                _ => {}
            }
        }
        for pattern in self.must_match.iter().filter(|pattern| !pattern.is_match(text)) {
            add("pattern_missing", format!("nothing in the answer matches `{}`", pattern.as_str()));
        }
        if !(self.phrases.is_empty() && self.banned_phrases.is_empty()) {
            let folded = fold(text);
            for phrase in self.phrases.iter().filter(|phrase| !folded.contains(phrase.as_str())) {
                add("phrase_missing", format!("the answer does not say `{phrase}`"));
            }
            for phrase in self.banned_phrases.iter().filter(|phrase| folded.contains(phrase.as_str())) {
                add("phrase_banned", format!("the answer says `{phrase}`"));
            }
        }
        if let Some(share) = share_of(text, &rules.scripts).filter(|share| *share < SCRIPT_SHARE) {
            let percent = (share * 100.0) as u32;
            add("script", format!("{percent} % of the letters are of the scripts {:?}", rules.scripts));
        }
        for pattern in &self.must_not_match {
            if let Some(found) = pattern.find(text) {
                let reason = format!("the answer matches `{}`", pattern.as_str());
                misfits.push(Misfit::new(CONTRACT, "pattern_banned", reason).at(found.range()));
            }
        }
        misfits
    }
}

impl ContractRules {
    fn bounds(&self) -> [(&'static str, Bounds); 3] {
        [("characters", self.chars), ("words", self.words), ("lines", self.lines)]
    }
}

impl FieldRules {
    fn check(&self, value: &Value, add: &mut impl FnMut(&'static str, String)) {
        let is_other = |value: &&&Value| !self.one_of.contains(value);
        if at_pointer(value, &self.pointer).iter().find(is_other).is_some() {
            let values = listed(self.one_of.iter());
            add("not_one_of", format!("the value at `{}` is not one of {values}", self.pointer));
        }
    }
}

/// More values than this are not followed through `*`.
const POINTED_MAX: usize = 10_000;

/// Whether it is a JSON pointer (RFC 6901).
pub(crate) fn is_pointer(pointer: &str) -> bool {
    pointer.is_empty() || pointer.starts_with('/')
}

/// The values at a pointer; several where it has the step `*`.
pub(crate) fn at_pointer<'v>(value: &'v Value, pointer: &str) -> Vec<&'v Value> {
    let mut values = vec![value];
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = values.into_iter().flat_map(|value| -> Vec<&Value> {
            match value {
                Value::Array(items) if step == "*" => items.iter().collect(),
                Value::Object(members) if step == "*" => members.values().collect(),
                Value::Array(items) => {
                    step.parse::<usize>().ok().and_then(|i| items.get(i)).into_iter().collect()
                }
                Value::Object(members) => members.get(&step).into_iter().collect(),
                _ => Vec::new(),
            }
        });
        values = next.take(POINTED_MAX).collect();
    }
    values
}

fn listed<T: std::fmt::Display>(values: impl ExactSizeIterator<Item = T>) -> String {
    let more = values.len().saturating_sub(VALUES_NAMED);
    let named: Vec<String> = values.take(VALUES_NAMED).map(|value| format!("`{value}`")).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// The share of letters that are of the scripts; `None` when nothing is asked or there are too few letters.
fn share_of(text: &str, scripts: &[Script]) -> Option<f32> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if scripts.is_empty() || letters < SCRIPT_LETTERS_MIN {
        return None;
    }
    let is_of = |c: &char| c.is_alphabetic() && scripts.iter().any(|script| script.has(*c));
    Some(text.chars().filter(is_of).count() as f32 / letters as f32)
}

impl Script {
    /// Whether a letter is of the script, by the blocks of Unicode that are in everyday use.
    fn has(self, c: char) -> bool {
        match self {
            Script::Latin => {
                matches!(c, 'A'..='Z' | 'a'..='z' | '\u{AA}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' | '\u{FF21}'..='\u{FF5A}')
            }
            Script::Greek => matches!(c, '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}'),
            Script::Cyrillic => matches!(c, '\u{400}'..='\u{52F}'),
            Script::Arabic => {
                matches!(c, '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}')
            }
            Script::Hebrew => matches!(c, '\u{590}'..='\u{5FF}'),
            Script::Devanagari => matches!(c, '\u{900}'..='\u{97F}'),
            Script::Thai => matches!(c, '\u{E00}'..='\u{E7F}'),
            Script::Han => {
                matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
            }
            Script::Kana => {
                matches!(c, '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9F}')
            }
            Script::Hangul => {
                matches!(c, '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{AC00}'..='\u{D7AF}')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(rules: ContractRules, text: &str) -> Vec<&'static str> {
        Contract::compile(&rules).unwrap().check(text).into_iter().map(|misfit| misfit.label).collect()
    }

    #[test]
    fn an_answer_is_one_of_a_list() {
        let rules = || ContractRules { one_of: vec!["yes".into(), "no".into()], ..ContractRules::default() };
        assert!(labels(rules(), " yes\n").is_empty());
        assert_eq!(labels(rules(), "Yes, of course"), ["not_one_of"]);
    }

    #[test]
    fn values_in_json_are_of_a_list() {
        let field = FieldRules { pointer: "/items/*/mood".into(), one_of: vec![json!("calm"), json!(1)] };
        let rules = || ContractRules { fields: vec![field.clone()], ..ContractRules::default() };
        assert!(labels(rules(), r#"{"items": [{"mood": "calm"}, {"mood": 1}, {}]}"#).is_empty());
        assert_eq!(labels(rules(), r#"{"items": [{"mood": "calm"}, {"mood": "cross"}]}"#), ["not_one_of"]);
        assert_eq!(labels(rules(), "calm"), ["not_json"]);
    }

    #[test]
    fn lengths_are_counted_in_characters_words_and_lines() {
        let bounds = |min, max| Bounds { min: Some(min), max: Some(max) };
        let check = |rules: ContractRules, text: &str, expected: &[&str]| {
            assert_eq!(labels(rules, text), expected, "{text}");
        };
        let chars = || ContractRules { chars: bounds(2, 4), ..ContractRules::default() };
        check(chars(), "ééé", &[]);
        check(chars(), "ééééé", &["too_long"]);
        check(chars(), "é", &["too_short"]);
        check(ContractRules { words: bounds(1, 2), ..ContractRules::default() }, "a b c", &["too_long"]);
        check(ContractRules { lines: bounds(2, 3), ..ContractRules::default() }, "a", &["too_short"]);
    }

    #[test]
    fn patterns_and_phrases_are_asked_for_or_banned() {
        let rules = || ContractRules {
            must_match: vec!["^Dear ".into()],
            must_not_match: vec![r"\d{3}".into()],
            phrases: vec!["Terms Apply".into()],
            banned_phrases: vec!["guarantee".into()],
            ..ContractRules::default()
        };
        assert!(labels(rules(), "Dear Ann, terms apply.").is_empty());
        assert_eq!(
            labels(rules(), "Hello, we ＧＵＡＲＡＮＴＥＥ 123"),
            ["pattern_missing", "phrase_missing", "phrase_banned", "pattern_banned"]
        );
    }

    #[test]
    fn the_script_is_that_of_most_letters() {
        let rules = || ContractRules { scripts: vec![Script::Han, Script::Kana], ..ContractRules::default() };
        assert!(labels(rules(), "これはとても長い文章です、API 的").is_empty());
        assert_eq!(labels(rules(), "This is English"), ["script"]);
        assert!(labels(rules(), "OK").is_empty());
    }

    #[test]
    fn rules_that_cannot_be_kept_are_refused() {
        let pattern =
            |text: &str| ContractRules { must_match: vec![text.into()], ..ContractRules::default() };
        for rules in [
            pattern("("),
            pattern(r"(\w{500}){500}"),
            ContractRules { chars: Bounds { min: Some(2), max: Some(1) }, ..ContractRules::default() },
            ContractRules {
                fields: vec![FieldRules { pointer: "a".into(), one_of: vec![] }],
                ..ContractRules::default()
            },
        ] {
            assert!(Contract::compile(&rules).is_err(), "{rules:?}");
        }
    }

    #[test]
    fn reasons_quote_the_rules_and_not_the_answer() {
        let rules = ContractRules { one_of: vec!["yes".into()], is_json: true, ..ContractRules::default() };
        let misfits = Contract::compile(&rules).unwrap().check("my secret");
        assert!(misfits.iter().all(|misfit| !misfit.reason.contains("secret")), "{misfits:?}");
    }
}

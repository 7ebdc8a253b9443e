//! From findings to a decision.

use std::{collections::BTreeMap, fmt};

use gauntlet_types::{Action, Decision, Direction, Finding, GuardNote};

use crate::candidate::{INJECTION, PII, SECRETS};

/// Names a segment in a reason: `messages[2]`, `tools[0].arguments`, `output`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    System,
    Message(usize),
    /// One of several parts of a message.
    Part(usize, usize),
    ToolArguments(usize),
    ToolResult(usize),
    /// The model's answer, by choice.
    Output(usize),
    Other(&'static str),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Where::System => f.write_str("system"),
            Where::Message(i) => write!(f, "messages[{i}]"),
            Where::Part(i, part) => write!(f, "messages[{i}].content[{part}]"),
            Where::ToolArguments(i) => write!(f, "tool_calls[{i}].arguments"),
            Where::ToolResult(i) => write!(f, "tool_results[{i}]"),
            Where::Output(0) => f.write_str("output"),
            Where::Output(i) => write!(f, "choices[{i}]"),
            Where::Other(name) => f.write_str(name),
        }
    }
}

/// What a route asks to be done in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rules {
    pub pii: Action,
    pub secrets: Action,
    /// There is nothing to replace in an attempt at injection, so `Redact` is taken as `Flag`.
    pub injection: Action,
    /// Texts of more bytes, added up, are blocked.
    pub max_bytes: Option<usize>,
}

impl Rules {
    fn action(&self, kind: &str) -> Action {
        match kind {
            PII => self.pii,
            SECRETS => self.secrets,
            INJECTION if self.injection == Action::Redact => Action::Flag,
            INJECTION => self.injection,
            // A kind that no rule names is noted: nothing found is passed over in silence.
            _ => Action::Flag,
        }
    }
}

/// Segments named in one reason; the count says how many findings there are in all.
const PLACES_MAX: usize = 3;
/// Hexadecimal digits of a value's hash: enough to join equal values, too few to be one of record.
const HASH_DIGITS: usize = 16;

#[derive(Default)]
struct Group {
    count: u32,
    score: f32,
    places: Vec<Where>,
    value_hash: Option<String>,
}

/// Decides what is to be done about all segments together: the most severe action that any finding asks for.
///
/// Notes are grouped by kind and label. Findings whose action is `Allow` leave no note. The hash of the first value of
/// a group is keyed by `hash_key`, so that equal values can be joined by those who have the key, and by no one else.
pub fn decide(
    direction: Direction,
    rules: &Rules,
    found: &[(Where, &str, Vec<Finding>)],
    hash_key: &[u8; 32],
) -> (Decision, Vec<GuardNote>) {
    let mut groups: BTreeMap<(&'static str, &'static str), Group> = BTreeMap::new();
    for (place, text, findings) in found {
        for finding in findings.iter().filter(|finding| rules.action(finding.kind) != Action::Allow) {
            let group = groups.entry((finding.kind, finding.label)).or_default();
            group.count += 1;
            group.score = group.score.max(finding.score);
            if !group.places.contains(place) {
                group.places.push(*place);
            }
            if group.value_hash.is_none() && finding.kind != INJECTION {
                group.value_hash = text.get(finding.span.clone()).map(|value| hash(value, hash_key));
            }
        }
    }
    let mut decision = Decision::Allow;
    let mut notes = Vec::with_capacity(groups.len());
    if let Some(note) = too_long(direction, rules, found) {
        decision = Decision::Block;
        notes.push(note);
    }
    for ((kind, label), group) in groups {
        let action = rules.action(kind);
        decision = decision.max(action.into());
        notes.push(GuardNote {
            direction,
            kind: kind.into(),
            label: label.into(),
            action,
            count: group.count,
            score: group.score,
            reason: reason(kind, label, &group),
            value_hash: group.value_hash,
        });
    }
    (decision, notes)
}

fn too_long(direction: Direction, rules: &Rules, found: &[(Where, &str, Vec<Finding>)]) -> Option<GuardNote> {
    let max = rules.max_bytes?;
    let total: usize = found.iter().map(|(_, text, _)| text.len()).sum();
    (total > max).then(|| GuardNote {
        direction,
        kind: "size".into(),
        label: "max_bytes".into(),
        action: Action::Block,
        count: 1,
        score: 1.0,
        reason: format!("{total} bytes of text, {max} allowed"),
        value_hash: None,
    })
}

/// `messages[2]: US_SSN, shape and ranges valid`
fn reason(kind: &str, label: &str, group: &Group) -> String {
    let mut reason = String::new();
    for (i, place) in group.places.iter().take(PLACES_MAX).enumerate() {
        reason.push_str(if i > 0 { ", " } else { "" });
        reason.push_str(&place.to_string());
    }
    if group.places.len() > PLACES_MAX {
        reason.push_str(&format!(" and {} more", group.places.len() - PLACES_MAX));
    }
    let why = match (kind, label) {
        (INJECTION, "learned_pattern") => "reads like known attempts",
        (INJECTION, _) => "phrase matched",
        (SECRETS, "jwt") => "header decodes and names an algorithm",
        (SECRETS, "rsa_pem") => "private key block",
        (SECRETS, "password" | "generic_api_key" | "bearer_opaque") => "random value behind a telling name",
        (SECRETS, _) if group.score >= 1.0 => "prefix and check sum valid",
        (SECRETS, _) => "prefix, length and alphabet of the issuer",
        (_, "CREDIT_CARD") => "issuer range and Luhn check valid",
        (_, "US_SSN") => "area, group and serial valid",
        (_, "IBAN_CODE") => "country length and mod-97 check valid",
        (_, "EMAIL_ADDRESS") => "well-formed address",
        _ if group.score >= 0.89 => "check digit or unmistakable form",
        _ if group.score >= 0.8 => "form valid, label beside it",
        _ => "form valid",
    };
    format!("{reason}: {label}, {why}")
}

fn hash(value: &str, key: &[u8; 32]) -> String {
    let mut hex = blake3::keyed_hash(key, value.as_bytes()).to_hex().to_string();
    hex.truncate(HASH_DIGITS);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn found(text: &str, kind: &'static str, label: &'static str) -> Finding {
        Finding { kind, label, span: 0..text.len(), score: 0.9 }
    }

    #[test]
    fn the_most_severe_action_decides() {
        let check = |rules: Rules, kind: &'static str, expected: (Decision, usize)| {
            let findings = vec![(Where::Message(0), "x", vec![found("x", kind, "X")])];
            let (decision, notes) = decide(Direction::Input, &rules, &findings, &KEY);
            assert_eq!((decision, notes.len()), expected, "{rules:?} {kind}");
        };
        let rules =
            Rules { pii: Action::Redact, secrets: Action::Block, injection: Action::Redact, max_bytes: None };
        check(rules, PII, (Decision::Redact, 1));
        check(rules, SECRETS, (Decision::Block, 1));
        check(rules, INJECTION, (Decision::Flag, 1));
        check(rules, "other", (Decision::Flag, 1));
        check(Rules { pii: Action::Allow, ..rules }, PII, (Decision::Allow, 0));
        check(Rules { pii: Action::Allow, max_bytes: Some(0), ..rules }, PII, (Decision::Block, 1));
    }

    #[test]
    fn findings_are_grouped_and_their_values_hashed() {
        let one = |place| (place, "123-45-6789", vec![found("123-45-6789", PII, "US_SSN")]);
        let findings =
            [Where::Message(0), Where::Message(2), Where::Message(2), Where::Part(4, 1), Where::System]
                .map(one);
        let rules = Rules { pii: Action::Flag, ..Rules::default() };
        let (_, notes) = decide(Direction::Output, &rules, &findings, &KEY);
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].count, 5);
        assert_eq!(
            notes[0].reason,
            "messages[0], messages[2], messages[4].content[1] and 1 more: US_SSN, area, group and serial valid"
        );
        let hash = notes[0].value_hash.as_deref().unwrap();
        assert_eq!(hash.len(), 16);
        let (_, other) = decide(Direction::Output, &rules, &findings, &[8; 32]);
        assert_ne!(other[0].value_hash.as_deref(), Some(hash));
    }
}

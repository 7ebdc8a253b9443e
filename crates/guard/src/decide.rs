//! From findings to a decision.

use std::{collections::BTreeMap, fmt};

use gauntlet_types::{Action, Decision, Direction, Finding, GuardNote, Name, Scope};

use crate::{
    candidate::{CANARY, EXFILTRATION, INJECTION, LINKS, SECRETS, TOXICITY},
    rulebook::{Rulebook, value_of},
};

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

/// What was found in one text.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    pub place: Where,
    pub scope: Scope,
    pub text: &'a str,
    pub findings: Vec<Finding>,
}

/// What is to be done about all texts together.
#[derive(Clone, Debug)]
pub struct Decided {
    pub decision: Decision,
    pub notes: Vec<GuardNote>,
    /// What to do about each finding of each text; none where a person lets it pass.
    pub actions: Vec<Vec<Option<Action>>>,
    /// Findings that a person lets pass, by kind.
    pub excepted: BTreeMap<&'static str, u32>,
    /// Which model a rule wants asked instead; the inner none is the next target.
    pub reroute: Option<Option<Name>>,
}

/// Segments named in one reason; the count says how many findings there are in all.
const PLACES_MAX: usize = 3;

#[derive(Default)]
struct Group {
    count: u32,
    score: f32,
    places: Vec<Where>,
    value_hash: Option<String>,
}

impl Group {
    fn add(&mut self, found: &Found<'_>, finding: &Finding, rules: &Rulebook) {
        self.count += 1;
        self.score = self.score.max(finding.score);
        if !self.places.contains(&found.place) {
            self.places.push(found.place);
        }
        if self.value_hash.is_none() {
            self.value_hash = Some(rules.hash(value_of(finding, found.text)));
        }
    }
}

/// Decides what is to be done about all texts together: the most severe action that any finding asks for.
///
/// Notes are grouped by kind, label, action and whose rule it is. Findings whose action is `Allow` leave no note. A note has
/// the hash of the first value of its group, keyed, so that equal values can be joined by those who have the key, and by
/// no one else.
pub fn decide(direction: Direction, rules: &Rulebook, found: &[Found<'_>]) -> Decided {
    type Key<'a> = (&'static str, &'static str, Action, bool, &'a str);
    let mut groups: BTreeMap<Key<'_>, Group> = BTreeMap::new();
    let mut excepted: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut reroute = None;
    let mut actions = Vec::with_capacity(found.len());
    for text in found {
        let mut of_text = Vec::with_capacity(text.findings.len());
        for finding in &text.findings {
            let ruling = rules.rule(finding, text.text, text.scope);
            of_text.push((!ruling.is_excepted).then_some(ruling.action));
            if ruling.is_excepted {
                *excepted.entry(finding.kind).or_default() += 1;
            }
            if let Some(voice) = ruling.voice
                && ruling.action != Action::Allow
            {
                let key = (finding.kind, finding.label, ruling.action, false, voice.level.as_str());
                groups.entry(key).or_default().add(text, finding, rules);
                if ruling.action == Action::Reroute {
                    reroute = Some(voice.rule.to.clone());
                }
            }
            if let Some((action, voice)) = ruling.trial {
                let key = (finding.kind, finding.label, action, true, voice.level.as_str());
                groups.entry(key).or_default().add(text, finding, rules);
            }
        }
        actions.push(of_text);
    }
    let mut decision = Decision::Allow;
    let notes = groups.into_iter().map(|((kind, label, action, shadow, level), group)| {
        if !shadow {
            decision = decision.max(action.into());
        }
        GuardNote {
            direction,
            kind: kind.into(),
            label: label.into(),
            action,
            count: group.count,
            score: group.score,
            reason: reason(kind, label, &group),
            value_hash: group.value_hash,
            rule: Some(level.into()),
            shadow,
        }
    });
    let notes = notes.collect();
    Decided { decision, notes, actions, excepted, reroute }
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
        (LINKS, _) => "a host that is not on the list",
        (EXFILTRATION, _) => "carries data to a host that is not on the list",
        (CANARY, _) => "the word that was planted",
        (TOXICITY, _) => "a word of the list",
        ("names", _) => "reads like a name",
        ("classifier", _) => "scored by the model",
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gauntlet_types::{ExceptedValue, Exception, Rule, Scopes, Timestamp, Voice};

    use super::*;
    use crate::candidate::PII;

    fn finding(text: &str, kind: &'static str, label: &'static str) -> Finding {
        Finding { kind, label, span: 0..text.len(), score: 0.9 }
    }

    fn found(text: &'static str, kind: &'static str, label: &'static str) -> Vec<Found<'static>> {
        let findings = vec![finding(text, kind, label)];
        vec![Found { place: Where::Message(0), scope: Scope::User, text, findings }]
    }

    fn book(voices: &[(&str, Rule)]) -> Rulebook {
        let voice = |(level, rule): &(&str, Rule)| -> Arc<[Voice]> {
            Arc::new([Voice { level: (*level).into(), rule: rule.clone() }])
        };
        Rulebook::new(voices.iter().map(voice).collect(), Arc::new([]), [7; 32], 0.5)
    }

    #[test]
    fn the_most_severe_action_of_all_levels_decides() {
        let check = |rules: &[(&str, Rule)], expected: Decision, by: Option<&str>| {
            let decided = decide(Direction::Input, &book(rules), &found("x", PII, "X"));
            assert_eq!(decided.decision, expected, "{rules:?}");
            assert_eq!(decided.notes.first().and_then(|note| note.rule.as_deref()), by, "{rules:?}");
        };
        let rule = |action| Rule::of(PII, action);
        let redact = || rule(Action::Redact);
        check(&[("floor", redact()), ("route", rule(Action::Allow))], Decision::Redact, Some("floor"));
        check(
            &[("floor", rule(Action::Flag)), ("route", rule(Action::Block))],
            Decision::Block,
            Some("route"),
        );
        check(&[("route", rule(Action::Allow))], Decision::Allow, None);
        check(&[("route", Rule::of("secrets", Action::Block))], Decision::Allow, None);
        let exempt = Rule { types: vec![("X".into(), Action::Flag)], ..redact() };
        check(&[("route", exempt)], Decision::Flag, Some("route"));
        let elsewhere = Rule { scopes: Scopes::NONE.with(Scope::ToolResult), ..redact() };
        check(&[("route", elsewhere)], Decision::Allow, None);
        check(&[("route", Rule { threshold: Some(0.95), ..redact() })], Decision::Allow, None);
        check(&[("route", Rule { sample: 0.5, ..redact() })], Decision::Allow, None);
        check(&[("route", Rule { sample: 0.6, ..redact() })], Decision::Redact, Some("route"));
    }

    #[test]
    fn a_rule_on_trial_is_noted_and_changes_nothing() {
        let trial = Rule { shadow: true, ..Rule::of(PII, Action::Block) };
        let rules = book(&[("route", Rule::of(PII, Action::Flag)), ("floor", trial)]);
        let decided = decide(Direction::Input, &rules, &found("x", PII, "X"));
        assert_eq!((decided.decision, &decided.actions[0][..]), (Decision::Flag, &[Some(Action::Flag)][..]));
        let notes: Vec<_> = decided.notes.iter().map(|note| (note.action, note.shadow)).collect();
        assert_eq!(notes, [(Action::Flag, false), (Action::Block, true)]);
    }

    #[test]
    fn an_excepted_value_passes_and_is_counted() {
        let exception = |value| Exception {
            kind: PII.into(),
            label: None,
            value,
            tenant: None,
            route: None,
            scope: None,
            until: Timestamp(0),
            why: None,
        };
        let check = |value, expected: u32| {
            let voices: Arc<[Voice]> =
                Arc::new([Voice { level: "floor".into(), rule: Rule::of(PII, Action::Block) }]);
            let rules = Rulebook::new(vec![voices], Arc::new([exception(value)]), [7; 32], 0.0);
            let decided = decide(Direction::Input, &rules, &found("0100", PII, "X"));
            assert_eq!(decided.excepted.get(PII).copied().unwrap_or(0), expected);
            assert_eq!(decided.decision == Decision::Allow, expected == 1);
        };
        check(ExceptedValue::Any, 1);
        check(ExceptedValue::Text("0100".into()), 1);
        check(ExceptedValue::Text("0101".into()), 0);
        check(ExceptedValue::Hash(book(&[]).hash("0100").into()), 1);
        check(ExceptedValue::Hash(book(&[]).hash("0101").into()), 0);
    }

    #[test]
    fn findings_are_grouped_and_their_values_hashed() {
        let places =
            [Where::Message(0), Where::Message(2), Where::Message(2), Where::Part(4, 1), Where::System];
        let texts = places.map(|place| {
            let mut found = found("123-45-6789", PII, "US_SSN").remove(0);
            found.place = place;
            found
        });
        let rules = book(&[("route", Rule::of(PII, Action::Flag))]);
        let notes = decide(Direction::Output, &rules, &texts).notes;
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].count, 5);
        assert_eq!(
            notes[0].reason,
            "messages[0], messages[2], messages[4].content[1] and 1 more: US_SSN, area, group and serial valid"
        );
        let hash = notes[0].value_hash.as_deref().unwrap();
        assert_eq!(hash.len(), 16);
        let other = Rulebook::new(Vec::new(), Arc::new([]), [8; 32], 0.0);
        assert_ne!(other.hash("123-45-6789"), hash);
    }
}

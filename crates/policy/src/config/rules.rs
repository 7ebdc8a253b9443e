//! How a guard's rule is written: an action alone (`pii: redact`), or a map with its scope, types and thresholds.

use gauntlet_places::near::did_you_mean;
use gauntlet_types::{Action, Direction, Name, OnError, Rule, Scope, Scopes};

use super::{
    node::{At, Node, Value},
    read::{self, Fields, Report},
    scalar,
};

/// A kind of finding, and what can be done about it in each direction.
pub(super) struct KindSpec {
    pub(super) name: &'static str,
    input: &'static [Action],
    output: &'static [Action],
    /// Ends the sentence "… cannot be done here: ".
    why: &'static str,
}

const PRIVATE_IN: &[Action] = &[
    Action::Allow,
    Action::Log,
    Action::Flag,
    Action::Tokenize,
    Action::Mask,
    Action::Hash,
    Action::Redact,
    Action::Reroute,
    Action::Review,
    Action::Block,
];
const PRIVATE_OUT: &[Action] = &[
    Action::Allow,
    Action::Log,
    Action::Flag,
    Action::Mask,
    Action::Hash,
    Action::Redact,
    Action::Reask,
    Action::Reroute,
    Action::Review,
    Action::Block,
];
const WORDS_IN: &[Action] = &[
    Action::Allow,
    Action::Log,
    Action::Flag,
    Action::Mask,
    Action::Redact,
    Action::Reroute,
    Action::Review,
    Action::Block,
];
const MEANING_IN: &[Action] =
    &[Action::Allow, Action::Log, Action::Flag, Action::Reroute, Action::Review, Action::Block];
const MEANING_OUT: &[Action] = &[
    Action::Allow,
    Action::Log,
    Action::Flag,
    Action::Reask,
    Action::Reroute,
    Action::Review,
    Action::Block,
];
const SHAPE_OUT: &[Action] = &[
    Action::Allow,
    Action::Log,
    Action::Flag,
    Action::Repair,
    Action::Reask,
    Action::Reroute,
    Action::Review,
    Action::Block,
];

pub(super) const PII: KindSpec = KindSpec {
    name: "pii",
    input: PRIVATE_IN,
    output: PRIVATE_OUT,
    why: "tokens are put in on the way to the model and taken out on the way back",
};
pub(super) const SECRETS: KindSpec = KindSpec { name: "secrets", ..PII };
pub(super) const INJECTION: KindSpec = KindSpec {
    name: "injection",
    input: MEANING_IN,
    output: MEANING_OUT,
    why: "an attempt is the meaning of a text, so there is nothing to cut out",
};
pub(super) const SCHEMA: KindSpec = KindSpec {
    name: "schema",
    input: &[],
    output: SHAPE_OUT,
    why: "a shape is mended, asked for again or refused",
};

pub(super) const JUDGE: KindSpec = KindSpec { name: "judge", ..INJECTION };
pub(super) const TOXICITY: KindSpec =
    KindSpec { name: "toxicity", input: WORDS_IN, output: PRIVATE_OUT, ..PII };
pub(super) const LINKS: KindSpec = KindSpec { name: "links", input: &[], ..PII };
pub(super) const EXFILTRATION: KindSpec = KindSpec { name: "exfiltration", ..LINKS };
pub(super) const CANARY: KindSpec = KindSpec { name: "canary", ..LINKS };
pub(super) const LEAK: KindSpec = KindSpec {
    name: "leak",
    input: &[],
    output: MEANING_OUT,
    why: "what a prompt says is all over the answer, so there is nothing to cut out",
};
pub(super) const REFUSAL: KindSpec = KindSpec { name: "refusal", ..LEAK };
pub(super) const CONTRACT: KindSpec = KindSpec {
    name: "contract",
    input: &[],
    output: MEANING_OUT,
    why: "an answer cannot be mended to say something else",
};
pub(super) const CITATIONS: KindSpec = KindSpec { name: "citations", ..CONTRACT };
pub(super) const TOOLS: KindSpec = KindSpec {
    name: "tools",
    input: &[],
    output: MEANING_OUT,
    why: "a call is made or not made, and nobody but the model knows what it should have been",
};
pub(super) const TAINT: KindSpec = KindSpec { name: "taint", ..TOOLS };

pub(super) const NAMES: KindSpec = KindSpec { name: "names", ..PII };
pub(super) const CLASSIFIER: KindSpec = KindSpec { name: "classifier", ..INJECTION };

/// Every kind by its name.
pub(super) const KINDS: [&str; 17] = [
    NAMES.name,
    CLASSIFIER.name,
    PII.name,
    SECRETS.name,
    INJECTION.name,
    TOXICITY.name,
    JUDGE.name,
    SCHEMA.name,
    CONTRACT.name,
    CITATIONS.name,
    LINKS.name,
    EXFILTRATION.name,
    CANARY.name,
    LEAK.name,
    REFUSAL.name,
    TOOLS.name,
    TAINT.name,
];

impl KindSpec {
    fn actions(&self, direction: Direction) -> &'static [Action] {
        match direction {
            Direction::Input => self.input,
            Direction::Output => self.output,
        }
    }
}

/// Reads the rule under `field`; none when it is not written, or has a mistake.
pub(super) fn rule(
    fields: &mut Fields<'_>,
    field: &'static str,
    spec: &KindSpec,
    direction: Direction,
    what: &str,
    report: &mut Report,
) -> Option<Rule> {
    let node = fields.get(field)?;
    of_node(node, field, spec, direction, what, report)
}

pub(super) fn of_node(
    node: &Node,
    field: &str,
    spec: &KindSpec,
    direction: Direction,
    what: &str,
    report: &mut Report,
) -> Option<Rule> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(Rule::of(spec.name, action(node, field, spec, direction, report)?));
    }
    let place = format!("`{field}` of {what}");
    let mut own = Fields::of(node, &place, report)?;
    let rule = of_fields(&mut own, node.at, &place, spec, direction, report);
    own.finish(report);
    rule
}

/// The fields that every rule may have; the caller reads what its kind has besides, and finishes them.
pub(super) fn of_fields(
    own: &mut Fields<'_>,
    at: At,
    place: &str,
    spec: &KindSpec,
    direction: Direction,
    report: &mut Report,
) -> Option<Rule> {
    let written = own.get("action").and_then(|node| action(node, "action", spec, direction, report));
    if own.is_missing("action") {
        report.error(at, format!("{place} has no `action`"), "write for example `action: flag`");
    }
    let mut types = Vec::new();
    if let Some(node) = own.get("types") {
        for (label, node) in read::map(node, "`types`", report).unwrap_or_default() {
            if let Some(action) = action(node, &label.text, spec, direction, report) {
                types.push((Name::from(label.text.as_str()), action));
            }
        }
    }
    let threshold = own.read("threshold", report, scalar::SHARE);
    let scopes = scopes(own, report);
    let on_error = own
        .choice("on_error", report, &[("closed", OnError::Closed), ("open", OnError::Open)])
        .unwrap_or_default();
    let shadow = own.read("shadow", report, scalar::BOOL).unwrap_or(false);
    let sample = own.read("sample", report, scalar::SHARE).unwrap_or(1.0);
    let to = own.text("to", report);
    let or_else = own.get("else").and_then(|node| action(node, "else", spec, direction, report));
    let action = written?;
    if let Some((_, at)) = to
        && action != Action::Reroute
        && types.iter().all(|(_, action)| *action != Action::Reroute)
    {
        report.error(at, format!("`to` of {place} is for `action: reroute`"), "take it out, or reroute");
    }
    if or_else.is_some() && !matches!(action, Action::Repair | Action::Reask) {
        let cure = "take it out: it says what follows a `repair` or `reask` that did not help";
        report.error(at, format!("`else` of {place} never comes to pass"), cure);
    }
    Some(Rule {
        kind: spec.name,
        action,
        types,
        threshold: threshold.map(|threshold| threshold as f32),
        scopes,
        on_error,
        shadow,
        sample,
        to: to.map(|(to, _)| to.into()),
        or_else: or_else.unwrap_or(Action::Block),
    })
}

fn scopes(own: &mut Fields<'_>, report: &mut Report) -> Scopes {
    let written = own.texts("scope", report);
    if written.is_empty() {
        return Scopes::ALL;
    }
    let mut scopes = Scopes::NONE;
    for (text, at) in written {
        match Scope::ALL.iter().find(|scope| scope.as_str() == text) {
            Some(scope) => scopes = scopes.with(*scope),
            None => {
                let names = || Scope::ALL.iter().map(|scope| scope.as_str());
                let cure = did_you_mean(text, names())
                    .unwrap_or_else(|| format!("known: {}", names().collect::<Vec<_>>().join(", ")));
                report.error(at, format!("`scope: {text}` is not known"), cure);
            }
        }
    }
    scopes
}

/// An action by its word; `off` is `allow`.
fn action(
    node: &Node,
    field: &str,
    spec: &KindSpec,
    direction: Direction,
    report: &mut Report,
) -> Option<Action> {
    let text = read::text(node, field, report)?;
    let word = match text.text.as_str() {
        "off" | "false" | "no" => "allow",
        // What `on_invalid` has been called before there was another way to get there.
        "fallback" => "reroute",
        word => word,
    };
    let can = spec.actions(direction);
    let known = Action::ALL.iter().find(|action| action.as_str() == word);
    if let Some(action) = known.filter(|action| can.contains(action)) {
        return Some(*action);
    }
    let names = can.iter().map(|action| action.as_str());
    let list = names.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (message, cure) = match known {
        Some(_) => (
            format!("`{field}: {}` is not an action that can be taken here: {}", text.typed, spec.why),
            format!("write one of {list}"),
        ),
        None => {
            let near = did_you_mean(word, names).map(|near| format!("; {near}")).unwrap_or_default();
            (format!("`{field}: {}` is not an action", text.typed), format!("write one of {list}{near}"))
        }
    };
    report.error(node.at, message, cure);
    None
}

//! What two versions of a policy differ in, rule by rule, and whether that is tighter or looser.

use std::{cmp::Ordering, fmt};

use gauntlet_types::{Action, Direction, Name, OnError, Rule, Scope, Scopes};
use serde::Serialize;

use super::{GuardPolicy, Ruleset, explain::on_error};

/// What a change does to calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// More is stopped, changed or noted.
    Tighter,
    /// Something passes that did not pass.
    Looser,
    /// Some of this and some of that, or nobody can tell without the texts.
    Both,
    /// Another model is asked.
    Otherwise,
}

impl Effect {
    pub const fn as_str(self) -> &'static str {
        match self {
            Effect::Tighter => "tighter",
            Effect::Looser => "looser",
            Effect::Both => "both",
            Effect::Otherwise => "otherwise",
        }
    }

    fn and(self, other: Effect) -> Effect {
        match (self, other) {
            (same, other) if same == other => same,
            (Effect::Otherwise, other) | (other, Effect::Otherwise) => other,
            _ => Effect::Both,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// None for what is of the whole policy.
    pub direction: Option<Direction>,
    pub kind: String,
    /// `action`, `type US_SSN`, `threshold` …
    pub what: String,
    pub before: String,
    pub after: String,
    pub effect: Effect,
}

/// How far a version is raised: the number that changes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Raise {
    None,
    Patch,
    Minor,
    Major,
}

impl Raise {
    pub const fn as_str(self) -> &'static str {
        match self {
            Raise::None => "none",
            Raise::Patch => "patch",
            Raise::Minor => "minor",
            Raise::Major => "major",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diff {
    pub before: String,
    pub after: String,
    pub changes: Vec<Change>,
    /// None when no rule changed.
    pub effect: Option<Effect>,
    /// What the change asks of the version.
    pub raise_needed: Raise,
    /// What was done to it; none for policies of different names.
    pub raised: Option<Raise>,
    pub warnings: Vec<String>,
}

/// Compares two policies, the second of which follows the first.
pub fn diff(before: &GuardPolicy, after: &GuardPolicy) -> Diff {
    let mut changes = Vec::new();
    for direction in [Direction::Input, Direction::Output] {
        rules(direction, before.rules.rules(direction), after.rules.rules(direction), &mut changes);
    }
    whole(&before.rules, &after.rules, &mut changes);
    let effect = changes.iter().map(|change| change.effect).reduce(Effect::and);
    let is_same_text = before.description == after.description && before.id.hash == after.id.hash;
    let raise_needed = match effect {
        Some(Effect::Looser | Effect::Both) => Raise::Major,
        Some(Effect::Tighter | Effect::Otherwise) => Raise::Minor,
        None if is_same_text => Raise::None,
        None => Raise::Patch,
    };
    let raised = (before.id.name == after.id.name).then(|| raised(&before.id.version, &after.id.version));
    let mut warnings = Vec::new();
    match &raised {
        Some(Ok(raised)) if *raised < raise_needed => warnings.push(format!(
            "{} asks for a higher {} version: {} is not enough after {}",
            match effect {
                Some(Effect::Looser | Effect::Both) => "what passes that did not pass before",
                Some(Effect::Tighter) => "what is tighter",
                Some(Effect::Otherwise) => "what is done otherwise",
                None => "another text",
            },
            raise_needed.as_str(),
            after.id.version,
            before.id.version
        )),
        Some(Err(Lower)) => warnings
            .push(format!("{} is lower than {}: are the two swapped?", after.id.version, before.id.version)),
        _ => {}
    }
    Diff {
        before: before.id.to_string(),
        after: after.id.to_string(),
        changes,
        effect,
        raise_needed,
        raised: raised.map(|raised| raised.unwrap_or(Raise::None)),
        warnings,
    }
}

struct Lower;

fn raised(before: &semver::Version, after: &semver::Version) -> Result<Raise, Lower> {
    match after.cmp(before) {
        Ordering::Less => Err(Lower),
        Ordering::Equal => Ok(Raise::None),
        Ordering::Greater if after.major != before.major => Ok(Raise::Major),
        Ordering::Greater if after.minor != before.minor => Ok(Raise::Minor),
        Ordering::Greater => Ok(Raise::Patch),
    }
}

fn rules(direction: Direction, before: &[Rule], after: &[Rule], changes: &mut Vec<Change>) {
    let mut kinds: Vec<&'static str> = before.iter().chain(after).map(|rule| rule.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let of = |rules: &[Rule]| rules.iter().find(|rule| rule.kind == kind).cloned();
        let (before, after) = (of(before), of(after));
        let mut note = |what: String, before: String, after: String, effect: Effect| {
            let kind = kind.to_owned();
            changes.push(Change { direction: Some(direction), kind, what, before, after, effect });
        };
        match (before, after) {
            (Some(before), Some(after)) => rule(&before, &after, &mut note),
            // A level without a rule asks for nothing.
            (None, Some(after)) => note("rule".into(), "none".into(), said(&after), Effect::Tighter),
            (Some(before), None) => note("rule".into(), said(&before), "none".into(), Effect::Looser),
            (None, None) => {}
        }
    }
}

fn said(rule: &Rule) -> String {
    let trial = if rule.shadow { ", on trial" } else { "" };
    format!("{}{trial}", rule.action.as_str())
}

/// Greater is tighter.
fn effect(order: Ordering) -> Effect {
    if order == Ordering::Less { Effect::Tighter } else { Effect::Looser }
}

fn rule(before: &Rule, after: &Rule, note: &mut impl FnMut(String, String, String, Effect)) {
    let word = |action: Action| action.as_str().to_owned();
    if before.action != after.action {
        let effect = effect(before.action.cmp(&after.action));
        note("action".into(), word(before.action), word(after.action), effect);
    }
    let mut labels: Vec<&Name> = before.types.iter().chain(&after.types).map(|(label, _)| label).collect();
    labels.sort_unstable();
    labels.dedup();
    for label in labels {
        let of = |rule: &Rule| rule.types.iter().find(|(name, _)| name == label).map(|(_, action)| *action);
        let (was, is) = (of(before), of(after));
        if was == is {
            continue;
        }
        let acts = (was.unwrap_or(before.action), is.unwrap_or(after.action));
        if acts.0 != acts.1 {
            note(format!("type {label}"), word(acts.0), word(acts.1), effect(acts.0.cmp(&acts.1)));
        }
    }
    if before.threshold != after.threshold {
        let shown = |threshold: Option<f32>| {
            threshold.map_or("the detector's".to_owned(), |threshold| threshold.to_string())
        };
        let effect = match (before.threshold, after.threshold) {
            (Some(was), Some(is)) => effect(is.total_cmp(&was)),
            // The detector's own stands between all and nothing, and moves with its releases.
            _ => Effect::Both,
        };
        note("threshold".into(), shown(before.threshold), shown(after.threshold), effect);
    }
    if before.scopes != after.scopes {
        let scopes = |rule: &Rule| shown(rule.scopes);
        let more = Scope::ALL.iter().any(|scope| after.scopes.has(*scope) && !before.scopes.has(*scope));
        let less = Scope::ALL.iter().any(|scope| before.scopes.has(*scope) && !after.scopes.has(*scope));
        let effect = match (more, less) {
            (true, false) => Some(Effect::Tighter),
            (false, true) => Some(Effect::Looser),
            (true, true) => Some(Effect::Both),
            // Written otherwise, and the same.
            (false, false) => None,
        };
        if let Some(effect) = effect {
            note("scope".into(), scopes(before), scopes(after), effect);
        }
    }
    if before.on_error != after.on_error {
        let closed = if after.on_error == OnError::Closed { Effect::Tighter } else { Effect::Looser };
        note("on_error".into(), on_error(before.on_error).into(), on_error(after.on_error).into(), closed);
    }
    if before.shadow != after.shadow {
        let shown = |shadow: bool| if shadow { "on trial" } else { "done" }.to_owned();
        let effect = if after.shadow { Effect::Looser } else { Effect::Tighter };
        note("shadow".into(), shown(before.shadow), shown(after.shadow), effect);
    }
    if before.sample != after.sample {
        let shown = |sample: f64| format!("{} %", (sample * 1e4).round() / 1e2);
        let effect = effect(before.sample.total_cmp(&after.sample));
        note("sample".into(), shown(before.sample), shown(after.sample), effect);
    }
    if before.or_else != after.or_else {
        let effect = effect(before.or_else.cmp(&after.or_else));
        note("else".into(), word(before.or_else), word(after.or_else), effect);
    }
    if before.to != after.to {
        let shown = |to: &Option<Name>| to.as_ref().map_or("the next target".to_owned(), ToString::to_string);
        note("to".into(), shown(&before.to), shown(&after.to), Effect::Otherwise);
    }
}

fn shown(scopes: Scopes) -> String {
    let named: Vec<&str> =
        Scope::ALL.iter().filter(|scope| scopes.has(**scope)).map(|scope| scope.as_str()).collect();
    if named.len() == Scope::ALL.len() { "all".to_owned() } else { named.join(", ") }
}

fn whole(before: &Ruleset, after: &Ruleset, changes: &mut Vec<Change>) {
    let mut note = |what: &str, before: String, after: String, effect: Effect| {
        let change = Change { direction: None, kind: what.into(), what: what.into(), before, after, effect };
        changes.push(change);
    };
    if before.size_max != after.size_max {
        let shown = |size: Option<usize>| size.map_or("none".to_owned(), |size| format!("{size} bytes"));
        let most = |size: Option<usize>| size.unwrap_or(usize::MAX);
        let effect = effect(most(after.size_max).cmp(&most(before.size_max)));
        note("max_size", shown(before.size_max), shown(after.size_max), effect);
    }
    let path = |rules: &Ruleset| rules.schema.as_ref().map(|schema| schema.path.clone());
    let value = |rules: &Ruleset| rules.schema.as_ref().map(|schema| schema.value.clone());
    if path(before) != path(after) || value(before) != value(after) {
        let effect = match (path(before), path(after)) {
            (None, _) => Effect::Tighter,
            (_, None) => Effect::Looser,
            _ => Effect::Both,
        };
        let shown = |path: Option<Name>| path.map_or("none".to_owned(), |path| path.to_string());
        note("schema", shown(path(before)), shown(path(after)), effect);
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.what == self.kind { String::new() } else { format!(" {}", self.what) };
        write!(f, "{}{what}: {} → {} ({})", self.kind, self.before, self.after, self.effect.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, Source, Sources, load};

    fn compare(before: &str, after: &str) -> Diff {
        let policy = |text: &str| {
            let source = Source { file: "guardrails/p.yaml".into(), text: format!("name: p\n{text}") };
            let sources = Sources { guardrails: vec![source], ..Sources::default() };
            let policy = load(&sources, &|_| None, &LoadOptions::default()).unwrap().policy;
            policy.config().guards.policies.iter().next().unwrap().as_ref().clone()
        };
        diff(&policy(before), &policy(after))
    }

    #[test]
    fn each_change_is_tighter_or_looser() {
        let check = |before: &str, after: &str, shown: &str, effect: Effect| {
            let rules = |rule: &str| format!("version: 1.0.0\ninput: {rule}\n");
            let diff = compare(&rules(before), &rules(after));
            assert_eq!(diff.changes.len(), 1, "{diff:?}");
            assert_eq!((diff.changes[0].to_string().as_str(), diff.effect), (shown, Some(effect)));
        };
        use Effect::{Both, Looser, Otherwise, Tighter};
        check("{pii: flag}", "{pii: redact}", "pii action: flag → redact (tighter)", Tighter);
        check("{pii: flag}", "{}", "pii rule: flag → none (looser)", Looser);
        check(
            "{pii: {action: redact, types: {US_SSN: block}}}",
            "{pii: redact}",
            "pii type US_SSN: block → redact (looser)",
            Looser,
        );
        check(
            "{pii: {action: redact, threshold: 0.5}}",
            "{pii: {action: redact, threshold: 0.7}}",
            "pii threshold: 0.5 → 0.7 (looser)",
            Looser,
        );
        check(
            "{injection: block}",
            "{injection: {action: block, threshold: 0.7}}",
            "injection threshold: the detector's → 0.7 (both)",
            Both,
        );
        check(
            "{injection: {action: block, scope: [user]}}",
            "{injection: {action: block, scope: [user, tool_result]}}",
            "injection scope: user → user, tool_result (tighter)",
            Tighter,
        );
        check(
            "{pii: {action: block, shadow: yes}}",
            "{pii: block}",
            "pii shadow: on trial → done (tighter)",
            Tighter,
        );
        check(
            "{pii: {action: block, sample: 50%}}",
            "{pii: {action: block, sample: 10%}}",
            "pii sample: 50 % → 10 % (looser)",
            Looser,
        );
        check(
            "{pii: block}",
            "{pii: {action: block, on_error: open}}",
            "pii on_error: closed → open (looser)",
            Looser,
        );
        check(
            "{pii: reroute}",
            "{pii: {action: reroute, to: small}}",
            "pii to: the next target → small (otherwise)",
            Otherwise,
        );
        check(
            "{max_size: 1 MB}",
            "{max_size: 2 MB}",
            "max_size: 1048576 bytes → 2097152 bytes (looser)",
            Looser,
        );
    }

    #[test]
    fn a_version_that_was_not_raised_enough_is_warned_of() {
        let check = |before: &str, after: &str, needed: Raise, is_warned: bool| {
            let diff = compare(before, after);
            assert_eq!((diff.raise_needed, !diff.warnings.is_empty()), (needed, is_warned), "{diff:?}");
        };
        let strict = |version: &str| format!("version: {version}\ninput: {{pii: block}}\n");
        let lax = |version: &str| format!("version: {version}\ninput: {{pii: flag}}\n");
        check(&strict("1.2.0"), &lax("1.3.0"), Raise::Major, true);
        check(&strict("1.2.0"), &lax("2.0.0"), Raise::Major, false);
        check(&lax("1.2.0"), &strict("1.2.1"), Raise::Minor, true);
        check(&lax("1.2.0"), &strict("1.3.0"), Raise::Minor, false);
        check(&lax("1.2.0"), &format!("{}description: words\n", lax("1.2.0")), Raise::Patch, true);
        check(&lax("1.2.0"), &lax("1.2.1"), Raise::Patch, false);
        check(&lax("1.2.0"), &lax("1.1.0"), Raise::Patch, true);
        check(&lax("1.2.0"), &lax("1.2.0"), Raise::None, false);
    }
}

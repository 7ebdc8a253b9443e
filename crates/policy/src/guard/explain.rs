//! The guards of a call before it is made: which level says what, and what holds in the end.

use gauntlet_types::{
    Action, Caller, Direction, ExceptedValue, Exception, Name, OnError, Rule, Scope, Timestamp,
};
use serde::Serialize;
use thiserror::Error;

use super::{Chain, Level};
use crate::config::Policy;

/// The call that is asked about. What is left out is as a call without it: tenant and route `default`, no key.
#[derive(Clone, Copy, Default, Debug)]
pub struct Asked<'a> {
    pub tenant: Option<&'a str>,
    pub route: Option<&'a str>,
    pub key: Option<&'a str>,
    /// What the call itself asks for on top.
    pub policies: &'a [String],
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ExplainError {
    #[error("there is no route `{name}`; there are: {known}")]
    Route { name: String, known: String },
    #[error("there is no guardrail policy `{name}`; there are: {known}")]
    Policy { name: String, known: String },
    #[error("key `{key}` is of tenant `{of}`, so no call with it is of tenant `{tenant}`")]
    Tenant { key: String, of: Name, tenant: String },
}

/// What holds for such a call.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explained {
    pub tenant: Name,
    pub route: Name,
    pub key: Option<Name>,
    /// From the floor down.
    pub levels: Vec<LevelShown>,
    pub rules: Vec<Holding>,
    pub size_max: Option<SizeMax>,
    pub exceptions: Vec<ExceptionShown>,
    /// What the answer leaves open.
    pub notes: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LevelShown {
    pub level: &'static str,
    pub of: Name,
    pub policy: Option<Name>,
    pub version: Option<String>,
    pub hash: Option<Name>,
    pub file: Name,
    /// As records name it.
    pub label: Name,
}

/// The least of the bounds on a request's size.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SizeMax {
    pub bytes: usize,
    pub by: Name,
}

/// What holds about one kind of finding.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Holding {
    pub direction: Direction,
    pub kind: &'static str,
    /// What is done in most scopes about types that no rule names.
    pub action: Action,
    /// The level whose rule decides; none where none asks for anything.
    pub by: Option<Name>,
    /// Scores below it are passed over by that rule; none leaves it to the detector.
    pub threshold: Option<f32>,
    /// What becomes of a call that this guard cannot look at.
    pub on_error: &'static str,
    /// Scopes in which something else is done.
    pub scopes: Vec<Elsewhere>,
    /// Types about which something else is done.
    pub types: Vec<OfType>,
    /// Every level that says something, from the floor down.
    pub voices: Vec<VoiceShown>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Elsewhere {
    pub scope: Scope,
    pub action: Action,
    pub by: Option<Name>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OfType {
    #[serde(rename = "type")]
    pub label: Name,
    pub action: Action,
    pub by: Option<Name>,
}

/// What a level's word comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Decides,
    /// It decides about some types or scopes alone.
    DecidesInPart,
    /// Another level has said it before.
    Same,
    /// Another level asks for more, which a milder word does not loosen.
    Milder,
    /// Noted as what it would do.
    OnTrial,
}

impl Effect {
    pub const fn words(self) -> &'static str {
        match self {
            Effect::Decides => "decides",
            Effect::DecidesInPart => "decides in part",
            Effect::Same => "the same",
            Effect::Milder => "milder, loosens nothing",
            Effect::OnTrial => "on trial, not done",
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct VoiceShown {
    pub level: Name,
    pub action: Action,
    pub effect: Effect,
    pub threshold: Option<f32>,
    /// None for all.
    pub scopes: Option<Vec<Scope>>,
    pub types: Vec<(Name, Action)>,
    pub on_error: &'static str,
    pub shadow: bool,
    pub sample: f64,
    /// Which model `reroute` asks.
    pub to: Option<Name>,
    /// What follows a `repair` or `reask` that did not help.
    pub or_else: Option<Action>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ExceptionShown {
    pub kind: Name,
    #[serde(rename = "type")]
    pub label: Option<Name>,
    /// Hash of the value, as records note it.
    pub value: Option<Name>,
    pub text: Option<Name>,
    pub tenant: Option<Name>,
    pub route: Option<Name>,
    pub scope: Option<Scope>,
    pub until: String,
    /// Whole days that are left; negative once it has ended.
    pub days_left: i64,
    pub why: Option<Name>,
}

impl ExceptionShown {
    pub fn of(exception: &Exception, now: Timestamp) -> ExceptionShown {
        let (value, text) = match &exception.value {
            ExceptedValue::Hash(hash) => (Some(hash.clone()), None),
            ExceptedValue::Text(text) => (None, Some(text.clone())),
            ExceptedValue::Any => (None, None),
        };
        ExceptionShown {
            kind: exception.kind.clone(),
            label: exception.label.clone(),
            value,
            text,
            tenant: exception.tenant.clone(),
            route: exception.route.clone(),
            scope: exception.scope,
            until: exception.until.day().to_string(),
            days_left: i64::from(exception.until.day().0) - i64::from(now.day().0),
            why: exception.why.clone(),
        }
    }
}

/// Whether an exception holds for calls of a tenant on a route at this time.
pub fn holds(exception: &Exception, tenant: &str, route: &str, now: Timestamp) -> bool {
    let is = |bound: &Option<Name>, name: &str| bound.as_ref().is_none_or(|bound| **bound == *name);
    exception.until > now && is(&exception.tenant, tenant) && is(&exception.route, route)
}

/// Says what holds for such a call at this time.
pub fn explain(policy: &Policy, asked: &Asked<'_>, now: Timestamp) -> Result<Explained, ExplainError> {
    let config = policy.config();
    let mut notes = Vec::new();
    let name = asked.route.unwrap_or("default");
    let Some(route) = policy.route(name) else {
        let known = listed(config.routes.keys().map(Name::as_str));
        return Err(ExplainError::Route { name: name.to_owned(), known });
    };
    let mut caller = Caller { tenant: asked.tenant.unwrap_or("default").into(), ..Caller::default() };
    if let Some(key) = asked.key {
        caller.key = Some(key.into());
        match policy.keys().iter().find(|grant| *grant.name == *key) {
            Some(grant) => {
                if let Some(tenant) = asked.tenant.filter(|tenant| *grant.tenant != **tenant) {
                    let (key, of) = (key.to_owned(), grant.tenant.clone());
                    return Err(ExplainError::Tenant { key, of, tenant: tenant.to_owned() });
                }
                caller.tenant = grant.tenant.clone();
                if !grant.allows_route(name) {
                    notes.push(format!("key `{key}` may not use route `{name}`"));
                }
            }
            None => notes.push(format!(
                "key `{key}` is not in the configuration, so its tenant is taken to be `{}`",
                caller.tenant
            )),
        }
    }
    let chain = policy.guards(&caller, route, asked.policies.iter().map(String::as_str));
    let chain = chain.map_err(|unknown| ExplainError::Policy {
        name: unknown.to_owned(),
        known: listed(config.guards.policies.iter().map(|policy| policy.id.name.as_str())),
    })?;
    let all = &config.guards.exceptions;
    let exceptions = all.iter().filter(|exception| holds(exception, &caller.tenant, name, now));
    Ok(Explained {
        levels: chain.levels().iter().map(|level| level_shown(policy, level)).collect(),
        rules: [Direction::Input, Direction::Output]
            .into_iter()
            .flat_map(|direction| holdings(&chain, direction))
            .collect(),
        size_max: size_max(&chain),
        exceptions: exceptions.map(|exception| ExceptionShown::of(exception, now)).collect(),
        notes,
        tenant: caller.tenant,
        route: route.name.clone(),
        key: caller.key,
    })
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn level_shown(policy: &Policy, level: &Level) -> LevelShown {
    let id = level.policy.as_ref();
    let mut policies = policy.config().guards.policies.iter();
    let file = id.and_then(|id| policies.find(|policy| policy.id == *id)).map(|policy| policy.file.clone());
    LevelShown {
        level: level.kind.as_str(),
        of: level.of.clone(),
        policy: id.map(|id| id.name.clone()),
        version: id.map(|id| id.version.to_string()),
        hash: id.map(|id| id.hash.clone()),
        // Rules that stand in no file of their own are written where the level is.
        file: file.unwrap_or_else(|| "gauntlet.yml".into()),
        label: level.label().clone(),
    }
}

fn size_max(chain: &Chain) -> Option<SizeMax> {
    let bounds = chain
        .levels()
        .iter()
        .filter_map(|level| level.rules.size_max.map(|bytes| SizeMax { bytes, by: level.label().clone() }));
    bounds.min_by_key(|bound| bound.bytes)
}

/// What a guard can meet: an answer has words and arguments of tools alone.
const fn scopes_of(direction: Direction) -> &'static [Scope] {
    match direction {
        Direction::Input => &Scope::ALL,
        Direction::Output => &[Scope::Assistant, Scope::ToolArguments],
    }
}

fn holdings(chain: &Chain, direction: Direction) -> Vec<Holding> {
    let mut kinds: Vec<&'static str> = Vec::new();
    for rule in chain.levels().iter().flat_map(|level| level.rules.rules(direction)) {
        if !kinds.contains(&rule.kind) {
            kinds.push(rule.kind);
        }
    }
    kinds.into_iter().map(|kind| holding(chain, direction, kind)).collect()
}

type Spoken<'a> = (&'a Name, &'a Rule);

/// What is done about a type in a scope, and the first level that asks for it. The empty type is one that nobody names.
fn decided<'a>(spoken: &[Spoken<'a>], label: &str, scope: Scope) -> (Action, Option<Spoken<'a>>) {
    let mut most = (Action::Allow, None);
    for (level, rule) in spoken.iter().filter(|(_, rule)| !rule.shadow && rule.sample > 0.0) {
        // Of a finding that every threshold lets through.
        let action = rule.action(label, 1.0, scope, 0.0);
        if action > most.0 {
            most = (action, Some((*level, *rule)));
        }
    }
    most
}

fn holding(chain: &Chain, direction: Direction, kind: &'static str) -> Holding {
    let levels = chain.levels().iter();
    let spoken: Vec<Spoken<'_>> = levels
        .flat_map(|level| level.rules.rules(direction).iter().map(|rule| (level.label(), rule)))
        .filter(|(_, rule)| rule.kind == kind)
        .collect();
    let scopes = scopes_of(direction);
    let by_scope: Vec<_> = scopes.iter().map(|scope| decided(&spoken, "", *scope)).collect();
    let level_of = |found: &(Action, Option<Spoken<'_>>)| (found.0, found.1.map(|(level, _)| level.clone()));
    let count = |found: &(Action, Option<Spoken<'_>>)| {
        by_scope.iter().filter(|other| level_of(other) == level_of(found)).count()
    };
    // The first of the most frequent, so that what is shown as the rule is true nearly everywhere.
    let usual =
        by_scope.iter().rev().max_by_key(|found| count(found)).copied().unwrap_or((Action::Allow, None));
    let others = scopes.iter().zip(&by_scope).filter(|(_, found)| level_of(found) != level_of(&usual));
    let mut labels: Vec<&Name> =
        spoken.iter().flat_map(|(_, rule)| rule.types.iter().map(|(label, _)| label)).collect();
    labels.sort_unstable();
    labels.dedup();
    let main = scopes.iter().zip(&by_scope).find(|(_, found)| level_of(found) == level_of(&usual));
    let main = main.map_or(Scope::User, |(scope, _)| *scope);
    let types = labels.iter().filter_map(|label| {
        let (action, voice) = decided(&spoken, label, main);
        let by = voice.map(|(level, _)| level.clone());
        (action != usual.0).then(|| OfType { label: (*label).clone(), action, by })
    });
    let is_closed = |(_, rule): &Spoken<'_>| rule.is_on() && rule.is_closed();
    Holding {
        direction,
        kind,
        action: usual.0,
        by: usual.1.map(|(level, _)| level.clone()),
        threshold: usual.1.and_then(|(_, rule)| rule.threshold),
        on_error: if spoken.iter().any(is_closed) { "closed" } else { "open" },
        scopes: others
            .map(|(scope, found)| {
                let (action, by) = level_of(found);
                Elsewhere { scope: *scope, action, by }
            })
            .collect(),
        types: types.collect(),
        voices: spoken.iter().map(|voice| voice_shown(&spoken, voice, usual, &labels, scopes)).collect(),
    }
}

fn voice_shown(
    spoken: &[Spoken<'_>],
    voice: &Spoken<'_>,
    usual: (Action, Option<Spoken<'_>>),
    labels: &[&Name],
    scopes: &'static [Scope],
) -> VoiceShown {
    let (level, rule) = *voice;
    let is_it =
        |decided: (Action, Option<Spoken<'_>>)| decided.1.is_some_and(|(_, other)| std::ptr::eq(other, rule));
    let decides_in_part = || {
        let any = || labels.iter().map(|label| label.as_str()).chain([""]);
        scopes.iter().any(|scope| any().any(|label| is_it(decided(spoken, label, *scope))))
    };
    let effect = match () {
        () if rule.shadow => Effect::OnTrial,
        () if is_it(usual) => Effect::Decides,
        () if decides_in_part() => Effect::DecidesInPart,
        () if rule.action == usual.0 => Effect::Same,
        () => Effect::Milder,
    };
    let named: Vec<Scope> = scopes.iter().copied().filter(|scope| rule.scopes.has(*scope)).collect();
    VoiceShown {
        level: level.clone(),
        action: rule.action,
        effect,
        threshold: rule.threshold,
        scopes: (named.len() < scopes.len()).then_some(named),
        types: rule.types.clone(),
        on_error: on_error(rule.on_error),
        shadow: rule.shadow,
        sample: rule.sample,
        to: rule.to.clone(),
        or_else: matches!(rule.action, Action::Repair | Action::Reask).then_some(rule.or_else),
    }
}

pub(super) const fn on_error(on_error: OnError) -> &'static str {
    match on_error {
        OnError::Closed => "closed",
        OnError::Open => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, Source, Sources, load};

    fn policy(main: &str, policies: &[&str], exceptions: &str) -> Policy {
        let file = |(i, text): (usize, &&str)| Source {
            file: format!("guardrails/{i}.yaml"),
            text: (*text).to_owned(),
        };
        let sources = Sources {
            gauntlet: Some(Source { file: "gauntlet.yml".into(), text: main.into() }),
            guardrails: policies.iter().enumerate().map(file).collect(),
            exceptions: Some(Source { file: "exceptions.yml".into(), text: exceptions.into() }),
            ..Sources::default()
        };
        load(&sources, &|_| None, &LoadOptions::default()).unwrap().policy
    }

    const MAIN: &str = "guardrails:
  floor: strict
  tenants: {acme: {input: {pii: {action: mask, types: {US_SSN: block}}}}}
routes:
  bot: {input: {pii: off, secrets: flag, injection: {action: block, scope: [tool_result], shadow: yes}}}
";
    const STRICT: &str =
        "name: strict\nversion: 1.2.0\ninput: {pii: redact, secrets: {action: block, threshold: 0.6}}\n";

    fn find<'a>(explained: &'a Explained, kind: &str) -> &'a Holding {
        let mut rules = explained.rules.iter();
        rules.find(|rule| rule.kind == kind && rule.direction == Direction::Input).unwrap()
    }

    #[test]
    fn the_most_severe_word_holds_and_a_milder_one_loosens_nothing() {
        let policy = policy(MAIN, &[STRICT], "[]");
        let asked = Asked { tenant: Some("acme"), route: Some("bot"), ..Asked::default() };
        let explained = explain(&policy, &asked, Timestamp(0)).unwrap();
        assert_eq!(explained.levels[0].file, "guardrails/0.yaml");
        assert_eq!(explained.levels[1].file, "gauntlet.yml");
        let secrets = find(&explained, "secrets");
        assert_eq!(
            (secrets.action, secrets.threshold, secrets.on_error),
            (Action::Block, Some(0.6), "closed")
        );
        assert!(secrets.by.as_ref().unwrap().starts_with("floor, strict@1.2.0 ("));
        let effects: Vec<_> = secrets.voices.iter().map(|voice| (voice.action, voice.effect)).collect();
        assert_eq!(effects, [(Action::Block, Effect::Decides), (Action::Flag, Effect::Milder)]);
        let pii = find(&explained, "pii");
        assert_eq!((pii.action, pii.types[0].action), (Action::Redact, Action::Block));
        assert_eq!(pii.types[0].by.as_deref(), Some("tenant acme"));
        let effects: Vec<_> = pii.voices.iter().map(|voice| voice.effect).collect();
        assert_eq!(effects, [Effect::Decides, Effect::DecidesInPart, Effect::Milder]);
        let injection = find(&explained, "injection");
        assert_eq!(
            (injection.action, injection.by.as_ref()),
            (Action::Allow, None),
            "a rule on trial is not done"
        );
        assert_eq!(injection.voices[0].effect, Effect::OnTrial);
        assert_eq!(injection.voices[0].scopes, Some(vec![Scope::ToolResult]));
    }

    #[test]
    fn scopes_in_which_something_else_is_done_are_named() {
        let main = "guardrails: {floor: {input: {injection: flag}}}\n\
                    default: {input: {injection: {action: block, scope: [tool_result]}}}";
        let explained = explain(&policy(main, &[], "[]"), &Asked::default(), Timestamp(0)).unwrap();
        let injection = find(&explained, "injection");
        assert_eq!((injection.action, injection.by.as_deref()), (Action::Flag, Some("floor")));
        assert_eq!(
            (injection.scopes[0].scope, injection.scopes[0].action),
            (Scope::ToolResult, Action::Block)
        );
        assert_eq!(injection.voices[1].effect, Effect::DecidesInPart);
    }

    #[test]
    fn exceptions_hold_for_their_tenant_and_route_until_their_day() {
        let exceptions = "- {kind: pii, type: X, route: bot, until: 2026-12-01, why: w}\n\
                          - {kind: pii, type: Y, tenant: other, until: 2026-12-01}\n\
                          - {kind: pii, type: Z, until: 2026-11-01}\n";
        let policy = policy(MAIN, &[STRICT], exceptions);
        let now = gauntlet_types::Day::parse("2026-11-21").unwrap().start();
        let asked = Asked { tenant: Some("acme"), route: Some("bot"), ..Asked::default() };
        let explained = explain(&policy, &asked, now).unwrap();
        let shown: Vec<_> =
            explained.exceptions.iter().map(|one| (one.label.as_deref(), one.days_left)).collect();
        assert_eq!(shown, [(Some("X"), 10)]);
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let policy = policy(MAIN, &[STRICT], "[]");
        let ask = |route, policies: &[String]| {
            let asked = Asked { route, policies, ..Asked::default() };
            explain(&policy, &asked, Timestamp(0)).unwrap_err().to_string()
        };
        assert_eq!(ask(Some("bo"), &[]), "there is no route `bo`; there are: bot");
        assert!(ask(None, &["lax".to_owned()]).contains("`lax`; there are: strict"));
        let asked = Asked { key: Some("nobodys"), ..Asked::default() };
        assert!(
            explain(&policy, &asked, Timestamp(0)).unwrap().notes[0].contains("not in the configuration")
        );
    }
}

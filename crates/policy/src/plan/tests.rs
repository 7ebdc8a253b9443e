use gauntlet_types::{Caller, Code, Timestamp};

use super::*;
use crate::config::{self, KillEntry, KillScope, Kills, LoadOptions, Source, Sources};

const ONE: &str = "providers: {openai: {}, sim: {}}\n";
const TWO: &str = "\
providers: {openai: {}, azure: {dialect: openai, prices_as: openai}, anthropic: {}, local: {dialect: openai, url: \"http://l:1\"}, sim: {}}
models: {support: [anthropic/claude-haiku-4-5, local/smollm2], pinned: {targets: [anthropic/claude-opus-4]}}
routes: {support_bot: {model: support}}
";
const LOCAL: &str = "providers: {local: {dialect: openai, url: \"http://l:1\"}}\n";

fn policy(text: &str) -> Policy {
    let gauntlet = Some(Source { file: "gauntlet.yml".into(), text: text.into() });
    let sources = Sources { gauntlet, ..Sources::default() };
    config::load(&sources, &|_| None, &LoadOptions::default()).unwrap().policy
}

fn kill(policy: Policy, models: &[&str]) -> Policy {
    let entry = |name: &&str| KillEntry {
        scope: KillScope::Model,
        name: (*name).into(),
        reason: "drill".into(),
        since: Timestamp(0),
    };
    policy.with_kills(Kills::new(models.iter().map(entry)))
}

/// What the route of that name makes of a wish, and where that leads.
#[track_caller]
fn check(
    policy: &Policy,
    route: &str,
    asked: &str,
    pinned: Option<&str>,
    expected: Result<&[&str], (Code, &str)>,
) {
    let facts = choose::Facts {
        caller: &Caller::default(),
        model: asked,
        task: None,
        has_more_tokens: &|_| false,
        hour: 12,
        stream: false,
        tools: false,
        images: false,
    };
    let chosen = choose::choose(policy.config(), policy.route(route).unwrap(), &facts).unwrap();
    let planned = plan(policy, pinned.unwrap_or(&chosen.model), &[]);
    match (planned, expected) {
        (Ok(plan), Ok(expected)) => {
            let targets: Vec<String> = plan.choices.iter().map(|choice| choice.target.to_string()).collect();
            assert_eq!(targets, expected, "{asked}");
        }
        (Err(fault), Err((code, message))) => {
            assert_eq!(fault.code, code, "{fault}");
            assert!(fault.message.contains(message), "{fault}");
        }
        (planned, _) => panic!("{asked}: {planned:?}"),
    }
}

#[test]
fn names_lead_to_targets() {
    let (one, two, local) = (policy(ONE), policy(TWO), policy(LOCAL));
    let unknown = |message| Err((Code::UnknownModel, message));
    check(&two, "default", "support", None, Ok(&["anthropic/claude-haiku-4-5", "local/smollm2"]));
    check(&two, "default", "local/org/model", None, Ok(&["local/org/model"]));
    check(&two, "default", "sim/any", None, Ok(&["sim/any"]));
    // By the vendor that the name belongs to.
    check(&two, "default", "claude-opus-4", None, Ok(&["anthropic/claude-opus-4"]));
    check(&two, "default", "gpt-4o", None, unknown("ask for `azure/gpt-4o` or `openai/gpt-4o`"));
    check(&two, "default", "smollm2", None, unknown("unknown model `smollm2`"));
    check(&two, "default", "suport", None, unknown("did you mean `support`?"));
    check(&two, "default", "", None, unknown("unknown model ``"));
    // By the only provider, unless it is known to have no such model; the simulated one is no choice.
    check(&one, "default", "gpt-4o-mini", None, Ok(&["openai/gpt-4o-mini"]));
    check(&one, "default", "ft-something", None, Ok(&["openai/ft-something"]));
    check(
        &one,
        "default",
        "claude-opus-4",
        None,
        unknown("ask for `provider/model` with one of the providers openai, sim"),
    );
    check(&local, "default", "gpt-4o", None, Ok(&["local/gpt-4o"]));
    check(&local, "default", "org/model", None, Ok(&["local/org/model"]));
    check(&policy("providers: {sim: {}}"), "default", "gpt-4o", None, unknown("unknown model"));
    check(&policy("store: sqlite"), "default", "gpt-4o", None, unknown("no real provider is configured"));
}

#[test]
fn a_pin_wins_over_the_route_and_the_route_over_the_caller() {
    let two = policy(TWO);
    check(&two, "support_bot", "openai/gpt-4o", None, Ok(&["anthropic/claude-haiku-4-5", "local/smollm2"]));
    check(&two, "support_bot", "openai/gpt-4o", Some("pinned"), Ok(&["anthropic/claude-opus-4"]));
    check(&two, "support_bot", "openai/gpt-4o", Some("openai/o1"), Ok(&["openai/o1"]));
}

#[test]
fn killed_models_are_skipped_while_another_remains() {
    let two = |models: &[&str]| kill(policy(TWO), models);
    let killed = Err((Code::Killed, "is switched off: drill"));
    check(&two(&["claude-haiku-4-5"]), "default", "support", None, Ok(&["local/smollm2"]));
    check(&two(&["local/smollm2"]), "default", "support", None, Ok(&["anthropic/claude-haiku-4-5"]));
    check(&two(&["local/smollm2", "claude-haiku-4-5"]), "default", "support", None, killed);
    check(&two(&["support"]), "support_bot", "gpt-4o", None, killed);
    check(
        &two(&["azure/smollm2"]),
        "default",
        "support",
        None,
        Ok(&["anthropic/claude-haiku-4-5", "local/smollm2"]),
    );
}

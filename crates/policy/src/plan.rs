//! Which models a call may be sent to. Pure: `choose` says which name counts, `order` which target comes first, and the
//! attempt how far down the list it goes.

pub mod choose;
pub mod explain;
pub mod order;

use std::time::Duration;

use gauntlet_places::near;
use gauntlet_types::{Code, Fault, Name, Target};

use crate::config::{Choice, Config, Dialect, Policy, Provider, Residence, Sticky, Strategy};

/// What a model name stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolved {
    Targets(Vec<Target>),
    /// Several providers could serve the bare name.
    Ambiguous(Vec<Target>),
    Unknown,
}

/// The targets of a model that a call may use, and how one of them is chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// In the order they are written, each once; never empty.
    pub choices: Vec<Choice>,
    pub strategy: Strategy,
    pub sticky: Sticky,
    /// After so long without a first token the next target is asked as well.
    pub hedge: Option<Duration>,
    pub left_out: Vec<LeftOut>,
}

/// A target that the call may not use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    pub target: Target,
    /// Ends the sentence "left out: …".
    pub why: String,
}

/// Plans a call of a model. Killed targets, and those outside the regions that the call is bound to, are left out.
///
/// Errors: `unknown_model`; `killed` when every target is; `forbidden` when none is left where it may go.
pub fn plan(policy: &Policy, model: &str, residences: &[Residence<'_>]) -> Result<Plan, Fault> {
    if let Some(entry) = policy.kills().alias(model) {
        return Err(killed(model, &entry.reason));
    }
    let config = policy.config();
    let (choices, strategy, sticky, hedge) = match config.models.get(model) {
        Some(entry) => (entry.choices.clone(), entry.strategy, entry.sticky, entry.hedge),
        None => match resolve(config, model) {
            Resolved::Targets(targets) => {
                (targets.into_iter().map(Choice::new).collect(), Strategy::Fallback, Sticky::Off, None)
            }
            Resolved::Ambiguous(targets) => return Err(ambiguous(model, &targets)),
            Resolved::Unknown => return Err(unknown(config, model)),
        },
    };
    let mut plan =
        Plan { choices: Vec::with_capacity(choices.len()), strategy, sticky, hedge, left_out: Vec::new() };
    let (mut kill, mut abroad) = (None, None);
    for choice in choices {
        let region = config.region_of(&choice);
        let bound = residences.iter().find(|residence| !residence.allows(region.map(Name::as_str)));
        let why = match (policy.kills().target(&choice.target), bound) {
            (Some(entry), _) => {
                kill.get_or_insert_with(|| entry.reason.clone());
                "switched off".to_owned()
            }
            (None, Some(bound)) => {
                abroad.get_or_insert(*bound);
                let place =
                    region.map_or_else(|| "of unknown region".into(), |region| format!("in {region}"));
                format!("{place}, and {} `{}` is bound to {}", bound.of, bound.name, list(bound.regions))
            }
            (None, None) => {
                plan.choices.push(choice);
                continue;
            }
        };
        plan.left_out.push(LeftOut { target: choice.target, why });
    }
    match (plan.choices.is_empty(), abroad, kill) {
        (false, ..) => Ok(plan),
        (true, Some(bound), _) => Err(outside(model, &bound)),
        (true, None, Some(reason)) => Err(killed(model, &reason)),
        (true, None, None) => Err(unknown(config, model)),
    }
}

fn list(regions: &[Name]) -> String {
    regions.iter().map(Name::as_str).collect::<Vec<_>>().join(" or ")
}

fn outside(model: &str, bound: &Residence<'_>) -> Fault {
    let message = format!(
        "no target of model `{model}` that may be used is in {}, where calls of {} `{}` must stay",
        list(bound.regions),
        bound.of,
        bound.name
    );
    Fault::policy(Code::Forbidden, message).param("model")
}

/// Bare model names whose vendor is plain from their beginning.
const PREFIXES: [(&str, &str); 17] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("whisper-", "openai"),
    ("tts-", "openai"),
    ("dall-e", "openai"),
    ("omni-moderation", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "google"),
    ("grok-", "x-ai"),
    ("deepseek-", "deepseek"),
    ("mistral-", "mistral"),
    ("command-", "cohere"),
];

/// Says what a model name stands for:
///
/// 1. a name of `models`: its targets;
/// 2. `provider/model` with a configured provider: that;
/// 3. a bare name that begins as a vendor's names do (`gpt-…`, `claude-…`, `gemini-…`), with exactly one provider of
///    that vendor: its model;
/// 4. any other bare name, with exactly one provider in all: its model, unless that provider is a vendor known to have
///    no such model.
///
/// The simulated model is never chosen for a bare name: it must be asked for.
pub fn resolve(config: &Config, model: &str) -> Resolved {
    if let Some(model) = config.models.get(model) {
        return Resolved::Targets(model.choices.iter().map(|choice| choice.target.clone()).collect());
    }
    if let Some(target) = Target::parse(model)
        && config.providers.contains_key(&*target.provider)
    {
        return Resolved::Targets(vec![target]);
    }
    if model.is_empty() {
        return Resolved::Unknown;
    }
    let mut real: Vec<&Provider> = config
        .providers
        .values()
        .map(|provider| &**provider)
        .filter(|provider| provider.dialect != Dialect::Sim)
        .collect();
    real.sort_by(|one, other| one.name.cmp(&other.name));
    let vendor = PREFIXES.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, vendor)| *vendor);
    let is_of_vendor = |provider: &Provider| vendor.is_some() && provider.vendor.as_deref() == vendor;
    let sold_by: Vec<&Provider> = real.iter().copied().filter(|provider| is_of_vendor(provider)).collect();
    let target = |provider: &Provider| Target { provider: provider.name.clone(), model: model.into() };
    match (sold_by.as_slice(), real.as_slice()) {
        ([one], _) => Resolved::Targets(vec![target(one)]),
        ([], [one]) => {
            // A vendor with names of its own sells nobody else's.
            let sells_its_own =
                one.vendor.as_deref().is_some_and(|v| PREFIXES.iter().any(|(_, vendor)| *vendor == v));
            if vendor.is_some() && sells_its_own {
                Resolved::Unknown
            } else {
                Resolved::Targets(vec![target(one)])
            }
        }
        ([], _) => Resolved::Unknown,
        (several, _) => Resolved::Ambiguous(several.iter().map(|provider| target(provider)).collect()),
    }
}

fn killed(model: &str, reason: &str) -> Fault {
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Fault::policy(Code::Killed, format!("model `{model}` is switched off{because}")).param("model")
}

fn ambiguous(model: &str, targets: &[Target]) -> Fault {
    let choices = targets.iter().map(|target| format!("`{target}`")).collect::<Vec<_>>().join(" or ");
    let message = format!("model `{model}` could come from several providers; ask for {choices}");
    Fault::caller(Code::UnknownModel, message).param("model")
}

/// How many names a message lists: enough to help, few enough to read.
const NAMES_SHOWN: usize = 8;

fn unknown(config: &Config, model: &str) -> Fault {
    let mut names: Vec<&str> = config.models.keys().map(Name::as_str).collect();
    names.sort_unstable();
    let near = near::nearest(model, names.iter().copied());
    let only_simulated = config.providers.values().all(|provider| provider.dialect == Dialect::Sim);
    let cure = match (near, names.is_empty(), only_simulated) {
        (Some(near), ..) => format!("did you mean `{near}`?"),
        (None, _, true) => {
            "no real provider is configured: set OPENAI_API_KEY, or write `providers:` in gauntlet.yml"
                .to_owned()
        }
        (None, true, false) => {
            let mut providers: Vec<&str> = config.providers.keys().map(Name::as_str).collect();
            providers.sort_unstable();
            providers.truncate(NAMES_SHOWN);
            format!("ask for `provider/model` with one of the providers {}", providers.join(", "))
        }
        (None, false, false) => {
            names.truncate(NAMES_SHOWN);
            format!("known: {}, and `provider/model`", names.join(", "))
        }
    };
    // The name is the caller's text: cut, so that a message stays a message.
    let shown: String = model.chars().take(100).collect();
    Fault::caller(Code::UnknownModel, format!("unknown model `{shown}`; {cure}")).param("model")
}

#[cfg(test)]
mod tests;

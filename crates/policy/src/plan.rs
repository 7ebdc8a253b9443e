//! Which models a call is sent to, in which order. Pure: the breaker and the attempt decide how far down the list it goes.

use gauntlet_types::{Code, Fault, Name, Target};

use crate::config::{Config, Dialect, Policy, Provider, Route, near};

/// What a model name stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolved {
    Targets(Vec<Target>),
    /// Several providers could serve the bare name.
    Ambiguous(Vec<Target>),
    Unknown,
}

/// The targets of a call in fallback order, each once; never empty.
///
/// Which name counts: the model that the prompt version is pinned to, else the route's `model`, else what the caller
/// asked for. Killed models are left out while another target remains.
/// Errors: `unknown_model`, and `killed` when every target is.
pub fn plan(
    policy: &Policy,
    route: &Route,
    asked_model: &str,
    pinned: Option<&str>,
) -> Result<Vec<Target>, Fault> {
    let model = pinned.or(route.model.as_deref()).unwrap_or(asked_model);
    if let Some(entry) = policy.kills().alias(model) {
        return Err(killed(model, &entry.reason));
    }
    let mut targets = match resolve(policy.config(), model) {
        Resolved::Targets(targets) => targets,
        Resolved::Ambiguous(targets) => return Err(ambiguous(model, &targets)),
        Resolved::Unknown => return Err(unknown(policy.config(), model)),
    };
    let mut reason = None;
    targets.retain(|target| match policy.kills().target(target) {
        Some(entry) => {
            reason.get_or_insert_with(|| entry.reason.clone());
            false
        }
        None => true,
    });
    match reason {
        Some(reason) if targets.is_empty() => Err(killed(model, &reason)),
        _ if targets.is_empty() => Err(unknown(policy.config(), model)),
        _ => Ok(targets),
    }
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
    if let Some(targets) = config.models.get(model) {
        return Resolved::Targets(targets.clone());
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

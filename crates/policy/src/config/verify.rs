//! Checks that span sections and files: names that lead nowhere, models that nobody can pay for.

use std::{collections::HashSet, sync::Arc};

use gauntlet_places::near::did_you_mean;
use gauntlet_types::{Name, Target};

use super::{
    budgets::{AtLimit, BudgetRule, BudgetScope},
    keys::Keys,
    limits::LimitScope,
    node::At,
    policy::Config,
    read::Report,
    routes::{self, RouteShape},
    routing::is_within,
    shape::{Route, Unpriced},
};
use crate::plan::{self, Resolved};

/// Whether a caller may ask for a model of that name, or some alias leads to one.
fn is_known_model(config: &Config, model: &str) -> bool {
    !matches!(plan::resolve(config, model), Resolved::Unknown)
        || config.targets().any(|target| *target.model == *model)
}

/// Whether a cap on that model will probably be drawn on. A vendor's provider takes any bare name, so there the price
/// table is asked too: `gpt-40` is a slip.
fn is_plausible_model(config: &Config, model: &str) -> bool {
    if config.models.contains_key(model)
        || config.targets().any(|target| *target.model == *model || *target.to_string() == *model)
    {
        return true;
    }
    let (Resolved::Targets(targets) | Resolved::Ambiguous(targets)) = plan::resolve(config, model) else {
        return false;
    };
    targets.iter().any(|target| {
        let is_stranger =
            config.providers.get(&target.provider).is_some_and(|provider| provider.vendor.is_none());
        is_stranger || config.is_priced(target)
    })
}

pub(super) fn route_models(config: &Config, routes: &[(&str, &RouteShape)], report: &mut Report) {
    for (route, shape) in routes {
        let owner =
            if *route == routes::DEFAULT { "`default`".to_owned() } else { format!("route `{route}`") };
        let embedder = shape.embedder.as_ref().map(|named| (format!("the `cache` of {owner}"), named));
        for (owner, (model, at)) in
            shape.model.as_ref().map(|named| (owner.clone(), named)).into_iter().chain(embedder)
        {
            named_model(config, &owner, model, *at, report);
        }
        for (number, (rule, at)) in shape.by_rule.iter().enumerate() {
            let owner = format!("rule {} of {owner}", number + 1);
            named_model(config, &owner, &rule.model, *at, report);
        }
    }
}

/// Reports a model that leads nowhere, or to several places.
fn named_model(config: &Config, owner: &str, model: &str, at: At, report: &mut Report) {
    match plan::resolve(config, model) {
        Resolved::Targets(_) => {}
        Resolved::Ambiguous(targets) => {
            let message = format!("{owner} names model `{model}`, which several providers could serve");
            let choices = targets.iter().map(|target| format!("`{target}`")).collect::<Vec<_>>().join(" or ");
            report.error(at, message, format!("write {choices}"));
        }
        Resolved::Unknown => {
            let cure = did_you_mean(model, config.models.keys().map(Name::as_str))
                .unwrap_or_else(|| "add it under `models`, or write `provider/model`".to_owned());
            report.error(at, format!("{owner} names the unknown model `{model}`"), cure);
        }
    }
}

/// Reports tasks whose model leads nowhere, and routes whose task nobody has written.
pub(super) fn tasks(
    config: &Config,
    tasks: &[(Name, Name, At)],
    routes: &[(&str, &RouteShape)],
    report: &mut Report,
) {
    for (task, model, at) in tasks {
        named_model(config, &format!("task `{task}`"), model, *at, report);
    }
    for (route, shape) in routes {
        let Some((task, at)) = &shape.task else { continue };
        if !config.tasks.contains_key(task) {
            let cure = did_you_mean(task, config.tasks.keys().map(Name::as_str))
                .unwrap_or_else(|| format!("add it: `tasks: {{{task}: NAME-OF-A-MODEL}}`"));
            report.error(*at, format!("route `{route}` names the unknown task `{task}`"), cure);
        }
    }
}

/// Warns of regions that calls are bound to and no target is in: all those calls will be refused.
pub(super) fn residency(config: &Config, report: &mut Report) {
    let routes = config.routes.values().chain([&config.default_route]).flat_map(|route| &route.residency);
    let mut wanted: Vec<&Name> = config.residency.regions().chain(routes).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let choices = || config.models.values().flat_map(|model| &model.choices);
    let of_targets = choices().filter_map(|choice| choice.region.as_ref());
    let of_providers = config.providers.values().filter_map(|provider| provider.region.as_ref());
    let regions: Vec<&Name> = of_targets.chain(of_providers).collect();
    for wanted in wanted {
        if !regions.iter().any(|region| is_within(region, wanted)) {
            let message = format!("no provider or target is in region `{wanted}`, which calls are bound to");
            report.warn(
                At::default(),
                message,
                format!("write `region: {wanted}` at those that are, or all such calls are refused"),
            );
        }
    }
}

pub(super) fn key_uses(config: &Config, keys: &Keys, report: &mut Report) {
    let mut names: Vec<Name> = config.routes.keys().cloned().collect();
    names.push(routes::DEFAULT.into());
    for key in &keys.uses {
        key.check(
            &|route| names.iter().any(|name| **name == *route),
            &|model| is_known_model(config, model),
            &names,
            report,
        );
    }
}

/// Warns of targets without a price while some route refuses such models: their calls will all be refused.
pub(super) fn unpriced(
    config: &Config,
    places: &[(Target, At)],
    routes: &[(&str, &RouteShape)],
    report: &mut Report,
) {
    let is_blocking = |route: &Arc<Route>| route.unpriced == Unpriced::Block;
    if !config.routes.values().chain([&config.default_route]).any(is_blocking) {
        return;
    }
    // Route models that are targets themselves come without an entry in `models`.
    let named = routes.iter().flat_map(|(_, shape)| {
        let of_rules = shape.by_rule.iter().map(|(rule, at)| (&rule.model, at));
        shape.model.iter().map(|(model, at)| (model, at)).chain(of_rules)
    });
    let direct = named.filter_map(|(model, at)| {
        if config.models.contains_key(model) {
            return None;
        }
        match plan::resolve(config, model) {
            Resolved::Targets(targets) => Some((targets.into_iter().next()?, *at)),
            Resolved::Ambiguous(_) | Resolved::Unknown => None,
        }
    });
    let mut seen = HashSet::new();
    for (target, at) in places.iter().cloned().chain(direct) {
        if config.is_priced(&target) || !seen.insert(target.clone()) {
            continue;
        }
        let message = format!("`{target}` has no price, so its calls are refused (`unpriced: block`)");
        let cure = format!(
            "add `{target}: {{input: …, output: …}}` to prices.yml, or `price: free` to provider `{}`, or \
             `unpriced: cap_tokens` to the route",
            target.provider
        );
        report.warn(at, message, cure);
    }
}

/// Warns of a cap that nothing draws on: probably a slip, and the cap that was meant is missing.
pub(super) fn subject(
    config: &Config,
    keys: &Keys,
    scope: &LimitScope,
    at: At,
    what: &str,
    report: &mut Report,
) {
    let (kind, name, is_known, names): (_, _, _, Vec<&Name>) = match scope {
        LimitScope::Model(name) => {
            let targets = config.targets().map(|target| &target.model);
            ("model", name, is_plausible_model(config, name), config.models.keys().chain(targets).collect())
        }
        LimitScope::Route(name) => {
            let is_known = **name == *routes::DEFAULT || config.routes.contains_key(name);
            ("route", name, is_known, config.routes.keys().collect())
        }
        // Keys may also come from the control store, which is not at hand.
        LimitScope::Key(name) if keys.grants.is_empty() => ("key", name, true, Vec::new()),
        LimitScope::Key(name) => {
            let names: Vec<&Name> = keys.grants.iter().map(|grant| &grant.name).collect();
            ("key", name, names.contains(&name), names)
        }
        // Whatever callers say they are.
        LimitScope::Tenant(_) | LimitScope::Team(_) | LimitScope::User(_) | LimitScope::Environment(_) => {
            return;
        }
    };
    if is_known {
        return;
    }
    let cure = did_you_mean(name, names.into_iter().map(Name::as_str))
        .unwrap_or_else(|| format!("it takes effect once such a {kind} is configured"));
    report.warn(at, format!("{what} for the unknown {kind} `{name}`"), cure);
}

/// Warns of a budget that nothing draws on.
pub(super) fn budget(
    config: &Config,
    keys: &Keys,
    scope: BudgetScope,
    name: &Name,
    at: At,
    report: &mut Report,
) {
    let scope = match scope {
        BudgetScope::Model => LimitScope::Model(name.clone()),
        BudgetScope::Route => LimitScope::Route(name.clone()),
        BudgetScope::Key => LimitScope::Key(name.clone()),
        BudgetScope::Provider => {
            if !config.providers.contains_key(name) {
                let cure = did_you_mean(name, config.providers.keys().map(Name::as_str))
                    .unwrap_or_else(|| "it takes effect once such a provider is configured".to_owned());
                report.warn(at, format!("budget for the unknown provider `{name}`"), cure);
            }
            return;
        }
        BudgetScope::Variant => {
            let message = format!("budget for `{name}`, but this version runs no experiments");
            return report.warn(at, message, "it takes effect once experiments exist");
        }
        // Prompts live in a registry; all others are whatever callers say they are.
        BudgetScope::Prompt
        | BudgetScope::Tenant
        | BudgetScope::Team
        | BudgetScope::User
        | BudgetScope::Session
        | BudgetScope::Tag
        | BudgetScope::Environment
        | BudgetScope::Everything => return,
    };
    subject(config, keys, &scope, at, "budget", report);
}

/// A full budget may turn to another model, if there is one; and whoever follows the turns must come to an end.
pub(super) fn downgrades(config: &Config, named: &[(Name, At)], report: &mut Report) {
    let mut seen = HashSet::new();
    for (model, at) in named.iter().filter(|(model, at)| seen.insert((model, at.line, at.column))) {
        if !is_plausible_model(config, model) {
            let cure = did_you_mean(model, config.models.keys().map(Name::as_str))
                .unwrap_or_else(|| "write a name of `models`, or `provider/model`".to_owned());
            report.error(*at, format!("`downgrade` names the unknown model `{model}`"), cure);
        }
    }
    let turns = |from: &str| -> Vec<(usize, Vec<Name>)> {
        let is_on =
            |rule: &&BudgetRule| rule.scope == BudgetScope::Model && rule.subject.as_deref() == Some(from);
        let turn = |rule: &BudgetRule| match &rule.at_limit {
            AtLimit::Downgrade(models) => Some((rule.line, models.clone())),
            AtLimit::Block | AtLimit::Answer(_) | AtLimit::Queue(_) => None,
        };
        config.budgets.rules.iter().filter(is_on).filter_map(turn).collect()
    };
    let starts = config.budgets.rules.iter().filter_map(|rule| match (rule.scope, &rule.subject) {
        (BudgetScope::Model, Some(name)) => Some(name.clone()),
        _ => None,
    });
    let mut told = HashSet::new();
    for start in starts {
        // Each model is followed once, so this ends.
        let (mut followed, mut open) = (HashSet::new(), vec![(start.clone(), vec![start.clone()])]);
        while let Some((model, path)) = open.pop() {
            for (line, next) in turns(&model) {
                for next in next {
                    let mut path = path.clone();
                    path.push(next.clone());
                    if next == start
                        && told.insert(path.iter().cloned().collect::<std::collections::BTreeSet<_>>())
                    {
                        let shown =
                            path.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" → ");
                        let message = format!("full budgets turn in a circle: {shown}");
                        let at = At { line, column: 1 };
                        report.error(at, message, "let the last of them block or answer");
                    } else if followed.insert(next.clone()) {
                        open.push((next, path));
                    }
                }
            }
        }
    }
}

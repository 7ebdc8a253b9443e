//! `keys:` — virtual keys that stand in the configuration.

use std::collections::HashMap;

use gauntlet_places::near::did_you_mean;
use gauntlet_types::{Day, Environment, Name, Timestamp};

use super::{
    limits::{LimitScope, LimitsShape},
    node::{At, Node, Value},
    read::{self, Fields, Report},
    routing,
    scalar::Scalar,
};
use crate::keys::{KeyGrant, KeyHash, KeySource};

/// Shorter values can be guessed; it is the length of 64 bits in base 16.
const KEY_LENGTH_LEAST: usize = 16;

const ENVIRONMENT: Scalar<Environment> = Scalar {
    expected: "an environment",
    example: "write `prod`, `staging`, `dev`, `eval`, `judge` or `shadow`",
    parse: Environment::parse,
};

const EXPIRY: Scalar<Timestamp> = Scalar {
    expected: "a date or an instant",
    example: "write for example `2027-01-31` (its first moment, UTC) or `2027-01-31T12:00:00Z`",
    parse: expiry,
};

/// What a key may use, kept with its place until the routes and models are known.
pub(super) struct KeyUse {
    pub(super) key: Name,
    pub(super) routes: Vec<(Name, At)>,
    pub(super) models: Vec<(Name, At)>,
}

#[derive(Default)]
pub(super) struct Keys {
    pub(super) grants: Vec<KeyGrant>,
    pub(super) uses: Vec<KeyUse>,
    pub(super) limits: Vec<(LimitScope, LimitsShape)>,
    /// Regions that a key's calls may go to.
    pub(super) residency: HashMap<Name, Vec<Name>>,
}

pub(super) fn read(node: &Node, report: &mut Report) -> Keys {
    let mut keys = Keys::default();
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null | Value::Broken => &[],
        Value::Text(_) | Value::Map(_) => {
            report.error(
                node.at,
                "`keys` must be a list",
                "write `- {name: app, key: \"${APP_KEY}\", tenant: acme}`",
            );
            &[]
        }
    };
    let mut names: HashMap<Name, At> = HashMap::new();
    let mut hashes: HashMap<KeyHash, Name> = HashMap::new();
    for item in items {
        one(item, &mut names, &mut hashes, &mut keys, report);
    }
    keys
}

fn one(
    node: &Node,
    names: &mut HashMap<Name, At>,
    hashes: &mut HashMap<KeyHash, Name>,
    keys: &mut Keys,
    report: &mut Report,
) {
    let Some(mut fields) = Fields::of(node, "a key", report) else { return };
    let name = fields.text("name", report);
    let what = name.map_or_else(|| "a key".to_owned(), |(name, _)| format!("key `{name}`"));
    if name.is_none() {
        report.error(node.at, "a key has no `name`", "name it: spend and limits are told by key");
    }
    if let Some((name, at)) = name
        && let Some(first) = names.insert(name.into(), at)
    {
        let message = format!("two keys are called `{name}`, the first on line {}", first.line);
        report.error(at, message, "give each key its own name");
    }

    let secret = fields.get("key").and_then(|node| Some((read::text(node, "key", report)?, node.at)));
    match secret {
        None if fields.is_missing("key") => {
            report.error(
                node.at,
                format!("{what} has no `key`"),
                "write `key: \"${APP_KEY}\"` and set the variable",
            );
        }
        Some((text, at)) if text.text.trim().is_empty() => {
            report.error(at, format!("{what} has an empty `key`"), "set the variable it is taken from");
        }
        Some((text, at)) if text.text.trim().len() < KEY_LENGTH_LEAST => {
            let message = format!("the value of {what} is shorter than {KEY_LENGTH_LEAST} characters");
            report.warn(at, message, "make one with `gauntlet key create`, or `openssl rand -hex 32`");
        }
        Some(_) | None => {}
    }
    let secret = secret.map(|(text, at)| (text.text.trim(), at)).filter(|(text, _)| !text.is_empty());
    if let Some((secret, at)) = secret
        && let Some(other) =
            hashes.insert(KeyHash::of(secret), name.map_or_else(Name::default, |(name, _)| name.into()))
    {
        report.error(
            at,
            format!("{what} has the same value as key `{other}`"),
            "give each key a value of its own",
        );
    }

    let tenant = fields.text("tenant", report);
    let mut optional = |name: &'static str| fields.text(name, report).map(|(text, _)| Name::from(text));
    let (team, user) = (optional("team"), optional("user"));
    let environment = fields.read("env", report, ENVIRONMENT);
    let places = |texts: Vec<(&str, At)>| {
        texts.into_iter().map(|(text, at)| (Name::from(text), at)).collect::<Vec<_>>()
    };
    let routes = places(fields.texts("routes", report));
    let models = places(fields.texts("models", report));
    let limits =
        fields.get("limits").map(|node| LimitsShape::read(node, &format!("`limits` of {what}"), report));
    let expires = fields.read("expires", report, EXPIRY);
    let residency = fields.get("residency").map(|node| routing::residency(node, &what, report));
    if fields.is_missing("tenant") && team.is_none() && user.is_none() {
        let cure = "write `tenant: default` if there is only one";
        report.error(node.at, format!("{what} belongs to nobody: it has no `tenant`"), cure);
    }
    fields.finish(report);

    let (Some((name, _)), Some((secret, _))) = (name, secret) else { return };
    let name = Name::from(name);
    if let Some(residency) = residency {
        keys.residency.insert(name.clone(), residency);
    }
    if let Some(limits) = limits {
        keys.limits.push((LimitScope::Key(name.clone()), limits));
    }
    keys.grants.push(KeyGrant {
        name: name.clone(),
        hash: KeyHash::of(secret),
        hint: KeyGrant::hint_of(secret),
        // A team or a user without a tenant belongs to the only one.
        tenant: tenant.map_or_else(|| "default".into(), |(tenant, _)| tenant.into()),
        team,
        user,
        environment,
        routes: routes.iter().map(|(route, _)| route.clone()).collect(),
        models: models.iter().map(|(model, _)| model.clone()).collect(),
        expires,
        revoked: None,
        source: KeySource::Configuration,
    });
    keys.uses.push(KeyUse { key: name, routes, models });
}

impl KeyUse {
    /// Reports routes and models that do not exist: a slip would lock the key out, or look like a permission.
    pub(super) fn check(
        &self,
        routes: &dyn Fn(&str) -> bool,
        models: &dyn Fn(&str) -> bool,
        names: &[Name],
        report: &mut Report,
    ) {
        for (route, at) in &self.routes {
            if !routes(route) {
                let cure = did_you_mean(route, names.iter().map(Name::as_str))
                    .unwrap_or_else(|| "add it under `routes`, or take it out".to_owned());
                report.error(*at, format!("key `{}` names the unknown route `{route}`", self.key), cure);
            }
        }
        for (model, at) in &self.models {
            if !models(model) {
                let message = format!("key `{}` names the unknown model `{model}`", self.key);
                report.error(*at, message, "write a name from `models`, or `provider/model`");
            }
        }
    }
}

fn expiry(text: &str) -> Option<Timestamp> {
    if let Some(day) = Day::parse(text) {
        return Some(day.start());
    }
    text.parse::<jiff::Timestamp>().ok().map(|instant| Timestamp(instant.as_microsecond()))
}

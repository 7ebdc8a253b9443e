//! `budgets.yml` — caps on spend, tokens, requests, rates and concurrency by subject, and who is told.

mod calendar;
mod field;
mod rule;
mod table;

use gauntlet_types::{Environment, Name};

pub(super) use self::table::Budgets;
pub use self::{
    calendar::{Calendar, Window, rolling_of},
    rule::{AtLimit, BudgetRule, BudgetScope, CallFacts, Per},
};

use self::field::{CapReader, Manner};
use super::{
    Source,
    alerts::{self, Alert},
    flat,
    limits::{LimitScope, LimitsShape},
    node::{self, At, Node},
    read::{self, Fields, Report},
};
use crate::budget::STEPS_MAX;

/// The subject of the cap on all calls.
pub(super) const EVERYTHING: &str = "all";
/// Stands for each subject that has no entry of its own.
const EACH: &str = "*";

/// `budgets.yml` as read.
#[derive(Default)]
pub(super) struct BudgetFile {
    pub(super) budgets: Budgets,
    pub(super) limits: Vec<(LimitScope, LimitsShape)>,
    pub(super) alerts: Vec<Alert>,
    /// Everything that is capped by name, with its place, until it is known what exists.
    pub(super) subjects: Vec<(BudgetScope, Name, At)>,
    /// Models to turn to at a full budget, with their places.
    pub(super) downgrades: Vec<(Name, At)>,
}

/// A section, what its entries cap, and how a rate limit on one is named, where one can be set.
type Section = (&'static str, BudgetScope, Option<fn(Name) -> LimitScope>);
const SECTIONS: [Section; 11] = [
    ("models", BudgetScope::Model, Some(LimitScope::Model)),
    ("providers", BudgetScope::Provider, None),
    ("routes", BudgetScope::Route, Some(LimitScope::Route)),
    ("tenants", BudgetScope::Tenant, Some(LimitScope::Tenant)),
    ("teams", BudgetScope::Team, Some(LimitScope::Team)),
    ("keys", BudgetScope::Key, Some(LimitScope::Key)),
    ("users", BudgetScope::User, Some(LimitScope::User)),
    ("sessions", BudgetScope::Session, None),
    ("tags", BudgetScope::Tag, None),
    ("prompts", BudgetScope::Prompt, None),
    ("variants", BudgetScope::Variant, None),
];

/// Every section and field of the founding document, for the form that lost its colons.
const SECTION_NAMES: [&str; 8] =
    ["models", "routes", "tenants", "teams", "keys", "users", "environments", "alerts"];
const FIELD_NAMES: [&str; 12] = [
    "daily_usd",
    "monthly_usd",
    "total_usd",
    "tpm",
    "rpm",
    "max_concurrency",
    "queue",
    "queue_wait",
    "per_user_daily_usd",
    "per_conv_cap_usd",
    "slack_channel",
    "notify_over",
];

pub(super) fn read(source: &Source, env: &dyn Fn(&str) -> Option<String>, report: &mut Report) -> BudgetFile {
    let mut file = BudgetFile::default();
    let root = if flat::is_flat(&source.text, &FIELD_NAMES) {
        flat::parse(&source.text, &SECTION_NAMES, &FIELD_NAMES)
    } else {
        let Some(root) = node::parse(source, env, report) else { return file };
        root
    };
    let Some(mut fields) = Fields::of(&root, "", report) else { return file };
    if let Some(node) = fields.get("alerts") {
        file.alerts = alerts::read(node, report);
    }
    let mut manner = Manner::told_at(steps(&file.alerts));
    if let Some(node) = fields.get("defaults")
        && let Some(mut defaults) = Fields::of(node, "`defaults`", report)
    {
        manner = manner.read(&mut defaults, &mut file.downgrades, report);
        defaults.finish(report);
    }
    let mut caps = CapReader { rules: Vec::new(), manner, environment: None };
    sections(&mut fields, "", &mut caps, &mut file, report);
    if let Some(node) = fields.get("everything") {
        let limits = caps.subject(
            "everything",
            BudgetScope::Everything,
            Some(EVERYTHING.into()),
            node,
            &mut file,
            false,
            report,
        );
        debug_assert!(limits.is_none(), "no rate is set on everything");
    }
    if let Some(node) = fields.get("environments") {
        for (label, node) in read::map(node, "`environments`", report).unwrap_or_default() {
            let Some(environment) = Environment::parse(&label.text) else {
                let cure = "write `prod`, `staging`, `dev`, `eval`, `judge` or `shadow`";
                report.error(label.at, format!("unknown environment `{}`", label.text), cure);
                continue;
            };
            environment_caps(environment, &label.text, node, &mut caps, &mut file, report);
        }
    }
    fields.finish(report);
    file.budgets = Budgets::new(caps.rules);
    file
}

/// The caps of each section of the file, or of an environment.
fn sections(
    fields: &mut Fields<'_>,
    prefix: &str,
    caps: &mut CapReader,
    file: &mut BudgetFile,
    report: &mut Report,
) {
    for (section, scope, limit_scope) in SECTIONS {
        let Some(node) = fields.get(section) else { continue };
        for (label, node) in read::map(node, &format!("`{prefix}{section}`"), report).unwrap_or_default() {
            let what = format!("{prefix}{section}.{}", label.text);
            let name = Some(Name::from(label.text.as_str())).filter(|name| *name != *EACH);
            // Rates are counted over all environments, and by name.
            let has_limits = limit_scope.filter(|_| caps.environment.is_none() && name.is_some());
            let limits = caps.subject(&what, scope, name.clone(), node, file, has_limits.is_some(), report);
            let Some(name) = name else { continue };
            if let (Some(limit_scope), Some(limits)) = (has_limits, limits) {
                file.limits.push((limit_scope(name.clone()), limits));
            }
            file.subjects.push((scope, name, label.at));
        }
    }
}

/// `environments: {eval: {daily_usd: 5, models: {gpt-4o: {daily_usd: 1}}}}`: a cap on all its calls, and caps that
/// hold there in place of those of all environments.
fn environment_caps(
    environment: Environment,
    label: &str,
    node: &Node,
    caps: &mut CapReader,
    file: &mut BudgetFile,
    report: &mut Report,
) {
    let what = format!("environments.{label}");
    let Some(mut fields) = Fields::of(node, format!("budget `{what}`"), report) else { return };
    caps.environment = Some(environment);
    sections(&mut fields, &format!("{what}."), caps, file, report);
    let name = environment.as_str().into();
    let limits = caps.fields(&what, BudgetScope::Environment, Some(name), &mut fields, file, true, report);
    fields.finish(report);
    file.limits.push((LimitScope::Environment(environment), limits.unwrap_or_default()));
    caps.environment = None;
}

/// The steps that somebody wants to be told of; 80 % if nobody says otherwise.
fn steps(alerts: &[Alert]) -> [u8; STEPS_MAX] {
    let mut wanted: Vec<u8> = alerts.iter().map(|alert| alert.notify_over_percent.min(100) as u8).collect();
    if wanted.is_empty() {
        wanted.push(80);
    }
    field::steps(wanted)
}

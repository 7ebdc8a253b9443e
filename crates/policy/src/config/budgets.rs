//! `budgets.yml` — caps on spend, rates and concurrency by subject, and who is told.

use std::collections::HashMap;

use gauntlet_types::{Caller, Charge, Day, Environment, Name, NanoUsd, Target};

use super::{
    Source,
    alerts::{self, Alert},
    flat,
    limits::{LimitScope, LimitsShape},
    node::{self, At, Node},
    read::{self, Fields, Report},
    scalar,
};

/// How long a budget lasts until it starts afresh.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Window {
    Day,
    /// Calendar month.
    Month,
    Never,
}

impl Window {
    /// The `period` of a charge on `day`. A month is named by its last day, so that a charge may be forgotten once
    /// its period is past, whatever its window.
    pub fn period(self, day: Day) -> Option<Day> {
        match self {
            Window::Day => Some(day),
            Window::Month => {
                let date = jiff::Timestamp::from_microsecond(day.start().0)
                    .ok()?
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .date();
                Some(Day(day.0 + i32::from(date.days_in_month() - date.day())))
            }
            Window::Never => None,
        }
    }
}

/// Whose spend a budget caps.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BudgetScope {
    /// An alias, a bare model at any provider, or `provider/model`.
    Model(Name),
    Route(Name),
    Tenant(Name),
    Team(Name),
    Key(Name),
    User(Name),
    Environment(Environment),
    /// Each user of a route has the cap for himself.
    RouteUser(Name),
    /// Each conversation of a route has the cap for itself.
    RouteConversation(Name),
}

impl BudgetScope {
    /// The name of the rule's kind in records and in the table `budgets`.
    const fn charge_scope(&self, window: Window) -> &'static str {
        match (self, window) {
            (BudgetScope::Model(_), Window::Day) => "model_daily",
            (BudgetScope::Model(_), Window::Month) => "model_monthly",
            (BudgetScope::Model(_), Window::Never) => "model_total",
            (BudgetScope::Route(_), Window::Day) => "route_daily",
            (BudgetScope::Route(_), Window::Month) => "route_monthly",
            (BudgetScope::Route(_), Window::Never) => "route_total",
            (BudgetScope::Tenant(_), Window::Day) => "tenant_daily",
            (BudgetScope::Tenant(_), Window::Month) => "tenant_monthly",
            (BudgetScope::Tenant(_), Window::Never) => "tenant_total",
            (BudgetScope::Team(_), Window::Day) => "team_daily",
            (BudgetScope::Team(_), Window::Month) => "team_monthly",
            (BudgetScope::Team(_), Window::Never) => "team_total",
            (BudgetScope::Key(_), Window::Day) => "key_daily",
            (BudgetScope::Key(_), Window::Month) => "key_monthly",
            (BudgetScope::Key(_), Window::Never) => "key_total",
            (BudgetScope::User(_), Window::Day) => "user_daily",
            (BudgetScope::User(_), Window::Month) => "user_monthly",
            (BudgetScope::User(_), Window::Never) => "user_total",
            (BudgetScope::Environment(_), Window::Day) => "environment_daily",
            (BudgetScope::Environment(_), Window::Month) => "environment_monthly",
            (BudgetScope::Environment(_), Window::Never) => "environment_total",
            (BudgetScope::RouteUser(_), _) => "route_user_daily",
            (BudgetScope::RouteConversation(_), _) => "route_conversation",
        }
    }

    /// The budget's subject; for the caps of each user or conversation, the route.
    pub fn subject(&self) -> Name {
        match self {
            BudgetScope::Model(name)
            | BudgetScope::Route(name)
            | BudgetScope::Tenant(name)
            | BudgetScope::Team(name)
            | BudgetScope::Key(name)
            | BudgetScope::User(name)
            | BudgetScope::RouteUser(name)
            | BudgetScope::RouteConversation(name) => name.clone(),
            BudgetScope::Environment(environment) => environment.as_str().into(),
        }
    }
}

/// One cap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetRule {
    /// As typed: `models.gpt-4o.daily_usd`.
    pub name: Name,
    pub scope: BudgetScope,
    pub cap: NanoUsd,
    pub window: Window,
    /// In `budgets.yml`, from 1.
    pub line: usize,
    /// `scope` of its charges: `model_daily`, `route_user_daily`, `route_conversation` …
    pub charge_scope: Name,
}

impl BudgetRule {
    /// The one charge of a budget that many calls share; none where each user or conversation has its own.
    pub fn shared_charge(&self, day: Day) -> Option<Charge> {
        match self.scope {
            BudgetScope::RouteUser(_) | BudgetScope::RouteConversation(_) => None,
            _ => Some(Charge::usd(self.charge_scope.clone(), self.scope.subject(), self.window.period(day))),
        }
    }

    /// Whether a charge, made today or read back from a store, is one of this rule's.
    pub fn covers(&self, charge: &Charge) -> bool {
        if charge.scope != self.charge_scope {
            return false;
        }
        let subject = self.scope.subject();
        match self.scope {
            BudgetScope::RouteUser(_) | BudgetScope::RouteConversation(_) => {
                charge.key.strip_prefix(subject.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            _ => charge.key == subject,
        }
    }
}

/// Stands for the user of a call that names none, so that leaving the name out does not go round a cap per user.
const ANONYMOUS: &str = "anonymous";

/// The rules by the subject that draws on them.
#[derive(Clone, Default, Debug)]
pub(super) struct Budgets {
    pub(super) rules: Vec<BudgetRule>,
    models: HashMap<Name, Vec<usize>>,
    routes: HashMap<Name, Vec<usize>>,
    tenants: HashMap<Name, Vec<usize>>,
    teams: HashMap<Name, Vec<usize>>,
    keys: HashMap<Name, Vec<usize>>,
    users: HashMap<Name, Vec<usize>>,
    environments: HashMap<Environment, Vec<usize>>,
    /// Whether a model is named as `provider/model`; else that name need not be written out for each call.
    has_targets: bool,
}

impl Budgets {
    fn new(rules: Vec<BudgetRule>) -> Budgets {
        let mut budgets = Budgets::default();
        for (index, rule) in rules.iter().enumerate() {
            let (map, name) = match &rule.scope {
                BudgetScope::Model(name) => {
                    budgets.has_targets |= name.contains('/');
                    (&mut budgets.models, name)
                }
                BudgetScope::Route(name)
                | BudgetScope::RouteUser(name)
                | BudgetScope::RouteConversation(name) => (&mut budgets.routes, name),
                BudgetScope::Tenant(name) => (&mut budgets.tenants, name),
                BudgetScope::Team(name) => (&mut budgets.teams, name),
                BudgetScope::Key(name) => (&mut budgets.keys, name),
                BudgetScope::User(name) => (&mut budgets.users, name),
                BudgetScope::Environment(environment) => {
                    budgets.environments.entry(*environment).or_default().push(index);
                    continue;
                }
            };
            map.entry(name.clone()).or_default().push(index);
        }
        budgets.rules = rules;
        budgets
    }

    /// Adds the charges of a call, each with its cap, in the order model, route, tenant, team, key, user, environment.
    pub(super) fn charges(
        &self,
        caller: &Caller,
        route: &str,
        model: &str,
        target: &Target,
        day: Day,
        out: &mut Vec<(Charge, NanoUsd)>,
    ) {
        if self.rules.is_empty() {
            return;
        }
        let mut add = |map: &HashMap<Name, Vec<usize>>, name: Option<&str>| {
            for index in name.and_then(|name| map.get(name)).into_iter().flatten() {
                out.push(self.charge(&self.rules[*index], caller, day));
            }
        };
        // An alias may have the name of its target; the budget of that name is charged once.
        add(&self.models, Some(&target.model));
        if *model != *target.model {
            add(&self.models, Some(model));
        }
        if self.has_targets {
            let full = target.to_string();
            if *model != *full && *target.model != *full {
                add(&self.models, Some(&full));
            }
        }
        add(&self.routes, Some(route));
        add(&self.tenants, Some(&caller.tenant));
        add(&self.teams, caller.team.as_deref());
        add(&self.keys, caller.key.as_deref());
        add(&self.users, caller.user.as_deref());
        for index in self.environments.get(&caller.environment).into_iter().flatten() {
            out.push(self.charge(&self.rules[*index], caller, day));
        }
    }

    fn charge(&self, rule: &BudgetRule, caller: &Caller, day: Day) -> (Charge, NanoUsd) {
        let user = || caller.user.as_deref().unwrap_or(ANONYMOUS);
        let (key, period) = match (&rule.scope, &caller.session) {
            (BudgetScope::RouteUser(route), _) => (person(route, caller, user()), rule.window.period(day)),
            (BudgetScope::RouteConversation(route), Some(session)) => (person(route, caller, session), None),
            // A call without a session belongs to its user's nameless conversation of the day: leaving the session
            // out must not go round the cap, and a conversation that nobody can end must not lock a user out for good.
            (BudgetScope::RouteConversation(route), None) => {
                (person(route, caller, &format!("{}:no-session", user())), Some(day))
            }
            (scope, _) => (scope.subject(), rule.window.period(day)),
        };
        (Charge::usd(rule.charge_scope.clone(), key, period), rule.cap)
    }
}

/// `support_bot/ann`; of another tenant than `default`, `support_bot/acme/ann`: two tenants may each have an ann.
/// Slashes in callers' names are written `%2F`, so that nobody can name himself into another's budget.
fn person(route: &str, caller: &Caller, who: &str) -> Name {
    let plain = |text: &str| text.replace('%', "%25").replace('/', "%2F");
    if caller.tenant == "default" {
        format!("{route}/{}", plain(who)).into()
    } else {
        format!("{route}/{}/{}", plain(&caller.tenant), plain(who)).into()
    }
}

/// `budgets.yml` as read.
#[derive(Default)]
pub(super) struct BudgetFile {
    pub(super) budgets: Budgets,
    pub(super) limits: Vec<(LimitScope, LimitsShape)>,
    pub(super) alerts: Vec<Alert>,
    /// Everything that is capped, with its place, until it is known what exists.
    pub(super) subjects: Vec<(LimitScope, At)>,
}

/// The sections, and how each names what it caps.
type Section = (&'static str, fn(Name) -> BudgetScope, fn(Name) -> LimitScope);
const SECTIONS: [Section; 6] = [
    ("models", BudgetScope::Model, LimitScope::Model),
    ("routes", BudgetScope::Route, LimitScope::Route),
    ("tenants", BudgetScope::Tenant, LimitScope::Tenant),
    ("teams", BudgetScope::Team, LimitScope::Team),
    ("keys", BudgetScope::Key, LimitScope::Key),
    ("users", BudgetScope::User, LimitScope::User),
];

/// Every section and field, for the form that lost its colons.
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
    let mut rules = Vec::new();
    for (section, budget_scope, limit_scope) in SECTIONS {
        let Some(node) = fields.get(section) else { continue };
        for (label, node) in read::map(node, &format!("`{section}`"), report).unwrap_or_default() {
            let name = Name::from(label.text.as_str());
            let (budget, limit) = (budget_scope(name.clone()), limit_scope(name));
            let limits = subject(section, &label.text, budget, node, &mut rules, report);
            file.subjects.push((limit.clone(), label.at));
            file.limits.push((limit, limits));
        }
    }
    if let Some(node) = fields.get("environments") {
        for (label, node) in read::map(node, "`environments`", report).unwrap_or_default() {
            let Some(environment) = Environment::parse(&label.text) else {
                let cure = "write `prod`, `staging`, `dev`, `eval`, `judge` or `shadow`";
                report.error(label.at, format!("unknown environment `{}`", label.text), cure);
                continue;
            };
            let budget = BudgetScope::Environment(environment);
            let limits = subject("environments", &label.text, budget, node, &mut rules, report);
            file.limits.push((LimitScope::Environment(environment), limits));
        }
    }
    if let Some(node) = fields.get("alerts") {
        file.alerts = alerts::read(node, report);
    }
    fields.finish(report);
    file.budgets = Budgets::new(rules);
    file
}

/// Reads the caps of one subject; the limits come back.
fn subject(
    section: &str,
    name: &str,
    scope: BudgetScope,
    node: &Node,
    rules: &mut Vec<BudgetRule>,
    report: &mut Report,
) -> LimitsShape {
    let Some(mut fields) = Fields::of(node, format!("budget `{section}.{name}`"), report) else {
        return LimitsShape::default();
    };
    let mut caps = vec![
        ("daily_usd", scope.clone(), Window::Day),
        ("monthly_usd", scope.clone(), Window::Month),
        ("total_usd", scope.clone(), Window::Never),
    ];
    if let BudgetScope::Route(route) = &scope {
        caps.push(("per_user_daily_usd", BudgetScope::RouteUser(route.clone()), Window::Day));
        caps.push(("per_conv_cap_usd", BudgetScope::RouteConversation(route.clone()), Window::Never));
    }
    for (field, scope, window) in caps {
        let Some(node) = fields.get(field) else { continue };
        let Some(cap) = read::read(node, field, report, scalar::USD) else { continue };
        rules.push(BudgetRule {
            name: format!("{section}.{name}.{field}").into(),
            charge_scope: scope.charge_scope(window).into(),
            scope,
            cap,
            window,
            line: node.at.line,
        });
    }
    let limits = LimitsShape::fields(&mut fields, report);
    fields.finish(report);
    limits
}

//! The configuration a call reads from its beginning to its end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use gauntlet_types::{Caller, Charge, Name, Target, Timestamp};

use super::{
    alerts::Alert,
    budgets::{BudgetRule, Budgets, CallFacts},
    exporters::Exporter,
    guards::Guards,
    kill::Kills,
    limits::{LimitRule, LimitScope},
    models::{Choice, Models},
    prices::OwnPrice,
    providers::{Priced, Provider},
    routes,
    routing::{Residence, Residency},
    shape::{Route, Server},
};
use crate::{
    budget::Draw,
    guard::{Chain, Level, LevelKind},
    keys::{KeyGrant, KeyTable},
    price::{Entry, Price, Sheet},
    promotion::PromotionRule,
};

/// What was read from the files; shared by every policy made from it.
#[derive(Debug)]
pub struct Config {
    /// Tells configurations apart: the beginning of the BLAKE3 of their texts.
    pub version: Name,
    /// Where prices come from: `genai-prices-0.2.1+own-1`, and `+prices.yml:…` with the beginning of that file's hash.
    pub price_version: Name,
    pub server: Server,
    pub providers: HashMap<Name, Arc<Provider>>,
    /// A caller's name for a model, and what it stands for.
    pub models: Models,
    /// The model of each kind of work.
    pub tasks: HashMap<Name, Name>,
    /// Where the calls of tenants and keys may go.
    pub residency: Residency,
    pub routes: HashMap<Name, Arc<Route>>,
    /// For calls that name no route; its name is `default`.
    pub default_route: Arc<Route>,
    pub guards: Guards,
    pub alerts: Vec<Alert>,
    pub exporters: Vec<Exporter>,
    /// What labels of prompts ask for before they move; labels that are not here move freely.
    pub promotion: BTreeMap<Name, PromotionRule>,
    pub(super) limits: LimitRules,
    pub(super) budgets: Budgets,
    pub(super) keys: KeyTable,
    pub(super) prices: Prices,
    pub(super) is_loopback: bool,
}

/// One immutable snapshot: configuration, keys, kill switches. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Policy {
    config: Arc<Config>,
    keys: Arc<KeyTable>,
    kills: Arc<Kills>,
}

impl Config {
    /// Every target that some name of `models` stands for, a target of several names as often.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.models.values().flat_map(|model| &model.choices).map(|choice| &choice.target)
    }

    /// Every model that routes, their rules and tasks name; a name may come several times.
    pub fn model_names(&self) -> impl Iterator<Item = &Name> {
        let routes = || self.routes.values().chain([&self.default_route]);
        let rules = routes().flat_map(|route| &route.rules).map(|rule| &rule.model);
        routes().filter_map(|route| route.model.as_ref()).chain(rules).chain(self.tasks.values())
    }

    /// Where a target's calls are answered, as the operator says: by its own word, else its provider's.
    pub fn region_of<'a>(&'a self, choice: &'a Choice) -> Option<&'a Name> {
        let of_provider = || self.providers.get(&choice.target.provider)?.region.as_ref();
        choice.region.as_ref().or_else(of_provider)
    }

    /// Every level of guards that is written anywhere.
    pub fn levels(&self) -> impl Iterator<Item = &Arc<Level>> {
        let routes = self.routes.values().chain([&self.default_route]).flat_map(|route| &route.guards);
        let guards = &self.guards;
        let others = guards.tenants.values().chain(guards.keys.values()).flatten();
        guards.floor.iter().chain(others).chain(routes)
    }
}

impl Policy {
    pub(super) fn new(config: Arc<Config>) -> Policy {
        let keys = Arc::new(config.keys.clone());
        Policy { config, keys, kills: Arc::default() }
    }

    /// The same with these keys of the control store beside the configuration's, in place of those given before. Give
    /// revoked ones too: [`KeyTable::is_empty`] says why.
    #[must_use]
    pub fn with_keys(&self, stored: Vec<KeyGrant>) -> Policy {
        Policy { keys: Arc::new(self.config.keys.with_stored(stored)), ..self.clone() }
    }

    /// The same with these kill switches, in place of those given before.
    #[must_use]
    pub fn with_kills(&self, kills: Kills) -> Policy {
        Policy { kills: Arc::new(kills), ..self.clone() }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn keys(&self) -> &KeyTable {
        &self.keys
    }

    pub fn kills(&self) -> &Kills {
        &self.kills
    }

    pub fn version(&self) -> &Name {
        &self.config.version
    }

    pub fn price_version(&self) -> &Name {
        &self.config.price_version
    }

    /// Any key is taken, as tenant `default`: no key exists and only this machine can call.
    pub fn is_open(&self) -> bool {
        self.config.is_loopback && self.keys.is_empty()
    }

    /// A route by name; `default` is the one for calls that name none.
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        if name == routes::DEFAULT { Some(&self.config.default_route) } else { self.config.routes.get(name) }
    }

    pub fn default_route(&self) -> &Arc<Route> {
        &self.config.default_route
    }

    /// The guards that hold for a call; `asked` are the policies that the call itself wants on top.
    ///
    /// Errors: the first of those that nobody has written.
    pub fn guards<'a>(
        &self,
        caller: &Caller,
        route: &Route,
        asked: impl Iterator<Item = &'a str>,
    ) -> Result<Chain, &'a str> {
        let guards = &self.config.guards;
        let mut chain = Chain::default();
        chain.extend(guards.floor.iter().cloned());
        chain.extend(guards.tenants.get(&caller.tenant).into_iter().flatten().cloned());
        chain.extend(route.guards.iter().cloned());
        let of_key = caller.key.as_ref().and_then(|key| guards.keys.get(key));
        chain.extend(of_key.into_iter().flatten().cloned());
        for name in asked {
            let policy = guards.policies.find(name).ok_or(name)?;
            chain.push(Arc::new(Level::of_policy(LevelKind::Request, Name::default(), policy)));
        }
        Ok(chain)
    }

    /// What binds a call to regions; it may go only where all of them allow.
    pub fn residences<'a>(&'a self, caller: &Caller, route: &'a Route) -> Vec<Residence<'a>> {
        self.config.residency.of(caller, route)
    }

    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.config.providers.get(name)
    }

    /// The price of a model at a time; none when nobody knows it, and then the route's `unpriced` rule decides.
    pub fn price(&self, target: &Target, at: Timestamp) -> Option<Arc<Price>> {
        self.config.price(target, at)
    }

    /// Adds the budgets that a call draws on, each with its cap, in the order of [`super::BudgetScope`]; and its caps
    /// per call, which are looked at once and never added up.
    ///
    /// A call without a user is charged to user `anonymous` where each user has a cap, and a call without a session
    /// to its user's nameless conversation of the day where each conversation has one.
    pub fn draws(&self, facts: &CallFacts<'_>, out: &mut Vec<Draw>, per_call: &mut Vec<Draw>) {
        self.config.budgets.draws(facts, out, per_call);
    }

    /// The rule behind a draw.
    pub fn budget_rule(&self, draw: u32) -> Option<&BudgetRule> {
        self.config.budgets.rules.get(draw as usize)
    }

    /// Adds the rates and concurrencies that a call must keep to, in the order tenant, team, key, user, environment,
    /// route, model. Without a `target` yet, models are matched by the name that was asked for.
    pub fn limits<'a>(
        &'a self,
        caller: &Caller,
        route: &str,
        model: &str,
        target: Option<&Target>,
        out: &mut Vec<&'a LimitRule>,
    ) {
        self.config.limits.find(caller, route, model, target, out);
    }

    /// Whether any model has a limit; else nobody need find out which model a name stands for.
    pub fn has_model_limits(&self) -> bool {
        !self.config.limits.models.is_empty()
    }

    pub fn budget_rules(&self) -> &[BudgetRule] {
        &self.config.budgets.rules
    }

    /// The cap of a charge under the rules of now; none if its rule is gone.
    pub fn cap_of(&self, charge: &Charge) -> Option<i64> {
        self.rule_of(charge).map(|rule| rule.cap_of(charge))
    }

    /// The rule of a charge under the configuration of now: a named subject's before that of all, an environment's own
    /// before that of all environments.
    pub fn rule_of(&self, charge: &Charge) -> Option<&BudgetRule> {
        let covering = self.budget_rules().iter().filter(|rule| rule.covers(charge));
        covering.max_by_key(|rule| (rule.subject.is_some(), rule.environment.is_some()))
    }

    pub fn alerts(&self) -> &[Alert] {
        &self.config.alerts
    }
}

impl Config {
    /// `prices.yml` for this provider, the provider's own word, `prices.yml` for the model, the built-in table.
    pub fn price(&self, target: &Target, at: Timestamp) -> Option<Arc<Price>> {
        self.priced(target, at).map(|(price, _)| price)
    }

    /// The price of a model at a time, and who says so.
    pub fn priced(&self, target: &Target, at: Timestamp) -> Option<(Arc<Price>, PriceFrom)> {
        self.prices.find(target, self.providers.get(&*target.provider)?, at)
    }

    /// Whether the model has a price at some time; which one, the call's own time decides.
    pub fn is_priced(&self, target: &Target) -> bool {
        self.price(target, Timestamp(i64::MAX)).is_some()
    }

    /// The prices of `prices.yml`, in its order.
    pub fn own_prices(&self) -> impl Iterator<Item = &OwnPrice> {
        self.prices.own.iter()
    }
}

/// Who says what a model costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PriceFrom {
    /// `prices.yml`, at this line.
    File { line: usize },
    /// Its provider is said to be free.
    FreeProvider,
    /// The simulated model states its own.
    Simulated,
    /// The built-in table: vendor, model, and whether the entry was added by hand.
    Table { vendor: &'static str, model: &'static str, is_own: bool },
}

/// Prices from `prices.yml`, and who says what each target costs that was asked for once.
#[derive(Debug)]
pub(super) struct Prices {
    own: Vec<OwnPrice>,
    /// Places in `own`.
    by_name: HashMap<Name, usize>,
    /// Files and table are searched once per target, not once per call. A memo only: the same configuration always
    /// gives the same answers.
    found: RwLock<HashMap<Target, Arc<Sayings>>>,
}

/// What is said of a target's price, the most binding first: the first that holds at a time counts.
type Sayings = Vec<(Sheet, PriceFrom)>;

/// Callers choose model names, so the memo has a bound; beyond it, it begins afresh.
const FOUND_MAX: usize = 4096;

impl Prices {
    pub(super) fn new(own: Vec<OwnPrice>) -> Prices {
        let by_name = own.iter().enumerate().map(|(at, price)| (price.name.clone(), at)).collect();
        Prices { own, by_name, found: RwLock::default() }
    }

    fn find(&self, target: &Target, provider: &Provider, at: Timestamp) -> Option<(Arc<Price>, PriceFrom)> {
        let first = |sayings: &Sayings| sayings.iter().find_map(|(sheet, from)| Some((sheet.at(at)?, *from)));
        if let Some(sayings) = self.found.read().unwrap_or_else(PoisonError::into_inner).get(target) {
            return first(sayings);
        }
        let sayings = Arc::new(self.sayings(target, provider));
        let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= FOUND_MAX {
            found.clear();
        }
        found.insert(target.clone(), sayings.clone());
        first(&sayings)
    }

    fn sayings(&self, target: &Target, provider: &Provider) -> Sayings {
        let entry = match &provider.priced {
            Priced::Table(vendor) => Entry::find(vendor, &target.model),
            Priced::Free | Priced::Simulated | Priced::Unknown => None,
        };
        let table = entry.map(|entry| entry.sheet());
        let own = |name: &str| {
            let own = &self.own[*self.by_name.get(name)?];
            // Who changes a price does not mean to forget how much the model can write.
            let sheet = match &table {
                Some(table) => own.sheet.with_limits_of(table),
                None => own.sheet.clone(),
            };
            Some((sheet, PriceFrom::File { line: own.line }))
        };
        let mut sayings = Vec::from_iter(own(&target.to_string()));
        if provider.priced == Priced::Free {
            sayings.push((Sheet::flat(Price::free()), PriceFrom::FreeProvider));
            return sayings;
        }
        sayings.extend(own(&target.model));
        if provider.priced == Priced::Simulated {
            sayings.push((Sheet::flat(Price::simulated()), PriceFrom::Simulated));
        }
        sayings.extend(entry.zip(table).map(|(entry, table)| {
            let Entry { vendor, model, is_own, .. } = entry;
            (table, PriceFrom::Table { vendor, model, is_own })
        }));
        sayings
    }
}

/// The limits by their subject.
#[derive(Debug, Default)]
pub(super) struct LimitRules {
    tenants: HashMap<Name, LimitRule>,
    teams: HashMap<Name, LimitRule>,
    keys: HashMap<Name, LimitRule>,
    users: HashMap<Name, LimitRule>,
    environments: Vec<LimitRule>,
    routes: HashMap<Name, LimitRule>,
    models: HashMap<Name, LimitRule>,
}

impl LimitRules {
    pub(super) fn new(rules: impl IntoIterator<Item = LimitRule>) -> LimitRules {
        let mut all = LimitRules::default();
        for rule in rules {
            let (map, name) = match &rule.scope {
                LimitScope::Tenant(name) => (&mut all.tenants, name.clone()),
                LimitScope::Team(name) => (&mut all.teams, name.clone()),
                LimitScope::Key(name) => (&mut all.keys, name.clone()),
                LimitScope::User(name) => (&mut all.users, name.clone()),
                LimitScope::Route(name) => (&mut all.routes, name.clone()),
                LimitScope::Model(name) => (&mut all.models, name.clone()),
                LimitScope::Environment(_) => {
                    all.environments.push(rule);
                    continue;
                }
            };
            map.insert(name, rule);
        }
        all
    }

    fn find<'a>(
        &'a self,
        caller: &Caller,
        route: &str,
        model: &str,
        target: Option<&Target>,
        out: &mut Vec<&'a LimitRule>,
    ) {
        let of = |map: &'a HashMap<Name, LimitRule>, name: Option<&str>| name.and_then(|name| map.get(name));
        out.extend(of(&self.tenants, Some(&caller.tenant)));
        out.extend(of(&self.teams, caller.team.as_deref()));
        out.extend(of(&self.keys, caller.key.as_deref()));
        out.extend(of(&self.users, caller.user.as_deref()));
        let here = LimitScope::Environment(caller.environment);
        out.extend(self.environments.iter().filter(|rule| rule.scope == here));
        out.extend(of(&self.routes, Some(route)));
        if self.models.is_empty() {
            return;
        }
        out.extend(of(&self.models, Some(model)));
        if let Some(target) = target {
            out.extend(of(&self.models, Some(&target.model)).filter(|_| *target.model != *model));
            let full = target.to_string();
            out.extend(of(&self.models, Some(&full)).filter(|_| *full != *model && *full != *target.model));
        }
    }
}

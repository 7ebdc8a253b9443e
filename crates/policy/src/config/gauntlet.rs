//! `gauntlet.yml` as a whole, and the checks that span sections and files.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use gauntlet_types::{Environment, Exception, Name};

use super::{
    LoadOptions, Mistake, Source, Sources, alerts,
    budgets::{self, BudgetFile},
    cache, exceptions, exporters,
    guards::{self, GuardPolicies},
    keep,
    keys::{self, Keys},
    limits::{LimitRule, LimitScope, LimitsShape},
    models,
    node::{self, At, Node},
    policy::{Config, LimitRules, Prices},
    prices, promotion, providers,
    read::{self, Fields, Report},
    routes::{self, RouteShape},
    routing::{self, Residency},
    scalar,
    shape::{LOG_KEEP, LOG_ROTATE, LogSink, OnStoreDown, Secret, Server, SharedStore},
    verify,
};
use crate::{keys::KeyTable, price::TABLE_VERSION};

/// Bytes of a request body unless `max_body` says otherwise: room for a few images in a prompt.
const BODY_MAX: usize = 10 * 1024 * 1024;

const NO_FILE: &str = "gauntlet.yml";

/// Reads every file and puts the configuration together; it may be used if no mistake is an error.
pub(super) fn assemble(
    sources: &Sources,
    env: &dyn Fn(&str) -> Option<String>,
    options: &LoadOptions,
) -> (Config, Vec<Mistake>) {
    let report_of =
        |source: &Option<Source>, name: &str| Report::new(source.as_ref().map_or(name, |s| &s.file));
    let mut main = report_of(&sources.gauntlet, NO_FILE);
    let mut budget_report = report_of(&sources.budgets, "budgets.yml");
    let mut price_report = report_of(&sources.prices, "prices.yml");

    let budget_file = sources
        .budgets
        .as_ref()
        .map(|source| budgets::read(source, env, &mut budget_report))
        .unwrap_or_default();
    let own_prices = sources.prices.as_ref().and_then(|source| {
        let root = node::parse(source, env, &mut price_report)?;
        Some(prices::read(&root, &mut price_report))
    });

    let schemas = schemas_of(sources);
    let mut policy_reports = Vec::new();
    let policies = guards::policies(&sources.guardrails, env, &schemas, &mut policy_reports);
    let mut exception_report = report_of(&sources.exceptions, "exceptions.yml");
    let excepted =
        sources.exceptions.as_ref().map(|source| exceptions::read(source, env, &mut exception_report));
    let excepted = excepted.unwrap_or_default();
    policy_reports.push(exception_report);

    let root = sources.gauntlet.as_ref().and_then(|source| node::parse(source, env, &mut main));
    let empty = Node { at: At::default(), value: node::Value::Map(Vec::new()) };
    let root = root.as_ref().unwrap_or(&empty);
    let config = file(
        root,
        sources,
        env,
        options,
        Beside { budget_file, own_prices: own_prices.unwrap_or_default(), policies, exceptions: excepted },
        [&mut main, &mut budget_report],
    );
    let mut mistakes = main.mistakes;
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    let policy_mistakes = policy_reports.into_iter().map(|report| report.mistakes);
    for mut other in [budget_report.mistakes, price_report.mistakes].into_iter().chain(policy_mistakes) {
        other.sort_by_key(|mistake| (mistake.line, mistake.column));
        mistakes.append(&mut other);
    }
    (config, mistakes)
}

/// What the other files say.
struct Beside {
    budget_file: BudgetFile,
    own_prices: Vec<prices::OwnPrice>,
    policies: GuardPolicies,
    exceptions: Vec<Exception>,
}

fn file(
    root: &Node,
    sources: &Sources,
    env: &dyn Fn(&str) -> Option<String>,
    options: &LoadOptions,
    beside: Beside,
    [report, budget_report]: [&mut Report; 2],
) -> Config {
    let Beside { budget_file, own_prices, policies, exceptions } = beside;
    let schemas = schemas_of(sources);
    let nothing = Node { at: root.at, value: node::Value::Map(Vec::new()) };
    let mut fields = Fields::of(root, "", report).or_else(|| Fields::of(&nothing, "", report));
    let mut get = |name| fields.as_mut().and_then(|fields: &mut Fields<'_>| fields.get(name));

    let server = server(&mut get, report);
    let providers = match get("providers") {
        Some(node) => providers::read(node, env, report),
        None if options.find_provider_keys => providers::found(env),
        None => HashMap::new(),
    };
    let provider_names: HashSet<Name> = providers.keys().cloned().collect();
    let (models, places) =
        get("models").map(|node| models::read(node, &provider_names, report)).unwrap_or_default();
    let default =
        get("default").map(|node| routes::read_one(node, "`default`", &schemas, report)).unwrap_or_default();
    let routes = get("routes").map(|node| routes::read_all(node, &schemas, report)).unwrap_or_default();
    let keys = get("keys").map(|node| keys::read(node, report)).unwrap_or_default();
    let guards = guards::read(get("guardrails"), policies, exceptions, &schemas, report);
    let limits = get("limits").map(|node| limits(node, report)).unwrap_or_default();
    let tasks = get("tasks").map(|node| routing::tasks(node, report)).unwrap_or_default();
    let tenants = get("tenants").map(|node| routing::tenants(node, report)).unwrap_or_default();
    let mut alerts = get("alerts").map(|node| alerts::read(node, report)).unwrap_or_default();
    let exporters = get("exporters").map(|node| exporters::read(node, report)).unwrap_or_default();
    let promotion = get("promotion").map(|node| promotion::read(node, report)).unwrap_or_default();
    if let Some(fields) = fields {
        fields.finish(report);
    }

    alerts.extend(budget_file.alerts);
    let rules = limit_rules(&routes, &default, &keys, &limits, &budget_file.limits);
    let route_limits =
        |name: &Name| rules.get(&LimitScope::Route(name.clone())).copied().unwrap_or_default().resolve();
    let mut resolved = |shape: &RouteShape, name: Name| {
        let limits = route_limits(&name);
        let mut route = shape.clone().resolve(name, &default, &guards.policies, report);
        route.limits = limits;
        Arc::new(route)
    };
    let route_table = routes
        .iter()
        .map(|(label, shape)| {
            let name = Name::from(label.text.as_str());
            (name.clone(), resolved(shape, name))
        })
        .collect();
    let default_route = resolved(&default, routes::DEFAULT.into());
    let config = Config {
        version: version(sources),
        price_version: match &sources.prices {
            Some(prices) => format!("{TABLE_VERSION}+{}:{}", prices.file, short_hash(&prices.text)).into(),
            None => TABLE_VERSION.into(),
        },
        server,
        providers,
        models,
        tasks: tasks.iter().map(|(task, model, _)| (task.clone(), model.clone())).collect(),
        residency: Residency { tenants, keys: keys.residency.clone() },
        routes: route_table,
        default_route,
        guards,
        alerts,
        exporters,
        promotion,
        limits: LimitRules::new(
            rules
                .iter()
                .map(|(scope, shape)| LimitRule { scope: scope.clone(), limits: shape.resolve() })
                .filter(|rule| !rule.limits.is_unlimited()),
        ),
        budgets: budget_file.budgets,
        keys: KeyTable::new(keys.grants.iter().cloned()),
        prices: Prices::new(own_prices),
        is_loopback: options.loopback,
    };

    let mut shapes = routes.iter().map(|(label, shape)| (label.text.as_str(), shape)).collect::<Vec<_>>();
    shapes.push((routes::DEFAULT, &default));
    verify::route_models(&config, &shapes, report);
    verify::tasks(&config, &tasks, &shapes, report);
    verify::residency(&config, report);
    verify::key_uses(&config, &keys, report);
    verify::unpriced(&config, &places, &shapes, report);
    for (scope, _, at) in &limits {
        verify::subject(&config, &keys, scope, *at, "limit", report);
    }
    for (scope, name, at) in &budget_file.subjects {
        verify::budget(&config, &keys, *scope, name, *at, budget_report);
    }
    verify::downgrades(&config, &budget_file.downgrades, budget_report);
    config
}

fn server<'a>(get: &mut impl FnMut(&'static str) -> Option<&'a Node>, report: &mut Report) -> Server {
    let store = get("store").and_then(|node| {
        let text = read::text(node, "store", report)?;
        let known = text.text == "sqlite"
            || ["postgres://", "postgresql://"].iter().any(|s| text.text.starts_with(s));
        if !known {
            let message = format!("`store: {}` is not a store", text.typed);
            report.error(node.at, message, "write `sqlite`, or an address `postgres://…`");
        }
        Some(Secret::new(&text.text))
    });
    let mut address = |name: &'static str, others: &[&str], example: &str| {
        let node = get(name)?;
        let text = read::text(node, name, report)?;
        let port = text.text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) && !others.contains(&text.text.as_str()) {
            let message = format!("`{name}: {}` is not an address and port", text.typed);
            report.error(node.at, message, format!("write for example `{example}`"));
            return None;
        }
        Some(text.text.as_str().into())
    };
    let listen = address("listen", &[], "127.0.0.1:8787");
    let otlp_listen = address("otlp_listen", &["off"], "127.0.0.1:4317` or `off");
    let body_max = get("max_body").and_then(|node| read::read(node, "max_body", report, scalar::SIZE));
    let log = get("log").and_then(|node| {
        let mut fields = Fields::of(node, "`log`", report)?;
        let sink = fields.text("json", report).map(|(text, _)| match text {
            "off" | "false" | "no" => LogSink::Off,
            "stdout" => LogSink::Stdout,
            "stderr" => LogSink::Stderr,
            path => LogSink::File { path: path.into(), rotate: LOG_ROTATE, keep: LOG_KEEP },
        });
        let rotated = fields.read("rotate", report, scalar::SIZE).map(|bytes| bytes as u64);
        let kept = fields.read("keep", report, scalar::POSITIVE_SMALL);
        fields.finish(report);
        Some(match sink? {
            LogSink::File { path, rotate, keep } => {
                LogSink::File { path, rotate: rotated.unwrap_or(rotate), keep: kept.unwrap_or(keep) }
            }
            other => {
                if rotated.is_some() || kept.is_some() {
                    let cure =
                        "write a path in the place of `stdout` or `stderr`, or take `rotate` and `keep` out";
                    report.error(node.at, "only a log file is rotated", cure);
                }
                other
            }
        })
    });
    let sampling = get("sampling").and_then(|node| keep::sampling(node, report));
    let retention = get("retention").and_then(|node| keep::retention(node, report));
    let shared = get("shared").and_then(|node| shared(node, report));
    let cache = get("cache").and_then(|node| cache::bounds(node, report));
    Server {
        store: store.unwrap_or_else(|| Secret::new("sqlite")),
        listen,
        otlp_listen,
        body_max: body_max.unwrap_or(BODY_MAX),
        log: log.unwrap_or(LogSink::Off),
        sampling: sampling.filter(|sampling| sampling.keep_percent < 100),
        retention: retention.unwrap_or_default(),
        shared,
        cache: cache.unwrap_or_default(),
    }
}

/// `shared: redis://…`, or `{url: …, lease: 10s, on_store_down: block}`.
fn shared(node: &Node, report: &mut Report) -> Option<SharedStore> {
    let mut shared =
        SharedStore { url: Secret::new(""), lease: LEASE_DEFAULT, on_store_down: OnStoreDown::Block };
    let url = match &node.value {
        node::Value::Map(_) => {
            let mut fields = Fields::of(node, "`shared`", report)?;
            let lease = fields.read("lease", report, scalar::DURATION);
            if let Some(short) = lease.filter(|lease| !LEASES.contains(lease)) {
                let message = format!("`lease: {short:?}` is not from 2s to 10m");
                report.error(
                    node.at,
                    message,
                    "a replica renews its lease several times a second; write for example `10s`",
                );
            }
            shared.lease = lease.unwrap_or(shared.lease);
            let choices = [("block", OnStoreDown::Block), ("local", OnStoreDown::Local)];
            shared.on_store_down =
                fields.choice("on_store_down", report, &choices).unwrap_or(shared.on_store_down);
            let url = fields.get("url");
            if url.is_none() {
                report.error(
                    node.at,
                    "`shared` has no `url`",
                    "write `url: redis://HOST:6379` or `postgres://…`",
                );
            }
            fields.finish(report);
            url?
        }
        _ => node,
    };
    let text = read::text(url, "shared", report)?;
    let schemes = ["redis://", "rediss://", "postgres://", "postgresql://"];
    if !schemes.iter().any(|scheme| text.text.starts_with(scheme)) {
        let message = format!("`shared: {}` is not an address of a shared store", text.typed);
        report.error(url.at, message, "write `redis://HOST:6379` or `postgres://USER@HOST/DATABASE`");
    }
    shared.url = Secret::new(&text.text);
    Some(shared)
}

const LEASE_DEFAULT: Duration = Duration::from_secs(5);
/// Shorter than this, a slow network loses leases; longer, a cut-off replica spends for long on what it last heard.
const LEASES: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(600);

/// `limits:` — by kind of subject, then by name.
fn limits(node: &Node, report: &mut Report) -> Vec<(LimitScope, LimitsShape, At)> {
    let mut limits = Vec::new();
    let Some(mut fields) = Fields::of(node, "`limits`", report) else { return limits };
    type Section = (&'static str, fn(Name) -> LimitScope);
    let sections: [Section; 6] = [
        ("tenants", LimitScope::Tenant),
        ("teams", LimitScope::Team),
        ("keys", LimitScope::Key),
        ("users", LimitScope::User),
        ("routes", LimitScope::Route),
        ("models", LimitScope::Model),
    ];
    for (section, scope) in sections {
        let Some(node) = fields.get(section) else { continue };
        for (label, node) in read::map(node, &format!("`limits.{section}`"), report).unwrap_or_default() {
            let shape = LimitsShape::read(node, &format!("limit `{section}.{}`", label.text), report);
            limits.push((scope(label.text.as_str().into()), shape, label.at));
        }
    }
    if let Some(node) = fields.get("environments") {
        for (label, node) in read::map(node, "`limits.environments`", report).unwrap_or_default() {
            let shape = LimitsShape::read(node, &format!("limit `environments.{}`", label.text), report);
            match Environment::parse(&label.text) {
                Some(environment) => limits.push((LimitScope::Environment(environment), shape, label.at)),
                None => {
                    let message = format!("unknown environment `{}`", label.text);
                    report.error(
                        label.at,
                        message,
                        "write `prod`, `staging`, `dev`, `eval`, `judge` or `shadow`",
                    );
                }
            }
        }
    }
    fields.finish(report);
    limits
}

/// The limits of each subject from every place that names it, the strictest of each kind.
fn limit_rules(
    routes: &[(&node::Label, RouteShape)],
    default: &RouteShape,
    keys: &Keys,
    limits: &[(LimitScope, LimitsShape, At)],
    budgets: &[(LimitScope, LimitsShape)],
) -> HashMap<LimitScope, LimitsShape> {
    let routes = routes.iter().map(|(label, shape)| (label.text.as_str(), shape.limits.or(default.limits)));
    let routes = routes.chain([(routes::DEFAULT, default.limits)]);
    let routes = routes.map(|(name, shape)| (LimitScope::Route(name.into()), shape));
    let limits = limits.iter().map(|(scope, shape, _)| (scope.clone(), *shape));
    let mut rules: HashMap<LimitScope, LimitsShape> = HashMap::new();
    for (scope, shape) in
        routes.chain(limits).chain(keys.limits.iter().cloned()).chain(budgets.iter().cloned())
    {
        let rule = rules.entry(scope).or_default();
        *rule = rule.and(shape);
    }
    rules
}

/// The first 12 digits of the BLAKE3 of all texts; what variables hold is not part of it, since it may be secret.
/// Schemas by the path that routes and policies name.
fn schemas_of(sources: &Sources) -> routes::Schemas<'_> {
    sources.schemas.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

fn version(sources: &Sources) -> Name {
    let mut hasher = blake3::Hasher::new();
    let mut add = |name: &str, text: &str| {
        // Lengths go in front, so that no two sets of files read the same.
        for part in [name, text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    };
    for source in
        [&sources.gauntlet, &sources.budgets, &sources.prices, &sources.exceptions].into_iter().flatten()
    {
        add(&source.file, &source.text);
    }
    for source in &sources.guardrails {
        add(&source.file, &source.text);
    }
    for (path, text) in &sources.schemas {
        add(path, text);
    }
    hasher.finalize().to_hex()[..12].into()
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..8].to_owned()
}

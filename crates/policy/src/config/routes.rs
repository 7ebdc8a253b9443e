//! `routes:` and `default:` — how the calls of a feature are treated.

use std::{collections::HashMap, sync::Arc, time::Duration};

use gauntlet_types::{Name, TokenCount};

use super::{
    cache::{self, CachePolicy},
    guards::{self, GuardPolicies, RulesShape},
    limits::LimitsShape,
    node::{At, Label, Node, Value},
    read::{self, Fields, Report},
    routing::{self, RouteRule},
    scalar,
    shape::{OnDisconnect, PromptPin, Route, Timeouts, Unpriced},
};
use crate::{
    guard::{Level, LevelKind},
    retry::RetryPolicy,
};

/// The name under which calls without a route are recorded.
pub(super) const DEFAULT: &str = "default";

/// Output tokens assumed when nobody sets a bound: enough for nearly every answer, and small enough that holds stay
/// near what calls cost.
const MAX_TOKENS_DEFAULT: TokenCount = TokenCount(4096);

/// A route as typed: what is unset comes from `default:`.
#[derive(Clone, Default)]
pub(super) struct RouteShape {
    pub(super) model: Option<(Name, At)>,
    /// The models of calls of some kind, each with its place.
    pub(super) by_rule: Vec<(RouteRule, At)>,
    pub(super) task: Option<(Name, At)>,
    pub(super) residency: Vec<Name>,
    prompt: Option<PromptPin>,
    /// Policies by name, each a level of its own.
    guard: Vec<(Name, At)>,
    rules: RulesShape,
    fallback: Option<Arc<str>>,
    /// The inner none is a written `off`.
    cache: Option<Option<CachePolicy>>,
    /// The model that embeds for its cache.
    pub(super) embedder: Option<(Name, At)>,
    max_tokens: Option<TokenCount>,
    max_tokens_default: Option<TokenCount>,
    pub(super) unpriced: Option<Unpriced>,
    retry: RetryShape,
    timeouts: TimeoutsShape,
    on_disconnect: Option<OnDisconnect>,
    record_bodies: Option<bool>,
    strict: Option<bool>,
    pub(super) limits: LimitsShape,
}

#[derive(Clone, Copy, Default)]
struct RetryShape {
    attempts: Option<u32>,
    base: Option<Duration>,
    max: Option<Duration>,
}

#[derive(Clone, Copy, Default)]
struct TimeoutsShape {
    connect: Option<Duration>,
    first_token: Option<Duration>,
    idle: Option<Duration>,
    attempt: Option<Duration>,
    total: Option<Duration>,
}

/// Schemas by the path that routes name.
pub(super) type Schemas<'a> = HashMap<&'a str, &'a str>;

pub(super) fn read_all<'a>(
    node: &'a Node,
    schemas: &Schemas<'_>,
    report: &mut Report,
) -> Vec<(&'a Label, RouteShape)> {
    let mut routes = Vec::new();
    for (label, node) in read::map(node, "`routes`", report).unwrap_or_default() {
        if label.text == DEFAULT {
            let message = "a route cannot be called `default`";
            report.error(label.at, message, "move its fields to the top-level `default:`");
            continue;
        }
        routes.push((label, read_one(node, &format!("route `{}`", label.text), schemas, report)));
    }
    routes
}

pub(super) fn read_one(node: &Node, what: &str, schemas: &Schemas<'_>, report: &mut Report) -> RouteShape {
    let Some(mut fields) = Fields::of(node, what, report) else { return RouteShape::default() };
    let shape = RouteShape {
        model: fields.text("model", report).map(|(model, at)| (model.into(), at)),
        by_rule: fields.get("rules").map(|node| routing::rules(node, what, report)).unwrap_or_default(),
        task: fields.text("task", report).map(|(task, at)| (task.into(), at)),
        residency: fields
            .get("residency")
            .map(|node| routing::residency(node, what, report))
            .unwrap_or_default(),
        prompt: fields.text("prompt", report).and_then(|(text, at)| prompt(text, at, report)),
        guard: fields.texts("guard", report).into_iter().map(|(text, at)| (text.into(), at)).collect(),
        rules: guards::sections(&mut fields, what, schemas, report),
        fallback: fields.text("fallback", report).map(|(text, _)| text.into()),
        embedder: fields.get("cache").and_then(cache::model_of),
        cache: fields.get("cache").and_then(|node| cache::of_route(node, what, report)),
        max_tokens: fields.read("max_tokens", report, scalar::TOKENS),
        max_tokens_default: fields.read("default_max_tokens", report, scalar::TOKENS),
        unpriced: fields.choice(
            "unpriced",
            report,
            &[("block", Unpriced::Block), ("allow", Unpriced::Allow), ("cap_tokens", Unpriced::CapTokens)],
        ),
        retry: fields.get("retry").map(|node| retry(node, what, report)).unwrap_or_default(),
        timeouts: fields.get("timeouts").map(|node| timeouts(node, what, report)).unwrap_or_default(),
        on_disconnect: fields.get("on_disconnect").and_then(|node| on_disconnect(node, what, report)),
        record_bodies: fields.get("record").and_then(|node| record(node, what, report)),
        strict: fields.read("strict", report, scalar::BOOL),
        limits: fields.get("limits").map_or_else(LimitsShape::default, |node| {
            LimitsShape::read(node, &format!("`limits` of {what}"), report)
        }),
    };
    fields.finish(report);
    if let (Some(_), Some((task, at))) = (&shape.model, &shape.task) {
        let message = format!("{what} has both `model` and `task: {task}`");
        report.error(*at, message, "a task stands for its model: write one of the two");
    }
    shape
}

impl RouteShape {
    /// The route with every default applied. A section such as `input:` inherits field by field.
    pub(super) fn resolve(
        self,
        name: Name,
        default: &RouteShape,
        policies: &GuardPolicies,
        report: &mut Report,
    ) -> Route {
        let levels = self.levels(&name, default, policies, report);
        let (own, base) = (self, default);
        let (retry, timeouts) = (RetryPolicy::default(), Timeouts::default());
        // Whoever says which model a route has does not mean the rules of another place to change it.
        let names_model = own.model.is_some() || own.task.is_some();
        let rules = if names_model || !own.by_rule.is_empty() { &own.by_rule } else { &base.by_rule };
        let task = own.task.as_ref().or(base.task.as_ref().filter(|_| own.model.is_none()));
        let model = own.model.as_ref().or(base.model.as_ref().filter(|_| task.is_none()));
        Route {
            name,
            model: model.map(|(model, _)| model.clone()),
            rules: rules.iter().map(|(rule, _)| rule.clone()).collect(),
            task: task.map(|(task, _)| task.clone()),
            residency: if own.residency.is_empty() { base.residency.clone() } else { own.residency },
            prompt: own.prompt.or_else(|| base.prompt.clone()),
            guards: levels,
            fallback: own.fallback.or_else(|| base.fallback.clone()),
            cache: own.cache.or_else(|| base.cache.clone()).flatten(),
            max_tokens: own.max_tokens.or(base.max_tokens),
            max_tokens_default: own
                .max_tokens_default
                .or(base.max_tokens_default)
                .unwrap_or(MAX_TOKENS_DEFAULT),
            unpriced: own.unpriced.or(base.unpriced).unwrap_or(Unpriced::Block),
            retry: RetryPolicy {
                attempts: own.retry.attempts.or(base.retry.attempts).unwrap_or(retry.attempts),
                base: own.retry.base.or(base.retry.base).unwrap_or(retry.base),
                max: own.retry.max.or(base.retry.max).unwrap_or(retry.max),
            },
            timeouts: Timeouts {
                connect: own.timeouts.connect.or(base.timeouts.connect).unwrap_or(timeouts.connect),
                first_token: own
                    .timeouts
                    .first_token
                    .or(base.timeouts.first_token)
                    .unwrap_or(timeouts.first_token),
                idle: own.timeouts.idle.or(base.timeouts.idle).unwrap_or(timeouts.idle),
                attempt: own.timeouts.attempt.or(base.timeouts.attempt).unwrap_or(timeouts.attempt),
                total: own.timeouts.total.or(base.timeouts.total).unwrap_or(timeouts.total),
            },
            on_disconnect: own.on_disconnect.or(base.on_disconnect).unwrap_or(OnDisconnect::Abort),
            record_bodies: own.record_bodies.or(base.record_bodies).unwrap_or(true),
            strict: own.strict.or(base.strict).unwrap_or(false),
            limits: own.limits.or(base.limits).resolve(),
        }
    }

    /// The policies that it names, and its own rules.
    fn levels(
        &self,
        name: &Name,
        default: &RouteShape,
        policies: &GuardPolicies,
        report: &mut Report,
    ) -> Vec<Arc<Level>> {
        let what = format!("route `{name}`");
        let mut levels = Vec::new();
        for (text, at) in &self.guard {
            let policy = policies.named(text, *at, &what, report);
            levels.extend(policy.map(|policy| Level::of_policy(LevelKind::Route, name.clone(), policy)));
        }
        if self.guard.is_empty() {
            // What `default` names in vain is reported there.
            let inherited = default.guard.iter().filter_map(|(text, _)| policies.find(text));
            levels.extend(inherited.map(|policy| Level::of_policy(LevelKind::Route, name.clone(), policy)));
        }
        let rules = self.rules.clone().or(&default.rules).flagging().resolve();
        levels.push(Level::new(LevelKind::Route, name.clone(), None, Arc::new(rules)));
        levels.into_iter().map(Arc::new).collect()
    }
}

fn prompt(text: &str, at: At, report: &mut Report) -> Option<PromptPin> {
    let (name, pin) = text.split_once('@').unwrap_or((text, "production"));
    if name.is_empty() || pin.is_empty() {
        let cure = "write for example `support-agent@production` or `support-agent@1.2.0`";
        report.error(at, format!("`prompt: {text}` names no prompt and label"), cure);
        return None;
    }
    Some(PromptPin { name: name.into(), at: pin.into() })
}

fn retry(node: &Node, what: &str, report: &mut Report) -> RetryShape {
    // `retry: off` is one attempt.
    if let Value::Text(text) = &node.value
        && matches!(text.text.as_str(), "off" | "false" | "no")
    {
        return RetryShape { attempts: Some(1), ..RetryShape::default() };
    }
    let Some(mut fields) = Fields::of(node, format!("`retry` of {what}"), report) else {
        return RetryShape::default();
    };
    let shape = RetryShape {
        attempts: fields.read("attempts", report, scalar::POSITIVE_SMALL),
        base: fields.read("base", report, scalar::DURATION),
        max: fields.read("max", report, scalar::DURATION),
    };
    // More tries of a sick provider make it sicker; the next target is the better answer.
    if let Some(attempts) = shape.attempts.filter(|attempts| *attempts > 10) {
        let message = format!("`attempts: {attempts}` of {what} is more than 10");
        report.error(node.at, message, "write 10 or less, and add another target to the model");
    }
    fields.finish(report);
    shape
}

fn timeouts(node: &Node, what: &str, report: &mut Report) -> TimeoutsShape {
    let Some(mut fields) = Fields::of(node, format!("`timeouts` of {what}"), report) else {
        return TimeoutsShape::default();
    };
    let mut positive = |name: &'static str| {
        let value = fields.read(name, report, scalar::DURATION)?;
        if value.is_zero() {
            report.error(node.at, format!("`{name}` of {what} is zero"), "write a time, for example `30s`");
            return None;
        }
        Some(value)
    };
    let shape = TimeoutsShape {
        connect: positive("connect"),
        first_token: positive("first_token"),
        idle: positive("idle"),
        attempt: positive("attempt"),
        total: positive("total"),
    };
    fields.finish(report);
    shape
}

fn on_disconnect(node: &Node, what: &str, report: &mut Report) -> Option<OnDisconnect> {
    if let Value::Map(_) = node.value {
        let mut fields = Fields::of(node, format!("`on_disconnect` of {what}"), report)?;
        let tokens = fields.read("drain_tokens", report, scalar::TOKENS);
        fields.finish(report);
        return tokens.map(OnDisconnect::DrainTokens);
    }
    read::choice(
        node,
        "on_disconnect",
        report,
        &[("abort", OnDisconnect::Abort), ("drain", OnDisconnect::Drain)],
    )
}

fn record(node: &Node, what: &str, report: &mut Report) -> Option<bool> {
    let mut fields = Fields::of(node, format!("`record` of {what}"), report)?;
    let bodies = fields.read("bodies", report, scalar::BOOL);
    fields.finish(report);
    bodies
}

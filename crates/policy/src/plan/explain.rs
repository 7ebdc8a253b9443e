//! Why a call goes where it goes: a line for the record of each call, and the whole story for `gauntlet route explain`.

use std::fmt::Write;

use gauntlet_places::near;
use gauntlet_types::{Caller, Code, Fault, Name, NanoUsd, Target, Timestamp, TokenCount};
use serde::Serialize;

use super::{
    LeftOut, Plan,
    choose::{self, By, Facts},
    order::{self, Candidate, Draw},
    plan,
};
use crate::{
    config::{Choice, Policy, Route, Sticky, Strategy},
    health::{Standing, View},
    keys::KeyGrant,
    price::{Bound, Price},
    retire,
};

/// A record's line is read beside many others.
const REASON_MAX: usize = 300;
/// Of the targets that were passed over, so many are named.
const NAMED_MAX: usize = 3;

/// How a call came to its first target.
pub struct Reasons<'a> {
    /// Who named the model, as [`By::words`] says it.
    pub by: Option<&'a str>,
    pub draw: Draw,
    pub candidates: &'a [Candidate<'a>],
    pub order: &'a [usize],
    /// Targets that have no room for the call.
    pub too_small: &'a [Target],
    pub left_out: &'a [LeftOut],
}

impl Reasons<'_> {
    /// The line for the record; none where there was nothing to choose.
    pub fn line(&self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.by.map(str::to_owned));
        let first = self.order.first().map(|at| &self.candidates[*at])?;
        if self.candidates.len() > 1 {
            parts.push(self.choice(first));
        }
        let alone = self.candidates.iter().filter_map(|candidate| {
            Some(format!("{} ({})", candidate.target, candidate.view.standing.why()?.words()))
        });
        parts.extend(named("left alone", alone.collect()));
        parts.extend(named("too small", self.too_small.iter().map(Target::to_string).collect()));
        let out = self.left_out.iter().map(|out| format!("{} ({})", out.target, out.why));
        parts.extend(named("left out", out.collect()));
        let mut line = parts.join("; ");
        if line.len() > REASON_MAX {
            let cut = (0..=REASON_MAX).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(cut);
            line.push('…');
        }
        (!line.is_empty()).then_some(line)
    }

    fn choice(&self, first: &Candidate<'_>) -> String {
        let count = self.candidates.len();
        let sticky = if self.draw.is_sticky { ", sticky" } else { "" };
        match self.draw.strategy {
            Strategy::Fallback => format!("first of {count}"),
            Strategy::Weighted => {
                let all: u32 = self.candidates.iter().map(|candidate| candidate.weight).sum();
                format!("weighted, {} of {all}{sticky}", first.weight)
            }
            Strategy::LeastBusy => {
                format!("least busy of {count}, {} under way{sticky}", first.view.in_flight)
            }
            Strategy::Latency => format!("latency, {} (of {count}){sticky}", milliseconds(&first.view)),
            Strategy::Cheapest => match first.price {
                Some(price) => format!("cheapest of {count}, at most ${price}{sticky}"),
                None => format!("cheapest of {count}, no price known{sticky}"),
            },
        }
    }
}

fn named(what: &str, mut names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let mut text = format!("{what}: {}", names.join(", "));
    if more > 0 {
        // A String takes everything.
        let _ = write!(text, " and {more} more");
    }
    (!names.is_empty()).then_some(text)
}

fn milliseconds(view: &View) -> String {
    view.latency_us.map_or_else(|| "not measured yet".to_owned(), |us| format!("{:.0} ms", us / 1e3))
}

/// Input and output that a target has room for together; none: nobody knows.
pub fn room(choice: &Choice, price: Option<&Price>) -> Option<TokenCount> {
    choice.context_max.or_else(|| price?.context_window)
}

/// What `route explain` is asked.
#[derive(Clone, Default, Debug)]
pub struct Asked {
    /// A route, or a model.
    pub name: String,
    /// What the caller asks for, of a route that leaves the model to the caller.
    pub model: Option<String>,
    pub tenant: Option<String>,
    pub key: Option<String>,
    pub tags: Vec<Name>,
    pub task: Option<String>,
    /// Of the request.
    pub tokens: Option<u32>,
    pub stream: bool,
    pub tools: bool,
    pub images: bool,
}

/// Tokens of a request where nobody says: a page of text.
const TOKENS_DEFAULT: u32 = 1_000;

/// Where a call would go now, and why.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explained {
    pub route: Option<Name>,
    pub model: Name,
    /// Who names the model.
    pub by: String,
    pub strategy: Strategy,
    pub sticky: Sticky,
    pub is_pin: bool,
    /// Without a first token after so long the next target is asked as well.
    pub hedge_ms: Option<u64>,
    /// Whether a running gateway was asked; else nothing is known of load, latency and failures.
    pub is_live: bool,
    pub tokens: u32,
    /// In the order they would be asked.
    pub targets: Vec<Shown>,
    pub left_out: Vec<Out>,
    pub warnings: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Shown {
    pub target: String,
    pub weight: u32,
    /// Of the calls, where the strategy draws by weight.
    pub share: Option<f64>,
    pub region: Option<Name>,
    pub room: Option<u32>,
    /// The most that such a call can cost; none: nobody knows.
    pub worst_case_usd: Option<f64>,
    pub latency_ms: Option<f64>,
    pub in_flight: u32,
    /// Why it is asked last, or not at all.
    pub left_alone: Option<&'static str>,
    pub left_alone_s: Option<f64>,
    pub retires: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Out {
    pub target: String,
    pub why: String,
}

/// Says where such a call would go. `views` tells how targets are; none where no gateway runs.
///
/// Errors: those that the call itself would meet (`unknown_model`, `killed`, `forbidden`), `not_found` for an unknown
/// key, and `invalid_request` for a route that leaves the model to the caller while none is said.
pub fn explain(
    policy: &Policy,
    asked: &Asked,
    now: Timestamp,
    views: Option<&dyn Fn(&Target) -> View>,
) -> Result<Explained, Fault> {
    let config = policy.config();
    let route = policy.route(&asked.name);
    let of_route = route.unwrap_or_else(|| policy.default_route());
    let grant = asked.key.as_deref().map(|key| grant(policy, key)).transpose()?;
    let of_key = grant.map(|grant| grant.tenant.clone());
    let caller = Caller {
        tenant: asked.tenant.as_deref().map(Name::from).or(of_key).unwrap_or_else(|| "default".into()),
        key: grant.map(|grant| grant.name.clone()),
        tags: asked.tags.clone(),
        ..Caller::default()
    };
    let tokens = asked.tokens.unwrap_or(TOKENS_DEFAULT);
    let (model, by) = match route {
        None => (Name::from(asked.name.as_str()), "asked for by its name".to_owned()),
        Some(route) => {
            let facts = Facts {
                caller: &caller,
                model: asked.model.as_deref().unwrap_or_default(),
                task: asked.task.as_deref(),
                has_more_tokens: &|over| tokens > over,
                hour: hour_of(now),
                stream: asked.stream,
                tools: asked.tools,
                images: asked.images,
            };
            let chosen = choose::choose(config, route, &facts)?;
            if chosen.by == By::Caller && asked.model.is_none() {
                let message =
                    format!("route `{}` leaves the model to the caller; say one: --model NAME", asked.name);
                return Err(Fault::caller(Code::InvalidRequest, message));
            }
            (chosen.model, said(&chosen.by, route))
        }
    };
    let residences = policy.residences(&caller, of_route);
    let plan = plan(policy, &model, &residences).map_err(|fault| neither(policy, asked, route, fault))?;
    let mut explained = Explained {
        route: route.map(|route| route.name.clone()),
        is_pin: config.models.get(&model).is_some_and(|model| model.is_pin),
        model,
        by,
        strategy: plan.strategy,
        sticky: plan.sticky,
        hedge_ms: plan.hedge.map(|after| after.as_millis() as u64),
        is_live: views.is_some(),
        tokens,
        targets: Vec::new(),
        left_out: plan
            .left_out
            .iter()
            .map(|out| Out { target: out.target.to_string(), why: out.why.clone() })
            .collect(),
        warnings: Vec::new(),
    };
    targets(policy, of_route, &plan, now, views, &mut explained);
    Ok(explained)
}

fn grant<'a>(policy: &'a Policy, key: &str) -> Result<&'a KeyGrant, Fault> {
    let found = policy.keys().iter().find(|grant| *grant.name == *key);
    found.map(|grant| &**grant).ok_or_else(|| {
        let near = near::did_you_mean(key, policy.keys().iter().map(|grant| grant.name.as_str()));
        let cure = near.unwrap_or_else(|| "`gauntlet key list` and gauntlet.yml have them".to_owned());
        Fault::caller(Code::NotFound, format!("there is no key `{key}`; {cure}"))
    })
}

/// The hour of the day in UTC.
pub fn hour_of(now: Timestamp) -> u8 {
    (now.0.rem_euclid(86_400_000_000) / 3_600_000_000) as u8
}

fn said(by: &By, route: &Route) -> String {
    match by {
        By::Rule(number) => format!("rule {number} of route {}", route.name),
        By::Route => format!("the model of route {}", route.name),
        By::Task(task) => format!("task {task}"),
        By::Caller => "what the caller asks for".to_owned(),
    }
}

/// A name that is no model may have been meant for a route.
fn neither(policy: &Policy, asked: &Asked, route: Option<&std::sync::Arc<Route>>, fault: Fault) -> Fault {
    if route.is_some() || fault.code != Code::UnknownModel {
        return fault;
    }
    let routes = policy.config().routes.keys().map(Name::as_str);
    match near::nearest(&asked.name, routes) {
        Some(near) => {
            let message = format!("there is no route or model `{}`; did you mean `{near}`?", asked.name);
            Fault::caller(Code::UnknownRoute, message)
        }
        None => fault,
    }
}

fn targets(
    policy: &Policy,
    route: &Route,
    plan: &Plan,
    now: Timestamp,
    views: Option<&dyn Fn(&Target) -> View>,
    out: &mut Explained,
) {
    let output = route.max_tokens.unwrap_or(route.max_tokens_default);
    let bound = Bound { input: TokenCount(out.tokens), output, ..Bound::default() };
    let prices: Vec<_> = plan.choices.iter().map(|choice| policy.price(&choice.target, now)).collect();
    let needed = out.tokens.saturating_add(route.max_tokens.map_or(0, |most| most.0));
    let has_room =
        |at: usize| room(&plan.choices[at], prices[at].as_deref()).is_none_or(|room| room.0 >= needed);
    let all: Vec<usize> = (0..plan.choices.len()).collect();
    let mut kept: Vec<usize> = all.iter().copied().filter(|at| has_room(*at)).collect();
    if kept.is_empty() {
        kept = all.clone();
        out.warnings.push(format!("no target is known to have room for {needed} tokens; all are asked"));
    } else {
        let small = all.iter().filter(|at| !has_room(**at)).map(|at| &plan.choices[*at]);
        out.left_out.extend(small.map(|choice| Out {
            target: choice.target.to_string(),
            why: format!("it has no room for {needed} tokens"),
        }));
    }
    let candidates: Vec<Candidate<'_>> = kept
        .iter()
        .map(|at| Candidate {
            target: &plan.choices[*at].target,
            weight: plan.choices[*at].weight,
            view: views.map_or(View::UNKNOWN, |views| views(&plan.choices[*at].target)),
            price: prices[*at].as_ref().map(|price| price.bound_of(&bound)),
        })
        .collect();
    let draw = Draw { strategy: plan.strategy, seed: 0, is_sticky: false };
    let mut order = order::order(draw, &candidates);
    if plan.strategy == Strategy::Weighted {
        // Each call draws anew: the likeliest comes first here.
        order.sort_by_key(|at| {
            (!candidates[*at].view.standing.is_free(), std::cmp::Reverse(candidates[*at].weight))
        });
    }
    let free = candidates.iter().filter(|candidate| candidate.view.standing.is_free());
    let weights: u32 = free.map(|candidate| candidate.weight).sum();
    for at in order {
        let (candidate, choice) = (&candidates[at], &plan.choices[kept[at]]);
        let is_free = candidate.view.standing.is_free();
        let share = match plan.strategy {
            Strategy::Weighted if !is_free => Some(0.0),
            Strategy::Weighted if weights > 0 => Some(f64::from(candidate.weight) / f64::from(weights)),
            _ => None,
        };
        let left = match candidate.view.standing {
            Standing::Free => None,
            Standing::LeftAlone { left, .. } => Some(left.as_secs_f64()),
        };
        let retires = retire::retiring(policy.config(), choice, now.day()).map(|retiring| retiring.words());
        out.warnings.extend(retires.iter().map(|words| format!("{} {words}", choice.target)));
        out.targets.push(Shown {
            target: candidate.target.to_string(),
            weight: candidate.weight,
            share,
            region: policy.config().region_of(choice).cloned(),
            room: room(choice, prices[kept[at]].as_deref()).map(|room| room.0),
            worst_case_usd: candidate.price.map(NanoUsd::as_usd),
            latency_ms: candidate.view.latency_us.map(|us| us / 1e3),
            in_flight: candidate.view.in_flight,
            left_alone: candidate.view.standing.why().map(crate::health::Why::words),
            left_alone_s: left,
            retires,
        });
    }
}

#[cfg(test)]
mod tests;

//! `models:` — what a caller may ask for, the targets it stands for, and how one of them is chosen.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use gauntlet_places::near::did_you_mean;
use gauntlet_types::{Day, Name, Target, TokenCount};
use serde::Serialize;

use super::{
    node::{At, Label, Node, Value},
    read::{self, Fields, Report},
    routing, scalar,
};
use crate::retire;

/// What names stand for, by the name that callers use.
pub type Models = HashMap<Name, Arc<Model>>;

/// A name that callers use, and what it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    /// In the order they are written, each target once.
    pub choices: Vec<Choice>,
    pub strategy: Strategy,
    pub sticky: Sticky,
    /// Written as `pin:`: this model and no other.
    pub is_pin: bool,
    /// After so long without a first token the next target is asked as well.
    pub hedge: Option<Duration>,
}

/// How long a target may be waited for before the next is asked beside it: less would ask two as a rule, and no caller
/// waits for more.
const HEDGES: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);

/// A target that a name stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    pub target: Target,
    /// Its share among the others; 0: only when no other is left.
    pub weight: u32,
    /// None: its provider's.
    pub region: Option<Name>,
    /// Input and output together; none: as the price table says.
    pub context_max: Option<TokenCount>,
    /// When it ends, if the operator knows better than the table.
    pub retires: Option<Day>,
}

impl Choice {
    pub fn new(target: Target) -> Choice {
        Choice { target, weight: 1, region: None, context_max: None, retires: None }
    }
}

/// Which target of a name is asked first. The others follow as fallbacks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they are written (default).
    #[default]
    Fallback,
    /// By chance, each as often as its weight says.
    Weighted,
    /// The fewest calls under way for its weight.
    LeastBusy,
    /// The quicker of two that are drawn.
    Latency,
    /// The lowest worst case among those that have room for the call.
    Cheapest,
}

impl Strategy {
    const CHOICES: [(&'static str, Strategy); 5] = [
        ("fallback", Strategy::Fallback),
        ("weighted", Strategy::Weighted),
        ("least_busy", Strategy::LeastBusy),
        ("latency", Strategy::Latency),
        ("cheapest", Strategy::Cheapest),
    ];

    pub fn as_str(self) -> &'static str {
        Strategy::CHOICES.iter().find(|(_, strategy)| *strategy == self).map_or("", |(name, _)| name)
    }
}

/// Whether calls with the same beginning go to the same target, whose provider has then cached it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    #[default]
    Off,
    /// By the tenant and the first kilobyte of the conversation.
    Prefix,
    /// By the caller's session, or the prefix where it names none.
    Session,
}

/// An alias as typed.
struct Alias<'a> {
    label: &'a Label,
    targets: Vec<Typed<'a>>,
    strategy: Strategy,
    sticky: Sticky,
    is_pin: bool,
    hedge: Option<(Duration, At)>,
}

/// A target as typed: a name, and what is said of it.
#[derive(Clone, Default)]
struct Typed<'a> {
    text: &'a str,
    at: At,
    weight: Option<u32>,
    region: Option<Name>,
    context_max: Option<TokenCount>,
    retires: Option<Day>,
}

impl Typed<'_> {
    fn is_plain(&self) -> bool {
        self.weight.is_none() && self.region.is_none() && self.context_max.is_none() && self.retires.is_none()
    }
}

/// Reads the aliases and expands those that name other aliases. Beside them come the places of targets.
pub(super) fn read(
    node: &Node,
    providers: &HashSet<Name>,
    report: &mut Report,
) -> (Models, Vec<(Target, At)>) {
    let mut aliases = Vec::new();
    for (label, node) in read::map(node, "`models`", report).unwrap_or_default() {
        aliases.extend(alias(label, node, report));
    }
    let index: HashMap<&str, &Alias<'_>> =
        aliases.iter().map(|alias| (alias.label.text.as_str(), alias)).collect();
    let mut expansion =
        Expansion { aliases: &index, providers, done: HashMap::new(), places: Vec::new(), report };
    let mut models = Models::new();
    for alias in &aliases {
        let choices = expansion.expand(alias, &mut Vec::new());
        if alias.is_pin {
            pin(alias, &choices, expansion.report);
        }
        let Alias { strategy, sticky, is_pin, hedge, .. } = *alias;
        if let Some((_, at)) = hedge
            && choices.len() == 1
        {
            let message = format!("`hedge` of model `{}` has no second target to ask", alias.label.text);
            expansion.report.error(at, message, "name another one in `targets`, or take `hedge` out");
        }
        let hedge = hedge.map(|(after, _)| after);
        let model = Model { choices, strategy, sticky, is_pin, hedge };
        models.insert(alias.label.text.as_str().into(), Arc::new(model));
    }
    (models, expansion.places)
}

/// Reads `{targets: …}`, `{pin: …}`, a list of targets, or a single one.
fn alias<'a>(label: &'a Label, node: &'a Node, report: &mut Report) -> Option<Alias<'a>> {
    let what = format!("model `{}`", label.text);
    let mut alias = Alias {
        label,
        targets: Vec::new(),
        strategy: Strategy::Fallback,
        sticky: Sticky::Off,
        is_pin: false,
        hedge: None,
    };
    match &node.value {
        Value::Map(_) => {
            let mut fields = Fields::of(node, what.clone(), report)?;
            if let Some(node) = fields.get("targets") {
                alias.targets = typed_all(node, &what, report);
            }
            alias.strategy =
                fields.choice("strategy", report, &Strategy::CHOICES).unwrap_or(Strategy::Fallback);
            let sticky = [
                ("prefix", Sticky::Prefix),
                ("session", Sticky::Session),
                ("true", Sticky::Prefix),
                ("off", Sticky::Off),
                ("false", Sticky::Off),
            ];
            alias.sticky = fields.choice("sticky", report, &sticky).unwrap_or(Sticky::Off);
            alias.hedge = fields.get("hedge").and_then(|node| hedge(node, &what, report));
            let retires = fields.read("retires", report, scalar::DAY);
            if let Some((text, at)) = fields.text("pin", report) {
                if !alias.targets.is_empty() {
                    let message = format!("{what} has both `pin` and `targets`");
                    report.error(at, message, "a pin is one model and no other: write one of the two");
                }
                alias.targets = vec![Typed { text, at, retires, ..Typed::default() }];
                alias.is_pin = true;
            } else if retires.is_some() {
                let message = format!("`retires` of {what} is said of no pin");
                report.error(
                    node.at,
                    message,
                    "write it beside a target: `{target: provider/model, retires: …}`",
                );
            }
            if alias.sticky != Sticky::Off && alias.strategy == Strategy::Fallback {
                let message = format!("`sticky` of {what} has nothing to choose among");
                report.error(
                    node.at,
                    message,
                    "add `strategy: weighted`, `least_busy`, `latency` or `cheapest`",
                );
            }
            fields.finish(report);
        }
        Value::List(_) | Value::Text(_) => alias.targets = typed_all(node, &what, report),
        Value::Null => {}
        Value::Broken => return None,
    }
    if alias.targets.is_empty() {
        let cure = "write `targets: [provider/model, …]`, the first choice first";
        report.error(label.at, format!("{what} has no targets"), cure);
    }
    if alias.targets.iter().any(|typed| typed.weight.is_some())
        && alias.targets.iter().all(|typed| typed.weight == Some(0))
    {
        report.error(label.at, format!("every target of {what} has weight 0"), "give one of them a share");
    }
    let weighs = matches!(alias.strategy, Strategy::Weighted | Strategy::LeastBusy | Strategy::Latency);
    let weighed = alias.targets.iter().find(|typed| typed.weight.is_some_and(|weight| weight != 1));
    if let Some(typed) = weighed.filter(|_| !weighs) {
        let message =
            format!("`weight` in {what} has no effect with `strategy: {}`", alias.strategy.as_str());
        report.warn(typed.at, message, "write `strategy: weighted`, or take the weights out");
    }
    Some(alias)
}

/// Reads `{after: 800ms}`, with its place.
fn hedge(node: &Node, what: &str, report: &mut Report) -> Option<(Duration, At)> {
    let what = format!("`hedge` of {what}");
    let cure = "write `hedge: {after: 800ms}`, about what nine calls in ten stay under";
    let Value::Map(_) = node.value else {
        report.error(node.at, format!("{what} must be a map"), cure);
        return None;
    };
    let mut fields = Fields::of(node, what.clone(), report)?;
    let at = fields.get("after").map_or(node.at, |after| after.at);
    let after = fields.read("after", report, scalar::DURATION);
    if fields.is_missing("after") {
        report.error(node.at, format!("{what} has no `after`"), cure);
    }
    fields.finish(report);
    let after = after?;
    if !HEDGES.contains(&after) {
        report.error(at, format!("`after` of {what} is not from 10ms to 10m"), cure);
        return None;
    }
    Some((after, at))
}

fn typed_all<'a>(node: &'a Node, what: &str, report: &mut Report) -> Vec<Typed<'a>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    items.iter().filter_map(|item| typed(item, what, report)).collect()
}

fn typed<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<Typed<'a>> {
    let Value::Map(_) = node.value else {
        let text = read::text(node, "targets", report)?;
        return (!text.text.is_empty()).then(|| Typed { text: &text.text, at: node.at, ..Typed::default() });
    };
    let what = format!("a target of {what}");
    let mut fields = Fields::of(node, what.clone(), report)?;
    let target = fields.text("target", report);
    if fields.is_missing("target") {
        report.error(node.at, format!("{what} has no `target`"), "write `{target: provider/model, …}`");
    }
    let typed = Typed {
        text: "",
        at: node.at,
        weight: fields.read("weight", report, scalar::COUNT),
        region: fields.get("region").and_then(|node| routing::region(node, &what, report)),
        context_max: fields.read("max_context", report, scalar::TOKENS),
        retires: fields.read("retires", report, scalar::DAY),
    };
    fields.finish(report);
    target.map(|(text, at)| Typed { text, at, ..typed })
}

/// Checks that a pin holds what it promises: one model that its provider does not change.
fn pin(alias: &Alias<'_>, choices: &[Choice], report: &mut Report) {
    let Some(typed) = alias.targets.first() else { return };
    let name = &alias.label.text;
    let [choice] = choices else {
        if !choices.is_empty() {
            let message = format!("pin `{name}` names `{}`, which stands for several targets", typed.text);
            report.error(typed.at, message, "name one `provider/model`");
        }
        return;
    };
    if !retire::has_version(&choice.target.model) {
        let message = format!("pin `{name}` names `{}`, which has no date or version", choice.target);
        let cure = "its provider may change what is behind the name; write the dated name, for example \
                    `openai/gpt-4o-2024-08-06`";
        report.warn(typed.at, message, cure);
    }
}

struct Expansion<'a, 'b> {
    aliases: &'b HashMap<&'a str, &'b Alias<'a>>,
    providers: &'b HashSet<Name>,
    done: HashMap<&'a str, Vec<Choice>>,
    places: Vec<(Target, At)>,
    report: &'b mut Report,
}

impl<'a> Expansion<'a, '_> {
    /// The alias's targets, each once, aliases inside it replaced by theirs. `path` holds the aliases being expanded.
    fn expand(&mut self, alias: &Alias<'a>, path: &mut Vec<&'a str>) -> Vec<Choice> {
        let name = alias.label.text.as_str();
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        path.push(name);
        let mut seen = HashSet::new();
        let mut choices = Vec::new();
        for typed in &alias.targets {
            for choice in self.one(typed, path) {
                if seen.insert(choice.target.clone()) {
                    choices.push(choice);
                }
            }
        }
        path.pop();
        self.done.insert(name, choices.clone());
        choices
    }

    fn one(&mut self, typed: &Typed<'a>, path: &mut Vec<&'a str>) -> Vec<Choice> {
        let (text, at) = (typed.text, typed.at);
        if path.contains(&text) {
            let circle = path.iter().skip_while(|name| **name != text).chain([&text]);
            let circle = circle.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" → ");
            self.report.error(
                at,
                format!("models go round in a circle: {circle}"),
                "name a `provider/model` instead",
            );
            return Vec::new();
        }
        if let Some(alias) = self.aliases.get(text) {
            if !typed.is_plain() {
                let message = format!(
                    "weight, region, max_context and retires are said of `{text}`, which is a name of several targets"
                );
                self.report.error(at, message, "say them of each `provider/model` there");
            }
            return self.expand(alias, path);
        }
        let target = Target::parse(text);
        if let Some(target) = target.clone().filter(|target| self.providers.contains(&target.provider)) {
            self.places.push((target.clone(), at));
            return vec![Choice {
                target,
                weight: typed.weight.unwrap_or(1),
                region: typed.region.clone(),
                context_max: typed.context_max,
                retires: typed.retires,
            }];
        }
        let owner = path.last().copied().unwrap_or_default();
        let (message, cure) = match target {
            Some(target) => (
                format!(
                    "target `{text}` of model `{owner}` names the unknown provider `{}`",
                    target.provider
                ),
                did_you_mean(&target.provider, self.providers.iter().map(Name::as_str)).unwrap_or_else(
                    || format!("add it under `providers`, or use one of: {}", list(self.providers)),
                ),
            ),
            None => (
                format!(
                    "target `{text}` of model `{owner}` is neither a model of this file nor `provider/model`"
                ),
                did_you_mean(text, self.aliases.keys().copied())
                    .unwrap_or_else(|| format!("write for example `openai/{text}`")),
            ),
        };
        self.report.error(at, message, cure);
        Vec::new()
    }
}

fn list(names: &HashSet<Name>) -> String {
    let mut names: Vec<&str> = names.iter().map(Name::as_str).collect();
    names.sort_unstable();
    if names.is_empty() { "(there are none)".to_owned() } else { names.join(", ") }
}

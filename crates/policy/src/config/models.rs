//! `models:` — what a caller may ask for, and the targets it stands for.

use std::collections::{HashMap, HashSet};

use gauntlet_types::{Name, Target};

use super::{
    near::did_you_mean,
    node::{At, Label, Node, Value},
    read::{self, Fields, Report},
};

/// Targets in fallback order by the name that callers use.
pub type Models = HashMap<Name, Vec<Target>>;

/// An alias as typed.
struct Alias<'a> {
    label: &'a Label,
    targets: Vec<(&'a str, At)>,
}

/// Reads the aliases and expands those that name other aliases. Beside them come the places of targets.
pub(super) fn read(
    node: &Node,
    providers: &HashSet<Name>,
    report: &mut Report,
) -> (Models, Vec<(Target, At)>) {
    let mut aliases = Vec::new();
    for (label, node) in read::map(node, "`models`", report).unwrap_or_default() {
        let targets = match &node.value {
            Value::Map(_) => {
                let what = format!("model `{}`", label.text);
                let Some(mut fields) = Fields::of(node, what, report) else { continue };
                let targets = fields.texts("targets", report);
                fields.finish(report);
                targets
            }
            Value::List(items) => items
                .iter()
                .filter_map(|item| Some((read::text(item, &label.text, report)?.text.as_str(), item.at)))
                .collect(),
            Value::Text(text) => vec![(text.text.as_str(), node.at)],
            Value::Null => Vec::new(),
            Value::Broken => continue,
        };
        let targets: Vec<_> = targets.into_iter().filter(|(target, _)| !target.is_empty()).collect();
        if targets.is_empty() {
            let cure = "write `targets: [provider/model, …]`, the first choice first";
            report.error(label.at, format!("model `{}` has no targets", label.text), cure);
        }
        aliases.push(Alias { label, targets });
    }
    let index: HashMap<&str, &Alias<'_>> =
        aliases.iter().map(|alias| (alias.label.text.as_str(), alias)).collect();
    let mut expansion =
        Expansion { aliases: &index, providers, done: HashMap::new(), places: Vec::new(), report };
    for alias in &aliases {
        expansion.expand(alias, &mut Vec::new());
    }
    let models = expansion.done.into_iter().map(|(name, targets)| (name.into(), targets)).collect();
    (models, expansion.places)
}

struct Expansion<'a, 'b> {
    aliases: &'b HashMap<&'a str, &'b Alias<'a>>,
    providers: &'b HashSet<Name>,
    done: HashMap<&'a str, Vec<Target>>,
    places: Vec<(Target, At)>,
    report: &'b mut Report,
}

impl<'a> Expansion<'a, '_> {
    /// The alias's targets, each once, aliases inside it replaced by theirs. `path` holds the aliases being expanded.
    fn expand(&mut self, alias: &Alias<'a>, path: &mut Vec<&'a str>) -> Vec<Target> {
        let name = alias.label.text.as_str();
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        path.push(name);
        let mut seen = HashSet::new();
        let mut targets = Vec::new();
        for (text, at) in &alias.targets {
            for target in self.one(text, *at, path) {
                if seen.insert(target.clone()) {
                    targets.push(target);
                }
            }
        }
        path.pop();
        self.done.insert(name, targets.clone());
        targets
    }

    fn one(&mut self, text: &'a str, at: At, path: &mut Vec<&'a str>) -> Vec<Target> {
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
            return self.expand(alias, path);
        }
        let target = Target::parse(text);
        if let Some(target) = target.clone().filter(|target| self.providers.contains(&target.provider)) {
            self.places.push((target.clone(), at));
            return vec![target];
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

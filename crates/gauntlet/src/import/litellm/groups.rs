//! Deployments of one name, what they fall back to, and what else they are called.
//!
//! LiteLLM lets models fall back to each other in a circle, which `models:` does not: each model gets its own list of
//! targets, in the order in which LiteLLM would come to them.

use std::collections::{HashMap, HashSet};

use crate::import::{
    draft::{self, Draft, Model},
    emit::Value,
    notes::Place,
    tables::Pick,
    units,
    walk::Item,
};

/// As LiteLLM's own `max_fallbacks`.
const FALLBACK_DEPTH_MAX: usize = 5;

/// A deployment that was taken over.
pub struct Member {
    pub target: String,
    pub order: u64,
    pub weight: Option<(Option<f64>, Place)>,
}

pub struct Group {
    pub name: String,
    pub place: Place,
    pub members: Vec<Member>,
    /// Deployments of the source, those that could not be taken over too.
    pub count: usize,
    /// `rpm`, `tpm` and `max_parallel_requests` of single deployments.
    pub rates: Vec<(&'static str, u64, Place)>,
}

/// Limits of time and tries that stand at single deployments, and how many deployments there are.
#[derive(Default)]
pub struct Groups {
    pub groups: Vec<Group>,
    pub count: usize,
    /// Field of ours, value as ours, and place.
    pub times: Vec<(&'static str, String, Place)>,
}

/// What the settings say of models as a whole.
#[derive(Default)]
pub struct Whole<'a> {
    pub pick: Option<(Pick, Place)>,
    /// Model, those it falls back to, and places.
    pub fallbacks: Vec<(&'a str, Vec<(&'a str, Item<'a>)>)>,
    pub default_fallbacks: Vec<(&'a str, Item<'a>)>,
    pub aliases: Vec<(&'a str, &'a str, Item<'a>)>,
}

impl<'a> Whole<'a> {
    pub fn or(mut self, other: Whole<'a>) -> Whole<'a> {
        self.fallbacks.extend(other.fallbacks);
        self.aliases.extend(other.aliases);
        self.default_fallbacks.extend(other.default_fallbacks);
        self.pick = self.pick.or(other.pick);
        self
    }
}

/// Names of models and what follows from them, before any provider has its name.
pub struct Plan<'a> {
    /// Name, and what it asks for.
    names: Vec<(&'a str, &'a str)>,
    has_fallbacks: bool,
}

impl<'a> Plan<'a> {
    pub fn read(
        models: Option<&Item<'a>>,
        router: Option<&Item<'a>>,
        litellm: Option<&Item<'a>>,
    ) -> Plan<'a> {
        let text = |item: &Item<'a>, path: [&str; 2]| {
            let (_, mut item) = item.entries().into_iter().find(|(key, _)| *key == path[0])?;
            if !path[1].is_empty() {
                (_, item) = item.entries().into_iter().find(|(key, _)| *key == path[1])?;
            }
            item.text()
        };
        let entries = models.into_iter().flat_map(Item::items);
        let names = entries.filter_map(|entry| {
            Some((text(&entry, ["model_name", ""])?, text(&entry, ["litellm_params", "model"])?))
        });
        let is_fallback = |key: &str| matches!(key, "fallbacks" | "default_fallbacks");
        let has_fallbacks =
            router.into_iter().chain(litellm).flat_map(Item::entries).any(|(key, _)| is_fallback(key));
        Plan { names: names.collect(), has_fallbacks }
    }

    /// The first words of names with a slash that are not simply their own target.
    pub fn reserved(&self) -> Vec<String> {
        let is_simple = |name: &str| {
            let mut targets = self.names.iter().filter(|(known, _)| *known == name);
            !self.has_fallbacks
                && targets.next().is_some_and(|(_, target)| *target == name)
                && targets.next().is_none()
        };
        let names =
            self.names.iter().map(|(name, _)| *name).filter(|name| !name.contains('*') && !is_simple(name));
        names.filter_map(|name| Some(name.split_once('/')?.0.to_owned())).collect()
    }
}

impl Groups {
    pub fn of(&mut self, name: &str, from: &Place) -> &mut Group {
        let at = match self.groups.iter().position(|group| group.name == name) {
            Some(at) => at,
            None => {
                self.groups.push(Group {
                    name: name.to_owned(),
                    place: from.clone(),
                    members: Vec::new(),
                    count: 0,
                    rates: Vec::new(),
                });
                self.groups.len() - 1
            }
        };
        &mut self.groups[at]
    }

    pub fn write(&mut self, whole: Whole<'_>, draft: &mut Draft) {
        self.times(draft);
        for group in &mut self.groups {
            group.members.sort_by_key(|member| member.order);
            group.rates(draft);
        }
        let index: HashMap<&str, &Group> =
            self.groups.iter().map(|group| (group.name.as_str(), group)).collect();
        let strangers = |items: &[(&str, Item<'_>)], draft: &mut Draft| {
            for (name, item) in items {
                match index.get(name) {
                    Some(group) if !group.members.is_empty() => {
                        draft.notes.mapped(
                            &item.place,
                            "gauntlet.yml: models",
                            "stands behind the model's own targets",
                        );
                    }
                    Some(_) => draft.notes.unmapped(
                        &item.place,
                        "no deployment of that model was taken over",
                        "add one under `models`, and then here",
                    ),
                    None => draft.notes.unmapped(
                        &item.place,
                        "it names no model of `model_list`",
                        "add `provider/model` to the `targets` of the model by hand",
                    ),
                }
            }
        };
        for (name, fallbacks) in &whole.fallbacks {
            if *name != "*" && !index.contains_key(name) {
                for (_, item) in fallbacks {
                    draft.notes.unmapped(
                        &item.place,
                        format!("`{name}` is no model of `model_list`"),
                        "write it under `models` by hand",
                    );
                }
                continue;
            }
            strangers(fallbacks, draft);
        }
        strangers(&whole.default_fallbacks, draft);

        let pick = whole.pick.as_ref().map_or((Pick::Weighted, None), |(pick, place)| (*pick, Some(place)));
        for group in self.groups.iter().filter(|group| !group.members.is_empty()) {
            let model = expanded(group, &index, &whole);
            let is_itself = matches!(&model.targets[..], [(target, _)] if *target == group.name)
                && model.fallbacks.is_empty();
            if !is_itself {
                draft.model(&group.name, &model, pick);
            }
        }
        for (alias, name, item) in &whole.aliases {
            match (draft::name(alias), index.get(name).filter(|group| !group.members.is_empty())) {
                (Ok(alias), Some(group)) => {
                    let model = Model { place: item.place.clone(), ..expanded(group, &index, &whole) };
                    draft.model(alias, &model, pick);
                    draft.notes.mapped(&item.place, format!("gauntlet.yml: models.{alias}"), "");
                }
                (Err(bad), _) => draft.refuse(&item.place, bad),
                (Ok(_), None) => draft.notes.unmapped(
                    &item.place,
                    "it stands for no model that was taken over",
                    "write it under `models`",
                ),
            }
        }
    }

    /// Limits that all deployments have alike hold for all calls; others have no place here.
    fn times(&self, draft: &mut Draft) {
        for field in ["attempt", "first_token", "attempts"] {
            let of_field: Vec<_> = self.times.iter().filter(|(name, ..)| *name == field).collect();
            let Some((_, first, _)) = of_field.first() else { continue };
            let is_alike =
                of_field.len() == self.count && of_field.iter().all(|(_, value, _)| value == first);
            let section = if field == "attempts" { "retry" } else { "timeouts" };
            for (_, value, place) in &of_field {
                let note = "all deployments have the same";
                if is_alike && section == "timeouts" {
                    draft.limit(&["default"], field, value, place, note);
                } else if is_alike {
                    draft.set(&["default", section, field], Value::plain(value), place, note);
                } else {
                    let cure = format!("make a route for such calls, with `{section}: {{{field}: {value}}}`");
                    draft.notes.unmapped(
                        place,
                        "time limits and retries are a route's here, not a deployment's",
                        cure,
                    );
                }
            }
        }
    }
}

impl Group {
    /// A rate of a model is the sum of what its deployments take; it is known only where each says it.
    fn rates(&self, draft: &mut Draft) {
        for field in ["rpm", "tpm", "max_concurrency"] {
            let of_field: Vec<_> = self.rates.iter().filter(|(name, ..)| *name == field).collect();
            if of_field.is_empty() {
                continue;
            }
            let sum = of_field.iter().try_fold(0u64, |sum, (_, rate, _)| sum.checked_add(*rate));
            match sum.filter(|sum| of_field.len() == self.count && *sum > 0 && *sum <= u64::from(u32::MAX)) {
                Some(sum) if !self.members.is_empty() => {
                    let note = if self.count > 1 { "the sum of all deployments of that name" } else { "" };
                    for (_, _, place) in &of_field {
                        draft.set(&["limits", "models", &self.name, field], Value::plain(sum), place, note);
                    }
                }
                _ => {
                    for (_, _, place) in &of_field {
                        let why = "a rate is a model's here, not a deployment's, and not every deployment of that name that was taken over has one";
                        draft.notes.unmapped(place, why, "write it under `limits.models`");
                    }
                }
            }
        }
    }
}

fn expanded(group: &Group, index: &HashMap<&str, &Group>, whole: &Whole<'_>) -> Model {
    // Only those of the first order are equal.
    let first = group.members.first().map_or(0, |member| member.order);
    let (equal, later): (Vec<_>, Vec<_>) = group.members.iter().partition(|member| member.order == first);
    let target = |member: &&Member| member.target.clone();
    let weight = |member: &Member| member.weight.as_ref().and_then(|(weight, _)| *weight);
    let mut model = Model {
        targets: equal.iter().map(|member| (member.target.clone(), weight(member))).collect(),
        fallbacks: later.iter().map(target).collect(),
        weights: group.members.iter().filter_map(|member| Some(member.weight.clone()?.1)).collect(),
        place: group.place.clone(),
    };
    model.targets.dedup_by(|one, other| one.0 == other.0);
    let mut seen = HashSet::from([group.name.as_str()]);
    follow(&group.name, index, whole, 0, &mut seen, &mut model.fallbacks);
    model
}

fn follow<'a>(
    name: &str,
    index: &HashMap<&str, &'a Group>,
    whole: &Whole<'_>,
    depth: usize,
    seen: &mut HashSet<&'a str>,
    out: &mut Vec<String>,
) {
    if depth == FALLBACK_DEPTH_MAX {
        return;
    }
    let own: Vec<_> = fallbacks(whole, name).collect();
    let next =
        if own.is_empty() { fallbacks(whole, "*").chain(&whole.default_fallbacks).collect() } else { own };
    for (next, _) in next {
        let Some(group) = index.get(next).filter(|group| !seen.contains(group.name.as_str())) else {
            continue;
        };
        seen.insert(group.name.as_str());
        out.extend(group.members.iter().map(|member| member.target.clone()));
        follow(next, index, whole, depth + 1, seen, out);
    }
}

/// What a model falls back to by its own name.
fn fallbacks<'w, 'a>(whole: &'w Whole<'a>, name: &'w str) -> impl Iterator<Item = &'w (&'a str, Item<'a>)> {
    whole.fallbacks.iter().filter(move |(known, _)| *known == name).flat_map(|(_, list)| list)
}

/// Seconds as a duration of ours.
pub fn seconds(item: &Item<'_>) -> Option<String> {
    units::duration(item.number()? * 1000.0)
}

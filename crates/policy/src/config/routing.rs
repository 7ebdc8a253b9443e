//! Rules of routes, `tasks:`, `tenants:`, regions and breakers: what decides where a call may go.

use std::collections::HashMap;

use gauntlet_types::{Caller, Name};

use super::{
    node::{At, Node, Value},
    read::{self, Fields, Report},
    scalar::{self, Scalar},
    shape::Route,
};
use crate::breaker::BreakerPolicy;

/// One line of a route's `rules:`: the model that calls of such a kind get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteRule {
    pub when: When,
    pub model: Name,
}

/// What a call must be like; all that is said must hold, of a list one is enough.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct When {
    pub tokens_over: Option<u32>,
    pub tags: Vec<Name>,
    pub tenants: Vec<Name>,
    pub tasks: Vec<Name>,
    pub hours: Option<Hours>,
    pub stream: Option<bool>,
    pub tools: Option<bool>,
    pub images: Option<bool>,
}

/// A part of each day in UTC, from the first hour up to the second; `22-06` goes over midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hours {
    pub from: u8,
    pub to: u8,
}

impl Hours {
    fn parse(text: &str) -> Option<Hours> {
        let (from, to) = text.split_once('-')?;
        let hour = |text: &str, most: u8| {
            let text = text.trim();
            let is_plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u8>().ok().filter(|hour| is_plain && *hour <= most)
        };
        let hours = Hours { from: hour(from, 23)?, to: hour(to, 24)? };
        (hours.from != hours.to).then_some(hours)
    }

    pub fn holds(self, hour: u8) -> bool {
        match self.from < self.to {
            true => (self.from..self.to).contains(&hour),
            false => hour >= self.from || hour < self.to,
        }
    }
}

const HOURS: Scalar<Hours> = Scalar {
    expected: "a part of the day",
    example: "write the first hour and the hour it ends before, in UTC: `\"09-17\"`, `\"22-06\"`",
    parse: Hours::parse,
};

/// Where the calls of tenants and keys may go; a route has its own.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Residency {
    pub tenants: HashMap<Name, Vec<Name>>,
    pub keys: HashMap<Name, Vec<Name>>,
}

/// Who binds a call to which regions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Residence<'a> {
    /// `tenant`, `route` or `key`.
    pub of: &'static str,
    pub name: &'a str,
    pub regions: &'a [Name],
}

impl Residence<'_> {
    /// Whether a call that this binds may go there; nobody knows where a target without region is, so it may not.
    pub fn allows(&self, region: Option<&str>) -> bool {
        region.is_some_and(|region| self.regions.iter().any(|wanted| is_within(region, wanted)))
    }
}

/// Whether a region lies in another: `eu-west-1` is within `eu`.
pub fn is_within(region: &str, wider: &str) -> bool {
    region == wider || region.strip_prefix(wider).is_some_and(|rest| rest.starts_with('-'))
}

impl Residency {
    pub(super) fn of<'a>(&'a self, caller: &Caller, route: &'a Route) -> Vec<Residence<'a>> {
        let mut all = Vec::new();
        if let Some((name, regions)) = self.tenants.get_key_value(&caller.tenant) {
            all.push(Residence { of: "tenant", name, regions });
        }
        if !route.residency.is_empty() {
            all.push(Residence { of: "route", name: &route.name, regions: &route.residency });
        }
        let of_key = caller.key.as_ref().and_then(|key| self.keys.get_key_value(key));
        all.extend(of_key.map(|(name, regions)| Residence { of: "key", name, regions }));
        all
    }

    /// Every region that something is bound to.
    pub(super) fn regions(&self) -> impl Iterator<Item = &Name> {
        self.tenants.values().chain(self.keys.values()).flatten()
    }
}

/// The name of a region: any word, but without spaces, which would be a slip.
pub(super) fn region(node: &Node, what: &str, report: &mut Report) -> Option<Name> {
    let text = read::text(node, "region", report)?;
    let is_word = !text.text.is_empty()
        && !text.text.starts_with('-')
        && text.text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_word {
        let message = format!("`{}` of {what} does not name a region", text.typed);
        report.error(
            node.at,
            message,
            "write small letters, digits and `-`, for example `eu` or `eu-west-1`",
        );
        return None;
    }
    Some(text.text.as_str().into())
}

/// `residency: eu`, or a list of regions any of which will do.
pub(super) fn residency(node: &Node, what: &str, report: &mut Report) -> Vec<Name> {
    let what = format!("`residency` of {what}");
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| region(item, &what, report)).collect(),
        _ => region(node, &what, report).into_iter().collect(),
    }
}

/// `breaker: {failures: 5, cooldown: 10s, key_cooldown: 60s}`, or `off`.
pub(super) fn breaker(node: &Node, what: &str, report: &mut Report) -> BreakerPolicy {
    let default = BreakerPolicy::default();
    if let Value::Text(text) = &node.value
        && matches!(text.text.as_str(), "off" | "false" | "no")
    {
        return BreakerPolicy { failures: 0, ..default };
    }
    let Some(mut fields) = Fields::of(node, format!("`breaker` of {what}"), report) else { return default };
    let read = BreakerPolicy {
        failures: fields.read("failures", report, scalar::POSITIVE_SMALL).unwrap_or(default.failures),
        cooldown: fields.read("cooldown", report, scalar::DURATION).unwrap_or(default.cooldown),
        key_cooldown: fields.read("key_cooldown", report, scalar::DURATION).unwrap_or(default.key_cooldown),
    };
    for (name, time) in [("cooldown", read.cooldown), ("key_cooldown", read.key_cooldown)] {
        // A target that fails would be asked at once again, or be forgotten for good.
        if !crate::breaker::COOLDOWNS.contains(&time) {
            let message = format!("`{name}` in `breaker` of {what} is not from 100ms to 1h");
            report.error(node.at, message, "write for example `10s`");
        }
    }
    fields.finish(report);
    read
}

/// `tasks: {classification: small-tier}`, each with its place.
pub(super) fn tasks(node: &Node, report: &mut Report) -> Vec<(Name, Name, At)> {
    let mut tasks = Vec::new();
    for (label, node) in read::map(node, "`tasks`", report).unwrap_or_default() {
        let model = read::text(node, &label.text, report).filter(|text| !text.text.is_empty());
        match model {
            Some(model) => {
                tasks.push((label.text.as_str().into(), model.text.as_str().into(), node.at));
            }
            None if matches!(node.value, Value::Null | Value::Text(_)) => {
                let message = format!("task `{}` names no model", label.text);
                report.error(label.at, message, "write a name from `models`, or `provider/model`");
            }
            None => {}
        }
    }
    tasks
}

/// `tenants: {acme: {residency: eu}}`
pub(super) fn tenants(node: &Node, report: &mut Report) -> HashMap<Name, Vec<Name>> {
    let mut tenants = HashMap::new();
    for (label, node) in read::map(node, "`tenants`", report).unwrap_or_default() {
        let what = format!("tenant `{}`", label.text);
        let Some(mut fields) = Fields::of(node, what.clone(), report) else { continue };
        if let Some(node) = fields.get("residency") {
            tenants.insert(label.text.as_str().into(), residency(node, &what, report));
        }
        fields.finish(report);
    }
    tenants
}

/// More rules than a person reads through are a mistake of whatever wrote them, and each is looked at for each call.
const RULES_MAX: usize = 64;

/// `rules:` of a route: `- {if: {…}, model: …}`, each with the place of its model.
pub(super) fn rules(node: &Node, what: &str, report: &mut Report) -> Vec<(RouteRule, At)> {
    let Value::List(items) = &node.value else {
        if !matches!(node.value, Value::Broken) {
            let cure = "write `- {if: {tokens_over: 8000}, model: NAME}` lines";
            report.error(node.at, format!("`rules` of {what} must be a list"), cure);
        }
        return Vec::new();
    };
    if items.len() > RULES_MAX {
        let message = format!("{what} has {} rules; {RULES_MAX} are the most", items.len());
        report.error(node.at, message, "join rules that lead to the same model");
    }
    items.iter().enumerate().filter_map(|(at, item)| rule(item, at + 1, what, report)).collect()
}

fn rule(node: &Node, number: usize, what: &str, report: &mut Report) -> Option<(RouteRule, At)> {
    let what = format!("rule {number} of {what}");
    let mut fields = Fields::of(node, what.clone(), report)?;
    let when = fields.get("if").and_then(|node| when(node, &what, report));
    if fields.is_missing("if") {
        let cure = "write `if: {tokens_over: 8000}`; what holds for all calls is the route's `model`";
        report.error(node.at, format!("{what} has no `if`"), cure);
    }
    let model = fields.text("model", report);
    if fields.is_missing("model") {
        let cure = "write `model: NAME`, a name from `models` or `provider/model`";
        report.error(node.at, format!("{what} has no `model`"), cure);
    }
    fields.finish(report);
    let (model, at) = model?;
    Some((RouteRule { when: when?, model: model.into() }, at))
}

fn when(node: &Node, what: &str, report: &mut Report) -> Option<When> {
    let mut fields = Fields::of(node, format!("`if` of {what}"), report)?;
    let names = |texts: Vec<(&str, At)>| texts.into_iter().map(|(text, _)| Name::from(text)).collect();
    let when = When {
        tokens_over: fields.read("tokens_over", report, scalar::COUNT),
        tags: names(fields.texts("tags", report)),
        tenants: names(fields.texts("tenant", report)),
        tasks: names(fields.texts("task", report)),
        hours: fields.read("hour", report, HOURS),
        stream: fields.read("stream", report, scalar::BOOL),
        tools: fields.read("tools", report, scalar::BOOL),
        images: fields.read("images", report, scalar::BOOL),
    };
    fields.finish(report);
    // What is misspelt has been told already.
    if when == When::default() && matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
        let cure = "say what the call must be like; what holds for all calls is the route's `model`";
        report.error(node.at, format!("`if` of {what} is empty"), cure);
        return None;
    }
    Some(when)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_go_over_midnight_and_end_before_their_last() {
        let check = |text: &str, inside: &[u8], outside: &[u8]| {
            let hours = Hours::parse(text).unwrap();
            assert!(inside.iter().all(|hour| hours.holds(*hour)), "{text}");
            assert!(outside.iter().all(|hour| !hours.holds(*hour)), "{text}");
        };
        check("22-06", &[22, 23, 0, 5], &[6, 12, 21]);
        check("9-17", &[9, 16], &[8, 17, 0]);
        check("00-24", &[0, 12, 23], &[]);
        for bad in ["", "9", "9-9", "24-3", "9-25", "a-b", "-9-17", "9:30-17", "+9-17"] {
            assert_eq!(Hours::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_part_of_a_region_lies_within_it_and_a_longer_word_does_not() {
        assert!(is_within("eu", "eu") && is_within("eu-west-1", "eu"));
        assert!(!is_within("eurasia", "eu") && !is_within("eu", "eu-west-1") && !is_within("us", "eu"));
    }
}

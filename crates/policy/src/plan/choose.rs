//! Which model a call gets before anybody asks where that is: rules, the route's model, tasks, the caller's own wish.

use gauntlet_places::near;
use gauntlet_types::{Caller, Code, Fault, Name};

use crate::config::{Config, Route, When};

/// What the rules look at.
pub struct Facts<'a> {
    pub caller: &'a Caller,
    /// As the caller asks.
    pub model: &'a str,
    /// As the caller says.
    pub task: Option<&'a str>,
    /// Whether the request has more tokens than that. Counting takes time, so it is asked only where a rule does.
    pub has_more_tokens: &'a dyn Fn(u32) -> bool,
    /// Of the day, in UTC.
    pub hour: u8,
    pub stream: bool,
    pub tools: bool,
    pub images: bool,
}

/// The model, and who said so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen {
    pub model: Name,
    pub by: By,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// The route's rule of that number, from 1.
    Rule(usize),
    Route,
    Task(Name),
    Caller,
}

impl By {
    /// For the record; none where there was nothing to choose.
    pub fn words(&self) -> Option<String> {
        match self {
            By::Rule(number) => Some(format!("rule {number}")),
            By::Task(task) => Some(format!("task {task}")),
            By::Route | By::Caller => None,
        }
    }
}

/// The first of these that says anything: the route's rules in their order, its `model`, the task (the caller's, else the
/// route's), what the caller asks for. A prompt that is pinned to a model stands above all of them.
///
/// Errors: `invalid_request` for a task that nobody knows.
pub fn choose(config: &Config, route: &Route, facts: &Facts<'_>) -> Result<Chosen, Fault> {
    let task = facts.task.or(route.task.as_deref());
    if let Some(task) = facts.task {
        check_task(config, route, task)?;
    }
    let fits = |when: &When| holds(when, facts, task);
    if let Some(at) = route.rules.iter().position(|rule| fits(&rule.when)) {
        return Ok(Chosen { model: route.rules[at].model.clone(), by: By::Rule(at + 1) });
    }
    if let Some(model) = &route.model {
        return Ok(Chosen { model: model.clone(), by: By::Route });
    }
    if let Some((task, model)) = task.and_then(|task| config.tasks.get_key_value(task)) {
        return Ok(Chosen { model: model.clone(), by: By::Task(task.clone()) });
    }
    Ok(Chosen { model: facts.model.into(), by: By::Caller })
}

/// A slip in a task would quietly give the call another model.
fn check_task(config: &Config, route: &Route, task: &str) -> Result<(), Fault> {
    let of_rules = || route.rules.iter().flat_map(|rule| &rule.when.tasks);
    let is_known = config.tasks.contains_key(task) || of_rules().any(|known| **known == *task);
    if is_known {
        return Ok(());
    }
    let mut known: Vec<&str> = config.tasks.keys().chain(of_rules()).map(Name::as_str).collect();
    known.sort_unstable();
    known.dedup();
    let cure = match (near::nearest(task, known.iter().copied()), known.is_empty()) {
        (_, true) => "the configuration has none".to_owned(),
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, _) => format!("known: {}", known.join(", ")),
    };
    // The caller's text: cut, so that a message stays a message.
    let shown: String = task.chars().take(100).collect();
    Err(Fault::caller(Code::InvalidRequest, format!("unknown task `{shown}`; {cure}"))
        .param("x-gauntlet-task"))
}

/// The cheap conditions first; counting tokens is the last.
fn holds(when: &When, facts: &Facts<'_>, task: Option<&str>) -> bool {
    let is_one_of = |names: &[Name], name: &str| names.is_empty() || names.iter().any(|one| **one == *name);
    let is = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
    is_one_of(&when.tenants, &facts.caller.tenant)
        && is_one_of(&when.tasks, task.unwrap_or_default())
        && (when.tags.is_empty() || facts.caller.tags.iter().any(|tag| when.tags.contains(tag)))
        && when.hours.is_none_or(|hours| hours.holds(facts.hour))
        && is(when.stream, facts.stream)
        && is(when.tools, facts.tools)
        && is(when.images, facts.images)
        && when.tokens_over.is_none_or(|over| (facts.has_more_tokens)(over))
}

//! What is tested, and the call that a case makes of it.

use std::sync::{Arc, OnceLock};

use gauntlet_ports::{Ask, AskKind};
use gauntlet_prompts::Prompt;
use gauntlet_types::{Name, PromptRef};
use serde_json::{Map, Value, json};

use super::Plan;
use crate::{Case, Mistake, Suite};

/// A candidate as it was asked for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// As people name it: `support-agent@1.3.0`, `openai/gpt-4o-mini`, or both joined by ` on `.
    pub name: Name,
    /// `name`, `name@version` or `name@label`.
    pub prompt: Option<String>,
    pub model: Option<Name>,
}

impl Wanted {
    /// Reads `prompt@version`, `@label`, a bare version, `model`, or a prompt `on model`; without any, what the suite says. `model`
    /// is said apart. `is_prompt` knows prompts by their names.
    ///
    /// Errors: a label or version without a prompt that it could be of, and two models.
    pub fn parse(
        candidate: Option<&str>,
        model: Option<&str>,
        suite: &Suite,
        is_prompt: &dyn Fn(&str) -> bool,
    ) -> Result<Wanted, String> {
        let (what, on) = match candidate.map(str::trim) {
            Some(text) => match text.split_once(" on ") {
                Some((what, on)) => (Some(what.trim()), Some(on.trim())),
                None => (Some(text), None),
            },
            None => (None, None),
        };
        let mut said_model = match (on, model) {
            (Some(on), Some(model)) if on != model => {
                return Err(format!(
                    "the candidate says model `{on}` and --model says `{model}`; say it once"
                ));
            }
            (on, model) => on.or(model).map(str::to_owned),
        };
        let mut prompt = suite.prompt.as_deref().map(str::to_owned);
        match what {
            None | Some("") => {}
            Some(what) => match prompt_named(what, suite, is_prompt)? {
                Some(named) => prompt = Some(named),
                None if said_model.as_deref().is_some_and(|model| model != what) => {
                    return Err(format!("`{what}` is no prompt known here, and as a model it is said twice"));
                }
                None => said_model = Some(what.to_owned()),
            },
        }
        let name = match (&prompt, &said_model) {
            (Some(prompt), Some(model)) => format!("{prompt} on {model}"),
            (Some(prompt), None) => prompt.clone(),
            (None, Some(model)) => model.clone(),
            (None, None) => match (&suite.model, &suite.route) {
                (Some(model), _) => model.to_string(),
                (None, Some(route)) => format!("route {route}"),
                (None, None) => "the prompts of the cases".to_owned(),
            },
        };
        let model = said_model.map(Name::from).or_else(|| suite.model.clone());
        Ok(Wanted { name: name.into(), prompt, model })
    }
}

/// The prompt that is meant; none for a model.
fn prompt_named(
    what: &str,
    suite: &Suite,
    is_prompt: &dyn Fn(&str) -> bool,
) -> Result<Option<String>, String> {
    let is_version = what.starts_with(|letter: char| letter.is_ascii_digit())
        && what.split(['.', '-', '+']).take(3).all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        && what.matches('.').count() >= 2;
    let of_suite = |wanted: &str| match suite.prompt_name() {
        Some(name) => Ok(Some(format!("{name}@{wanted}"))),
        None => Err(format!(
            "`{what}` needs a prompt that it is of: write NAME@{wanted}, or `prompt: NAME` into {}",
            suite.file
        )),
    };
    if let Some(label) = what.strip_prefix('@') {
        return of_suite(label);
    }
    if is_version {
        return of_suite(what);
    }
    let name = what.split_once('@').map_or(what, |(name, _)| name);
    // A model may have an `@` in its name (`claude-sonnet-4@20250514`), so a name alone does not tell.
    let is_known = suite.prompt_name() == Some(name) || is_prompt(name);
    let is_prompt = is_known || (what.contains('@') && !name.contains('/'));
    Ok(is_prompt.then(|| what.to_owned()))
}

/// Makes the calls of a run's cases.
pub(super) struct Asking<'a> {
    plan: &'a Plan<'a>,
    prompts: &'a (dyn Fn(&str) -> Option<Arc<Prompt>> + Sync),
    eval_id: Name,
    /// The version that answered first: the rest asks for it by number, so that a label that moves makes no mixture.
    pinned: OnceLock<PromptRef>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        plan: &'a Plan<'a>,
        prompts: &'a (dyn Fn(&str) -> Option<Arc<Prompt>> + Sync),
        eval_id: Name,
        pinned: Option<PromptRef>,
    ) -> Asking<'a> {
        let asking = Asking { plan, prompts, eval_id, pinned: OnceLock::new() };
        if let Some(pinned) = pinned {
            asking.pin(&pinned);
        }
        asking
    }

    /// Takes note of the version that answered. Whether all answers so far are of one text.
    pub(super) fn pin(&self, answered: &PromptRef) -> bool {
        let pinned = self.pinned.get_or_init(|| answered.clone());
        pinned.name != answered.name || pinned.hash == answered.hash
    }

    pub(super) fn ask(&self, case: &Case) -> Ask {
        let suite = self.plan.suite;
        let mut body = suite.params.clone();
        body.extend(case.body.iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(model) = &self.plan.wanted.model {
            body.insert("model".to_owned(), model.as_str().into());
        }
        let reference = reference(self.plan, case);
        let prompt = reference.as_deref().and_then(|reference| (self.prompts)(reference));
        let fitted = fit(suite, case, prompt.as_deref());
        body.insert("messages".to_owned(), fitted.messages.into());
        let mut gauntlet = Map::new();
        if let Some(reference) = reference {
            gauntlet.insert("prompt".to_owned(), self.exact(reference).into());
        }
        // Without a prompt they are for metrics' templates alone.
        let has_prompt = gauntlet.contains_key("prompt") || suite.route.is_some();
        if !fitted.vars.is_empty() && has_prompt {
            gauntlet.insert("variables".to_owned(), fitted.vars.into());
        }
        if !gauntlet.is_empty() {
            body.insert("gauntlet".to_owned(), gauntlet.into());
        }
        Ask {
            kind: AskKind::Chat,
            body,
            route: suite.route.clone(),
            eval_id: self.eval_id.clone(),
            app_sha: self.plan.app_sha.clone(),
            prompt: None,
            is_judge: false,
        }
    }

    fn exact(&self, reference: String) -> String {
        let name = reference.split_once('@').map_or(reference.as_str(), |(name, _)| name);
        match self.pinned.get() {
            Some(pinned) if *pinned.name == *name && self.plan.wanted.prompt.as_ref() == Some(&reference) => {
                format!("{name}@{}", pinned.version)
            }
            _ => reference,
        }
    }
}

/// The prompt that a case is asked with: the candidate's, unless its line names another one.
fn reference(plan: &Plan<'_>, case: &Case) -> Option<String> {
    let wanted = plan.wanted.prompt.as_deref();
    let name_of = |reference: &str| reference.split_once('@').map_or(reference, |(name, _)| name).to_owned();
    match (&case.prompt, wanted) {
        (Some(own), Some(wanted)) if name_of(own) != name_of(wanted) => Some(own.to_string()),
        (_, Some(wanted)) => Some(wanted.to_owned()),
        (Some(own), None) => Some(own.to_string()),
        (None, None) => None,
    }
}

struct Fitted {
    vars: Map<String, Value>,
    messages: Vec<Value>,
}

/// Variables and messages of a case. Variables that the prompt declares and the case does not say are taken from fields of its
/// line with the same name: `question`, `context` (the passages, a blank line between them), any other.
fn fit(suite: &Suite, case: &Case, prompt: Option<&Prompt>) -> Fitted {
    let mut vars = suite.vars.clone();
    vars.extend(case.vars.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut messages = case.messages.clone();
    let Some(prompt) = prompt else { return Fitted { vars, messages } };
    // What the suite says of all cases may be of another prompt.
    vars.retain(|name, _| case.vars.contains_key(name) || prompt.variables.contains_key(name));
    for name in prompt.variables.keys().filter(|name| !case.vars.contains_key(*name)) {
        let field = match case.extra.get(name) {
            Some(value) => Some(value.clone()),
            None if name == "context" && !case.contexts.is_empty() => Some(case.contexts.join("\n\n").into()),
            None if name == "contexts" && !case.contexts.is_empty() => Some(json!(case.contexts)),
            None => None,
        };
        let Some(value) = field else { continue };
        // The question is asked once: in the prompt, if it has a place for it.
        let is_asked =
            messages.len() == 1 && messages[0]["role"] == "user" && messages[0]["content"] == value;
        if is_asked && crate::dataset::ASKED.contains(&name.as_str()) {
            messages.clear();
        }
        vars.insert(name.clone(), value);
    }
    Fitted { vars, messages }
}

/// Cases whose variables do not fit the prompt, so far as it is known here; each with its line.
pub fn mistakes(plan: &Plan<'_>, prompts: &dyn Fn(&str) -> Option<Arc<Prompt>>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut more = 0_usize;
    for case in &plan.cases {
        let wrong = wrong(plan, case, prompts);
        match wrong {
            Some((message, cure)) if mistakes.len() < crate::MISTAKES_MAX => mistakes.push(Mistake {
                file: case.file.clone(),
                line: case.line,
                column: 0,
                message: format!("case `{}`: {message}", case.id),
                cure,
                is_warning: false,
            }),
            Some(_) => more += 1,
            None => {}
        }
    }
    if more > 0 {
        mistakes.push(Mistake {
            file: plan.suite.file.clone(),
            line: 0,
            column: 0,
            message: format!("{more} more cases have such a mistake"),
            cure: "mend those above first".to_owned(),
            is_warning: false,
        });
    }
    mistakes
}

fn wrong(
    plan: &Plan<'_>,
    case: &Case,
    prompts: &dyn Fn(&str) -> Option<Arc<Prompt>>,
) -> Option<(String, String)> {
    if plan.is_recorded {
        return case.output.is_none().then(|| {
            let cure = "add `output` to its line, or run without --recorded".to_owned();
            ("it brings no answer along".to_owned(), cure)
        });
    }
    let reference = reference(plan, case);
    let prompt = reference.as_deref().and_then(prompts);
    let fitted = fit(plan.suite, case, prompt.as_deref());
    if let Some(prompt) = prompt {
        let fault = prompt.render(&fitted.vars).err()?;
        let cure = "add what is missing to `vars` of its line, or to `vars` of the suite".to_owned();
        return Some((fault.message, cure));
    }
    let has_prompt = reference.is_some() || plan.suite.route.is_some();
    if has_prompt || (!fitted.messages.is_empty() && !awaits(&fitted)) {
        return None;
    }
    if fitted.vars.is_empty() {
        let cure = "add `input` or `messages` to its line, or name the `prompt` of its variables".to_owned();
        return Some(("nothing is asked".to_owned(), cure));
    }
    let cure = "name it: `prompt: NAME` in the suite or the line, or --candidate NAME@VERSION".to_owned();
    Some(("it has `vars`, and no prompt to put them into".to_owned(), cure))
}

/// Whether messages have places for the variables, which only a prompt's text would get. Else they are for templates of metrics.
fn awaits(fitted: &Fitted) -> bool {
    let names = |text: &str| {
        let mut places = text.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim()));
        places.any(|name| fitted.vars.contains_key(name))
    };
    fitted.messages.iter().any(|message| message["content"].as_str().is_some_and(names))
}

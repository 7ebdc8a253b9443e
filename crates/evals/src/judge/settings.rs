//! What a suite says of a judge: which model, how often, by which texts.

use std::collections::BTreeMap;

use gauntlet_types::Name;
use serde_json::{Map, Value};

use super::prompt::{Text, is_version};
use crate::{Mistake, score::Options};

/// More draws than any vote needs; each is a call for each case.
const SAMPLES_MAX: u64 = 25;

/// The texts of a measure: by role, the built-in one or the one that the suite names.
#[derive(Clone, Debug)]
pub(super) struct Prompts {
    /// Role, name of the built-in prompt.
    built_in: &'static [(&'static str, &'static str)],
    named: BTreeMap<&'static str, String>,
}

impl Prompts {
    /// Reads `prompt: name@1.2.0`, or for a measure of several roles `prompts: {role: name@1.2.0}`.
    pub(super) fn take(
        options: &mut Options<'_>,
        built_in: &'static [(&'static str, &'static str)],
    ) -> Result<Prompts, Mistake> {
        let mut named = BTreeMap::new();
        if built_in.iter().any(|(role, _)| *role == "prompt")
            && let Some(reference) = options.text("prompt")?
        {
            named.insert("prompt", checked(options, reference)?);
        }
        if built_in.len() > 1 {
            for (role, reference) in object(options, "prompts")?.unwrap_or_default() {
                let Some((role, _)) = built_in.iter().find(|(known, _)| *known == role) else {
                    let roles: Vec<&str> = built_in.iter().map(|(role, _)| *role).collect();
                    let message = format!("`prompts` has no `{}`", role.escape_debug());
                    return Err(options.mistake(message, format!("there are {}", roles.join(", "))));
                };
                let Value::String(reference) = reference else {
                    let message = format!("`prompts: {role}` is not a text");
                    return Err(options.mistake(message, "name a prompt, such as my-judge@1.0.0"));
                };
                named.insert(role, checked(options, reference)?);
            }
        }
        Ok(Prompts { built_in, named })
    }

    pub(super) fn get(&self, role: &str) -> Text<'_> {
        match self.named.get(role) {
            Some(reference) => Text::Stored(reference),
            None => {
                let name = self.built_in.iter().find(|(known, _)| *known == role).map(|(_, name)| *name);
                Text::built_in(name.expect("a measure asks only for roles it has declared"))
            }
        }
    }
}

fn checked(options: &Options<'_>, reference: String) -> Result<String, Mistake> {
    if is_version(&reference) {
        return Ok(reference);
    }
    let message = format!("`{}` names no version of a prompt", reference.escape_debug());
    let cure = "write `name@1.2.0`: a label may move, and what is known of a judge would no longer hold";
    Err(options.mistake(message, cure))
}

/// Who judges, and how often.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) model: Name,
    pub(super) params: Map<String, Value>,
    pub(super) samples: u32,
}

impl Seat {
    pub(super) fn take(options: &mut Options<'_>) -> Result<Seat, Mistake> {
        let of_suite = options.suite.judge.clone().unwrap_or_default();
        let model = options.text("judge")?.map(Name::from).unwrap_or(of_suite.model);
        if model.trim().is_empty() {
            let cure = "write `judge: {model: provider/model}` in the suite, or `judge: provider/model` here";
            return Err(options.mistake("it is not said which model judges", cure));
        }
        let mut params = of_suite.params;
        params.extend(object(options, "params")?.unwrap_or_default());
        let samples = match options.take("samples") {
            None => of_suite.samples.max(1),
            Some(value) => match value.as_u64().filter(|samples| (1..=SAMPLES_MAX).contains(samples)) {
                Some(samples) => u32::try_from(samples).unwrap_or(1),
                None => {
                    let message = format!("`samples` is {value}");
                    return Err(options
                        .mistake(message, format!("write a number from 1 to {SAMPLES_MAX}, such as 3")));
                }
            },
        };
        Ok(Seat { model, params, samples })
    }
}

pub(super) fn object(
    options: &mut Options<'_>,
    name: &'static str,
) -> Result<Option<Map<String, Value>>, Mistake> {
    match options.take(name) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => {
            Err(options.mistake(format!("`{name}` is not a map"), format!("write `{name}: {{key: value}}`")))
        }
    }
}

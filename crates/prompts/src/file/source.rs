//! The texts of a prompt and the variables in them: compiled, and checked against each other.

use std::collections::BTreeMap;

use gauntlet_places::near;
use serde_json::Value;
use serde_saphyr::Location;

use super::Page;
use crate::{
    Kind, Message, PromptError, Variable, jinja,
    prompt::Compiled,
    string_template::{self, StringTemplate},
};

/// The texts with their variables, before they are cut up.
pub(super) struct Source<'a> {
    pub(super) page: Page<'a>,
    pub(super) messages: &'a [Message],
    pub(super) places: &'a [Location],
    pub(super) declared: &'a BTreeMap<String, (Variable, Location)>,
}

/// A name of the engine's own.
const SELF: &str = "self";
/// Optional variables that are tried out one by one: more than any prompt has.
const TRIED_MAX: usize = 64;

/// A value to try a template out with.
fn sample(kind: Kind) -> Value {
    match kind {
        Kind::Any | Kind::String => "x".into(),
        Kind::Integer | Kind::Number => 1.into(),
        Kind::Boolean => true.into(),
        Kind::Array => Value::Array(Vec::new()),
        Kind::Object => Value::Object(serde_json::Map::new()),
    }
}

pub(super) type Checked = (Compiled, Vec<PromptError>);

impl Source<'_> {
    pub(super) fn compile_string(&self) -> Result<Checked, PromptError> {
        let mut used = Vec::new();
        let mut warnings = Vec::new();
        for (at, message) in self.messages.iter().enumerate() {
            for found in string_template::uses(&message.content) {
                if self.declared.contains_key(found.name) {
                    used.push(found.name);
                    continue;
                }
                // Not an error: a dollar may well be meant as one (`$HOME`), and stays as it is.
                let cure = "declare it, or write `$$` for a dollar".to_owned();
                let cure = near::cure(found.name, self.names(), &cure);
                let text = format!(
                    "the text names `{}`, which no variable is called",
                    &message.content[found.span.clone()]
                );
                warnings.push(self.inside(at, found.span.start, text, cure));
            }
        }
        self.check_use(|name| used.contains(&name), "$", "", &mut warnings)?;
        for (name, (variable, place)) in self.declared {
            if !variable.required && variable.default.is_none() && used.contains(&name.as_str()) {
                let message = format!(
                    "optional variable `{name}` has no default: where it is not given, `${name}` stays in the text"
                );
                let cure = format!("give it one under `variables`: `{name}: {{default: …}}`");
                warnings.push(self.page.at(*place, message, cure));
            }
        }
        let cut = |message: &Message| {
            StringTemplate::new(&message.content, |name| self.declared.contains_key(name))
        };
        Ok((Compiled::String(self.messages.iter().map(cut).collect()), warnings))
    }

    pub(super) fn compile_jinja(&self) -> Result<Checked, PromptError> {
        let contents = self.messages.iter().map(|message| message.content.as_str());
        let templates = jinja::Templates::new(contents).map_err(|mistake| {
            let content = &self.messages[mistake.message_at].content;
            let start =
                content.split_inclusive('\n').take(mistake.line.saturating_sub(1)).map(str::len).sum();
            let cure = "put the template right, or say `engine: string` if `{{` is meant as text".to_owned();
            self.inside(
                mistake.message_at,
                start,
                format!("the template cannot be read: {}", mistake.what),
                cure,
            )
        })?;
        let used = templates.variables();
        for (name, at) in &used {
            if !self.declared.contains_key(name) {
                let cure = near::cure(name, self.names(), "declare it under `variables`");
                let start = self.messages[*at].content.find(name.as_str()).unwrap_or_default();
                return Err(self.inside(
                    *at,
                    start,
                    format!("the template uses `{name}`, which is not declared"),
                    cure,
                ));
            }
        }
        let mut warnings = Vec::new();
        // The engine keeps `self` for blocks, and gives it as a variable all the same.
        let names_self = || self.messages.iter().any(|message| message.content.contains(SELF));
        let is_used =
            |name: &str| used.iter().any(|(known, _)| known == name) || (name == SELF && names_self());
        self.check_use(is_used, "{{ ", " }}", &mut warnings)?;
        self.check_undefined(&templates, &is_used, &mut warnings);
        Ok((Compiled::Jinja(Box::new(templates)), warnings))
    }

    /// Warns of optional variables without a default that the templates use as though they were always given. What stands in
    /// the loop of an empty list, or in a branch that is not taken, is not looked at: nobody is warned for nothing.
    fn check_undefined(
        &self,
        templates: &jinja::Templates,
        is_used: &dyn Fn(&str) -> bool,
        warnings: &mut Vec<PromptError>,
    ) {
        let given = |left_out: &str| {
            let others = self.declared.iter().filter(|(name, _)| *name != left_out);
            minijinja::Value::from_pairs(others.map(|(name, (variable, _))| {
                let value = variable.default.clone().unwrap_or_else(|| sample(variable.kind));
                (name.as_str(), minijinja::Value::from(minijinja::value::Serde(value)))
            }))
        };
        let is_suspect = |name: &str, variable: &Variable| {
            !variable.required && variable.default.is_none() && is_used(name)
        };
        if !self.declared.iter().any(|(name, (variable, _))| is_suspect(name, variable))
            || templates.lack_a_value(&given(""))
        {
            return;
        }
        let suspects = self.declared.iter().filter(|(name, (variable, _))| is_suspect(name, variable));
        for (name, (_, place)) in suspects.take(TRIED_MAX) {
            if templates.lack_a_value(&given(name)) {
                let message = format!(
                    "optional variable `{name}` has no default: where it is not given, the call is refused"
                );
                let cure = format!(
                    "give it one under `variables`: `{name}: {{default: …}}`, or write `{{% if {name} %}}` around it"
                );
                warnings.push(self.page.at(*place, message, cure));
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.keys().map(String::as_str)
    }

    /// A required variable that nothing is done with is a mistake: callers are made to give what goes nowhere.
    fn check_use(
        &self,
        is_used: impl Fn(&str) -> bool,
        open: &str,
        close: &str,
        warnings: &mut Vec<PromptError>,
    ) -> Result<(), PromptError> {
        for (name, (variable, place)) in self.declared {
            if is_used(name) {
                continue;
            }
            let kind = if variable.required { "required" } else { "optional" };
            let message = format!("{kind} variable `{name}` is not used in the text");
            let error = self.page.at(
                *place,
                message,
                format!("write `{open}{name}{close}` where it belongs, or leave it out"),
            );
            if variable.required {
                return Err(error);
            }
            warnings.push(error);
        }
        Ok(())
    }

    /// Points into a message's text. Where the text stands in the file as it is (a block after `|`, a plain word), to
    /// the very letter; elsewhere (quotes, folding) to where the text begins.
    fn inside(&self, message_at: usize, offset: usize, message: String, cure: String) -> PromptError {
        let (content, place) = (&self.messages[message_at].content, self.places[message_at]);
        let before = &content[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let wanted = content[line_start..].lines().next().unwrap_or_default();
        let first = place.line() as usize + before.matches('\n').count();
        let mut error = self.page.at(place, message, cure);
        // A block begins on the line after its `|`; what the parser calls its place is one or the other.
        for line in [first, first + 1] {
            let Some(text) = self.page.text.lines().nth(line.wrapping_sub(1)) else { continue };
            if let Some(margin) = text.strip_suffix(wanted).filter(|_| !wanted.is_empty()) {
                let column = margin.chars().count() + content[line_start..offset].chars().count() + 1;
                (error.line, error.column) = (line, column);
                break;
            }
        }
        error
    }
}

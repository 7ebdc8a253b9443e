//! One version of a prompt, ready to be rendered.

use std::{borrow::Cow, collections::BTreeMap};

use gauntlet_places::near;
use gauntlet_ports::StoredPrompt;
use gauntlet_types::{Code, Fault, Name, PromptRef, Timestamp};
use minijinja::value::Serde;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{CallFields, PromptError, Variable, canonical, jinja, string_template::StringTemplate};

/// How long the values of a call, and the texts made of them, may be: more than any model's window, and
/// little enough to hold.
pub const RENDERED_BYTES_MAX: usize = 1 << 20;

/// Who fills the templates in. A text with `{{` or `{%` is taken for Jinja, unless the file says `engine`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub enum Engine {
    /// `$name`, as Python's `string.Template.safe_substitute`.
    #[serde(rename = "string", alias = "string.Template", alias = "string_template", alias = "python")]
    String,
    /// `{{ name }}`, loops and conditions.
    #[serde(rename = "jinja", alias = "jinja2", alias = "minijinja")]
    Jinja,
}

impl Engine {
    pub const fn as_str(self) -> &'static str {
        match self {
            Engine::String => "string",
            Engine::Jinja => "jinja",
        }
    }
}

/// How much harm a bad version may do, as its owner says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    #[default]
    Normal,
    /// A promotion may need a second person's word.
    High,
}

impl Risk {
    pub const fn as_str(self) -> &'static str {
        match self {
            Risk::Normal => "normal",
            Risk::High => "high",
        }
    }
}

/// A message as it stands in the file, not filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// `system`, `developer`, `user` or `assistant`.
    pub role: &'static str,
    pub content: String,
}

/// An immutable version. Made by `parse` alone, so that what is in it has been checked.
#[derive(Debug)]
pub struct Prompt {
    pub name: Name,
    pub version: Version,
    pub description: Option<String>,
    pub owner: Option<String>,
    /// What the author had in mind; nothing follows from it.
    pub model_hint: Option<Name>,
    /// The target or alias that this version is pinned to.
    pub model: Option<Name>,
    /// Labels that the file proposes: they count until somebody has set the label.
    pub labels: Vec<Name>,
    pub variables: BTreeMap<String, Variable>,
    pub engine: Engine,
    pub messages: Vec<Message>,
    /// Put into the body of a call that does not say them itself.
    pub fields: CallFields,
    pub risk: Risk,
    /// SHA-256 of [`Prompt::canonical`], in hexadecimal.
    pub hash: Name,
    /// Where it was read, for messages to people.
    pub file: String,
    /// What looks wrong and does no harm.
    pub warnings: Vec<PromptError>,
    pub(crate) canonical: String,
    pub(crate) compiled: Compiled,
}

/// What is said about a version and may be put right at any time.
#[derive(PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_hint: Option<Name>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) enum Compiled {
    String(Vec<StringTemplate>),
    Jinja(Box<jinja::Templates>),
}

/// Messages with their variables filled in, in the order of the file: (role, content).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    pub messages: Vec<(&'static str, String)>,
}

impl Prompt {
    /// Fills in the variables. Everything that is wrong with them is told at once, without repeating any value.
    ///
    /// A required variable must be given and not null; an optional one that is not given takes its default, or
    /// without one stays as it is written (`$name`) or undefined (`{{ name }}`: an error, but not in `{% if name %}`). Variables that the
    /// prompt does not declare are refused: a misspelt optional one would otherwise be left out unseen.
    ///
    /// Errors: `prompt_invalid`, with the first variable at fault as `param`.
    pub fn render(&self, variables: &Map<String, Value>) -> Result<Rendered, Fault> {
        self.check(variables)?;
        let value = |name: &str| {
            let given = variables.get(name).filter(|value| !value.is_null());
            given.or_else(|| self.variables.get(name)?.default.as_ref())
        };
        let contents = match &self.compiled {
            Compiled::String(templates) => {
                let texts: Vec<(&str, Cow<'_, str>)> = self
                    .variables
                    .keys()
                    .filter_map(|name| Some((name.as_str(), text_of(value(name)?))))
                    .collect();
                let text = |wanted: &str| {
                    let at = texts.binary_search_by_key(&wanted, |(name, _)| *name).ok()?;
                    Some(&*texts[at].1)
                };
                let mut left = RENDERED_BYTES_MAX;
                let mut contents = Vec::with_capacity(templates.len());
                for template in templates {
                    let content = template.render(text, left).ok_or_else(|| self.too_long())?;
                    left -= content.len();
                    contents.push(content);
                }
                contents
            }
            Compiled::Jinja(templates) => {
                let values = self
                    .variables
                    .keys()
                    .filter_map(|name| Some((name.as_str(), minijinja::Value::from(Serde(value(name)?)))));
                templates
                    .render(&minijinja::Value::from_pairs(values))
                    .map_err(|mistake| self.unrenderable(&mistake, variables))?
            }
        };
        let roles = self.messages.iter().map(|message| message.role);
        Ok(Rendered { messages: roles.zip(contents).collect() })
    }

    fn check(&self, variables: &Map<String, Value>) -> Result<(), Fault> {
        let mut first: Option<&str> = None;
        let mut mistakes = Vec::new();
        let mut bytes = 0_usize;
        let mut lists_all = false;
        for (name, variable) in &self.variables {
            let mistake = match variables.get(name) {
                None | Some(Value::Null) if variable.required => {
                    let kind = variable.kind.as_str();
                    Some(format!("needs variable `{name}` ({kind})"))
                }
                None | Some(Value::Null) => None,
                Some(value) => {
                    bytes = bytes.saturating_add(size(value));
                    variable.mistake(value).map(|mistake| format!("variable `{name}` {mistake}"))
                }
            };
            if let Some(mistake) = mistake {
                first = first.or(Some(name));
                mistakes.push(mistake);
            }
        }
        for name in variables.keys().filter(|name| !self.variables.contains_key(*name)) {
            let shown: String = name.chars().take(SHOWN_LETTERS_MAX).collect();
            first = first.or(Some(name));
            let near = near::nearest(name, self.variables.keys().map(String::as_str));
            lists_all |= near.is_none();
            let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            mistakes.push(format!("has no variable `{shown}`{near}"));
            if mistakes.len() >= MISTAKES_MAX {
                break;
            }
        }
        if lists_all {
            mistakes.push(self.variables_listed());
        }
        if let Some(first) = first {
            let message = format!("prompt `{}@{}` {}", self.name, self.version, mistakes.join("; "));
            return Err(Fault::caller(Code::PromptInvalid, message).param(first));
        }
        if bytes > RENDERED_BYTES_MAX { Err(self.too_long()) } else { Ok(()) }
    }

    /// For a message: which variables there are.
    fn variables_listed(&self) -> String {
        if self.variables.is_empty() {
            return "it has none".to_owned();
        }
        let mut names: Vec<&str> = self.variables.keys().take(LISTED_MAX).map(String::as_str).collect();
        if self.variables.len() > LISTED_MAX {
            names.push("…");
        }
        format!("it has {}", names.join(", "))
    }

    fn too_long(&self) -> Fault {
        let message = format!(
            "prompt `{}@{}` with these variables is longer than {RENDERED_BYTES_MAX} bytes",
            self.name, self.version
        );
        Fault::caller(Code::PromptInvalid, message)
    }

    fn unrenderable(&self, mistake: &jinja::Mistake, variables: &Map<String, Value>) -> Fault {
        let missing: Vec<String> = self
            .variables
            .iter()
            .filter(|(name, variable)| variable.default.is_none() && !variables.contains_key(*name))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let hint =
            if missing.is_empty() { String::new() } else { format!("; not given: {}", missing.join(", ")) };
        let message = format!(
            "prompt `{}@{}` cannot be rendered: {} in line {} of message {}{hint}",
            self.name,
            self.version,
            mistake.what,
            mistake.line,
            mistake.message_at + 1
        );
        Fault::caller(Code::PromptInvalid, message)
    }

    /// What the hash is taken of; stable over layout, comments and order. See the module `canonical`.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    pub fn reference(&self, label: Option<Name>) -> PromptRef {
        PromptRef {
            name: self.name.clone(),
            version: self.version.to_string().into(),
            label,
            hash: self.hash.clone(),
        }
    }

    /// The version as the control store keeps it for good.
    pub fn stored(&self, created: Timestamp) -> StoredPrompt {
        StoredPrompt {
            name: self.name.clone(),
            version: self.version.to_string().into(),
            hash: self.hash.clone(),
            source: self.canonical.clone(),
            created,
            author: None,
            app_sha: None,
            about: self.about(),
        }
    }

    /// A version as the store kept it, with what was said about it.
    ///
    /// Errors: a form that this program cannot read.
    pub fn restored(stored: &StoredPrompt) -> Result<Prompt, PromptError> {
        let file = format!("{}@{} (kept)", stored.name, stored.version);
        let mut prompt = crate::file::read(&file, &stored.source)?;
        let about: About =
            stored.about.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        prompt.description = about.description;
        prompt.owner = about.owner;
        prompt.model_hint = about.model_hint;
        for (name, description) in about.variables {
            if let Some(variable) = prompt.variables.get_mut(&name) {
                variable.description = Some(description);
            }
        }
        Ok(prompt)
    }

    /// What is said about it and is no part of it, as the store keeps it; none where nothing is said.
    fn about(&self) -> Option<String> {
        let described = |(name, variable): (&String, &Variable)| {
            variable.description.clone().map(|description| (name.clone(), description))
        };
        let about = About {
            description: self.description.clone(),
            owner: self.owner.clone(),
            model_hint: self.model_hint.clone(),
            variables: self.variables.iter().filter_map(described).collect(),
        };
        if about == About::default() { None } else { serde_json::to_string(&about).ok() }
    }

    pub fn required(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables
            .iter()
            .filter(|(_, variable)| variable.required)
            .map(|(name, variable)| (name.as_str(), variable))
    }

    pub fn optional(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables
            .iter()
            .filter(|(_, variable)| !variable.required)
            .map(|(name, variable)| (name.as_str(), variable))
    }

    pub(crate) fn seal(&mut self) {
        self.canonical = canonical::text(self);
        self.hash = canonical::hash(&self.canonical).into();
    }
}

/// How much of a caller's own name for something is shown back.
const SHOWN_LETTERS_MAX: usize = 64;
/// Names of variables in one message.
const LISTED_MAX: usize = 12;
/// After so many the caller has seen enough.
const MISTAKES_MAX: usize = 16;

/// How a value stands in a text: a string as it is, everything else as JSON.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Cow::Owned(value.to_string())
        }
    }
}

/// About how many bytes a value stands for.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(entries) => entries.iter().map(|entry| size(entry) + 1).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + size(value) + 4).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

#[cfg(test)]
mod tests;

//! A prompt file: read, checked, and every mistake told with its place and cure.
//!
//! ```yaml
//! name: rag-answer
//! version: 3.2.0
//! description: Answer a user question using only the provided context.
//! owner: search-team
//! model_hint: claude-sonnet-4-6        # what the author had in mind
//! model: anthropic/claude-sonnet-4-6   # a target or alias that this version is pinned to
//! labels: [production]                 # counts until somebody has set the label
//! required_vars: [question, context]   # of any type …
//! variables:                           # … or with one
//!   persona: {type: string, max_length: 100, default: concise technical assistant}
//! template: |                          # one system message; or `messages: [{role: …, content: …}]`
//!   You are a $persona …
//! parameters: {temperature: 0, max_tokens: 300}   # into the body of a chat call that does not say them itself;
//! tools: [{type: function, function: {name: …}}]  # so do `tools`, `tool_choice` and `response_format`
//! risk: high                           # a promotion may need a second person
//! ```

mod call;
mod source;

use std::collections::BTreeMap;

use gauntlet_places::near;
use gauntlet_types::Name;
use semver::Version;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{Error, Location, MessageFormatter, Spanned, UserMessageFormatter};

use crate::{
    Engine, Kind, Message, Prompt, PromptError, Risk, Variable,
    error::printed,
    registry::{LATEST, is_named_well},
    string_template,
};
use call::Written;
use source::Source;

/// A longer file is refused unread.
pub const FILE_BYTES_MAX: usize = 1 << 20;
const NAME_LETTERS_MAX: usize = 128;
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    version: Spanned<String>,
    description: Option<String>,
    owner: Option<String>,
    model_hint: Option<String>,
    model: Option<Spanned<String>>,
    #[serde(default)]
    labels: Vec<Spanned<String>>,
    engine: Option<Engine>,
    #[serde(default)]
    required_vars: Vec<Spanned<String>>,
    #[serde(default)]
    optional_vars: Vec<Spanned<String>>,
    #[serde(default)]
    variables: BTreeMap<String, Spanned<Declared>>,
    template: Option<Spanned<String>>,
    messages: Option<Spanned<Vec<Said>>>,
    tools: Option<Spanned<Vec<Value>>>,
    tool_choice: Option<Spanned<Value>>,
    response_format: Option<Spanned<Value>>,
    #[serde(default)]
    parameters: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    risk: Risk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    role: Spanned<String>,
    content: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    #[serde(default, rename = "type")]
    kind: Kind,
    description: Option<String>,
    max_length: Option<usize>,
    required: Option<bool>,
    default: Option<Value>,
}

/// Reads one prompt from the text of a file. `file` is only named in messages.
///
/// Errors: the first mistake that was found. What merely looks wrong is in [`Prompt::warnings`].
pub fn parse(file: &str, text: &str) -> Result<Prompt, PromptError> {
    let prompt = read(file, text)?;
    if is_named_well(&prompt.name) {
        return Ok(prompt);
    }
    let line = text.lines().position(|line| line.starts_with("name:")).map_or(0, |at| at + 1);
    let message = format!("the prompt cannot be named `{}`", printed(&prompt.name));
    let cure = "its parts between `/` are neither empty nor dots alone".to_owned();
    Err(PromptError { file: file.to_owned(), line, column: 1, message, cure })
}

/// As [`parse`], of a text that was taken before: rules for names that came later do not bind it.
pub(crate) fn read(file: &str, text: &str) -> Result<Prompt, PromptError> {
    let page = Page { file, text };
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes", text.len());
        return Err(page.at(Location::UNKNOWN, message, format!("a prompt has at most {FILE_BYTES_MAX}")));
    }
    let options = serde_saphyr::options! { with_snippet: false };
    let read: File =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| page.unreadable(&error))?;

    let name = page.named(&read.name, "the prompt")?;
    let version = page.version(&read.version)?;
    let labels = read.labels.iter().map(|label| page.label(label)).collect::<Result<_, _>>()?;
    let model = match &read.model {
        Some(model) if model.value.trim().is_empty() => {
            return Err(page.at(
                model.referenced,
                "`model` is empty".into(),
                "name a target or alias, or leave the line out".into(),
            ));
        }
        Some(model) => Some(Name::from(model.value.as_str())),
        None => None,
    };
    let declared = page.variables(&read)?;
    let (messages, places) = page.messages(read.template, read.messages)?;
    let engine = read.engine.unwrap_or_else(|| engine_of(&messages));
    let source = Source { page, messages: &messages, places: &places, declared: &declared };
    let (compiled, mut warnings) = match engine {
        Engine::String => source.compile_string()?,
        Engine::Jinja => source.compile_jinja()?,
    };

    let written = Written {
        tools: read.tools,
        tool_choice: read.tool_choice,
        response_format: read.response_format,
        parameters: read.parameters,
    };
    let fields = page.call_fields(written, &mut warnings)?;

    let mut prompt = Prompt {
        name,
        version,
        description: read.description,
        owner: read.owner,
        model_hint: read.model_hint.map(Name::from),
        model,
        labels,
        variables: declared.into_iter().map(|(name, (variable, _))| (name, variable)).collect(),
        engine,
        messages,
        fields,
        risk: read.risk,
        hash: Name::default(),
        file: file.to_owned(),
        warnings,
        canonical: String::new(),
        compiled,
    };
    prompt.seal();
    Ok(prompt)
}

fn engine_of(messages: &[Message]) -> Engine {
    let has_tags =
        messages.iter().any(|message| message.content.contains("{{") || message.content.contains("{%"));
    if has_tags { Engine::Jinja } else { Engine::String }
}

/// The file, to point at.
#[derive(Clone, Copy)]
struct Page<'a> {
    file: &'a str,
    text: &'a str,
}

impl Page<'_> {
    fn at(&self, place: Location, message: String, cure: String) -> PromptError {
        let (line, column) = (place.line() as usize, place.column() as usize);
        PromptError { file: self.file.to_owned(), line, column, message, cure }
    }

    fn unreadable(&self, error: &Error) -> PromptError {
        let error = error.without_snippet();
        let place = error.location().unwrap_or(Location::UNKNOWN);
        let listed = |names: &[&str]| format!("there are {}", names.join(", "));
        let (message, cure) = match error {
            Error::SerdeUnknownField { field, expected, .. } => (
                format!("unknown field `{}`", printed(field)),
                near::cure(field, expected.iter().copied(), &listed(expected)),
            ),
            Error::SerdeUnknownVariant { variant, expected, .. } => (
                format!("unknown value `{}`", printed(variant)),
                near::cure(variant, expected.iter().copied(), &listed(expected)),
            ),
            Error::SerdeMissingField { field, .. } => {
                (format!("field `{field}` is missing"), format!("add a line `{field}: …`"))
            }
            other => (
                printed(&UserMessageFormatter.format_message(other)),
                "the shape of a prompt file is in the documentation under Prompts".to_owned(),
            ),
        };
        self.at(place, message, cure)
    }

    fn named(&self, name: &Spanned<String>, what: &str) -> Result<Name, PromptError> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let is_good = !name.value.is_empty()
            && name.value.len() <= NAME_LETTERS_MAX
            && name.value.bytes().all(is_letter);
        if is_good {
            return Ok(name.value.as_str().into());
        }
        let message = format!("{what} cannot be named `{}`", printed(&name.value));
        let cure = format!("use letters, digits, `-`, `_`, `.` and `/`, at most {NAME_LETTERS_MAX}");
        Err(self.at(name.referenced, message, cure))
    }

    fn version(&self, version: &Spanned<String>) -> Result<Version, PromptError> {
        let text = &version.value;
        Version::parse(text).map_err(|_| {
            let dots = text.matches('.').count();
            let is_short = dots < 2
                && !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let cure = if is_short {
                format!("write `{text}{}`", ".0".repeat(2 - dots))
            } else {
                "write three numbers, such as `1.0.0`".to_owned()
            };
            self.at(version.referenced, format!("`{}` is not a version", printed(text)), cure)
        })
    }

    fn label(&self, label: &Spanned<String>) -> Result<Name, PromptError> {
        if label.value == LATEST {
            let message = format!("`{LATEST}` is no label to set");
            return Err(self.at(
                label.referenced,
                message,
                "it is always the highest version: leave it out".into(),
            ));
        }
        if Version::parse(&label.value).is_ok() {
            let message = format!("label `{}` looks like a version", label.value);
            return Err(self.at(label.referenced, message, "choose a word, such as `production`".into()));
        }
        self.named(label, "a label")
    }

    /// Brings the three ways to declare a variable together.
    fn variables(&self, read: &File) -> Result<BTreeMap<String, (Variable, Location)>, PromptError> {
        let mut declared: BTreeMap<String, (Variable, Location)> = BTreeMap::new();
        let mut listed: BTreeMap<&str, bool> = BTreeMap::new();
        let required = read.required_vars.iter().map(|name| (name, true));
        for (name, required) in required.chain(read.optional_vars.iter().map(|name| (name, false))) {
            let place = name.referenced;
            self.variable_name(&name.value, place)?;
            match listed.insert(&name.value, required) {
                None => {}
                Some(before) if before == required => {
                    let message = format!("variable `{}` is listed twice", name.value);
                    return Err(self.at(place, message, "leave one out".into()));
                }
                Some(_) => {
                    let message = format!("variable `{}` is both required and optional", name.value);
                    return Err(self.at(place, message, "leave it out of one of the two lists".into()));
                }
            }
            declared.insert(name.value.clone(), (Variable { required, ..Variable::default() }, place));
        }
        for (name, given) in &read.variables {
            let place = given.referenced;
            self.variable_name(name, place)?;
            let listed = listed.get(name.as_str()).copied();
            let variable = self.typed(name, &given.value, listed, place)?;
            declared.insert(name.clone(), (variable, place));
        }
        Ok(declared)
    }

    fn variable_name(&self, name: &str, place: Location) -> Result<(), PromptError> {
        if string_template::is_name(name) && name.len() <= NAME_LETTERS_MAX {
            return Ok(());
        }
        let message = format!("a variable cannot be named `{}`", printed(name));
        Err(self.at(place, message, "use letters, digits and `_`, not beginning with a digit".into()))
    }

    /// Without `required` said anywhere, a variable is required unless it has a default.
    fn typed(
        &self,
        name: &str,
        given: &Declared,
        listed: Option<bool>,
        place: Location,
    ) -> Result<Variable, PromptError> {
        let bad = |message: String, cure: &str| Err(self.at(place, message, cure.to_owned()));
        if let (Some(said), Some(listed)) = (given.required, listed)
            && said != listed
        {
            let list = if listed { "required_vars" } else { "optional_vars" };
            return bad(
                format!("variable `{name}` is in `{list}` and says `required: {said}`"),
                "make the two agree",
            );
        }
        let required = given.required.or(listed).unwrap_or(given.default.is_none());
        let default = given.default.clone().filter(|value| !value.is_null());
        let variable = Variable {
            kind: given.kind,
            description: given.description.clone(),
            max_length: given.max_length,
            required,
            default,
        };
        if variable.max_length.is_some() && !matches!(variable.kind, Kind::Any | Kind::String | Kind::Array) {
            let message =
                format!("variable `{name}` has a `max_length` and is of type {}", variable.kind.as_str());
            return bad(message, "only strings and arrays have a length: leave it out");
        }
        let Some(default) = &variable.default else { return Ok(variable) };
        if required {
            return bad(
                format!("variable `{name}` is required and has a default"),
                "leave one of the two out",
            );
        }
        match variable.mistake(default) {
            Some(mistake) => {
                bad(format!("the default of variable `{name}` {mistake}"), "make the default fit the type")
            }
            None => Ok(variable),
        }
    }

    fn messages(
        &self,
        template: Option<Spanned<String>>,
        messages: Option<Spanned<Vec<Said>>>,
    ) -> Result<(Vec<Message>, Vec<Location>), PromptError> {
        let messages = match (template, messages) {
            (Some(template), None) => {
                let place = template.referenced;
                (vec![Message { role: ROLES[0], content: template.value }], vec![place])
            }
            (None, Some(messages)) if !messages.value.is_empty() => {
                let role = |said: &Said| {
                    ROLES.into_iter().find(|role| *role == said.role.value).ok_or_else(|| {
                        let cure =
                            near::cure(&said.role.value, ROLES, &format!("there are {}", ROLES.join(", ")));
                        self.at(
                            said.role.referenced,
                            format!("unknown role `{}`", printed(&said.role.value)),
                            cure,
                        )
                    })
                };
                let roles = messages.value.iter().map(role).collect::<Result<Vec<_>, _>>()?;
                let contents =
                    messages.value.into_iter().map(|said| (said.content.value, said.content.referenced));
                roles
                    .into_iter()
                    .zip(contents)
                    .map(|(role, (content, place))| (Message { role, content }, place))
                    .unzip()
            }
            (None, Some(messages)) => {
                let cure = "add a message, such as `- {role: system, content: …}`".to_owned();
                return Err(self.at(messages.referenced, "`messages` is empty".into(), cure));
            }
            (Some(_), Some(messages)) => {
                let cure =
                    "put the template into a message of role `system`, or leave `messages` out".to_owned();
                return Err(self.at(
                    messages.referenced,
                    "there are both `template` and `messages`".into(),
                    cure,
                ));
            }
            (None, None) => {
                let message = "there is neither `template` nor `messages`".to_owned();
                return Err(self.at(
                    Location::UNKNOWN,
                    message,
                    "add `template: |` and the text below it".into(),
                ));
            }
        };
        match messages.0.iter().position(|message| message.content.trim().is_empty()) {
            Some(empty) => Err(self.at(messages.1[empty], "the text is empty".into(), "write one".into())),
            None => Ok(messages),
        }
    }
}

#[cfg(test)]
mod tests;

//! What a version asks of its callers, compared with another, and how far its number must rise for it.
//!
//! The rules are those of semantic versions: major where a call that fitted before does not fit any more, minor where the
//! model is asked otherwise, patch for wording. A machine cannot tell wording from behaviour, so a text that changed alone is
//! taken with a patch; model, tools, parameters and the list of roles are behaviour in any case. Below 1.0.0 a minor is
//! enough for all of it, as with libraries.

use std::collections::BTreeSet;

use semver::Version;
use serde::Serialize;
use serde_json::Value;

use crate::{Kind, Prompt, Variable};

/// How far a version rises; a greater one contains the lesser.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bump {
    Patch,
    Minor,
    Major,
}

impl Bump {
    pub const fn as_str(self) -> &'static str {
        match self {
            Bump::Patch => "patch",
            Bump::Minor => "minor",
            Bump::Major => "major",
        }
    }

    /// How far it is from one version to a later one. Below 1.0.0 a minor counts as a major.
    pub fn between(from: &Version, to: &Version) -> Bump {
        if from.major != to.major {
            Bump::Major
        } else if from.minor != to.minor {
            if from.major == 0 { Bump::Major } else { Bump::Minor }
        } else {
            Bump::Patch
        }
    }

    /// The lowest released version after `from` that rises so far.
    pub fn after(self, from: &Version) -> Version {
        match self {
            Bump::Major if from.major > 0 => Version::new(from.major + 1, 0, 0),
            Bump::Major | Bump::Minor => Version::new(from.major, from.minor + 1, 0),
            Bump::Patch => Version::new(from.major, from.minor, from.patch + 1),
        }
    }
}

/// One difference between two versions, in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// The bump that it takes at least.
    pub bump: Bump,
    /// Which part: `variables.locale`, `model`, `messages`.
    pub field: String,
    /// For people: ``required variable `locale` was added``.
    pub what: String,
}

/// All differences that count, the weightiest first; descriptions and owners are none.
pub fn changes(old: &Prompt, new: &Prompt) -> Vec<Change> {
    let mut changes = Vec::new();
    let names: BTreeSet<&String> = old.variables.keys().chain(new.variables.keys()).collect();
    for name in names {
        variable(name, old.variables.get(name), new.variables.get(name), &mut changes);
    }
    let mut note = |bump: Bump, field: &str, what: String| {
        changes.push(Change { bump, field: field.to_owned(), what });
    };
    if old.model != new.model {
        let shown = |prompt: &Prompt| prompt.model.as_deref().unwrap_or("none").to_owned();
        note(Bump::Minor, "model", format!("the pinned model was {}, and is {}", shown(old), shown(new)));
    }
    let (was, is) = (old.fields.tool_names(), new.fields.tool_names());
    if old.fields.tools != new.fields.tools {
        let what = if was == is {
            "the tools are described otherwise".to_owned()
        } else {
            format!("the tools were {}, and are {}", listed(&was), listed(&is))
        };
        note(Bump::Minor, "tools", what);
    }
    let choices = [
        ("tool_choice", &old.fields.tool_choice, &new.fields.tool_choice),
        ("response_format", &old.fields.response_format, &new.fields.response_format),
    ];
    for (name, was, is) in choices.into_iter().filter(|(_, was, is)| was != is) {
        note(
            Bump::Minor,
            name,
            format!("`{name}` was {}, and is {}", value(was.as_ref()), value(is.as_ref())),
        );
    }
    let (was, is) = (&old.fields.parameters, &new.fields.parameters);
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names.into_iter().filter(|name| was.get(*name) != is.get(*name)) {
        let what = format!("`{name}` was {}, and is {}", value(was.get(name)), value(is.get(name)));
        note(Bump::Minor, &format!("parameters.{name}"), what);
    }
    if old.engine != new.engine {
        let what = format!("the engine was {}, and is {}", old.engine.as_str(), new.engine.as_str());
        note(Bump::Minor, "engine", what);
    }
    let roles = |prompt: &Prompt| prompt.messages.iter().map(|message| message.role).collect::<Vec<_>>();
    if roles(old) != roles(new) {
        let what = format!("the messages were {}, and are {}", listed(&roles(old)), listed(&roles(new)));
        note(Bump::Minor, "messages", what);
    } else if old.messages != new.messages {
        note(Bump::Patch, "messages", "the text changed".to_owned());
    }
    if old.risk != new.risk {
        let what = format!("the risk was {}, and is {}", old.risk.as_str(), new.risk.as_str());
        note(Bump::Patch, "risk", what);
    }
    // Stable: what counts alike keeps its order.
    changes.sort_by_key(|change| std::cmp::Reverse(change.bump));
    changes
}

/// The changes that weigh more than the rise of the version admits.
pub fn too_heavy(old: &Prompt, new: &Prompt) -> Vec<Change> {
    let risen = Bump::between(&old.version, &new.version);
    changes(old, new).into_iter().filter(|change| change.bump > risen).collect()
}

/// Which of these versions the new one is measured by: the highest released one below it. Pre-releases bind nobody.
pub fn predecessor<'a, P: AsRef<Prompt>>(known: &'a [P], new: &Prompt) -> Option<&'a Prompt> {
    let released = known
        .iter()
        .map(AsRef::as_ref)
        .filter(|old| old.name == new.name && old.version.pre.is_empty() && old.version < new.version);
    released.max_by(|a, b| a.version.cmp(&b.version))
}

fn variable(name: &str, old: Option<&Variable>, new: Option<&Variable>, changes: &mut Vec<Change>) {
    let mut note = |bump: Bump, what: String| {
        changes.push(Change { bump, field: format!("variables.{name}"), what });
    };
    let kind = |variable: &Variable| if variable.required { "required" } else { "optional" };
    let (old, new) = match (old, new) {
        (None, None) => return,
        (None, Some(new)) => {
            let bump = if new.required { Bump::Major } else { Bump::Minor };
            return note(bump, format!("{} variable `{name}` was added", kind(new)));
        }
        // Callers may give it, and a variable that a prompt does not have is refused.
        (Some(old), None) => {
            return note(Bump::Major, format!("{} variable `{name}` was removed", kind(old)));
        }
        (Some(old), Some(new)) => (old, new),
    };
    if old.required != new.required {
        let bump = if new.required { Bump::Major } else { Bump::Minor };
        note(bump, format!("variable `{name}` was {}, and is {}", kind(old), kind(new)));
    }
    if old.kind != new.kind {
        let bump = if is_wider(old.kind, new.kind) { Bump::Minor } else { Bump::Major };
        let what = format!(
            "variable `{name}` was of type {}, and is of type {}",
            old.kind.as_str(),
            new.kind.as_str()
        );
        note(bump, what);
    }
    if old.max_length != new.max_length {
        let length = |max: Option<usize>| max.unwrap_or(usize::MAX);
        let bump = if length(new.max_length) < length(old.max_length) { Bump::Major } else { Bump::Minor };
        let shown =
            |max: Option<usize>| max.map_or("without bound".to_owned(), |max| format!("at most {max}"));
        let what = format!(
            "the length of variable `{name}` was {}, and is {}",
            shown(old.max_length),
            shown(new.max_length)
        );
        note(bump, what);
    }
    if old.default != new.default {
        let (was, is) = (value(old.default.as_ref()), value(new.default.as_ref()));
        note(Bump::Minor, format!("the default of variable `{name}` was {was}, and is {is}"));
    }
}

/// Whether every value of the one type is a value of the other.
fn is_wider(old: Kind, new: Kind) -> bool {
    new == Kind::Any || (old == Kind::Integer && new == Kind::Number)
}

/// Longer values are told by their beginning.
const SHOWN_LETTERS_MAX: usize = 80;

fn value(value: Option<&Value>) -> String {
    let Some(value) = value else { return "not set".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;

//! The texts that judges are asked by: built in, or named in the suite.
//!
//! The built-in ones are prompt files as everybody's (`crates/evals/prompts/`), with name, version and hash, so that a score
//! can say by which text it was found. A suite puts its own in their place by `prompt: name@1.2.0`, which the gateway renders.

use std::sync::OnceLock;

use gauntlet_prompts::Prompt;
use gauntlet_types::{Name, PromptRef};
use serde_json::{Map, Value, json};

/// Name and file of every built-in text.
macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../prompts/", $name, ".yaml")))),*];
    };
}

built_in![
    "judge-answer-relevancy",
    "judge-aspect",
    "judge-context-precision",
    "judge-context-recall",
    "judge-factuality",
    "judge-faithfulness-statements",
    "judge-faithfulness-verdicts",
    "judge-g-eval",
    "judge-g-eval-steps",
    "judge-hallucination",
    "judge-pairwise",
    "judge-rubric",
];

/// The built-in texts, in the order of their names: to be listed, shown, and copied as a beginning of one's own.
pub fn built_in() -> &'static [Prompt] {
    static PROMPTS: OnceLock<Vec<Prompt>> = OnceLock::new();
    PROMPTS.get_or_init(|| {
        let parse = |(name, text): &(&str, &str)| {
            gauntlet_prompts::parse(&format!("{name}.yaml"), text)
                .expect("a built-in prompt is checked by a test")
        };
        FILES.iter().map(parse).collect()
    })
}

/// What a judge is asked by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    BuiltIn(&'static Prompt),
    /// `name@1.2.0` of the registry: the gateway renders it. A version, since what is kept of a judge must not change under it.
    Stored(&'a str),
}

impl Text<'_> {
    pub(super) fn built_in(name: &str) -> Text<'static> {
        let found = built_in().iter().find(|prompt| prompt.name == *name);
        Text::BuiltIn(found.expect("only names of built-in prompts are written here"))
    }

    /// What tells this text from every other.
    pub(super) fn identity(&self) -> String {
        match self {
            Text::BuiltIn(prompt) => format!("{}@{}:{}", prompt.name, prompt.version, prompt.hash),
            Text::Stored(reference) => (*reference).to_owned(),
        }
    }

    /// For the record of the call; the gateway itself notes what it rendered.
    pub(super) fn reference(&self) -> Option<PromptRef> {
        match self {
            Text::BuiltIn(prompt) => Some(prompt.reference(None)),
            Text::Stored(_) => None,
        }
    }

    /// The fields of a body that say it: messages, or the reference with its variables.
    ///
    /// Errors: why it cannot be rendered, such as texts that are too long.
    pub(super) fn fields(&self, variables: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut fields = Map::new();
        match self {
            Text::BuiltIn(prompt) => {
                let rendered = prompt.render(&variables).map_err(|fault| fault.message.to_string())?;
                let message = |(role, content)| json!({"role": role, "content": content});
                let messages: Vec<Value> = rendered.messages.into_iter().map(message).collect();
                fields.insert("messages".to_owned(), messages.into());
            }
            Text::Stored(reference) => {
                fields.insert("messages".to_owned(), json!([]));
                let gauntlet = json!({"prompt": reference, "variables": variables});
                fields.insert("gauntlet".to_owned(), gauntlet);
            }
        }
        Ok(fields)
    }
}

/// Whether a reference names one version for good: `name@1.2.0`.
pub(super) fn is_version(reference: &str) -> bool {
    let Some((name, version)) = reference.split_once('@') else { return false };
    let parts: Vec<&str> = version.splitn(3, '.').collect();
    !name.is_empty()
        && parts.len() == 3
        && parts.iter().all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
}

/// Names of the versions of built-in texts, for lists.
pub fn names() -> impl Iterator<Item = Name> {
    built_in().iter().map(|prompt| format!("{}@{}", prompt.name, prompt.version).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_text_is_a_sound_prompt_named_as_its_file() {
        for ((name, _), prompt) in FILES.iter().zip(built_in()) {
            assert_eq!(prompt.name, **name);
            assert!(prompt.warnings.is_empty(), "{name}: {:?}", prompt.warnings);
            assert!(prompt.messages.iter().any(|message| message.role == "user"), "{name}");
        }
        assert_eq!(names().count(), FILES.len());
    }

    #[test]
    fn only_a_whole_version_stands_for_one_text() {
        let check = |reference: &str, wanted: bool| assert_eq!(is_version(reference), wanted, "{reference}");
        check("mine@1.2.0", true);
        check("mine@1.2.0-rc.1", true);
        check("mine@production", false);
        check("mine@1.2", false);
        check("mine", false);
        check("@1.2.0", false);
    }
}

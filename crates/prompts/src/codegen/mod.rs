//! Typed wrappers: a prompt's variables as a type of the application's own language, so that a call site with the wrong shape
//! does not compile, or fails before it is sent.
//!
//! A wrapper holds no text of the prompt: wording changes at the gateway without a new build. It holds which version
//! it was made of, and is made anew when the shape changes (a major version).
//!
//! Names, descriptions and references are data: they stand in string literals alone, never in comments or code.

mod python;
mod rust;
mod typescript;

use std::collections::BTreeSet;

use crate::Prompt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// Classes of Pydantic 2.
    Python,
    /// Schemas of zod 3 or 4.
    TypeScript,
    /// Structs of serde.
    Rust,
}

impl Language {
    pub const ALL: [Language; 3] = [Language::Python, Language::TypeScript, Language::Rust];

    pub const fn as_str(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::TypeScript => "typescript",
            Language::Rust => "rust",
        }
    }

    pub fn parse(text: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.as_str() == text)
    }
}

/// A prompt to wrap, and how calls name it: `rag-answer@production`.
#[derive(Clone, Copy, Debug)]
pub struct Wrapped<'a> {
    pub prompt: &'a Prompt,
    pub reference: &'a str,
}

/// One file with a wrapper for each prompt, in their order.
pub fn generate(language: Language, prompts: &[Wrapped]) -> String {
    let mut taken: BTreeSet<String> = TAKEN.split(' ').map(str::to_owned).collect();
    let named: Vec<(String, &Wrapped)> =
        prompts.iter().map(|wrapped| (type_name(&wrapped.prompt.name, &mut taken), wrapped)).collect();
    match language {
        Language::Python => python::file(&named),
        Language::TypeScript => typescript::file(&named),
        Language::Rust => rust::file(&named),
    }
}

/// What stands on top of each file, after the language's comment sign.
const HEAD: [&str; 2] = [
    "Made by `gauntlet prompt codegen`. Do not edit: make it anew when a prompt's variables change.",
    "The text of a prompt is not in here; the gateway puts it in.",
];

/// What the files name themselves, in small letters.
const TAKEN: &str = "gauntletprompt given int basemodel configdict aftervalidator field annotated any classvar dict list \
    optional z characters union";

/// `rag-answer` is `RagAnswer`; a second prompt of that name is `RagAnswer2`.
fn type_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let words = name.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut made: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    if !made.starts_with(|char: char| char.is_ascii_alphabetic()) {
        made.insert_str(0, "Prompt");
    }
    let mut unique = made.clone();
    // Ends: every number is tried once, and there are as many prompts as there are.
    for number in 2.. {
        if taken.insert(unique.to_ascii_lowercase()) {
            break;
        }
        unique = format!("{made}{number}");
    }
    unique
}

/// A variable's name as a field's, where the language does not take it as it is: `class` is `class_`.
fn field_name(name: &str, is_reserved: &dyn Fn(&str) -> bool, taken: &mut BTreeSet<String>) -> String {
    let mut made = name.to_owned();
    if is_reserved(name) {
        let bare = name.trim_start_matches('_');
        let begins_well = bare.starts_with(|char: char| char.is_ascii_alphabetic());
        made = if begins_well { format!("{bare}_") } else { format!("var_{bare}") };
        if is_reserved(&made) {
            made = format!("var_{bare}");
        }
    }
    while !taken.insert(made.clone()) {
        made.push('_');
    }
    made
}

/// A string literal of JSON: it is one of Python's and of TypeScript's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;

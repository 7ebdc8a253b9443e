//! Our own extension of a request: which stored prompt to render, with what.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::json::{Cursor, Fail, Inside, Scan};

/// `gauntlet: {"prompt": "name@label", "variables": {…}}`, or the form of OpenAI's Responses API,
/// `prompt: {"id" | "name", "version", "variables"}`.
#[derive(Clone, PartialEq, Debug)]
pub struct GauntletField {
    /// `name`, `name@label` or `name@1.2.0`; from the second form joined to this.
    pub prompt: Option<String>,
    pub variables: Map<String, Value>,
    pub form: Form,
    /// The object's other members.
    pub rest: Map<String, Value>,
    /// What to cut out of the body: the whole `"key": value` with one comma.
    pub member: Range<usize>,
}

/// Which of the two forms it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Gauntlet,
    Prompt,
}

impl Form {
    const fn key(self) -> &'static str {
        match self {
            Form::Gauntlet => "gauntlet",
            Form::Prompt => "prompt",
        }
    }
}

/// Reads the member's value, which is an object.
pub(crate) fn read(cursor: &mut Cursor<'_>, object: &Inside, form: Form) -> Scan<GauntletField> {
    let key = form.key();
    let span = cursor.span()?;
    let (start, end) = (span.start, span.end);
    // A tree is right here: the variables are values for a template, and the member never goes upstream.
    let mut rest: Map<String, Value> = serde_json::from_str(cursor.slice(span))
        .map_err(|error| Fail::field(start, key, format_args!("cannot be read: {error}")))?;
    let variables = match rest.remove("variables") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(variables)) => variables,
        Some(_) => return Err(Fail::field(start, format_args!("{key}.variables"), "must be an object")),
    };
    let mut text = |name: &str| match rest.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fail::field(start, format_args!("{key}.{name}"), "must be a string")),
    };
    let prompt = match form {
        Form::Gauntlet => text("prompt")?,
        Form::Prompt => {
            let (id, name, version) = (text("id")?, text("name")?, text("version")?);
            let Some(name) = id.or(name) else {
                return Err(Fail::field(start, "prompt.id", "is missing: it names the prompt"));
            };
            Some(match version {
                Some(version) => format!("{name}@{version}"),
                None => name,
            })
        }
    };
    let member = member_cut(cursor, object, end);
    Ok(GauntletField { prompt, variables, form, rest, member })
}

/// From the key to the comma behind the value, or from the comma before the key if the member is the last.
pub(crate) fn member_cut(cursor: &Cursor<'_>, object: &Inside, end: usize) -> Range<usize> {
    let behind = cursor.slice(end..cursor.len()).bytes().position(|byte| !byte.is_ascii_whitespace());
    match behind {
        Some(space) if cursor.slice(end..cursor.len()).as_bytes()[space] == b',' => {
            object.key..end + space + 1
        }
        _ => object.comma.unwrap_or(object.key)..end,
    }
}

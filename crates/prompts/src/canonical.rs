//! The canonical form of a version: what its hash is taken of, and what is kept for good.
//!
//! Compact JSON, keys in order of their bytes, fields that are not set left out. It has what decides over a render
//! and over the call: `name`, `version`, `engine`, `messages` (a `template` is one system message), `model`, and of each variable
//! `type`, `max_length`, `required`, `default`; where they are set, `tools`, `tool_choice`, `response_format`, `parameters`, and
//! `risk` (which decides over a promotion, and must outlive the file). It does not have what is said about the prompt and may be put
//! right at any time: description, owner, model hint, labels, comments, layout, the order of variables.
//!
//! The form is itself a prompt file (JSON is YAML): `parse` of it gives the same hash, so that a version can be brought
//! back from the store when its file is gone.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{Kind, Prompt, Risk};

pub(crate) fn text(prompt: &Prompt) -> String {
    let messages: Vec<Value> = prompt
        .messages
        .iter()
        .map(|message| json!({"content": message.content, "role": message.role}))
        .collect();
    let variables = prompt.variables.iter().map(|(name, variable)| {
        let mut fields = Map::new();
        if variable.kind != Kind::Any {
            fields.insert("type".into(), variable.kind.as_str().into());
        }
        if let Some(max) = variable.max_length {
            fields.insert("max_length".into(), max.into());
        }
        if let Some(default) = &variable.default {
            fields.insert("default".into(), default.clone());
        }
        fields.insert("required".into(), variable.required.into());
        (name.clone(), Value::Object(fields))
    });
    let mut form = Map::new();
    form.insert("name".into(), prompt.name.as_str().into());
    form.insert("version".into(), prompt.version.to_string().into());
    form.insert("engine".into(), prompt.engine.as_str().into());
    form.insert("messages".into(), messages.into());
    form.insert("variables".into(), Value::Object(variables.collect()));
    if let Some(model) = &prompt.model {
        form.insert("model".into(), model.as_str().into());
    }
    let fields = &prompt.fields;
    if !fields.tools.is_empty() {
        form.insert("tools".into(), fields.tools.clone().into());
    }
    let maybe = [("tool_choice", &fields.tool_choice), ("response_format", &fields.response_format)];
    for (name, value) in maybe {
        if let Some(value) = value {
            form.insert(name.into(), value.clone());
        }
    }
    if !fields.parameters.is_empty() {
        form.insert("parameters".into(), Value::Object(fields.parameters.clone()));
    }
    if prompt.risk != Risk::Normal {
        form.insert("risk".into(), prompt.risk.as_str().into());
    }
    sorted(Value::Object(form)).to_string()
}

/// SHA-256 in hexadecimal: what `sha256sum` says of the canonical form without a line end.
pub(crate) fn hash(canonical: &str) -> String {
    Sha256::digest(canonical).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(entries) => Value::Array(entries.into_iter().map(sorted).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

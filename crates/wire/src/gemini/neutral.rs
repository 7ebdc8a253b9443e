//! A generateContent request in the neutral form, and out of it.

mod calls;
mod parts;
mod read;
mod schema;
mod settings;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

use serde_json::{Map, Value};

use super::names::camel;
use crate::{ask::members::Members, json::Malformed};

/// Google's own tools, as members of a tool.
const BUILTIN: &[&str] = &[
    "googleSearch",
    "googleSearchRetrieval",
    "enterpriseWebSearch",
    "googleMaps",
    "codeExecution",
    "urlContext",
    "computerUse",
    "fileSearch",
    "retrieval",
];

/// An object whose known members are under their camel names, whichever way they were spelt.
fn object(value: Value, path: impl Into<String>, known: &[&str]) -> Result<Members, Malformed> {
    let path = path.into();
    let Value::Object(map) = value else { return Members::of(value, path) };
    let mut renamed = Map::with_capacity(map.len());
    for (key, value) in map {
        let name = camel(&key);
        let name = if known.contains(&&*name) { name.into_owned() } else { key };
        if renamed.contains_key(&name) {
            return Err(Malformed::field(format!("{path}.{name}"), "is given twice"));
        }
        renamed.insert(name, value);
    }
    Members::of(Value::Object(renamed), path)
}

/// The items of a list, which Google also takes as a lone value.
fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(one) => vec![one],
    }
}

#[cfg(test)]
mod tests;

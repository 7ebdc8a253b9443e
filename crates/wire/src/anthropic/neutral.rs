//! A Messages request in the neutral form, and out of it.

mod model;
mod read;
mod turns;
mod write;

pub(crate) use read::read;
use serde_json::{Value, json};
pub(crate) use write::write;

/// The arguments of a call as the object that this dialect wants. Words that are no object (a custom tool's text, or JSON
/// that a model left half done) become its one member.
pub(crate) fn input(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({"input": arguments}),
    }
}

#[cfg(test)]
mod tests;

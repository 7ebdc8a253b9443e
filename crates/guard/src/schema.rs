//! The form of a model's answer: a JSON document that satisfies a JSON Schema.

use jsonschema::{Retrieve, Uri, Validator};
use serde_json::Value;

/// More messages help no one.
const MESSAGES_MAX: usize = 5;
/// Messages may quote the answer, which may hold what must not be recorded; so they are short.
const MESSAGE_CHARS_MAX: usize = 160;

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("schema refers to `{0}`: remote references are not followed; inline it under `$defs`")]
    RemoteReference(String),
    #[error("schema is not valid: {0}")]
    Invalid(String),
}

/// A compiled JSON Schema for the output of a model.
#[derive(Debug)]
pub struct OutputSchema {
    validator: Validator,
    /// As it was written, for the repair of answers.
    schema: Value,
}

/// Refuses whatever is not in the document itself: a schema that a user wrote may not make the gateway fetch addresses.
struct NoRemote;

impl Retrieve for NoRemote {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("remote reference {uri} refused").into())
    }
}

impl OutputSchema {
    pub fn compile(schema: &Value) -> Result<OutputSchema, SchemaError> {
        if let Some(reference) = remote_reference(schema) {
            return Err(SchemaError::RemoteReference(reference.to_owned()));
        }
        let validator = jsonschema::options()
            .with_retriever(NoRemote)
            .build(schema)
            .map_err(|error| SchemaError::Invalid(cut(&error.to_string())))?;
        Ok(OutputSchema { validator, schema: schema.clone() })
    }

    pub(crate) fn schema(&self) -> &Value {
        &self.schema
    }

    pub(crate) fn accepts(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// Checks an answer. Errors: up to five messages `at /path: …`, each cut short.
    pub fn check(&self, text: &str) -> Result<(), Vec<String>> {
        let value: Value = serde_json::from_str(text.trim())
            .map_err(|error| vec![format!("at /: not JSON: {}", cut(&error.to_string()))])?;
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        let messages = self
            .validator
            .iter_errors(&value)
            .take(MESSAGES_MAX)
            .map(|error| {
                let path = error.instance_path().to_string();
                let path = if path.is_empty() { "/" } else { &path };
                format!("at {}: {}", cut(path), cut(&error.masked().to_string()))
            })
            .collect();
        Err(messages)
    }
}

/// The first `$ref` or `$dynamicRef` that leaves the document.
fn remote_reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(map) => map.iter().find_map(|(key, value)| match value {
            Value::String(target) if matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") => {
                (target.contains("://") || target.starts_with("//")).then_some(target.as_str())
            }
            _ => remote_reference(value),
        }),
        Value::Array(items) => items.iter().find_map(remote_reference),
        _ => None,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply() -> OutputSchema {
        OutputSchema::compile(&json!({
            "type": "object",
            "required": ["answer", "sources"],
            "properties": {
                "answer": {"type": "string", "maxLength": 20},
                "sources": {"type": "array", "items": {"$ref": "#/$defs/id"}},
                "mood": {"enum": ["calm", "cross"]}
            },
            "$defs": {"id": {"type": "integer"}}
        }))
        .unwrap()
    }

    #[test]
    fn answers_are_checked_and_mistakes_located() {
        let check = |text: &str, expected: &[&str]| {
            let messages = reply().check(text).err().unwrap_or_default();
            assert_eq!(messages.len(), expected.len(), "{text}: {messages:?}");
            for (message, start) in messages.iter().zip(expected) {
                assert!(message.starts_with(start), "{message} for {start}");
            }
        };
        check(r#" {"answer": "yes", "sources": [1, 2]} "#, &[]);
        check(r#"{"answer": "yes", "sources": [1, "b"]}"#, &["at /sources/1: "]);
        check(r#"{"answer": 7, "sources": [], "mood": "odd"}"#, &["at /answer: ", "at /mood: "]);
        check("Sure! Here is the JSON", &["at /: not JSON: "]);
        check(r#"{"answer": "yes"}"#, &["at /: "]);
        check(
            r#"{"answer": "a", "sources": ["a","b","c","d","e","f","g"]}"#,
            &["at /sources/0", "at /sources/1", "at /sources/2", "at /sources/3", "at /sources/4"],
        );
    }

    #[test]
    fn messages_do_not_quote_the_answer() {
        let long = format!(r#"{{"answer": "{}", "sources": []}}"#, "secret ".repeat(500));
        let messages = reply().check(&long).unwrap_err();
        assert!(
            messages.iter().all(|message| message.len() < 500 && !message.contains("secret")),
            "{messages:?}"
        );
    }

    #[test]
    fn remote_references_are_refused() {
        let schema = json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
        let error = OutputSchema::compile(&schema).unwrap_err();
        assert!(
            matches!(&error, SchemaError::RemoteReference(to) if to == "https://example.com/a.json"),
            "{error}"
        );
        let indirect = json!({"$id": "https://example.com/base/", "$ref": "other.json"});
        assert!(OutputSchema::compile(&indirect).is_err());
        assert!(OutputSchema::compile(&json!({"type": "no such type"})).is_err());
    }
}

//! A case: a line of a dataset, read and checked.

use gauntlet_types::{CallId, Name};
use serde_json::{Map, Value};

/// A line of a dataset. What is asked is a prompt with `vars`, or `messages`, or `input` as a single user message.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Case {
    /// Unique in its suite.
    pub id: Name,
    /// The prompt's name, where it is not the suite's.
    pub prompt: Option<Name>,
    pub vars: Map<String, Value>,
    /// As of `/v1/chat/completions`; with a prompt they come after its own.
    pub messages: Vec<Value>,
    /// `tools`, `tool_choice`, `response_format` and other fields of the body, as they stand.
    pub body: Map<String, Value>,
    /// The answer that is right, or one of them: a text, a number or an object. `reference` is another name for it.
    pub expected: Option<Value>,
    /// Retrieved passages, in their order: what faithfulness and context metrics look at.
    pub contexts: Vec<String>,
    /// Retrieved ids in their order, none among them where nothing was found, and those that are relevant with their grade:
    /// for ranking metrics.
    pub retrieved: Option<Vec<String>>,
    pub relevant: Vec<(String, f64)>,
    /// An answer that was given before: scored instead of asking where a run is over recorded answers.
    pub output: Option<Value>,
    pub tags: Vec<Name>,
    /// Frozen: belongs to the golden part of its dataset.
    pub is_golden: bool,
    /// Cases that are not independent of each other share one (a conversation, a document).
    pub cluster: Option<Name>,
    /// Fields of the line that are none of these, for templates of metrics and for own scorers.
    pub extra: Map<String, Value>,
    /// SHA-256 of the line in its canonical form, hexadecimal: layout and the order of fields do not count.
    pub hash: Name,
    /// The file and line it stands in.
    pub file: String,
    pub line: usize,
}

impl Case {
    /// What the user asked, for lists and for judges: the variable `question`, `query` or `input`, else the last user message, else
    /// all variables as JSON.
    pub fn question(&self) -> String {
        for name in ["question", "query", "input", "user_input"] {
            if let Some(Value::String(text)) = self.vars.get(name) {
                return text.clone();
            }
        }
        let is_user = |message: &&Value| message["role"] == "user";
        match self.messages.iter().rev().find(is_user).map(|message| &message["content"]) {
            Some(Value::String(text)) => text.clone(),
            Some(other) if !other.is_null() => other.to_string(),
            _ => Value::Object(self.vars.clone()).to_string(),
        }
    }

    /// The recorded call that the case was made from, as `gauntlet trace promote` writes it: `source.call`, or the id itself.
    pub fn source(&self) -> Option<CallId> {
        let named = self.extra.get("source").and_then(|source| source["call"].as_str());
        named.or_else(|| self.id.starts_with("r_").then_some(&*self.id))?.parse().ok()
    }

    /// What is expected as a text: a string as it is, everything else as JSON.
    pub fn expected_text(&self) -> Option<String> {
        match self.expected.as_ref()? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_case_knows_the_call_it_was_made_from() {
        const CALL: &str = "r_0197a00000007000800000000000000a";
        let check = |id: &str, source: Value, wanted: Option<&str>| {
            let mut case = Case { id: id.into(), ..Case::default() };
            case.extra.insert("source".to_owned(), source);
            assert_eq!(case.source().map(|call| call.to_string()).as_deref(), wanted, "{id}");
        };
        check("renamed", json!({"call": CALL}), Some(CALL));
        check(CALL, json!({"trace_id": "ab"}), Some(CALL));
        check("r_efund", json!("of my own"), None);
        check("0197a00000007000800000000000000a", json!({"call": 7}), None);
    }
}

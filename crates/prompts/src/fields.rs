//! What a prompt says of a call besides its messages: tools, the shape of the answer, sampling parameters.
//!
//! All of it stands in the words of `/v1/chat/completions` and goes into the body as it is written. What the caller says
//! itself goes before it.

use serde_json::{Map, Value};

/// Fields of a call's body; all of them may be missing.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct CallFields {
    pub tools: Vec<Value>,
    pub tool_choice: Option<Value>,
    pub response_format: Option<Value>,
    /// `temperature`, `max_tokens` and their like, by the names of the chat door.
    pub parameters: Map<String, Value>,
}

/// Two names of one limit: who says one has said the other.
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

impl CallFields {
    pub fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    /// The names of the body's fields that are set here.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs().map(|(name, _)| name)
    }

    /// The fields that go into a body which says these already: none of them twice, and no choice among tools that are
    /// not the prompt's own.
    pub fn missing(&self, is_said: impl Fn(&str) -> bool) -> Map<String, Value> {
        let has_limit = LIMITS.iter().any(|name| is_said(name));
        let stays_out = |name: &str| {
            is_said(name)
                || (has_limit && LIMITS.contains(&name))
                || (name == "tool_choice" && !self.tools.is_empty() && is_said("tools"))
        };
        let left = self.pairs().filter(|(name, _)| !stays_out(name));
        left.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, Value)> {
        let tools = (!self.tools.is_empty()).then(|| ("tools", Value::Array(self.tools.clone())));
        let choice = self.tool_choice.as_ref().map(|choice| ("tool_choice", choice.clone()));
        let format = self.response_format.as_ref().map(|format| ("response_format", format.clone()));
        let parameters = self.parameters.iter().map(|(name, value)| (name.as_str(), value.clone()));
        tools.into_iter().chain(choice).chain(format).chain(parameters)
    }

    /// The names of the tools, in their order; one that has none is shown by its type.
    pub fn tool_names(&self) -> Vec<&str> {
        fn name(tool: &Value) -> Option<&str> {
            let named = tool["function"]["name"].as_str().or_else(|| tool["name"].as_str());
            named.or_else(|| tool["type"].as_str())
        }
        self.tools.iter().filter_map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields() -> CallFields {
        let Value::Object(parameters) = json!({"temperature": 0, "max_tokens": 50}) else {
            panic!("an object")
        };
        CallFields {
            tools: vec![json!({"type": "function", "function": {"name": "look_up"}})],
            tool_choice: Some(json!("required")),
            response_format: None,
            parameters,
        }
    }

    #[test]
    fn what_the_caller_says_goes_before_the_prompt() {
        let check = |said: &[&str], wanted: &[&str]| {
            let missing = fields().missing(|name| said.contains(&name));
            assert_eq!(missing.keys().collect::<Vec<_>>(), wanted, "{said:?}");
        };
        check(&[], &["tools", "tool_choice", "temperature", "max_tokens"]);
        check(&["temperature"], &["tools", "tool_choice", "max_tokens"]);
        check(&["max_completion_tokens"], &["tools", "tool_choice", "temperature"]);
        check(&["tools"], &["temperature", "max_tokens"]);
        check(&["tool_choice"], &["tools", "temperature", "max_tokens"]);
    }

    #[test]
    fn tools_are_told_by_name() {
        assert_eq!(fields().tool_names(), ["look_up"]);
        assert!(CallFields::default().is_empty() && !fields().is_empty());
    }
}

//! What a provider was asked, read from its vendor's own words into a form free of them, and refused where that vendor
//! would refuse it: so that one table of expectations serves every pair of dialects.

mod complaint;
mod read;

use serde_json::Value;

use super::{format::Format, request::Seen};

/// A request in a form free of vendors' words. Only what tests ask for stands here; the body itself has the rest.
#[derive(Clone, Default, Debug)]
pub struct Heard {
    pub system: String,
    /// What the user said, one entry for each text.
    pub user: Vec<String>,
    /// What the model is said to have said.
    pub assistant: Vec<String>,
    /// Thoughts of the model that came back with their signatures: (text, signature).
    pub thoughts: Vec<(String, String)>,
    /// Names of the tools offered.
    pub tools: Vec<String>,
    pub calls: Vec<HeardCall>,
    pub results: Vec<HeardResult>,
    /// The schema that the answer shall have.
    pub schema: Option<Value>,
    /// Tokens of the answer at most.
    pub limit: Option<u64>,
}

/// A call of a tool, as the conversation repeats it.
#[derive(Clone, PartialEq, Debug)]
pub struct HeardCall {
    /// Empty where the format has none.
    pub id: String,
    pub name: String,
    pub arguments: Value,
}

/// What a tool gave back.
#[derive(Clone, PartialEq, Debug)]
pub struct HeardResult {
    pub id: String,
    /// Only Google repeats it.
    pub name: String,
    pub text: String,
}

impl Seen {
    /// Panics with the body when it is no JSON.
    pub fn heard(&self) -> Heard {
        read::read(self.format(), &self.json())
    }

    /// Why the vendor would refuse this request; none if it would not. Its rules, as its reference tells them: fields that
    /// it does not know, calls without results, results without calls, roles out of order, what it demands and is missing.
    pub fn complaint(&self) -> Option<String> {
        let Ok(body) = serde_json::from_slice::<Value>(&self.body) else {
            return Some("the body is no JSON".to_owned());
        };
        if self.path.contains("count_tokens") || self.path.contains(":countTokens") {
            return None;
        }
        complaint::of(self, &body)
    }
}

/// The texts of a content that is a string, a part, or a list of parts.
fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => parts.iter().flat_map(texts).collect(),
        Value::Object(part) if part.get("thought") == Some(&Value::Bool(true)) => Vec::new(),
        Value::Object(part) => {
            part.get("text").and_then(Value::as_str).map(str::to_owned).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

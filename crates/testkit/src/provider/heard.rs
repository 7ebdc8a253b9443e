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
        read::read(self.format(), &plainly(self.format(), self.json()))
    }

    /// Why the vendor would refuse this request; none if it would not. Its rules, as its reference tells them: fields that
    /// it does not know, calls without results, results without calls, roles out of order, what it demands and is missing.
    pub fn complaint(&self) -> Option<String> {
        let Ok(body) = serde_json::from_slice::<Value>(&self.body) else {
            return Some("the body is no JSON".to_owned());
        };
        let body = plainly(self.format(), body);
        if self.path.contains("count_tokens") || self.path.contains(":countTokens") {
            return None;
        }
        complaint::of(self, &body)
    }
}

/// Google takes two spellings of each of its fields; one is enough here.
fn plainly(format: Format, body: Value) -> Value {
    if format == Format::Gemini { camel(body) } else { body }
}

/// What stands in these is the caller's own.
const OWN: [&str; 7] = [
    "args",
    "response",
    "responseSchema",
    "responseJsonSchema",
    "parameters",
    "parametersJsonSchema",
    "schema",
];

fn camel(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(camel).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let mut words = name.split('_');
                let first = words.next().unwrap_or_default().to_owned();
                let name = words.fold(first, |name, word| {
                    let (head, tail) = word.split_at(word.len().min(1));
                    name + &head.to_ascii_uppercase() + tail
                });
                let value = if OWN.contains(&name.as_str()) { value } else { camel(value) };
                (name, value)
            })
            .collect(),
        plain => plain,
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

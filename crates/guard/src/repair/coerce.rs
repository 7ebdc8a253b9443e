//! Values made to fit their schema where only their dress differs.

use serde_json::{Map, Number, Value};

use super::{Step, Steps};

/// References and compositions may go round in a circle.
const DEPTH_MAX: usize = 64;
/// Pairs of a value and a schema that are looked at.
const PAIRS_MAX: usize = 100_000;

pub(super) fn coerce(value: &mut Value, schema: &Value, steps: &mut Steps) {
    Coercion { root: schema, left: PAIRS_MAX, steps }.fit(value, schema, DEPTH_MAX);
}

struct Coercion<'s> {
    root: &'s Value,
    left: usize,
    steps: &'s mut Steps,
}

impl Coercion<'_> {
    fn fit(&mut self, value: &mut Value, schema: &Value, depth: usize) {
        let Some(schema) = schema.as_object() else { return };
        if depth == 0 || self.left == 0 || self.steps.is_too_many() {
            return;
        }
        self.left -= 1;
        let root = self.root;
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|path| local(root, path)) {
            self.fit(value, target, depth - 1);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.fit(value, part, depth - 1);
        }
        // `string or null` is a string that may be missing. Of several real choices none is made here.
        for choice in ["anyOf", "oneOf"] {
            let choices = schema.get(choice).and_then(Value::as_array).into_iter().flatten();
            let mut real = choices.filter(|choice| choice.get("type") != Some(&Value::from("null")));
            if let (Some(only), None, false) = (real.next(), real.next(), value.is_null()) {
                self.fit(value, only, depth - 1);
            }
        }
        self.fit_type(value, schema);
        let listed = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
        if let Some(listed) = listed.or_else(|| schema.get("const").map(std::slice::from_ref)) {
            self.fit_listed(value, listed);
        }
        match value {
            Value::Object(members) => self.fit_members(members, schema, depth),
            Value::Array(items) => {
                let first =
                    schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let other = schema.get("items");
                for (i, item) in items.iter_mut().enumerate() {
                    if let Some(schema) = first.get(i).or(other) {
                        self.fit(item, schema, depth - 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn fit_members(&mut self, members: &mut Map<String, Value>, schema: &Map<String, Value>, depth: usize) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let is_named = |name: &String| properties.is_some_and(|properties| properties.contains_key(name));
        let others = schema.get("additionalProperties");
        if others == Some(&Value::Bool(false)) && !schema.contains_key("patternProperties") {
            let before = members.len();
            members.retain(|name, _| is_named(name));
            (members.len()..before).for_each(|_| self.steps.add(Step::MemberDropped));
        }
        for (name, member) in members.iter_mut() {
            let schema = properties.and_then(|properties| properties.get(name)).or(others);
            if let Some(schema) = schema {
                self.fit(member, schema, depth - 1);
            }
        }
    }

    fn fit_type(&mut self, value: &mut Value, schema: &Map<String, Value>) {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        if types.iter().any(|name| is_of(value, name)) {
            return;
        }
        if let Some(fitted) = types.iter().find_map(|name| turned(value, name)) {
            *value = fitted;
            self.steps.add(Step::Type);
        }
    }

    fn fit_listed(&mut self, value: &mut Value, listed: &[Value]) {
        if listed.contains(value) {
            return;
        }
        let folded = match value {
            Value::String(text) => fold(text),
            Value::Number(number) => number.to_string(),
            _ => return,
        };
        let is_alike = |candidate: &&Value| match candidate {
            Value::String(text) => fold(text) == folded,
            Value::Number(number) => number.to_string() == folded,
            _ => false,
        };
        let mut alike = listed.iter().filter(is_alike);
        if let (Some(only), None) = (alike.next(), alike.next()) {
            *value = only.clone();
            self.steps.add(Step::Listed);
        }
    }
}

fn local<'s>(root: &'s Value, path: &str) -> Option<&'s Value> {
    path.strip_prefix('#').and_then(|pointer| root.pointer(pointer))
}

fn is_of(value: &Value, name: &str) -> bool {
    match (name, value) {
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        ("number", Value::Number(_))
        | ("string", Value::String(_))
        | ("boolean", Value::Bool(_))
        | ("null", Value::Null)
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        _ => false,
    }
}

/// The value as another type, where it says the same.
fn turned(value: &Value, name: &str) -> Option<Value> {
    match (name, value) {
        ("integer", Value::String(text)) => integer(text.trim().parse::<Number>().ok()?),
        ("integer", Value::Number(number)) => integer(number.clone()),
        ("number", Value::String(text)) => {
            let number = text.trim().parse::<Number>().ok()?;
            // One that would lose digits stays a text.
            (text.contains(['.', 'e', 'E']) || !number.is_f64()).then_some(Value::Number(number))
        }
        ("string", Value::Number(number)) => Some(Value::String(number.to_string())),
        ("string", Value::Bool(is)) => Some(Value::String(is.to_string())),
        ("boolean", Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}

/// `3.0` is an integer; `3.5` is not.
fn integer(number: Number) -> Option<Value> {
    if number.is_i64() || number.is_u64() {
        return Some(Value::Number(number));
    }
    // Integers of up to 2^53 are exact as floats.
    let float =
        number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0)?;
    Some(Value::from(float as i64))
}

fn fold(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

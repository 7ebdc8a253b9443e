//! Variables of a prompt: what a value must be.

use serde::Deserialize;
use serde_json::{Number, Value};

/// The type that a value must have.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Anything but null: what `required_vars` and `optional_vars` declare.
    #[default]
    Any,
    String,
    Integer,
    /// An integer is a number too.
    Number,
    Boolean,
    Array,
    Object,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Any => "any",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }

    pub fn fits(self, value: &Value) -> bool {
        match self {
            Kind::Any => !value.is_null(),
            Kind::String => value.is_string(),
            Kind::Integer => value.as_number().is_some_and(|number: &Number| !number.is_f64()),
            Kind::Number => value.is_number(),
            Kind::Boolean => value.is_boolean(),
            Kind::Array => value.is_array(),
            Kind::Object => value.is_object(),
        }
    }
}

#[derive(Clone, PartialEq, Default, Debug)]
pub struct Variable {
    pub kind: Kind,
    pub description: Option<String>,
    /// Characters of a string, entries of an array.
    pub max_length: Option<usize>,
    pub required: bool,
    /// Taken where the caller gives nothing; never set on a required one.
    pub default: Option<Value>,
}

impl Variable {
    /// Says what is wrong with a value, without repeating it: it may be anybody's data.
    pub(crate) fn mistake(&self, value: &Value) -> Option<String> {
        if !self.kind.fits(value) {
            let wanted = if self.kind == Kind::Any { "a value" } else { self.kind.as_str() };
            return Some(format!("must be {wanted}, not {}", name_of(value)));
        }
        let max = self.max_length?;
        let (length, unit) = match value {
            Value::String(text) => (text.chars().count(), "characters"),
            Value::Array(entries) => (entries.len(), "entries"),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
        };
        (length > max).then(|| format!("has {length} {unit} and may have {max}"))
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_takes_its_own() {
        let values =
            [json!("a"), json!(1), json!(1.5), json!(true), json!([1]), json!({"a": 1}), json!(null)];
        let check = |kind: Kind, wanted: [bool; 7]| {
            let fits: Vec<bool> = values.iter().map(|value| kind.fits(value)).collect();
            assert_eq!(fits, wanted, "{kind:?}");
        };
        check(Kind::Any, [true, true, true, true, true, true, false]);
        check(Kind::String, [true, false, false, false, false, false, false]);
        check(Kind::Integer, [false, true, false, false, false, false, false]);
        check(Kind::Number, [false, true, true, false, false, false, false]);
        check(Kind::Boolean, [false, false, false, true, false, false, false]);
        check(Kind::Array, [false, false, false, false, true, false, false]);
        check(Kind::Object, [false, false, false, false, false, true, false]);
    }

    #[test]
    fn lengths_count_characters_and_entries() {
        let of_two = Variable { max_length: Some(2), ..Variable::default() };
        assert_eq!(of_two.mistake(&json!("éé")), None);
        assert_eq!(of_two.mistake(&json!("ééé")).unwrap(), "has 3 characters and may have 2");
        assert_eq!(of_two.mistake(&json!([1, 2, 3])).unwrap(), "has 3 entries and may have 2");
        assert_eq!(of_two.mistake(&json!(12345)), None);
    }
}

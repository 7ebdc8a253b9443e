//! Hashes of what evals are made of, so that two runs can be told to have asked the same.

use std::fmt::Write;

use gauntlet_types::Name;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal: what `sha256sum` says of the text.
pub fn sha256(text: &str) -> Name {
    let hex = Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    hex.into()
}

/// Compact JSON with the keys in the order of their bytes.
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields = fields.into_iter().map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(entries) => entries.iter().map(sorted).collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_fields_does_not_count_and_that_of_entries_does() {
        let check = |a: Value, b: Value, is_same: bool| {
            assert_eq!(canonical(&a) == canonical(&b), is_same, "{a} {b}");
        };
        check(json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"b": {"d": 3, "c": 2}, "a": 1}), true);
        check(json!([1, 2]), json!([2, 1]), false);
        check(json!({"a": 1}), json!({"a": "1"}), false);
        assert_eq!(&*sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

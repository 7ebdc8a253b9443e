//! Google's older form of schemas, a subset of OpenAPI 3.0, as JSON Schema.

use serde_json::{Map, Value};

/// Types in capitals become small, `nullable` a second type, counts in quotes numbers; what JSON Schema lacks goes. The
/// depth is bounded by that of the body.
pub(super) fn of_openapi(schema: Value) -> Value {
    let Value::Object(members) = schema else { return schema };
    let mut read = Map::with_capacity(members.len());
    let mut is_nullable = false;
    for (key, value) in members {
        let key = super::camel(&key).into_owned();
        match (key.as_str(), value) {
            ("nullable", value) => is_nullable = value == Value::Bool(true),
            // The order of members in an answer, which no other schema tells.
            ("propertyOrdering", _) => {}
            ("type", Value::String(kind)) => {
                if kind != "TYPE_UNSPECIFIED" {
                    read.insert(key, kind.to_ascii_lowercase().into());
                }
            }
            ("properties" | "$defs" | "defs", Value::Object(inner)) => {
                let inner = inner.into_iter().map(|(name, schema)| (name, of_openapi(schema)));
                read.insert(key, Value::Object(inner.collect()));
            }
            ("items" | "additionalProperties" | "not", value) => drop(read.insert(key, of_openapi(value))),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(all)) => {
                read.insert(key, all.into_iter().map(of_openapi).collect());
            }
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
                Value::String(count),
            ) => {
                let number = count.parse::<u64>().map_or(Value::String(count), Value::from);
                read.insert(key, number);
            }
            (_, value) => drop(read.insert(key, value)),
        }
    }
    if is_nullable {
        match read.remove("type") {
            Some(kind) => drop(read.insert("type".into(), Value::Array(vec![kind, "null".into()]))),
            None => drop(read.insert("nullable".into(), true.into())),
        }
    }
    Value::Object(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_openapi_schema_becomes_json_schema() {
        let check = |openapi: Value, schema: Value| assert_eq!(of_openapi(openapi), schema);
        check(
            json!({"type": "OBJECT", "properties": {"type": {"type": "STRING", "nullable": true},
                "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "2"}},
                "required": ["type"], "propertyOrdering": ["type", "list"]}),
            json!({"type": "object", "properties": {"type": {"type": ["string", "null"]},
                "list": {"type": "array", "items": {"type": "integer"}, "minItems": 2}}, "required": ["type"]}),
        );
        check(
            json!({"any_of": [{"type": "STRING", "enum": ["A"]}, {"type": "NUMBER"}]}),
            json!({"anyOf": [{"type": "string", "enum": ["A"]}, {"type": "number"}]}),
        );
        check(json!("as it is"), json!("as it is"));
    }
}

//! The shapes of JSON that judges are asked for.
//!
//! Small on purpose, every field required, the reason before the verdict: a model that writes its reason first judges better,
//! and strict modes of providers take no optional fields.

use serde_json::{Value, json};

use super::ask::Schema;

fn object(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|map| map.keys()).collect();
    let required = json!(required);
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn flag() -> Value {
    json!({"type": "integer", "enum": [0, 1]})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn numbered(verdict: &str) -> Value {
    object(json!({"number": {"type": "integer"}, "reason": text(), verdict: flag()}))
}

pub(super) const STATEMENTS: Schema =
    Schema { name: "statements", of: || object(json!({"statements": list(text())})) };

pub(super) const VERDICTS: Schema =
    Schema { name: "verdicts", of: || object(json!({"verdicts": list(numbered("verdict"))})) };

pub(super) const AGREEMENTS: Schema =
    Schema { name: "agreements", of: || object(json!({"verdicts": list(numbered("agrees"))})) };

pub(super) const RELEVANCY: Schema =
    Schema { name: "relevancy", of: || object(json!({"question": text(), "noncommittal": flag()})) };

pub(super) const VERDICT: Schema =
    Schema { name: "verdict", of: || object(json!({"reason": text(), "verdict": flag()})) };

pub(super) const SENTENCES: Schema = Schema {
    name: "sentences",
    of: || {
        let one = object(json!({"sentence": text(), "reason": text(), "attributed": flag()}));
        object(json!({"sentences": list(one)}))
    },
};

pub(super) const STEPS: Schema = Schema { name: "steps", of: || object(json!({"steps": list(text())})) };

pub(super) const SCORE: Schema =
    Schema { name: "score", of: || object(json!({"reason": text(), "score": {"type": "integer"}})) };

pub(super) const RUBRIC: Schema = Schema {
    name: "rubric",
    of: || object(json!({"reason": text(), "pass": {"type": "boolean"}, "score": {"type": "number"}})),
};

pub(super) const FACTUALITY: Schema = Schema {
    name: "factuality",
    of: || {
        object(json!({"reason": text(), "category": {"type": "string", "enum": ["A", "B", "C", "D", "E"]}}))
    },
};

pub(super) const PAIRWISE: Schema = Schema {
    name: "pairwise",
    of: || {
        object(json!({"reason": text(), "winner": {"type": "string", "enum": ["first", "second", "tie"]}}))
    },
};

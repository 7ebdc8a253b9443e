//! The list of models, as each dialect tells it.

use bytes::Bytes;
use gauntlet_types::Dialect;
use serde_json::{Value, json};

use crate::openai;

/// The moment that Anthropic's and Google's clients are told a model is from: nobody knows, and they want one.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// All models that a caller may ask for, by name and owner.
pub fn list(dialect: Dialect, models: &[(&str, &str)]) -> Bytes {
    match dialect {
        Dialect::Messages => {
            let data: Vec<Value> = models.iter().map(|(id, _)| anthropic(id)).collect();
            let (first, last) = (models.first().map(|(id, _)| id), models.last().map(|(id, _)| id));
            json!({"data": data, "has_more": false, "first_id": first, "last_id": last}).to_string().into()
        }
        Dialect::Gemini => {
            let models: Vec<Value> = models.iter().map(|(id, owner)| gemini(id, owner)).collect();
            json!({"models": models}).to_string().into()
        }
        _ => openai::models::list(models.iter().map(|(id, owner)| (*id, *owner, 0))),
    }
}

/// One of them.
pub fn one(dialect: Dialect, id: &str, owner: &str) -> Bytes {
    match dialect {
        Dialect::Messages => anthropic(id).to_string().into(),
        Dialect::Gemini => gemini(id, owner).to_string().into(),
        _ => openai::models::one(id, owner, 0),
    }
}

fn anthropic(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": CREATED})
}

fn gemini(id: &str, owner: &str) -> Value {
    let methods = ["generateContent", "countTokens", "embedContent"];
    json!({
        "name": format!("models/{id}"), "displayName": id, "description": format!("of {owner}"), "version": "1",
        "supportedGenerationMethods": methods,
    })
}

//! `POST /api/v1/guard/findings`: what was found on a recorded call, with the redacted text in which it stands, and whether a
//! value that a person gives is what was found. In the body, since values have no business in addresses and logs.

use axum::{Json, extract::State, extract::rejection::JsonRejection, response::Response};
use gauntlet_guard::{Rulebook, tenant_key};
use gauntlet_types::{Fault, GuardNote, Name};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    bad,
    evidence::{Text, placeholders, texts},
};
use crate::{
    admin::{Admin, control_fault},
    api::{answer, fault, trace_get},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    call: String,
    /// The value that was found, or the whole text of an injection.
    #[serde(default)]
    value: Option<String>,
    /// Whose hash of the value is wanted besides the tenant's of the call.
    #[serde(default)]
    tenant: Option<String>,
}

pub(super) async fn find(State(admin): State<Admin>, asked: Result<Json<Asked>, JsonRejection>) -> Response {
    match asked {
        Ok(Json(asked)) => answer(admin, move |admin| admin.guard_findings(&asked)).await,
        Err(error) => fault(&bad(error.body_text())),
    }
}

impl Admin {
    /// The key under which found values are hashed; it is made when a gateway first starts.
    pub(super) fn hash_key(&self) -> Result<[u8; 32], Fault> {
        let key = self.control.setting("value_hash_key", &mut String::new).map_err(control_fault)?;
        Ok(*blake3::hash(key.as_bytes()).as_bytes())
    }

    fn guard_findings(&self, asked: &Asked) -> Result<Value, Fault> {
        let call = trace_get(self, &asked.call)?;
        let record = &call.record;
        let key = self.hash_key()?;
        let hashes = |tenant: &Name| Rulebook::new(Vec::new(), [].into(), tenant_key(&key, tenant), 0.0);
        let own = hashes(&record.caller.tenant);
        let value_hash = asked.value.as_deref().map(|value| own.hash(value));
        let other_hash = match (&asked.value, &asked.tenant) {
            (Some(value), Some(tenant)) => Some(hashes(&tenant.as_str().into()).hash(value)),
            _ => None,
        };
        let kept = texts(&call).unwrap_or_default();
        let findings: Vec<Value> = record
            .guard
            .iter()
            .map(|note| {
                let text = text_of(note, &kept, &own);
                json!({
                    "direction": note.direction, "kind": note.kind, "type": note.label, "action": note.action,
                    "count": note.count, "score": note.score, "reason": note.reason, "rule": note.rule,
                    "shadow": note.shadow, "value_hash": note.value_hash,
                    "is_value": value_hash.as_ref().map(|hash| note.value_hash.as_ref() == Some(hash)),
                    "scope": text.map(|text| text.scope), "text": text.map(|text| &text.text),
                })
            })
            .collect();
        Ok(json!({
            "id": record.id, "tenant": record.caller.tenant, "route": record.route, "day": record.started.day().to_string(),
            "findings": findings, "value_hash": value_hash, "value_hash_of_tenant": other_hash,
        }))
    }
}

/// The kept text that a note is about: with a placeholder of its type, or the one that has its hash.
fn text_of<'t>(note: &GuardNote, kept: &'t [Text], hashes: &Rulebook) -> Option<&'t Text> {
    let mut of_direction = kept.iter().filter(|text| text.direction == note.direction);
    match note.kind.as_str() {
        "pii" | "secrets" => {
            of_direction.find(|text| placeholders(&text.text).any(|label| *note.label == *label))
        }
        _ => of_direction.find(|text| Some(hashes.hash(&text.text)) == note.value_hash),
    }
}

//! What was retrieved for a call, as the caller says: the header `x-gauntlet-documents`, else `documents` of the body's
//! `gauntlet` field. Each is `{"id", "score"}` or an id alone; texts are no business of the record.

use gauntlet_types::{Code, Document, Fault};
use http::HeaderMap;
use serde_json::Value;

use crate::call::{Call, Request};

const HEADER: &str = "x-gauntlet-documents";
const FIELD: &str = "gauntlet.documents";
/// More than any retriever hands to a model.
const DOCUMENTS_MAX: usize = 100;
/// Longest id: a path or a URL.
const ID_MAX: usize = 256;

pub(crate) fn of(call: &Call) -> Result<Vec<Document>, Fault> {
    let (place, listed) = match (header(&call.headers)?, &call.request) {
        (Some(listed), _) => (HEADER, listed),
        (None, Request::Conversation(chat)) => {
            match chat.gauntlet.as_ref().and_then(|field| field.rest.get("documents")) {
                Some(listed) if !listed.is_null() => (FIELD, listed.clone()),
                _ => return Ok(Vec::new()),
            }
        }
        (None, _) => return Ok(Vec::new()),
    };
    let refuse =
        |what: String| Err(Fault::caller(Code::InvalidRequest, format!("{place} {what}")).param(place));
    let Value::Array(listed) = listed else {
        return refuse("must be a list of {\"id\": …, \"score\": …} or of ids".to_owned());
    };
    if listed.len() > DOCUMENTS_MAX {
        return refuse(format!("lists {} documents; at most {DOCUMENTS_MAX} are taken", listed.len()));
    }
    let mut documents = Vec::with_capacity(listed.len());
    for (at, item) in listed.iter().enumerate() {
        let Some((id, score)) = item.as_str().map(|id| (id, None)).or_else(|| {
            let score = item.get("score").filter(|score| !score.is_null());
            let score = score.map(Value::as_f64);
            // A score that is there and no number is a mistake, not a missing one.
            (score != Some(None)).then_some((item.get("id")?.as_str()?, score.flatten()))
        }) else {
            return refuse(format!("[{at}] must be {{\"id\": text, \"score\": number}} or an id"));
        };
        match super::stage::admit::given(call, Some(id)) {
            Some(id) => documents.push(Document { id, score }),
            None => return refuse(format!("[{at}] must have an id of at most {ID_MAX} printable bytes")),
        }
    }
    Ok(documents)
}

fn header(headers: &HeaderMap) -> Result<Option<Value>, Fault> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    serde_json::from_slice(value.as_bytes()).map(Some).map_err(|error| {
        let message =
            format!("header {HEADER} must be JSON, as [{{\"id\": \"kb-12\", \"score\": 0.83}}]: {error}");
        Fault::caller(Code::InvalidRequest, message).param(HEADER)
    })
}

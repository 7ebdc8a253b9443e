//! The vector of a question: by a provider's model, as a call of ours that is priced, budgeted and recorded, or by a model of
//! this process. Whatever goes wrong, the call goes on without it.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use gauntlet_policy::config::EmbedBy;
use gauntlet_types::{Caller, Door};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    answer::{AnswerBody, Incoming, Operator, Purpose},
    call::Call,
    detach::Gone,
    gate::Gate,
};

/// A hosted model takes 50 to 300 ms. Whoever waits longer for a hit than for the answer itself has no use for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Errors: why there is none, in words, without any of the text.
pub(crate) async fn vector(call: &Call, by: &EmbedBy, text: &str) -> Result<Vec<f32>, String> {
    let patience = PATIENCE.min(call.route.timeouts.total);
    let asked = async {
        match by {
            EmbedBy::Model(model) => {
                hosted(Arc::clone(&call.gate), call.record.caller.clone(), model, text).await
            }
            EmbedBy::Folder(folder) => {
                let embedder = call.snapshot.models.embedders.get(folder);
                let embedder = embedder.ok_or_else(|| format!("no model is open in {folder}"))?;
                let (embedder, text) = (Arc::clone(embedder), text.to_owned());
                let permit = Arc::clone(&call.shared().cache.embedding).acquire_owned().await;
                // Held by the work itself: a call that has stopped waiting does not make room for another.
                let work = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    embedder.embed(&text)
                });
                work.await.unwrap_or_else(|_| Err("the model broke off".to_owned()))
            }
        }
    };
    let late = || Err(format!("no vector within {} ms", patience.as_millis()));
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| late())
}

type Vectored = Pin<Box<dyn Future<Output = Result<Vec<f32>, String>> + Send>>;

/// Boxed, since it is a call within a call.
fn hosted(gate: Arc<Gate>, caller: Caller, model: &str, text: &str) -> Vectored {
    let incoming = Incoming {
        door: Door::Embeddings,
        path: gauntlet_wire::conversation::PathAsk::default(),
        pass: None,
        headers: HeaderMap::new(),
        body: Ok(json!({"model": model, "input": text}).to_string().into()),
        // In its caller's name and environment: it is part of what serving the caller costs.
        operator: Some(Box::new(Operator { caller, prompt: None, purpose: Purpose::Judge })),
    };
    Box::pin(async move {
        let answer = crate::run::run(gate, incoming, Gone::default()).await;
        let AnswerBody::Whole(body) = answer.body else { return Err("it streamed".to_owned()) };
        if !answer.status.is_success() {
            return Err(format!("its call ended with status {}", answer.status.as_u16()));
        }
        read(&body)
    })
}

fn read(body: &Bytes) -> Result<Vec<f32>, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "its answer is no JSON".to_owned())?;
    let numbers = answer["data"][0]["embedding"].as_array().ok_or("its answer has no vector")?;
    let read: Option<Vec<f32>> =
        numbers.iter().map(|number| number.as_f64().map(|number| number as f32)).collect();
    read.ok_or_else(|| "its vector is not of numbers".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_read_and_nonsense_is_none() {
        let check = |body: &'static str, expected: Option<Vec<f32>>| {
            assert_eq!(read(&Bytes::from_static(body.as_bytes())).ok(), expected, "{body}");
        };
        check(r#"{"data":[{"index":0,"embedding":[0.5,-1]}]}"#, Some(vec![0.5, -1.0]));
        check(r#"{"data":[{"embedding":"AAAA"}]}"#, None);
        check(r#"{"data":[{"embedding":[1,"x"]}]}"#, None);
        check(r#"{"data":[]}"#, None);
        check("<html>", None);
    }
}

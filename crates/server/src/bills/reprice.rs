//! `POST /api/v1/reprice`: a page of stored calls at the prices of now. Whoever asks goes on from `next` until there is
//! none, so that no answer takes long and the store's writer is held for a page at most.

use axum::{Json, extract::State, response::Response};
use gauntlet_bills::reprice::{self, Changes, Priced};
use gauntlet_ports::{Correction, RecordCursor, RecordQuery, Repricing, StoredCall};
use gauntlet_types::{Code, Fault, Name, Target, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, day, end_of};
use crate::{
    admin::{Admin, store_fault},
    api::{answer, fault, flush},
};

/// Calls of one answer: about a tenth of a second.
const PAGE_CALLS: u32 = 4_000;
/// Corrections of one transaction.
const CORRECTIONS: usize = 500;
const HISTORY_MAX: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: String,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    model: Option<String>,
    /// Keeps the corrections; else they are only shown.
    #[serde(default)]
    apply: bool,
    /// Of the answer before.
    #[serde(default)]
    next: Option<RecordCursor>,
    /// Of the first answer, so that the pages of a pass are kept as one.
    #[serde(default)]
    at: Option<Timestamp>,
}

pub(super) async fn page(
    State(admin): State<Admin>,
    asked: Result<Json<Asked>, axum::extract::rejection::JsonRejection>,
) -> Response {
    match asked {
        Ok(Json(asked)) => answer(admin, move |admin| admin.reprice(&asked)).await,
        Err(error) => fault(&bad(error.body_text())),
    }
}

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| {
        let passes = admin.traces.repricing_list(HISTORY_MAX).map_err(store_fault)?;
        let passes: Vec<Value> = passes
            .iter()
            .map(|pass| {
                json!({
                    "at": pass.at, "time": pass.at.to_string(), "price_version": pass.price_version,
                    "from": pass.from.to_string(), "to": pass.to.to_string(), "model": pass.model,
                    "calls": pass.calls, "before_usd": pass.before.as_usd(), "after_usd": pass.after.as_usd(),
                })
            })
            .collect();
        Ok(json!({"passes": passes}))
    })
    .await
}

impl Admin {
    fn reprice(&self, asked: &Asked) -> Result<Value, Fault> {
        let from = day(&asked.from)?;
        let to = asked.to.as_deref().map_or(Ok(self.now().day()), day)?;
        if from > to {
            return Err(bad(format!("the span ends ({to}) before it begins ({from})")));
        }
        let Some(snapshot) = self.snapshot() else {
            let message =
                "the configuration cannot be read, so there are no prices; `gauntlet check` says why";
            return Err(Fault::us(Code::Unavailable, message));
        };
        let policy = &snapshot.policy;
        if asked.next.is_none() {
            flush(self);
        }
        let run = Repricing {
            at: asked.at.unwrap_or_else(|| self.now()),
            price_version: policy.price_version().clone(),
            from,
            to,
            model: asked.model.as_deref().map(Name::from),
            calls: 0,
            before: Default::default(),
            after: Default::default(),
        };
        let query = RecordQuery { from: from.start(), to: end_of(to), newest: 0, without_texts: true };
        let page = self.traces.record_page(&query, asked.next, PAGE_CALLS).map_err(store_fault)?;
        let price_of = |target: &Target, at: Timestamp| policy.price(target, at);
        let (mut changes, mut corrections) = (Changes::default(), Vec::new());
        for StoredCall { record, .. } in &page.calls {
            let Some(target) = record.target.as_ref().filter(|target| is_asked(asked, target)) else {
                continue;
            };
            debug_assert!(!target.model.is_empty(), "targets have models");
            let priced = reprice::price(record, &price_of);
            changes.add(record, priced);
            if let Priced::Anew(cost) = priced {
                corrections.push(Correction { record, cost });
            }
        }
        let mut applied = 0;
        if asked.apply {
            for some in corrections.chunks(CORRECTIONS) {
                applied += self.traces.reprice(&run, some).map_err(store_fault)?;
            }
        }
        Ok(json!({
            "at": run.at, "price_version": run.price_version, "from": from.to_string(), "to": to.to_string(),
            "looked_at": page.calls.len(), "left": page.next.map_or(0, |next| next.last - next.next + 1),
            "changes": changes.finish(), "applied": applied, "next": page.next,
        }))
    }
}

/// A model may be named alone or as `provider/model`.
fn is_asked(asked: &Asked, target: &Target) -> bool {
    asked.model.as_deref().is_none_or(|model| *target.model == *model || target.to_string() == model)
}

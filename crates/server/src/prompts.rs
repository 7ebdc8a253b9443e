//! The management API of prompts: versions, labels, and what a label asks for before it moves. The command line and the
//! console end in the same functions.

mod labels;
mod plan;
mod push;
mod shown;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{
        DefaultBodyLimit, Query, State,
        rejection::{QueryRejection, StringRejection},
    },
    response::Response,
    routing::{get, post},
};
use gauntlet_policy::promotion::PromotionRule;
use gauntlet_ports::StoredPrompt;
use gauntlet_prompts::{Labels, Prompt, Registry};
use gauntlet_types::{Code, Fault, Name};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::{
    labels::{ApproveAsk, Moved, PromoteAsk, RollbackAsk},
    plan::Plan,
    push::{PushAsk, Pushed},
    shown::{Compared, Line, Listed, Shown},
};
use crate::{
    admin::{Admin, control_fault},
    api::{answer, fault, parse},
};

/// Bytes of a push: a thousand prompts of usual length at once.
const PUSH_BYTES_MAX: usize = 32 << 20;
/// Bytes of the variables of a render: as many as a prompt may be long, with the escapes of JSON.
const RENDER_BYTES_MAX: usize = 8 << 20;
/// Bytes of every other question: a name and a paragraph.
const ASK_BYTES_MAX: usize = 1 << 20;
/// Whoever says no name. One token opens management, so that a name is what its holder says it is.
pub const OPERATOR: &str = "operator";
/// Says who acts, where the body does not.
const ACTOR_HEADER: &str = "x-gauntlet-actor";
/// Names stay readable in tables and in the audit log.
const ACTOR_LETTERS_MAX: usize = 128;
/// Reasons and notes: a paragraph.
const WORDS_MAX: usize = 2_000;

pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/api/v1/prompts", get(list).post(push).layer(DefaultBodyLimit::max(PUSH_BYTES_MAX)))
        .route("/api/v1/prompts/show", get(show))
        .route("/api/v1/prompts/diff", get(diff))
        .route("/api/v1/prompts/history", get(history))
        .route("/api/v1/prompts/plan", get(plan))
        .route("/api/v1/prompts/render", post(render).layer(DefaultBodyLimit::max(RENDER_BYTES_MAX)))
        .route("/api/v1/prompts/promote", post(promote).layer(DefaultBodyLimit::max(ASK_BYTES_MAX)))
        .route("/api/v1/prompts/rollback", post(rollback).layer(DefaultBodyLimit::max(ASK_BYTES_MAX)))
        .route("/api/v1/prompts/approve", post(approve).layer(DefaultBodyLimit::max(ASK_BYTES_MAX)))
}

/// Every version there is now, with what the store knows of each.
pub(crate) struct Catalog {
    pub registry: Registry,
    /// How many versions the store has.
    pub kept: usize,
    /// By hash.
    pub stored: BTreeMap<Name, StoredPrompt>,
    /// The labels that point at a version, by its hash.
    labels: BTreeMap<Name, Vec<Name>>,
}

impl Catalog {
    /// What the store knows of a version: who brought it, and when.
    fn kept(&self, prompt: &Prompt) -> Option<&StoredPrompt> {
        self.stored.get(&prompt.hash)
    }

    /// The version under a reference that must name one: `name@1.2.0` or `name@label`.
    fn find(&self, reference: &str) -> Result<Arc<Prompt>, Fault> {
        if !reference.contains('@') {
            let message = format!("`{}` names no version; write it as name@1.2.0", short(reference));
            return Err(Fault::caller(Code::InvalidRequest, message));
        }
        Ok(self.resolve(reference)?.0)
    }

    fn resolve(&self, reference: &str) -> Result<(Arc<Prompt>, Option<Name>), Fault> {
        // Of management, a prompt that is not there is not found; at a door it makes the call invalid.
        self.registry.resolve(reference).map_err(|fault| Fault::caller(Code::NotFound, fault.message))
    }
}

impl Admin {
    /// Read anew from the store: another gateway may have pushed a version or moved a label.
    pub(crate) fn prompt_catalog(&self) -> Result<Catalog, Fault> {
        let snapshot = self.snapshot();
        let of_files = snapshot.as_ref().map(|snapshot| snapshot.prompts.prompts().cloned().collect());
        let stored = self.control.prompt_list().map_err(control_fault)?;
        let rules = snapshot.as_ref().map(|snapshot| &snapshot.policy.config().promotion);
        let labels = Labels {
            set: self.control.label_list().map_err(control_fault)?,
            guarded: rules.map(|rules| rules.keys().cloned().collect()).unwrap_or_default(),
        };
        let registry = Registry::with_stored(of_files.unwrap_or_default(), &stored, labels);
        let registry = registry.map_err(|mistakes| {
            let words: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Fault::us(Code::Internal, words.join("\n"))
        })?;
        let kept = stored.len();
        let stored = stored.into_iter().map(|prompt| (prompt.hash.clone(), prompt)).collect();
        let mut labels: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for (name, label, version) in registry.labels() {
            // One that points at a version which there is not is told of where it is asked for.
            if let Ok((prompt, _)) = registry.resolve(&format!("{name}@{version}")) {
                labels.entry(prompt.hash.clone()).or_default().push(label);
            }
        }
        Ok(Catalog { registry, kept, stored, labels })
    }

    /// What a label asks for; none for one that moves freely.
    ///
    /// Errors: the configuration cannot be read, so that nobody knows.
    pub(crate) fn promotion_rule(&self, label: &str) -> Result<Option<PromotionRule>, Fault> {
        let Some(snapshot) = self.snapshot() else {
            let message = "the configuration has mistakes, so nobody knows what a label asks for; `gauntlet check` says which";
            return Err(Fault::us(Code::Unavailable, message));
        };
        Ok(snapshot.policy.config().promotion.get(label).cloned())
    }
}

/// Who acts: as the body says, else the header, else the operator.
pub(crate) fn actor(headers: &HeaderMap, said: Option<&str>) -> Result<Option<Name>, Fault> {
    let header = headers.get(ACTOR_HEADER).and_then(|value| value.to_str().ok());
    let Some(name) = said.or(header).map(str::trim).filter(|name| !name.is_empty()) else { return Ok(None) };
    if name.chars().count() > ACTOR_LETTERS_MAX || name.chars().any(char::is_control) {
        let message =
            format!("who acts cannot be named so: at most {ACTOR_LETTERS_MAX} printable characters");
        return Err(Fault::caller(Code::InvalidRequest, message).param("by"));
    }
    Ok(Some(name.into()))
}

/// A reason or a note, without the space around it.
fn words(text: Option<&str>, what: &'static str) -> Result<Option<String>, Fault> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > WORDS_MAX) {
        let message = format!("`{what}` has more than {WORDS_MAX} characters; say it shorter");
        return Err(Fault::caller(Code::InvalidRequest, message).param(what));
    }
    Ok(text.map(str::to_owned))
}

/// A caller's own words, cut short.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

async fn list(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| admin.prompt_list()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowAsk {
    prompt: String,
}

async fn show(State(admin): State<Admin>, asked: Asked<ShowAsk>) -> Response {
    ask(admin, asked, |admin, asked: ShowAsk| admin.prompt_show(&asked.prompt)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffAsk {
    a: String,
    b: String,
}

async fn diff(State(admin): State<Admin>, asked: Asked<DiffAsk>) -> Response {
    ask(admin, asked, |admin, asked: DiffAsk| admin.prompt_diff(&asked.a, &asked.b)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryAsk {
    name: String,
    label: Option<String>,
}

async fn history(State(admin): State<Admin>, asked: Asked<HistoryAsk>) -> Response {
    ask(admin, asked, |admin, asked: HistoryAsk| admin.prompt_history(&asked.name, asked.label.as_deref()))
        .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanAsk {
    prompt: String,
    #[serde(default = "labels::production")]
    label: String,
}

async fn plan(State(admin): State<Admin>, asked: Asked<PlanAsk>) -> Response {
    ask(admin, asked, |admin, asked: PlanAsk| admin.prompt_plan(&asked.prompt, &asked.label)).await
}

async fn render(State(admin): State<Admin>, body: Body) -> Response {
    change(admin, body, RENDER_BYTES_MAX, |admin, asked: shown::RenderAsk| admin.prompt_render(&asked)).await
}

async fn push(State(admin): State<Admin>, headers: HeaderMap, body: Body) -> Response {
    change(admin, body, PUSH_BYTES_MAX, move |admin, asked: PushAsk| {
        let by = actor(&headers, asked.by.as_deref())?;
        admin.prompt_push(&asked, by)
    })
    .await
}

async fn promote(State(admin): State<Admin>, headers: HeaderMap, body: Body) -> Response {
    change(admin, body, ASK_BYTES_MAX, move |admin, asked: PromoteAsk| {
        let by = actor(&headers, asked.by.as_deref())?;
        admin.prompt_promote(&asked, by)
    })
    .await
}

async fn rollback(State(admin): State<Admin>, headers: HeaderMap, body: Body) -> Response {
    change(admin, body, ASK_BYTES_MAX, move |admin, asked: RollbackAsk| {
        let by = actor(&headers, asked.by.as_deref())?;
        admin.prompt_rollback(&asked, by)
    })
    .await
}

async fn approve(State(admin): State<Admin>, headers: HeaderMap, body: Body) -> Response {
    change(admin, body, ASK_BYTES_MAX, move |admin, asked: ApproveAsk| {
        let by = actor(&headers, asked.by.as_deref())?;
        admin.prompt_approve(&asked, by)
    })
    .await
}

type Asked<T> = Result<Query<T>, QueryRejection>;

async fn ask<Q: Send + 'static, T: Serialize + Send + 'static>(
    admin: Admin,
    asked: Asked<Q>,
    work: impl FnOnce(&Admin, Q) -> Result<T, Fault> + Send + 'static,
) -> Response {
    match asked {
        Ok(Query(asked)) => answer(admin, move |admin| work(admin, asked)).await,
        Err(error) => fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    }
}

/// The body of a change, or why it could not be taken.
type Body = Result<String, StringRejection>;

/// A body that was taken, at most `max` bytes long.
fn taken(body: Body, max: usize) -> Result<String, Fault> {
    body.map_err(|rejected| {
        if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("the body is longer than the {max} bytes that are taken here; send less");
            return Fault::caller(Code::RequestTooLarge, message);
        }
        Fault::caller(Code::InvalidRequest, rejected.body_text())
    })
}

async fn change<B: DeserializeOwned + Send + 'static, T: Serialize + Send + 'static>(
    admin: Admin,
    body: Body,
    max: usize,
    work: impl FnOnce(&Admin, B) -> Result<T, Fault> + Send + 'static,
) -> Response {
    match taken(body, max).and_then(|body| parse::<B>(&body)) {
        Ok(asked) => answer(admin, move |admin| work(admin, asked)).await,
        Err(why) => fault(&why),
    }
}

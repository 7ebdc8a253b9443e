//! The management API under `/api/v1`, and what monitors ask: `/metrics`, `/healthz`, `/readyz`.

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    middleware,
    response::{
        IntoResponse, Response,
        sse::{self, Sse},
    },
    routing::{delete, get, post},
};
use futures_util::StreamExt;
use gauntlet_ports::{GroupBy, KillKind, StoredCall, TraceFilter};
use gauntlet_types::{CallId, Code, Fault};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    admin::{Admin, NewKey, store_fault},
    auth, bills, caching, erase, error, evals, groups, guards, moving, openapi, pages, prompts, replay,
    routing, spans,
};

/// Everything but the doors.
pub fn router(admin: Admin) -> Router {
    let guarded = Router::new()
        .route("/api/v1/traces", get(traces))
        .route("/api/v1/traces/tail", get(tail))
        .merge(moving::router())
        .route("/api/v1/sessions", get(sessions))
        .route("/api/v1/users", get(users))
        .route("/api/v1/traces/{id}", get(trace))
        .route("/api/v1/traces/{id}/replay", post(replay::replay))
        .route("/api/v1/overview", get(overview))
        .route("/api/v1/budgets", get(budgets))
        .route("/api/v1/keys", get(keys).post(key_create))
        .route("/api/v1/keys/{name}", delete(key_revoke))
        .route("/api/v1/kills", get(kills).post(kill))
        .route("/api/v1/kills/{kind}/{*name}", delete(kill_undo))
        .route("/api/v1/replicas", get(replicas))
        .route("/api/v1/replicas/{id}", delete(replica_forget))
        .route("/api/v1/reload", post(reload))
        .route("/metrics", get(metrics))
        .merge(bills::router())
        .merge(caching::router())
        .merge(erase::router())
        .merge(evals::router())
        .merge(guards::router())
        .merge(prompts::router())
        .merge(routing::router())
        .merge(spans::router())
        .merge(pages::guarded())
        .layer(middleware::from_fn_with_state(admin.clone(), auth::guard));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/api/openapi.json", get(openapi::get))
        .merge(pages::public())
        .merge(guarded)
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(admin)
}

/// A fault as the API answers it: the same shape as at the doors.
pub(crate) fn fault(fault: &Fault) -> Response {
    error::answer(fault).map(axum::body::Body::from)
}

/// Runs a question that may wait for a disk off the workers' threads, which serve calls.
pub(crate) async fn blocking<T: Send + 'static>(
    admin: &Admin,
    work: impl FnOnce(&Admin) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let admin = admin.clone();
    match tokio::task::spawn_blocking(move || work(&admin)).await {
        Ok(result) => result,
        Err(_) => Err(Fault::us(Code::Internal, "the question failed; the log says more")),
    }
}

pub(crate) async fn answer<T: Serialize + Send + 'static>(
    admin: Admin,
    work: impl FnOnce(&Admin) -> Result<T, Fault> + Send + 'static,
) -> Response {
    match blocking(&admin, work).await {
        Ok(value) => Json(value).into_response(),
        Err(why) => fault(&why),
    }
}

async fn unknown_path(request: axum::extract::Request) -> Response {
    let message = format!(
        "there is nothing at {}; calls go to /v1/chat/completions, /v1/embeddings and /v1/models, management to /api/v1",
        request.uri().path()
    );
    fault(&Fault::caller(Code::NotFound, message))
}

async fn wrong_method(request: axum::extract::Request) -> Response {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    fault(&Fault::caller(Code::MethodNotAllowed, message))
}

/// What stands in the way of serving well; empty for a gateway that does not run.
pub(crate) fn problems(admin: &Admin) -> Vec<String> {
    admin.runtime.as_ref().map_or_else(Vec::new, |runtime| runtime.problems())
}

async fn readyz(State(admin): State<Admin>) -> Response {
    // Asks the store, which may be another machine's.
    let problems = blocking(&admin, |admin| Ok(problems(admin))).await;
    match problems {
        Ok(problems) if problems.is_empty() => "ready\n".into_response(),
        Ok(problems) => (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response(),
        Err(why) => fault(&why),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let text = admin.runtime.as_ref().map_or_else(String::new, |runtime| runtime.metrics());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn traces(State(admin): State<Admin>, query: axum::extract::RawQuery) -> Response {
    let filter = match filter(&admin, query.0.as_deref()) {
        Ok(filter) => filter,
        Err(why) => return fault(&why),
    };
    answer(admin, move |admin| {
        flush(admin);
        let page = admin.traces.trace_find(&filter).map_err(store_fault)?;
        Ok(json!({"traces": page.rows, "next": page.next, "looked_back_to": page.looked_back_to}))
    })
    .await
}

async fn sessions(State(admin): State<Admin>, query: axum::extract::RawQuery) -> Response {
    group_list(admin, query.0.as_deref(), GroupBy::Session, "sessions").await
}

async fn users(State(admin): State<Admin>, query: axum::extract::RawQuery) -> Response {
    group_list(admin, query.0.as_deref(), GroupBy::User, "users").await
}

async fn group_list(admin: Admin, query: Option<&str>, by: GroupBy, name: &'static str) -> Response {
    let filter = match filter(&admin, query) {
        Ok(filter) => filter,
        Err(why) => return fault(&why),
    };
    answer(admin, move |admin| {
        flush(admin);
        let page = groups::find(&*admin.traces, by, &filter).map_err(store_fault)?;
        Ok(json!({name: page.rows, "next": page.next, "looked_back_to": page.looked_back_to}))
    })
    .await
}

/// The console's query, but strict: a program must not take "everything" for an answer to a filter it misspelt.
pub(crate) fn filter(admin: &Admin, query: Option<&str>) -> Result<TraceFilter, Fault> {
    let read = gauntlet_console::filter_from_query(query.unwrap_or(""), admin.now());
    let unknown = read.unknown.iter().map(|name| format!("there is no filter {name}"));
    let problems: Vec<String> = read.problems.into_iter().chain(unknown).collect();
    if problems.is_empty() {
        return Ok(read.filter);
    }
    Err(Fault::caller(Code::InvalidRequest, problems.join("; ")))
}

/// A trace just finished is to be found: what the drainer has not taken over yet is waited for, briefly.
pub(crate) fn flush(admin: &Admin) {
    if let Some(runtime) = &admin.runtime {
        runtime.flush();
    }
}

async fn trace(State(admin): State<Admin>, Path(id): Path<String>, asked: Query<TraceAsk>) -> Response {
    answer(admin, move |admin| {
        let mut call = trace_get(admin, &id)?;
        if asked.r#as.as_deref() == Some("chat") {
            call = in_chat(&call);
        }
        let text = |bytes: &[u8]| match serde_json::from_slice::<serde_json::Value>(bytes) {
            Ok(value) => value,
            Err(_) if bytes.is_empty() => serde_json::Value::Null,
            Err(_) => String::from_utf8_lossy(bytes).into(),
        };
        let record = &call.record;
        // What follows from the record and takes some care to work out.
        let attempts: Vec<_> = (0..record.attempts.len())
            .map(|at| {
                let billed = record.attempt_billed(at);
                json!({
                    "target": record.attempts[at].target.to_string(), "end": record.attempts[at].end,
                    "usage": billed.map(|billed| billed.usage), "cost": billed.map(|billed| billed.cost),
                })
            })
            .collect();
        Ok(json!({
            "record": record, "attempts": attempts, "chunk_gap_us": record.chunk_gap_us(),
            "input": text(&call.input), "output": text(&call.output),
        }))
    })
    .await
}

/// A call with its texts in chat's words, for whoever treats calls of every door alike.
pub(crate) fn in_chat(call: &StoredCall) -> StoredCall {
    let (input, output) = gauntlet_wire::translate::in_chat(&call.record, &call.input, &call.output);
    StoredCall { record: call.record.clone(), input, output }
}

#[derive(serde::Deserialize)]
struct TraceAsk {
    /// `chat`: the texts in chat's words, whatever dialect they are in.
    r#as: Option<String>,
}

pub(crate) fn trace_get(admin: &Admin, id: &str) -> Result<StoredCall, Fault> {
    let call_id: CallId = id.parse().map_err(|_| {
        let message =
            format!("`{id}` is not a request id; it looks like r_0197… (header x-gauntlet-request-id)");
        Fault::caller(Code::InvalidRequest, message)
    })?;
    flush(admin);
    let found = admin.traces.trace_get(call_id).map_err(store_fault)?;
    found.ok_or_else(|| Fault::caller(Code::NotFound, format!("there is no trace {call_id}")))
}

async fn tail(State(admin): State<Admin>, query: axum::extract::RawQuery) -> Response {
    let filter = match filter(&admin, query.0.as_deref()) {
        Ok(filter) => filter,
        Err(why) => return fault(&why),
    };
    let Some(records) = admin.runtime.as_ref().and_then(|runtime| runtime.tail()) else {
        return fault(&Fault::us(
            Code::Unavailable,
            "no gateway runs on this data folder, so nothing can be followed",
        ));
    };
    let lines = futures_util::stream::unfold(records, |mut records| async {
        records.recv().await.map(|one| (one, records))
    })
    .filter(move |record| std::future::ready(filter.fits(record)))
    .map(|record| sse::Event::default().json_data(&*record));
    Sse::new(lines).keep_alive(sse::KeepAlive::default()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverviewAsked {
    last: Option<String>,
}

async fn overview(
    State(admin): State<Admin>,
    asked: Result<Query<OverviewAsked>, QueryRejection>,
) -> Response {
    let last = match asked {
        Ok(Query(asked)) => asked.last,
        Err(error) => return fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    };
    answer(admin, move |admin| {
        let minutes = last.as_deref().map(last_minutes).transpose()?;
        flush(admin);
        if let Some(minutes) = minutes {
            return Ok(json!({"last": pages::last_minutes(admin, minutes)?}));
        }
        let (today, week) = pages::overviews(admin)?;
        Ok(json!({"today": today, "week": week}))
    })
    .await
}

/// A span up to now, by the minute: `30m`, `1h`, as long as minutes are kept at the most.
fn last_minutes(text: &str) -> Result<u32, Fault> {
    const KEPT: u32 = 48 * 60;
    let minutes = text.split_at_checked(text.len().saturating_sub(1)).and_then(|(number, unit)| {
        let number: u32 = number.parse().ok()?;
        let minutes = match unit {
            "m" => 1,
            "h" => 60,
            _ => return None,
        };
        number.checked_mul(minutes).filter(|minutes| (1..=KEPT).contains(minutes))
    });
    let wrong = || format!("`{text}` is not a span of minutes; write it as 30m or 1h, 48h at the most");
    minutes.ok_or_else(|| Fault::caller(Code::InvalidRequest, wrong()))
}

async fn budgets(State(admin): State<Admin>) -> Response {
    answer(admin, Admin::books).await
}

async fn keys(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| Ok(json!({"keys": admin.key_list()?}))).await
}

async fn key_create(State(admin): State<Admin>, body: String) -> Response {
    let new: NewKey = match parse(&body) {
        Ok(new) => new,
        Err(why) => return fault(&why),
    };
    answer(admin, move |admin| admin.key_create(&new)).await
}

async fn key_revoke(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    answer(admin, move |admin| admin.key_revoke(&name).map(|()| json!({"revoked": name}))).await
}

async fn kills(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| Ok(json!({"kills": admin.kill_list()?}))).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKill {
    kind: KillKind,
    name: String,
    #[serde(default)]
    reason: String,
}

async fn kill(State(admin): State<Admin>, body: String) -> Response {
    let new: NewKill = match parse(&body) {
        Ok(new) => new,
        Err(why) => return fault(&why),
    };
    answer(admin, move |admin| admin.kill(new.kind, &new.name, &new.reason)).await
}

async fn kill_undo(State(admin): State<Admin>, Path((kind, name)): Path<(String, String)>) -> Response {
    let Some(kind) = KillKind::parse(&kind) else {
        let message = format!("`{kind}` cannot be killed; use tenant, route, model or key");
        return fault(&Fault::caller(Code::InvalidRequest, message));
    };
    answer(admin, move |admin| admin.kill_undo(kind, &name).map(|()| json!({"undone": name}))).await
}

async fn replicas(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| {
        let replicas = admin.replicas()?;
        let lines = replicas.as_ref().map(|lines| {
            let line = |line: &gauntlet_ports::ReplicaLine| {
                json!({
                    "id": line.id, "is_alive": line.is_alive, "seen_ago_s": line.seen_ago.as_secs_f64(),
                    "accounts": line.accounts, "slices": line.slices,
                })
            };
            lines.iter().map(line).collect::<Vec<_>>()
        });
        Ok(json!({"is_shared": replicas.is_some(), "replicas": lines.unwrap_or_default()}))
    })
    .await
}

async fn replica_forget(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    answer(admin, move |admin| admin.replica_forget(&id).map(|()| json!({"forgotten": id}))).await
}

async fn reload(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| admin.refresh(true).map(|()| json!({"reloaded": true}))).await
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Fault> {
    serde_json::from_str(body)
        .map_err(|error| Fault::caller(Code::InvalidRequest, format!("the body does not fit: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_minutes_is_no_longer_than_they_are_kept() {
        let check = |text: &str, wanted: Option<u32>| assert_eq!(last_minutes(text).ok(), wanted, "{text}");
        check("1h", Some(60));
        check("90m", Some(90));
        check("48h", Some(2880));
        for wrong in ["", "h", "0m", "49h", "2881m", "7d", "1", "-1h", "99999999999h", "1\u{e9}"] {
            check(wrong, None);
        }
    }
}

//! The management API of kept answers: what there is, and letting go of it. Each gateway keeps its own, so that a question
//! here is about the one that is asked.

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
    routing::get,
};
use gauntlet_pipeline::{Shared, cache::Line};
use gauntlet_types::{Code, Fault};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    admin::Admin,
    api::{answer, fault},
};

pub(crate) fn router() -> Router<Admin> {
    Router::new().route("/api/v1/cache", get(stats).delete(clear))
}

/// Whose answers; all where neither is said.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    tenant: Option<String>,
    route: Option<String>,
}

type Scope = Result<Query<Asked>, QueryRejection>;

async fn stats(State(admin): State<Admin>, query: Scope) -> Response {
    ask(admin, query, |shared, asked| {
        let figures = shared.cache.figures();
        let lines = shared.cache.lines(asked.tenant.as_deref(), asked.route.as_deref());
        json!({
            "entries": figures.entries, "bytes": figures.bytes, "evicted": figures.evicted, "expired": figures.expired,
            "near_misses": figures.near_misses, "embed_failures": figures.embed_failures,
            "saved_usd": usd(figures.saved.0), "lines": lines.iter().map(line).collect::<Vec<_>>(),
        })
    })
    .await
}

async fn clear(State(admin): State<Admin>, query: Scope) -> Response {
    ask(admin, query, |shared, asked| {
        let cleared = shared.cache.clear(asked.tenant.as_deref(), asked.route.as_deref());
        json!({"cleared": cleared.entries, "bytes": cleared.bytes})
    })
    .await
}

async fn ask(
    admin: Admin,
    query: Scope,
    work: impl FnOnce(&Shared, &Asked) -> Value + Send + 'static,
) -> Response {
    let asked = match query {
        Ok(Query(asked)) => asked,
        Err(error) => return fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    };
    answer(admin, move |admin| match &admin.shared {
        Some(shared) => Ok(work(shared, &asked)),
        None => {
            let message = "no gateway runs on this data folder; answers are kept in a gateway's memory, and end with it";
            Err(Fault::us(Code::Unavailable, message))
        }
    })
    .await
}

fn line(line: &Line) -> Value {
    json!({
        "tenant": line.tenant, "route": line.route, "entries": line.entries, "bytes": line.bytes,
        "exact_hits": line.exact_hits, "semantic_hits": line.semantic_hits, "saved_usd": usd(line.saved.0),
    })
}

fn usd(nano: i64) -> f64 {
    nano as f64 / 1e9
}

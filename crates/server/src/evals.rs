//! Evals: calls of a run through the pipeline, and what is kept of runs.
//!
//! The runner works elsewhere (the command line, a CI job) and comes here for both, so that an eval is answered, guarded,
//! budgeted and recorded as an application's call is, and its results lie beside its traces.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use gauntlet_pipeline::{Answer, AnswerBody, Detach, EvalModel, Gate, Gone, Incoming, Operator, Purpose};
use gauntlet_ports::{
    Ask, AskKind, EVAL_BATCH_MAX, EvalCursor, EvalGate, EvalResult, EvalRun, EvalStoreError, GateFilter,
    JudgeKey, Judged, RUNS_MAX, RunFilter, Told,
};
use gauntlet_types::{Attempt, CacheUse, CallRecord, Caller, Code, Door, Environment, Fault, Name};
use gauntlet_wire::conversation::PathAsk;
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    admin::Admin,
    api::{answer, blocking, fault},
    body,
};

/// Bytes of a call: more than the doors take unless they are told to take more, and they look at it again.
const ASK_MAX: usize = 64 << 20;
/// Bytes of what is kept at once: the thousand results of a request may have 64 KiB of words each.
const KEEP_MAX: usize = 64 << 20;
/// As of every other name: ids stay readable in tables, headers and URLs.
const NAME_MAX: usize = 128;
/// Ids of cases come from datasets of others, where they may be sentences.
const CASE_MAX: usize = 1024;
/// Letters of what a target said, in the error of a case: enough to tell a wrong key from a full queue.
const WORDS_MAX: usize = 200;
/// Whom calls of evals belong to, unless the budgets and kill switches of an environment (`eval`) are meant: evals take nothing
/// from an application's tenant, and `gauntlet kill tenant evals` stops them all.
const TENANT: &str = "evals";

pub(crate) fn router() -> Router<Admin> {
    let keeps = Router::new()
        .route("/api/v1/evals/runs", get(runs).post(run_put))
        .route("/api/v1/evals/runs/{id}", get(run))
        .route("/api/v1/evals/suites", get(trends))
        .route("/api/v1/evals/runs/{id}/results", get(results).post(result_add))
        .route("/api/v1/evals/judged/get", post(judged_get))
        .route("/api/v1/evals/judged", post(judged_put))
        .route("/api/v1/evals/gates", get(gates).post(gate_put))
        .layer(DefaultBodyLimit::max(KEEP_MAX));
    Router::new().route("/api/v1/evals/ask", post(ask).layer(DefaultBodyLimit::max(ASK_MAX))).merge(keeps)
}

type Body = Result<Bytes, BytesRejection>;

/// A body of JSON, or why it is none.
fn read<T: DeserializeOwned>(body: Body, max: usize) -> Result<T, Fault> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        http::StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is larger than {max} bytes; send it in parts");
            Fault::caller(Code::RequestTooLarge, message)
        }
        _ => Fault::caller(Code::InvalidRequest, "the body broke off before its end"),
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Fault::caller(Code::InvalidRequest, format!("the body does not fit: {error}")))
}

/// A call of a run. What it costs and how long it took is known from the record as it is written: no store is waited for.
async fn ask(State(admin): State<Admin>, gate: Option<Extension<Arc<Gate>>>, body: Body) -> Response {
    let asked = read::<Ask>(body, ASK_MAX).and_then(|ask| {
        let message =
            "no gateway runs on this data folder, so nobody can be asked; start it with `gauntlet up`";
        let gate = gate.map(|Extension(gate)| gate).ok_or_else(|| Fault::us(Code::Unavailable, message))?;
        Ok((incoming(&admin, ask)?, gate))
    });
    let (incoming, gate) = match asked {
        Ok(asked) => asked,
        Err(why) => return fault(&why),
    };
    let (gone, tasks) = (Gone::default(), gate.shared.tasks.clone());
    // A runner that was stopped has paid for the answer: the call is settled and recorded all the same.
    let answer = Detach::new(gauntlet_pipeline::run(gate, incoming, gone.clone()), gone, tasks).await;
    match told(answer) {
        Ok(told) => Json(told).into_response(),
        Err(why) => fault(&why),
    }
}

fn incoming(admin: &Admin, ask: Ask) -> Result<Incoming, Fault> {
    is_name("eval_id", &ask.eval_id, NAME_MAX)?;
    if let Some(sha) = &ask.app_sha {
        is_name("app_sha", sha, NAME_MAX)?;
    }
    let Ask { kind, body: mut asked, route, eval_id, app_sha, prompt, is_judge } = ask;
    // Nobody waits for the first word, and a record says when it came.
    asked.remove("stream");
    asked.remove("stream_options");
    let mut headers = HeaderMap::new();
    if let Some(route) = &route {
        let value = HeaderValue::from_str(route).map_err(|_| {
            let message = format!("`{}` cannot be the name of a route", route.escape_debug());
            Fault::caller(Code::InvalidRequest, message).param("route")
        })?;
        headers.insert("x-gauntlet-route", value);
    }
    let model = named_model(admin, &mut asked, route.as_ref());
    let caller = Caller {
        tenant: TENANT.into(),
        environment: Environment::Eval,
        app_sha,
        eval_id: Some(eval_id),
        ..Caller::default()
    };
    let purpose = if is_judge { Purpose::Judge } else { Purpose::Eval(model) };
    let body = Value::Object(asked).to_string();
    let max = admin.snapshot().map_or(ASK_MAX, |snapshot| snapshot.policy.config().server.body_max);
    if body.len() > max {
        return Err(body::too_large(max));
    }
    let door = match kind {
        AskKind::Chat => Door::ChatCompletions,
        AskKind::Embeddings => Door::Embeddings,
    };
    let operator = Some(Box::new(Operator { caller, prompt, purpose }));
    Ok(Incoming { door, path: PathAsk::default(), pass: None, headers, body: Ok(body.into()), operator })
}

/// A body that names no model gets the route's name for one, as an application would send it; the route, or the prompt,
/// then says which is asked.
fn named_model(admin: &Admin, asked: &mut Map<String, Value>, route_named: Option<&Name>) -> EvalModel {
    if asked.get("model").and_then(Value::as_str).is_some_and(|model| !model.is_empty()) {
        return EvalModel::AsNamed;
    }
    let Some(snapshot) = admin.snapshot() else { return EvalModel::AsRouted };
    let route = match route_named {
        Some(name) => snapshot.policy.route(name),
        None => Some(snapshot.policy.default_route()),
    };
    // One that nobody knows shall be refused for that, and not for the model that it cannot name.
    if let (Some(name), None) = (route_named, route) {
        asked.insert("model".to_owned(), name.as_str().into());
    }
    let of_route = route.and_then(|route| route.model.clone());
    let of_prompt = || {
        let field = asked.get("gauntlet").and_then(|field| field["prompt"].as_str()).map(str::to_owned);
        let of_route = || route?.prompt.as_ref().map(|pin| format!("{}@{}", pin.name, pin.at));
        snapshot.prompts.resolve(&field.or_else(of_route)?).ok()?.0.model.clone()
    };
    if let Some(model) = of_route.or_else(of_prompt) {
        asked.insert("model".to_owned(), model.as_str().into());
    }
    EvalModel::AsRouted
}

fn told(answer: Answer) -> Result<Told, Fault> {
    let lost = || Fault::us(Code::Internal, "the call has no record");
    let AnswerBody::Whole(body) = &answer.body else { return Err(lost()) };
    let record: &CallRecord = answer.record.as_deref().ok_or_else(lost)?;
    let retry_after = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    // A provider may answer with what is no JSON.
    let mut body: Value =
        serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into());
    let is_upstream = matches!(body["error"]["code"].as_str(), Some("upstream_failed" | "upstream_timeout"));
    if let Some(said) = last_words(&record.attempts).filter(|_| is_upstream) {
        let message = body["error"]["message"].as_str().unwrap_or_default();
        body["error"]["message"] = format!("{said}; {message}").into();
    }
    Ok(Told {
        call: Some(record.id),
        status: answer.status.as_u16(),
        body,
        cost: record.cost,
        latency_us: record.latency_us,
        model: record.target.as_ref().map(|target| target.to_string().into()),
        prompt: record.prompt.clone(),
        decision: record.decision.as_str().into(),
        cache: if record.cache == CacheUse::Off { CacheUse::Miss } else { record.cache }.as_str().into(),
        retry_after_ms: retry_after
            .and_then(|seconds| seconds.parse::<u64>().ok())
            .map(|seconds| seconds * 1000),
    })
}

/// What the target said that was asked last. A caller of a door is not told; who evaluates is the operator, whose trace has it.
fn last_words(attempts: &[Attempt]) -> Option<String> {
    let last = attempts.last()?;
    let words: String = last.error.as_deref()?.chars().take(WORDS_MAX).collect();
    let status = last.status.map(|status| format!(" with status {status}")).unwrap_or_default();
    Some(format!("`{}` failed{status}: {words}", last.target))
}

fn is_name(field: &'static str, text: &str, max: usize) -> Result<(), Fault> {
    if !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let shown: String = text.chars().take(40).collect();
    let message =
        format!("`{field}` must be 1 to {max} bytes of printable text, and is `{}`", shown.escape_debug());
    Err(Fault::caller(Code::InvalidRequest, message).param(field))
}

pub(crate) fn evals_fault(error: EvalStoreError) -> Fault {
    match &error {
        EvalStoreError::UnknownRun(_) => Fault::caller(Code::NotFound, error.to_string()),
        EvalStoreError::TooMany { .. } => Fault::caller(Code::InvalidRequest, error.to_string()),
        EvalStoreError::Store { .. } => {
            tracing::error!(error = &error as &dyn std::error::Error, "store of evals");
            Fault::us(Code::Unavailable, error.to_string())
        }
    }
}

/// Keeps what a request brings, and says how many that are.
async fn keep<T: DeserializeOwned + Send + 'static>(
    admin: Admin,
    body: Body,
    count: fn(&T) -> usize,
    work: impl FnOnce(&Admin, T) -> Result<(), Fault> + Send + 'static,
) -> Response {
    match read::<T>(body, KEEP_MAX) {
        Ok(read) => {
            answer(admin, move |admin| {
                let kept = count(&read);
                work(admin, read)?;
                Ok(json!({"kept": kept}))
            })
            .await
        }
        Err(why) => fault(&why),
    }
}

async fn run_put(State(admin): State<Admin>, body: Body) -> Response {
    keep(
        admin,
        body,
        |_: &EvalRun| 1,
        |admin, run| {
            is_name("id", &run.id, NAME_MAX)?;
            is_name("suite", &run.suite, NAME_MAX)?;
            let before = match admin.evals.run_get(&run.id) {
                Ok(before) => Some(before),
                Err(EvalStoreError::UnknownRun(_)) => None,
                Err(error) => return Err(evals_fault(error)),
            };
            admin.evals.run_put(&run).map_err(evals_fault)?;
            if let Some(runtime) = &admin.runtime {
                runtime.eval_figures().observe_run(before.as_ref(), &run);
            }
            Ok(())
        },
    )
    .await
}

async fn run(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    answer(admin, move |admin| admin.evals.run_get(&id).map_err(evals_fault)).await
}

/// As `RunFilter`, but strict: a program must not take everything for an answer to a filter that it misspelt.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RunsAsked {
    suite: Option<Name>,
    app_sha: Option<Name>,
    prompt_name: Option<Name>,
    prompt_hash: Option<Name>,
    state: Option<gauntlet_ports::RunState>,
    /// Microseconds since 1970.
    since: Option<i64>,
    before: Option<String>,
    limit: Option<u32>,
}

/// What is more than one answer holds is refused: whoever asked would take a part for the whole.
fn page_of(limit: Option<u32>) -> Result<u32, Fault> {
    match limit {
        Some(limit) if limit > RUNS_MAX => {
            let message = format!(
                "`limit` is {limit} and may be {RUNS_MAX} at most; ask for the rest with `before`, which takes the `next` of an answer"
            );
            Err(Fault::caller(Code::InvalidRequest, message).param("limit"))
        }
        limit => Ok(limit.unwrap_or(RUNS_MAX)),
    }
}

fn cursor(before: Option<String>) -> Result<Option<EvalCursor>, Fault> {
    let Some(text) = before else { return Ok(None) };
    let found = EvalCursor::parse(&text).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        let message = format!(
            "`before` is `{}`; give the `next` of the answer before, such as `1790000000000000.RUN`",
            shown.escape_debug()
        );
        Fault::caller(Code::InvalidRequest, message).param("before")
    })?;
    Ok(Some(found))
}

/// Where a full page ends, for the next to begin after.
fn next(found: usize, limit: u32, last: Option<EvalCursor>) -> Option<String> {
    last.filter(|_| found == limit as usize).map(|last| last.to_string())
}

async fn runs(State(admin): State<Admin>, asked: Result<Query<RunsAsked>, QueryRejection>) -> Response {
    let Query(asked) = match asked {
        Ok(asked) => asked,
        Err(error) => return fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    };
    let paged = page_of(asked.limit).and_then(|limit| Ok((limit, cursor(asked.before)?)));
    let (limit, before) = match paged {
        Ok(paged) => paged,
        Err(why) => return fault(&why),
    };
    let filter = RunFilter {
        suite: asked.suite,
        app_sha: asked.app_sha,
        prompt_name: asked.prompt_name,
        prompt_hash: asked.prompt_hash,
        state: asked.state,
        since: asked.since.map(gauntlet_types::Timestamp),
        before,
        limit: Some(limit),
    };
    answer(admin, move |admin| {
        let runs = admin.evals.run_list(&filter).map_err(evals_fault)?;
        let last = runs.last().map(|run| EvalCursor { at: run.started, id: run.id.clone() });
        Ok(json!({"next": next(runs.len(), limit, last), "runs": runs}))
    })
    .await
}

async fn result_add(State(admin): State<Admin>, Path(id): Path<String>, body: Body) -> Response {
    keep(
        admin,
        body,
        |results: &Vec<EvalResult>| results.len(),
        move |admin, results| {
            for result in &results {
                is_name("case", &result.case, CASE_MAX)?;
                if *result.run != *id {
                    let message = format!("a result of run `{}` cannot be added to run `{id}`", result.run);
                    return Err(Fault::caller(Code::InvalidRequest, message).param("run"));
                }
            }
            if results.is_empty() {
                admin.evals.run_get(&id).map_err(evals_fault)?;
            }
            admin.evals.result_add(&results).map_err(evals_fault)
        },
    )
    .await
}

/// A run has as many results as its cases have repeats, so all of them are one answer: whoever compares needs them all.
///
/// Written straight from the rows, and off the workers' threads: as a tree of values they would take three times the memory, and
/// a worker that writes ten megabytes serves no call meanwhile.
///
/// `failed` asks for the first so many of those that did not pass.
async fn results(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    asked: Result<Query<ResultsAsked>, QueryRejection>,
) -> Response {
    #[derive(Serialize)]
    struct Listed {
        results: Vec<EvalResult>,
    }
    let Query(asked) = match asked {
        Ok(asked) => asked,
        Err(error) => return fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    };
    let written = blocking(&admin, move |admin| {
        let results = match asked.failed {
            Some(limit) => admin.evals.result_failed(&id, limit),
            None => admin.evals.result_list(&id),
        };
        let results = results.map_err(evals_fault)?;
        serde_json::to_vec(&Listed { results })
            .map_err(|error| Fault::us(Code::Internal, format!("the results cannot be written: {error}")))
    });
    match written.await {
        Ok(written) => ([(header::CONTENT_TYPE, "application/json")], written).into_response(),
        Err(why) => fault(&why),
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResultsAsked {
    failed: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TrendsAsked {
    suites: Option<u32>,
    runs: Option<u32>,
}

/// Suites and runs of each that a trend shows unless it is asked for others.
const TREND: (u32, u32) = (10, 10);

async fn trends(State(admin): State<Admin>, asked: Result<Query<TrendsAsked>, QueryRejection>) -> Response {
    let Query(asked) = match asked {
        Ok(asked) => asked,
        Err(error) => return fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    };
    let (suites, runs) = (asked.suites.unwrap_or(TREND.0), asked.runs.unwrap_or(TREND.1));
    answer(admin, move |admin| {
        Ok(json!({"suites": admin.evals.trend_list(suites, runs).map_err(evals_fault)?}))
    })
    .await
}

async fn judged_get(State(admin): State<Admin>, body: Body) -> Response {
    match read::<Vec<JudgeKey>>(body, KEEP_MAX) {
        Ok(keys) => {
            answer(admin, move |admin| {
                Ok(json!({"judged": admin.evals.judged_get(&keys).map_err(evals_fault)?}))
            })
            .await
        }
        Err(why) => fault(&why),
    }
}

async fn judged_put(State(admin): State<Admin>, body: Body) -> Response {
    keep(
        admin,
        body,
        |judged: &Vec<Judged>| judged.len(),
        |admin, judged| admin.evals.judged_put(&judged).map_err(evals_fault),
    )
    .await
}

async fn gate_put(State(admin): State<Admin>, body: Body) -> Response {
    keep(
        admin,
        body,
        |_: &EvalGate| 1,
        |admin, gate| {
            is_name("id", &gate.id, NAME_MAX)?;
            is_name("suite", &gate.suite, NAME_MAX)?;
            admin.evals.gate_put(&gate).map_err(evals_fault)?;
            if let Some(runtime) = &admin.runtime {
                runtime.eval_figures().observe_gate(&gate);
            }
            Ok(())
        },
    )
    .await
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GatesAsked {
    suite: Option<Name>,
    run: Option<Name>,
    prompt_name: Option<Name>,
    prompt_hash: Option<Name>,
    before: Option<String>,
    limit: Option<u32>,
}

async fn gates(State(admin): State<Admin>, asked: Result<Query<GatesAsked>, QueryRejection>) -> Response {
    let Query(asked) = match asked {
        Ok(asked) => asked,
        Err(error) => return fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    };
    let GatesAsked { suite, run, prompt_name, prompt_hash, before, limit } = asked;
    let (limit, before) = match page_of(limit).and_then(|limit| Ok((limit, cursor(before)?))) {
        Ok(paged) => paged,
        Err(why) => return fault(&why),
    };
    let filter = GateFilter { suite, run, prompt_name, prompt_hash, before, limit: Some(limit) };
    answer(admin, move |admin| {
        let gates = admin.evals.gate_list(&filter).map_err(evals_fault)?;
        let last = gates.last().map(|gate| EvalCursor { at: gate.at, id: gate.id.clone() });
        Ok(json!({"next": next(gates.len(), limit, last), "gates": gates}))
    })
    .await
}

const _: () = assert!(KEEP_MAX / EVAL_BATCH_MAX >= 64 << 10, "a full batch has room for its words");

#[cfg(test)]
mod tests {
    use gauntlet_types::{AttemptEnd, Target};

    use super::*;

    #[test]
    fn an_eval_is_told_what_the_last_target_said() {
        let attempt = |model: &str, status: Option<u16>, error: Option<&str>| Attempt {
            target: Target::parse(model).expect("a target"),
            start_us: 0,
            took_us: 0,
            end: AttemptEnd::Status,
            status,
            error: error.map(str::to_owned),
            billed: None,
        };
        let check = |attempts: &[Attempt], wanted: Option<&str>| {
            assert_eq!(last_words(attempts).as_deref(), wanted);
        };
        let busy = attempt("a/m", Some(503), Some("busy"));
        check(&[], None);
        check(std::slice::from_ref(&busy), Some("`a/m` failed with status 503: busy"));
        check(
            &[busy.clone(), attempt("b/m", None, Some("no connection"))],
            Some("`b/m` failed: no connection"),
        );
        check(&[busy, attempt("b/m", Some(200), None)], None);
        let long = attempt("a/m", None, Some(&"x".repeat(900)));
        assert_eq!(last_words(&[long]).map(|words| words.len()), Some(WORDS_MAX + "`a/m` failed: ".len()));
    }
}

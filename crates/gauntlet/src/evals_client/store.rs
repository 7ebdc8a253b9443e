//! What runs leave, through the API of the gateway: it alone writes to its store.

use std::{collections::BTreeSet, time::Duration};

use gauntlet_ports::{
    EVAL_BATCH_MAX, EvalCursor, EvalGate, EvalResult, EvalRun, EvalStore, EvalStoreError, GateFilter,
    JudgeKey, Judged, RunFilter, RunState,
};
use gauntlet_types::Name;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::message;
use crate::{reach::escape, runfile::RunFile};

/// Longer than any answer takes; a gateway that hangs must not hang a run.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Bytes of an answer: a run of ten thousand cases with the evidence of its judges.
const BODY_MAX: u64 = 1 << 30;
/// Bytes of results sent at once; the API takes more.
const BATCH_BYTES: usize = 16 << 20;

pub struct GatewayStore {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

type Done<T> = Result<T, EvalStoreError>;

impl GatewayStore {
    pub(super) fn new(run: &RunFile) -> GatewayStore {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_MAX))
            .max_redirects(0)
            .build();
        GatewayStore {
            agent: config.into(),
            url: format!("{}/api/v1/evals", run.url),
            authorization: format!("Bearer {}", run.token),
        }
    }

    fn ask<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        body: Option<Vec<u8>>,
        run: Option<&str>,
    ) -> Done<T> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| EvalStoreError::Store { what, source };
        let request = http::Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(format!("{}/{path}", self.url))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(body.unwrap_or_default())
            .map_err(|error| failed(error.into()))?;
        let mut answer = self.agent.run(request).map_err(|error| failed(error.into()))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(BODY_MAX).read_to_vec();
        let text = text.map_err(|error| failed(error.into()))?;
        match (status, run) {
            (200..=299, _) => serde_json::from_slice(&text).map_err(|error| failed(error.into())),
            (404, Some(run)) => Err(EvalStoreError::UnknownRun(run.into())),
            _ => Err(failed(message(&String::from_utf8_lossy(&text), status).into())),
        }
    }

    fn get<T: DeserializeOwned>(&self, what: &'static str, path: &str, run: Option<&str>) -> Done<T> {
        self.ask(what, path, None, run)
    }

    fn post<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        body: &impl Serialize,
        run: Option<&str>,
    ) -> Done<T> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| EvalStoreError::Store { what, source: error.into() })?;
        self.ask(what, path, Some(body), run)
    }
}

/// Says no more than that it was kept.
#[derive(Deserialize)]
struct Kept {}

impl EvalStore for GatewayStore {
    fn run_put(&self, run: &EvalRun) -> Done<()> {
        self.post::<Kept>("keeping a run", "runs", run, None).map(drop)
    }

    fn run_get(&self, id: &str) -> Done<EvalRun> {
        self.get("reading a run", &format!("runs/{}", escape(id)), Some(id))
    }

    fn run_list(&self, filter: &RunFilter) -> Done<Vec<EvalRun>> {
        #[derive(Deserialize)]
        struct Answer {
            runs: Vec<EvalRun>,
        }
        let query = query(&[
            ("suite", text(&filter.suite)),
            ("app_sha", text(&filter.app_sha)),
            ("prompt_name", text(&filter.prompt_name)),
            ("prompt_hash", text(&filter.prompt_hash)),
            ("state", filter.state.map(RunState::as_str).map(str::to_owned)),
            ("since", filter.since.map(|at| at.0.to_string())),
            ("before", filter.before.as_ref().map(EvalCursor::to_string)),
            ("limit", filter.limit.map(|limit| limit.to_string())),
        ]);
        self.get::<Answer>("listing runs", &format!("runs{query}"), None).map(|answer| answer.runs)
    }

    fn result_add(&self, results: &[EvalResult]) -> Done<()> {
        const WHAT: &str = "keeping results";
        bounded(results.len())?;
        // A request for each run, and of each no more bytes than are taken. Of several runs all are known, or none gets any.
        let runs: BTreeSet<&Name> = results.iter().map(|result| &result.run).collect();
        if runs.len() > 1 {
            runs.into_iter().try_for_each(|run| self.run_get(run).map(drop))?;
        }
        for of_run in results.chunk_by(|a, b| a.run == b.run) {
            let Some(run) = of_run.first().map(|result| &result.run) else { continue };
            let path = format!("runs/{}/results", escape(run));
            for batch in
                batches(of_run).map_err(|error| EvalStoreError::Store { what: WHAT, source: error.into() })?
            {
                self.ask::<Kept>(WHAT, &path, Some(batch), Some(run))?;
            }
        }
        Ok(())
    }

    fn result_list(&self, run: &str) -> Done<Vec<EvalResult>> {
        #[derive(Deserialize)]
        struct Answer {
            results: Vec<EvalResult>,
        }
        let path = format!("runs/{}/results", escape(run));
        self.get::<Answer>("reading results", &path, Some(run)).map(|answer| answer.results)
    }

    fn judged_get(&self, keys: &[JudgeKey]) -> Done<Vec<Judged>> {
        #[derive(Deserialize)]
        struct Answer {
            judged: Vec<Judged>,
        }
        bounded(keys.len())?;
        let what = "looking for judges' answers";
        self.post::<Answer>(what, "judged/get", &keys, None).map(|answer| answer.judged)
    }

    fn judged_put(&self, judged: &[Judged]) -> Done<()> {
        bounded(judged.len())?;
        self.post::<Kept>("keeping judges' answers", "judged", &judged, None).map(drop)
    }

    fn gate_put(&self, gate: &EvalGate) -> Done<()> {
        self.post::<Kept>("keeping what a gate said", "gates", gate, None).map(drop)
    }

    fn gate_list(&self, filter: &GateFilter) -> Done<Vec<EvalGate>> {
        #[derive(Deserialize)]
        struct Answer {
            gates: Vec<EvalGate>,
        }
        let query = query(&[
            ("suite", text(&filter.suite)),
            ("run", text(&filter.run)),
            ("prompt_name", text(&filter.prompt_name)),
            ("prompt_hash", text(&filter.prompt_hash)),
            ("before", filter.before.as_ref().map(EvalCursor::to_string)),
            ("limit", filter.limit.map(|limit| limit.to_string())),
        ]);
        self.get::<Answer>("listing gates", &format!("gates{query}"), None).map(|answer| answer.gates)
    }
}

/// Told here as the store tells it, and not as a refusal of the API.
fn bounded(given: usize) -> Done<()> {
    if given > EVAL_BATCH_MAX { Err(EvalStoreError::TooMany { given }) } else { Ok(()) }
}

fn text(name: &Option<Name>) -> Option<String> {
    name.as_deref().map(str::to_owned)
}

fn query(pairs: &[(&str, Option<String>)]) -> String {
    let set = pairs.iter().filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_deref()?))));
    let set: Vec<String> = set.collect();
    if set.is_empty() { String::new() } else { format!("?{}", set.join("&")) }
}

/// Lists of results as JSON, none much longer than [`BATCH_BYTES`] unless one result alone is.
fn batches(results: &[EvalResult]) -> serde_json::Result<Vec<Vec<u8>>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    for result in results {
        batch.push(if batch.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut batch, result)?;
        if batch.len() >= BATCH_BYTES {
            batch.push(b']');
            batches.push(std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        batch.push(b']');
        batches.push(batch);
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_go_in_parts_that_are_lists_each() {
        let long = EvalResult { output: Some("x".repeat(BATCH_BYTES / 2)), ..EvalResult::default() };
        let results = vec![long.clone(), EvalResult::default(), long.clone(), EvalResult::default()];
        let batches = batches(&results).unwrap();
        let read: Vec<Vec<EvalResult>> =
            batches.iter().map(|batch| serde_json::from_slice(batch).unwrap()).collect();
        assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(read.concat(), results);
    }

    #[test]
    fn a_filter_becomes_a_query() {
        assert_eq!(query(&[("a", None)]), "");
        assert_eq!(query(&[("a", Some("x y".into())), ("b", None), ("c", Some("1".into()))]), "?a=x%20y&c=1");
    }
}

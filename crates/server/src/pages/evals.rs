//! The pages of evals: fetch, compare, show.

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
    routing::get,
};
use gauntlet_console::{
    self as console, CasePair, EvalCompareView, EvalRunView, EvalsView, FailingCase, MetricPair,
};
use gauntlet_evals::gate::compare::{Comparison, compare};
use gauntlet_ports::{Direction, EvalGate, EvalResult, EvalRun, GateFilter, RunFilter, SuiteTrend};
use gauntlet_types::{Code, Fault, Name};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Frame, page};
use crate::{admin::Admin, api::blocking, evals::evals_fault};

/// Runs of the list, and gates beside them.
const RUNS_SHOWN: u32 = 100;
/// Other runs that one can be compared with from its page.
const OTHERS_SHOWN: u32 = 20;
/// Cases of a comparison, as many as the page shows.
const CHANGES_MAX: usize = 200;

pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route(console::paths::EVALS, get(list))
        .route(console::paths::EVAL_COMPARE, get(compared))
        .route("/evals/runs/{id}", get(run))
        .route("/evals/{*rest}", get(nothing))
}

/// Failing answers that are read of one run: repeats of a case count as one, so that a few more are needed than are shown.
const FAILED_READ: u32 = 15;

/// What the overview shows: trends, and what failed in the newest run of each suite. Whatever a run's length, no more is read
/// than is shown, nearly: one query for the trends, and one for each suite.
pub(super) fn glance(admin: &Admin) -> Result<(Vec<SuiteTrend>, Vec<FailingCase>), Fault> {
    let suites = admin.evals.trend_list(console::TREND_SUITES, console::TREND_RUNS).map_err(evals_fault)?;
    let newest = suites.iter().filter_map(|trend| trend.runs.first());
    let failed = newest.filter(|one| one.run.failed > 0 || one.run.errors > 0).map(|one| {
        let results = admin.evals.result_failed(&one.run.id, FAILED_READ).map_err(evals_fault)?;
        Ok((one.run.clone(), results))
    });
    let failing = console::failing(failed.collect::<Result<_, Fault>>()?);
    Ok((suites, failing))
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    suite: Option<String>,
}

async fn list(State(admin): State<Admin>, headers: HeaderMap, Query(which): Query<Which>) -> Response {
    let frame = Frame::new(&admin, &headers);
    let suite = which.suite.filter(|suite| !suite.is_empty());
    let wanted = suite.as_deref().map(Name::from);
    let fetched = blocking(&admin, move |admin| {
        let runs = RunFilter { suite: wanted.clone(), limit: Some(RUNS_SHOWN), ..RunFilter::default() };
        let gates = GateFilter { suite: wanted, limit: Some(RUNS_SHOWN), ..GateFilter::default() };
        let runs = admin.evals.run_list(&runs).map_err(evals_fault)?;
        let gates = admin.evals.gate_list(&gates).map_err(evals_fault)?;
        Ok((runs, gates))
    });
    match fetched.await {
        Ok((runs, gates)) => {
            let view = EvalsView { runs: &runs, gates: &gates, suite: suite.as_deref() };
            page(StatusCode::OK, console::evals(&frame.shell(), &view))
        }
        Err(fault) => frame.fault(&fault),
    }
}

#[derive(Deserialize)]
struct Narrow {
    #[serde(default)]
    failed: Option<String>,
}

struct Fetched {
    run: EvalRun,
    gate: Option<EvalGate>,
    results: Vec<EvalResult>,
    others: Vec<EvalRun>,
}

async fn run(
    State(admin): State<Admin>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(narrow): Query<Narrow>,
) -> Response {
    let frame = Frame::new(&admin, &headers);
    let fetched = blocking(&admin, move |admin| {
        let run = admin.evals.run_get(&id).map_err(evals_fault)?;
        let gates = GateFilter { run: Some(run.id.clone()), limit: Some(1), ..GateFilter::default() };
        let gate = admin.evals.gate_list(&gates).map_err(evals_fault)?.into_iter().next();
        let same = RunFilter {
            suite: Some(run.suite.clone()),
            limit: Some(OTHERS_SHOWN + 1),
            ..RunFilter::default()
        };
        let mut others = admin.evals.run_list(&same).map_err(evals_fault)?;
        others.retain(|other| other.id != run.id);
        Ok(Fetched { gate, results: admin.evals.result_list(&run.id).map_err(evals_fault)?, others, run })
    });
    match fetched.await {
        Ok(Fetched { run, gate, results, others }) => {
            let view = EvalRunView {
                run: &run,
                gate: gate.as_ref(),
                results: &results,
                others: &others,
                failed_only: narrow.failed.is_some(),
            };
            page(StatusCode::OK, console::eval_run(&frame.shell(), &view))
        }
        Err(fault) => frame.fault(&fault),
    }
}

#[derive(Deserialize)]
struct Two {
    a: String,
    b: String,
}

type Side = (EvalRun, Vec<EvalResult>);

async fn nothing(State(admin): State<Admin>, headers: HeaderMap, Path(rest): Path<String>) -> Response {
    let shown: String = rest.chars().take(100).collect();
    let message = format!(
        "there is no page `/evals/{shown}`; a run is at /evals/runs/RUN, the runs of a suite are at /evals?suite=SUITE"
    );
    Frame::new(&admin, &headers).fault(&Fault::caller(Code::NotFound, message))
}

async fn compared(
    State(admin): State<Admin>,
    headers: HeaderMap,
    two: Result<Query<Two>, QueryRejection>,
) -> Response {
    let frame = Frame::new(&admin, &headers);
    let Ok(Query(two)) = two else {
        let message = "two runs are compared, and not both are named: /evals/compare?a=RUN&b=RUN; the page of a run offers others";
        return frame.fault(&Fault::caller(Code::InvalidRequest, message));
    };
    let fetched = blocking(&admin, move |admin| {
        let side = |id: &str| -> Result<Side, Fault> {
            let run = admin.evals.run_get(id).map_err(evals_fault)?;
            let results = admin.evals.result_list(&run.id).map_err(evals_fault)?;
            Ok((run, results))
        };
        let (a, b) = (side(&two.a)?, side(&two.b)?);
        let made = compare((&a.0, &a.1), (&b.0, &b.1), CHANGES_MAX);
        let made = made.map_err(|error| Fault::caller(Code::InvalidRequest, error.to_string()))?;
        Ok((a, b, made))
    });
    let (a, b, made) = match fetched.await {
        Ok(fetched) => fetched,
        Err(fault) => return frame.fault(&fault),
    };
    let (metrics, cases) = (metric_pairs(&made), case_pairs(&made));
    let view = EvalCompareView {
        first: &a.0,
        second: &b.0,
        metrics: &metrics,
        cases: &cases,
        warnings: &made.notes,
    };
    page(StatusCode::OK, console::eval_compare(&frame.shell(), &view))
}

fn metric_pairs(made: &Comparison) -> Vec<MetricPair> {
    let pairs = made.metrics.iter().map(|metric| MetricPair {
        metric: metric.metric.to_string(),
        first: Some(metric.a),
        second: Some(metric.b),
        difference: Some(metric.difference),
        ci_low: metric.low,
        ci_high: metric.high,
        p_value: metric.p_value,
        lower_is_better: metric.direction == Direction::LowerIsBetter,
        pairs: metric.n,
    });
    pairs.collect()
}

fn case_pairs(made: &Comparison) -> Vec<CasePair> {
    let pairs = made.changes.iter().map(|change| CasePair {
        case: change.case.to_string(),
        metric: change.metric.to_string(),
        gain: change.change,
        first_output: change.baseline_output.clone(),
        second_output: change.output.clone(),
        first_call: change.baseline_call,
        second_call: change.call,
    });
    pairs.collect()
}

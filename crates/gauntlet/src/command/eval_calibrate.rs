//! `gauntlet eval calibrate`: a judge rates what people have rated, and both are compared.

mod show;

use std::{
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::BoxFuture;
use gauntlet_evals::{
    Case, JudgeSpec, MetricSpec, Scorer, Suite,
    calibrate::{self, AGREEMENT_MIN, Calibration, HUMAN, Rated, Wanted},
    judge::{self, Fingerprint, NoCache},
    metrics,
    run::{self, Parts, Plan, Sink, Stop, candidate, estimate::forecast},
};
use gauntlet_ports::{Clock, EVAL_BATCH_MAX, EvalResult, EvalRun, EvalStore, RunState, Verdict};
use gauntlet_types::Name;
use serde_json::Value;

use super::{eval_rows, eval_run::onlooker::Onlooker};
use crate::{
    cli::{EvalCalibrate, Place},
    clock::SystemClock,
    evals_client::Gateway,
    suites,
};

/// Rows with a mistake that one message names.
const NAMED_MAX: usize = 5;

pub fn run(place: &Place, args: &EvalCalibrate) -> Result<ExitCode> {
    let mut suite = suite(place, args)?;
    let spec = suite.metrics.first().context("a suite for a calibration has its one metric")?.clone();
    let rated = rated(&suite, args)?;
    suite.cases = rated;
    let scorer = judge::make(&spec, &suite)?.with_context(|| no_judge(&spec.kind))?;
    let judge = judge::fingerprint(&spec, &suite).with_context(|| no_judge(&spec.kind))?;
    suite.name = format!("calibration:{}", spec.kind).into();
    let minimum = args.min_agreement.or(suite.judge.as_ref().and_then(|judge| judge.min_agreement));
    let minimum = minimum.unwrap_or(AGREEMENT_MIN);
    ensure!(
        (0.0..1.0).contains(&minimum),
        "--min-agreement {minimum} is no agreement; write one from 0 to below 1, such as 0.4"
    );
    Gateway::with(place, |gateway| {
        let store = gateway.store();
        let last = calibrate::last_of(&store.gate_list(&calibrate::filter(&spec.kind))?, &judge);
        let (row, results) = ask(gateway, place, &suite, scorer, &judge, args.app_sha.as_deref())?;
        let rows = rows(&suite, &results)?;
        let scale = args.scale.map(|scale| (scale.min, scale.max));
        let wanted = Wanted { judge: &judge, threshold: spec.threshold, scale, minimum };
        let found = calibrate::calibrate(&rows, &wanted, last.as_ref()).map_err(anyhow::Error::msg)?;
        keep(&*store, &row, &results, &found)?;
        show::show(place, &found);
        Ok(if found.verdict() == Verdict::Pass { ExitCode::SUCCESS } else { ExitCode::from(1) })
    })
}

fn no_judge(kind: &str) -> String {
    let judges = judge::KINDS.iter().filter(|kind| !gauntlet_evals::retrieval::KINDS.contains(kind));
    format!("`{kind}` is scored by no judge; there are {}", judges.copied().collect::<Vec<_>>().join(", "))
}

/// A suite of the one metric, with the judge that is asked for.
fn suite(place: &Place, args: &EvalCalibrate) -> Result<Suite> {
    let mut suite = if args.what.ends_with(".jsonl") {
        let path = Path::new(&args.what);
        let kind = judge::KINDS.iter().find(|kind| **kind == args.metric);
        let kind = kind.with_context(|| no_judge(&args.metric))?;
        let metric = MetricSpec { name: (*kind).into(), kind: (*kind).into(), ..MetricSpec::default() };
        let cases = eval_rows::read(path)?;
        Suite {
            file: args.what.clone(),
            metrics: vec![metric],
            cases,
            repeats: 1,
            concurrency: Suite::CONCURRENCY,
            ..Suite::default()
        }
    } else {
        suites::good(&suites::find(place, &args.what)?)?
    };
    if let Some(path) = &args.rows {
        suite.cases = eval_rows::read(path)?;
    }
    // A judge may stand within a `weighted` metric.
    let metrics: Vec<MetricSpec> =
        suite.metrics.iter().flat_map(|metric| metrics::with_parts(metric, &suite)).collect();
    let by_name = metrics.iter().find(|metric| *metric.name == *args.metric);
    let found = by_name.or_else(|| metrics.iter().find(|metric| *metric.kind == *args.metric)).cloned();
    let Some(mut metric) = found else {
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        let cure = gauntlet_places::near::cure(
            &args.metric,
            names.iter().copied(),
            &format!("it has {}", names.join(", ")),
        );
        bail!("suite `{}` has no metric `{}`; {cure}", suite.name, args.metric.escape_debug());
    };
    let judge = suite.judge.get_or_insert_with(|| JudgeSpec { samples: 1, ..JudgeSpec::default() });
    if let Some(model) = &args.judge {
        metric.options.shift_remove("judge");
        judge.model = model.as_str().into();
    }
    if let Some(model) = &args.embedding_model {
        metric.options.shift_remove("embedding_model");
        judge.embedding_model = Some(model.as_str().into());
    }
    // Every row that people have rated is compared.
    for name in ["when_present", "tags"] {
        metric.options.shift_remove(name);
    }
    suite.metrics = vec![metric];
    Ok(suite)
}

/// The rows with a rating. Errors: there are none, or some that cannot be read, by their lines.
fn rated(suite: &Suite, args: &EvalCalibrate) -> Result<Vec<Case>> {
    let rated: Vec<&Case> = suite.cases.iter().filter(|case| case.extra.contains_key(HUMAN)).collect();
    let place = |case: &Case| format!("{}:{}", case.file, case.line);
    let mut wrong: Vec<String> = Vec::new();
    for case in &rated {
        if let Err(why) = calibrate::Human::of(case) {
            wrong.push(format!("{}: {why}", place(case)));
        } else if case.output.is_none() {
            wrong.push(format!("{}: `output` is missing; write the answer that people rated", place(case)));
        }
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(NAMED_MAX);
        wrong.truncate(NAMED_MAX);
        let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
        bail!("rows that people rated cannot be read\n{}{more}", wrong.join("\n"));
    }
    if rated.is_empty() {
        bail!(
            "no row of {} holds what people said; add `\"{HUMAN}\": 4` or `\"{HUMAN}\": \"pass\"` beside `output`, or name another file with --rows",
            args.what
        );
    }
    Ok(rated.into_iter().cloned().collect())
}

/// Keeps in memory what is looked at next anyway.
#[derive(Default)]
struct Collected(Mutex<Vec<EvalResult>>);

impl Sink for Collected {
    fn run<'a>(&'a self, _: &'a EvalRun) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn results<'a>(&'a self, results: &'a [EvalResult]) -> BoxFuture<'a, Result<(), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(results);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn ask(
    gateway: &Gateway,
    place: &Place,
    suite: &Suite,
    scorer: Box<dyn Scorer>,
    judge: &Fingerprint,
    app_sha: Option<&str>,
) -> Result<(EvalRun, Vec<EvalResult>)> {
    let runner = gateway.runner()?;
    let (clock, stop, sink) = (SystemClock::new(), Stop::default(), Collected::default());
    let scorers = [scorer];
    let plan = Plan {
        wanted: candidate::Wanted {
            name: format!("calibration:{}", judge.model).into(),
            ..candidate::Wanted::default()
        },
        repeats: 1,
        is_recorded: true,
        app_sha: app_sha.map(Name::from),
        ..Plan::of(suite)
    };
    let calls_max = forecast(&plan, &scorers).judge_calls_max;
    let watch = Onlooker::of_ratings(&judge.model, &judge.kind, &plan, calls_max, place.json);
    let parts = Parts {
        runner: &*runner,
        scorers: &scorers,
        cache: &NoCache,
        sink: &sink,
        clock: &clock,
        prompts: &|_| None,
        stop: &stop,
        watch: &watch,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let row = runtime.block_on(run::run(&plan, &parts));
    watch.end();
    let row = row?;
    if row.state != RunState::Done {
        bail!("the judge could not rate every row: {}", row.why.as_deref().unwrap_or("it was not finished"));
    }
    let results = sink.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((row, results))
}

/// Each rated row with the judge's score of it.
fn rows(suite: &Suite, results: &[EvalResult]) -> Result<Vec<Rated>> {
    let mut rows = Vec::with_capacity(results.len());
    for result in results {
        let case = suite.cases.iter().find(|case| case.id == result.case);
        let case =
            case.with_context(|| format!("case `{}` is not of the rows that were asked", result.case))?;
        let Some(score) = result.scores.first() else { continue };
        let output = match &case.output {
            Some(Value::String(text)) => text.clone(),
            other => other.as_ref().map(Value::to_string).unwrap_or_default(),
        };
        rows.push(Rated::new(case, &output, score.clone()).map_err(anyhow::Error::msg)?);
    }
    Ok(rows)
}

fn keep(store: &dyn EvalStore, row: &EvalRun, results: &[EvalResult], found: &Calibration) -> Result<()> {
    store.run_put(row)?;
    for batch in results.chunks(EVAL_BATCH_MAX) {
        store.result_add(batch)?;
    }
    let at = SystemClock::new().now();
    store.gate_put(&found.to_gate(
        format!("gate-{}", row.id).into(),
        row.id.clone(),
        row.app_sha.clone(),
        at,
    ))?;
    Ok(())
}

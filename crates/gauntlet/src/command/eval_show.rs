//! `gauntlet eval list`, `show` and `cases`: what runs left. They need no gateway that runs.

use anyhow::Result;
use gauntlet_ports::{EvalGate, EvalResult, EvalRun, MetricSummary, RunState};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    cli::{EvalCases, EvalList, Place},
    reach::{Reach, escape},
    show::{self, Column, printable, usd},
};

/// Characters of a text in a list.
const SHOWN_MAX: usize = 60;

pub fn list(place: &Place, asked: &EvalList) -> Result<()> {
    #[derive(Deserialize)]
    struct Answer {
        runs: Vec<EvalRun>,
    }
    let pairs = [
        ("suite", asked.suite.as_deref()),
        ("app_sha", asked.app_sha.as_deref()),
        ("prompt_name", asked.prompt.as_deref()),
        ("state", asked.state.as_deref()),
    ];
    let mut query = format!("limit={}", asked.limit);
    for (name, value) in pairs {
        query.extend(value.map(|value| format!("&{name}={}", escape(value))));
    }
    let found = Reach::new(place)?.get(&format!("/api/v1/evals/runs?{query}"))?;
    if place.json {
        show::json(&found);
        return Ok(());
    }
    let answer: Answer = read(found)?;
    let columns = [
        Column::Whole("run"),
        Column::Left("suite"),
        Column::Left("candidate"),
        Column::Left("state"),
        Column::Right("cases"),
        Column::Right("passed"),
        Column::Right("failed"),
        Column::Right("errors"),
        Column::Left("metrics"),
        Column::Right("cost"),
        Column::Left("started"),
    ];
    let rows = answer.runs.iter().map(|run| {
        vec![
            run.id.to_string(),
            run.suite.to_string(),
            run.candidate.name.to_string(),
            run.state.as_str().to_owned(),
            run.cases.to_string(),
            run.passed.to_string(),
            run.failed.to_string(),
            run.errors.to_string(),
            run.metrics.iter().map(in_short).collect::<Vec<_>>().join("  "),
            usd((run.cost.0 + run.judge_cost.0) as f64 / 1e9),
            run.started.to_string(),
        ]
    });
    show::table(&columns, rows.collect(), "no run; `gauntlet eval run SUITE` makes one");
    Ok(())
}

pub fn show(place: &Place, id: &str) -> Result<()> {
    let reach = Reach::new(place)?;
    let run = reach.get(&format!("/api/v1/evals/runs/{}", escape(id)))?;
    let mut gates = reach.get(&format!("/api/v1/evals/gates?run={}", escape(id)))?;
    let gates = gates["gates"].take();
    if place.json {
        show::json(&json!({"run": run, "gates": gates}));
        return Ok(());
    }
    print_run(&read(run)?);
    for gate in read::<Vec<EvalGate>>(gates)? {
        let against = gate.baseline.map(|run| format!(" against {run}")).unwrap_or_default();
        let line = format!("{} {}{against}: {}", gate.at, gate.verdict.as_str(), gate.summary);
        println!("  gate       {}", printable(&line));
    }
    Ok(())
}

fn print_run(run: &EvalRun) {
    let line = |name: &str, value: &str| println!("  {name:<10} {}", printable(value));
    println!("Run {}", printable(&run.id));
    line("suite", &run.suite);
    line("candidate", &run.candidate.name);
    if let Some(prompt) = &run.candidate.prompt {
        line("prompt", &format!("{}@{} {}", prompt.name, prompt.version, prompt.hash));
    }
    for (name, value) in [("app_sha", &run.app_sha), ("route", &run.route)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    let why = run.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    line("state", &format!("{}{why}", run.state.as_str()));
    if run.state == RunState::Running {
        line("", "under way, or broken off; `gauntlet eval run` with the same suite can go on with it");
    }
    let until = run.ended.map(|at| format!(" to {at}")).unwrap_or_default();
    line("time", &format!("{}{until}", run.started));
    let (fast, repeats) = (if run.is_fast { ", a part of the suite's" } else { "" }, run.repeats);
    line("cases", &format!("{}{fast}, {repeats} answers each", run.cases));
    line("results", &format!("{} passed, {} failed, {} errors", run.passed, run.failed, run.errors));
    let (cost, judges) = (run.cost.0 as f64 / 1e9, run.judge_cost.0 as f64 / 1e9);
    line("cost", &format!("{}, judges {}", usd(cost), usd(judges)));
    line("judges", &format!("{} calls, {} answers known already", run.judge_calls, run.judge_cached));
    println!();
    let columns = [
        Column::Left("metric"),
        Column::Right("mean"),
        Column::Left("interval"),
        Column::Right("scored"),
        Column::Right("unscored"),
        Column::Left("formula"),
    ];
    let rows = run.metrics.iter().map(|metric| {
        let interval = metric.ci_low.zip(metric.ci_high).map(|(low, high)| format!("{low:.3} to {high:.3}"));
        vec![
            metric.metric.to_string(),
            metric.mean.map_or_else(|| "none".to_owned(), |mean| format!("{mean:.3}")),
            interval.unwrap_or_default(),
            metric.scored.to_string(),
            metric.unscored.to_string(),
            metric.implementation.to_string(),
        ]
    });
    show::table(&columns, rows.collect(), "no metric has been summed up");
}

pub fn cases(place: &Place, asked: &EvalCases) -> Result<()> {
    let mut found = Reach::new(place)?.get(&format!("/api/v1/evals/runs/{}/results", escape(&asked.run)))?;
    if let Some(all) = found["results"].as_array_mut().filter(|_| asked.failed) {
        all.retain(|one| one["passed"] == false || !one["error"].is_null());
    }
    if place.json {
        show::json(&found);
        return Ok(());
    }
    let results: Vec<EvalResult> = read(found["results"].take())?;
    let columns = [
        Column::Left("case"),
        Column::Right("#"),
        Column::Left("passed"),
        Column::Left("scores"),
        Column::Left("question"),
        Column::Left("answer"),
        Column::Right("cost"),
        Column::Whole("trace"),
    ];
    let rows = results.iter().map(|result| {
        let passed = match (result.passed, &result.error) {
            (_, Some(_)) => "error",
            (Some(true), None) => "yes",
            (Some(false), None) => "no",
            (None, None) => "",
        };
        let answer = result.error.as_ref().or(result.output.as_ref());
        vec![
            result.case.to_string(),
            result.repeat.to_string(),
            passed.to_owned(),
            scores(result),
            cut(result.input.as_deref().unwrap_or_default()),
            cut(answer.map_or("", String::as_str)),
            usd(result.cost.0 as f64 / 1e9),
            result.call.map(|call| call.to_string()).unwrap_or_default(),
        ]
    });
    let none = if asked.failed { "no case failed" } else { "the run has no results yet" };
    show::table(&columns, rows.collect(), none);
    Ok(())
}

fn scores(result: &EvalResult) -> String {
    let one = |score: &gauntlet_ports::Score| {
        let mark = if score.passed == Some(false) { "!" } else { "" };
        match score.value {
            Some(value) => format!("{}={value:.2}{mark}", score.metric),
            None => format!("{}=unscored", score.metric),
        }
    };
    result.scores.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn in_short(metric: &MetricSummary) -> String {
    metric
        .mean
        .map_or_else(|| format!("{} none", metric.metric), |mean| format!("{} {mean:.3}", metric.metric))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

//! `gauntlet eval list`, `show` and `cases`: what runs left. They need no gateway that runs.

use anyhow::Result;
use gauntlet_ports::{EvalGate, EvalResult, EvalRun, MetricSummary, RunState};
use gauntlet_types::{NanoUsd, Timestamp};
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
    let mut found = Reach::new(place)?.get(&format!("/api/v1/evals/runs?{query}"))?;
    if place.json {
        for run in found["runs"].as_array_mut().into_iter().flatten() {
            *run = dressed(run.take());
        }
        show::json(&found);
        return Ok(());
    }
    let answer: Answer = read(found)?;
    let width = show::width();
    let (mut columns, mut cells) = (Vec::new(), Vec::new());
    for (column, least, cell) in shown() {
        if width >= least {
            columns.push(column);
            cells.push(cell);
        }
    }
    let rows = answer.runs.iter().map(|run| cells.iter().map(|cell| cell(run)).collect());
    show::table(&columns, rows.collect(), "no run; `gauntlet eval run SUITE` makes one");
    Ok(())
}

/// A column of the list: its title, from which width of the terminal on there is room for it, and what it shows of a run.
type Shown = (Column, usize, fn(&EvalRun) -> String);

fn shown() -> [Shown; 11] {
    use Column::{Left, Right, Whole};
    [
        (Whole("run"), 0, |run| run.id.to_string()),
        // The id begins with it.
        (Left("suite"), 150, |run| run.suite.to_string()),
        (Left("candidate"), 90, |run| run.candidate.name.to_string()),
        (Left("state"), 0, |run| run.state.as_str().to_owned()),
        (Right("cases"), 100, |run| run.cases.to_string()),
        (Right("passed"), 80, |run| run.passed.to_string()),
        (Right("failed"), 0, |run| run.failed.to_string()),
        (Right("errors"), 70, |run| run.errors.to_string()),
        (Left("metrics"), 120, |run| run.metrics.iter().map(in_short).collect::<Vec<_>>().join("  ")),
        (Right("cost"), 100, |run| usd((run.cost.0 + run.judge_cost.0) as f64 / 1e9)),
        (Left("started"), 140, |run| run.started.to_string()),
    ]
}

/// A run for programs, with what the store has in nano-dollars and microseconds also as dollars and as times.
pub(super) fn dressed(mut run: Value) -> Value {
    for (name, usd) in [("cost", "cost_usd"), ("judge_cost", "judge_cost_usd")] {
        if let Some(nano) = run[name].as_i64() {
            run[usd] = NanoUsd(nano).as_usd().into();
        }
    }
    for (name, at) in [("started", "started_at"), ("ended", "ended_at")] {
        if let Some(micros) = run[name].as_i64() {
            run[at] = Timestamp(micros).to_string().into();
        }
    }
    run
}

pub fn show(place: &Place, id: &str) -> Result<()> {
    let reach = Reach::new(place)?;
    let run = reach.get(&format!("/api/v1/evals/runs/{}", escape(id)))?;
    let mut gates = reach.get(&format!("/api/v1/evals/gates?run={}", escape(id)))?;
    let gates = gates["gates"].take();
    if place.json {
        show::json(&json!({"run": dressed(run), "gates": gates}));
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
    let open = run.cases.saturating_sub(run.passed + run.failed + run.errors);
    let open = match (open, run.state) {
        (0, _) => String::new(),
        (open, RunState::Done) => format!(", {open} open"),
        (open, RunState::Running | RunState::Stopped) => format!(", {open} open or not asked"),
    };
    let counts = format!("{} passed, {} failed, {} errors{open}", run.passed, run.failed, run.errors);
    line("results", &counts);
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
        all.retain(is_worth_a_look);
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
            (None, None) => "open",
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

/// Failed, not answered, or left open by a score that is missing.
fn is_worth_a_look(result: &Value) -> bool {
    let has_gap = || result["scores"].as_array().into_iter().flatten().any(|score| score["value"].is_null());
    result["passed"] == false || !result["error"].is_null() || (result["passed"].is_null() && has_gap())
}

fn scores(result: &EvalResult) -> String {
    let one = |score: &gauntlet_ports::Score| {
        let mark = if score.passed == Some(false) { "!" } else { "" };
        match score.value {
            Some(value) => format!("{}={value:.2}{mark}", score.metric),
            None => {
                let why = score.reason.as_deref().map(|why| format!(" ({})", cut(why))).unwrap_or_default();
                format!("{}=unscored{why}", score.metric)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_for_want_of_a_score_is_among_the_failed() {
        let check = |passed: Value, error: Value, value: Value, wanted: bool| {
            let result = json!({"passed": passed, "error": error, "scores": [{"value": value}]});
            assert_eq!(is_worth_a_look(&result), wanted, "{result}");
        };
        check(json!(true), json!(null), json!(1), false);
        check(json!(false), json!(null), json!(0), true);
        check(json!(null), json!("late"), json!(null), true);
        check(json!(null), json!(null), json!(null), true);
        check(json!(null), json!(null), json!(0.5), false);
        check(json!(true), json!(null), json!(null), false);
    }

    #[test]
    fn programs_get_dollars_and_times_beside_what_is_stored() {
        let run = dressed(
            json!({"cost": 92_000, "judge_cost": 0, "started": 1_777_142_531_000_000_i64, "ended": null}),
        );
        assert_eq!((&run["cost"], &run["cost_usd"]), (&json!(92_000), &json!(0.000092)));
        assert!(run["started_at"].as_str().is_some_and(|at| at.starts_with("2026-04-25T")), "{run}");
        assert!(run.get("ended_at").is_none(), "{run}");
    }

    #[test]
    fn a_list_of_runs_fits_a_narrow_terminal() {
        let at = |width: usize| shown().iter().filter(|(_, least, _)| width >= *least).count();
        assert_eq!((at(60), at(160)), (3, 11));
    }
}

//! What a run came to, for people and for programs.

use std::process::ExitCode;

use anyhow::Result;
use gauntlet_evals::{
    BaselineSpec,
    gate::{
        self, GateInput, GateReport, find,
        report::{Inconclusive, junit, markdown, text},
    },
    run::{Plan, estimate::Forecast},
};
use gauntlet_ports::{EvalResult, EvalRun, EvalStore, RunState};
use serde_json::{Value, json};

use super::{Bench, baseline::Before, brief::Brief, code_of};
use crate::{
    cli::Place,
    command::{
        eval_show::dressed,
        gate::{code, is_stdout, kept, look, write},
    },
    show::{self, Column},
};

/// Of reasons for which scores are missing: there are as many as metrics, or a scorer that writes each anew.
const REASONS_MAX: usize = 10;

pub(super) fn forecast(place: &Place, plan: &Plan<'_>, forecast: &Forecast, note: Option<&str>) {
    if place.json {
        return show::json(&json!({
            "suite": plan.suite.name, "candidate": plan.wanted.name, "cases": plan.cases.len(), "repeats": plan.repeats,
            "calls": forecast.calls, "judge_calls_max": forecast.judge_calls_max,
            "tokens_in_about": forecast.tokens_in_about, "note": note,
        }));
    }
    if let Some(note) = note {
        println!("{note}");
    }
    let cases = show::counted(plan.cases.len(), "case");
    println!("{}: {cases} of {}: {forecast}", plan.suite.name, plan.wanted.name);
}

/// Prints the run and writes its reports; the exit code.
pub(super) fn show(
    bench: &Bench<'_>,
    row: &EvalRun,
    brief: &Brief,
    before: Option<&Before>,
) -> Result<ExitCode> {
    let is_gated = bench.args.baseline.is_some();
    let is_reported = is_gated || bench.args.junit.is_some() || bench.args.markdown.is_some();
    // A run that nobody gates need not wait until its results are read back and decided over.
    let results = if is_reported { bench.store.result_list(&row.id)? } else { Vec::new() };
    let report = is_reported.then(|| decided(bench, row, &results, before));
    // First: whoever has read a verdict may rely on it. One without the suite's baseline is for the eye alone.
    let has_dropped = before.is_none() && bench.suite.gate.baseline != BaselineSpec::None;
    if let Some(Ok(report)) = &report
        && is_gated
        && !has_dropped
    {
        bench.store.gate_put(&kept(report)?)?;
    }
    let latency = brief.latency();
    let files = [&bench.args.junit, &bench.args.markdown];
    if files.into_iter().flatten().any(|path| is_stdout(path)) {
        // What a program reads stands alone.
    } else if bench.place.json {
        let gate = report.as_ref().and_then(|report| report.as_ref().ok()).filter(|_| is_gated);
        let gate = gate.map(serde_json::to_value).transpose()?;
        show::json(&json!({
            "run": dressed(serde_json::to_value(row)?), "latency_us": {"p50": latency.0, "p95": latency.1}, "baseline": before.map(|(row, _)| &row.id),
            "gate": gate,
        }));
    } else {
        print(row, brief, latency);
        match &report {
            Some(Ok(report)) if is_gated => println!("\n{}", text(report, look())),
            Some(Err(why)) if is_gated => eprintln!("there is no verdict: {why:#}"),
            _ => println!("`gauntlet gate {}` says whether it may be released", row.id),
        }
    }
    // After what is told: a run without a report is still a run.
    if let (Some(path), Some(report)) = (&bench.args.junit, &report) {
        write(path, &junit(report.as_ref().map_err(unreported)?, &results, Inconclusive::Fails))?;
    }
    if let (Some(path), Some(report)) = (&bench.args.markdown, &report) {
        write(path, &markdown(report.as_ref().map_err(unreported)?))?;
    }
    Ok(match report {
        Some(Ok(report)) if is_gated => code(report.verdict, false),
        Some(Err(_)) if is_gated => ExitCode::from(2),
        _ => ExitCode::from(code_of(row, brief.has_answers())),
    })
}

fn unreported(error: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("there is no report: {error:#}")
}

/// The gate's word on the run, floors alone without a baseline.
fn decided(
    bench: &Bench<'_>,
    row: &EvalRun,
    results: &[EvalResult],
    before: Option<&Before>,
) -> Result<GateReport> {
    let days = bench.suite.gate.trend.as_ref().map_or(0, |trend| trend.days);
    let history = find::history(&*bench.store, row, days)?;
    let input = GateInput {
        suite: bench.suite,
        run: row,
        results,
        baseline: before.map(|(row, results)| (row, results.as_slice())),
        history: &history,
        standings: &find::standings(&*bench.store, bench.suite)?,
    };
    Ok(gate::decide(&input)?)
}

fn print(row: &EvalRun, brief: &Brief, (p50, p95): (u64, u64)) {
    let state = match row.state {
        RunState::Done => "done",
        RunState::Stopped => "stopped",
        RunState::Running => "broken off",
    };
    let why = row.why.as_ref().map_or_else(String::new, |why| format!(": {}", show::printable(why)));
    println!("{} {state}{why}", row.id);
    println!("{}", counts(row, brief));
    let rows = row.metrics.iter().map(|metric| {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        let interval = match (metric.ci_low, metric.ci_high) {
            (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
            _ => "–".to_owned(),
        };
        vec![
            metric.metric.to_string(),
            number(metric.mean),
            interval,
            metric.scored.to_string(),
            metric.unscored.to_string(),
            metric.implementation.to_string(),
        ]
    });
    let columns = [
        Column::Left("metric"),
        Column::Right("mean"),
        Column::Left("95% interval"),
        Column::Right("scored"),
        Column::Right("unscored"),
        Column::Left("formula"),
    ];
    show::table(&columns, rows.collect(), "The suite has no metrics.");
    println!(
        "cost ${:.4}, judges ${:.4} ({} calls, {} known before); half of the answers within {}, 95% within {}",
        row.cost.as_usd(),
        row.judge_cost.as_usd(),
        row.judge_calls,
        row.judge_cached,
        show::duration_us(&Value::from(p50)),
        show::duration_us(&Value::from(p95)),
    );
    failing(row, brief);
    unscored(row, brief);
    if row.state != RunState::Done {
        println!("`gauntlet eval run {} --resume {}` goes on with it", row.suite, row.id);
    }
}

/// All cases, each in one place.
fn counts(row: &EvalRun, brief: &Brief) -> String {
    let answers = (row.cases as usize) * (row.repeats.max(1) as usize);
    let times = if row.repeats > 1 { format!(" × {} answers", row.repeats) } else { String::new() };
    let decided = (row.passed + row.failed + row.errors) as usize;
    // Neither passed nor failed: a score that decides is missing, or no metric has a threshold.
    let open = brief.cases().saturating_sub(decided);
    let open = if open > 0 { format!(", {open} open") } else { String::new() };
    let missing = answers.saturating_sub(brief.answers());
    let missing =
        if missing > 0 { format!("; {missing} of {answers} answers are missing") } else { String::new() };
    format!(
        "{}: {}{times}, {} passed, {} failed, {}{open}{missing}",
        row.candidate.name,
        show::counted(row.cases as usize, "case"),
        row.passed,
        row.failed,
        show::counted(row.errors as usize, "error"),
    )
}

fn unscored(row: &EvalRun, brief: &Brief) {
    let rows = brief.unscored();
    if rows.is_empty() {
        return;
    }
    let more = rows.len().saturating_sub(REASONS_MAX);
    let columns =
        [Column::Left("unscored"), Column::Right("answers"), Column::Left("why"), Column::Left("first case")];
    show::table(&columns, rows.into_iter().take(REASONS_MAX).collect(), "");
    if more > 0 {
        println!("and {} more: gauntlet eval cases {} --failed", show::counted(more, "reason"), row.id);
    }
}

fn failing(row: &EvalRun, brief: &Brief) {
    let (first, more) = brief.failing();
    if first.is_empty() {
        return;
    }
    let rows = first.into_iter().map(|(case, failing)| {
        vec![case.to_string(), failing.why.clone(), failing.call.clone().unwrap_or_else(|| "–".to_owned())]
    });
    let columns = [Column::Left("failing case"), Column::Left("why"), Column::Whole("trace")];
    show::table(&columns, rows.collect(), "");
    if more > 0 {
        println!("and {more} more: gauntlet eval cases {} --failed", row.id);
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_ports::Score;

    use super::*;

    fn result(case: &str, passed: Option<bool>, error: Option<&str>, reasons: &[&str]) -> EvalResult {
        let score = |reason: &&str| Score {
            metric: "own".into(),
            reason: Some((*reason).to_owned()),
            ..Score::default()
        };
        EvalResult {
            case: case.into(),
            passed,
            error: error.map(str::to_owned),
            scores: reasons.iter().map(score).collect(),
            ..EvalResult::default()
        }
    }

    fn brief(results: &[EvalResult]) -> Brief {
        let mut brief = Brief::default();
        results.iter().for_each(|result| brief.add(result));
        brief
    }

    #[test]
    fn every_case_is_counted_once_and_what_is_missing_is_said() {
        let row = EvalRun {
            candidate: gauntlet_ports::Candidate { name: "m".into(), ..Default::default() },
            cases: 6,
            repeats: 1,
            passed: 1,
            failed: 1,
            errors: 1,
            ..EvalRun::default()
        };
        let results = [
            result("a", Some(true), None, &[]),
            result("b", Some(false), None, &[]),
            result("c", None, Some("late"), &[]),
            result("d", None, None, &["hung"]),
        ];
        assert_eq!(
            counts(&row, &brief(&results)),
            "m: 6 cases, 1 passed, 1 failed, 1 error, 1 open; 2 of 6 answers are missing"
        );
        let row = EvalRun { cases: 1, failed: 0, errors: 0, ..row };
        assert_eq!(counts(&row, &brief(&results[..1])), "m: 1 case, 1 passed, 0 failed, 0 errors");
    }

    #[test]
    fn missing_scores_are_told_by_their_reason() {
        let results = [
            result("a", None, None, &["nonsense"]),
            result("b", None, None, &["hung"]),
            result("c", None, None, &["hung"]),
            result("d", None, Some("late"), &["hung"]),
        ];
        assert_eq!(brief(&results).unscored(), [["own", "2", "hung", "b"], ["own", "1", "nonsense", "a"]]);
    }
}

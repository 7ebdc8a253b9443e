//! Evals on the overview: how each suite does over its last runs, and what failed in the newest of them.

use std::collections::BTreeSet;

use gauntlet_ports::{EvalResult, EvalRun, MetricSummary, SuiteTrend, TrendRun};
use gauntlet_types::Timestamp;
use maud::{Markup, html};

use crate::{
    evals::{state, state_of, value},
    figures::{count, percent, time, time_as},
    paths,
    text::Line,
};

/// Runs that a trend shows.
pub const TREND_RUNS: u32 = 10;
/// Suites with a line of their own; the page of evals has all.
pub const TREND_SUITES: u32 = 8;
/// Failing cases that are listed.
pub const FAILING_MAX: usize = 5;
/// Metrics of a line. A suite that gates by more has them on its page.
const METRICS_MAX: usize = 3;
/// Broken thresholds of one case.
const SCORES_MAX: usize = 2;

#[derive(Clone, Copy, Debug, Default)]
pub struct EvalsGlance<'a> {
    /// The suite that ran last first; runs newest first.
    pub suites: &'a [SuiteTrend],
    /// Of the newest runs.
    pub failing: &'a [FailingCase],
}

/// A case that did not pass, and the run it belongs to.
#[derive(Clone, Debug)]
pub struct FailingCase {
    pub run: EvalRun,
    pub result: EvalResult,
}

/// Those of several runs taken in turns, so that a run with many does not hide the others; each case of a run once.
pub fn failing(runs: Vec<(EvalRun, Vec<EvalResult>)>) -> Vec<FailingCase> {
    let mut queues: Vec<_> = runs
        .into_iter()
        .map(|(run, mut results)| {
            let mut seen = BTreeSet::new();
            results.retain(|result| seen.insert(result.case.clone()));
            (run, results.into_iter())
        })
        .collect();
    let mut failing: Vec<FailingCase> = Vec::new();
    loop {
        let before = failing.len();
        for (run, results) in &mut queues {
            if failing.len() < FAILING_MAX
                && let Some(result) = results.next()
            {
                failing.push(FailingCase { run: run.clone(), result });
            }
        }
        if failing.len() == before {
            return failing;
        }
    }
}

pub(crate) fn panel(now: Timestamp, glance: &EvalsGlance) -> Markup {
    html! {
        section.panel.glance {
            div.line { h2 { "Evals" } @if !glance.suites.is_empty() { a href=(paths::EVALS) { "All runs" } } }
            @if glance.suites.is_empty() {
                p.muted {
                    "No run yet. A suite is a file in " code { "evals/" } " beside its cases; "
                    code { "gauntlet eval run SUITE" } " runs it, and " code { "gauntlet gate SUITE" } " says whether it may be released."
                }
            } @else {
                (suites(now, glance.suites))
                (failing_cases(glance.failing))
            }
        }
    }
}

fn suites(now: Timestamp, suites: &[SuiteTrend]) -> Markup {
    html! {
        div.scroll { table.groups {
            thead { tr {
                th scope="col" { "Suite" span.sub { "candidate" } }
                th scope="col" { "Last " (TREND_RUNS) " runs" span.sub { "green: gate passed, red: failed" } }
                th.n scope="col" { "Cases passed" }
                th scope="col" { "Newest means" span.sub { "95 % interval" } }
                th scope="col" { "Ran" }
            } }
            tbody { @for trend in suites { @if let Some(newest) = trend.runs.first() { (suite(now, trend, newest)) } } }
        } }
    }
}

fn suite(now: Timestamp, trend: &SuiteTrend, newest: &TrendRun) -> Markup {
    let run = &newest.run;
    let (_, said) = state(newest.verdict, run.state);
    html! {
        tr {
            th scope="row" { a href=(paths::evals_of(&trend.suite)) { (Line(&trend.suite)) } span.sub { (Line(&run.candidate.name)) } }
            td {
                span.dots { @for one in trend.runs.iter().rev() { (dot(one)) } }
                span.sub { (said) (state_of(run)) }
            }
            td.n { (percent(run.passed.into(), run.cases.into())) span.sub { (count(run.passed.into())) " of " (count(run.cases.into())) } }
            td { @for metric in gating(newest) { (mean(metric)) } @if run.metrics.is_empty() { span.muted { "–" } } }
            td { (time(run.started, now)) }
        }
    }
}

/// A mark of a run: its colour is the gate's word, and a link says the rest.
fn dot(one: &TrendRun) -> Markup {
    let (class, said) = state(one.verdict, one.run.state);
    let mean = gating(one).next().map(|metric| format!("{} {}, ", metric.metric, value(metric.mean)));
    let when = time_as(one.run.started, "%b %-d, %H:%M");
    let title = format!(
        "{}: {}{} of {} passed, {said}, {when}",
        one.run.candidate.name,
        mean.unwrap_or_default(),
        one.run.passed,
        one.run.cases
    );
    html! { a.dot.(class) href=(paths::eval_run(&one.run.id)) title=(Line(&title)) { span.unseen { (Line(&title)) } } }
}

/// The metrics that the gate looked at; where no gate did, the first ones.
fn gating(one: &TrendRun) -> impl Iterator<Item = &MetricSummary> {
    let is_gated = |metric: &&MetricSummary| one.gated.is_empty() || one.gated.contains(&metric.metric);
    one.run.metrics.iter().filter(is_gated).take(METRICS_MAX)
}

fn mean(metric: &MetricSummary) -> Markup {
    html! {
        p {
            span.muted { (Line(&metric.metric)) " " } b { (value(metric.mean)) }
            @if let (Some(low), Some(high)) = (metric.ci_low, metric.ci_high) {
                span.muted { " " (value(Some(low))) " – " (value(Some(high))) }
            }
            @if metric.unscored > 0 { span.muted { ", " (count(metric.unscored.into())) " unscored" } }
        }
    }
}

fn failing_cases(failing: &[FailingCase]) -> Markup {
    html! {
        h3 { "Failing cases of the newest runs" }
        @if failing.is_empty() { p.muted { "None: every case that has a threshold held it." } } @else {
            ul.failing { @for case in failing { li { (failing_case(case)) } } }
        }
    }
}

fn failing_case(case: &FailingCase) -> Markup {
    let FailingCase { run, result } = case;
    let broken = result.scores.iter().filter(|score| score.passed == Some(false)).take(SCORES_MAX);
    html! {
        p {
            a href=(paths::eval_case(&run.id, &result.case, result.repeat)) { (Line(&result.case)) }
            " " span.muted { (Line(&run.suite)) }
            @if let Some(error) = &result.error { " " span.bad { (Line(error)) } }
            @for score in broken {
                " " span.metric { span.muted { (Line(&score.metric)) " " } span.bad { (value(score.value)) } }
            }
            @if let Some(asked) = &result.input { span.sub dir="auto" { (Line(asked)) } }
        }
        p.where {
            @if let Some(call) = result.call { a href=(paths::trace(call)) { "trace" } " " }
            @if let Some(prompt) = &run.candidate.prompt {
                a href=(paths::prompt_version(&prompt.name, &prompt.version)) { (Line(&prompt.name)) "@" (Line(&prompt.version)) }
            }
        }
    }
}

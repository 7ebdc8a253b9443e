//! Evals: what ran, how each suite does over time, and which runs a gate let through.

use gauntlet_ports::{EvalGate, EvalRun, MetricSummary, RunState, Verdict};
use maud::{Markup, html};

use crate::{
    figures::{count, percent, time, usd},
    paths,
    shell::{Place, Shell, page},
    text::Line,
};

/// Runs of one suite that its trend shows.
const TREND_MAX: usize = 10;
/// Metrics of a run that a list has room for.
const METRICS_MAX: usize = 4;

pub struct EvalsView<'a> {
    /// Newest first.
    pub runs: &'a [EvalRun],
    pub gates: &'a [EvalGate],
    /// The suite that the list is narrowed to.
    pub suite: Option<&'a str>,
}

pub fn evals(shell: &Shell, view: &EvalsView) -> String {
    let body = html! {
        div.title {
            h1 { "Evals" }
            @if let Some(suite) = view.suite {
                span.pill { (Line(suite)) }
                a href=(paths::EVALS) { "All suites" }
            }
        }
        @if view.runs.is_empty() {
            section.panel.empty {
                h2 { "No run yet" }
                p { "A suite is a file in " code { "evals/" } " beside its cases. Run one, and it stands here:" }
                pre { code { "gauntlet eval run SUITE\ngauntlet gate SUITE" } }
            }
        } @else {
            (trends(shell, view))
            (table(shell, view))
        }
    };
    page(shell, Place::Evals, "Evals", body)
}

/// The newest verdict on a run, if a gate looked at it.
pub(crate) fn gate_of<'a>(gates: &'a [EvalGate], run: &str) -> Option<&'a EvalGate> {
    gates.iter().filter(|gate| &*gate.run == run).max_by_key(|gate| gate.at)
}

pub(crate) fn verdict(verdict: Verdict) -> Markup {
    let class = match verdict {
        Verdict::Pass => "good",
        Verdict::Fail => "bad",
        Verdict::Inconclusive => "warn",
    };
    html! { span.pill.(class) { (verdict.as_str()) } }
}

/// Each suite with its last runs, oldest first: how many cases passed, and red or green.
fn trends(shell: &Shell, view: &EvalsView) -> Markup {
    let mut suites: Vec<&str> = view.runs.iter().map(|run| &*run.suite).collect();
    suites.sort_unstable();
    suites.dedup();
    html! {
        section.panel {
            h2 { "Suites" }
            div.scroll { table.groups.whole {
                thead { tr {
                    th scope="col" { "Suite" }
                    th scope="col" { "Last " (TREND_MAX) " runs" }
                    th.n scope="col" { "Cases passed" }
                    th scope="col" { "Gate" }
                    th scope="col" { "Newest" }
                } }
                tbody { @for suite in suites { (trend(shell, view, suite)) } }
            } }
        }
    }
}

fn trend(shell: &Shell, view: &EvalsView, suite: &str) -> Markup {
    let runs: Vec<&EvalRun> = view.runs.iter().filter(|run| &*run.suite == suite).take(TREND_MAX).collect();
    let newest = runs.first();
    html! {
        tr {
            th scope="row" { a href=(paths::evals_of(suite)) { (Line(suite)) } }
            td { span.dots {
                @for run in runs.iter().rev() {
                    @let (class, said) = state(gate_of(view.gates, &run.id).map(|gate| gate.verdict), run.state);
                    a.dot.(class) href=(paths::eval_run(&run.id))
                        title={ (Line(&run.candidate.name)) ": " (said) @if is_judged_by_case(run) { ", " (run.passed) " of " (run.cases) " passed" } } {
                        span.unseen { (said) }
                    }
                }
            } }
            @if let Some(run) = newest {
                td.n {
                    @if is_judged_by_case(run) { (percent(run.passed.into(), run.cases.into())) span.sub { (count(run.passed.into())) " of " (count(run.cases.into())) } }
                    @else { "–" span.sub { (count(run.cases.into())) " cases" } }
                }
                td { @if let Some(gate) = gate_of(view.gates, &run.id) { (verdict(gate.verdict)) } @else { span.muted { "–" } } }
                td { (time(run.started, shell.now)) span.sub { (Line(&run.candidate.name)) } }
            }
        }
    }
}

/// A dot's class and what it means.
pub(crate) fn state(verdict: Option<Verdict>, run: RunState) -> (&'static str, &'static str) {
    match (verdict, run) {
        (Some(Verdict::Pass), _) => ("good", "passed its gate"),
        (Some(Verdict::Fail), _) => ("bad", "failed its gate"),
        (Some(Verdict::Inconclusive), _) => ("warn", "its gate could not tell"),
        (None, RunState::Done) => ("plain", "no gate looked at it"),
        (None, RunState::Running) => ("open", "not finished"),
        (None, RunState::Stopped) => ("open", "stopped early"),
    }
}

fn table(shell: &Shell, view: &EvalsView) -> Markup {
    html! {
        section.panel {
            h2 { "Runs" }
            div.scroll { table.groups.whole {
                thead { tr {
                    th scope="col" { "Started" }
                    th scope="col" { "Suite" span.sub { "commit" } }
                    th scope="col" { "Candidate" }
                    th.n scope="col" { "Passed" span.sub { "of" } }
                    th scope="col" { "Metrics" }
                    th.n scope="col" { "Cost" span.sub { "judges" } }
                    th scope="col" { "Gate" }
                    th scope="col" { "Compare" }
                } }
                tbody {
                    @for (at, run) in view.runs.iter().enumerate() {
                        @let before = view.runs[at + 1..].iter().find(|other| other.suite == run.suite);
                        (line(shell, view, run, before))
                    }
                }
            } }
        }
    }
}

fn line(shell: &Shell, view: &EvalsView, run: &EvalRun, before: Option<&EvalRun>) -> Markup {
    html! {
        tr data-row {
            td { a href=(paths::eval_run(&run.id)) data-open { (time(run.started, shell.now)) } (state_of(run)) }
            td { (Line(&run.suite)) @if run.is_fast { " " span.pill title="a part of the cases" { "part" } } @if let Some(sha) = &run.app_sha { span.sub { (short(sha)) } } }
            td { (Line(&run.candidate.name)) }
            td.n { (passed(run)) span.sub { (count(run.cases.into())) } @if run.errors > 0 { span.sub.bad { (count(run.errors.into())) " errors" } } }
            td { (metrics(&run.metrics)) }
            td.n title={ (run.cost) " USD" } { (usd(run.cost)) span.sub { (usd(run.judge_cost)) } }
            td { @if let Some(gate) = gate_of(view.gates, &run.id) { (verdict(gate.verdict)) } @else { span.muted { "–" } } }
            td { @if let Some(before) = before { a href=(paths::eval_compare(&before.id, &run.id)) { "with the one before" } } @else { span.muted { "–" } } }
        }
    }
}

/// Whether any case can pass or fail: of a suite without thresholds none can, and 0 passed would read as all failed.
pub(crate) fn is_judged_by_case(run: &EvalRun) -> bool {
    run.passed + run.failed > 0
}

pub(crate) fn passed(run: &EvalRun) -> String {
    if is_judged_by_case(run) { count(run.passed.into()) } else { "–".to_owned() }
}

pub(crate) fn state_of(run: &EvalRun) -> Markup {
    html! {
        @match run.state {
            RunState::Done => {}
            RunState::Running => { " " span.pill { "not finished" } }
            RunState::Stopped => { " " span.pill.warn { "stopped" } }
        }
    }
}

/// A commit, as people write it.
pub(crate) fn short(sha: &str) -> String {
    sha.chars().take(10).collect()
}

fn metrics(metrics: &[MetricSummary]) -> Markup {
    html! {
        @for metric in metrics.iter().take(METRICS_MAX) {
            span.metric { span.muted { (Line(&metric.metric)) } " " (value(metric.mean)) } " "
        }
        @if metrics.len() > METRICS_MAX { span.muted { "and " (metrics.len() - METRICS_MAX) " more" } }
    }
}

/// Three decimals; what has no score has no figure either.
pub(crate) fn value(value: Option<f64>) -> String {
    value.map_or_else(|| "unscored".to_owned(), |value| format!("{value:.3}"))
}

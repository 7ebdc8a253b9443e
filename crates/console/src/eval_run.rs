//! One run: its figures, what its gate said, and its cases, the worst first, each with its trace.

use gauntlet_ports::{Direction, EvalGate, EvalResult, EvalRun, Score};
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    evals::{is_judged_by_case, passed, short, state_of, value, verdict},
    figures::{count, duration, time, usd},
    paths,
    shell::{Place, Shell, page},
    text::{Line, Room},
};

/// Cases on one page: as many as anybody reads.
const CASES_MAX: usize = 200;
/// Bytes for the texts of all of them.
const TEXTS_ROOM: usize = 400_000;
const TEXT_MAX: usize = 400;

pub struct EvalRunView<'a> {
    pub run: &'a EvalRun,
    /// The newest.
    pub gate: Option<&'a EvalGate>,
    pub results: &'a [EvalResult],
    /// Other runs of the suite to compare with, newest first.
    pub others: &'a [EvalRun],
    pub failed_only: bool,
}

pub fn eval_run(shell: &Shell, view: &EvalRunView) -> String {
    let run = view.run;
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href=(paths::EVALS) { "Evals" } " / " a href=(paths::evals_of(&run.suite)) { (Line(&run.suite)) } }
        div.title { h1 { (Line(&run.candidate.name)) } @if let Some(gate) = view.gate { (verdict(gate.verdict)) } (state_of(run)) }
        @if let Some(why) = &run.why { p.banner.warn role="note" { (Line(why)) } }
        (figures(view))
        dl.ids {
            div { dt { "Run" } dd { code.id { (Line(&run.id)) } } }
            div { dt { "Started" } dd { (time(run.started, shell.now)) } }
            @if let Some(sha) = &run.app_sha { div { dt { "Commit" } dd { code { (short(sha)) } } } }
            @if let Some(prompt) = &run.candidate.prompt {
                div { dt { "Prompt" } dd { a href=(paths::prompt(&prompt.name)) { (Line(&prompt.name)) "@" (Line(&prompt.version)) } } }
            }
            @if let Some(model) = &run.candidate.model { div { dt { "Model" } dd { (Line(model)) } } }
            div { dt { "Traces" } dd { a href=(paths::traces_of_eval(&run.id)) { "all calls of this run" } } }
        }
        @if let Some(gate) = view.gate { (gate_panel(gate)) }
        (metrics(run))
        (compare(view))
        (cases(view))
    };
    page(shell, Place::Evals, &run.candidate.name, body)
}

fn figures(view: &EvalRunView) -> Markup {
    let run = view.run;
    let mut latencies: Vec<u64> =
        view.results.iter().filter(|result| result.error.is_none()).map(|result| result.latency_us).collect();
    latencies.sort_unstable();
    // Nearest rank.
    let at = |share: f64| {
        latencies.get(((latencies.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied()
    };
    html! {
        dl.figures {
            div { dt { "Passed" } dd.value { (passed(run)) } dd.week { "of " (count(run.cases.into())) " cases" } }
            div { dt { "Failed" } dd.value { @if is_judged_by_case(run) { (count(run.failed.into())) } @else { "–" } } }
            div { dt { "Errors" } dd.value { (count(run.errors.into())) } }
            div { dt { "Cost" } dd.value title={ (run.cost) " USD" } { (usd(run.cost)) } dd.week { "judges " (usd(run.judge_cost)) } }
            div { dt { "Judge calls" } dd.value { (count(run.judge_calls.into())) } dd.week { (count(run.judge_cached.into())) " known already" } }
            div {
                dt { "Latency" }
                dd.value { @if let Some(p50) = at(0.5) { (duration(p50)) } @else { "–" } }
                dd.week { "p95 " @if let Some(p95) = at(0.95) { (duration(p95)) } @else { "–" } }
            }
        }
    }
}

/// What the gate looked at, as its report tells it.
fn gate_panel(gate: &EvalGate) -> Markup {
    let checks = gate.report["checks"].as_array().map_or(&[][..], Vec::as_slice);
    html! {
        section.panel {
            h2 { "Gate " (verdict(gate.verdict)) }
            p { (Line(&gate.summary)) }
            @if let Some(baseline) = &gate.baseline { p.muted { "Baseline: " a href=(paths::eval_run(baseline)) { (Line(baseline)) } } }
            @if !checks.is_empty() {
                div.scroll { table.groups.whole {
                    thead { tr { th scope="col" { "Check" } th scope="col" { "Verdict" } th scope="col" { "Why" } } }
                    tbody { @for check in checks { (check_line(check)) } }
                } }
            }
        }
    }
}

fn check_line(check: &Value) -> Markup {
    let text = |name: &str| check[name].as_str().unwrap_or_default();
    html! {
        tr {
            th scope="row" { (Line(&text("kind").replace('_', " "))) @if let Some(metric) = check["metric"].as_str() { span.sub { (Line(metric)) } } }
            td { @match gauntlet_ports::Verdict::parse(text("verdict")) { Some(known) => (verdict(known)), None => (Line(text("verdict"))) } }
            td { (Line(text("reason"))) }
        }
    }
}

fn metrics(run: &EvalRun) -> Markup {
    html! {
        section.panel {
            h2 { "Metrics" }
            @if run.metrics.is_empty() { p.muted { "Nothing was scored yet." } } @else {
                div.scroll { table.groups.whole {
                    thead { tr {
                        th scope="col" { "Metric" }
                        th.n scope="col" { "Mean" }
                        th.n scope="col" { "95 % interval" }
                        th.n scope="col" { "Scored" }
                        th.n scope="col" { "Unscored" }
                        th scope="col" { "Formula" }
                    } }
                    tbody { @for metric in &run.metrics { tr {
                        th scope="row" {
                            (Line(&metric.metric))
                            @if metric.direction == Direction::LowerIsBetter { span.sub { "lower is better" } }
                        }
                        td.n { (value(metric.mean)) }
                        td.n { @if let (Some(low), Some(high)) = (metric.ci_low, metric.ci_high) { (format!("{low:.3} – {high:.3}")) } @else { "–" } }
                        td.n { (count(metric.scored.into())) }
                        td.n { @if metric.unscored > 0 { span.bad { (count(metric.unscored.into())) } } @else { "0" } }
                        td { code { (Line(&metric.implementation)) } }
                    } } }
                } }
            }
        }
    }
}

fn compare(view: &EvalRunView) -> Markup {
    html! {
        @if !view.others.is_empty() {
            form.panel.months method="get" action=(paths::EVAL_COMPARE) {
                label for="a" { "Compare with" }
                select #a name="a" { @for other in view.others {
                    option value=(other.id) { (Line(&other.candidate.name)) " · " (Line(&other.id)) }
                } }
                input type="hidden" name="b" value=(view.run.id);
                button.quiet { "Compare" }
            }
        }
    }
}

/// Errors first, then what failed, then the rest; within each by the worst score.
fn cases(view: &EvalRunView) -> Markup {
    let mut shown: Vec<&EvalResult> = view
        .results
        .iter()
        .filter(|result| !view.failed_only || result.passed == Some(false) || result.error.is_some())
        .collect();
    shown.sort_by_key(|result| (result.error.is_none(), result.passed != Some(false)));
    let all = shown.len();
    let mut room = Room::of(TEXTS_ROOM);
    html! {
        section.panel {
            div.line {
                h2 { "Cases" }
                span.ranges {
                    a aria-current=[(!view.failed_only).then_some("true")] href=(paths::eval_run(&view.run.id)) { "all" }
                    a aria-current=[view.failed_only.then_some("true")] href={ (paths::eval_run(&view.run.id)) "?failed=1" } { "failed" }
                }
            }
            @if shown.is_empty() { p.muted { "None." } } @else {
                div.scroll { table.groups.whole.cases {
                    thead { tr { th scope="col" { "Case" } th scope="col" { "Result" } th scope="col" { "Asked, answered" } th scope="col" { "Scores" } th scope="col" { "Trace" } } }
                    tbody { @for result in shown.iter().take(CASES_MAX) { (case(result, &mut room)) } }
                } }
                @if all > CASES_MAX { p.cut { "The first " (CASES_MAX) " of " (count(all as u64)) ". " code { "gauntlet eval cases" } " prints all." } }
            }
        }
    }
}

fn case(result: &EvalResult, room: &mut Room) -> Markup {
    let mut said = |label: &str, text: &Option<String>| {
        let Some(text) = text else { return html! {} };
        let (shown, cut) = room.take(text, TEXT_MAX);
        html! { p { span.muted { (label) " " } span dir="auto" { (shown) @if cut { "…" } } } }
    };
    let texts = html! { (said("asked", &result.input)) (said("expected", &result.expected)) (said("answered", &result.output)) };
    html! {
        tr id=(paths::case_anchor(&result.case, result.repeat)) {
            th scope="row" { (Line(&result.case)) @if result.repeat > 0 { span.sub { "repeat " (result.repeat + 1) } } }
            td {
                @match (&result.error, result.passed) {
                    (Some(error), _) => { span.outcome.bad { "error" } span.sub.bad { (Line(error)) } }
                    (None, Some(true)) => span.outcome.good { "passed" },
                    (None, Some(false)) => span.outcome.bad { "failed" },
                    (None, None) => span.muted { "scored" },
                }
            }
            td { (texts) }
            td { @for score in &result.scores { (one_score(score)) } }
            td { @if let Some(call) = result.call { a href=(paths::trace(call)) { "open" } } @else { span.muted { "–" } } }
        }
    }
}

fn one_score(score: &Score) -> Markup {
    html! {
        p {
            span.muted { (Line(&score.metric)) " " }
            span.bad[score.passed == Some(false)] { (value(score.value)) }
            @if let Some(reason) = &score.reason { span.sub { (Line(reason)) } }
        }
    }
}

//! Two runs side by side: what got worse stands on top.

use gauntlet_ports::EvalRun;
use gauntlet_types::CallId;
use maud::{Markup, html};

use crate::{
    evals::value,
    figures::{count, p_value, signed, usd},
    paths,
    shell::{Place, Shell, page},
    text::{Line, Room},
};

const CASES_MAX: usize = 200;
const TEXTS_ROOM: usize = 400_000;
const TEXT_MAX: usize = 400;

/// A metric of both runs, over the cases that both have. Differences are second minus first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MetricPair {
    pub metric: String,
    pub first: Option<f64>,
    pub second: Option<f64>,
    pub difference: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    pub p_value: Option<f64>,
    pub lower_is_better: bool,
    pub pairs: u32,
}

/// A case of both runs whose scores differ.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CasePair {
    pub case: String,
    /// Of the metric that changed most, and by how much for the better.
    pub metric: String,
    pub gain: f64,
    pub first_output: Option<String>,
    pub second_output: Option<String>,
    pub first_call: Option<CallId>,
    pub second_call: Option<CallId>,
}

pub struct EvalCompareView<'a> {
    pub first: &'a EvalRun,
    pub second: &'a EvalRun,
    pub metrics: &'a [MetricPair],
    /// The greatest loss first.
    pub cases: &'a [CasePair],
    /// What makes the two hard to compare: other cases, another suite.
    pub warnings: &'a [String],
}

pub fn eval_compare(shell: &Shell, view: &EvalCompareView) -> String {
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href=(paths::EVALS) { "Evals" } " / " a href=(paths::evals_of(&view.second.suite)) { (Line(&view.second.suite)) } }
        div.title { h1 { "Two runs compared" } }
        @for warning in view.warnings { p.banner.warn role="note" { (Line(warning)) } }
        (metrics(view))
        (cases(view))
    };
    page(shell, Place::Evals, "Two runs compared", body)
}

fn metrics(view: &EvalCompareView) -> Markup {
    let head = |run: &EvalRun| html! { a href=(paths::eval_run(&run.id)) { (Line(&run.candidate.name)) } };
    html! {
        section.panel {
            div.scroll { table.groups.whole {
                thead { tr {
                    th scope="col" { "Metric" }
                    th.n scope="col" { (head(view.first)) span.sub { "first" } }
                    th.n scope="col" { (head(view.second)) span.sub { "second" } }
                    th.n scope="col" { "Difference" }
                    th.n scope="col" { "95 % interval" }
                    th.n scope="col" { "p" }
                    th.n scope="col" { "Pairs" }
                } }
                tbody {
                    @for pair in view.metrics { (metric(pair)) }
                    tr {
                        th scope="row" { "Cost" }
                        td.n { (usd(view.first.cost)) }
                        td.n { (usd(view.second.cost)) }
                        td.n colspan="4" { }
                    }
                }
            } }
        }
    }
}

fn metric(pair: &MetricPair) -> Markup {
    // The whole interval on one side of nothing: a difference that is there.
    let class = match (pair.ci_low, pair.ci_high) {
        (Some(low), _) if low > 0.0 => {
            if pair.lower_is_better {
                "bad"
            } else {
                "good"
            }
        }
        (_, Some(high)) if high < 0.0 => {
            if pair.lower_is_better {
                "good"
            } else {
                "bad"
            }
        }
        _ => "plain",
    };
    html! {
        tr {
            th scope="row" { (Line(&pair.metric)) @if pair.lower_is_better { span.sub { "lower is better" } } }
            td.n { (value(pair.first)) }
            td.n { (value(pair.second)) }
            td.n { @if let Some(difference) = pair.difference { span.pill.(class) { (signed(difference)) } } @else { "–" } }
            td.n { @if let (Some(low), Some(high)) = (pair.ci_low, pair.ci_high) { (signed(low)) " – " (signed(high)) } @else { "–" } }
            td.n { @if let Some(p) = pair.p_value { (p_value(p)) } @else { "–" } }
            td.n { (count(pair.pairs.into())) }
        }
    }
}

fn cases(view: &EvalCompareView) -> Markup {
    let mut room = Room::of(TEXTS_ROOM);
    html! {
        section.panel {
            h2 { "Cases that differ" }
            @if view.cases.is_empty() { p.muted { "None: every case that both runs have scored the same." } } @else {
                div.scroll { table.groups.whole.cases {
                    thead { tr { th scope="col" { "Case" } th.n scope="col" { "Change" } th scope="col" { "First answer" } th scope="col" { "Second answer" } } }
                    tbody { @for pair in view.cases.iter().take(CASES_MAX) { (case(pair, &mut room)) } }
                } }
                @if view.cases.len() > CASES_MAX { p.cut { "The first " (CASES_MAX) " of " (count(view.cases.len() as u64)) "." } }
            }
        }
    }
}

fn case(pair: &CasePair, room: &mut Room) -> Markup {
    let mut answer = |text: &Option<String>, call: Option<CallId>| {
        let (shown, cut) = room.take(text.as_deref().unwrap_or("–"), TEXT_MAX);
        html! {
            p dir="auto" { (shown) @if cut { "…" } }
            @if let Some(call) = call { a href=(paths::trace(call)) { "trace" } }
        }
    };
    let (first, second) =
        (answer(&pair.first_output, pair.first_call), answer(&pair.second_output, pair.second_call));
    html! {
        tr {
            th scope="row" { (Line(&pair.case)) span.sub { (Line(&pair.metric)) } }
            td.n { span.pill.(if pair.gain < 0.0 { "bad" } else { "good" }) { (signed(pair.gain)) } }
            td { (first) }
            td { (second) }
        }
    }
}

//! The waterfall of a whole trace: a line a step, indented as the tree goes, each where its own clock puts it.

use gauntlet_types::{SpanId, TraceId};
use maud::{Markup, html};

use crate::{
    charts::round,
    figures::{count, count_short, duration, usd},
    paths,
    text::Line,
    tree::{Shown, Step, Tree, What},
};

/// Deeper steps are indented no further: names would leave the page.
const INDENT_MAX: u32 = 12;

/// What is shown of a tree, and of which trace.
pub struct Steps<'a> {
    pub trace: TraceId,
    pub tree: &'a Tree<'a>,
    pub shown: &'a [Shown],
    /// The step that the page is about.
    pub current: Option<SpanId>,
}

pub fn steps(view: &Steps) -> Markup {
    let whole = view.tree.took_us.max(1);
    // Told once, in the head of the page; a step tells where it is another's.
    let service = view.tree.root().and_then(|step| step.what.span()).map_or("", |span| &span.service);
    html! {
        ol.fall.steps id="steps" {
            @for shown in view.shown {
                @match *shown {
                    Shown::Step(at) => @if let Some(step) = view.tree.steps.get(at) { (line(view, step, whole, service)) },
                    Shown::Gap { from, count: steps } => li.gap {
                        a href=(paths::trace_from(view.trace, from)) {
                            (count(steps as u64)) @if steps == 1 { " more step" } @else { " more steps" }
                        }
                    },
                }
            }
        }
        p.axis { span { "0" } span { (duration(whole / 2)) } span { (duration(whole)) } }
    }
}

fn line(view: &Steps, step: &Step, whole: u64, service: &str) -> Markup {
    let what = step.what;
    let is_current = what.id().is_some() && what.id() == view.current;
    let name = what.name();
    // Attempts and tools have no id of their own: their call tells of them.
    let link = what.id().or(what.parent()).map(|id| paths::step(view.trace, id));
    html! {
        li data-row aria-current=[is_current.then_some("true")] {
            div class={ "name d" (step.depth.min(INDENT_MAX)) } {
                (kind(what.kind()))
                " "
                a href=[link] data-open {
                    @if name.is_empty() { "(no name)" } @else { (Line(&name)) }
                }
                @if what.is_error() { " " span.pill.bad { "error" } }
                @if step.depth > INDENT_MAX { " " span.muted.small { "depth " (step.depth) } }
                (more(&what, service))
                @for words in step.notes.words() { span.sub.warn { (words) } }
            }
            (bar(step, whole))
            span.n.figures-of {
                (duration(step.took_us))
                @if let Some((tokens_in, tokens_out)) = what.tokens() {
                    span.sub { (count_short(tokens_in.into())) " → " (count_short(tokens_out.into())) }
                }
                @if let Some(cost) = what.cost().filter(|cost| cost.0 != 0) { span.sub { (usd(cost)) } }
            }
        }
    }
}

/// A mark and the word: a mark alone is a riddle.
pub fn kind(kind: &str) -> Markup {
    // Only names of ours become class names.
    let (class, mark) = match kind {
        "gateway" => ("gateway", "◆"),
        "attempt" => ("attempt", "↻"),
        "llm" => ("llm", "L"),
        "embedding" => ("llm", "E"),
        "chain" => ("chain", "C"),
        "retriever" => ("retriever", "R"),
        "reranker" => ("retriever", "↕"),
        "tool" => ("tool", "T"),
        "agent" => ("agent", "A"),
        "guardrail" => ("guardrail", "G"),
        "evaluator" => ("guardrail", "V"),
        "prompt" => ("chain", "P"),
        _ => ("other", "·"),
    };
    html! { span class={ "kind " (class) } { i aria-hidden="true" { (mark) } (kind) } }
}

/// What tells steps of one name apart.
fn more(what: &What, usual_service: &str) -> Markup {
    let mut words: Vec<&str> = Vec::new();
    match what {
        What::Span(row) => {
            words.extend(row.record.tool.as_deref().filter(|tool| **tool != *row.record.name));
            words.extend(row.record.model.as_deref());
            words.extend(
                Some(&*row.record.service).filter(|service| !service.is_empty() && *service != usual_service),
            );
        }
        What::Call(call) => {
            words.extend(what.model());
            words.push(call.outcome.as_str());
            words.extend(call.tool_calls.iter().take(3).map(|tool| tool.name.as_str()));
        }
        What::Attempt(_, attempt) => words.extend(attempt.error.as_deref()),
        What::Tool(tool) => {
            words.push(tool.arguments);
            words.push(tool.output.unwrap_or("no result seen"));
        }
    }
    html! {
        @if !words.is_empty() {
            span.sub { @for (at, word) in words.iter().enumerate() { @if at > 0 { " · " } (Line(word)) } }
        }
    }
}

fn bar(step: &Step, whole: u64) -> Markup {
    let share = |micros: u64| micros.min(whole) as f64 * 100.0 / whole as f64;
    // Two in a thousand is about one pixel: short steps stay visible, also at the very end.
    let x = share(step.start_us).min(99.8);
    let width = share(step.took_us).max(0.2).min(100.0 - x);
    let class = match step.what {
        what if what.is_error() => "broken",
        What::Call(_) => "answered",
        What::Attempt(..) => "model",
        What::Span(_) | What::Tool(_) => "own",
    };
    let label = format!("starts at {}, takes {}", duration(step.start_us), duration(step.took_us));
    html! {
        svg.time role="img" aria-label=(label) width="100%" height="14" {
            title { (label) }
            rect.track y="6.5" width="100%" height="1" {}
            rect class=(class) x={ (round(x)) "%" } y="1" width={ (format!("{width:.2}")) "%" } height="12" rx="2" {}
        }
    }
}

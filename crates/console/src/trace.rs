//! The page of one call: how it ended, where the time went, what was said, and everything known about it.

use gauntlet_ports::StoredCall;
use gauntlet_types::CallRecord;
use maud::{Markup, html};

use crate::{
    chat::pretty,
    conversation::conversation,
    facts::facts,
    figures::{count, duration, duration_or_dash, usd},
    paths,
    query::link_to,
    shell::{Place, Shell, page},
    steps::{Steps, steps},
    text::{Line, Room},
    traces::{decision, outcome},
    tree::Tree,
    waterfall::waterfall,
};

/// Bytes for the conversation, and for each raw text below it: together with the rest the page stays under 60 KB.
const CONVERSATION_ROOM: usize = 22_000;
const RAW_ROOM: usize = 5_000;
/// Steps of its trace beside a call; the trace has a page of its own.
const STEPS_MAX: usize = 20;

pub struct TraceView<'a> {
    pub call: &'a StoredCall,
    /// The same with its texts in chat's words, whatever dialect they are in.
    pub said: &'a StoredCall,
    /// Its trace.
    pub tree: &'a Tree<'a>,
}

pub fn trace(shell: &Shell, view: &TraceView) -> String {
    let record = &view.call.record;
    let mut room = Room::of(CONVERSATION_ROOM);
    let body = html! {
        p.crumbs { a href=(paths::TRACES) { "Traces" } " / " span { (record.id) } }
        (head(shell, record))
        div.columns.wide {
            div {
                (waterfall(record))
                (conversation(view.said, &mut room))
                (related(view))
                (raw(view.call))
            }
            div { (facts(record)) }
        }
    };
    page(shell, Place::Traces, &format!("{} {}", record.route, record.id), body)
}

fn head(shell: &Shell, record: &CallRecord) -> Markup {
    let model =
        record.target.as_ref().map_or_else(|| record.model_asked.to_string(), |target| target.to_string());
    html! {
        div.title {
            h1 {
                @if record.route.is_empty() { "Call" } @else {
                    a href=(link_to(|f| f.route = Some(record.route.to_string()))) { (Line(&record.route)) }
                }
            }
            (outcome(record.outcome))
            (decision(record.decision.as_str()))
            p.muted { (crate::figures::time(record.started, shell.now)) }
        }
        @if record.error.is_some() || record.error_message.is_some() {
            p.banner.bad role="note" {
                @if let Some(code) = record.error {
                    a href=(link_to(|f| f.error = Some(code.as_str().to_owned()))) { code { (code.as_str()) } } " "
                }
                @if let Some(text) = &record.error_message { (Line(text)) }
            }
        }
        dl.figures {
            div { dt { "Cost" } dd.value title={ (record.cost) " USD" } { (usd(record.cost)) } }
            div { dt { "Latency" } dd.value { (duration(record.latency_us)) } }
            div { dt { "First token" } dd.value { (duration_or_dash(record.first_token_us)) } }
            div {
                dt { "Tokens in → out" }
                dd.value {
                    @if record.usage.estimated { "~" }
                    (count(record.usage.input_total().0.into())) " → " (count(record.usage.output_total().0.into()))
                }
            }
            div { dt { "Attempts" } dd.value { (record.attempts.len()) } }
            div.grow {
                dt { "Model" }
                dd.value { a href=(link_to(|f| {
                    let name = record.target.as_ref().map_or(&record.model_asked, |target| &target.model);
                    f.model = Some(name.to_string());
                })) { (Line(&model)) } }
            }
        }
        dl.ids {
            div { dt { "Request id" } dd { (copyable(&record.id.to_string())) } }
            div { dt { "Trace id" } dd { (copyable(&record.trace_id.to_string())) } }
        }
    }
}

fn copyable(text: &str) -> Markup {
    html! {
        code.id { (text) }
        button.quiet type="button" data-copy=(text) aria-label={ "Copy " (text) } hidden { "Copy" }
    }
}

/// The trace that this call is part of; nothing where it is all there is.
fn related(view: &TraceView) -> Markup {
    let this = &view.call.record;
    let sums = view.tree.sums();
    if sums.spans + sums.calls < 2 {
        return html! {};
    }
    let at = view.tree.position(this.span_id);
    let shown = view.tree.overview(STEPS_MAX, at);
    html! {
        section.panel {
            h2 { "Its trace" }
            (steps(&Steps { trace: this.trace_id, tree: view.tree, shown: &shown, current: Some(this.span_id) }))
            p.muted { a href=(paths::whole_trace(this.trace_id)) { "The whole trace" } }
        }
    }
}

fn raw(call: &StoredCall) -> Markup {
    let record = serde_json::to_string_pretty(&call.record).unwrap_or_default();
    let texts = [
        ("Record", record),
        ("Request body, redacted", pretty(&String::from_utf8_lossy(&call.input))),
        ("Answer body, redacted", pretty(&String::from_utf8_lossy(&call.output))),
    ];
    html! {
        section.panel {
            h2 { "Raw JSON" }
            @for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
                details { summary { (name) } (Room::of(RAW_ROOM).code(text)) }
            }
        }
    }
}

//! The page of a whole trace: what an application did and what of it went through here, as one tree; and one step of it.

use gauntlet_ports::{StoredCall, StoredSpan};
use gauntlet_types::{SpanId, SpanKind, TraceId};
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    chat::pretty,
    conversation::{conversation, said},
    figures::{count, duration, time, usd},
    paths,
    query::link_to,
    shell::{Place, Shell, page},
    span_query,
    steps::{Steps, kind, steps},
    text::{Line, Room},
    tree::Tree,
    waterfall::waterfall,
};

/// Steps on one page: some 150 KB.
const STEPS_MAX: usize = 200;
/// Bytes for what went in and out of a step, and for what its sender says of it.
const TEXTS_ROOM: usize = 40_000;
const FACTS_ROOM: usize = 20_000;
const RAW_ROOM: usize = 10_000;
/// Characters of one attribute.
const VALUE_MAX: usize = 600;
const ATTRIBUTES_MAX: usize = 200;
const EVENTS_MAX: usize = 50;
const DOCUMENTS_MAX: usize = 100;

/// The step that is open.
pub enum Opened<'a> {
    Span(&'a StoredSpan),
    Call(&'a StoredCall),
    /// Asked for, and not there.
    Missing(SpanId),
}

pub struct WholeView<'a> {
    pub trace: TraceId,
    pub tree: &'a Tree<'a>,
    /// False where the trace has more than was looked at.
    pub is_all: bool,
    /// Where the list of steps begins; none for the beginning with what matters further down.
    pub from: Option<usize>,
    pub opened: Option<Opened<'a>>,
}

pub fn whole_trace(shell: &Shell, view: &WholeView) -> String {
    let tree = view.tree;
    let current = match &view.opened {
        Some(Opened::Span(span)) => Some(span.record.span_id),
        Some(Opened::Call(call)) => Some(call.record.span_id),
        Some(Opened::Missing(_)) | None => None,
    };
    let shown = match view.from {
        Some(from) => tree.window(from, STEPS_MAX),
        None => tree.overview(STEPS_MAX, current.and_then(|id| tree.position(id))),
    };
    let name = tree.root().map(|step| step.what.name()).unwrap_or_default();
    let body = html! {
        p.crumbs { a href=(paths::TRACES) { "Traces" } " / " span { (view.trace) } }
        (head(shell, view, &name))
        div.columns.tree[view.opened.is_some()] {
            section.panel {
                h2 { "Steps" }
                @if view.from.is_some() {
                    p.small { a href=(paths::whole_trace(view.trace)) { "← From the start" } }
                }
                (steps(&Steps { trace: view.trace, tree, shown: &shown, current }))
            }
            @match &view.opened {
                Some(Opened::Span(span)) => (span_pane(shell, span)),
                Some(Opened::Call(call)) => (call_pane(call)),
                Some(Opened::Missing(id)) => section.panel id="step" {
                    h2 { "Not there" }
                    p { "This trace has no step " code { (id) } ", or it has not arrived yet." }
                },
                None => {},
            }
        }
    };
    page(shell, Place::Traces, &format!("{name} {}", view.trace), body)
}

fn head(shell: &Shell, view: &WholeView, name: &str) -> Markup {
    let tree = view.tree;
    let sums = tree.sums();
    let root = tree.root().map(|step| step.what);
    let service = root.and_then(|what| what.span()).map(|span| &span.service).filter(|name| !name.is_empty());
    let session = root.and_then(|what| what.span()).and_then(|span| span.caller.session.as_ref());
    let has_said = sums.said_cost.0 != 0 || sums.said_tokens_in + sums.said_tokens_out > 0;
    html! {
        div.title {
            h1 { @if name.is_empty() { "Trace" } @else { (Line(name)) } }
            @if let Some(service) = service {
                a.pill href=(span_query::link_to(|f| f.service = Some(service.to_string()))) { (Line(service)) }
            }
            @if root.is_some_and(|what| what.is_error()) { span.outcome.bad { "failed" } }
            @else if sums.errors > 0 { span.outcome.warn { "ok, with errors in it" } }
            @else { span.outcome.good { "ok" } }
            p.muted { (time(tree.started, shell.now)) }
        }
        @if !view.is_all {
            p.banner.warn role="note" { "This trace has more steps than are looked at; some are left out here." }
        }
        dl.figures {
            div { dt { "Duration" } dd.value { (duration(tree.took_us)) } }
            div { dt { "Spans" } dd.value { (count(sums.spans as u64)) } }
            div { dt { "Calls through here" } dd.value { (count(sums.calls as u64)) } }
            div { dt { "Errors" } dd.value.bad[sums.errors > 0] { (count(sums.errors as u64)) } }
            div { dt { "Cost of calls" } dd.value title={ (sums.cost) " USD" } { (usd(sums.cost)) } }
            div { dt { "Tokens of calls" } dd.value { (count(sums.tokens_in)) " → " (count(sums.tokens_out)) } }
            @if has_said {
                div title="As the application says of its own spans; counted in no budget, and calls may be told in it again" {
                    dt { "Said by spans" }
                    dd.value { (usd(sums.said_cost)) }
                    dd.muted.small { (count(sums.said_tokens_in)) " → " (count(sums.said_tokens_out)) " tokens" }
                }
            }
        }
        dl.ids {
            div { dt { "Trace id" } dd { code.id { (view.trace) } } }
            @if let Some(session) = session {
                div { dt { "Session" } dd {
                    a href=(span_query::link_to(|f| f.session = Some(session.to_string()))) { (Line(session)) }
                } }
            }
            div { dt { "Lists" } dd {
                a href=(span_query::link_to(|f| f.trace_id = Some(view.trace))) { "spans" }
                a href=(link_to(|f| f.trace_id = Some(view.trace))) { "calls" }
            } }
        }
    }
}

fn call_pane(call: &StoredCall) -> Markup {
    let mut room = Room::of(TEXTS_ROOM);
    html! {
        div id="step" {
            section.panel {
                h2 { (kind("gateway")) " " a href=(paths::trace(call.record.id)) { (Line(&call.record.route)) } }
                p.muted { "A call through this gateway. " a href=(paths::trace(call.record.id)) { "Everything about it" } }
            }
            (waterfall(&call.record))
            (conversation(call, &mut room))
        }
    }
}

fn span_pane(shell: &Shell, span: &StoredSpan) -> Markup {
    let record = &span.record;
    let mut room = Room::of(TEXTS_ROOM);
    // The answer first: it is what one opens a step for.
    let is_tool = record.kind == SpanKind::Tool;
    let output = text(&span.output, is_tool, &mut room);
    let input = text(&span.input, is_tool, &mut room);
    let rest = serde_json::from_slice::<Value>(&span.rest).ok();
    html! {
        div id="step" {
            section.panel {
                h2 { (kind(record.kind.as_str())) " " (Line(&record.name)) }
                @if record.is_error || record.error_message.is_some() {
                    p.banner.bad role="note" { (Line(record.error_message.as_deref().unwrap_or("failed"))) }
                }
                (facts(shell, span))
            }
            @if !record.documents.is_empty() { (documents(span)) }
            @if !span.input.is_empty() {
                section.panel { h2 { @if is_tool { "Arguments" } @else { "Input" } } (input) }
            }
            @if !span.output.is_empty() {
                section.panel { h2 { @if is_tool { "Result" } @else { "Output" } } (output) }
            }
            @if let Some(rest) = &rest { (told(rest)) }
            section.panel {
                h2 { "Raw JSON" }
                details {
                    summary { "Record" }
                    (Room::of(RAW_ROOM).code(&serde_json::to_string_pretty(record).unwrap_or_default()))
                }
                @for (name, bytes) in [("Input", &span.input), ("Output", &span.output), ("Everything else", &span.rest)] {
                    @if !bytes.is_empty() {
                        details {
                            summary { (name) }
                            (Room::of(RAW_ROOM).code(&pretty(&String::from_utf8_lossy(bytes))))
                        }
                    }
                }
            }
        }
    }
}

fn text(bytes: &[u8], is_tool: bool, room: &mut Room) -> Markup {
    if is_tool {
        return room.code(&pretty(&String::from_utf8_lossy(bytes)));
    }
    said(bytes, room)
}

fn facts(shell: &Shell, span: &StoredSpan) -> Markup {
    let record = &span.record;
    let usage = &record.usage;
    let caller = &record.caller;
    let tokens = (usage.input_total().0, usage.output_total().0);
    let plain = [
        ("Service", Some(record.service.as_str())),
        ("Made by", record.scope.as_deref()),
        ("Provider", record.provider.as_deref()),
        ("Model", record.model.as_deref()),
        ("Tool", record.tool.as_deref()),
        ("Tenant", Some(caller.tenant.as_str())),
        ("User", caller.user.as_deref()),
        ("Session", caller.session.as_deref()),
        ("Environment", Some(caller.environment.as_str())),
    ];
    html! {
        dl.facts {
            dt { "Starts" } dd { (time(record.started, shell.now)) }
            dt { "Takes" } dd { (duration(record.took_us)) }
            @for (name, value) in plain {
                @if let Some(value) = value.filter(|value| !value.is_empty()) { dt { (name) } dd { (Line(value)) } }
            }
            @if tokens != (0, 0) {
                dt { "Tokens, as it says" } dd { (count(tokens.0.into())) " → " (count(tokens.1.into())) }
            }
            @if let Some(cost) = record.cost { dt { "Cost, as it says" } dd title={ (cost) " USD" } { (usd(cost)) } }
            dt { "Span id" } dd { code.id { (record.span_id) } }
            @if let Some(parent) = record.parent_span_id {
                dt { "Parent" } dd { a href=(paths::step(record.trace_id, parent)) { code { (parent) } } }
            }
        }
    }
}

fn documents(span: &StoredSpan) -> Markup {
    let documents = &span.record.documents;
    html! {
        section.panel {
            h2 { "Documents" }
            div.scroll { table {
                thead { tr { th.n scope="col" { "#" } th scope="col" { "Document" } th.n scope="col" { "Score" } } }
                tbody { @for (at, document) in documents.iter().take(DOCUMENTS_MAX).enumerate() {
                    tr {
                        td.n { (at + 1) }
                        td.said-by { (Line(&document.id)) }
                        td.n { @match document.score {
                            Some(score) => (format!("{score:.4}")),
                            None => "–",
                        } }
                    }
                } }
            } }
            @if documents.len() > DOCUMENTS_MAX { p.cut { (documents.len() - DOCUMENTS_MAX) " more documents." } }
        }
    }
}

/// Everything the sender said beside it: attributes, resource, events, links.
fn told(rest: &Value) -> Markup {
    let mut room = Room::of(FACTS_ROOM);
    html! {
        @for (title, field) in [("Attributes", "attributes"), ("Resource", "resource")] {
            @if let Some(Value::Object(map)) = rest.get(field).filter(|value| value.as_object().is_some_and(|map| !map.is_empty())) {
                section.panel {
                    h2 { (title) }
                    (table(map, &mut room))
                }
            }
        }
        @for (title, field) in [("Events", "events"), ("Links", "links")] {
            @if let Some(Value::Array(list)) = rest.get(field).filter(|value| value.as_array().is_some_and(|list| !list.is_empty())) {
                section.panel {
                    h2 { (title) }
                    @for one in list.iter().take(EVENTS_MAX) {
                        details open[list.len() == 1] {
                            summary { (Line(one.get("name").and_then(Value::as_str).unwrap_or(field))) }
                            (room.code(&serde_json::to_string_pretty(one).unwrap_or_default()))
                        }
                    }
                    @if list.len() > EVENTS_MAX { p.cut { (list.len() - EVENTS_MAX) " more." } }
                }
            }
        }
    }
}

fn table(map: &serde_json::Map<String, Value>, room: &mut Room) -> Markup {
    html! {
        div.scroll { table.attributes { tbody {
            @for (name, value) in map.iter().take(ATTRIBUTES_MAX) {
                @let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                @let (shown, is_cut) = room.take(&shown, VALUE_MAX);
                tr { th scope="row" { (Line(name)) } td.said-by dir="auto" { (shown) @if is_cut { "…" } } }
            }
        } } }
        @if map.len() > ATTRIBUTES_MAX { p.cut { (map.len() - ATTRIBUTES_MAX) " more; the raw JSON has them." } }
    }
}

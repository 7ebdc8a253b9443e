//! The page of one call: how it ended, where the time went, what was said, and everything known about it.

use gauntlet_ports::{StoredCall, TraceRow};
use gauntlet_types::{CallRecord, Timestamp};
use maud::{Markup, html};

use crate::{
    charts::round,
    chat::pretty,
    conversation::conversation,
    facts::facts,
    figures::{count, duration, duration_or_dash, usd},
    paths,
    query::link_to,
    shell::{Place, Shell, page},
    text::{Line, Room},
    traces::{decision, outcome},
    waterfall::waterfall,
};

/// Bytes for the conversation, and for each raw text below it: together with the rest the page stays under 60 KB.
const CONVERSATION_ROOM: usize = 22_000;
const RAW_ROOM: usize = 5_000;
const RELATED_MAX: usize = 20;

pub struct TraceView<'a> {
    pub call: &'a StoredCall,
    /// Calls of the same trace, this one included or not, in any order.
    pub related: &'a [TraceRow],
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
                (conversation(view.call, &mut room))
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

fn related(view: &TraceView) -> Markup {
    let this = &view.call.record;
    let mut rows: Vec<&TraceRow> = view.related.iter().collect();
    rows.sort_by_key(|row| (row.started, row.id));
    let end = |start: Timestamp, latency: u64| start.0.saturating_add_unsigned(latency);
    let first = rows.iter().map(|row| row.started.0).min().unwrap_or(this.started.0).min(this.started.0);
    let last = rows.iter().map(|row| end(row.started, row.latency_us)).max().unwrap_or(0);
    let whole = (last.max(end(this.started, this.latency_us)).saturating_sub(first)).max(1) as f64;
    let is_alone = rows.iter().all(|row| row.id == this.id);
    html! {
        @if !is_alone {
            section.panel {
                h2 { "Same trace" }
                div.scroll { table.related {
                    thead { tr {
                        th scope="col" { "Call" } th scope="col" { "Outcome" } th.when scope="col" { "When" }
                        th.n scope="col" { "Latency" } th.n scope="col" { "Cost" }
                    } }
                    tbody { @for row in rows.iter().take(RELATED_MAX) {
                        @let x = row.started.0.saturating_sub(first) as f64 * 100.0 / whole;
                        @let width = (row.latency_us as f64 * 100.0 / whole).clamp(0.4, 100.0);
                        tr aria-current=[(row.id == this.id).then_some("true")] {
                            th scope="row" {
                                @if row.id == this.id { (Line(&row.route)) " (this call)" } @else {
                                    a href=(paths::trace(row.id)) { (Line(&row.route)) }
                                }
                                span.sub { (Line(&row.model)) }
                            }
                            td { (outcome(row.outcome)) }
                            td { svg.time aria-hidden="true" width="100%" height="14" {
                                rect.track y="6.5" width="100%" height="1" {}
                                rect.model x={ (round(x.min(100.0 - width))) "%" } y="1" width={ (round(width)) "%" }
                                    height="12" rx="2" {}
                            } }
                            td.n { (duration(row.latency_us)) }
                            td.n { (usd(row.cost)) }
                        }
                    } }
                } }
                p.muted { a href=(link_to(|f| f.trace_id = Some(this.trace_id))) { "All calls of this trace" } }
            }
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

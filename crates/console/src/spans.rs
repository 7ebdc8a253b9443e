//! The list of spans that applications sent: narrow it, read it, open one in its trace.

use gauntlet_ports::{SpanCursor, SpanRow};
use gauntlet_types::SpanKind;
use maud::{Markup, html};

use crate::{
    figures::{duration, time, usd},
    paths,
    query::Range,
    shell::{Place, Shell, page},
    span_query::SpanQuery,
    steps::kind,
    text::{Line, Room},
    traces::{Kind, Tab, choice, field, tabs},
};

/// Characters of a preview in a row, and bytes for all of them, as in the list of calls.
const PREVIEW_MAX: usize = 90;
const PREVIEWS_ROOM: usize = 200_000;

pub struct SpansView<'a> {
    pub query: &'a SpanQuery,
    pub rows: &'a [SpanRow],
    /// The place after the last row, if there may be older ones.
    pub next: Option<SpanCursor>,
}

pub fn spans(shell: &Shell, view: &SpansView) -> String {
    let body = html! {
        div.title {
            h1 { "Traces" }
            p.muted { kbd { "j" } " " kbd { "k" } " move, " kbd { "Enter" } " opens, " kbd { "/" } " searches" }
        }
        (tabs(Tab::Spans))
        (form(view))
        @for problem in view.query.problems.iter().take(5) {
            p.banner.warn role="alert" { "Not applied: " (Line(problem)) }
        }
        @if view.rows.is_empty() {
            section.panel.empty {
                @if view.query.link(|_| {}) == paths::SPANS {
                    h2 { "No spans yet" }
                    p { "Send OpenTelemetry spans of your application here, and the whole of a trace is shown beside its calls." }
                } @else {
                    h2 { "No span matches" }
                    p { "Widen the filter, or look at a longer time. " a href=(paths::SPANS) { "Show all spans" } }
                }
            }
        } @else {
            (table(shell, view.rows))
            nav.pages aria-label="Pages" {
                @if view.query.filter.before.is_some() {
                    a href=(view.query.link(|q| q.filter.before = None)) { "← Newest" }
                }
                @if let Some(next) = view.next {
                    a rel="next" href=(view.query.link(|q| q.filter.before = Some(next))) { "Older →" }
                } @else { span.muted { "These are the oldest." } }
            }
        }
    };
    page(shell, Place::Traces, "Spans", body)
}

fn form(view: &SpansView) -> Markup {
    let filter = &view.query.filter;
    let kinds = SpanKind::ALL.map(|kind| kind.as_str().to_owned());
    let yes = ["true".to_owned()];
    let is = |set: bool| set.then_some("true");
    let ranged = view.query.last.is_some();
    let at = |at: Option<gauntlet_types::Timestamp>| {
        at.filter(|_| !ranged).map(|at| crate::figures::time_as(at, "%Y-%m-%dT%H:%M:%S")).unwrap_or_default()
    };
    let trace_id = filter.trace_id.map(|id| id.to_string()).unwrap_or_default();
    let texts = [
        ("service", "Service", &filter.service),
        ("name", "Name", &filter.name),
        ("session", "Session", &filter.session),
        ("user", "User", &filter.user),
    ];
    let tenant = filter.tenant.as_deref().unwrap_or_default();
    let bounds = [("since", "From (UTC)", at(filter.since)), ("until", "Until (UTC)", at(filter.until))];
    let rare_set =
        bounds.iter().filter(|(_, _, value)| !value.is_empty()).count() + usize::from(!trace_id.is_empty());
    html! {
        form.filter.panel method="get" action=(paths::SPANS) role="search" aria-label="Filter spans" data-lean {
            div.fields {
                @for (name, label, value) in texts {
                    (field(name, label, value.as_deref().unwrap_or_default(), Kind::Text))
                }
                (choice("kind", "Kind", filter.kind.map(|kind| kind.as_str()), &kinds))
                (choice("roots", "Only roots", is(filter.roots), &yes))
                (choice("errors", "Only errors", is(filter.errors), &yes))
            }
            details open[rare_set > 0] {
                summary { "More" @if rare_set > 0 { span.pill { (rare_set) } } }
                div.fields {
                    (field("tenant", "Tenant", tenant, Kind::Text))
                    (field("trace_id", "Trace id", &trace_id, Kind::Text))
                    @for (name, label, value) in &bounds { (field(name, label, value, Kind::Time)) }
                }
            }
            @if let Some(range) = view.query.last { input type="hidden" name="last" value=(range.as_str()); }
            @if filter.limit > 0 { input type="hidden" name="limit" value=(filter.limit); }
            div.actions {
                button { "Filter" }
                a href=(paths::SPANS) { "Clear" }
                span.ranges role="group" aria-label="Time range" {
                    @let is_free = !ranged && filter.since.is_none() && filter.until.is_none();
                    @for range in Range::ALL {
                        a aria-current=[(view.query.last == Some(range)).then_some("true")]
                            href=(view.query.link(|q| { q.last = Some(range); unbound(q); })) { (range.as_str()) }
                    }
                    a aria-current=[is_free.then_some("true")]
                        href=(view.query.link(|q| { q.last = None; unbound(q); })) { "all" }
                }
            }
        }
    }
}

/// A new range starts at its first page.
fn unbound(query: &mut SpanQuery) {
    let filter = &mut query.filter;
    (filter.since, filter.until, filter.before) = (None, None, None);
}

fn table(shell: &Shell, rows: &[SpanRow]) -> Markup {
    let mut room = Room::of(PREVIEWS_ROOM);
    html! {
        div.panel.flush { table.calls.spans {
            thead { tr {
                th scope="col" { "Time" }
                th scope="col" { "Kind" }
                th scope="col" { "Name" span.sub { "service" } }
                th scope="col" { "User" span.sub { "session" } }
                th scope="col" { "Input → output" }
                th.n scope="col" { "Cost" span.sub { "as it says" } }
                th.n scope="col" { "Took" }
            } }
            tbody { @for row in rows { (line(shell, row, &mut room)) } }
        } }
    }
}

fn line(shell: &Shell, row: &SpanRow, room: &mut Room) -> Markup {
    let record = &row.record;
    let caller = &record.caller;
    let (input, input_cut) = room.take(&row.input_preview, PREVIEW_MAX);
    let (output, output_cut) = room.take(&row.output_preview, PREVIEW_MAX);
    html! {
        tr data-row {
            td.when { a href=(paths::step(record.trace_id, record.span_id)) data-open { (time(record.started, shell.now)) } }
            td.how { (kind(record.kind.as_str())) @if record.is_error { " " span.pill.bad { "error" } } }
            td.what { (Line(&record.name)) span.sub { (Line(&record.service)) } }
            td.who {
                @if let Some(user) = &caller.user { (Line(user)) } @else { span.muted { "–" } }
                @if let Some(session) = &caller.session { span.sub { (Line(session)) } }
            }
            td.said {
                @if let Some(error) = &record.error_message { span.bad { (Line(error)) } }
                span.in dir="auto" { (input) @if input_cut { "…" } }
                span.out dir="auto" { (output) @if output_cut { "…" } }
            }
            td.n.cost { @if let Some(cost) = record.cost { (usd(cost)) } }
            td.n.took { (duration(record.took_us)) }
        }
    }
}

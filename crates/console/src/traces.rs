//! The list of calls: narrow it, read it, open one.

use gauntlet_ports::{TraceCursor, TraceFilter, TraceRow};
use gauntlet_types::{Environment, NanoUsd, Outcome, Timestamp};
use maud::{Markup, html};

use crate::{
    figures::{count_short, duration, time, usd},
    paths,
    query::{ListQuery, Range},
    shell::{Place, Shell, page},
    text::{Line, Room},
};

/// Characters of a preview in a row: a line on a wide screen, two on a narrow one. The store cuts at 200.
const PREVIEW_MAX: usize = 90;
/// Bytes for the previews of one page, so that 1000 rows asked for still make a page that opens at once.
const PREVIEWS_ROOM: usize = 200_000;
/// What a ready view calls slow, and what dear: ten seconds, ten cents.
const SLOW_MS: u64 = 10_000;
const DEAR: NanoUsd = NanoUsd(100_000_000);

pub struct TracesView<'a> {
    pub query: &'a ListQuery,
    pub rows: &'a [TraceRow],
    /// Where older ones begin, if there may be any.
    pub next: Option<TraceCursor>,
    /// Up to where was looked, if looking further would have taken too long.
    pub looked_back_to: Option<Timestamp>,
    pub facets: Facets<'a>,
}

/// Values to choose from. A field without any is a plain text field.
#[derive(Clone, Copy, Default)]
pub struct Facets<'a> {
    pub routes: &'a [String],
    pub models: &'a [String],
    pub tenants: &'a [String],
}

pub fn traces(shell: &Shell, view: &TracesView) -> String {
    let filter = &view.query.filter;
    let is_paged = filter.before.is_some() || filter.after.is_some();
    let body = html! {
        div.title {
            h1 { "Traces" }
            p.muted { kbd { "j" } " " kbd { "k" } " move, " kbd { "Enter" } " opens, " kbd { "/" } " searches" }
        }
        (tabs(Tab::Calls))
        (form(view))
        (ready(view))
        @for problem in view.query.problems.iter().take(5) {
            p.banner.warn role="alert" { "Not applied: " (Line(problem)) }
        }
        @if view.rows.is_empty() {
            @if view.query.link(|_| {}) == paths::TRACES {
                (first_call("No calls yet"))
            } @else {
                section.panel.empty {
                    h2 { "No call matches" }
                    p {
                        @if let Some(at) = view.looked_back_to {
                            "Looked back to " (time(at, shell.now)) ". "
                            a rel="next" href=(older(view)) { "Look further back →" } " "
                        } @else if is_paged { "There is nothing older under this filter. " } @else {
                            "Widen the filter, or look at a longer time. "
                        }
                        a href=(paths::TRACES) { "Show all calls" }
                    }
                }
            }
        } @else {
            (table(shell, view.rows))
            nav.pages aria-label="Pages" {
                @if is_paged {
                    a href=(view.query.link(|q| { q.filter.before = None; q.filter.after = None; })) { "← Newest" }
                }
                @if view.next.is_some() {
                    @if let Some(at) = view.looked_back_to { span.muted { "Looked back to " (time(at, shell.now)) ". " } }
                    a rel="next" href=(older(view)) { "Older →" }
                } @else { span.muted { "These are the oldest." } }
            }
        }
    };
    page(shell, Place::Traces, "Traces", body)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Calls,
    Spans,
    Sessions,
    Users,
}

/// The lists of what was traced.
pub fn tabs(here: Tab) -> Markup {
    let tabs = [
        (Tab::Calls, paths::TRACES, "Calls"),
        (Tab::Spans, paths::SPANS, "Spans of applications"),
        (Tab::Sessions, paths::SESSIONS, "Sessions"),
        (Tab::Users, paths::USERS, "Users"),
    ];
    html! {
        nav.tabs aria-label="Lists" {
            @for (tab, path, name) in tabs {
                a href=(path) aria-current=[(tab == here).then_some("page")] { (name) }
            }
        }
    }
}

fn older(view: &TracesView) -> String {
    view.query.link(|q| {
        q.filter.before = view.next;
        q.filter.after = None;
    })
}

/// Views that are asked for often, each a change of the one that is shown.
fn ready(view: &TracesView) -> Markup {
    type Change = fn(&mut TraceFilter);
    let views: [(&str, Change); 6] = [
        ("Failed", |filter| filter.outcome = Some(Outcome::Failed)),
        ("Slow", |filter| filter.latency_ms_min = Some(SLOW_MS)),
        ("Dear", |filter| filter.cost_min = Some(DEAR)),
        ("Blocked", |filter| filter.outcome = Some(Outcome::Blocked)),
        ("Refused", |filter| filter.outcome = Some(Outcome::Refused)),
        ("Cache hits", |filter| filter.cache = Some("exact".to_owned())),
    ];
    let here = view.query.link(first_page);
    html! {
        nav.ranges.ready aria-label="Ready views" {
            @for (name, change) in views {
                @let there = view.query.link(|q| { first_page(q); change(&mut q.filter); });
                a aria-current=[(there == here).then_some("true")] href=(there) { (name) }
            }
        }
    }
}

fn first_page(query: &mut ListQuery) {
    (query.filter.before, query.filter.after) = (None, None);
}

fn form(view: &TracesView) -> Markup {
    let filter = &view.query.filter;
    let environments = Environment::ALL.map(|environment| environment.as_str().to_owned());
    let outcomes = Outcome::ALL.map(|outcome| outcome.as_str().to_owned());
    let decisions = ["allow", "flag", "redact", "block"].map(str::to_owned);
    let shown = |value: Option<String>| value.unwrap_or_default();
    let ranged = view.query.last.is_some();
    // Times are shown without a zone, as `datetime-local` wants them; they are read as UTC again.
    let at = |at: Option<gauntlet_types::Timestamp>| {
        at.filter(|_| !ranged).map(|at| crate::figures::time_as(at, "%Y-%m-%dT%H:%M:%S")).unwrap_or_default()
    };
    let rare = [
        ("session", "Session", shown(filter.session.clone())),
        ("provider", "Provider", shown(filter.provider.clone())),
        ("tag", "Tag", shown(filter.tag.clone())),
        ("status", "Status", shown(filter.status.map(|status| status.to_string()))),
        ("cache", "Cache (off, miss, exact)", shown(filter.cache.clone())),
        ("prompt_name", "Prompt", shown(filter.prompt_name.clone())),
        ("prompt_version", "Prompt version", shown(filter.prompt_version.clone())),
        ("error", "Error code", shown(filter.error.clone())),
        ("team", "Team", shown(filter.team.clone())),
        ("key", "Key", shown(filter.key.clone())),
        ("eval_id", "Eval", shown(filter.eval_id.clone())),
        ("app_sha", "App commit", shown(filter.app_sha.clone())),
        ("id", "Request id", shown(filter.id.map(|id| id.to_string()))),
        ("trace_id", "Trace id", shown(filter.trace_id.map(|id| id.to_string()))),
        ("cost_min", "Cost from (USD)", shown(filter.cost_min.map(|cost| cost.to_string()))),
        ("cost_max", "Cost to (USD)", shown(filter.cost_max.map(|cost| cost.to_string()))),
        ("latency_ms_min", "Latency from (ms)", shown(filter.latency_ms_min.map(|ms| ms.to_string()))),
        ("latency_ms_max", "Latency to (ms)", shown(filter.latency_ms_max.map(|ms| ms.to_string()))),
    ];
    let bounds = [("since", "From (UTC)", at(filter.since)), ("until", "Until (UTC)", at(filter.until))];
    let rare_set = rare.iter().chain(&bounds).filter(|(_, _, value)| !value.is_empty()).count();
    html! {
        form.filter.panel method="get" action=(paths::TRACES) role="search" aria-label="Filter calls" data-lean {
            div.fields {
                (field("text", "Words, \"a phrase\", begin*, -without, or r_…", filter.text.as_deref().unwrap_or_default(), Kind::Search))
                (choice("route", "Route", filter.route.as_deref(), view.facets.routes))
                (choice("model", "Model", filter.model.as_deref(), view.facets.models))
                (choice("tenant", "Tenant", filter.tenant.as_deref(), view.facets.tenants))
                (field("user", "User", filter.user.as_deref().unwrap_or_default(), Kind::Text))
                (choice("outcome", "Outcome", filter.outcome.map(|outcome| outcome.as_str()), &outcomes))
                (choice("decision", "Guard", filter.decision.as_deref(), &decisions))
                (choice("environment", "Environment", filter.environment.as_deref(), &environments))
            }
            details open[rare_set > 0] {
                summary { "More filters" @if rare_set > 0 { span.pill { (rare_set) } } }
                div.fields {
                    @for (name, label, value) in &rare { (field(name, label, value, Kind::Text)) }
                    @for (name, label, value) in &bounds { (field(name, label, value, Kind::Time)) }
                }
            }
            @if let Some(range) = view.query.last { input type="hidden" name="last" value=(range.as_str()); }
            @if filter.limit > 0 { input type="hidden" name="limit" value=(filter.limit); }
            div.actions {
                button { "Filter" }
                a href=(paths::TRACES) { "Clear" }
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
fn unbound(query: &mut ListQuery) {
    let filter = &mut query.filter;
    (filter.since, filter.until, filter.before, filter.after) = (None, None, None, None);
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Search,
    Time,
}

pub fn field(name: &str, label: &str, value: &str, kind: Kind) -> Markup {
    let shape = match kind {
        Kind::Text => "text",
        Kind::Search => "search",
        Kind::Time => "datetime-local",
    };
    html! {
        label.wide[kind != Kind::Text] {
            span { (label) }
            input type=(shape) name=(name) value=(value) data-search[kind == Kind::Search]
                step=[(kind == Kind::Time).then_some("1")] autocomplete="off" spellcheck="false";
        }
    }
}

pub fn choice(name: &str, label: &str, value: Option<&str>, values: &[String]) -> Markup {
    if values.is_empty() {
        return field(name, label, value.unwrap_or_default(), Kind::Text);
    }
    let is_listed = value.is_none_or(|value| values.iter().any(|listed| listed == value));
    html! {
        label {
            span { (label) }
            select name=(name) {
                option value="" { "any" }
                // A link may name a value that no list knows; it must not get lost when the form is sent again.
                @if !is_listed { @if let Some(value) = value { option value=(value) selected { (Line(value)) } } }
                @for listed in values {
                    option value=(listed) selected[value == Some(listed.as_str())] { (Line(listed)) }
                }
            }
        }
    }
}

fn table(shell: &Shell, rows: &[TraceRow]) -> Markup {
    let mut room = Room::of(PREVIEWS_ROOM);
    html! {
        div.panel.flush { table.calls {
            thead { tr {
                th scope="col" { "Time" }
                th scope="col" { "Outcome" }
                th scope="col" { "Route" span.sub { "model" } }
                th scope="col" { "User" span.sub { "tenant" } }
                th scope="col" { "Input → output" }
                th.n scope="col" { "Tokens" span.sub { "in → out" } }
                th.n scope="col" { "Cost" }
                th.n scope="col" { "Latency" span.sub { "first token" } }
                th scope="col" { "Guard" }
                th scope="col" { "Cache" }
            } }
            tbody { @for row in rows { (line(shell, row, &mut room)) } }
        } }
    }
}

fn line(shell: &Shell, row: &TraceRow, room: &mut Room) -> Markup {
    let (input, input_cut) = room.take(&row.input_preview, PREVIEW_MAX);
    let (output, output_cut) = room.take(&row.output_preview, PREVIEW_MAX);
    html! {
        tr data-row {
            td.when { a href=(paths::trace(row.id)) data-open { (time(row.started, shell.now)) } }
            td.how { (outcome(row.outcome)) @if let Some(error) = &row.error { span.sub.bad { (Line(error)) } } }
            td.what {
                (Line(&row.route))
                span.sub {
                    (Line(&row.model))
                    @if row.environment != "prod" { " " span.pill { (Line(&row.environment)) } }
                }
            }
            td.who {
                @if let Some(user) = &row.user { (Line(user)) } @else { span.muted { "–" } }
                span.sub { (Line(&row.tenant)) }
            }
            td.said {
                span.in dir="auto" { (input) @if input_cut { "…" } }
                span.out dir="auto" { (output) @if output_cut { "…" } }
            }
            td.n.tokens title=[row.usage_estimated.then_some("counted by the gateway, since the provider did not say")] {
                @if row.usage_estimated { "~" }
                (count_short(row.tokens_in.into())) " → " (count_short(row.tokens_out.into()))
            }
            td.n.cost title={ (row.cost) " USD" } { (usd(row.cost)) }
            td.n.took {
                (duration(row.latency_us))
                @if let Some(first) = row.first_token_us { span.sub { (duration(first)) } }
            }
            td.guard { (decision(&row.decision)) }
            td.cache { @if row.cache == "exact" || row.cache == "semantic" { span.pill.good { "hit" } } @else { span.muted { (Line(&row.cache)) } } }
        }
    }
}

/// A dot and the word: colour alone tells some people nothing.
pub fn outcome(outcome: Outcome) -> Markup {
    let class = match outcome {
        Outcome::Ok => "good",
        Outcome::Canned | Outcome::Cancelled | Outcome::Refused => "warn",
        Outcome::Blocked | Outcome::Failed | Outcome::Interrupted => "bad",
    };
    html! { span class={ "outcome " (class) } { (outcome.as_str()) } }
}

/// A pill for what guards decided; nothing to see is nothing shown.
pub fn decision(decision: &str) -> Markup {
    let class = match decision {
        "allow" => return html! { span.muted { "allow" } },
        "flag" | "redact" => "pill warn",
        _ => "pill bad",
    };
    html! { span class=(class) { (Line(decision)) } }
}

/// What to do when there is nothing to show.
pub fn first_call(title: &str) -> Markup {
    html! {
        section.panel.empty {
            h2 { (title) }
            p { "Point an OpenAI SDK's base URL at this gateway, or send the first call by hand:" }
            pre { code {
                "curl " span data-origin { "http://127.0.0.1:8787" } "/v1/chat/completions \\\n"
                "  -H \"authorization: Bearer $GAUNTLET_KEY\" -H \"content-type: application/json\" \\\n"
                "  -H \"x-gauntlet-route: hello\" \\\n"
                "  -d '{\"model\": \"gpt-4o-mini\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'"
            } }
            p.muted { "It shows up here shortly after it ends." }
        }
    }
}

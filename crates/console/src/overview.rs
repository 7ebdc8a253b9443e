//! The one calm page: what today costs, how it goes, what is close to its limit.

use std::cmp::Reverse;

use gauntlet_ports::{Event, Kill, KillKind, Overview, OverviewRow};
use gauntlet_types::{Measure, NanoUsd, Timestamp};
use maud::{Markup, html};

use crate::{
    charts::{self, Bar},
    evals_glance::{self, EvalsGlance},
    events,
    figures::{count, count_short, duration, duration_or_dash, percent, span, time, time_as, usd},
    last_hour, paths,
    query::link_to,
    shell::{Place, Shell, csrf, page},
    text::Line,
    traces::first_call,
};

/// Rows of one table; the rest is a number. Keeps the page small whatever the number of routes.
const ROWS_MAX: usize = 10;
/// Budgets listed, the fullest first: a budget per user may mean thousands.
const BUDGETS_MAX: usize = 16;
const WARNINGS_MAX: usize = 10;
const KILLS_MAX: usize = 20;

const HOUR_US: i64 = 3_600_000_000;

pub struct OverviewView<'a> {
    /// From midnight UTC, when daily budgets turn, until now.
    pub today: &'a Overview,
    /// The last 60 minutes by the minute: `TraceStore::overview(now - 59 min, now + 1 min, Grain::Minute)`.
    pub last_hour: &'a Overview,
    /// The last 24 hours by the hour: `TraceStore::overview(now - 23 h, now + 1 h, Grain::Hour)`'s `series`.
    pub hours: &'a [(Timestamp, OverviewRow)],
    /// Seven days up to now, today included, with `series` by the day.
    pub week: &'a Overview,
    pub budgets: Vec<BudgetLine>,
    pub kills: &'a [Kill],
    /// The latest, newest first.
    pub events: &'a [Event],
    pub evals: EvalsGlance<'a>,
    /// What an operator should know: unpriced models, a spool that lags, a store that was down.
    pub warnings: Vec<String>,
    /// A simulated provider takes part, so that some of the figures are not real money.
    pub sim: bool,
}

/// One budget in its present period.
#[derive(Clone, Debug)]
pub struct BudgetLine {
    /// The rule, as `route_user_daily`.
    pub scope: String,
    /// Its subject, as `support_bot/ann`; may be empty.
    pub key: String,
    pub measure: Measure,
    /// Nano-dollars, tokens or requests; by all replicas, as far as known.
    pub spent: i64,
    /// Reserved by calls in flight.
    pub held: i64,
    pub cap: i64,
    /// When the period turns; none for a budget that never does.
    pub resets: Option<Timestamp>,
}

pub fn overview(shell: &Shell, view: &OverviewView) -> String {
    let is_empty = view.week.total.calls == 0 && view.today.total.calls == 0;
    let body = html! {
        div.title {
            h1 { "Overview" }
            p.muted { "Today since 00:00 UTC. " span data-live-note hidden { "Updates every 10 s" } }
        }
        div data-live {
            @if view.sim {
                p.banner.warn role="note" {
                    "A simulated provider is in use: its answers are made up, and its spend is not real money."
                }
            }
            @for warning in view.warnings.iter().take(WARNINGS_MAX) { p.banner.warn role="note" { (Line(warning)) } }
            @if !view.kills.is_empty() { (kills(shell, view.kills)) }
            @if is_empty {
                (first_call("No calls in the last seven days"))
            } @else {
                (headline(shell.now, view))
                (last_hour::panel(shell.now, view.last_hour))
                (history(shell.now, view))
            }
            (evals_glance::panel(shell.now, &view.evals))
            div.columns {
                div {
                    @if !is_empty {
                        (table("Routes", view, |o| &o.by_route, |name| link_to(|f| f.route = Some(name.to_owned()))))
                        (table("Models", view, |o| &o.by_model, |name| link_to(|f| f.model = Some(name.to_owned()))))
                        // With a single tenant the table would repeat the headline.
                        @if view.week.by_tenant.len() > 1 {
                            (table("Tenants", view, |o| &o.by_tenant, |name| link_to(|f| f.tenant = Some(name.to_owned()))))
                        }
                    }
                }
                div {
                    (budgets(shell.now, &view.budgets))
                    (events::latest(shell.now, view.events))
                }
            }
        }
    };
    page(shell, Place::Overview, "Overview", body)
}

struct Figure {
    name: &'static str,
    today: String,
    /// The exact value, where `today` is rounded.
    exact: String,
    week: String,
    days: Vec<u64>,
    is_bad: bool,
}

fn headline(now: Timestamp, view: &OverviewView) -> Markup {
    let (today, week) = (&view.today.total, &view.week.total);
    let days = by_day(now, &view.week.series);
    let make = |name,
                value: &dyn Fn(&OverviewRow) -> String,
                exact: String,
                measure: &dyn Fn(&OverviewRow) -> u64| {
        let days = days.iter().map(|(_, row)| row.map_or(0, measure)).collect();
        Figure { name, today: value(today), exact, week: value(week), days, is_bad: false }
    };
    let per_mille = |part: u64, whole: u64| (part * 1000).checked_div(whole).unwrap_or(0);
    let mut figures = [
        make("Spend", &|row| usd(row.cost), format!("{} USD", today.cost), &|row| cost_of(row)),
        make("Calls", &|row| count_short(row.calls), count(today.calls), &|row| row.calls),
        make("Tokens in", &|row| count_short(row.tokens_in), count(today.tokens_in), &|row| row.tokens_in),
        make("Tokens out", &|row| count_short(row.tokens_out), count(today.tokens_out), &|row| {
            row.tokens_out
        }),
        make("Latency p50", &|row| duration_or_dash(row.p50_us), String::new(), &|row| {
            row.p50_us.unwrap_or(0)
        }),
        make("Latency p95", &|row| duration_or_dash(row.p95_us), String::new(), &|row| {
            row.p95_us.unwrap_or(0)
        }),
        make(
            "Errors",
            &|row| percent(row.errors, row.calls),
            format!("{} calls", count(today.errors)),
            &|row| per_mille(row.errors, row.calls),
        ),
        make("Refused", &|row| count_short(row.refused), count(today.refused), &|row| row.refused),
        make(
            "Cut short",
            &|row| percent(row.cut_short, row.calls),
            format!("{} answers ended at their token limit", count(today.cut_short)),
            &|row| per_mille(row.cut_short, row.calls),
        ),
        make(
            "Cache hits",
            &|row| percent(row.cache_hits, row.calls),
            format!("{} calls", count(today.cache_hits)),
            &|row| per_mille(row.cache_hits, row.calls),
        ),
    ];
    figures[6].is_bad = is_many_errors(today);
    html! {
        section aria-label="Today" {
            dl.figures {
                @for figure in &figures {
                    div {
                        dt { (figure.name) }
                        dd.value.bad[figure.is_bad] title=[(!figure.exact.is_empty()).then_some(&figure.exact)] {
                            (figure.today)
                        }
                        dd.week { (charts::spark(&figure.days)) span { "7 d " (figure.week) } }
                    }
                }
            }
        }
    }
}

fn history(now: Timestamp, view: &OverviewView) -> Markup {
    let first = now.hour_start().0 - 23 * HOUR_US;
    let hours: Vec<_> = (0..24)
        .map(|hour| {
            let start = Timestamp(first + hour * HOUR_US);
            (start, view.hours.iter().find(|(at, _)| at.hour_start() == start).map(|(_, row)| row))
        })
        .collect();
    html! {
        div.charts {
            (chart("Last 24 hours", "hour", "%H:%M", &hours))
            (chart("Last 7 days", "day", "%b %-d", &by_day(now, &view.week.series)))
        }
    }
}

/// Spend above calls, over the same span.
fn chart(title: &str, unit: &str, format: &str, buckets: &[(Timestamp, Option<&OverviewRow>)]) -> Markup {
    let none = OverviewRow::default();
    let (mut spends, mut calls) = (Vec::new(), Vec::new());
    let (mut spend_all, mut spend_top, mut calls_all, mut calls_top) =
        (NanoUsd::ZERO, NanoUsd::ZERO, 0u64, 0u64);
    for (start, row) in buckets {
        let row = row.unwrap_or(&none);
        let label = time_as(*start, format);
        spends.push(Bar {
            title: format!("{label}: {}", usd(row.cost)),
            pieces: vec![("spend", cost_of(row))],
        });
        calls.push(calls_bar(&label, row));
        spend_all = spend_all.plus(row.cost);
        spend_top = spend_top.max(row.cost);
        calls_all += row.calls;
        calls_top = calls_top.max(row.calls);
    }
    let spend_label =
        format!("Spend by {unit}, {title}: {} in all, at most {} in one", usd(spend_all), usd(spend_top));
    let calls_label =
        format!("Calls by {unit}, {title}: {} in all, at most {} in one", count(calls_all), count(calls_top));
    let ends = [buckets.first(), buckets.get(buckets.len() / 2), buckets.last()];
    html! {
        section.panel.chart {
            h2 { (title) }
            p.scale { "Spend " b { (usd(spend_all)) } span.muted { "top " (usd(spend_top)) } }
            (charts::bars(&spend_label, &spends))
            p.scale {
                "Calls " b { (count_short(calls_all)) }
                (legend())
                span.muted { "top " (count_short(calls_top)) }
            }
            (charts::bars(&calls_label, &calls))
            p.axis { @for (start, _) in ends.into_iter().flatten() { span { (time_as(*start, format)) } } }
        }
    }
}

/// Calls of one span of time, with those told apart that were not answered.
pub(crate) fn calls_bar(label: &str, row: &OverviewRow) -> Bar {
    let broken = row.errors.saturating_add(row.refused);
    Bar {
        title: match row.calls {
            0 => format!("{label}: no calls"),
            calls => {
                format!("{label}: {} calls, {} errors, {} refused", count(calls), row.errors, row.refused)
            }
        },
        pieces: vec![
            ("served", row.calls.saturating_sub(broken)),
            ("refused", row.refused),
            ("errors", row.errors),
        ],
    }
}

/// What the pieces of [`calls_bar`] are.
pub(crate) fn legend() -> Markup {
    html! {
        span.legend { span { i.served {} "answered" } span { i.refused {} "refused" } span { i.errors {} "errors" } }
    }
}

/// The seven days up to now, oldest first, those without calls included.
fn by_day(now: Timestamp, series: &[(Timestamp, OverviewRow)]) -> Vec<(Timestamp, Option<&OverviewRow>)> {
    (0..7)
        .map(|back| {
            let day = gauntlet_types::Day(now.day().0 - 6 + back);
            (day.start(), series.iter().find(|(at, _)| at.day() == day).map(|(_, row)| row))
        })
        .collect()
}

fn table(
    title: &str,
    view: &OverviewView,
    group: fn(&Overview) -> &Vec<OverviewRow>,
    link: fn(&str) -> String,
) -> Markup {
    let (today, week) = (group(view.today), group(view.week));
    // The dearest of today first, then what cost most in the week: a route that rests today is still listed.
    let mut names: Vec<&str> = today.iter().chain(week).map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let find = |rows: &[OverviewRow], name: &str| {
        rows.iter().find(|row| row.name == name).cloned().unwrap_or_default()
    };
    let mut rows: Vec<_> =
        names.into_iter().map(|name| (name, find(today, name), find(week, name))).collect();
    rows.sort_by_key(|(_, today, week)| Reverse((today.cost, week.cost, today.calls)));
    let whole = rows.iter().fold(0, |sum: u64, (_, row, _)| sum.saturating_add(cost_of(row)));
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    html! {
        section.panel {
            h2 { (title) }
            div.scroll { table.groups {
                thead { tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Spend" span.sub { "share" } }
                    th.n scope="col" { "7 days" }
                    th.n scope="col" { "Calls" }
                    th.n scope="col" { "Tokens" span.sub { "in → out" } }
                    th.n scope="col" { "p95" }
                    th.n scope="col" { "Errors" }
                } }
                tbody { @for (name, row, week) in rows.iter().take(ROWS_MAX) { tr {
                    th scope="row" {
                        @if name.is_empty() { span.muted { "(none)" } } @else { a href=(link(name)) { (Line(name)) } }
                    }
                    td.spend title={ (row.cost) " USD, " (percent(cost_of(row), whole)) } {
                        (usd(row.cost)) (charts::share(cost_of(row), whole))
                    }
                    td.n.muted { (usd(week.cost)) }
                    td.n { (count_short(row.calls)) }
                    td.n { (count_short(row.tokens_in)) " → " (count_short(row.tokens_out)) }
                    td.n { (row.p95_us.map_or_else(|| "–".to_owned(), duration)) }
                    td.n.bad[is_many_errors(row)] title={ (count(row.errors)) " of " (count(row.calls)) } {
                        (percent(row.errors, row.calls))
                    }
                } } }
            } }
            @if left_out > 0 {
                p.muted { "and " (left_out) " more; " code { "gauntlet spend" } " lists all." }
            }
        }
    }
}

pub(crate) fn budgets(now: Timestamp, lines: &[BudgetLine]) -> Markup {
    let mut lines: Vec<_> = lines.iter().collect();
    lines.sort_by(|a, b| use_of(b).total_cmp(&use_of(a)));
    html! {
        section.panel.budgets {
            h2 { "Budgets" }
            @if lines.is_empty() {
                p.muted { "None is set. Caps live in " code { "budgets.yml" } ": per model, route, tenant, team or key." }
            } @else {
                ul { @for line in lines.iter().take(BUDGETS_MAX) { (budget(now, line)) } }
            }
            @if lines.len() > BUDGETS_MAX {
                p.muted { "and " (lines.len() - BUDGETS_MAX) " less used; " code { "gauntlet budget" } " lists all." }
            }
        }
    }
}

/// What is spent and held, as a share of the cap. A cap of nothing is used up from the start.
fn use_of(line: &BudgetLine) -> f64 {
    if line.cap <= 0 { f64::INFINITY } else { line.spent.saturating_add(line.held) as f64 / line.cap as f64 }
}

fn budget(now: Timestamp, line: &BudgetLine) -> Markup {
    let used = use_of(line);
    let debt = line.spent.saturating_sub(line.cap);
    let (class, state) = match used {
        used if used >= 1.0 => ("full", Some("used up")),
        used if used >= 0.8 => ("near", Some("close to its cap")),
        _ => ("calm", None),
    };
    let cap = line.cap.max(0);
    let show = |amount: i64| amount_of(line.measure, amount);
    let width =
        |amount: i64| if cap == 0 { 100.0 } else { (amount.max(0) as f64 / cap as f64 * 100.0).min(100.0) };
    let (spent, held) = (width(line.spent), width(line.held));
    html! {
        li class=(class) {
            div.line {
                span {
                    @if line.key.is_empty() { (Line(&line.scope)) }
                    @else { (Line(&line.key)) " " span.muted { (Line(&line.scope)) } }
                }
                @if let Some(state) = state { strong.state { (state) } }
            }
            svg.budget aria-hidden="true" width="100%" height="8" {
                rect.track width="100%" height="8" rx="4" {}
                rect.held width={ (charts::round((spent + held).min(100.0))) "%" } height="8" rx="4" {}
                rect.spent width={ (charts::round(spent)) "%" } height="8" rx="4" {}
            }
            div.line.small {
                span title={ (exact(line.measure, line.spent)) " of " (exact(line.measure, line.cap)) } {
                    (show(line.spent)) " of " (show(line.cap))
                    @if used.is_finite() { " · " (format!("{:.0} %", (used * 100.0).floor())) }
                    @if line.held > 0 { " · " (show(line.held)) " held" }
                    @if debt > 0 { " · " b.debt { "debt " (show(debt)) } }
                }
                @if let Some(left) = line.resets.and_then(|resets| span(now, resets)) {
                    span.muted { "resets in " (left) }
                }
            }
        }
    }
}

/// Short, as figures on a page are.
fn amount_of(measure: Measure, amount: i64) -> String {
    match measure {
        Measure::Usd => usd(NanoUsd(amount)),
        Measure::Tokens | Measure::Requests => {
            let sign = if amount < 0 { "−" } else { "" };
            format!("{sign}{} {}", count(amount.unsigned_abs()), measure.as_str())
        }
    }
}

/// To the last digit, for whoever wants to know.
fn exact(measure: Measure, amount: i64) -> String {
    match measure {
        Measure::Usd => format!("{} USD", NanoUsd(amount)),
        Measure::Tokens | Measure::Requests => format!("{amount} {}", measure.as_str()),
    }
}

fn kills(shell: &Shell, kills: &[Kill]) -> Markup {
    html! {
        section.panel.kills {
            h2 { "Kill switches thrown" }
            ul { @for kill in kills.iter().take(KILLS_MAX) { li {
                span {
                    span.pill.bad { (kill.kind.as_str()) } " " a href=(kill_link(kill)) { (Line(&kill.name)) }
                    @if !kill.reason.is_empty() { ": " (Line(&kill.reason)) }
                    span.muted { " · since " (time(kill.since, shell.now)) }
                }
                @if shell.csrf.is_some() {
                    form method="post" action=(paths::KILL_UNDO) {
                        (csrf(shell))
                        input type="hidden" name="kind" value=(kill.kind.as_str());
                        input type="hidden" name="name" value=(kill.name);
                        button.quiet aria-label={ "Undo: " (kill.kind.as_str()) " " (Line(&kill.name)) } { "Undo" }
                    }
                }
            } } }
            @if kills.len() > KILLS_MAX { p.muted { "and " (kills.len() - KILLS_MAX) " more." } }
        }
    }
}

fn kill_link(kill: &Kill) -> String {
    link_to(|filter| {
        let name = Some(kill.name.to_string());
        match kill.kind {
            KillKind::Tenant => filter.tenant = name,
            KillKind::Route => filter.route = name,
            KillKind::Model => filter.model = name,
            KillKind::Key => filter.key = name,
        }
    })
}

/// One in a hundred is where people start to ask. Emphasis, not an alert: thresholds for those are configured.
fn is_many_errors(row: &OverviewRow) -> bool {
    row.errors > 0 && row.errors.saturating_mul(100) >= row.calls
}

fn cost_of(row: &OverviewRow) -> u64 {
    row.cost.0.max(0).unsigned_abs()
}

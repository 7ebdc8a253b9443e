//! A month as an account manager reads it: what each tenant cost, feature by feature and day by day.

use std::cmp::Reverse;

use gauntlet_ports::SpendRow;
use gauntlet_types::{Day, NanoUsd, Timestamp};
use jiff::civil::Date;
use maud::{Markup, html};

use crate::{
    charts::{self, Bar},
    figures::{count, count_short, percent, time_as, usd},
    overview::{BudgetLine, budgets},
    paths,
    query::link_to,
    shell::{Place, Shell, page},
    text::Line,
};

/// Tenants shown, and features of each; the CSV has all.
const TENANTS_MAX: usize = 50;
const ROUTES_MAX: usize = 20;
const NAMES_MAX: usize = 10;

pub struct SpendView<'a> {
    /// First and last day of the month.
    pub from: Day,
    pub to: Day,
    /// By tenant and route.
    pub rows: &'a [SpendRow],
    /// By day, days without calls left out.
    pub days: &'a [SpendRow],
    /// By key and tenant, dearest first.
    pub keys: &'a [SpendRow],
    pub budgets: Vec<BudgetLine>,
}

pub fn spend(shell: &Shell, view: &SpendView) -> String {
    let mut total = SpendRow::default();
    view.rows.iter().for_each(|row| total.add(row));
    let title = format!("Spend in {}", time_as(view.from.start(), "%B %Y"));
    let body = html! {
        div.title { h1 { (title) } (picker(shell.now, view.from)) }
        @if total.calls == 0 {
            section.panel { p { "No call was made in this month." } }
        } @else {
            (headline(&total))
            (days(view))
        }
        div.columns {
            div {
                @if total.calls > 0 {
                    (tenants(view, &total))
                    (names("Keys", view.keys, |filter, name| filter.key = Some(name)))
                }
            }
            div {
                section.panel {
                    h2 { "More" }
                    p { a href=(paths::ADVICE) { "What would be saved" } }
                    p { a href=(paths::EVENTS) { "What needed attention" } }
                    p { a href=(csv(view.from, "tenant,route")) { "This month as CSV" } }
                    p { a href=(csv(view.from, "day,tenant,route,model")) { "Day by day as CSV" } }
                    p { a href=(csv(view.from, "tenant,user")) { "By user as CSV" } }
                }
                (budgets(shell.now, &view.budgets))
            }
        }
    };
    page(shell, Place::Spend, &title, body)
}

fn month(day: Day) -> String {
    day.to_string().get(..7).unwrap_or_default().to_owned()
}

fn csv(month_of: Day, by: &str) -> String {
    format!("{}?by={by}&month={}&format=csv", paths::SPEND_CSV, month(month_of))
}

/// Back, forth, and any month. Works without a script.
fn picker(now: Timestamp, from: Day) -> Markup {
    let first: Option<Date> = from.to_string().parse().ok();
    let before = first.and_then(|date| date.yesterday().ok()).map(|date| date.strftime("%Y-%m").to_string());
    let after = first.and_then(|date| date.last_of_month().tomorrow().ok());
    let after =
        after.map(|date| date.strftime("%Y-%m").to_string()).filter(|after| *after <= month(now.day()));
    let link = |month: &str| format!("{}?month={month}", paths::SPEND);
    html! {
        form.months method="get" action=(paths::SPEND) {
            @if let Some(before) = before { a href=(link(&before)) rel="prev" aria-label={ "Month before, " (before) } { "←" } }
            label.skip for="month" { "Month" }
            input #month type="month" name="month" value=(month(from)) max=(month(now.day())) pattern="[0-9]{4}-[0-9]{2}";
            button.quiet { "Show" }
            @if let Some(after) = after { a href=(link(&after)) rel="next" aria-label={ "Month after, " (after) } { "→" } }
        }
    }
}

fn headline(total: &SpendRow) -> Markup {
    let spared = total.spared_in.saturating_add(total.spared_out);
    let figures = [
        ("Spend", usd(total.cost), format!("{} USD", total.cost)),
        ("Calls", count_short(total.calls), count(total.calls)),
        ("Tokens in", count_short(total.tokens_in), count(total.tokens_in)),
        ("of them cached", percent(total.tokens_cached, total.tokens_in), count(total.tokens_cached)),
        ("Tokens out", count_short(total.tokens_out), count(total.tokens_out)),
        (
            "of them reasoning",
            percent(total.tokens_reasoning, total.tokens_out),
            count(total.tokens_reasoning),
        ),
        (
            "Cut at the limit",
            percent(total.cut_short, total.calls),
            format!("{} answers ended at their token limit", count(total.cut_short)),
        ),
        ("Errors", percent(total.errors, total.calls), count(total.errors)),
        ("Spared by our cache", count_short(spared), format!("{} tokens", count(spared))),
    ];
    html! {
        section aria-label="The month" {
            dl.figures {
                @for (name, value, exact) in &figures {
                    div { dt { (name) } dd.value title=(exact) { (value) } }
                }
                @if total.wasted > NanoUsd::ZERO {
                    div { dt { "Output nobody read" } dd.value title={ (total.wasted) " USD" } { (usd(total.wasted)) } }
                }
                @if total.corrected != total.cost {
                    div {
                        dt { "Corrected" }
                        dd.value title={ (total.corrected) " USD" } { (usd(total.corrected)) }
                        dd.week { "by a later price table" }
                    }
                }
            }
        }
    }
}

fn days(view: &SpendView) -> Markup {
    let none = SpendRow::default();
    let bars: Vec<Bar> = (view.from.0..=view.to.0)
        .map(|day| {
            let day = Day(day).to_string();
            let row = view.days.iter().find(|row| row.keys.first() == Some(&day)).unwrap_or(&none);
            Bar {
                title: format!("{day}: {}, {} calls", usd(row.cost), count(row.calls)),
                pieces: vec![("spend", amount(row.cost))],
            }
        })
        .collect();
    let top = view.days.iter().map(|row| row.cost).max().unwrap_or_default();
    let middle = Day((view.from.0 + view.to.0) / 2);
    html! {
        section.panel.chart {
            h2 { "By day" }
            p.scale { span.muted { "top " (usd(top)) } }
            (charts::bars(&format!("Spend by day: at most {} in one", usd(top)), &bars))
            p.axis { @for day in [view.from, middle, view.to] { span { (time_as(day.start(), "%b %-d")) } } }
        }
    }
}

/// A tenant with its features, the dearest first.
struct Tenant<'a> {
    name: &'a str,
    total: SpendRow,
    routes: Vec<&'a SpendRow>,
}

fn by_tenant<'a>(rows: &'a [SpendRow]) -> Vec<Tenant<'a>> {
    let key = |row: &'a SpendRow, at: usize| row.keys.get(at).map_or("", String::as_str);
    let mut rows: Vec<&SpendRow> = rows.iter().collect();
    rows.sort_by(|one, other| {
        key(one, 0).cmp(key(other, 0)).then(other.cost.cmp(&one.cost)).then(key(one, 1).cmp(key(other, 1)))
    });
    let mut tenants: Vec<Tenant> = rows
        .chunk_by(|one, other| key(one, 0) == key(other, 0))
        .map(|routes| {
            let mut total = SpendRow::default();
            routes.iter().for_each(|row| total.add(row));
            Tenant { name: key(routes[0], 0), total, routes: routes.to_vec() }
        })
        .collect();
    tenants.sort_by_key(|tenant| Reverse((tenant.total.cost, tenant.total.calls)));
    tenants
}

fn tenants(view: &SpendView, total: &SpendRow) -> Markup {
    let tenants = by_tenant(view.rows);
    let left_out = tenants.len().saturating_sub(TENANTS_MAX);
    html! {
        section.panel {
            h2 { "Tenants and their features" }
            div.scroll { table.groups.bill {
                thead { tr {
                    th scope="col" { "Tenant" span.sub { "feature" } }
                    th scope="col" { "Spend" span.sub { "share" } }
                    th.n scope="col" { "a call" }
                    th.n scope="col" { "Calls" }
                    th.n scope="col" { "Tokens" span.sub { "in → out" } }
                    th.n scope="col" { "Cut" }
                    th.n scope="col" { "Errors" }
                } }
                @for tenant in tenants.iter().take(TENANTS_MAX) { tbody {
                    tr.sum {
                        th scope="rowgroup" { (link(tenant.name, |filter, name| filter.tenant = Some(name))) }
                        (cells(&tenant.total, amount(total.cost)))
                    }
                    @for row in tenant.routes.iter().take(ROUTES_MAX) { tr.part {
                        th scope="row" {
                            @let route = row.keys.get(1).map_or("", String::as_str);
                            a href=(link_to(|filter| {
                                filter.tenant = Some(tenant.name.to_owned());
                                filter.route = Some(route.to_owned());
                            })) { @if route.is_empty() { "(none)" } @else { (Line(route)) } }
                        }
                        (cells(row, amount(tenant.total.cost)))
                    } }
                    @if tenant.routes.len() > ROUTES_MAX {
                        tr.part { th.muted colspan="7" { "and " (tenant.routes.len() - ROUTES_MAX) " more features" } }
                    }
                } }
            } }
            @if left_out > 0 {
                p.muted { "and " (left_out) " more tenants; " a href=(csv(view.from, "tenant,route")) { "the CSV" } " has all." }
            }
        }
    }
}

fn cells(row: &SpendRow, whole: u64) -> Markup {
    let each = NanoUsd(row.cost.0 / i64::try_from(row.calls.max(1)).unwrap_or(i64::MAX));
    html! {
        td.spend title={ (row.cost) " USD, " (percent(amount(row.cost), whole)) } {
            (usd(row.cost)) (charts::share(amount(row.cost), whole))
            @if row.corrected != row.cost { span.sub { "corrected " (usd(row.corrected)) } }
        }
        td.n { (usd(each)) }
        td.n title=(count(row.calls)) { (count_short(row.calls)) }
        td.n { (count_short(row.tokens_in)) " → " (count_short(row.tokens_out)) }
        td.n title={ (count(row.cut_short)) " ended at their token limit" } { (percent(row.cut_short, row.calls)) }
        td.n title={ (count(row.errors)) " of " (count(row.calls)) } { (percent(row.errors, row.calls)) }
    }
}

fn link(name: &str, set: fn(&mut gauntlet_ports::TraceFilter, String)) -> Markup {
    html! {
        @if name.is_empty() { span.muted { "(none)" } }
        @else { a href=(link_to(|filter| set(filter, name.to_owned()))) { (Line(name)) } }
    }
}

fn names(title: &str, rows: &[SpendRow], set: fn(&mut gauntlet_ports::TraceFilter, String)) -> Markup {
    html! {
        @if !rows.is_empty() {
            section.panel {
                h2 { (title) }
                table.plain { tbody { @for row in rows.iter().take(NAMES_MAX) { tr {
                    th scope="row" {
                        (link(row.keys.first().map_or("", String::as_str), set)) " "
                        span.muted { (Line(row.keys.get(1).map_or("", String::as_str))) }
                    }
                    td.n title={ (count(row.calls)) " calls" } { (usd(row.cost)) }
                } } } }
                @if rows.len() > NAMES_MAX { p.muted { "and " (count((rows.len() - NAMES_MAX) as u64)) " more." } }
            }
        }
    }
}

fn amount(cost: NanoUsd) -> u64 {
    cost.0.max(0).unsigned_abs()
}

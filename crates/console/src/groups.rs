//! Sessions and users: who was active, and what it came to.

use gauntlet_ports::{GroupBy, GroupPage, GroupRow};
use maud::{Markup, html};

use crate::{
    figures::{count, count_short, time, usd},
    paths,
    query::{ListQuery, Range, link_to},
    shell::{Place, Shell, page},
    text::Line,
    traces::{Tab, tabs},
};

pub struct GroupsView<'a> {
    pub by: GroupBy,
    pub query: &'a ListQuery,
    pub page: &'a GroupPage,
}

pub fn groups(shell: &Shell, view: &GroupsView) -> String {
    let (tab, title, path) = match view.by {
        GroupBy::Session => (Tab::Sessions, "Sessions", paths::SESSIONS),
        GroupBy::User => (Tab::Users, "Users", paths::USERS),
    };
    let link = |change: &dyn Fn(&mut ListQuery)| view.query.link_at(path, |query| change(query));
    let is_paged = view.query.filter.before.is_some();
    let body = html! {
        div.title { h1 { (title) } p.muted { "Newest activity first." } }
        (tabs(tab))
        nav.ranges aria-label="Time range" {
            @for range in Range::ALL {
                a aria-current=[(view.query.last == Some(range)).then_some("true")]
                    href=(link(&|query| { query.last = Some(range); unbound(query); })) { (range.as_str()) }
            }
            a aria-current=[view.query.last.is_none().then_some("true")]
                href=(link(&|query| { query.last = None; unbound(query); })) { "all" }
        }
        @for problem in view.query.problems.iter().take(5) {
            p.banner.warn role="alert" { "Not applied: " (Line(problem)) }
        }
        @if view.page.rows.is_empty() {
            section.panel.empty {
                h2 { "None here" }
                p {
                    @match view.by {
                        GroupBy::Session => { "Calls that bear " code { "x-gauntlet-session" } " are put together here." }
                        GroupBy::User => { "Calls that bear " code { "x-gauntlet-user" } " are put together here." }
                    }
                }
            }
        } @else {
            (table(shell, view))
        }
        nav.pages aria-label="Pages" {
            @if is_paged { a href=(link(&|query| query.filter.before = None)) { "← Newest" } }
            @if let Some(next) = view.page.next {
                @if let Some(at) = view.page.looked_back_to {
                    span.muted { "Figures are of calls back to " (time(at, shell.now)) ". " }
                }
                a rel="next" href=(link(&|query| query.filter.before = Some(next))) { "Older →" }
            }
        }
    };
    page(shell, Place::Traces, title, body)
}

fn unbound(query: &mut ListQuery) {
    let filter = &mut query.filter;
    (filter.since, filter.until, filter.before, filter.after) = (None, None, None, None);
}

fn table(shell: &Shell, view: &GroupsView) -> Markup {
    html! {
        div.panel.flush { table.calls {
            thead { tr {
                th scope="col" { "Last call" }
                @match view.by {
                    GroupBy::Session => { th scope="col" { "Session" span.sub { "tenant" } } th scope="col" { "User" } }
                    GroupBy::User => { th scope="col" { "User" span.sub { "tenant" } } th.n scope="col" { "Sessions" } }
                }
                th scope="col" { "First call" }
                th.n scope="col" { "Calls" span.sub { "errors" } }
                th.n scope="col" { "Tokens" span.sub { "in → out" } }
                th.n scope="col" { "Cost" }
            } }
            tbody { @for row in &view.page.rows { (line(shell, view.by, row)) } }
        } }
    }
}

fn line(shell: &Shell, by: GroupBy, row: &GroupRow) -> Markup {
    let name = row.name.to_string();
    let calls = link_to(|filter| {
        filter.tenant = Some(row.tenant.to_string());
        match by {
            GroupBy::Session => filter.session = Some(name),
            GroupBy::User => filter.user = Some(name),
        }
    });
    html! {
        tr data-row {
            td.when { (time(row.last, shell.now)) }
            td.what { a href=(calls) data-open { (Line(&row.name)) } span.sub { (Line(&row.tenant)) } }
            @match by {
                GroupBy::Session => td.who { @if let Some(user) = &row.user { (Line(user)) } @else { span.muted { "–" } } },
                GroupBy::User => td.n { (count(row.sessions)) },
            }
            td.when { (time(row.first, shell.now)) }
            td.n { (count(row.calls)) @if row.errors > 0 { span.sub.bad { (count(row.errors)) } } }
            td.n.tokens { (count_short(row.tokens_in)) " → " (count_short(row.tokens_out)) }
            td.n.cost title={ (row.cost) " USD" } { (usd(row.cost)) }
        }
    }
}

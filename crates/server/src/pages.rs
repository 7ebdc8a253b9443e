//! The console's routes: fetch, show. What a page looks like is the console's affair.

mod bills;
mod evals;
mod prompts;
mod spans;

use axum::{
    Form, Router,
    extract::{Query, RawQuery, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use gauntlet_console::{self as console, EvalsGlance, Facets, GroupsView, OverviewView, Shell, TracesView};
use gauntlet_ports::{EventFilter, Grain, GroupBy, KillKind, Overview};
use gauntlet_types::{CallId, Fault, Timestamp};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::time::Duration;

use crate::{
    admin::{Admin, Books, store_fault},
    api::{blocking, flush, problems},
    auth::Token,
    error, groups,
};

/// Nothing from elsewhere, nothing inline: text of models and callers stays data even if escaping had a hole.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                              form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const MINUTE: Duration = Duration::from_secs(60);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub(crate) fn guarded() -> Router<Admin> {
    Router::new()
        .route("/", get(overview))
        .route("/traces", get(traces))
        .merge(bills::router())
        .merge(evals::router())
        .merge(prompts::router())
        .merge(spans::router())
        .route("/sessions", get(sessions))
        .route("/users", get(users))
        .route("/kills/undo", post(kill_undo))
        .route("/logout", post(logout))
}

pub(crate) fn public() -> Router<Admin> {
    Router::new()
        .route("/login", get(login).post(sign_in))
        .route(&console::style_path(), get(style))
        .route(&console::script_path(), get(script))
        .route(&console::icon_path(), get(icon))
}

async fn style() -> Response {
    asset("text/css; charset=utf-8", console::STYLE)
}

async fn script() -> Response {
    asset("text/javascript; charset=utf-8", console::SCRIPT)
}

async fn icon() -> Response {
    asset("image/svg+xml", console::ICON)
}

/// Its path names its content, so it may be kept for ever.
fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], text)
        .into_response()
}

fn page(status: StatusCode, html: String) -> Response {
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What every page says about the gateway itself.
struct Frame {
    admin: Admin,
    notice: Option<String>,
    signed_in: bool,
}

impl Frame {
    fn new(admin: &Admin, headers: &HeaderMap) -> Frame {
        let notice = admin.snapshot().and_then(|snapshot| snapshot.notice());
        Frame { admin: admin.clone(), notice, signed_in: admin.access.is_signed_in(headers, admin.now()) }
    }

    fn shell(&self) -> Shell<'_> {
        Shell {
            version: self.admin.version,
            now: self.admin.now(),
            notice: self.notice.as_deref(),
            signed_in: self.signed_in,
            // Changes are guarded by Origin and SameSite (see `auth`); the console asks only whether to offer them.
            csrf: Some(""),
        }
    }

    fn fault(&self, fault: &Fault) -> Response {
        let status = error::status(fault);
        page(status, console::message(&self.shell(), "That did not work", &fault.message, status.as_u16()))
    }
}

/// Today (UTC) by hour, and the last seven days by day.
pub(crate) fn overviews(admin: &Admin) -> Result<(Overview, Overview), Fault> {
    let now = admin.now();
    let end = now.hour_start().plus(Duration::from_secs(3600));
    let today = admin.traces.overview(now.day().start(), end, Grain::Hour).map_err(store_fault)?;
    let from = Timestamp(now.day().start().0).minus(WEEK - Duration::from_secs(86_400));
    let week = admin.traces.overview(from, end, Grain::Day).map_err(store_fault)?;
    Ok((today, week))
}

/// So many minutes up to now, the running one included, by the minute.
pub(crate) fn last_minutes(admin: &Admin, minutes: u32) -> Result<Overview, Fault> {
    let end = admin.now().minute_start().plus(MINUTE);
    admin.traces.overview(end.minus(minutes * MINUTE), end, Grain::Minute).map_err(store_fault)
}

async fn overview(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let frame = Frame::new(&admin, &headers);
    let fetched = blocking(&admin, |admin| {
        flush(admin);
        let (today, week) = overviews(admin)?;
        let last_hour = last_minutes(admin, 60)?;
        let now = admin.now();
        let day_ago = now.hour_start().minus(Duration::from_secs(23 * 3600));
        let end = now.hour_start().plus(Duration::from_secs(3600));
        let hours = admin.traces.overview(day_ago, end, Grain::Hour).map_err(store_fault)?.series;
        let events = admin.events(&EventFilter { limit: 5, ..EventFilter::default() })?;
        let series = (hours, last_hour, evals::glance(admin)?);
        Ok((today, week, series, admin.books()?, admin.kill_list()?, events, problems(admin)))
    });
    let (today, week, (hours, last_hour, (suites, failing)), books, kills, events, warnings) =
        match fetched.await {
            Ok(fetched) => fetched,
            Err(fault) => return frame.fault(&fault),
        };
    let budgets = budget_lines(books);
    let sim = admin.snapshot().is_some_and(|snapshot| snapshot.has_sim());
    let view = OverviewView {
        today: &today,
        last_hour: &last_hour,
        hours: &hours,
        week: &week,
        budgets,
        kills: &kills,
        events: &events,
        evals: EvalsGlance { suites: &suites, failing: &failing },
        warnings,
        sim,
    };
    page(StatusCode::OK, console::overview(&frame.shell(), &view))
}

/// Without a cap there is no budget any more, only what was spent under it.
fn budget_lines(books: Books) -> Vec<console::BudgetLine> {
    let lines = books.lines.into_iter().filter_map(|line| {
        Some(console::BudgetLine {
            scope: line.scope.to_string(),
            key: line.key.to_string(),
            measure: line.measure,
            spent: line.spent.saturating_add(line.elsewhere),
            held: line.held,
            cap: line.cap?,
            resets: line.resets,
        })
    });
    lines.collect()
}

async fn traces(State(admin): State<Admin>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let frame = Frame::new(&admin, &headers);
    let asked_for = console::filter_from_query(query.as_deref().unwrap_or(""), admin.now());
    // A request id in the search box is the call itself.
    let wanted_id = asked_for.filter.text.as_deref().filter(|text| text.starts_with("r_"));
    if let Some(id) = wanted_id.and_then(|text| text.parse::<CallId>().ok()) {
        return Redirect::to(&console::paths::trace(id)).into_response();
    }
    let asked = asked_for.filter.clone();
    let found = blocking(&admin, move |admin| {
        flush(admin);
        let found = admin.traces.trace_find(&asked).map_err(store_fault)?;
        let (_, week) = overviews(admin)?;
        Ok((found, week))
    });
    let (found, week) = match found.await {
        Ok(found) => found,
        Err(fault) => return frame.fault(&fault),
    };
    let names =
        |rows: &[gauntlet_ports::OverviewRow]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    let (routes, models, tenants) = (names(&week.by_route), names(&week.by_model), names(&week.by_tenant));
    let view = TracesView {
        query: &asked_for,
        rows: &found.rows,
        next: found.next,
        looked_back_to: found.looked_back_to,
        facets: Facets { routes: &routes, models: &models, tenants: &tenants },
    };
    page(StatusCode::OK, console::traces(&frame.shell(), &view))
}

async fn sessions(State(admin): State<Admin>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    group_list(admin, &headers, query, GroupBy::Session).await
}

async fn users(State(admin): State<Admin>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    group_list(admin, &headers, query, GroupBy::User).await
}

async fn group_list(admin: Admin, headers: &HeaderMap, query: Option<String>, by: GroupBy) -> Response {
    let frame = Frame::new(&admin, headers);
    let asked_for = console::filter_from_query(query.as_deref().unwrap_or(""), admin.now());
    let filter = asked_for.filter.clone();
    let found = blocking(&admin, move |admin| {
        flush(admin);
        groups::find(&*admin.traces, by, &filter).map_err(store_fault)
    });
    match found.await {
        Ok(found) => {
            let view = GroupsView { by, query: &asked_for, page: &found };
            page(StatusCode::OK, console::groups(&frame.shell(), &view))
        }
        Err(fault) => frame.fault(&fault),
    }
}

#[derive(Deserialize)]
struct UndoForm {
    kind: String,
    name: String,
}

async fn kill_undo(State(admin): State<Admin>, headers: HeaderMap, Form(form): Form<UndoForm>) -> Response {
    let frame = Frame::new(&admin, &headers);
    let Some(kind) = KillKind::parse(&form.kind) else {
        return page(
            StatusCode::BAD_REQUEST,
            console::message(&frame.shell(), "No such switch", &form.kind, 400),
        );
    };
    match blocking(&admin, move |admin| admin.kill_undo(kind, &form.name)).await {
        Ok(()) => Redirect::to("/").into_response(),
        Err(fault) => frame.fault(&fault),
    }
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn login(State(admin): State<Admin>, headers: HeaderMap, Query(query): Query<Next>) -> Response {
    let frame = Frame::new(&admin, &headers);
    page(StatusCode::OK, console::login(&frame.shell(), None, console::paths::local(&query.next)))
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(State(admin): State<Admin>, headers: HeaderMap, Form(form): Form<SignIn>) -> Response {
    let frame = Frame::new(&admin, &headers);
    let next = console::paths::local(&form.next);
    if !admin.access.knows(form.token.trim()) {
        // Guessing 256 bits is hopeless; the pause keeps a script from filling the log.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let html = console::login(&frame.shell(), Some("That is not the operator's token."), next);
        return page(StatusCode::UNAUTHORIZED, html);
    }
    let Ok(session) = Token::random() else {
        return frame.fault(&Fault::us(
            gauntlet_types::Code::Internal,
            "the operating system gives no random numbers",
        ));
    };
    let cookie = admin.access.sign_in(&session, admin.now());
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

async fn logout(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    ([(header::SET_COOKIE, admin.access.sign_out(&headers))], Redirect::to("/login")).into_response()
}

/// Percent-encodes what would end or change a query.
pub(crate) fn escape_query(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_in_a_query() {
        assert_eq!(escape_query("/traces?a=b&c"), "/traces%3Fa%3Db%26c");
    }
}

//! The pages of bills: a month, events, advice.

use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use gauntlet_console::{self as console, AdviceLine, AdviceView, SpendView};
use gauntlet_ports::EventFilter;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Frame, budget_lines, page};
use crate::{
    admin::Admin,
    api::{blocking, flush},
    bills,
};

/// Events on their page; the API gives more.
const EVENTS: u32 = 200;

pub(super) fn router() -> Router<Admin> {
    Router::new().route("/spend", get(spend)).route("/events", get(events)).route("/advice", get(advice))
}

#[derive(Deserialize)]
struct Asked {
    month: Option<String>,
}

async fn spend(State(admin): State<Admin>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let frame = Frame::new(&admin, &headers);
    let found = blocking(&admin, move |admin| {
        flush(admin);
        // What an empty field of the form sends.
        let month = asked.month.as_deref().map(str::trim).filter(|month| !month.is_empty());
        Ok((bills::monthly(admin, month)?, admin.books()?))
    });
    match found.await {
        Ok((month, books)) => {
            let view = SpendView {
                from: month.from,
                to: month.to,
                rows: &month.rows,
                days: &month.days,
                keys: &month.keys,
                budgets: budget_lines(books),
            };
            page(StatusCode::OK, console::spend(&frame.shell(), &view))
        }
        Err(fault) => frame.fault(&fault),
    }
}

async fn events(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let frame = Frame::new(&admin, &headers);
    let filter = EventFilter { limit: EVENTS, ..EventFilter::default() };
    match blocking(&admin, move |admin| admin.events(&filter)).await {
        Ok(events) => page(StatusCode::OK, console::events(&frame.shell(), &events)),
        Err(fault) => frame.fault(&fault),
    }
}

async fn advice(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let frame = Frame::new(&admin, &headers);
    match blocking(&admin, |admin| bills::advise(admin, None)).await {
        Ok(report) => {
            let basis = format!(
                "From {} {} calls of the last 7 days. Estimates, on the low side.",
                if report.is_whole { "all" } else { "the newest" },
                report.calls,
            );
            let lines = report.advice.into_iter().map(|one| AdviceLine {
                saved_usd_per_month: one.saved_usd_per_month,
                route: one.route,
                model: one.model,
                what: one.what,
                mind: one.mind,
            });
            let view = AdviceView { lines: lines.collect(), basis };
            page(StatusCode::OK, console::advice(&frame.shell(), &view))
        }
        Err(fault) => frame.fault(&fault),
    }
}

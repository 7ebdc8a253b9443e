//! The management API of bills: spend, events, calls priced anew, comparisons with a provider, advice.

mod advice;
mod events;
mod reconcile;
mod reprice;
mod spend;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use gauntlet_types::{Code, Day, Fault, Timestamp};

use crate::admin::Admin;

pub use advice::advise;
pub use spend::{Asked as SpendAsked, monthly};

/// A year of a provider's figures by day and model is a few megabytes.
const EXPORT_MAX: usize = 64 << 20;

pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/api/v1/spend", get(spend::get))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/events/check", post(events::check))
        .route("/api/v1/reprice", get(reprice::list).post(reprice::page))
        .route(
            "/api/v1/reconcile",
            get(reconcile::list).post(reconcile::post).layer(DefaultBodyLimit::max(EXPORT_MAX)),
        )
        .route("/api/v1/advice", get(advice::get))
}

fn bad(message: String) -> Fault {
    Fault::caller(Code::InvalidRequest, message)
}

fn day(text: &str) -> Result<Day, Fault> {
    Day::parse(text).ok_or_else(|| bad(format!("`{text}` is not a day; write it as 2026-11-21")))
}

/// A span of days up to today: `7d`, `4w`.
fn last_days(text: &str) -> Result<u32, Fault> {
    let days = text.split_at_checked(text.len().saturating_sub(1)).and_then(|(number, unit)| {
        let number: u32 = number.parse().ok()?;
        let days = match unit {
            "d" => 1,
            "w" => 7,
            _ => return None,
        };
        number.checked_mul(days).filter(|days| (1..=3_660).contains(days))
    });
    days.ok_or_else(|| bad(format!("`{text}` is not a span; write it as 7d or 4w")))
}

/// The first day of a span that ends today.
fn since(today: Day, days: u32) -> Day {
    Day(today.0.saturating_add(1).saturating_sub_unsigned(days))
}

/// After the last instant of a day.
fn end_of(day: Day) -> Timestamp {
    day.next().start()
}

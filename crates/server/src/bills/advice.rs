//! `GET /api/v1/advice`: what would be saved, from a bounded number of stored calls.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use gauntlet_bills::advice::{Report, SAMPLE_MAX, Sample, Traffic};
use gauntlet_ports::{RecordQuery, SpendBy, SpendQuery};
use gauntlet_types::{Day, Fault, Target, Timestamp};
use serde::Deserialize;

use super::{bad, end_of, last_days, since};
use crate::{
    admin::{Admin, store_fault},
    api::{answer, fault, flush, in_chat},
};

const DAYS_DEFAULT: &str = "7d";
/// Calls read at once: a few megabytes.
const PAGE_CALLS: u32 = 1_000;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    last: Option<String>,
}

pub(super) async fn get(State(admin): State<Admin>, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    match asked {
        Ok(Query(asked)) => answer(admin, move |admin| advise(admin, asked.last.as_deref())).await,
        Err(error) => fault(&bad(error.body_text())),
    }
}

/// Reads the newest calls of a span, [`SAMPLE_MAX`] at most, and says what would be saved.
pub fn advise(admin: &Admin, last: Option<&str>) -> Result<Report, Fault> {
    let today = admin.now().day();
    let from = since(today, last_days(last.unwrap_or(DAYS_DEFAULT))?);
    let snapshot = admin.snapshot();
    let policy = snapshot.as_ref().map(|snapshot| &snapshot.policy);
    let price_of = |target: &Target, at: Timestamp| policy?.price(target, at);
    let mut known: Vec<Target> =
        policy.iter().flat_map(|policy| policy.config().targets().cloned()).collect();
    known.sort_by_key(Target::to_string);
    known.dedup();
    flush(admin);
    let mut sample = Sample::new(&price_of, known);
    let query =
        RecordQuery { from: from.start(), to: end_of(today), newest: SAMPLE_MAX, without_texts: false };
    let mut cursor = None;
    loop {
        let page = admin.traces.record_page(&query, cursor, PAGE_CALLS).map_err(store_fault)?;
        page.calls.iter().for_each(|call| sample.add(&in_chat(call)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(sample.finish(&traffic(admin, from, today)?))
}

fn traffic(admin: &Admin, from: Day, today: Day) -> Result<Traffic, Fault> {
    let query = SpendQuery { by: vec![SpendBy::Day], from, to: today, ..SpendQuery::default() };
    let days = admin.traces.spend(&query).map_err(store_fault)?;
    let first = days.first().and_then(|row| Day::parse(row.keys.first()?)).unwrap_or(today);
    Ok(Traffic {
        calls: days.iter().map(|row| row.calls).sum(),
        cost: days.iter().map(|row| row.cost).sum(),
        days: (admin.now().0 - first.start().0) as f64 / 86_400e6,
    })
}

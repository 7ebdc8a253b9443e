//! `GET /api/v1/spend`: from the sums of each day, as JSON or CSV.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use gauntlet_bills::sheet;
use gauntlet_ports::{SpendBy, SpendQuery, SpendRow};
use gauntlet_types::{Day, Fault};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, day, last_days, since};
use crate::{
    admin::{Admin, store_fault},
    api::{blocking, fault, flush},
};

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    pub by: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub day: Option<String>,
    /// `2026-10`: the whole month; `last` and `this` as well.
    pub month: Option<String>,
    /// `7d`: up to today, today included.
    pub last: Option<String>,
    pub tenant: Option<String>,
    pub team: Option<String>,
    #[serde(alias = "feature")]
    pub route: Option<String>,
    pub model: Option<String>,
    pub provider: Option<String>,
    #[serde(alias = "env")]
    pub environment: Option<String>,
    pub prompt: Option<String>,
    pub user: Option<String>,
    pub key: Option<String>,
    pub tag: Option<String>,
    pub format: Option<String>,
}

impl Asked {
    pub fn query(&self, today: Day) -> Result<SpendQuery, Fault> {
        let by = self.by.as_deref().unwrap_or("route,model");
        let mut asked = Vec::new();
        for word in by.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let by = SpendBy::parse(word).ok_or_else(|| {
                let known = SpendBy::ALL.map(SpendBy::as_str).join(", ");
                bad(format!("cannot add up by `{word}`; use {known}"))
            })?;
            // Twice the same is the same once.
            if !asked.contains(&by) {
                asked.push(by);
            }
        }
        let (from, to) = self.span(today)?;
        let query = SpendQuery {
            by: asked,
            from,
            to,
            tenant: self.tenant.clone(),
            team: self.team.clone(),
            route: self.route.clone(),
            model: self.model.clone(),
            provider: self.provider.clone(),
            environment: self.environment.clone(),
            prompt: self.prompt.clone(),
            user: self.user.clone(),
            key: self.key.clone(),
            tag: self.tag.clone(),
        };
        query.named().map_err(|error| bad(error.to_string()))?;
        Ok(query)
    }

    fn span(&self, today: Day) -> Result<(Day, Day), Fault> {
        let ways = [
            self.month.is_some(),
            self.day.is_some(),
            self.last.is_some(),
            self.from.is_some() || self.to.is_some(),
        ];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(bad("give one span: `month`, `day`, `last`, or `from` and `to`".to_owned()));
        }
        if let Some(text) = &self.month {
            return month(text, today);
        }
        if let Some(text) = &self.day {
            let day = day(text)?;
            return Ok((day, day));
        }
        if let Some(text) = &self.last {
            return Ok((since(today, last_days(text)?), today));
        }
        let end = |text: &Option<String>| text.as_deref().map_or(Ok(today), day);
        let (from, to) = (end(&self.from)?, end(&self.to)?);
        if from > to {
            return Err(bad(format!("the span ends ({to}) before it begins ({from})")));
        }
        Ok((from, to))
    }
}

/// First and last day of a month.
pub(super) fn month(text: &str, today: Day) -> Result<(Day, Day), Fault> {
    let first_of = |day: Day| Day::parse(&format!("{}-01", &day.to_string()[..7])).unwrap_or(day);
    let first = match text {
        "this" => first_of(today),
        "last" => first_of(Day(first_of(today).0 - 1)),
        text => Day::parse(&format!("{text}-01"))
            .ok_or_else(|| bad(format!("`{text}` is not a month; write it as 2026-11")))?,
    };
    // 32 days on is always in the next month; the day before its first ends this one.
    Ok((first, Day(first_of(Day(first.0 + 32)).0 - 1)))
}

pub(super) async fn get(
    State(admin): State<Admin>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return fault(&bad(error.body_text())),
    };
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_csv = match asked.format.as_deref() {
        Some("csv") => true,
        Some("json") => false,
        None => accepts.split(',').any(|one| one.trim().starts_with("text/csv")),
        Some(other) => return fault(&bad(format!("there is no format `{other}`; use json or csv"))),
    };
    let found = blocking(&admin, move |admin| {
        let query = asked.query(admin.now().day())?;
        flush(admin);
        let rows = admin.traces.spend(&query).map_err(store_fault)?;
        Ok((query, rows))
    });
    match found.await {
        Ok((query, rows)) if is_csv => csv(&query, &rows),
        Ok((query, rows)) => Json(answer(&query, &rows)).into_response(),
        Err(why) => fault(&why),
    }
}

fn answer(query: &SpendQuery, rows: &[SpendRow]) -> Value {
    let mut total = SpendRow::default();
    rows.iter().for_each(|row| total.add(row));
    let rows: Vec<Value> = rows.iter().map(|row| sheet::json(&query.by, row)).collect();
    // A call counts under each of its tags, so that their sum is more than what was spent.
    let total = if query.by.contains(&SpendBy::Tag) { Value::Null } else { sheet::json(&[], &total) };
    json!({
        "by": query.by, "from": query.from.to_string(), "to": query.to.to_string(), "rows": rows, "total": total,
    })
}

fn csv(query: &SpendQuery, rows: &[SpendRow]) -> Response {
    let name = format!("attachment; filename=\"spend-{}-{}.csv\"", query.from, query.to);
    let mut response = sheet::csv(&query.by, rows).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// What the console shows of a month: sums of days alone, so that the page is quick however many calls there were.
pub struct Monthly {
    pub from: Day,
    pub to: Day,
    /// By tenant and route, the dearest first.
    pub rows: Vec<SpendRow>,
    /// By day, oldest first, days without calls left out.
    pub days: Vec<SpendRow>,
    pub keys: Vec<SpendRow>,
}

pub fn monthly(admin: &Admin, text: Option<&str>) -> Result<Monthly, Fault> {
    let (from, to) = month(text.unwrap_or("this"), admin.now().day())?;
    let by = |by: &[SpendBy]| {
        let query = SpendQuery { by: by.to_vec(), from, to, ..SpendQuery::default() };
        admin.traces.spend(&query).map_err(store_fault)
    };
    Ok(Monthly {
        from,
        to,
        rows: by(&[SpendBy::Tenant, SpendBy::Route])?,
        days: by(&[SpendBy::Day])?,
        keys: by(&[SpendBy::Key, SpendBy::Tenant])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let today = Day::parse("2026-03-15").unwrap();
        let check = |asked: Asked, expected: &str| {
            let shown = match asked.query(today) {
                Ok(query) => format!("{} {}", query.from, query.to),
                Err(fault) => fault.message.to_string(),
            };
            assert!(shown.contains(expected), "{shown} is not {expected}");
        };
        let month = |text: &str| Asked { month: Some(text.into()), ..Asked::default() };
        check(Asked::default(), "2026-03-15 2026-03-15");
        check(month("2026-02"), "2026-02-01 2026-02-28");
        check(month("2024-02"), "2024-02-01 2024-02-29");
        check(month("2026-12"), "2026-12-01 2026-12-31");
        check(month("this"), "2026-03-01 2026-03-31");
        check(month("last"), "2026-02-01 2026-02-28");
        check(month("2026-13"), "is not a month");
        check(month("feb"), "is not a month");
        let last = |text: &str| Asked { last: Some(text.into()), ..Asked::default() };
        check(last("7d"), "2026-03-09 2026-03-15");
        check(last("1d"), "2026-03-15 2026-03-15");
        check(last("2w"), "2026-03-02 2026-03-15");
        for bad in ["", "d", "0d", "7", "7y", "-1d", "é", "99999999d"] {
            check(last(bad), "is not a span");
        }
        let day = Asked { day: Some("2026-01-02".into()), ..Asked::default() };
        check(day.clone(), "2026-01-02 2026-01-02");
        check(Asked { last: Some("7d".into()), ..day }, "give one span");
        check(Asked { from: Some("2026-03-16".into()), ..Asked::default() }, "before it begins");
        check(Asked { by: Some("user,route".into()), ..Asked::default() }, "kept by day and tenant only");
        check(Asked { by: Some("colour".into()), ..Asked::default() }, "cannot add up by `colour`");
    }
}

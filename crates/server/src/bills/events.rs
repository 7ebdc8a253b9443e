//! Events, and the hourly look for tenants far above their usual spend and for models without a price.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use gauntlet_bills::baseline::{self, Rules, Spike};
use gauntlet_ports::{Event, EventFilter, EventKind, Severity, SpendBy, SpendQuery, SpendRow};
use gauntlet_types::{Day, Fault, NanoUsd, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bad;
use crate::{
    admin::{Admin, control_fault, store_fault},
    api::{answer, fault, flush},
};

/// Features named in an event: those that grew most.
const ROUTES_MAX: usize = 3;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    kind: Option<String>,
    after: Option<u64>,
    limit: u32,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return fault(&bad(error.body_text())),
    };
    answer(admin, move |admin| {
        let kind = asked.kind.as_deref().map(|text| {
            EventKind::parse(text).ok_or_else(|| {
                let known = EventKind::ALL.map(EventKind::as_str).join(", ");
                bad(format!("there is no kind `{text}` of events; use {known}"))
            })
        });
        let filter = EventFilter { kind: kind.transpose()?, after: asked.after, limit: asked.limit };
        let events: Vec<Value> = admin.events(&filter)?.iter().map(shown).collect();
        Ok(json!({"events": events}))
    })
    .await
}

fn shown(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    value["time"] = event.at.to_string().into();
    value
}

/// Looks now, as the gateway does every hour.
pub(super) async fn check(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| {
        flush(admin);
        let mut added = admin.watch_spend(&Rules::default())?;
        added.extend(admin.watch_prices()?);
        Ok(json!({"new": added}))
    })
    .await
}

impl Admin {
    /// Notes an event once by its key; says whether it was new.
    pub fn event_add(&self, event: &Event) -> Result<bool, Fault> {
        self.control.event_add(event).map_err(control_fault)
    }

    pub fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, Fault> {
        self.control.event_list(filter).map_err(control_fault)
    }

    /// Compares what each tenant spent today, and yesterday (whose last hour no look has seen), with its usual day, and
    /// notes those far above it. Gives the new events.
    pub fn watch_spend(&self, rules: &Rules) -> Result<Vec<Event>, Fault> {
        let today = self.now().day();
        let yesterday = Day(today.0 - 1);
        let from = rules.window_start(yesterday);
        let query =
            SpendQuery { by: vec![SpendBy::Tenant, SpendBy::Day], from, to: today, ..SpendQuery::default() };
        let mut rows = self.traces.spend(&query).map_err(store_fault)?;
        rows.sort_by(|one, other| one.keys.cmp(&other.keys));
        let mut added = Vec::new();
        for tenant in rows.chunk_by(|one, other| one.keys[0] == other.keys[0]) {
            let spent = days(tenant);
            for day in [yesterday, today] {
                let Some(spike) = baseline::spike(&spent, day, rules) else { continue };
                let event = self.spike_event(&tenant[0].keys[0], day, &spike, rules)?;
                if self.event_add(&event)? {
                    added.push(event);
                }
            }
        }
        Ok(added)
    }

    /// Notes, once a month, models that routes let pass without a price: what they cost is on no bill. Gives the new
    /// events.
    pub fn watch_prices(&self) -> Result<Vec<Event>, Fault> {
        let Some(snapshot) = self.snapshot() else { return Ok(Vec::new()) };
        let now = self.now();
        let query = SpendQuery {
            by: vec![SpendBy::Provider, SpendBy::Model],
            from: Day(now.day().0 - 1),
            to: now.day(),
            ..SpendQuery::default()
        };
        let mut added = Vec::new();
        for row in self.traces.spend(&query).map_err(store_fault)? {
            let (provider, model) = (row.keys[0].as_str(), row.keys[1].as_str());
            let target = Target { provider: provider.into(), model: model.into() };
            let was_answered = row.tokens_in.saturating_add(row.tokens_out) > 0 && !provider.is_empty();
            // What cost something had its price then.
            let was_priced = row.cost > NanoUsd::ZERO;
            if !was_answered || was_priced || snapshot.policy.price(&target, now).is_some() {
                continue;
            }
            let day = now.day().to_string();
            let event = Event {
                seq: 0,
                at: now,
                kind: EventKind::PriceMissing,
                key: format!("price_missing:{target}:{}", day.get(..7).unwrap_or(&day)),
                severity: Severity::Warning,
                message: format!(
                    "nobody knows the price of `{target}`, which took {} tokens since yesterday: add it to prices.yml, \
                     then `gauntlet reprice`",
                    row.tokens_in + row.tokens_out
                ),
                detail: json!({
                    "provider": provider, "model": model, "calls": row.calls, "tokens_in": row.tokens_in,
                    "tokens_out": row.tokens_out,
                }),
            };
            if self.event_add(&event)? {
                added.push(event);
            }
        }
        Ok(added)
    }

    fn spike_event(&self, tenant: &str, day: Day, spike: &Spike, rules: &Rules) -> Result<Event, Fault> {
        let query = SpendQuery {
            by: vec![SpendBy::Route, SpendBy::Day],
            from: rules.window_start(day),
            to: day,
            tenant: Some(tenant.to_owned()),
            ..SpendQuery::default()
        };
        let mut rows = self.traces.spend(&query).map_err(store_fault)?;
        rows.sort_by(|one, other| one.keys.cmp(&other.keys));
        let mut routes: Vec<(&str, NanoUsd, NanoUsd)> = rows
            .chunk_by(|one, other| one.keys[0] == other.keys[0])
            .map(|route| {
                let (now, before): (Vec<_>, Vec<_>) = days(route).into_iter().partition(|(at, _)| *at == day);
                let sum = |days: Vec<(Day, NanoUsd)>| days.into_iter().map(|(_, cost)| cost).sum::<NanoUsd>();
                (&*route[0].keys[0], sum(now), NanoUsd(sum(before).0 / i64::from(spike.days.max(1))))
            })
            .collect();
        routes.sort_by_key(|(_, cost, mean)| std::cmp::Reverse(cost.minus(*mean)));
        routes.truncate(ROUTES_MAX);
        let usual = match spike.times {
            Some(times) => format!("{times:.1} times its usual ${:.2} a day", spike.mean.as_usd()),
            None => "where it usually spends nothing".to_owned(),
        };
        let most = routes.first().map_or_else(String::new, |(route, cost, mean)| {
            format!("; most of it on route `{route}` (${:.2}, usually ${:.2})", cost.as_usd(), mean.as_usd())
        });
        let message = format!("tenant `{tenant}` spent ${:.2} on {day}, {usual}{most}", spike.cost.as_usd());
        let routes: Vec<Value> = routes
            .iter()
            .map(|(route, cost, mean)| {
                json!({"route": route, "cost_usd": cost.as_usd(), "mean_usd": mean.as_usd()})
            })
            .collect();
        Ok(Event {
            seq: 0,
            at: self.now(),
            kind: EventKind::SpendBaseline,
            key: format!("spend_baseline:{tenant}:{day}"),
            severity: Severity::Warning,
            message,
            detail: json!({
                "tenant": tenant, "day": day.to_string(), "cost_usd": spike.cost.as_usd(),
                "mean_usd": spike.mean.as_usd(), "times": spike.times, "days": spike.days, "routes": routes,
            }),
        })
    }
}

/// (day, cost) of rows whose second key is the day.
fn days(rows: &[SpendRow]) -> Vec<(Day, NanoUsd)> {
    rows.iter().filter_map(|row| Some((Day::parse(row.keys.get(1)?)?, row.cost))).collect()
}

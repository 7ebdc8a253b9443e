//! `POST /api/v1/reconcile`: a provider's own figures against ours.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    response::Response,
};
use gauntlet_bills::reconcile::{self, Format, Rules};
use gauntlet_ports::{Event, EventKind, Reconciliation, Severity, SpendBy, SpendQuery};
use gauntlet_types::{Fault, NanoUsd};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bad;
use crate::{
    admin::{Admin, store_fault},
    api::{answer, fault, flush},
};

const LIST_MAX: u32 = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// As gauntlet.yml names it.
    provider: String,
    /// auto, openai, anthropic or csv.
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    threshold_percent: Option<f64>,
    /// The export: a page as JSON, a list of pages, or text as it stands in a file.
    export: Value,
}

pub(super) async fn post(State(admin): State<Admin>, asked: Result<Json<Asked>, JsonRejection>) -> Response {
    let asked = match asked {
        Ok(Json(asked)) => asked,
        Err(error) => return fault(&bad(error.body_text())),
    };
    answer(admin, move |admin| {
        let format = asked.format.as_deref().unwrap_or("auto");
        let format = Format::parse(format).ok_or_else(|| {
            bad(format!("there is no form `{format}` of exports; use auto, openai, anthropic or csv"))
        })?;
        let mut rules = Rules::default();
        if let Some(percent) = asked.threshold_percent {
            if !(0.0..=1_000.0).contains(&percent) {
                return Err(bad(format!("{percent} is no threshold in percent")));
            }
            rules.threshold_percent = percent;
        }
        let text = match asked.export {
            Value::String(text) => text,
            other => other.to_string(),
        };
        flush(admin);
        admin.reconcile(&asked.provider, text.as_bytes(), format, &rules)
    })
    .await
}

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| {
        let kept = admin.traces.reconciliation_list(LIST_MAX).map_err(store_fault)?;
        let kept: Vec<Value> = kept.iter().map(shown).collect();
        Ok(json!({"reconciliations": kept}))
    })
    .await
}

fn shown(one: &Reconciliation) -> Value {
    json!({
        "at": one.at, "time": one.at.to_string(), "provider": one.provider, "from": one.from.to_string(),
        "to": one.to.to_string(), "threshold_percent": one.threshold_percent, "is_drift": one.is_drift,
        "report": one.report,
    })
}

impl Admin {
    /// Compares an export with our sums of the same days, keeps the result, and notes an event where they drift. What a
    /// nightly task calls with what it has fetched.
    pub fn reconcile(
        &self,
        provider: &str,
        export: &[u8],
        format: Format,
        rules: &Rules,
    ) -> Result<Value, Fault> {
        let is_configured = self.snapshot().is_some_and(|now| now.policy.provider(provider).is_some());
        let export = reconcile::read(export, format).map_err(|error| bad(error.to_string()))?;
        let query = SpendQuery {
            by: vec![SpendBy::Day, SpendBy::Model],
            from: export.from,
            to: export.to,
            provider: Some(provider.to_owned()),
            ..SpendQuery::default()
        };
        let ours = self.traces.spend(&query).map_err(store_fault)?;
        if ours.is_empty() && !is_configured {
            return Err(bad(format!(
                "there is no provider `{provider}`, and no call to one from {} to {}; gauntlet.yml names them",
                export.from, export.to
            )));
        }
        let mut report = reconcile::compare(&export, &ours, rules);
        let now = self.now();
        if export.to >= now.day() {
            report
                .notes
                .push("the span goes up to today, which is not over: figures of providers come late".into());
        }
        let is_drift = report.is_drift;
        let report = serde_json::to_value(&report).unwrap_or_default();
        let kept = Reconciliation {
            at: now,
            provider: provider.into(),
            from: export.from,
            to: export.to,
            threshold_percent: rules.threshold_percent,
            is_drift,
            report,
        };
        self.traces.reconciliation_add(&kept).map_err(store_fault)?;
        if is_drift {
            self.event_add(&drift_event(&kept))?;
        }
        Ok(shown(&kept))
    }
}

fn drift_event(kept: &Reconciliation) -> Event {
    let (provider, from, to) = (&kept.provider, kept.from, kept.to);
    let rows = kept.report["totals"].as_array().into_iter().flatten();
    let drifting: Vec<&Value> = rows.filter(|row| row["is_drift"] == true).collect();
    let all: Vec<String> =
        drifting.iter().take(5).map(|row| row["model"].as_str().unwrap_or("").to_owned()).collect();
    let cost = |side: &str| -> NanoUsd {
        let rows = kept.report["totals"].as_array().into_iter().flatten();
        let figures = rows.flat_map(|row| row["figures"].as_array().into_iter().flatten());
        figures
            .filter(|pair| pair["name"] == "cost")
            .filter_map(|pair| pair[side].as_i64())
            .map(NanoUsd)
            .sum()
    };
    let models = if all.is_empty() { "single days".to_owned() } else { all.join(", ") };
    let message = format!(
        "the figures of provider `{provider}` for {from} to {to} differ from ours by more than {} % ({models})",
        kept.threshold_percent
    );
    Event {
        seq: 0,
        at: kept.at,
        kind: EventKind::ReconcileDrift,
        key: format!("reconcile_drift:{provider}:{from}:{to}"),
        severity: Severity::Warning,
        message,
        detail: json!({
            "provider": provider, "from": from.to_string(), "to": to.to_string(), "models": all,
            "threshold_percent": kept.threshold_percent, "ours_usd": cost("ours").as_usd(),
            "theirs_usd": cost("theirs").as_usd(),
        }),
    }
}

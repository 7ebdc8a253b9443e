//! The `metrics` of a suite.

use gauntlet_places::{At, Label, Node, Value, near};
use serde_json::Map;

use super::MetricSpec;
use crate::{metrics, report::Report, tree::Fields};

/// Of one suite: each is scored on each answer.
const METRICS_MAX: usize = 64;
/// Fields that every metric may have; the others are its kind's own.
const COMMON: [&str; 6] = ["name", "kind", "threshold", "floor", "margin", "gates"];

/// Looked at by the gate as ratios, not as points.
const BY_RATIO: [&str; 3] = ["latency", "cost", "tokens"];

pub(super) fn read(node: &Node, report: &mut Report) -> Vec<MetricSpec> {
    let mut metrics: Vec<MetricSpec> = Vec::new();
    let found: Vec<Option<MetricSpec>> = match &node.value {
        Value::List(items) if items.len() <= METRICS_MAX => {
            items.iter().map(|item| entry(item, report)).collect()
        }
        Value::Map(entries) if entries.len() <= METRICS_MAX => {
            entries.iter().map(|(label, node)| named(label, node, report)).collect()
        }
        Value::List(items) => {
            let cure = format!("a suite has at most {METRICS_MAX}: split it");
            report.error(node.at, format!("there are {} metrics", items.len()), cure);
            return metrics;
        }
        _ => {
            report.error(
                node.at,
                "`metrics` is no list",
                "write `metrics: [exact, …]`, or a line `- exact` for each",
            );
            return metrics;
        }
    };
    for metric in found.into_iter().flatten() {
        if metrics.iter().any(|known| known.name == metric.name) {
            let cure = format!("give one of them a name: `{}: {{name: …}}`", metric.kind);
            report.error(At::line(metric.line), format!("metric `{}` is there twice", metric.name), cure);
            continue;
        }
        metrics.push(metric);
    }
    metrics
}

/// `exact`, `exact: {…}`, or `{kind: exact, …}`.
fn entry(node: &Node, report: &mut Report) -> Option<MetricSpec> {
    match &node.value {
        Value::Text(kind) => spec(kind.trim(), node.at, &[], report),
        Value::Map(entries) if entries.iter().any(|(label, _)| label.text == "kind") => {
            let kind = Fields::over(entries, "").text("kind", report)?;
            spec(&kind, node.at, entries, report)
        }
        Value::Map(entries) => match entries.as_slice() {
            [(label, node)] => named(label, node, report),
            _ => {
                let cure = "indent its options below it, or write `- exact: {floor: 0.9}`";
                report.error(node.at, "this metric has several names", cure);
                None
            }
        },
        _ => {
            report.error(
                node.at,
                "this is no metric",
                "write its name, such as `- exact`, or `- contains: {value: …}`",
            );
            None
        }
    }
}

fn named(label: &Label, node: &Node, report: &mut Report) -> Option<MetricSpec> {
    match &node.value {
        Value::Null => spec(&label.text, label.at, &[], report),
        Value::Map(entries) => {
            let kind = entries.iter().any(|(label, _)| label.text == "kind");
            let Some(kind) = kind.then(|| Fields::over(entries, "").text("kind", report)).flatten() else {
                return spec(&label.text, label.at, entries, report);
            };
            // `polite: {kind: rubric, …}` names the metric by its key.
            let mut metric = spec(&kind, label.at, entries, report)?;
            metric.name = label.text.as_str().into();
            Some(metric)
        }
        _ => {
            let cure = format!("write `{}: {{…}}` with its options, or the name alone", label.text);
            report.error(node.at, format!("metric `{}` has a bare value", label.text), cure);
            None
        }
    }
}

fn spec(kind: &str, at: At, entries: &[(Label, Node)], report: &mut Report) -> Option<MetricSpec> {
    if !metrics::is_known(kind) {
        let cure = near::cure(
            kind,
            metrics::kinds(),
            &format!("there are {}", metrics::kinds().collect::<Vec<_>>().join(", ")),
        );
        report.error(at, format!("unknown metric `{}`", kind.escape_debug()), cure);
        return None;
    }
    let mut fields = Fields::over(entries, "a metric");
    let name = fields.text("name", report).unwrap_or_else(|| kind.to_owned());
    let threshold = fields.number("threshold", report, f64::MIN, f64::MAX);
    let floor = fields.number("floor", report, f64::MIN, f64::MAX);
    let margin = fields.number("margin", report, 0.0, f64::MAX);
    let gates = fields.yes("gates", report).unwrap_or(!BY_RATIO.contains(&kind));
    let own = entries.iter().filter(|(label, _)| !COMMON.contains(&label.text.as_str()));
    let options: Map<_, _> = own.map(|(label, node)| (label.text.clone(), node.to_json())).collect();
    let line = at.line;
    Some(MetricSpec { name: name.into(), kind: kind.into(), options, threshold, floor, margin, gates, line })
}

//! The `gate` of a suite.

use gauntlet_places::{Node, Plain, Value, near};

use super::{BaselineSpec, GateSpec, TrendSpec};
use crate::{report::Report, tree::Fields};

const RULES: [&str; 2] = ["non_inferiority", "p_value"];
/// Longer than any history that still says something of today.
const TREND_DAYS_MAX: u32 = 365;

pub(super) fn read(node: &Node, report: &mut Report) -> GateSpec {
    let mut gate = GateSpec { line: node.at.line, ..GateSpec::default() };
    let Some(mut fields) = Fields::of(node, "`gate`", report) else { return gate };
    if let Some(node) = fields.get("baseline") {
        gate.baseline = baseline(node, report).unwrap_or_default();
    }
    gate.margin = fields.number("margin", report, 0.0, f64::MAX).unwrap_or(gate.margin);
    gate.alpha = fields.number("alpha", report, 0.0001, 0.5).unwrap_or(gate.alpha);
    gate.cost = ratio(&mut fields, "cost", gate.cost, report);
    gate.latency = ratio(&mut fields, "latency", gate.latency, report);
    if let Some(node) = fields.get("trend") {
        gate.trend = trend(node, report);
    }
    gate.violations = fields.yes("violations", report).unwrap_or(gate.violations);
    gate.sequential = fields.yes("sequential", report).unwrap_or(gate.sequential);
    let rule_at = fields.at("rule");
    if let Some(rule) = fields.text("rule", report) {
        if !RULES.contains(&rule.as_str()) {
            let cure = near::cure(&rule, RULES, &format!("there are {}", RULES.join(", ")));
            report.error(rule_at, format!("unknown rule `{}`", rule.escape_debug()), cure);
        }
        gate.rule = rule.into();
    }
    fields.finish(report);
    gate
}

/// `none`, `last`, a label, `sha:…`, `run:…`; or `{label: …}`, `{app_sha: …}`, `{run: …}`.
fn baseline(node: &Node, report: &mut Report) -> Option<BaselineSpec> {
    match &node.value {
        Value::Text(text) => Some(BaselineSpec::parse(text.trim())),
        Value::Bool(Plain { value: false, .. }) => Some(BaselineSpec::None),
        Value::Map(entries) if entries.len() == 1 => {
            let mut fields = Fields::over(entries, "`baseline`");
            let label = fields.text("label", report).map(|name| BaselineSpec::Label(name.into()));
            let app_sha = fields.text("app_sha", report).map(|name| BaselineSpec::AppSha(name.into()));
            let run = fields.text("run", report).map(|name| BaselineSpec::Run(name.into()));
            fields.finish(report);
            label.or(app_sha).or(run)
        }
        _ => {
            let cure = "write `last`, `none`, a label such as `production`, `{app_sha: …}` or `{run: …}`";
            report.error(node.at, "`baseline` names no run to compare with", cure);
            None
        }
    }
}

impl BaselineSpec {
    /// As the command line and the suite write it: `none`, `last`, `sha:…`, `run:…`, else a label.
    pub fn parse(text: &str) -> BaselineSpec {
        match text.split_once(':') {
            Some(("sha" | "app_sha", sha)) => BaselineSpec::AppSha(sha.into()),
            Some(("run", run)) => BaselineSpec::Run(run.into()),
            Some(("label", label)) => BaselineSpec::Label(label.into()),
            _ if text == "none" || text == "off" => BaselineSpec::None,
            _ if text == "last" => BaselineSpec::Last,
            _ => BaselineSpec::Label(text.strip_prefix('@').unwrap_or(text).into()),
        }
    }
}

/// A factor, or `off`.
fn ratio(
    fields: &mut Fields<'_>,
    name: &'static str,
    default: Option<f64>,
    report: &mut Report,
) -> Option<f64> {
    match fields.get(name).map(|node| &node.value) {
        None => default,
        Some(Value::Bool(Plain { value: false, .. })) => None,
        Some(Value::Text(text)) if text == "off" || text == "none" => None,
        Some(_) => fields.number(name, report, 0.01, 1_000.0),
    }
}

fn trend(node: &Node, report: &mut Report) -> Option<TrendSpec> {
    match &node.value {
        Value::Bool(Plain { value: false, .. }) => return None,
        Value::Text(text) if text == "off" || text == "none" => return None,
        _ => {}
    }
    let mut fields = Fields::of(node, "`trend`", report)?;
    let drop = fields.number("drop", report, 0.0, f64::MAX).unwrap_or(0.05);
    let days = fields.count("days", report, TREND_DAYS_MAX).unwrap_or(7);
    fields.finish(report);
    Some(TrendSpec { drop, days })
}

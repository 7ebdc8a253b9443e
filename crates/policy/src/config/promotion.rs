//! `promotion:` — what a label asks for before it moves.
//!
//! ```yaml
//! promotion:
//!   production: {gate: true, approval: high_risk}   # gate: true, false, or suites; approval: never, high_risk, always
//! ```

use std::collections::BTreeMap;

use gauntlet_types::Name;

use super::{
    node::{Node, Value},
    read::{self, Fields, Report},
    scalar,
};
use crate::promotion::{ApprovalNeed, GateNeed, PromotionRule};

pub(super) fn read(node: &Node, report: &mut Report) -> BTreeMap<Name, PromotionRule> {
    let entries = read::map(node, "`promotion`", report).unwrap_or_default();
    let mut rules = BTreeMap::new();
    for (label, node) in entries {
        let name = label.text.as_str();
        let looks_like_version = name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('.');
        if name == "latest" || looks_like_version {
            let cure = "name a label that is moved, such as `production`";
            report.error(label.at, format!("`{name}` is no label that is moved"), cure);
            continue;
        }
        let Some(rule) = one(name, node, report) else { continue };
        if rule == (PromotionRule { gate: GateNeed::None, approval: ApprovalNeed::Never }) {
            let message =
                format!("`promotion.{name}` asks for nothing; it only keeps files from moving the label");
            report.warn(label.at, message, "ask for a `gate` or an `approval`, or leave it");
        }
        rules.insert(name.into(), rule);
    }
    rules
}

fn one(label: &str, node: &Node, report: &mut Report) -> Option<PromotionRule> {
    let mut fields = Fields::of(node, format!("`promotion.{label}`"), report)?;
    let gate = fields.get("gate").map_or(GateNeed::Any, |node| gate(node, report));
    let choices =
        [ApprovalNeed::Never, ApprovalNeed::HighRisk, ApprovalNeed::Always].map(|need| (need.as_str(), need));
    let approval = fields.choice("approval", report, &choices).unwrap_or(ApprovalNeed::HighRisk);
    fields.finish(report);
    Some(PromotionRule { gate, approval })
}

/// `true`, `false`, or the names of suites.
fn gate(node: &Node, report: &mut Report) -> GateNeed {
    let name = |node: &Node, report: &mut Report| {
        let text = read::text(node, "gate", report)?;
        if text.text.trim().is_empty() {
            report.error(node.at, "`gate` names a suite without a name", "write the suite's name, or `true`");
            return None;
        }
        Some(Name::from(text.text.trim()))
    };
    match &node.value {
        Value::List(items) if items.is_empty() => {
            report.error(node.at, "`gate` names no suite", "name one, or write `true` for any");
            GateNeed::Any
        }
        Value::List(items) => GateNeed::Suites(items.iter().filter_map(|item| name(item, report)).collect()),
        Value::Text(text) => match (scalar::BOOL.parse)(text.text.trim()) {
            Some(true) => GateNeed::Any,
            Some(false) => GateNeed::None,
            None => GateNeed::Suites(name(node, report).into_iter().collect()),
        },
        Value::Map(_) => {
            report.error(node.at, "`gate` is a map", "write `true`, `false`, or suites: `[support, safety]`");
            GateNeed::Any
        }
        Value::Null | Value::Broken => GateNeed::Any,
    }
}

//! `alerts:` — who is told when a budget runs low.

use gauntlet_types::Name;

use super::{
    node::{Node, Value},
    read::{Fields, Report},
    scalar,
    shape::Secret,
};

/// Percent of a budget at which people are told, unless they say otherwise.
const NOTIFY_OVER_DEFAULT: u32 = 80;

/// One receiver of alerts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// Without its `#`.
    pub slack_channel: Option<Name>,
    /// An incoming webhook of Slack.
    pub slack_webhook: Option<Secret>,
    /// Any other address; it gets JSON by POST.
    pub webhook: Option<Secret>,
    /// Percent of a budget. Default 80.
    pub notify_over_percent: u32,
}

/// Reads one receiver, or a list of them.
pub(super) fn read(node: &Node, report: &mut Report) -> Vec<Alert> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| one(item, report)).collect(),
        _ => one(node, report).into_iter().collect(),
    }
}

fn one(node: &Node, report: &mut Report) -> Option<Alert> {
    let mut fields = Fields::of(node, "`alerts`", report)?;
    let alert = Alert {
        slack_channel: fields
            .text("slack_channel", report)
            .map(|(text, _)| text.trim_start_matches('#').into()),
        slack_webhook: fields.text("slack_webhook", report).map(|(text, _)| Secret::new(text)),
        webhook: fields.text("webhook", report).map(|(text, _)| Secret::new(text)),
        notify_over_percent: fields
            .read("notify_over", report, scalar::PERCENT)
            .unwrap_or(NOTIFY_OVER_DEFAULT),
    };
    fields.finish(report);
    Some(alert)
}

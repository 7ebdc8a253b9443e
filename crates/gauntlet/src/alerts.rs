//! Tells people what they asked to be told: keeps budgets' steps as events, and sends every event to the receivers of
//! `alerts:` (Slack, any webhook). A thread of its own, so that no call and no page waits for another's server.
//!
//! What was sent is remembered, so that a restart sends what is new and repeats at most the last. A receiver that
//! fails is tried again, then left out for this event: the event stays in `gauntlet events`.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Result;
use gauntlet_policy::{
    budget::{Crossed, show},
    config::Alert,
};
use gauntlet_ports::{ControlError, Event, EventFilter, EventKind, Severity};
use serde_json::json;

use crate::wiring::Live;

/// Steps that wait to be noted; more at once would be a flood nobody reads, and `gauntlet budget` shows them all.
const WAITING_MAX: usize = 1_024;
/// Events come from other places too; nobody tells this thread of those.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Of one round. What is beyond it is told as a number.
const TOLD_MAX: u32 = 20;
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Before each further try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(4)];
/// Under this name the control store keeps how far has been told.
const CURSOR: &str = "alerts_told";

type OnCrossed = Box<dyn Fn(&Crossed) + Send + Sync>;

/// Where settling calls leave the steps of their budgets, and where they are taken from.
pub fn channel() -> (OnCrossed, mpsc::Receiver<Crossed>) {
    let (tx, rx) = mpsc::sync_channel(WAITING_MAX);
    let leave = move |crossed: &Crossed| {
        if tx.try_send(crossed.clone()).is_err() {
            tracing::warn!("too many budgets took a step at once; see `gauntlet budget`");
        }
    };
    (Box::new(leave), rx)
}

pub fn send_in_background(live: Arc<Live>, crossed: mpsc::Receiver<Crossed>) -> Result<()> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder().timeout_global(Some(ANSWER_MAX)).max_redirects(0).build(),
    );
    // Whoever sets up alerts is not told of everything that ever happened before.
    told(&live)?;
    let (noted, look) = mpsc::sync_channel(1);
    let notes = {
        let live = live.clone();
        move || {
            for one in crossed {
                note(&live, &one);
                // One that waits to be looked at is enough.
                let _ = noted.try_send(());
            }
        }
    };
    // Two threads, since a receiver may take its time and an event is noted at once.
    thread::Builder::new().name("events".to_owned()).spawn(notes)?;
    let work = move || {
        while !matches!(look.recv_timeout(LOOK_EVERY), Err(mpsc::RecvTimeoutError::Disconnected)) {
            if let Err(error) = tell(&live, &agent) {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot read events to send");
            }
        }
    };
    thread::Builder::new().name("alerts".to_owned()).spawn(work)?;
    Ok(())
}

/// Keeps a step as an event, once per budget, period and step.
fn note(live: &Live, crossed: &Crossed) {
    let charge = &crossed.charge;
    let (measure, percent) = (charge.measure, crossed.percent);
    let at = live.shared.clock.now();
    let rule = live.shared.snapshot.load_full();
    let resets = rule.policy.rule_of(charge).and_then(|rule| rule.calendar.resets(at));
    // A rolling budget has no period: it is told once a day.
    let period = charge.period.unwrap_or(at.day());
    let (kind, severity) = match percent {
        100 => (EventKind::BudgetFull, Severity::Critical),
        _ => (EventKind::BudgetWarned, Severity::Warning),
    };
    let turns = resets.map_or(String::new(), |at| format!("; it turns at {at}"));
    let event = Event {
        seq: 0,
        at,
        kind,
        key: format!("{}:{}:{}:{period}:{percent}", kind.as_str(), charge.scope, charge.key),
        severity,
        message: format!(
            "budget {} of {} has reached {percent} %: {} of {}{turns}",
            charge.scope,
            charge.key,
            show(measure, crossed.spent),
            show(measure, crossed.cap)
        ),
        detail: json!({
            "scope": charge.scope, "key": charge.key, "period": charge.period.map(|day| day.to_string()),
            "measure": measure.as_str(), "percent": percent, "spent": crossed.spent, "cap": crossed.cap,
            "resets": resets.map(|at| at.to_string()),
        }),
    };
    if let Err(error) = live.stores.control.event_add(&event) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            message = event.message,
            "cannot note an event"
        );
    }
}

/// The newest event, and up to which people have been told.
fn told(live: &Live) -> Result<(u64, u64), ControlError> {
    let control = &*live.stores.control;
    let newest = control.event_list(&EventFilter { limit: 1, ..EventFilter::default() })?;
    let known = newest.first().map_or(0, |event| event.seq);
    let told = control.setting(CURSOR, &mut || known.to_string())?.parse().unwrap_or(known);
    Ok((known, told))
}

/// Sends what happened since the last time.
fn tell(live: &Live, agent: &ureq::Agent) -> Result<(), ControlError> {
    let control = &*live.stores.control;
    let (known, told) = told(live)?;
    if told >= known {
        return Ok(());
    }
    let filter = EventFilter { after: Some(told), limit: 1_000, ..EventFilter::default() };
    let mut events = control.event_list(&filter)?;
    events.sort_by_key(|event| event.seq);
    let policy = live.shared.snapshot.load_full();
    for receiver in policy.policy.alerts() {
        let mut wanted = events.iter().filter(|event| is_for(receiver, event));
        for event in wanted.by_ref().take(TOLD_MAX as usize) {
            send(agent, receiver, event);
        }
        let more = wanted.count();
        if more > 0 {
            tracing::warn!(more, "more events than anybody wants to be sent at once; see `gauntlet events`");
        }
    }
    // One may have come after `known` was read, and has been sent as well.
    let last = events.last().map_or(known, |event| event.seq.max(known));
    control.setting_put(CURSOR, &last.to_string())
}

fn is_for(receiver: &Alert, event: &Event) -> bool {
    let percent = event.detail["percent"].as_u64();
    percent.is_none_or(|percent| percent >= u64::from(receiver.notify_over_percent))
}

fn send(agent: &ureq::Agent, receiver: &Alert, event: &Event) {
    let slack = receiver.slack_webhook.as_ref().map(|address| (address, slack(receiver, event)));
    let plain = receiver.webhook.as_ref().map(|address| (address, json!(event)));
    for (address, body) in slack.into_iter().chain(plain) {
        let post = || agent.post(address.expose()).send_json(&body);
        let mut sent = post();
        for pause in PAUSES {
            if sent.is_ok() {
                break;
            }
            thread::sleep(pause);
            sent = post();
        }
        if let Err(error) = sent {
            // The address is a secret: its path lets anybody post.
            let error = error.to_string().replace(address.expose(), "***");
            tracing::error!(error, event = event.key, "a receiver of alerts cannot be reached");
        }
    }
}

/// Text in Slack's form: what callers named must not become a link or a mention.
fn slack(receiver: &Alert, event: &Event) -> serde_json::Value {
    let escaped = event.message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mark = match event.severity {
        Severity::Info => ":information_source:",
        Severity::Warning => ":warning:",
        Severity::Critical => ":rotating_light:",
    };
    let mut body = json!({"text": format!("{mark} Gauntlet: {escaped}")});
    if let Some(channel) = &receiver.slack_channel {
        body["channel"] = format!("#{channel}").into();
    }
    body
}

#[cfg(test)]
mod tests {
    use gauntlet_types::Timestamp;

    use super::*;

    #[test]
    fn names_in_a_message_are_no_marks_in_slack() {
        let receiver = Alert {
            slack_channel: Some("llm-spend".into()),
            slack_webhook: None,
            webhook: None,
            notify_over_percent: 90,
        };
        let event = |percent: Option<u8>| Event {
            seq: 1,
            at: Timestamp(0),
            kind: EventKind::BudgetFull,
            key: "k".to_owned(),
            severity: Severity::Critical,
            message: "budget of <!channel> & <https://x|y>".to_owned(),
            detail: json!({ "percent": percent }),
        };
        let body = slack(&receiver, &event(None));
        assert_eq!(body["channel"], "#llm-spend");
        assert_eq!(
            body["text"],
            ":rotating_light: Gauntlet: budget of &lt;!channel&gt; &amp; &lt;https://x|y&gt;"
        );
        let told = [Some(80), Some(90), Some(100), None].map(|percent| is_for(&receiver, &event(percent)));
        assert_eq!(told, [false, true, true, true]);
    }
}

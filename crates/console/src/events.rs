//! What needed attention, newest first: a list of its own, and the latest few on the overview.

use gauntlet_ports::{Event, Severity};
use gauntlet_types::Timestamp;
use maud::{Markup, html};

use crate::{
    figures::time,
    paths,
    shell::{Place, Shell, page},
    text::Line,
};

/// On the overview.
const LATEST: usize = 5;

pub fn events(shell: &Shell, events: &[Event]) -> String {
    let body = html! {
        div.title { h1 { "Events" } p.muted { "Budgets, unusual spend, drift; each is told once." } }
        section.panel {
            @if events.is_empty() { p { "Nothing needed attention." } } @else { (list(shell.now, events)) }
        }
    };
    page(shell, Place::Events, "Events", body)
}

/// Nothing, where there is nothing to say.
pub(crate) fn latest(now: Timestamp, events: &[Event]) -> Markup {
    html! {
        @if !events.is_empty() {
            section.panel {
                h2 { "Latest events" }
                (list(now, &events[..events.len().min(LATEST)]))
                p.small { a href=(paths::EVENTS) { "All events" } }
            }
        }
    }
}

fn list(now: Timestamp, events: &[Event]) -> Markup {
    html! {
        ul.notes { @for event in events { li {
            span class=(match event.severity {
                Severity::Info => "pill",
                Severity::Warning => "pill warn",
                Severity::Critical => "pill bad",
            }) { (event.kind.as_str().replace('_', " ")) }
            " " (Line(&event.message)) " " span.muted { (time(event.at, now)) }
        } } }
    }
}

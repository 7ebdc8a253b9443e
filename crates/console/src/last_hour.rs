//! How the last hour goes, by the minute: calls, and how long they took.

use gauntlet_ports::{Overview, OverviewRow};
use gauntlet_types::Timestamp;
use maud::{Markup, html};

use crate::{
    charts::{self, Bar},
    figures::{count, count_short, duration_or_dash, time_as},
    overview::{calls_bar, legend},
};

const MINUTE_US: i64 = 60_000_000;
const MINUTES: i64 = 60;
const CLOCK: &str = "%H:%M";

pub(crate) fn panel(now: Timestamp, hour: &Overview) -> Markup {
    html! {
        section.panel.chart {
            h2 { "Last hour" }
            @if hour.total.calls == 0 { p.muted { "No calls in the last 60 minutes." } }
            @else { (charts(now, hour)) }
        }
    }
}

fn charts(now: Timestamp, hour: &Overview) -> Markup {
    let none = OverviewRow::default();
    let first = now.minute_start().0 - (MINUTES - 1) * MINUTE_US;
    // Those without calls are left out of the series; both go by time.
    let mut series = hour.series.iter().peekable();
    let (mut calls, mut took) = (Vec::new(), Vec::new());
    let (mut calls_top, mut took_top) = (0, None);
    for start in (0..MINUTES).map(|minute| Timestamp(first + minute * MINUTE_US)) {
        while series.next_if(|(at, _)| *at < start).is_some() {}
        let row = series.next_if(|(at, _)| *at == start).map_or(&none, |(_, row)| row);
        let label = time_as(start, CLOCK);
        calls.push(calls_bar(&label, row));
        took.push(Bar {
            title: format!("{label}: p95 {}", duration_or_dash(row.p95_us)),
            pieces: vec![("took", row.p95_us.unwrap_or(0))],
        });
        calls_top = row.calls.max(calls_top);
        took_top = row.p95_us.max(took_top);
    }
    let total = &hour.total;
    let (p95, p95_top) = (duration_or_dash(total.p95_us), duration_or_dash(took_top));
    let calls_label = format!(
        "Calls by the minute, last hour: {} in all, {} of them errors, at most {} in one",
        count(total.calls),
        count(total.errors),
        count(calls_top)
    );
    let took_label =
        format!("Latency p95 by the minute, last hour: {p95} over all, at most {p95_top} in one");
    let axis = html! {
        p.axis {
            @for minute in [0, MINUTES / 2, MINUTES - 1] {
                span { (time_as(Timestamp(first + minute * MINUTE_US), CLOCK)) }
            }
        }
    };
    html! {
        div.pair {
            div {
                p.scale {
                    "Calls " b { (count_short(total.calls)) }
                    (legend())
                    span.muted { "top " (count_short(calls_top)) }
                }
                (charts::bars(&calls_label, &calls))
                (axis)
            }
            div {
                p.scale { "Latency p95 " b { (p95) } span.muted { "top " (p95_top) } }
                (charts::bars(&took_label, &took))
                (axis)
            }
        }
    }
}

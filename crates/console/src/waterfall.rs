//! Where the time of a call went: its stages, and under `attempt` each try at a model.

use gauntlet_types::{Attempt, AttemptEnd, CallRecord, Stage};
use maud::{Markup, html};

use crate::{charts::round, figures::duration, text::Line};

/// More than a fallback chain with its retries ever has; a record from elsewhere may say anything.
const ROWS_MAX: usize = 32;

pub fn waterfall(record: &CallRecord) -> Markup {
    let end = |start: u32, took: u32| u64::from(start) + u64::from(took);
    let ends = record.stages.iter().map(|stage| end(stage.start_us, stage.took_us));
    let tries = record.attempts.iter().map(|attempt| end(attempt.start_us, attempt.took_us));
    let whole = ends.chain(tries).chain([record.latency_us, 1]).max().unwrap_or(1);
    let is_nested = record.stages.iter().any(|stage| stage.stage == Stage::Attempt);
    html! {
        section.panel {
            h2 { "Waterfall" }
            @if record.stages.is_empty() && record.attempts.is_empty() {
                p.muted { "No stage was timed: the call ended before the first one." }
            } @else {
                ol.fall {
                    @for stage in record.stages.iter().take(ROWS_MAX) {
                        @let is_attempt = stage.stage == Stage::Attempt;
                        @let first = record.first_token_us.filter(|_| is_attempt);
                        li {
                            span.name { (title(stage.stage)) }
                            (bar(stage.start_us, stage.took_us, whole, if is_attempt { "model" } else { "own" }, first))
                            span.n { (duration(stage.took_us.into())) }
                            @if is_attempt { (attempts(&record.attempts, whole)) }
                        }
                    }
                    @if !is_nested && !record.attempts.is_empty() { li { (attempts(&record.attempts, whole)) } }
                }
                p.axis { span { "0" } span { (duration(whole / 2)) } span { (duration(whole)) } }
                @if let Some(first) = record.first_token_us {
                    p.muted.small { i.tick {} "first token after " (duration(first)) }
                }
            }
        }
    }
}

fn attempts(attempts: &[Attempt], whole: u64) -> Markup {
    html! {
        ol {
            @for (at, attempt) in attempts.iter().take(ROWS_MAX).enumerate() {
                @let again = attempts[..at].iter().filter(|earlier| earlier.target == attempt.target).count();
                @let is_ok = attempt.end == AttemptEnd::Ok;
                @let is_beside = attempts.iter().any(|other| spans(other, attempt.start_us));
                @let has_beside = attempts.iter().any(|other| spans(attempt, other.start_us));
                li {
                    span.name {
                        (Line(&attempt.target.to_string()))
                        span.sub.bad[!is_ok && attempt.end != AttemptEnd::Outrun] {
                            @if is_beside { "beside: " }
                            @else if again > 0 { "retry " (again) ": " }
                            @else if at > 0 && !has_beside { "fallback: " }
                            (words(attempt.end))
                            @if let Some(status) = attempt.status { " " (status) }
                        }
                    }
                    (bar(attempt.start_us, attempt.took_us, whole, if is_ok { "answered" } else { "broken" }, None))
                    span.n { (duration(attempt.took_us.into())) }
                    @if let Some(error) = &attempt.error { p.bad.small { (Line(error)) } }
                }
            }
            @if attempts.len() > ROWS_MAX { li { span.cut { (attempts.len() - ROWS_MAX) " more attempts" } } }
        }
    }
}

/// Whether the attempt was under way at that moment.
const fn spans(attempt: &Attempt, at_us: u32) -> bool {
    attempt.start_us < at_us && at_us < attempt.start_us.saturating_add(attempt.took_us)
}

fn bar(start: u32, took: u32, whole: u64, class: &str, mark: Option<u64>) -> Markup {
    let share = |micros: u64| micros.min(whole) as f64 * 100.0 / whole as f64;
    // Two in a thousand is about one pixel: short stages stay visible, also at the very end.
    let width = share(took.into()).max(0.2);
    let x = share(start.into()).min(100.0 - width);
    let label = format!("starts at {}, takes {}", duration(start.into()), duration(took.into()));
    html! {
        svg.time role="img" aria-label=(label) width="100%" height="14" {
            title { (label) }
            rect.track y="6.5" width="100%" height="1" {}
            rect class=(class) x={ (round(x)) "%" } y="1" width={ (format!("{width:.2}")) "%" } height="12" rx="2" {}
            @if let Some(at) = mark { rect.tick x={ (round(share(at))) "%" } width="2" height="14" {} }
        }
    }
}

const fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::Admit => "admit",
        Stage::Limit => "limit",
        Stage::GuardInput => "guard input",
        Stage::Render => "render",
        Stage::Plan => "plan",
        Stage::Reserve => "reserve",
        Stage::Cache => "cache",
        Stage::Attempt => "attempt",
        Stage::GuardOutput => "guard output",
        Stage::Settle => "settle",
        Stage::Record => "record",
    }
}

const fn words(end: AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Ok => "answered",
        AttemptEnd::Status => "error status",
        AttemptEnd::Connect => "no connection",
        AttemptEnd::FirstTokenTimeout => "no first token in time",
        AttemptEnd::IdleTimeout => "fell silent",
        AttemptEnd::TotalTimeout => "took too long",
        AttemptEnd::Malformed => "malformed answer",
        AttemptEnd::Cut => "connection cut",
        AttemptEnd::StreamError => "error in the stream",
        AttemptEnd::Abandoned => "abandoned, the caller had gone",
        AttemptEnd::Outrun => "dropped, another was quicker",
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_types::Target;

    use super::*;

    fn attempt(start_us: u32, took_us: u32, end: AttemptEnd) -> Attempt {
        let target = Target { provider: "p".into(), model: start_us.to_string().as_str().into() };
        Attempt { target, start_us, took_us, end, status: None, error: None, billed: None }
    }

    #[test]
    fn an_attempt_beside_another_is_no_fallback() {
        let check = |listed: &[Attempt], expected: &[&str]| {
            let page = attempts(listed, 2_000).into_string();
            let shown = ["beside: dropped, another was quicker", "beside: answered", "fallback: answered"];
            let found: Vec<&str> = shown.into_iter().filter(|words| page.contains(words)).collect();
            assert_eq!(found, expected, "{page}");
        };
        let ended = |start, took, end| attempt(start, took, end);
        check(&[ended(0, 900, AttemptEnd::Outrun), ended(800, 100, AttemptEnd::Ok)], &["beside: answered"]);
        check(
            &[ended(800, 100, AttemptEnd::Outrun), ended(0, 900, AttemptEnd::Ok)],
            &["beside: dropped, another was quicker"],
        );
        check(&[ended(0, 900, AttemptEnd::Status), ended(900, 100, AttemptEnd::Ok)], &["fallback: answered"]);
    }
}

//! A list of traces as a URL: every filter a page can show is in its address, so a view is saved by saving the link.
//!
//! Parameters have the names of `TraceFilter`'s fields; `cost_min` is in USD, times are RFC 3339 (or without a zone,
//! then UTC). `last=24h` is a time that moves along, so that "errors of the last day" stays that tomorrow.

use std::{fmt::Write, time::Duration};

use gauntlet_ports::TraceFilter;
use gauntlet_types::{Outcome, Timestamp};
use jiff::{civil::DateTime, tz::TimeZone};

/// Parameters of one address that are read; ours has 32.
pub(crate) const PARAMETERS_MAX: usize = 64;
/// Bytes of one value that are taken; the longest names are 256.
const VALUE_MAX: usize = 512;

/// A time range that ends now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    Hour,
    Day,
    Week,
}

impl Range {
    pub const ALL: [Range; 3] = [Range::Hour, Range::Day, Range::Week];

    pub const fn as_str(self) -> &'static str {
        match self {
            Range::Hour => "1h",
            Range::Day => "24h",
            Range::Week => "7d",
        }
    }

    pub const fn length(self) -> Duration {
        match self {
            Range::Hour => Duration::from_secs(3_600),
            Range::Day => Duration::from_secs(86_400),
            Range::Week => Duration::from_secs(7 * 86_400),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Range> {
        Range::ALL.into_iter().find(|range| range.as_str() == text)
    }
}

/// What an address asks for.
#[derive(Clone, Default, Debug)]
pub struct ListQuery {
    /// With `since` already set from `last`.
    pub filter: TraceFilter,
    pub last: Option<Range>,
    /// What could not be read, for the person who typed it; such a parameter does not narrow the list.
    pub problems: Vec<String>,
    /// Names that are no filter. A page leaves them alone; a program has probably misspelt one.
    pub unknown: Vec<String>,
}

/// Reads the query part of an address, with or without its `?`. Empty values are what a form sends for an empty field
/// and mean nothing; unknown parameters are left alone.
pub fn filter_from_query(query: &str, now: Timestamp) -> ListQuery {
    let mut list = ListQuery::default();
    for pair in query.trim_start_matches('?').split('&').take(PARAMETERS_MAX) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        let value = value.trim();
        if !value.is_empty() && set(&mut list, &decode(name), cut(value)).is_none() {
            list.problems.push(format!("{} cannot be {}", decode(name), cut(value)));
        }
    }
    // The link that says "the last hour" is newer than the bounds it was clicked on.
    if let Some(range) = list.last {
        list.filter.since = Some(now.minus(range.length()));
    }
    list
}

/// The query part for a filter, without `?`; empty for a filter that narrows nothing.
pub fn query_of(filter: &TraceFilter) -> String {
    let mut query = String::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            encode(&mut query, &value);
        }
    };
    add("id", filter.id.map(|id| id.to_string()));
    add("tenant", filter.tenant.clone());
    add("team", filter.team.clone());
    add("user", filter.user.clone());
    add("session", filter.session.clone());
    add("route", filter.route.clone());
    add("model", filter.model.clone());
    add("provider", filter.provider.clone());
    add("key", filter.key.clone());
    add("tag", filter.tag.clone());
    add("environment", filter.environment.clone());
    add("outcome", filter.outcome.map(|outcome| outcome.as_str().to_owned()));
    add("status", filter.status.map(|status| status.to_string()));
    add("error", filter.error.clone());
    add("decision", filter.decision.clone());
    add("cache", filter.cache.clone());
    add("prompt_name", filter.prompt_name.clone());
    add("prompt_version", filter.prompt_version.clone());
    add("eval_id", filter.eval_id.clone());
    add("app_sha", filter.app_sha.clone());
    add("trace_id", filter.trace_id.map(|id| id.to_string()));
    add("since", filter.since.map(exact));
    add("until", filter.until.map(exact));
    add("cost_min", filter.cost_min.map(|cost| cost.to_string()));
    add("cost_max", filter.cost_max.map(|cost| cost.to_string()));
    add("latency_ms_min", filter.latency_ms_min.map(|latency| latency.to_string()));
    add("latency_ms_max", filter.latency_ms_max.map(|latency| latency.to_string()));
    add("text", filter.text.clone());
    add("before", filter.before.map(|place| place.to_string()));
    add("after", filter.after.map(|place| place.to_string()));
    add("limit", (filter.limit > 0).then(|| filter.limit.to_string()));
    query
}

impl ListQuery {
    /// The address of this list after a change.
    pub fn link(&self, change: impl FnOnce(&mut ListQuery)) -> String {
        self.link_at(crate::paths::TRACES, change)
    }

    /// The same of another list that takes the same filters.
    pub fn link_at(&self, path: &str, change: impl FnOnce(&mut ListQuery)) -> String {
        let mut list = self.clone();
        change(&mut list);
        if list.last.is_some() {
            list.filter.since = None;
        }
        let mut query = query_of(&list.filter);
        if let Some(range) = list.last {
            let joint = if query.is_empty() { "" } else { "&" };
            let _ = write!(query, "{joint}last={}", range.as_str());
        }
        address(path, &query)
    }
}

/// The address of the list narrowed by one thing alone.
pub fn link_to(set: impl FnOnce(&mut TraceFilter)) -> String {
    let mut filter = TraceFilter::default();
    set(&mut filter);
    address(crate::paths::TRACES, &query_of(&filter))
}

fn address(path: &str, query: &str) -> String {
    let joint = if query.is_empty() { "" } else { "?" };
    format!("{path}{joint}{query}")
}

/// Sets one field; none if the value makes no sense for it.
fn set(list: &mut ListQuery, name: &str, value: &str) -> Option<()> {
    let filter = &mut list.filter;
    let text = Some(value.to_owned());
    match name {
        "id" => filter.id = Some(value.parse().ok()?),
        "tenant" => filter.tenant = text,
        "team" => filter.team = text,
        "user" => filter.user = text,
        "session" => filter.session = text,
        "route" => filter.route = text,
        "model" => filter.model = text,
        "provider" => filter.provider = text,
        "key" => filter.key = text,
        "tag" => filter.tag = text,
        "environment" => filter.environment = text,
        "outcome" => filter.outcome = Some(Outcome::parse(value)?),
        "status" => filter.status = Some(value.parse().ok()?),
        "error" => filter.error = text,
        "decision" => filter.decision = text,
        "cache" => filter.cache = text,
        "prompt_name" => filter.prompt_name = text,
        "prompt_version" => filter.prompt_version = text,
        "eval_id" => filter.eval_id = text,
        "app_sha" => filter.app_sha = text,
        "trace_id" => filter.trace_id = Some(value.parse().ok()?),
        "since" => filter.since = Some(instant(value)?),
        "until" => filter.until = Some(instant(value)?),
        "cost_min" => filter.cost_min = Some(value.parse().ok()?),
        "cost_max" => filter.cost_max = Some(value.parse().ok()?),
        "latency_ms_min" => filter.latency_ms_min = Some(value.parse().ok()?),
        "latency_ms_max" => filter.latency_ms_max = Some(value.parse().ok()?),
        "text" => filter.text = text,
        "before" => filter.before = Some(value.parse().ok()?),
        "after" => filter.after = Some(value.parse().ok()?),
        "limit" => filter.limit = value.parse().ok()?,
        "last" => list.last = Some(Range::parse(value)?),
        unknown => list.unknown.push(unknown.to_owned()),
    }
    Some(())
}

pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(instant.as_microsecond()));
    }
    let civil: DateTime = text.parse().ok()?;
    Some(Timestamp(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond()))
}

/// All the digits that matter, where `Timestamp` shows milliseconds.
pub(crate) fn exact(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.to_string(), |instant| instant.to_string())
}

pub(crate) fn cut(text: &str) -> &str {
    text.char_indices().map(|(at, _)| at).find(|at| *at >= VALUE_MAX).map_or(text, |at| &text[..at])
}

/// `application/x-www-form-urlencoded`, as forms send it: all but unreserved characters as `%XX`.
pub(crate) fn encode(query: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                query.push(char::from(byte))
            }
            b' ' => query.push('+'),
            _ => {
                let _ = write!(query, "%{byte:02X}");
            }
        }
    }
}

/// The other way; a broken `%` stands for itself, and bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', _, _) => out.push(b' '),
            (byte, _, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_ports::TraceCursor;
    use gauntlet_types::{CallId, NanoUsd, TraceId};

    const NOW: Timestamp = Timestamp(1_777_142_531_482_000);

    #[test]
    fn a_filter_survives_its_address() {
        let some = |text: &str| Some(text.to_owned());
        let id: CallId = "r_0192f3a07c4b7d5e8f9a0b1c2d3e4f50".parse().unwrap();
        let filter = TraceFilter {
            id: Some(id),
            tenant: some("Bäcker & Söhne"),
            team: some("a=b"),
            user: some("<script>alert(1)</script>"),
            session: some("50%+x"),
            route: some("support_bot"),
            model: some("openai/gpt-4o-mini"),
            provider: some("openai"),
            key: some("app"),
            tag: some("beta #1"),
            environment: some("prod"),
            outcome: Some(Outcome::Failed),
            error: some("upstream_failed"),
            status: Some(502),
            decision: some("redact"),
            cache: some("exact"),
            prompt_name: some("refund"),
            prompt_version: some("2.1.0"),
            eval_id: some("nightly"),
            app_sha: some("deadbeef"),
            trace_id: Some(TraceId(77)),
            since: Some(Timestamp(1_777_142_531_482_123)),
            until: Some(NOW),
            cost_min: Some(NanoUsd(10_000_075)),
            cost_max: Some(NanoUsd(20_000_000)),
            latency_ms_min: Some(1500),
            latency_ms_max: Some(60_000),
            text: some("say \"hi\"  #1?"),
            before: Some(TraceCursor::Call(id)),
            after: Some(TraceCursor::Seq(77)),
            limit: 20,
        };
        let query = query_of(&filter);
        let list = filter_from_query(&query, NOW);
        assert_eq!(serde_json::to_value(&list.filter).unwrap(), serde_json::to_value(&filter).unwrap());
        assert_eq!(list.problems, [""; 0]);
        assert!(query.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'".contains(&byte)), "{query}");
        assert_eq!(query_of(&TraceFilter::default()), "");
    }

    #[test]
    fn a_moving_range_stays_moving() {
        let list = filter_from_query("?route=a&last=24h", NOW);
        assert_eq!(list.filter.since, Some(NOW.minus(Range::Day.length())));
        assert_eq!(list.link(|_| {}), "/traces?route=a&last=24h");
        assert_eq!(list.link(|list| list.last = Some(Range::Hour)), "/traces?route=a&last=1h");
        assert_eq!(ListQuery::default().link(|_| {}), "/traces");
    }

    #[test]
    fn people_type_times_without_a_zone() {
        let check = |text: &str, shown: &str| {
            let list = filter_from_query(&format!("since={text}"), NOW);
            assert_eq!(list.filter.since.map(|at| at.to_string()).as_deref(), Some(shown), "{text}");
        };
        check("2026-04-25T18%3A42", "2026-04-25T18:42:00.000Z");
        check("2026-04-25", "2026-04-25T00:00:00.000Z");
        check("2026-04-25T18:42:11%2B02:00", "2026-04-25T16:42:11.000Z");
    }

    #[test]
    fn what_cannot_be_read_is_said_and_narrows_nothing() {
        let list = filter_from_query("outcome=great&cost_min=cheap&user=&nonsense=1&%zz=%&text=%ff", NOW);
        assert_eq!(list.problems, ["outcome cannot be great", "cost_min cannot be cheap"]);
        assert_eq!(list.filter.outcome, None);
        assert_eq!(list.filter.user, None);
        assert_eq!(list.filter.text.as_deref(), Some("\u{fffd}"));
        let long = filter_from_query(&format!("text={}", "é".repeat(9_000)), NOW);
        assert_eq!(long.filter.text.map(|text| text.len()), Some(VALUE_MAX));
    }
}

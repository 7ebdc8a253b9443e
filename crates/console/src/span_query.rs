//! A list of spans as a URL, by the rules of the list of traces: names are those of `SpanFilter`'s fields, `last=24h` moves
//! along, and what cannot be read narrows nothing and is said.

use std::fmt::Write;

use gauntlet_ports::{SpanCursor, SpanFilter, SpanRow};
use gauntlet_types::{SpanKind, Timestamp};

use crate::query::{PARAMETERS_MAX, Range, cut, decode, encode, exact, instant};

/// What an address asks for.
#[derive(Clone, Default, Debug)]
pub struct SpanQuery {
    /// With `since` already set from `last`.
    pub filter: SpanFilter,
    pub last: Option<Range>,
    /// What could not be read, for the person who typed it.
    pub problems: Vec<String>,
    /// Names that are no filter.
    pub unknown: Vec<String>,
}

/// Reads the query part of an address, with or without its `?`.
pub fn spans_from_query(query: &str, now: Timestamp) -> SpanQuery {
    let mut list = SpanQuery::default();
    for pair in query.trim_start_matches('?').split('&').take(PARAMETERS_MAX) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        let value = cut(value.trim());
        if !value.is_empty() && set(&mut list, &name, value).is_none() {
            list.problems.push(format!("{} cannot be {value}", cut(&name)));
        }
    }
    if let Some(range) = list.last {
        list.filter.since = Some(now.minus(range.length()));
    }
    list
}

/// The place after the last row of a page, if there may be more.
pub fn next_of(filter: &SpanFilter, rows: &[SpanRow]) -> Option<SpanCursor> {
    let wanted = match filter.limit {
        0 => 50,
        limit => limit.min(if filter.trace_id.is_some() { 10_000 } else { 1000 }),
    };
    let last = rows.last().filter(|_| rows.len() >= wanted as usize)?;
    Some(SpanCursor { started: last.record.started, seq: last.seq })
}

/// `1777142531482123.42`: the time in microseconds, and the order of arrival.
pub fn shown_cursor(cursor: SpanCursor) -> String {
    format!("{}.{}", cursor.started.0, cursor.seq)
}

fn read_cursor(text: &str) -> Option<SpanCursor> {
    let (started, seq) = text.split_once('.')?;
    Some(SpanCursor { started: Timestamp(started.parse().ok()?), seq: seq.parse().ok()? })
}

impl SpanQuery {
    /// The address of this list after a change.
    pub fn link(&self, change: impl FnOnce(&mut SpanQuery)) -> String {
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
        address(&query)
    }
}

/// The address of the list narrowed by one thing alone.
pub fn link_to(set: impl FnOnce(&mut SpanFilter)) -> String {
    let mut filter = SpanFilter::default();
    set(&mut filter);
    address(&query_of(&filter))
}

fn address(query: &str) -> String {
    let joint = if query.is_empty() { "" } else { "?" };
    format!("{}{joint}{query}", crate::paths::SPANS)
}

fn query_of(filter: &SpanFilter) -> String {
    let is = |set: bool| set.then(|| "true".to_owned());
    let pairs = [
        ("trace_id", filter.trace_id.map(|id| id.to_string())),
        ("tenant", filter.tenant.clone()),
        ("user", filter.user.clone()),
        ("session", filter.session.clone()),
        ("service", filter.service.clone()),
        ("kind", filter.kind.map(|kind| kind.as_str().to_owned())),
        ("name", filter.name.clone()),
        ("roots", is(filter.roots)),
        ("errors", is(filter.errors)),
        ("since", filter.since.map(exact)),
        ("until", filter.until.map(exact)),
        ("before", filter.before.map(shown_cursor)),
        ("limit", (filter.limit > 0).then(|| filter.limit.to_string())),
    ];
    let mut query = String::new();
    for (name, value) in pairs {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = write!(query, "{}{name}=", if query.is_empty() { "" } else { "&" });
            encode(&mut query, &value);
        }
    }
    query
}

/// Sets one field; none if the value makes no sense for it.
fn set(list: &mut SpanQuery, name: &str, value: &str) -> Option<()> {
    let filter = &mut list.filter;
    let text = Some(value.to_owned());
    match name {
        "trace_id" => filter.trace_id = Some(value.parse().ok()?),
        "tenant" => filter.tenant = text,
        "user" => filter.user = text,
        "session" => filter.session = text,
        "service" => filter.service = text,
        "kind" => filter.kind = Some(SpanKind::parse(value)?),
        "name" => filter.name = text,
        "roots" => filter.roots = value.parse().ok()?,
        "errors" => filter.errors = value.parse().ok()?,
        "since" => filter.since = Some(instant(value)?),
        "until" => filter.until = Some(instant(value)?),
        "before" => filter.before = Some(read_cursor(value)?),
        "limit" => filter.limit = value.parse().ok()?,
        "last" => list.last = Some(Range::parse(value)?),
        unknown => list.unknown.push(unknown.to_owned()),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_types::TraceId;

    #[test]
    fn a_filter_survives_its_address() {
        let now = Timestamp(1_777_142_531_482_000);
        let some = |text: &str| Some(text.to_owned());
        let filter = SpanFilter {
            trace_id: Some(TraceId(0xabc)),
            tenant: some("Bäcker & Söhne"),
            user: some("<script>"),
            session: some("50%+x"),
            service: some("a=b"),
            kind: Some(SpanKind::Retriever),
            name: some("get order"),
            roots: true,
            errors: true,
            since: Some(Timestamp(1_777_142_531_482_001)),
            until: Some(Timestamp(1_777_142_531_482_002)),
            before: Some(SpanCursor { started: Timestamp(-7), seq: 42 }),
            limit: 20,
        };
        let query = query_of(&filter);
        let read = spans_from_query(&query, now);
        assert_eq!((read.problems, read.unknown), (vec![], vec![]), "{query}");
        assert_eq!(format!("{:?}", read.filter), format!("{filter:?}"));
        let odd = spans_from_query("kind=nonsense&roots=maybe&color=red&last=24h&service=", now);
        assert_eq!(odd.problems, ["kind cannot be nonsense", "roots cannot be maybe"]);
        assert_eq!(odd.unknown, ["color"]);
        assert!(odd.filter.service.is_none());
        assert_eq!(odd.link(|query| query.filter.errors = true), "/spans?errors=true&last=24h");
    }
}

//! A call's spans: their ids, times, places in the tree, events and status.

use gauntlet_types::{Attempt, AttemptEnd, CallRecord, Direction, Stage, ToolCall};

use super::{
    Finished, Servers, bound,
    facts::{self, Facts},
    profile::Table,
    proto::{Event, KIND_CLIENT, KIND_INTERNAL, KeyValue, STATUS_ERROR, Span, Status},
};

/// Attempts, tools and guards' notes of one call that are told; real calls have a handful.
const ATTEMPTS_MAX: usize = 32;
const TOOLS_MAX: usize = 64;
const NOTES_MAX: usize = 64;
/// Tools are numbered from here, so that a call's spans never share an id.
const TOOL_NUMBERS: u64 = 1 << 16;

pub(super) fn of(call: &Finished<'_>, table: &Table, servers: &Servers) -> Vec<Span> {
    let record = call.record;
    let facts = Facts::new(call, servers);
    let mut spans = vec![root(&facts, table)];
    for (number, attempt) in record.attempts.iter().take(ATTEMPTS_MAX).enumerate() {
        spans.push(attempted(&facts, number, attempt, table));
    }
    if facts::wants_tools(record) {
        for (number, call) in record.tool_calls.iter().take(TOOLS_MAX).enumerate() {
            spans.push(tool(record, number, call, table));
        }
    }
    spans
}

fn root(facts: &Facts<'_>, table: &Table) -> Span {
    let record = facts.record;
    let mut attributes = Vec::with_capacity(64);
    for (key, field) in table.call.iter().copied().flatten() {
        facts.push(key, *field, &mut attributes);
    }
    let message = record.error_message.as_deref().or(record.error.map(|code| code.as_str()));
    Span {
        span_id: record.span_id.0.to_be_bytes().to_vec(),
        parent_span_id: record.parent_span_id.map(|id| id.0.to_be_bytes().to_vec()).unwrap_or_default(),
        // The conventions ask for it, though a gateway serves as well: what the span tells of is the call of a model.
        kind: KIND_CLIENT,
        name: facts::span_name(record),
        attributes,
        events: events(record),
        status: facts::is_error(record).then(|| error(message.unwrap_or_default())),
        ..span(record, 0, record.latency_us)
    }
}

fn attempted(facts: &Facts<'_>, number: usize, attempt: &Attempt, table: &Table) -> Span {
    let record = facts.record;
    let rows = table.attempt.iter().copied().flatten();
    let is_error = match attempt.end {
        AttemptEnd::Ok | AttemptEnd::Abandoned | AttemptEnd::Outrun => false,
        AttemptEnd::Status
        | AttemptEnd::Connect
        | AttemptEnd::FirstTokenTimeout
        | AttemptEnd::IdleTimeout
        | AttemptEnd::TotalTimeout
        | AttemptEnd::Malformed
        | AttemptEnd::Cut
        | AttemptEnd::StreamError => true,
    };
    let why = || attempt.error.clone().or_else(|| facts::attempt_error(attempt)).unwrap_or_default();
    Span {
        span_id: child(record.span_id.0, number as u64 + 1),
        parent_span_id: record.span_id.0.to_be_bytes().to_vec(),
        kind: KIND_CLIENT,
        name: bound::line(&format!("attempt {}", attempt.target)),
        attributes: rows
            .filter_map(|(key, field)| Some(KeyValue::new(*key, facts.attempt(number, attempt, *field)?)))
            .collect(),
        status: is_error.then(|| error(&why())),
        ..span(record, u64::from(attempt.start_us), u64::from(attempt.start_us) + u64::from(attempt.took_us))
    }
}

/// A moment at the end of the answer: what came of it is the application's to tell.
fn tool(record: &CallRecord, number: usize, call: &ToolCall, table: &Table) -> Span {
    let rows = table.tool.iter().copied().flatten();
    Span {
        span_id: child(record.span_id.0, TOOL_NUMBERS + number as u64),
        parent_span_id: record.span_id.0.to_be_bytes().to_vec(),
        kind: KIND_INTERNAL,
        name: bound::line(&format!("execute_tool {}", call.name)).trim_end().to_owned(),
        attributes: rows
            .filter_map(|(key, field)| Some(KeyValue::new(*key, facts::tool(call, *field)?)))
            .collect(),
        ..span(record, record.latency_us, record.latency_us)
    }
}

/// A span from and to so many microseconds after the call began.
fn span(record: &CallRecord, from_us: u64, to_us: u64) -> Span {
    Span {
        trace_id: record.trace_id.0.to_be_bytes().to_vec(),
        start_time_unix_nano: nanos(record, from_us),
        end_time_unix_nano: nanos(record, to_us),
        ..Span::default()
    }
}

fn nanos(record: &CallRecord, after_us: u64) -> u64 {
    u64::try_from(record.started.0).unwrap_or(0).saturating_add(after_us).saturating_mul(1_000)
}

/// The id of a call's nth further span: the same whenever the call is sent, and spread over all ids (SplitMix64).
fn child(span: u64, number: u64) -> Vec<u8> {
    let mut z = span.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // All zeros is no id.
    z.max(1).to_be_bytes().to_vec()
}

fn error(message: &str) -> Status {
    Status { code: STATUS_ERROR, message: bound::line(message) }
}

fn events(record: &CallRecord) -> Vec<Event> {
    let end_of = |stage: Stage| {
        let time = record.stages.iter().find(|time| time.stage == stage);
        nanos(
            record,
            time.map_or(record.latency_us, |time| u64::from(time.start_us) + u64::from(time.took_us)),
        )
    };
    let event = |stage: Stage, name: &str, attributes: Vec<KeyValue>| Event {
        time_unix_nano: end_of(stage),
        name: name.to_owned(),
        attributes,
        ..Event::default()
    };
    let mut events = Vec::new();
    for note in record.guard.iter().take(NOTES_MAX) {
        let (stage, direction) = match note.direction {
            Direction::Input => (Stage::GuardInput, "input"),
            Direction::Output => (Stage::GuardOutput, "output"),
        };
        events.push(event(
            stage,
            "gauntlet.guardrail",
            vec![
                KeyValue::new("gauntlet.guardrail.direction", direction),
                KeyValue::new("gauntlet.guardrail.kind", bound::line(&note.kind)),
                KeyValue::new("gauntlet.guardrail.label", bound::line(&note.label)),
                KeyValue::new(
                    "gauntlet.guardrail.action",
                    if note.shadow { "trial" } else { note.action.as_str() },
                ),
                KeyValue::new("gauntlet.guardrail.count", note.count),
                // Through its decimal form, or 0.85 would read 0.8500000238.
                KeyValue::new(
                    "gauntlet.guardrail.score",
                    note.score.to_string().parse::<f64>().unwrap_or(0.0),
                ),
                KeyValue::new("gauntlet.guardrail.reason", bound::line(&note.reason)),
            ],
        ));
    }
    if let Some(result) = facts::cache_event(record) {
        events.push(event(
            Stage::Cache,
            "gauntlet.cache",
            vec![KeyValue::new("gauntlet.cache.result", result)],
        ));
    }
    if let Some(budget) = &record.budget {
        let mut attributes = vec![
            KeyValue::new("gauntlet.budget.action", budget.action.as_str()),
            KeyValue::new("gauntlet.budget.scope", bound::line(&budget.scope)),
            KeyValue::new("gauntlet.budget.key", bound::line(&budget.key)),
        ];
        attributes.extend(
            budget
                .instead_of
                .as_ref()
                .map(|model| KeyValue::new("gauntlet.budget.instead_of", bound::line(model))),
        );
        events.push(event(Stage::Reserve, "gauntlet.budget", attributes));
    }
    events
}

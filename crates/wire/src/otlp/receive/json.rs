//! OTLP/JSON: protobuf's JSON mapping, but for ids, which are hexadecimal. Read as it is written in practice: names in
//! either case, numbers as text or number, enums by number or name, `null` for what is not there.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, value::RawValue};

use super::{DEPTH_MAX, Place, Received, Room, Unreadable, bound_attributes, checked};
use crate::otlp::{
    binary,
    proto::{
        AnyValue, ArrayValue, Event, KeyValue, KeyValueList, Link, Resource, ResourceSpans, Scope,
        ScopeSpans, Span, Status, Value,
    },
};

/// Commas, colons and brackets of one span, beyond which it is not parsed: a parsed value takes forty times the two
/// bytes that it may be written in.
const MARKS_MAX: usize = 1_000_000;
/// Items of a list that is read before its spans are: resources, scopes.
const LIST_MAX: usize = 100_000;

const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

type Members<'a> = BTreeMap<String, &'a RawValue>;

pub(super) fn read(body: &[u8]) -> Result<Received, Unreadable> {
    let request: Members<'_> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let mut received = Received::default();
    let mut room = Room::default();
    for (number, raw) in list(&request, "resourceSpans", "resource_spans")?.into_iter().enumerate() {
        let members: Members<'_> = serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))?;
        let mut read = ResourceSpans::default();
        if let Some(about) = small(&members, "resource", "resource")? {
            let mut resource = Resource {
                attributes: attributes(&about, &mut room).map_err(|what| Unreadable::Json { what })?,
                dropped_attributes_count: count(&about, "droppedAttributesCount", "dropped_attributes_count"),
            };
            bound_attributes(&mut resource.attributes, &mut resource.dropped_attributes_count);
            read.resource = Some(resource);
        }
        for (scope, raw) in list(&members, "scopeSpans", "scope_spans")?.into_iter().enumerate() {
            let place = Place { resource: number, scope, span: 0 };
            read.scope_spans.push(scope_spans(raw, place, &mut room, &mut received)?);
        }
        received.resource_spans.push(read);
    }
    Ok(received)
}

fn scope_spans(
    raw: &RawValue,
    place: Place,
    room: &mut Room,
    received: &mut Received,
) -> Result<ScopeSpans, Unreadable> {
    let members: Members<'_> = serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))?;
    let mut read = ScopeSpans::default();
    if let Some(about) = small(&members, "scope", "scope")? {
        let mut scope = Scope {
            name: text(&about, "name", "name"),
            version: text(&about, "version", "version"),
            attributes: attributes(&about, room).map_err(|what| Unreadable::Json { what })?,
            dropped_attributes_count: count(&about, "droppedAttributesCount", "dropped_attributes_count"),
        };
        bound_attributes(&mut scope.attributes, &mut scope.dropped_attributes_count);
        read.scope = Some(scope);
    }
    for (number, raw) in list(&members, "spans", "spans")?.into_iter().enumerate() {
        match room.take_span().and_then(|()| span(raw, room)).and_then(checked) {
            Ok(span) => read.spans.push(span),
            Err(why) => received.rejected.note(format!("{}: {why}", Place { span: number, ..place })),
        }
    }
    Ok(read)
}

/// Serde's messages name what it met, which may be the sender's words; where it met it is enough.
fn unreadable(error: &serde_json::Error) -> Unreadable {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a field has another type than it should".to_owned(),
        serde_json::error::Category::Eof => "it breaks off".to_owned(),
        _ => format!("a mistake at line {}, column {}", error.line(), error.column()),
    };
    Unreadable::Json { what }
}

fn list<'a>(members: &Members<'a>, camel: &str, snake: &str) -> Result<Vec<&'a RawValue>, Unreadable> {
    let Some(raw) = members.get(camel).or_else(|| members.get(snake)) else { return Ok(Vec::new()) };
    let items: Option<Vec<&RawValue>> =
        serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))?;
    let items = items.unwrap_or_default();
    if items.len() > LIST_MAX {
        return Err(Unreadable::Json {
            what: format!("`{camel}` has {} items, more than {LIST_MAX}", items.len()),
        });
    }
    Ok(items)
}

fn small(members: &Members<'_>, camel: &str, snake: &str) -> Result<Option<Map<String, Json>>, Unreadable> {
    let Some(raw) = members.get(camel).or_else(|| members.get(snake)) else { return Ok(None) };
    parsed(raw).map_err(|why| Unreadable::Json { what: format!("`{camel}`: {why}") })
}

fn parsed(raw: &RawValue) -> Result<Option<Map<String, Json>>, String> {
    let marks = raw.get().bytes().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    if marks > MARKS_MAX {
        return Err(format!("it has more than {MARKS_MAX} parts"));
    }
    serde_json::from_str(raw.get()).map_err(|_| "it is no object, or lies too deep".to_owned())
}

fn span(raw: &RawValue, room: &mut Room) -> Result<Span, String> {
    let members = parsed(raw)?.ok_or("it is null")?;
    Ok(Span {
        trace_id: hex(&members, "traceId", "trace_id")?,
        span_id: hex(&members, "spanId", "span_id")?,
        trace_state: text(&members, "traceState", "trace_state"),
        parent_span_id: hex(&members, "parentSpanId", "parent_span_id")?,
        name: text(&members, "name", "name"),
        kind: named(&members, "kind", &SPAN_KINDS),
        start_time_unix_nano: time(&members, "startTimeUnixNano", "start_time_unix_nano"),
        end_time_unix_nano: time(&members, "endTimeUnixNano", "end_time_unix_nano"),
        attributes: attributes(&members, room)?,
        dropped_attributes_count: count(&members, "droppedAttributesCount", "dropped_attributes_count"),
        events: objects(&members, "events").map(|members| event(members, room)).collect::<Result<_, _>>()?,
        dropped_events_count: count(&members, "droppedEventsCount", "dropped_events_count"),
        links: objects(&members, "links").map(|members| link(members, room)).collect::<Result<_, _>>()?,
        dropped_links_count: count(&members, "droppedLinksCount", "dropped_links_count"),
        status: members.get("status").and_then(Json::as_object).map(|status| Status {
            message: text(status, "message", "message"),
            code: named(status, "code", &STATUS_CODES),
        }),
        flags: count(&members, "flags", "flags"),
    })
}

fn event(members: &Map<String, Json>, room: &mut Room) -> Result<Event, String> {
    room.take_value()?;
    Ok(Event {
        time_unix_nano: time(members, "timeUnixNano", "time_unix_nano"),
        name: text(members, "name", "name"),
        attributes: attributes(members, room)?,
        dropped_attributes_count: count(members, "droppedAttributesCount", "dropped_attributes_count"),
    })
}

fn link(members: &Map<String, Json>, room: &mut Room) -> Result<Link, String> {
    room.take_value()?;
    Ok(Link {
        trace_id: hex(members, "traceId", "trace_id")?,
        span_id: hex(members, "spanId", "span_id")?,
        trace_state: text(members, "traceState", "trace_state"),
        attributes: attributes(members, room)?,
        dropped_attributes_count: count(members, "droppedAttributesCount", "dropped_attributes_count"),
        flags: count(members, "flags", "flags"),
    })
}

fn attributes(members: &Map<String, Json>, room: &mut Room) -> Result<Vec<KeyValue>, String> {
    objects(members, "attributes").map(|one| key_value(one, 1, room)).collect()
}

fn key_value(members: &Map<String, Json>, depth: usize, room: &mut Room) -> Result<KeyValue, String> {
    room.take_value()?;
    let value = members.get("value").map(|value| any_value(value, depth + 1, room)).transpose()?;
    Ok(KeyValue { key: text(members, "key", "key"), value })
}

fn any_value(value: &Json, depth: usize, room: &mut Room) -> Result<AnyValue, String> {
    room.take_value()?;
    if depth > DEPTH_MAX {
        return Err(format!("its values lie deeper than {DEPTH_MAX} messages"));
    }
    let Some(members) = value.as_object() else { return Ok(AnyValue::default()) };
    let member = |camel: &str, snake: &str| member(members, camel, snake);
    let value = if let Some(text) = member("stringValue", "string_value") {
        text.as_str().map(Value::from)
    } else if let Some(is) = member("boolValue", "bool_value") {
        is.as_bool().map(Value::Bool)
    } else if let Some(number) = member("intValue", "int_value") {
        whole(number).map(Value::Int)
    } else if let Some(number) = member("doubleValue", "double_value") {
        // `"NaN"` and `"Infinity"` are read by Rust as protobuf writes them.
        number.as_f64().or_else(|| number.as_str()?.parse().ok()).map(Value::Double)
    } else if let Some(list) = member("arrayValue", "array_value") {
        let values = list.get("values").and_then(Json::as_array).into_iter().flatten();
        let values = values.map(|value| any_value(value, depth + 2, room)).collect::<Result<_, _>>()?;
        Some(Value::List(ArrayValue { values }))
    } else if let Some(map) = member("kvlistValue", "kvlist_value") {
        let values = map.get("values").and_then(Json::as_array).into_iter().flatten();
        let values = values.filter_map(Json::as_object).map(|one| key_value(one, depth + 2, room));
        Some(Value::Map(KeyValueList { values: values.collect::<Result<_, _>>()? }))
    } else if let Some(bytes) = member("bytesValue", "bytes_value") {
        bytes.as_str().and_then(binary::from_base64).map(Value::Bytes)
    } else {
        None
    };
    Ok(AnyValue { value })
}

fn member<'a>(members: &'a Map<String, Json>, camel: &str, snake: &str) -> Option<&'a Json> {
    members.get(camel).or_else(|| members.get(snake)).filter(|value| !value.is_null())
}

fn objects<'a>(members: &'a Map<String, Json>, name: &str) -> impl Iterator<Item = &'a Map<String, Json>> {
    members.get(name).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object)
}

fn text(members: &Map<String, Json>, camel: &str, snake: &str) -> String {
    member(members, camel, snake).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn whole(value: &Json) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .or_else(|| value.as_f64().map(|float| float as i64))
}

fn time(members: &Map<String, Json>, camel: &str, snake: &str) -> u64 {
    let Some(value) = member(members, camel, snake) else { return 0 };
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    number.or_else(|| value.as_f64().map(|float| float as u64)).unwrap_or(0)
}

fn count(members: &Map<String, Json>, camel: &str, snake: &str) -> u32 {
    member(members, camel, snake).and_then(whole).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

fn named(members: &Map<String, Json>, name: &str, names: &[&str]) -> i32 {
    let Some(value) = member(members, name, name) else { return 0 };
    let by_name = value.as_str().and_then(|text| names.iter().position(|known| *known == text));
    let number = by_name.map(|at| at as i64).or_else(|| whole(value));
    number.and_then(|number| i32::try_from(number).ok()).unwrap_or(0)
}

fn hex(members: &Map<String, Json>, camel: &str, snake: &str) -> Result<Vec<u8>, String> {
    let Some(value) = member(members, camel, snake) else { return Ok(Vec::new()) };
    value.as_str().and_then(binary::from_hex).ok_or_else(|| format!("{snake} is not hexadecimal"))
}

//! Protobuf, span by span: each is measured before it is decoded, and one that is broken takes no other with it.

use prost::{Message, encoding::decode_varint};

use super::{DEPTH_MAX, Place, Received, Room, Unreadable, bound_attributes, checked};
use crate::otlp::proto::{
    RESOURCE, RESOURCE_SPANS, Resource, ResourceSpans, SCOPE, SCOPE_SPANS, SPANS, Scope, ScopeSpans, Span,
};

pub(super) fn read(body: &[u8]) -> Result<Received, Unreadable> {
    let mut received = Received::default();
    let mut room = Room::default();
    for (number, field) in fields(body).enumerate() {
        if let (RESOURCE_SPANS, bytes) = field.ok_or(broken("the request"))? {
            let read = resource_spans(bytes, number, &mut room, &mut received)?;
            received.resource_spans.push(read);
        }
    }
    Ok(received)
}

const fn broken(what: &'static str) -> Unreadable {
    Unreadable::Protobuf { what }
}

fn resource_spans(
    bytes: &[u8],
    number: usize,
    room: &mut Room,
    received: &mut Received,
) -> Result<ResourceSpans, Unreadable> {
    let mut read = ResourceSpans::default();
    for field in fields(bytes) {
        match field.ok_or(broken("resource_spans"))? {
            (RESOURCE, bytes) => {
                let mut resource: Resource =
                    measured(bytes, Level::Resource, room).map_err(|_| broken("a resource"))?;
                bound_attributes(&mut resource.attributes, &mut resource.dropped_attributes_count);
                read.resource = Some(resource);
            }
            (SCOPE_SPANS, bytes) => {
                let place = Place { resource: number, scope: read.scope_spans.len(), span: 0 };
                room.take_value().map_err(|_| broken("the number of scopes"))?;
                read.scope_spans.push(scope_spans(bytes, place, room, received)?);
            }
            _ => {}
        }
    }
    Ok(read)
}

fn scope_spans(
    bytes: &[u8],
    mut place: Place,
    room: &mut Room,
    received: &mut Received,
) -> Result<ScopeSpans, Unreadable> {
    let mut read = ScopeSpans::default();
    for field in fields(bytes) {
        match field.ok_or(broken("scope_spans"))? {
            (SCOPE, bytes) => {
                let mut scope: Scope = measured(bytes, Level::Scope, room).map_err(|_| broken("a scope"))?;
                bound_attributes(&mut scope.attributes, &mut scope.dropped_attributes_count);
                read.scope = Some(scope);
            }
            (SPANS, bytes) => {
                let span = room.take_span().and_then(|()| measured::<Span>(bytes, Level::Span, room));
                match span.and_then(checked) {
                    Ok(span) => read.spans.push(span),
                    Err(why) => received.rejected.note(format!("{place}: {why}")),
                }
                place.span += 1;
            }
            _ => {}
        }
    }
    Ok(read)
}

fn measured<T: Message + Default>(bytes: &[u8], level: Level, room: &mut Room) -> Result<T, String> {
    measure(bytes, level, 0, room)?;
    T::decode(bytes).map_err(|_| "it is no message of its kind".to_owned())
}

/// Messages of which each may hold many others.
#[derive(Clone, Copy)]
enum Level {
    Resource,
    Scope,
    Span,
    Event,
    Link,
    KeyValue,
    AnyValue,
    List,
    Map,
}

impl Level {
    /// What the field of this number holds, where that is a message.
    const fn inner(self, number: u32) -> Option<Level> {
        match (self, number) {
            (Level::Resource, 1) | (Level::Scope, 3) | (Level::Span, 9) => Some(Level::KeyValue),
            (Level::Event, 3) | (Level::Link, 4) | (Level::Map, 1) => Some(Level::KeyValue),
            (Level::Span, 11) => Some(Level::Event),
            (Level::Span, 13) => Some(Level::Link),
            (Level::KeyValue, 2) | (Level::List, 1) => Some(Level::AnyValue),
            (Level::AnyValue, 5) => Some(Level::List),
            (Level::AnyValue, 6) => Some(Level::Map),
            _ => None,
        }
    }
}

/// Counts a message's parts without making anything of them.
fn measure(bytes: &[u8], level: Level, depth: usize, room: &mut Room) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("its values lie deeper than {DEPTH_MAX} messages"));
    }
    for field in fields(bytes) {
        let (number, bytes) = field.ok_or("it breaks off")?;
        if let Some(inner) = level.inner(number) {
            room.take_value()?;
            measure(bytes, inner, depth + 1, room)?;
        }
    }
    Ok(())
}

/// The fields of a message with the bytes of those that have a length; none where the message is broken, and then nothing
/// more.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u32, &[u8])>> {
    let mut is_broken = false;
    std::iter::from_fn(move || {
        if rest.is_empty() || is_broken {
            return None;
        }
        let field = next_field(&mut rest);
        is_broken = field.is_none();
        Some(field)
    })
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let key = u32::try_from(decode_varint(rest).ok()?).ok()?;
    let length = match key & 7 {
        0 => {
            decode_varint(rest).ok()?;
            0
        }
        1 => 8,
        2 => usize::try_from(decode_varint(rest).ok()?).ok()?,
        5 => 4,
        // Groups have been out of use since before OTLP.
        _ => return None,
    };
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    // A number of a field that holds a message counts only where it does.
    Some((if key & 7 == 2 { key >> 3 } else { 0 }, bytes))
}

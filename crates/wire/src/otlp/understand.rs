//! What an application's span means to us: a record, the texts that went in and out, and everything it said beside.
//!
//! Which name means what is a table (`aliases`). Nothing is left out for being unknown: `rest` holds all attributes,
//! events and links as they came. Whoever calls has taken out what is private before, so that all of it is derived from
//! what may be kept.

mod aliases;
mod messages;
mod tokens;

use gauntlet_types::{Caller, Document, Environment, Name, SpanId, SpanKind, SpanRecord, Timestamp, TraceId};
use serde_json::{Map, Value as Json, json};

use self::aliases::Names;
use super::{
    bound,
    proto::{AnyValue, KeyValue, Resource, STATUS_ERROR, Scope, Span, Value},
};

/// Bytes of a name, as of a call's context.
const NAME_MAX: usize = 256;
/// Tags of a span, as of a call.
const TAGS_MAX: usize = 32;
/// Documents of a retrieval that stand in the record; all of them are in `rest`.
const DOCUMENTS_MAX: usize = 256;
/// What OpenTelemetry's SDKs call a service that has no name.
const NAMELESS: &str = "unknown_service";

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];

/// A span, understood.
#[derive(Clone, Debug)]
pub struct Understood {
    /// Its caller holds what the span claims; what is bound to a key is not known here.
    pub record: SpanRecord,
    /// None where the span says nothing of it.
    pub environment: Option<Environment>,
    pub input: String,
    pub output: String,
    /// One JSON object.
    pub rest: Vec<u8>,
}

/// Whether an attribute names a person or a session: what people are known by elsewhere too, so that it is joined by
/// and not merely blanked out.
pub fn is_identity(key: &str) -> bool {
    aliases::USER.contains(&key) || aliases::SESSION.contains(&key)
}

/// Where spans come from; made once for all that share it.
pub struct Origin {
    resource: Map<String, Json>,
    scope_name: Option<Name>,
    /// Members of `rest` that all have.
    shared: String,
}

impl Origin {
    pub fn new(resource: Option<&Resource>, scope: Option<&Scope>) -> Origin {
        let attributes = resource.map(|resource| members(resource.attributes.clone())).unwrap_or_default();
        let about = scope.map(|scope| {
            let attributes = members(scope.attributes.clone());
            let mut about = json!({"name": scope.name, "version": scope.version});
            if !attributes.is_empty() {
                about["attributes"] = attributes.into();
            }
            about
        });
        let shared =
            format!("\"resource\":{},\"scope\":{}", json!(attributes), about.unwrap_or_else(|| json!({})));
        let scope_name = scope.and_then(|scope| named(&scope.name));
        Origin { resource: attributes, scope_name, shared }
    }

    pub fn understand(&self, span: Span) -> Understood {
        let times = (span.start_time_unix_nano, span.end_time_unix_nano);
        let status = span.status.unwrap_or_default();
        let attributes = members(span.attributes);
        let events: Vec<Event> = span
            .events
            .into_iter()
            .map(|event| Event {
                name: event.name,
                time_unix_nano: event.time_unix_nano,
                attributes: members(event.attributes),
                dropped: event.dropped_attributes_count,
            })
            .collect();
        let facts = Facts::new(&attributes, &events, &self.resource);
        let kind = facts.kind();
        let error = (!status.message.is_empty()).then(|| status.message.clone());
        let is_error = status.code == STATUS_ERROR;
        let environment = facts.environment();
        let record = SpanRecord {
            trace_id: TraceId(big_endian(&span.trace_id)),
            span_id: SpanId(big_endian(&span.span_id) as u64),
            parent_span_id: Some(big_endian(&span.parent_span_id) as u64).filter(|id| *id != 0).map(SpanId),
            name: named(&span.name).unwrap_or_else(|| "unnamed".into()),
            kind,
            started: Timestamp(i64::try_from(times.0 / 1_000).unwrap_or(i64::MAX)),
            took_us: times.1.saturating_sub(times.0) / 1_000,
            is_error,
            error_message: if is_error {
                error.or_else(|| facts.error()).map(|text| bound::line(&text))
            } else {
                None
            },
            service: self
                .resource
                .get("service.name")
                .and_then(Json::as_str)
                .and_then(named)
                .unwrap_or_else(|| NAMELESS.into()),
            scope: self.scope_name.clone(),
            caller: facts.caller(),
            provider: facts.name(aliases::PROVIDER),
            model: facts.name(aliases::MODEL),
            tool: facts.name(aliases::TOOL).or_else(|| match kind {
                SpanKind::Tool => facts.name(aliases::TOOL_ENTITY),
                _ => None,
            }),
            documents: facts.documents(),
            usage: tokens::usage(&facts),
            cost: tokens::cost(&facts),
            texts_gone: None,
        };
        let (input, output) = (messages::input(&facts, kind), messages::output(&facts, kind));
        let links: Vec<Json> = span
            .links
            .into_iter()
            .map(|link| {
                let mut told = json!({"trace_id": hex(&link.trace_id), "span_id": hex(&link.span_id)});
                add(&mut told, "trace_state", &link.trace_state.into());
                add(&mut told, "attributes", &members(link.attributes).into());
                add(&mut told, "dropped_attributes_count", &link.dropped_attributes_count.into());
                told
            })
            .collect();
        let mut more = json!({
            "events": events.iter().map(Event::json).collect::<Vec<_>>(),
            "links": links,
            "status": {"code": status.code, "message": status.message},
            "kind": usize::try_from(span.kind).ok().and_then(|kind| KINDS.get(kind)).unwrap_or(&KINDS[0]),
        });
        add(&mut more, "trace_state", &span.trace_state.into());
        add(&mut more, "flags", &span.flags.into());
        add(&mut more, "dropped_attributes_count", &span.dropped_attributes_count.into());
        add(&mut more, "dropped_events_count", &span.dropped_events_count.into());
        add(&mut more, "dropped_links_count", &span.dropped_links_count.into());
        let rest = format!(
            "{{\"attributes\":{},{},{}",
            Json::Object(attributes),
            self.shared,
            // Without its opening brace.
            &more.to_string()[1..],
        );
        Understood { record, environment, input, output, rest: rest.into_bytes() }
    }
}

/// Adds a member unless it says nothing.
fn add(object: &mut Json, name: &str, value: &Json) {
    let is_empty = match value {
        Json::String(text) => text.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Number(number) => number.as_u64() == Some(0),
        _ => false,
    };
    if !is_empty {
        object[name] = value.clone();
    }
}

struct Event {
    name: String,
    time_unix_nano: u64,
    attributes: Map<String, Json>,
    dropped: u32,
}

impl Event {
    fn json(&self) -> Json {
        let mut told =
            json!({"name": self.name, "time_unix_nano": self.time_unix_nano, "attributes": self.attributes});
        add(&mut told, "dropped_attributes_count", &self.dropped.into());
        told
    }
}

/// Where facts are looked for: the span's attributes, then those of events that speak for it.
struct Facts<'a> {
    attributes: &'a Map<String, Json>,
    spoken_for: Vec<&'a Map<String, Json>>,
    events: &'a [Event],
    resource: &'a Map<String, Json>,
}

impl<'a> Facts<'a> {
    fn new(
        attributes: &'a Map<String, Json>,
        events: &'a [Event],
        resource: &'a Map<String, Json>,
    ) -> Facts<'a> {
        let speaks = |event: &&Event| aliases::EVENTS_OF_FACTS.contains(&event.name.as_str());
        let spoken_for = events.iter().filter(speaks).map(|event| &event.attributes).collect();
        Facts { attributes, spoken_for, events, resource }
    }

    /// The first of these names that says something.
    fn find(&self, names: Names) -> Option<&'a Json> {
        let says = |value: &&Json| !value.is_null() && value.as_str() != Some("");
        let places = || std::iter::once(self.attributes).chain(self.spoken_for.iter().copied());
        names.iter().find_map(|name| places().find_map(|place| place.get(*name)).filter(says))
    }

    fn text(&self, names: Names) -> Option<String> {
        self.find(names).map(plain)
    }

    fn name(&self, names: Names) -> Option<Name> {
        named(&self.text(names)?)
    }

    /// JSON, parsed where it was sent as text.
    fn parsed(&self, names: Names) -> Option<Json> {
        let value = self.find(names)?;
        match value.as_str() {
            Some(text) => serde_json::from_str(text).ok(),
            None => Some(value.clone()),
        }
    }

    fn number(&self, names: Names) -> Option<f64> {
        number(self.find(names)?)
    }

    fn kind(&self) -> SpanKind {
        let said = aliases::KINDS.iter().find_map(|(name, words)| {
            let text = self.attributes.get(*name)?.as_str()?.trim_matches('"');
            words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, kind)| *kind)
        });
        let hint = || aliases::KIND_HINTS.iter().find(|(name, _)| self.attributes.contains_key(*name));
        said.or_else(|| hint().map(|(_, kind)| *kind)).unwrap_or_default()
    }

    fn error(&self) -> Option<String> {
        let exception = self.events.iter().rev().find(|event| event.name == "exception");
        let of_event = exception.and_then(|event| {
            aliases::EXCEPTION.iter().find_map(|name| event.attributes.get(*name).map(plain))
        });
        of_event.or_else(|| self.text(aliases::ERROR))
    }

    /// What the span, or else its resource, claims of who it is for.
    fn caller(&self) -> Caller {
        let claim = |names: Names| self.claim(names);
        let tags = || -> Vec<String> {
            match self.parsed(aliases::TAGS) {
                Some(Json::Array(tags)) => tags.iter().map(plain).collect(),
                _ => self.text(aliases::TAGS).unwrap_or_default().split(',').map(str::to_owned).collect(),
            }
        };
        Caller {
            tenant: claim(aliases::TENANT).unwrap_or_default(),
            team: claim(aliases::TEAM),
            user: claim(aliases::USER),
            session: claim(aliases::SESSION),
            key: None,
            environment: self.environment().unwrap_or_default(),
            app_sha: claim(aliases::APP_SHA),
            eval_id: claim(aliases::EVAL_ID),
            tags: tags().iter().take(TAGS_MAX).filter_map(|tag| named(tag)).collect(),
        }
    }

    fn claim(&self, names: Names) -> Option<Name> {
        let of_resource = || names.iter().find_map(|name| self.resource.get(*name)).map(plain);
        named(&self.text(names).or_else(of_resource)?)
    }

    fn environment(&self) -> Option<Environment> {
        Environment::parse(&self.claim(aliases::ENVIRONMENT)?.to_ascii_lowercase())
    }

    fn documents(&self) -> Vec<Document> {
        let listed = messages::documents(self).unwrap_or_default();
        let listed = listed.iter().take(DOCUMENTS_MAX).enumerate();
        let document = |(at, one): (usize, &Json)| Document {
            // Many retrievers know no ids; its place still tells one from the other.
            id: one
                .get("id")
                .map(plain)
                .and_then(|id| named(&id))
                .unwrap_or_else(|| format!("#{}", at + 1).into()),
            score: one.get("score").and_then(number),
        };
        listed.map(document).collect()
    }
}

/// A value as text: texts as they are, everything else as JSON.
fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
}

/// A text that can stand in a list: cut, and on one line.
fn named(text: &str) -> Option<Name> {
    let text = text.trim();
    let mut end = text.len().min(NAME_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line =
        |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
    (end > 0)
        .then(|| if text.contains(char::is_control) { line(&text[..end]).into() } else { text[..end].into() })
}

fn big_endian(id: &[u8]) -> u128 {
    id.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn members(attributes: Vec<KeyValue>) -> Map<String, Json> {
    attributes.into_iter().map(|one| (one.key, one.value.map_or(Json::Null, any))).collect()
}

fn any(value: AnyValue) -> Json {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match value.value {
        None => Json::Null,
        Some(Value::Text(text)) => text.into(),
        Some(Value::Bool(is)) => is.into(),
        Some(Value::Int(number)) => number.into(),
        // JSON has no word for what is no number.
        Some(Value::Double(number)) => {
            serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Json::Number)
        }
        Some(Value::List(list)) => list.values.into_iter().map(any).collect(),
        Some(Value::Map(map)) => members(map.values).into(),
        Some(Value::Bytes(bytes)) => STANDARD.encode(bytes).into(),
    }
}

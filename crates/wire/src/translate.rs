//! From one dialect to another: a request on its way up, an answer on its way down.

use bytes::Bytes;
use gauntlet_types::{CallRecord, Dialect, Event, Quirks};
use serde_json::Value;

use crate::{
    answer::read_plain,
    anthropic,
    ask::{Ask, Written},
    bedrock,
    conversation::PathAsk,
    gemini,
    json::Malformed,
    openai::{self, chat, completions, responses},
};

/// Members that are listed as dropped, and characters of each: a body of unknown members shall not become a record of them.
const DROPPED_MAX: usize = 64;
const PATH_MAX: usize = 100;

/// Reads a request into the neutral form.
pub fn read_ask(dialect: Dialect, body: &[u8], path: &PathAsk) -> Result<Ask, Malformed> {
    match dialect {
        Dialect::Chat => chat::ask::read(body),
        Dialect::Completions => completions::read_ask(body),
        Dialect::Responses => responses::ask::read(body),
        Dialect::Messages => anthropic::neutral::read(body),
        Dialect::Gemini => gemini::neutral::read(body, path),
        Dialect::Converse => Err(Malformed::new("no caller speaks Converse here")),
    }
}

/// Writes a request, for the model of this name at a server with these quirks.
pub fn write_ask(dialect: Dialect, ask: Ask, model: &str, quirks: Quirks) -> Written {
    match dialect {
        Dialect::Chat => chat::ask::write(ask, model, quirks),
        Dialect::Completions => completions::write_ask(ask, model),
        Dialect::Responses => responses::ask::write(ask, model),
        Dialect::Messages => anthropic::neutral::write(ask, model),
        Dialect::Gemini => gemini::neutral::write(ask, model),
        Dialect::Converse => bedrock::write(ask, model),
    }
}

/// A request of one dialect as another writes it. What was lost on the way is listed.
pub fn ask(
    from: Dialect,
    to: Dialect,
    body: &[u8],
    path: &PathAsk,
    model: &str,
    quirks: Quirks,
) -> Result<Written, Malformed> {
    let mut ask = read_ask(from, body, path)?;
    let mut dropped = std::mem::take(&mut ask.dropped);
    let custom_tools = ask.custom_tools();
    if to != Dialect::Responses {
        ask.without_custom();
    }
    let mut written = write_ask(to, ask, model, quirks);
    dropped.append(&mut written.dropped);
    for path in &mut dropped {
        if let Some((cut, _)) = path.char_indices().nth(PATH_MAX) {
            path.truncate(cut);
        }
    }
    dropped.sort();
    dropped.dedup();
    dropped.truncate(DROPPED_MAX);
    Ok(Written { dropped, custom_tools, ..written })
}

/// What an answer of ours says of itself, where the provider's own head is in another dialect.
#[derive(Clone, Default, Debug)]
pub struct Head {
    /// Hexadecimal; each dialect puts its own prefix before it.
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    pub model: String,
    /// The caller of a chat stream asked for the usage.
    pub include_usage: bool,
    /// Names of the tools that the caller offered as taking plain text: where the dialect tells their calls from those of
    /// functions, they are written so.
    pub custom_tools: Vec<String>,
}

/// Writes events as the frames of a stream.
pub struct Writer(Inner);

enum Inner {
    Chat(Box<openai::answer::Writer>),
    Completions(Box<completions::Writer>),
    Responses(Box<responses::answer::Writer>),
    Messages(Box<anthropic::answer::Writer>),
    Gemini(Box<gemini::answer::Writer>),
}

macro_rules! each {
    ($self:expr, $writer:ident => $made:expr) => {
        match $self {
            Inner::Chat($writer) => $made,
            Inner::Completions($writer) => $made,
            Inner::Responses($writer) => $made,
            Inner::Messages($writer) => $made,
            Inner::Gemini($writer) => $made,
        }
    };
}

impl Writer {
    pub fn new(dialect: Dialect, head: Head) -> Writer {
        Writer(match dialect {
            Dialect::Chat | Dialect::Converse => Inner::Chat(Box::new(openai::answer::Writer::new(head))),
            Dialect::Completions => Inner::Completions(Box::new(completions::Writer::new(head))),
            Dialect::Responses => Inner::Responses(Box::new(responses::answer::Writer::new(head))),
            Dialect::Messages => Inner::Messages(Box::new(anthropic::answer::Writer::new(head))),
            Dialect::Gemini => Inner::Gemini(Box::new(gemini::answer::Writer::new(head))),
        })
    }

    /// The frames that an event makes, if any. A finish and the usage may be kept until `end`.
    pub fn push(&mut self, event: &Event) -> Vec<Bytes> {
        let mut frames = Vec::new();
        each!(&mut self.0, writer => writer.push(event, &mut frames));
        frames
    }

    /// The frames that end the stream, its end mark among them. Once.
    pub fn end(&mut self) -> Vec<Bytes> {
        let mut frames = Vec::new();
        each!(&mut self.0, writer => writer.end(&mut frames));
        frames
    }
}

/// Writes events as one whole answer.
pub fn whole(dialect: Dialect, head: &Head, events: &[Event]) -> Bytes {
    match dialect {
        Dialect::Chat | Dialect::Converse => openai::answer::whole(head, events),
        Dialect::Completions => completions::whole(head, events),
        Dialect::Responses => responses::answer::whole(head, events),
        Dialect::Messages => anthropic::answer::whole(head, events),
        Dialect::Gemini => gemini::answer::whole(head, events),
    }
}

/// Writes events as all frames of a stream.
pub fn stream(dialect: Dialect, head: &Head, events: &[Event]) -> Vec<Bytes> {
    let mut writer = Writer::new(dialect, head.clone());
    let mut frames: Vec<Bytes> = events.iter().flat_map(|event| writer.push(event)).collect();
    frames.extend(writer.end());
    frames
}

/// A request as a record holds it, in chat's words, for whoever shows or searches records of every door alike. None where
/// it cannot be read.
pub fn recorded_ask(dialect: Dialect, body: &Bytes, path: &PathAsk) -> Option<Bytes> {
    if dialect == Dialect::Chat {
        return Some(body.clone());
    }
    let asked = read_ask(dialect, body, path).ok()?;
    let model = asked.model.clone();
    let written = write_ask(Dialect::Chat, asked, &model, Quirks::default()).body;
    // What the gateway noted of the prompt stands in every dialect alike.
    let noted = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|mut body| Some(body.get_mut("gauntlet")?.take()));
    let Some(noted) = noted else { return Some(written.into()) };
    let mut written: Value = serde_json::from_slice(&written).ok()?;
    written["gauntlet"] = noted;
    Some(written.to_string().into())
}

/// What an answer as a record holds it says: in its own dialect where it was whole, in chat's words where it was put
/// together from a stream.
pub fn recorded_answer(dialect: Dialect, body: &Bytes) -> Vec<Event> {
    let own = read_plain(dialect, body).ok().filter(|read| !read.events.is_empty());
    own.or_else(|| read_plain(Dialect::Chat, body).ok()).map(|read| read.events).unwrap_or_default()
}

/// The texts of a record in chat's words, whatever door the call came in by. What cannot be read stays as it is.
pub fn in_chat(record: &CallRecord, input: &Bytes, output: &Bytes) -> (Bytes, Bytes) {
    let Some(dialect) = record.door.dialect().filter(|dialect| *dialect != Dialect::Chat) else {
        return (input.clone(), output.clone());
    };
    let path =
        PathAsk { model: record.model_asked.to_string(), stream: record.is_streaming, ..PathAsk::default() };
    let asked = recorded_ask(dialect, input, &path).unwrap_or_else(|| input.clone());
    let events = recorded_answer(dialect, output);
    if events.is_empty() {
        return (asked, output.clone());
    }
    let head = Head {
        id: record.id.0.simple().to_string(),
        created: record.started.0 / 1_000_000,
        model: record.model_answered.as_ref().unwrap_or(&record.model_asked).to_string(),
        ..Head::default()
    };
    (asked, whole(Dialect::Chat, &head, &events))
}

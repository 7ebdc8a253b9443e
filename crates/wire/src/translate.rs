//! From one dialect to another: a request on its way up, an answer on its way down.

use bytes::Bytes;
use gauntlet_types::{Dialect, Event};

use crate::{
    anthropic,
    ask::{Ask, Written},
    bedrock,
    conversation::PathAsk,
    gemini,
    json::Malformed,
    openai::{self, chat, completions, responses},
};

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

/// Writes a request, for the model of this name.
pub fn write_ask(dialect: Dialect, ask: Ask, model: &str) -> Written {
    match dialect {
        Dialect::Chat => chat::ask::write(ask, model),
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
) -> Result<Written, Malformed> {
    let mut ask = read_ask(from, body, path)?;
    let mut dropped = std::mem::take(&mut ask.dropped);
    let custom_tools = ask.custom_tools();
    let mut written = write_ask(to, ask, model);
    dropped.append(&mut written.dropped);
    dropped.sort();
    dropped.dedup();
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

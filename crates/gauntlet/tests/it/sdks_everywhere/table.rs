//! Which client speaks which doors, and what it does there; which provider stands behind.

use gauntlet_testkit::Format;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    Chat,
    Completions,
    Responses,
    Messages,
    Gemini,
}

impl Door {
    pub const fn as_str(self) -> &'static str {
        match self {
            Door::Chat => "chat",
            Door::Completions => "completions",
            Door::Responses => "responses",
            Door::Messages => "messages",
            Door::Gemini => "gemini",
        }
    }

    const fn format(self) -> Format {
        match self {
            Door::Chat => Format::Chat,
            Door::Completions => Format::Completions,
            Door::Responses => Format::Responses,
            Door::Messages => Format::Messages,
            Door::Gemini => Format::Gemini,
        }
    }
}

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upstream {
    /// The vendor itself, without the gateway: proof that the scripted vendor is spoken to as the real one.
    Direct,
    Chat,
    Responses,
    Messages,
    Gemini,
    Converse,
}

pub const UPSTREAMS: [Upstream; 6] = [
    Upstream::Direct,
    Upstream::Chat,
    Upstream::Responses,
    Upstream::Messages,
    Upstream::Gemini,
    Upstream::Converse,
];

impl Upstream {
    pub const fn as_str(self) -> &'static str {
        match self {
            Upstream::Direct => "its vendor",
            Upstream::Chat => "chat",
            Upstream::Responses => "responses",
            Upstream::Messages => "messages",
            Upstream::Gemini => "gemini",
            Upstream::Converse => "converse",
        }
    }

    /// The alias of the gateway that leads there.
    pub const fn model(self) -> &'static str {
        match self {
            Upstream::Direct => "test-model",
            Upstream::Chat => "on-chat",
            Upstream::Responses => "on-responses",
            Upstream::Messages => "on-messages",
            Upstream::Gemini => "on-gemini",
            Upstream::Converse => "on-converse",
        }
    }

    /// The format that it is asked in, by a caller at this door.
    pub const fn format(self, door: Door) -> Option<Format> {
        match self {
            Upstream::Direct => Some(door.format()),
            Upstream::Chat => Some(Format::Chat),
            Upstream::Responses => Some(Format::Responses),
            Upstream::Messages => Some(Format::Messages),
            Upstream::Gemini => Some(Format::Gemini),
            Upstream::Converse => Some(Format::Converse),
        }
    }

    /// Whether a thing of a door can be done here at all: what is not a conversation is not translated.
    pub fn can(self, door: Door, thing: &str) -> bool {
        match thing {
            "embed" if door == Door::Gemini => matches!(self, Upstream::Direct | Upstream::Gemini),
            "embed" => matches!(self, Upstream::Direct | Upstream::Chat),
            // The list is the gateway's own.
            "models" => self == Upstream::Chat,
            _ => true,
        }
    }
}

/// A door that a client speaks.
pub struct Spoken {
    pub door: Door,
    /// Of the driver's names for what it can do there.
    pub prefix: &'static str,
    pub things: &'static [&'static str],
}

const fn spoken(door: Door, prefix: &'static str, things: &'static [&'static str]) -> Spoken {
    Spoken { door, prefix, things }
}

const ALL: &[&str] = &["plain", "stream", "tools", "schema", "thought"];
const WITH_CACHE: &[&str] = &["plain", "stream", "tools", "schema", "thought", "cached"];
const MOST: &[&str] = &["plain", "stream", "tools", "schema"];

pub const CLIENTS: [(&str, &[Spoken]); 10] = [
    (
        "openai_sdk.py",
        &[
            spoken(Door::Chat, "chat_", WITH_CACHE),
            spoken(Door::Responses, "responses_", WITH_CACHE),
            spoken(Door::Completions, "completions_", &["plain", "stream"]),
            spoken(Door::Chat, "", &["embed", "models"]),
        ],
    ),
    (
        "anthropic_sdk.py",
        &[spoken(
            Door::Messages,
            "",
            &["plain", "stream", "tools", "schema", "thought", "cached", "count", "models"],
        )],
    ),
    (
        "google_sdk.py",
        &[spoken(
            Door::Gemini,
            "",
            &["plain", "stream", "tools", "schema", "thought", "cached", "count", "embed", "models"],
        )],
    ),
    (
        "langchain_sdk.py",
        &[
            spoken(Door::Chat, "", &["plain", "stream", "tools", "schema", "embed"]),
            spoken(Door::Responses, "", MOST),
            spoken(Door::Messages, "", ALL),
            spoken(Door::Gemini, "", MOST),
        ],
    ),
    (
        "litellm_sdk.py",
        &[
            spoken(Door::Chat, "", &["plain", "stream", "tools", "schema", "embed"]),
            spoken(Door::Messages, "", MOST),
            spoken(Door::Gemini, "", MOST),
        ],
    ),
    ("agents_sdk.py", &[spoken(Door::Chat, "", MOST), spoken(Door::Responses, "", MOST)]),
    (
        "openai_sdk.mjs",
        &[
            spoken(Door::Chat, "chat_", MOST),
            spoken(Door::Responses, "responses_", MOST),
            spoken(Door::Chat, "", &["embed", "models"]),
        ],
    ),
    (
        "anthropic_sdk.mjs",
        &[spoken(Door::Messages, "", &["plain", "stream", "tools", "schema", "thought", "count"])],
    ),
    (
        "google_sdk.mjs",
        &[spoken(Door::Gemini, "", &["plain", "stream", "tools", "schema", "thought", "count", "embed"])],
    ),
    (
        "vercel_ai_sdk.mjs",
        &[
            spoken(Door::Chat, "", &["plain", "stream", "tools", "schema", "embed"]),
            spoken(Door::Responses, "", MOST),
            spoken(Door::Messages, "", MOST),
            spoken(Door::Gemini, "", MOST),
        ],
    ),
];

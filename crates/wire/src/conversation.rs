//! A conversation as it is asked for, in any dialect: what the gateway must know of it, and the changes that it makes.

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::Dialect;
use serde_json::{Map, Value};

use crate::{
    anthropic,
    extension::GauntletField,
    gemini,
    json::Malformed,
    openai::{chat, completions, responses},
    seal,
    splice::Edit,
    text::{Found, Kind, Segment},
};

/// Messages a request may have. Each costs some hundred bytes of ours beside its own; the longest agent sessions seen
/// have a few thousand.
pub const MESSAGES_MAX: usize = 20_000;

/// Answers that may be asked for at once: OpenAI's own limit.
pub const CHOICES_MAX: u32 = 128;

/// Pairs of `metadata` that are read; OpenAI allows 16. Further ones pass through unread.
pub const METADATA_MAX: usize = 64;

/// A value and where it stands in the body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// The two names of the output limit. OpenAI's reasoning models know only the new one, many servers only the old.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitField {
    MaxTokens,
    MaxCompletionTokens,
}

impl LimitField {
    pub const fn as_str(self) -> &'static str {
        match self {
            LimitField::MaxTokens => "max_tokens",
            LimitField::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// What the gateway must know of a request; everything else stays in the bytes untouched.
///
/// Fields that are `null` count as absent.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub dialect: Dialect,
    /// The span includes the quotes; empty where the model stands in the path (Gemini).
    pub model: Spanned<String>,
    pub stream: bool,
    /// The caller asks for a usage chunk itself. True wherever a dialect always tells.
    pub include_usage: bool,
    /// The limit of the output, under the dialect's own name; a chat request with both names is refused, as OpenAI does,
    /// since providers differ in which one counts.
    pub max_tokens: Option<Spanned<u32>>,
    pub n: u32,
    pub user: Option<String>,
    /// Strings as they are, other scalars as they are written; objects and arrays are passed over.
    pub metadata: Vec<(String, String)>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub seed: Option<i64>,
    /// `flex`, `priority` …: changes the price.
    pub service_tier: Option<String>,
    pub reasoning_effort: Option<String>,
    pub has_tools: bool,
    /// Names of the tools offered, in order.
    pub tools: Vec<String>,
    /// The shape asked for: `response_format`, `text.format`, `output_config.format`, `responseSchema`.
    pub response_format: Option<Range<usize>>,
    pub message_count: usize,
    /// The array with its brackets; an empty range if absent, or no array (Responses' `input` as a plain string).
    pub messages: Range<usize>,
    /// Images, sounds and files among the content parts: tokens that no text shows.
    pub media_count: u32,
    /// The images among them.
    pub image_count: u32,
    pub gauntlet: Option<GauntletField>,
    /// Something of the provider's own that this request goes on with (`previous_response_id`, `conversation`,
    /// `cachedContent`), so that only who holds it can answer.
    pub state: Option<String>,

    pub(crate) layout: Layout,
    pub(crate) texts: Vec<Found>,
}

/// Places that only edits need.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    Chat(chat::Layout),
    Completions(completions::Layout),
    Responses(responses::Layout),
    Messages(anthropic::ask::Layout),
    Gemini(gemini::ask::Layout),
}

/// What the path of a request says where its body does not: Gemini's model, and whether it streams.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PathAsk {
    pub model: String,
    pub stream: bool,
    /// Several embeddings are asked for at once.
    pub batch: bool,
}

/// Reads a request. `path` counts for Gemini alone.
///
/// Errors name the field at fault and its line and column.
pub fn parse(dialect: Dialect, body: &Bytes, path: &PathAsk) -> Result<Conversation, Malformed> {
    match dialect {
        Dialect::Chat => chat::parse(body),
        Dialect::Completions => completions::parse(body),
        Dialect::Responses => responses::parse(body),
        Dialect::Messages => anthropic::ask::parse(body),
        Dialect::Gemini => gemini::ask::parse(body, path),
        Dialect::Converse => Err(Malformed::new("no caller speaks Converse here")),
    }
}

impl Conversation {
    /// All texts that reach the model, in the order of the body: contents, text parts, tool results, arguments of tool
    /// calls; also descriptions of tools and answer schemas (`Kind::Definition`). Message `name`s are not among them.
    pub fn segments(&self, body: &Bytes) -> Vec<Segment> {
        let read = self.texts.iter().filter(|found| found.kind != Kind::Other);
        read.map(|found| found.segment(body)).collect()
    }

    /// The strings that no model reads, for whoever keeps the body: `user`, `metadata`, names, unknown fields. Bytes of
    /// media are not among them.
    pub fn other_segments(&self, body: &Bytes) -> Vec<Segment> {
        let others = self.texts.iter().filter(|found| found.kind == Kind::Other);
        others.map(|found| found.segment(body)).collect()
    }

    /// Edit: another model. None where the model stands in the path.
    pub fn with_model(&self, model: &str) -> Option<Edit> {
        let span = self.model.span.clone();
        (!span.is_empty()).then(|| Edit::new(span, crate::json::quote(model)))
    }

    /// Edit: asks for a usage chunk, keeping the caller's other stream options. None if the caller asks for one, the
    /// answer is not streamed (some servers refuse `stream_options` without `stream`), or the dialect always tells.
    pub fn with_usage(&self) -> Option<Edit> {
        match &self.layout {
            Layout::Chat(layout) if self.stream && !self.include_usage => Some(layout.with_usage()),
            Layout::Completions(layout) if self.stream && !self.include_usage => Some(layout.with_usage()),
            _ => None,
        }
    }

    /// Edits: cuts out what other providers sealed, and what nobody can vouch for: whoever gets it would refuse the whole.
    pub fn without_foreign(&self, body: &Bytes) -> Vec<Edit> {
        if !seal::is_in(body) {
            return Vec::new();
        }
        match self.dialect {
            Dialect::Messages => anthropic::ask::without_foreign(body),
            Dialect::Gemini => gemini::ask::without_foreign(body),
            Dialect::Responses => responses::ask::without_foreign(body),
            // Servers of this dialect pass over what they do not know.
            Dialect::Chat | Dialect::Completions | Dialect::Converse => Vec::new(),
        }
    }

    /// Edits: cuts our own extension out. Empty when there is none.
    pub fn without_gauntlet(&self) -> Vec<Edit> {
        self.gauntlet.iter().map(|field| Edit::new(field.member.clone(), Bytes::new())).collect()
    }

    /// Edit: these members of the body as well, which must not be there yet; none where there are none.
    pub fn with_fields(&self, fields: &Map<String, Value>) -> Option<Edit> {
        let members: String =
            fields.iter().map(|(name, value)| format!("{}:{value},", Value::from(name.as_str()))).collect();
        (!members.is_empty()).then(|| Edit::insert(self.first_member(), members))
    }

    /// Edit: our own extension as the record shall hold it, in place of the caller's.
    pub fn with_noted(&self, noted: &Value) -> Edit {
        Edit::insert(self.first_member(), format!(r#""gauntlet":{noted},"#))
    }

    /// Edits: puts a system message first. Without messages the text becomes the one user message, since providers
    /// refuse a request that has none from the user.
    pub fn with_system(&self, body: &Bytes, text: &str) -> Vec<Edit> {
        self.with_prompt(body, &[("system", text)])
    }

    /// Edits: puts these messages (role, text) first. Without messages of the caller's, a lone system message becomes
    /// the one user message, since providers refuse a request that has none from the user.
    pub fn with_prompt(&self, body: &Bytes, messages: &[(&str, &str)]) -> Vec<Edit> {
        let promoted: Vec<(&str, &str)>;
        let messages = match messages {
            [("system", text)] if self.message_count == 0 => {
                promoted = vec![("user", *text)];
                &promoted[..]
            }
            other => other,
        };
        match &self.layout {
            Layout::Chat(layout) => vec![layout.with_prompt(self, body, messages)],
            Layout::Completions(layout) => layout.with_prompt(self, body, messages),
            Layout::Responses(layout) => layout.with_prompt(self, body, messages),
            Layout::Messages(layout) => layout.with_prompt(self, body, messages),
            Layout::Gemini(layout) => layout.with_prompt(self, body, messages),
        }
    }

    /// Edit: puts these messages (role, text) behind the caller's; none where there are none.
    pub fn with_more(&self, body: &Bytes, messages: &[(&str, &str)]) -> Option<Edit> {
        // Gemini takes a lone message without brackets.
        let ends_list = self.messages.len() >= 2 && body.get(self.messages.end - 1) == Some(&b']');
        if self.message_count == 0 || !ends_list {
            return None;
        }
        match &self.layout {
            Layout::Chat(layout) => Some(layout.with_more(self, messages)),
            Layout::Completions(layout) => layout.with_more(self, messages),
            Layout::Responses(layout) => layout.with_more(self, messages),
            Layout::Messages(layout) => layout.with_more(self, messages),
            Layout::Gemini(layout) => layout.with_more(self, messages),
        }
    }

    /// Edit: another output limit, under the caller's own name for it, or else under `absent` (in chat; other dialects
    /// have one name).
    pub fn with_max_tokens(&self, limit: u32, absent: LimitField) -> Edit {
        match &self.layout {
            Layout::Chat(layout) => layout.with_max_tokens(limit, absent),
            Layout::Completions(layout) => layout.with_max_tokens(limit),
            Layout::Responses(layout) => layout.with_max_tokens(limit),
            Layout::Messages(layout) => layout.with_max_tokens(limit),
            Layout::Gemini(layout) => layout.with_max_tokens(limit),
        }
    }

    /// Edit: says the caller's limit a second time under its old name, for servers that know no other. None where the
    /// caller gave none, or under that name.
    pub fn with_old_limit(&self) -> Option<Edit> {
        let Layout::Chat(layout) = &self.layout else { return None };
        let limit = self.max_tokens.as_ref().filter(|_| layout.is_new_limit)?.value;
        Some(Edit::insert(layout.first_member, format!(r#""max_tokens":{limit},"#)))
    }

    /// Edit: fewer tokens of thought, where a dialect refuses more of them than the output may have. To go with
    /// `with_max_tokens`; none where nothing is to be changed.
    pub fn with_less_thinking(&self, limit: u32) -> Option<Edit> {
        match &self.layout {
            Layout::Messages(layout) => layout.with_less_thinking(limit),
            _ => None,
        }
    }

    /// Just behind the object's opening brace: new members go here, each with its comma. The body has a member always.
    fn first_member(&self) -> usize {
        match &self.layout {
            Layout::Chat(layout) => layout.first_member,
            Layout::Completions(layout) => layout.first_member,
            Layout::Responses(layout) => layout.first_member,
            Layout::Messages(layout) => layout.first_member,
            Layout::Gemini(layout) => layout.first_member,
        }
    }
}
